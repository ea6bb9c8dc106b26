"""Networks of MATSim (network_v1 and network_v2, plain or gzipped).

`freespeed` is in metres a second, `capacity` in vehicles in the file's `capperiod`, `length` in metres. Links that do not list
the mode car are dropped and counted. MATSim moves queues; volume-delay functions get 0.15 and 4. Turns that the file forbids to
cars (the link attribute `disallowedNextLinks`) become bans. Format: matsim.org, network_v2.dtd.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

import numpy as np

from sim.errors import InputError
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.network.rows import LinkRows, NodeRows, network_from_rows, positions
from sim.network.turn_table import turn_table
from sim.network.xml_stream import attribute, elements, number_of, place_of
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

CAR: Final = "car"
_KPH_PER_M_S: Final = SECONDS_PER_HOUR / METRES_PER_KILOMETRE
_DISALLOWED: Final = "disallowedNextLinks"
_CRS: Final = "coordinateReferenceSystem"


def read_matsim_network(path: Path, *, crs: str | None = None) -> RoadNetwork:
    """Read a network of MATSim.

    Parameters
    ----------
    crs
        Coordinate system; None takes what the file states, if anything.

    Raises
    ------
    InputError
        The file is missing, is no MATSim network, or an element holds what means nothing; the element is named.
    """
    path = Path(path)
    nodes: list[tuple[str, float, float]] = []
    links: dict[str, list[Any]] = defaultdict(list)
    forbidden: list[tuple[str, Any]] = []
    n_other, period_h, stated_crs, name = 0, 1.0, None, ""
    for element in elements(path, ("node", "link", "attribute"), root=("network",), openings=("network", "links")):
        if element.tag == "network":
            name = element.get("name") or ""
        elif element.tag == "links":
            period_h = duration_s(element.get("capperiod", "01:00:00"), path, "capperiod") / SECONDS_PER_HOUR
        elif element.tag == "node":
            x, y = (number_of(element, axis, path, at_least=-np.inf) for axis in "xy")
            nodes.append((attribute(element, "id", path), x, y))
        elif element.tag == "attribute":
            stated_crs = element.text if element.get("name") == _CRS else stated_crs
        elif CAR in [mode.strip() for mode in element.get("modes", CAR).split(",")]:
            _add_link(links, forbidden, element, path)
        else:
            n_other += 1
    if not nodes or not links["id"]:
        raise InputError("holds no nodes or no links for cars", source=path, allowed="a network of MATSim")
    network = network_from_rows(
        _node_rows(nodes),
        _link_rows(links, [node[0] for node in nodes], period_h, path),
        name=name or path.name.partition(".")[0],
        crs=crs or (stated_crs.strip() if stated_crs else None),
        source=path,
        cleaning=CleaningReport({"links_not_for_cars": n_other}),
    )
    return _with_forbidden_turns(network, forbidden, path)


def _add_link(links: dict[str, list[Any]], forbidden: list[tuple[str, Any]], element: Element, path: Path) -> None:
    for key in ("id", "from", "to"):
        links[key].append(attribute(element, key, path))
    for key in ("length", "freespeed", "capacity"):
        links[key].append(number_of(element, key, path, above=None if key == "length" else 0.0))
    links["permlanes"].append(number_of(element, "permlanes", path, missing=1.0, above=0.0))
    links["class"].append(element.get("type", ""))
    for inner in element.iter("attribute"):
        if inner.get("name") == _DISALLOWED:
            forbidden.append((links["id"][-1], _sequences(inner.text or "", element, path)))
        elif inner.get("name") == "type" and not links["class"][-1]:
            links["class"][-1] = (inner.text or "").strip()


def _sequences(text: str, element: Element, path: Path) -> list[list[str]]:
    try:
        of_mode = json.loads(text)
        found = [[str(link) for link in sequence] for sequence in of_mode.get(CAR, [])]
    except (ValueError, TypeError, AttributeError, RecursionError):
        allowed = '{"car": [["link", ...], ...]}'
        raise InputError(f"{_DISALLOWED} is {text[:40]!r}", source=path, where=place_of(element), allowed=allowed) from None
    return [sequence for sequence in found if sequence]


def duration_s(text: str, path: Path, what: str) -> float:
    """Return a time of MATSim (hh:mm:ss, hh:mm or seconds) in seconds, above 0; InputError where it is none."""
    parts = text.split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(0 <= value < np.inf for value in values) or not sum(values):
        raise InputError(f"{what} is {text!r}", source=path, allowed="hh:mm:ss")
    if len(values) == 1:
        return values[0]
    return values[0] * SECONDS_PER_HOUR + values[1] * SECONDS_PER_MINUTE + (values[2] if len(values) == 3 else 0.0)


def _node_rows(nodes: Sequence[tuple[str, float, float]]) -> NodeRows:
    x, y = (np.array([node[axis] for node in nodes], dtype=np.float64) for axis in (1, 2))
    return NodeRows(np.array([node[0] for node in nodes], dtype=np.str_), x, y, np.ones(len(nodes), dtype=np.bool_))


def _link_rows(links: dict[str, list[Any]], node_ids: list[str], period_h: float, path: Path) -> LinkRows:
    known = np.array(node_ids, dtype=np.str_)
    tail, head = (
        positions(np.array(links[key], dtype=np.str_), known, key, lambda row: f"<link id={links['id'][row]!r}>", path)
        for key in ("from", "to")
    )
    n_links = len(links["id"])
    unstated, zeros = np.full(n_links, np.nan), np.zeros(n_links)
    return LinkRows(
        link_id=np.array(links["id"], dtype=np.str_),
        tail_idx=tail,
        head_idx=head,
        link_class=links["class"],
        street_name=[""] * n_links,
        length_m=np.array(links["length"]),
        free_flow_time_s=unstated,
        free_speed_kph=np.array(links["freespeed"]) * _KPH_PER_M_S,
        lanes=np.array(links["permlanes"]),
        capacity_vph=np.array(links["capacity"]) / period_h,
        bpr_alpha=unstated,
        bpr_beta=unstated,
        toll=zeros,
        fixed_cost_s=zeros,
    )


def _with_forbidden_turns(network: RoadNetwork, forbidden: list[tuple[str, Any]], path: Path) -> RoadNetwork:
    if not forbidden:
        return network
    place_of_link = {str(link): place for place, link in enumerate(network.link_id.tolist())}
    bans = []
    for link, sequences in forbidden:
        for sequence in sequences:
            way = [place_of_link.get(name) for name in (link, *sequence)]
            if None not in way:  # a link for others than cars is driven by nobody anyway
                bans.append([place for place in way if place is not None])
    try:
        return network.replace(turns=turn_table(bans), cleaning=network.cleaning.plus(counts={"turns_banned": len(bans)}))
    except InputError as error:
        raise InputError(error.problem, source=path, where=_DISALLOWED, allowed=error.allowed) from None
