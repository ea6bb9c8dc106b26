"""From link columns to what the map shows: a byte a link, four bytes a vehicle, and the scale that explains the colours.

A frame, little-endian: uint32[4] (clock in seconds or NO_CLOCK, n_links, n_maps, links_version); uint32 n_vehicles[n_maps];
for each map its vehicles, uint32 each (from the lowest bit: 2 bits mark, 10 bits part of the link driven, 20 bits drawn link);
then for each map one uint8 a link (its colour class in the lower four bits, its width class in the upper four), unless n_links
is 0: then the links are those of the frame before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.arrays import CodeColumn, FloatColumn, IndexColumn
from sim.experiments.report_format import MINUS

Palette: TypeAlias = Literal["sequential", "diverging"]

NO_CLOCK: Final = 0xFFFFFFFF
MOST_LINKS: Final = 1 << 20
"""Links from which on no vehicles are drawn."""
PLAIN, UNDER_CONTRACT, FOLLOWED = 0, 1, 2
"""Marks of vehicles."""

_LOAD_BREAKS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
_DIFFERENCE_BREAKS = (0.01, 0.03, 0.1, 0.3)
_SPEED_BREAKS = (0.95, 0.85, 0.7, 0.55, 0.4, 0.25)
_EXTERNAL_BREAKS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
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
    breaks
        Ascending; descending where the small values are what matters.
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
        breaks = np.array(self.breaks)
        if len(breaks) > 1 and breaks[0] > breaks[-1]:
            return np.searchsorted(-breaks, -values, side="right").astype(np.uint8)
        return np.searchsorted(breaks, values, side="right").astype(np.uint8)


def load_scale(greatest_load: float) -> Scale:
    """Return the scale of volume over capacity for a city whose greatest load at rest is `greatest_load`."""
    if greatest_load <= _TEXTBOOK_LOAD:
        return Scale("sequential", _LOAD_BREAKS, "Volume / capacity", "free", "over capacity")
    step = _round_step(greatest_load / (len(_LOAD_BREAKS) + 1))
    breaks = tuple(step * rung for rung in range(1, len(_LOAD_BREAKS) + 1))
    return Scale("sequential", breaks, "Volume / capacity", "little", "much")


SPEED_SCALE = Scale("sequential", _SPEED_BREAKS, "Speed, share of free flow", "free flow", "standstill")
EXTERNAL_SCALE = Scale(
    "sequential", _EXTERNAL_BREAKS, "Marginal cost: delay that one more vehicle causes others, s", "none", "much"
)


def difference_scale(of: Scale, first: str, second: str) -> Scale:
    """Return the scale of first minus second, in the proportion of their own scale.

    Where small values are what matters (speed), the colours turn round: purple is always where the first map is worse.
    """
    falling = of.breaks[0] > of.breaks[-1]
    factor = of.breaks[-1] / _LOAD_BREAKS[-1] if not falling else 1.0
    above = tuple(float(f"{value * factor:.2g}") for value in _DIFFERENCE_BREAKS)
    breaks = (*(-value for value in reversed(above)), *above)
    title = of.title[0].lower() + of.title[1:]
    return Scale(
        "diverging",
        tuple(reversed(breaks)) if falling else breaks,
        f"{first} {MINUS} {second.lower()}, {title}",
        f"worse on the right ({second.lower()})",
        f"worse on the left ({first.lower()})",
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


def vehicle_words(drawn_link: IndexColumn, fraction: FloatColumn, mark: CodeColumn) -> NDArray[np.uint32]:
    """Return one word a vehicle in the module's layout; `fraction` in 0..1."""
    step = np.minimum((fraction * 1024.0).astype(np.uint32), np.uint32(1023))
    words = (drawn_link.astype(np.uint32) << np.uint32(12)) | (step << np.uint32(2)) | mark.astype(np.uint32)
    return np.asarray(words, dtype=np.uint32)


def frame(
    clock_s: float | None, n_links: int, vehicles: Sequence[NDArray[np.uint32]], maps: Sequence[bytes], links_version: int = 0
) -> bytes:
    """Return a frame in the module's layout; no `maps` leave the links as they are."""
    clock = NO_CLOCK if clock_s is None else int(clock_s)
    header = np.array([clock, n_links if maps else 0, len(vehicles), links_version], "<u4")
    counts = np.array([len(words) for words in vehicles], "<u4")
    return b"".join((header.tobytes(), counts.tobytes(), *(words.astype("<u4").tobytes() for words in vehicles), *maps))
