"""Zone centres and connectors."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.connectors import CONNECTOR_CAPACITY_VPH, with_zones
from sim.network.distance import distance_m
from sim.network.road_network import CONNECTOR_CLASS, RoadNetwork
from sim.network.synthetic import grid


def streets() -> RoadNetwork:
    return grid(2, 3).replace(zone_id=np.zeros(0, dtype=np.int64), zone_node_idx=np.zeros(0, dtype=np.int32))


def joined(network: RoadNetwork) -> RoadNetwork:
    nodes = [np.array([0, 1], dtype=np.int32), np.array([5], dtype=np.int32)]
    return with_zones(
        network, np.array([10, 20]), np.array([150.0, 600.0]), np.array([40.0, 340.0]), nodes, connector_speed_kph=36.0
    )


def test_centres_and_connectors_are_appended() -> None:
    before = streets()
    network = joined(before)
    assert (network.n_nodes, network.n_links, network.n_zones) == (8, before.n_links + 6, 2)
    assert network.zone_id.tolist() == [10, 20] and network.zone_node_idx.tolist() == [6, 7]
    assert network.node_passable.tolist() == [True] * 6 + [False] * 2
    assert network.node_id.tolist() == [1, 2, 3, 4, 5, 6, -1, -2]
    assert network.tail_idx[:-6].tolist() == before.tail_idx.tolist()
    ends = list(zip(network.tail_idx[-6:].tolist(), network.head_idx[-6:].tolist(), strict=True))
    assert ends == [(6, 0), (0, 6), (6, 1), (1, 6), (7, 5), (5, 7)]
    assert network.is_connector.tolist() == [False] * before.n_links + [True] * 6
    assert network.link_classes[-1] == CONNECTOR_CLASS
    length_m = np.hypot([150, 150, -150, -150, 0, 0], [40, 40, 40, 40, 40, 40])
    assert network.length_m[-6:] == pytest.approx(length_m)
    assert network.free_flow_time_s[-6:] == pytest.approx(length_m / 10.0)
    assert set(network.capacity_vph[-6:].tolist()) == {CONNECTOR_CAPACITY_VPH} and not network.bpr_alpha[-6:].any()
    assert network.link_points(before.n_links).tolist() == [[150.0, 40.0], [0.0, 0.0]]


def test_ids_do_not_clash() -> None:
    before = streets()
    whole = joined(before.replace(node_id=np.array([-5, 4, 2, 1, 8, 9]), link_id=np.arange(before.n_links) + 100))
    assert whole.node_id[-2:].tolist() == [-6, -7] and whole.link_id[-6:].tolist() == list(range(114, 120))
    texts = joined(
        before.replace(
            node_id=np.array(["zone-10", *"abcde"]), link_id=np.array([f"connector-{i}" for i in range(before.n_links)])
        )
    )
    assert len(set(texts.node_id.tolist())) == texts.n_nodes and len(set(texts.link_id.tolist())) == texts.n_links


def test_named_streets_keep_their_names() -> None:
    before = streets()
    network = joined(before.replace(street_names=("", "High Road"), street_name_code=np.ones(before.n_links, dtype=np.int32)))
    assert network.street_name(0) == "High Road" and network.street_name(network.n_links - 1) == ""


@pytest.mark.parametrize("nodes", [[], [6], [-1], [0, 0]])
def test_bad_street_nodes_are_refused(nodes: list[int]) -> None:
    with pytest.raises(InputError, match="zone 7"):
        with_zones(streets(), np.array([7]), np.zeros(1), np.zeros(1), [np.array(nodes, dtype=np.int32)])


def test_zones_are_not_added_twice_and_lists_must_match() -> None:
    with pytest.raises(InputError, match="has 2 zones already"):
        joined(joined(streets()))
    with pytest.raises(InputError, match="1 zones with 0 lists"):
        with_zones(streets(), np.array([7]), np.zeros(1), np.zeros(1), [])


def test_distances() -> None:
    def one(crs: str | None, *values: float) -> float:
        return float(distance_m(crs, *(np.array([value]) for value in values))[0])

    assert one(None, 0.0, 0.0, 3.0, 4.0) == 5.0
    assert one("EPSG:4326", 10.0, 0.0, 11.0, 0.0) == pytest.approx(111_195.08)
    assert one("EPSG:4326", 0.0, 60.0, 1.0, 60.0) == pytest.approx(55_597.5, rel=1e-4)
    # Antipodes on the equator: half the circumference.
    assert one("EPSG:4326", 0.0, 0.0, 180.0, 0.0) == pytest.approx(20_015_114.4)
