"""What the charts show of a scene."""

from __future__ import annotations

import anywidget
import traitlets

from dashboard.city_map import script
from dashboard.figures import gap_by_day, ratio_by_day
from dashboard.scene import Scene


class LineChart(anywidget.AnyWidget):
    """A line over days on a small canvas.

    Attributes
    ----------
    title
        What is drawn, with its unit.
    values
        One number a day, from day 0.
    level, level_label
        A horizontal line to compare with (None: none) and its name.
    logarithmic
        Whether the y axis is; values that are not above 0 are left out then.
    """

    _esm = script("palette.js", "line_chart.js")

    title = traitlets.Unicode("").tag(sync=True)
    values = traitlets.List(traitlets.Float()).tag(sync=True)
    level = traitlets.Float(None, allow_none=True).tag(sync=True)
    level_label = traitlets.Unicode("").tag(sync=True)
    logarithmic = traitlets.Bool(False).tag(sync=True)


class Charts:
    """The charts of one visitor: the Price of Anarchy and the relative gap, day by day."""

    def __init__(self) -> None:
        self.ratio = LineChart(title="Price of Anarchy by day", level_label="at equilibrium")
        self.gap = LineChart(title="Relative gap: how far from rest", level_label="rest", logarithmic=True)

    def show(self, scene: Scene) -> None:
        """Show the days of a scene."""
        with self.ratio.hold_sync():
            self.ratio.level = scene.solved.price.ratio if scene.solved is not None else None
            self.ratio.values = ratio_by_day(scene)
        with self.gap.hold_sync():
            wanted = scene.city.built.spec.traffic.atomic_gap if scene.city is not None else 0.0
            self.gap.level = wanted if wanted > 0.0 else None
            self.gap.values = gap_by_day(scene)
