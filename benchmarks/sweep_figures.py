"""Tables and figures of the bundled sweeps as docs/sweeps.md shows them.

`python -m benchmarks.sweep_figures SWEEP_FOLDER... [--to docs/figures]` prints a table a folder and output, in Markdown,
and writes a figure of the outputs in `FIGURES`. The folders are those that `routepact sweep NAME` leaves.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from sim.experiments.report_sweep import shown
from sim.experiments.report_sweep_charts import response_svg
from sim.experiments.sweep_results import CurvePoint, SweepResults, open_results

FIGURES = {
    "participation_demand": "worlds.coalition.ratio",
    "collateral_defectors": "worlds.coalition.adversaries.defectors.gain_micro",
    "colluders_panel": "worlds.coalition.adversaries.defectors.gain_micro",
    "value_of_time": "worlds.coalition.ratio",
}
"""The output of each bundled sweep that is drawn."""
_COLOURS = {
    "--ink": "#1b2430",
    "--soft": "#586474",
    "--line": "#d5d8d8",
    "--other-1": "#7a4b9a",
    "--other-2": "#2e7d4f",
    "--other-3": "#8a6d1a",
    "--other-4": "#a33a63",
    "--other-5": "#35788a",
    "--other-6": "#6b5b52",
}
_MOST_LINES = 6


def table(results: SweepResults, output: str) -> str:
    """Return the means of an output with their half widths: the first factor down, the second across."""
    down, across = results.keys
    cells = {(point.level, point.other): point for point in results.curve(output, down, by=across)}
    rows, columns = (list(dict.fromkeys(pair[side] for pair in cells)) for side in (0, 1))
    names = {factor["key"]: factor.get("label", factor["key"]) for factor in results.factors}
    lines = [f"| {names[down]} \\ {names[across]} | " + " | ".join(map(shown, columns)) + " |", "|---" * (len(columns) + 1) + "|"]
    body = [f"| {shown(row)} | " + " | ".join(_cell(cells.get((row, column))) for column in columns) + " |" for row in rows]
    return "\n".join([*lines, *body])


def _cell(point: CurvePoint | None) -> str:
    if point is None:
        return ""
    wide = point.half_width is not None and point.half_width > 0
    return f"{point.mean:.6g} ± {point.half_width:.2g}" if wide else f"{point.mean:.6g}"


def figure(results: SweepResults, output: str) -> str:
    """Return an output against the factor with more levels, a line a level of the other, as an SVG file's text."""
    levels = {key: len({point.level for point in results.curve(output, key)}) for key in results.keys}
    x, by = sorted(results.keys, key=lambda key: -levels[key])
    names = {factor["key"]: factor.get("label", factor["key"]) for factor in results.factors}
    series: dict[str, list[CurvePoint]] = {}
    for point in results.curve(output, x, by=by):
        series.setdefault(f"{names[by]} {shown(point.other)}", []).append(point)
    chosen = dict(list(series.items())[:_MOST_LINES])
    svg, colours = response_svg(chosen, x_label=names[x], y_label=output.rpartition(".")[2].replace("_", " "), description=output)
    legend = "".join(
        f'<text x="450" y="{24 + 18 * k}" font-size="12" fill="var({variable})">{name}</text>'
        for k, (name, variable) in enumerate(colours.items())
    )
    svg = re.sub(r"<svg [^>]*>", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 250" width="660">', svg, count=1)
    svg = (
        svg.replace("</svg>", f"{legend}</svg>")
        .replace(' href="', ' xlink:href="')
        .replace("<svg xmlns=", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns=')
    )
    for variable, colour in _COLOURS.items():
        svg = svg.replace(f"var({variable})", colour)
    return svg


def main() -> None:
    """Print the tables and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of finished sweeps")
    parser.add_argument("--to", type=Path, help="folder for the figures")
    options = parser.parse_args()
    for folder in options.folders:
        with open_results(folder) as results:
            name = results.plan["name"]
            print(f"\n## {name}: {results.counts()}")
            for output in results.outputs:
                print(f"\n### {output}\n\n{table(results, output)}")
            if options.to is not None and name in FIGURES:
                options.to.mkdir(parents=True, exist_ok=True)
                (options.to / f"sweep_{name}.svg").write_text(figure(results, FIGURES[name]), encoding="utf-8")


if __name__ == "__main__":
    main()
