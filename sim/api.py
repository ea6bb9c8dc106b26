"""What `import sim` offers: a city in a few lines, with the same defaults and the same numbers as the command line.

Names here are a public contract like the commands: extended, not renamed. Everything else in `sim` may change between versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.assignment.equilibrium import Assignment
from sim.assignment.equilibrium import solve as _solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.demand.od import od_from_csv, od_from_tntp
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.experiments.braess_search import Search, braess_search
from sim.experiments.build import BuiltScenario, build_scenario
from sim.experiments.queue_run import QueueRunResult
from sim.experiments.record import RecordedRun, read_run
from sim.experiments.run import AnyResult, RunResult, record
from sim.experiments.run import run as _run
from sim.experiments.scenarios import find_scenario
from sim.network.road_network import RoadNetwork
from sim.network.tntp import read_tntp_network
from sim.network.validate import check_connected
from sim.spec import ScenarioSpec, parse_scenario
from sim.spec_problems import shown_value

__all__ = [
    "Assignment", "BuiltScenario", "InputError", "OdMatrix", "QueueRunResult", "RecordedRun", "RoadNetwork", "RunResult",
    "Scenario", "Search", "assign", "load_scenario", "open_run", "problem_of", "read_demand", "read_network", "run",
]  # fmt: skip

_OSM_ENDINGS = (".osm", ".osm.gz", ".osm.bz2", ".pbf", ".graphml", ".graphml.gz")


@dataclass(frozen=True)
class Scenario:
    """A scenario: what it says, and where its relative paths start.

    Attributes
    ----------
    spec
        Every key, defaults filled in.
    folder
        Folder of the scenario file.
    """

    spec: ScenarioSpec
    folder: Path

    def build(self) -> BuiltScenario:
        """Read the network and make the travellers, without running anything; InputError where a file is bad."""
        return build_scenario(self.spec, self.folder)

    def run(self, out: str | Path | None = None) -> AnyResult:
        """Run it in memory; with `out` also write the run folder there (see `run`)."""
        return run(self, out=out)

    def braess(self, *, top: int = 10, examine: int = 150) -> Search:
        """Search for links whose closing lowers the selfish total (`sim.experiments.braess_search`)."""
        return braess_search(self.build(), top=top, examine=examine)


def load_scenario(scenario: str | Path | Mapping[str, Any], *, seed: int | None = None, **settings: Any) -> Scenario:
    """Return a scenario.

    Parameters
    ----------
    scenario
        A file, the name of a bundled scenario ("city"), or the keys themselves as a mapping, whose relative paths start in the
        current folder.
    seed
        Seed instead of the scenario's.
    settings
        Keys to change, with two underscores for the dot: ``demand__scale=0.5``.

    Raises
    ------
    InputError
        There is no such scenario, or a key is unknown or out of bounds.
    """
    if isinstance(scenario, Mapping):
        table = _with_settings(scenario, settings | ({} if seed is None else {"seed": seed}))
        return Scenario(parse_scenario(table), Path())
    written = [f"{key.replace('__', '.')}={_toml(key, value)}" for key, value in settings.items()]
    return Scenario(*find_scenario(str(scenario), written, seed))


def run(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    **settings: Any,
) -> AnyResult:
    """Run a scenario and return what it found; `.poa()` is the content of poa.json.

    Parameters
    ----------
    scenario, seed, settings
        As in `load_scenario`; a `Scenario` takes no settings.
    out
        Where to write the run folder with its report; None writes nothing.

    Raises
    ------
    InputError
        The scenario or its data are bad, or `out` exists already.
    """
    if isinstance(scenario, Scenario):
        if settings or seed is not None:
            raise InputError("settings for a scenario that is loaded already", allowed="settings in load_scenario")
        loaded = scenario
    else:
        loaded = load_scenario(scenario, seed=seed, **settings)
    result = _run(loaded.spec, loaded.folder)
    if out is not None:
        record(result, Path(out))
    return result


def read_network(path: str | Path, **options: Any) -> RoadNetwork:
    """Read a network, by the kind of file.

    A folder is GMNS; .osm, .osm.gz, .pbf and .graphml are OpenStreetMap; .net.xml is SUMO and any other .xml MATSim (plain or
    .gz); .npz is routepact's own form; everything else is TNTP.

    Parameters
    ----------
    options
        Passed on to the reader, such as ``time_unit_s=60`` for TNTP (`read_osm`, `load_network`, `read_gmns`, `read_sumo`,
        `read_matsim_network` and `read_tntp_network` in `sim.network`).

    Raises
    ------
    InputError
        The file is missing or bad.
    """
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        from sim.network.gmns import read_gmns

        return read_gmns(path, **options)
    if name.endswith(_OSM_ENDINGS):
        from sim.network.osm import read_osm

        return read_osm(path, **options)
    if name.endswith((".net.xml", ".net.xml.gz")):
        from sim.network.sumo import read_sumo

        return read_sumo(path, **options)
    if name.endswith((".xml", ".xml.gz")):
        from sim.network.matsim import read_matsim_network

        return read_matsim_network(path, **options)
    if name.endswith(".npz"):
        from sim.network.store import load_network

        return load_network(path, **options)
    return read_tntp_network(path, **options)


def read_demand(path: str | Path, network: RoadNetwork) -> OdMatrix:
    """Read a matrix for a network with zones: CSV (origin, destination, demand_vph; plain or .gz) or TNTP.

    Raises
    ------
    InputError
        The file is missing or bad, or names zones that the network does not have.
    """
    path = Path(path)
    return od_from_csv(path, network) if path.name.lower().endswith((".csv", ".csv.gz")) else od_from_tntp(path, network)


def assign(
    network: RoadNetwork, demand: OdMatrix, principle: str = "ue", *, gap: float = 1e-6, max_iterations: int = 500
) -> Assignment:
    """Return the static assignment of a matrix to a network.

    Turn bans of the network are honoured; then columns of the result belong to the turn graph, and `sim.network.turns` leads back
    to the streets.

    Parameters
    ----------
    principle
        "ue", the user equilibrium, or "so", the system optimum.
    gap
        Relative gap to reach, above 0 and below 1.

    Raises
    ------
    InputError
        The principle is neither, the gap is out of bounds, or an OD pair has no path.
    """
    if principle not in {known.value for known in Principle}:
        raise InputError(repr(principle), where="principle", allowed=", ".join(known.value for known in Principle))
    if not 0.0 < gap < 1.0:
        raise InputError(f"{gap}", where="gap", allowed="above 0 and below 1")
    return _solve(problem_of(network, demand), Principle(principle), gap=gap, max_iterations=max_iterations)


def problem_of(network: RoadNetwork, demand: OdMatrix) -> AssignmentProblem:
    """Return the assignment problem of a matrix on a network, turns included; InputError where an OD pair has no path."""
    from sim.network.turns import turn_graph

    graph = turn_graph(network)
    check_connected(graph.network, demand.origin_zone_idx, demand.destination_zone_idx)
    return make_problem(graph.network, demand)


def open_run(path: str | Path) -> RecordedRun:
    """Open a run folder: `.poa`, `.scenario`, `.manifest`, `.table("link_performance")`; InputError where it is none."""
    return read_run(Path(path))


def _toml(key: str, value: Any) -> str:
    """Return a setting as the command line would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        import json

        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(key, item) for item in value)}]"
    raise InputError(
        shown_value(value), where=key.replace("__", "."), allowed="a number, a text, true or false, or a list of them"
    )


def _with_settings(table: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the keys with settings put in; inner tables are copied where they change."""
    result = dict(table)
    for key, value in settings.items():
        first, dot, rest = key.partition("__")
        inner = result.get(first, {})
        if dot and not isinstance(inner, Mapping):
            raise InputError(f"{first} is {shown_value(inner)} and no section", where=key.replace("__", "."))
        result[first] = _with_settings(inner, {rest: value}) if dot else value
    return result
