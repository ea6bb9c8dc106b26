"""Where members trade detours: who belongs, what their time is worth, what the links broadcast, and what has been agreed.

The broadcast of a link is its marginal cost to the members, t + s t' / beta in seconds for somebody whose time is worth
beta, with s the stake of the members who drive on it. Whoever follows the broadcast finds the detours that are worth
something to others; nobody needs to know an optimum.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.kernels.routes import link_flows
from sim.negotiation.conduct import Conduct
from sim.negotiation.deal_book import DealBook
from sim.rng import uniforms

_BROADCASTS = 5
"""Where values of time differ, the broadcast is heard at this many of them: their quantiles 0.1, 0.3, ..., 0.9."""


class Marketplace:
    """Members of one window, with their deals.

    Parameters
    ----------
    traffic
        The world's streets and routes.
    is_member
        Who takes part, shape (n_travellers,).
    value
        Value of time of each traveller in credits a second, shape (n_travellers,).
    fee_per_vehicle, surplus_to_mover
        Credits a deal costs for each vehicle of the mover; share of the surplus that the mover keeps.
    seed
        Decides the order of trade.
    conduct
        The members' strategies; None for honest members whom the lot asks in turn.
    """

    def __init__(
        self,
        traffic: StaticTraffic,
        is_member: BoolColumn,
        value: FloatColumn,
        *,
        fee_per_vehicle: float,
        surplus_to_mover: float,
        seed: int,
        conduct: Conduct | None = None,
    ) -> None:
        self.traffic = traffic
        self.is_member = is_member
        self.members = np.flatnonzero(is_member).astype(np.int32)
        self.value = value
        self._worth = np.asarray(np.where(is_member, value * traffic.population.weight, 0.0))
        self.book = DealBook()
        self._fee_per_vehicle = fee_per_vehicle
        self._surplus_to_mover = surplus_to_mover
        self._seed = seed
        self._conduct = conduct
        self._stays: FloatColumn | None = None

    def start_again(self, stays: FloatColumn) -> None:
        """Open an empty book; from now on the market reckons with this part (0..1) of every relief and harm, by link."""
        self.book = DealBook()
        self._stays = stays

    def stakes(self, route_of_traveller: IndexColumn) -> FloatColumn:
        """Return the stake of the members on each link: sum of value of time * weight, credits a second, shape (n_links,)."""
        stake = np.empty(len(self.traffic.links.flow))
        link_flows(self.traffic.routes.columns, route_of_traveller, self._worth, stake)
        return stake

    def _stakes_that_count(self, route_of_traveller: IndexColumn) -> FloatColumn:
        stake = self.stakes(route_of_traveller)
        if self._stays is None:
            return stake
        # What a mover stands for on his own link always counts, as his loss does.
        return np.asarray(np.maximum(stake * self._stays, np.minimum(stake, self._worth.max(initial=0.0))))

    def listen(self) -> None:
        """Let everybody learn the cheapest path under the broadcast at the present traffic."""
        links = self.traffic.links
        external = self._stakes_that_count(self.traffic.route_of_traveller) * np.where(
            np.isfinite(links.cost_slope), links.cost_slope, 0.0
        )
        for value in self._broadcast_values():
            self.traffic.learn_cheapest(links.cost + external / value)

    def _broadcast_values(self) -> FloatColumn:
        values = self.value[self.members]
        if len(values) == 0:
            return np.empty(0)
        if values.min() == values.max():
            return values[:1]
        return np.unique(np.quantile(values, (np.arange(_BROADCASTS) + 0.5) / _BROADCASTS))

    def order_of_trade(self, day: int) -> IndexColumn:
        """Return the members in the order in which the lot of the day asks them."""
        return self.members[np.argsort(uniforms(self._seed, "order of trade", self.members, day), kind="stable")]

    def trade(self, route_of_traveller: IndexColumn, day: int) -> int:
        """Let members sell their best detours in an order drawn for the day; return how many did.

        The world's flows and costs and `route_of_traveller` follow.
        """
        traffic = self.traffic
        turn = self.order_of_trade(day)
        stake, ask, rival_ask = self._stakes_that_count(route_of_traveller), None, None
        if self._conduct is not None:
            turn, ask, rival_ask = self._conduct.round_terms(turn, route_of_traveller, traffic, stake, self._fee_per_vehicle, day)
        return self.book.trade(
            turn,
            traffic.population.od_idx,
            route_of_traveller,
            traffic.population.weight,
            self.value,
            traffic.routes.columns,
            traffic.links,
            stake,
            fee_per_vehicle=self._fee_per_vehicle,
            surplus_to_mover=self._surplus_to_mover,
            ask=ask,
            rival_ask=rival_ask,
        )

    def trip_costs(self) -> FloatColumn:
        """Return what each traveller's trip costs at the present traffic: value of time * weight * seconds, in credits."""
        return np.asarray(self.value * self.traffic.population.weight * self.traffic.traveller_costs_s())
