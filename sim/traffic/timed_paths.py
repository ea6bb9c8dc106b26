"""Best ways through the traffic of a day that has happened, vehicle by vehicle.

What a vehicle would meet on another way is defined in `sim.kernels.timed_search`: the rules of the loading, with the others where
they were. The look-ups are exact (no bins of time). Vehicles are searched in pieces on several threads, each piece into room of
its own, so the result is the same on any number of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.kernels.paths_pair import HEAP_ENTRY
from sim.kernels.timed_search import NOT_FOUND, Day, Scratch, follow, search_batch, sources
from sim.parallel import over_rows
from sim.traffic.incidents import with_closures
from sim.traffic.loading import LinkRecords
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.search_graph import SearchGraph
from sim.traffic.trips import Trips

_FIRST_ROOM_A_VEHICLE = 48


@dataclass(frozen=True, eq=False)
class TripEnds:
    """Who wants to go where: nodes of the search graph, by vehicle; shape (n_vehicles,)."""

    origin_idx: IndexColumn
    destination_idx: IndexColumn

    def __post_init__(self) -> None:
        for name in ("origin_idx", "destination_idx"):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name), dtype=np.int32)))
        if len(self.origin_idx) != len(self.destination_idx):
            raise InputError(f"{len(self.destination_idx)} destinations", where="trip ends", allowed=f"{len(self.origin_idx)}")
        here = self.origin_idx == self.destination_idx
        if here.any():
            raise InputError("a trip that ends where it starts", where=f"vehicle {int(np.argmax(here))}", allowed="two nodes")

    @property
    def n_vehicles(self) -> int:
        """Number of vehicles."""
        return len(self.origin_idx)


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways of some vehicles, in the order in which they were asked for.

    Attributes
    ----------
    cost_s, time_s
        Time plus tolls, and time alone, from departure; inf where nothing below the limit was found.
    path_start, path_link
        In the form of `Trips`; empty where nothing was found.
    """

    cost_s: FloatColumn
    time_s: FloatColumn
    path_start: OffsetColumn
    path_link: IndexColumn


@dataclass(frozen=True, eq=False)
class Tolls:
    """Tolls by the time of leaving a link: steps of `step_s[a]` from time 0 on, 0 after the last.

    Attributes
    ----------
    start
        Steps of link a: `toll_s[start[a]:start[a + 1]]`; shape (n_links + 1,).
    toll_s
        Seconds, 0 or above.
    step_s
        Shape (n_links,), above 0.
    """

    start: OffsetColumn
    toll_s: FloatColumn
    step_s: FloatColumn


def day_of(network: QueueNetwork, trips: Trips, records: LinkRecords, tolls: Tolls | None = None) -> Day:
    """Return the day that some trips had, from the records of everybody (`record="all"`)."""
    n_links = network.n_links
    start, entry_s, exit_s = _origin_records(network, trips, records)
    source = np.empty(len(records.vehicle_idx), dtype=np.int32)
    sources(records.start, records.vehicle_idx, trips.path_start, trips.path_link, source)
    into_node = np.bincount(network.head_idx, weights=network.merge_weight, minlength=network.n_nodes)
    none = np.zeros(0)
    signals = network.signals
    day = Day(
        start=np.concatenate([records.start, records.start[-1] + start[1:]]),
        entry_s=np.concatenate([records.entry_s, entry_s]),
        exit_s=np.concatenate([records.exit_s, exit_s]),
        free_flow_time_s=network.free_flow_time_s,
        backward_time_s=network.backward_time_s,
        headway_s=network.headway_s,
        entry_headway_s=network.entry_headway_s,
        storage=network.storage_veh,
        source=source,
        weight=np.concatenate([network.merge_weight, network.origin_weight]),
        rivals=into_node[network.tail_idx] + network.origin_weight,
        cycle_s=none if signals is None else signals.cycle_s,
        green_s=none if signals is None else signals.green_s,
        offset_s=none if signals is None else signals.offset_s,
        toll_start=np.zeros(n_links + 1, dtype=np.int64) if tolls is None else tolls.start,
        toll_s=none if tolls is None else tolls.toll_s,
        step_s=none if tolls is None else tolls.step_s,
        live=np.zeros(0, dtype=np.bool_),
        extra_s=np.zeros((0, 0), dtype=np.float32),
        width_s=1.0,
    )
    return with_closures(day, network.incidents)


def empty_day(network: QueueNetwork, tolls: Tolls | None = None) -> Day:
    """Return a day on which nobody drove."""
    start, nothing = np.zeros(network.n_links + 1, dtype=np.int64), np.zeros(0)
    trips = Trips(nothing, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32))
    return day_of(network, trips, LinkRecords(start, np.zeros(0, dtype=np.int32), nothing, nothing), tolls)


def with_tolls(day: Day, tolls: Tolls) -> Day:
    """Return the same day with tolls."""
    return day._replace(toll_start=tolls.start, toll_s=tolls.toll_s, step_s=tolls.step_s)


def _origin_records(network: QueueNetwork, trips: Trips, records: LinkRecords) -> tuple[OffsetColumn, FloatColumn, FloatColumn]:
    """Return departures and entries into the first link, by first link and in the order of departure."""
    first = trips.path_link[trips.path_start[:-1]]
    entered_s = np.full(trips.n_vehicles, np.inf)
    # Written from the back: a vehicle that comes to its first link again later entered it first at the earlier record.
    is_first = first[records.vehicle_idx] == records.link_idx
    row = np.flatnonzero(is_first)[::-1]
    entered_s[records.vehicle_idx[row]] = records.entry_s[row]
    order = np.lexsort((np.arange(trips.n_vehicles), trips.departure_s, first))
    start = np.zeros(network.n_links + 1, dtype=np.int64)
    np.cumsum(np.bincount(first, minlength=network.n_links), out=start[1:])
    return start, trips.departure_s[order], entered_s[order]


class PathFinder:
    """Searches for a fixed set of travellers; what does not change from day to day is worked out once.

    Parameters
    ----------
    graph
        Where ways are searched.
    ends
        Origin and destination of every vehicle.

    Raises
    ------
    InputError
        A destination cannot be reached.

    Attributes
    ----------
    free_time_s
        Free-flow time of each vehicle's trip: no trip takes less, whatever anybody does; shape (n_vehicles,).
    """

    def __init__(self, graph: SearchGraph, ends: TripEnds) -> None:
        self.graph = graph
        self.ends = ends
        self.targets, row = np.unique(ends.destination_idx, return_inverse=True)
        self.row = row.astype(np.int32)
        self.bound_s = graph.free_times_to(self.targets)
        self.free_time_s: FloatColumn = self.bound_s[self.row, ends.origin_idx]
        unreachable = ~np.isfinite(self.free_time_s)
        if unreachable.any():
            vehicle = int(np.argmax(unreachable))
            raise InputError("no way from origin to destination", where=f"vehicle {vehicle}", allowed="connected trip ends")

    def search(self, day: Day, vehicle_idx: IndexColumn, departure_s: FloatColumn, limit_s: FloatColumn) -> Ways:
        """Return the best way of some vehicles in a day's traffic.

        Parameters
        ----------
        day
            What happened.
        vehicle_idx
            Whose ways.
        departure_s, limit_s
            Of each of them: when it leaves, and the cost from which on a way is of no interest (inf: any).
        """
        n_asked = len(vehicle_idx)
        # Vehicles with the same destination read the same bounds, and those of one hour the same records.
        order = np.lexsort((departure_s, self.row[vehicle_idx]))
        vehicle = vehicle_idx[order]
        source, target, row = self.ends.origin_idx[vehicle], self.ends.destination_idx[vehicle], self.row[vehicle]
        departs_s, limits_s = departure_s[order], limit_s[order]
        cost_s, time_s, length = np.empty(n_asked), np.empty(n_asked), np.zeros(n_asked, dtype=np.int32)
        pieces: dict[int, list[IndexColumn]] = {}

        def work(first: int, past_last: int) -> None:
            scratch = self._scratch()
            found: list[IndexColumn] = []
            room = _FIRST_ROOM_A_VEHICLE * (past_last - first) + self.graph.n_links
            at = first
            while at < past_last:
                column = np.empty(room, dtype=np.int32)
                at, n_used = search_batch(
                    day, self.graph.out_star, self.graph.passable, self.bound_s, row, source, target, departs_s, limits_s,
                    scratch, at, past_last, cost_s, time_s, length, column,
                )  # fmt: skip
                found.append(column[:n_used])
                scratch.stamp[:] = 0
            pieces[first] = found

        # Cached properties are made before the threads start.
        assert self.graph.out_star is not None
        over_rows(n_asked, work)
        columns = [column for first in sorted(pieces) for column in pieces[first]]
        column = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int32)
        return _in_order_asked(order, cost_s, time_s, length, column)

    def _scratch(self) -> Scratch:
        n_nodes = self.graph.n_nodes
        return Scratch(
            np.zeros(n_nodes, dtype=np.int32), np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes, dtype=np.int32),
            np.empty(n_nodes, dtype=np.int32), np.full(n_nodes, NOT_FOUND, dtype=np.int32), np.empty(self.graph.n_links + 1,
            dtype=HEAP_ENTRY),
        )  # fmt: skip


def _in_order_asked(
    order: OffsetColumn, cost_s: FloatColumn, time_s: FloatColumn, length: IndexColumn, column: IndexColumn
) -> Ways:
    begin = np.cumsum(length, dtype=np.int64) - length
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    lengths = length[place].astype(np.int64)
    start = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(lengths, out=start[1:])
    source = np.arange(int(start[-1])) + np.repeat(begin[place] - start[:-1], lengths)
    return Ways(cost_s[place], time_s[place], start, column[source])


def path_costs(day: Day, departure_s: FloatColumn, path_start: OffsetColumn, path_link: IndexColumn) -> FloatColumn:
    """Return time plus tolls that one more vehicle would need on each path, seconds."""
    cost_s = np.empty(len(departure_s))

    def work(first: int, past_last: int) -> None:
        follow(day, departure_s[first:past_last], path_start[first : past_last + 1], path_link, cost_s[first:past_last])

    over_rows(len(departure_s), work)
    return cost_s


def chosen_paths(start: OffsetColumn, link: IndexColumn, chosen: np.ndarray) -> tuple[OffsetColumn, IndexColumn]:
    """Return some of the paths, in the order given, in the same form."""
    length = np.diff(start)[chosen]
    new_start = np.zeros(len(chosen) + 1, dtype=np.int64)
    np.cumsum(length, out=new_start[1:])
    return new_start, link[np.arange(int(new_start[-1])) + np.repeat(start[chosen] - new_start[:-1], length)]


def with_paths(trips: Trips, vehicle_idx: IndexColumn, path_start: OffsetColumn, path_link: IndexColumn) -> Trips:
    """Return the trips with other paths for some vehicles (each at most once; path k belongs to `vehicle_idx[k]`)."""
    begin = trips.path_start[:-1].copy()
    length = np.diff(trips.path_start)
    column = np.concatenate([trips.path_link, path_link])
    begin[vehicle_idx] = len(trips.path_link) + path_start[:-1]
    length[vehicle_idx] = np.diff(path_start)
    start = np.zeros(trips.n_vehicles + 1, dtype=np.int64)
    np.cumsum(length, out=start[1:])
    source = np.arange(int(start[-1])) + np.repeat(begin - start[:-1], length)
    return Trips(trips.departure_s, start, column[source])
