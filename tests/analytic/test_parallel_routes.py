"""Links side by side: the used ones share one (marginal) cost T; their flows invert it and sum to the demand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference.small_networks import network_of, problem_of
from scipy.optimize import brentq

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import parallel, parallel_demand_vph


def flows_at(common_cost_s: float, network: RoadNetwork, factor: float) -> np.ndarray:
    """Return the flow v of each link at which its time t0 (1 + factor alpha (v / c) ** beta) is the common cost, or 0."""
    excess = np.maximum(common_cost_s / network.free_flow_time_s - 1.0, 0.0)
    return np.asarray(network.capacity_vph * (excess / (factor * network.bpr_alpha)) ** (1.0 / network.bpr_beta))


def closed_form(network: RoadNetwork, demand: float, factor: float) -> np.ndarray:
    missing: Callable[[float], float] = lambda cost: float(flows_at(cost, network, factor).sum()) - demand  # noqa: E731
    return flows_at(brentq(missing, network.free_flow_time_s.min(), 1e9, xtol=1e-12, rtol=1e-15), network, factor)


@pytest.mark.parametrize("routes", [2, 3, 10, 30])
@pytest.mark.parametrize("load", [0.05, 0.5, 1.0, 3.0])
def test_bpr_links(routes: int, load: float) -> None:
    network = parallel(routes)
    demand = load * parallel_demand_vph(routes)
    problem = problem_of(network, [(0, 1, demand)])
    for principle, factor in ((Principle.USER_EQUILIBRIUM, 1.0), (Principle.SYSTEM_OPTIMUM, 5.0)):
        solved = solve(problem, principle, gap=1e-13)
        # So many routes in one node were once moved one pair an iteration: 30 routes stood at 1e-9 after 300 iterations.
        assert solved.reached and solved.iterations <= 60
        expected = closed_form(network, demand, factor)
        np.testing.assert_allclose(solved.flow_vph, expected, rtol=1e-6, atol=1e-6 * demand)
        time_s = network.free_flow_time_s * (1.0 + network.bpr_alpha * (expected / network.capacity_vph) ** network.bpr_beta)
        assert solved.total_time_s == pytest.approx(float(expected @ time_s), rel=1e-9)


def test_two_affine_links() -> None:
    # 10 + v and 20 + 2 v at demand 25: equal costs at v = 20 and 5 (30 each, 750 in all); equal marginal costs
    # 10 + 2 v = 20 + 4 w at v = 55/3 and w = 20/3.
    network = network_of([(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 20.0, 10.0, 1.0, 1.0)], zones=[0, 1])
    problem = problem_of(network, [(0, 1, 25.0)])
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-12)
    np.testing.assert_allclose(equilibrium.flow_vph, [20.0, 5.0], rtol=1e-10)
    assert equilibrium.total_cost_s == pytest.approx(750.0)
    assert equilibrium.beckmann == pytest.approx(20 * 10 + 200 + 5 * 20 + 25)
    optimum = solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-12)
    np.testing.assert_allclose(optimum.flow_vph, [55 / 3, 20 / 3], rtol=1e-10)
    v, w = 55 / 3, 20 / 3
    assert optimum.total_cost_s == pytest.approx(v * (10 + v) + w * (20 + 2 * w))


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_links_with_the_same_ends_are_one_wide_link(beta: float) -> None:
    twice = network_of(
        [(0, 1, 60.0, 100.0, 0.15, beta), (0, 1, 60.0, 100.0, 0.15, beta), (1, 2, 5.0, 80.0, 0.15, beta)], zones=[0, 2]
    )
    wide = network_of([(0, 1, 60.0, 200.0, 0.15, beta), (1, 2, 5.0, 80.0, 0.15, beta)], zones=[0, 2])
    for principle in Principle:
        solved = solve(problem_of(twice, [(0, 1, 300.0)]), principle, gap=1e-13)
        np.testing.assert_allclose(solved.flow_vph, [150.0, 150.0, 300.0], rtol=1e-7)
        expected = solve(problem_of(wide, [(0, 1, 300.0)]), principle, gap=1e-13).total_cost_s
        assert solved.total_cost_s == pytest.approx(expected, rel=1e-12)
