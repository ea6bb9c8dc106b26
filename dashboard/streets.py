"""The streets of a network as one block of bytes that the browser draws; sent once, before any traffic.

Layout, little-endian: uint32[4] (n_links, n_points, 0, 0); uint32 start[n_links + 1], the first point of each link; uint16
xy[n_points, 2], positions in the map's extent from its lower left corner; uint8 has_twin[n_links], 1 where another drawn link
leads back, so that both are drawn beside each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx
import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.road_network import RoadNetwork
from sim.units import METRES_PER_DEGREE

_FULL = 65535
LARGEST_SCHEMATIC = 400
"""Nodes up to which a network without coordinates is laid out by its connections."""


@dataclass(frozen=True, eq=False)
class Streets:
    """What the map draws.

    Attributes
    ----------
    link_idx
        Position in the network of each drawn link, shape (n_drawn,); connectors and links without coordinates are not drawn.
    content
        Bytes in the module's layout.
    width, height
        Extent of the map, in metres where `in_metres`, otherwise in units of the network's own.
    in_metres
        Whether the extent is known in metres.
    schematic
        Whether the layout was made up from the connections.
    drawn_place
        Position among the drawn links of each link of the network, -1 where it is not drawn; shape (n_links,).
    """

    link_idx: IndexColumn
    content: bytes
    width: float
    height: float
    in_metres: bool
    schematic: bool
    drawn_place: IndexColumn

    @property
    def n_drawn(self) -> int:
        """Number of links on the map."""
        return len(self.link_idx)


def streets_of(network: RoadNetwork) -> Streets:
    """Return the drawable streets of a network; none where it has no coordinates and is too large to be laid out."""
    schematic = not np.isfinite(network.node_x).any() and network.n_nodes <= LARGEST_SCHEMATIC
    points, link_of_point = (_laid_out(network), _ends_of_links(network)) if schematic else network.all_link_points()
    if network.crs == GEOGRAPHIC_CRS and not schematic:
        middle = np.nanmean(points[:, 1]) if len(points) else 0.0
        points = points * METRES_PER_DEGREE * np.array([math.cos(math.radians(middle)), 1.0])
    hidden = network.is_connector.copy()
    hidden[link_of_point[~np.isfinite(points).all(axis=1)]] = True
    link_idx = np.flatnonzero(~hidden).astype(np.int32)
    kept = ~hidden[link_of_point]
    low, size = _extent(points[kept])
    # One scale for both axes, so that the map is not distorted.
    placed = np.rint((points[kept] - low) * (_FULL / size.max())).astype("<u2")
    n_points = np.bincount(link_of_point[kept], minlength=network.n_links)[link_idx]
    header = np.array([len(link_idx), len(placed), 0, 0], "<u4")
    start = np.concatenate(([0], np.cumsum(n_points))).astype("<u4")
    twin = _has_twin(network, link_idx).astype("u1")
    content = b"".join(part.tobytes() for part in (header, start, placed, twin))
    # A state plane of another kind may be in feet, but the readers of this project give metres.
    in_metres = network.crs is not None and not schematic
    drawn_place = np.full(network.n_links, -1, dtype=np.int32)
    drawn_place[link_idx] = np.arange(len(link_idx))
    return Streets(link_idx, content, float(size[0]), float(size[1]), in_metres, schematic, drawn_place)


def _extent(points: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
    """Return the lower left corner and the (width, height) of the points; a point or a line gets some room."""
    if not len(points):
        return np.zeros(2), np.ones(2)
    low, high = points.min(axis=0), points.max(axis=0)
    longest = float((high - low).max()) or 1.0
    size = np.maximum(high - low, 0.2 * longest)
    return (low + high - size) / 2, size


def _has_twin(network: RoadNetwork, link_idx: IndexColumn) -> BoolColumn:
    tail, head = network.tail_idx[link_idx].astype(np.int64), network.head_idx[link_idx].astype(np.int64)
    return np.asarray(np.isin(tail * network.n_nodes + head, head * network.n_nodes + tail))


def _laid_out(network: RoadNetwork) -> FloatColumn:
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(network.n_nodes))
    graph.add_edges_from(zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True))
    place = nx.kamada_kawai_layout(graph)
    xy = np.array([place[node] for node in range(network.n_nodes)])
    return np.asarray(xy[np.column_stack([network.tail_idx, network.head_idx]).ravel()])


def _ends_of_links(network: RoadNetwork) -> IndexColumn:
    return np.repeat(np.arange(network.n_links, dtype=np.int32), 2)
