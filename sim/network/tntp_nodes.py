"""Coordinates for a TNTP network: the format's own node file, or GeoJSON points."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.network.source_file import read_source_bytes, read_source_lines
from sim.network.tntp_text import number, shown, whole_number


def read_tntp_nodes(path: Path, n_nodes: int) -> tuple[str | None, FloatColumn, FloatColumn]:
    """Return (coordinate system, x, y) of the nodes 1 to `n_nodes`; NaN where the file has none.

    The coordinate system is "EPSG:4326" for GeoJSON and None for the TNTP form, which states none.

    Raises
    ------
    InputError
        The file is neither form, or names a node twice or one that does not exist.
    """
    path = Path(path)
    is_geojson = path.name.lower().removesuffix(".gz").endswith((".geojson", ".json"))
    found = _geojson_points(path) if is_geojson else _table_points(path)
    coordinates = np.full((n_nodes, 2), np.nan)
    for where, node, x, y in found:
        if not 1 <= node <= n_nodes:
            raise InputError(f"node {node}", source=path, where=where, allowed=f"a node from 1 to {n_nodes}")
        if not math.isnan(coordinates[node - 1, 0]):
            raise InputError(f"node {node} stands here for the second time", source=path, where=where)
        coordinates[node - 1] = x, y
    if not found:
        raise InputError("the file has no nodes", source=path, allowed="rows of node, x, y or GeoJSON points with an id")
    return ("EPSG:4326" if is_geojson else None), coordinates[:, 0], coordinates[:, 1]


def _table_points(path: Path) -> list[tuple[str, int, float, float]]:
    lines, _ = read_source_lines(path)
    found: list[tuple[str, int, float, float]] = []
    for position, line in enumerate(lines):
        fields = line.partition("~")[0].replace(";", " ").split()
        if not fields or fields[0].startswith("<"):
            continue
        if not found and all(number(field) is None for field in fields):
            continue  # the names of the columns
        values = [number(field) for field in fields[1:3]]
        node = whole_number(fields[0])
        x, y = values if len(values) == 2 else (None, None)
        if node is None or x is None or y is None:
            raise InputError(f"{shown(line.strip())}", source=path, where=f"line {position + 1}", allowed="node x y ;")
        found.append((f"line {position + 1}", node, x, y))
    return found


def _geojson_points(path: Path) -> list[tuple[str, int, float, float]]:
    try:
        content: Any = json.loads(read_source_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", source=path) from None
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise InputError("has no features", source=path, allowed="a GeoJSON FeatureCollection of points")
    found: list[tuple[str, int, float, float]] = []
    for position, feature in enumerate(features):
        try:
            node_text, (x, y) = str(feature["properties"]["id"]), feature["geometry"]["coordinates"][:2]
        except (KeyError, TypeError, ValueError):
            raise InputError(
                "no point with an id", source=path, where=f"feature {position}", allowed='"properties": {"id": n} and a Point'
            ) from None
        node, x_value, y_value = whole_number(node_text), number(str(x)), number(str(y))
        if node is None or x_value is None or y_value is None:
            raise InputError(
                f"id {shown(node_text)} at {shown(f'{x}, {y}')}", source=path, where=f"feature {position}", allowed="numbers"
            )
        found.append((f"feature {position}", node, x_value, y_value))
    return found
