"""Nested dissection: a node order for hierarchies (George 1973), with separators from maximum flows.

A part of the network is cut by a small set of nodes, the separator, which gets the highest ranks of the part; the two sides are
cut in turn. The separator is a least vertex cut between the first and the last quarter of the nodes along an axis (inertial
flow: Schild and Sommer 2015), the best of several axes. The flow runs over nodes: no two of its paths share a node (Menger), so a
path is kept as a predecessor and a successor of each node. Blocking flows along shortest residual paths (Dinic 1970).

Residual network: a node has two states, entered (2 v) and left (2 v + 1). Entering a free node allows leaving it; entering a
node that a path uses allows only to push that path back to its predecessor, which is then left another way. A node that was
left by pushing back may also be given up by its path.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

_TERMINAL_SHARE = 0.25
_FREE, _SOURCE, _SINK = -1, -2, -3
_MIDDLE, _FIRST_SIDE, _LAST_SIDE = 0, 1, 2
_FIRST, _SEPARATOR, _LAST = 0, 1, 2
_N_BINS = 1024


class FlowState(NamedTuple):
    """Scratch of the cuts; node columns (n_nodes,) and state columns (2 n_nodes,)."""

    part: IndexColumn
    """Which part a node belongs to; -1 once it has its final rank."""
    side: NDArray[np.int8]
    before: IndexColumn
    after: IndexColumn
    level: IndexColumn
    next_try: OffsetColumn
    queue: IndexColumn
    bin_size: IndexColumn


@kernel
def _take_quarters(nodes: IndexColumn, key: IndexColumn, state: FlowState) -> None:
    """Mark the quarter of the nodes with the least and the quarter with the greatest keys."""
    size = len(nodes)
    quota = max(1, int(_TERMINAL_SHARE * size))
    least, greatest = key[nodes[0]], key[nodes[0]]
    for node in nodes:
        least, greatest = min(least, key[node]), max(greatest, key[node])
    n_bins = min(_N_BINS, 2 * size)
    scale = n_bins / (greatest - least + 1.0)
    bins = state.bin_size
    bins[:n_bins] = 0
    for node in nodes:
        bins[int((key[node] - least) * scale)] += 1
    low, taken_low = 0, 0
    while taken_low + bins[low] <= quota:
        taken_low += bins[low]
        low += 1
    high, taken_high = n_bins - 1, 0
    while taken_high + bins[high] <= quota:
        taken_high += bins[high]
        high -= 1
    for node in nodes:
        bin_of = int((key[node] - least) * scale)
        state.side[node] = _MIDDLE
        if bin_of < low:
            state.side[node] = _FIRST_SIDE
        elif bin_of > high:
            state.side[node] = _LAST_SIDE
        elif bin_of == low and taken_low < quota:
            # Part of a bin, so that a side is not empty where one bin holds more than the quota.
            state.side[node] = _FIRST_SIDE
            taken_low += 1
        elif bin_of == high and taken_high < quota:
            state.side[node] = _LAST_SIDE
            taken_high += 1


@kernel
def _levels(nodes: IndexColumn, row: OffsetColumn, neighbour: IndexColumn, state: FlowState) -> bool:
    """Write the breadth-first level of every residual state; return whether the last side was reached."""
    level, queue, before = state.level, state.queue, state.before
    filled = 0
    for node in nodes:
        level[2 * node] = -1
        level[2 * node + 1] = -1
        state.next_try[node] = row[node]
    for node in nodes:
        if state.side[node] == _FIRST_SIDE:
            for place in range(row[node], row[node + 1]):
                other = neighbour[place]
                if state.part[other] == state.part[node] and state.side[other] != _FIRST_SIDE:
                    level[2 * node] = 0
                    queue[filled] = 2 * node
                    filled += 1
                    break
    reached = False
    taken = 0
    while taken < filled:
        at = queue[taken]
        taken += 1
        node, here = at >> 1, level[at]
        if at & 1:
            if state.side[node] == _LAST_SIDE:
                reached = True
                continue
            if before[node] != _FREE and level[2 * node] < 0:
                level[2 * node] = here + 1
                queue[filled] = 2 * node
                filled += 1
            for place in range(row[node], row[node + 1]):
                other = neighbour[place]
                if state.part[other] != state.part[node] or state.side[other] == _FIRST_SIDE or level[2 * other] >= 0:
                    continue
                level[2 * other] = here + 1
                queue[filled] = 2 * other
                filled += 1
        else:
            onward = 2 * node + 1 if before[node] == _FREE else (2 * before[node] + 1 if before[node] >= 0 else -1)
            if onward >= 0 and level[onward] < 0:
                level[onward] = here + 1
                queue[filled] = onward
                filled += 1
    return reached


@kernel
def _next_state(at: int, row: OffsetColumn, neighbour: IndexColumn, state: FlowState) -> int:
    """Return a residual state one level behind `at` that was not tried yet, or -1."""
    level, before = state.level, state.before
    node, wanted = at >> 1, level[at] + 1
    if not at & 1:
        onward = 2 * node + 1 if before[node] == _FREE else (2 * before[node] + 1 if before[node] >= 0 else -1)
        return int(onward) if onward >= 0 and level[onward] == wanted else -1
    if before[node] != _FREE and level[2 * node] == wanted:
        return 2 * node
    while state.next_try[node] < row[node + 1]:
        other = neighbour[state.next_try[node]]
        if state.part[other] == state.part[node] and state.side[other] != _FIRST_SIDE and level[2 * other] == wanted:
            return int(2 * other)
        state.next_try[node] += 1
    return -1


@kernel
def _augment(path: IndexColumn, length: int, state: FlowState) -> None:
    before, after = state.before, state.after
    for place in range(length - 1):
        at, onward = path[place], path[place + 1]
        if at & 1:
            if onward == at - 1:
                before[at >> 1] = _FREE
                after[at >> 1] = _FREE
            else:
                after[at >> 1] = onward >> 1
                before[onward >> 1] = at >> 1
    before[path[0] >> 1] = _SOURCE
    after[path[length - 1] >> 1] = _SINK
    for place in range(length):
        state.level[path[place]] = -1


@kernel
def _block(nodes: IndexColumn, row: OffsetColumn, neighbour: IndexColumn, state: FlowState) -> int:
    """Add node-disjoint shortest residual paths until none is left; return how many."""
    added = 0
    path = state.queue
    for node in nodes:
        if state.side[node] != _FIRST_SIDE or state.level[2 * node] != 0:
            continue
        path[0] = 2 * node
        length = 1
        while length > 0:
            at = path[length - 1]
            if at & 1 and state.side[at >> 1] == _LAST_SIDE:
                _augment(path, length, state)
                added += 1
                break
            onward = _next_state(at, row, neighbour, state)
            if onward >= 0:
                path[length] = onward
                length += 1
            else:
                state.level[at] = -1
                length -= 1
    return added


@kernel
def _cut(nodes: IndexColumn, row: OffsetColumn, neighbour: IndexColumn, state: FlowState, most: int) -> int:
    """Find a least vertex cut between the two sides; return its size, or a number above `most` as soon as that is clear."""
    for node in nodes:
        state.before[node] = _FREE
        state.after[node] = _FREE
    size = 0
    while size <= most and _levels(nodes, row, neighbour, state):
        size += _block(nodes, row, neighbour, state)
    return size


@kernel
def _place_of(node: int, state: FlowState) -> int:
    """Return the side of the cut on which a node lies after the last search of levels."""
    if state.level[2 * node + 1] >= 0:
        return _FIRST
    if state.level[2 * node] >= 0:
        return _SEPARATOR
    return _FIRST if state.side[node] == _FIRST_SIDE else _LAST


@kernel
def _components(nodes: IndexColumn, row: OffsetColumn, neighbour: IndexColumn, state: FlowState) -> int:
    """Order `nodes` by connected component, in place; return how many nodes the first group of whole components has.

    The group is half of the nodes at most, or one component; so many components take few rounds.
    """
    part = state.part[nodes[0]]
    filled, first_size = 0, 0
    # The level column marks who is in the queue already.
    for node in nodes:
        state.level[node] = -1
    for seed in nodes:
        if state.level[seed] >= 0:
            continue
        state.level[seed] = 0
        state.queue[filled] = seed
        taken = filled
        filled += 1
        while taken < filled:
            node = state.queue[taken]
            taken += 1
            for place in range(row[node], row[node + 1]):
                other = neighbour[place]
                if state.part[other] == part and state.level[other] < 0:
                    state.level[other] = 0
                    state.queue[filled] = other
                    filled += 1
        if first_size == 0 or filled <= len(nodes) // 2:
            first_size = filled
    nodes[:] = state.queue[:filled]
    return first_size


@kernel
def _split(
    nodes: IndexColumn,
    row: OffsetColumn,
    neighbour: IndexColumn,
    keys: NDArray[np.int32],
    best: NDArray[np.int8],
    state: FlowState,
) -> tuple[int, int]:
    """Order a connected part as (first side, last side, separator), in place; return the sizes of the two sides."""
    smallest = len(nodes)
    for axis in range(len(keys)):
        _take_quarters(nodes, keys[axis], state)
        size = _cut(nodes, row, neighbour, state, smallest - 1)
        if size < smallest or axis == 0:
            smallest = size
            for node in nodes:
                best[node] = _place_of(node, state)
    filled, n_first = 0, 0
    for side in (_FIRST, _LAST, _SEPARATOR):
        for node in nodes:
            if best[node] == side:
                state.queue[filled] = node
                filled += 1
        if side == _FIRST:
            n_first = filled
    n_last = len(nodes) - n_first - smallest
    nodes[:] = state.queue[:filled]
    return n_first, n_last


@kernel
def dissection_order(row: OffsetColumn, neighbour: IndexColumn, keys: NDArray[np.int32]) -> IndexColumn:
    """Return the nodes from the lowest rank to the highest, shape (n_nodes,).

    Parameters
    ----------
    row, neighbour
        Neighbours of node i, each link seen from both ends: `neighbour[row[i]:row[i + 1]]`.
    keys
        Place of every node along some axes, shape (n_axes, n_nodes), n_axes at least 1.
    """
    n_nodes = len(row) - 1
    order = np.arange(n_nodes).astype(np.int32)
    state = FlowState(
        np.zeros(n_nodes, np.int32),
        np.zeros(n_nodes, np.int8),
        np.empty(n_nodes, np.int32),
        np.empty(n_nodes, np.int32),
        np.empty(2 * n_nodes, np.int32),
        np.empty(n_nodes, np.int64),
        np.empty(2 * n_nodes, np.int32),
        np.empty(_N_BINS, np.int32),
    )
    best = np.empty(n_nodes, np.int8)
    # A part waits on the stack as its bounds in `order`; at most one part for each node.
    waiting = np.empty((n_nodes + 1, 2), np.int64)
    waiting[0, 0] = 0
    waiting[0, 1] = n_nodes
    n_waiting, n_parts = 1, 0
    while n_waiting > 0:
        n_waiting -= 1
        low, high = waiting[n_waiting, 0], waiting[n_waiting, 1]
        if high - low <= 2:
            for place in range(low, high):
                state.part[order[place]] = -1
            continue
        nodes = order[low:high]
        connected = _components(nodes, row, neighbour, state)
        if connected < high - low:
            n_first, n_last = connected, high - low - connected
        else:
            n_first, n_last = _split(nodes, row, neighbour, keys, best, state)
        for place in range(low + n_first + n_last, high):
            state.part[order[place]] = -1
        for first, past_last in ((low, low + n_first), (low + n_first, low + n_first + n_last)):
            if past_last > first:
                n_parts += 1
                for place in range(first, past_last):
                    state.part[order[place]] = n_parts
                waiting[n_waiting, 0] = first
                waiting[n_waiting, 1] = past_last
                n_waiting += 1
    return order
