"""Every search method against the twin that relaxes links until nothing changes, on small networks full of traps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import paths as twin

from sim.kernels.paths_alternatives import alternative_paths
from sim.kernels.paths_batch import trees_of_batches
from sim.kernels.paths_dissection import dissection_order
from sim.kernels.paths_hierarchy import upper_rows
from sim.kernels.paths_lanes import LANES
from sim.kernels.paths_pair import HEAP_ENTRY, one_way_path, reverse_star, two_way_path
from sim.kernels.paths_query import paths_between
from sim.kernels.paths_tree import SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack, trees_of_origins
from sim.network.hierarchy import PathHierarchy, make_hierarchy

ROUNDING = 1e-11
NO_CELLS = (np.zeros(0, np.int32), np.zeros(0))


class Case:
    """A small network in both forms."""

    def __init__(self, n_nodes: int, links: list[twin.Link], passable: list[bool]) -> None:
        self.n_nodes = n_nodes
        self.links = sorted(links, key=lambda link: link[0])
        self.open = passable
        self.passable = np.array(passable)
        self.tail = np.array([link[0] for link in self.links], np.int32)
        self.head = np.array([link[1] for link in self.links], np.int32)
        self.cost = np.array([link[2] for link in self.links], np.float64)
        self.start = np.searchsorted(self.tail, np.arange(n_nodes + 1)).astype(np.int64)

    def __repr__(self) -> str:
        return f"Case({self.n_nodes}, {self.links}, {self.open})"

    @property
    def nodes(self) -> np.ndarray:
        return np.arange(self.n_nodes, dtype=np.int32)

    def hierarchy(self) -> PathHierarchy:
        return make_hierarchy(self.start, self.head, self.passable)


# Ties, links of no cost, and costs that others do not feel; a closed link.
TRAPS = st.sampled_from((0.0, 0.0, 1.0, 1.0, 2.5, 0.1, 1e-9, 1e9, 1e-300, 1e250, math.inf))
PLAIN = st.floats(0.0, 100.0)


@st.composite
def cases(draw: st.DrawFn, most_nodes: int = 14) -> Case:
    n_nodes = draw(st.integers(1, most_nodes))
    node = st.integers(0, n_nodes - 1)
    costs = draw(st.sampled_from((TRAPS, PLAIN, st.just(0.0))))
    links = draw(st.lists(st.tuples(node, node, costs), max_size=60))
    shut = draw(st.sets(node, max_size=3))
    return Case(n_nodes, links, [node not in shut for node in range(n_nodes)])


def batch_trees(case: Case, hierarchy: PathHierarchy) -> tuple[np.ndarray, np.ndarray]:
    origins = case.nodes
    tree_link, distance = np.empty((case.n_nodes, case.n_nodes), np.int32), np.empty((case.n_nodes, case.n_nodes))
    no_cells = np.zeros(case.n_nodes + 1, np.int64)
    trees_of_batches(
        0, -(-case.n_nodes // LANES), hierarchy.batch_order(origins), origins, no_cells, *NO_CELLS,
        hierarchy.layout, hierarchy.customised(case.cost), tree_link, np.empty(case.n_nodes), distance,
    )  # fmt: skip
    return tree_link, distance


@settings(max_examples=250, deadline=None, derandomize=True)
@given(cases(), st.sampled_from((None, 1e-3, 1e6)))
def test_bucket_trees_have_the_very_labels_of_the_twin(case: Case, width: float | None) -> None:
    nodes, links = np.empty(case.n_nodes + 1, SEARCH_NODE), np.empty(len(case.links) + 1, SEARCH_LINK)
    pack(case.start, case.head, case.cost, case.passable, nodes, links)
    queue = new_queue()
    for source in range(case.n_nodes):
        queue = bucket_tree(
            source, nodes, links, width or bucket_width(case.cost), queue, case.start, case.head, case.cost, case.passable
        )
        assert nodes["label"][:-1].tolist() == twin.labels(source, case.n_nodes, case.links, case.open)
        twin.check_tree(source, nodes["label"][:-1], nodes["link"][:-1], case.links, case.open, 0.0)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cases())
def test_the_drop_in_gives_trees_and_what_demand_costs(case: Case) -> None:
    n_nodes = case.n_nodes
    tree_link, total = np.full((n_nodes, n_nodes), -7, np.int32), np.full(n_nodes, -7.0)
    cell_start = np.arange(n_nodes + 1, dtype=np.int64)
    last = np.full(n_nodes, n_nodes - 1, np.int32)
    trees_of_origins(
        0, n_nodes, case.nodes, cell_start, last, np.full(n_nodes, 2.0),
        case.start, case.head, case.cost, case.passable, tree_link, total,
    )  # fmt: skip
    for source in range(n_nodes):
        label = twin.labels(source, n_nodes, case.links, case.open)
        assert total[source] == 2.0 * label[-1]
        twin.check_tree(source, label, tree_link[source], case.links, case.open, 0.0)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(cases(most_nodes=20))
def test_batches_of_trees(case: Case) -> None:
    tree_link, distance = batch_trees(case, case.hierarchy())
    for source in range(case.n_nodes):
        assert distance[source].tolist() == pytest.approx(
            twin.labels(source, case.n_nodes, case.links, case.open), rel=ROUNDING, abs=0.0
        )
        twin.check_tree(source, distance[source], tree_link[source], case.links, case.open, ROUNDING)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(cases(most_nodes=20))
def test_single_paths_over_the_hierarchy(case: Case) -> None:
    hierarchy = case.hierarchy()
    source, target = (np.ascontiguousarray(ends.ravel()) for ends in np.meshgrid(case.nodes, case.nodes, indexing="ij"))
    cost, start, link = paths_between(source, target, hierarchy.layout, hierarchy.customised(case.cost))
    for pair, (one, other) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        expected = twin.labels(one, case.n_nodes, case.links, case.open)[other]
        path = link[start[pair] : start[pair + 1]].tolist()
        assert cost[pair] == pytest.approx(expected, rel=ROUNDING, abs=0.0)
        if expected < math.inf:
            twin.check_path(one, other, cost[pair], path, case.links, case.open, ROUNDING)
        else:
            assert path == []


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_searches_between_two_nodes(case: Case) -> None:
    n_nodes, n_links = case.n_nodes, len(case.links)
    reverse = reverse_star(case.start, case.head)
    own = np.arange(n_links, dtype=np.int32)
    label, by_link, heap = np.full((2, n_nodes), np.inf), np.empty((2, n_nodes), np.int32), np.empty((2, n_links + 1), HEAP_ENTRY)
    path = np.empty(n_nodes, np.int32)
    for source in range(n_nodes):
        expected = twin.labels(source, n_nodes, case.links, case.open)
        for target in range(n_nodes):
            cost, length = one_way_path(
                source, target, case.start, case.tail, case.head, case.cost, case.passable, label[0], by_link[0], heap[0], path
            )  # fmt: skip
            assert cost == expected[target]
            if cost < math.inf:
                twin.check_path(source, target, cost, path[:length].tolist(), case.links, case.open, ROUNDING)
            cost, length = two_way_path(
                source, target, case.start, case.tail, case.head, case.cost, case.passable, *reverse, own,
                label, by_link, heap, path,
            )  # fmt: skip
            assert cost == pytest.approx(expected[target], rel=ROUNDING, abs=0.0)
            if cost < math.inf:
                twin.check_path(source, target, cost, path[:length].tolist(), case.links, case.open, ROUNDING)
            assert (label == np.inf).all()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cases())
def test_a_tree_against_the_links_leads_everybody_to_the_destination(case: Case) -> None:
    in_start, in_tail, in_link = reverse_star(case.start, case.head)
    nodes, links = np.empty(case.n_nodes + 1, SEARCH_NODE), np.empty(len(case.links) + 1, SEARCH_LINK)
    cost = case.cost[in_link]
    pack(in_start, in_tail, cost, case.passable, nodes, links)
    turned = [(head, tail, cost) for tail, head, cost in case.links]
    for destination in range(case.n_nodes):
        bucket_tree(destination, nodes, links, bucket_width(cost), new_queue(), in_start, in_tail, cost, case.passable)
        assert nodes["label"][:-1].tolist() == twin.labels(destination, case.n_nodes, turned, case.open)
        first_link = [int(in_link[entry]) if entry >= 0 else -1 for entry in nodes["link"][:-1]]
        twin.check_tree(destination, nodes["label"][:-1], first_link, turned, case.open, 0.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(), st.integers(1, 4), st.sampled_from((1.0, 1.3, 3.0)), st.sampled_from((0.0, 0.5, 1.0)))
def test_alternative_paths(case: Case, n_wanted: int, stretch: float, overlap: float) -> None:
    target = case.n_nodes - 1
    least = twin.labels(0, case.n_nodes, case.links, case.open)[target]
    cost, start, link = alternative_paths(
        0, target, n_wanted, 1.3, stretch, overlap, case.start, case.tail, case.head, case.cost, case.passable
    )
    assert (len(cost) == 0) == (least == math.inf)
    assert len(cost) <= n_wanted
    taken = [link[start[i] : start[i + 1]].tolist() for i in range(len(cost))]
    if taken:
        assert cost[0] == pytest.approx(least, rel=ROUNDING, abs=0.0)
    for place, path in enumerate(taken):
        twin.check_path(0, target, cost[place], path, case.links, case.open, ROUNDING)
        assert cost[place] <= stretch * cost[0]
        for earlier in taken[:place]:
            assert path != earlier
            shared = sum(case.cost[one] for one in path if one in earlier)
            assert shared <= overlap * cost[place] * (1.0 + ROUNDING)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 25), st.data())
def test_contraction_against_the_twin(n_nodes: int, data: st.DataObject) -> None:
    node = st.integers(0, max(n_nodes - 1, 0))
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=50)) if n_nodes else []
    seen = sorted({(a, b) for one, other in pairs for a, b in ((one, other), (other, one)) if a != b})
    row = np.searchsorted([a for a, _ in seen], np.arange(n_nodes + 1)).astype(np.int64)
    neighbour = np.array([b for _, b in seen], np.int32)
    start, upper = upper_rows(row, neighbour)
    assert [upper[start[i] : start[i + 1]].tolist() for i in range(n_nodes)] == twin.higher_neighbours(n_nodes, pairs)
    axes = np.array([np.arange(n_nodes), np.arange(n_nodes)[::-1]], np.int32)
    assert sorted(dissection_order(row, neighbour, axes).tolist()) == list(range(n_nodes))
