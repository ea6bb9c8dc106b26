"""Contracts in queue traffic: their routes, departures and times, from the days that the loading drove.

Times. A mover's target is what he drives on the day carried out, his baseline what he drove on the selfish day; agreed are the
times of those two days. After the drive the plan that he did drive has the times of his own records; the other plan is as much
earlier or later on every link as was agreed. `clock_noise_s` is added to every passage of a link: what records and reads state
is a clock's reading.

Other departures. A mover who stays longer on the same links can be told from one who did not by the time at which he is read: the
link is then one place at one time and another place at the other time (`Detours.baseline_apart`), as long as the two are at least
`APART_S` apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.rng import uniforms
from sim.settlement.detours import Detours
from sim.settlement.timetables import Passages, RouteTimes
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import chosen_paths
from sim.traffic.passages import path_times_s
from sim.traffic.trips import Trips

APART_S: Final = 60.0
"""Times on a link that differ by less than this tell nothing."""
_LEAST_S: Final = 1e-3


@dataclass(frozen=True, eq=False)
class DrivenPlans:
    """Plans of some vehicles on a driven day.

    Attributes
    ----------
    start, link
        In the form of `Trips`.
    entry_s, exit_s
        Of each row.
    departure_s
        Of each vehicle.
    """

    start: OffsetColumn
    link: IndexColumn
    entry_s: FloatColumn
    exit_s: FloatColumn
    departure_s: FloatColumn

    @property
    def first_entry_s(self) -> FloatColumn:
        """When each vehicle enters its first link."""
        return self.entry_s[self.start[:-1]]

    @property
    def row_s(self) -> FloatColumn:
        """Time on each row."""
        return np.asarray(self.exit_s - self.entry_s)


def plans_on(driven: DrivenDay, vehicle_idx: IndexColumn) -> DrivenPlans:
    """Return the plans of some vehicles with their times."""
    entry_s, exit_s = path_times_s(driven)
    trips: Trips = driven.trips
    start, link = chosen_paths(trips.path_start, trips.path_link, vehicle_idx)
    place = np.repeat(trips.path_start[vehicle_idx] - start[:-1], np.diff(start)) + np.arange(int(start[-1]))
    return DrivenPlans(start, link, entry_s[place], exit_s[place], trips.departure_s[vehicle_idx])


def queue_detours(baseline: DrivenPlans, target: DrivenPlans, worth: FloatColumn, n_links: int) -> Detours:
    """Return the detours of contracts; `worth` in credits a second, shape (n_contracts,)."""
    return Detours(
        baseline.start,
        baseline.link,
        target.start,
        target.link,
        np.ascontiguousarray(target.departure_s),
        worth,
        _apart(baseline, target, n_links),
    )


def agreed_times(baseline: DrivenPlans, target: DrivenPlans, extra_s: FloatColumn) -> RouteTimes:
    """Return the times of the day that was agreed on, and of the selfish day; `extra_s` as `RouteTimes` has it."""
    return RouteTimes(baseline.first_entry_s, baseline.row_s, target.first_entry_s, target.row_s, extra_s)


def driven_times(
    agreed: RouteTimes, detours: Detours, plans: DrivenPlans, kept: BoolColumn, noise_s: float, mover: IndexColumn, seed: int
) -> RouteTimes:
    """Return the times as driven and as clocks read them.

    Parameters
    ----------
    agreed
        Times agreed on.
    plans
        What the movers drove on the day: the target where `kept`, else the baseline; shape (n_contracts,).
    noise_s
        Standard deviation of a clock, seconds.
    mover, seed
        Name the draws.
    """
    late_s = plans.first_entry_s - np.where(kept, agreed.target_entry_s, agreed.baseline_entry_s)
    columns = []
    for start, rows_s, own in (
        (detours.baseline_start, agreed.baseline_s, ~kept),
        (detours.target_start, agreed.target_s, kept),
    ):
        time_s = rows_s.copy()
        of_row = np.repeat(own, np.diff(start))
        time_s[of_row] = plans.row_s[np.repeat(own, np.diff(plans.start))]
        columns.append(time_s)
    baseline_s, target_s = columns
    entries = [agreed.baseline_entry_s + late_s, agreed.target_entry_s + late_s]
    noisy = [
        _with_noise(Passages(start, link, entry_s, time_s), noise_s, mover, seed, name)
        for start, link, entry_s, time_s, name in (
            (detours.baseline_start, detours.baseline_link, entries[0], baseline_s, "clocks on baselines"),
            (detours.target_start, detours.target_link, entries[1], target_s, "clocks on targets"),
        )
    ]
    return RouteTimes(noisy[0].entry_s, noisy[0].time_s, noisy[1].entry_s, noisy[1].time_s, agreed.extra_s)


def _with_noise(passages: Passages, noise_s: float, mover: IndexColumn, seed: int, name: str) -> Passages:
    """Return passages as clocks of some error read them; the order of the links stays."""
    if noise_s == 0.0 or len(passages.link) == 0:
        return passages
    length = np.diff(passages.start)
    within = np.arange(len(passages.link)) - np.repeat(passages.start[:-1], length)
    key = np.repeat(mover.astype(np.int64), length) * (int(length.max()) + 1) + within
    read_s = passages.row_entry_s + noise_s * ndtri(uniforms(seed, name, key) + 2.0**-54)
    time_s = passages.time_s.copy()
    is_last = np.zeros(len(time_s), dtype=np.bool_)
    is_last[passages.start[1:] - 1] = True
    time_s[~is_last] = (np.roll(read_s, -1) - read_s)[~is_last]
    arrival_s = passages.arrival_s
    time_s[is_last] = arrival_s - read_s[is_last]
    return Passages(passages.start, passages.link, read_s[passages.start[:-1]], np.maximum(time_s, _LEAST_S))


def _apart(baseline: DrivenPlans, target: DrivenPlans, n_links: int) -> BoolColumn:
    """Return which rows of the baselines are links of the target, too, at a time that is `APART_S` or more from the target's.

    Only where the two plans leave at different times: those who leave together and meet again further on are told apart by the
    links between.
    """
    n_contracts = len(target.departure_s)
    keys = [np.repeat(np.arange(n_contracts), np.diff(plan.start)) * n_links + plan.link for plan in (baseline, target)]
    order = np.argsort(keys[1], kind="stable")
    place = np.minimum(np.searchsorted(keys[1][order], keys[0]), max(len(order) - 1, 0))
    if len(order) == 0:
        return np.zeros(len(keys[0]), dtype=np.bool_)
    row = order[place]
    shared = keys[1][row] == keys[0]
    other_time = np.abs(target.entry_s[row] - baseline.entry_s) >= APART_S
    shifted = np.repeat(target.departure_s != baseline.departure_s, np.diff(baseline.start))
    return np.asarray(shared & other_time & shifted)
