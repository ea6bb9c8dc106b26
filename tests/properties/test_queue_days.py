"""Any day of queue traffic: the kernel against its slow twin, and what holds in every state."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.queue_days import days
from reference.queue_loading import EXIT, SlowLoading

from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.trips import Trips

Day = tuple[QueueNetwork, Trips, LoadingOptions]
END_S = 2000.0


@settings(max_examples=150, deadline=None, derandomize=True)
@given(days())
def test_kernel_is_its_slow_twin(day: Day) -> None:
    network, trips, options = day
    fast = Loading(network, trips, options)
    fast.advance(END_S)
    slow = SlowLoading(network, trips, options)
    slow.run(END_S)
    assert fast.arrival_s.tolist() == slow.arrival_s
    assert (fast.rotations, fast.rotated_vehicles) == (slow.rotations, slow.rotated_vehicles)
    records = fast.records()
    for link in range(network.n_links):
        rows = slice(records.start[link], records.start[link + 1])
        queue = slow.queues[EXIT, link]
        assert records.entry_s[rows].tolist() == queue.entries
        assert [time_s for time_s in records.exit_s[rows].tolist() if time_s < np.inf] == queue.exits
        assert fast.occupancy_veh[link] == len(queue.vehicles)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(days(), st.data())
def test_new_ways_are_those_of_the_slow_twin(day: Day, data: st.DataObject) -> None:
    network, trips, options = day
    fast, slow = Loading(network, trips, options), SlowLoading(network, trips, options)
    now_s = 0.0
    for clock_s in sorted(data.draw(st.lists(st.sampled_from((0.0, 3.0, 11.0, 25.5, 60.0, 61.0)), max_size=3, unique=True))):
        fast.advance(clock_s)
        now_s = slow.run(clock_s, now_s)
        under_way = np.flatnonzero(~fast.arrived).tolist()
        chosen = data.draw(st.lists(st.sampled_from(under_way), max_size=4, unique=True)) if under_way else []
        ways = []
        for vehicle in chosen:
            ways.append(data.draw(ways_from(network, start_node(network, slow, vehicle), slow.step[vehicle] == 0)))
            slow.reroute(vehicle, ways[-1], clock_s)
        fast.reroute(
            np.array(chosen, dtype=np.int32),
            np.cumsum([0, *map(len, ways)]),
            np.array([link for way in ways for link in way], dtype=np.int32),
        )
    fast.advance(END_S)
    slow.run(END_S, now_s)
    assert fast.arrival_s.tolist() == slow.arrival_s
    records = fast.records()
    for link in range(network.n_links):
        rows = slice(records.start[link], records.start[link + 1])
        assert records.entry_s[rows].tolist() == slow.queues[EXIT, link].entries


def start_node(network: QueueNetwork, slow: SlowLoading, vehicle: int) -> int:
    """Where the vehicle's new way starts: the end of its link, or where it departs."""
    path, step = slow.paths[vehicle], slow.step[vehicle]
    return int(network.tail_idx[path[0]] if step == 0 else network.head_idx[path[step - 1]])


@st.composite
def ways_from(draw: st.DrawFn, network: QueueNetwork, node: int, needs_link: bool) -> list[int]:
    """Draw a connected way from a node."""
    way: list[int] = []
    for _ in range(draw(st.integers(1 if needs_link else 0, 4))):
        way.append(draw(st.sampled_from(np.flatnonzero(network.tail_idx == node).tolist())))
        node = int(network.head_idx[way[-1]])
    return way


@settings(max_examples=60, deadline=None, derandomize=True)
@given(days(), st.lists(st.floats(0.0, 150.0), max_size=12))
def test_ticks_change_nothing(day: Day, ticks: list[float]) -> None:
    network, trips, options = day
    at_once, in_ticks = Loading(network, trips, options), Loading(network, trips, options)
    at_once.advance(END_S)
    for tick in [*sorted(ticks), END_S]:
        in_ticks.advance(tick)
    assert at_once.arrival_s.tobytes() == in_ticks.arrival_s.tobytes()
    one, other = at_once.records(), in_ticks.records()
    for name in ("start", "vehicle_idx", "entry_s", "exit_s"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    for name in ("entries_veh", "exits_veh", "travel_time_sum_s"):
        assert getattr(at_once.bins(), name).tobytes() == getattr(in_ticks.bins(), name).tobytes()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(days())
def test_what_holds_at_any_time(day: Day) -> None:
    """Nobody is lost or doubled, no link holds more than its storage, and the clock's vehicle-seconds add up."""
    network, trips, options = day
    loading = Loading(network, trips, options)
    for clock_s in np.arange(0.0, 120.0, 7.3):
        loading.advance(clock_s)
        where = loading.positions()
        assert len(set(where.vehicle_idx.tolist())) == len(where.vehicle_idx) == loading.n_on_links
        assert not loading.arrived[where.vehicle_idx].any()
        assert ((where.fraction >= 0) & (where.fraction <= 1)).all()
        assert (np.bincount(where.link_idx, minlength=network.n_links) == loading.occupancy_veh).all()
        assert (loading.occupancy_veh <= network.storage_veh).all()
        assert loading.n_arrived + loading.n_on_links + loading.n_at_origins == trips.n_vehicles
        by_hand = sum(max(0.0, min(a, clock_s) - d) for a, d in zip(loading.arrival_s, trips.departure_s, strict=True))
        assert np.isclose(loading.vehicle_seconds(), by_hand)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(days())
def test_every_link_keeps_its_laws(day: Day) -> None:
    """Free-flow time, order, headways and storage on every link, from the records alone."""
    network, trips, options = day
    loading = Loading(network, trips, options)
    loading.advance(END_S)
    records, n_rotated = loading.records(), loading.rotated_vehicles
    for link in range(network.n_links):
        rows = slice(records.start[link], records.start[link + 1])
        entry_s, exit_s = records.entry_s[rows], records.exit_s[rows]
        assert (exit_s - entry_s >= network.free_flow_time_s[link] - 1e-9).all() or n_rotated
        assert (np.diff(exit_s[exit_s < np.inf]) >= network.headway_s[link] - 1e-9).all() or n_rotated
        assert (np.diff(entry_s) >= network.entry_headway_s[link] - 1e-9).all() or n_rotated
        storage = int(network.storage_veh[link])
        freed_s = exit_s[: max(0, len(entry_s) - storage)]
        assert (entry_s[storage:] >= freed_s).all()
        assert (entry_s[storage:] >= freed_s + network.backward_time_s[link] - 1e-9).all() or n_rotated


@settings(max_examples=40, deadline=None, derandomize=True)
@given(days())
def test_bins_add_up_to_the_records(day: Day) -> None:
    network, trips, options = day
    loading = Loading(network, trips, options)
    loading.advance(END_S)
    bins, records = loading.bins(), loading.records()
    left = records.exit_s < np.inf
    entries = np.zeros_like(bins.entries_veh)
    np.add.at(entries, (records.link_idx, (records.entry_s / options.bin_s).astype(int)), 1)
    exits = np.zeros_like(bins.exits_veh)
    np.add.at(exits, (records.link_idx[left], (records.exit_s[left] / options.bin_s).astype(int)), 1)
    time_s = np.zeros_like(bins.travel_time_sum_s)
    np.add.at(
        time_s,
        (records.link_idx[left], (records.exit_s[left] / options.bin_s).astype(int)),
        (records.exit_s - records.entry_s)[left],
    )
    assert (bins.entries_veh == entries).all() and (bins.exits_veh == exits).all()
    np.testing.assert_allclose(bins.travel_time_sum_s, time_s, atol=1e-9)
    assert (bins.vehicles_at_end[:, -1] == loading.occupancy_veh).all()
