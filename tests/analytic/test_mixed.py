"""Mixed equilibrium against closed forms, against both principles at its ends, and by the slow twins' certificates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from reference.link_costs import cost_s
from reference.shortest_paths import distances
from reference.small_networks import MILD, network_of, problem_of, problems

from sim.arrays import FloatColumn
from sim.assignment.classes import ClassFlows
from sim.assignment.equilibrium import solve
from sim.assignment.mixed import MixedEquilibrium, mixed_equilibrium
from sim.assignment.problem import AssignmentProblem, Principle
from sim.errors import InputError
from sim.network.synthetic import pigou


def own_marginal_cost_s(own: float, total: float, *link: float) -> float:
    """Return t(v) + x t'(v) by the plain formula; the slope of a power below 1 is infinite where nobody drives."""
    free_flow_time_s, capacity_vph, alpha, beta, _ = link
    if own == 0.0 or beta == 0.0:
        return cost_s(total, *link)
    slope = free_flow_time_s * alpha * beta / capacity_vph * (total / capacity_vph) ** (beta - 1.0)
    return cost_s(total, *link) + own * slope


def twin_gap(problem: AssignmentProblem, found: MixedEquilibrium, of: ClassFlows, share: float) -> float:
    """Return the relative gap of one class by the slow shortest paths."""
    network = problem.network
    columns = (network.free_flow_time_s, network.capacity_vph, network.bpr_alpha, network.bpr_beta, network.fixed_cost_s)
    rows = zip(of.flow_vph.tolist(), found.flow_vph.tolist(), *(column.tolist() for column in columns), strict=True)
    own_weight = 1.0 if of is found.members else 0.0
    cost = [own_marginal_cost_s(own_weight * own, total, *link) for own, total, *link in rows]
    tstt = math.fsum(flow * price for flow, price in zip(of.flow_vph.tolist(), cost, strict=True))
    sptt = []
    for origin in range(problem.n_origins):
        label = distances(
            int(problem.origin_node[origin]), network.n_nodes, network.tail_idx.tolist(), network.head_idx.tolist(), cost,
            network.node_passable.tolist(),
        )  # fmt: skip
        cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
        own_demand = share * problem.cell_demand[cells]
        sptt += [demand * label[node] for node, demand in zip(problem.cell_node[cells], own_demand, strict=True)]
    return (tstt - math.fsum(sptt)) / tstt


def check_balance(problem: AssignmentProblem, of: ClassFlows, share: float) -> None:
    """Assert that the flows by origin carry the class's demand and add up to its link flows."""
    network, flows = problem.network, of.origin_flows
    total = np.zeros(network.n_links)
    for origin in range(problem.n_origins):
        rows = slice(flows.start[origin], flows.start[origin + 1])
        excess = np.zeros(network.n_nodes)
        np.add.at(excess, problem.head[flows.link[rows]], flows.flow[rows])
        np.subtract.at(excess, problem.tail[flows.link[rows]], flows.flow[rows])
        for cell in range(problem.cell_start[origin], problem.cell_start[origin + 1]):
            excess[problem.cell_node[cell]] -= share * problem.cell_demand[cell]
            excess[problem.origin_node[origin]] += share * problem.cell_demand[cell]
        np.testing.assert_allclose(excess, 0.0, atol=1e-9 * problem.cell_demand.sum())
        np.add.at(total, flows.link[rows], flows.flow[rows])
    np.testing.assert_allclose(problem.in_network_order(total), of.flow_vph, rtol=1e-9, atol=1e-9 * problem.cell_demand.sum())


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9, 1.0])
def test_pigou(share: float) -> None:
    # Outsiders all take the second link (time v < 1). Members balance 1 = v + x with v = 1 - share + x: x = share / 2.
    found = mixed_equilibrium(problem_of(pigou(1.0), [(0, 1, 1.0)]), share, gap=1e-12)
    assert found.reached and found.stopped_because == "gap reached"
    on_second = 1.0 - share / 2.0
    assert found.flow_vph[1] == pytest.approx(on_second, abs=1e-6)
    assert found.members.flow_vph[1] == pytest.approx(share / 2.0, abs=1e-6)
    assert found.total_cost_s == pytest.approx(1.0 - on_second + on_second**2, abs=1e-6)
    assert found.others.total_cost_s == pytest.approx((1.0 - share) * on_second, abs=1e-6)
    assert found.members.total_cost_s + found.others.total_cost_s == pytest.approx(found.total_cost_s, rel=1e-14)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_few_members_change_nothing_on_two_routes(share: float) -> None:
    """While outsiders use both routes they keep the times equal: v is the equilibrium's, whatever the members do.

    The members then balance x_1 t_1' = x_2 t_2'. Worked by hand: t_1 = 10 + v_1 and t_2 = 10 + v_2 / 2 at a demand of 60 give
    v = (20, 40); t' = (1, 1/2), so members stand 1 : 2, as the outsiders do.
    """
    rows = [(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 20.0, 1.0, 1.0)]
    found = mixed_equilibrium(problem_of(network_of(rows, zones=[0, 1]), [(0, 1, 60.0)]), share, gap=1e-13)
    np.testing.assert_allclose(found.flow_vph, [20.0, 40.0], rtol=1e-9)
    np.testing.assert_allclose(found.members.flow_vph, [20.0 * share, 40.0 * share], rtol=1e-9)


def test_many_members_on_two_routes() -> None:
    """Worked by hand: t_1 = v_1 and t_2 = 4 + 0 v_2 at a demand of 8, half of them members.

    Selfish: v_1 = 4. Outsiders (4) all fit on the first route at time 4 if members stay away: x + v_1 = 4 with v_1 = 4 + x gives
    x = 0, so all members take the second route and nobody gains: total 32. With 6 members and 2 outsiders: x + 2 + x = 4, x = 1,
    v_1 = 3, total 9 + 20 = 29.
    """
    problem = problem_of(network_of([(0, 1, 1e-12, 1.0, 1e12, 1.0), (0, 1, 4.0, 1.0, 0.0, 1.0)], zones=[0, 1]), [(0, 1, 8.0)])
    half = mixed_equilibrium(problem, 0.5, gap=1e-12)
    assert half.total_cost_s == pytest.approx(32.0, rel=1e-6)
    most = mixed_equilibrium(problem, 0.75, gap=1e-12)
    np.testing.assert_allclose(most.members.flow_vph, [1.0, 5.0], atol=1e-5)
    np.testing.assert_allclose(most.others.flow_vph, [2.0, 0.0], atol=1e-5)
    assert most.total_cost_s == pytest.approx(29.0, rel=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(MILD))
def test_certificates_of_both_classes(problem: AssignmentProblem) -> None:
    for share in (0.25, 0.8):
        found = mixed_equilibrium(problem, share, gap=1e-9)
        assert found.reached, (found.stopped_because, found.relative_gap)
        for of, part in ((found.members, share), (found.others, 1.0 - share)):
            assert of.demand_vph == pytest.approx(part * problem.cell_demand.sum())
            assert abs(twin_gap(problem, found, of, part) - of.relative_gap) <= 1e-11
            assert of.relative_gap <= 1e-9
            check_balance(problem, of, part)
        np.testing.assert_allclose(found.members.flow_vph + found.others.flow_vph, found.flow_vph, rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(problems(MILD))
def test_ends_are_the_two_principles(problem: AssignmentProblem) -> None:
    for share, principle in ((0.0, Principle.USER_EQUILIBRIUM), (1.0, Principle.SYSTEM_OPTIMUM)):
        found, known = mixed_equilibrium(problem, share, gap=1e-10), solve(problem, principle, gap=1e-10)
        np.testing.assert_array_equal(found.flow_vph, known.flow_vph)
        assert (found.total_cost_s, found.relative_gap) == (known.total_cost_s, known.relative_gap)
        empty = found.members if share == 0.0 else found.others
        assert empty.demand_vph == empty.total_time_s == 0.0 and not empty.flow_vph.any()


def test_same_input_same_bytes_and_a_bound_is_a_result() -> None:
    problem = problem_of(pigou(4.0), [(0, 1, 1.0)])
    flows: list[FloatColumn] = [mixed_equilibrium(problem, 0.5).members.flow_vph for _ in range(2)]
    assert flows[0].tobytes() == flows[1].tobytes()
    cut = mixed_equilibrium(problem, 0.5, gap=1e-15, max_iterations=0)
    assert not cut.reached and cut.iterations == 0 and cut.stopped_because == "iteration bound of 0 reached"


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="0 to 1"):
        mixed_equilibrium(problem_of(pigou(1.0), [(0, 1, 1.0)]), share)
