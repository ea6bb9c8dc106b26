"""Static assignment of a trip table, without travellers: what `routepact assign` does, in the units of the input files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sim.assignment.classes import ClassFlows
from sim.assignment.equilibrium import Assignment
from sim.assignment.mixed import MixedEquilibrium, mixed_equilibrium
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle, make_problem
from sim.demand.od import od_from_trip_table
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.experiments.progress import Say, say_nothing
from sim.experiments.record import RunFacts, RunFolder, network_facts
from sim.experiments.record_tables import ConvergenceRow, LinkColumns, convergence_table, link_table
from sim.experiments.report import write_report
from sim.experiments.solved import missed_promises, price_content, solve_principle
from sim.metrics import PriceOfAnarchy
from sim.network.road_network import RoadNetwork
from sim.network.tntp import read_tntp_network, read_tntp_trips
from sim.network.validate import check_connected
from sim.spec import ScenarioSpec, parse_scenario

_WORLD_OF = {Principle.USER_EQUILIBRIUM: "selfish", Principle.SYSTEM_OPTIMUM: "optimum"}
_PRINCIPLES_OF = {
    "ue": (Principle.USER_EQUILIBRIUM,),
    "so": (Principle.SYSTEM_OPTIMUM,),
    "both": (Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM),
    "mixed": (Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM),
}
_OPTION_OF_KEY = {
    "network.toll_weight": "--toll-weight",
    "network.distance_weight": "--distance-weight",
    "demand.scale": "--demand-scale",
    "traffic.gap": "--gap",
    "traffic.max_iterations": "--max-iterations",
}
_NOT_ASKED_FOR = "only one principle was asked for"


@dataclass(frozen=True)
class AssignRequest:
    """What to assign.

    Attributes
    ----------
    network, trips
        TNTP files, plain or gzipped.
    principle
        "ue", "so", "both", or "mixed": both, and beside them the mixed equilibrium of `share`.
    gap
        Relative gap to reach, above 0 and below 1.
    demand_scale
        Every cell is multiplied by this, above 0.
    toll_weight, distance_weight
        Time units that a unit of toll (length) is worth, 0 or above.
    max_iterations
        Most iterations of the solver, at least 1.
    share
        Share of every OD cell that drives at the members' own marginal cost (`sim.assignment.mixed`), 0 to 1; with "mixed" alone.
    """

    network: Path
    trips: Path
    principle: str = "both"
    gap: float = 1e-6
    demand_scale: float = 1.0
    toll_weight: float = 0.0
    distance_weight: float = 0.0
    max_iterations: int = 500
    share: float | None = None

    def spec(self) -> ScenarioSpec:
        """Return the same as a scenario, which also checks the numbers; units are those of the file (1)."""
        if self.principle not in _PRINCIPLES_OF:
            raise InputError(f"{self.principle!r}", source="--principle", allowed=", ".join(_PRINCIPLES_OF))
        if (self.share is None) == (self.principle == "mixed"):
            raise InputError(f"{self.share}", source="--share", allowed="0 to 1 with --principle mixed, and only there")
        network = {
            "source": "tntp",
            "net": _writable(self.network.resolve()),
            "time_unit_s": 1.0,
            "length_unit_m": 1.0,
            "toll_weight": self.toll_weight,
            "distance_weight": self.distance_weight,
        }
        table = {
            "name": _scenario_name(self.network),
            "network": network,
            "demand": {"source": "tntp", "trips": _writable(self.trips.resolve()), "scale": self.demand_scale},
            "traffic": {"gap": self.gap, "max_iterations": self.max_iterations},
            "worlds": {"run": [_WORLD_OF[principle] for principle in _PRINCIPLES_OF[self.principle]]},
        }
        try:
            return parse_scenario(table)
        except InputError as error:
            option = _OPTION_OF_KEY.get(error.where or "", error.where)
            raise InputError(error.problem, source=option, allowed=error.allowed) from None


def _scenario_name(network: Path) -> str:
    stem = network.name.split(".")[0]
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in stem)
    return kept.lstrip("_-")[:64] or "assignment"


def _writable(path: Path) -> str:
    # Names of files are bytes; what is no text in UTF-8 could not be written into a TOML or JSON file.
    return str(path).encode("utf-8", errors="backslashreplace").decode("utf-8")


@dataclass(frozen=True, eq=False)
class AssignResult:
    """Solved principles, in the units of the input files.

    Attributes
    ----------
    request, spec
        What was asked for, and the same as a scenario.
    network, od
        What was read; `od` is scaled.
    solved, seconds
        Assignment and wall-clock seconds of each principle that was asked for.
    price
        The Price of Anarchy; None with one principle.
    warnings
        What the readers of the files want the user to know.
    started_utc
        When the work began.
    """

    request: AssignRequest
    spec: ScenarioSpec
    network: RoadNetwork
    od: OdMatrix
    solved: dict[Principle, Assignment]
    seconds: dict[Principle, float]
    price: PriceOfAnarchy | None
    warnings: tuple[str, ...]
    started_utc: datetime
    mixed: MixedEquilibrium | None = None
    mixed_seconds: float = 0.0

    @property
    def missed(self) -> tuple[str, ...]:
        """What was not reached, in words."""
        missed = missed_promises({principle.value: found for principle, found in self.solved.items()}, self.price)
        if self.mixed is not None and not self.mixed.reached:
            missed += (f"mixed: {self.mixed.stopped_because} at relative gap {self.mixed.relative_gap:.1e}",)
        return missed

    def content(self) -> dict[str, Any]:
        """Return what `assign --json` prints."""
        content: dict[str, Any] = {"principle": self.request.principle}
        for principle, found in self.solved.items():
            content[principle.value] = {
                "tstt": found.total_cost_s,
                "sptt": found.cheapest_cost_s,
                "relative_gap": found.relative_gap,
                "beckmann": found.beckmann,
                "iterations": found.iterations,
                "stopped_because": found.stopped_because,
                "seconds": self.seconds[principle],
            }
            if found.lower_bound_s is not None:
                content[principle.value]["lower_bound"] = found.lower_bound_s
        if self.mixed is not None:
            content["mixed"] = self._mixed_content(self.mixed)
        return content if self.price is None else content | price_content(self.price, _NOT_ASKED_FOR)

    def _mixed_content(self, mixed: MixedEquilibrium) -> dict[str, Any]:
        optimum = self.solved[Principle.SYSTEM_OPTIMUM].total_cost_s
        return {
            "share": mixed.share,
            "tstt": mixed.total_cost_s,
            "ratio": mixed.total_cost_s / optimum if optimum > 0.0 else None,
            "relative_gap": mixed.relative_gap,
            "iterations": mixed.iterations,
            "stopped_because": mixed.stopped_because,
            "seconds": self.mixed_seconds,
            "members": _class_content(mixed.members),
            "others": _class_content(mixed.others),
        }


def _class_content(of: ClassFlows) -> dict[str, float]:
    return {"demand": of.demand_vph, "tstt": of.total_cost_s, "relative_gap": of.relative_gap}


def assign(request: AssignRequest, *, say: Say = say_nothing) -> AssignResult:
    """Assign a trip table to a network.

    Raises
    ------
    InputError
        A file or a number is bad, or demand has no path.
    """
    started_utc = datetime.now(UTC)
    spec = request.spec()
    say("reading the network and the trips")
    network = read_tntp_network(
        request.network,
        toll_weight=request.toll_weight,
        distance_weight=request.distance_weight,
        time_unit_s=1.0,
        length_unit_m=1.0,
    )
    table = read_tntp_trips(request.trips)
    od = od_from_trip_table(table, network, source=request.trips).scaled(request.demand_scale)
    check_connected(network, od.origin_zone_idx, od.destination_zone_idx)
    problem = make_problem(network, od)
    solved: dict[Principle, Assignment] = {}
    seconds: dict[Principle, float] = {}
    for principle in _PRINCIPLES_OF[request.principle]:
        begin = time.perf_counter()
        solved[principle] = solve_principle(
            problem, principle, name=principle.value, gap=request.gap, max_iterations=request.max_iterations, say=say
        )
        seconds[principle] = time.perf_counter() - begin
    mixed, begin = None, time.perf_counter()
    if request.share is not None:
        say(f"mixed equilibrium of a share of {request.share:g}")
        mixed = mixed_equilibrium(problem, request.share, gap=request.gap, max_iterations=request.max_iterations)
    mixed_seconds = time.perf_counter() - begin
    warnings = network.cleaning.warnings + tuple(f"{request.trips.name}: {warning}" for warning in table.warnings)
    price = price_of_assignments(solved)
    return AssignResult(request, spec, network, od, solved, seconds, price, warnings, started_utc, mixed, mixed_seconds)


def require_recordable(request: AssignRequest) -> None:
    """Refuse what a run folder has no place for, before the work.

    Raises
    ------
    InputError
        The assignment is a mixed one.
    """
    if request.principle == "mixed":
        raise InputError("mixed", source="--principle", allowed="ue, so or both where --out names a run folder")


def record_assignment(result: AssignResult, out: Path, *, overwrite: bool = False, say: Say = say_nothing) -> Path:
    """Write a run folder without travellers (its numbers are in the units of the input files) and return its path.

    Raises
    ------
    InputError
        The folder exists and may not be replaced, or the assignment is a mixed one, for which a run folder has no place.
    """
    require_recordable(result.request)
    found = {_WORLD_OF[principle]: solved for principle, solved in result.solved.items()}
    with RunFolder(out, overwrite=overwrite) as folder:
        say("writing the results")
        folder.write_lock(result.spec)
        folder.write_poa(_poa(result, found))
        links = {world: LinkColumns(solved.flow_vph, solved.travel_time_s) for world, solved in found.items()}
        folder.write_table("link_performance", link_table(result.network, links))
        rows = (
            ConvergenceRow(world, "solver", record.iteration, record.relative_gap, record.total_cost_s)
            for world, solved in found.items()
            for record in solved.history
        )
        folder.write_table("convergence", convergence_table(rows))
        folder.finish(_facts(result))
        say("writing the report")
        write_report(folder.path)
    return folder.target


def _poa(result: AssignResult, found: dict[str, Assignment]) -> dict[str, Any]:
    vehicles = result.od.total_vph
    worlds: dict[str, Any] = {}
    for world, solved in found.items():
        worlds[world] = {
            "total_time_s": solved.total_cost_s,
            "mean_time_s": solved.total_cost_s / vehicles,
            "relative_gap": solved.relative_gap,
        }
        if solved.lower_bound_s is not None:
            worlds[world]["total_time_lower_bound_s"] = solved.lower_bound_s
    return {
        "scenario": result.spec.name,
        "seed": result.spec.seed,
        "travellers": 0,
        "traffic": result.spec.traffic.model,
        "worlds": worlds,
        **price_content(result.price, _NOT_ASKED_FOR),
    }


def _facts(result: AssignResult) -> RunFacts:
    note = "Assignment without travellers; times and lengths are in the units of the input files, whatever the column names say."
    od = result.od
    demand = {
        "statement": "A trip table.",
        "travellers": 0,
        "vehicles": od.total_vph,
        "od_cells": od.n_cells,
        "demand_vph": od.total_vph,
        "intrazonal_vph": od.intrazonal_vph,
    }
    return RunFacts(
        scenario=result.spec.name,
        seed=result.spec.seed,
        status="missed" if result.missed else "done",
        started_utc=result.started_utc,
        timings_s={f"solve {principle.value}": seconds for principle, seconds in result.seconds.items()},
        network=network_facts(result.network),
        demand=demand,
        inputs={_writable(Path(path.name)): path for path in (result.request.network, result.request.trips)},
        notes=(note,),
        warnings=result.warnings + result.missed,
    )
