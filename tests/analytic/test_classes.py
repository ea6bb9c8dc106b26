"""Classes with tolls of their own, and starts from earlier solutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from reference.certificates import check_assignment
from reference.small_networks import MILD, network_of, problem_of, problems

from sim.assignment.classes import class_equilibrium
from sim.assignment.equilibrium import solve
from sim.assignment.layers import Layer
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.warm_start import WarmStart
from sim.errors import InputError
from sim.network.synthetic import grid

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM


def test_a_toll_parts_the_classes() -> None:
    """Worked by hand: t_1 = v_1 (toll 6) and t_2 = 10 + v_2 with 8 poor (pay 6 s) and 8 rich (pay 1 s).

    All rich take link 1 (8 + 1 < 10 + v_2); poor balance 8 + x + 6 = 10 + (8 - x): x = 2. Times 10 and 16.
    """
    rows = [(0, 1, 1e-12, 1.0, 1e12, 1.0), (0, 1, 10.0, 10.0, 1.0, 1.0)]
    problem = problem_of(network_of(rows, zones=[0, 1]), [(0, 1, 16.0)])
    half = 0.5 * problem.cell_demand
    tolled = [Layer(half, fixed_cost_s=np.array([toll, 0.0])) for toll in (6.0, 1.0)]
    found = class_equilibrium(problem, tolled, gap=1e-12)
    poor, rich = found.classes
    assert found.reached
    np.testing.assert_allclose(poor.flow_vph, [2.0, 6.0], rtol=1e-6)
    np.testing.assert_allclose(rich.flow_vph, [8.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.travel_time_s, [10.0, 16.0], rtol=1e-6)
    assert found.total_time_s == pytest.approx(10.0 * 10.0 + 6.0 * 16.0, rel=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(problems(MILD))
def test_equal_classes_are_one(problem: AssignmentProblem) -> None:
    parts = [Layer(share * problem.cell_demand) for share in (0.2, 0.5, 0.3)] + [Layer(0.0 * problem.cell_demand)]
    found, one = class_equilibrium(problem, parts, gap=1e-10), solve(problem, UE, gap=1e-10)
    assert found.reached and found.classes[3].demand_vph == 0.0
    assert found.total_cost_s == pytest.approx(one.total_cost_s, rel=1e-4)


def test_bad_classes_are_refused() -> None:
    problem = problem_of(grid(2, 2), [(0, 1, 1.0)])
    for layers in ([Layer(0.0 * problem.cell_demand)], [Layer(-problem.cell_demand)], []):
        with pytest.raises(InputError, match="demand"):
            class_equilibrium(problem, layers)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problems(MILD))
def test_a_warm_start_reaches_the_same_totals(problem: AssignmentProblem) -> None:
    for principle in Principle:
        start = WarmStart(problem, solve(problem, principle, gap=1e-6).origin_flows)
        assert solve(problem, principle, gap=1e-5, start=start).iterations == 0
        changed = make_problem(problem.network, problem.od.scaled(1.05))
        cold, warm = (solve(changed, principle, gap=1e-10, start=begin) for begin in (None, start))
        assert warm.reached
        check_assignment(changed, warm)
        assert warm.total_cost_s == pytest.approx(cold.total_cost_s, rel=1e-4 if principle is UE else 1e-9)


@pytest.mark.parametrize("closed", [0, 5, 11])
def test_a_warm_start_survives_a_closed_and_an_opened_street(closed: int) -> None:
    network = grid(4, 4).replace(zone_id=np.arange(1, 17), zone_node_idx=np.arange(16, dtype=np.int32))
    cells = [(origin, 15 - origin, 300.0) for origin in range(16)]
    whole = problem_of(network, cells)
    fewer = problem_of(network.replace(free_flow_time_s=np.where(np.arange(network.n_links) == closed, 1e9, 10.0)), cells)
    for before, after in ((whole, fewer), (fewer, whole)):
        start = WarmStart(before, solve(before, UE, gap=1e-8).origin_flows)
        warm, cold = solve(after, UE, gap=1e-9, start=start), solve(after, UE, gap=1e-9)
        check_assignment(after, warm)
        assert warm.total_cost_s == pytest.approx(cold.total_cost_s, rel=1e-6)


def test_flows_on_streets_that_are_gone_are_left_out() -> None:
    rows = [(0, 1, 1.0, 1.0, 1.0, 1.0), (1, 2, 1.0, 1.0, 1.0, 1.0), (0, 2, 9.0, 1.0, 1.0, 1.0), (2, 0, 1.0, 1.0, 1.0, 1.0)]
    before = problem_of(network_of(rows, zones=[0, 2], n_nodes=3), [(0, 1, 1.0), (1, 0, 1.0)])
    start = WarmStart(before, solve(before, UE, gap=1e-9).origin_flows)
    after = problem_of(network_of(rows[:1] + rows[2:], zones=[0, 2], n_nodes=3), [(0, 1, 1.0), (1, 0, 1.0)])
    flows = start.flows_for(after)
    assert set(flows.link.tolist()) <= set(range(3))
    warm = solve(after, UE, gap=1e-9, start=start)
    check_assignment(after, warm)
    assert warm.reached
