"""Drivers who follow the present traffic: every so many seconds they take the way that is fastest by what is known now.

The present time of a link is the largest of its free-flow time, what the vehicles on it and those who wait at its origin need to
leave at capacity (vehicles times headway), and the mean time of those who left it since the last news. Of an incident everybody
knows from its beginning what is left of the capacity and how long it will last. One tree backward from
each destination serves everybody bound there.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.kernels.paths_pair import HEAP_ENTRY
from sim.kernels.timed_search import NOT_A_QUEUE, free_times
from sim.kernels.timed_trees import descend
from sim.parallel import over_rows
from sim.traffic.loading import LinkRecords, Loading
from sim.traffic.timed_paths import PathFinder
from sim.traffic.trips import Trips


class News:
    """What a day's drivers learn at the whole multiples of `every_s`, and where it sends them.

    Parameters
    ----------
    finder
        Searches for the travellers of the day.
    first
        Departures, and the ways that everybody has before the first news.
    follows
        Who follows the news, shape (n_vehicles,).
    every_s
        Seconds between two pieces of news, above 0.
    on_the_road
        Whether those who are on links already follow it too; otherwise only those who have yet to enter their first link.
    """

    def __init__(
        self, finder: PathFinder, first: Trips, follows: BoolColumn, every_s: float, *, on_the_road: bool = True
    ) -> None:
        if not 0 < every_s < np.inf:
            raise InputError(f"{every_s}", where="every_s", allowed="a finite number of seconds above 0")
        self.every_s = every_s
        self._finder, self._departure_s, self._follows, self._on_the_road = finder, first.departure_s, follows, on_the_road
        self._first_link = first.path_link[first.path_start[:-1]].copy()
        self._left = np.zeros(0, dtype=np.int64)
        self._spent_s = np.zeros(0)

    def reroute(self, loading: Loading) -> IndexColumn:
        """Give those who follow the news, and are about to depart or on the road, the fastest ways at the loading's clock.

        Parameters
        ----------
        loading
            With bins of time, whose clock shows a whole multiple of `every_s`.

        Returns
        -------
        vehicle_idx
            Who got a way.
        """
        graph, now_s = self._finder.graph, loading.clock_s
        where = loading.positions()
        node = np.full(len(self._departure_s), NOT_A_QUEUE, dtype=np.int32)
        # The streets stand first among the links of the graph, and their heads there know which turns are open.
        node[where.vehicle_idx] = graph.head_idx[where.link_idx]
        outside = ~loading.arrived & (node == NOT_A_QUEUE) & (self._departure_s < now_s + self.every_s)
        if not self._on_the_road:
            node[:] = NOT_A_QUEUE
            outside &= self._departure_s >= now_s
        waiting = self._waiting(loading)
        time_s = self._present_time_s(loading, waiting)
        node[outside] = self._finder.ends.origin_idx[outside]
        moves = self._follows & (node != NOT_A_QUEUE) & (node != self._finder.ends.destination_idx)
        vehicle = np.flatnonzero(moves).astype(np.int32)
        if len(vehicle) == 0:
            return vehicle
        vehicle = vehicle[np.argsort(self._finder.row[vehicle], kind="stable")]
        delay_s = graph.delay_s.copy()
        on_queue = graph.queue_idx != NOT_A_QUEUE
        delay_s[on_queue] = time_s[graph.queue_idx[on_queue]]
        length, start, column = fastest_ways(self._finder, delay_s, vehicle, node[vehicle])
        reached = length > 0
        starts = reached & outside[vehicle]
        self._first_link[vehicle[starts]] = column[start[:-1][starts]]
        loading.reroute(vehicle[reached], np.concatenate([[0], np.cumsum(length[reached])]), column[: start[-1]])
        return vehicle[reached]

    def _waiting(self, loading: Loading) -> OffsetColumn:
        """Return how many vehicles wait outside each link for a place on it."""
        on_link = np.zeros(len(self._departure_s), dtype=np.bool_)
        on_link[loading.positions().vehicle_idx] = True
        waits = ~loading.arrived & ~on_link & (self._departure_s < loading.clock_s)
        return np.bincount(self._first_link[waits], minlength=loading.network.n_links)

    def _present_time_s(self, loading: Loading, waiting: OffsetColumn) -> FloatColumn:
        network = loading.network
        time_s = np.maximum(network.free_flow_time_s, (loading.occupancy_veh + waiting) * network.headway_s)
        bins = loading.bins()
        left, spent_s = bins.exits_veh.sum(axis=1, dtype=np.int64), bins.travel_time_sum_s.sum(axis=1)
        if len(self._left):
            new = left - self._left
            mean_s = np.divide(spent_s - self._spent_s, new, out=np.zeros(len(new)), where=new > 0)
            # To the millisecond, so that the last bits of the sums, which depend on the width of the bins, decide nothing.
            time_s = np.maximum(time_s, np.round(mean_s, 3))
        self._left, self._spent_s = left, spent_s
        for incident in network.incidents:
            if incident.from_s <= loading.clock_s < incident.to_s:
                link = incident.link_idx
                ahead_s = (loading.occupancy_veh[link] + waiting[link]) * network.headway_s[link]
                share = incident.capacity_share
                held_s = incident.to_s - loading.clock_s + ahead_s if incident.is_closure else ahead_s / share
                time_s[link] = max(time_s[link], held_s)
        return np.asarray(time_s)


def fastest_ways(
    finder: PathFinder, delay_s: FloatColumn, vehicle: IndexColumn, node: IndexColumn
) -> tuple[IndexColumn, OffsetColumn, IndexColumn]:
    """Return lengths, starts and links of the fastest ways of vehicles, which are sorted by destination, from their nodes.

    Parameters
    ----------
    delay_s
        Time of each link of the finder's graph.
    vehicle, node
        Who, and the node of the graph from which each goes on; a length is 0 where there is no way or none is needed.
    """
    graph = finder.graph
    order_in, order_out = np.argsort(graph.head_idx, kind="stable"), np.argsort(graph.tail_idx, kind="stable")
    into = graph.in_star._replace(delay_s=delay_s[order_in])
    out = graph.out_star._replace(delay_s=delay_s[order_out])
    first_of_row = np.searchsorted(finder.row[vehicle], np.arange(len(finder.targets) + 1))
    ways: list[tuple[IndexColumn, IndexColumn]] = [(np.zeros(0, np.int32), np.zeros(0, np.int32))] * len(finder.targets)

    def work(first: int, past_last: int) -> None:
        heap = np.empty(graph.n_links + 1, dtype=HEAP_ENTRY)
        time_s = np.empty(graph.n_nodes)
        for row in range(first, past_last):
            here = slice(first_of_row[row], first_of_row[row + 1])
            if here.start == here.stop:
                continue
            free_times(finder.targets[row], into, graph.passable, time_s, heap)
            ways[row] = descend(time_s, out, graph.passable, node[here], finder.targets[row])

    over_rows(len(finder.targets), work)
    length = np.concatenate([way[0] for way in ways])
    start = np.zeros(len(length) + 1, dtype=np.int64)
    np.cumsum(length, out=start[1:])
    return length, start, np.concatenate([way[1] for way in ways])


def driven_trips(departure_s: FloatColumn, records: LinkRecords) -> Trips:
    """Return the ways that everybody drove, from the records of everybody."""
    n_vehicles = len(departure_s)
    order = np.lexsort((records.entry_s, records.vehicle_idx))
    start = np.zeros(n_vehicles + 1, dtype=np.int64)
    np.cumsum(np.bincount(records.vehicle_idx, minlength=n_vehicles), out=start[1:])
    return Trips(departure_s, start, records.link_idx[order])
