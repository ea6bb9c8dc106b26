"""The night between two days: who changes his way, one small group after another, each told what the groups before have done.

If everybody who gains by yesterday's traffic changed at once, all would meet on the same roads. So those drawn are taken in
groups. Each member of a group compares his own way with the best one in yesterday's traffic as the changes of the groups before
have altered its queues (`sim.kernels.timed_response`), and those who change alter them for the groups to come. This is the step
of Gauss and Seidel, on an estimate that the next day puts right.

Who changes. With own time t and gain g a share x = g / t is gained, and the vehicle changes with probability

    p  x^2 / (x^2 + s^2)

where p is the share of the vehicles that are asked and s the share of time that is worth a change: below s hardly anybody moves,
because each move also puts others off, and so many small ones undo each other. Nobody gains more than his delay d = t -
free-flow time, so the lot is drawn first and only those are searched whom a gain of all their delay would move. Each has been
asked with a known probability q; sum(g / q) / sum(t) estimates the relative gap without having asked everybody (Horvitz and
Thompson 1952). It is taken after the groups before have changed, hence a little below the gap of the day itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.errors import InputError
from sim.kernels.timed_response import Response, anchor, change_ways
from sim.kernels.timed_search import Day
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, chosen_paths, empty_day, path_costs, with_paths
from sim.traffic.trips import Trips

_LEAST_ASKED = 0.1
"""Of those drawn, at least this share is asked whatever their delay, so that no q is tiny."""
_LONGER = 1.2
"""How much longer than the day the tables are: who changes may arrive later than anybody did."""


@dataclass(frozen=True, eq=False)
class Night:
    """What a night has changed.

    Attributes
    ----------
    trips
        Of the next day.
    relative_gap
        The estimate of the module.
    asked, switched
        How many were searched and how many have changed.
    """

    trips: Trips
    relative_gap: float
    asked: int
    switched: int


def changed_overnight(
    finder: PathFinder,
    driven: DrivenDay,
    gain_s: FloatColumn | None,
    *,
    share: float,
    threshold: float,
    groups: int,
    step_s: float,
    seed: int,
    day: int,
) -> Night:
    """Return what becomes of a day's ways overnight.

    Parameters
    ----------
    gain_s
        Of every vehicle, where everybody has been searched already; otherwise the delay stands for it.
    share, threshold
        p and s of the module, above 0.
    groups
        At least 1.
    step_s
        Steps of time of the response.
    seed, day
        Of the lots.
    """
    trips, spent_s = driven.trips, driven.travel_time_s
    most_s = np.maximum(spent_s - finder.free_time_s, 0.0) if gain_s is None else gain_s
    lot = uniforms(seed, "switch", np.arange(trips.n_vehicles, dtype=np.int32), day)
    asked_chance = share * np.maximum(_chance(most_s, spent_s, threshold), _LEAST_ASKED)
    asked = np.flatnonzero((most_s > 1e-6 * spent_s) & (lot < asked_chance)).astype(np.int32)
    # The lots say nothing about where somebody drives: in their order groups are mixed.
    asked = asked[np.argsort(lot[asked], kind="stable")]
    changing = _Changing(finder, driven.day, trips, step_s)
    gained_s = 0.0
    for group in np.array_split(asked, min(groups, max(1, len(asked)))):
        saved_s = changing.offer(group, lot[group] / share, threshold)
        gained_s += float((saved_s / np.minimum(asked_chance[group], 1.0)).sum())
    total_s = float(spent_s.sum())
    gap = 0.0 if total_s == 0 else gained_s / total_s if gain_s is None else float(gain_s.sum()) / total_s
    return Night(changing.trips(), gap, len(asked), changing.n_changed)


def incremental_trips(
    network: QueueNetwork, finder: PathFinder, departure_s: FloatColumn, seed: int, *, groups: int = 64, step_s: float = 60.0
) -> Trips:
    """Return first ways for everybody: group after group, drawn by lot, takes the fastest ways in the queues of those before.

    Queues are those of single links at their capacity, without spillback; a start for `sim.traffic.equilibrium` that takes one
    search for each vehicle and no day.
    """
    n_vehicles = len(departure_s)
    if groups < 1:
        raise InputError(f"{groups}", where="groups", allowed="at least 1")
    nowhere = Trips(departure_s, np.zeros(n_vehicles + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
    until_s = _LONGER * float((departure_s + 2.0 * finder.free_time_s).max(initial=0.0))
    changing = _Changing(finder, empty_day(network), nowhere, step_s, until_s)
    everybody = np.arange(n_vehicles, dtype=np.int32)
    order = np.argsort(uniforms(seed, "first way", everybody), kind="stable").astype(np.int32)
    for group in np.array_split(order, min(groups, max(1, n_vehicles))):
        changing.offer(group, np.zeros(len(group)), 1.0)
    return changing.trips()


def _chance(gain_s: FloatColumn, spent_s: FloatColumn, threshold: float) -> FloatColumn:
    gained = np.divide(gain_s, spent_s, out=np.zeros(len(gain_s)), where=(gain_s > 0) & np.isfinite(spent_s))
    # A vehicle without a way takes the first one it finds.
    return np.where(np.isfinite(spent_s), gained**2 / (gained**2 + threshold**2), 1.0)


class _Changing:
    """Ways that change group by group, and the queues' response."""

    def __init__(self, finder: PathFinder, day: Day, trips: Trips, step_s: float, until_s: float | None = None) -> None:
        n_rows = 2 * len(day.free_flow_time_s)
        last_s = _LONGER * float(day.exit_s.max(initial=0.0)) if until_s is None else until_s
        shape = (n_rows, int(last_s / step_s) + 2)
        tables = [np.zeros(shape, dtype=np.float32) for _ in range(5)]
        live: BoolColumn = np.zeros(n_rows, dtype=np.bool_)
        self._response = Response(step_s, tables[0], live, *tables[1:])
        anchor(day, self._response)
        self._finder, self._before = finder, trips
        self._tonight = day._replace(live=live, extra_s=tables[0], width_s=step_s)
        self._touched: BoolColumn = np.zeros(n_rows, dtype=np.bool_)
        self._changed: list[tuple[IndexColumn, IndexColumn, IndexColumn]] = []

    @property
    def n_changed(self) -> int:
        """How many have changed."""
        return sum(len(vehicle_idx) for vehicle_idx, _, _ in self._changed)

    def offer(self, group: IndexColumn, willing: FloatColumn, threshold: float) -> FloatColumn:
        """Let those of a group change whose chance is above `willing`; return everybody's gain."""
        departure_s = self._before.departure_s[group]
        own = chosen_paths(self._before.path_start, self._before.path_link, group)
        own_s = path_costs(self._tonight, departure_s, *own)
        own_s[np.diff(own[0]) == 0] = np.inf
        ways = self._finder.search(self._tonight, group, departure_s, own_s)
        found = np.isfinite(ways.cost_s)
        gain_s = np.zeros(len(group))
        gain_s[found] = own_s[found] - ways.cost_s[found]
        moves = np.flatnonzero(found & (willing < _chance(gain_s, own_s, threshold)))
        if len(moves):
            new = chosen_paths(ways.path_start, ways.path_link, moves)
            old = chosen_paths(*own, moves)
            change_ways(self._tonight, self._response, departure_s[moves], *old, *new, self._touched)
            self._changed.append((group[moves], np.diff(new[0]).astype(np.int32), new[1]))
        return gain_s

    def trips(self) -> Trips:
        """Return everybody's ways as they are now."""
        if not self._changed:
            return self._before
        vehicle, length, link = (np.concatenate(columns) for columns in zip(*self._changed, strict=True))
        start = np.zeros(len(vehicle) + 1, dtype=np.int64)
        np.cumsum(length, out=start[1:])
        return with_paths(self._before, vehicle, start, link)
