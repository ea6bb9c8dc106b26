"""Connectivity of a demand, and the description of a network."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city
from sim.network.synthetic import grid, plain_network
from sim.network.validate import check_connected, describe


def line(passable: list[bool]) -> RoadNetwork:
    """1 <-> 2 <-> 3, all of them zones."""
    return plain_network(
        "line",
        node_xy=[(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)],
        tail_idx=[0, 1, 1, 2],
        head_idx=[1, 0, 2, 1],
        free_flow_time_s=[1.0] * 4,
        capacity_vph=[1.0] * 4,
        zone_node_idx=[0, 1, 2],
        passable=passable,
    )


def test_a_zone_in_between_may_close_the_way() -> None:
    pairs = np.array([0, 1, 2], dtype=np.int32), np.array([1, 2, 0], dtype=np.int32)
    check_connected(line([True, True, True]), *pairs)
    check_connected(line([False, True, False]), *pairs)
    with pytest.raises(InputError, match="no path from zone 3 to zone 1 "):
        check_connected(line([True, False, True]), *pairs)


def test_the_first_pair_without_a_path_is_named() -> None:
    one_way = plain_network(
        "one way", node_xy=[(0.0, 0.0), (1.0, 0.0), (9.0, 9.0)], tail_idx=[0, 2], head_idx=[1, 2], free_flow_time_s=[1.0, 1.0],
        capacity_vph=[1.0, 1.0], zone_node_idx=[0, 1, 2],
    )  # fmt: skip
    check_connected(one_way, np.array([0, 2]), np.array([1, 2]))
    check_connected(one_way, np.array([], dtype=np.int32), np.array([], dtype=np.int32))
    with pytest.raises(InputError, match=r"no path from zone 2 to zone 1 \(and none for 1 further pairs\)"):
        check_connected(one_way, np.array([0, 1, 0]), np.array([1, 0, 2]))


def test_description_adds_up() -> None:
    table = describe(grid(3, 3))
    assert (table["nodes"], table["links"], table["zones"], table["strong_components"]) == (9, 24, 4, 1)
    assert table["length_km"] == pytest.approx(24 * 0.3) and table["lane_km"] == pytest.approx(24 * 0.3)
    assert table["provenance_share"]["capacity"] == {"file": 1.0}
    assert table["bounds"] == [0.0, 0.0, 600.0, 600.0]
    assert json.loads(json.dumps(table)) == table


def test_description_of_the_city() -> None:
    table = describe(load_city("coquimbo"))
    assert table["nodes_in_largest_component"] == table["nodes"] == 8704
    assert sum(row["links"] for row in table["link_classes"].values()) == 22205
    assert table["provenance_share"]["free_speed"] == pytest.approx({"tag": 0.1238, "class_default": 0.8762})
    assert table["cleaning"]["self_loops"] == 54
