"""Automatic zones for any street network: where people live and work, guessed from the streets alone.

Production (residents) of a node: half the length of its incident streets of a class people live in, a street between two
junctions counting for at most `LONGEST_LIVED_IN_M` (a longer one is open country). A two-way street is two links and counts
once. Where a network has too few such streets, every node counts the same.

Attraction (workplaces) of a node: its production times (d / mean d) ^ centre_pull, with d one more than the number of
intersections (nodes with three neighbours or more) on main streets within `CENTRE_RADIUS_M`: main streets lie close together
and meet often where a city works and shops. Intersections of every street would find the wrong places: of housing estates full
of short closes there are more to the square kilometre than of a city's central blocks (La Serena's centre then lies at 1.0 of
the mean and an estate at 2.0; on main streets alone 1.9 and 2.3; Porto's centre rises from 1.9 to 4.4). Where no intersection
touches a main street, all count.

Zones: the nodes are split again and again at the weighted median of production across the axis along which residents are spread
more (their larger standard deviation), in the ratio of the numbers of zones that the two sides are to become. Zones thus hold
nearly the same production, and the same network gives the same zones.

A zone's centre is its weighted medoid: the node with the least sum of production x distance to the zone's other nodes. (Zones
of more than `MEDOID_CANDIDATES` nodes look among that many nodes nearest to their mean.)

Connectors: the zone's nodes within `CONNECTOR_REACH` times the median distance to the centre (which is nearly the whole of a
compact zone, and leaves out what lies apart, such as the far shore of a bay, to which a connector would be a bridge that is not
there) are split in the same way into `CONNECTORS_PER_ZONE` parts of equal production, and every part gets one connector. Parts
keep the connectors apart and put each where its share of the residents is. Inside its part the connector takes, among the half
of the nodes nearest to the part's mean, the node that can pass the most vehicles, min(capacity in, capacity out): an artificial
jam would form at a dead end that hundreds of trips share, and two connectors on either side of a border between parts would
share one junction.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.network.connectors import with_zones
from sim.network.road_network import RoadNetwork
from sim.units import METRES_PER_DEGREE

LIVED_IN_CLASSES: Final = frozenset({"residential", "living_street", "unclassified", "tertiary", "road"})
"""OpenStreetMap classes with front doors; wider streets mostly pass by."""
MAIN_CLASSES: Final = frozenset({"primary", "secondary", "tertiary"})
"""Classes that lead to and through centres; motorways and trunk roads pass them by."""
LONGEST_LIVED_IN_M: Final = 200.0
CENTRE_RADIUS_M: Final = 1000.0
MEDOID_CANDIDATES: Final = 256
CONNECTORS_PER_ZONE: Final = 5
CONNECTOR_REACH: Final = 1.5


@dataclass(frozen=True, eq=False)
class Zoning:
    """Zones of a street network.

    Attributes
    ----------
    zone_id
        1 to n_zones, int64, shape (n_zones,).
    zone_x, zone_y
        Centres, in the network's coordinates.
    zone_of_node_idx
        Zone position of every node, shape (n_nodes,); -1 for nodes that no path may pass through.
    production_weight, attraction_weight
        Relative size of each zone as an origin and as a destination, above 0 and of any unit, shape (n_zones,).
    connector_node_idx
        Nodes that each zone is joined to, 1 to `CONNECTORS_PER_ZONE` of them.
    by_streets
        True where residents follow street length; False where every node counts the same for want of such streets.
    """

    zone_id: OffsetColumn
    zone_x: FloatColumn
    zone_y: FloatColumn
    zone_of_node_idx: IndexColumn
    production_weight: FloatColumn
    attraction_weight: FloatColumn
    connector_node_idx: tuple[IndexColumn, ...]
    by_streets: bool

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, column.name, frozen(value))

    @property
    def n_zones(self) -> int:
        """Number of zones."""
        return len(self.zone_id)

    def apply(self, network: RoadNetwork) -> RoadNetwork:
        """Return the network these zones were made for, with a centre and connectors for each zone."""
        return with_zones(network, self.zone_id, self.zone_x, self.zone_y, list(self.connector_node_idx))


def make_zones(network: RoadNetwork, n_zones: int, *, centre_pull: float = 1.0) -> Zoning:
    """Return `n_zones` zones with nearly equal numbers of residents (module docstring).

    Parameters
    ----------
    network
        Streets with coordinates: degrees where `crs` is EPSG:4326, otherwise metres.
    n_zones
        1 to the number of nodes that may be passed.
    centre_pull
        Exponent of the intersection density in the attraction, 0 or above.

    Raises
    ------
    InputError
        The network has fewer nodes than zones, or no coordinates.
    """
    member_idx = np.flatnonzero(network.node_passable)
    if not 1 <= n_zones <= len(member_idx):
        problem = f"{n_zones} zones cannot be made of the {len(member_idx)} nodes of {network.name}"
        raise InputError(problem, where="demand.zones", allowed=f"1 to {len(member_idx)}")
    x_m, y_m = local_metres(network)
    production = lived_in_length_m(network)
    by_streets = int(np.count_nonzero(production[member_idx])) >= n_zones
    if not by_streets:
        production = np.ones(network.n_nodes)
    attraction = production * _centrality(network, x_m, y_m) ** centre_pull
    zone_of_node_idx: IndexColumn = np.full(network.n_nodes, -1, dtype=np.int32)
    zone_of_node_idx[member_idx] = split_evenly(x_m[member_idx], y_m[member_idx], production[member_idx], n_zones)
    centre_idx, connector_node_idx = _centres_and_connectors(network, x_m, y_m, production, zone_of_node_idx, n_zones)
    return Zoning(
        np.arange(1, n_zones + 1, dtype=np.int64),
        network.node_x[centre_idx],
        network.node_y[centre_idx],
        zone_of_node_idx,
        _sums(zone_of_node_idx[member_idx], production[member_idx], n_zones),
        _sums(zone_of_node_idx[member_idx], attraction[member_idx], n_zones),
        connector_node_idx,
        by_streets,
    )


def local_metres(network: RoadNetwork) -> tuple[FloatColumn, FloatColumn]:
    """Return the nodes in plane metres: equirectangular around the mean latitude for EPSG:4326, as they are for any other system.

    Raises
    ------
    InputError
        A node has no coordinates.
    """
    unknown = ~(np.isfinite(network.node_x) & np.isfinite(network.node_y))
    if unknown.any():
        node = network.node_id[int(np.argmax(unknown))]
        raise InputError(
            f"node {node} has no coordinates", source=network.name, allowed="coordinates for every node, to make zones"
        )
    if network.crs != "EPSG:4326":
        return network.node_x, network.node_y
    narrowing = np.cos(np.deg2rad(network.node_y.mean()))
    return network.node_x * (METRES_PER_DEGREE * narrowing), network.node_y * METRES_PER_DEGREE


def lived_in_length_m(network: RoadNetwork) -> FloatColumn:
    """Return half the length of the lived-in streets at each node (metres, 0 or above), shape (n_nodes,)."""
    lived_in = _of_class(network, LIVED_IN_CLASSES)
    pair = network.tail_idx.astype(np.int64) * network.n_nodes + network.head_idx
    reverse = network.head_idx.astype(np.int64) * network.n_nodes + network.tail_idx
    street_share = np.where(np.isin(pair, reverse), 0.5, 1.0)
    half_m = np.where(lived_in, np.minimum(network.length_m, LONGEST_LIVED_IN_M) * street_share / 2, 0.0)
    return _sums(network.tail_idx, half_m, network.n_nodes) + _sums(network.head_idx, half_m, network.n_nodes)


def _sums(position: IndexColumn, value: FloatColumn, size: int) -> FloatColumn:
    return np.asarray(np.bincount(position, weights=value, minlength=size), dtype=np.float64)


def _of_class(network: RoadNetwork, classes: frozenset[str]) -> BoolColumn:
    return np.asarray(np.isin(np.asarray(network.link_classes), list(classes))[network.link_class_code])


def split_evenly(x_m: FloatColumn, y_m: FloatColumn, weight: FloatColumn, n_parts: int) -> IndexColumn:
    """Split points into parts of nearly equal weight by weighted medians; every part gets a point of weight above 0.

    Parameters
    ----------
    x_m, y_m, weight
        Places in metres and weights, 0 or above; shape (n,).
    n_parts
        1 to the number of points with a weight above 0.

    Returns
    -------
    IndexColumn
        Part of each point, 0 to n_parts - 1, shape (n,). A cut misses its aim by at most half the weight of the point at the
        cut, unless too few points would be left on a side.
    """
    part: IndexColumn = np.zeros(len(weight), dtype=np.int32)
    open_pieces = [(np.arange(len(weight)), 0, n_parts)]
    while open_pieces:
        members, first_part, n_here = open_pieces.pop()
        if n_here == 1:
            part[members] = first_part
            continue
        n_left = n_here // 2
        left, right = _cut(members, x_m[members], y_m[members], weight[members], n_left, n_here)
        open_pieces += [(left, first_part, n_left), (right, first_part + n_left, n_here - n_left)]
    return part


def _cut(
    members: NDArray[np.int64], x_m: FloatColumn, y_m: FloatColumn, weight: FloatColumn, n_left: int, n_parts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    along, across = (x_m, y_m) if _spread_m2(x_m, weight) >= _spread_m2(y_m, weight) else (y_m, x_m)
    order = np.lexsort((members, across, along))
    so_far = np.cumsum(weight[order])
    aim = so_far[-1] * n_left / n_parts
    n_kept = int(np.searchsorted(so_far, aim)) + 1
    if n_kept > 1 and aim - so_far[n_kept - 2] < so_far[n_kept - 1] - aim:
        n_kept -= 1
    # Both sides need a point of weight above 0 for each of their parts.
    heavy = np.flatnonzero(weight[order] > 0)
    n_kept = min(max(n_kept, int(heavy[n_left - 1]) + 1), int(heavy[len(heavy) - (n_parts - n_left)]))
    return members[order[:n_kept]], members[order[n_kept:]]


def _spread_m2(place_m: FloatColumn, weight: FloatColumn) -> float:
    return float(np.average((place_m - np.average(place_m, weights=weight)) ** 2, weights=weight))


def _centrality(network: RoadNetwork, x_m: FloatColumn, y_m: FloatColumn) -> FloatColumn:
    """Return the d / mean d of the module docstring for each node, above 0, shape (n_nodes,)."""
    low, high = np.minimum(network.tail_idx, network.head_idx), np.maximum(network.tail_idx, network.head_idx)
    pairs = np.unique(low.astype(np.int64) * network.n_nodes + high)
    crossing = np.bincount(np.concatenate(np.divmod(pairs, network.n_nodes)), minlength=network.n_nodes) >= 3
    on_main = _of_class(network, MAIN_CLASSES)
    main_node = np.zeros(network.n_nodes, dtype=np.bool_)
    main_node[network.tail_idx[on_main]] = True
    main_node[network.head_idx[on_main]] = True
    counted = np.flatnonzero(crossing & main_node if (crossing & main_node).any() else crossing)
    if len(counted) == 0:
        return np.ones(network.n_nodes)
    place = np.column_stack([x_m, y_m])
    # One more, so that no place is wholly without workplaces.
    count = 1 + cKDTree(place[counted]).query_ball_point(place, CENTRE_RADIUS_M, return_length=True)
    return np.asarray(count / count.mean())


def _centres_and_connectors(
    network: RoadNetwork,
    x_m: FloatColumn,
    y_m: FloatColumn,
    production: FloatColumn,
    zone_of_node_idx: IndexColumn,
    n_zones: int,
) -> tuple[NDArray[np.int64], tuple[IndexColumn, ...]]:
    """Return the centre node and the connector nodes of each zone."""
    ends = (network.tail_idx, network.head_idx)
    throughput_vph = np.minimum(*(_sums(end, network.capacity_vph, network.n_nodes) for end in ends))
    lived_in_idx = np.flatnonzero((zone_of_node_idx >= 0) & (production > 0))
    of_zone = lived_in_idx[np.argsort(zone_of_node_idx[lived_in_idx], kind="stable")]
    bound = np.searchsorted(zone_of_node_idx[of_zone], np.arange(n_zones + 1))
    centre_idx = np.empty(n_zones, dtype=np.int64)
    connector_node_idx = []
    for zone_idx in range(n_zones):
        node_idx = of_zone[bound[zone_idx] : bound[zone_idx + 1]]
        place = (x_m[node_idx], y_m[node_idx], production[node_idx])
        centre = _medoid(*place)
        centre_idx[zone_idx] = node_idx[centre]
        connector_node_idx.append(node_idx[_connectors(*place, throughput_vph[node_idx], centre)].astype(np.int32))
    return centre_idx, tuple(connector_node_idx)


def _medoid(x_m: FloatColumn, y_m: FloatColumn, weight: FloatColumn) -> int:
    away_m = np.hypot(x_m - np.average(x_m, weights=weight), y_m - np.average(y_m, weights=weight))
    candidates = np.argsort(away_m, kind="stable")[:MEDOID_CANDIDATES]
    distance_m = np.hypot(x_m[candidates, None] - x_m, y_m[candidates, None] - y_m)
    return int(candidates[np.argmin(distance_m @ weight)])


def _connectors(
    x_m: FloatColumn, y_m: FloatColumn, weight: FloatColumn, throughput_vph: FloatColumn, centre: int
) -> NDArray[np.int64]:
    from_centre_m = np.hypot(x_m - x_m[centre], y_m - y_m[centre])
    outward = np.argsort(from_centre_m, kind="stable")
    median_m = from_centre_m[outward[np.searchsorted(np.cumsum(weight[outward]), weight.sum() / 2)]]
    near = np.flatnonzero(from_centre_m <= CONNECTOR_REACH * median_m)
    n_parts = min(CONNECTORS_PER_ZONE, len(near))
    part = split_evenly(x_m[near], y_m[near], weight[near], n_parts)
    chosen = np.empty(n_parts, dtype=np.int64)
    for position in range(n_parts):
        inside = near[part == position]
        mean_x_m, mean_y_m = np.average(x_m[inside], weights=weight[inside]), np.average(y_m[inside], weights=weight[inside])
        away_m = np.hypot(x_m[inside] - mean_x_m, y_m[inside] - mean_y_m)
        central = inside[np.argsort(away_m, kind="stable")[: (len(inside) + 1) // 2]]
        # The first of equals is the one nearest to the part's mean.
        chosen[position] = central[np.argmax(throughput_vph[central])]
    return chosen
