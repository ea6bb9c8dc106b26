"""Dynamic user equilibrium, day by day: nobody can save time by another way in the traffic that everybody experienced.

Day. All vehicles drive (`sim.traffic.loading`). Vehicle v experienced the time t(v); its best way in that day's traffic takes
b(v) (`sim.traffic.timed_paths`). Relative gap = sum(t - b) / sum(t), with b cut at t.

Night. After day k a vehicle with gain g = t - b takes its best way with probability

    (k + d)^-e  g / (g + s t)

with e in 0.5 to 0.7, d = 10 and s = 0.05: large gains are followed like successive averages, small ones in proportion to the
gain, so that late days change little (a proportional rule alone, Smith 1984, stalls for long where a day starts gridlocked). The
draw comes first: who would stay anyway, since g / (g + s t) is below 1, is not searched. Those searched are a random sample
whatever their gain, so their gap estimates everybody's.

Memory. A way that gains today may have gained only because others had fled from it. The gain that counts is therefore the mean
of today's and that in the traffic of the day before, at least 0; the gap is always today's.

`sim.traffic.departure_choice` has the form in which departures are chosen, too.

Stop. When the gap of a full search (every vehicle) is at most the one asked for, or after the most days. The day kept is the one
with the least gap among those fully searched. It is a flow found with its gap; equilibria of queues need not be unique.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.kernels.timed_search import Day
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, Ways, path_costs, with_paths
from sim.traffic.trips import Trips


@dataclass(frozen=True)
class EquilibriumRules:
    """How the equilibrium is looked for.

    Attributes
    ----------
    gap
        Relative gap at which it counts as found, at least 0.
    most_days
        At least 1.
    exponent, delay_days, gain_scale
        e, d and s of the module.
    memory_days
        Days before today whose traffic counts for the gain, at least 0.
    full_search_days
        Everybody is searched every so many days, from the day on which the sample's gap is within twice the one asked for; and on
        the last day.
    patience_s
        Of gridlock.
    """

    gap: float = 0.01
    most_days: int = 200
    exponent: float = 0.6
    delay_days: float = 10.0
    memory_days: int = 1
    gain_scale: float = 0.05
    full_search_days: int = 5
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name, bad, allowed in (
            ("gap", not 0 <= self.gap < 1, "0 or above, below 1"),
            ("most_days", self.most_days < 1, "at least 1"),
            ("exponent", not 0 < self.exponent <= 1, "above 0, at most 1"),
            ("delay_days", not 1 <= self.delay_days < np.inf, "a finite number, 1 or above"),
            ("memory_days", self.memory_days < 0, "0 or above"),
            ("gain_scale", not 0 < self.gain_scale < np.inf, "a finite number above 0"),
            ("full_search_days", self.full_search_days < 1, "at least 1"),
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
        "gap" or "days".
    history
        One record a day.
    """

    driven: DrivenDay
    relative_gap: float
    stopped_because: str
    history: tuple[DayRecord, ...]


def relative_gap(experienced_s: FloatColumn, best_s: FloatColumn) -> float:
    """Return sum(t - min(b, t)) / sum(t); 0 where nobody needs any time."""
    total_s = float(experienced_s.sum())
    return float((experienced_s - np.minimum(best_s, experienced_s)).sum()) / total_s if total_s > 0 else 0.0


def full_gap(finder: PathFinder, driven: DrivenDay) -> float:
    """Return the relative gap of a day with everybody searched."""
    everybody = np.arange(driven.trips.n_vehicles, dtype=np.int32)
    ways = finder.search(driven.day, everybody, driven.trips.departure_s, driven.travel_time_s)
    return relative_gap(driven.travel_time_s, ways.time_s)


def find_equilibrium(
    network: QueueNetwork,
    finder: PathFinder,
    first: Trips,
    rules: EquilibriumRules,
    seed: int,
    on_day: Callable[[DayRecord], None] | None = None,
) -> QueueEquilibrium:
    """Return the equilibrium flow found from a first day's paths; departures stay as they are.

    Parameters
    ----------
    network, finder
        Queues, and searches in them for the travellers of `first`.
    first
        Departures and the first day's paths (`sim.traffic.behaviour` makes some).
    rules, seed
        See the module; the same seed gives the same result.
    on_day
        Called after every day.
    """
    trips = first
    history: list[DayRecord] = []
    kept: tuple[float, DrivenDay] | None = None
    everybody = np.arange(first.n_vehicles, dtype=np.int32)
    near = False
    past: list[Day] = []
    for day in range(rules.most_days):
        driven = drive(network, trips, rules.patience_s)
        willing = uniforms(seed, "switch", everybody, day) / (day + rules.delay_days) ** -rules.exponent
        is_last = day == rules.most_days - 1
        full = is_last or (near and day % rules.full_search_days == 0)
        asked = everybody if full else np.flatnonzero(willing < 1.0).astype(np.int32)
        spent_s = driven.travel_time_s[asked]
        ways = finder.search(driven.day, asked, trips.departure_s[asked], spent_s)
        gap = relative_gap(spent_s, ways.time_s)
        near = gap <= 2.0 * rules.gap
        found = full and gap <= rules.gap
        if full and (kept is None or gap < kept[0]):
            kept = gap, driven
        gain_s = spent_s - np.minimum(ways.time_s, spent_s)
        gain_s = _remembered_gain_s(past, trips, asked, ways, gain_s)
        past = [*past, driven.day][-rules.memory_days :] if rules.memory_days else []
        chance = np.divide(gain_s, gain_s + rules.gain_scale * spent_s, out=np.zeros(len(asked)), where=gain_s > 0)
        moves = np.flatnonzero(willing[asked] < chance)
        stops = found or is_last
        history.append(DayRecord(day, driven.total_time_s, gap, len(asked), 0 if stops else len(moves)))
        if on_day is not None:
            on_day(history[-1])
        if stops:
            break
        start, column = chosen_paths(ways.path_start, ways.path_link, moves)
        trips = with_paths(trips, asked[moves], start, column)
    assert kept is not None  # the last day is searched in full
    return QueueEquilibrium(kept[1], kept[0], "gap" if kept[0] <= rules.gap else "days", tuple(history))


def _remembered_gain_s(past: Sequence[Day], trips: Trips, asked: IndexColumn, ways: Ways, gain_s: FloatColumn) -> FloatColumn:
    """Return the mean gain over today and the days before, of those who gain today; at least 0."""
    hopeful = np.flatnonzero(gain_s > 0)
    if not past or len(hopeful) == 0:
        return gain_s
    vehicle = asked[hopeful]
    departure_s = trips.departure_s[vehicle]
    own = chosen_paths(trips.path_start, trips.path_link, vehicle)
    other = chosen_paths(ways.path_start, ways.path_link, hopeful)
    total_s = gain_s[hopeful].copy()
    for day in past:
        total_s += path_costs(day, departure_s, *own) - path_costs(day, departure_s, *other)
    mean_s = np.zeros(len(gain_s))
    mean_s[hopeful] = np.maximum(total_s / (1 + len(past)), 0.0)
    return mean_s


def chosen_paths(start: np.ndarray, link: IndexColumn, chosen: np.ndarray) -> tuple[np.ndarray, IndexColumn]:
    """Return some of the paths, in the order given, in the same form."""
    length = np.diff(start)[chosen]
    new_start = np.zeros(len(chosen) + 1, dtype=np.int64)
    np.cumsum(length, out=new_start[1:])
    return new_start, link[np.arange(int(new_start[-1])) + np.repeat(start[chosen] - new_start[:-1], length)]
