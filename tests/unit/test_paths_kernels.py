"""What the property tests cannot reach: larger networks, ways out of trouble, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from reference import paths as twin

from sim.errors import InputError
from sim.kernels import paths_tree
from sim.kernels.paths_batch import trees_of_batches
from sim.kernels.paths_lanes import LANES, label_rows, pick, pull, push
from sim.kernels.paths_query import new_reached, path_between, paths_between
from sim.kernels.paths_tree import ENTRY, N_BUCKETS, SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack
from sim.network.hierarchy import make_hierarchy
from sim.rng import stream

Star = tuple[np.ndarray, np.ndarray, np.ndarray]


def star(links: list[twin.Link], n_nodes: int) -> tuple[Star, list[twin.Link]]:
    ordered = sorted(links, key=lambda link: link[0])
    tail = np.array([link[0] for link in ordered], np.int32)
    start = np.searchsorted(tail, np.arange(n_nodes + 1)).astype(np.int64)
    return (start, np.array([link[1] for link in ordered], np.int32), np.array([link[2] for link in ordered])), ordered


def grid(side: int) -> tuple[Star, list[twin.Link]]:
    luck = stream(1, "test grid")
    ends = [(side * y + x, side * y + x + 1) for y in range(side) for x in range(side - 1)]
    ends += [(side * y + x, side * (y + 1) + x) for y in range(side - 1) for x in range(side)]
    ends += [(head, tail) for tail, head in ends]
    return star([(tail, head, float(luck.uniform(1.0, 9.0))) for tail, head in ends], side * side)


def bucket_labels(source: int, columns: Star, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, head, cost = columns
    everywhere = np.ones(len(start) - 1, np.bool_)
    nodes, links = np.empty(len(start), SEARCH_NODE), np.empty(len(head) + 1, SEARCH_LINK)
    pack(start, head, cost, everywhere, nodes, links)
    queue = bucket_tree(source, nodes, links, width, new_queue(), start, head, cost, everywhere)
    return nodes["label"][:-1], nodes["link"][:-1], queue


def outcome(source: int, columns: Star, width: float) -> int:
    """How the search ends before any second attempt."""
    start, head, cost = columns
    nodes, links = np.empty(len(start), SEARCH_NODE), np.empty(len(head) + 1, SEARCH_LINK)
    pack(start, head, cost, np.ones(len(start) - 1, np.bool_), nodes, links)
    far = np.empty(2 * (len(start) - 1 + len(head)) + N_BUCKETS, ENTRY)
    return int(paths_tree._search(source, nodes, links, width, new_queue(), np.empty(N_BUCKETS, np.int64), far))


def test_the_width_is_a_quarter_of_the_median_and_heeds_no_outlier() -> None:
    assert bucket_width(np.array([0.0, 8.0, 4.0, 1e12, 2.0, np.inf, 0.0, 8.0])) == 2.0
    assert bucket_width(np.zeros(3)) == 1.0
    assert bucket_width(np.zeros(0)) == 1.0
    assert 1.0 / bucket_width(np.full(3, 5e-324)) < np.inf


def test_a_bucket_that_is_full_grows_and_changes_nothing() -> None:
    # A hub with 300 ways of equal cost, each going on: all stand in one bucket, which first has room for 60.
    spokes = [(0, 1 + i, 1.0) for i in range(300)] + [(1 + i, 301, float(300 - i)) for i in range(300)]
    columns, links = star(spokes, 302)
    assert outcome(0, columns, 1.0) == paths_tree._BUCKET_FULL
    label, tree_link, queue = bucket_labels(0, columns, 1.0)
    assert queue.shape[1] > 300
    assert label.tolist() == twin.labels(0, 302, links, [True] * 302)
    twin.check_tree(0, label, tree_link, links, [True] * 302, 0.0)


def test_costs_that_no_width_suits_are_searched_with_the_heap() -> None:
    # 41 orders of magnitude, and each step has a dearer twin that is seen first.
    chain = [(i, i + 1, 10.0 ** (i % 41 - 20)) for i in range(120)] + [(i + 1, i, 1.0) for i in range(120)]
    columns, links = star(chain, 121)
    for width in (1e-18, 1e-25, 1e-300):
        assert outcome(0, columns, width) == paths_tree._TOO_MUCH_WORK
        label, tree_link, _ = bucket_labels(0, columns, width)
        assert label.tolist() == twin.labels(0, 121, links, [True] * 121)
        twin.check_tree(0, label, tree_link, links, [True] * 121, 0.0)


def test_a_few_links_beyond_all_buckets_need_no_heap() -> None:
    columns, links = grid(8)
    columns[2][::17] = 1e6
    links = [(tail, head, cost) for (tail, head, _), cost in zip(links, columns[2].tolist(), strict=True)]
    assert outcome(0, columns, 1.0) == paths_tree._DONE
    assert bucket_labels(0, columns, 1.0)[0].tolist() == twin.labels(0, 64, links, [True] * 64)


@pytest.mark.parametrize("with_coordinates", [True, False])
def test_batches_and_single_paths_on_a_grid(with_coordinates: bool) -> None:
    side = 24
    (start, head, cost), links = grid(side)
    n_nodes = side * side
    y, x = np.divmod(np.arange(n_nodes), side)
    xy = np.column_stack([x, y]).astype(np.float64) if with_coordinates else None
    hierarchy = make_hierarchy(start, head, np.ones(n_nodes, np.bool_), xy)
    # Nested dissection of a square grid: of order n log n arcs (here 6 n log2 n bounds them), where a poor order has n sqrt(n).
    assert len(hierarchy.layout.upper) < 6 * n_nodes * np.log2(n_nodes) / 4
    costs = hierarchy.customised(cost)
    origins = np.array([0, 300, 575, 17, 200, 17, 431, 90, 12, 555], np.int32)
    tree_link, distance = np.empty((10, n_nodes), np.int32), np.empty((10, n_nodes))
    total = np.empty(10)
    cell_start, cell_node = 2 * np.arange(11), np.tile(np.array([5, 400], np.int32), 10)
    trees_of_batches(
        0, 2, hierarchy.batch_order(origins), origins, cell_start, cell_node, np.full(20, 0.5), hierarchy.layout, costs,
        tree_link, total, distance,
    )  # fmt: skip
    ahead, back = new_reached(n_nodes), new_reached(n_nodes)
    room, path = np.empty(6 * n_nodes + 64, np.int64), np.empty(n_nodes, np.int32)
    for place, source in enumerate(origins.tolist()):
        expected = bucket_labels(source, (start, head, cost), 1.0)[0]
        assert distance[place] == pytest.approx(expected, rel=1e-13)
        twin.check_tree(source, distance[place], tree_link[place], links, [True] * n_nodes, 1e-13)
        assert total[place] == 0.5 * distance[place, 5] + 0.5 * distance[place, 400]
        for target in (3, 310, 575):
            found, length = path_between(source, target, hierarchy.layout, costs, ahead, back, room, path)
            assert found == pytest.approx(expected[target], rel=1e-13)
            twin.check_path(source, target, found, path[:length].tolist(), links, [True] * n_nodes, 1e-13)


def test_new_costs_leave_nothing_of_the_old_ones() -> None:
    (start, head, cost), links = grid(9)
    hierarchy = make_hierarchy(start, head, np.ones(81, np.bool_))
    costs = hierarchy.customised(cost)
    dearer = cost.copy()
    dearer[::3] *= 5.0
    dearer[7] = np.inf
    room, path = np.empty(6 * 81 + 64, np.int64), np.empty(81, np.int32)
    ahead, back = new_reached(81), new_reached(81)
    for new in (dearer, cost):
        hierarchy.customise_again(new, costs)
        priced = [(tail, to, price) for (tail, to, _), price in zip(links, new.tolist(), strict=True)]
        expected = twin.labels(4, 81, priced, [True] * 81)
        for target in range(81):
            found, length = path_between(4, target, hierarchy.layout, costs, ahead, back, room, path)
            assert found == pytest.approx(expected[target], rel=1e-13)
            twin.check_path(4, target, found, path[:length].tolist(), priced, [True] * 81, 1e-13)


def test_a_long_chain_of_links_that_cost_nothing() -> None:
    """More rounds than a batch spends on attaching: the tree comes from the bucket queue."""
    n_nodes = 700
    ends = [(i, i + 1, 0.0) for i in range(n_nodes - 1)] + [(i + 1, i, 0.0) for i in range(n_nodes - 1)]
    (start, head, cost), links = star(ends, n_nodes)
    hierarchy = make_hierarchy(start, head, np.ones(n_nodes, np.bool_))
    origins = np.array([n_nodes // 2, 0, n_nodes - 1], np.int32)
    tree_link, distance = np.empty((3, n_nodes), np.int32), np.full((3, n_nodes), np.nan)
    trees_of_batches(
        0, 1, hierarchy.batch_order(origins), origins, np.zeros(4, np.int64), np.zeros(0, np.int32), np.zeros(0),
        hierarchy.layout, hierarchy.customised(cost), tree_link, np.empty(3), distance,
    )  # fmt: skip
    for place, source in enumerate(origins.tolist()):
        twin.check_tree(source, distance[place], tree_link[place], links, [True] * n_nodes, 0.0)
        assert (distance[place] == 0.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_links_that_cost_nothing_among_others_close_no_cycle(seed: int) -> None:
    """Labels of nodes that such links join differ by rounding, so that they alone would tell a wrong order."""
    (start, head, _), links = grid(20)
    luck = stream(seed, "test costs of nothing")
    price = {
        ends: 0.0 if luck.random() < 0.4 else float(luck.uniform(0.1, 1.0)) for ends in {frozenset(link[:2]) for link in links}
    }
    links = [(tail, to, price[frozenset((tail, to))]) for tail, to, _ in links]
    hierarchy = make_hierarchy(start, head, np.ones(400, np.bool_))
    origins = luck.choice(400, LANES).astype(np.int32)
    tree_link, distance = np.empty((LANES, 400), np.int32), np.empty((LANES, 400))
    trees_of_batches(
        0, 1, hierarchy.batch_order(origins), origins, np.zeros(LANES + 1, np.int64), np.zeros(0, np.int32), np.zeros(0),
        hierarchy.layout, hierarchy.customised(np.array([link[2] for link in links])), tree_link, np.empty(LANES), distance,
    )  # fmt: skip
    for place, source in enumerate(origins.tolist()):
        assert distance[place] == pytest.approx(twin.labels(source, 400, links, [True] * 400), rel=1e-12)
        twin.check_tree(source, distance[place], tree_link[place], links, [True] * 400, 1e-11)


def test_costs_of_two_customisings_give_no_path() -> None:
    (start, head, cost), _ = grid(6)
    hierarchy = make_hierarchy(start, head, np.ones(36, np.bool_))
    costs = hierarchy.customised(cost)
    costs.arc_cost[:] *= 0.75
    costs.rising[:] *= 0.75
    costs.falling[:] *= 0.75
    path, room = np.empty(36, np.int32), np.empty(6 * 36 + 64, np.int64)
    assert path_between(0, 35, hierarchy.layout, costs, new_reached(36), new_reached(36), room, path)[1] == -1
    with pytest.raises(AssertionError, match="unpack"):
        paths_between(np.array([0], np.int32), np.array([35], np.int32), hierarchy.layout, costs)


def test_rows_of_labels_by_their_formulas() -> None:
    luck = stream(2, "test rows")
    label = label_rows(6)
    assert label.ctypes.data % 64 == 0
    label[:] = luck.integers(0, 9, (6, LANES))
    node, link = np.array([1, 4, 2], np.int32), np.array([70, 80, 90], np.int32)
    cost = np.array([1.0, 3.0, 2.0])
    best, picked = label_rows(1), np.empty((1, LANES), np.int32)
    before = label.copy()
    misfits = run_rows(label, node, cost, link, best, picked)
    pushed = before.copy()
    for place, other in enumerate(node):
        pushed[other] = np.minimum(pushed[other], pushed[0] + cost[place])
    pushed[3] = np.min([pushed[3], *(pushed[other] + cost[place] for place, other in enumerate(node))], axis=0)
    assert (label == pushed).all()
    for lane in range(LANES):
        sums = {
            pushed[other, lane] + cost[i]: int(link[i])
            for i, other in reversed(list(enumerate(node)))
            if pushed[other, lane] < pushed[5, lane]
        }
        least = min(sums, default=np.inf)
        assert best[0, lane] == least
        assert picked[0, lane] == sums.get(least, -1)
        assert (misfits >> lane & 1) == (least > pushed[5, lane])


def run_rows(
    label: np.ndarray, node: np.ndarray, cost: np.ndarray, link: np.ndarray, best: np.ndarray, picked: np.ndarray
) -> int:
    from sim.kernels._jit import kernel

    @kernel
    def run(label: np.ndarray, node: np.ndarray, cost: np.ndarray, link: np.ndarray, best: np.ndarray, picked: np.ndarray) -> int:
        push(label, 0, node, cost, 0, 3)
        pull(label, 3, node, cost, 0, 3)
        return int(pick(label, 5, node, cost, link, 0, 3, best, picked))

    return run(label, node, cost, link, best, picked)


@pytest.mark.parametrize("bad", [[1.0, -1.0], [np.nan, 1.0], [1.0]])
def test_bad_costs_are_refused(bad: list[float]) -> None:
    hierarchy = make_hierarchy(np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2, np.bool_))
    with pytest.raises(InputError, match=r"0 or above|2 costs"):
        hierarchy.customised(np.array(bad))
