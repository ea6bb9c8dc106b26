"""The road network: frozen columns, one entry a node or a link, with compressed rows for both directions of search.

Link time is `free_flow_time_s * (1 + bpr_alpha * (flow_vph / capacity_vph) ** bpr_beta)` (Bureau of Public Roads 1964), with 0
** 0 = 1; generalised cost adds `fixed_cost_s` (tolls and distance by their weights), which no flow changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IdColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.network.turn_table import TurnTable

if TYPE_CHECKING:
    import geopandas as gpd
    import networkx as nx


class Provenance(IntEnum):
    """Where the value of a link's attribute comes from."""

    FILE = 0
    """Stated by the network file as it is (TNTP, GMNS, synthetic)."""
    TAG = 1
    """Read from the link's own OpenStreetMap tag."""
    CLASS_DEFAULT = 2
    """Filled in from the link's class."""
    OVERRIDE = 3
    """Set by the scenario."""


CONNECTOR_CLASS = "connector"
"""Class of the artificial links that join a zone's centre to the streets."""


@dataclass(frozen=True)
class CleaningReport:
    """What a reader dropped or repaired (counts by reason) and what the user should know."""

    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def plus(self, *, counts: Mapping[str, int] | None = None, warnings: tuple[str, ...] = ()) -> CleaningReport:
        """Return a report with further counts and warnings."""
        return CleaningReport({**self.counts, **(counts or {})}, self.warnings + warnings)


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """Nodes and directed links as read-only columns.

    Attributes
    ----------
    name
        What people call it.
    crs
        Coordinate system of the coordinates ("EPSG:4326"), or None where the source states none (plane units of its own).
    node_id, node_x, node_y
        External id and coordinates, shape (n_nodes,); NaN where unknown.
    node_passable
        False for zones that no path may pass through (a path may start or end there).
    link_id
        External id, shape (n_links,).
    tail_idx, head_idx
        Positions of the link's nodes.
    length_m, free_flow_time_s, capacity_vph, bpr_alpha, bpr_beta, fixed_cost_s
        See the module's formula. Capacity above 0, the others at least 0, all finite.
    toll
        Toll in the source's own money; only its weight makes it count (then it is inside `fixed_cost_s`).
    free_speed_kph, lanes
        Zero where the source does not state them.
    link_class_code, link_classes
        Class of each link as a position in the tuple of names.
    speed_source, lanes_source, capacity_source
        `Provenance` of each value.
    geometry_start, geometry_xy
        Shape points of link a: `geometry_xy[geometry_start[a]:geometry_start[a + 1]]`, ends included; empty for a straight link.
    zone_id, zone_node_idx
        External id of each zone and the node that stands for it.
    street_name_code, street_names
        Name of each link's street as a position in the tuple of names, which holds "" for streets without one; empty where the
        source knows no names.
    time_unit_s, length_unit_m
        Seconds (metres) in one unit of the source file; 1 where the source states its units.
    turns
        Bans and delays of turns; `sim.network.turns` makes the graph that searches and solvers need to honour them.
    cleaning
        Counts of what a reader dropped or repaired, by reason, and its warnings.
    """

    name: str
    crs: str | None
    node_id: IdColumn
    node_x: FloatColumn
    node_y: FloatColumn
    node_passable: BoolColumn
    link_id: IdColumn
    tail_idx: IndexColumn
    head_idx: IndexColumn
    length_m: FloatColumn
    free_flow_time_s: FloatColumn
    capacity_vph: FloatColumn
    bpr_alpha: FloatColumn
    bpr_beta: FloatColumn
    fixed_cost_s: FloatColumn
    toll: FloatColumn
    free_speed_kph: FloatColumn
    lanes: FloatColumn
    link_class_code: CodeColumn
    link_classes: tuple[str, ...]
    speed_source: CodeColumn
    lanes_source: CodeColumn
    capacity_source: CodeColumn
    geometry_start: OffsetColumn
    geometry_xy: FloatColumn
    zone_id: IdColumn
    zone_node_idx: IndexColumn
    street_name_code: IndexColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    street_names: tuple[str, ...] = ("",)
    time_unit_s: float = 1.0
    length_unit_m: float = 1.0
    turns: TurnTable = field(default_factory=TurnTable)
    cleaning: CleaningReport = field(default_factory=CleaningReport)

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                # Kernels are compiled for one type a column; a reader's other type is cast here, once.
                object.__setattr__(self, column.name, frozen(value.astype(_DTYPES.get(column.type, value.dtype), copy=False)))
        _require_sound(self)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.node_id)

    @property
    def n_links(self) -> int:
        """Number of directed links."""
        return len(self.tail_idx)

    @property
    def n_zones(self) -> int:
        """Number of zones."""
        return len(self.zone_node_idx)

    @cached_property
    def out_rows(self) -> tuple[OffsetColumn, IndexColumn]:
        """Links by tail: node i has links `link[start[i]:start[i + 1]]`; shapes (n_nodes + 1,) and (n_links,)."""
        return _rows(self.tail_idx, self.n_nodes)

    @cached_property
    def in_rows(self) -> tuple[OffsetColumn, IndexColumn]:
        """Links by head, in the form of `out_rows`."""
        return _rows(self.head_idx, self.n_nodes)

    @cached_property
    def is_connector(self) -> BoolColumn:
        """True for artificial links between a zone's centre and the streets; shape (n_links,)."""
        if CONNECTOR_CLASS not in self.link_classes:
            return np.zeros(self.n_links, dtype=np.bool_)
        return np.asarray(self.link_class_code == self.link_classes.index(CONNECTOR_CLASS))

    def street_name(self, link_idx: int) -> str:
        """Return the name of a link's street, "" where it has none."""
        return self.street_names[self.street_name_code[link_idx]] if len(self.street_name_code) else ""

    def link_points(self, link_idx: int) -> FloatColumn:
        """Return the shape of one link, shape (n_points, 2), from tail to head."""
        first, last = self.geometry_start[link_idx], self.geometry_start[link_idx + 1]
        if last > first:
            return np.asarray(self.geometry_xy[first:last])
        ends = [self.tail_idx[link_idx], self.head_idx[link_idx]]
        return np.column_stack([self.node_x[ends], self.node_y[ends]])

    def all_link_points(self) -> tuple[FloatColumn, IndexColumn]:
        """Return the shape points of all links and the link of each point, in array order; straight links have their two ends.

        Shapes (n_points, 2) and (n_points,).
        """
        n_points = np.diff(self.geometry_start)
        straight = n_points == 0
        counts = np.where(straight, 2, n_points)
        first = np.cumsum(counts) - counts
        link_of_point = np.repeat(np.arange(self.n_links, dtype=np.int32), counts)
        points = np.empty((int(counts.sum()), 2))
        points[np.repeat(~straight, counts)] = self.geometry_xy
        for at, node_idx in ((first[straight], self.tail_idx[straight]), (first[straight] + 1, self.head_idx[straight])):
            points[at, 0], points[at, 1] = self.node_x[node_idx], self.node_y[node_idx]
        return points, link_of_point

    def replace(self, **columns: Any) -> RoadNetwork:
        """Return a copy with some columns exchanged; the copy is checked like a new network."""
        kept: dict[str, Any] = {column.name: getattr(self, column.name) for column in fields(self)}
        unknown = sorted(set(columns) - set(kept))
        if unknown:
            raise TypeError(f"RoadNetwork has no column {unknown[0]!r}")
        return RoadNetwork(**(kept | columns))

    def to_networkx(self) -> nx.MultiDiGraph[Any]:
        """Return the network as a networkx graph: nodes by `node_id`, links keyed by `link_id`, columns as attributes."""
        from sim.network.views import to_networkx

        return to_networkx(self)

    def to_geopandas(self) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
        """Return (nodes, links) as GeoDataFrames with the columns and the link shapes."""
        from sim.network.views import to_geopandas

        return to_geopandas(self)


def _rows(node_of_link: IndexColumn, n_nodes: int) -> tuple[OffsetColumn, IndexColumn]:
    start = np.zeros(n_nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(node_of_link, minlength=n_nodes), out=start[1:])
    link = np.argsort(node_of_link, kind="stable").astype(np.int32)
    return frozen(start), frozen(link)


_DTYPES: Mapping[Any, type[np.generic]] = {
    "BoolColumn": np.bool_,
    "CodeColumn": np.uint8,
    "FloatColumn": np.float64,
    "IndexColumn": np.int32,
    "OffsetColumn": np.int64,
}
_LINK_FLOATS: tuple[str, ...] = (
    "length_m", "free_flow_time_s", "capacity_vph", "bpr_alpha", "bpr_beta", "fixed_cost_s", "toll", "free_speed_kph", "lanes",
)  # fmt: skip
_LINK_CODES: tuple[str, ...] = ("link_class_code", "speed_source", "lanes_source", "capacity_source")


def _require_sound(network: RoadNetwork) -> None:
    """Raise InputError on columns of unequal length, positions out of range, repeated ids and values without meaning."""
    if network.n_nodes == 0 or network.n_links == 0:
        raise InputError(
            f"the network has {network.n_nodes} nodes and {network.n_links} links",
            source=network.name,
            allowed="at least one link",
        )
    _require_lengths(network)
    for name, size in (
        ("tail_idx", network.n_nodes),
        ("head_idx", network.n_nodes),
        ("zone_node_idx", network.n_nodes),
        ("link_class_code", len(network.link_classes)),
        ("street_name_code", len(network.street_names)),
        ("speed_source", len(Provenance)),
        ("lanes_source", len(Provenance)),
        ("capacity_source", len(Provenance)),
    ):
        column = getattr(network, name)
        if len(column) and (column.min() < 0 or column.max() >= size):
            raise InputError(f"a position outside 0..{size - 1}", source=network.name, where=name)
    if "" not in network.street_names:
        raise InputError("no empty name for streets without one", source=network.name, where="street_names")
    network.turns.require_sound(network.tail_idx, network.head_idx, network.name)
    for name in ("node_id", "link_id", "zone_id"):
        column = getattr(network, name)
        values, counts = np.unique(column, return_counts=True)
        if len(values) < len(column):
            raise InputError(
                f"{values[counts > 1][0]} stands more than once", source=network.name, where=name, allowed="each id once"
            )
    for name in _LINK_FLOATS:
        column = getattr(network, name)
        bad = ~np.isfinite(column) | ((column <= 0) if name == "capacity_vph" else (column < 0))
        if bad.any():
            link_idx = int(np.argmax(bad))
            allowed = "a finite number above 0" if name == "capacity_vph" else "a finite number, 0 or above"
            place = f"link {network.link_id[link_idx]}, {name}"
            raise InputError(f"{column[link_idx]}", source=network.name, where=place, allowed=allowed)


def _require_lengths(network: RoadNetwork) -> None:
    for names, length in (
        (("node_x", "node_y", "node_passable"), network.n_nodes),
        (("link_id", "head_idx", *_LINK_FLOATS, *_LINK_CODES), network.n_links),
        (("geometry_start",), network.n_links + 1),
        (("zone_node_idx",), len(network.zone_id)),
        (("street_name_code",), network.n_links if len(network.street_name_code) else 0),
    ):
        for name in names:
            if len(getattr(network, name)) != length:
                raise InputError(
                    f"{len(getattr(network, name))} values", source=network.name, where=name, allowed=f"{length} values"
                )
    start = network.geometry_start
    if start[0] != 0 or (np.diff(start) < 0).any() or network.geometry_xy.shape != (start[-1], 2):
        raise InputError("the shapes of the links do not fit together", source=network.name, where="geometry_start")
