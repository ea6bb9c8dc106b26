"""Link cost and its slope for one or all links.

Cost of link a at flow v: `base[a] + slope[a] * (v * inverse_capacity[a]) ** power[a]`, with 0 ** 0 = 1. With base = free-flow
time + fixed cost and slope = free-flow time * alpha this is the generalised BPR cost; with slope * (1 + power) it is its
marginal cost, because d(v t(v))/dv = t + v t'(v).
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn
from sim.kernels._jit import kernel


@kernel
def cost_and_slope(flow: float, base: float, slope: float, inverse_capacity: float, power: float) -> tuple[float, float]:
    """Return cost and d cost / d flow of one link. The slope is infinite at zero flow where 0 < power < 1."""
    ratio = flow * inverse_capacity
    if power == 0.0 or slope == 0.0:
        return base + slope, 0.0
    if power == 4.0:  # nearly every network has it, and a general power costs ten times as much
        cube = ratio * ratio * ratio
        return base + slope * cube * ratio, 4.0 * slope * inverse_capacity * cube
    if power == 1.0:
        return base + slope * ratio, slope * inverse_capacity
    if ratio == 0.0:
        return base, (np.inf if power < 1.0 else 0.0)
    grown = slope * ratio**power
    return base + grown, power * inverse_capacity * grown / ratio


@kernel
def layer_cost_and_slope(
    total: float, own: float, own_weight: float, base: float, slope: float, inverse_capacity: float, power: float
) -> tuple[float, float]:
    """Return cost and d cost / d own flow of a link for a class whose flow is `own` of `total`.

    A class that counts what it causes to itself has c = t(v) + w x t'(v), with x its own flow and w its own weight, so that
    dc/dx = (1 + w) t' + w x t''. For a power p, x t' is p (x / v) (t - base) and x t'' is (p - 1) (x / v) t'.
    """
    cost, cost_slope = cost_and_slope(total, base, slope, inverse_capacity, power)
    share = own / total if total > 0.0 else 0.0
    if own_weight == 0.0 or cost_slope == np.inf or cost_slope == 0.0:
        return cost, cost_slope
    return (
        cost + own_weight * power * share * (cost - base),
        cost_slope * (1.0 + own_weight * (1.0 + (power - 1.0) * share)),
    )


@kernel
def all_costs(
    flow: FloatColumn,
    base: FloatColumn,
    slope: FloatColumn,
    inverse_capacity: FloatColumn,
    power: FloatColumn,
    cost: FloatColumn,
    cost_slope: FloatColumn,
) -> None:
    """Write cost and slope of every link, shapes (n_links,)."""
    for link in range(len(flow)):
        cost[link], cost_slope[link] = cost_and_slope(flow[link], base[link], slope[link], inverse_capacity[link], power[link])


@kernel
def compensated_dot(left: FloatColumn, right: FloatColumn) -> float:
    """Return sum(left * right) by Neumaier's compensated summation (1974), in index order.

    A relative gap of 1e-12 is the difference of two such sums, which a plain sum over many links would blur.
    """
    total = 0.0
    lost = 0.0
    for index in range(len(left)):
        term = left[index] * right[index]
        new_total = total + term
        if abs(total) >= abs(term):
            lost += (total - new_total) + term
        else:
            lost += (term - new_total) + total
        total = new_total
    return total + lost
