"""How the members' strategies enter the market: who joins, who is asked in a round and at what price, who keeps the promise.

With `who_gives_way` = "auction" the members of an OD cell who drive the same route hold a reverse auction at the start of a
round (`sim.negotiation.auction`): their detours are worth, one after another, what they would earn if they alone traded. Whoever
loses the auction is not asked in this round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.population import Population
from sim.kernels.deals import screen_offers
from sim.kernels.od_games import savings_of_groups
from sim.negotiation.auction import order_by_ask, reverse_auction
from sim.negotiation.baseline import Baseline
from sim.negotiation.deal_book import LEAST_SURPLUS, DealBook
from sim.negotiation.strategies import Cast, OfferColumns, PromiseColumns, TravellerColumns
from sim.rng import uniforms


class RoundTerms(NamedTuple):
    """Who is asked in a round, in order; asks and what is paid for them, credits a vehicle, shapes (n_travellers,)."""

    turn: IndexColumn
    ask: FloatColumn
    rival_ask: FloatColumn


@dataclass(frozen=True, eq=False)
class Conduct:
    """How the travellers of a world behave in its market.

    Attributes
    ----------
    cast
        Who plays which strategy.
    population, baseline
        Travellers, and where they start.
    value
        Value of time of each, credits a second and vehicle.
    seed
        Of the scenario: decides the travellers' luck.
    who_gives_way
        lot: each member is paid its own ask; auction: see the module.
    demands_all
        Who sells only for all that the deal is worth to the others, shape (n_travellers,); None for nobody.
    """

    cast: Cast
    population: Population
    baseline: Baseline
    value: FloatColumn
    seed: int
    who_gives_way: Literal["lot", "auction"] = "lot"
    demands_all: BoolColumn | None = None

    def members(self, admitted: BoolColumn) -> BoolColumn:
        """Return who is a member: whom the participation lottery admitted and whose strategy joins."""
        rows = np.flatnonzero(admitted & self.cast.decides("joins")).astype(np.int32)
        result = admitted.copy()
        result[rows] = self.cast.joins(self._columns(rows, self._baseline_cost(rows), 0))
        return result

    def round_terms(
        self,
        turn: IndexColumn,
        route_of_traveller: IndexColumn,
        traffic: StaticTraffic,
        stake: FloatColumn,
        fee_per_vehicle: float,
        day: int,
    ) -> RoundTerms:
        """Return who is asked in a round and on what terms.

        Parameters
        ----------
        turn
            Members in the order of the lot.
        route_of_traveller, traffic, stake
            State of the streets at the round's start; left as it is.
        fee_per_vehicle
            Credits that a deal costs for each vehicle of the mover.
        day
            Number of the round.
        """
        ask = np.zeros(self.population.n_travellers)
        asking = turn[self.cast.decides("surcharge")[turn]]
        if len(asking):
            ask[asking] = self.cast.surcharges(self._columns(asking, self._costs(asking, route_of_traveller, traffic), day))
        choosy = turn[self.cast.decides("accepts")[turn]]
        if len(choosy):
            accepts = np.ones(self.population.n_travellers, np.bool_)
            accepts[choosy] = self._accepts(choosy, ask, route_of_traveller, traffic, stake, fee_per_vehicle, day)
            turn = turn[accepts[turn]]
        if self.who_gives_way == "auction":
            if self.demands_all is not None:
                # Whoever wants everything bids more than anybody else.
                ask[self.demands_all] = np.inf
            return self._auctions(turn, ask, route_of_traveller, traffic, stake, fee_per_vehicle)
        return RoundTerms(turn, ask, ask if self.demands_all is None else np.where(self.demands_all, np.inf, ask))

    def keeps_promise(
        self,
        movers: IndexColumn,
        price: FloatColumn,
        promised_route: IndexColumn,
        baseline_route: IndexColumn,
        traffic: StaticTraffic,
    ) -> BoolColumn:
        """Return which of the movers drive what they promised, at the traffic of the promised routes.

        Parameters
        ----------
        movers, price
            Travellers with a contract, and what it pays them in credits; shapes (n_contracts,).
        promised_route, baseline_route
            By traveller.
        """
        promised = self._costs(movers, promised_route, traffic)
        temptation = promised - self._costs(movers, baseline_route, traffic)
        return self.cast.keeps_promise(
            PromiseColumns(**vars(self._columns(movers, promised, 0)), price=price, temptation=temptation)
        )

    def _accepts(
        self,
        choosy: IndexColumn,
        ask: FloatColumn,
        route_of_traveller: IndexColumn,
        traffic: StaticTraffic,
        stake: FloatColumn,
        fee_per_vehicle: float,
        day: int,
    ) -> BoolColumn:
        """Return who of the choosy sells in this round; whoever has nothing to sell is not asked."""
        route, surplus, loss = np.empty(len(choosy), np.int32), np.empty(len(choosy)), np.empty(len(choosy))
        weight = self.population.weight
        screen_offers(
            choosy, self.population.od_idx, route_of_traveller, weight, self.value, ask, traffic.routes.columns, traffic.links,
            stake, fee_per_vehicle, LEAST_SURPLUS, route, surplus, loss,
        )  # fmt: skip
        offered = np.flatnonzero(route != route_of_traveller[choosy]).astype(np.int32)
        rows = choosy[offered]
        columns = self._columns(rows, self._costs(rows, route_of_traveller, traffic), day)
        price = loss[offered] + ask[rows] * weight[rows]
        result = np.ones(len(choosy), np.bool_)
        result[offered] = self.cast.accepts(
            OfferColumns(**vars(columns), loss=loss[offered], price=price, surplus=surplus[offered])
        )
        return result

    def _auctions(
        self,
        turn: IndexColumn,
        ask: FloatColumn,
        route_of_traveller: IndexColumn,
        traffic: StaticTraffic,
        stake: FloatColumn,
        fee_per_vehicle: float,
    ) -> RoundTerms:
        """Hold the auction of every route; the winners share its places in the order of the lot by their asks."""
        population, price = self.population, ask.copy()
        turn = order_by_ask(turn, route_of_traveller, ask)
        by_route = np.argsort(route_of_traveller[turn], kind="stable")
        sellers = turn[by_route]
        bounds = np.flatnonzero(np.diff(route_of_traveller[sellers], prepend=-1, append=-1)).astype(np.int64)
        worth, n_deals = np.empty(len(sellers)), np.zeros(max(len(bounds) - 1, 0), np.int64)
        savings_of_groups(
            sellers, bounds, population.od_idx, route_of_traveller.copy(), population.weight, self.value, traffic.routes.columns,
            traffic.links, stake, fee_per_vehicle, LEAST_SURPLUS, worth, n_deals,
        )  # fmt: skip
        wins = np.zeros(len(turn), np.bool_)
        for group in np.flatnonzero(n_deals).tolist():
            first, past_last = bounds[group], bounds[group + 1]
            members = sellers[first:past_last]
            # A later detour may be worth more than an earlier one of a dearer mover; the auction needs a falling column.
            benefit = np.minimum.accumulate(worth[first : min(first + n_deals[group], past_last)] / population.weight[members[0]])
            result = reverse_auction(ask[members], benefit)
            wins[by_route[first:past_last][result.winners]] = True
            price[members[result.winners]] = result.price
        return RoundTerms(turn[wins], ask, price)

    def _columns(self, rows: IndexColumn, cost: FloatColumn, day: int) -> TravellerColumns:
        return TravellerColumns(
            traveller=rows,
            od_idx=self.population.od_idx[rows],
            weight=self.population.weight[rows],
            value=self.value[rows],
            baseline_cost=self._baseline_cost(rows),
            cost=cost,
            luck=uniforms(self.seed, "strategy luck", rows),
            day=day,
        )

    def _baseline_cost(self, rows: IndexColumn) -> FloatColumn:
        return np.asarray(self.value[rows] * self.population.weight[rows] * self.baseline.cost_s[rows])

    def _costs(self, rows: IndexColumn, route_of_traveller: IndexColumn, traffic: StaticTraffic) -> FloatColumn:
        route_cost_s = traffic.routes.costs(traffic.links.cost)
        return np.asarray(self.value[rows] * self.population.weight[rows] * route_cost_s[route_of_traveller[rows]])


def surcharges_by_traveller(book: DealBook, n_travellers: int) -> FloatColumn:
    """Return the surcharges that the deals of a book promise each traveller, credits, shape (n_travellers,)."""
    return np.bincount(book.traveller, weights=book.surcharge, minlength=n_travellers).astype(np.float64)
