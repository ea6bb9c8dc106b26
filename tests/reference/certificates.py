"""What must be true of every assignment, checked with the twins alone."""

from __future__ import annotations

import math

import numpy as np
from reference.link_costs import cost_s, marginal_cost_s
from reference.shortest_paths import distances

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem, Principle


def link_costs(problem: AssignmentProblem, flow_vph: FloatColumn, principle: Principle) -> list[float]:
    """Return what the principle equalises for each link, network order, by the plain formula."""
    network = problem.network
    price = cost_s if principle is Principle.USER_EQUILIBRIUM else marginal_cost_s
    columns = (
        flow_vph,
        network.free_flow_time_s,
        network.capacity_vph,
        network.bpr_alpha,
        network.bpr_beta,
        network.fixed_cost_s,
    )
    return [price(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def twin_gap(problem: AssignmentProblem, flow_vph: FloatColumn, principle: Principle) -> float:
    """Return (TSTT - SPTT) / TSTT by the slow shortest paths."""
    network = problem.network
    cost = link_costs(problem, flow_vph, principle)
    tstt = math.fsum(flow * price for flow, price in zip(flow_vph.tolist(), cost, strict=True))
    tail, head, passable = network.tail_idx.tolist(), network.head_idx.tolist(), network.node_passable.tolist()
    sptt = []
    for origin in range(problem.n_origins):
        label = distances(int(problem.origin_node[origin]), network.n_nodes, tail, head, cost, passable)
        cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
        sptt += [demand * label[node] for node, demand in zip(problem.cell_node[cells], problem.cell_demand[cells], strict=True)]
    return (tstt - math.fsum(sptt)) / tstt if tstt > 0.0 else 0.0


def check_assignment(problem: AssignmentProblem, solved: Assignment) -> None:
    """Assert that the flows carry every origin's demand without cycles and that the figures are those of the flows."""
    _check_origin_flows(problem, solved)
    cost = link_costs(problem, solved.flow_vph, Principle.USER_EQUILIBRIUM)
    np.testing.assert_allclose(solved.cost_s, cost, rtol=1e-11)
    assert solved.total_cost_s == _close(
        math.fsum(flow * price for flow, price in zip(solved.flow_vph.tolist(), cost, strict=True))
    )
    np.testing.assert_allclose(solved.travel_time_s, solved.cost_s - problem.network.fixed_cost_s)
    assert abs(twin_gap(problem, solved.flow_vph, solved.principle) - solved.relative_gap) <= 1e-11
    assert solved.cheapest_cost_s <= solved.total_cost_s * (1.0 + 1e-12)


def _close(value: float) -> object:
    import pytest

    return pytest.approx(value, rel=1e-11, abs=1e-300)


def _check_origin_flows(problem: AssignmentProblem, solved: Assignment) -> None:
    flows, network = solved.origin_flows, problem.network
    total = np.zeros(network.n_links)
    np.add.at(total, flows.link, flows.flow)
    everything = max(float(problem.cell_demand.sum()), 1e-300)
    np.testing.assert_allclose(problem.in_network_order(total), solved.flow_vph, rtol=1e-10, atol=1e-12 * everything)
    assert (flows.flow > 0.0).all()
    for origin in range(problem.n_origins):
        rows = slice(flows.start[origin], flows.start[origin + 1])
        links, flow = flows.link[rows], flows.flow[rows]
        source = int(problem.origin_node[origin])
        balance = np.zeros(network.n_nodes)
        np.add.at(balance, problem.head[links], flow)
        np.add.at(balance, problem.tail[links], -flow)
        cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
        np.add.at(balance, problem.cell_node[cells], -problem.cell_demand[cells])
        balance[source] += problem.cell_demand[cells].sum()
        assert np.abs(balance).max() <= 1e-10 * problem.cell_demand[cells].sum()
        tails = problem.tail[links]
        assert (network.node_passable[tails] | (tails == source)).all()
        _check_order(problem, links.tolist(), source)


def _check_order(problem: AssignmentProblem, links: list[int], source: int) -> None:
    # Heads in topological order, each head's links together: a walk that only ever leaves nodes it has reached meets no cycle.
    reached = {source}
    closed: set[int] = set()
    current = source
    for link in links:
        tail, head = int(problem.tail[link]), int(problem.head[link])
        assert tail in reached
        if head != current:
            assert head not in closed
            closed.add(current)
            current = head
        assert tail != head
        assert tail in closed
        reached.add(head)
