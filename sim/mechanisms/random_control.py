"""The random control: as many travellers change their route as in the coalition, but chance picks who and where.

It shows that it matters which detours are bought: moving people at random away from a selfish equilibrium makes the city
slower.
"""

from __future__ import annotations

import numpy as np

from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline
from sim.rng import uniforms

_DRAWS = 3


class RandomControl:
    """The mechanism of the random-control world.

    Parameters
    ----------
    baseline
        Where everybody starts.
    n_moves
        How many travellers change.
    seed
        Decides who and where to.
    """

    world = "random_control"

    def __init__(self, baseline: Baseline, n_moves: int, seed: int) -> None:
        self._baseline = baseline
        self._n_moves = n_moves
        self._seed = seed
        self._moved = False

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody starts on the baseline."""
        route = self._baseline.first_routes(traffic)
        return RouteChanges(np.arange(len(route), dtype=np.int32), route)

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return `n_moves` travellers who know another route, and one of their other routes each, all drawn by lot.

        Before the draw everybody learns the paths that would be cheapest if chance made each link up to twice as dear,
        three times over: plausible detours that nobody chose for their benefit.
        """
        self._moved = True
        links, population = traffic.links, traffic.population
        for draw in range(_DRAWS):
            dearer = uniforms(self._seed, "random control links", np.arange(len(links.cost)), draw)
            traffic.learn_cheapest(links.cost * (1.0 + dearer))
        routes_of_cell = traffic.routes.by_cell()
        choices = np.array([len(routes) - 1 for routes in routes_of_cell])[population.od_idx]
        candidates = np.flatnonzero(choices > 0)
        drawn = candidates[np.argsort(uniforms(self._seed, "random control", candidates), kind="stable")][: self._n_moves]
        lot = uniforms(self._seed, "random control route", drawn)
        taken = []
        for traveller, luck in zip(drawn.tolist(), lot.tolist(), strict=True):
            others = [
                route for route in routes_of_cell[population.od_idx[traveller]] if route != traffic.route_of_traveller[traveller]
            ]
            taken.append(others[int(luck * len(others))])
        return RouteChanges(drawn.astype(np.int32), np.array(taken, np.int32))

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """One day of changes is all."""
        return "moves made" if self._moved else None
