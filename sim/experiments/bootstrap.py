"""Bootstrap intervals of means, by resampling whole units (Efron 1979, Annals of Statistics 7, "Bootstrap methods").

The mean of units i with weight w_i and value d_i is sum w d / sum w. Units are drawn with replacement, as many as there are; the
interval runs from the 2.5 % to the 97.5 % quantile of the means of the draws. The draws come from a fixed stream, so the same
values give the same interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.rng import stream

COVERAGE = 0.95
_MOST_RESAMPLES = 2000
_FEWEST_RESAMPLES = 200
_MOST_DRAWS = 20_000_000
"""Draws altogether: large tables get fewer resamples, of which each is steadier."""


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its bootstrap interval; the interval is None where a single unit leaves nothing to resample."""

    mean: float
    interval: tuple[float, float] | None


def mean_interval(values: FloatColumn, weight: FloatColumn | None = None) -> MeanInterval:
    """Return the weighted mean of at least one unit with its 95 % interval.

    Parameters
    ----------
    values
        One value a unit, finite, shape (n,), n at least 1.
    weight
        Weights above 0, shape (n,); 1 each unless given.
    """
    weight = np.ones(len(values)) if weight is None else weight
    mean = float(np.average(values, weights=weight))
    n_units = len(values)
    if n_units < 2:
        return MeanInterval(mean, None)
    if float(np.ptp(values)) == 0.0:
        return MeanInterval(mean, (mean, mean))
    weighted = values * weight
    n_resamples = int(np.clip(_MOST_DRAWS // n_units, _FEWEST_RESAMPLES, _MOST_RESAMPLES))
    generator = stream(0, "bootstrap", n_units)
    means = np.empty(n_resamples)
    for row in range(n_resamples):
        drawn = generator.integers(0, n_units, n_units)
        means[row] = weighted[drawn].sum() / weight[drawn].sum()
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return MeanInterval(mean, (float(low), float(high)))
