"""Shortest-path trees of many sources at once: eight searches in step over a customised hierarchy.

Method (after Delling, Goldberg, Nowatzyk and Werneck 2011, "PHAST"). Each source labels what rising paths reach; then all
nodes are taken from the highest rank to the lowest, and each takes the least of its higher neighbours' labels plus the falling
arc. This sweep reads memory in order and serves eight sources with every arc. Sources that lie near each other share most of
their way up: give them in the order of `sim.network.hierarchy`.

Predecessors. A label is a sum of arcs and may differ from Dijkstra's by rounding (relative 1e-12 is never reached on road
networks). Of the links into a node the one with the least sum is taken, among tails whose label is strictly below the
node's: along such links labels fall, so they hold no cycle. A node that this leaves without a fitting link (a link of cost 0,
or so small that the sum does not feel it) is then attached to a node that is connected to the source already, with equal
label up to rounding. Where that fails, the tree of the source is searched again with the bucket queue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_lanes import LANES, ROUNDING, label_rows, pick, pull, push
from sim.kernels.paths_layout import Costs, Layout
from sim.kernels.paths_tree import SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack
from sim.kernels.trees import NO_LINK

_MOST_ROUNDS = 64


@kernel
def _climb(row: int, lane: int, at: float, layout: Layout, label: FloatColumn, marked: NDArray[np.bool_]) -> None:
    label[row, lane] = min(label[row, lane], at)
    while not marked[row]:
        marked[row] = True
        if layout.start[row] == layout.start[row + 1]:
            break
        row = layout.upper[layout.start[row]]


@kernel
def _sweep(sources: IndexColumn, layout: Layout, costs: Costs, label: FloatColumn, marked: NDArray[np.bool_]) -> None:
    """Label all rows inside the hierarchy."""
    label[:] = np.inf
    marked[:] = False
    for lane in range(LANES):
        source = sources[lane]
        if layout.row_of_node[source] < layout.n_inside:
            _climb(layout.row_of_node[source], lane, 0.0, layout, label, marked)
        else:
            for link in range(layout.link_start[source], layout.link_start[source + 1]):
                row = layout.row_of_node[layout.head[link]]
                if row < layout.n_inside:
                    _climb(row, lane, costs.cost[link], layout, label, marked)
    start, upper, rising, falling = layout.start, layout.upper, costs.rising, costs.falling
    n_inside = layout.n_inside
    for row in range(n_inside):
        if marked[row]:
            push(label, row, upper, rising, start[row], start[row + 1])
    for row in range(n_inside - 1, -1, -1):
        pull(label, row, upper, falling, start[row], start[row + 1])


@kernel
def _start_links(lane: int, source: int, layout: Layout, costs: Costs, label: FloatColumn, tree_link: IndexColumn) -> None:
    """Enter the links that leave a source outside the hierarchy, and the source itself."""
    if layout.row_of_node[source] >= layout.n_inside:
        for link in range(layout.link_start[source], layout.link_start[source + 1]):
            node = layout.head[link]
            row = layout.row_of_node[node]
            if costs.cost[link] < label[row, lane] or (costs.cost[link] == label[row, lane] < np.inf):
                label[row, lane] = costs.cost[link]
                tree_link[node] = link
    label[layout.row_of_node[source], lane] = 0.0
    tree_link[source] = NO_LINK


@kernel
def _is_rooted(node: int, source: int, layout: Layout, tree_link: IndexColumn) -> bool:
    for _ in range(len(tree_link)):
        if node == source:
            return True
        if tree_link[node] == NO_LINK:
            return False
        node = layout.tail[tree_link[node]]
    return False


@kernel
def _attach(
    lane: int,
    source: int,
    loose: IndexColumn,
    n_loose: int,
    layout: Layout,
    costs: Costs,
    label: FloatColumn,
    tree_link: IndexColumn,
) -> bool:
    """Give every loose row (inside, reached, without a link) a link from a node that has its own; return whether all got one."""
    for _ in range(_MOST_ROUNDS):
        left = 0
        for place in range(n_loose):
            row = loose[place]
            node = layout.node_of_row[row]
            if tree_link[node] != NO_LINK:
                continue
            own = label[row, lane]
            for entry in range(layout.in_start[row], layout.in_start[row + 1]):
                before = layout.in_row[entry]
                tail = layout.node_of_row[before]
                if label[before, lane] + costs.in_cost[entry] > own * (1.0 + ROUNDING) or (
                    tree_link[tail] == NO_LINK and tail != source
                ):
                    continue
                # From a label no greater than its own no cycle can come: the labels along it would all be equal, and such
                # nodes are attached one after the other. Else the way back to the source is followed.
                if tail != node and (label[before, lane] <= own or _is_rooted(tail, source, layout, tree_link)):
                    tree_link[node] = layout.in_link[entry]
                    break
            if tree_link[node] == NO_LINK:
                loose[left] = row
                left += 1
        if left == 0:
            return True
        if left == n_loose:
            return False
        n_loose = left
    return False


@kernel
def eight_trees(
    sources: IndexColumn,
    layout: Layout,
    costs: Costs,
    label: FloatColumn,
    marked: NDArray[np.bool_],
    loose: IndexColumn,
    tree_link: IndexColumn,
) -> int:
    """Write the labels and trees of eight sources.

    Parameters
    ----------
    sources
        Nodes, shape (LANES,); the same one may stand several times.
    label
        Gets the distances by row, shape (n_nodes, LANES), from `label_rows`.
    marked, loose
        Scratch, shapes (n_nodes,) and (LANES, n_nodes).
    tree_link
        Gets the last links by node, shape (LANES, n_nodes), NO_LINK at the source and where unreachable.

    Returns
    -------
    int
        Bit i is set where lane i could not be finished and must be searched another way.
    """
    # Taken out of their tuples once: each look-up in a loop would count references.
    n_inside, node_of_row = layout.n_inside, layout.node_of_row
    in_start, in_row, in_link, in_cost = layout.in_start, layout.in_row, layout.in_link, costs.in_cost
    _sweep(sources, layout, costs, label, marked)
    best, picked = label_rows(2), np.empty((1, LANES), np.int32)
    best[1] = np.inf
    n_loose = np.zeros(LANES, np.int64)
    for row in range(n_inside, len(node_of_row)):
        # A row of inf lets every tail count: nothing leads on from here, so equal labels do no harm.
        pick(label, row, in_row, in_cost, in_link, in_start[row], in_start[row + 1], best, picked)
        node = node_of_row[row]
        for lane in range(LANES):
            label[row, lane] = best[0, lane]
            tree_link[lane, node] = picked[0, lane]
    for row in range(n_inside):
        misfits = pick(label, row, in_row, in_cost, in_link, in_start[row], in_start[row + 1], best, picked)
        node = node_of_row[row]
        for lane in range(LANES):
            tree_link[lane, node] = picked[0, lane]
        if misfits != 0:
            for lane in range(LANES):
                if misfits >> lane & 1:
                    tree_link[lane, node] = NO_LINK
                    loose[lane, n_loose[lane]] = row
                    n_loose[lane] += 1
    unfinished = 0
    for lane in range(LANES):
        source = sources[lane]
        _start_links(lane, source, layout, costs, label, tree_link[lane])
        left = 0
        for place in range(n_loose[lane]):
            if node_of_row[loose[lane, place]] != source:
                loose[lane, left] = loose[lane, place]
                left += 1
        if not _attach(lane, source, loose[lane], left, layout, costs, label, tree_link[lane]):
            unfinished |= 1 << lane
    return unfinished


@kernel
def _slow_tree(source: int, lane: int, layout: Layout, costs: Costs, label: FloatColumn, tree_link: IndexColumn) -> None:
    n_nodes, n_links = len(layout.row_of_node), len(layout.head)
    passable = np.empty(n_nodes, np.bool_)
    for node in range(n_nodes):
        passable[node] = layout.row_of_node[node] < layout.n_inside
    nodes, links = np.empty(n_nodes + 1, SEARCH_NODE), np.empty(n_links + 1, SEARCH_LINK)
    pack(layout.link_start, layout.head, costs.cost, passable, nodes, links)
    bucket_tree(
        source, nodes, links, bucket_width(costs.cost), new_queue(), layout.link_start, layout.head, costs.cost, passable
    )  # fmt: skip
    for node in range(n_nodes):
        label[layout.row_of_node[node], lane] = nodes[node].label
        tree_link[node] = nodes[node].link


@kernel
def trees_of_batches(
    first: int,
    past_last: int,
    order: IndexColumn,
    origin_node: IndexColumn,
    cell_start: OffsetColumn,
    cell_node: IndexColumn,
    cell_demand: FloatColumn,
    layout: Layout,
    costs: Costs,
    tree_link: IndexColumn,
    cheapest_total: FloatColumn,
    distance: FloatColumn,
) -> None:
    """Write the trees of the origins in batches `first` to `past_last`; batch b holds origins order[8 b] to order[8 b + 7].

    Parameters
    ----------
    order
        Positions of the origins, nearby ones together, shape (n_origins,).
    tree_link, cheapest_total
        As in `sim.kernels.paths_tree.trees_of_origins`.
    distance
        Gets the labels by node, shape (n_origins, n_nodes); or shape (0, 0) for none.
    """
    row_of_node = layout.row_of_node
    n_nodes = len(row_of_node)
    label = label_rows(n_nodes)
    marked, loose = np.empty(n_nodes, np.bool_), np.empty((LANES, n_nodes), np.int32)
    rows, sources = np.empty((LANES, n_nodes), np.int32), np.empty(LANES, np.int32)
    for batch in range(first, past_last):
        for lane in range(LANES):
            # The last batch may have empty lanes; they repeat its last origin.
            sources[lane] = origin_node[order[min(LANES * batch + lane, len(order) - 1)]]
        unfinished = eight_trees(sources, layout, costs, label, marked, loose, rows)
        for lane in range(min(LANES, len(order) - LANES * batch)):
            origin = order[LANES * batch + lane]
            if unfinished >> lane & 1:
                _slow_tree(sources[lane], lane, layout, costs, label, rows[lane])
            tree_link[origin] = rows[lane]
            total = 0.0
            for cell in range(cell_start[origin], cell_start[origin + 1]):
                total += cell_demand[cell] * label[row_of_node[cell_node[cell]], lane]
            cheapest_total[origin] = total
            if len(distance) > 0:
                for node in range(n_nodes):
                    distance[origin, node] = label[row_of_node[node], lane]
