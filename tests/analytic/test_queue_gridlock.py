"""A ring of full links: held or moved up, by hand.

Four links in a ring, one vehicle each (10 s, backward 2 s, no headways). Vehicle k starts on link k at 0 and drives three
links. At 10 s each is at its head and the next link is full: gridlock. Patience 60 s: the check at 60 finds first vehicles
that have waited 50 s; the one at 120 moves all of them up. At 130 they are blocked again, at 240 the check moves them up
once more, and at 250 they arrive.
"""

from __future__ import annotations

import numpy as np
from reference.queue_days import loaded, queues_of, times_of, trips_of

from sim.traffic.loading import Loading, LoadingOptions

RING = queues_of([(0, 1), (1, 2), (2, 3), (3, 0)], storage_veh=1, headway_s=0.0, backward_time_s=2.0)
DRIVERS = [(0.0, [k, (k + 1) % 4, (k + 2) % 4]) for k in range(4)]


def test_rotation_moves_everybody_up_and_is_counted() -> None:
    day = loaded(RING, DRIVERS, patience_s=60.0)
    assert day.arrival_s.tolist() == [250.0] * 4
    assert (day.rotations, day.rotated_vehicles) == (2, 8)
    assert times_of(day, 0) == ([0.0, 120.0, 240.0], [120.0, 240.0, 250.0])


def test_hold_leaves_them_and_says_so() -> None:
    day = loaded(RING, DRIVERS, gridlock="hold", patience_s=60.0)
    assert (day.n_arrived, day.n_on_links, day.rotations) == (0, 4, 0)
    assert len(day.locked_links()) == 1
    assert day.vehicle_seconds() == 4 * day.clock_s


def test_a_queue_that_moves_is_no_gridlock() -> None:
    """A line of full links behind a slow exit waits longer than patience, but is no cycle."""
    network = queues_of([(0, 1), (1, 2), (2, 3)], storage_veh=1, headway_s=[0.0, 0.0, 500.0], entry_headway_s=0.0)
    day = loaded(network, [(0.0, [0, 1, 2])] * 3, patience_s=30.0)
    assert day.rotations == 0
    assert np.diff(day.arrival_s).tolist() == [500.0, 500.0]


def test_a_new_way_out_ends_gridlock() -> None:
    """One of the four turns off instead: the ring dissolves without a rotation."""
    network = queues_of([(0, 1), (1, 2), (2, 3), (3, 0), (1, 4)], storage_veh=1, headway_s=0.0, backward_time_s=2.0)
    day = Loading(network, trips_of(DRIVERS), LoadingOptions(patience_s=1000.0))
    day.advance(50.0)
    assert day.n_arrived == 0 and len(day.locked_links()) == 1
    day.reroute(np.array([0]), np.array([0, 1]), np.array([4]))
    day.advance(900.0)
    # Vehicle 0 leaves link 0 at 50; vehicle 3 follows at 52 into link 0, vehicle 2 at 54 into link 3, vehicle 1 at 56 into
    # link 2.
    assert day.arrival_s[0] == 60.0 and day.n_arrived == 4 and day.rotations == 0
