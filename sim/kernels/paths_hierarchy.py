"""A customisable contraction hierarchy: shortest paths between single nodes when link times change.

Source: Dibbelt, Strasser and Wagner 2016, "Customizable Contraction Hierarchies" (ACM JEA 21). Nodes have ranks from
`sim.kernels.paths_dissection`. Contracting them in this order joins the higher neighbours of each by arcs; the arcs depend on the
network alone (`upper_rows`). Customising gives every arc, in both directions, the least cost of a path whose inner nodes are all
lower than its two ends: at first the cheapest link, then for every triangle with a lower node m

    up(v, u) = min(up(v, u), down(m, v) + up(m, u)),    down(v, u) = min(down(v, u), down(m, u) + up(m, v)),

where up(v, u) leads from the lower end v to the higher end u and down(v, u) back. A shortest path then exists that first rises
and then falls; all nodes that rising paths from s can reach are the ancestors of s in the elimination tree (parent: the lowest
higher neighbour). Nodes are meant by rank in this module; only links keep their numbers.

Every triangle adds two costs, and the additions are the same when a path is unpacked, so the lower node of a shortcut is found
again by comparing for equality: customising stores two costs an arc, no middle node. Costs are at least 0; inf closes a link.

Turn bans: a hierarchy over links with turns as arcs has the same form; nothing here knows what a node stands for.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

_NO_ARC = -1
UNKNOWN = -1
"""Middle of a shortcut that nobody has asked for yet."""
UP, DOWN = 0, 1
"""Columns of the arc costs: from the lower end to the higher, and back."""


@kernel
def upper_rows(row: OffsetColumn, neighbour: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
    """Contract all nodes in order; return the higher neighbours of node i: `upper[start[i]:start[i + 1]]`, ascending.

    `row`, `neighbour`: neighbours of every node, by rank, each link seen from both ends.
    """
    n_nodes = len(row) - 1
    first_child = np.full(n_nodes, -1, np.int32)
    next_child = np.full(n_nodes, -1, np.int32)
    seen_by = np.full(n_nodes, -1, np.int32)
    start = np.zeros(n_nodes + 1, np.int64)
    upper = np.empty(max(64, 4 * len(neighbour)), np.int32)
    filled = 0
    for node in range(n_nodes):
        while filled + n_nodes > len(upper):
            grown = np.empty(2 * len(upper) + n_nodes, np.int32)
            grown[:filled] = upper[:filled]
            upper = grown
        first = filled
        seen_by[node] = node
        for place in range(row[node], row[node + 1]):
            other = neighbour[place]
            if other > node and seen_by[other] != node:
                seen_by[other] = node
                upper[filled] = other
                filled += 1
        child = first_child[node]
        while child >= 0:
            for place in range(start[child], start[child + 1]):
                other = upper[place]
                if seen_by[other] != node:
                    seen_by[other] = node
                    upper[filled] = other
                    filled += 1
            child = next_child[child]
        start[node + 1] = filled
        if filled > first:
            parent = upper[first:filled].min()
            next_child[node] = first_child[parent]
            first_child[parent] = node
    return start, _sorted_rows(start, upper[:filled])


@kernel
def _sorted_rows(start: OffsetColumn, upper: IndexColumn) -> IndexColumn:
    """Return the same rows, each ascending: turned over into rows by head and back, both in ascending order."""
    low_start, low, _ = lower_rows(start, upper)
    fill = start[:-1].copy()
    result = np.empty_like(upper)
    for node in range(len(start) - 1):
        for place in range(low_start[node], low_start[node + 1]):
            result[fill[low[place]]] = node
            fill[low[place]] += 1
    return result


@kernel
def lower_rows(start: OffsetColumn, upper: IndexColumn) -> tuple[OffsetColumn, IndexColumn, IndexColumn]:
    """Return the lower neighbours of every node, ascending, as (start, node, arc)."""
    n_nodes = len(start) - 1
    low_start = np.zeros(n_nodes + 1, np.int64)
    for arc in range(len(upper)):
        low_start[upper[arc] + 1] += 1
    for node in range(n_nodes):
        low_start[node + 1] += low_start[node]
    fill = low_start[:-1].copy()
    low, low_arc = np.empty_like(upper), np.empty_like(upper)
    for node in range(n_nodes):
        for arc in range(start[node], start[node + 1]):
            low[fill[upper[arc]]] = node
            low_arc[fill[upper[arc]]] = arc
            fill[upper[arc]] += 1
    return low_start, low, low_arc


@kernel
def find_arc(start: OffsetColumn, upper: IndexColumn, low: int, high: int) -> int:
    """Return the arc between two nodes, or -1 (binary search)."""
    first, past_last = start[low], start[low + 1]
    while first < past_last:
        middle = (first + past_last) >> 1
        if upper[middle] < high:
            first = middle + 1
        else:
            past_last = middle
    return first if first < start[low + 1] and upper[first] == high else _NO_ARC


@kernel
def places_of_links(start: OffsetColumn, upper: IndexColumn, tail: IndexColumn, head: IndexColumn) -> OffsetColumn:
    """Return 2 * arc + UP or DOWN of every link (ends by rank), shape (n_links,); -1 for self-loops and for ends below 0."""
    result = np.empty(len(tail), np.int64)
    for link in range(len(tail)):
        one, other = tail[link], head[link]
        result[link] = -1
        if one >= 0 and other >= 0 and one != other:
            arc = find_arc(start, upper, min(one, other), max(one, other))
            result[link] = 2 * arc + (UP if one < other else DOWN)
    return result


@kernel
def customise(
    start: OffsetColumn,
    upper: IndexColumn,
    low_start: OffsetColumn,
    low: IndexColumn,
    low_arc: IndexColumn,
    place: OffsetColumn,
    cost: FloatColumn,
    arc_cost: FloatColumn,
    rising: FloatColumn,
    falling: FloatColumn,
    arc_link: IndexColumn,
    arc_middle: IndexColumn,
) -> None:
    """Write the columns of `sim.kernels.paths_layout.Costs` that belong to arcs.

    `place` is from `places_of_links`; among equally cheap links the first is taken.
    """
    arc_cost[:] = np.inf
    arc_link[:] = -1
    arc_middle[:] = UNKNOWN
    for link in range(len(place)):
        if place[link] >= 0:
            direct, way = place[link] >> 1, place[link] & 1
            if cost[link] < arc_cost[direct, way]:
                arc_cost[direct, way] = cost[link]
                arc_link[direct, way] = link
    arc_to = np.empty(len(start) - 1, np.int32)
    for node in range(len(start) - 1):
        for mine in range(start[node], start[node + 1]):
            arc_to[upper[mine]] = mine
        for entry in range(low_start[node], low_start[node + 1]):
            below = low_arc[entry]
            rise, fall = arc_cost[below, UP], arc_cost[below, DOWN]
            for other in range(below + 1, start[low[entry] + 1]):
                # Unsigned positions spare the inner loop numba's test for negative ones.
                here = np.uintp(other)
                arc = np.uintp(arc_to[np.uintp(upper[here])])
                arc_cost[arc, UP] = min(fall + arc_cost[here, UP], arc_cost[arc, UP])
                arc_cost[arc, DOWN] = min(rise + arc_cost[here, DOWN], arc_cost[arc, DOWN])
    for each in range(len(upper)):
        rising[each] = arc_cost[each, UP]
        falling[each] = arc_cost[each, DOWN]
