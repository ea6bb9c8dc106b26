"""What some trips of one OD pair are worth to everybody if they alone take part: the game behind Shapley and least core.

v(S) = the sum of the surpluses of the deals that the trips in S would strike, starting from everybody's baseline, with nobody
else selling (`sim.kernels.od_games`): by how much everybody's costs fall, fees paid. It is recomputed for each S, since the
deals in the book were struck while others traded. Trading in turn finds good detours, not always the best, so v(S) is a lower
bound of what S could do.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.assignment.problem import Principle, refresh_costs
from sim.assignment.static_traffic import StaticTraffic
from sim.kernels.od_games import saving_alone
from sim.kernels.routes import link_flows
from sim.negotiation.deal_book import LEAST_SURPLUS


class OdSavings:
    """The savings of groups of trips, with all routes that the travellers know by now.

    Parameters
    ----------
    traffic
        The world, whatever its present traffic.
    baseline_route
        Everybody's route at the start, shape (n_travellers,).
    stake
        Stakes of the members on the baseline, shape (n_links,).
    value
        Value of time by traveller, credits a second.
    fee_per_vehicle
        Credits that a deal costs for each vehicle of the mover.
    """

    def __init__(
        self, traffic: StaticTraffic, baseline_route: IndexColumn, stake: FloatColumn, value: FloatColumn, fee_per_vehicle: float
    ) -> None:
        self._traffic = traffic
        self._route = baseline_route.copy()
        self._stake = stake.copy()
        self._value = value
        self._fee_per_vehicle = fee_per_vehicle
        self._links = traffic.problem.links(Principle.USER_EQUILIBRIUM)
        link_flows(traffic.routes.columns, self._route, traffic.population.weight, self._links.flow)
        refresh_costs(self._links)
        self._marks = (np.zeros(len(stake), np.bool_), np.zeros(len(stake), np.bool_))

    def kinds(self, travellers: IndexColumn) -> IndexColumn:
        """Return a number for each traveller, the same for those alike: same baseline route, weight and value of time."""
        rows = np.column_stack([self._route[travellers], self._traffic.population.weight[travellers], self._value[travellers]])
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)

    def saving(self, travellers: IndexColumn) -> float:
        """Return v of travellers of one OD cell, in credits, at least 0."""
        if len(travellers) == 0:
            return 0.0
        population = self._traffic.population
        total, _ = saving_alone(
            travellers, population.od_idx[travellers[0]], self._route, population.weight, self._value,
            self._traffic.routes.columns, self._links, self._stake, self._fee_per_vehicle, LEAST_SURPLUS, *self._marks,
            np.empty(0),
        )  # fmt: skip
        return float(total)
