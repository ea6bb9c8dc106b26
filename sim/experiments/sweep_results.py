"""What a sweep found, asked by queries: DuckDB reads the shards where they lie, and only answers come to memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError, RunFailedError
from sim.experiments.sweep_store import SHARDS, read_plan

Format: TypeAlias = Literal["csv", "parquet"]
_UPPER = 0.975


@dataclass(frozen=True, eq=False)
class SweepResults:
    """A sweep's folder with an open DuckDB connection that has the view `runs`, one row a run.

    Attributes
    ----------
    path, plan
        The folder, and the content of its plan.json.
    connection
        DuckDB; `sql` asks it.
    """

    path: Path
    plan: dict[str, Any]
    connection: Any

    @property
    def factors(self) -> list[dict[str, Any]]:
        """The factors as the plan has them."""
        return list(self.plan["factors"])

    @property
    def keys(self) -> list[str]:
        """Keys of the factors."""
        return [factor["key"] for factor in self.factors]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs' columns."""
        return [str(output).removesuffix("?") for output in self.plan["outputs"]]

    def sql(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over `runs`; parameters stand as ? in it."""
        return list(self.connection.execute(query, list(values)).fetchall())

    def counts(self) -> dict[str, int]:
        """Return how many runs there are of each status."""
        return {
            str(status): int(n) for status, n in self.sql("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status")
        }

    def curve(self, output: str, key: str, by: str | None = None) -> list[CurvePoint]:
        """Return the mean of an output at each level of a factor (and of a second one), over all else, with its interval.

        The interval is Student's at 95 % over replications, where each replication's mean over the other factors
        counts once: levels share their seeds, so the runs of one replication are no independent ones.
        """
        second = f", {quoted(by)}" if by else ""
        rows = self.sql(
            f"WITH each AS (SELECT {quoted(key)} AS level{', ' + quoted(by) + ' AS other' if by else ''}, replication, "
            f"avg({quoted(output)}) AS value, count({quoted(output)}) AS n FROM runs WHERE {quoted(output)} IS NOT NULL "
            f"GROUP BY {quoted(key)}{second}, replication) "
            f"SELECT level, {'other' if by else 'NULL'}, avg(value), stddev_samp(value), count(*), sum(n) FROM each "
            f"GROUP BY level{', other' if by else ''} ORDER BY 2 NULLS FIRST, level"
        )
        return [CurvePoint(level, other, mean, _half_width(sd, n), int(runs)) for level, other, mean, sd, n, runs in rows]

    def binned(self, output: str, key: str, bins: int) -> list[CurvePoint]:
        """Return the mean of an output in equal parts of a numeric factor's range; `level` is the middle of the part."""
        column = quoted(key)
        low, high = self.sql(f"SELECT min({column}), max({column}) FROM runs WHERE {quoted(output)} IS NOT NULL")[0]
        if low is None or low == high:
            return self.curve(output, key)
        width = (high - low) / bins
        rows = self.sql(
            f"SELECT least(floor(({column} - ?) / ?), ?) AS bin, avg({quoted(output)}), stddev_samp({quoted(output)}), count(*) "
            f"FROM runs WHERE {quoted(output)} IS NOT NULL GROUP BY bin ORDER BY bin",
            [low, width, bins - 1],
        )
        return [CurvePoint(low + (bin_ + 0.5) * width, None, mean, _half_width(sd, n), int(n)) for bin_, mean, sd, n in rows]

    def point_means(self, output: str) -> FloatColumn:
        """Return the mean of an output at each point over its replications, by point; NaN where a point has none."""
        found = np.full(self.plan["points"], np.nan)
        table = self.connection.execute(
            f"SELECT point, avg({quoted(output)}) AS value FROM runs WHERE {quoted(output)} IS NOT NULL GROUP BY point"
        ).fetchnumpy()
        found[np.asarray(table["point"], np.int64)] = np.asarray(table["value"], np.float64)
        return found


@dataclass(frozen=True)
class CurvePoint:
    """A mean at a level (and a level of a second factor): half the width of its interval, None with one replication; runs."""

    level: Any
    other: Any
    mean: float
    half_width: float | None
    runs: int


@dataclass(frozen=True)
class SobolIndex:
    """First-order and total Sobol index of a factor, with the half widths of their 95 % bootstrap intervals."""

    key: str
    first: float
    first_half_width: float
    total: float
    total_half_width: float


@contextmanager
def open_results(path: Path) -> Iterator[SweepResults]:
    """Yield the results of a sweep's folder, whole or in part.

    Raises
    ------
    InputError
        The folder is no sweep, no run of it is written yet, or a shard is damaged, or a query asks for what is not there.
    """
    import duckdb

    plan = read_plan(path)
    if not any((path / SHARDS).glob("*.parquet")):
        raise InputError("holds no finished shard yet", source=path, allowed="a sweep with at least one")
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        pattern = str(path.resolve() / SHARDS / "*.parquet").replace("'", "''")
        try:
            connection.execute(f"CREATE VIEW runs AS SELECT * FROM read_parquet('{pattern}')")
            yield SweepResults(path, plan, connection)
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
            raise InputError(f"cannot answer: {error}", source=path, allowed="a query over the columns of runs") from None
        except duckdb.Error as error:
            problem = f"cannot be read: {str(error).partition(chr(10))[0]}"
            raise InputError(problem, source=path, allowed="--resume makes damaged shards anew") from None


def export_runs(path: Path, target: Path) -> int:
    """Write all runs of a sweep to one file, .csv or .parquet, in the order of their numbers; return how many.

    Raises
    ------
    InputError
        The folder is no sweep, or the file's name ends otherwise.
    RunFailedError
        The file cannot be written.
    """
    import duckdb

    options = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet, COMPRESSION zstd"}.get(target.suffix)
    if options is None:
        raise InputError(f"{target.suffix!r} is no format", source=target, allowed="a file name that ends in .csv or .parquet")
    partial = target.with_name(f".partial-{target.name}")
    with open_results(path) as results:
        name = str(partial).replace("'", "''")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            results.connection.execute(f"COPY (SELECT * FROM runs ORDER BY run) TO '{name}' ({options})")
            partial.replace(target)
        except (OSError, duckdb.IOException) as error:
            raise RunFailedError(f"cannot write {target}: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return int(results.sql("SELECT count(*) FROM runs")[0][0])


def sobol_indices(results: SweepResults, output: str) -> list[SobolIndex] | None:
    """Return the Sobol indices of an output (Saltelli et al. 2010), of the means over replications.

    None where the design is another, a point has no value yet, or the output never varies.
    """
    if results.plan["design"] != "sobol":
        return None
    values = results.point_means(output)
    if not np.isfinite(values).all() or float(np.ptp(values)) == 0.0:
        return None
    from SALib.analyze import sobol

    from sim.experiments.sweep_design import salib_problem

    keys = results.keys
    # The estimator's error grows with the mean, which carries no information.
    centred = (values - values.mean()) / values.std()
    found = sobol.analyze(salib_problem(len(keys)), centred, calc_second_order=False, num_resamples=200, seed=1)
    return [
        SobolIndex(key, *(float(found[name][k]) for name in ("S1", "S1_conf", "ST", "ST_conf"))) for k, key in enumerate(keys)
    ]


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _half_width(deviation: float | None, n: int) -> float | None:
    """Return the half width of the 95 % interval of a mean by Student's distribution."""
    if deviation is None or n < 2:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, _UPPER)) * float(deviation) / math.sqrt(n)
