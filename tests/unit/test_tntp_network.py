"""TNTP networks: every header style, every number that can be wrong, and the way back."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid, parallel
from sim.network.tntp import read_tntp_network, write_tntp_network

HEADER = "<NUMBER OF ZONES> 2\n<NUMBER OF NODES> 4\n<FIRST THRU NODE> 3\n<NUMBER OF LINKS> 3\n<END OF METADATA>\n\n"
ROWS = "~ init term capacity length fft b power speed toll type ;\n"
ROWS += "1 3 100 2 5 0.15 4 30 7 1 ;\n3 4 50.5 1 0 0 0 0 0 2;\n4\t2\t80\t3\t6\t1\t1\t0\t0\t1\n"


def read(tmp_path: Path, text: str, name: str = "made_net.tntp") -> RoadNetwork:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_tntp_network(path)


def test_values_units_and_weights(tmp_path: Path) -> None:
    path = tmp_path / "made_net.tntp"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    network = read_tntp_network(path, toll_weight=2.0, distance_weight=0.5, time_unit_s=36.0, length_unit_m=0.3048)
    assert network.name == "made"
    assert network.tail_idx.tolist() == [0, 2, 3] and network.head_idx.tolist() == [2, 3, 1]
    assert network.free_flow_time_s.tolist() == [180.0, 0.0, 216.0]
    assert network.capacity_vph.tolist() == [100.0, 50.5, 80.0]
    assert network.bpr_alpha.tolist() == [0.15, 0.0, 1.0] and network.bpr_beta.tolist() == [4.0, 0.0, 1.0]
    assert network.length_m == pytest.approx([0.6096, 0.3048, 0.9144])
    assert network.fixed_cost_s.tolist() == [(2 * 7 + 0.5 * 2) * 36, 0.5 * 36, 1.5 * 36]
    assert network.node_passable.tolist() == [False, False, True, True]
    assert network.zone_id.tolist() == [1, 2] and network.zone_node_idx.tolist() == [0, 1]
    assert network.link_id.tolist() == [1, 2, 3]
    assert [network.link_classes[code] for code in network.link_class_code] == ["type 1", "type 2", "type 1"]
    assert network.cleaning.warnings == ()
    assert np.isnan(network.node_x).all() and network.crs is None


def test_assumed_units_are_minutes_and_kilometres_and_warned_about(tmp_path: Path) -> None:
    network = read(tmp_path, HEADER + ROWS)
    assert network.free_flow_time_s[0] == 300.0 and network.length_m[0] == 2000.0
    assert network.fixed_cost_s.tolist() == [0.0, 0.0, 0.0]
    assert [warning for warning in network.cleaning.warnings if "unit of time" in warning]
    assert [warning for warning in network.cleaning.warnings if "unit of length" in warning]


@pytest.mark.parametrize(
    "text",
    [
        HEADER.replace("\n", "\t\t\t\n") + ROWS,
        HEADER.replace("\n", "\r\n") + ROWS.replace("\n", "\r\n"),
        "~ a comment\n<first  thru node> 3 ~ why\n<Number of Links>3\n<NUMBER OF NODES>\t4\n<number of zones> 2\n"
        "<ORIGINAL HEADER>~ x <y>\n<End of Metadata>\n" + ROWS,
        HEADER + "init_node\tterm_node\tcapacity\tlength\tfft\tb\tpower\tspeed\ttoll\tlink_type\t;\n" + ROWS.split("\n", 1)[1],
        HEADER + ROWS.replace("1 3 100", "\n~ between\n1.0 3 1e2").replace("0.15 4 30 7 1 ;", "0.15 4 30 7 1 ; ~ behind"),
        "\ufeff" + HEADER + ROWS.rstrip("\n"),
    ],
    ids=["trailing tabs", "carriage returns", "keys in any case and order", "names without tilde", "comments", "byte order mark"],
)
def test_every_way_to_write_it_gives_the_same_network(tmp_path: Path, text: str) -> None:
    plain, other = read(tmp_path, HEADER + ROWS), read(tmp_path, text)
    for column in (
        "tail_idx",
        "head_idx",
        "capacity_vph",
        "free_flow_time_s",
        "bpr_alpha",
        "bpr_beta",
        "toll",
        "node_passable",
        "link_id",
    ):
        assert getattr(plain, column).tolist() == getattr(other, column).tolist()


def test_gzip_is_read_by_name_and_by_content(tmp_path: Path) -> None:
    for name in ("made_net.tntp.gz", "made_net.tntp"):
        (tmp_path / name).write_bytes(gzip.compress((HEADER + ROWS).encode()))
        assert read_tntp_network(tmp_path / name).n_links == 3


def test_first_of_duplicates_stays_and_self_loops_go(tmp_path: Path) -> None:
    rows = (
        "1 3 10 1 1 0 1 0 0 1 ;\n3 3 10 1 1 0 1 0 0 1 ;\n3 4 20 1 1 0 1 0 0 1 ;\n1 3 30 1 1 0 1 0 0 1 ;\n4 2 40 1 1 0 1 0 0 1 ;\n"
    )
    network = read(tmp_path, HEADER.replace("LINKS> 3", "LINKS> 5") + rows)
    assert network.capacity_vph.tolist() == [10.0, 20.0, 40.0]
    assert network.link_id.tolist() == [1, 3, 5]
    assert network.cleaning.counts == {"self_loops": 1, "duplicate_links": 1}
    assert "1-3 (line 10)" in network.cleaning.warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1 3 100", "1 3 0", "line 8: capacity is 0"),
        ("1 3 100", "1 3 -5", "line 8: capacity is -5"),
        ("1 3 100", "1 3 nan", "line 8: capacity is nan"),
        ("1 3 100", "1 3 1_0", "line 8: capacity is '1_0'"),
        ("1 3 100", "1 3 inf", "line 8: capacity is inf"),
        ("1 3 100", "1 3 wide", "capacity is 'wide'"),
        ("1 3 100", "1 5 100", "line 8: head is 5 (allowed: a node from 1 to 4"),
        ("1 3 100", "0 3 100", "line 8: tail is 0"),
        ("1 3 100", "1.5 3 100", "tail is 1.5"),
        ("2 5 0.15", "2 -5 0.15", "free-flow time is -5"),
        ("2 5 0.15", "-2 5 0.15", "length is -2"),
        ("0.15 4 30", "-0.15 4 30", "b is -0.15"),
        ("7 1 ;", "1 ;", "line 8: 9 values"),
        ("7 1 ;", "7 1 1 ;", "line 8: 11 values"),
        ("7 1 ;", "7 1 ; 4 2", "behind the semicolon"),
        ("4\t2\t80\t3\t6\t1\t1\t0\t0\t1\n", "4\t2\t80\t3", "line 10: 4 values; the file is cut here"),
        ("4\t2\t80\t3\t6\t1\t1\t0\t0\t1\n", "", "states 3 links, the file has 2"),
        ("LINKS> 3", "LINKS> 4", "line 4: the header states 4 links, the file has 3"),
        ("LINKS> 3", "LINKS> many", "line 4: <NUMBER OF LINKS> is 'many'"),
        ("NODES> 4", "NODES> 4000000000000", "<NUMBER OF NODES> is '4000000000000'"),
        ("NODES> 4", "NODES> 1", "2 zones among 1 nodes"),
        ("ZONES> 2", "ZONES> -2", "<NUMBER OF ZONES> is '-2'"),
        ("<NUMBER OF NODES> 4\n", "", "<NUMBER OF NODES> is missing"),
        ("<FIRST THRU NODE> 3\n", "", "<FIRST THRU NODE> is missing"),
        ("<END OF METADATA>\n", "", "is no metadata"),
        (ROWS, "", "states 3 links, the file has 0"),
    ],
)
def test_bad_input_names_file_line_and_value(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = (HEADER + ROWS).replace(old, new, 1)
    assert text != HEADER + ROWS
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert expected in str(raised.value)
    assert "made_net.tntp" in str(raised.value)


def test_bad_files(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + ROWS).encode())
    for name, content, expected in (
        ("a.tntp", b"", "empty"),
        ("b.tntp", b"\x00\x01\x02" * 50, "not a text file"),
        ("c.tntp.gz", whole[:40], "not a whole gzip file"),
        ("d.tntp.gz", b"plain text", "not a whole gzip file"),
        ("e.tntp.gz", whole[:20] + b"\xff\xff" + whole[22:], "not a whole gzip file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=expected):
            read_tntp_network(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_tntp_network(tmp_path / "missing.tntp")
    with pytest.raises(InputError, match="cannot be read"):
        read_tntp_network(tmp_path)


def test_coordinates_from_both_forms(tmp_path: Path) -> None:
    (tmp_path / "net.tntp").write_text(HEADER + ROWS, encoding="utf-8")
    (tmp_path / "node.tntp.gz").write_bytes(gzip.compress(b"Node \tX \tY \t;\n1 \t1.5 \t\t2.5 \t; \n3 \t-7 \t8 \t;\n"))
    network = read_tntp_network(tmp_path / "net.tntp", nodes=tmp_path / "node.tntp.gz")
    assert network.node_x[[0, 2]].tolist() == [1.5, -7.0] and np.isnan(network.node_y[[1, 3]]).all() and network.crs is None
    point = '{"type": "Feature", "properties": {"id": 2}, "geometry": {"type": "Point", "coordinates": [-117.5, 33.25]}}'
    (tmp_path / "nodes.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{point}]}}', encoding="utf-8")
    network = read_tntp_network(tmp_path / "net.tntp", nodes=tmp_path / "nodes.geojson")
    assert (network.node_x[1], network.node_y[1], network.crs) == (-117.5, 33.25, "EPSG:4326")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("n.tntp", "node x y\n9 1 2\n", "line 2: node 9"),
        ("n.tntp", "1 1 2\n1 1 2\n", "second time"),
        ("n.tntp", "1 1 2\n2 north 2\n", "line 2"),
        ("n.tntp", "1 1\n", "line 1"),
        ("n.tntp", "~ nothing\n", "no nodes"),
        ("n.geojson", "{", "is not JSON"),
        ("n.geojson", "[]", "has no features"),
        ("n.geojson", '{"features": [{"properties": {}}]}', "feature 0"),
        ("n.geojson", '{"features": [{"properties": {"id": 1}, "geometry": {"coordinates": [1, "x"]}}]}', "feature 0"),
    ],
)
def test_bad_coordinates(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / "net.tntp").write_text(HEADER + ROWS, encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        read_tntp_network(tmp_path / "net.tntp", nodes=tmp_path / name)


def test_written_networks_come_back(tmp_path: Path) -> None:
    network = grid(3, 4)
    order = write_tntp_network(network, tmp_path / "grid_net.tntp")
    again = read_tntp_network(tmp_path / "grid_net.tntp", time_unit_s=1.0, length_unit_m=1.0)
    assert network.node_id[order][:4].tolist() == [1, 4, 9, 12]
    assert order[again.tail_idx].tolist() == network.tail_idx.tolist()
    assert order[again.head_idx].tolist() == network.head_idx.tolist()
    for column in ("capacity_vph", "free_flow_time_s", "length_m", "bpr_alpha", "bpr_beta"):
        assert getattr(again, column).tolist() == getattr(network, column).tolist()


def test_what_tntp_cannot_say_is_refused(tmp_path: Path) -> None:
    closed = grid(2, 3)
    for network, expected in (
        (parallel(2), "parallel links"),
        (closed.replace(zone_id=np.zeros(0, dtype=np.int64), zone_node_idx=np.zeros(0, dtype=np.int32)), "without zones"),
        (closed.replace(node_passable=np.array([True, False, True, True, True, True])), "no zone and may not be passed"),
    ):
        with pytest.raises(InputError, match=expected):
            write_tntp_network(network, tmp_path / "out.tntp")
    assert not (tmp_path / "out.tntp").exists()
