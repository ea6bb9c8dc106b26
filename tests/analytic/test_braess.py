"""Braess's network at any demand, against its closed form, and the paradox itself.

Links 1-3 and 4-2 take 10 v, 1-4 and 3-2 take 50 + v, 3-4 takes 10 + v. With a travellers on each outer path and c on 1-3-4-2
(demand d = 2 a + c) an outer path costs 10 (a + c) + 50 + a and the middle path 20 (a + c) + 10 + c.

Selfish: only the middle path while 21 d + 10 <= 10 d + 50, that is d <= 40/11; then equal costs give a = (11 d - 40) / 13 until
c = 0 at d = 80/9; then the outer paths alone. Optimal: the same with every slope doubled: 20/11, a = (11 d - 20) / 13, 40/9.
"""

from __future__ import annotations

import numpy as np
import pytest
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle
from sim.network.synthetic import braess

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM
DEMANDS = (0.5, 20 / 11, 2.5, 40 / 11, 4.0, 40 / 9, 6.0, 8.0, 80 / 9, 10.0, 30.0)


def outer_flow(demand: float, only_middle: float) -> float:
    """Return a; `only_middle` is 40 for the equilibrium, 20 for the optimum."""
    return float(np.clip((11.0 * demand - only_middle) / 13.0, 0.0, demand / 2.0))


def total(demand: float, outer: float) -> float:
    middle = demand - 2.0 * outer
    steep = outer + middle
    # 1e-8 s of free-flow time stand for none on the steep links.
    return 2.0 * steep * (1e-8 + 10.0 * steep) + 2.0 * outer * (50.0 + outer) + middle * (10.0 + middle)


@pytest.mark.parametrize("demand", DEMANDS)
def test_totals_over_demand(demand: float) -> None:
    problem = problem_of(braess(), [(0, 1, demand)])
    equilibrium, optimum = solve(problem, UE, gap=1e-13), solve(problem, SO, gap=1e-13)
    # Where a path is about to be used, its flow is known to the root of the gap only.
    assert equilibrium.total_cost_s == pytest.approx(total(demand, outer_flow(demand, 40.0)), rel=1e-6)
    assert optimum.total_cost_s == pytest.approx(total(demand, outer_flow(demand, 20.0)), rel=1e-10)
    price = price_of_assignments({UE: equilibrium, SO: optimum})
    assert price is not None and price.ratio is not None
    assert price.interval[0] - 1e-6 <= equilibrium.total_cost_s / optimum.total_cost_s <= price.interval[1] + 1e-6


def test_textbook_demand() -> None:
    assert total(6.0, outer_flow(6.0, 40.0)) == pytest.approx(552.0, rel=1e-9)
    assert total(6.0, outer_flow(6.0, 20.0)) == pytest.approx(498.0, rel=1e-9)
    solved = {principle: solve(problem_of(braess(), [(0, 1, 6.0)]), principle, gap=1e-12) for principle in Principle}
    np.testing.assert_allclose(solved[UE].flow_vph, [4.0, 2.0, 2.0, 2.0, 4.0], rtol=1e-8)
    np.testing.assert_allclose(solved[SO].flow_vph, [3.0, 3.0, 3.0, 0.0, 3.0], rtol=1e-8, atol=1e-8)


def test_paradox_a_street_less_is_time_saved() -> None:
    with_street = braess()
    keep = np.array([0, 1, 2, 4])
    rows = [
        (int(with_street.tail_idx[link]), int(with_street.head_idx[link]), float(with_street.free_flow_time_s[link]),
         float(with_street.capacity_vph[link]), float(with_street.bpr_alpha[link]), float(with_street.bpr_beta[link]))
        for link in keep
    ]  # fmt: skip
    without = network_of(rows, zones=[0, 1])
    cells = [(0, 1, 6.0)]
    assert solve(problem_of(with_street, cells), UE, gap=1e-12).total_cost_s == pytest.approx(552.0)
    assert solve(problem_of(without, cells), UE, gap=1e-12).total_cost_s == pytest.approx(498.0)
