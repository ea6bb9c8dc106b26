"""Units of a GMNS network: what config.csv states, what the scenario states, or what the coordinates give away.

Files of GMNS carry no units; config.csv may state them, and many tools write none (osm2gmns: metres and km/h; Path4GMNS: miles
and miles an hour). Without a statement and with longitudes and latitudes, the unit is the one whose lengths fit the distances
between the ends of the links: a road is as long as the straight line or up to half as long again. Speeds then are in miles an
hour with miles and feet, and in km/h with metres and kilometres.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.network.table_file import Table
from sim.units import KILOMETRES_PER_MILE

METRES_PER_MILE: Final = 1609.344
LENGTH_UNITS_M: Final = {"m": 1.0, "km": 1000.0, "mi": METRES_PER_MILE, "ft": 0.3048}
_LENGTH_NAMES: Final = {
    "m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m",
    "km": "km", "kilometer": "km", "kilometers": "km", "kilometre": "km", "kilometres": "km",
    "mi": "mi", "mile": "mi", "miles": "mi",
    "ft": "ft", "foot": "ft", "feet": "ft",
}  # fmt: skip
_SPEED_NAMES: Final = {
    "kph": 1.0, "km/h": 1.0, "kmh": 1.0, "kmph": 1.0,
    "mph": KILOMETRES_PER_MILE, "mi/h": KILOMETRES_PER_MILE, "miles per hour": KILOMETRES_PER_MILE,
    "m/s": 3.6,
}  # fmt: skip
_PLAUSIBLE_DETOUR: Final = (0.9, 1.6)
"""Median of length over straight distance."""


class GmnsUnits(NamedTuple):
    """Metres in a unit of length, km/h in a unit of speed, the coordinate system, and what had to be assumed."""

    length_m: float
    speed_kph: float
    crs: str | None
    warnings: tuple[str, ...]


def units_of(
    config: Table | None,
    *,
    length_unit_m: float | None,
    speed_unit_kph: float | None,
    length: FloatColumn,
    straight_m: FloatColumn | None,
    crs: str | None,
    source: Path,
) -> GmnsUnits:
    """Return the units of a network; what the scenario states (the keyword values that are not None) counts first.

    Parameters
    ----------
    length, straight_m
        Length as stated and straight distance in metres of each link; None where the coordinates are not known in metres.
    crs
        Coordinate system, passed on.
    source
        File that a message names.
    """
    stated = {} if config is None or not config.n_rows else {name: config.texts(name)[0] for name in config.columns}
    warnings: tuple[str, ...] = ()
    if length_unit_m is None:
        word = stated.get("long_length", "").lower()
        if word:
            name = _LENGTH_NAMES.get(word)
            if name is None:
                raise InputError(
                    f"long_length is {word!r}", source=config.path if config else None, allowed=", ".join(_LENGTH_NAMES)
                )
        else:
            name = _unit_that_fits(length, straight_m, source)
            warnings += (f"no unit of length is stated: {name} fits the distances between the nodes",)
        length_unit_m = LENGTH_UNITS_M[name]
    if speed_unit_kph is None:
        word = stated.get("speed", "").lower()
        if word and word not in _SPEED_NAMES:
            raise InputError(f"speed is {word!r}", source=config.path if config else None, allowed=", ".join(_SPEED_NAMES))
        imperial = length_unit_m in (METRES_PER_MILE, LENGTH_UNITS_M["ft"])
        speed_unit_kph = _SPEED_NAMES[word] if word else KILOMETRES_PER_MILE if imperial else 1.0
        if not word:
            warnings += (f"no unit of speed is stated: {'miles an hour' if imperial else 'km/h'} is assumed",)
    return GmnsUnits(length_unit_m, speed_unit_kph, crs, warnings)


def _unit_that_fits(length: FloatColumn, straight_m: FloatColumn | None, source: Path) -> str:
    """Return the unit in which the lengths of the links fit the distances between their ends."""
    allowed = "long_length in config.csv, or network.length_unit_m in the scenario"
    if straight_m is None:
        raise InputError("no unit of length is stated", source=source, allowed=allowed)
    used = np.isfinite(straight_m) & (straight_m > 0) & (length > 0)
    if not used.any():
        raise InputError("no unit of length is stated, and no link has a length", source=source, allowed=allowed)
    detour = float(np.median(length[used] / straight_m[used]))
    low, high = _PLAUSIBLE_DETOUR
    fitting = [name for name, unit_m in LENGTH_UNITS_M.items() if low <= detour * unit_m <= high]
    if len(fitting) != 1:
        raise InputError(
            "no unit of length is stated, and none fits the distances between the nodes", source=source, allowed=allowed
        )
    return fitting[0]
