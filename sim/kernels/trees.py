"""Shortest-path trees by Dijkstra's method with an indexed 4-ary heap.

Links are numbered by their tail (forward star): node i has links `start[i]` to `start[i + 1]`. Costs are at least 0. Nodes that
are not passable are left only where the search starts. Among equal labels the smaller heap position goes first, which depends
on the input alone, so the result is the same on every machine.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

NO_LINK = -1


@kernel
def sift_up(heap: IndexColumn, position: IndexColumn, label: FloatColumn, place: int) -> None:
    """Move the entry at `place` up to where its label belongs."""
    node = heap[place]
    key = label[node]
    while place > 0:
        parent = (place - 1) >> 2
        above = heap[parent]
        if label[above] <= key:
            break
        heap[place] = above
        position[above] = place
        place = parent
    heap[place] = node
    position[node] = place


@kernel
def sift_down(heap: IndexColumn, position: IndexColumn, label: FloatColumn, size: int) -> None:
    """Move the first of `size` entries down to where its label belongs."""
    place = 0
    node = heap[0]
    key = label[node]
    while True:
        child = (place << 2) + 1
        if child >= size:
            break
        best = child
        best_key = label[heap[child]]
        for other in range(child + 1, min(child + 4, size)):
            other_key = label[heap[other]]
            if other_key < best_key:
                best = other
                best_key = other_key
        if best_key >= key:
            break
        heap[place] = heap[best]
        position[heap[place]] = place
        place = best
    heap[place] = node
    position[node] = place


@kernel
def shortest_tree(
    source: int,
    start: OffsetColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
    label: FloatColumn,
    tree_link: IndexColumn,
    heap: IndexColumn,
    position: IndexColumn,
) -> None:
    """Write distance and last link of the shortest path from `source` to every node.

    `label` (n_nodes,) gets the distances, inf where unreachable; `tree_link` (n_nodes,) the links, NO_LINK at the source and
    where unreachable. `heap` and `position` (n_nodes,) are scratch.
    """
    label[:] = np.inf
    tree_link[:] = NO_LINK
    position[:] = -1
    label[source] = 0.0
    heap[0] = source
    position[source] = 0
    size = 1
    while size > 0:
        node = heap[0]
        size -= 1
        if size > 0:
            heap[0] = heap[size]
            sift_down(heap, position, label, size)
        if not passable[node] and node != source:
            continue
        reached = label[node]
        for link in range(start[node], start[node + 1]):
            candidate = reached + cost[link]
            target = head[link]
            if candidate < label[target]:
                label[target] = candidate
                tree_link[target] = link
                if position[target] < 0:
                    heap[size] = target
                    position[target] = size
                    size += 1
                sift_up(heap, position, label, position[target])
