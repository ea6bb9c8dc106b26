"""When the movers of a window pass which links: one travel time a link, or vehicle by vehicle.

Static traffic has one time a link, the same for everybody at any time. In queue traffic each vehicle has times of its own; they
are the records that the loading kept. What evidence and deadlines need of both is the time on each row of a contract's
routes and the instant at which its first link is entered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.settlement.detours import Detours


@dataclass(frozen=True, eq=False)
class RouteTimes:
    """Times of each contract's two routes, vehicle by vehicle.

    Attributes
    ----------
    baseline_entry_s, target_entry_s
        When the mover enters the first link of either route, shape (n_contracts,).
    baseline_s, target_s
        Time on each row of `Detours.baseline_link` and `Detours.target_link`.
    extra_s
        What the target costs its mover more than the baseline, another departure included, seconds, shape (n_contracts,).
    """

    baseline_entry_s: FloatColumn
    baseline_s: FloatColumn
    target_entry_s: FloatColumn
    target_s: FloatColumn
    extra_s: FloatColumn


Times: TypeAlias = FloatColumn | RouteTimes
"""A time for every link, shape (n_links,), or the movers' own."""


@dataclass(frozen=True, eq=False)
class Passages:
    """One of the two routes of every contract, with times.

    Attributes
    ----------
    start, link
        Links of contract k: `link[start[k]:start[k + 1]]`.
    entry_s
        When its first link is entered, shape (n_contracts,).
    time_s
        Time on each row.
    """

    start: OffsetColumn
    link: IndexColumn
    entry_s: FloatColumn
    time_s: FloatColumn

    @property
    def arrival_s(self) -> FloatColumn:
        """When the last link of each route is left."""
        contract = np.repeat(np.arange(len(self.entry_s)), np.diff(self.start))
        return np.asarray(self.entry_s + np.bincount(contract, weights=self.time_s, minlength=len(self.entry_s)), np.float64)

    @property
    def row_entry_s(self) -> FloatColumn:
        """When each row is entered."""
        ahead = np.cumsum(self.time_s) - self.time_s
        first = np.minimum(self.start[:-1], max(len(ahead) - 1, 0))
        if len(ahead) == 0:
            return ahead
        return np.asarray(ahead + np.repeat(self.entry_s - ahead[first], np.diff(self.start)))

    def of(self, contract: int) -> tuple[IndexColumn, FloatColumn, float]:
        """Return links, times and entry of one contract."""
        rows = slice(self.start[contract], self.start[contract + 1])
        return self.link[rows], self.time_s[rows], float(self.entry_s[contract])


def target_passages(detours: Detours, times: Times) -> Passages:
    """Return the targets with their times."""
    if isinstance(times, RouteTimes):
        return Passages(detours.target_start, detours.target_link, times.target_entry_s, times.target_s)
    return Passages(detours.target_start, detours.target_link, detours.departure_s, times[detours.target_link])


def baseline_passages(detours: Detours, times: Times) -> Passages:
    """Return the baselines with their times."""
    if isinstance(times, RouteTimes):
        return Passages(detours.baseline_start, detours.baseline_link, times.baseline_entry_s, times.baseline_s)
    return Passages(detours.baseline_start, detours.baseline_link, detours.departure_s, times[detours.baseline_link])


def all_finite(times: Times) -> bool:
    """Return whether every time is a finite number."""
    if isinstance(times, RouteTimes):
        columns = (times.baseline_entry_s, times.baseline_s, times.target_entry_s, times.target_s)
        return all(bool(np.isfinite(column).all()) for column in columns)
    return bool(np.isfinite(times).all())
