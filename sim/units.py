"""Conversions between units; every name in the project ends in the unit it carries."""

from __future__ import annotations

from typing import Final

SECONDS_PER_HOUR: Final = 3600.0
SECONDS_PER_MINUTE: Final = 60.0
METRES_PER_KILOMETRE: Final = 1000.0
KILOMETRES_PER_MILE: Final = 1.609344
"""International mile, exact by definition (1959)."""
METRES_PER_DEGREE: Final = 111_195.08
"""Length of one degree of a great circle on the sphere of mean radius 6,371,008.8 m (IUGG)."""


def travel_time_s(length_m: float, speed_kph: float) -> float:
    """Seconds that `length_m` metres take at `speed_kph` kilometres an hour (which must be above 0)."""
    return length_m / METRES_PER_KILOMETRE / speed_kph * SECONDS_PER_HOUR
