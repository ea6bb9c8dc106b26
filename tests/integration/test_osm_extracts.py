"""Real OpenStreetMap extracts: the sizes that OSMnx finds, in every form, and times."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import osmnx
import pytest

from sim.network.infer import STREET_DEFAULTS
from sim.network.osm import read_osm
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.store import load_city, load_network, save_network

pytestmark = pytest.mark.shared_data

# Nodes and edges of OSMnx's largest strong component (README of the data); self-loops and repeated links are dropped and counted.
EXTRACTS = {
    "london.osm.pbf": (587, 1235),
    "baltimore.osm.pbf": (2102, 5364),
    "poa_osm.pbf": (7618, 18179),
    "porto_portugal.osm.pbf": (50521, 122499),
}
DROPPED = ("self_loops", "duplicate_links")


def require_plausible(network: RoadNetwork) -> None:
    for code, link_class in enumerate(network.link_classes):
        of_class = network.link_class_code == code
        default = STREET_DEFAULTS[link_class]
        per_lane_vph = network.capacity_vph[of_class] / network.lanes[of_class]
        assert (per_lane_vph <= default.capacity_per_lane_vph).all() and (
            per_lane_vph >= 0.4 * default.capacity_per_lane_vph
        ).all()
    assert network.free_speed_kph.min() >= 3 and network.free_speed_kph.max() <= 140
    assert network.lanes.min() >= 1 and network.lanes.max() <= 10
    assert network.length_m.min() >= 1
    assert set(np.unique(network.speed_source).tolist()) == {Provenance.TAG, Provenance.CLASS_DEFAULT}


@pytest.mark.parametrize("file", ["london.osm.pbf", "baltimore.osm.pbf", "poa_osm.pbf"])
def test_extracts_have_the_size_that_osmnx_finds(shared_data: Path, file: str) -> None:
    network = read_osm(shared_data / "osm" / file)
    nodes, links = EXTRACTS[file]
    assert network.n_nodes == nodes
    assert network.n_links + sum(network.cleaning.counts[reason] for reason in DROPPED) == links
    assert network.name == file.removesuffix(".pbf").removesuffix(".osm")
    require_plausible(network)


@pytest.mark.parametrize("name", ["london", "baltimore"])
def test_links_are_those_of_osmnx(shared_data: Path, name: str) -> None:
    path = shared_data / "osm" / "drive" / f"{name}_drive.osm.gz"
    network = read_osm(path)
    graph = osmnx.truncate.largest_component(osmnx.graph_from_xml(path, simplify=True, retain_all=True), strongly=True)
    theirs = Counter((tail, head, round(data["length"], 1)) for tail, head, data in graph.edges(data=True) if tail != head)
    # OSMnx takes an earth whose radius is 0.2 m larger; a length at the edge of two roundings may differ.
    tail_id, head_id = network.node_id[network.tail_idx].tolist(), network.node_id[network.head_idx].tolist()
    own = Counter(zip(tail_id, head_id, network.length_m.round(1).tolist(), strict=True))
    assert (theirs - own).total() <= 0.005 * network.n_links
    pairs = Counter((tail, head) for tail, head, _ in own.elements())
    assert pairs == Counter((tail, head) for tail, head, _ in theirs.elements())


def test_signals_count_at_junctions_and_before_them(shared_data: Path) -> None:
    network = read_osm(shared_data / "osm" / "baltimore.osm.pbf")
    graph = osmnx.graph_from_xml(shared_data / "osm" / "drive" / "baltimore_drive.osm.gz", simplify=True, retain_all=True)
    at_junction = np.array([graph.nodes[node_id].get("highway") == "traffic_signals" for node_id in network.node_id.tolist()])
    assert at_junction.sum() == 284
    full_vph = np.array([STREET_DEFAULTS[name].capacity_per_lane_vph for name in network.link_classes])[network.link_class_code]
    is_lowered = network.capacity_vph / network.lanes < full_vph
    assert is_lowered[at_junction[network.head_idx]].all()
    # Signals on a node before the junction, which simplification joins away, are found as well.
    assert 0 < is_lowered[~at_junction[network.head_idx]].sum() < 0.1 * network.n_links


def test_the_bundled_city_is_the_graph_of_the_shared_data(shared_data: Path) -> None:
    path = shared_data / "osm" / "coquimbo" / "coquimbo_drive.graphml.gz"
    network, city = read_osm(path), load_city("coquimbo")
    assert network.node_id.tolist() == city.node_id.tolist()
    for column in ("tail_idx", "head_idx"):
        assert getattr(network, column).tolist() == getattr(city, column).tolist()
    np.testing.assert_allclose(network.length_m, city.length_m, rtol=1e-7)
    np.testing.assert_array_equal(network.node_x, city.node_x)
    assert gzip.decompress(path.read_bytes()).count(b"<edge ") == city.n_links + city.cleaning.counts["self_loops"]


@pytest.mark.nightly
@pytest.mark.parametrize("file", ["porto_portugal.osm.pbf", "drive/porto_portugal_drive.osm.gz"])
def test_porto_reads_and_loads(shared_data: Path, tmp_path: Path, file: str) -> None:
    network = read_osm(shared_data / "osm" / file)
    nodes, links = EXTRACTS["porto_portugal.osm.pbf"]
    assert (network.n_nodes, network.n_links + sum(network.cleaning.counts[reason] for reason in DROPPED)) == (nodes, links)
    require_plausible(network)
    save_network(network, tmp_path / "porto.npz")
    again = load_network(tmp_path / "porto.npz")
    assert again.length_m.tolist() == network.length_m.tolist()
