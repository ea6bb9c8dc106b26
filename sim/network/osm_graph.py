"""From a simplified street graph in OSMnx's form to a RoadNetwork: the largest strong component, cleaned and counted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.network.distance import GEOGRAPHIC_CRS, distance_m
from sim.network.infer import BPR_ALPHA, BPR_BETA, STREET_DEFAULTS, InferredLink, StreetOverrides, infer_link
from sim.network.junctions import Control
from sim.network.osm_simplify import JoinedStreets
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

if TYPE_CHECKING:
    import networkx as nx

SHORTEST_LINK_M: Final = 1.0
"""Shorter links are artefacts of mapping; a length of zero would make free moves."""

_POINTS_AT_ONCE: Final = 100_000


class StreetsOfExtract(NamedTuple):
    """A network and what its edges said beyond it."""

    network: RoadNetwork
    edge: OffsetColumn
    """Edge that each link was made from, shape (n_links,)."""
    control: CodeColumn
    """`Control` at the end of each link, shape (n_links,)."""


@dataclass(frozen=True, eq=False)
class _Edges:
    """Edges as columns; the points of edge i are `points[start[i]:start[i + 1]]`, and `edge` is its first position."""

    tail_idx: IndexColumn
    head_idx: IndexColumn
    tags: list[dict[str, Any]]
    start: OffsetColumn
    points: FloatColumn
    length_m: FloatColumn
    edge: OffsetColumn

    def shape_bytes(self, edge: int) -> bytes:
        """Return an edge's points as bytes, which are equal where its shape is."""
        return self.points[self.start[edge] : self.start[edge + 1]].tobytes()

    def take(self, chosen: OffsetColumn) -> _Edges:
        """Return some of the edges in a new order."""
        counts = np.diff(self.start)[chosen]
        start = np.concatenate([[0], np.cumsum(counts)])
        row = np.repeat(self.start[chosen] - start[:-1], counts) + np.arange(start[-1])
        tags = [self.tags[position] for position in chosen.tolist()]
        ends = self.tail_idx[chosen], self.head_idx[chosen]
        return _Edges(*ends, tags, start, self.points[row], self.length_m[chosen], self.edge[chosen])


def network_from_graph(graph: nx.MultiDiGraph[Any], *, name: str, overrides: StreetOverrides, source: Path | str) -> RoadNetwork:
    """Return the largest strongly connected component of a graph as a network.

    Nodes are sorted by id; links by tail, head, length and shape, and numbered from 1 in that order.

    Parameters
    ----------
    graph
        Nodes with x and y in degrees (and `highway` = "traffic_signals" where signals stand); edges with OpenStreetMap tags,
        `oneway`, and `geometry` where they bend. `length` in metres counts where an edge has it; otherwise it is measured along
        the shape.
    overrides
        Values of the scenario by link class.
    source
        What a message names.

    Raises
    ------
    InputError
        No link is left, or a node or an edge has no usable coordinates.
    """
    node_ids = sorted(graph.nodes)
    xy = _coordinates(graph, node_ids, source)
    signals_at = [str(graph.nodes[node_id].get("highway", "")) == "traffic_signals" for node_id in node_ids]
    found = _edges(graph, node_ids, xy, source)
    return _streets(np.array(node_ids), xy, found, signals_at, name, overrides, source).network


def network_from_streets(joined: JoinedStreets, *, name: str, overrides: StreetOverrides, source: Path | str) -> StreetsOfExtract:
    """Return the largest strongly connected component of an extract's streets, as `network_from_graph` does of a graph's."""
    _require_degrees(joined.xy, joined.node_id, source)
    points, n_edges = joined.points, len(joined.tags)
    edge_of_point = np.repeat(np.arange(n_edges, dtype=np.int32), np.diff(joined.start))
    length_m = _measured_m(points, edge_of_point, n_edges)
    every = np.arange(n_edges, dtype=np.int64)
    found = _Edges(joined.tail_idx, joined.head_idx, joined.tags, joined.start, points, length_m, every)
    return _streets(joined.node_id, joined.xy, found, [False] * len(joined.node_id), name, overrides, source)


def _streets(
    node_id: Any,
    xy: FloatColumn,
    found: _Edges,
    signals_at: list[bool],
    name: str,
    overrides: StreetOverrides,
    source: Path | str,
) -> StreetsOfExtract:
    kept_node = _largest_strong_component(found.tail_idx, found.head_idx, len(node_id))
    is_inside = kept_node[found.tail_idx] & kept_node[found.head_idx]
    is_open = is_inside & (found.tail_idx != found.head_idx)
    edges = found.take(_sorted_without_duplicates(found, np.flatnonzero(is_open)))
    if not edges.tags:
        raise InputError("no two places are connected in both directions by drivable streets", source=source)
    control = [
        Control.SIGNALS if "signals" in tags or signals_at[head_idx] else _sign(tags)
        for tags, head_idx in zip(edges.tags, edges.head_idx.tolist(), strict=True)
    ]
    links = _inferred(edges.tags, control, overrides)
    unreadable = Counter(key for link in links for key in link.unreadable)
    cleaning = CleaningReport(
        {
            "nodes_outside_largest_component": int((~kept_node).sum()),
            "links_outside_largest_component": int((~is_inside).sum()),
            "self_loops": int((is_inside & ~is_open).sum()),
            "duplicate_links": int(is_open.sum()) - len(edges.tags),
            "short_links_lengthened": int((edges.length_m < SHORTEST_LINK_M).sum()),
            "unreadable_maxspeed": unreadable["maxspeed"],
            "unreadable_lanes": unreadable["lanes"],
        }
    )
    network = _network(name, node_id[kept_node], xy[kept_node], np.cumsum(kept_node) - 1, edges, links, cleaning)
    return StreetsOfExtract(network, edges.edge, np.array(control, dtype=np.uint8))


def _inferred(tags_of_edge: list[dict[str, Any]], control: list[Control], overrides: StreetOverrides) -> list[InferredLink]:
    """Return what is inferred for each edge; edges that share their tags share it, too."""
    known: dict[tuple[int, bool], InferredLink] = {}
    links = []
    for tags, stops in zip(tags_of_edge, control, strict=True):
        key = id(tags), stops is Control.SIGNALS
        link = known.get(key)
        if link is None:
            link = known[key] = infer_link(tags, one_way=_is_one_way(tags), signals=key[1], overrides=overrides)
        links.append(link)
    return links


def _sign(tags: dict[str, Any]) -> Control:
    value = tags.get("sign")
    found = value if isinstance(value, list) else [value]
    return Control.STOP if "stop" in found else Control.GIVE_WAY if "give_way" in found else Control.NONE


def _coordinates(graph: nx.MultiDiGraph[Any], node_ids: list[Any], source: Path | str) -> FloatColumn:
    try:
        xy = np.array([(graph.nodes[node_id]["x"], graph.nodes[node_id]["y"]) for node_id in node_ids], dtype=np.float64).reshape(
            -1, 2
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a node has no x and y: {error}", source=source) from None
    _require_degrees(xy, node_ids, source)
    return xy


def _require_degrees(xy: FloatColumn, node_ids: Any, source: Path | str) -> None:
    bad = ~(np.isfinite(xy).all(axis=1) & (np.abs(xy) <= (180.0, 90.0)).all(axis=1))
    if bad.any():
        node = int(np.argmax(bad))
        raise InputError(
            f"{xy[node].tolist()}", source=source, where=f"node {node_ids[node]}", allowed="longitude and latitude in degrees"
        )


def _edges(graph: nx.MultiDiGraph[Any], node_ids: list[Any], xy: FloatColumn, source: Path | str) -> _Edges:
    position = {node_id: node_idx for node_idx, node_id in enumerate(node_ids)}
    ends = np.array([(position[tail], position[head]) for tail, head in graph.edges()], dtype=np.int32).reshape(-1, 2)
    tags = [data for _tail, _head, data in graph.edges(data=True)]
    shapes = np.array([data.get("geometry") for data in tags], dtype=object)
    points, edge_of_point = shapely.get_coordinates(shapes, return_index=True)
    if not np.isfinite(points).all():
        raise InputError("the shape of an edge is not made of numbers", source=source)
    straight = np.flatnonzero(np.bincount(edge_of_point, minlength=len(tags)) == 0)
    # A stable sort by edge puts the two ends of each straight edge where its shape would be.
    edge_of_point = np.concatenate([edge_of_point, straight, straight])
    in_order = np.argsort(edge_of_point, kind="stable")
    points = np.concatenate([points, xy[ends[straight, 0]], xy[ends[straight, 1]]])[in_order]
    start = np.concatenate([[0], np.cumsum(np.bincount(edge_of_point, minlength=len(tags)))])
    measured_m = _measured_m(points, edge_of_point[in_order], len(tags))
    stated_m = np.array([_stated_length_m(data) for data in tags])
    length_m = np.where(np.isnan(stated_m), measured_m, stated_m)
    return _Edges(ends[:, 0], ends[:, 1], tags, start, points, length_m, np.arange(len(tags), dtype=np.int64))


def _measured_m(points: FloatColumn, edge_of_point: IndexColumn | OffsetColumn, n_edges: int) -> FloatColumn:
    """Return the length of each edge's shape in metres."""
    step_m = np.zeros(len(points))
    # In blocks: the formula makes ten columns on its way.
    for first in range(0, len(points) - 1, _POINTS_AT_ONCE):
        here, there = points[first : first + _POINTS_AT_ONCE][: len(points) - 1 - first], points[first + 1 :][:_POINTS_AT_ONCE]
        step_m[first : first + len(here)] = distance_m(GEOGRAPHIC_CRS, here[:, 0], here[:, 1], there[:, 0], there[:, 1])
    step_m[:-1][edge_of_point[:-1] != edge_of_point[1:]] = 0.0
    return np.bincount(edge_of_point, weights=step_m, minlength=n_edges).astype(np.float64, copy=False)


def _stated_length_m(tags: dict[str, Any]) -> float:
    """Return the edge's own length in metres, NaN where it states none that makes sense."""
    try:
        length_m = float(tags.get("length", math.nan))
    except (TypeError, ValueError):
        return math.nan
    return length_m if math.isfinite(length_m) and length_m >= 0 else math.nan


def _largest_strong_component(tail_idx: IndexColumn, head_idx: IndexColumn, n_nodes: int) -> BoolColumn:
    matrix = coo_array((np.ones(len(tail_idx), dtype=np.int8), (tail_idx, head_idx)), shape=(n_nodes, n_nodes))
    _, label = connected_components(matrix, directed=True, connection="strong")
    return np.asarray(label == np.argmax(np.bincount(label)))


def _sorted_without_duplicates(edges: _Edges, chosen: OffsetColumn) -> OffsetColumn:
    """Return chosen edges by tail, head, length and shape, without those that repeat the ends and the shape of another."""
    order = chosen[np.lexsort((edges.length_m[chosen], edges.head_idx[chosen], edges.tail_idx[chosen]))]
    tail, head = edges.tail_idx[order], edges.head_idx[order]
    joins_next, joins_last = np.zeros(len(order), dtype=np.bool_), np.zeros(len(order), dtype=np.bool_)
    joins_next[:-1] = joins_last[1:] = (tail[1:] == tail[:-1]) & (head[1:] == head[:-1])
    alone = ~joins_next & ~joins_last
    kept = alone.copy()
    # Parallel links are few: only their shapes are compared.
    place = np.flatnonzero(~alone)
    for first, past in zip(place[~joins_last[place]].tolist(), (place[~joins_next[place]] + 1).tolist(), strict=True):
        seen: set[bytes] = set()
        ranked = sorted((float(edges.length_m[edge]), edges.shape_bytes(edge), edge) for edge in order[first:past].tolist())
        order[first:past] = [edge for _, _, edge in ranked]
        for at, (_, shape, _) in enumerate(ranked, start=first):
            kept[at] = shape not in seen
            seen.add(shape)
    return np.asarray(order[kept])


def _is_one_way(tags: dict[str, Any]) -> bool:
    """Whether all parts of an edge are one-way (parts that differ were joined; the street then has two directions somewhere)."""
    value = tags.get("oneway", False)
    return all(value) if isinstance(value, list) else bool(value)


def _street_name(tags: dict[str, Any]) -> str:
    value = tags.get("name") or tags.get("ref") or ""
    # OSMnx lists the names of joined ways in the order of a hash set.
    return " / ".join(sorted(map(str, value))) if isinstance(value, list) else str(value)


def _network(
    name: str,
    node_id: Any,
    xy: FloatColumn,
    new_idx: OffsetColumn,
    edges: _Edges,
    links: list[InferredLink],
    cleaning: CleaningReport,
) -> RoadNetwork:
    n_links = len(links)
    length_m = np.maximum(edges.length_m, SHORTEST_LINK_M)
    free_speed_kph = np.array([link.free_speed_kph for link in links])
    classes = tuple(known for known in STREET_DEFAULTS if any(link.link_class == known for link in links))
    street_of_link = [_street_name(tags) for tags in edges.tags]
    streets = sorted({"", *street_of_link})
    street_code = {street: code for code, street in enumerate(streets)}
    n_points = np.diff(edges.start)
    bent = np.repeat(n_points > 2, n_points)
    return RoadNetwork(
        name=name,
        crs=GEOGRAPHIC_CRS,
        node_id=node_id,
        node_x=xy[:, 0],
        node_y=xy[:, 1],
        node_passable=np.ones(len(node_id), dtype=np.bool_),
        link_id=np.arange(1, n_links + 1, dtype=np.int64),
        tail_idx=new_idx[edges.tail_idx].astype(np.int32),
        head_idx=new_idx[edges.head_idx].astype(np.int32),
        length_m=length_m,
        free_flow_time_s=length_m / (free_speed_kph * METRES_PER_KILOMETRE / SECONDS_PER_HOUR),
        capacity_vph=np.array([link.capacity_vph for link in links]),
        bpr_alpha=np.full(n_links, BPR_ALPHA),
        bpr_beta=np.full(n_links, BPR_BETA),
        fixed_cost_s=np.zeros(n_links),
        toll=np.zeros(n_links),
        free_speed_kph=free_speed_kph,
        lanes=np.array([link.lanes for link in links]),
        link_class_code=np.array([classes.index(link.link_class) for link in links], dtype=np.uint8),
        link_classes=classes,
        speed_source=np.array([link.speed_source for link in links], dtype=np.uint8),
        lanes_source=np.array([link.lanes_source for link in links], dtype=np.uint8),
        capacity_source=np.array([link.capacity_source for link in links], dtype=np.uint8),
        geometry_start=np.concatenate([[0], np.cumsum(np.where(n_points > 2, n_points, 0))]),
        geometry_xy=edges.points[bent],
        zone_id=np.zeros(0, dtype=np.int64),
        zone_node_idx=np.zeros(0, dtype=np.int32),
        street_name_code=np.array([street_code[street] for street in street_of_link], dtype=np.int32),
        street_names=tuple(streets),
        cleaning=cleaning,
    )
