"""Shortest paths between single nodes over a customised hierarchy, with their links.

A rising search from the source and one, against the links, from the target walk up their ancestors in the elimination tree, in
the order of the ranks; a shortest path has its highest node where the sum of the two labels is least. Arcs are then unpacked into
links by finding, for each shortcut, the lower node whose two arcs have exactly its cost (see `sim.kernels.paths_hierarchy`).
A source or target outside the hierarchy enters it by its own links.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_hierarchy import DOWN, UNKNOWN, UP
from sim.kernels.paths_layout import Costs, Layout

REACHED = np.dtype([("label", np.float64), ("arc", np.int32), ("by", np.int32)], align=True)
"""Label of a row, the arc that gave it (_ENTRANCE: none) and the row below (or the link of the entrance, -1 for none)."""
_ENTRANCE = -1
_NOWHERE = -1

Records = NDArray[Any]


@kernel
def new_reached(n_inside: int) -> Records:
    """Return scratch for one direction of `path_between`, shape (n_inside,); every search leaves it as it was."""
    result = np.empty(n_inside, REACHED)
    for row in range(n_inside):
        result[row].label = np.inf
    return result


@kernel
def _enter(
    node: int, forward: bool, layout: Layout, costs: Costs, reached: Records, climbing: IndexColumn, n_climbing: int
) -> int:
    """Label the rows where a search starts and add them to `climbing`; return how many are climbing then."""
    row = layout.row_of_node[node]
    if row < layout.n_inside:
        reached[row].label = 0.0
        reached[row].arc = _ENTRANCE
        reached[row].by = -1
        climbing[n_climbing] = row
        return n_climbing + 1
    first, past_last = layout.link_start[node], layout.link_start[node + 1]
    if not forward:
        first, past_last = layout.in_start[row], layout.in_start[row + 1]
    for entry in range(first, past_last):
        link = entry if forward else layout.in_link[entry]
        other = layout.row_of_node[layout.head[link]] if forward else layout.in_row[entry]
        if other < layout.n_inside and costs.cost[link] < reached[other].label:
            if reached[other].label == np.inf:
                climbing[n_climbing] = other
                n_climbing += 1
            reached[other].label = costs.cost[link]
            reached[other].arc = _ENTRANCE
            reached[other].by = link
    return n_climbing


@kernel
def _meet(
    start: OffsetColumn,
    upper: IndexColumn,
    rising: FloatColumn,
    falling: FloatColumn,
    ahead: Records,
    back: Records,
    climbing: IndexColumn,
    n_climbing: int,
    visited: IndexColumn,
) -> tuple[float, int, int]:
    """Climb from all entrances at once; return (cost, row where the searches meet or -1, rows visited).

    Unsigned positions spare the inner loops numba's test for negative ones.
    """
    best, meeting, n_visited = np.inf, _NOWHERE, 0
    while n_climbing > 0:
        row = climbing[0]
        for place in range(1, n_climbing):
            row = min(row, climbing[place])
        visited[n_visited] = row
        n_visited += 1
        first, past_last = start[row], start[row + 1]
        reached, left = ahead[row].label, back[row].label
        if reached + left < best:
            best = reached + left
            meeting = row
        if reached < best:
            for arc in range(first, past_last):
                candidate = reached + rising[np.uintp(arc)]
                other = np.uintp(upper[np.uintp(arc)])
                if candidate < ahead[other].label:
                    ahead[other].label = candidate
                    ahead[other].arc = arc
                    ahead[other].by = row
        if left < best:
            for arc in range(first, past_last):
                candidate = left + falling[np.uintp(arc)]
                other = np.uintp(upper[np.uintp(arc)])
                if candidate < back[other].label:
                    back[other].label = candidate
                    back[other].arc = arc
                    back[other].by = row
        parent = upper[first] if first < past_last else _NOWHERE
        kept, follows = 0, parent == _NOWHERE
        for place in range(n_climbing):
            if climbing[place] != row:
                climbing[kept] = climbing[place]
                kept += 1
                follows = follows or climbing[kept - 1] == parent
        n_climbing = kept
        if not follows:
            climbing[n_climbing] = parent
            n_climbing += 1
    return best, meeting, n_visited


@kernel
def _find_middle(
    low_end: int,
    high_end: int,
    way: int,
    wanted: float,
    start: OffsetColumn,
    upper: IndexColumn,
    low_start: OffsetColumn,
    low: IndexColumn,
    low_arc: IndexColumn,
    arc_cost: FloatColumn,
) -> int:
    """Return the entry of a middle node in the lower end's row, whose two arcs have exactly the wanted cost together."""
    for entry in range(low_start[low_end], low_start[low_end + 1]):
        first = arc_cost[low_arc[entry], 1 - way]
        if first <= wanted:
            to_high = _arc_behind(low_arc[entry], start[low[entry] + 1], high_end, upper)
            if to_high != _NOWHERE and first + arc_cost[to_high, way] == wanted:
                return entry
    return _NOWHERE


@kernel
def _arc_behind(arc: int, past_last: int, high_end: int, upper: IndexColumn) -> int:
    """Return the arc to `high_end` that stands behind `arc` in the same row, or -1; rows are short, so each is looked at."""
    for other in range(arc + 1, past_last):
        if upper[np.uintp(other)] >= high_end:
            return int(other) if upper[np.uintp(other)] == high_end else _NOWHERE
    return _NOWHERE


@kernel
def _put_arcs(meeting: int, ahead: Records, back: Records, stack: OffsetColumn) -> tuple[int, int, int]:
    """Put the arcs of the path on `stack`, the first one to drive on top; return (how many, first link, last link), -1 for none.

    A place of the stack holds 2 * arc + direction and the lower end.
    """
    depth = 0
    row = meeting
    while back[row].arc != _ENTRANCE:
        stack[2 * depth] = 2 * back[row].arc + DOWN
        stack[2 * depth + 1] = back[row].by
        depth += 1
        row = back[row].by
    last_link = back[row].by
    # These were found from the meeting row on, and so must be turned over: the row's own arc is driven first.
    for place in range(depth // 2):
        mirror = depth - 1 - place
        for part in range(2):
            held = stack[2 * place + part]
            stack[2 * place + part] = stack[2 * mirror + part]
            stack[2 * mirror + part] = held
    row = meeting
    while ahead[row].arc != _ENTRANCE:
        stack[2 * depth] = 2 * ahead[row].arc + UP
        stack[2 * depth + 1] = ahead[row].by
        depth += 1
        row = ahead[row].by
    return depth, ahead[row].by, last_link


@kernel
def _unpack(depth: int, layout: Layout, costs: Costs, stack: OffsetColumn, path: IndexColumn, length: int) -> int:
    """Append the links of the arcs on `stack` to `path`, from the top; return the new length.

    -1 where `path` is too short, or where the costs of the arcs are not from one customising.
    """
    # Taken out of their tuples once: each look-up in a loop would count references.
    start, upper, low_start, low, low_arc = layout.start, layout.upper, layout.low_start, layout.low, layout.low_arc
    cost, arc_cost, arc_link, arc_middle = costs.cost, costs.arc_cost, costs.arc_link, costs.arc_middle
    while depth > 0:
        depth -= 1
        arc, way, low_end = stack[2 * depth] >> 1, stack[2 * depth] & 1, stack[2 * depth + 1]
        link = arc_link[arc, way]
        if link >= 0 and cost[link] == arc_cost[arc, way]:
            if length == len(path):
                return -1
            path[length] = link
            length += 1
            continue
        entry = arc_middle[arc, way]
        if entry == UNKNOWN:
            entry = _find_middle(low_end, upper[arc], way, arc_cost[arc, way], start, upper, low_start, low, low_arc, arc_cost)
            if entry == _NOWHERE:
                return -1
            # Remembered for the next path; whichever thread comes first writes the same number.
            arc_middle[arc, way] = entry
        middle, to_low = low[entry], low_arc[entry]
        to_high = _arc_behind(to_low, start[middle + 1], upper[arc], upper)
        # Upwards the arc to the lower end is driven first, downwards the arc from the higher end.
        one, other = (to_high, to_low) if way == UP else (to_low, to_high)
        stack[2 * depth] = 2 * one + UP
        stack[2 * depth + 1] = middle
        stack[2 * depth + 2] = 2 * other + DOWN
        stack[2 * depth + 3] = middle
        depth += 2
    return length


@kernel
def _write_path(
    meeting: int, layout: Layout, costs: Costs, ahead: Records, back: Records, stack: OffsetColumn, path: IndexColumn
) -> int:
    depth, first_link, last_link = _put_arcs(meeting, ahead, back, stack)
    length = 0
    if first_link >= 0:
        path[0] = first_link
        length = 1
    length = _unpack(depth, layout, costs, stack, path, length)
    if length >= 0 and last_link >= 0:
        if length == len(path):
            return -1
        path[length] = last_link
        length += 1
    return length


@kernel
def path_between(
    source: int,
    target: int,
    layout: Layout,
    costs: Costs,
    ahead: Records,
    back: Records,
    scratch: OffsetColumn,
    path: IndexColumn,
) -> tuple[float, int]:
    """Find a shortest path between two nodes.

    Parameters
    ----------
    ahead, back
        Scratch from `new_reached`.
    scratch
        Shape (6 n_nodes + 64,).
    path
        Gets the links in driving order; its length must be at least 1.

    Returns
    -------
    tuple[float, int]
        Cost (inf: no path) and number of links; -1 links where `path` is too short (n_nodes always suffice) or `costs` are not
        from one customising.
    """
    if source == target:
        return 0.0, 0
    climbing, visited = (
        np.empty(_n_entrances(source, layout) + _n_entrances(target, layout), np.int32),
        np.empty(layout.n_inside, np.int32),
    )
    n_climbing = _enter(source, True, layout, costs, ahead, climbing, 0)
    n_climbing = _enter(target, False, layout, costs, back, climbing, n_climbing)
    best, meeting, n_visited = _meet(
        layout.start, layout.upper, costs.rising, costs.falling, ahead, back, climbing, n_climbing, visited
    )  # fmt: skip
    length = 0
    if meeting != _NOWHERE:
        length = _write_path(meeting, layout, costs, ahead, back, scratch, path)
    if layout.row_of_node[source] >= layout.n_inside and layout.row_of_node[target] >= layout.n_inside:
        for link in range(layout.link_start[source], layout.link_start[source + 1]):
            if layout.head[link] == target and costs.cost[link] < best:
                best, length = costs.cost[link], 1
                path[0] = link
    for place in range(n_visited):
        ahead[visited[place]].label = np.inf
        back[visited[place]].label = np.inf
    return best, length


@kernel
def _n_entrances(node: int, layout: Layout) -> int:
    row = layout.row_of_node[node]
    if row < layout.n_inside:
        return 1
    return int(max(layout.link_start[node + 1] - layout.link_start[node], layout.in_start[row + 1] - layout.in_start[row]))


@kernel
def paths_between(
    source: IndexColumn, target: IndexColumn, layout: Layout, costs: Costs
) -> tuple[FloatColumn, OffsetColumn, IndexColumn]:
    """Find a shortest path for each pair of nodes; return (cost, start, link): path i has links `link[start[i]:start[i + 1]]`."""
    n_pairs, n_nodes = len(source), len(layout.row_of_node)
    ahead, back = new_reached(layout.n_inside), new_reached(layout.n_inside)
    scratch, path = np.empty(6 * n_nodes + 64, np.int64), np.empty(n_nodes + 1, np.int32)
    cost, start, links = np.empty(n_pairs), np.zeros(n_pairs + 1, np.int64), np.empty(64 + 64 * n_pairs, np.int32)
    for pair in range(n_pairs):
        cost[pair], length = path_between(source[pair], target[pair], layout, costs, ahead, back, scratch, path)
        if length < 0:
            raise AssertionError("a path does not unpack: its costs were changed while it was searched")
        filled = start[pair]
        if filled + length > len(links):
            grown = np.empty(2 * len(links) + length, np.int32)
            grown[:filled] = links[:filled]
            links = grown
        links[filled : filled + length] = path[:length]
        start[pair + 1] = filled + length
    return cost, start, links[: start[n_pairs]]
