"""Pigou's two links: one takes 1 s, the other flow ** power. Selfish demand of 1 all takes the second; a part of it should not.

Worked by hand: marginal cost (p + 1) x ** p = 1 gives x = (p + 1) ** (-1 / p) on the second link, total 1 - x + x ** (p + 1).
"""

from __future__ import annotations

import pytest
from reference.link_costs import pigou_price_of_anarchy
from reference.small_networks import problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle
from sim.network.synthetic import pigou


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_price_of_anarchy(power: float) -> None:
    problem = problem_of(pigou(power), [(0, 1, 1.0)])
    solved = {principle: solve(problem, principle, gap=1e-12) for principle in Principle}
    assert all(found.reached for found in solved.values())
    assert solved[Principle.USER_EQUILIBRIUM].total_cost_s == pytest.approx(1.0, abs=1e-9)
    on_second = (power + 1.0) ** (-1.0 / power)
    assert solved[Principle.SYSTEM_OPTIMUM].flow_vph[1] == pytest.approx(on_second, rel=1e-5)
    assert solved[Principle.SYSTEM_OPTIMUM].total_cost_s == pytest.approx(1.0 - on_second + on_second ** (power + 1.0), rel=1e-9)
    price = price_of_assignments(solved)
    assert price is not None and price.withheld is None
    # 2^-40 s of free-flow time stand for zero, which moves the ratio by that much.
    assert price.ratio == pytest.approx(pigou_price_of_anarchy(power), rel=1e-9)
    assert price.interval[0] - 1e-11 <= pigou_price_of_anarchy(power) <= price.interval[1] + 1e-11


def test_textbook_values() -> None:
    assert pigou_price_of_anarchy(1.0) == pytest.approx(4.0 / 3.0, rel=1e-15)
    assert pigou_price_of_anarchy(4.0) == pytest.approx(2.1505, abs=5e-5)


@pytest.mark.parametrize(("demand", "selfish", "optimal"), [(0.25, 0.25**2, 0.25**2), (0.5, 0.25, 0.25), (3.0, 3.0, 2.75)])
def test_other_demand_at_power_1(demand: float, selfish: float, optimal: float) -> None:
    # Below 1 everybody selfish is on the second link; below 1/2 so is the optimum; above 1 the rest pays 1 on the first.
    problem = problem_of(pigou(1.0), [(0, 1, demand)])
    assert solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-12).total_cost_s == pytest.approx(selfish, rel=1e-6)
    assert solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-12).total_cost_s == pytest.approx(optimal, rel=1e-9)
