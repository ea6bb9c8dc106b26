"""GMNS folders: written and read again, in the conventions of other tools, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sim.errors import InputError
from sim.network.gmns import read_gmns
from sim.network.gmns_writer import write_gmns, write_gmns_demand
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.synthetic import braess, grid
from sim.network.turn_table import turn_table
from sim.units import KILOMETRES_PER_MILE

# What osm2gmns 1.0 writes (metres, km/h, WKT), with one footway.
OSM2GMNS_NODE = """name,node_id,osm_node_id,ctrl_type,x_coord,y_coord,is_boundary,activity_type,poi_id,zone_id,notes
,1,101,signal,0.0,0.0,,,,,
,2,102,,0.001,0.0,,,,,
,3,103,,0.001,0.001,,,,,
"""
OSM2GMNS_LINK = """link_id,name,osm_way_id,from_node_id,to_node_id,directed,geometry,dir_flag,length,facility_type,free_speed,\
lanes,capacity,allowed_uses
1,First Street,11,1,2,1,"LINESTRING (0 0, 0.0005 0.0001, 0.001 0)",1,112.5,primary,50,2,,auto
2,First Street,11,2,1,1,"LINESTRING (0 0, 0.0005 0.0001, 0.001 0)",-1,112.5,primary,,,,auto
3,,12,2,3,0,"LINESTRING (0.001 0, 0.001 0.001)",0,111.2,residential,30,1,400,auto
4,,13,1,3,1,"LINESTRING (0 0, 0.001 0.001)",1,157.3,footway,5,1,,walk
"""
# What Path4GMNS reads (miles, miles an hour, minutes), with connectors from zones.
PATH4GMNS_NODE = """name,node_id,zone_id,node_type,x_coord,y_coord
,1,1,,-87.70,42.00
,2,2,,-87.66,42.00
,3,,,-87.68,42.01
"""
PATH4GMNS_LINK = """name,link_id,from_node_id,to_node_id,facility_type,dir_flag,length,lanes,capacity,free_speed,link_type,\
VDF_fftt1,VDF_cap1,VDF_alpha1,VDF_beta1,
,1,1,3,Highway,1,1.24,2,1500,60,1,1.3,2800,0.2,5,
,2,3,2,Highway,1,1.24,1,1500,30,1,,,,,
"""


def folder_of(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "town"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def same(first: RoadNetwork, second: RoadNetwork) -> None:
    for name in ("node_id", "tail_idx", "head_idx", "link_id", "node_passable", "zone_id", "zone_node_idx"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    for name in (
        "length_m",
        "free_flow_time_s",
        "capacity_vph",
        "bpr_alpha",
        "bpr_beta",
        "fixed_cost_s",
        "toll",
        "node_x",
        "lanes",
    ):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-15, err_msg=name)
    np.testing.assert_array_equal(first.all_link_points()[0], second.all_link_points()[0])
    assert [first.link_classes[code] for code in first.link_class_code] == [
        second.link_classes[code] for code in second.link_class_code
    ]


@pytest.mark.parametrize("network", [braess(), grid(4, 3)], ids=lambda network: network.name)
def test_a_network_comes_back(tmp_path: Path, network: RoadNetwork) -> None:
    assert write_gmns(network, tmp_path / "out") == ()
    same(network, read_gmns(tmp_path / "out"))


def test_turns_come_back(tmp_path: Path) -> None:
    network = grid(4, 3)
    start, leaving = network.out_rows
    first = 0
    after = leaving[start[network.head_idx[first]] : start[network.head_idx[first] + 1]].tolist()
    network = network.replace(turns=turn_table([(first, after[0])], {(first, after[1]): 7.5}))
    write_gmns(network, tmp_path / "out")
    again = read_gmns(tmp_path / "out")
    assert again.turns.bans() == network.turns.bans() and again.turns.delays() == network.turns.delays()
    long = network.replace(turns=turn_table([(first, after[0], int(leaving[start[network.head_idx[after[0]]]]))]))
    assert "three links" in write_gmns(long, tmp_path / "long")[0]


def test_every_field_of_the_schemas_is_written(tmp_path: Path) -> None:
    write_gmns(grid(3, 3), tmp_path / "out")
    required = {
        "node": ["node_id", "x_coord", "y_coord", "zone_id"],
        "link": [
            "link_id",
            "from_node_id",
            "to_node_id",
            "directed",
            "length",
            "capacity",
            "free_speed",
            "lanes",
            "allowed_uses",
        ],
        "zone": ["zone_id", "boundary"],
        "config": ["long_length", "speed", "crs", "id_type"],
    }
    for name, fields in required.items():
        header = (tmp_path / "out" / f"{name}.csv").read_text().split("\n")[0].split(",")
        assert set(fields) <= set(header) and len(set(header)) == len(header)
    with pytest.raises(InputError, match="new folder, or an empty one"):
        write_gmns(grid(3, 3), tmp_path / "out")


def test_files_of_osm2gmns(tmp_path: Path) -> None:
    network = read_gmns(folder_of(tmp_path, node=OSM2GMNS_NODE, link=OSM2GMNS_LINK))
    assert network.crs == "EPSG:4326"
    assert network.cleaning.counts["links_not_for_cars"] == 1
    assert any("m fits" in text for text in network.cleaning.warnings)
    assert network.link_id.tolist() == [1, 2, 3, 5]  # the last is the way back of an undirected link
    assert network.length_m[0] == 112.5 and network.free_speed_kph[0] == 50.0 and network.lanes[0] == 2.0
    assert network.free_flow_time_s[0] == pytest.approx(112.5 / (50 / 3.6))
    assert network.capacity_vph.tolist() == [2000.0, 1000.0, 400.0, 400.0]
    assert network.capacity_source.tolist() == [Provenance.CLASS_DEFAULT] * 2 + [Provenance.FILE] * 2
    assert network.speed_source[1] == Provenance.CLASS_DEFAULT and network.street_name(0) == "First Street"
    # The second link is drawn against its direction.
    assert network.link_points(1)[0].tolist() == [0.001, 0.0]
    assert (network.tail_idx[3], network.head_idx[3]) == (2, 1)


def test_files_of_path4gmns(tmp_path: Path) -> None:
    network = read_gmns(folder_of(tmp_path, node=PATH4GMNS_NODE, link=PATH4GMNS_LINK))
    assert network.length_m[0] == pytest.approx(1.24 * 1609.344)
    assert network.free_flow_time_s[0] == pytest.approx(1.3 * 60) and network.capacity_vph[0] == 2800.0
    assert (network.bpr_alpha[0], network.bpr_beta[0]) == (0.2, 5.0)
    assert network.free_speed_kph[1] == pytest.approx(30 * KILOMETRES_PER_MILE)
    assert network.free_flow_time_s[1] == pytest.approx(1.24 / 30 * 3600)
    assert (network.bpr_alpha[1], network.bpr_beta[1], network.capacity_vph[1]) == (0.15, 4.0, 1500.0)
    assert network.zone_id.tolist() == [1, 2]


def test_a_zone_of_several_nodes_gets_a_centre(tmp_path: Path) -> None:
    node = PATH4GMNS_NODE.replace(",3,,,", ",3,1.0,,")
    network = read_gmns(folder_of(tmp_path, node=node, link=PATH4GMNS_LINK))
    assert network.zone_id.tolist() == [1, 2] and network.n_nodes == 5
    assert network.is_connector.sum() == 6 and not network.node_passable[network.zone_node_idx].any()


def test_movements_ban_what_they_do_not_list(tmp_path: Path) -> None:
    movement = "mvmt_id,node_id,ib_link_id,ob_link_id,type,penalty\n1,2,1,3,left,4.5\n"
    network = read_gmns(folder_of(tmp_path, node=OSM2GMNS_NODE, link=OSM2GMNS_LINK, movement=movement))
    assert network.turns.delays() == {(0, 2): 4.5}
    # At node 2: turning back on either street, and from the side street into the main street.
    assert network.turns.bans() == [(0, 1), (3, 1), (3, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"node": ("node_id", "id")}, r"node.csv, line 1: the column node_id is missing"),
        ({"link": ("length", "laenge")}, "no unit of length is stated, and no link has a length"),
        ({"link": ("112.5,primary,50", "112.5,primary,fast")}, r"link.csv, line 2: free_speed is 'fast'"),
        ({"link": ("112.5,primary,50", "-1,primary,50")}, r"link.csv, line 2: length is '-1'"),
        ({"link": ("112.5,primary,50", "inf,primary,50")}, r"link.csv, line 2: length is 'inf'"),
        ({"link": ("3,,12,2,3", "3,,12,2,9")}, r"link.csv, line 4: to_node_id '9' does not exist"),
        ({"link": ("3,,12,2,3", "1,,12,2,3")}, r"link.csv, line 4: link_id 1 is there twice"),
        ({"node": (",3,103", ",2,103")}, r"node.csv, line 4: node_id 2 is there twice"),
        ({"link": ("LINESTRING (0 0, 0.0005", "LINESTRANG (0 0, 0.0005")}, "line 2: geometry is"),
        ({"link": (",2,3,0,", ",2,3,maybe,")}, r"line 4: directed is 'maybe'"),
        ({"link": ("4,,13,1,3,1", "4,13,1,3,1")}, r"link.csv: is no table: .*Expected 14 columns, got 13"),
        ({"node": (",0.001,0.001", ",0.001,north")}, r"node.csv, line 4: y_coord is 'north'"),
        ({"node": (OSM2GMNS_NODE, "")}, "node.csv: the file is empty"),
        ({"zone": ("", "zone_id\n1\n1\n")}, r"zone.csv, line 3: zone_id 1 is there twice"),
        ({"config": ("", "long_length\nfurlong\n")}, r"config.csv: long_length is 'furlong'"),
        ({"config": ("", "long_length,speed\nkm,warp\n")}, r"config.csv: speed is 'warp'"),
        (
            {"movement": ("", "mvmt_id,node_id,ib_link_id,ob_link_id\n1,1,1,3\n")},
            "movement.csv, line 2: links 1 and 3 do not meet",
        ),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path: Path, change: dict[str, tuple[str, str]], message: str) -> None:
    files = {"node": OSM2GMNS_NODE, "link": OSM2GMNS_LINK}
    for name, (old, new) in change.items():
        before = files.get(name, "")
        assert old in before
        files[name] = before.replace(old, new, 1)
    with pytest.raises(InputError, match=message):
        read_gmns(folder_of(tmp_path, **files))


def test_missing_folders_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_gmns(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"link.csv: no such file"):
        read_gmns(folder_of(tmp_path, node=OSM2GMNS_NODE))


def test_demand_is_written_to_the_bit(tmp_path: Path) -> None:
    write_gmns_demand(tmp_path / "demand.csv", np.array([1, 2]), np.array([2, 1]), np.array([0.1 + 0.2, 1e-7]))
    lines = (tmp_path / "demand.csv").read_text().splitlines()
    assert lines == ["o_zone_id,d_zone_id,volume", f"1,2,{json.dumps(0.1 + 0.2)}", "2,1,1e-07"]
