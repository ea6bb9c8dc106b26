"""What links broadcast after a day: what one more vehicle on them costs others, by the time of leaving.

Nothing but the records of the driven day goes into it. The mathematics is in `sim.kernels.external_delay`: the forest of what had
to wait for what. Three things are made of it:

- `external_delay_tolls`: the charge of one more vehicle by link and step of time, as tolls for the search for ways;
- `memory_of`: the same over several days. On a single day a charge says what would change if everything else stayed in its order;
  with spillback a few vehicles in another order change whole queues, so that one day's charges are noisy. The mean over days,
  weighing the past by `memory`, is what ways are searched with.
- Whose time counts: each arrival counts with a weight, by default 1. A market whose members are a part of the travellers counts
  theirs alone.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels.external_delay import NOTHING, charge_records, mean_by_step, weigh_events
from sim.traffic.driven_day import DrivenDay
from sim.traffic.timed_paths import Tolls


def external_delay_tolls(driven: DrivenDay, step_s: float, worth: FloatColumn | None = None) -> Tolls:
    """Return what one more vehicle costs the others, by link and step of time.

    Parameters
    ----------
    driven
        A day with everybody's records.
    step_s
        Width of the steps, above 0.
    worth
        What a second of each vehicle counts, 0 or above, shape (n_vehicles,); 1 if not given.
    """
    charge_s = charges_s(driven, worth)
    records = driven.records
    start = _step_starts(records.start, records.exit_s, step_s)
    toll_s = np.zeros(int(start[-1]))
    mean_by_step(records.start, records.exit_s, charge_s, step_s, start, toll_s)
    return Tolls(start, toll_s, np.full(driven.network.n_links, step_s))


def charges_s(driven: DrivenDay, worth: FloatColumn | None = None) -> FloatColumn:
    """Return what one more vehicle right behind that of each record would cost the others for driving that link.

    Parameters as for `external_delay_tolls`; shape (n_records,), in the order of `driven.records`.
    """
    network, records, trips = driven.network, driven.records, driven.trips
    n_records = len(records.vehicle_idx)
    link = records.link_idx
    next_record, entry_event, first = _chains(records.vehicle_idx, records.entry_s, trips.n_vehicles)
    time_s = np.empty(n_records + trips.n_vehicles)
    time_s[:n_records] = records.exit_s
    time_s[n_records:] = records.entry_s[first]
    weight = np.zeros(len(time_s))
    arrives = np.flatnonzero(next_record[:n_records] == NOTHING)
    weight[arrives] = 1.0 if worth is None else worth[records.vehicle_idx[arrives]]
    waited = np.zeros(len(time_s), dtype=np.uint8)
    order = np.argsort(time_s, kind="stable")
    rules = (network.headway_s, network.entry_headway_s)
    weigh_events(
        order, records.start, link, next_record, entry_event, records.entry_s, records.exit_s, network.free_flow_time_s, *rules,
        network.backward_time_s, network.storage_veh, weight, waited,
    )  # fmt: skip
    charge_s = np.empty(n_records)
    charge_records(
        records.start, link, next_record, entry_event, records.entry_s, records.exit_s, *rules, weight, waited, charge_s
    )
    return charge_s


def memory_of(past: Tolls | None, today: Tolls, memory: float) -> Tolls:
    """Return memory * past + (1 - memory) * today, step by step; steps that one of them has not count as 0 there.

    Both have the same width of steps.
    """
    if past is None:
        return today
    length = np.maximum(np.diff(past.start), np.diff(today.start))
    start = np.zeros(len(length) + 1, dtype=np.int64)
    np.cumsum(length, out=start[1:])
    toll_s = np.zeros(int(start[-1]))
    for tolls, part in ((past, memory), (today, 1.0 - memory)):
        own = np.diff(tolls.start)
        place = np.arange(int(tolls.start[-1])) + np.repeat(start[:-1] - tolls.start[:-1], own)
        toll_s[place] += part * tolls.toll_s
    return Tolls(start, toll_s, today.step_s)


def _chains(vehicle_idx: IndexColumn, entry_s: FloatColumn, n_vehicles: int) -> tuple[OffsetColumn, OffsetColumn, OffsetColumn]:
    """Return the record that begins with each event, the event with which each record begins, and everybody's first record."""
    n_records = len(vehicle_idx)
    by_vehicle = np.lexsort((entry_s, vehicle_idx))
    vehicle = vehicle_idx[by_vehicle]
    is_first = np.ones(n_records, dtype=np.bool_)
    is_first[1:] = vehicle[1:] != vehicle[:-1]
    next_record = np.full(n_records + n_vehicles, NOTHING, dtype=np.int64)
    entry_event = np.empty(n_records, dtype=np.int64)
    goes_on = np.flatnonzero(~is_first)
    next_record[by_vehicle[goes_on - 1]] = by_vehicle[goes_on]
    entry_event[by_vehicle[goes_on]] = by_vehicle[goes_on - 1]
    first = by_vehicle[is_first]
    entry_event[first] = n_records + vehicle[is_first]
    next_record[n_records + vehicle[is_first]] = first
    return next_record, entry_event, first


def _step_starts(start: OffsetColumn, exit_s: FloatColumn, step_s: float) -> OffsetColumn:
    last_s = np.zeros(len(start) - 1)
    used = np.diff(start) > 0
    last_s[used] = exit_s[start[1:][used] - 1]
    steps = np.zeros(len(start), dtype=np.int64)
    np.cumsum(np.floor(last_s / step_s).astype(np.int64) + used, out=steps[1:])
    return steps
