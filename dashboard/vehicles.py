"""Where the vehicles of static traffic are: an illustration, in which everybody departs by the demand and takes the day's times.

Static traffic knows flows of a whole period and no moment in it. The period repeats: a vehicle that is still on the road when it
ends is seen at its beginning, so that the streets are never empty for no reason.
"""

from __future__ import annotations

import numpy as np

from dashboard.scene import Itineraries, VehiclesNow
from sim.arrays import FloatColumn, IndexColumn

MOST_TRAVELLERS = 20_000
"""Travellers whose vehicles are shown; of more, every n-th."""
_MOST_REPEATS = 4
_LEAST_TIME_S = 1e-3


def shown_travellers(n_travellers: int, at_most: int = MOST_TRAVELLERS) -> IndexColumn:
    """Return the rows of the travellers whose vehicles are shown: all of them, or every n-th."""
    return np.arange(0, n_travellers, max(1, -(-n_travellers // at_most)), dtype=np.int32)


class Timetable:
    """When each of some travellers is on which link.

    Parameters
    ----------
    traveller
        Rows of the travellers, shape (n_shown,).
    departure_s
        When they leave, shape (n_shown,).
    routes
        Their ways.
    time_s
        Travel time of each link of the streets, shape (n_links,).
    period_s
        After how long everything repeats.
    """

    def __init__(
        self, traveller: IndexColumn, departure_s: FloatColumn, routes: Itineraries, time_s: FloatColumn, period_s: float
    ) -> None:
        start, self._link = routes.paths(traveller)
        self._spent = np.maximum(time_s[self._link], _LEAST_TIME_S)
        total = np.concatenate(([0.0], np.cumsum(self._spent)))
        self._traveller = traveller
        self._departure = departure_s
        self._arrival = departure_s + total[start[1:]] - total[start[:-1]]
        self._period = period_s
        row = np.repeat(np.arange(len(traveller)), np.diff(start))
        self._entry = departure_s[row] + total[:-1] - total[start[:-1]][row]
        # One ascending column for everybody, so that one search finds all vehicles.
        self._span = float(self._arrival.max(initial=0.0)) + period_s + 1.0
        self._key = row * self._span + self._entry

    def at(self, clock_s: float) -> VehiclesNow:
        """Return who is where at a time of the period (seconds after its start)."""
        times = clock_s + self._period * np.arange(_MOST_REPEATS)
        found = [np.flatnonzero((self._departure <= time) & (self._arrival > time)) for time in times]
        row = np.concatenate(found)
        time = np.repeat(times, [len(rows) for rows in found])
        place = np.searchsorted(self._key, row * self._span + time, side="right") - 1
        fraction = np.clip((time - self._entry[place]) / self._spent[place], 0.0, 1.0)
        return VehiclesNow(self._traveller[row], self._link[place], fraction)
