"""Dynamic user equilibrium, day by day: nobody can save time by another way in the traffic that everybody experienced.

Day. All vehicles drive (`sim.traffic.loading`). Vehicle v experienced the time t(v); its best way in that day's traffic takes
b(v) (`sim.traffic.timed_paths`). Relative gap = sum(t - b) / sum(t), with b cut at t.

Night (`sim.traffic.night`). After day k a share (k + d)^-e of the vehicles is asked, group after group, each in queues that know
what the groups before have changed; who would gain a share of its time that is large against s changes. s follows the gap:
s = min(most, c gap), so that early days move many and late days only those who gain well more than the others.

Rounds. Where a few vehicles more or less change whole queues the gap of late days does not fall but jumps about. After the days,
rounds may follow in which a lot names some of those who gain, large gains first. The day that they make is where the next round
starts if its gap, everybody searched, is smaller, or larger by no more than a share that falls from 1 % to 0 (threshold
accepting, Dueck and Scheuer 1990); the share that moves grows then and shrinks otherwise.

`sim.traffic.departure_choice` has the form in which departures are chosen, too.

Stop. When the gap of a full search (every vehicle) is at most the one asked for, or after the most days and rounds. The day kept
is the one with the least gap among those fully searched. It is a flow found with its gap; equilibria of queues need not be
unique.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.night import changed_overnight
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, Ways, with_paths
from sim.traffic.timed_paths import chosen_paths as chosen_paths
from sim.traffic.trips import Trips

_NEAR: Final = 1.5
"""A sample's gap of up to this many times the one asked for calls for a full search."""
_LEAST_THRESHOLD: Final = 1e-6
_FIRST_SHARE: Final = 0.1
_GROWTH: Final = 1.5
_SHRINKAGE: Final = 0.8
_WORSE: Final = 0.01
"""By this share a day may be worse at first and still be gone on from."""


@dataclass(frozen=True)
class EquilibriumRules:
    """How the equilibrium is looked for.

    Attributes
    ----------
    gap
        Relative gap at which it counts as found, at least 0.
    most_days
        At least 1.
    exponent, delay_days
        e and d of the module.
    gain_scale
        Of `sim.traffic.departure_choice` alone: the share of its cost at which a gain is followed half as often as a large one.
    threshold, most_threshold
        c and the largest s of the module, above 0.
    groups
        Into which those asked in a night are cut, at least 1.
    response_step_s
        Steps of time of the queues' response.
    full_search_days
        Everybody is searched every so many days, from the day on which the sample's gap is within half as much again as the one
        asked for; and on the last day.
    rounds
        Rounds after the days, 0 for none. Each drives a day and searches everybody.
    patience_s
        Of gridlock.
    """

    gap: float = 0.01
    most_days: int = 200
    exponent: float = 0.5
    delay_days: float = 10.0
    gain_scale: float = 0.05
    threshold: float = 2.0
    most_threshold: float = 0.1
    groups: int = 16
    response_step_s: float = 60.0
    full_search_days: int = 5
    rounds: int = 0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name, bad, allowed in (
            ("gap", not 0 <= self.gap < 1, "0 or above, below 1"),
            ("most_days", self.most_days < 1, "at least 1"),
            ("exponent", not 0 < self.exponent <= 1, "above 0, at most 1"),
            ("delay_days", not 1 <= self.delay_days < np.inf, "a finite number, 1 or above"),
            ("gain_scale", not 0 < self.gain_scale < np.inf, "a finite number above 0"),
            ("threshold", not 0 < self.threshold < np.inf, "a finite number above 0"),
            ("most_threshold", not 0 < self.most_threshold < np.inf, "a finite number above 0"),
            ("groups", self.groups < 1, "at least 1"),
            ("response_step_s", not 1 <= self.response_step_s < np.inf, "a finite number of seconds, 1 or above"),
            ("full_search_days", self.full_search_days < 1, "at least 1"),
            ("rounds", self.rounds < 0, "0 or above"),
        ):
            if bad:
                raise InputError(f"{getattr(self, name)}", where=name, allowed=allowed)


@dataclass(frozen=True)
class DayRecord:
    """One day of the search: total time, the gap of those searched, how many they were, and how many changed after it."""

    day: int
    total_time_s: float
    relative_gap: float
    searched: int
    switched: int


@dataclass(frozen=True, eq=False)
class QueueEquilibrium:
    """An equilibrium flow found, with its gap.

    Attributes
    ----------
    driven
        The day kept.
    relative_gap
        Of that day, everybody searched.
    stopped_because
        "gap", "days" or "rounds".
    history
        One record a day, then one a round.
    """

    driven: DrivenDay
    relative_gap: float
    stopped_because: str
    history: tuple[DayRecord, ...]


@dataclass(frozen=True, eq=False)
class EquilibriumState:
    """Where the search stands after a night: all that the next day needs.

    Attributes
    ----------
    trips
        Of the next day.
    relative_gap
        Of those searched last.
    kept
        The day of least gap among those fully searched, with its gap; None before the first.
    history
        One record a day.
    """

    trips: Trips
    relative_gap: float
    kept: tuple[float, DrivenDay] | None
    history: tuple[DayRecord, ...]


def relative_gap(experienced_s: FloatColumn, best_s: FloatColumn) -> float:
    """Return sum(t - min(b, t)) / sum(t); 0 where nobody needs any time."""
    total_s = float(experienced_s.sum())
    return float((experienced_s - np.minimum(best_s, experienced_s)).sum()) / total_s if total_s > 0 else 0.0


def full_gap(finder: PathFinder, driven: DrivenDay) -> float:
    """Return the relative gap of a day with everybody searched."""
    return relative_gap(driven.travel_time_s, _full_search(finder, driven).time_s)


def _full_search(finder: PathFinder, driven: DrivenDay) -> Ways:
    everybody = np.arange(driven.trips.n_vehicles, dtype=np.int32)
    return finder.search(driven.day, everybody, driven.trips.departure_s, driven.travel_time_s)


def find_equilibrium(
    network: QueueNetwork,
    finder: PathFinder,
    first: Trips,
    rules: EquilibriumRules,
    seed: int,
    on_day: Callable[[DayRecord], None] | None = None,
    *,
    state: EquilibriumState | None = None,
    on_state: Callable[[EquilibriumState], None] | None = None,
) -> QueueEquilibrium:
    """Return the equilibrium flow found from a first day's paths; departures stay as they are.

    Parameters
    ----------
    network, finder
        Queues, and searches in them for the travellers of `first`.
    first
        Departures and the first day's paths (`sim.traffic.night.incremental_trips` and `sim.traffic.behaviour` make some).
    rules, seed
        See the module; the same seed gives the same result.
    on_day
        Called after every day and round.
    state
        Where an earlier search with the same arguments stood; it is gone on with to the same result.
    on_state
        Called after every night.
    """
    if state is None:
        state = EquilibriumState(first, np.inf, None, ())
    trips, gap, kept, history = state.trips, state.relative_gap, state.kept, list(state.history)
    n_vehicles = first.n_vehicles

    def note(record: DayRecord) -> None:
        history.append(record)
        if on_day is not None:
            on_day(record)

    for day in range(len(history), rules.most_days):
        driven = drive(network, trips, rules.patience_s)
        is_last = day == rules.most_days - 1
        gain_s: FloatColumn | None = None
        if is_last or (gap <= _NEAR * rules.gap and day % rules.full_search_days == 0):
            spent_s = driven.travel_time_s
            gain_s = spent_s - np.minimum(_full_search(finder, driven).time_s, spent_s)
            gap = relative_gap(spent_s, spent_s - gain_s)
            if kept is None or gap < kept[0]:
                kept = gap, driven
            if is_last or gap <= rules.gap:
                note(DayRecord(day, driven.total_time_s, gap, n_vehicles, 0))
                break
        night = changed_overnight(
            finder, driven, gain_s, share=(day + rules.delay_days) ** -rules.exponent,
            threshold=max(_LEAST_THRESHOLD, min(rules.most_threshold, rules.threshold * gap)), groups=rules.groups,
            step_s=rules.response_step_s, seed=seed, day=day,
        )  # fmt: skip
        gap = night.relative_gap
        note(DayRecord(day, driven.total_time_s, gap, night.asked if gain_s is None else n_vehicles, night.switched))
        trips = night.trips
        if on_state is not None:
            on_state(EquilibriumState(trips, gap, kept, tuple(history)))
    assert kept is not None  # the last day is searched in full
    stopped = "days"
    if kept[0] > rules.gap and rules.rounds > 0:
        kept, stopped = _rounds(finder, kept[1], rules, seed, note, len(history)), "rounds"
    return QueueEquilibrium(kept[1], kept[0], "gap" if kept[0] <= rules.gap else stopped, tuple(history))


def _rounds(
    finder: PathFinder, first: DrivenDay, rules: EquilibriumRules, seed: int, note: Callable[[DayRecord], None], day: int
) -> tuple[float, DrivenDay]:
    """Return the day of least gap after the rounds of the module, with its gap."""
    n_vehicles = first.trips.n_vehicles
    now, ways = first, _full_search(finder, first)
    gap = relative_gap(now.travel_time_s, ways.time_s)
    kept = gap, now
    share = _FIRST_SHARE
    for turn in range(rules.rounds):
        if kept[0] <= rules.gap:
            break
        gain_s = now.travel_time_s - np.minimum(ways.time_s, now.travel_time_s)
        moves = drawn_by_gain(gain_s, share, seed, "round", turn)
        start, column = chosen_paths(ways.path_start, ways.path_link, moves)
        tried = drive(now.network, with_paths(now.trips, moves, start, column), rules.patience_s)
        tried_ways = _full_search(finder, tried)
        tried_gap = relative_gap(tried.travel_time_s, tried_ways.time_s)
        if tried_gap < gap * (1.0 + _WORSE * (1.0 - turn / rules.rounds)):
            now, ways, gap = tried, tried_ways, tried_gap
            share = min(1.0, share * _GROWTH)
        else:
            share = share * _SHRINKAGE if len(moves) > 1 else _FIRST_SHARE
        if gap < kept[0]:
            kept = gap, now
        note(DayRecord(day + turn, now.total_time_s, gap, n_vehicles, len(moves)))
    return kept


def drawn_by_gain(gain_s: FloatColumn, share: float, seed: int, purpose: str, turn: int) -> IndexColumn:
    """Draw a share of those who gain, in proportion to their gains (Efraimidis and Spirakis 2006), in the order of vehicles."""
    gainers = np.flatnonzero(gain_s > 0)
    n_moves = min(len(gainers), max(1, round(share * len(gainers)))) if len(gainers) else 0
    key = np.log(np.maximum(uniforms(seed, purpose, gainers, turn), 1e-300)) / gain_s[gainers]
    return np.sort(gainers[np.argsort(-key, kind="stable")[:n_moves]]).astype(np.int32)
