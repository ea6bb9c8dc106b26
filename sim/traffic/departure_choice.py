"""Departure-time choice: equilibrium of ways and departures under schedule costs (Vickrey 1969; Arnott, de Palma, Lindsey 1990).

Cost of a trip, in seconds of travel: time + early (t* - arrival)+ + late (arrival - t*)+, with t* the wished arrival, early
below 1 (else nobody would ever wait in a queue) and late any positive number: beta / alpha and gamma / alpha of the literature.
Night by night as in `sim.traffic.equilibrium`: a vehicle compares its cost with the best way at a few departures that are drawn
anew each night, half of them anywhere in the window, half near its own, and takes the cheapest with the same probability.

At one bottleneck of headway h, N vehicles with one t* all have, in equilibrium, the cost  early late / (early + late) N h  beyond
free flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import EquilibriumRules, chosen_paths
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, with_paths
from sim.traffic.trips import Trips

_NEAR_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Schedule:
    """When everybody wants to arrive and what it costs to miss that.

    Attributes
    ----------
    wished_arrival_s
        Shape (n_vehicles,).
    early, late
        Seconds of travel that a second too early (too late) is worth; early in (0, 1), late above 0.
    window_s
        First and last possible departure, from 0 on.
    tries
        Departures that a vehicle compares in a night, at least 2.
    """

    wished_arrival_s: FloatColumn
    early: float
    late: float
    window_s: tuple[float, float]
    tries: int = 8

    def __post_init__(self) -> None:
        for name, bad, allowed in (
            ("early", not 0 < self.early < 1, "above 0, below 1"),
            ("late", not 0 < self.late < np.inf, "a finite number above 0"),
            ("window_s", not 0 <= self.window_s[0] < self.window_s[1] < np.inf, "two times, the first at least 0"),
            ("tries", self.tries < 2, "at least 2"),
        ):
            if bad:
                raise InputError(f"{getattr(self, name)}", where=name, allowed=allowed)

    def cost_s(self, vehicle_idx: IndexColumn, departure_s: FloatColumn, time_s: FloatColumn) -> FloatColumn:
        """Return the cost of trips of some vehicles, seconds of travel."""
        miss_s = departure_s + time_s - self.wished_arrival_s[vehicle_idx]
        return np.asarray(time_s + np.where(miss_s < 0, -self.early * miss_s, self.late * miss_s))


@dataclass(frozen=True, eq=False)
class DepartureEquilibrium:
    """A flow found in which ways and departures are chosen.

    Attributes
    ----------
    driven
        The last day.
    cost_s
        Of each vehicle on it.
    relative_gap
        Sum of gains over sum of costs on that day, against the departures that were tried.
    mean_cost_s
        Of every day.
    """

    driven: DrivenDay
    cost_s: FloatColumn
    relative_gap: float
    mean_cost_s: tuple[float, ...]


def find_departure_equilibrium(
    network: QueueNetwork, finder: PathFinder, first: Trips, schedule: Schedule, rules: EquilibriumRules, seed: int
) -> DepartureEquilibrium:
    """Return the flow found after `rules.most_days` days, or when the gap of a day is small enough.

    Raises
    ------
    InputError
        Wished arrivals that do not fit the vehicles.
    """
    if len(schedule.wished_arrival_s) != first.n_vehicles:
        allowed = f"{first.n_vehicles}, one a vehicle"
        raise InputError(f"{len(schedule.wished_arrival_s)} wished arrivals", where="wished_arrival_s", allowed=allowed)
    trips = first
    everybody = np.arange(first.n_vehicles, dtype=np.int32)
    mean_cost_s: list[float] = []
    for day in range(rules.most_days):
        driven = drive(network, trips, rules.patience_s)
        own_s = schedule.cost_s(everybody, trips.departure_s, driven.travel_time_s)
        mean_cost_s.append(float(own_s.mean()))
        departure_s = _tried_departures(schedule, trips, seed, day)
        ways = finder.search(
            driven.day, np.repeat(everybody, schedule.tries), departure_s.ravel(), np.full(departure_s.size, np.inf)
        )
        cost_s = schedule.cost_s(np.repeat(everybody, schedule.tries), departure_s.ravel(), ways.time_s).reshape(
            departure_s.shape
        )
        best = np.argmin(cost_s, axis=1)
        gain_s = np.maximum(own_s - cost_s[everybody, best], 0.0)
        gap = float(gain_s.sum() / own_s.sum())
        if gap <= rules.gap or day == rules.most_days - 1:
            break
        scale = (day + rules.delay_days) ** -rules.exponent
        moves = np.flatnonzero(uniforms(seed, "departs", everybody, day) < scale * gain_s / (gain_s + rules.gain_scale * own_s))
        chosen = best[moves]
        start, column = chosen_paths(ways.path_start, ways.path_link, moves * schedule.tries + chosen)
        new_departure_s = trips.departure_s.copy()
        new_departure_s[moves] = departure_s[moves, chosen]
        paths = with_paths(trips, moves.astype(np.int32), start, column)
        trips = Trips(new_departure_s, paths.path_start, paths.path_link)
    return DepartureEquilibrium(driven, own_s, gap, tuple(mean_cost_s))


def _tried_departures(schedule: Schedule, trips: Trips, seed: int, day: int) -> FloatColumn:
    """Return the departures that each vehicle compares tonight, shape (n_vehicles, tries)."""
    first_s, last_s = schedule.window_s
    key = np.arange(trips.n_vehicles * schedule.tries, dtype=np.int64)
    drawn = uniforms(seed, "departure tries", key, day).reshape(trips.n_vehicles, schedule.tries)
    tried_s = first_s + drawn * (last_s - first_s)
    near = schedule.tries // 2
    tried_s[:, :near] = trips.departure_s[:, None] + (drawn[:, :near] - 0.5) * _NEAR_SHARE * (last_s - first_s)
    return np.clip(tried_s, first_s, last_s)
