"""Where people live or work, from a grid of points with weights: CSV (plain or gzipped) or Parquet with lon, lat and weight.

A point counts for the zone of the nearest node of the streets (of the nearest zone, where the network has its own). Points
further than `FARTHEST_M` from all of them lie outside the city and are left out; how much weight that is, the user is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.network.distance import EARTH_RADIUS_M, GEOGRAPHIC_CRS
from sim.network.road_network import RoadNetwork
from sim.network.table_file import Table, read_table

COLUMNS = ("lon", "lat", "weight")
FARTHEST_M: Final = 2000.0


@dataclass(frozen=True, eq=False)
class ZoneWeights:
    """Weights of zones and what part of the grid was left out (0 to 1)."""

    weight: FloatColumn
    share_left_out: float


def read_zone_weights(
    path: Path, network: RoadNetwork, node_idx: IndexColumn, zone_of_node: IndexColumn, n_zones: int
) -> ZoneWeights:
    """Return the sum of a grid's weights by zone.

    Parameters
    ----------
    network
        Streets with coordinates in a known system.
    node_idx, zone_of_node
        Nodes that stand for zones, and the zone position of each, 0 to `n_zones` - 1.

    Raises
    ------
    InputError
        The file is missing or no table, a longitude, latitude or weight is none, no weight lies near the network, or the network
        has no coordinates on the earth.
    """
    table = read_table(path, COLUMNS)
    lon, lat = _degrees(table, "lon", 180.0), _degrees(table, "lat", 90.0)
    weight = table.numbers("weight", at_least=0.0)
    place = _on_sphere_m(*_lon_lat(network, node_idx, path))
    if not table.n_rows:
        raise InputError("holds no points", source=path, allowed="at least one row")
    found: Any = cKDTree(place).query(_on_sphere_m(lon, lat))
    distance_m, nearest = found
    near = distance_m <= FARTHEST_M
    total, kept = float(weight.sum()), float(weight[near].sum())
    if kept <= 0.0:
        problem = f"has no weight within {FARTHEST_M:g} m of {network.name}"
        raise InputError(problem, source=path, allowed="points of that city, with weights above 0")
    by_zone = np.bincount(zone_of_node[nearest[near]], weights=weight[near], minlength=n_zones)
    return ZoneWeights(by_zone.astype(np.float64), 1.0 - kept / total)


def _degrees(table: Table, name: str, most: float) -> FloatColumn:
    values = table.numbers(name, at_least=-most)
    if (values > most).any():
        row = int(np.argmax(values > most))
        raise InputError(
            f"{name} is {values[row]:g}", source=table.path, where=table.where(row), allowed=f"degrees, -{most:g} to {most:g}"
        )
    return values


def _lon_lat(network: RoadNetwork, node_idx: IndexColumn, path: Path) -> tuple[FloatColumn, FloatColumn]:
    x, y = network.node_x[node_idx], network.node_y[node_idx]
    if network.crs is None or not (np.isfinite(x) & np.isfinite(y)).all():
        problem = f"{network.name} has no coordinates on the earth, to which a grid could belong"
        raise InputError(problem, source=path, allowed="a network with longitudes and latitudes, or a known projection")
    if network.crs == GEOGRAPHIC_CRS:
        return x, y
    transformer: Any = pyproj.Transformer.from_crs(network.crs, GEOGRAPHIC_CRS, always_xy=True)
    lon, lat = transformer.transform(x, y)
    return np.asarray(lon), np.asarray(lat)


def _on_sphere_m(lon: FloatColumn, lat: FloatColumn) -> NDArray[np.float64]:
    """Return points in space, metres, shape (n, 3): their distances are chords, nearly those on the ground."""
    east, north = np.radians(lon), np.radians(lat)
    return EARTH_RADIUS_M * np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
