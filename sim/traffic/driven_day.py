"""A day driven from beginning to end, with what everybody experienced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.kernels.timed_search import Day
from sim.traffic.loading import LinkRecords, Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import day_of
from sim.traffic.trips import Trips


@dataclass(frozen=True, eq=False)
class DrivenDay:
    """What became of some trips.

    Attributes
    ----------
    network, trips
        What was driven.
    travel_time_s
        From departure to arrival, the wait at the origin included; shape (n_vehicles,).
    records
        Entries and exits of everybody.
    rotations, rotated_vehicles
        Gridlocked cycles that were moved up, and the vehicles in them.
    """

    network: QueueNetwork
    trips: Trips
    travel_time_s: FloatColumn
    records: LinkRecords
    rotations: int
    rotated_vehicles: int

    @property
    def total_time_s(self) -> float:
        """Vehicle-seconds of everybody."""
        return float(self.travel_time_s.sum())

    @cached_property
    def day(self) -> Day:
        """The day as the searches take it, without tolls."""
        return day_of(self.network, self.trips, self.records)


def drive(network: QueueNetwork, trips: Trips, patience_s: float = 60.0) -> DrivenDay:
    """Drive a whole day; a gridlocked cycle is moved up when all in it have waited for `patience_s`.

    Raises
    ------
    InputError
        Trips that the network cannot take, or somebody who never arrives.
    """
    loading = Loading(network, trips, LoadingOptions(gridlock="rotate", patience_s=patience_s, record="all"))
    loading.run()
    if loading.n_arrived < trips.n_vehicles:
        raise InputError(
            f"{trips.n_vehicles - loading.n_arrived} vehicles never arrive", source=network.name, allowed="days that end"
        )
    return DrivenDay(network, trips, loading.travel_time_s(), loading.records(), loading.rotations, loading.rotated_vehicles)
