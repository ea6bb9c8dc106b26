"""The result tables of a run: columns of the simulator become Arrow tables with stated names, units and types.

Row order is array order, so that a position in `link_performance` is the position of the link in the network; the paths in
`trips` are lists of such positions. Nothing here depends on the clock, the machine or the number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.demand.population import Population
from sim.network.road_network import Provenance, RoadNetwork

GEOMETRY_COLUMN = "geometry"
LINK_TIMES, CITY_TIMES, TRAJECTORIES = "link_times", "city_times", "trajectories"
"""Names of the tables of queue traffic (`sim.experiments.queue_record`)."""
Stage: TypeAlias = Literal["solver", "days", "bound"]


@dataclass(frozen=True, eq=False)
class LinkColumns:
    """What one world did to the links.

    Attributes
    ----------
    flow_vph
        Vehicles an hour, shape (n_links,).
    travel_time_s
        Travel time at that flow without fixed costs, shape (n_links,).
    """

    flow_vph: FloatColumn
    travel_time_s: FloatColumn


@dataclass(frozen=True, eq=False)
class TripColumns:
    """What one world did to the travellers; what a world does not have is None and becomes a column of nulls.

    Attributes
    ----------
    travel_time_s
        Travel time of each traveller, shape (n_travellers,); NaN for a traveller without a trip.
    cost_s
        Generalised cost of each traveller.
    path_start, path_link_idx
        Traveller i drives links `path_link_idx[path_start[i]:path_start[i + 1]]`; shapes (n_travellers + 1,) and (n_path_links,).
    money_micro
        What each traveller received minus what he paid, in micro-credits; None in a world without money, which gets no column.
    departure_s, arrival_s
        When each traveller left and arrived (NaN for never) in queue traffic; None in static traffic, which gets no columns.
    """

    travel_time_s: FloatColumn | None = None
    cost_s: FloatColumn | None = None
    path_start: OffsetColumn | None = None
    path_link_idx: IndexColumn | None = None
    money_micro: OffsetColumn | None = None
    departure_s: FloatColumn | None = None
    arrival_s: FloatColumn | None = None


@dataclass(frozen=True)
class ConvergenceRow:
    """One step on the way of a world to its solution.

    Attributes
    ----------
    world
        Name of the world.
    stage
        "solver" for iterations of the continuous solution, or days tried in the search for the best one; "days" for days of the
        travellers' own choices; "bound" for evaluations of a lower bound, which is the total then.
    step
        Iteration or day, counted from 1 (0 for the state before the first).
    relative_gap
        (TSTT - SPTT) / TSTT of this step, in the costs that the world minimises; NaN where none was computed.
    total_time_s
        Vehicle-seconds spent by everybody.
    travellers_moved
        Travellers who changed their route on this day; None for the solver.
    """

    world: str
    stage: Stage
    step: int
    relative_gap: float
    total_time_s: float
    travellers_moved: int | None = None


def link_table(network: RoadNetwork, worlds: Mapping[str, LinkColumns]) -> pa.Table:
    """Return link_performance: one row a link in array order; the attributes, then the columns of each world, then the shapes.

    `<world>_volume_to_capacity` is flow_vph / capacity_vph. `<world>_cost_s` (travel time plus fixed cost) is there only where
    some link has a fixed cost. The shapes are WKB with GeoParquet 1.1 metadata, left out where the network has no coordinates.

    Raises
    ------
    ValueError
        A column has not one value a link.
    """
    columns: dict[str, Any] = {
        "link_id": _ids(network.link_id),
        "from_node_id": _ids(network.node_id[network.tail_idx]),
        "to_node_id": _ids(network.node_id[network.head_idx]),
        "link_class": _names(network.link_classes, network.link_class_code),
    }
    for name in ("length_m", "lanes", "free_speed_kph", "capacity_vph", "free_flow_time_s", "fixed_cost_s"):
        columns[name] = pa.array(getattr(network, name), pa.float64())
    for name in ("speed_source", "lanes_source", "capacity_source"):
        columns[name] = _names([member.name.lower() for member in Provenance], getattr(network, name))
    has_fixed_cost = bool((network.fixed_cost_s > 0).any())
    for world, result in worlds.items():
        _require_length(f"{world} flow_vph", result.flow_vph, network.n_links)
        _require_length(f"{world} travel_time_s", result.travel_time_s, network.n_links)
        columns[f"{world}_flow_vph"] = pa.array(result.flow_vph, pa.float64())
        columns[f"{world}_travel_time_s"] = pa.array(result.travel_time_s, pa.float64())
        if has_fixed_cost:
            columns[f"{world}_cost_s"] = pa.array(result.travel_time_s + network.fixed_cost_s, pa.float64())
        columns[f"{world}_volume_to_capacity"] = pa.array(result.flow_vph / network.capacity_vph, pa.float64())
    drawable = _drawable_links(network)
    if not drawable.any():
        return pa.table(columns)
    columns[GEOMETRY_COLUMN], bounds = _wkb_shapes(network, drawable)
    return pa.table(columns).replace_schema_metadata({"geo": _geo_metadata(network.crs, bounds)})


def trips_table(
    population: Population,
    worlds: Mapping[str, TripColumns],
    *,
    baseline_cost_s: FloatColumn | None = None,
    is_member: BoolColumn | None = None,
) -> pa.Table:
    """Return trips: one row a traveller in array order, with time, cost and path (positions in link_performance) in each world.

    Parameters
    ----------
    population, worlds
        Who travelled, and what each world did to them. A world with money has a column `<world>_money_micro`, one of queue
        traffic `<world>_departure_s` and `<world>_arrival_s`.
    baseline_cost_s
        Cost of each traveller on the route that the lottery drew, shape (n_travellers,).
    is_member
        Who takes part in the market, shape (n_travellers,).

    Raises
    ------
    ValueError
        A column has not one value a traveller, or a world has only one of its two path columns.
    """
    n_travellers = population.n_travellers
    columns: dict[str, Any] = {
        "traveller_id": pa.array(np.arange(n_travellers, dtype=np.int64)),
        "origin_zone_id": _ids(population.od.zone_id[population.origin_zone_idx]),
        "destination_zone_id": _ids(population.od.zone_id[population.destination_zone_idx]),
    }
    for name in ("weight", "departure_s", "vot_per_h"):
        columns[name] = pa.array(getattr(population, name), pa.float64())
    if baseline_cost_s is not None:
        columns["baseline_cost_s"] = _nullable_floats("baseline_cost_s", baseline_cost_s, n_travellers)
    if is_member is not None:
        _require_length("is_member", is_member, n_travellers)
        columns["is_member"] = pa.array(is_member, pa.bool_())
    for world, result in worlds.items():
        columns[f"{world}_travel_time_s"] = _nullable_floats(f"{world} travel_time_s", result.travel_time_s, n_travellers)
        columns[f"{world}_cost_s"] = _nullable_floats(f"{world} cost_s", result.cost_s, n_travellers)
        for name in ("departure_s", "arrival_s"):
            times = getattr(result, name)
            if times is not None:
                columns[f"{world}_{name}"] = _nullable_floats(f"{world} {name}", times, n_travellers)
        columns[f"{world}_path"] = _paths(world, result, n_travellers)
        if result.money_micro is not None:
            _require_length(f"{world} money_micro", result.money_micro, n_travellers)
            columns[f"{world}_money_micro"] = pa.array(result.money_micro, pa.int64())
    return pa.table(columns)


def convergence_table(rows: Iterable[ConvergenceRow]) -> pa.Table:
    """Return convergence: one row a step in the order given; no column depends on the clock."""
    kept = list(rows)
    schema = pa.schema(
        [
            ("world", pa.string()),
            ("stage", pa.string()),
            ("step", pa.int64()),
            ("relative_gap", pa.float64()),
            ("total_time_s", pa.float64()),
            ("travellers_moved", pa.int64()),
        ]
    )
    return pa.table({name: [getattr(row, name) for row in kept] for name in schema.names}, schema=schema)


def _require_length(what: str, column: NDArray[Any], length: int) -> None:
    if len(column) != length:
        raise ValueError(f"{what}: {len(column)} values where {length} are needed")


def _ids(column: NDArray[Any]) -> pa.Array:
    # Text ids may come as numpy's fixed-width text, which Arrow does not take; lists of str it always takes.
    return pa.array(column, pa.int64()) if column.dtype.kind in "iu" else pa.array(column.tolist(), pa.string())


def _names(names: Iterable[str], codes: CodeColumn) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(names), pa.string())).cast(pa.string())


def _nullable_floats(what: str, column: FloatColumn | None, length: int) -> pa.Array:
    if column is None:
        return pa.nulls(length, pa.float64())
    _require_length(what, column, length)
    return pa.array(column, pa.float64(), from_pandas=True)


def _paths(world: str, result: TripColumns, n_travellers: int) -> pa.Array:
    path_type = pa.list_(pa.int32())
    if result.path_start is None and result.path_link_idx is None:
        return pa.nulls(n_travellers, path_type)
    if result.path_start is None or result.path_link_idx is None:
        raise ValueError(f"{world}: path_start and path_link_idx belong together")
    _require_length(f"{world} path_start", result.path_start, n_travellers + 1)
    _require_length(f"{world} path_link_idx", result.path_link_idx, int(result.path_start[-1]))
    return pa.ListArray.from_arrays(
        pa.array(result.path_start, pa.int32()), pa.array(result.path_link_idx, pa.int32()), type=path_type
    )


def _drawable_links(network: RoadNetwork) -> BoolColumn:
    known = np.isfinite(network.node_x) & np.isfinite(network.node_y)
    return np.asarray((np.diff(network.geometry_start) >= 2) | (known[network.tail_idx] & known[network.head_idx]))


def _wkb_shapes(network: RoadNetwork, drawable: BoolColumn) -> tuple[pa.Array, list[float]]:
    """Return the shapes as WKB (null where a link cannot be drawn) and their bounds [min x, min y, max x, max y]."""
    n_shape_points = np.diff(network.geometry_start)
    curved = n_shape_points >= 2
    n_points = np.where(drawable, np.where(curved, n_shape_points, 2), 0)
    start = np.zeros(network.n_links + 1, dtype=np.int64)
    np.cumsum(n_points, out=start[1:])
    points = np.empty((int(start[-1]), 2))
    straight = drawable & ~curved
    for end, node_idx in ((0, network.tail_idx), (1, network.head_idx)):
        rows = start[:-1][straight] + end
        points[rows] = np.column_stack([network.node_x[node_idx[straight]], network.node_y[node_idx[straight]]])
    link_of_point = np.repeat(np.arange(network.n_links), n_points)
    from_shape = curved[link_of_point]
    step = np.arange(len(points)) - start[link_of_point]
    points[from_shape] = network.geometry_xy[(network.geometry_start[link_of_point] + step)[from_shape]]
    position_of_link = np.cumsum(drawable) - 1
    lines = shapely.linestrings(points, indices=position_of_link[link_of_point])
    wkb = np.full(network.n_links, None, dtype=object)
    wkb[drawable] = shapely.to_wkb(lines, flavor="iso")
    low, high = points.min(axis=0), points.max(axis=0)
    return pa.array(wkb, pa.binary()), [float(low[0]), float(low[1]), float(high[0]), float(high[1])]


def _geo_metadata(crs: str | None, bounds: list[float]) -> str:
    """Return the "geo" entry of the GeoParquet specification 1.1; a null crs says that the coordinates are the source's own."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["LineString"],
        "crs": None if crs is None else pyproj.CRS.from_user_input(crs).to_json_dict(),
        "bbox": bounds,
    }
    return json.dumps(
        {"version": "1.1.0", "primary_column": GEOMETRY_COLUMN, "columns": {GEOMETRY_COLUMN: column}}, sort_keys=True
    )
