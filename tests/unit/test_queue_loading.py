"""What a loading accepts and refuses, and what it tells while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.queue_days import loaded, queues_of, trips_of

from sim.errors import InputError
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import TurnTable
from sim.traffic.trips import Trips

CHAIN = queues_of([(0, 1), (1, 2), (0, 2)])


@pytest.mark.parametrize(
    ("vehicles", "message"),
    [
        ([(0.0, [0]), (-1.0, [0])], r"vehicle 1: departure -1.0 \(allowed: seconds from 0"),
        ([(float("nan"), [0])], "vehicle 0: departure nan"),
        ([(float("inf"), [0])], "vehicle 0: departure inf"),
        ([(0.0, [0]), (0.0, [1, 0])], "vehicle 1, link 2 of its path: link 1 does not start where link 2 ends"),
        ([(0.0, [0, 3])], "vehicle 0, link 2 of its path: link position 3"),
        ([(0.0, [-1])], "vehicle 0, link 1 of its path: link position -1"),
        ([(0.0, [0]), (0.0, [])], "vehicle 1: a path without links"),
    ],
)
def test_trips_that_cannot_be_driven(vehicles: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Loading(CHAIN, trips_of(vehicles))


def test_rows_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="1 paths"):
        Loading(CHAIN, Trips(np.zeros(2), np.array([0, 1]), np.array([0])))
    with pytest.raises(InputError, match="path_start"):
        Loading(CHAIN, Trips(np.zeros(1), np.array([0, 2]), np.array([0])))


def test_banned_turns_are_refused() -> None:
    turns = TurnTable(np.array([0, 1, 1, 1]), np.array([1], dtype=np.int32), np.array([np.inf]))
    banned = queues_of([(0, 1), (1, 2), (0, 2)], turns=turns)
    with pytest.raises(InputError, match="the turn from link 1 into link 2 is banned"):
        Loading(banned, trips_of([(0.0, [0, 1])]))
    assert loaded(banned, [(0.0, [2])]).arrival_s.tolist() == [10.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gridlock": "magic"}, "gridlock: 'magic'"),
        ({"patience_s": 0.0}, "patience_s"),
        ({"patience_s": float("inf")}, "patience_s"),
        ({"bin_s": -1.0}, "bin_s"),
        ({"record": "some"}, "record: 'some'"),
        ({"record": np.array([5])}, "vehicle 5"),
    ],
)
def test_options_have_bounds(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Loading(CHAIN, trips_of([(0.0, [0])]), LoadingOptions(**options))


def test_the_clock_does_not_go_back() -> None:
    day = Loading(CHAIN, trips_of([(0.0, [0])]))
    day.advance(5.0)
    for until_s in (4.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="until_s"):
            day.advance(until_s)


@pytest.mark.parametrize(
    ("vehicle", "start", "way", "message"),
    [
        ([0], [0, 1], [1], "vehicle 0 has arrived"),
        ([1, 1], [0, 1, 2], [1, 1], "vehicle 1 is named twice"),
        ([7], [0, 1], [1], "vehicle 7"),
        ([1], [0, 1], [0], "link 1 does not start where the vehicle's link ends"),
        ([2], [0, 0], [], "vehicle 2: a path without links"),
        ([1], [0, 1, 1], [1], "2 ways"),
        ([2], [0, 2], [1, 0], "does not start where link 2 ends"),
    ],
)
def test_ways_that_cannot_be_driven(vehicle: Any, start: Any, way: Any, message: str) -> None:
    day = Loading(CHAIN, trips_of([(0.0, [0]), (5.0, [0, 1]), (50.0, [0, 1])]))
    day.advance(12.0)
    with pytest.raises(InputError, match=message):
        day.reroute(np.array(vehicle), np.array(start), np.array(way, dtype=np.int32))


def test_events_at_the_clock_are_still_to_come() -> None:
    day = Loading(CHAIN, trips_of([(0.0, [0])]))
    day.advance(10.0)
    assert day.n_arrived == 0 and day.clock_s == 10.0
    day.advance(np.nextafter(10.0, 11.0))
    assert day.arrival_s.tolist() == [10.0]


def test_positions_count_the_queue_ahead() -> None:
    """Room for 4, 10 s: at 9 s the one who entered at 6 s would be at 0.3, but three places ahead are taken: 1 - 3/4."""
    network = queues_of([(0, 1)], storage_veh=4, headway_s=[100.0], entry_headway_s=0.0)
    day = Loading(network, trips_of([(0.0, [0]), (2.0, [0]), (4.0, [0]), (6.0, [0])]))
    day.advance(9.0)
    where = day.positions()
    assert where.vehicle_idx.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(where.fraction, [0.9, 0.7, 0.5, 0.25])


def test_some_vehicles_are_recorded_and_the_others_not() -> None:
    day = loaded(CHAIN, [(float(n), [0, 1]) for n in range(6)], record=np.array([1, 4]))
    records = day.records()
    assert records.vehicle_idx.tolist() == [1, 4, 1, 4]
    assert records.link_idx.tolist() == [0, 0, 1, 1]
    whole = loaded(CHAIN, [(float(n), [0, 1]) for n in range(6)]).records()
    chosen = np.isin(whole.vehicle_idx, [1, 4])
    assert records.entry_s.tolist() == whole.entry_s[chosen].tolist()
    assert records.exit_s.tolist() == whole.exit_s[chosen].tolist()


def test_bins_need_a_width() -> None:
    with pytest.raises(InputError, match="bin_s"):
        loaded(CHAIN, [(0.0, [0])]).bins()


def test_new_ways_again_and_again_need_no_more_room() -> None:
    """Ways that grow and shrink: what was driven is thrown away before the column of paths grows."""
    ring = queues_of([(0, 1), (1, 0)], free_flow_time_s=1.0)
    day = Loading(ring, trips_of([(0.0, [0] + [1, 0] * 30)] * 3))
    for clock_s in range(1, 200):
        day.advance(float(clock_s))
        where = day.positions()
        order = np.argsort(where.vehicle_idx)
        ways = [[1 - where.link_idx[k], where.link_idx[k]] * (1 + clock_s % 40) for k in order]
        if ways:
            start = np.cumsum([0, *map(len, ways)])
            day.reroute(where.vehicle_idx[order], start, np.concatenate(ways).astype(np.int32))
    day.run()
    assert day.n_arrived == 3
    assert len(day._queues.path) < 1000


def test_nobody_is_no_problem() -> None:
    day = Loading(CHAIN, trips_of([]))
    day.run()
    assert day.n_arrived == day.n_on_links == day.n_at_origins == 0
    assert day.vehicle_seconds() == 0.0
