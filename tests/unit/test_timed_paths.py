"""What one more vehicle would meet in the traffic of a day, against the twin, and against what everybody experienced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from reference.queue_cases import PLENTY, finder_of, queues_of, small_cases
from reference.timed_search import PlainDay

from sim.errors import InputError
from sim.traffic.behaviour import one_shot, reactive
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import full_gap
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, TripEnds, path_costs, with_paths

Case = tuple[QueueNetwork, PathFinder, np.ndarray]


def day_of_case(case: Case) -> DrivenDay:
    """Drive everybody's free-flow way."""
    network, finder, departure_s = case
    return drive(network, one_shot(network, finder, departure_s))


@given(small_cases())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_own_way_takes_what_was_experienced(case: Case) -> None:
    driven = day_of_case(case)
    if driven.rotations == 0:
        trips = driven.trips
        own_s = path_costs(driven.day, trips.departure_s, trips.path_start, trips.path_link)
        assert own_s == pytest.approx(driven.travel_time_s, abs=1e-6)


@given(small_cases())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_search_finds_what_the_twin_finds(case: Case) -> None:
    network, finder, departure_s = case
    driven = day_of_case(case)
    plain = PlainDay(driven)
    everybody = np.arange(len(departure_s), dtype=np.int32)
    asked_s = departure_s + 7.5
    ways = finder.search(driven.day, everybody, asked_s, np.full(len(everybody), np.inf))
    for vehicle in everybody[:20]:
        origin, destination = finder.ends.origin_idx[vehicle], finder.ends.destination_idx[vehicle]
        path = ways.path_link[ways.path_start[vehicle] : ways.path_start[vehicle + 1]].tolist()
        assert network.tail_idx[path[0]] == origin and network.head_idx[path[-1]] == destination
        arrival_s = asked_s[vehicle] + ways.time_s[vehicle]
        assert arrival_s == pytest.approx(plain.arrival(path, asked_s[vehicle]), abs=1e-6)
        assert arrival_s == pytest.approx(plain.earliest(origin, destination, asked_s[vehicle]), abs=1e-6)


@given(small_cases())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_nobody_beats_free_flow_and_the_gap_is_a_share(case: Case) -> None:
    _, finder, _ = case
    driven = day_of_case(case)
    assert (driven.travel_time_s >= finder.free_time_s - 1e-6).all()
    assert 0.0 <= full_gap(finder, driven) < 1.0


def bottleneck() -> Case:
    """Ten vehicles at once through a bottleneck of 5 s headway; a way round takes 60 s more."""
    network = queues_of([(0, 1, 10.0, 0.5, PLENTY), (1, 2, 20.0, 5.0, PLENTY), (1, 2, 80.0, 0.5, PLENTY)])
    return network, finder_of(network, [0] * 10, [2] * 10), np.zeros(10)


def test_one_more_vehicle_waits_for_those_before() -> None:
    # They enter the bottleneck at 10, 15, ..., 55 s and leave it at 30, 35, ..., 75 s. Who departs at 2 s is behind all ten: 80
    # s.
    network, finder, _ = bottleneck()
    day = drive(network, one_shot(network, finder, np.zeros(10))).day
    two_s = np.array([2.0])
    path = np.array([0, 1], dtype=np.int32)
    assert path_costs(day, two_s, np.array([0, 2]), path).tolist() == [78.0]
    # Who departs at 28 s still leaves at 80 s; at 60 s nobody is before him.
    assert path_costs(day, np.array([28.0]), np.array([0, 2]), path).tolist() == [52.0]
    assert path_costs(day, np.array([60.0]), np.array([0, 2]), path).tolist() == [30.0]


def test_who_may_cost_no_more_than_a_limit_is_not_found_above_it() -> None:
    network, finder, departure_s = bottleneck()
    day = drive(network, one_shot(network, finder, departure_s)).day
    first = np.array([0], dtype=np.int32)
    ways = finder.search(day, first, np.array([2.0]), np.array([78.0]))
    assert ways.cost_s.tolist() == [np.inf] and ways.path_start.tolist() == [0, 0]
    assert finder.search(day, first, np.array([2.0]), np.array([78.5])).time_s.tolist() == [78.0]


def test_same_bytes_on_one_and_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    luck = np.random.default_rng(3)
    pairs = [(node, (node + step) % 12) for node in range(12) for step in (1, 5)]
    network = queues_of([(a, b, 20.0 + a, 3.0, 20) for a, b in pairs])
    origin = luck.integers(0, 12, 400)
    finder = finder_of(network, origin.tolist(), ((origin + luck.integers(1, 12, 400)) % 12).tolist())
    departure_s = np.sort(luck.uniform(0, 600, 400))
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("ROUTEPACT_THREADS", threads)
        driven, trips = reactive(network, finder, departure_s, every_s=60.0, share=0.7, seed=5)
        everybody = np.arange(400, dtype=np.int32)
        ways = finder.search(driven.day, everybody, departure_s, np.full(400, np.inf))
        columns = (trips.path_start, trips.path_link, driven.travel_time_s, ways.cost_s, ways.path_start, ways.path_link)
        found.append([column.tobytes() for column in columns])
    assert found[0] == found[1]


def test_paths_of_some_are_exchanged() -> None:
    network, finder, departure_s = bottleneck()
    trips = one_shot(network, finder, departure_s)
    moved = with_paths(trips, np.array([3, 1], dtype=np.int32), np.array([0, 2, 3]), np.array([0, 2, 0], dtype=np.int32))
    paths = [moved.path_link[a:b].tolist() for a, b in zip(moved.path_start[:-1], moved.path_start[1:], strict=True)]
    assert paths == [[0, 1], [0], [0, 1], [0, 2]] + [[0, 1]] * 6


def test_reactive_drivers_leave_the_queue_and_others_stay() -> None:
    network = queues_of(
        [(0, 1, 10.0, 5.0, PLENTY), (1, 2, 20.0, 0.5, PLENTY), (0, 3, 40.0, 0.5, PLENTY), (3, 2, 50.0, 0.5, PLENTY)]
    )
    departure_s = np.arange(300.0)
    finder = finder_of(network, [0] * 300, [2] * 300)
    stay, _ = reactive(network, finder, departure_s, every_s=30.0, share=0.0, seed=1)
    follow, trips = reactive(network, finder, departure_s, every_s=30.0, share=1.0, seed=1)
    assert (trips.path_link == 2).sum() > 100
    assert follow.total_time_s < 0.5 * stay.total_time_s
    again = drive(network, trips)
    # Whoever knows from the start where he ends up does not wait in the other queue first.
    assert again.total_time_s <= follow.total_time_s


def test_bad_trip_ends_are_named() -> None:
    with pytest.raises(InputError, match="vehicle 1"):
        TripEnds(np.array([0, 2]), np.array([1, 2]))
    network = queues_of([(0, 1, 10.0, 1.0, 5)])
    with pytest.raises(InputError, match="no way"):
        finder_of(network, [1], [0])
