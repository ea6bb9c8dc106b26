"""Literal bilateral offers: "if your detour makes my trip faster, I pay you", one payer a detour.

Kept because it fails, which is worth seeing. Whoever is harmed by a detour is not asked: gains of the payer come out of the
losses of strangers. If the one payer must compensate everybody whom the detour harms (world `pairwise_compensated`, or the key
`pairwise_compensates`), hardly any deal is left, because no single traveller gains as much as all the harmed lose. Each day
everybody in turn meets a few others, drawn by lot, and makes the best deal with one of them; the days end when nobody deals or
after the market's rounds.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.kernels.pair_deals import pair_in_turn
from sim.kernels.pool_deals import FEES, PAYMENTS
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline
from sim.negotiation.marketplace import Marketplace
from sim.rng import stream
from sim.spec import Market

_MEETINGS = 20
"""How many others a traveller meets on a day."""
_LEAST_GAIN = 1e-9


class Pairwise:
    """The mechanism of the two worlds of pairs; parameters as for `Coalition`.

    Parameters
    ----------
    compensates
        Whether the one payer must compensate everybody whom the detour harms.
    world
        Name of the world.

    Attributes
    ----------
    n_deals
        Deals so far.
    money
        What each traveller received minus what he paid, credits, shape (n_travellers,).
    """

    def __init__(
        self,
        market: Market,
        baseline: Baseline,
        is_member: BoolColumn,
        value: FloatColumn,
        seed: int,
        *,
        compensates: bool = False,
        world: str = "pairwise",
    ) -> None:
        self.world = world
        self.market = market
        self.baseline = baseline
        self.n_deals = 0
        self._compensates = compensates
        self._is_member = is_member
        self._value = value
        self._seed = seed
        self._totals = np.zeros(2)
        self._stopped_because: str | None = None

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody starts on the baseline."""
        route = self.baseline.first_routes(traffic)
        self.money = np.zeros(len(route))
        self._place = Marketplace(
            traffic,
            self._is_member,
            self._value,
            fee_per_vehicle=self.market.fee_per_vehicle,
            surplus_to_mover=self.market.surplus_to_mover,
            seed=self._seed,
        )
        return RouteChanges(np.arange(len(route), dtype=np.int32), route)

    @property
    def fees(self) -> float:
        """Fees of all deals so far, credits."""
        return float(self._totals[FEES])

    @property
    def payments(self) -> float:
        """What the payers paid so far, fees included, credits."""
        return float(self._totals[PAYMENTS])

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return the deals of the day."""
        place, population = self._place, traffic.population
        place.listen()
        route = traffic.route_of_traveller.copy()
        members = place.members
        turn = place.order_of_trade(day)
        met = members[stream(self._seed, "meetings", day=day).integers(0, max(len(members), 1), (len(turn), _MEETINGS))]
        struck = pair_in_turn(
            turn, met, population.od_idx, route, population.weight, self._value, traffic.routes.columns, traffic.links,
            place.stakes(route), self._is_member, self.market.fee_per_vehicle, self._compensates, _LEAST_GAIN, self.money,
            self._totals,
        )  # fmt: skip
        self.n_deals += struck
        if struck == 0:
            self._stopped_because = "nobody trades"
        elif day >= self.market.rounds:
            self._stopped_because = f"bound of {self.market.rounds} rounds reached"
        changed = np.flatnonzero(route != traffic.route_of_traveller).astype(np.int32)
        return RouteChanges(changed, route[changed])

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop when a day closes no deal, or after the last round."""
        return self._stopped_because
