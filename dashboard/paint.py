"""From link flows to what the map shows: one byte a link and map, and the scale that explains it.

A frame, little-endian: uint32[4] (day, n_links, n_vehicles, n_maps), n_vehicles positions as uint16 pairs, then for each map one
uint8 a link: its colour class in the lower four bits, its width class in the upper four. Static traffic has no vehicles on the
move, so n_vehicles is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sim.arrays import CodeColumn, FloatColumn
from sim.experiments.report_format import MINUS

Palette: TypeAlias = Literal["sequential", "diverging"]

_LOAD_BREAKS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
_DIFFERENCE_BREAKS = (0.01, 0.03, 0.1, 0.3)
_TEXTBOOK_LOAD = 3.0
"""Above this the capacity is no capacity but a parameter of a textbook's formula, and the colours follow the numbers instead."""
_WIDTH_SHARES = (0.1, 0.3, 0.6)
"""Flow, as a share of the flow that one link in 200 exceeds, from which a link is drawn wider."""


@dataclass(frozen=True)
class Scale:
    """Classes of a number: class k holds values from `breaks[k - 1]` up to `breaks[k]`.

    Attributes
    ----------
    palette
        Sequential from little to much, or diverging around no difference.
    title
        What is coloured, with its unit.
    low, high
        What the two ends of the scale mean, in words.
    """

    palette: Palette
    breaks: tuple[float, ...]
    title: str
    low: str
    high: str

    def classes(self, values: FloatColumn) -> CodeColumn:
        """Return the class of each value, 0 to len(breaks)."""
        return np.searchsorted(np.array(self.breaks), values, side="right").astype(np.uint8)


def load_scale(greatest_load: float) -> Scale:
    """Return the scale of volume over capacity for a city whose greatest load at rest is `greatest_load`."""
    if greatest_load <= _TEXTBOOK_LOAD:
        return Scale("sequential", _LOAD_BREAKS, "Volume / capacity", "free", "over capacity")
    step = _round_step(greatest_load / (len(_LOAD_BREAKS) + 1))
    breaks = tuple(step * rung for rung in range(1, len(_LOAD_BREAKS) + 1))
    return Scale("sequential", breaks, "Volume / capacity", "little", "much")


def difference_scale(load: Scale) -> Scale:
    """Return the scale of the difference of two loads, in the proportion of their own scale."""
    factor = load.breaks[-1] / _LOAD_BREAKS[-1]
    above = tuple(float(f"{value * factor:.2g}") for value in _DIFFERENCE_BREAKS)
    breaks = (*(-value for value in reversed(above)), *above)
    return Scale(
        "diverging", breaks, f"Selfish {MINUS} optimum, in volume / capacity", "fuller in the optimum", "fuller when selfish"
    )


def _round_step(number: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least `number` (above 0)."""
    power = 10.0 ** np.floor(np.log10(number))
    return float(next(power * rung for rung in (1.0, 2.0, 2.5, 5.0, 10.0) if power * rung >= number * (1 - 1e-12)))


def width_classes(amount: FloatColumn, full: float) -> CodeColumn:
    """Return 0 to 3 for amounts from nothing to `full` (above 0) and beyond."""
    return np.searchsorted(np.array(_WIDTH_SHARES) * full, amount, side="right").astype(np.uint8)


def full_width(*amounts: FloatColumn) -> float:
    """Return the amount from which a link counts as full: one link in 200 carries more; 1 where nothing is carried."""
    together = np.concatenate(amounts)
    if not len(together):
        return 1.0
    return float(np.quantile(together, 0.995)) or float(together.max()) or 1.0


def link_bytes(colour_class: CodeColumn, width_class: CodeColumn) -> bytes:
    """Return one map of a frame."""
    return np.bitwise_or(colour_class, np.left_shift(width_class, 4)).astype(np.uint8).tobytes()


def frame(day: int, n_links: int, maps: Sequence[bytes]) -> bytes:
    """Return a frame in the module's layout."""
    return b"".join((np.array([day, n_links, 0, len(maps)], "<u4").tobytes(), *maps))
