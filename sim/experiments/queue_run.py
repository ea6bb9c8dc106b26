"""A run of queue traffic: solve the selfish and the best day, let the worlds drive them tick by tick, record what they found."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from sim.experiments.build import BuiltScenario
from sim.experiments.progress import Say
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.queue_incident import WITHHELD, incident_rule, run_within_day, with_incidents
from sim.experiments.queue_market import QueueMarket, run_queue_market
from sim.experiments.queue_record import (
    chosen_travellers,
    city_times_table,
    link_columns,
    link_times_table,
    trajectories_table,
    trip_columns,
)
from sim.experiments.queue_solve import (
    BestDay,
    QueueSolution,
    SelfishDay,
    learned_day,
    price_of,
    seen_day,
    solve_best,
    unlearned_rule,
)
from sim.experiments.record import RunFacts, RunFolder, demand_facts, network_facts
from sim.experiments.record_tables import (
    CITY_TIMES,
    LINK_TIMES,
    TRAJECTORIES,
    ConvergenceRow,
    TripColumns,
    convergence_table,
    link_table,
    trips_table,
)
from sim.experiments.simwrapper import write_dashboard
from sim.experiments.work import Work
from sim.mechanisms.driving import DrivingRule, FollowPlan
from sim.queue_model import LOCKED, QueueCityModel
from sim.settlement.ledger_file import write_ledger
from sim.traffic.driven_day import DrivenDay
from sim.traffic.price import DynamicPrice

_NOT_COMPARED = "The network is changed; queue traffic is not compared with the network before."


class Phase(Protocol):
    """Times a phase by its name."""

    def __call__(self, name: str) -> AbstractContextManager[None]:
        """Return what times a block."""
        ...


@dataclass(frozen=True, eq=False)
class QueueRunResult:
    """Everything a run of queue traffic found.

    Attributes
    ----------
    built, queues
        The scenario, and its streets and travellers as queue traffic.
    solution
        What was solved.
    worlds
        The worlds, each at the end of its day.
    missed
        What was promised and not reached, in words; empty when all is well.
    started_utc, timings_s
        When the run began, and wall-clock seconds by phase.
    market
        The coalition, settled; None without that world.
    """

    built: BuiltScenario
    queues: BuiltQueues
    solution: QueueSolution
    worlds: dict[str, QueueCityModel]
    missed: tuple[str, ...]
    started_utc: datetime
    timings_s: dict[str, float]
    market: QueueMarket | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Attribution and assumptions."""
        return self.built.notes + self.queues.notes + (() if self.built.changes is None else (_NOT_COMPARED,))

    @property
    def price(self) -> DynamicPrice | None:
        """The Price of Anarchy; None unless both worlds ran."""
        return self.solution.price

    def poa(self) -> dict[str, Any]:
        """Return the content of poa.json (DESIGN: "poa.json")."""
        spec = self.built.spec
        worlds: dict[str, Any] = {}
        if self.solution.selfish is not None:
            worlds["selfish"] = self._selfish_content(self.solution.selfish)
        if self.solution.best is not None:
            worlds["optimum"] = self._optimum_content(self.solution.best)
        if self.market is not None:
            worlds["coalition"] = self._market_content(self.market)
        return {
            "scenario": spec.name,
            "seed": spec.seed,
            "travellers": self.queues.population.n_travellers,
            "traffic": "queue",
            "worlds": worlds,
            **self._baseline_content(),
            **self._price_content(),
        }

    def _market_content(self, market: QueueMarket) -> dict[str, Any]:
        """Return the coalition's totals, the cost of other departures included, and what became of its contracts."""
        total_s = market.total_cost_s
        times = {"total_time_s": total_s * self.queues.weight, "mean_time_s": total_s / self.queues.population.n_travellers}
        return self._day_content("coalition", market.world.driven) | times | self._ratio(total_s) | market.content

    def _baseline_content(self) -> dict[str, Any]:
        if self.market is None:
            return {}
        total_s = self.market.baseline.total_time_s
        times = {"total_time_s": total_s * self.queues.weight, "mean_time_s": total_s / self.queues.population.n_travellers}
        return {"baseline": times | self._ratio(total_s) | {"cost_micro": self.market.baseline_cost_micro}}

    def _ratio(self, total_s: float) -> dict[str, Any]:
        """Return a day's ratio to the best found and to the bound; the market may find a better day than the search did."""
        best = self.solution.best
        assert best is not None  # the coalition runs beside the optimum
        low, high = total_s / best.found.driven.total_time_s, total_s / best.bound.total_time_s
        return {"ratio": low, "ratio_interval": [low, high]}

    def _price_content(self) -> dict[str, Any]:
        price = self.solution.price
        if price is None:
            missing = [name for name in ("selfish", "optimum") if name not in self.worlds]
            reason = WITHHELD if self.built.spec.incident else f"the world {' and the world '.join(missing)} did not run"
            return {"price_of_anarchy": None, "price_of_anarchy_interval": None, "withheld": reason}
        bounded = all(map(math.isfinite, price.interval))
        return {
            "price_of_anarchy": price.ratio,
            "price_of_anarchy_interval": list(price.interval) if bounded else None,
            "withheld": price.withheld,
        }

    def _day_content(self, name: str, driven: DrivenDay) -> dict[str, Any]:
        """Return totals of vehicles, and what gridlock did; who never arrives counts until the last event of the day."""
        queues, world = self.queues, self.worlds[name]
        total_s, never = total_until_the_end_s(driven)
        return {
            "total_time_s": total_s * queues.weight,
            "mean_time_s": total_s / queues.population.n_travellers,
            "free_flow_time_s": float(queues.finder.free_time_s.sum()) * queues.weight,
            "never_arrived": never,
            "gridlock_rotations": driven.rotations,
            "gridlock_vehicles": driven.rotated_vehicles * queues.weight,
            "rerouted": world.rerouted,
        }

    def _selfish_content(self, found: SelfishDay) -> dict[str, Any]:
        gap = found.relative_gap
        content = self._day_content("selfish", found.driven) | {
            "relative_gap": gap if math.isfinite(gap) else None,
            "behaviour": self.queues.settings.behaviour,
            "days": max(1, len(found.history)),
            "stopped_because": found.stopped_because,
        }
        if self.solution.best is not None and self.queues.settings.behaviour != "equilibrium":
            # There is no Price of Anarchy of drivers who are in no equilibrium, but what they lose against the best day is known.
            content |= self._ratio(total_until_the_end_s(found.driven)[0])
        return content if found.mean_cost_s is None else content | {"mean_schedule_cost_s": found.mean_cost_s}

    def _optimum_content(self, best: BestDay) -> dict[str, Any]:
        driven, bound = best.found.driven, best.bound
        return self._day_content("optimum", driven) | {
            "relative_gap": (driven.total_time_s - bound.total_time_s) / driven.total_time_s,
            "total_time_lower_bound_s": bound.total_time_s * self.queues.weight,
            "lower_bound_method": bound.method,
            "lower_bound_links": bound.n_priced,
            "days_tried": len(best.total_after_s),
        }


def total_until_the_end_s(driven: DrivenDay) -> tuple[float, int]:
    """Return the vehicle-seconds of everybody, and how many never arrive; those count until the last event of the day."""
    records, departure_s = driven.records, driven.trips.departure_s
    arrival_s = departure_s + driven.travel_time_s
    on_the_way = ~(arrival_s < math.inf)
    if not on_the_way.any():
        return driven.total_time_s, 0
    events = [records.entry_s.max(initial=0.0), departure_s.max(initial=0.0)]
    events.append(records.exit_s[records.exit_s < math.inf].max(initial=0.0))
    arrival_s[on_the_way] = max(float(last) for last in events)
    return float((arrival_s - departure_s).sum()), int(on_the_way.sum())


def run_queues(
    built: BuiltScenario, *, started_utc: datetime, phase: Phase, timings_s: dict[str, float], say: Say, work: Work
) -> QueueRunResult:
    """Solve and drive the worlds of a built scenario of queue traffic.

    Parameters
    ----------
    phase
        Times a phase by its name; `timings_s` is where it notes them.
    work
        Remembers what was solved.

    Raises
    ------
    InputError
        The scenario's data are bad.
    """
    with phase("queues"):
        say("making the queues")
        queues = build_queues(built)
    names = built.spec.worlds.run
    worlds: dict[str, QueueCityModel] = {}
    selfish = best = price = learned = None
    if queues.settings.behaviour == "equilibrium":
        with phase("solve selfish"):
            selfish = learned_day(queues, work=work, say=say)
        with phase("drive selfish"):
            learned = selfish
            if built.spec.incident:
                queues = with_incidents(queues)
                worlds["selfish"] = drive_world(queues, incident_rule(queues, learned.driven.trips), say=say)
                selfish = replace(seen_day(queues, worlds["selfish"]), history=learned.history)
            else:
                worlds["selfish"] = drive_world(queues, FollowPlan("selfish", selfish.driven.trips), say=say)
        _require_same(selfish.driven, worlds["selfish"])
    else:
        with phase("drive selfish"):
            worlds["selfish"] = drive_world(queues, unlearned_rule(queues), say=say)
            selfish = seen_day(queues, worlds["selfish"])
    if "optimum" in names:
        with phase("solve optimum"):
            best = solve_best(queues, selfish.driven, work=work, say=say)
        with phase("drive optimum"):
            worlds["optimum"] = drive_world(queues, FollowPlan("optimum", best.found.driven.trips), say=say)
        _require_same(best.found.driven, worlds["optimum"])
    market = None
    if "coalition" in names:
        assert learned is not None  # the coalition starts from drivers who have learned
        history = max(1, len(learned.history))
        if built.spec.incident:
            market = run_within_day(queues, learned.driven.trips, warm_up_days=history, phase=phase, say=say)
            _require_same(market.baseline, worlds["selfish"])
        else:
            market = run_queue_market(queues, selfish.driven, warm_up_days=history, phase=phase, say=say)
        worlds["coalition"] = market.world
    if "selfish" not in names:
        worlds.pop("selfish").close()
    elif best is not None and not built.spec.incident:
        price = price_of(selfish, best, queues.settings.behaviour)
    for world in worlds.values():
        world.close()
    solution = QueueSolution(selfish if "selfish" in names else None, best, price)
    checked = solution if learned is None else replace(solution, selfish=learned)
    missed = _missed(queues, checked) + (() if market is None else market.missed)
    return QueueRunResult(built, queues, solution, worlds, missed, started_utc, timings_s, market)


def drive_world(queues: BuiltQueues, rule: DrivingRule, *, say: Say) -> QueueCityModel:
    """Return a world under a rule at the end of its day."""
    world = QueueCityModel(queues.network, queues.population, rule, queues.built.spec.seed, rules=queues.day_rules)
    told_s = time.monotonic()
    while world.stopped_because is None:
        world.step()
        if time.monotonic() - told_s > 1.0:
            told_s = time.monotonic()
            say(f"{rule.world}: {world.clock_s / 60:,.0f} min, {world.loading.n_arrived:,} have arrived")
    return world


def _require_same(solved: DrivenDay, world: QueueCityModel) -> None:
    """Raise RuntimeError unless a world that follows a solved day drove that day: whatever its tick, it must."""
    if world.driven.total_time_s != solved.total_time_s:
        raise RuntimeError(
            f"the {world.rule.world} world took {world.driven.total_time_s} s where {solved.total_time_s} s were solved"
        )


def _missed(queues: BuiltQueues, solution: QueueSolution) -> tuple[str, ...]:
    missed: list[str] = []
    selfish, settings = solution.selfish, queues.settings
    if selfish is not None and settings.behaviour == "equilibrium" and not selfish.relative_gap <= settings.gap:
        missed.append(f"selfish: most days reached at relative gap {selfish.relative_gap:.2%}, {settings.gap:.2%} was asked for")
    if selfish is not None and selfish.stopped_because == LOCKED:
        never = total_until_the_end_s(selfish.driven)[1]
        missed.append(f"selfish: gridlock holds {never:,} travellers, who never arrive")
    if solution.price is not None and solution.price.withheld:
        missed.append(f"the Price of Anarchy is withheld: {solution.price.withheld}")
    return tuple(missed)


def write_queue_tables(result: QueueRunResult, folder: RunFolder) -> None:
    """Write poa.json and every table of a run into its folder."""
    queues = result.queues
    weight, spec = queues.weight, result.built.spec
    folder.write_lock(spec)
    folder.write_poa(result.poa())
    links = {name: link_columns(world, weight, queues.period_s) for name, world in result.worlds.items()}
    folder.write_table("link_performance", link_table(result.built.network, links))
    trips = {name: trip_columns(world) for name, world in result.worlds.items()}
    folder.write_table("trips", _trips_table(result, trips))
    convergence = list(_convergence(result))
    folder.write_table("convergence", convergence_table(convergence))
    write_dashboard(folder, result.poa(), convergence)
    for name, table in _time_tables(result).items():
        folder.write_table(name, table)
    if result.market is not None:
        for name, table in result.market.tables.items():
            folder.write_table(name, table)
        write_ledger(result.market.enforcement, folder.path / "ledger.parquet")


def _trips_table(result: QueueRunResult, trips: dict[str, TripColumns]) -> pa.Table:
    population, market = result.queues.population, result.market
    if market is None:
        return trips_table(population, trips)
    trips["coalition"] = replace(trips["coalition"], cost_s=market.cost_s, money_micro=market.money_micro)
    baseline_s = market.baseline.travel_time_s
    return trips_table(population, trips, baseline_cost_s=baseline_s, is_member=market.is_member)


def _time_tables(result: QueueRunResult) -> dict[str, pa.Table]:
    queues, spec = result.queues, result.built.spec
    days = {name: world.driven for name, world in result.worlds.items()}
    tables = {
        LINK_TIMES: link_times_table(result.worlds, queues.weight),
        CITY_TIMES: city_times_table(days, queues.weight),
    }
    chosen = chosen_travellers(spec.report.trajectories, queues.population.n_travellers, spec.seed)
    if len(chosen):
        tables[TRAJECTORIES] = trajectories_table(days, chosen)
    return tables


def _convergence(result: QueueRunResult) -> Iterator[ConvergenceRow]:
    weight = result.queues.weight
    selfish, best = result.solution.selfish, result.solution.best
    if selfish is not None:
        for record in selfish.history:
            total_s = record.total_time_s * weight
            yield ConvergenceRow("selfish", "days", record.day, record.relative_gap, total_s, record.switched)
    if best is not None:
        bound_s = best.bound.total_time_s
        for day, total_s in enumerate(best.total_after_s, start=1):
            yield ConvergenceRow("optimum", "solver", day, (total_s - bound_s) / total_s, total_s * weight)
        for turn, total_s in enumerate(best.bound.rounds_s, start=1):
            yield ConvergenceRow("optimum", "bound", turn, math.nan, total_s * weight)
    if result.market is not None:
        for market_day in result.market.days:
            total_s = market_day.total_time_s * weight
            yield ConvergenceRow("coalition", "days", market_day.day, math.nan, total_s, market_day.movers)


def queue_facts(result: QueueRunResult, writing_s: float) -> RunFacts:
    """Return what the manifest says of a run of queue traffic."""
    built = result.built
    return RunFacts(
        scenario=built.spec.name,
        seed=built.spec.seed,
        status="missed" if result.missed else "done",
        started_utc=result.started_utc,
        timings_s=result.timings_s | {"write": writing_s},
        network=network_facts(built.network),
        demand=demand_facts(result.queues.population, " ".join(result.notes)),
        inputs=built.inputs,
        notes=result.notes,
        warnings=built.warnings + result.missed,
        folder=built.folder,
    )
