"""Turns and signals of streets in the form that queues take."""

from __future__ import annotations

import numpy as np
import pytest

from sim.network.infer import SATURATION_FLOW_VPH, STREET_DEFAULTS
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.synthetic import plain_network
from sim.network.turn_table import turn_table
from sim.network.turns import turn_graph
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueRules, queue_network
from sim.traffic.search_graph import search_graph
from sim.traffic.street_rules import green_share, street_signals, street_turns, with_platoons
from sim.traffic.timed_paths import PathFinder, TripEnds, empty_day
from sim.traffic.trips import Trips

GREEN = STREET_DEFAULTS["primary"].green_share


def cross(*, lit: tuple[int, ...] = (), source: Provenance = Provenance.CLASS_DEFAULT) -> RoadNetwork:
    """Four streets of 100 m into the node 0 (links 0 to 3, from west, south, east, north), one lane, and back (4 to 7), three."""
    around = [(-100.0, 0.0), (0.0, -100.0), (100.0, 0.0), (0.0, 100.0)]
    into, out = [1, 2, 3, 4], [0, 0, 0, 0]
    lane_vph = STREET_DEFAULTS["primary"].capacity_per_lane_vph
    capacity_vph = [SATURATION_FLOW_VPH * GREEN if link in lit else lane_vph for link in range(4)] + [3 * lane_vph] * 4
    network = plain_network(
        "cross",
        node_xy=[(0.0, 0.0), *around],
        tail_idx=into + out,
        head_idx=out + into,
        free_flow_time_s=[10.0] * 8,
        capacity_vph=capacity_vph,
        lanes=[1.0] * 4 + [3.0] * 4,
        zone_node_idx=[1, 2, 3, 4],
    )
    return network.replace(link_classes=("primary",), capacity_source=np.full(8, source, dtype=np.uint8))


def test_no_class_of_streets_has_by_itself_the_capacity_that_signals_leave() -> None:
    """So that links with signals are known by their capacity."""
    for defaults in STREET_DEFAULTS.values():
        assert SATURATION_FLOW_VPH * defaults.green_share < defaults.capacity_per_lane_vph


def test_signals_are_read_off_the_capacity_that_the_map_s_reader_gave() -> None:
    assert green_share(cross(lit=(0, 1))).tolist() == [GREEN, GREEN, 0, 0, 0, 0, 0, 0]
    assert street_signals(cross(), 90.0, 1) is None
    # A capacity that a file states is no sign of signals, whatever its value.
    assert street_signals(cross(lit=(0, 1), source=Provenance.FILE), 90.0, 1) is None


def test_streets_of_one_axis_show_green_together_and_the_others_half_a_cycle_later() -> None:
    signals = street_signals(cross(lit=(0, 1, 2, 3)), 90.0, 1)
    assert signals is not None
    assert signals.cycle_s.tolist() == [90.0] * 4 + [0.0] * 4
    assert signals.green_s[:4] == pytest.approx(90.0 * GREEN)
    west, south, east, north = signals.offset_s[:4]
    assert west == east
    assert south == north == west + 45.0


def test_signals_keep_the_capacity_over_a_cycle() -> None:
    """950 vehicles an hour: in each half of 90 s 23 or 24 leave the queue at 1,900 an hour."""
    network = cross(lit=(0,))
    queues = with_platoons(queue_network(network, QueueRules(), signals=street_signals(network, 90.0, 1)), network.lanes)
    n_vehicles = 400
    start = np.arange(n_vehicles + 1, dtype=np.int64) * 2
    day = Loading(queues, Trips(np.zeros(n_vehicles), start, np.tile([0, 6], n_vehicles)), LoadingOptions(record="all"))
    day.run()
    records = day.records()
    between_s = np.diff(records.exit_s[: records.start[1]])
    in_green = between_s < 45.0
    assert between_s[in_green] == pytest.approx(3600 / 1900)
    assert (between_s[~in_green] >= 45.0).all()
    # The first green may have begun before the first vehicle came, and the last may end after the last one.
    assert set(np.diff(np.flatnonzero(~in_green)).tolist()) <= {23, 24}


def test_bans_and_delays_of_turns_reach_the_queues_and_the_ways() -> None:
    """From west to north the turn takes 7 s; from west to south it is banned, so that no way leads there."""
    network = cross().replace(turns=turn_table([(0, 5)], {(0, 7): 7.0}))
    turns = street_turns(network)
    assert turns is not None
    assert turns.start.tolist() == [0, 2, 2, 2, 2, 2, 2, 2, 2]
    assert turns.out_link_idx.tolist() == [5, 7]
    assert turns.penalty_s.tolist() == [np.inf, 7.0]
    queues = queue_network(network, QueueRules(), turns=turns)
    finder = PathFinder(search_graph(queues, turn_graph(network)), TripEnds(np.array([1, 1]), np.array([4, 3])))
    ways = finder.search(empty_day(queues), np.array([0, 1], dtype=np.int32), np.zeros(2), np.full(2, np.inf))
    assert ways.time_s.tolist() == [27.0, 20.0]
    day = Loading(queues, Trips(np.array([0.0, 100.0]), ways.path_start, ways.path_link))
    day.run()
    assert day.travel_time_s().tolist() == [27.0, 20.0]


def test_streets_without_restrictions_have_no_table_of_turns() -> None:
    assert street_turns(cross()) is None
