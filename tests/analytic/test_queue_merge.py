"""Who comes in where links merge, and what signals and turn penalties do, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from reference.queue_days import loaded, queues_of, times_of

from sim.traffic.queue_network import Signals, TurnTable


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (0.5, 2.0)])
def test_two_queues_share_a_link_in_proportion_to_their_weights(weights: tuple[float, float]) -> None:
    """Links 0 and 1 always have somebody waiting for link 2, which takes one vehicle every 2 s."""
    network = queues_of(
        [(0, 2), (1, 2), (2, 3)],
        headway_s=[0.0, 0.0, 2.0],
        entry_headway_s=[0.0, 0.0, 2.0],
        merge_weight=[*weights, 1.0],
        storage_veh=500,
    )
    day = loaded(network, [(0.0, [source, 2]) for _ in range(300) for source in (0, 1)])
    assert times_of(day, 2)[0] == [10.0 + 2.0 * n for n in range(600)]
    first = np.array(times_of(day, 0)[1])
    n_first = int((first < 10.0 + 2.0 * 240).sum())
    assert abs(n_first - 240 * weights[0] / sum(weights)) <= 1


def test_what_one_does_not_use_falls_to_the_other() -> None:
    """Link 0 sends one vehicle every 20 s, far below its half of one every 2 s: nobody of it waits for more than one other."""
    network = queues_of([(0, 2), (1, 2), (2, 3)], headway_s=[0.0, 0.0, 2.0], entry_headway_s=[0.0, 0.0, 2.0], storage_veh=500)
    day = loaded(network, [(0.0, [1, 2])] * 200 + [(20.0 * n + 5.0, [0, 2]) for n in range(15)])
    rare = day.travel_time_s()[200:]
    assert (rare <= 20.0 + 2.0 + 2.0).all() and times_of(day, 2)[0] == [10.0 + 2.0 * n for n in range(215)]


def test_origin_shares_with_the_traffic_that_passes() -> None:
    """Traffic from link 0 and departures on link 1 both queue for link 1; weights 3 and 1."""
    network = queues_of(
        [(0, 1), (1, 2)], headway_s=[0.0, 2.0], entry_headway_s=[0.0, 2.0], merge_weight=[3.0, 1.0], storage_veh=500
    )
    day = loaded(network, [(0.0, [0, 1])] * 200 + [(10.0, [1])] * 200)
    entered_by_210_s = np.array(times_of(day, 0)[1]) < 210.0
    assert abs(int(entered_by_210_s.sum()) - 75) <= 1


def test_signal_lets_out_while_green() -> None:
    """Cycle 30 s, green for 10 s from 5 s on, headway 2 s: 5 vehicles a cycle, at 35, 37, 39, 41, 43, then 65, ...

    Vehicles are ready from 20 s on, when it is red; green is from 35 to 45, and an exit at 45 would be late.
    """
    signals = Signals(np.array([30.0, 0.0]), np.array([10.0, 0.0]), np.array([5.0, 0.0]))
    network = queues_of(
        [(0, 1), (1, 2)], free_flow_time_s=[20.0, 1.0], headway_s=[2.0, 0.0], entry_headway_s=0.0, signals=signals
    )
    day = loaded(network, [(0.0, [0, 1])] * 12)
    assert times_of(day, 0)[1] == [35.0 + 30.0 * cycle + 2.0 * n for cycle in range(3) for n in range(5)][:12]


def test_red_gives_way_to_the_other_link() -> None:
    """Link 2 opens at 12 while link 0, first in the list, has red until 20: link 1 goes."""
    signals = Signals(np.array([20.0, 0.0, 0.0]), np.array([5.0, 0.0, 0.0]), np.array([6.0, 0.0, 0.0]))
    network = queues_of([(0, 2), (1, 2), (2, 3)], headway_s=[0.0, 0.0, 0.0], entry_headway_s=[0.0, 0.0, 6.0], signals=signals)
    # Green from 6 to 11: vehicle 0 enters at 10, the entry opens again at 16, when link 0 has red until 26.
    day = loaded(network, [(0.0, [0, 2]), (0.5, [0, 2]), (0.7, [1, 2])])
    assert times_of(day, 2)[0] == [10.0, 16.0, 26.0]
    assert day.records().vehicle_idx[-3:].tolist() == [0, 2, 1]


def test_turn_penalty_delays_those_behind_too() -> None:
    """Left turns (into link 1) take 5 s more; the vehicle behind goes straight on (link 2) and cannot pass."""
    turns = TurnTable(np.array([0, 2, 2, 2]), np.array([1, 2], dtype=np.int32), np.array([5.0, 0.0]))
    network = queues_of([(0, 1), (1, 2), (1, 3)], headway_s=1.0, entry_headway_s=0.0, turns=turns)
    day = loaded(network, [(0.0, [0, 1]), (1.0, [0, 2]), (9.0, [0, 2])])
    assert times_of(day, 0)[1] == [15.0, 16.0, 19.0]
