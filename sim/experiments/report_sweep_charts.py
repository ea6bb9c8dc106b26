"""Charts of a sweep: responses with their intervals, and Sobol indices, as SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sim.experiments.report_charts import colour_variables, draw_svg, stand_in, y_axis_label
from sim.experiments.sweep_results import CurvePoint, SobolIndex

_LONGEST_TICK = 14


def response_svg(
    series: Mapping[str, Sequence[CurvePoint]], *, x_label: str, y_label: str, description: str
) -> tuple[str, dict[str, str]]:
    """Return means against levels with bars for their intervals, and the CSS variable of each series' colour.

    Levels that are no numbers stand side by side in their order.
    """
    names = list(series)
    levels = list(dict.fromkeys(point.level for points in series.values() for point in points))
    numeric = all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)
    place: dict[Any, float] = {level: float(level) if numeric else float(k) for k, level in enumerate(levels)}
    # Series stand a little apart, so that their intervals do not hide each other.
    span = max(place.values()) - min(place.values()) if len(place) > 1 else 1.0
    apart = 0.004 * span

    def draw(axes: Axes) -> None:
        for k, (name, points) in enumerate(series.items()):
            shift = (k - (len(names) - 1) / 2) * apart
            x = np.array([place[point.level] for point in points]) + shift
            mean = np.array([point.mean for point in points])
            colour = stand_in(name, names)
            marker = "o" if len(points) <= 40 else None
            axes.plot(x, mean, color=colour, linewidth=1.6, marker=marker, markersize=3.4)
            known = [k for k, point in enumerate(points) if point.half_width is not None]
            half = [points[k].half_width or 0.0 for k in known]
            axes.errorbar(x[known], mean[known], yerr=half, fmt="none", ecolor=colour, elinewidth=1.1, capsize=2.0)
        if numeric:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
        else:
            axes.set_xticks(list(place.values()), [str(level)[:_LONGEST_TICK] for level in place])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.ticklabel_format(axis="y", useOffset=False) if numeric else None
        axes.set_xlabel(x_label)
        y_axis_label(axes, y_label)

    return draw_svg(draw, description, names), colour_variables(names)


def sobol_svg(indices: Sequence[SobolIndex], names: Mapping[str, str], *, description: str) -> tuple[str, dict[str, str]]:
    """Return first-order and total indices side by side, with their intervals, and the CSS variables of both."""
    kinds = ["First order", "Total"]

    def draw(axes: Axes) -> None:
        place = np.arange(len(indices), dtype=float)
        for k, kind in enumerate(kinds):
            value = [(index.first, index.total)[k] for index in indices]
            half = [(index.first_half_width, index.total_half_width)[k] for index in indices]
            axes.bar(place + (k - 0.5) * 0.36, value, width=0.34, color=stand_in(kind, kinds), linewidth=0)
            axes.errorbar(place + (k - 0.5) * 0.36, value, yerr=half, fmt="none", ecolor="#0a0a01", elinewidth=1.1, capsize=2.0)
        axes.axhline(0.0, color="#0a0a02", linewidth=0.8)
        axes.set_xticks(place, [names[index.key][:_LONGEST_TICK] for index in indices])
        y_axis_label(axes, "Sobol index")

    return draw_svg(draw, description, kinds), colour_variables(kinds)
