"""Trees that are kept while costs change, beside searches from nothing; and the order of a bush's nodes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.shortest_paths import distances
from reference.small_networks import Row, network_of, problem_of

from sim.assignment.bushes import _empty_bush, _empty_trees
from sim.assignment.layers import Layer, make_layers
from sim.assignment.problem import AssignmentProblem
from sim.kernels.bush import sort_by_longest
from sim.kernels.kept_trees import Trees, update_trees
from sim.kernels.trees import NO_LINK

COSTS = (0.0, 0.0, 1.0, 1.0, 2.5, 1e-9, 7.0, 1e9, math.inf)


@st.composite
def changing(draw: st.DrawFn) -> tuple[AssignmentProblem, list[list[float]]]:
    """Draw a network with a closed node, demand from every zone, and a history of costs."""
    n_nodes = draw(st.integers(2, 12))
    node = st.integers(0, n_nodes - 1)
    pairs = [(number, (number + 1) % n_nodes) for number in range(n_nodes)]
    pairs += draw(st.lists(st.tuples(node, node).filter(lambda ends: ends[0] != ends[1]), max_size=30))
    rows: list[Row] = [(tail, head, 1.0, 1.0, 0.0, 1.0) for tail, head in pairs]
    barred = sorted(draw(st.sets(node, max_size=2)))
    network = network_of(rows, zones=range(n_nodes), n_nodes=n_nodes, barred=barred)
    cells = [(origin, (origin + 1) % n_nodes, 2.0) for origin in range(n_nodes)]
    cost = st.lists(st.sampled_from(COSTS), min_size=len(pairs), max_size=len(pairs))
    return problem_of(network, cells), draw(st.lists(cost, min_size=1, max_size=6))


def check_tree(problem: AssignmentProblem, origin: int, cost: np.ndarray, trees: Trees) -> None:
    """Assert that the tree is one of cheapest paths, in an order with tails first."""
    network, source = problem.network, int(problem.origin_node[origin])
    tail, head = problem.tail.tolist(), problem.head.tolist()
    best = distances(source, network.n_nodes, tail, head, cost.tolist(), network.node_passable.tolist())
    label = {source: 0.0}
    for link in trees.order[origin, : trees.size[origin]].tolist():
        assert head[link] not in label
        assert trees.link_into[origin, head[link]] == link
        assert network.node_passable[tail[link]] or tail[link] == source
        label[head[link]] = label[tail[link]] + cost[link]
    assert [label.get(node, math.inf) for node in range(network.n_nodes)] == best
    reached = {node for node in range(network.n_nodes) if trees.link_into[origin, node] != NO_LINK}
    assert reached == set(label) - {source}
    assert trees.cheapest_total[origin] == 2.0 * best[(source + 1) % network.n_nodes]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(changing())
def test_kept_trees_are_what_a_search_from_nothing_finds(case: tuple[AssignmentProblem, list[list[float]]]) -> None:
    problem, history = case
    layered = make_layers(problem, [Layer(problem.cell_demand)])
    trees, streets = _empty_trees(layered), layered.streets()
    for costs in history:
        cost = np.array(costs)
        update_trees(0, layered.n_origins, cost, streets, trees)
        for origin in range(layered.n_origins):
            check_tree(problem, origin, cost, trees)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((0.0, 1.0, 2.0, 3.0, math.inf)), min_size=1, max_size=60), st.booleans())
def test_nodes_are_sorted_stably_by_their_longest_label(labels: list[float], reversed_: bool) -> None:
    n_numbers = len(labels)
    ring: list[Row] = [(node, (node + 1) % 64, 1.0, 1.0, 0.0, 1.0) for node in range(64)]
    problem = problem_of(network_of(ring, zones=[0, 1]), [(0, 1, 1.0)])
    bush = _empty_bush(make_layers(problem, [Layer(problem.cell_demand)]))
    bush.longest[:n_numbers] = sorted(labels, reverse=True) if reversed_ else labels
    bush.order[:n_numbers] = np.arange(n_numbers)
    sort_by_longest(n_numbers, bush)
    assert bush.order[:n_numbers].tolist() == sorted(range(n_numbers), key=lambda number: bush.longest[number])
