"""The static solver on random small networks, beside the path-based twin and the certificates that hold for every assignment."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from reference.certificates import check_assignment
from reference.path_equilibrium import marginal_cost, solve_by_paths, user_cost
from reference.small_networks import MILD, WILD, problems

from sim.assignment.equilibrium import Assignment, beckmann, solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import AssignmentProblem, Principle

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM


def both(problem: AssignmentProblem, gap: float) -> tuple[Assignment, Assignment]:
    return solve(problem, UE, gap=gap), solve(problem, SO, gap=gap)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(MILD))
def test_agrees_with_the_path_based_twin(problem: AssignmentProblem) -> None:
    equilibrium, optimum = both(problem, 1e-11)
    assert equilibrium.reached and optimum.reached
    slow_equilibrium = solve_by_paths(problem.network, problem.od, user_cost(problem.network))
    slow_optimum = solve_by_paths(problem.network, problem.od, marginal_cost(problem.network))
    assert max(slow_equilibrium.relative_gap, slow_optimum.relative_gap) <= 1e-9
    # Both objectives are convex, so each side is at most its own excess cost above the least value.
    slow_beckmann = beckmann(problem, slow_equilibrium.flow_vph[problem.link_order])
    assert equilibrium.beckmann == pytest.approx(slow_beckmann, rel=3e-9)
    slow_total = float(slow_optimum.flow_vph @ user_cost(problem.network)(slow_optimum.flow_vph))
    assert optimum.total_cost_s == pytest.approx(slow_total, rel=1e-8)
    assert optimum.lower_bound_s is not None and optimum.lower_bound_s <= slow_total
    # The total is not the objective of the equilibrium; at gap g it can be off by about sqrt(power * g) (see sim.metrics).
    slow_selfish = float(slow_equilibrium.flow_vph @ user_cost(problem.network)(slow_equilibrium.flow_vph))
    assert equilibrium.total_cost_s == pytest.approx(slow_selfish, rel=1e-4)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(problems(WILD))
def test_certificates_hold_on_wild_networks(problem: AssignmentProblem) -> None:
    equilibrium, optimum = both(problem, 1e-9)
    for solved in (equilibrium, optimum):
        check_assignment(problem, solved)
        assert solved.reached == (solved.relative_gap <= 1e-9) == (solved.stopped_because == "gap reached")
        assert solved.reached or "no longer falls" in solved.stopped_because or "bound" in solved.stopped_because
    assert optimum.lower_bound_s is not None
    assert optimum.lower_bound_s <= optimum.total_cost_s
    assert optimum.lower_bound_s <= equilibrium.total_cost_s
    if optimum.reached:
        assert optimum.total_cost_s <= equilibrium.total_cost_s * (1.0 + 1e-8)
    price = price_of_assignments({UE: equilibrium, SO: optimum})
    assert price is not None
    assert 1.0 <= price.interval[0] <= price.interval[1]
    if price.ratio is not None:
        assert price.interval[0] <= price.ratio <= price.interval[1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(WILD))
def test_nearly_every_wild_network_is_solved(problem: AssignmentProblem) -> None:
    for principle in Principle:
        solved = solve(problem, principle, gap=1e-6)
        assert solved.reached, (solved.relative_gap, solved.stopped_because)
