"""The sweep: what a sweep's TOML file may say, with every default and bound."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sim.bundled import bundled_sweeps
from sim.errors import InputError
from sim.spec_problems import first_problem

_Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
_Key: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z_0-9]+(\.[a-z_0-9]+)*$", description='a dotted key of the scenario, as in "market.participation"')
]
_OWN_KEYS = ("name", "description", "seed")
_DISTRIBUTIONS = {
    "uniform": ("low", "high"),
    "log_uniform": ("low", "high"),
    "normal": ("mean", "sd"),
    "lognormal": ("mean", "sd"),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Factor(_Section):
    """One key of the scenario that the sweep varies: by `values`, by a range from `low` to `high`, or by a `distribution`."""

    key: _Key
    label: str = ""
    """What people call it; the key unless given."""
    values: tuple[Any, ...] = ()
    """The levels, in order; any type that the key takes."""
    distribution: Literal["uniform", "log_uniform", "normal", "lognormal"] | None = None
    """How sobol and latin_hypercube draw a range: uniform unless said otherwise."""
    low: _Finite | None = None
    """uniform, log_uniform: the least value (log_uniform: above 0)."""
    high: _Finite | None = None
    """uniform, log_uniform: the largest value."""
    mean: _Finite | None = None
    """normal: mean; lognormal: mean of the variable itself, above 0."""
    sd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """normal: standard deviation; lognormal: standard deviation of the logarithm."""
    steps: Annotated[int, Field(ge=2, le=100_000)] = 5
    """grid: levels of a range, ends included."""
    whole: bool = False
    """Whether the key takes whole numbers only: what a range gives is rounded."""

    @model_validator(mode="after")
    def _one_kind(self) -> Factor:
        given = {name for name in ("low", "high", "mean", "sd") if getattr(self, name) is not None}
        if self.values:
            if given or self.distribution is not None:
                raise ValueError(f"{self.key}: give either values or a range, not both")
            return self
        wanted = set(_DISTRIBUTIONS[self.distribution or "uniform"])
        if given != wanted:
            raise ValueError(
                f"{self.key}: give values, or {' and '.join(sorted(wanted))} for the distribution {self.kind} (given: "
                f"{', '.join(sorted(given)) or 'nothing'})"
            )
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"{self.key}: low must be below high")
        positive = self.low if self.kind == "log_uniform" else self.mean if self.kind == "lognormal" else 1.0
        if positive is None or positive <= 0.0:
            raise ValueError(f"{self.key}: {self.kind} needs numbers above 0")
        return self

    @property
    def kind(self) -> str:
        """The distribution of a range."""
        return self.distribution or "uniform"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or self.key


class SweepSpec(_Section):
    """A whole sweep: a base scenario, what is varied, how often, and what is kept of each run.

    All levels share their luck: the seed of a run depends on its replication alone (the base scenario's seed for the first, one
    more for each further one).
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
            description="letters, digits, dots, dashes and underscores, at most 64, a letter or digit first",
        ),
    ]
    description: str = ""
    base: Annotated[str, Field(min_length=1)]
    """The scenario: a file relative to the sweep's, or the name of a bundled one."""
    settings: dict[str, Any] = {}
    """Keys of the base scenario that the whole sweep changes, as in [settings.market] participation = 0.5."""
    design: Literal["grid", "sobol", "latin_hypercube", "list"] = "grid"
    """grid: every combination; list: the n-th values of all factors together; sobol: Saltelli's design for Sobol indices."""
    points: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """latin_hypercube: points; sobol: base samples, a power of two (the design has (factors + 2) times as many points)."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Of the design's own draws; runs take their seeds from the base scenario."""
    replications: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Runs of each point, with different seeds."""
    outputs: tuple[str, ...] = ()
    """Numbers of poa.json that are kept, by dotted key; a "?" at the end allows a run to lack it. The Price of Anarchy, mean
    times and ratios unless given."""
    record_runs: bool = False
    """Whether each run leaves its run folder in the sweep's folder too."""
    runs_per_shard: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Runs that are written together, and at most lost together; a 128th of all, at most 512, unless given."""
    factor: tuple[Factor, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> SweepSpec:
        keys = [factor.key for factor in self.factor]
        if not keys or len(set(keys)) != len(keys):
            raise ValueError("a sweep needs at least one [[factor]], and each key once")
        for key in keys:
            if key in _OWN_KEYS:
                raise ValueError(f"{key} is no factor: a run's seed follows from its replication, its name from the base")
        if (self.points is None) == (self.design in ("sobol", "latin_hypercube")):
            raise ValueError("points belongs to the designs sobol and latin_hypercube, which need it")
        if self.design == "sobol" and self.points is not None and self.points & (self.points - 1):
            raise ValueError(f"points is {self.points}: the design sobol needs a power of two")
        if self.design == "list" and len({len(factor.values) for factor in self.factor}) != 1:
            raise ValueError("the design list needs as many values of one factor as of every other")
        if self.design in ("grid", "list") and any(not f.values and f.kind in ("normal", "lognormal") for f in self.factor):
            raise ValueError("the designs grid and list take values or ranges, no normal or lognormal distribution")
        if self.design == "list" and any(not factor.values for factor in self.factor):
            raise ValueError("the design list takes values alone")
        return self


def find_sweep(name: str) -> tuple[SweepSpec, Path]:
    """Return a sweep and the file it stands in; `name` is a file or the name of a bundled sweep.

    Raises
    ------
    InputError
        There is no such sweep, or its content is bad.
    """
    path, bundled = Path(name), bundled_sweeps()
    if not path.is_file() and name in bundled:
        path = bundled[name]
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"there is no sweep {name!r}", allowed=f"a .toml file, or one of {', '.join(bundled)}" if bundled else "a .toml file"
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path, allowed="a sweep file (.toml)") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", source=path) from None
    try:
        return SweepSpec.model_validate(_tuples(table)), path.resolve()
    except ValidationError as error:
        found = first_problem(error, SweepSpec.model_json_schema())
        raise InputError(found.problem, source=path, where=found.key or None, allowed=found.allowed) from None


def sweep_schema() -> dict[str, Any]:
    """Return the JSON Schema of sweep files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SweepSpec.model_json_schema()}


def _tuples(value: Any) -> Any:
    # Strict mode takes no list for a tuple; TOML knows lists alone.
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
