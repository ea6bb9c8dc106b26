"""Powers other than 4: none at all, and between 0 and 1, where the slope at no flow is infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM


def test_power_0_is_a_constant_of_one_plus_alpha() -> None:
    network = network_of([(0, 1, 10.0, 1.0, 0.5, 0.0), (0, 1, 20.0, 1.0, 0.5, 0.0)], zones=[0, 1])
    solved = {principle: solve(problem_of(network, [(0, 1, 7.0)]), principle, gap=1e-12) for principle in Principle}
    for found in solved.values():
        np.testing.assert_array_equal(found.flow_vph, [7.0, 0.0])
        assert found.total_cost_s == pytest.approx(7.0 * 15.0)
        assert found.beckmann == pytest.approx(7.0 * 15.0)
        assert (found.iterations, found.relative_gap) == (0, 0.0)
    price = price_of_assignments(solved)
    assert price is not None and price.ratio == pytest.approx(1.0, abs=1e-12)


def test_power_one_half() -> None:
    # 1 + sqrt(v) and 1.5 + sqrt(w), v + w = 1: with s = sqrt(v), r = sqrt(w) equal costs say s - r = 1/2 and s^2 + r^2 = 1.
    network = network_of([(0, 1, 1.0, 1.0, 1.0, 0.5), (0, 1, 1.5, 1.0, 1.0 / 1.5, 0.5)], zones=[0, 1])
    problem = problem_of(network, [(0, 1, 1.0)])

    def share(difference: float) -> float:
        return ((difference + math.sqrt(2.0 - difference**2)) / 2.0) ** 2

    equilibrium = solve(problem, UE, gap=1e-13)
    assert equilibrium.reached
    np.testing.assert_allclose(equilibrium.flow_vph, [share(0.5), 1.0 - share(0.5)], rtol=1e-9)
    # Marginal costs are 1 + 1.5 s and 1.5 + 1.5 r.
    optimum = solve(problem, SO, gap=1e-13)
    np.testing.assert_allclose(optimum.flow_vph, [share(1 / 3), 1.0 - share(1 / 3)], rtol=1e-9)


def test_power_one_half_leaves_a_dear_link_empty() -> None:
    network = network_of([(0, 1, 1.0, 1.0, 1.0, 0.5), (0, 1, 50.0, 1.0, 1.0, 0.5)], zones=[0, 1])
    solved = solve(problem_of(network, [(0, 1, 1.0)]), UE, gap=1e-13)
    np.testing.assert_array_equal(solved.flow_vph, [1.0, 0.0])
    assert solved.total_cost_s == 2.0


@pytest.mark.parametrize("beta", [0.25, 1.0, 5.2, 8.0])
def test_scaling_demand_and_capacity_scales_the_total(beta: float) -> None:
    rows = [(0, 1, 7.0, 10.0, 0.3, beta), (0, 2, 3.0, 5.0, 0.3, beta), (2, 1, 3.0, 8.0, 0.3, beta), (0, 1, 9.0, 30.0, 0.3, beta)]
    small = solve(problem_of(network_of(rows, zones=[0, 1]), [(0, 1, 40.0)]), UE, gap=1e-13)
    factor = 1e8
    wide = [(tail, head, time, capacity * factor, alpha, power) for tail, head, time, capacity, alpha, power in rows]
    large = solve(problem_of(network_of(wide, zones=[0, 1]), [(0, 1, 40.0 * factor)]), UE, gap=1e-13)
    np.testing.assert_allclose(large.flow_vph, factor * small.flow_vph, rtol=1e-6, atol=1.0)
    assert large.total_cost_s == pytest.approx(factor * small.total_cost_s, rel=1e-9)
