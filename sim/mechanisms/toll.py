"""Tolls: every link charges what a vehicle on it costs the others at the optimum, and everybody then chooses selfishly.

At the optimum's flows the toll of link a is v_a t_a'(v_a); with it the selfish equilibrium is the optimum (Pigou 1920;
Beckmann, McGuire and Winsten 1956). The three worlds drive alike and differ in where the revenue goes: nowhere (`toll`),
back to every vehicle alike (`toll_uniform`), or back by origin and destination (`toll_od`).

Refund by OD. Under the tolls everybody of a pair pays the same sum mu of time and toll. A refund of mu - mu_0 T / T_0, with
mu_0 the pair's mean cost in the selfish baseline, T the total cost now and T_0 that of the baseline, leaves everybody of
the pair with mu_0 T / T_0: less than before by the same share in every pair. Summed over vehicles the refunds are the
revenue, exactly; a pair's refund may be negative. So with equal values of time nobody need be worse off (the argument of
Guo and Yang 2010, Transportation Research B 44). Indivisible travellers of one pair do not all pay quite the same, which
leaves small differences.

Where values of time differ, a link's toll is one in seconds still, so that the traffic is that of the time optimum, and everybody
pays it at the own value of time; refunds by pair are handed out in the same measure (T, T_0 and the sums above are then in
credits), equal ones a vehicle.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline


class Refund(StrEnum):
    """Where the revenue goes, by the name of the world."""

    NONE = "toll"
    UNIFORM = "toll_uniform"
    BY_OD = "toll_od"


class Toll:
    """The mechanism of the three toll worlds; the tolls themselves are part of the world's traffic.

    Parameters
    ----------
    refund
        Where the revenue goes.
    baseline
        Where everybody starts.
    seed, gap
        As for the selfish world.
    """

    def __init__(self, refund: Refund, baseline: Baseline, seed: int, gap: float) -> None:
        self.world = refund.value
        self.refund = refund
        self._baseline = baseline
        self._seed = seed
        self._gap = gap

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody starts on the baseline."""
        route = self._baseline.first_routes(traffic)
        return RouteChanges(np.arange(len(route), dtype=np.int32), route)

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return the better responses, tolls counted, of those who can gain."""
        return RouteChanges(*traffic.choices_in_turn(traffic.travellers_who_could_gain(), self._seed, day))

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop at the gap, or when nobody gains by changing to a route that he knows."""
        if traffic.relative_gap <= self._gap:
            return "gap reached"
        return "nobody gains by changing" if len(last_changes.traveller) == 0 else None

    def paid_and_refunded(self, traffic: StaticTraffic, value: FloatColumn) -> tuple[FloatColumn, FloatColumn | None]:
        """Return (toll that each traveller pays, refund that each gets or None), in credits; shapes (n_travellers,).

        Parameters
        ----------
        value
            Value of time of each traveller, credits a second and vehicle, shape (n_travellers,).
        """
        population = traffic.population
        worth = value * population.weight
        paid = worth * traffic.routes.costs(traffic.toll_s)[traffic.route_of_traveller]
        if self.refund is Refund.NONE:
            return paid, None
        if self.refund is Refund.UNIFORM:
            return paid, np.asarray(population.weight * (paid.sum() / population.weight.sum()))
        cell = population.od_idx
        now = np.bincount(cell, weights=worth * traffic.traveller_costs_s())
        before = np.bincount(cell, weights=worth * self._baseline.cost_s)
        refund = np.bincount(cell, weights=paid) + now - before * (now.sum() / before.sum())
        return paid, np.asarray(worth * (refund / np.bincount(cell, weights=worth))[cell])
