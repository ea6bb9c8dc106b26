"""What a market in queue traffic ends with: the day that was agreed on, beside the one that nobody is to fall below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import chosen_paths
from sim.traffic.timed_paths import Tolls
from sim.traffic.trips import Trips


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two days of the same travellers, and by what they are compared.

    Attributes
    ----------
    baseline, driven
        What everybody would have driven, and what was agreed on.
    is_member
        Who takes part, shape (n_travellers,).
    worth
        What a second is worth to each, credits.
    broadcast
        Charges of the links in credits; None before any were known.
    early, late
        What a second of leaving earlier or later costs, seconds of travel.
    patience_s
        Of gridlock.
    """

    baseline: DrivenDay
    driven: DrivenDay
    is_member: BoolColumn
    worth: FloatColumn
    broadcast: Tolls | None
    early: float
    late: float
    patience_s: float

    def moved(self, trips: Trips) -> BoolColumn:
        """Return which members drive something else than their baseline, shape (n_travellers,)."""
        own = self.baseline.trips
        length, own_length = np.diff(trips.path_start), np.diff(own.path_start)
        other = (length != own_length) | (trips.departure_s != own.departure_s)
        same_length = np.flatnonzero(~other)
        theirs = chosen_paths(trips.path_start, trips.path_link, same_length)
        before = chosen_paths(own.path_start, own.path_link, same_length)
        differs = np.zeros(len(theirs[1]) + 1, dtype=np.int64)
        np.cumsum(theirs[1] != before[1], out=differs[1:])
        other[same_length] = np.diff(differs[theirs[0]]) > 0
        return np.asarray(other & self.is_member)

    def shift_costs_s(self, trips: Trips) -> FloatColumn:
        """Return what everybody's departure costs, seconds of travel, shape (n_travellers,)."""
        shift_s = trips.departure_s - self.baseline.trips.departure_s
        return np.asarray(np.where(shift_s < 0.0, -self.early * shift_s, self.late * shift_s))

    def costs(self, driven: DrivenDay) -> FloatColumn:
        """Return what a day costs everybody in credits, the cost of another departure included, shape (n_travellers,)."""
        return np.asarray(self.worth * (driven.travel_time_s + self.shift_costs_s(driven.trips)))
