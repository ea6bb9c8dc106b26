"""Pools that do not compensate: those on the relieved links pay together, those on the loaded links are not asked.

The negative control of the coalition, from which it differs in one thing: here the harm H counts for nothing, and a detour is
made iff G - kappa - fee > 0 (`sim.kernels.pool_deals`). A detour that harms others more than it helps the pool is bought all the
same, and the next pool buys it back: trading has no reason to end and stops after the market's rounds.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.kernels.pool_deals import FEES, PAYMENTS, pool_in_turn
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline
from sim.negotiation.deal_book import LEAST_SURPLUS
from sim.negotiation.marketplace import Marketplace
from sim.spec import Market


class Pools:
    """The mechanism of the pools world; parameters as for `Coalition`.

    Attributes
    ----------
    n_deals
        Deals so far.
    """

    world = "pools"

    def __init__(self, market: Market, baseline: Baseline, is_member: BoolColumn, value: FloatColumn, seed: int) -> None:
        self.market = market
        self.baseline = baseline
        self.n_deals = 0
        self._is_member = is_member
        self._value = value
        self._seed = seed
        self._totals = np.zeros(2)
        self._stopped_because: str | None = None

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody starts on the baseline."""
        route = self.baseline.first_routes(traffic)
        self._settled, self._charge = np.zeros(len(route)), np.zeros(len(traffic.links.flow))
        self._place = Marketplace(
            traffic,
            self._is_member,
            self._value,
            fee_per_vehicle=self.market.fee_per_vehicle,
            surplus_to_mover=self.market.surplus_to_mover,
            seed=self._seed,
        )
        self._traffic = traffic
        return RouteChanges(np.arange(len(route), dtype=np.int32), route)

    @property
    def money(self) -> FloatColumn:
        """What each traveller received minus what he paid, credits, shape (n_travellers,)."""
        traffic = self._traffic
        charged = traffic.routes.costs(self._charge)[traffic.route_of_traveller]
        worth = self._value * traffic.population.weight
        return np.asarray(np.where(self._is_member, self._settled - worth * charged, 0.0))

    @property
    def fees(self) -> float:
        """Fees of all deals so far, credits."""
        return float(self._totals[FEES])

    @property
    def payments(self) -> float:
        """What the pools and the movers paid so far, fees included, credits."""
        return float(self._totals[PAYMENTS])

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return the deals of the round."""
        place, population = self._place, traffic.population
        place.listen()
        route = traffic.route_of_traveller.copy()
        struck = pool_in_turn(
            place.order_of_trade(day), population.od_idx, route, population.weight, self._value, traffic.routes.columns,
            traffic.links, place.stakes(route), self.market.fee_per_vehicle, self.market.surplus_to_mover, LEAST_SURPLUS,
            self._charge, self._settled, self._totals,
        )  # fmt: skip
        self.n_deals += struck
        if struck == 0:
            self._stopped_because = "nobody trades"
        elif day >= self.market.rounds:
            self._stopped_because = f"bound of {self.market.rounds} rounds reached"
        changed = np.flatnonzero(route != traffic.route_of_traveller).astype(np.int32)
        return RouteChanges(changed, route[changed])

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop when a round closes no deal, or after the last one."""
        return self._stopped_because
