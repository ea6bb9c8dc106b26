"""Build the example town in every format that routepact reads: an invented town on two banks of a river, with a morning's trips.

Twenty junctions, two bridges, six zones; all numbers are made up here. The same streets, the same two banned turns and the same
trips are written as GMNS, MATSim and SUMO files, so that a scenario of each has the same answer. Speeds and capacities are those
that routepact assumes of each class of street. `prior.csv` is an old survey of the same demand (a seventh to a third too low,
unevenly), and `counts.csv` what counters would show: the equilibrium flows of the true demand with 3 % noise. Run it in the
checkout:

    python data/build_examples.py [--out data/examples]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle, make_problem
from sim.demand.od import od_from_gmns
from sim.network.gmns import read_gmns
from sim.network.infer import STREET_DEFAULTS
from sim.network.turns import turn_graph

ROWS, COLUMNS = 4, 5
BLOCK_X_M, BLOCK_Y_M = 500.0, 400.0
RIVER_M = 600.0
"""Length of a bridge, between the second and the third row of streets."""
BRIDGES = {1: "primary", 3: "tertiary"}
"""Class of the bridge by its column: a new one in the west, an old one in the east."""
BANNED = ((6, 7, 12), (7, 12, 11))
"""Nobody may turn left onto the western bridge, nor left off it."""
METRES_PER_DEGREE = 111_195.0
"""At the equator, where the town lies in the sea."""
DEMAND_VPH = {
    (1, 16): 160, (1, 18): 240, (1, 20): 120, (3, 16): 130, (3, 18): 260, (3, 20): 150, (5, 16): 110, (5, 18): 250, (5, 20): 140,
    (16, 3): 60, (18, 1): 70, (18, 3): 90, (18, 5): 60, (20, 3): 50, (1, 5): 80, (16, 20): 90,
}  # fmt: skip
"""Vehicles an hour from zone to zone: to work on the northern bank."""
VEHICLES_A_TRIP = 10
SURVEYED = (0.67, 0.86, 0.75)
"""Share of the true demand that the old survey found, cell after cell."""
VALUES_OF_TIME_PER_H = (12, 18, 30)
FIRST_DEPARTURE_S, PERIOD_S = 25_200, 3600
COUNTED_EVERY = 2
COUNT_NOISE = 0.03


class Link(NamedTuple):
    """One direction of a street."""

    tail: int
    head: int
    street_class: str
    length_m: float

    @property
    def name(self) -> str:
        """Id of the link."""
        return f"{self.tail}-{self.head}"


class Trip(NamedTuple):
    """One traveller who stands for `VEHICLES_A_TRIP` vehicles."""

    origin: int
    destination: int
    departure_s: int
    vot_per_h: int


def node_id(row: int, column: int) -> int:
    """Return the id of a junction; ids count from the south-west, eastwards."""
    return row * COLUMNS + column + 1


def node_xy(number: int) -> tuple[float, float]:
    """Return the place of a junction, metres from the south-west."""
    row, column = divmod(number - 1, COLUMNS)
    return column * BLOCK_X_M, row * BLOCK_Y_M + (RIVER_M - BLOCK_Y_M if row >= ROWS // 2 else 0.0)


def links() -> list[Link]:
    """Return the streets, both directions of each."""
    found = []
    for row in range(ROWS):
        along = "secondary" if row in (1, 2) else "tertiary"
        found += [(node_id(row, column), node_id(row, column + 1), along) for column in range(COLUMNS - 1)]
    for row in range(ROWS - 1):
        for column in range(COLUMNS):
            across = BRIDGES.get(column) if row == 1 else "secondary" if column in BRIDGES else "residential"
            if across is not None:
                found.append((node_id(row, column), node_id(row + 1, column), across))
    both = [(one, other, kind) for one, other, kind in found] + [(other, one, kind) for one, other, kind in found]
    return [Link(tail, head, kind, math.dist(node_xy(tail), node_xy(head))) for tail, head, kind in sorted(both)]


def trips() -> list[Trip]:
    """Return the travellers, by departure; those of a cell leave at equal distances."""
    found = []
    for number, ((origin, destination), vehicles) in enumerate(DEMAND_VPH.items()):
        n_trips = vehicles // VEHICLES_A_TRIP
        for trip in range(n_trips):
            departure_s = FIRST_DEPARTURE_S + PERIOD_S * trip // n_trips
            found.append(Trip(origin, destination, departure_s, VALUES_OF_TIME_PER_H[(number + trip) % 3]))
    return sorted(found, key=lambda trip: (trip.departure_s, trip.origin, trip.destination))


def turns(streets: list[Link]) -> list[tuple[Link, Link]]:
    """Return the turns that are allowed, turning back included."""
    return [
        (one, other)
        for one in streets
        for other in streets
        if one.head == other.tail and (one.tail, one.head, other.head) not in BANNED
    ]


def gmns(streets: list[Link]) -> dict[str, str]:
    """Return the files of the GMNS folder; lengths in kilometres, capacity of a lane."""
    zones = sorted({zone for pair in DEMAND_VPH for zone in pair})
    nodes = ["node_id,x_coord,y_coord,zone_id"]
    for number in range(1, ROWS * COLUMNS + 1):
        x, y = (round(metres / METRES_PER_DEGREE, 7) for metres in node_xy(number))
        nodes.append(f"{number},{x},{y},{number if number in zones else ''}")
    rows = ["link_id,from_node_id,to_node_id,directed,length,facility_type,capacity,free_speed,lanes"]
    for link in streets:
        default = STREET_DEFAULTS[link.street_class]
        rows.append(
            f"{link.name},{link.tail},{link.head},1,{link.length_m / 1000:g},{link.street_class},"
            f"{default.capacity_per_lane_vph:g},{default.free_speed_kph:g},1"
        )
    at_bans = {ban[1] for ban in BANNED}
    movements = ["mvmt_id,node_id,ib_link_id,ob_link_id"]
    listed = [(one, other) for one, other in turns(streets) if one.head in at_bans]
    movements += [f"{place},{one.head},{one.name},{other.name}" for place, (one, other) in enumerate(listed, start=1)]
    config = ["dataset_name,long_length,speed,crs", "example town,km,kph,EPSG:4326"]
    files = {"config": config, "node": nodes, "link": rows, "movement": movements}
    return {f"gmns/{name}.csv": "\n".join(lines) + "\n" for name, lines in files.items()}


def matsim(streets: list[Link]) -> dict[str, str]:
    """Return the network and the plans of MATSim; coordinates in metres of a plane, speeds in metres a second."""
    lines = ['<network name="town"><nodes>']
    for number in range(1, ROWS * COLUMNS + 1):
        x, y = node_xy(number)
        lines.append(f'<node id="{number}" x="{x:g}" y="{y:g}"/>')
    lines.append('</nodes><links capperiod="01:00:00">')
    for link in streets:
        default = STREET_DEFAULTS[link.street_class]
        banned = [f'["{ban[1]}-{ban[2]}"]' for ban in BANNED if ban[:2] == (link.tail, link.head)]
        inner = f'<attribute name="type" class="java.lang.String">{link.street_class}</attribute>'
        if banned:
            inner += f'<attribute name="disallowedNextLinks" class="x">{{"car":[{",".join(banned)}]}}</attribute>'
        lines.append(
            f'<link id="{link.name}" from="{link.tail}" to="{link.head}" length="{link.length_m:g}" '
            f'freespeed="{default.free_speed_kph / 3.6!r}" capacity="{default.capacity_per_lane_vph:g}" permlanes="1" '
            f'modes="car"><attributes>{inner}</attributes></link>'
        )
    lines.append("</links></network>")
    into = {link.head: link.name for link in streets}
    plans = ["<population>"]
    for number, trip in enumerate(trips(), start=1):
        hours, rest = divmod(trip.departure_s, 3600)
        leaves = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
        plans.append(
            f'<person id="{number}"><plan selected="yes"><activity type="home" link="{into[trip.origin]}" end_time="{leaves}"/>'
            f'<leg mode="car"/><activity type="work" link="{into[trip.destination]}"/></plan></person>'
        )
    plans.append("</population>")
    return {"matsim/network.xml": "\n".join(lines) + "\n", "matsim/plans.xml": "\n".join(plans) + "\n"}


def sumo(streets: list[Link]) -> dict[str, str]:
    """Return the network of SUMO, which states no capacities; turns that may be driven are its connections."""
    lines = ['<net version="1.20"><location netOffset="0,0" projParameter="!"/>']
    for link in streets:
        speed_m_s = STREET_DEFAULTS[link.street_class].free_speed_kph / 3.6
        lines.append(
            f'<edge id="{link.name}" from="{link.tail}" to="{link.head}" type="highway.{link.street_class}">'
            f'<lane id="{link.name}_0" index="0" speed="{speed_m_s!r}" length="{link.length_m:g}"/></edge>'
        )
    for number in range(1, ROWS * COLUMNS + 1):
        x, y = node_xy(number)
        lines.append(f'<junction id="{number}" type="priority" x="{x:g}" y="{y:g}"/>')
    lines += [f'<connection from="{one.name}" to="{other.name}" fromLane="0" toLane="0"/>' for one, other in turns(streets)]
    return {"sumo/town.net.xml": "\n".join(lines) + "\n</net>\n"}


def demand() -> dict[str, str]:
    """Return the demand as a GMNS table, as a list of trips and as the old survey saw it."""
    volumes = [f"{origin},{destination},{vph}" for (origin, destination), vph in DEMAND_VPH.items()]
    listed = [f"{trip.origin},{trip.destination},{trip.departure_s},{VEHICLES_A_TRIP},{trip.vot_per_h}" for trip in trips()]
    found = [
        f"{origin},{destination},{vph * SURVEYED[place % len(SURVEYED)]:.0f}"
        for place, ((origin, destination), vph) in enumerate(DEMAND_VPH.items())
    ]
    files = {
        "demand": ["o_zone_id,d_zone_id,volume", *volumes],
        "trips": ["origin,destination,departure_s,weight,vot_per_h", *listed],
        "prior": ["origin,destination,demand_vph", *found],
    }
    return {f"{name}.csv": "\n".join(lines) + "\n" for name, lines in files.items()}


def counts(folder: Path) -> str:
    """Return the counts of every other link, from the equilibrium of the files that were written."""
    network = read_gmns(folder / "gmns")
    graph = turn_graph(network)
    problem = make_problem(graph.network, od_from_gmns(folder / "demand.csv", network))
    flow_vph = graph.flow_on_streets(solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-8).flow_vph)
    noise = np.random.default_rng(1).normal(1.0, COUNT_NOISE, network.n_links)
    counted = [place for place in range(0, network.n_links, COUNTED_EVERY) if flow_vph[place] > 0]
    rows = [f"{network.link_id[place]},{flow_vph[place] * noise[place]:.0f}" for place in counted]
    return "\n".join(["link_id,count_vph", *rows]) + "\n"


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description="Build the example town in every format.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "examples", help="folder to write into")
    folder: Path = parser.parse_args().out
    streets = links()
    for name, text in (gmns(streets) | matsim(streets) | sumo(streets) | demand()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "counts.csv").write_text(counts(folder), encoding="utf-8")


if __name__ == "__main__":
    main()
