"""Result tables of queue traffic: what each world did to links and to the city by time, and the drives of chosen travellers.

Vehicles are those of the demand: travellers times the vehicles that each stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn
from sim.experiments.record_tables import LinkColumns, TripColumns
from sim.queue_model import QueueCityModel
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay
from sim.units import SECONDS_PER_HOUR

CITY_STEP_S: Final = 60.0
"""Step of city_times."""
SAMPLE_TRAVELLERS: Final = 1000
"""Travellers whose drives `trajectories = "sample"` writes."""


def link_columns(world: QueueCityModel, weight: float, period_s: float) -> LinkColumns:
    """Return flow and travel time of each link over the whole day.

    Flow is the vehicles that left the link over the time in which people depart, so that it may exceed the capacity where they
    need longer than that. Travel time is the mean of those who left; free flow where nobody did.
    """
    bins = world.loading.bins()
    left, spent_s = bins.exits_veh.sum(axis=1, dtype=np.int64), bins.travel_time_sum_s.sum(axis=1)
    mean_s = np.divide(spent_s, left, out=world.network.free_flow_time_s.copy(), where=left > 0)
    return LinkColumns(left * weight / (period_s / SECONDS_PER_HOUR), mean_s)


def trip_columns(world: QueueCityModel) -> TripColumns:
    """Return what a world did to its travellers; those who never arrive have no time, and the links that they drove so far."""
    driven = world.driven
    time_s = np.where(np.isfinite(driven.travel_time_s), driven.travel_time_s, np.nan)
    return TripColumns(
        travel_time_s=time_s,
        cost_s=time_s,
        path_start=driven.trips.path_start,
        path_link_idx=driven.trips.path_link,
        departure_s=driven.trips.departure_s,
        arrival_s=np.where(np.isfinite(world.loading.arrival_s), world.loading.arrival_s, np.nan),
    )


def link_times_table(worlds: Mapping[str, QueueCityModel], weight: float) -> pa.Table:
    """Return link_times: a row for each world, link and bin of time in which the link had traffic.

    Vehicles that entered and left in the bin, the mean travel time of those who left (null without any), and the vehicles on the
    link at the end of the bin.
    """
    parts = [_link_times(name, world, weight) for name, world in worlds.items()]
    return pa.concat_tables(parts)


def _link_times(name: str, world: QueueCityModel, weight: float) -> pa.Table:
    bins = world.loading.bins()
    here = bins.vehicles_at_end
    link_idx, at = np.nonzero((bins.entries_veh > 0) | (bins.exits_veh > 0) | (here > 0))
    # Behind the last event of the day come bins whose number depends on the tick; those in which somebody is locked end with it.
    lived = np.flatnonzero((bins.entries_veh > 0).any(axis=0) | (bins.exits_veh > 0).any(axis=0))
    kept = at <= (int(lived[-1]) if len(lived) else -1)
    link_idx, at = link_idx[kept], at[kept]
    left = bins.exits_veh[link_idx, at]
    mean_s = np.divide(bins.travel_time_sum_s[link_idx, at], left, out=np.full(len(left), np.nan), where=left > 0)
    return pa.table(
        {
            "world": pa.array(np.repeat(np.array([name], dtype=object), len(at)), pa.string()),
            "link_idx": pa.array(link_idx.astype(np.int32)),
            "bin_start_s": pa.array(at * bins.bin_s, pa.float64()),
            "entries": pa.array(bins.entries_veh[link_idx, at] * weight, pa.float64()),
            "exits": pa.array(left * weight, pa.float64()),
            "mean_travel_time_s": pa.array(mean_s, pa.float64(), from_pandas=True),
            "vehicles_at_end": pa.array(here[link_idx, at] * weight, pa.float64()),
        }
    )


def city_times_table(worlds: Mapping[str, DrivenDay], weight: float) -> pa.Table:
    """Return city_times: a row for each world and minute, from 0 until the last event.

    Vehicles that have departed and arrived so far, those on links, those of them who wait (their free-flow time on the link is
    over), and those who wait outside for a place on their first link.
    """
    return pa.concat_tables([_city_times(name, driven, weight) for name, driven in worlds.items()])


def _city_times(name: str, driven: DrivenDay, weight: float) -> pa.Table:
    records, departure_s = driven.records, driven.trips.departure_s
    arrival_s = departure_s + driven.travel_time_s
    gone = np.isfinite(records.exit_s)
    last_s = max(float(records.exit_s[gone].max(initial=0.0)), float(departure_s.max(initial=0.0)))
    time_s = np.arange(int(np.ceil(last_s / CITY_STEP_S)) + 1) * CITY_STEP_S
    ready_s = records.entry_s + driven.network.free_flow_time_s[records.link_idx]
    departed, arrived = _so_far(departure_s, time_s), _so_far(arrival_s, time_s)
    on_links = _so_far(records.entry_s, time_s) - _so_far(records.exit_s, time_s)
    # With a gridlocked circle rotated, some leave before they are ready; they wait for nothing.
    waiting = np.maximum(0, _so_far(np.minimum(ready_s, records.exit_s), time_s) - _so_far(records.exit_s, time_s))
    at_origins = departed - arrived - on_links
    columns = {"departed": departed, "arrived": arrived, "on_links": on_links, "waiting": waiting, "at_origins": at_origins}
    return pa.table(
        {"world": pa.array([name] * len(time_s), pa.string()), "time_s": pa.array(time_s)}
        | {key: pa.array(column * weight, pa.float64()) for key, column in columns.items()}
    )


def _so_far(event_s: FloatColumn, time_s: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many events lie before each time."""
    return np.asarray(np.searchsorted(np.sort(event_s), time_s, side="left"), dtype=np.int64)


def trajectories_table(worlds: Mapping[str, DrivenDay], chosen: IndexColumn) -> pa.Table:
    """Return trajectories: a row for each world, chosen traveller and link, in the order of driving; no exit where none was."""
    parts = []
    for name, driven in worlds.items():
        records = driven.records
        row = np.flatnonzero(np.isin(records.vehicle_idx, chosen))
        row = row[np.lexsort((records.entry_s[row], records.vehicle_idx[row]))]
        exit_s = np.where(np.isfinite(records.exit_s[row]), records.exit_s[row], np.nan)
        parts.append(
            pa.table(
                {
                    "world": pa.array(np.repeat(np.array([name], dtype=object), len(row)), pa.string()),
                    "traveller_id": pa.array(records.vehicle_idx[row].astype(np.int64)),
                    "link_idx": pa.array(records.link_idx[row]),
                    "entry_s": pa.array(records.entry_s[row]),
                    "exit_s": pa.array(exit_s, from_pandas=True),
                }
            )
        )
    return pa.concat_tables(parts)


def chosen_travellers(which: str, n_travellers: int, seed: int) -> IndexColumn:
    """Return whose trajectories are written: nobody's ("none"), everybody's ("all") or those of a sample drawn by lot."""
    everybody = np.arange(n_travellers, dtype=np.int32)
    if which == "all" or (which == "sample" and n_travellers <= SAMPLE_TRAVELLERS):
        return everybody
    if which == "none":
        return everybody[:0]
    lot = np.argsort(uniforms(seed, "trajectories", everybody), kind="stable")
    return np.sort(lot[:SAMPLE_TRAVELLERS]).astype(np.int32)
