"""One bottleneck is a point queue, vehicle by vehicle.

Links 0 (free, 10 s) and 1 (20 s, headway 3 s, so 1,200 vehicles an hour). Vehicle n departs at 2 n s, enters link 1 at 2 n
+ 10 and would reach its head at 2 n + 30. Exits are 3 s apart: exit(n) = max(2 n + 30, exit(n - 1) + 3) = 30 + 3 n. So
vehicle n waits n seconds, and with departures every 4 s nobody waits.
"""

from __future__ import annotations

import numpy as np
import pytest
from reference.queue_days import loaded, queues_of, times_of

BOTTLENECK = queues_of(
    [(0, 1), (1, 2)], free_flow_time_s=[10.0, 20.0], headway_s=[0.0, 3.0], entry_headway_s=0.0, storage_veh=1000
)


def test_queue_grows_by_a_second_a_vehicle() -> None:
    day = loaded(BOTTLENECK, [(2.0 * n, [0, 1]) for n in range(50)])
    assert day.arrival_s.tolist() == [30.0 + 3.0 * n for n in range(50)]
    assert day.vehicle_seconds() == sum(30.0 + n for n in range(50))


def test_nobody_waits_below_capacity() -> None:
    day = loaded(BOTTLENECK, [(4.0 * n, [0, 1]) for n in range(50)])
    assert day.travel_time_s().tolist() == [30.0] * 50


@pytest.mark.parametrize("seed", range(3))
def test_any_departures_give_the_point_queue(seed: int) -> None:
    departure_s = np.sort(np.random.default_rng(seed).uniform(0.0, 200.0, 100))
    day = loaded(BOTTLENECK, [(time_s, [0, 1]) for time_s in departure_s])
    before_s, expected = -np.inf, []
    for time_s in departure_s:
        before_s = max(time_s + 10.0 + 20.0, before_s + 3.0)
        expected.append(before_s)
    assert day.arrival_s.tolist() == expected


def test_capacity_drop_slows_those_behind_one_who_waited() -> None:
    """Drop 1/4: the headway behind a vehicle that has waited is 3 / (1 - 1/4) = 4 s.

    Departures every 2 s. Vehicle 0 does not wait (exit 30), so 1 follows after 3 s, at 33 (ready at 32: it has waited).
    From then on 4 s.
    """
    network = queues_of(
        [(0, 1), (1, 2)], free_flow_time_s=[10.0, 20.0], headway_s=[0.0, 3.0], entry_headway_s=0.0, capacity_drop=0.25
    )
    day = loaded(network, [(2.0 * n, [0, 1]) for n in range(10)])
    assert day.arrival_s.tolist() == [30.0, *(33.0 + 4.0 * n for n in range(9))]


def test_entry_is_no_wider_than_the_link() -> None:
    """Ten vehicles at once at an origin enter a link of 3 s headway every 3 s, and leave it 20 s later without further delay."""
    network = queues_of([(0, 1)], free_flow_time_s=20.0, headway_s=3.0)
    day = loaded(network, [(0.0, [0])] * 10)
    entry_s, exit_s = times_of(day, 0)
    assert entry_s == [3.0 * n for n in range(10)]
    assert exit_s == [20.0 + 3.0 * n for n in range(10)]
