"""Networks and plans of MATSim, networks of SUMO: small ones read element by element, and broken ones."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.demand.matsim_plans import read_plans
from sim.errors import InputError
from sim.network.infer import SATURATION_FLOW_VPH, STREET_DEFAULTS
from sim.network.matsim import read_matsim_network
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.sumo import read_sumo
from sim.network.xml_stream import elements

MATSIM = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE network SYSTEM "http://www.matsim.org/files/dtd/network_v2.dtd">
<network name="town">
 <attributes><attribute name="coordinateReferenceSystem" class="java.lang.String">EPSG:2056</attribute></attributes>
 <nodes><node id="a" x="0" y="0"/><node id="b" x="1000" y="0"/><node id="c" x="1000.0" y="-500.0"/></nodes>
 <links capperiod="02:00:00" effectivecellsize="7.5">
  <link id="1" from="a" to="b" length="1000" freespeed="10" capacity="3600" permlanes="2" modes="car,bike">
   <attributes>
    <attribute name="disallowedNextLinks" class="x">{"car": [["2"], ["3", "1"]], "bus": [["3"]]}</attribute>
    <attribute name="type" class="java.lang.String">primary</attribute>
   </attributes>
  </link>
  <link id="2" from="b" to="c" length="500" freespeed="5" capacity="1200"/>
  <link id="3" from="b" to="a" length="1000" freespeed="10" capacity="3600" permlanes="2.0" modes="car"/>
  <link id="4" from="c" to="a" length="1118" freespeed="2" capacity="9999" modes="pt"/>
  <link id="5" from="c" to="b" length="500" freespeed="5" capacity="1200"/>
 </links>
</network>
"""
PLANS = """<population>
 <person id="p">
  <plan selected="no"><activity type="h" link="1"/><leg mode="car"/><activity type="w" link="5"/></plan>
  <plan selected="yes">
   <activity type="h" link="3" end_time="07:30:00"/><leg mode="car"/>
   <activity type="w" x="990" y="-480" end_time="25:00"/><leg mode="car" dep_time="undefined"/>
   <activity type="h" link="3"/><leg mode="walk"/><activity type="s" link="3"/>
  </plan>
 </person>
 <person id="q"><plan>
  <activity type="h" link="2"/><leg mode="car" dep_time="00:00:00"/><activity type="w" link="3"/></plan></person>
</population>
"""
SUMO = """<net version="1.20">
 <location netOffset="100.0,50.0" projParameter="+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"/>
 <edge id=":b_0" function="internal"><lane id=":b_0_0" index="0" speed="5" length="3" shape="0,0 1,1"/></edge>
 <edge id="ab" from="a" to="b" type="highway.primary" name="Main" shape="100,50 500,60 1100,50">
  <lane id="ab_0" index="0" allow="pedestrian" speed="2" length="990"/>
  <lane id="ab_1" index="1" disallow="pedestrian" speed="13.89" length="1000.5"/>
  <lane id="ab_2" index="2" disallow="tram" speed="13.0" length="1000.0"/>
 </edge>
 <edge id="bc" from="b" to="c"><lane id="bc_0" index="0" speed="8" length="500"/></edge>
 <edge id="ba" from="b" to="a" type="highway.primary"><lane id="ba_0" index="0" speed="8" length="1000"/></edge>
 <edge id="rail" from="a" to="c"><lane id="rail_0" index="0" allow="rail" speed="30" length="1200"/></edge>
 <junction id="a" type="dead_end" x="100" y="50"/>
 <junction id="b" type="traffic_light" x="1100" y="50"/>
 <junction id=":b_0" type="internal" x="1" y="1"/>
 <junction id="c" type="priority" x="1100" y="550"/>
 <connection from="ab" to="bc" fromLane="1" toLane="0"/>
 <connection from="ab" to="ba" fromLane="0" toLane="0"/>
</net>
"""


def saved(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["network.xml", "network.xml.gz"])
def test_a_network_of_matsim(tmp_path: Path, name: str) -> None:
    network = read_matsim_network(saved(tmp_path, name, MATSIM))
    assert (network.name, network.crs) == ("town", "EPSG:2056")
    assert network.link_id.tolist() == ["1", "2", "3", "5"]
    assert network.cleaning.counts["links_not_for_cars"] == 1
    # Capacities count for two hours.
    assert network.capacity_vph.tolist() == [1800.0, 600.0, 1800.0, 600.0]
    assert network.free_flow_time_s.tolist() == pytest.approx([100.0, 100.0, 100.0, 100.0])
    assert network.lanes.tolist() == [2.0, 1.0, 2.0, 1.0] and network.link_classes[network.link_class_code[0]] == "primary"
    assert network.turns.bans() == [(0, 1), (0, 2, 0)]
    assert read_matsim_network(tmp_path / name, crs="EPSG:21781").crs == "EPSG:21781"


def test_plans_of_matsim(tmp_path: Path) -> None:
    network = read_matsim_network(saved(tmp_path, "network.xml", MATSIM))
    trips = read_plans(saved(tmp_path, "plans.xml", PLANS), network, mode="car")
    ends = [(str(trips.zone_id[a]), str(trips.zone_id[b])) for a, b in zip(trips.origin_idx, trips.destination_idx, strict=True)]
    assert ends == [("a", "c"), ("c", "a"), ("c", "a")]
    assert trips.departure_s.tolist() == [7.5 * 3600, 25 * 3600.0, 0.0]
    assert trips.weight.tolist() == [1.0, 1.0, 1.0]
    older = PLANS.replace("population", "plans").replace("activity", "act")
    assert read_plans(saved(tmp_path, "old.xml", older), network, mode="walk").n_trips == 1
    with pytest.raises(InputError, match=r"no leg has the mode 'ship' \(allowed: car, walk\)"):
        read_plans(tmp_path / "plans.xml", network, mode="ship")


@pytest.mark.parametrize("name", ["town.net.xml", "town.net.xml.gz"])
def test_a_network_of_sumo(tmp_path: Path, name: str) -> None:
    network = read_sumo(saved(tmp_path, name, SUMO))
    assert network.name == "town" and network.crs is not None and "utm" in network.crs
    assert network.link_id.tolist() == ["ab", "bc", "ba"] and network.node_id.tolist() == ["a", "b", "c"]
    assert network.cleaning.counts["links_not_for_cars"] == 1
    assert (network.lanes[0], network.length_m[0]) == (2.0, 1000.5)
    assert network.free_speed_kph[0] == pytest.approx(50.004)
    primary = STREET_DEFAULTS["primary"]
    assert network.capacity_vph[0] == 2 * min(primary.capacity_per_lane_vph, SATURATION_FLOW_VPH * primary.green_share)
    assert network.capacity_vph[2] == primary.capacity_per_lane_vph
    assert (network.node_x[0], network.node_y[0]) == (0.0, 0.0)
    assert network.link_points(0).tolist() == [[0.0, 0.0], [400.0, 10.0], [1000.0, 0.0]]
    assert network.street_name(0) == "Main"
    # The connection back leaves from a lane for pedestrians.
    assert network.turns.bans() == [(0, 2), (2, 0)]
    assert network.speed_source[0] == Provenance.FILE


Reader = Callable[[Path], RoadNetwork]


@pytest.mark.parametrize(
    ("read", "text", "old", "new", "message"),
    [
        (read_matsim_network, MATSIM, 'id="a" x="0"', 'id="a" x="west"', r"<node id='a'>: x is 'west'"),
        (read_matsim_network, MATSIM, 'from="b" to="c"', 'from="b" to="z"', r"<link id='2'>: to 'z' does not exist"),
        (read_matsim_network, MATSIM, 'freespeed="5"', 'freespeed="0"', r"<link id='2'>: freespeed is '0'"),
        (read_matsim_network, MATSIM, 'capacity="1200"', 'capacity="NaN"', r"<link id='2'>: capacity is 'NaN'"),
        (read_matsim_network, MATSIM, 'length="500"', "", r"<link id='2'>: length is missing"),
        (read_matsim_network, MATSIM, "02:00:00", "soon", r"capperiod is 'soon'"),
        (read_matsim_network, MATSIM, '{"car"', '{"car', r"<link id='1'>: disallowedNextLinks is"),
        (read_matsim_network, MATSIM, "</links>", "", r"line \d+, column \d+: is no whole XML"),
        (
            read_matsim_network,
            MATSIM,
            '<node id="b"',
            '<node id="a" x="1" y="1"/><node id="b"',
            "node_id: a stands more than once",
        ),
        (read_matsim_network, MATSIM, "network", "netz", r"its outermost element is <netz> \(allowed: <network>\)"),
        (read_matsim_network, "<network><nodes/></network>", "", "", "no nodes or no links for cars"),
        (read_matsim_network, "", "", "", "is no whole XML"),
        (read_sumo, SUMO, 'to="c"', 'to="z"', r"<edge id='bc'>: to 'z' does not exist"),
        (read_sumo, SUMO, 'speed="8" length="500"', 'speed="8"', r"<lane id='bc_0'>: length is missing"),
        (read_sumo, SUMO, "100,50 500,60", "100,50 500", r"<edge id='ab'>: shape is"),
        (read_sumo, SUMO, "100.0,50.0", "100.0", r"netOffset is '100.0'"),
        (read_sumo, SUMO, "</net>", "", "is no whole XML"),
        (read_sumo, SUMO, "<net ", "<routes ", "outermost element is <routes>"),
    ],
)
def test_bad_files_are_named_with_their_element(
    tmp_path: Path, read: Reader, text: str, old: str, new: str, message: str
) -> None:
    assert old in text
    with pytest.raises(InputError, match=message) as caught:
        read(saved(tmp_path, "bad.xml", text.replace(old, new, 1) if old != "network" else text.replace(old, new)))
    assert "bad.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('link="3" end_time="07:30:00"', 'end_time="07:30:00"', r"<person id='p'>: an activity of type 'h' has no place"),
        ('x="990"', 'x="east"', "x is 'east'"),
        ("07:30:00", "half past", "end_time is 'half past'"),
        ('<activity type="h" link="2"/>', "", r"<person id='q'>: a leg without an activity"),
        ("</population>", "", "is no whole XML"),
    ],
)
def test_bad_plans_are_named_with_their_person(tmp_path: Path, old: str, new: str, message: str) -> None:
    network = read_matsim_network(saved(tmp_path, "network.xml", MATSIM))
    assert old in PLANS
    with pytest.raises(InputError, match=message):
        read_plans(saved(tmp_path, "plans.xml", PLANS.replace(old, new, 1)), network, mode="car")


def test_packed_files_that_are_cut(tmp_path: Path) -> None:
    whole = gzip.compress(SUMO.encode())
    (tmp_path / "cut.net.xml.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a whole gzip file"):
        read_sumo(tmp_path / "cut.net.xml.gz")
    (tmp_path / "plain.net.xml.gz").write_text(SUMO)
    with pytest.raises(InputError, match="not a whole gzip file"):
        read_sumo(tmp_path / "plain.net.xml.gz")
    with pytest.raises(InputError, match="no such file"):
        read_sumo(tmp_path / "nowhere.net.xml")


def test_an_avalanche_of_entities_is_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE net [<!ENTITY e0 "{"x" * 100}">{levels}]><net>&e8;</net>'
    with pytest.raises(InputError, match="is no whole XML"):
        read_sumo(saved(tmp_path, "bomb.net.xml", bomb))


def test_what_was_read_is_forgotten(tmp_path: Path) -> None:
    many = "<net>" + "".join(f'<junction id="{n}" x="0" y="0"><request/></junction>' for n in range(20_000)) + "</net>"
    path = saved(tmp_path, "many.net.xml", many)
    root = None
    for element in elements(path, ("junction",), root=("net",), openings=("net",)):
        if element.tag == "net":
            root = element
        assert root is not None and len(root) < 2000  # the parser reads ahead by a block
