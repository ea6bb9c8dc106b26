"""Slow twins of `sim.kernels.costs` and of the Beckmann objective: the formula as it is written, for one link."""

from __future__ import annotations

import math
from fractions import Fraction

from scipy.integrate import quad


def cost_s(
    flow_vph: float, free_flow_time_s: float, capacity_vph: float, alpha: float, beta: float, fixed_s: float = 0.0
) -> float:
    """Return free-flow time * (1 + alpha (flow / capacity) ** beta) + fixed cost; Python's 0.0 ** 0.0 is 1."""
    return free_flow_time_s * (1.0 + alpha * (flow_vph / capacity_vph) ** beta) + fixed_s


def marginal_cost_s(
    flow_vph: float, free_flow_time_s: float, capacity_vph: float, alpha: float, beta: float, fixed_s: float = 0.0
) -> float:
    """Return t + v dt/dv, which is d(v t(v)) / dv."""
    congestion = free_flow_time_s * alpha * (flow_vph / capacity_vph) ** beta
    return free_flow_time_s + congestion + beta * congestion + fixed_s


def beckmann_integral(
    flow_vph: float, free_flow_time_s: float, capacity_vph: float, alpha: float, beta: float, fixed_s: float = 0.0
) -> float:
    """Return the integral of the cost from 0 to the flow, by quadrature."""
    value, _ = quad(
        lambda flow: cost_s(flow, free_flow_time_s, capacity_vph, alpha, beta, fixed_s),
        0.0,
        flow_vph,
        epsabs=0.0,
        epsrel=1e-11,
        limit=200,
    )
    return float(value)


def numeric_slope(flow_vph: float, free_flow_time_s: float, capacity_vph: float, alpha: float, beta: float) -> float:
    """Return dt/dv by a central difference."""
    step = 1e-5 * max(flow_vph, 1e-3 * capacity_vph)
    above = cost_s(flow_vph + step, free_flow_time_s, capacity_vph, alpha, beta)
    below = cost_s(flow_vph - step, free_flow_time_s, capacity_vph, alpha, beta)
    return (above - below) / (2.0 * step)


def exact_dot(left: list[float], right: list[float]) -> float:
    """Return sum(left * right) without any rounding but the last."""
    return float(sum((Fraction(a) * Fraction(b) for a, b in zip(left, right, strict=True)), Fraction(0)))


def pigou_price_of_anarchy(power: float) -> float:
    """Return the Price of Anarchy of Pigou's network with cost flow ** power: 1 / (1 - p (p + 1) ** -((p + 1) / p))."""
    return 1.0 / (1.0 - power * math.pow(power + 1.0, -(power + 1.0) / power))
