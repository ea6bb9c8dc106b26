"""The market in queue traffic, a day ahead: members trade ways and departures, and no day is carried out that is worse for them.

Start. Everybody drives his plan of the converged selfish day; what it cost him there is his baseline. Loading knows no luck,
so that every day is compared with that one on the same random numbers.

Rehearsal. The links broadcast what one more vehicle costs the members, by the time of leaving (`sim.traffic.external_delay`;
the mean over the days rehearsed so far). A member who is asked weighs his way and his departure against the best way under
these charges, at his departure and at another that the lot proposes (at most `shift_s` from his own one; a minute earlier or
later costs him `early` or `late` minutes of travel). After rehearsal k a change that is worth g to everybody together is put
to the test with probability (k + 10)^-0.6 g / (g + 0.05 t), and the day is driven again. Those outside follow their own times
alone, by the same lottery: what they answer is part of what is rehearsed. A rehearsal that leaves the members worse off than
the baseline is undone, and fewer are asked from then on.

Day. Of all rehearsals so far, the one after which the members have gained most is carried out: gain = their baseline costs -
their costs - a fee for each who changed. It is carried out if they gain anything at all, and if those outside have come to
rest (their relative gap is at most `most_gap`); so no day is worse for the members together than the day before. Where there
is none the window is called off, and everybody drives his baseline. At the end those whose change is not worth its fee go
back, if nothing is lost by it.

Nothing in here knows an optimum or a bound: import-linter keeps their modules out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.errors import InputError
from sim.mechanisms.agreement import Agreement
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import chosen_paths, relative_gap
from sim.traffic.external_delay import external_delay_tolls, memory_of
from sim.traffic.timed_paths import PathFinder, Tolls, Ways, path_costs, with_paths, with_tolls
from sim.traffic.trips import Trips

_STEP, _DELAY, _GAIN_SCALE = 0.6, 10.0, 0.05
_SHRINKAGE = 0.6
"""After a rehearsal that is worse than the baseline for the members the market goes back to the best one and asks fewer."""
_LEAST_GAIN_S = 1e-6
"""Gains below this are rounding."""
_SEND_BACK = (1.0, 0.5, 0.25)
"""Shares of those whose change is not worth its fee who try to go back, one after another."""


@dataclass(frozen=True)
class DayAheadRules:
    """How the market trades.

    Attributes
    ----------
    days, rehearsals
        Days of the market, and rehearsals before each; at least 1.
    memory
        Weight of the past in the broadcast, 0 or above, below 1.
    step_s
        Steps of time of the broadcast, above 0.
    shift_s, shift_step_s
        Departures may move by whole multiples of the step up to `shift_s`, 0 for none.
    early, late
        What a second of leaving earlier or later costs, in seconds of travel; 0 or above.
    fee
        Credits for each vehicle that changes, 0 or above.
    most_gap
        Relative gap of those outside up to which a day may be carried out.
    patience_s
        Of gridlock.
    """

    days: int = 20
    rehearsals: int = 6
    memory: float = 0.9
    step_s: float = 60.0
    shift_s: float = 0.0
    shift_step_s: float = 60.0
    early: float = 0.5
    late: float = 0.5
    fee: float = 1.0
    most_gap: float = 0.03
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name, bad, allowed in (
            ("days", self.days < 1, "at least 1"),
            ("rehearsals", self.rehearsals < 1, "at least 1"),
            ("memory", not 0 <= self.memory < 1, "0 or above, below 1"),
            ("step_s", not 0 < self.step_s < np.inf, "a finite number above 0"),
            ("shift_s", not 0 <= self.shift_s < np.inf, "a finite number, 0 or above"),
            ("shift_step_s", not 0 < self.shift_step_s < np.inf, "a finite number above 0"),
            ("early", not 0 <= self.early < np.inf, "a finite number, 0 or above"),
            ("late", not 0 <= self.late < np.inf, "a finite number, 0 or above"),
            ("fee", not 0 <= self.fee < np.inf, "a finite number, 0 or above"),
        ):
            if bad:
                raise InputError(f"{getattr(self, name)}", where=name, allowed=allowed)

    def shift_cost_s(self, shift_s: FloatColumn) -> FloatColumn:
        """Return what leaving so much later (negative: earlier) costs, seconds of travel."""
        return np.asarray(np.where(shift_s < 0.0, -self.early * shift_s, self.late * shift_s))


@dataclass(frozen=True)
class MarketDay:
    """A day of the market: what was carried out on it.

    Attributes
    ----------
    day
        From 1.
    total_time_s
        Vehicle-seconds of everybody.
    gain
        What the members gained against the baseline in credits, fees paid.
    movers
        Members who drove something else than their baseline.
    improved
        Whether a rehearsal before this day beat all days before.
    """

    day: int
    total_time_s: float
    gain: float
    movers: int
    improved: bool


@dataclass(frozen=True, eq=False)
class _Plan:
    driven: DrivenDay
    gain: float


class DayAhead:
    """The market of one population, day after day; see the module.

    Parameters
    ----------
    finder
        Searches for the travellers.
    baseline
        The converged selfish day.
    is_member
        Who takes part, shape (n_travellers,).
    worth
        What a second is worth to each, in credits: value of time times vehicles; above 0, shape (n_travellers,).
    rules, seed
        See the module; the same seed gives the same days.

    Attributes
    ----------
    broadcast
        The charges, in credits.
    days
        What was carried out so far.
    """

    def __init__(
        self,
        finder: PathFinder,
        baseline: DrivenDay,
        is_member: BoolColumn,
        worth: FloatColumn,
        rules: DayAheadRules,
        seed: int,
    ) -> None:
        self.baseline = baseline
        self.is_member = is_member
        self.worth = worth
        self.rules = rules
        self.broadcast: Tolls | None = None
        self.days: list[MarketDay] = []
        self._finder = finder
        self._seed = seed
        self._now = baseline
        self._best = _Plan(baseline, 0.0)
        self._rehearsed = 0
        self._asked_share = 1.0
        members = worth[is_member]
        self._mean_worth = float(members.mean()) if len(members) else 1.0

    @property
    def driven(self) -> DrivenDay:
        """The day that is carried out: the best rehearsal so far, the baseline where there is none."""
        return self._best.driven

    @property
    def called_off(self) -> bool:
        """Whether no rehearsal left the members with a gain."""
        return self._best.gain <= 0.0

    @property
    def gain(self) -> float:
        """What the members gain on the day carried out, credits, fees paid."""
        return self._best.gain

    def run(self, on_day: Callable[[MarketDay], None] | None = None) -> None:
        """Trade and drive for all days of the rules."""
        for day in range(1, self.rules.days + 1):
            before = self._best
            for _ in range(self.rules.rehearsals if self.is_member.any() else 0):
                self._rehearse()
            if day == self.rules.days:
                self._close()
            movers = int(self.agreement.moved(self.driven.trips).sum())
            self.days.append(MarketDay(day, self.driven.total_time_s, self.gain, movers, self._best is not before))
            if on_day is not None:
                on_day(self.days[-1])

    @property
    def agreement(self) -> Agreement:
        """What the market has come to."""
        rules = self.rules
        return Agreement(
            self.baseline, self.driven, self.is_member, self.worth, self.broadcast, rules.early, rules.late, rules.patience_s
        )

    def gain_of(self, driven: DrivenDay) -> float:
        """Return what the members gain on a day against the baseline, in credits, fees paid."""
        compared = self.agreement
        saved = compared.costs(self.baseline)[self.is_member].sum() - compared.costs(driven)[self.is_member].sum()
        vehicles = self.worth[compared.moved(driven.trips)] / self._mean_worth
        return float(saved) - self.rules.fee * float(vehicles.sum())

    def tolled_costs(self, driven: DrivenDay, vehicle_idx: IndexColumn, trips: Trips) -> FloatColumn:
        """Return time, shift and charges of some plans in a day's traffic, seconds of the members' mean worth."""
        day = with_tolls(driven.day, self._tolls())
        start, column = chosen_paths(trips.path_start, trips.path_link, vehicle_idx)
        return path_costs(day, trips.departure_s[vehicle_idx], start, column) + self.agreement.shift_costs_s(trips)[vehicle_idx]

    def _tolls(self) -> Tolls:
        assert self.broadcast is not None  # there was a rehearsal
        return Tolls(self.broadcast.start, self.broadcast.toll_s / self._mean_worth, self.broadcast.step_s)

    def _listen(self) -> None:
        counted = np.where(self.is_member, self.worth, 0.0)
        today = external_delay_tolls(self._now, self.rules.step_s, counted)
        self.broadcast = memory_of(self.broadcast, today, self.rules.memory)

    def _rehearse(self) -> None:
        """Let those who are asked change, and drive the day."""
        self._listen()
        trips, k = self._now.trips, self._rehearsed
        everybody = np.arange(trips.n_vehicles, dtype=np.int32)
        willing = uniforms(self._seed, "rehearsal", everybody, k) / (self._asked_share * (k + _DELAY) ** -_STEP)
        asked = np.flatnonzero(willing < 1.0).astype(np.int32)
        members, others = asked[self.is_member[asked]], asked[~self.is_member[asked]]
        departure_s = trips.departure_s.copy()
        changed: list[tuple[IndexColumn, Ways, IndexColumn]] = []
        if len(others):
            changed.append(self._answers(others, willing))
        if len(members):
            changed.append(self._offers(members, willing, departure_s))
        self._rehearsed += 1
        for vehicle, ways, rows in changed:
            trips = with_paths(trips, vehicle[rows], *chosen_paths(ways.path_start, ways.path_link, rows))
        trips = Trips(departure_s, trips.path_start, trips.path_link)
        self._now = drive(self._now.network, trips, self.rules.patience_s)
        self._consider(self._now)
        if self.gain_of(self._now) < 0.0:
            self._now, self._asked_share = self._best.driven, self._asked_share * _SHRINKAGE

    def _answers(self, others: IndexColumn, willing: FloatColumn) -> tuple[IndexColumn, Ways, IndexColumn]:
        """Return the better ways of some outside the market, who see their own times alone."""
        trips, spent_s = self._now.trips, self._now.travel_time_s[others]
        limit_s = spent_s - _least_gain_s(spent_s, willing[others])
        ways = self._finder.search(self._now.day, others, trips.departure_s[others], limit_s)
        gain_s = np.maximum(spent_s - np.minimum(ways.time_s, spent_s), 0.0)
        return others, ways, _drawn(gain_s, spent_s, willing[others])

    def _offers(
        self, members: IndexColumn, willing: FloatColumn, departure_s: FloatColumn
    ) -> tuple[IndexColumn, Ways, IndexColumn]:
        """Return the ways that some members sell, and write their departures."""
        trips, spent_s = self._now.trips, self._now.travel_time_s[members]
        own_s = self.tolled_costs(self._now, members, trips)
        day = with_tolls(self._now.day, self._tolls())
        asked, departs_s, row = members, trips.departure_s[members], np.arange(len(members))
        if self.rules.shift_s > 0.0:
            proposed_s = self._proposed_departures(members)
            elsewhen = np.flatnonzero(proposed_s != departs_s)
            asked = np.concatenate([members, members[elsewhen]])
            departs_s, row = np.concatenate([departs_s, proposed_s[elsewhen]]), np.concatenate([row, elsewhen])
        shift_s = self.rules.shift_cost_s(departs_s - self.baseline.trips.departure_s[asked])
        limit_s = (own_s - _least_gain_s(spent_s, willing[members]))[row] - shift_s
        ways = self._finder.search(day, asked, departs_s, np.maximum(limit_s, 0.0))
        cost_s = ways.cost_s + shift_s
        best = np.arange(len(members))
        later = np.arange(len(members), len(asked))
        cheaper = later[cost_s[later] < cost_s[row[later]]]
        best[row[cheaper]] = cheaper
        gain_s = np.where(np.isfinite(cost_s[best]), np.maximum(own_s - cost_s[best], 0.0), 0.0)
        chosen = _drawn(gain_s, spent_s, willing[members])
        departure_s[members[chosen]] = departs_s[best[chosen]]
        return asked, ways, best[chosen].astype(np.int32)

    def _proposed_departures(self, members: IndexColumn) -> FloatColumn:
        """Return the departure that the lot proposes to each member tonight; his own one to those who have left it."""
        n_steps = int(self.rules.shift_s / self.rules.shift_step_s)
        drawn = uniforms(self._seed, "another departure", members, self._rehearsed)
        steps = np.floor(drawn * (2 * n_steps + 1)) - n_steps
        own_s = self.baseline.trips.departure_s[members]
        at_home = self._now.trips.departure_s[members] == own_s
        return np.where(at_home, np.maximum(own_s + steps * self.rules.shift_step_s, 0.0), own_s)

    def _consider(self, driven: DrivenDay) -> None:
        """Keep a rehearsal if the members gain most by it and those outside have come to rest."""
        gain = self.gain_of(driven)
        if gain <= self._best.gain:
            return
        others = np.flatnonzero(~self.is_member).astype(np.int32)
        if len(others):
            spent_s = driven.travel_time_s[others]
            ways = self._finder.search(driven.day, others, driven.trips.departure_s[others], spent_s)
            if relative_gap(spent_s, ways.time_s) > self.rules.most_gap:
                return
        self._best = _Plan(driven, gain)

    def _close(self) -> None:
        """Let those whose change is not worth its fee go back to their baseline, where nothing is lost by it."""
        if self.called_off:
            return
        for turn, share in enumerate(_SEND_BACK):
            trips, own = self.driven.trips, self.baseline.trips
            movers = np.flatnonzero(self.agreement.moved(trips)).astype(np.int32)
            worth_s = self.tolled_costs(self.driven, movers, own) - self.tolled_costs(self.driven, movers, trips)
            fee_s = self.rules.fee / self._mean_worth
            lot = uniforms(self._seed, "goes back", movers, turn)
            back = movers[(worth_s <= fee_s) & (lot < share)]
            if len(back) == 0:
                return
            departure_s = trips.departure_s.copy()
            departure_s[back] = own.departure_s[back]
            fewer = with_paths(trips, back, *chosen_paths(own.path_start, own.path_link, back))
            fewer = Trips(departure_s, fewer.path_start, fewer.path_link)
            self._consider(drive(self.driven.network, fewer, self.rules.patience_s))


def _least_gain_s(spent_s: FloatColumn, willing: FloatColumn) -> FloatColumn:
    """Return the gain from which on each changes, given his lot; a search need not find ways that are worth less."""
    return np.asarray(willing / (1.0 - willing) * _GAIN_SCALE * spent_s)


def _drawn(gain_s: FloatColumn, spent_s: FloatColumn, willing: FloatColumn) -> IndexColumn:
    """Return the rows of those who change."""
    scale_s = gain_s + _GAIN_SCALE * spent_s
    return np.flatnonzero((gain_s > _LEAST_GAIN_S) & (willing * scale_s < gain_s)).astype(np.int32)
