"""What the quality report finds, on networks that hold exactly one oddity each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sim.experiments.quality_page import quality_html, write_quality_page
from sim.network.connectors import with_zones
from sim.network.quality import quality_of
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.store import load_city
from sim.network.synthetic import grid, plain_network
from sim.network.turn_table import turn_table


@pytest.fixture
def town() -> RoadNetwork:
    """A sound grid of 4 x 4 in degrees, whose lengths are those of its shapes."""
    plane = grid(4, 4)
    network = plane.replace(crs="EPSG:4326", node_x=plane.node_x / 111_195.08, node_y=plane.node_y / 111_195.08)
    assert quality_of(network).doubts == ()
    return network


def doubts(network: RoadNetwork) -> dict[str, list[int]]:
    return {doubt.name: doubt.link_idx.tolist() for doubt in quality_of(network).doubts}


def changed(network: RoadNetwork, name: str, link: int, value: float) -> RoadNetwork:
    column = getattr(network, name).copy()
    column[link] = value
    return network.replace(**{name: column})


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("length_m", 500.0, {"length and shape"}),
        ("length_m", 1.0, {"very short", "length and shape"}),
        ("length_m", 40_000.0, {"very long", "length and shape", "very fast"}),
        ("free_flow_time_s", 0.0, {"takes no time"}),
        ("free_flow_time_s", 1e4, set()),
        ("free_speed_kph", 3.0, {"very slow"}),
        ("free_flow_time_s", 5.0, {"very fast"}),
        ("capacity_vph", 20.0, {"low capacity"}),
        ("capacity_vph", 9000.0, {"high capacity"}),
    ],
)
def test_one_odd_link_is_found(town: RoadNetwork, name: str, value: float, found: set[str]) -> None:
    lanes = changed(town, "lanes", 3, 1.0)
    assert doubts(lanes) == {}
    report = doubts(changed(lanes, name, 3, value))
    assert set(report) == found and all(links == [3] for links in report.values())


def test_many_lanes(town: RoadNetwork) -> None:
    wide = changed(changed(town, "lanes", 5, 12.0), "capacity_vph", 5, 9600.0)
    assert doubts(wide) == {"many lanes": [5]}


def test_connections() -> None:
    # 0-1-2 both ways, 2 to 3 one way (nobody leaves 3), 4-5 apart.
    network = plain_network(
        "parts",
        node_xy=[(x * 300.0, 0.0) for x in range(6)],
        tail_idx=[0, 1, 1, 2, 2, 4, 5],
        head_idx=[1, 0, 2, 1, 3, 5, 4],
        free_flow_time_s=[20.0] * 7,
        capacity_vph=[900.0] * 7,
    )
    report = quality_of(network)
    assert (report.strong_components, report.weak_components) == (3, 2)
    assert (report.dead_ends, report.one_way_ends) == (3, 1)
    assert doubts(network) == {"not connected": [4, 5, 6], "way into nowhere": [4]}
    assert report.links_outside_largest == 3
    assert report.doubts_of_links(7).tolist() == [0, 0, 0, 0, 2, 1, 1]


def test_connectors_are_left_out_and_defaults_counted(town: RoadNetwork) -> None:
    source = np.full(town.n_links, Provenance.TAG, dtype=np.uint8)
    source[: town.n_links // 4] = Provenance.CLASS_DEFAULT
    bare = town.replace(speed_source=source, zone_id=np.zeros(0, dtype=np.int64), zone_node_idx=np.zeros(0, dtype=np.int32))
    zoned = with_zones(bare, np.array([1]), bare.node_x[:1], bare.node_y[:1], [np.array([0], dtype=np.int32)])
    report = quality_of(zoned)
    assert report.n_links == town.n_links and report.doubts == () and report.strong_components == 1
    assert report.default_share["free_speed"] == 0.25


def test_turns_and_json(town: RoadNetwork) -> None:
    after = int(np.flatnonzero(town.tail_idx == town.head_idx[0])[0])
    network = town.replace(
        turns=turn_table([(0, after)]),
        cleaning=town.cleaning.plus(counts={"turn_restrictions": 2, "turn_restrictions_applied": 1}),
    )
    content = quality_of(changed(network, "free_flow_time_s", 7, 0.0)).content(network)
    assert content["bans"] == 1 and content["restrictions"] == {"turn_restrictions": 2, "applied": 1}
    expected = {"name": "takes no time", "meaning": "a free-flow time of 0", "links": 1, "examples": [int(town.link_id[7])]}
    assert json.loads(json.dumps(content))["doubts"] == [expected]


def test_the_page(town: RoadNetwork, tmp_path: Path) -> None:
    odd = changed(town, "free_flow_time_s", 7, 0.0)
    page = quality_html(odd, quality_of(odd), notes=("© somebody",))
    assert "takes no time" in page and "Links with doubts" in page and "© somebody" in page
    assert page == quality_html(odd, quality_of(odd), notes=("© somebody",))
    assert "Links with doubts" not in quality_html(town, quality_of(town))
    assert write_quality_page(odd, quality_of(odd), tmp_path / "q.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["q.html"]


def test_the_default_city_has_few_doubts() -> None:
    report = quality_of(load_city("coquimbo"))
    assert report.strong_components == 1
    assert sum(len(doubt.link_idx) for doubt in report.doubts) < 0.02 * report.n_links
