"""What the charts show of a scene."""

from __future__ import annotations

import math
from typing import Any

import anywidget
import traitlets

from dashboard.city_map import script
from dashboard.figures import ratio_of, ratios_by_day
from dashboard.scene import Moment, Scene

LEFT_INK, RIGHT_INK, LEVEL_INK = "--rp-left", "--rp-right", "--rp-level"
_TRACE_STEP_S = 60.0


class LineChart(anywidget.AnyWidget):
    """Lines over days, or over the time of a day, on a small canvas.

    Attributes
    ----------
    plot
        What `static/plot.js` draws.
    """

    _esm = script("palette.js", "plot.js", "line_chart.js")

    plot = traitlets.Dict().tag(sync=True)


def plot(title: str, series: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a plot with every key that `static/plot.js` reads."""
    plain: dict[str, Any] = {
        "levels": [],
        "band": None,
        "first": 0.0,
        "step": 1.0,
        "axis": "day",
        "log": False,
        "decimals": 2,
        "count": 0,
    }
    return {"title": title, "series": series, **plain, **more}


def line(name: str, ink: str, values: list[float] | list[float | None], *, dashed: bool = False) -> dict[str, Any]:
    """Return one line of a plot."""
    return {"name": name, "ink": ink, "values": list(values), "dashed": dashed}


def price_plot(scene: Scene) -> dict[str, Any]:
    """Return the Price of Anarchy by day: both worlds, the optimum, and the interval at equilibrium."""
    left, right = scene.left, scene.right
    if left is None or right is None or scene.solved is None:
        return plot("Price of Anarchy by day", [])
    rights = ratios_by_day(scene, right)
    level = ratio_of(scene, left)
    lefts: list[float | None] = [level] * len(rights) if len(left.days) == 1 else list(ratios_by_day(scene, left))
    return plot(
        "Price of Anarchy by day",
        [line(left.title, LEFT_INK, lefts), line(right.title, RIGHT_INK, rights)],
        levels=[{"value": 1.0, "name": scene.solved.optimum_words, "ink": LEVEL_INK}],
        band=list(scene.solved.price.interval) if math.isfinite(scene.solved.price.interval[1]) else None,
        decimals=4,
    )


def second_plot(scene: Scene) -> dict[str, Any]:
    """Return how many changed their route by day, or for learners how far from rest they are."""
    right = scene.right
    if right is None:
        return plot("Changed their route, by day", [])
    if right.key == "learning":
        gaps = [day.relative_gap for day in right.days]
        return plot("Relative gap: how far from rest", [line(right.title, RIGHT_INK, gaps)], log=True)
    moved = [float(day.moved) for day in right.days]
    return plot("Travellers who changed their route, by day", [line(right.title, RIGHT_INK, moved)], decimals=0)


class DayTrace:
    """What the clock has passed of a day of queue traffic: one value a minute, None where it has not been yet."""

    def __init__(self, end_s: float) -> None:
        self._count = int(end_s / _TRACE_STEP_S) + 1
        self._ratios: list[list[float | None]] = [[], []]
        self._under_way: list[list[float | None]] = [[], []]

    def take(self, moment: Moment) -> None:
        """Note a moment."""
        if moment.spent_s is None:
            return
        place = min(int(moment.clock_s / _TRACE_STEP_S), self._count - 1)
        left, right, optimum = moment.spent_s
        for column, spent in zip(self._ratios, (left, right), strict=True):
            _put(column, place, spent / optimum if optimum > 0.0 else None)
        for column, pane in zip(self._under_way, moment.panes, strict=True):
            _put(column, place, None if pane.under_way is None else float(pane.under_way))

    def plots(self, names: tuple[str, str], optimum_words: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the Price of Anarchy up to each minute, and the vehicles under way."""
        clock = {"axis": "clock", "step": _TRACE_STEP_S, "count": self._count}
        inks = (LEFT_INK, RIGHT_INK)
        ratios = [line(name, ink, values) for name, ink, values in zip(names, inks, self._ratios, strict=True)]
        under_way = [line(name, ink, values) for name, ink, values in zip(names, inks, self._under_way, strict=True)]
        level = [{"value": 1.0, "name": optimum_words, "ink": LEVEL_INK}]
        return (
            plot("Price of Anarchy up to now", ratios, levels=level, decimals=4, **clock),
            plot("Vehicles under way", under_way, decimals=0, **clock),
        )


def _put(column: list[float | None], place: int, value: float | None) -> None:
    if place >= len(column):
        known = column[-1] if column else None
        # The clock may pass several minutes between two moments; lines need no holes.
        column += [known] * (place - len(column)) + [value]
    column[place] = value


class Charts:
    """The charts of one visitor."""

    def __init__(self) -> None:
        self.price = LineChart()
        self.second = LineChart()
        self._trace: DayTrace | None = None
        self._city: object = None

    def show(self, scene: Scene) -> None:
        """Show the days of a scene; a day of queue traffic is shown by the clock instead."""
        if scene.city is not self._city:
            self._city = scene.city
            self._trace = DayTrace(scene.city.end_s) if scene.city is not None and scene.is_queue else None
        if self._trace is None:
            self.price.plot, self.second.plot = price_plot(scene), second_plot(scene)

    def take(self, scene: Scene, moment: Moment) -> None:
        """Show a moment of a day of queue traffic."""
        if self._trace is None or scene.left is None or scene.right is None or scene.solved is None:
            return
        self._trace.take(moment)
        plots = self._trace.plots((scene.left.title, scene.right.title), scene.solved.optimum_words)
        self.price.plot, self.second.plot = plots
