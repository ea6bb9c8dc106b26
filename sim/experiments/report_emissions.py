"""Carbon dioxide of each world by an average-speed curve, from flows and travel times of the links.

Grams a mile at an average speed of x miles an hour are exp(b0 + b1 x + b2 x^2 + b3 x^3 + b4 x^4): the real-world curve for the
light-duty fleet of Southern California in M. Barth and K. Boriboonsomsin (2008), "Real-World Carbon Dioxide Impacts of Traffic
Congestion", Transportation Research Record 2058, 163-171. Another fleet emits another amount; what is told here is how the
worlds compare. The speed of a link is its length over its travel time. Speeds outside `SPEED_RANGE_KPH` count as its ends, since
the polynomial says nothing beyond the driving that it was fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.polynomial import polynomial

from sim.arrays import FloatColumn
from sim.network.road_network import CONNECTOR_CLASS
from sim.units import KILOMETRES_PER_MILE, METRES_PER_KILOMETRE, SECONDS_PER_HOUR

SOURCE: Final = (
    "M. Barth and K. Boriboonsomsin (2008), Real-World Carbon Dioxide Impacts of Traffic Congestion, "
    "Transportation Research Record 2058, 163-171"
)
SPEED_RANGE_KPH: Final = (5 * KILOMETRES_PER_MILE, 80 * KILOMETRES_PER_MILE)
"""5 to 80 miles an hour; where the ends lie is this report's choice."""
MOST_OUTSIDE: Final = 0.5
"""Share of the vehicle-kilometres outside the range from which on nothing is told."""
_COEFFICIENTS: Final = (7.613534994965560, -0.138565467462594, 0.003915102063854, -0.000049451361017, 0.000000238630156)


@dataclass(frozen=True)
class Emissions:
    """What the vehicles of one world emit in an hour of its flows.

    Attributes
    ----------
    world
        Name of the world.
    distance_km
        Vehicle-kilometres an hour.
    co2_kg
        Kilograms an hour.
    outside
        Share of the distance driven at speeds outside `SPEED_RANGE_KPH`.
    """

    world: str
    distance_km: float
    co2_kg: float
    outside: float

    @property
    def grams_a_km(self) -> float:
        """Mean emission of a vehicle on a kilometre."""
        return self.co2_kg * 1000.0 / self.distance_km


def grams_a_km(speed_kph: FloatColumn) -> FloatColumn:
    """Return grams of CO2 that a vehicle emits on a kilometre at average speeds in km/h (at least 0)."""
    speed_mph = np.clip(speed_kph, *SPEED_RANGE_KPH) / KILOMETRES_PER_MILE
    return np.asarray(np.exp(polynomial.polyval(speed_mph, _COEFFICIENTS)) / KILOMETRES_PER_MILE)


def emissions(links: Mapping[str, Any], worlds: list[str]) -> list[Emissions]:
    """Return the emissions of each world that has flows.

    Empty where a street in use has no length or takes no time, or where most of the driving is outside the curve, which
    happens in textbook networks whose lengths and times mean nothing.

    Parameters
    ----------
    links
        Columns of link_performance; empty without such a table.
    """
    found = []
    for world in worlds:
        if f"{world}_flow_vph" not in links:
            continue
        used = (links[f"{world}_flow_vph"] > 0) & (links["link_class"] != CONNECTOR_CLASS)
        flow_vph, length_m = links[f"{world}_flow_vph"][used], links["length_m"][used]
        time_s = links[f"{world}_travel_time_s"][used]
        if not used.any() or not ((length_m > 0).all() and (time_s > 0).all()):
            return []
        speed_kph = length_m / METRES_PER_KILOMETRE / (time_s / SECONDS_PER_HOUR)
        distance_km = flow_vph * length_m / METRES_PER_KILOMETRE
        is_outside = (speed_kph < SPEED_RANGE_KPH[0]) | (speed_kph > SPEED_RANGE_KPH[1])
        outside = float(distance_km[is_outside].sum() / distance_km.sum())
        if outside > MOST_OUTSIDE:
            return []
        co2_kg = float((distance_km * grams_a_km(speed_kph)).sum()) / 1000.0
        found.append(Emissions(world, float(distance_km.sum()), co2_kg, outside))
    return found
