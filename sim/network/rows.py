"""From the rows of a network file to a RoadNetwork: one place where readers of GMNS, MATSim and SUMO fill in what is not stated.

What a file leaves open follows the class of the link (`sim.network.infer.STREET_DEFAULTS`, unknown classes as "other"), and its
provenance says so. A link that starts where it ends is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IdColumn, IndexColumn
from sim.errors import InputError
from sim.network.distance import distance_m
from sim.network.infer import BPR_ALPHA, BPR_BETA, OTHER_CLASS, STREET_DEFAULTS, StreetDefaults
from sim.network.road_network import CleaningReport, Provenance, RoadNetwork
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

_MOST_CLASSES: Final = 250
_OTHERS: Final = "others"


@dataclass(frozen=True, eq=False)
class NodeRows:
    """Nodes of a file; NaN where a coordinate is unknown."""

    node_id: IdColumn
    x: FloatColumn
    y: FloatColumn
    passable: BoolColumn


@dataclass(frozen=True, eq=False)
class LinkRows:
    """Links of a file, shape (n_links,) each; NaN where a number is not stated.

    Attributes
    ----------
    link_id, tail_idx, head_idx
        External id and positions of the nodes.
    link_class, street_name
        Words of the file, "" where it has none.
    length_m
        Length; not stated: the straight distance.
    free_flow_time_s
        Not stated: from length and speed.
    free_speed_kph, lanes, capacity_vph
        Not stated: from the class. Capacity is that of all lanes.
    bpr_alpha, bpr_beta
        Not stated: 0.15 and 4.
    toll, fixed_cost_s
        At least 0.
    shapes
        Points of each link, ends included; None (or no entry) for straight links.
    """

    link_id: IdColumn
    tail_idx: IndexColumn
    head_idx: IndexColumn
    link_class: Sequence[str]
    street_name: Sequence[str]
    length_m: FloatColumn
    free_flow_time_s: FloatColumn
    free_speed_kph: FloatColumn
    lanes: FloatColumn
    capacity_vph: FloatColumn
    bpr_alpha: FloatColumn
    bpr_beta: FloatColumn
    toll: FloatColumn
    fixed_cost_s: FloatColumn
    shapes: Sequence[FloatColumn | None] = field(default_factory=tuple)

    def take(self, kept: BoolColumn) -> LinkRows:
        """Return some of the rows."""
        chosen = np.flatnonzero(kept).tolist()
        columns: dict[str, Any] = {}
        for name, column in self.__dict__.items():
            columns[name] = column[kept] if isinstance(column, np.ndarray) else [column[row] for row in chosen] if column else []
        return LinkRows(**columns)


def network_from_rows(
    nodes: NodeRows,
    links: LinkRows,
    *,
    name: str,
    crs: str | None,
    source: Path,
    zone_id: IdColumn | None = None,
    zone_node_idx: IndexColumn | None = None,
    cleaning: CleaningReport | None = None,
    time_unit_s: float = 1.0,
    length_unit_m: float = 1.0,
) -> RoadNetwork:
    """Return the network of some rows.

    Raises
    ------
    InputError
        The rows make no sound network; `source` is named.
    """
    open_rows = links.tail_idx != links.head_idx
    n_loops = int((~open_rows).sum())
    links = links.take(open_rows) if n_loops else links
    straight_m = distance_m(
        crs, nodes.x[links.tail_idx], nodes.y[links.tail_idx], nodes.x[links.head_idx], nodes.y[links.head_idx]
    )
    length_m = np.where(np.isnan(links.length_m), straight_m, links.length_m)
    speed_kph, speed_source = _filled(links.free_speed_kph, links.link_class, lambda default: default.free_speed_kph)
    lanes, lanes_source = _filled(links.lanes, links.link_class, lambda default: default.lanes_two_way)
    per_lane, capacity_source = _filled(
        links.capacity_vph, links.link_class, lambda default: default.capacity_per_lane_vph, scale=lanes
    )
    own_time_s = length_m / (speed_kph * METRES_PER_KILOMETRE / SECONDS_PER_HOUR)
    timed = ~np.isnan(links.free_flow_time_s)
    class_code, classes = _codes(links.link_class)
    street_code, streets = _street_codes(links.street_name)
    shapes = list(links.shapes) if links.shapes else [None] * len(links.link_id)
    points = [np.zeros((0, 2)) if shape is None else shape for shape in shapes]
    try:
        return RoadNetwork(
            name=name,
            crs=crs,
            node_id=nodes.node_id,
            node_x=nodes.x,
            node_y=nodes.y,
            node_passable=nodes.passable,
            link_id=links.link_id,
            tail_idx=links.tail_idx,
            head_idx=links.head_idx,
            length_m=length_m,
            free_flow_time_s=np.where(timed, links.free_flow_time_s, own_time_s),
            capacity_vph=per_lane,
            bpr_alpha=np.where(np.isnan(links.bpr_alpha), BPR_ALPHA, links.bpr_alpha),
            bpr_beta=np.where(np.isnan(links.bpr_beta), BPR_BETA, links.bpr_beta),
            fixed_cost_s=links.fixed_cost_s,
            toll=links.toll,
            # A link with a time of its own needs no speed.
            free_speed_kph=np.where(timed & np.isnan(links.free_speed_kph), 0.0, speed_kph),
            lanes=np.where(~np.isnan(links.capacity_vph) & np.isnan(links.lanes), 0.0, lanes),
            link_class_code=class_code,
            link_classes=classes,
            speed_source=np.where(timed, Provenance.FILE, speed_source).astype(np.uint8),
            lanes_source=lanes_source,
            capacity_source=capacity_source,
            geometry_start=np.concatenate([[0], np.cumsum([len(shape) for shape in points])]).astype(np.int64),
            geometry_xy=np.concatenate([*points, np.zeros((0, 2))]),
            zone_id=np.zeros(0, dtype=np.int64) if zone_id is None else zone_id,
            zone_node_idx=np.zeros(0, dtype=np.int32) if zone_node_idx is None else zone_node_idx,
            street_name_code=street_code,
            street_names=streets,
            time_unit_s=time_unit_s,
            length_unit_m=length_unit_m,
            cleaning=(cleaning or CleaningReport()).plus(counts={"self_loops": n_loops} if n_loops else None),
        )
    except InputError as error:
        # The network's own checks know its name; the user knows the file.
        raise InputError(error.problem, source=source, where=error.where, allowed=error.allowed) from None


def _filled(
    stated: FloatColumn, link_class: Sequence[str], default: Any, *, scale: FloatColumn | None = None
) -> tuple[FloatColumn, CodeColumn]:
    """Return values with those of the class where none is stated (times `scale`), and where each comes from."""
    missing = np.isnan(stated)
    values = stated.copy()
    for row in np.flatnonzero(missing).tolist():
        values[row] = default(class_defaults(link_class[row])) * (1.0 if scale is None else scale[row])
    return values, np.where(missing, Provenance.CLASS_DEFAULT, Provenance.FILE).astype(np.uint8)


def class_defaults(word: str) -> StreetDefaults:
    """Return what is assumed of a class of links; words of SUMO such as "highway.primary" count by their last part."""
    name = word.rpartition(".")[2].lower()
    return STREET_DEFAULTS.get(name, STREET_DEFAULTS[OTHER_CLASS])


def _codes(words: Sequence[str]) -> tuple[CodeColumn, tuple[str, ...]]:
    names = [word or OTHER_CLASS for word in words]
    classes = list(dict.fromkeys(names))
    if len(classes) > _MOST_CLASSES:
        classes = [*classes[:_MOST_CLASSES], _OTHERS]
    code = {name: place for place, name in enumerate(classes)}
    return np.array([code.get(name, len(classes) - 1) for name in names], dtype=np.uint8), tuple(classes)


def _street_codes(names: Sequence[str]) -> tuple[IndexColumn, tuple[str, ...]]:
    streets = sorted({"", *names})
    if streets == [""]:
        return np.zeros(0, dtype=np.int32), ("",)
    code = {street: place for place, street in enumerate(streets)}
    return np.array([code[name] for name in names], dtype=np.int32), tuple(streets)


def positions(wanted: IdColumn, known: IdColumn, what: str, where: Any, source: Path) -> IndexColumn:
    """Return the positions of ids; InputError for the first that does not exist, at the place that `where(row)` names."""
    of_id = {str(value): place for place, value in enumerate(known.tolist())}
    found = [of_id.get(str(value), -1) for value in wanted.tolist()]
    if -1 in found:
        row = found.index(-1)
        allowed = f"one of the {len(of_id)} nodes" if what.endswith("node_id") else "an id that exists"
        raise InputError(f"{what} {str(wanted[row])!r} does not exist", source=source, where=where(row), allowed=allowed)
    return np.array(found, dtype=np.int32)
