"""The points of a sweep: which values each factor has at each of them.

Grid: every combination, the last factor fastest. Latin hypercube and Saltelli's design for Sobol indices come from SALib on the
unit cube; each coordinate then becomes a value by the inverse of its factor's distribution function (or one of its values, by
equal parts).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.sweep_spec import Factor, SweepSpec

MOST_POINTS: Final = 10_000_000
_INSIDE: Final = 1e-9
"""Coordinates are kept this far from 0 and 1, where a normal distribution is infinite."""


@dataclass(frozen=True, eq=False)
class Column:
    """The values of one factor: a number a point, or a position among its levels."""

    factor: Factor
    numbers: FloatColumn | None
    level_idx: IndexColumn | None

    def value(self, point: int) -> Any:
        """Return the value at a point, as the scenario takes it."""
        if self.level_idx is not None:
            return self.factor.values[int(self.level_idx[point])]
        assert self.numbers is not None  # a column has one of the two
        number = float(self.numbers[point])
        return round(number) if self.factor.whole else number


@dataclass(frozen=True, eq=False)
class Design:
    """All points of a sweep; column k belongs to factor k."""

    columns: tuple[Column, ...]
    n_points: int

    def values(self, point: int) -> tuple[Any, ...]:
        """Return the value of each factor at a point."""
        return tuple(column.value(point) for column in self.columns)


def make_design(spec: SweepSpec) -> Design:
    """Return the points of a sweep; the same spec gives the same points.

    Raises
    ------
    InputError
        The design has too many points.
    """
    if spec.design == "list":
        n_points = len(spec.factor[0].values)
        place = np.arange(n_points, dtype=np.int32)
        return Design(tuple(Column(factor, None, place) for factor in spec.factor), n_points)
    if spec.design == "grid":
        return _grid(spec)
    assert spec.points is not None  # the spec demands it of the other designs
    n_factors = len(spec.factor)
    _require_few(spec.points * (n_factors + 2 if spec.design == "sobol" else 1))
    cube = _unit_cube(spec.design, n_factors, spec.points, spec.seed)
    return Design(tuple(_column(factor, cube[:, k]) for k, factor in enumerate(spec.factor)), len(cube))


def salib_problem(n_factors: int) -> dict[str, Any]:
    """Return the unit cube as SALib describes a problem."""
    return {"num_vars": n_factors, "names": [f"factor {k}" for k in range(n_factors)], "bounds": [[0.0, 1.0]] * n_factors}


def _unit_cube(design: str, n_factors: int, points: int, seed: int) -> NDArray[np.float64]:
    # SALib brings pandas along, which grids need not wait for.
    if design == "latin_hypercube":
        from SALib.sample import latin

        return np.asarray(latin.sample(salib_problem(n_factors), points, seed=seed), np.float64)
    from SALib.sample import sobol

    return np.asarray(sobol.sample(salib_problem(n_factors), points, calc_second_order=False, seed=seed), np.float64)


def _grid(spec: SweepSpec) -> Design:
    sizes = [len(factor.values) or factor.steps for factor in spec.factor]
    n_points = math.prod(sizes)
    _require_few(n_points)
    columns = []
    for k, (factor, size) in enumerate(zip(spec.factor, sizes, strict=True)):
        place = (np.arange(n_points) // math.prod(sizes[k + 1 :]) % size).astype(np.int32)
        if factor.values:
            columns.append(Column(factor, None, place))
        else:
            columns.append(Column(factor, _range_levels(factor, size)[place], None))
    return Design(tuple(columns), n_points)


def _range_levels(factor: Factor, size: int) -> FloatColumn:
    assert factor.low is not None and factor.high is not None  # the spec allows ranges alone here
    make: Callable[..., FloatColumn] = np.geomspace if factor.kind == "log_uniform" else np.linspace
    levels = make(factor.low, factor.high, size)
    # Steps such as 0.1 are not multiples of each other in floating point; what people typed is what they want to read.
    return np.array([float(f"{level:.12g}") for level in levels])


def _column(factor: Factor, coordinate: FloatColumn) -> Column:
    if factor.values:
        n_levels = len(factor.values)
        return Column(factor, None, np.minimum((coordinate * n_levels).astype(np.int32), n_levels - 1))
    return Column(factor, _from_unit(factor, np.clip(coordinate, _INSIDE, 1.0 - _INSIDE)), None)


def _from_unit(factor: Factor, share: FloatColumn) -> FloatColumn:
    """Return the quantiles of a factor's distribution."""
    from scipy.special import ndtri

    if factor.kind in ("uniform", "log_uniform"):
        low, high = factor.low, factor.high
        assert low is not None and high is not None
        if factor.kind == "uniform":
            return np.asarray(low + (high - low) * share)
        return np.asarray(np.exp(math.log(low) + (math.log(high) - math.log(low)) * share))
    mean, sd = factor.mean, factor.sd
    assert mean is not None and sd is not None
    if factor.kind == "normal":
        return np.asarray(mean + sd * ndtri(share))
    return np.asarray(np.exp(math.log(mean) - sd * sd / 2 + sd * ndtri(share)))


def _require_few(n_points: int) -> None:
    if n_points > MOST_POINTS:
        raise InputError(f"the design has {n_points:,} points", where="factor", allowed=f"at most {MOST_POINTS:,}")
