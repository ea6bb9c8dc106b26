"""Selfish and best days of queue traffic: what a run of it solves before its worlds drive their day.

Selfish. Equilibrium: drivers start with ways that take account of each other, and then learn from day to day. One-shot and
reactive drivers need no learning: their world drives once, and its gap says how far from an equilibrium that is.

Best day. The search for it starts from the selfish day with marginal costs; then the lower bound is worked out, and its prices
are used as further tolls. All work is bounded by counts, never by seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.demand.trip_paths import read_trip_paths
from sim.experiments.progress import Say
from sim.experiments.queue_build import BuiltQueues
from sim.experiments.work import Work
from sim.mechanisms.driving import DrivingRule, FollowNews, FollowPlan
from sim.queue_model import LOCKED, QueueCityModel
from sim.rng import uniforms
from sim.spec import TripsDemand
from sim.spec_traffic import DepartureChoice
from sim.traffic.behaviour import one_shot
from sim.traffic.bound import BoundRules, LowerBound, lower_bound
from sim.traffic.departure_choice import Schedule, find_departure_equilibrium
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import DayRecord, EquilibriumRules, find_equilibrium, full_gap
from sim.traffic.night import incremental_trips
from sim.traffic.optimum import BestFound, OptimumRules, best_found
from sim.traffic.price import WIDEST_GAP, DynamicPrice, dynamic_price
from sim.traffic.timed_paths import Tolls
from sim.traffic.trips import Trips


@dataclass(frozen=True, eq=False)
class SelfishDay:
    """The day of the selfish drivers.

    Attributes
    ----------
    driven
        What became of it.
    relative_gap
        On experienced times (on schedule costs where departures are chosen); NaN where somebody never arrives.
    stopped_because
        "gap" or "days" where the drivers learned, otherwise how the day ended.
    history
        One record for each day of learning.
    mean_cost_s
        With departures that are chosen: mean cost on the day, seconds of travel; None otherwise.
    """

    driven: DrivenDay
    relative_gap: float
    stopped_because: str
    history: tuple[DayRecord, ...] = ()
    mean_cost_s: float | None = None


@dataclass(frozen=True, eq=False)
class BestDay:
    """The best day found and what is proven about all others.

    Attributes
    ----------
    found
        The day.
    bound
        No day of the same trips takes less.
    total_after_s
        Total of the best day after each day that was tried, vehicle-seconds of travellers.
    """

    found: BestFound
    bound: LowerBound
    total_after_s: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class QueueSolution:
    """What was solved; None for what the scenario did not ask for. Totals are those of travellers, each counted once."""

    selfish: SelfishDay | None
    best: BestDay | None
    price: DynamicPrice | None


def learned_day(queues: BuiltQueues, *, work: Work, say: Say) -> SelfishDay:
    """Return the day of drivers who have learned: an equilibrium of ways, or of ways and departures."""
    settings, seed, choice = queues.settings, queues.built.spec.seed, queues.settings.departure_choice
    if choice is not None:
        return work.remember("departures", queues_key(queues), lambda: _departures_chosen(queues, choice, say))
    rules = EquilibriumRules(gap=settings.gap, most_days=settings.days, patience_s=settings.patience_s)

    def tell(record: DayRecord) -> None:
        say(
            f"selfish: day {record.day}, relative gap {record.relative_gap:.2%} of {record.searched:,} searched "
            f"(wanted {settings.gap:.2%}), {record.switched:,} travellers change their way"
        )

    def solve() -> SelfishDay:
        state = kept()
        if state is None:
            say("selfish: the first ways, a part of the travellers after the other")
            first = incremental_trips(queues.network, queues.finder, queues.population.departure_s, seed)
        else:
            first = state.trips
        found = find_equilibrium(queues.network, queues.finder, first, rules, seed, tell, state=state, on_state=keep)
        return SelfishDay(found.driven, found.relative_gap, found.stopped_because, found.history)

    parts = queues_key(queues)
    kept, keep = work.night_by_night("equilibrium", parts)
    return work.remember("equilibrium", parts, solve)


def seen_day(queues: BuiltQueues, world: QueueCityModel) -> SelfishDay:
    """Return the day of drivers who do not learn, as their world drove it, with the gap that it happens to have."""
    assert world.stopped_because is not None  # the day is over
    gap = float("nan") if world.stopped_because == LOCKED else full_gap(queues.finder, world.driven)
    return SelfishDay(world.driven, gap, world.stopped_because)


def solve_best(queues: BuiltQueues, selfish: DrivenDay, *, work: Work, say: Say) -> BestDay:
    """Return the best day found from the selfish one, with the lower bound."""
    settings, seed = queues.settings, queues.built.spec.seed
    rules = OptimumRules(settings.optimum_days, settings.optimum_iterations, patience_s=settings.patience_s)
    n_travellers = queues.population.n_travellers

    def tell(turn: int, total_s: float) -> None:
        say(f"optimum: best of {turn} days, {total_s / n_travellers:.1f} s a trip")

    def tell_bound(turn: int, total_s: float) -> None:
        say(f"optimum: lower bound, evaluation {turn + 1}, {total_s / n_travellers:.1f} s a trip")

    def solve() -> BestDay:
        first = best_found(queues.finder, selfish, rules, seed, on_round=tell)
        if settings.bound_iterations == 0:
            return BestDay(first, _free_flow_bound(queues), first.history_s)
        cell_s = settings.bound_cell_s
        bound_rules = BoundRules(
            rounds=settings.bound_iterations,
            cell_s=cell_s,
            last_cell_s=max(0.001, round(cell_s / 2, 3)),
            most_priced=settings.bound_links,
            patience_s=settings.patience_s,
        )
        bound = lower_bound(queues.finder, [selfish, first.driven], bound_rules, tell_bound)
        best = best_found(queues.finder, first.driven, rules, seed + 1, [bound.tolls], tell)
        return BestDay(best, bound, first.history_s + best.history_s)

    return work.remember("best day", queues_key(queues), solve)


def price_of(selfish: SelfishDay, best: BestDay, behaviour: str = "equilibrium") -> DynamicPrice:
    """Return the Price of Anarchy of a selfish day, withheld where somebody never arrives or the gap is too wide."""
    total_s = selfish.driven.total_time_s
    if not np.isfinite(total_s):
        never = int(np.isinf(selfish.driven.travel_time_s).sum())
        return DynamicPrice(None, (1.0, np.inf), float("nan"), f"{never:,} travellers of the selfish world never arrive")
    price = dynamic_price(total_s, selfish.relative_gap, best.found.driven.total_time_s, best.bound.total_time_s)
    if price.withheld is None or behaviour == "equilibrium":
        return price
    far = f"{behaviour.replace('_', '-')} drivers are {selfish.relative_gap:.2%} away from an equilibrium"
    return replace(price, withheld=f"{far}, above the {WIDEST_GAP:.0%} that supports a price")


def queues_key(queues: BuiltQueues) -> tuple[object, ...]:
    """Return everything that the solutions depend on."""
    inert = {"tick_s", "bin_s"}  # they change no result
    return (
        queues.network,
        queues.finder.graph,
        queues.finder.ends,
        queues.population.departure_s,
        queues.settings.model_dump_json(exclude=inert),
        queues.built.spec.seed,
    )


def unlearned_rule(queues: BuiltQueues) -> DrivingRule:
    """Return the rule of drivers who do not learn: one-shot, reactive, or with ways that are given."""
    settings, built = queues.settings, queues.built
    if settings.behaviour == "given":
        demand = built.spec.demand
        assert isinstance(demand, TripsDemand)  # `sim.experiments.scenarios` asks for it
        start, link = read_trip_paths(built.folder / demand.file, built.network, demand)
        return FollowPlan("selfish", Trips(queues.population.departure_s, start, link))
    is_reactive = settings.behaviour == "reactive"
    return FollowNews(
        queues.network,
        queues.finder,
        queues.population.departure_s,
        share=settings.reactive_share if is_reactive else 1.0,
        every_s=settings.reroute_every_s,
        on_the_road=is_reactive,
        seed=queues.built.spec.seed,
    )


def _departures_chosen(queues: BuiltQueues, choice: DepartureChoice, say: Say) -> SelfishDay:
    settings, seed = queues.settings, queues.built.spec.seed
    everybody = np.arange(queues.population.n_travellers, dtype=np.int32)
    wished_s = choice.desired_arrival_s + choice.spread_s * (uniforms(seed, "wished_arrival", everybody) - 0.5)
    latest_s = queues.period_s if choice.latest_departure_s is None else choice.latest_departure_s
    early, late = choice.beta_per_h / choice.alpha_per_h, choice.gamma_per_h / choice.alpha_per_h
    schedule = Schedule(wished_s, early, late, (0.0, latest_s))
    departure_s = np.minimum(queues.population.departure_s, latest_s)
    first: Trips = one_shot(queues.network, queues.finder, departure_s)
    say(f"selfish: {settings.days:,} days at most, departures chosen as well")
    rules = EquilibriumRules(gap=settings.gap, most_days=settings.days, patience_s=settings.patience_s)
    found = find_departure_equilibrium(queues.network, queues.finder, first, schedule, rules, seed)
    history = tuple(
        DayRecord(day, cost_s * len(everybody), float("nan"), len(everybody), 0) for day, cost_s in enumerate(found.mean_cost_s)
    )
    reached = "gap" if found.relative_gap <= settings.gap else "days"
    return SelfishDay(found.driven, found.relative_gap, reached, history, float(found.cost_s.mean()))


def _free_flow_bound(queues: BuiltQueues) -> LowerBound:
    """Return the bound that needs no prices: what everybody would need on empty streets."""
    n_links = queues.network.n_links
    total_s = float(queues.finder.free_time_s.sum())
    no_tolls = Tolls(np.zeros(n_links + 1, dtype=np.int64), np.zeros(0), np.ones(n_links))
    return LowerBound(total_s, total_s, "free flow", no_tolls, (), 0)
