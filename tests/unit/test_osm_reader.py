"""OpenStreetMap files, small enough to check link by link."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import osmium
import osmnx
import pytest

from sim.errors import DownloadError, InputError
from sim.network.distance import EARTH_RADIUS_M
from sim.network.osm import download_place, read_osm
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.store import save_network

METRES_PER_DEGREE = np.radians(EARTH_RADIUS_M)
NODES: dict[int, tuple[float, float]] = {
    1: (0.0, 0.0),
    2: (0.01, 0.0),
    3: (0.01, 0.01),
    4: (0.0, 0.01),
    5: (0.005, 0.001),
    6: (0.02, 0.0),
    7: (0.021, 0.001),
    8: (0.03, 0.03),
}
RING = {
    1: ("1 5 2", {"highway": "residential", "name": "South"}),
    2: ("2 3 4 1", {"highway": "primary", "lanes": "4", "maxspeed": "60"}),
}


def xml(ways: dict[int, tuple[str, dict[str, str]]], node_tags: dict[int, dict[str, str]] | None = None) -> str:
    root = ElementTree.Element("osm", version="0.6", generator="test")
    for node_id, (lon, lat) in NODES.items():
        node = ElementTree.SubElement(root, "node", id=str(node_id), lon=str(lon), lat=str(lat), version="1")
        add_tags(node, (node_tags or {}).get(node_id, {}))
    for way_id, (node_ids, tags) in ways.items():
        way = ElementTree.SubElement(root, "way", id=str(way_id), version="1")
        for node in node_ids.split():
            ElementTree.SubElement(way, "nd", ref=node)
        add_tags(way, tags)
    return ElementTree.tostring(root, encoding="unicode")


def add_tags(element: ElementTree.Element, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        ElementTree.SubElement(element, "tag", k=key, v=value)


def read(
    tmp_path: Path, ways: dict[int, tuple[str, dict[str, str]]], node_tags: dict[int, dict[str, str]] | None = None
) -> RoadNetwork:
    path = tmp_path / "made.osm"
    path.write_text(xml(ways, node_tags), encoding="utf-8")
    return read_osm(path)


def link(network: RoadNetwork, tail: int, head: int) -> int:
    found = np.flatnonzero((network.node_id[network.tail_idx] == tail) & (network.node_id[network.head_idx] == head))
    assert len(found) == 1, (tail, head, found)
    return int(found[0])


def ends(network: RoadNetwork) -> list[tuple[int, int]]:
    return list(zip(network.node_id[network.tail_idx].tolist(), network.node_id[network.head_idx].tolist(), strict=True))


CROSS = {
    **RING,
    3: ("2 6", {"highway": "secondary", "oneway": "yes"}),
    4: ("1 6", {"highway": "secondary", "oneway": "-1"}),
    5: ("4 8", {"highway": "footway"}),
    6: ("6 7", {"highway": "service"}),
    7: ("3 8", {"highway": "residential", "access": "private"}),
}


def test_streets_become_links_from_junction_to_junction(tmp_path: Path) -> None:
    network = read(tmp_path, CROSS)
    # 5, 3 and 4 are bends; 7 and 8 hang on ways that are not for cars; 6 is one, because it joins two one-way streets.
    assert sorted(network.node_id.tolist()) == [1, 2]
    assert ends(network) == [(1, 2), (1, 2), (2, 1), (2, 1), (2, 1)]
    assert network.crs == "EPSG:4326" and network.name == "made" and network.node_passable.all() and network.n_zones == 0
    south = int(np.flatnonzero((network.tail_idx == 0) & (network.lanes_source == Provenance.CLASS_DEFAULT))[0])
    assert network.link_points(south).tolist() == [[0.0, 0.0], [0.005, 0.001], [0.01, 0.0]]
    assert network.street_name(south) == "South"
    assert network.length_m[south] == pytest.approx(2 * np.hypot(0.005, 0.001) * METRES_PER_DEGREE, rel=1e-6)
    assert network.free_flow_time_s[south] == pytest.approx(network.length_m[south] / (35 / 3.6))
    ring = int(np.flatnonzero((network.tail_idx == 0) & (network.lanes_source == Provenance.TAG))[0])
    assert (network.lanes[ring], network.free_speed_kph[ring], network.capacity_vph[ring]) == (2.0, 60.0, 2000.0)


def test_one_way_streets_and_roundabouts(tmp_path: Path) -> None:
    roundabout = {
        1: ("1 2 3 4 1", {"highway": "tertiary", "junction": "roundabout"}),
        **{10 + i: (f"{i} {i + 4}", {"highway": "residential"}) for i in (1, 2, 3, 4)},
    }
    network = read(tmp_path, roundabout)
    around = [pair for pair in ends(network) if max(pair) <= 4]
    assert around == [(1, 2), (2, 3), (3, 4), (4, 1)]
    assert network.n_links == 4 + 8


@pytest.mark.parametrize(
    ("value", "expected"),
    [("yes", [(1, 2)]), ("true", [(1, 2)]), ("1", [(1, 2)]), ("-1", [(2, 1)]), ("reverse", [(2, 1)]), ("no", [(1, 2), (2, 1)])],
)
def test_values_of_one_way(tmp_path: Path, value: str, expected: list[tuple[int, int]]) -> None:
    spurs = {8: ("1 5", {"highway": "residential"}), 9: ("2 6", {"highway": "residential"})}
    network = read(
        tmp_path, {1: ("1 2", {"highway": "primary", "oneway": value}), 2: ("2 3 4 1", {"highway": "tertiary"}), **spurs}
    )
    primary = network.link_class_code == network.link_classes.index("primary")
    assert [pair for pair, chosen in zip(ends(network), primary, strict=True) if chosen] == expected


def test_places_without_a_way_back_are_dropped_and_counted(tmp_path: Path) -> None:
    network = read(tmp_path, {1: ("1 2", {"highway": "primary"}), 2: ("2 3", {"highway": "primary", "oneway": "yes"})})
    assert network.node_id.tolist() == [1, 2]
    assert network.cleaning.counts["nodes_outside_largest_component"] == 1
    assert network.cleaning.counts["links_outside_largest_component"] == 1


def test_tags_of_one_direction_count_for_it_alone(tmp_path: Path) -> None:
    tags = {
        "highway": "primary",
        "lanes": "3",
        "lanes:forward": "2",
        "lanes:backward": "1",
        "maxspeed": "50",
        "maxspeed:backward": "30",
    }
    network = read(tmp_path, {1: ("1 2", tags)})
    forward, backward = link(network, 1, 2), link(network, 2, 1)
    assert network.lanes[[forward, backward]].tolist() == [2.0, 1.0]
    assert network.free_speed_kph[[forward, backward]].tolist() == [50.0, 30.0]


def test_signals_lower_the_capacity_of_links_that_meet_them(tmp_path: Path) -> None:
    ways = {1: ("1 5 2", {"highway": "primary"}), 2: ("2 3", {"highway": "primary"}), 3: ("2 6", {"highway": "primary"})}
    free = read(tmp_path, ways)
    at_junction = read(tmp_path, ways, {2: {"highway": "traffic_signals"}})
    for tail, head, expected in ((1, 2, 950.0), (3, 2, 950.0), (2, 1, 1000.0), (2, 3, 1000.0)):
        assert free.capacity_vph[link(free, tail, head)] == 1000.0
        assert at_junction.capacity_vph[link(at_junction, tail, head)] == expected
    one_direction = read(tmp_path, ways, {5: {"highway": "traffic_signals", "traffic_signals:direction": "forward"}})
    assert one_direction.capacity_vph[link(one_direction, 1, 2)] == 950.0
    assert one_direction.capacity_vph[link(one_direction, 2, 1)] == 1000.0


def test_loops_and_repeated_links_are_dropped_and_counted_and_parallel_ones_stay(tmp_path: Path) -> None:
    ways = {
        1: ("1 2", {"highway": "residential"}),
        2: ("1 2", {"highway": "residential"}),
        3: ("1 5 2", {"highway": "residential"}),
        4: ("2 6 7 2", {"highway": "residential"}),
        5: ("1 4", {"highway": "residential"}),
    }
    network = read(tmp_path, ways)
    assert ends(network) == [(1, 2), (1, 2), (1, 4), (2, 1), (2, 1), (4, 1)]
    assert network.cleaning.counts["duplicate_links"] == 2
    assert network.cleaning.counts["self_loops"] == 2


def test_links_without_length_are_lengthened_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NODES, 8, NODES[2])
    network = read(tmp_path, {1: ("1 2 3", {"highway": "residential"}), 2: ("2 8", {"highway": "residential"})})
    assert network.length_m.min() == 1.0 and network.free_flow_time_s.min() > 0
    assert network.cleaning.counts["short_links_lengthened"] == 2


def test_a_way_that_leaves_the_extract_is_cut_there(tmp_path: Path) -> None:
    network = read(tmp_path, {1: ("1 2 99 3 4", {"highway": "residential"}), 2: ("1 4", {"highway": "residential"})})
    # The only street is 2-1-4-3; a straight line over the missing node 99 would be a shorter one.
    assert ends(network) == [(2, 3), (3, 2)]
    assert network.length_m.min() == pytest.approx(3 * 0.01 * METRES_PER_DEGREE, rel=1e-6)


def test_defaults_of_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "made.osm"
    spurs = {3: ("2 6", {"highway": "residential"}), 4: ("1 7", {"highway": "residential"})}
    path.write_text(xml(RING | spurs), encoding="utf-8")
    network = read_osm(
        path, name="mine", default_speed_kph={"residential": 20.0}, default_capacity_per_lane_vph={"primary": 1234.0}
    )
    assert network.name == "mine"
    spur = link(network, 2, 6)
    assert (network.free_speed_kph[spur], network.speed_source[spur]) == (20.0, Provenance.OVERRIDE)
    primary = network.link_class_code == network.link_classes.index("primary")
    assert set(network.capacity_vph[primary].tolist()) == {2 * 1234.0}
    with pytest.raises(InputError, match="default_speed_kph: unknown link class"):
        read_osm(path, default_speed_kph={"street": 20.0})


def same_links(first: RoadNetwork, second: RoadNetwork) -> bool:
    return ends(first) == ends(second) and all(
        getattr(first, column).tolist() == getattr(second, column).tolist()
        for column in ("length_m", "capacity_vph", "free_flow_time_s", "geometry_xy")
    )


def test_every_form_of_a_file_gives_the_same_network(tmp_path: Path) -> None:
    text = xml(CROSS | {9: ("3 8", {"highway": "residential", "lanes": "2"})}).encode()
    for name, content in (("a.osm", text), ("a.osm.gz", gzip.compress(text)), ("a.osm.bz2", bz2.compress(text))):
        (tmp_path / name).write_bytes(content)
    writer = osmium.SimpleWriter(str(tmp_path / "a.osm.pbf"))
    for entity in osmium.FileProcessor(str(tmp_path / "a.osm")):
        writer.add(entity)
    writer.close()
    plain = read_osm(tmp_path / "a.osm")
    for name in ("a.osm.gz", "a.osm.bz2", "a.osm.pbf"):
        assert same_links(plain, read_osm(tmp_path / name)), name
    save_network(plain, tmp_path / "a.npz")
    assert same_links(plain, read_osm(tmp_path / "a.npz"))
    with pytest.raises(InputError, match="keeps the values"):
        read_osm(tmp_path / "a.npz", default_speed_kph={"primary": 50.0})


def test_graphs_saved_by_osmnx(tmp_path: Path) -> None:
    (tmp_path / "a.osm").write_text(xml(CROSS | {9: ("3 8", {"highway": "residential"})}), encoding="utf-8")
    drivable = nx.MultiDiGraph(osmnx.graph_from_xml(tmp_path / "a.osm", simplify=False, retain_all=True))
    drivable.remove_edges_from(
        [
            (u, v, k)
            for u, v, k, d in drivable.edges(keys=True, data=True)
            if d["highway"] in ("footway", "service") or 8 in (u, v)
        ]
    )
    drivable.add_edges_from(
        [(3, 8, {"highway": "residential", "oneway": False}), (8, 3, {"highway": "residential", "oneway": False})]
    )
    drivable.remove_node(7)
    plain = read_osm(tmp_path / "a.osm")
    for name, graph in (("raw.graphml", drivable), ("joined.graphml", osmnx.simplify_graph(drivable))):
        for _tail, _head, data in graph.edges(data=True):
            data.pop("length", None)
        osmnx.save_graphml(graph, tmp_path / name)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert same_links(plain, read_osm(tmp_path / name))
        assert same_links(plain, read_osm(tmp_path / f"{name}.gz"))


NOISE = np.random.default_rng(5).integers(0, 256, 3000, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("ending", [".osm", ".osm.gz", ".osm.bz2", ".osm.pbf", ".pbf", ".graphml", ".graphml.gz", ".npz"])
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<osm>", b"<?xml version='1.0'?><graphml></graphml>", NOISE],
    ids=["empty", "text", "cut", "other", "noise"],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    for name, stored in (("bad", content), ("packed", gzip.compress(content))):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(stored)
        with pytest.raises(InputError, match=name):
            read_osm(path)


def test_cut_extracts_are_refused(tmp_path: Path) -> None:
    text = xml(CROSS).encode()
    for name, content in (
        ("a.osm", text[:-40]),
        ("b.osm.gz", gzip.compress(text)[:-20]),
        ("c.osm.bz2", bz2.compress(text)[:-20]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_osm(tmp_path / name)


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {1: ("1 2", {"highway": "footway"})},
        {1: ("1 2", {"highway": "primary", "oneway": "yes"})},
        {1: ("98 99", {"highway": "primary"})},
    ],
    ids=["no way", "no street for cars", "no way back", "outside"],
)
def test_extracts_without_streets_are_refused(tmp_path: Path, ways: dict[int, tuple[str, dict[str, str]]]) -> None:
    with pytest.raises(InputError, match=r"made\.osm: .*drivable street"):
        read(tmp_path, ways)


def test_unknown_endings_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.shp").write_bytes(b"x")
    with pytest.raises(InputError, match=r"ending '\.shp'.*\.osm\.pbf"):
        read_osm(tmp_path / "a.shp")
    (tmp_path / "folder.osm").mkdir()
    with pytest.raises(InputError, match="is no file"):
        read_osm(tmp_path / "folder.osm")
    with pytest.raises(InputError, match="no such file"):
        read_osm(tmp_path / "missing.osm")


def test_a_place_comes_through_osmnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.osm").write_text(
        xml(RING | {3: ("2 6", {"highway": "primary", "lanes": "3", "lanes:forward": "2"})}), encoding="utf-8"
    )
    asked: list[tuple[str, dict[str, object]]] = []

    def graph_from_place(place: str, **options: object) -> nx.MultiDiGraph:
        asked.append((place, options))
        return osmnx.graph_from_xml(tmp_path / "a.osm", simplify=False, retain_all=True)

    monkeypatch.setattr(osmnx, "graph_from_place", graph_from_place)
    before = list(osmnx.settings.useful_tags_way)
    network = download_place("Delft, Netherlands")
    assert asked == [("Delft, Netherlands", {"network_type": "drive", "simplify": False, "retain_all": True})]
    assert (
        network.name == "Delft, Netherlands"
        and network.lanes[link(network, 2, 6)] == 2.0
        and network.lanes[link(network, 6, 2)] == 1.5
    )
    assert osmnx.settings.useful_tags_way == before


def test_a_download_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def graph_from_place(place: str, **options: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(osmnx, "graph_from_place", graph_from_place)
    with pytest.raises(DownloadError, match="'Nowhere' could not be downloaded: ConnectionError: no route to host"):
        download_place("Nowhere")
