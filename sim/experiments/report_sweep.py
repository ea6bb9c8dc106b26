"""A sweep as one HTML page: responses with intervals, Sobol indices, heat maps, and the runs behind each point.

Everything is asked by queries (`sim.experiments.sweep_results`): a hundred thousand runs give a page as quickly as a hundred.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sim.experiments.report import ChartFigure
from sim.experiments.report_sweep_charts import response_svg, sobol_svg
from sim.experiments.sweep_results import CurvePoint, SweepResults, open_results, quoted, sobol_indices
from sim.experiments.sweep_store import RUNS, SweepFolder

REPORT = "report.html"
_TEMPLATE = "sweep.html.jinja"
_MOST_LEVELS = 40
_MOST_LINES = 6
_BINS = 20
_MOST_POINTS = 60
"""Points that are listed one by one; of larger designs the extremes of the first output."""
_EXTREMES = 10
_MOST_RUNS_OF_A_POINT = 20


def write_sweep_report(path: Path) -> Path:
    """Write report.html into a sweep's folder and return its path.

    Raises
    ------
    InputError
        The folder is no sweep, or has no finished shard.
    RunFailedError
        The folder cannot be written to.
    """
    with open_results(path) as results:
        page = sweep_html(results)
    return SweepFolder(path).write(REPORT, page.encode("utf-8"))


def sweep_html(results: SweepResults) -> str:
    """Return the page; the same shards give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.experiments", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plan, counts = results.plan, results.counts()
    names = _names(results)
    return environment.get_template(_TEMPLATE).render(
        plan=plan,
        counts=counts,
        n_there=sum(counts.values()),
        factors=[(names[factor["key"]], factor["key"], _levels_text(factor)) for factor in results.factors],
        outputs=[_output_section(results, output, names) for output in results.outputs],
        problems=results.sql(
            "SELECT status, problem, count(*), min(point), min(seed) FROM runs WHERE problem IS NOT NULL "
            "GROUP BY status, problem ORDER BY count(*) DESC, problem LIMIT 20"
        ),
        factor_names=[names[key] for key in results.keys],
        points=list(_points(results)),
        all_points=plan["points"] <= _MOST_POINTS,
        n_listed=_EXTREMES,
    )


def _names(results: SweepResults) -> dict[str, str]:
    return {factor["key"]: factor.get("label") or factor["key"] for factor in results.factors}


def _levels_text(factor: Mapping[str, Any]) -> str:
    if factor.get("values"):
        values = [shown(value) for value in factor["values"]]
        return ", ".join(values if len(values) <= 12 else [*values[:5], "...", values[-1]])
    kind = factor.get("distribution", "uniform")
    if "low" in factor:
        return f"{kind}, {shown(factor['low'])} to {shown(factor['high'])}"
    return f"{kind}, mean {shown(factor['mean'])}, sd {shown(factor['sd'])}"


def shown(value: Any) -> str:
    """Return a value of a factor or an output as text, without digits that mean nothing."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, list):
        return " + ".join(shown(inner) for inner in value)
    return str(value)


def _output_section(results: SweepResults, output: str, names: Mapping[str, str]) -> dict[str, Any]:
    low, high, mean, known = results.sql(
        f"SELECT min({quoted(output)}), max({quoted(output)}), avg({quoted(output)}), count({quoted(output)}) FROM runs"
    )[0]
    section: dict[str, Any] = {"name": output, "known": known, "figures": [], "heat": None}
    if known:
        section |= {"low": shown(low), "high": shown(high), "mean": shown(mean)}
        section["figures"] = [*_response_figures(results, output, names), *_sobol_figures(results, output, names)]
        section["heat"] = _heat_map(results, output, names)
    return section


def _n_levels(results: SweepResults, key: str) -> int:
    return int(results.sql(f"SELECT count(DISTINCT {quoted(key)}) FROM runs")[0][0])


def _response_figures(results: SweepResults, output: str, names: Mapping[str, str]) -> Iterator[ChartFigure]:
    keys = results.keys
    if results.plan["design"] == "grid" and len(keys) == 2 and all(_n_levels(results, key) <= _MOST_LEVELS for key in keys):
        for x, by in ((keys[0], keys[1]), (keys[1], keys[0])):
            series: dict[str, list[CurvePoint]] = {}
            for point in results.curve(output, x, by=by):
                series.setdefault(f"{names[by]} {shown(point.other)}", []).append(point)
            yield _figure({name: series[name] for name in _spread(list(series), _MOST_LINES)}, output, names[x])
        return
    for key in keys:
        few = _n_levels(results, key) <= _MOST_LEVELS
        points = results.curve(output, key) if few else results.binned(output, key, _BINS)
        yield _figure({names[key]: points}, output, names[key], caption="" if few else f"Means in {_BINS} parts of the range.")


def _spread(names: list[str], most: int) -> list[str]:
    """Return at most `most` names, the first and the last among them, evenly spread."""
    if len(names) <= most:
        return names
    return [names[round(k * (len(names) - 1) / (most - 1))] for k in range(most)]


def _figure(series: Mapping[str, list[CurvePoint]], output: str, factor: str, caption: str = "") -> ChartFigure:
    svg, colours = response_svg(
        series, x_label=factor, y_label=output.rpartition(".")[2].replace("_", " "), description=f"{output} against {factor}"
    )
    legend = tuple(colours.items()) if len(series) > 1 else ()
    return ChartFigure(f"Against {factor}", caption, Markup(svg), legend)


def _sobol_figures(results: SweepResults, output: str, names: Mapping[str, str]) -> Iterator[ChartFigure]:
    indices = sobol_indices(results, output)
    if indices is not None:
        svg, colours = sobol_svg(indices, names, description=f"Sobol indices of {output}")
        caption = (
            "Share of the output's variance that a factor explains alone (first order) and with all its interactions (total)."
        )
        yield ChartFigure("Sobol indices", caption, Markup(svg), tuple(colours.items()))


def _heat_map(results: SweepResults, output: str, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a table of means by the levels of the two factors of a grid, each cell with its shade from 0 to 100."""
    keys = results.keys
    if results.plan["design"] != "grid" or len(keys) != 2 or any(_n_levels(results, key) > _MOST_LEVELS for key in keys):
        return None
    cells = {(point.level, point.other): point.mean for point in results.curve(output, keys[0], by=keys[1])}
    rows, columns = (
        list(dict.fromkeys(pair[side] for pair in sorted(cells, key=lambda p: (str(type(p[side])), p[side])))) for side in (0, 1)
    )
    low, high = min(cells.values()), max(cells.values())
    span = high - low or 1.0
    return {
        "down": names[keys[0]],
        "across": names[keys[1]],
        "columns": [shown(column) for column in columns],
        "rows": [
            (
                shown(row),
                [
                    (shown(cells[row, column]), f"{6 + 50 * (cells[row, column] - low) / span:.0f}")
                    if (row, column) in cells
                    else ("", "0")
                    for column in columns
                ],
            )
            for row in rows
        ],
    }


def _points(results: SweepResults) -> Iterator[dict[str, Any]]:
    """Yield the points that are listed, each with its means and the runs behind it."""
    outputs = results.outputs
    means = ", ".join(f"avg({quoted(output)})" for output in outputs)
    values = ", ".join(f"any_value({quoted(key)})" for key in results.keys)
    query = f"SELECT point, count(*), {values}, {means} FROM runs GROUP BY point"
    if results.plan["points"] <= _MOST_POINTS:
        rows = results.sql(f"{query} ORDER BY point")
    else:
        order = f"avg({quoted(outputs[0])})"
        known = f"HAVING {order} IS NOT NULL"
        rows = [
            *results.sql(f"{query} {known} ORDER BY {order}, point LIMIT {_EXTREMES}"),
            *reversed(results.sql(f"{query} {known} ORDER BY {order} DESC, point LIMIT {_EXTREMES}")),
        ]
    n_factors = len(results.keys)
    columns = ", ".join(["seed", "status", "problem", "replication", *map(quoted, outputs)])
    for point, n_runs, *numbers in rows:
        runs = results.sql(
            f"SELECT {columns} FROM runs WHERE point = ? ORDER BY replication LIMIT {_MOST_RUNS_OF_A_POINT}", [point]
        )
        yield {
            "point": point,
            "n_runs": n_runs,
            "values": [shown(value) for value in numbers[:n_factors]],
            "means": [shown(value) for value in numbers[n_factors:]],
            "runs": [
                (seed, status, problem or "", [shown(value) for value in found], _run_folder(results, point, replication))
                for seed, status, problem, replication, *found in runs
            ],
            "command": _command(results, numbers[:n_factors]),
        }


def _run_folder(results: SweepResults, point: int, replication: int) -> str:
    name = f"{RUNS}/{point:06d}-{replication:04d}/report.html"
    return name if (results.path / name).is_file() else ""


def _command(results: SweepResults, values: list[Any]) -> str:
    """Return the command that makes the run folder of a run of this point; the seed is the row's own."""
    settings = [*_flat(results.plan["settings"]), *zip(results.keys, values, strict=True)]
    return " ".join(
        [
            "routepact",
            "run",
            shlex.quote(results.plan["base"]),
            "--seed",
            "SEED",
            *(f"--set {shlex.quote(f'{k}={_typed(v)}')}" for k, v in settings),
        ]
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _typed(value: Any) -> str:
    """Return a value as `--set` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(f'"{inner}"' if isinstance(inner, str) else _typed(inner) for inner in value) + "]"
    return repr(value) if isinstance(value, float) else str(value)
