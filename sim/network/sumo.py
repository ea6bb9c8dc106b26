"""Networks of SUMO (.net.xml, plain or gzipped).

An edge becomes a link with the lanes that cars may use: the greatest length and speed among them, its junctions as ends, its
shape as drawn. SUMO states no capacity: a lane has that of the edge's type ("highway.primary"), at traffic lights at most what
green lets through (`sim.network.infer`). Turns without a <connection> between lanes for cars are banned. Coordinates are moved
back by `netOffset` where the file states a projection. Format: sumo.dlr.de/docs/Networks/SUMO_Road_Networks.html.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.network.infer import SATURATION_FLOW_VPH
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.network.rows import LinkRows, NodeRows, class_defaults, network_from_rows, positions
from sim.network.tntp_text import number, shown
from sim.network.turn_table import turn_table
from sim.network.xml_stream import attribute, elements, number_of, place_of
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

_KPH_PER_M_S: Final = SECONDS_PER_HOUR / METRES_PER_KILOMETRE
_CAR_CLASSES: Final = {"passenger", "private", "all"}
_NO_PROJECTION: Final = ("", "!")
_SIGNALS: Final = "traffic_light"


class _Net:
    """What was read so far."""

    def __init__(self) -> None:
        self.junctions: dict[str, tuple[float, float, str]] = {}
        self.edges: dict[str, list[Any]] = defaultdict(list)
        self.car_lanes: set[tuple[str, str]] = set()
        self.connected: set[tuple[str, str]] = set()
        self.offset = (0.0, 0.0)
        self.projection: str | None = None
        self.n_other = 0


def read_sumo(path: Path) -> RoadNetwork:
    """Read a network of SUMO.

    Raises
    ------
    InputError
        The file is missing, is no SUMO network, or an element holds what means nothing; the element is named.
    """
    path = Path(path)
    net = _Net()
    for element in elements(path, ("location", "edge", "junction", "connection"), root=("net",)):
        if element.tag == "location":
            _read_location(net, element, path)
        elif element.tag == "junction" and element.get("type") != "internal":
            x, y = (number_of(element, axis, path, at_least=-np.inf) for axis in "xy")
            net.junctions[attribute(element, "id", path)] = (x, y, element.get("type", ""))
        elif element.tag == "edge" and element.get("function", "normal") == "normal":
            _read_edge(net, element, path)
        elif element.tag == "connection":
            ends = attribute(element, "from", path), attribute(element, "to", path)
            lanes = element.get("fromLane", "0"), element.get("toLane", "0")
            if all(end in net.car_lanes for end in zip(ends, lanes, strict=True)):
                net.connected.add(ends)
    if not net.edges["id"] or not net.junctions:
        raise InputError("holds no junctions or no edges for cars", source=path, allowed="a network of SUMO")
    return _with_connections(_network(net, path), net)


def _read_location(net: _Net, element: Element, path: Path) -> None:
    offset = element.get("netOffset", "0,0").split(",")
    values = [number(part) for part in offset]
    if len(values) != 2 or None in values:
        raise InputError(f"netOffset is {','.join(offset)!r}", source=path, where="<location>", allowed="x,y")
    projection = element.get("projParameter", "!")
    if projection not in _NO_PROJECTION:
        net.projection = projection
        net.offset = (values[0] or 0.0, values[1] or 0.0)


def _read_edge(net: _Net, element: Element, path: Path) -> None:
    edge_id = attribute(element, "id", path)
    lanes = [lane for lane in element.findall("lane") if _is_for_cars(lane)]
    if not lanes:
        net.n_other += 1
        return
    net.car_lanes |= {(edge_id, lane.get("index", "0")) for lane in lanes}
    for key in ("id", "from", "to"):
        net.edges[key].append(attribute(element, key, path))
    net.edges["length"].append(max(number_of(lane, "length", path) for lane in lanes))
    net.edges["speed"].append(max(number_of(lane, "speed", path, above=0.0) for lane in lanes))
    net.edges["lanes"].append(float(len(lanes)))
    net.edges["class"].append(element.get("type", ""))
    net.edges["name"].append(element.get("name", ""))
    net.edges["shape"].append(_shape(element, path))


def _is_for_cars(lane: Element) -> bool:
    allow, disallow = (set(lane.get(key, "").split()) for key in ("allow", "disallow"))
    return (not allow or not allow.isdisjoint(_CAR_CLASSES)) and disallow.isdisjoint(_CAR_CLASSES)


def _shape(element: Element, path: Path) -> FloatColumn | None:
    text = element.get("shape")
    if not text:
        return None
    points = [[number(value) for value in point.split(",")[:2]] for point in text.split()]
    if any(len(point) != 2 or None in point for point in points):
        raise InputError(f"shape is {shown(text)}", source=path, where=place_of(element), allowed="x,y x,y ...")
    return np.array(points, dtype=np.float64) if len(points) > 1 else None


def _network(net: _Net, path: Path) -> RoadNetwork:
    edges, names = net.edges, list(net.junctions)
    known = np.array(names, dtype=np.str_)
    tail, head = (
        positions(np.array(edges[key], dtype=np.str_), known, key, lambda row: f"<edge id={edges['id'][row]!r}>", path)
        for key in ("from", "to")
    )
    lanes = np.array(edges["lanes"])
    signals = [net.junctions[names[node]][2].startswith(_SIGNALS) for node in head.tolist()]
    capacity_vph = (
        np.array([_lane_capacity_vph(word, signals=lit) for word, lit in zip(edges["class"], signals, strict=True)]) * lanes
    )
    n_links = len(tail)
    unstated, zeros = np.full(n_links, np.nan), np.zeros(n_links)
    offset = np.array(net.offset)
    links = LinkRows(
        link_id=np.array(edges["id"], dtype=np.str_),
        tail_idx=tail,
        head_idx=head,
        link_class=edges["class"],
        street_name=edges["name"],
        length_m=np.array(edges["length"]),
        free_flow_time_s=unstated,
        free_speed_kph=np.array(edges["speed"]) * _KPH_PER_M_S,
        lanes=lanes,
        capacity_vph=capacity_vph,
        bpr_alpha=unstated,
        bpr_beta=unstated,
        toll=zeros,
        fixed_cost_s=zeros,
        shapes=[None if shape is None else shape - offset for shape in edges["shape"]],
    )
    xy = np.array([net.junctions[name][:2] for name in names]) - offset
    nodes = NodeRows(known, xy[:, 0], xy[:, 1], np.ones(len(names), dtype=np.bool_))
    cleaning = CleaningReport(
        {"links_not_for_cars": net.n_other},
        ("SUMO states no capacity: lanes carry what is assumed of their class, less at traffic lights",),
    )
    name = path.name.partition(".")[0]
    return network_from_rows(nodes, links, name=name, crs=net.projection, source=path, cleaning=cleaning)


def _lane_capacity_vph(word: str, *, signals: bool) -> float:
    default = class_defaults(word)
    if not signals:
        return default.capacity_per_lane_vph
    return min(default.capacity_per_lane_vph, SATURATION_FLOW_VPH * default.green_share)


def _with_connections(network: RoadNetwork, net: _Net) -> RoadNetwork:
    """Return the network without the turns that no connection makes."""
    if not net.connected:
        return network
    ids = network.link_id.tolist()
    start, leaving = network.out_rows
    bans = [
        (link, after)
        for link, node in enumerate(network.head_idx.tolist())
        for after in leaving[start[node] : start[node + 1]].tolist()
        if (ids[link], ids[after]) not in net.connected
    ]
    return network.replace(turns=turn_table(bans), cleaning=network.cleaning.plus(counts={"turns_banned": len(bans)}))
