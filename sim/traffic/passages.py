"""When each vehicle of a driven day entered and left each link of its path, and charges by link and time."""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.traffic.driven_day import DrivenDay
from sim.traffic.timed_paths import Tolls


def path_times_s(driven: DrivenDay) -> tuple[FloatColumn, FloatColumn]:
    """Return entry and exit of each row of `driven.trips.path_link`, from the day's records."""
    records = driven.records
    # A vehicle's records in the order of time are its path.
    order = np.lexsort((records.entry_s, records.vehicle_idx))
    return records.entry_s[order], records.exit_s[order]


def charge_at(tolls: Tolls, link_idx: IndexColumn, exit_s: FloatColumn) -> FloatColumn:
    """Return the toll for leaving each of some links at a time; 0 beyond a link's steps."""
    step = (exit_s / tolls.step_s[link_idx]).astype(np.int64)
    place = tolls.start[link_idx] + step
    known = place < tolls.start[link_idx + 1]
    charge = np.zeros(len(place))
    charge[known] = tolls.toll_s[place[known]]
    return charge
