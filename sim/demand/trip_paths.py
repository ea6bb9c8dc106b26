"""Ways that a list of trips states itself: its column `path`, ids of links from origin to destination, blanks between them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from sim.arrays import IndexColumn, OffsetColumn
from sim.demand.trip_list import read_trip_list, traveller_rows
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.table_file import Table, read_table
from sim.spec import TripsDemand

COLUMN = "path"


def read_trip_paths(path: Path, network: RoadNetwork, spec: TripsDemand) -> tuple[OffsetColumn, IndexColumn]:
    """Return the ways of the travellers, in their order, as link positions: traveller i drives `link[start[i]:start[i + 1]]`.

    Parameters
    ----------
    network
        With the zones (or nodes that stand for zones) of the trips.

    Raises
    ------
    InputError
        The column is missing, a way is empty or names no link, has a gap, or leads from or to another place than the trip.
    """
    trips = read_trip_list(path, network)
    table = read_table(path, [COLUMN])
    table.require([COLUMN])
    texts = table.texts(COLUMN)
    link_of = {str(link_id): place for place, link_id in enumerate(network.link_id.tolist())}
    ways = []
    for row in traveller_rows(trips, spec).tolist():
        way = [_link(table, row, name, link_of) for name in texts[row].split()]
        ends = int(network.zone_node_idx[trips.origin_idx[row]]), int(network.zone_node_idx[trips.destination_idx[row]])
        _require_way(table, row, way, ends, network)
        ways.append(way)
    start = np.zeros(len(ways) + 1, dtype=np.int64)
    np.cumsum([len(way) for way in ways], out=start[1:])
    return start, np.array([link for way in ways for link in way], dtype=np.int32)


def _link(table: Table, row: int, name: str, link_of: dict[str, int]) -> int:
    if name not in link_of:
        examples = ", ".join(list(link_of)[:3])
        allowed = f"ids of links with blanks between them: {examples}, ..."
        raise InputError(
            f"{COLUMN} names {name[:40]!r}: no such link", source=table.path, where=table.where(row), allowed=allowed
        )
    return link_of[name]


def _require_way(table: Table, row: int, way: list[int], ends: tuple[int, int], network: RoadNetwork) -> None:
    """Raise InputError unless a way is connected and leads from one node to the other."""

    def bad(problem: str, allowed: str) -> InputError:
        return InputError(f"{COLUMN}: {problem}", source=table.path, where=table.where(row), allowed=allowed)

    if not way:
        raise bad("no links", "at least one link")
    for before, after in pairwise(way):
        if network.head_idx[before] != network.tail_idx[after]:
            problem = f"link {network.link_id[after]} does not start where link {network.link_id[before]} ends"
            raise bad(problem, "a connected path")
    for place, node, what in (
        (int(network.tail_idx[way[0]]), ends[0], "starts at node {} and the trip at node {}"),
        (int(network.head_idx[way[-1]]), ends[1], "ends at node {} and the trip at node {}"),
    ):
        if place != node:
            raise bad(f"it {what.format(network.node_id[place], network.node_id[node])}", "a path from origin to destination")
