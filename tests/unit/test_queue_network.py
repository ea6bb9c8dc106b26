"""From road networks to queues, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.queue_days import queues_of

from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import plain_network
from sim.traffic.queue_network import QueueRules, Signals, TurnTable, queue_network


def road(**columns: Any) -> RoadNetwork:
    given = {"length_m": [1000.0], "free_flow_time_s": [72.0], "capacity_vph": [1800.0], "lanes": [2.0], "free_speed_kph": [50.0]}
    return plain_network("road", node_xy=[(0.0, 0.0), (1000.0, 0.0)], tail_idx=[0], head_idx=[1], **(given | columns))


def test_a_stated_street() -> None:
    """1 km at 50 km/h, two lanes: 266 vehicles of 7.5 m; gaps travel back at 18 km/h, in 200 s; 2 s between vehicles."""
    queues = queue_network(road(), QueueRules())
    assert queues.storage_veh.tolist() == [266]
    assert queues.backward_time_s.tolist() == [200.0]
    assert queues.headway_s.tolist() == queues.entry_headway_s.tolist() == [2.0]
    assert queues.free_flow_time_s.tolist() == [72.0]


def test_lanes_from_capacity_and_length_from_time_where_the_file_has_none() -> None:
    """Length 5 (of no believable unit) and no lanes: 72 s at 50 km/h are 1 km, 3,600 vehicles an hour two lanes of 1,800."""
    queues = queue_network(road(length_m=[5.0], lanes=[0.0], capacity_vph=[3600.0]), QueueRules())
    assert queues.storage_veh.tolist() == [272]  # (72 + 200) / 1 s needs more than the 266 that stand on two lanes
    assert queues.backward_time_s.tolist() == [200.0]


def test_storage_never_chokes_free_flow() -> None:
    """A short, wide link holds at least what capacity needs: (f + b) / h, rounded up."""
    queues = queue_network(road(length_m=[10.0], free_flow_time_s=[0.72], capacity_vph=[3600.0], lanes=[1.0]), QueueRules())
    assert queues.storage_veh.tolist() == [3]  # (0.72 + 2) / 1


def test_a_link_without_time_gets_a_little() -> None:
    queues = queue_network(road(length_m=[0.0], free_flow_time_s=[0.0]), QueueRules())
    assert queues.free_flow_time_s[0] > 0 and queues.backward_time_s[0] > 0 and queues.storage_veh[0] >= 1


def test_signals_turn_capacity_into_saturation_flow() -> None:
    signals = Signals(np.array([60.0]), np.array([30.0]), np.array([0.0]))
    assert queue_network(road(), QueueRules(), signals=signals).headway_s.tolist() == [1.0]


def test_too_much_storage_is_refused() -> None:
    with pytest.raises(InputError, match="at most 500,000,000"):
        queue_network(road(length_m=[1e9], free_flow_time_s=[1e8], lanes=[200.0]), QueueRules())


@pytest.mark.parametrize(
    ("column", "value"),
    [("backward_wave_kph", 0.0), ("jam_density_vpkm", float("nan")), ("capacity_drop", 1.0), ("capacity_drop", -0.1)],
)
def test_rules_have_bounds(column: str, value: float) -> None:
    with pytest.raises(InputError, match=column):
        QueueRules(**{column: value})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("storage_veh", [5, 0], r"link 2, storage_veh: 0 \(allowed: at least 1 vehicle\)"),
        ("free_flow_time_s", [0.0, 1.0], "link 1, free_flow_time_s: 0.0"),
        ("backward_time_s", [1.0, float("nan")], "link 2, backward_time_s: nan"),
        ("headway_s", [1.0, float("inf")], "link 2, headway_s: inf"),
        ("entry_headway_s", [-1.0, 1.0], "link 1, entry_headway_s: -1.0"),
        ("merge_weight", [0.0, 1.0], "link 1, merge_weight: 0.0"),
        ("origin_weight", [1.0, float("nan")], "link 2, origin_weight: nan"),
        ("capacity_drop", 1.5, "capacity_drop: 1.5"),
    ],
)
def test_links_without_meaning_are_refused(column: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        queues_of([(0, 1), (1, 2)], **{column: value})


@pytest.mark.parametrize(
    ("cycle_s", "green_s", "offset_s", "message"),
    [
        ([float("nan"), 0.0], [1.0, 1.0], [0.0, 0.0], "link 1, cycle_s: nan"),
        ([0.0, 30.0], [1.0, 31.0], [0.0, 0.0], "link 2, green_s: 31.0"),
        ([30.0, 0.0], [0.0, 0.0], [0.0, 0.0], "link 1, green_s: 0.0"),
        ([30.0, 0.0], [9.0, 0.0], [float("inf"), 0.0], "link 1, offset_s: inf"),
        ([30.0], [9.0], [0.0], "cycle_s: 1 values"),
    ],
)
def test_signals_without_meaning_are_refused(cycle_s: Any, green_s: Any, offset_s: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        queues_of([(0, 1), (1, 2)], signals=Signals(np.array(cycle_s), np.array(green_s), np.array(offset_s)))


@pytest.mark.parametrize(
    ("start", "out_link_idx", "penalty_s", "message"),
    [
        ([0, 1, 1], [0], [1.0], "turns of link 1: a turn into link position 0"),
        ([0, 1, 1], [7], [1.0], "turns of link 1: a turn into link position 7"),
        ([0, 1, 1], [1], [float("nan")], "turns of link 1: nan"),
        ([0, 1], [1], [1.0], "turns.start"),
        ([0, 1, 1], [1], [1.0, 2.0], "turns.penalty_s"),
    ],
)
def test_turns_without_meaning_are_refused(start: Any, out_link_idx: Any, penalty_s: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        queues_of([(0, 1), (1, 2)], turns=TurnTable(np.array(start), np.array(out_link_idx, dtype=np.int32), np.array(penalty_s)))
