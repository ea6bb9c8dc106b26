"""Textbook networks in memory, with the demand that belongs to them.

Coordinates are plane metres (`crs` None) and only for drawing; time is in seconds, flow in vehicles an hour. The congestible
links of Pigou's and Braess's examples have a free-flow time that stands for zero: BPR multiplies it, so it may not be zero
itself.

Sources: A. C. Pigou, *The Economics of Welfare* (1920); T. Roughgarden, *Selfish Routing and the Price of Anarchy* (2005), for
powers above 1; D. Braess, *Ueber ein Paradoxon aus der Verkehrsplanung* (1968), with the numbers of the TNTP file
Braess-Example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.errors import InputError
from sim.network.road_network import Provenance, RoadNetwork
from sim.units import travel_time_s

PIGOU_DEMAND_VPH: Final = 1.0
_ARTERIAL_SPEED_FACTOR = 1.5
_ARTERIAL_LANES = 2
BRAESS_DEMAND_VPH: Final = 6.0

_NO_TIME_S: Final = 2.0**-40
"""Stands for a free-flow time of zero; a power of two, so that the product with `bpr_alpha` is exact."""
_DRAWN_LENGTH_M: Final = 1000.0
_BPR_ALPHA: Final = 0.15
_BPR_BETA: Final = 4.0


def plain_network(
    name: str,
    *,
    node_xy: Sequence[tuple[float, float]] | FloatColumn,
    tail_idx: Sequence[int] | IndexColumn,
    head_idx: Sequence[int] | IndexColumn,
    free_flow_time_s: Sequence[float] | FloatColumn,
    capacity_vph: Sequence[float] | FloatColumn,
    length_m: Sequence[float] | FloatColumn | None = None,
    bpr_alpha: Sequence[float] | FloatColumn | None = None,
    bpr_beta: Sequence[float] | FloatColumn | None = None,
    free_speed_kph: Sequence[float] | FloatColumn | None = None,
    lanes: Sequence[float] | FloatColumn | None = None,
    zone_node_idx: Sequence[int] | IndexColumn = (),
    passable: Sequence[bool] | BoolColumn | None = None,
    shapes: Sequence[FloatColumn] = (),
) -> RoadNetwork:
    """Return a network whose nodes, links and zones are numbered from 1 (a zone has the id of its node).

    Parameters
    ----------
    node_xy
        Plane coordinates in metres, shape (n_nodes, 2).
    length_m
        None takes the straight distance between the ends.
    bpr_alpha, bpr_beta
        None takes 0.15 and 4.
    free_speed_kph, lanes
        None leaves them unstated (0).
    shapes
        Points of each link, ends included; empty draws straight links.

    Raises
    ------
    InputError
        The columns do not make a sound network.
    """
    xy = np.asarray(node_xy, dtype=np.float64).reshape(-1, 2)
    tail, head = np.asarray(tail_idx, dtype=np.int32), np.asarray(head_idx, dtype=np.int32)
    n_nodes, n_links = len(xy), len(tail)
    node_id = np.arange(1, n_nodes + 1, dtype=np.int64)
    zones = np.asarray(zone_node_idx, dtype=np.int32)
    stated = np.full(n_links, Provenance.FILE, dtype=np.uint8)
    straight_m = np.hypot(*(xy[tail] - xy[head]).T) if n_links else np.zeros(0)
    unstated = np.zeros(n_links)
    return RoadNetwork(
        name=name,
        crs=None,
        node_id=node_id,
        node_x=xy[:, 0],
        node_y=xy[:, 1],
        node_passable=np.ones(n_nodes, dtype=np.bool_) if passable is None else np.asarray(passable, dtype=np.bool_),
        link_id=np.arange(1, n_links + 1, dtype=np.int64),
        tail_idx=tail,
        head_idx=head,
        length_m=straight_m if length_m is None else np.asarray(length_m, dtype=np.float64),
        free_flow_time_s=np.asarray(free_flow_time_s, dtype=np.float64),
        capacity_vph=np.asarray(capacity_vph, dtype=np.float64),
        bpr_alpha=np.full(n_links, _BPR_ALPHA) if bpr_alpha is None else np.asarray(bpr_alpha, dtype=np.float64),
        bpr_beta=np.full(n_links, _BPR_BETA) if bpr_beta is None else np.asarray(bpr_beta, dtype=np.float64),
        fixed_cost_s=unstated,
        toll=unstated,
        free_speed_kph=unstated if free_speed_kph is None else np.asarray(free_speed_kph, dtype=np.float64),
        lanes=unstated if lanes is None else np.asarray(lanes, dtype=np.float64),
        link_class_code=np.zeros(n_links, dtype=np.uint8),
        link_classes=("street",),
        speed_source=stated,
        lanes_source=stated,
        capacity_source=stated,
        geometry_start=np.cumsum([0, *map(len, shapes)], dtype=np.int64)
        if len(shapes)
        else np.zeros(n_links + 1, dtype=np.int64),
        geometry_xy=np.concatenate(shapes) if len(shapes) else np.zeros((0, 2)),
        zone_id=node_id[zones],
        zone_node_idx=zones,
    )


def pigou(power: float = 1.0) -> RoadNetwork:
    """Return Pigou's two links from zone 1 to 2: link 1 takes 1 s, link 2 flow_vph ** power seconds.

    At a demand of 1 vehicle an hour everybody takes link 2; the Price of Anarchy is 1 / (1 - power * (power + 1) ** (-(power +
    1) / power)), which is 4/3 at power 1 and 2.1505 at power 4. Link 2 carries 2^-40 s on top of its textbook time.
    """
    if not (np.isfinite(power) and power > 0):
        raise InputError(f"{power}", where="pigou_power", allowed="a finite number above 0")
    return plain_network(
        "pigou",
        node_xy=[(0.0, 0.0), (_DRAWN_LENGTH_M, 0.0)],
        tail_idx=[0, 0],
        head_idx=[1, 1],
        length_m=[_DRAWN_LENGTH_M, _DRAWN_LENGTH_M],
        free_flow_time_s=[1.0, _NO_TIME_S],
        capacity_vph=[1.0, 1.0],
        bpr_alpha=[0.0, 1.0 / _NO_TIME_S],
        bpr_beta=[1.0, power],
        zone_node_idx=[0, 1],
        shapes=_bows(2),
    )


def braess() -> RoadNetwork:
    """Return Braess's network with the values of the TNTP Braess-Example, a time unit being 1 s.

    Links 1-3 and 4-2 take 10 * flow, 1-4 and 3-2 take 50 + flow, 3-4 takes 10 + flow seconds. At a demand of 6 vehicles an hour
    from zone 1 to zone 2 the user equilibrium totals 552 and the system optimum 498 vehicle-seconds an hour.
    """
    half = _DRAWN_LENGTH_M / 2
    return plain_network(
        "braess",
        node_xy=[(0.0, 0.0), (2 * half, 0.0), (half, half), (half, -half)],
        tail_idx=[0, 0, 2, 2, 3],
        head_idx=[2, 3, 1, 3, 1],
        length_m=[100.0] * 5,
        free_flow_time_s=[1e-8, 50.0, 50.0, 10.0, 1e-8],
        capacity_vph=[1.0] * 5,
        bpr_alpha=[1e9, 0.02, 0.02, 0.1, 1e9],
        bpr_beta=[1.0] * 5,
        zone_node_idx=[0, 1],
    )


def parallel(routes: int) -> RoadNetwork:
    """Return `routes` links from zone 1 to zone 2, evenly stepped from fast and narrow to slow and wide.

    Free-flow times go from 600 to 1200 s, capacities from 600 to 1800 vehicles an hour.
    """
    if routes < 2:
        raise InputError(f"{routes}", where="routes", allowed="a whole number from 2")
    return plain_network(
        "parallel",
        node_xy=[(0.0, 0.0), (10 * _DRAWN_LENGTH_M, 0.0)],
        tail_idx=[0] * routes,
        head_idx=[1] * routes,
        length_m=[10 * _DRAWN_LENGTH_M] * routes,
        free_flow_time_s=np.linspace(600.0, 1200.0, routes),
        capacity_vph=np.linspace(600.0, 1800.0, routes),
        zone_node_idx=[0, 1],
        shapes=_bows(routes, length_m=10 * _DRAWN_LENGTH_M),
    )


def parallel_demand_vph(routes: int) -> float:
    """Return the demand of the parallel example: as much as all its links can carry, 1200 vehicles an hour a route."""
    return 1200.0 * routes


def grid(
    rows: int,
    columns: int,
    *,
    block_m: float = 300.0,
    free_speed_kph: float = 50.0,
    capacity_vph: float = 900.0,
    arterial_every: int = 0,
) -> RoadNetwork:
    """Return a grid of two-way streets; the node id is row * columns + column + 1.

    The four corners are the zones; they may be passed through. On streets that are all alike, the shortest ways
    between two corners are equally long, and user equilibrium and system optimum hardly differ; arterials make them differ.

    Parameters
    ----------
    rows, columns
        Nodes in a column (in a row), at least 2.
    block_m, free_speed_kph, capacity_vph
        Length, free speed and capacity of every link, above 0.
    arterial_every
        Every street whose number (row or column, from 0) is a multiple of this is an arterial, 1.5 times as fast and twice as
        wide; 0 for none.
    """
    for name, count in (("rows", rows), ("columns", columns)):
        if count < 2:
            raise InputError(f"{count}", where=name, allowed="a whole number from 2")
    for name, value in (("block_m", block_m), ("free_speed_kph", free_speed_kph), ("capacity_vph", capacity_vph)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{value}", where=name, allowed="a finite number above 0")
    number = np.arange(rows * columns).reshape(rows, columns)
    eastward = np.column_stack([number[:, :-1].ravel(), number[:, 1:].ravel()])
    northward = np.column_stack([number[:-1].ravel(), number[1:].ravel()])
    ends = np.concatenate([eastward, eastward[:, ::-1], northward, northward[:, ::-1]])
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    arterial = np.zeros(len(ends), dtype=np.bool_)
    if arterial_every > 0:
        row, column = ends // columns, ends % columns
        along_row = row[:, 0] == row[:, 1]
        arterial = np.where(along_row, row[:, 0] % arterial_every == 0, column[:, 0] % arterial_every == 0)
    speed_kph = np.where(arterial, _ARTERIAL_SPEED_FACTOR * free_speed_kph, free_speed_kph)
    n_lanes = np.where(arterial, float(_ARTERIAL_LANES), 1.0)
    return plain_network(
        "grid",
        node_xy=np.column_stack([(number % columns).ravel() * block_m, (number // columns).ravel() * block_m]),
        tail_idx=ends[:, 0],
        head_idx=ends[:, 1],
        length_m=np.full(len(ends), block_m),
        free_flow_time_s=travel_time_s(block_m, 1.0) / speed_kph,
        capacity_vph=n_lanes * capacity_vph,
        free_speed_kph=speed_kph,
        lanes=n_lanes,
        zone_node_idx=[0, columns - 1, (rows - 1) * columns, rows * columns - 1],
    )


def _bows(n_links: int, *, length_m: float = _DRAWN_LENGTH_M) -> list[FloatColumn]:
    """Return the shapes of links with the same two ends, bent apart so that a map shows each."""
    along = np.linspace(0.0, 1.0, 9)
    heights_m = np.linspace(0.25, -0.25, n_links) * length_m
    return [np.column_stack([along * length_m, height_m * 4 * along * (1 - along)]) for height_m in heights_m]
