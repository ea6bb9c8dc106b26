from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.shortest_paths import distances

from sim.kernels.paths_tree import trees_of_origins
from sim.kernels.trees import NO_LINK, shortest_tree

Graph = tuple[int, list[tuple[int, int, float]], list[bool]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    n_nodes = draw(st.integers(1, 14))
    node = st.integers(0, n_nodes - 1)
    # Few costs, so that ties and cycles of no cost are common.
    links = draw(st.lists(st.tuples(node, node, st.sampled_from((0.0, 0.0, 1.0, 2.5, 1e-9, 1e9))), max_size=50))
    return n_nodes, sorted(links, key=lambda link: link[0]), draw(st.lists(st.booleans(), min_size=n_nodes, max_size=n_nodes))


def tree(source: int, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    n_nodes, links, passable = graph
    tail = np.array([link[0] for link in links], np.int32)
    start = np.searchsorted(tail, np.arange(n_nodes + 1)).astype(np.int64)
    head, cost = np.array([link[1] for link in links], np.int32), np.array([link[2] for link in links])
    label, tree_link = np.empty(n_nodes), np.empty(n_nodes, np.int32)
    shortest_tree(
        source, start, head, cost, np.array(passable), label, tree_link, np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
    )
    return label, tree_link


@settings(max_examples=300, deadline=None, derandomize=True)
@given(graphs(), st.data())
def test_labels_and_links_against_the_twin(graph: Graph, data: st.DataObject) -> None:
    n_nodes, links, passable = graph
    source = data.draw(st.integers(0, n_nodes - 1))
    label, tree_link = tree(source, graph)
    tail, head, cost = ([link[column] for link in links] for column in range(3))
    # Dijkstra adds up in path order in both, so even the last bit agrees.
    assert label.tolist() == distances(source, n_nodes, tail, head, cost, passable)
    assert tree_link[source] == NO_LINK
    for node in range(n_nodes):
        if node == source:
            continue
        assert (tree_link[node] == NO_LINK) == math.isinf(label[node])
        walked = 0
        here = node
        while here != source and tree_link[here] != NO_LINK:
            link = int(tree_link[here])
            assert head[link] == here
            assert label[here] == label[tail[link]] + cost[link]
            here = tail[link]
            assert here == source or passable[here]
            walked += 1
            assert walked <= n_nodes


def test_equal_paths_are_chosen_the_same_way_each_time() -> None:
    links = [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0), (2, 3, 1.0)]
    graph = (4, links, [True] * 4)
    chosen = {tuple(tree(0, graph)[1].tolist()) for _ in range(5)}
    assert chosen == {(NO_LINK, 0, 1, 2)}


@pytest.mark.parametrize("split", [(0, 3), (1, 2)])
def test_rows_of_origins_and_what_demand_costs(split: tuple[int, int]) -> None:
    # A ring 0 -> 1 -> 2 -> 0 of costs 1, 2, 4; the rows are computed in two pieces.
    start, head, cost = np.array([0, 1, 2, 3], np.int64), np.array([1, 2, 0], np.int32), np.array([1.0, 2.0, 4.0])
    origin_node = np.array([0, 1, 2], np.int32)
    cell_start, cell_node = np.array([0, 2, 3, 3], np.int64), np.array([1, 2, 0], np.int32)
    demand = np.array([10.0, 1.0, 5.0])
    tree_link, cheapest = np.full((3, 3), 77, np.int32), np.full(3, np.nan)
    for first, past_last in ((0, split[1]), (split[1], 3)):
        trees_of_origins(
            first,
            past_last,
            origin_node,
            cell_start,
            cell_node,
            demand,
            start,
            head,
            cost,
            np.ones(3, np.bool_),
            tree_link,
            cheapest,
        )
    assert cheapest.tolist() == [10.0 * 1.0 + 1.0 * 3.0, 5.0 * 6.0, 0.0]
    assert tree_link.tolist() == [[NO_LINK, 0, 1], [2, NO_LINK, 1], [2, 0, NO_LINK]]


def test_no_path_costs_infinity() -> None:
    start, head, cost = np.array([0, 1, 1], np.int64), np.array([1], np.int32), np.array([1.0])
    cheapest, tree_link = np.empty(1), np.empty((1, 2), np.int32)
    trees_of_origins(
        0, 1, np.array([1], np.int32), np.array([0, 1], np.int64), np.array([0], np.int32), np.array([3.0]), start, head, cost,
        np.ones(2, np.bool_), tree_link, cheapest,
    )  # fmt: skip
    assert math.isinf(cheapest[0])
