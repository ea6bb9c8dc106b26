"""RoadNetwork: rows, shapes, views, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.synthetic import grid, parallel, pigou


def test_rows_list_every_link_once_by_its_ends() -> None:
    network = grid(3, 4)
    for (start, link), ends in ((network.out_rows, network.tail_idx), (network.in_rows, network.head_idx)):
        assert sorted(link.tolist()) == list(range(network.n_links))
        for node_idx in range(network.n_nodes):
            assert (ends[link[start[node_idx] : start[node_idx + 1]]] == node_idx).all()


def test_columns_cannot_be_changed_and_have_the_types_of_the_kernels() -> None:
    network = grid(2, 2).replace(tail_idx=grid(2, 2).tail_idx.astype(np.int64), lanes=np.ones(8, dtype=np.float32))
    assert network.tail_idx.dtype == np.int32 and network.lanes.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        network.capacity_vph[0] = 1.0


def test_all_points_are_the_points_of_each_link() -> None:
    bent = parallel(3)
    mixed = bent.replace(
        geometry_start=np.array([0, 9, 9, 18]), geometry_xy=np.concatenate([bent.link_points(0), bent.link_points(2)])
    )
    for network in (bent, mixed, grid(2, 3)):
        points, link_of_point = network.all_link_points()
        for link_idx in range(network.n_links):
            assert points[link_of_point == link_idx].tolist() == network.link_points(link_idx).tolist()


def test_views_hold_the_same_network() -> None:
    network = pigou()
    graph = network.to_networkx()
    assert sorted(graph.edges(keys=True)) == [(1, 2, 1), (1, 2, 2)]
    assert graph.edges[1, 2, 1]["free_flow_time_s"] == 1.0 and graph.nodes[2]["x"] == 1000.0
    nodes, links = network.to_geopandas()
    assert nodes["node_id"].tolist() == [1, 2] and links["link_class"].tolist() == ["street", "street"]
    assert np.array(links.geometry[1].coords).tolist() == network.link_points(1).tolist()
    assert links["capacity_source"].tolist() == ["file", "file"]


def test_street_names() -> None:
    named = pigou().replace(street_names=("", "High Road"), street_name_code=np.array([1, 0]))
    assert [named.street_name(link_idx) for link_idx in range(2)] == ["High Road", ""]
    assert pigou().street_name(0) == ""


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"capacity_vph": [1.0, 0.0]}, "link 2, capacity_vph: 0.0"),
        ({"capacity_vph": [-1.0, 1.0]}, "link 1, capacity_vph: -1.0"),
        ({"capacity_vph": [np.nan, 1.0]}, "capacity_vph: nan"),
        ({"free_flow_time_s": [1.0, -1.0]}, "link 2, free_flow_time_s: -1.0"),
        ({"length_m": [1.0, np.inf]}, "length_m: inf"),
        ({"length_m": [1.0]}, "length_m: 1 values"),
        ({"head_idx": [1, 2]}, "head_idx: a position outside 0..1"),
        ({"tail_idx": [0, -1]}, "tail_idx: a position outside 0..1"),
        ({"link_class_code": [0, 1]}, "link_class_code"),
        ({"capacity_source": [0, 9]}, "capacity_source"),
        ({"link_id": [5, 5]}, "link_id: 5 stands more than once"),
        ({"node_id": [3, 3]}, "node_id: 3 stands more than once"),
        ({"geometry_start": [0, 9, 17]}, "shapes"),
        ({"zone_node_idx": [0, 1, 1]}, "zone_node_idx: 3 values"),
        ({"street_name_code": [0]}, "street_name_code: 1 values"),
        ({"street_names": ("High Road",)}, "street_names"),
    ],
)
def test_unsound_columns_are_refused(columns: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as raised:
        pigou().replace(**{name: value if isinstance(value, tuple) else np.array(value) for name, value in columns.items()})
    assert expected in str(raised.value)


def test_an_empty_network_is_refused() -> None:
    empty = {name: np.zeros(0) for name in ("tail_idx", "head_idx")}
    with pytest.raises(InputError, match="2 nodes and 0 links"):
        pigou().replace(**empty)


def test_an_unknown_column_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="speed"):
        pigou().replace(speed=1)
