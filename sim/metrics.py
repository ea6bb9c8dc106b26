"""Every reported number: pure functions, each with its formula and unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn

LEAST_MARGIN_FACTOR = 200.0
"""Least multiple of the relative gap that the interval allows for the equilibrium's total."""
ROUNDING_GAP = 2.0**-49
"""A relative gap below this is rounding, and so is what the total may be off."""
_SEEN_WITHIN = 100.0
WIDEST_INTERVAL = 0.001
WIDEST_SHARE_OF_EXCESS = 0.1


def geh(flow_vph: FloatColumn, count_vph: FloatColumn) -> FloatColumn:
    """Return the GEH statistic of flows v against counts c, vehicles an hour: sqrt(2 (v - c)^2 / (v + c)), 0 where both are 0.

    Below 5 counts as a good fit of an hourly flow (UK Department for Transport, TAG unit M3.1). It grows with the square root of
    the scale, so that flows of another period than an hour have another GEH.
    """
    both = flow_vph + count_vph
    squared = np.divide(2.0 * (flow_vph - count_vph) ** 2, both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(np.sqrt(squared))


@dataclass(frozen=True)
class PriceOfAnarchy:
    """The Price of Anarchy with its interval, or why it is withheld.

    Attributes
    ----------
    ratio
        Mean travel time selfish / mean travel time optimum (generalised cost where fixed costs exist); None where it is
        withheld.
    interval
        See `price_of_anarchy`.
    withheld
        The reason, or None.
    """

    ratio: float | None
    interval: tuple[float, float]
    withheld: str | None


def equilibrium_margin(total_costs_s: Sequence[float], relative_gaps: Sequence[float]) -> float:
    """Return the empirical margin of an equilibrium's total, as a share of it.

    The total at relative gap g differs from that of the exact equilibrium by a multiple of g, which depends on the network,
    or, where an unused path is as cheap as the used ones (as Pigou's is), by a multiple of sqrt(g). Margin = the larger of
    200 g and twice max ``|T_i - T| / T * sqrt(g / g_i)``, over the iterations i with g < g_i <= 100 g. Nothing proves it: it is
    checked in the tests against solutions at 1e-12. The largest error seen on benchmark networks at 0.1 to 3 times their
    demand and on random networks was 163 g.

    Parameters
    ----------
    total_costs_s, relative_gaps
        By iteration, the last one last.
    """
    last_total, last_gap = total_costs_s[-1], max(relative_gaps[-1], ROUNDING_GAP)
    if last_total <= 0.0:
        return 0.0
    seen = [
        abs(total - last_total) / last_total * math.sqrt(last_gap / gap)
        for total, gap in zip(total_costs_s[:-1], relative_gaps[:-1], strict=True)
        if last_gap < gap <= _SEEN_WITHIN * last_gap
    ]
    return max(LEAST_MARGIN_FACTOR * last_gap, 2.0 * max(seen, default=0.0))


def price_of_anarchy(
    equilibrium_total_s: float, equilibrium_margin: float, optimum_total_s: float, optimum_lower_bound_s: float
) -> PriceOfAnarchy:
    """Return the ratio, its interval and whether it is withheld.

    Ratio = equilibrium total / optimum total found. Interval = [E (1 - m) / Z, E (1 + m) / L] with E the equilibrium total, m
    its empirical margin, Z the optimum total found (at least the true one) and L the proven lower bound of the optimum; cut
    at 1, which the true ratio is never below. Withheld when the interval is wider than max(0.001, 0.1 (ratio - 1)).
    """
    if optimum_total_s <= 0.0 or optimum_lower_bound_s <= 0.0:
        return PriceOfAnarchy(None, (1.0, float("inf")), "the optimum's total, or its lower bound, is not above zero")
    ratio = max(1.0, equilibrium_total_s / optimum_total_s)
    low = max(1.0, equilibrium_total_s * (1.0 - equilibrium_margin) / optimum_total_s)
    high = max(low, equilibrium_total_s * (1.0 + equilibrium_margin) / optimum_lower_bound_s)
    widest = max(WIDEST_INTERVAL, WIDEST_SHARE_OF_EXCESS * (ratio - 1.0))
    if high - low > widest:
        reason = f"the gaps leave an interval of width {high - low:.2g}, wider than the {widest:.2g} that supports a ratio"
        return PriceOfAnarchy(None, (low, high), reason)
    return PriceOfAnarchy(ratio, (low, high), None)
