"""Queue traffic by the clock: the days of three worlds, loaded again from their trips, in lockstep.

Loading has no luck in it: the same trips on the same streets give the same day to the last bit, so that a day can be begun again
at any time. Going back means beginning again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dashboard.paint import Scale
from dashboard.scene import Bins, LinkState, Moment, PaneNow, VehiclesNow
from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.experiments.queue_build import BuiltQueues
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.trips import Trips
from sim.units import SECONDS_PER_HOUR

PLACES_SCALE = Scale(
    "sequential", (0.05, 0.1, 0.2, 0.35, 0.5, 0.75), "Vehicles on a street, share of its places", "empty", "full"
)
_BIN_S = 300.0
_LINKS_EVERY_S = 20.0
"""How much of the day passes before the colours of the links are worked out again."""
_MOST_DAYS_S = 3 * 86_400.0


@dataclass(frozen=True, eq=False)
class DrivenAgain:
    """What became of a day: when the last one arrived, everybody's travel time, the vehicles on each link by bins of time."""

    end_s: float
    travel_time_s: FloatColumn
    on_links: Bins


def options_of(queues: BuiltQueues) -> LoadingOptions:
    """Return how the days of a scenario are driven; nothing is noted."""
    rules = queues.day_rules
    return LoadingOptions(rules.gridlock, rules.patience_s)


def drive_again(queues: BuiltQueues, trips: Trips) -> DrivenAgain:
    """Drive a day to its end and look at it every five minutes."""
    loading = Loading(queues.network, trips, options_of(queues))
    columns = []
    while loading.n_arrived < trips.n_vehicles and loading.has_events and loading.clock_s < _MOST_DAYS_S:
        loading.advance(loading.clock_s + _BIN_S)
        columns.append((loading.occupancy_veh * queues.weight).astype(np.float32))
    arrived = loading.arrived
    if not arrived.any():
        raise InputError("nobody arrives", where="traffic", allowed="trips that somebody can finish")
    # Where some never arrive, the clock goes on for as long as anybody moved.
    end_s = math.ceil((loading.arrival_s[arrived].max() + 1.0) / 60.0) * 60.0
    return DrivenAgain(end_s, loading.travel_time_s(), Bins(_BIN_S, np.stack(columns, axis=1)))


def links_now(network: QueueNetwork, loading: Loading, weight: float) -> LinkState:
    """Return what the links carry at the clock of a loading.

    A vehicle that joins a link takes its free-flow time, or what those before it need to leave: vehicles * headway. Flow follows
    from that by Little's law, vehicles / time.
    """
    vehicles = loading.occupancy_veh
    time_s = np.maximum(network.free_flow_time_s, vehicles * network.headway_s)
    flow_vph = vehicles / time_s * SECONDS_PER_HOUR * weight
    share = vehicles / np.maximum(network.storage_veh, 1)
    return LinkState(flow_vph, time_s, None, np.minimum(share, 1.0))


class QueueStage:
    """The left, the right and the best day in lockstep.

    Parameters
    ----------
    queues
        The streets as queues.
    days
        Trips of the left world, of the right one and of the optimum.
    """

    def __init__(self, queues: BuiltQueues, days: tuple[Trips, Trips, Trips]) -> None:
        self._queues = queues
        self._days = days
        self._options = options_of(queues)
        self._loadings: list[Loading] = []
        self._links: tuple[LinkState, ...] = ()
        self._links_at = -math.inf
        self._version = 0

    def at(self, clock_s: float) -> Moment:
        """Return the traffic at a time of the day."""
        if not self._loadings or clock_s < self._loadings[0].clock_s:
            self._loadings = [Loading(self._queues.network, trips, self._options) for trips in self._days]
            self._links_at = -math.inf
        for loading in self._loadings:
            loading.advance(clock_s)
        if clock_s >= self._links_at + _LINKS_EVERY_S:
            self._links_at = clock_s
            self._version += 1
            self._links = tuple(self._links_of(loading) for loading in self._loadings[:2])
        panes = tuple(
            PaneNow(self._vehicles(loading), links, self._version, self._under_way(loading))
            for loading, links in zip(self._loadings[:2], self._links, strict=True)
        )
        left, right, best = (loading.vehicle_seconds() * self._queues.weight for loading in self._loadings)
        return Moment(clock_s, panes, (left, right, best))

    def _links_of(self, loading: Loading) -> LinkState:
        return links_now(self._queues.network, loading, self._queues.weight)

    def _under_way(self, loading: Loading) -> int:
        departed = np.count_nonzero(loading.trips.departure_s < loading.clock_s)
        return round((departed - loading.n_arrived) * self._queues.weight)

    @staticmethod
    def _vehicles(loading: Loading) -> VehiclesNow:
        now = loading.positions()
        return VehiclesNow(now.vehicle_idx, now.link_idx, now.fraction)
