"""What a sweep will do, fixed before its first run: base scenario, points, seeds, outputs, and which runs stand in which shard.

Run i is replication i // n_points of point i % n_points: one replication of every point comes before the second of any, so that
a sweep that was stopped has seen the whole design, and neighbouring runs share their seed and what follows from it. Shard k holds
runs k * runs_per_shard on. All this follows from the plan alone, never from the clock or the number of workers.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sim
from sim.bundled import bundled_scenarios
from sim.errors import InputError
from sim.experiments.build import build_scenario, demand_inputs
from sim.experiments.record import fingerprint, lock_text
from sim.experiments.scenarios import MARKET_WORLDS, find_scenario, require_names
from sim.experiments.sweep_design import Design, make_design
from sim.spec import ScenarioSpec, parse_scenario
from sim.sweep_spec import Factor, SweepSpec, find_sweep

PLAN_FORMAT = 1
_RUNS_IN_ONE_SHARD_OF = 128
_MOST_RUNS_PER_SHARD = 512


@dataclass(frozen=True)
class Output:
    """A number of poa.json by its dotted key; an optional one may be lacking."""

    key: str
    optional: bool


@dataclass(frozen=True)
class Row:
    """One run: its number, its point, its replication, its seed and the value of each factor."""

    run: int
    point: int
    replication: int
    seed: int
    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """A sweep, ready to run.

    Attributes
    ----------
    spec
        What was asked for.
    design
        Its points.
    scenario
        The base scenario with the sweep's settings, as a table with every default.
    base
        How the command line finds the base scenario.
    folder
        Where the scenario's relative paths start.
    inputs
        Files that the base scenario and the factors' values name, with size and checksum.
    """

    spec: SweepSpec
    design: Design
    scenario: dict[str, Any]
    base: str
    folder: Path
    inputs: dict[str, dict[str, Any]]
    outputs: tuple[Output, ...]

    @property
    def n_runs(self) -> int:
        """Points times replications."""
        return self.design.n_points * self.spec.replications

    @property
    def runs_per_shard(self) -> int:
        """Runs of every shard but the last."""
        by_default = min(_MOST_RUNS_PER_SHARD, -(-self.n_runs // _RUNS_IN_ONE_SHARD_OF))
        return self.spec.runs_per_shard or by_default

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_runs // self.runs_per_shard)

    def rows(self, shard: int) -> list[Row]:
        """Return the runs of a shard."""
        first = shard * self.runs_per_shard
        return [self.row(run) for run in range(first, min(first + self.runs_per_shard, self.n_runs))]

    def row(self, run: int) -> Row:
        """Return one run by its number."""
        replication, point = divmod(run, self.design.n_points)
        return Row(run, point, replication, self.scenario["seed"] + replication, self.design.values(point))

    def content(self) -> dict[str, Any]:
        """Return plan.json: everything on which the results depend, and the hash of that."""
        spec = self.spec
        content: dict[str, Any] = {
            "kind": "routepact sweep",
            "format": PLAN_FORMAT,
            "name": spec.name,
            "description": spec.description,
            "version": sim.__version__,
            "base": self.base,
            "settings": _plain(spec.settings),
            "design": spec.design,
            "design_points": spec.points,
            "design_seed": spec.seed,
            "factors": [_plain(factor.model_dump(exclude_none=True)) for factor in spec.factor],
            "outputs": [output.key + ("?" if output.optional else "") for output in self.outputs],
            "points": self.design.n_points,
            "replications": spec.replications,
            "runs": self.n_runs,
            "runs_per_shard": self.runs_per_shard,
            "shards": self.n_shards,
            "inputs": self.inputs,
            "scenario": self.scenario,
        }
        return content | {"sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def make_plan(name: str) -> SweepPlan:
    """Read a sweep, by file or bundled name, and check whatever can be checked before running.

    Raises
    ------
    InputError
        The sweep, its base scenario or a value of a factor is bad.
    """
    spec, source = find_sweep(name)
    base, scenario_spec, folder = _base(spec, source)
    scenario = with_values(as_table(scenario_spec), spec.settings)
    checked = _checked(scenario, source, "settings")
    scenario = as_table(checked)
    for factor in spec.factor:
        for value in _levels_to_check(factor):
            where = f"factor {factor.key} = {value!r}"
            try:
                table = with_value(scenario, factor.key, value)
            except InputError as error:
                raise InputError(error.problem, source=source, where=where, allowed=error.allowed) from None
            _checked(table, source, where)
    last_seed = scenario["seed"] + spec.replications - 1
    _checked({**scenario, "seed": last_seed}, source, f"replications = {spec.replications}")
    inputs = {name: fingerprint(path) for name, path in _inputs(checked, folder, spec).items()}
    return SweepPlan(spec, make_design(spec), scenario, base, folder, inputs, _outputs(spec, checked, source))


def as_table(spec: ScenarioSpec) -> dict[str, Any]:
    """Return a scenario as a plain table with every default."""
    return tomllib.loads(lock_text(spec))


def with_value(table: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a table with one dotted key set; the given table stays as it is.

    Raises
    ------
    InputError
        The key leads through something that is no section.
    """
    head, _, rest = key.partition(".")
    if not rest:
        return {**table, head: value}
    inner = table.get(head, {})
    if not isinstance(inner, Mapping):
        raise InputError(f"{head} is no section", where=key, allowed="a key inside a section")
    return {**table, head: with_value(inner, rest, value)}


def with_values(table: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with nested settings laid over it."""
    merged = dict(table)
    for key, value in settings.items():
        inner = merged.get(key)
        merged[key] = with_values(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return merged


def _base(spec: SweepSpec, source: Path) -> tuple[str, ScenarioSpec, Path]:
    beside = source.parent / spec.base
    name = str(beside) if beside.is_file() else spec.base
    if not beside.is_file() and spec.base not in bundled_scenarios():
        allowed = f"a file relative to the sweep's, or one of {', '.join(bundled_scenarios())}"
        raise InputError(f"there is no scenario {spec.base!r}", source=source, where="base", allowed=allowed)
    found, folder = find_scenario(name)
    return spec.base, found, folder


def _checked(table: dict[str, Any], source: Path, where: str) -> ScenarioSpec:
    try:
        spec = parse_scenario(table)
        require_names(spec)
    except InputError as error:
        raise InputError(
            error.problem, source=source, where=f"{where}: {error.where or 'scenario'}", allowed=error.allowed
        ) from None
    return spec


def _levels_to_check(factor: Factor) -> Iterator[Any]:
    if factor.values:
        yield from factor.values
    for number in (factor.low, factor.high, factor.mean):
        if number is not None:
            yield round(number) if factor.whole else number


def _inputs(scenario: ScenarioSpec, folder: Path, spec: SweepSpec) -> dict[str, Path]:
    """Return the files that runs read from the scenario's folder; bundled ones come with the program."""
    bundled = scenario.network.source == "bundled"  # building a city takes seconds, which a plan need not wait for
    inputs = demand_inputs(scenario, folder) if bundled else dict(build_scenario(scenario, folder).inputs)
    for factor in spec.factor:
        for value in factor.values:
            if isinstance(value, str) and (folder / value).is_file():
                inputs[value] = folder / value
    return inputs


def _outputs(spec: SweepSpec, scenario: ScenarioSpec, source: Path) -> tuple[Output, ...]:
    keys = spec.outputs
    if not keys:
        worlds = scenario.worlds.run
        means = [f"worlds.{name}.mean_time_s" for name in worlds]
        ratios = [f"worlds.{name}.ratio" for name in worlds if name in MARKET_WORLDS]
        keys = ("price_of_anarchy?", *means, *ratios)
    outputs = tuple(Output(key.removesuffix("?"), key.endswith("?")) for key in keys)
    names = [output.key for output in outputs]
    taken = {"run", "point", "replication", "seed", "status", "problem", *(factor.key for factor in spec.factor)}
    for name in names:
        if names.count(name) > 1 or name in taken or not name:
            raise InputError(f"{name!r} is there already", source=source, where="outputs", allowed="keys of poa.json, each once")
    return outputs


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
