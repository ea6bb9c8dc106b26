"""A short link fills up, its queue spills back, and gaps travel upstream at the backward wave's speed."""

from __future__ import annotations

import numpy as np
from reference.queue_days import loaded, queues_of, times_of


def test_a_short_link_spills_back_at_the_right_instant() -> None:
    """Link 0 (10 s) feeds link 1 (5 s, room for 2, backward time 4 s), which lets one vehicle out every 10 s.

    Vehicles depart every second; all enter link 0 freely and are ready at its head at 10 + n. Link 1: entries 0 and 1 at 10
    and 11 fill it. Exits at 15, 25, 35, ... Entry n waits for exit n - 2 plus 4: entry 2 at 15 + 4 = 19, entry 3 at 29,
    entry n at 10 n - 1.
    """
    network = queues_of(
        [(0, 1), (1, 2)],
        free_flow_time_s=[10.0, 5.0],
        backward_time_s=[10.0, 4.0],
        headway_s=[0.0, 10.0],
        entry_headway_s=0.0,
        storage_veh=[1000, 2],
    )
    day = loaded(network, [(float(n), [0, 1]) for n in range(8)])
    entry_s, exit_s = times_of(day, 1)
    assert exit_s == [15.0 + 10.0 * n for n in range(8)]
    assert entry_s == [10.0, 11.0, *(10.0 * n - 1.0 for n in range(2, 8))]
    assert times_of(day, 0)[1] == entry_s


def test_a_full_first_link_keeps_vehicles_at_their_origin() -> None:
    """Link 0 takes 1 vehicle, 10 s, backward time 2 s: entries every 12 s; the time at the origin counts."""
    network = queues_of([(0, 1)], storage_veh=1, headway_s=0.0, backward_time_s=2.0)
    day = loaded(network, [(0.0, [0])] * 4)
    assert times_of(day, 0)[0] == [0.0, 12.0, 24.0, 36.0]
    assert day.travel_time_s().tolist() == [10.0, 22.0, 34.0, 46.0]


def test_a_starting_wave_travels_at_the_backward_speed() -> None:
    """A column of full links behind a red light starts moving link by link.

    Links 0 to 4 of 4 vehicles each (free-flow 4 s, backward time 20 s, no headways); link 4 has a light that is red until
    1,000 s. 60 vehicles are waiting by then: all links are full. At 1,000 s all four of link 4 leave at once (no headway),
    so its places are free for link 3 at 1,000 + 20, those of link 3 at 1,040, and so on: the wave takes 20 s a link. The
    link is 20 m say at 1 m/s: kinematic wave theory.
    """
    from sim.traffic.queue_network import Signals

    size = 5
    lights = np.zeros(size), np.zeros(size), np.zeros(size)
    for column, value in zip(lights, (2000.0, 999.0, 1000.0), strict=True):
        column[4] = value
    network = queues_of(
        [(k, k + 1) for k in range(size)],
        free_flow_time_s=4.0,
        backward_time_s=20.0,
        headway_s=0.0,
        storage_veh=4,
        signals=Signals(*lights),
    )
    day = loaded(network, [(float(n), list(range(size))) for n in range(20)], patience_s=1e6)
    for link in range(size):
        _, exit_s = times_of(day, link)
        moving_again = min(time_s for time_s in exit_s if time_s >= 1000.0)
        assert moving_again == 1000.0 + 20.0 * (size - 1 - link)


def test_a_shock_wave_moves_at_the_fundamental_diagrams_speed() -> None:
    """The back of a queue grows upstream at (q_in - q_out) / (k_free - k_queue), Rankine and Hugoniot.

    A chain of 40 cells of 10 m: free speed 10 m/s (1 s a cell), wave speed 5 m/s (2 s a cell), one vehicle in 5 m (2 a
    cell). Capacity of that triangle: 0.2 / (1/10 + 1/5) = 2/3 vehicles a second. Inflow 1/2 a second, and behind the last
    cell 1/4 a second can leave. Free flow: k = 0.05 a metre. Queue: q = 1/4 = 5 (0.2 - k), so k = 0.15. Shock: (1/4 - 1/2)
    / (0.15 - 0.05) = -2.5 m/s: one cell upstream every 4 s.
    """
    cells = 40
    network = queues_of(
        [(k, k + 1) for k in range(cells + 1)],
        free_flow_time_s=1.0,
        backward_time_s=2.0,
        headway_s=[1.5] * (cells - 1) + [4.0] + [0.0],
        entry_headway_s=0.0,
        storage_veh=[2] * cells + [1000],
    )
    day = loaded(network, [(2.0 * n, list(range(cells + 1))) for n in range(200)], patience_s=1e6)
    delayed_from_s = []
    for cell in range(cells - 20, cells):
        entry_s, exit_s = map(np.array, times_of(day, cell))
        # In the queue a cell of 2 vehicles a quarter a second takes 6 s and more instead of 1 s; halfway in between is the
        # shock.
        delayed_from_s.append(entry_s[np.argmax(exit_s - entry_s > 3.0)])
    seconds_a_cell = -np.polyfit(np.arange(20), delayed_from_s, 1)[0]
    assert abs(seconds_a_cell - 4.0) < 0.15
