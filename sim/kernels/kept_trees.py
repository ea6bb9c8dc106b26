"""Shortest-path trees that are kept and brought up to date when the costs have changed, instead of searched anew.

Method (after Ramalingam and Reps 1996, Journal of Algorithms 21, for many changes at once). A tree is kept as its links in an
order in which tails come before heads. At new costs one pass in that order gives the cost of every tree path, which no shortest
path exceeds. One pass over all links finds those that promise less; their heads are seeds of a search by Dijkstra's method that
visits only what changes. In an assignment that is a few nodes in a hundred.

Exactness. At the end no link promises less, and every label is the sum along its tree path: the very number that a search from
nothing has, because adding a cost of at least 0 is monotone in floating-point arithmetic. A tree link is written on strict
improvement only, so links of no cost close no cycle. Which of several equally cheap paths is kept can differ from a search from
nothing; it depends on the costs seen so far alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import inlined, kernel
from sim.kernels.paths_tree import ENTRY, SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack
from sim.kernels.trees import NO_LINK, sift_down, sift_up

_SEEDS_PER_NODE = 16
"""Where more than one node in so many can be reached for less at once, a search from nothing is faster."""


class Streets(NamedTuple):
    """The network of all layers, links by tail, and what searches from its origins need to know."""

    start: OffsetColumn
    tail: IndexColumn
    head: IndexColumn
    passable: BoolColumn
    nodes_per_layer: int
    open_start: OffsetColumn
    """Entries of `open_link` of each layer; shape (n_layers + 1,)."""
    open_link: IndexColumn
    """Links on which a search may go on from any origin: their tails are passable."""
    origin_node: IndexColumn
    cell_start: OffsetColumn
    cell_node: IndexColumn
    cell_demand: FloatColumn


class Trees(NamedTuple):
    """One tree an origin; columns count the nodes of the origin's layer."""

    link_into: IndexColumn
    """Tree link into each node, NO_LINK at the origin and where unreachable; shape (n_origins, nodes_per_layer)."""
    order: IndexColumn
    """The tree's links, tails before heads; the first `size` of a row."""
    size: IndexColumn
    cheapest_total: FloatColumn
    """What the origin's demand costs on its tree: sum of demand * distance, inf where a cell has no path; shape (n_origins,)."""


class _Search(NamedTuple):
    label: FloatColumn
    heap: IndexColumn
    position: IndexColumn
    placed: IndexColumn
    chain: IndexColumn
    old_order: IndexColumn


@inlined
def _new_search(n_nodes: int) -> _Search:
    return _Search(
        np.full(n_nodes, np.inf),
        np.empty(n_nodes, np.int32),
        np.full(n_nodes, -1, np.int32),
        np.full(n_nodes, -1, np.int32),
        np.empty(n_nodes, np.int32),
        np.empty(n_nodes, np.int32),
    )


@kernel
def _place(
    node: int, origin: int, source: int, first_node: int, size: int, link_into: IndexColumn, order: IndexColumn,
    streets: Streets, search: _Search,
) -> int:  # fmt: skip
    """Append the tree path to `node` as far as it is not in the order yet; return the new size."""
    depth = 0
    while node != source and search.placed[node] != origin:
        search.chain[depth] = link_into[node - first_node]
        search.placed[node] = origin
        node = streets.tail[search.chain[depth]]
        depth += 1
    while depth > 0:
        depth -= 1
        order[size] = search.chain[depth]
        size += 1
    return size


@kernel
def _improve(
    link: int, candidate: float, target: int, first_node: int, size: int, link_into: IndexColumn, search: _Search
) -> int:
    # A shorter path to `target`: write it and put the node into the heap, whose new size is returned.
    search.label[target] = candidate
    link_into[target - first_node] = link
    if search.position[target] < 0:
        search.heap[size] = target
        search.position[target] = size
        size += 1
    sift_up(search.heap, search.position, search.label, search.position[target])
    return size


@inlined
def _settle(
    size: int, source: int, first_node: int, link_into: IndexColumn, cost: FloatColumn, streets: Streets, search: _Search
) -> None:
    # Dijkstra's method from the nodes in the heap.
    label = search.label
    while size > 0:
        node = search.heap[0]
        search.position[node] = -1
        size -= 1
        if size > 0:
            search.heap[0] = search.heap[size]
            search.position[search.heap[0]] = 0
            sift_down(search.heap, search.position, label, size)
        if streets.passable[node] or node == source:
            for link in range(streets.start[node], streets.start[node + 1]):
                candidate = label[node] + cost[link]
                if candidate < label[streets.head[link]]:
                    size = _improve(link, candidate, streets.head[link], first_node, size, link_into, search)


@inlined
def _at_new_costs(
    origin: int, source: int, first_node: int, cost: FloatColumn, streets: Streets, trees: Trees, search: _Search
) -> int:
    """Label the kept tree at new costs and seed the heap with what can be reached for less; return the heap's size.

    NO_LINK is returned, with an empty heap, where a search from nothing would take less time, or a tree path was closed.
    """
    layer = first_node // streets.nodes_per_layer
    label, link_into, order = search.label, trees.link_into[origin], trees.order[origin]
    tail, head = streets.tail, streets.head
    label[first_node : first_node + streets.nodes_per_layer] = np.inf
    label[source] = 0.0
    any_lost = False
    for place in range(trees.size[origin]):
        # Unsigned positions spare the loop numba's test for negative ones.
        link = np.uintp(order[place])
        reached = label[np.uintp(tail[link])] + cost[link]
        label[np.uintp(head[link])] = reached
        any_lost |= reached == np.inf
    if any_lost:
        return NO_LINK
    size = 0
    if not streets.passable[source]:
        for own in range(streets.start[source], streets.start[source + 1]):
            if cost[own] < label[head[own]]:
                size = _improve(own, cost[own], head[own], first_node, size, link_into, search)
    most_seeds = 4 + streets.nodes_per_layer // _SEEDS_PER_NODE
    for entry in range(streets.open_start[layer], streets.open_start[layer + 1]):
        link = np.uintp(streets.open_link[entry])
        candidate = label[np.uintp(tail[link])] + cost[link]
        if candidate < label[np.uintp(head[link])]:
            size = _improve(int(link), candidate, head[link], first_node, size, link_into, search)
            if size > most_seeds:
                for place in range(size):
                    search.position[search.heap[place]] = -1
                return NO_LINK
    return size


@inlined
def _put_in_order(origin: int, source: int, first_node: int, streets: Streets, trees: Trees, search: _Search) -> None:
    link_into, order = trees.link_into[origin], trees.order[origin]
    old_size = trees.size[origin]
    search.old_order[:old_size] = order[:old_size]
    size = 0
    for place in range(old_size):
        node = streets.head[search.old_order[place]]
        size = _place(node, origin, source, first_node, size, link_into, order, streets, search)
    if size < streets.nodes_per_layer - 1:
        # A tree that is new, or a link that was closed and has opened.
        for node in range(first_node, first_node + streets.nodes_per_layer):
            if link_into[node - first_node] != NO_LINK:
                size = _place(node, origin, source, first_node, size, link_into, order, streets, search)
    trees.size[origin] = size


@kernel
def update_trees(first: int, past_last: int, cost: FloatColumn, streets: Streets, trees: Trees) -> None:
    """Bring the trees of origins `first` to `past_last` up to date with the costs, and their totals.

    A tree of size 0 is new and searched from nothing.
    """
    n_nodes = len(streets.passable)
    # What a search from nothing needs is made for the first that takes place.
    nodes, links, queue = np.empty(0, SEARCH_NODE), np.empty(0, SEARCH_LINK), np.empty((0, 0), ENTRY)
    width = 0.0
    search = _new_search(n_nodes)
    for origin in range(first, past_last):
        source = streets.origin_node[origin]
        first_node = source // streets.nodes_per_layer * streets.nodes_per_layer
        seeds = NO_LINK
        if trees.size[origin] > 0:
            seeds = _at_new_costs(origin, source, first_node, cost, streets, trees, search)
        link_into = trees.link_into[origin]
        if seeds > 0:
            _settle(seeds, source, first_node, link_into, cost, streets, search)
        elif seeds == NO_LINK:
            if width == 0.0:
                nodes, links, queue = np.empty(n_nodes + 1, SEARCH_NODE), np.empty(len(cost) + 1, SEARCH_LINK), new_queue()
                pack(streets.start, streets.head, cost, streets.passable, nodes, links)
                width = bucket_width(cost)
            queue = bucket_tree(source, nodes, links, width, queue, streets.start, streets.head, cost, streets.passable)
            for node in range(first_node, first_node + streets.nodes_per_layer):
                search.label[node] = nodes[node].label
                link_into[node - first_node] = nodes[node].link
            trees.size[origin] = 0
        if seeds != 0:
            _put_in_order(origin, source, first_node, streets, trees, search)
        total = 0.0
        for cell in range(streets.cell_start[origin], streets.cell_start[origin + 1]):
            total += streets.cell_demand[cell] * search.label[streets.cell_node[cell]]
        trees.cheapest_total[origin] = total
