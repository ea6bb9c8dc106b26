"""Drivers who do not learn from day to day: the map's way at departure, and drivers who follow the present traffic.

One-shot: each takes the fastest way at departure, by free-flow times or by the times of a day that has happened. Reactive: every
so many seconds those who follow the news (`sim.traffic.news`), on the road or about to depart, take the fastest way by the
present times.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.kernels.timed_search import Day
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.news import News, driven_trips
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
    news = News(finder, first, follows, every_s)
    number = 0
    while loading.n_arrived < first.n_vehicles:
        loading.advance(number * every_s)
        news.reroute(loading)
        number += 1
    records = loading.records()
    trips = driven_trips(departure_s, records)
    driven = DrivenDay(network, trips, loading.travel_time_s(), records, loading.rotations, loading.rotated_vehicles)
    return driven, trips
