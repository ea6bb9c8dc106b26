"""Distances between points in a network's coordinates."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import FloatColumn

GEOGRAPHIC_CRS = "EPSG:4326"
"""Longitude (x) and latitude (y) in degrees, WGS84."""
EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius (IUGG 1980)."""


def distance_m(crs: str | None, from_x: FloatColumn, from_y: FloatColumn, to_x: FloatColumn, to_y: FloatColumn) -> FloatColumn:
    """Return the distances between points, in metres, shape as broadcast.

    Great circles by the haversine formula on the sphere of mean radius for `EPSG:4326` (within 0.6 % of the ellipsoid); in any
    other system coordinates are taken as plane metres.
    """
    if crs != GEOGRAPHIC_CRS:
        return np.asarray(np.hypot(to_x - from_x, to_y - from_y))
    from_lat, to_lat = np.radians(from_y), np.radians(to_y)
    half_lat, half_lon = (to_lat - from_lat) / 2, np.radians(to_x - from_x) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(from_lat) * np.cos(to_lat) * np.sin(half_lon) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0))))
