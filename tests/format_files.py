"""One small town in every format, for tests: three junctions joined both ways, with trips between the first and the last."""

from __future__ import annotations

from pathlib import Path

CONFIG = "dataset_name,long_length,speed,crs\ntown,km,kph,EPSG:4326\n"
NODE = """node_id,x_coord,y_coord,zone_id
1,0.000,0.000,1
2,0.010,0.000,
3,0.010,0.010,3
"""
LINK = """link_id,from_node_id,to_node_id,directed,length,facility_type,capacity,free_speed,lanes
1,1,2,1,1.2,primary,900,50,1
2,2,1,1,1.2,primary,900,50,1
3,2,3,1,1.2,residential,500,30,1
4,3,2,1,1.2,residential,500,30,1
5,1,3,1,1.9,tertiary,600,40,1
6,3,1,1,1.9,tertiary,600,40,1
"""
DEMAND = "o_zone_id,d_zone_id,volume\n1,3,700\n3,1,300\n"
TRIPS = "origin,destination,departure_s,weight\n" + "1,3,60,7\n" * 100 + "3,1,90,3\n" * 100
MATSIM = """<network name="town"><nodes>
<node id="1" x="0" y="0"/><node id="2" x="1200" y="0"/><node id="3" x="1200" y="1200"/></nodes>
<links capperiod="01:00:00">
<link id="1" from="1" to="2" length="1200" freespeed="14" capacity="900" permlanes="1" modes="car"/>
<link id="2" from="2" to="1" length="1200" freespeed="14" capacity="900" permlanes="1" modes="car"/>
<link id="3" from="2" to="3" length="1200" freespeed="8" capacity="500" permlanes="1" modes="car"/>
<link id="4" from="3" to="2" length="1200" freespeed="8" capacity="500" permlanes="1" modes="car"/>
<link id="5" from="1" to="3" length="1900" freespeed="11" capacity="600" permlanes="1" modes="car"/>
<link id="6" from="3" to="1" length="1900" freespeed="11" capacity="600" permlanes="1" modes="car"/>
</links></network>
"""
PERSON = """<person id="{}"><plan selected="yes"><activity type="h" link="{}" end_time="07:00:00"/><leg mode="car"/>
<activity type="w" link="{}"/></plan></person>
"""
PLANS = (
    "<population>"
    + "".join(PERSON.format(f"a{n}", 2, 3) for n in range(300))
    + "".join(PERSON.format(f"b{n}", 3, 6) for n in range(100))
    + "</population>"
)
EDGE = '<edge id="{0}" from="{1}" to="{2}" type="highway.{3}"><lane id="{0}_0" index="0" speed="{4}" length="{5}"/></edge>\n'
SUMO = (
    '<net version="1.20"><location netOffset="0,0" projParameter="!"/>\n'
    + EDGE.format("12", 1, 2, "primary", 14, 1200)
    + EDGE.format("21", 2, 1, "primary", 14, 1200)
    + EDGE.format("23", 2, 3, "residential", 8, 1200)
    + EDGE.format("32", 3, 2, "residential", 8, 1200)
    + EDGE.format("13", 1, 3, "tertiary", 11, 1900)
    + EDGE.format("31", 3, 1, "tertiary", 11, 1900)
    + '<junction id="1" type="priority" x="0" y="0"/><junction id="2" type="traffic_light" x="1200" y="0"/>\n'
    + '<junction id="3" type="priority" x="1200" y="1200"/>\n'
    + "".join(
        f'<connection from="{a}" to="{b}" fromLane="0" toLane="0"/>\n'
        for a, b in (("12", "23"), ("32", "21"), ("21", "13"), ("23", "31"), ("13", "32"), ("31", "12"))
    )
    + "</net>\n"
)
OSM = """<osm version="0.6">
<node id="1" lon="0.000" lat="0.000" version="1"/><node id="2" lon="0.010" lat="0.000" version="1"/>
<node id="3" lon="0.010" lat="0.010" version="1"/><node id="4" lon="0.020" lat="0.000" version="1"/>
<node id="5" lon="-0.001" lat="0.000" version="1"/><node id="6" lon="0.010" lat="0.011" version="1"/>
<way id="1" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/></way>
<way id="2" version="1"><nd ref="2"/><nd ref="3"/><tag k="highway" v="residential"/></way>
<way id="3" version="1"><nd ref="1"/><nd ref="3"/><tag k="highway" v="tertiary"/></way>
<way id="5" version="1"><nd ref="1"/><nd ref="5"/><tag k="highway" v="residential"/></way>
<way id="6" version="1"><nd ref="3"/><nd ref="6"/><tag k="highway" v="residential"/></way>
<way id="4" version="1"><nd ref="2"/><nd ref="4"/><tag k="highway" v="residential"/></way>
<relation id="9" version="1"><member type="way" ref="1" role="from"/><member type="node" ref="2" role="via"/>
<member type="way" ref="2" role="to"/><tag k="type" v="restriction"/><tag k="restriction" v="no_left_turn"/></relation>
</osm>
"""

FILES = {
    "gmns/config.csv": CONFIG,
    "gmns/node.csv": NODE,
    "gmns/link.csv": LINK,
    "demand.csv": DEMAND,
    "trips.csv": TRIPS,
    "matsim.xml": MATSIM,
    "plans.xml": PLANS,
    "town.net.xml": SUMO,
    "town.osm": OSM,
}
NETWORKS = {
    "gmns": 'source = "gmns"\nfolder = "gmns"',
    "matsim": 'source = "matsim"\nfile = "matsim.xml"',
    "sumo": 'source = "sumo"\nfile = "town.net.xml"',
    "osm": 'source = "osm"\nfile = "town.osm"',
}
DEMANDS = {
    "gmns": 'source = "gmns"\nfile = "demand.csv"',
    "trips": 'source = "trips"\nfile = "trips.csv"',
    "matsim": 'source = "matsim"\nfile = "plans.xml"',
}


def write_town(folder: Path, network: str, demand: str) -> Path:
    """Write the town's files and a scenario of one network and one demand; return the scenario's path."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    scenario = folder / "town.toml"
    scenario.write_text(f'name = "town"\n[network]\n{NETWORKS[network]}\n[demand]\n{DEMANDS[demand]}\n')
    return scenario
