"""A run: build the worlds of a scenario, solve them, let the travellers live their days, record everything, write the report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from sim.assignment.equilibrium import Assignment
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle
from sim.errors import InputError
from sim.experiments.build import BuiltScenario, make_world
from sim.experiments.counted_demand import count_tables, counts_content
from sim.experiments.levels import level_table
from sim.experiments.market import MarketOutcome, MarketSetting
from sim.experiments.market_run import Level, run_market
from sim.experiments.progress import Say, say_nothing
from sim.experiments.quality_page import QUALITY, quality_html
from sim.experiments.queue_run import QueueRunResult, queue_facts, run_queues, write_queue_tables
from sim.experiments.record import RunFacts, RunFolder, default_run_path, demand_facts, network_facts
from sim.experiments.record_tables import ConvergenceRow, LinkColumns, TripColumns, convergence_table, link_table, trips_table
from sim.experiments.report import write_report
from sim.experiments.run_place import require_room
from sim.experiments.simwrapper import write_dashboard
from sim.experiments.solved import missed_promises, price_content
from sim.experiments.what_if import Before, on_streets, solve_before
from sim.experiments.work import Work
from sim.metrics import PriceOfAnarchy
from sim.model import CityModel
from sim.negotiation.entitlement import Extortion
from sim.negotiation.offers import Offers
from sim.network.quality import quality_of
from sim.network.turns import TurnGraph
from sim.settlement.ledger_file import write_ledger
from sim.settlement.money import to_micro
from sim.settlement.tables import account_table, contract_table
from sim.settlement.window_offers import window_offers
from sim.spec import ScenarioSpec
from sim.spec_networks import SyntheticNetwork
from sim.spec_traffic import QueueSettings

_PRINCIPLES = {"selfish": Principle.USER_EQUILIBRIUM, "optimum": Principle.SYSTEM_OPTIMUM}


@dataclass(frozen=True, eq=False)
class RunResult:
    """Everything a run found.

    Attributes
    ----------
    built
        Network, demand, travellers.
    continuous
        Solved assignment of each world that ran: user equilibrium for "selfish", system optimum for "optimum".
    worlds
        The travellers' worlds, at rest.
    setting, market
        What the worlds with money started from (None without such worlds), and what each ended with.
    price
        The Price of Anarchy; None unless both worlds ran.
    missed
        What was promised and not reached, in words; empty when all is well.
    started_utc
        When the run began.
    timings_s
        Wall-clock seconds by phase.
    levels
        The coalition at the further levels that the report asks for.
    extortion
        What self-declared baselines could extort; None unless a negative control ran.
    before
        The network before what-if changes, solved; None where the scenario changes nothing.
    """

    built: BuiltScenario
    continuous: dict[str, Assignment]
    worlds: dict[str, CityModel]
    setting: MarketSetting | None
    market: dict[str, MarketOutcome]
    price: PriceOfAnarchy | None
    missed: tuple[str, ...]
    started_utc: datetime
    timings_s: dict[str, float]
    levels: tuple[Level, ...] = ()
    extortion: Extortion | None = None
    before: Before | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Attribution and assumptions."""
        return self.built.notes

    def poa(self) -> dict[str, Any]:
        """Return the content of poa.json (DESIGN: "poa.json")."""
        vehicles = self.built.problem.od.total_vph
        ran = [name for name in _PRINCIPLES if name in self.worlds]
        missing = [name for name in _PRINCIPLES if name not in self.worlds]
        not_asked_for = f"the world {' and the world '.join(missing)} did not run"
        return {
            "scenario": self.built.spec.name,
            "seed": self.built.spec.seed,
            "travellers": self.built.population.n_travellers,
            "traffic": self.built.spec.traffic.model,
            "worlds": {name: _world_content(self.continuous[name], self.worlds[name], vehicles) for name in ran}
            | {name: self._market_content(name, vehicles) for name in self.market},
            **self._baseline_content(vehicles),
            **self._extortion_content(),
            **price_content(self.price, not_asked_for),
            **({} if self.before is None else {"before": self.before.content(not_asked_for)}),
            **({} if self.built.count_fit is None else {"counts": counts_content(self.built.count_fit)}),
        }

    def _market_content(self, name: str, vehicles: float) -> dict[str, Any]:
        total_s = self.worlds[name].traffic.total_cost_s
        return {"total_time_s": total_s, "mean_time_s": total_s / vehicles} | self._ratio(total_s) | self.market[name].content

    def _baseline_content(self, vehicles: float) -> dict[str, Any]:
        if self.setting is None:
            return {}
        total_s = self.setting.baseline.total_cost_s
        cost_micro = int(to_micro(self.setting.value * self.built.population.weight * self.setting.baseline.cost_s).sum())
        entry = {"total_time_s": total_s, "mean_time_s": total_s / vehicles} | self._ratio(total_s)
        return {"baseline": entry | {"cost_micro": cost_micro}}

    def _extortion_content(self) -> dict[str, Any]:
        """Rent and saving of self-declared baselines, seconds a vehicle."""
        if self.extortion is None:
            return {}
        return {"declared_baselines": {"rent_s": self.extortion.rent_s, "saving_s": self.extortion.saving_s}}

    def offers(self) -> Offers:
        """Return the coalition's contracts as the offers that their parties signed, each message made when it is asked for.

        Raises
        ------
        InputError
            The coalition did not run.
        """
        enforcement = self.market["coalition"].enforcement if "coalition" in self.market else None
        if enforcement is None or self.setting is None:
            raise InputError("there are no offers without a coalition", where="worlds.run", allowed="coalition among the worlds")
        built, baseline, period_s = self.built, self.setting.declared, self.built.spec.demand.profile.period_s
        return window_offers(enforcement, built.problem, built.population, baseline, period_s=period_s, seed=built.spec.seed)

    def level_ratio(self, level: Level) -> float:
        """Return the ratio to the optimum of the coalition at another level."""
        return float(self._ratio(level.total_time_s)["ratio"])

    def _ratio(self, total_s: float) -> dict[str, Any]:
        optimum = self.continuous["optimum"]
        assert optimum.lower_bound_s is not None  # the solver gives one for the system optimum
        low, high = total_s / optimum.total_cost_s, total_s / optimum.lower_bound_s
        return {"ratio": low, "ratio_interval": [low, high]}


AnyResult: TypeAlias = RunResult | QueueRunResult
"""What a run found, by its model of traffic."""


def _world_content(continuous: Assignment, world: CityModel, vehicles: float) -> dict[str, Any]:
    last_day = world.days[-1]
    content: dict[str, Any] = {
        "total_time_s": continuous.total_cost_s,
        "mean_time_s": continuous.total_cost_s / vehicles,
        "relative_gap": continuous.relative_gap,
    }
    if continuous.lower_bound_s is not None:
        content["total_time_lower_bound_s"] = continuous.lower_bound_s
    atomic = {"total_time_s": last_day.total_cost_s, "mean_time_s": last_day.total_cost_s / vehicles}
    if world.mechanism.world == "selfish":
        atomic |= {"relative_gap": last_day.relative_gap}
    content["atomic"] = atomic | {"days": len(world.days), "stopped_because": world.stopped_because}
    return content


def run(spec: ScenarioSpec, folder: Path, *, say: Say = say_nothing, work: Work | None = None) -> AnyResult:
    """Run a scenario in memory; `folder` is where its relative paths start. Queue traffic has a result of its own.

    Parameters
    ----------
    work
        Builds, solves and keeps the days; remembers nothing unless given.

    Raises
    ------
    InputError
        The scenario's data are bad.
    """
    started_utc = datetime.now(UTC)
    timings: dict[str, float] = {}
    work = Work() if work is None else work

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        timings[name] = time.perf_counter() - begin

    with phase("build"):
        say("reading the network and making the travellers")
        built = work.build(spec, folder)
    if isinstance(spec.traffic, QueueSettings):
        return run_queues(built, started_utc=started_utc, phase=phase, timings_s=timings, say=say, work=work)
    traffic = spec.traffic
    names = [name for name in _PRINCIPLES if name in spec.worlds.run]
    continuous: dict[str, Assignment] = {}
    for name in names:
        with phase(f"solve {name}"):
            continuous[name] = work.solve(
                built.problem,
                _PRINCIPLES[name],
                name=name,
                gap=traffic.gap,
                max_iterations=traffic.max_iterations,
                say=say,
            )
    before = None
    if built.changes is not None:
        with phase("solve before"):
            before = solve_before(built.changes, built.problem, continuous, traffic, solve=partial(work.solve, say=say))
    worlds: dict[str, CityModel] = {}
    for name in names:
        with phase(f"live {name}"):
            worlds[name] = _live(built, make_world(built, name, continuous.get("optimum")), traffic.days, say=say, work=work)
    market = run_market(built, continuous, live=partial(_live, say=say, work=work), phase=phase, say=say)
    if market is not None:
        worlds |= market.worlds
    for world in worlds.values():
        world.close()
    price = price_of_assignments({_PRINCIPLES[name]: found for name, found in continuous.items()})
    return RunResult(
        built,
        continuous,
        worlds,
        None if market is None else market.setting,
        {} if market is None else market.outcomes,
        price,
        missed_promises(continuous, price)
        + (() if market is None else market.missed)
        + (() if before is None else before.missed),
        started_utc,
        timings,
        levels=() if market is None else market.levels,
        extortion=None if market is None else market.extortion,
        before=before,
    )


def _live(built: BuiltScenario, world: CityModel, most_days: int, *, say: Say, work: Work) -> CityModel:
    name = world.mechanism.world
    work.begin(world)
    while world.stopped_because is None and len(world.days) < most_days:
        world.step()
        work.day_ended(world)
        day = world.days[-1]
        say(
            f"{name}: day {day.day}, {day.travellers_moved:,} of {built.population.n_travellers:,} travellers changed their route"
        )
    world.run_days(most_days)
    work.come_to_rest(world)
    return world


def require_run_place(spec: ScenarioSpec, out: Path | None, *, overwrite: bool = False) -> None:
    """Raise InputError unless the run of a scenario can be recorded at `out` (default: runs/<scenario>/<utc>-<hash8>)."""
    require_room(out or default_run_path(spec, datetime.now(UTC)), overwrite=overwrite)


def record(result: AnyResult, out: Path | None = None, *, overwrite: bool = False, say: Say = say_nothing) -> Path:
    """Write the run folder with its report and return its path; `out` is the folder itself.

    Without `out` it is the first free one of runs/<scenario>/<utc>-<hash8>.

    Raises
    ------
    InputError
        The folder exists and may not be replaced.
    """
    built = result.built
    target = out or default_run_path(built.spec, result.started_utc)
    with RunFolder(target, overwrite=overwrite) as run_folder:
        say("writing the results")
        begin = time.perf_counter()
        if isinstance(result, QueueRunResult):
            write_queue_tables(result, run_folder)
        else:
            _write_tables(result, run_folder)
        quality = _write_quality(built, run_folder)
        writing_s = time.perf_counter() - begin
        facts = queue_facts(result, writing_s) if isinstance(result, QueueRunResult) else _facts(result, writing_s)
        run_folder.finish(replace(facts, network={**facts.network, **quality}))
        say("writing the report")
        write_report(run_folder.path)
    return run_folder.target


def _write_tables(result: RunResult, run_folder: RunFolder) -> None:
    """Write poa.json and every table of a run into its folder."""
    built = result.built
    run_folder.write_lock(built.spec)
    run_folder.write_poa(result.poa())
    links = {name: on_streets(built.turn_graph, found.flow_vph, found.travel_time_s) for name, found in result.continuous.items()}
    links |= {name: _link_columns(built, result.worlds[name]) for name in result.market}
    run_folder.write_table("link_performance", link_table(built.network, links))
    trips = {name: trip_columns(world, result.market.get(name), built.turn_graph) for name, world in result.worlds.items()}
    run_folder.write_table("trips", _trips_table(result, trips))
    convergence = list(_convergence(result))
    run_folder.write_table("convergence", convergence_table(convergence))
    write_dashboard(run_folder, result.poa(), convergence)
    further = {} if result.before is None else result.before.tables()
    if built.count_fit is not None:
        further |= count_tables(built.count_fit, built.network if built.changes is None else built.changes.before.network)
    for name, table in further.items():
        run_folder.write_table(name, table)
    if result.levels:
        run_folder.write_table("levels", level_table([(level, result.level_ratio(level)) for level in result.levels]))
    for outcome in result.market.values():
        if outcome.enforcement is not None:
            run_folder.write_table("contracts", contract_table(outcome.enforcement, built.turn_graph))
            run_folder.write_table("accounts", account_table(outcome.enforcement))
            write_ledger(outcome.enforcement, run_folder.path / "ledger.parquet")


def _write_quality(built: BuiltScenario, run_folder: RunFolder) -> dict[str, Any]:
    """Write the page on the quality of an imported network; return its figures for the manifest's facts on the network."""
    if isinstance(built.spec.network, SyntheticNetwork):
        return {}
    quality = quality_of(built.network)
    run_folder.write_text(QUALITY, quality_html(built.network, quality, notes=built.notes))
    return {"quality": quality.content(built.network)}


def _link_columns(built: BuiltScenario, world: CityModel) -> LinkColumns:
    traffic = world.traffic
    problem = traffic.problem
    travel_time_s = problem.in_network_order(traffic.links.cost - traffic.toll_s) - problem.network.fixed_cost_s
    return on_streets(built.turn_graph, problem.in_network_order(traffic.links.flow), travel_time_s)


def _facts(result: RunResult, writing_s: float) -> RunFacts:
    built = result.built
    return RunFacts(
        scenario=built.spec.name,
        seed=built.spec.seed,
        status="missed" if result.missed else "done",
        started_utc=result.started_utc,
        timings_s=result.timings_s | {"write": writing_s},
        network=network_facts(built.network),
        demand=demand_facts(built.population, " ".join(built.notes)),
        inputs=built.inputs,
        notes=built.notes,
        warnings=built.warnings + result.missed,
        folder=built.folder,
    )


def _convergence(result: RunResult) -> Iterator[ConvergenceRow]:
    for name, found in result.continuous.items():
        for record in found.history:
            yield ConvergenceRow(name, "solver", record.iteration, record.relative_gap, record.total_cost_s)
    for name, world in result.worlds.items():
        for day in world.days:
            # The gap of planned routes is the temptation to leave the plan, not a distance from the optimum.
            gap = day.relative_gap if name == "selfish" else float("nan")
            yield ConvergenceRow(name, "days", day.day, gap, day.total_cost_s, day.travellers_moved)


def _trips_table(result: RunResult, trips: Mapping[str, TripColumns]) -> pa.Table:
    if result.setting is None:
        return trips_table(result.built.population, trips)
    setting = result.setting
    return trips_table(result.built.population, trips, baseline_cost_s=setting.baseline.cost_s, is_member=setting.is_member)


def trip_columns(world: CityModel, outcome: MarketOutcome | None, graph: TurnGraph) -> TripColumns:
    """Return what a world did to its travellers: times, costs, money, and paths as link positions of the streets."""
    traffic = world.traffic
    columns, route = traffic.routes.columns, traffic.route_of_traveller
    length = columns.start[route + 1] - columns.start[route]
    path_start = np.concatenate(([0], np.cumsum(length)))
    place = np.arange(path_start[-1]) + np.repeat(columns.start[route] - path_start[:-1], length)
    path_start, path_link_idx = graph.paths_on_streets(path_start, traffic.problem.link_order[columns.link[place]])
    return TripColumns(
        travel_time_s=traffic.traveller_times_s(),
        cost_s=traffic.traveller_costs_s(),
        path_start=path_start,
        path_link_idx=path_link_idx,
        money_micro=None if outcome is None else outcome.money_micro,
    )
