"""The market within the day: when an incident makes a queue, members who are under way are paid for other ways.

Without the market. Everybody sets out on the way that he has learned. While an incident lasts, those who follow the news (a
share of the drivers) take the way that is fastest by the present traffic, every so many seconds, on the road as well as before
they set out (`sim.traffic.news`; everybody knows what is closed and for how long). That is `FollowIncident`, the selfish day,
and what it costs everybody is his baseline.

With it. At the first decision point after an incident has begun the market forecasts the rest of that selfish day from the
present state: the loading knows no luck, so this is the day itself as long as nothing else befalls it. Those are the ways from
which it trades. At this and the following decision points it makes offers: the forecast's links broadcast what one more
vehicle costs the members (`sim.traffic.external_delay`), members on the road or about to set out look for the best way under
these charges from the next node on, a lottery that favours large gains names a batch, and the rest of the day is forecast with
the batch. It is accepted if the members' costs and the fees fall, otherwise forgotten; the next batch is smaller then. An
offer that is not accepted at its decision point has expired. Trading ends when `patience` decision points have brought
nothing.

So no forecast is ever worse for the members together than the selfish day, and where nothing is gained the selfish day is
driven. Those outside keep to the ways that they would have taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.kernels.timed_search import Day
from sim.mechanisms.agreement import Agreement
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import chosen_paths
from sim.traffic.external_delay import external_delay_tolls, memory_of
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.news import News, driven_trips
from sim.traffic.passages import path_times_s
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, Tolls, TripEnds, Ways, path_costs, with_paths, with_tolls
from sim.traffic.trips import LATEST_S, Trips

_GROWTH, _SHRINKAGE = 1.3, 0.5
_LEAST_GAIN_S = 1.0
"""A way that is better by less is not offered."""


@dataclass(frozen=True)
class WithinDayRules:
    """How the market trades within the day.

    Attributes
    ----------
    every_s
        Seconds between two decision points: how long an offer stands. Above 0.
    rounds
        Batches that are put to the test at a decision point, at least 1.
    first_share
        Share of those with a better way who are in the first batch, above 0, at most 1.
    horizon_s
        Members who set out within so many seconds get offers, too; 0 or above.
    patience
        Decision points without a deal after which trading ends, at least 1.
    step_s, memory
        Of the broadcast; see `sim.mechanisms.day_ahead`.
    fee
        Credits for each vehicle that changes.
    news_share
        Share of the drivers who follow the news, 0 to 1.
    patience_s
        Of gridlock.
    """

    every_s: float = 120.0
    rounds: int = 6
    first_share: float = 0.5
    horizon_s: float = 1800.0
    patience: int = 5
    step_s: float = 60.0
    memory: float = 0.7
    fee: float = 1.0
    news_share: float = 0.5
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name, bad, allowed in (
            ("every_s", not 0 < self.every_s < np.inf, "a finite number above 0"),
            ("rounds", self.rounds < 1, "at least 1"),
            ("first_share", not 0 < self.first_share <= 1, "above 0, at most 1"),
            ("horizon_s", not 0 <= self.horizon_s < np.inf, "a finite number, 0 or above"),
            ("patience", self.patience < 1, "at least 1"),
            ("news_share", not 0 <= self.news_share <= 1, "0 to 1"),
        ):
            if bad:
                raise InputError(f"{getattr(self, name)}", where=name, allowed=allowed)


class FollowIncident:
    """Drivers who set out on a plan, and of whom a share follows the news while an incident lasts; a `DrivingRule`.

    Parameters
    ----------
    network, finder
        Queues with their incidents, and searches for the travellers.
    plan
        Departures and the ways that everybody has learned.
    share, every_s, seed
        Who follows the news, and how often there is some.
    """

    world = "selfish"

    def __init__(
        self, network: QueueNetwork, finder: PathFinder, plan: Trips, *, share: float, every_s: float, seed: int
    ) -> None:
        self.every_s: float | None = every_s
        self._network = network
        self._plan = plan
        follows = uniforms(seed, "follows_news", np.arange(plan.n_vehicles, dtype=np.int32)) < share
        self._news = News(finder, plan, follows, every_s)

    def plan(self) -> Trips:
        """Return the ways that everybody has learned."""
        return self._plan

    def decide(self, loading: Loading) -> IndexColumn:
        """Send those who follow the news on the fastest ways, while an incident lasts."""
        if any(one.from_s <= loading.clock_s < one.to_s for one in self._network.incidents):
            return self._news.reroute(loading)
        return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class OfferRound:
    """A decision point of the market: when, how many members changed, and what the members had gained by then."""

    clock_s: float
    movers: int
    gain: float


@dataclass(frozen=True, eq=False)
class Step:
    """Whole paths that everybody has from a decision point on."""

    clock_s: float
    trips: Trips


class FollowOffers:
    """Drivers who set out on a plan and get other ways at decision points, as was agreed; a `DrivingRule`."""

    world = "coalition"

    def __init__(self, plan: Trips, steps: Sequence[Step], every_s: float) -> None:
        self.every_s: float | None = every_s
        self._plan = plan
        self._steps = steps

    def plan(self) -> Trips:
        """Return the ways that everybody has learned."""
        return self._plan

    def decide(self, loading: Loading) -> IndexColumn:
        """Give everybody the ways of the steps that are due now."""
        now, given = self._plan, []
        for step in self._steps:
            if step.clock_s == loading.clock_s:
                vehicle, start, column = _ways_ahead(loading, now, step.trips)
                loading.reroute(vehicle, start, column)
                given.append(vehicle)
            now = step.trips
        return np.unique(np.concatenate(given)).astype(np.int32) if given else np.zeros(0, dtype=np.int32)


class WithinDay:
    """The market of one day with incidents; see the module.

    Parameters
    ----------
    network
        Queues with the day's incidents; from the first one's beginning on the market knows of all.
    finder, plan
        Searches for the travellers, and the ways that everybody has learned.
    is_member, worth
        Who takes part, and what a second is worth to each in credits; shapes (n_travellers,).
    rules, seed
        See the module.

    Attributes
    ----------
    baseline
        The selfish day.
    driven
        The day as it was driven.
    rounds
        What happened at the decision points.
    steps
        Ways that everybody has from some time on, in the order in which they were given.
    """

    def __init__(
        self,
        network: QueueNetwork,
        finder: PathFinder,
        plan: Trips,
        is_member: BoolColumn,
        worth: FloatColumn,
        rules: WithinDayRules,
        seed: int,
    ) -> None:
        self.network = network
        self.rules = rules
        self.is_member = is_member
        self.worth = worth
        self.broadcast: Tolls | None = None
        self.rounds: list[OfferRound] = []
        self.steps: list[Step] = []
        self.plan = plan
        self._finder = finder
        self._seed = seed
        members = worth[is_member]
        self._mean_worth = float(members.mean()) if len(members) else 1.0
        self._options = LoadingOptions(patience_s=rules.patience_s, record="all", bin_s=rules.every_s)
        self._batches = 0
        self.baseline = selfish_day(
            network, finder, plan, share=rules.news_share, every_s=rules.every_s, seed=seed, options=self._options
        )
        self.driven = self._run()

    @property
    def agreement(self) -> Agreement:
        """What the market has come to."""
        return self.agreement_of(self.driven)

    @property
    def gain(self) -> float:
        """What the members gain against the selfish day, credits, fees paid."""
        return self._gain(self.driven)

    @property
    def called_off(self) -> bool:
        """Whether the selfish day was driven as it was."""
        return not self.agreement.moved(self.driven.trips).any()

    def _run(self) -> DrivenDay:
        first_s = min((one.from_s for one in self.network.incidents), default=np.inf)
        if not np.isfinite(first_s) or not self.is_member.any():
            return self.baseline
        now_s = float(np.ceil(first_s / self.rules.every_s)) * self.rules.every_s
        # Until now everybody is where the selfish day has him: nobody has had news of the incident before.
        loading = Loading(self.network, self.plan, self._options)
        loading.advance(now_s)
        best, idle = self.baseline, 0
        self.steps.append(Step(now_s, best.trips))
        loading = self._on_ways(loading, self.plan, best.trips)
        while idle < self.rules.patience and loading.n_arrived < self.plan.n_vehicles:
            before = best
            best = self._trade(loading, best)
            moved = int(self.agreement_of(best).moved(best.trips).sum())
            self.rounds.append(OfferRound(now_s, moved, self._gain(best)))
            idle = idle + 1 if best is before else 0
            if best is not before:
                self.steps.append(Step(now_s, best.trips))
                loading = self._on_ways(loading, before.trips, best.trips)
            now_s += self.rules.every_s
            loading.advance(now_s)
        return best

    def agreement_of(self, driven: DrivenDay) -> Agreement:
        """Return how another day compares with the baseline."""
        rules = self.rules
        return Agreement(self.baseline, driven, self.is_member, self.worth, self.broadcast, 0.0, 0.0, rules.patience_s)

    def _gain(self, driven: DrivenDay) -> float:
        saved_s = (self.baseline.travel_time_s - driven.travel_time_s)[self.is_member]
        vehicles = self.worth[self.agreement_of(driven).moved(driven.trips)] / self._mean_worth
        return float((self.worth[self.is_member] * saved_s).sum()) - self.rules.fee * float(vehicles.sum())

    def _on_ways(self, loading: Loading, now: Trips, wanted: Trips) -> Loading:
        """Return a loading in the same state in which everybody has the ways of a forecast ahead."""
        vehicle, start, column = _ways_ahead(loading, now, wanted)
        other = loading.copy()
        if len(vehicle):
            other.reroute(vehicle, start, column)
        return other

    def _trade(self, loading: Loading, best: DrivenDay) -> DrivenDay:
        """Return the forecast after the offers of one decision point; `loading` has the ways of the forecast before them."""
        share, held = self.rules.first_share, best.trips
        offers: _Offers | None = None
        for _ in range(self.rules.rounds):
            if offers is None:
                offers = self._offers(loading.clock_s, best)
            if len(offers.vehicle) == 0:
                break
            self._batches += 1
            chosen = _drawn(offers.gain_s, share, self._seed, self._batches)
            trips = with_paths(best.trips, offers.vehicle[chosen], *chosen_paths(offers.start, offers.link, chosen))
            tried = self._forecast(self._on_ways(loading, held, trips), trips)
            if self._gain(tried) > self._gain(best):
                best, offers, share = tried, None, min(1.0, share * _GROWTH)
            else:
                share *= _SHRINKAGE
        return best

    def _forecast(self, loading: Loading, trips: Trips) -> DrivenDay:
        """Let the rest of the day happen in a loading that is nobody else's."""
        loading.run()
        if loading.n_arrived < trips.n_vehicles:
            raise InputError("a day that does not end", source=self.network.name, allowed="incidents that end")
        return DrivenDay(
            self.network, trips, loading.travel_time_s(), loading.records(), loading.rotations, loading.rotated_vehicles
        )

    def _offers(self, clock_s: float, forecast: DrivenDay) -> _Offers:
        """Return the better ways of members who are under way or about to set out."""
        counted = np.where(self.is_member, self.worth, 0.0)
        today = external_delay_tolls(forecast, self.rules.step_s, counted)
        self.broadcast = memory_of(self.broadcast, today, self.rules.memory)
        tolls = Tolls(self.broadcast.start, self.broadcast.toll_s / self._mean_worth, self.broadcast.step_s)
        day = with_tolls(forecast.day, tolls)
        entry_s, exit_s = path_times_s(forecast)
        trips = forecast.trips
        here = _rows_entered(trips, entry_s, clock_s)
        last = trips.path_start[1:] - 1
        on_road = (here >= trips.path_start[:-1]) & (here < last)
        ahead = (here < trips.path_start[:-1]) & (trips.departure_s >= clock_s)
        ahead &= trips.departure_s < clock_s + self.rules.horizon_s
        asked = np.flatnonzero(self.is_member & (on_road | ahead)).astype(np.int32)
        row = here[asked]
        starts_s = np.where(on_road[asked], exit_s[np.maximum(row, 0)], trips.departure_s[asked])
        graph, ends = self._finder.graph, self._finder.ends
        # The streets stand first among the links of the graph, and their heads there know which turns are open.
        node = np.where(on_road[asked], graph.head_idx[trips.path_link[np.maximum(row, 0)]], ends.origin_idx[asked])
        own_start, own_link = _tails_of(trips, asked, row + 1)
        own_s = path_costs(day, starts_s, own_start, own_link)
        away = node != ends.destination_idx[asked]
        asked, row, starts_s, node, own_s = (column[away] for column in (asked, row, starts_s, node, own_s))
        ways = _search_from(self._finder, asked, node, day, starts_s, own_s)
        gain_s = own_s - ways.cost_s
        better = np.flatnonzero(np.isfinite(ways.cost_s) & (gain_s > _LEAST_GAIN_S))
        start, link = _joined(trips, asked[better], row[better] + 1, *chosen_paths(ways.path_start, ways.path_link, better))
        return _Offers(asked[better], gain_s[better], start, link)


@dataclass(frozen=True, eq=False)
class _Offers:
    """Members with a better way: whole paths, in the form of `Trips`, and what each is worth to everybody together, seconds."""

    vehicle: IndexColumn
    gain_s: FloatColumn
    start: OffsetColumn
    link: IndexColumn


def selfish_day(
    network: QueueNetwork,
    finder: PathFinder,
    plan: Trips,
    *,
    share: float,
    every_s: float,
    seed: int,
    options: LoadingOptions | None = None,
) -> DrivenDay:
    """Return the day of drivers of whom a share follows the news of the incidents; parameters as for `FollowIncident`.

    Raises
    ------
    InputError
        Somebody never arrives.
    """
    rule = FollowIncident(network, finder, plan, share=share, every_s=every_s, seed=seed)
    return offered_day(network, rule, options or LoadingOptions(record="all", bin_s=every_s))


def offered_day(network: QueueNetwork, rule: FollowIncident | FollowOffers, options: LoadingOptions) -> DrivenDay:
    """Return a day that is driven under a rule with decision points; `options` with everybody's records and bins of time."""
    plan, every_s = rule.plan(), rule.every_s
    assert every_s is not None  # both rules have decision points
    loading = Loading(network, plan, options)
    decision = 0
    while loading.n_arrived < plan.n_vehicles and loading.clock_s < LATEST_S - every_s:
        loading.advance(decision * every_s)
        rule.decide(loading)
        decision += 1
    if loading.n_arrived < plan.n_vehicles:
        raise InputError("a day that does not end", source=network.name, allowed="incidents that end")
    trips = driven_trips(plan.departure_s, loading.records())
    return DrivenDay(network, trips, loading.travel_time_s(), loading.records(), loading.rotations, loading.rotated_vehicles)


def _search_from(
    finder: PathFinder, vehicle: IndexColumn, node: IndexColumn, day: Day, start_s: FloatColumn, limit_s: FloatColumn
) -> Ways:
    """Return the best ways of some vehicles to their destinations from other nodes than their origins."""
    origin = finder.ends.origin_idx.copy()
    origin[vehicle] = node
    there = copy(finder)
    there.ends = TripEnds(origin, finder.ends.destination_idx)
    return there.search(day, vehicle, start_s, limit_s)


def _rows_entered(trips: Trips, entry_s: FloatColumn, clock_s: float) -> OffsetColumn:
    """Return the row of the link that each vehicle is on, or was on last; the row before its first for those not in yet."""
    entered = np.zeros(len(entry_s) + 1, dtype=np.int64)
    np.cumsum(entry_s < clock_s, out=entered[1:])
    return trips.path_start[:-1] + (entered[trips.path_start[1:]] - entered[trips.path_start[:-1]]) - 1


def _tails_of(trips: Trips, vehicle: IndexColumn, first_row: OffsetColumn) -> tuple[OffsetColumn, IndexColumn]:
    """Return the paths of some vehicles from some row on."""
    length = trips.path_start[vehicle + 1] - first_row
    start = np.zeros(len(vehicle) + 1, dtype=np.int64)
    np.cumsum(length, out=start[1:])
    return start, trips.path_link[np.arange(int(start[-1])) + np.repeat(first_row - start[:-1], length)]


def _joined(
    trips: Trips, vehicle: IndexColumn, first_row: OffsetColumn, start: OffsetColumn, link: IndexColumn
) -> tuple[OffsetColumn, IndexColumn]:
    """Return whole paths: what vehicles have driven before a row, and new ways from there on."""
    begin = trips.path_start[vehicle]
    driven, more = first_row - begin, np.diff(start)
    whole = np.zeros(len(vehicle) + 1, dtype=np.int64)
    np.cumsum(driven + more, out=whole[1:])
    column = np.empty(int(whole[-1]), dtype=np.int32)
    for length, source, source_row, shift in ((driven, trips.path_link, begin, 0), (more, link, start[:-1], driven)):
        within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
        column[np.repeat(whole[:-1] + shift, length) + within] = source[np.repeat(source_row, length) + within]
    return whole, column


def _ways_ahead(loading: Loading, now: Trips, wanted: Trips) -> tuple[IndexColumn, OffsetColumn, IndexColumn]:
    """Return whose path is to change, and their ways from the next node on (whole paths before they are in the network).

    Parameters
    ----------
    now, wanted
        Whole paths that everybody has, and is to have; the same as far as they are driven.
    """
    vehicle = np.flatnonzero(_differ(now, wanted) & ~loading.arrived).astype(np.int32)
    records = loading.records()
    entered = np.bincount(records.vehicle_idx, minlength=now.n_vehicles)[vehicle]
    start, column = _tails_of(wanted, vehicle, wanted.path_start[vehicle] + entered)
    return vehicle, start, column


def _differ(now: Trips, wanted: Trips) -> BoolColumn:
    length, other = np.diff(now.path_start), np.diff(wanted.path_start)
    differs = length != other
    same = np.flatnonzero(~differs)
    start, link = chosen_paths(now.path_start, now.path_link, same)
    changed = np.zeros(len(link) + 1, dtype=np.int64)
    np.cumsum(link != chosen_paths(wanted.path_start, wanted.path_link, same)[1], out=changed[1:])
    differs[same] = np.diff(changed[start]) > 0
    return np.asarray(differs)


def _drawn(gain_s: FloatColumn, share: float, seed: int, batch: int) -> IndexColumn:
    """Draw a share of the offers, in proportion to their gains (Efraimidis and Spirakis 2006), in the order of vehicles."""
    n_chosen = max(1, round(share * len(gain_s)))
    key = np.log(np.maximum(uniforms(seed, "batch", np.arange(len(gain_s)), batch), 1e-300)) / gain_s
    return np.sort(np.argsort(-key, kind="stable")[:n_chosen]).astype(np.int32)
