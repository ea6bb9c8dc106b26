"""The best day found: vehicles are moved to ways that are cheaper for everybody together, and a worse day is never kept.

Marginal cost of a way = own time + the headway times the followers in the queue of every link that it leaves (the time by which
one more vehicle puts the others off: Ghali and Smith 1995, Transportation Research B 29, "A model for the dynamic system optimum
traffic assignment problem"). The prices of the lower bound (`sim.traffic.bound`) are tolls of the same kind and are used in
turn.

Walk. First, day by day as in `sim.traffic.equilibrium` but with the tolls added to everybody's time, whatever the total does; the
best of these days is where the next part starts. Round. Everybody's cheapest way under the tolls is searched in the traffic of
the best day; a lottery that favours large gains names a share of those who gain, and they move. If the new day takes less time
in all, it is the best day now and the share grows; if not, it is forgotten and the share shrinks (below a vehicle it starts
again). The result is the best day found. Nothing says that it is the optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.kernels.timed_marginal import marginal_tolls
from sim.rng import uniforms
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import drawn_by_gain
from sim.traffic.timed_paths import PathFinder, Tolls, Ways, chosen_paths, path_costs, with_paths, with_tolls

_GROWTH, _SHRINKAGE = 1.3, 0.6
_WALK_STEP, _WALK_DELAY_DAYS, _GAIN_SCALE = 0.6, 10.0, 0.05


@dataclass(frozen=True)
class OptimumRules:
    """How the best day is looked for.

    Attributes
    ----------
    walk_days
        Days of the walk for each kind of tolls, 0 for none.
    rounds
        Days driven after that, at least 1.
    first_share
        Share of the vehicles that gain who move at first; above 0, at most 1.
    toll_step_s
        Steps of time of the marginal costs.
    patience_s
        Of gridlock.
    """

    walk_days: int = 20
    rounds: int = 60
    first_share: float = 0.1
    toll_step_s: float = 20.0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InputError(f"{self.rounds}", where="rounds", allowed="at least 1")
        if not 0 < self.first_share <= 1:
            raise InputError(f"{self.first_share}", where="first_share", allowed="above 0, at most 1")
        if not 0 < self.toll_step_s < np.inf:
            raise InputError(f"{self.toll_step_s}", where="toll_step_s", allowed="a finite number of seconds above 0")


@dataclass(frozen=True, eq=False)
class BestFound:
    """The best day found.

    Attributes
    ----------
    driven
        The day.
    history_s
        Total time of the best day after each round; never rises.
    """

    driven: DrivenDay
    history_s: tuple[float, ...]


def best_found(
    finder: PathFinder,
    first: DrivenDay,
    rules: OptimumRules,
    seed: int,
    prices: Sequence[Tolls] = (),
    on_round: Callable[[int, float], None] | None = None,
) -> BestFound:
    """Return the best day found from a first one.

    Parameters
    ----------
    finder
        Searches for the travellers of `first`.
    first
        A day, for example the equilibrium.
    prices
        Tolls to be used in turn with the marginal costs.
    on_round
        Called with the number of days driven and the best total after each round.
    """
    best, history = _walk(finder, first, rules, seed, prices)
    share = [rules.first_share] * (1 + len(prices))
    asked: dict[int, tuple[FloatColumn, Ways]] = {}
    for turn in range(rules.rounds):
        kind = turn % len(share)
        if kind not in asked:
            asked[kind] = _gains(finder, best, _tolls(kind, best, rules, prices))
        gain_s, ways = asked[kind]
        moves = drawn_by_gain(gain_s, share[kind], seed, "improve", turn)
        if len(moves):
            start, column = chosen_paths(ways.path_start, ways.path_link, moves)
            tried = drive(best.network, with_paths(best.trips, moves, start, column), rules.patience_s)
            if tried.total_time_s < best.total_time_s:
                best, asked = tried, {}
                share[kind] = min(1.0, share[kind] * _GROWTH)
            else:
                share[kind] = share[kind] * _SHRINKAGE if len(moves) > 1 else rules.first_share
        history.append(best.total_time_s)
        if on_round is not None:
            on_round(len(history), best.total_time_s)
    return BestFound(best, tuple(history))


def _tolls(kind: int, driven: DrivenDay, rules: OptimumRules, prices: Sequence[Tolls]) -> Tolls:
    return marginal_cost_tolls(driven, rules.toll_step_s) if kind == 0 else prices[kind - 1]


def _walk(
    finder: PathFinder, first: DrivenDay, rules: OptimumRules, seed: int, prices: Sequence[Tolls]
) -> tuple[DrivenDay, list[float]]:
    """Return the best day of a walk with each kind of tolls, and the best total after each day."""
    best = first
    history: list[float] = []
    everybody = np.arange(first.trips.n_vehicles, dtype=np.int32)
    for kind in range(1 + len(prices)):
        now = best
        for day in range(rules.walk_days):
            trips, spent_s = now.trips, now.travel_time_s
            willing = uniforms(seed, f"walk {kind}", everybody, day) / (day + _WALK_DELAY_DAYS) ** -_WALK_STEP
            asked = np.flatnonzero(willing < 1.0).astype(np.int32)
            tolled = with_tolls(now.day, _tolls(kind, now, rules, prices))
            departure_s = trips.departure_s[asked]
            own_s = path_costs(tolled, departure_s, *chosen_paths(trips.path_start, trips.path_link, asked))
            ways = finder.search(tolled, asked, departure_s, own_s)
            gain_s = np.maximum(own_s - ways.cost_s, 0.0)
            scale_s = gain_s + _GAIN_SCALE * spent_s[asked]
            moves = np.flatnonzero(willing[asked] * scale_s < gain_s)
            start, column = chosen_paths(ways.path_start, ways.path_link, moves)
            now = drive(now.network, with_paths(trips, asked[moves], start, column), rules.patience_s)
            best = now if now.total_time_s < best.total_time_s else best
            history.append(best.total_time_s)
    return best, history


def _gains(finder: PathFinder, best: DrivenDay, tolls: Tolls) -> tuple[FloatColumn, Ways]:
    day = with_tolls(best.day, tolls)
    trips = best.trips
    own_s = path_costs(day, trips.departure_s, trips.path_start, trips.path_link)
    ways = finder.search(day, np.arange(trips.n_vehicles, dtype=np.int32), trips.departure_s, own_s)
    return np.maximum(own_s - ways.cost_s, 0.0), ways


def marginal_cost_tolls(driven: DrivenDay, step_s: float) -> Tolls:
    """Return what one more vehicle costs the others, by link and step of time."""
    network, records = driven.network, driven.records
    last_s = np.zeros(network.n_links)
    used = np.diff(records.start) > 0
    last_s[used] = records.exit_s[records.start[1:][used] - 1]
    start = np.zeros(network.n_links + 1, dtype=np.int64)
    np.cumsum(np.ceil(last_s / step_s).astype(np.int64), out=start[1:])
    toll_s = np.zeros(int(start[-1]))
    steps_s = np.full(network.n_links, step_s)
    marginal_tolls(records.start, records.exit_s, network.headway_s, start, steps_s, toll_s)
    return Tolls(start, toll_s, steps_s)
