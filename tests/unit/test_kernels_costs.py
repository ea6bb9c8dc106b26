from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.link_costs import beckmann_integral, cost_s, exact_dot, marginal_cost_s, numeric_slope
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import beckmann
from sim.assignment.problem import Principle, refresh_costs
from sim.kernels.costs import all_costs, compensated_dot, cost_and_slope

BETAS = (0.0, 0.5, 1.0, 2.0, 4.0, 5.2, 8.0)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    flow=st.floats(0.0, 1e6),
    time_s=st.floats(0.0, 1e4),
    capacity=st.floats(1.0, 1e6),
    alpha=st.floats(0.0, 10.0),
    beta=st.sampled_from(BETAS),
    fixed=st.floats(0.0, 100.0),
)
def test_cost_is_the_formula(flow: float, time_s: float, capacity: float, alpha: float, beta: float, fixed: float) -> None:
    cost, _ = cost_and_slope(flow, time_s + fixed, time_s * alpha, 1.0 / capacity, beta)
    assert cost == pytest.approx(cost_s(flow, time_s, capacity, alpha, beta, fixed), rel=1e-12, abs=1e-300)
    marginal, _ = cost_and_slope(flow, time_s + fixed, time_s * alpha * (1.0 + beta), 1.0 / capacity, beta)
    assert marginal == pytest.approx(marginal_cost_s(flow, time_s, capacity, alpha, beta, fixed), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("flow", [50.0, 70.0, 3000.0])
def test_slope_is_the_derivative(beta: float, flow: float) -> None:
    _, slope = cost_and_slope(flow, 20.0, 20.0 * 0.15, 1.0 / 100.0, beta)
    assert slope == pytest.approx(numeric_slope(flow, 20.0, 100.0, 0.15, beta), rel=1e-6, abs=1e-12)


def test_no_flow() -> None:
    # Power 0 counts as congested from the start, since 0 ** 0 is 1.
    assert cost_and_slope(0.0, 10.0, 5.0, 1.0, 0.0) == (15.0, 0.0)
    assert cost_and_slope(0.0, 10.0, 5.0, 1.0, 0.5) == (10.0, math.inf)
    assert cost_and_slope(0.0, 10.0, 5.0, 2.0, 1.0) == (10.0, 10.0)
    assert cost_and_slope(0.0, 10.0, 5.0, 1.0, 3.0) == (10.0, 0.0)
    assert cost_and_slope(7.0, 10.0, 0.0, 1.0, 0.5) == (10.0, 0.0)


@pytest.mark.parametrize("flow", [5e-324, 1e-300, 1e-30, 1e12])
@pytest.mark.parametrize("capacity", [1e-6, 1.0, 1e12])
@pytest.mark.parametrize("beta", [0.01, 0.5, 1.0, 4.0, 8.0])
def test_extremes_stay_finite(flow: float, capacity: float, beta: float) -> None:
    # flow ** (power - 1) alone would overflow for the smallest flows at powers below 1.
    cost, slope = cost_and_slope(flow, 10.0, 1.5, 1.0 / capacity, beta)
    assert math.isfinite(cost) and cost >= 10.0
    assert slope >= 0.0 and not math.isnan(slope)


def test_all_costs_writes_every_link() -> None:
    flow = np.array([0.0, 5.0, 20.0])
    base, slope, inverse, power = (
        np.array([1.0, 2.0, 3.0]),
        np.array([1.0, 1.0, 2.0]),
        np.array([0.1, 0.2, 0.5]),
        np.array([1.0, 4.0, 0.5]),
    )
    cost, cost_slope = np.empty(3), np.empty(3)
    all_costs(flow, base, slope, inverse, power, cost, cost_slope)
    expected = [cost_and_slope(*row) for row in zip(flow, base, slope, inverse, power, strict=True)]
    assert list(zip(cost.tolist(), cost_slope.tolist(), strict=True)) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(-1e10, 1e10), st.floats(-1e10, 1e10)), max_size=40))
def test_compensated_dot_against_fractions(rows: list[tuple[float, float]]) -> None:
    left, right = (np.array([row[column] for row in rows]) for column in range(2))
    products = [float(a * b) for a, b in rows]
    exact = exact_dot(products, [1.0] * len(products))
    assert compensated_dot(left, right) == pytest.approx(exact, rel=1e-15, abs=1e-30 * sum(map(abs, products)))


def test_compensation_is_needed() -> None:
    left = np.array([1e16, 1.0, -1e16])
    assert compensated_dot(left, np.ones(3)) == 1.0
    assert float(left[0] + left[1] + left[2]) == 0.0


@pytest.mark.parametrize("beta", BETAS)
def test_beckmann_is_the_integral_of_the_costs(beta: float) -> None:
    rows = [(0, 1, 7.0, 10.0, 0.3, beta), (1, 2, 3.0, 50.0, 0.15, beta), (0, 2, 0.0, 5.0, 1.0, beta)]
    network = network_of(rows, zones=[0, 2], fixed_cost_s=[0.0, 2.5, 1.0])
    problem = problem_of(network, [(0, 1, 1.0)])
    flow = np.array([12.0, 80.0, 3.0])
    links = zip(
        flow.tolist(),
        network.free_flow_time_s,
        network.capacity_vph,
        network.bpr_alpha,
        network.bpr_beta,
        network.fixed_cost_s,
        strict=True,
    )
    expected = sum(beckmann_integral(*(float(value) for value in link)) for link in links)
    assert beckmann(problem, flow[problem.link_order]) == pytest.approx(expected, rel=1e-9)


def test_links_carry_the_principle() -> None:
    network = network_of([(1, 0, 5.0, 10.0, 0.2, 4.0), (0, 1, 3.0, 20.0, 0.5, 1.0)], zones=[0, 1], fixed_cost_s=[1.0, 0.0])
    problem = problem_of(network, [(0, 1, 1.0)])
    for principle, price in ((Principle.USER_EQUILIBRIUM, cost_s), (Principle.SYSTEM_OPTIMUM, marginal_cost_s)):
        links = problem.links(principle)
        links.flow[:] = [30.0, 12.0]
        refresh_costs(links)
        # Links stand by tail here: 0 -> 1 first.
        assert problem.in_network_order(links.flow).tolist() == [12.0, 30.0]
        assert links.cost.tolist() == pytest.approx([price(30.0, 3.0, 20.0, 0.5, 1.0), price(12.0, 5.0, 10.0, 0.2, 4.0, 1.0)])
