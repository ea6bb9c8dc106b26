"""Charts of the report as SVG text that takes its colours from the page, so that one drawing serves the light and the dark theme.

matplotlib draws with stand-in colours, which are then exchanged for the page's CSS variables. Letters stay letters; identifiers
come from a fixed salt, so that the same run gives the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from sim.arrays import FloatColumn
from sim.experiments.report_format import MINUS, ten_to
from sim.units import SECONDS_PER_MINUTE

WIDTH_PX, HEIGHT_PX = 440, 250
_MARGINS_PX = (70, 46, 10, 10)
_DPI = 72  # one SVG unit is then one CSS pixel
_SMALLEST_GAP = 1e-16
_INK, _SOFT, _GRID = "#0a0a01", "#0a0a02", "#0a0a03"
_VARIABLES = {_INK: "--ink", _SOFT: "--soft", _GRID: "--line"}
_WORLD_COLOURS = {"selfish": "#0a0b01", "optimum": "#0a0b02"}
_OTHER_COLOURS = ("#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06", "#0a0b07", "#0a0b08")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (7, 2, 2, 2)))


@dataclass(frozen=True, eq=False)
class Steps:
    """Relative gaps of one world, by iteration or day."""

    step: FloatColumn
    relative_gap: FloatColumn


def colour_variables(worlds: list[str]) -> dict[str, str]:
    """Return the CSS variable of each world's colour."""
    others = [world for world in worlds if world not in _WORLD_COLOURS]
    named = {world: f"--{world}" for world in worlds if world in _WORLD_COLOURS}
    return named | {world: f"--other-{position % len(_OTHER_COLOURS) + 1}" for position, world in enumerate(others)}


def convergence_svg(series: Mapping[str, Steps], *, x_label: str, description: str) -> str:
    """Return relative gaps (logarithmic) against iterations or days."""

    def draw(axes: Axes) -> None:
        for position, (world, steps) in enumerate(series.items()):
            known = np.isfinite(steps.relative_gap)
            gap = np.maximum(steps.relative_gap[known], _SMALLEST_GAP)
            line = {"color": stand_in(world, list(series)), "linestyle": _DASHES[position % len(_DASHES)], "linewidth": 1.8}
            axes.plot(steps.step[known], gap, marker="o" if known.sum() <= 40 else None, markersize=3.2, **line)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: ten_to(round(math.log10(value)))))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        axes.set_xlabel(x_label)
        y_axis_label(axes, "relative gap")

    return draw_svg(draw, description, list(series))


def curve_svg(
    x: FloatColumn, series: Mapping[str, FloatColumn], *, x_label: str, y_label: str, shares: bool, description: str
) -> tuple[str, dict[str, str]]:
    """Return curves with a mark at each known value, and the CSS variable of each curve's colour.

    `shares` writes the values as percentages; what is not known (NaN) leaves a gap.
    """
    names = list(series)

    def draw(axes: Axes) -> None:
        for position, (name, values) in enumerate(series.items()):
            line = {"color": stand_in(name, names), "linestyle": _DASHES[position % len(_DASHES)], "linewidth": 1.8}
            axes.plot(x, values, marker="o", markersize=4, **line)
        if shares:
            axes.yaxis.set_major_formatter(FuncFormatter(_signed_share))
        else:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel(x_label)
        y_axis_label(axes, y_label)

    return draw_svg(draw, description, names), colour_variables(names)


def lines_svg(
    series: Mapping[str, tuple[FloatColumn, FloatColumn]], *, x_label: str, y_label: str, from_zero: bool, description: str
) -> tuple[str, dict[str, str]]:
    """Return lines of (x, y), each with its own x, and the CSS variable of each line's colour.

    `from_zero` lets both axes begin at 0.
    """
    names = list(series)

    def draw(axes: Axes) -> None:
        for position, (name, (x, y)) in enumerate(series.items()):
            line = {"color": stand_in(name, names), "linestyle": _DASHES[position % len(_DASHES)], "linewidth": 1.8}
            axes.plot(x, y, **line)
        if from_zero:
            axes.set_xlim(left=0.0)
            axes.set_ylim(bottom=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.set_xlabel(x_label)
        y_axis_label(axes, y_label)

    return draw_svg(draw, description, names), colour_variables(names)


def histogram_svg(seconds: Mapping[str, FloatColumn], weight: FloatColumn, *, up_to_s: float, description: str) -> str:
    """Return the distribution of travel times of each world, as shares of the vehicles, up to `up_to_s` seconds."""
    unit_s, unit = _time_unit(up_to_s)
    edges = np.linspace(0.0, up_to_s * (1 + 1e-9), 49)

    def draw(axes: Axes) -> None:
        for position, (world, values) in enumerate(seconds.items()):
            share = np.histogram(values, edges, weights=weight)[0] / weight.sum()
            colour = stand_in(world, list(seconds))
            axes.stairs(share, edges / unit_s, color=colour, linewidth=1.8, linestyle=_DASHES[position % len(_DASHES)])
            if position == 0:
                axes.stairs(share, edges / unit_s, color=colour, fill=True, alpha=0.16, linewidth=0)
        axes.set_xlim(0.0, up_to_s / unit_s)
        _share_axis(axes, f"travel time ({unit})")

    return draw_svg(draw, description, list(seconds))


def change_svg(change_s: FloatColumn, weight: FloatColumn, *, limit_s: float, description: str) -> str:
    """Return the distribution of changes of travel time (optimum minus selfish) up to plus and minus `limit_s` (above 0)."""
    unit_s, unit = _time_unit(limit_s)
    edges = np.linspace(-limit_s, limit_s, 42)
    # What lies beyond the frame counts in the outermost bars, so that no loss looks smaller than it is.
    share = np.histogram(np.clip(change_s, edges[0], edges[-1]), edges, weights=weight)[0] / weight.sum()
    middle = 0.5 * (edges[:-1] + edges[1:])

    def draw(axes: Axes) -> None:
        width = (edges[1] - edges[0]) / unit_s * 0.92
        tolerance_s = 1e-9 * limit_s
        for chosen, colour in (
            (middle < -tolerance_s, _WORLD_COLOURS["optimum"]),
            (np.abs(middle) <= tolerance_s, _SOFT),
            (middle > tolerance_s, _WORLD_COLOURS["selfish"]),
        ):
            axes.bar(middle[chosen] / unit_s, share[chosen], width=width, color=colour, linewidth=0)
        axes.axvline(0.0, color=_SOFT, linewidth=0.8)
        axes.set_xlim(-limit_s / unit_s, limit_s / unit_s)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", MINUS) if value else "0"))
        _share_axis(axes, f"change of travel time ({unit})")

    return draw_svg(draw, description, [])


def scatter_svg(
    x: FloatColumn, series: Mapping[str, FloatColumn], *, x_label: str, y_label: str, description: str
) -> tuple[str, dict[str, str]]:
    """Return each series against `x` (both at least 0) with the diagonal, and the CSS variable of each series' colour."""
    names = list(series)
    most = 1.05 * max(float(x.max()), *(float(values.max()) for values in series.values()), 1e-9)

    def draw(axes: Axes) -> None:
        axes.plot([0.0, most], [0.0, most], color=_SOFT, linewidth=0.8)
        for name, marker in zip(names, ("x", "o", "D", "s"), strict=False):
            axes.plot(x, series[name], linestyle="none", marker=marker, markersize=4.5, color=stand_in(name, names))
        axes.set_xlim(0.0, most)
        axes.set_ylim(0.0, most)
        axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        y_axis_label(axes, y_label)

    return draw_svg(draw, description, names), colour_variables(names)


def winners_svg(better: FloatColumn, worse: FloatColumn, *, x_label: str, description: str) -> str:
    """Return shares of each group that end better off (upwards) and worse off (downwards)."""
    place = np.arange(1, len(better) + 1)

    def draw(axes: Axes) -> None:
        axes.bar(place, better, width=0.8, color=_WORLD_COLOURS["optimum"], linewidth=0)
        axes.bar(place, -worse, width=0.8, color=_WORLD_COLOURS["selfish"], linewidth=0)
        _group_axes(axes, place, x_label)
        axes.set_ylim(-max(0.1, 1.05 * float(worse.max())), 1.05)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value) * 100:g}\u00a0%"))
        y_axis_label(axes, "share of the group")

    return draw_svg(draw, description, [])


def parts_svg(
    parts: Mapping[str, FloatColumn], total: FloatColumn, *, x_label: str, y_label: str, description: str
) -> tuple[str, dict[str, str]]:
    """Return signed parts of each group side by side with their total as a mark, and the CSS variable of each part's colour."""
    names = list(parts)
    place = np.arange(1, len(total) + 1)
    width = 0.8 / len(names)

    def draw(axes: Axes) -> None:
        for position, (name, values) in enumerate(parts.items()):
            left = place - 0.4 + (position + 0.5) * width
            axes.bar(left, values, width=width * 0.94, color=stand_in(name, names), linewidth=0)
        axes.plot(place, total, linestyle="none", marker="D", markersize=5, color=_INK)
        _group_axes(axes, place, x_label)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(_signed_share))
        y_axis_label(axes, y_label)

    return draw_svg(draw, description, names), colour_variables(names)


def _group_axes(axes: Axes, place: NDArray[np.int64], x_label: str) -> None:
    axes.axhline(0.0, color=_SOFT, linewidth=0.8)
    axes.set_xticks(place)
    axes.set_xlim(0.4, len(place) + 0.6)
    axes.set_xlabel(x_label)


def _signed_share(value: float, _position: object) -> str:
    # What is left of 0 after floating-point steps between ticks has no sign.
    percent = round(value * 100, 9)
    return f"{percent:+g}\u00a0%".replace("-", MINUS) if percent else "0"


def _time_unit(largest_s: float) -> tuple[float, str]:
    return (SECONDS_PER_MINUTE, "minutes") if largest_s >= 3 * SECONDS_PER_MINUTE else (1.0, "seconds")


def _share_axis(axes: Axes, x_label: str) -> None:
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g}\u00a0%"))
    axes.set_xlabel(x_label)
    y_axis_label(axes, "share of trips")


def y_axis_label(axes: Axes, label: str) -> None:
    """Name the vertical axis."""
    axes.set_ylabel(label)
    # At a fixed place, whatever the width of the tick labels.
    axes.yaxis.set_label_coords(-56 / (WIDTH_PX - _MARGINS_PX[0] - _MARGINS_PX[2]), 0.5)


def stand_in(world: str, worlds: list[str]) -> str:
    """Return the colour to draw a world (or another series) with; `draw_svg` exchanges it for its CSS variable."""
    if world in _WORLD_COLOURS:
        return _WORLD_COLOURS[world]
    return _OTHER_COLOURS[[name for name in worlds if name not in _WORLD_COLOURS].index(world) % len(_OTHER_COLOURS)]


def draw_svg(draw: Callable[[Axes], None], description: str, worlds: list[str]) -> str:
    """Draw on a figure of the house's style and return its SVG element with CSS variables for colours."""
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": description,
        "font.size": 13,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.edgecolor": _SOFT,
        "axes.labelcolor": _SOFT,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": _GRID,
        "xtick.color": _SOFT,
        "ytick.color": _SOFT,
        "ytick.major.size": 0,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH_PX / _DPI, HEIGHT_PX / _DPI), dpi=_DPI)
        # Fixed margins: searching for tight ones would double the time of a chart.
        left, bottom, right, top = _MARGINS_PX
        axes = figure.add_axes(
            (left / WIDTH_PX, bottom / HEIGHT_PX, 1 - (left + right) / WIDTH_PX, 1 - (bottom + top) / HEIGHT_PX)
        )
        draw(axes)
        page = io.StringIO()
        figure.savefig(page, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _adapted(page.getvalue(), description, worlds)


def _adapted(svg: str, description: str, worlds: list[str]) -> str:
    """Cut matplotlib's page down to an element of HTML: no prologue, no style of its own, unique ids, colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    viewbox = f'viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}"'
    svg = re.sub(r"<svg [^>]*>", lambda _: f'<svg role="img" aria-label="{label}" {viewbox}>', svg, count=1)
    svg = re.sub(r'font: ([\d.]+px)[^;"]*', r"font-size: \1", svg)
    prefix = re.sub(r"\W+", "-", description.lower())[:24]
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = svg.replace("xlink:href", "href")
    variables = colour_variables(worlds or list(_WORLD_COLOURS))
    stand_ins = _VARIABLES | {stand_in(world, worlds or list(_WORLD_COLOURS)): variable for world, variable in variables.items()}
    for colour, variable in stand_ins.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg
