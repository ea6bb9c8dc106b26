"""A dashboard that SimWrapper (simwrapper.app) shows when it is pointed at a run folder: a YAML file and the CSV files it names.

SimWrapper looks for `dashboard-*.yaml` and draws its panels from files beside it; it reads CSV, not Parquet.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.experiments.record import RunFolder
from sim.experiments.record_tables import ConvergenceRow

DASHBOARD = "dashboard-1.yaml"
WORLDS = "worlds.csv"
GAPS = "relative_gaps.csv"
_COLUMNS = ("world", "mean_time_s", "total_time_s", "ratio", "payments_micro", "below_baseline")


def write_dashboard(folder: RunFolder, poa: Mapping[str, Any], rows: Iterable[ConvergenceRow]) -> None:
    """Write the dashboard and its data into a run folder that is being written.

    Parameters
    ----------
    poa
        Content of poa.json.
    rows
        Convergence of the solvers and the worlds.
    """
    worlds = [{"world": name, **world} for name, world in poa["worlds"].items()]
    folder.write_text(WORLDS, csv_text(_COLUMNS, [[world.get(key) for key in _COLUMNS] for world in worlds]))
    gaps = _gaps(rows)
    folder.write_text(GAPS, csv_text(("step", *gaps), _side_by_side(gaps)))
    folder.write_text(DASHBOARD, yaml_text(_dashboard(poa, list(gaps))))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV with a header; None becomes an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return a table as YAML: every JSON text is one, and no library is needed."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _gaps(rows: Iterable[ConvergenceRow]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.stage == "solver":
            found.setdefault(row.world, []).append(row.relative_gap)
    return found


def _side_by_side(gaps: Mapping[str, Sequence[float]]) -> Iterable[list[Any]]:
    for step in range(max(map(len, gaps.values()), default=0)):
        yield [step, *(values[step] if step < len(values) else None for values in gaps.values())]


def _dashboard(poa: Mapping[str, Any], solved: Sequence[str]) -> dict[str, Any]:
    def bar(title: str, columns: list[str], unit: str) -> dict[str, Any]:
        props = {"dataset": WORLDS, "x": "world", "columns": columns, "xAxisTitle": "world", "yAxisTitle": unit}
        return {"type": "bar", "title": title, "width": 1, "props": props}

    price = poa["price_of_anarchy"]
    said = "not known" if price is None else f"{price:.4f}"
    steps = {"dataset": GAPS, "x": "step", "columns": list(solved), "xAxisTitle": "iteration", "yAxisTitle": "relative gap"}
    return {
        "header": {
            "tab": "Worlds",
            "title": poa["scenario"],
            "description": f"{poa['travellers']:,} travellers, seed {poa['seed']}. Price of Anarchy: {said}.",
        },
        "layout": {
            "worlds": [
                bar("Mean time of a trip", ["mean_time_s"], "seconds"),
                bar("Total time", ["total_time_s"], "vehicle-seconds"),
            ],
            "solvers": [{"type": "line", "title": "How close the solvers came", "width": 1, "props": steps}],
        },
    }
