"""Selfish routing: every traveller takes the cheapest route it knows, whatever that does to others.

On the first day everybody follows the map: the cheapest path on empty streets. After each day everybody learns the path that
was cheapest on it; then those who can gain choose one after another, in an order drawn for the day, each with the traffic in
view that those before it have left. This is better-response dynamics in a congestion game with weights; for equal weights
Rosenthal's potential (1973) falls at every change, so it ends where nobody gains (a pure Nash equilibrium among the known
routes).
"""

from __future__ import annotations

import numpy as np

from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.protocol import RouteChanges


class Selfish:
    """The mechanism of the selfish world.

    Parameters
    ----------
    seed
        Decides the order of choice on each day.
    gap
        Relative gap of the travellers' routes at which the days end.
    """

    world = "selfish"

    def __init__(self, seed: int, gap: float) -> None:
        self._seed = seed
        self._gap = gap

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody takes the cheapest path on empty streets."""
        route_of_cell = traffic.explore()
        return RouteChanges(np.arange(traffic.population.n_travellers, dtype=np.int32), route_of_cell[traffic.population.od_idx])

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return the better responses of those who can gain."""
        return RouteChanges(*traffic.choices_in_turn(traffic.travellers_who_could_gain(), self._seed, day))

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop at the gap, or when nobody gains by changing to a route that he knows."""
        if traffic.relative_gap <= self._gap:
            return "gap reached"
        if len(last_changes.traveller) == 0:
            return "nobody gains by changing"
        return None
