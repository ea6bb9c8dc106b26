"""The coalition: members trade detours through pooled funds, everybody who is harmed is compensated, the gain is shared.

Each day is a round of the market. The links broadcast what a vehicle on them costs the members; the members learn the
routes that this suggests; then one after another, in an order drawn for the day, sells the change of route with the largest
surplus, if any is above zero (`sim.kernels.deals`). With everybody a member and equal values of time each deal lowers the
total by its surplus and its fee, so trading ends, and it ends where no single change that anybody knows is worth its fee:
ratio to the optimum <= 1 + (phi/w + w h / 2) / mean time, with phi/w the fee a vehicle, w the largest weight and h the
largest sum over a change's links of 2 t' + v t''.

Below full participation the others answer: after the members' round those who can gain take better routes until nobody can.
Where trading ends, no member knows a deal and nobody outside a better route: the mixed equilibrium, in which members weigh
t + v_members t' and the others t. On the way, and sometimes at its end, the others' answers eat up what the members gained:
on Eastern Massachusetts with up to three in ten taking part, the mixed equilibrium itself leaves the members below what they had.
The look-ahead therefore asks what is left after the answers: on each link, what part of what the members took away stayed away,
and of what they brought came on top (`sim.negotiation.pass_through`). Where trading ends with the members below what they had,
everybody goes back to the baseline and the window starts again, reckoning with a quarter of what the answers undid, then with a
half, three quarters, all of it; the first that leaves the members with a gain, fees paid, is what the window carries out. If
none does, or the rounds are used up, it is the round, of all that were tried, after which the members had gained most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.protocol import RouteChanges
from sim.negotiation.baseline import Baseline
from sim.negotiation.conduct import Conduct, surcharges_by_traveller
from sim.negotiation.deal_book import DealBook
from sim.negotiation.entitlement import Registrations
from sim.negotiation.marketplace import Marketplace
from sim.negotiation.od_savings import OdSavings
from sim.negotiation.pass_through import member_flows, pass_through
from sim.negotiation.shares import MemberFacts, honour_surcharges, member_shares
from sim.spec import Market

_ANSWER_PASSES = 100
_CAUTION = (0.25, 0.5, 0.75, 1.0)
"""Share of what the others' answers undo that the market reckons with, each time it starts again."""


@dataclass(frozen=True, eq=False)
class _Checkpoint:
    """A round of trading: what the members had gained by then in credits, fees paid; the deals until then; everybody's routes."""

    gain: float
    book: DealBook
    n_deals: int
    route: IndexColumn


class Coalition:
    """The mechanism of the coalition world.

    Parameters
    ----------
    market
        The scenario's market section.
    baseline
        Where everybody starts, and what the members are promised not to fall below.
    is_member, value
        Who takes part, and everybody's value of time in credits a second; shapes (n_travellers,).
    seed
        Decides the orders of trade.
    conduct
        The members' strategies; None for honest members whom the lot asks in turn.

    Attributes
    ----------
    called_off
        Whether deals were struck and none of them stands, because the members would not have gained.
    """

    world = "coalition"

    def __init__(
        self,
        market: Market,
        baseline: Baseline,
        is_member: BoolColumn,
        value: FloatColumn,
        seed: int,
        conduct: Conduct | None = None,
    ) -> None:
        self.market = market
        self.is_member = is_member
        self.value = value
        self.baseline = baseline
        self.conduct = conduct
        self._seed = seed
        self._stopped_because: str | None = None
        self._starts = 0
        self.called_off = False

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody starts on the baseline that the lottery drew."""
        self.baseline_route = self.baseline.first_routes(traffic)
        self.place = Marketplace(
            traffic,
            self.is_member,
            self.value,
            fee_per_vehicle=self.market.fee_per_vehicle,
            surplus_to_mover=self.market.surplus_to_mover,
            seed=self._seed,
            conduct=self.conduct,
        )
        return RouteChanges(np.arange(len(self.baseline_route), dtype=np.int32), self.baseline_route)

    @property
    def book(self) -> DealBook:
        """Deals of the window so far."""
        return self.place.book

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return the outcome of a round: deals of members, answers of the others."""
        place = self.place
        if day == 1:
            self.baseline_cost = place.trip_costs()
            self._baseline_flows = member_flows(traffic, place.members)
            self._best = _Checkpoint(0.0, place.book, 0, self.baseline_route)
        before = traffic.route_of_traveller.copy()
        route = before.copy()
        place.listen()
        struck = place.trade(route, day)
        if struck:
            self._let_others_answer(traffic, route, day)
            self._remember(traffic, route)
        if struck == 0 or day >= self.market.rounds:
            route = self._end_of_trading(traffic, route, day)
        changed = np.flatnonzero(route != before).astype(np.int32)
        return RouteChanges(changed, route[changed])

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop when a round closes no deal, or after the last round."""
        return self._stopped_because

    def shares(self, traffic: StaticTraffic, gain: float, identities: Registrations | None = None) -> FloatColumn:
        """Return the members' shares of what they gained, by the scenario's rule; surcharges of the deals come first.

        Parameters
        ----------
        traffic
            The world when trading has closed.
        gain
            Credits that the members gained together, fees paid.
        identities
            One share is returned for each of those that take part; None for one a member.
        """
        place, weight, rule = self.place, traffic.population.weight, self.market.shares
        members, fee = place.members, self.market.fee_per_vehicle
        row, part, signs = np.arange(len(members)), np.ones(len(members)), np.ones(len(members), np.bool_)
        if identities is not None:
            taking_part = identities.taking_part
            row = np.searchsorted(members, identities.traveller[taking_part])
            part, signs = identities.part[taking_part], identities.nth[taking_part] == 0
        # A game is played by vehicles; the other rules divide among whoever is registered.
        of_vehicles = rule in ("shapley", "least_core")
        player, size = (np.arange(len(members)), np.ones(len(members))) if of_vehicles else (row, part)
        facts = MemberFacts(
            member=members[player],
            od_idx=traffic.population.od_idx[members][player],
            weight=weight[members][player] * size,
            external_cost=self.baseline.external_cost_s[members][player] * size,
            savings=OdSavings(traffic, self.baseline_route, place.stakes(self.baseline_route), self.value, fee),
            seed=self._seed,
        )
        share = member_shares(rule, facts)
        if of_vehicles:
            share = share[row] * part
        surcharge = np.where(signs, surcharges_by_traveller(self.book, len(weight))[members][row], 0.0)
        return honour_surcharges(share, surcharge, gain)

    def _remember(self, traffic: StaticTraffic, route: IndexColumn) -> None:
        cost = self.value * traffic.population.weight * traffic.routes.costs(traffic.links.cost)[route]
        members, movers = self.place.members, self.book.traveller
        fees = self.market.fee_per_vehicle * float(traffic.population.weight[movers].sum())
        self._gain = float(self.baseline_cost[members].sum() - cost[members].sum()) - fees
        if self._gain > self._best.gain:
            self._best = _Checkpoint(self._gain, self.book, self.book.n_deals, route.copy())

    def _end_of_trading(self, traffic: StaticTraffic, route: IndexColumn, day: int) -> IndexColumn:
        """Return the routes that the window carries out, with the deals that lead to them; or the baseline, to start again."""
        settled, traded = day < self.market.rounds, self.book.n_deals > 0
        if settled and (self._gain >= 0.0 if traded else self._starts == 0):
            self._stopped_because = "nobody trades"
            return route
        if settled and traded and self._starts < len(_CAUTION) and not self.is_member.all():
            if self._starts == 0:
                self._stays = pass_through(self._baseline_flows, member_flows(traffic, self.place.members))
            self.place.start_again(1.0 - _CAUTION[self._starts] * (1.0 - self._stays))
            self._starts += 1
            return self.baseline_route.copy()
        self.place.book = self._best.book
        self.book.forget_from(self._best.n_deals)
        self.called_off = self.book.n_deals == 0
        why = "trading ended without a gain" if settled else f"bound of {self.market.rounds} rounds reached"
        self._stopped_because = f"{why}: the round with the largest gain of the members stands"
        return self._best.route

    def _let_others_answer(self, traffic: StaticTraffic, route: IndexColumn, day: int) -> None:
        """Let travellers outside take better routes, one after another, until none gains; `route` and the flows follow."""
        if self.is_member.all():
            return
        present = traffic.route_of_traveller
        for answer in range(_ANSWER_PASSES):
            self._load(traffic, route)
            traffic.explore()
            candidates = traffic.travellers_who_could_gain()
            candidates = candidates[~self.is_member[candidates]]
            traveller, taken = traffic.choices_in_turn(candidates, self._seed, day * _ANSWER_PASSES + answer)
            if len(traveller) == 0:
                break
            route[traveller] = taken
        self._load(traffic, route)
        traffic.route_of_traveller[:] = present

    def _load(self, traffic: StaticTraffic, route: IndexColumn) -> None:
        traffic.route_of_traveller[:] = route
        traffic.load()
