"""Links that cost nothing, and cycles of them: flows stay without cycles, totals are those of the network without such links."""

from __future__ import annotations

import numpy as np
import pytest
from reference.certificates import check_assignment
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle

FREE = (0.0, 100.0, 0.15, 4.0)


def test_two_cities_joined_by_free_cycles() -> None:
    # 0-1-2 and 3-4-5 are free both ways (each is one place); two streets join the places.
    free = [
        (a, b, *FREE) for a, b in ((0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2), (3, 4), (4, 3), (4, 5), (5, 4), (3, 5), (5, 3))
    ]
    streets = [(1, 3, 10.0, 10.0, 1.0, 1.0), (2, 4, 20.0, 10.0, 1.0, 1.0)]
    network = network_of([*free, *streets], zones=range(6))
    cells = [(0, 5, 10.0), (1, 4, 10.0), (2, 3, 5.0)]
    problem = problem_of(network, cells)
    # As two affine links at demand 25 (see test_parallel_routes): 20 and 5, total 750.
    for principle, flow, total in (
        (Principle.USER_EQUILIBRIUM, [20.0, 5.0], 750.0),
        (Principle.SYSTEM_OPTIMUM, [55 / 3, 20 / 3], 55 / 3 * (10 + 55 / 3) + 20 / 3 * (20 + 40 / 3)),
    ):
        solved = solve(problem, principle, gap=1e-12)
        check_assignment(problem, solved)
        np.testing.assert_allclose(solved.flow_vph[len(free) :], flow, rtol=1e-9)
        assert solved.total_cost_s == pytest.approx(total, rel=1e-11)


def test_nothing_costs_anything() -> None:
    network = network_of([(0, 1, *FREE), (1, 0, *FREE), (1, 2, *FREE), (2, 1, *FREE)], zones=[0, 1, 2])
    problem = problem_of(network, [(0, 2, 5.0), (2, 0, 1.0)])
    solved = {principle: solve(problem, principle, gap=1e-12) for principle in Principle}
    for found in solved.values():
        check_assignment(problem, found)
        assert (found.total_cost_s, found.relative_gap, found.stopped_because) == (0.0, 0.0, "gap reached")
    price = price_of_assignments(solved)
    assert price is not None and price.ratio is None and "zero" in str(price.withheld)


def test_two_zones_at_one_node() -> None:
    network = network_of([(0, 1, 5.0, 10.0, 1.0, 1.0), (1, 0, 5.0, 10.0, 1.0, 1.0)], zones=[0, 0, 1])
    problem = problem_of(network, [(0, 1, 3.0), (0, 2, 10.0), (1, 2, 10.0)])
    solved = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-12)
    check_assignment(problem, solved)
    np.testing.assert_array_equal(solved.flow_vph, [20.0, 0.0])
    assert solved.total_cost_s == pytest.approx(20 * 15.0)
