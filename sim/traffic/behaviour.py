"""Drivers who do not learn from day to day: the map's way at departure, and drivers who follow the present traffic.

One-shot: each takes the fastest way at departure, by free-flow times or by the times of a day that has happened. Reactive: every
so many seconds those who follow the news, on the road or about to depart, take the fastest way by the present times. The present
time of a link is the largest of its free-flow time, what the vehicles on it and those who wait at its origin need to leave at
capacity (vehicles times headway), and the mean time of those who left it since the last news. One tree backward from each
destination serves everybody bound there.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.kernels.paths_pair import HEAP_ENTRY
from sim.kernels.timed_search import NOT_A_QUEUE, Day, free_times
from sim.kernels.timed_trees import descend
from sim.parallel import over_rows
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, empty_day
from sim.traffic.trips import Trips


def one_shot(network: QueueNetwork, finder: PathFinder, departure_s: FloatColumn, day: Day | None = None) -> Trips:
    """Return the trips with everybody's fastest way at departure: by free-flow times, or in the traffic of a day."""
    everybody = np.arange(len(departure_s), dtype=np.int32)
    traffic = empty_day(network) if day is None else day
    ways = finder.search(traffic, everybody, departure_s, np.full(len(departure_s), np.inf))
    return Trips(departure_s, ways.path_start, ways.path_link)


def reactive(
    network: QueueNetwork,
    finder: PathFinder,
    departure_s: FloatColumn,
    *,
    every_s: float,
    share: float,
    seed: int,
    patience_s: float = 60.0,
) -> tuple[DrivenDay, Trips]:
    """Drive a day on which a share of the drivers follows the present traffic; the others take their free-flow way.

    Parameters
    ----------
    every_s
        Seconds between two pieces of news, above 0.
    share
        Of the vehicles, drawn by lot; 0 to 1.

    Returns
    -------
    driven, trips
        The day, and the ways that were driven in the end (as whole paths from the origin).
    """
    if not 0 < every_s < np.inf:
        raise InputError(f"{every_s}", where="every_s", allowed="a finite number of seconds above 0")
    if not 0 <= share <= 1:
        raise InputError(f"{share}", where="share", allowed="0 to 1")
    first = one_shot(network, finder, departure_s)
    everybody = np.arange(first.n_vehicles, dtype=np.int32)
    follows = uniforms(seed, "follows_news", everybody) < share
    loading = Loading(network, first, LoadingOptions(patience_s=patience_s, record="all", bin_s=every_s))
    first_link = first.path_link[first.path_start[:-1]].copy()
    news = 0
    while loading.n_arrived < first.n_vehicles:
        loading.advance(news * every_s)
        _reroute(loading, finder, departure_s, follows, first_link, news, every_s)
        news += 1
    records = loading.records()
    order = np.lexsort((records.entry_s, records.vehicle_idx))
    start = np.zeros(first.n_vehicles + 1, dtype=np.int64)
    np.cumsum(np.bincount(records.vehicle_idx, minlength=first.n_vehicles), out=start[1:])
    trips = Trips(departure_s, start, records.link_idx[order])
    driven = DrivenDay(network, trips, loading.travel_time_s(), records, loading.rotations, loading.rotated_vehicles)
    return driven, trips


def _reroute(
    loading: Loading,
    finder: PathFinder,
    departure_s: FloatColumn,
    follows: BoolColumn,
    first_link: IndexColumn,
    news: int,
    every_s: float,
) -> None:
    """Give those who follow the news, on a link or to enter one before the next news, the fastest ways by present times.

    `first_link` is where each vehicle starts; it is kept up to date.
    """
    network, graph = loading.network, finder.graph
    where = loading.positions()
    node = np.full(len(departure_s), NOT_A_QUEUE, dtype=np.int32)
    node[where.vehicle_idx] = network.head_idx[where.link_idx]
    outside = ~loading.arrived & (node == NOT_A_QUEUE) & (departure_s < (news + 1) * every_s)
    node[outside] = finder.ends.origin_idx[outside]
    moves = follows & (node != NOT_A_QUEUE) & (node != finder.ends.destination_idx)
    waiting = np.bincount(first_link[outside & (departure_s < news * every_s)], minlength=network.n_links)
    vehicle = np.flatnonzero(moves).astype(np.int32)
    if len(vehicle) == 0:
        return
    vehicle = vehicle[np.argsort(finder.row[vehicle], kind="stable")]
    delay_s = graph.delay_s.copy()
    on_queue = graph.queue_idx != NOT_A_QUEUE
    delay_s[on_queue] = _present_time_s(loading, waiting, news)[graph.queue_idx[on_queue]]
    length, start, column = _fastest(finder, delay_s, vehicle, node[vehicle])
    reached = length > 0
    starts = reached & outside[vehicle]
    first_link[vehicle[starts]] = column[start[:-1][starts]]
    loading.reroute(vehicle[reached], np.concatenate([[0], np.cumsum(length[reached])]), column[: start[-1]])


def _present_time_s(loading: Loading, waiting: OffsetColumn, news: int) -> FloatColumn:
    network = loading.network
    time_s = np.maximum(network.free_flow_time_s, (loading.occupancy_veh + waiting) * network.headway_s)
    bins = loading.bins()
    if news > 0:
        left = bins.exits_veh[:, news - 1]
        mean_s = np.divide(bins.travel_time_sum_s[:, news - 1], left, out=np.zeros(len(left)), where=left > 0)
        time_s = np.maximum(time_s, mean_s)
    return time_s


def _fastest(
    finder: PathFinder, delay_s: FloatColumn, vehicle: IndexColumn, node: IndexColumn
) -> tuple[IndexColumn, OffsetColumn, IndexColumn]:
    """Return lengths, starts and links of the fastest ways of vehicles, which are sorted by destination, from their nodes."""
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
