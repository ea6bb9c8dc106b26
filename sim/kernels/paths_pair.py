"""A shortest path between two nodes without preparation: search that stops early, one-way or from both ends.

Dijkstra's method with a binary heap of (label, node); an entry whose label is no longer the node's is passed over. The one-way
search ends when the target is taken from the heap. The two-way search (Pohl 1971) always advances the side whose next label is
less and ends when the two next labels add up to no less than the best meeting found; a link is no worse a meeting place than a
node, so both are looked at. Work and clearing up are proportional to what is searched, not to the network.

Nodes that are not passable are left only at the source (entered only at the target). Turn bans: as in
`sim.kernels.paths_tree`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.trees import NO_LINK

HEAP_ENTRY = np.dtype([("key", np.float64), ("node", np.int64)], align=True)
_NOWHERE = -1

Records = NDArray[Any]


@kernel
def heap_push(heap: Records, size: int, key: float, node: int) -> None:
    """Put an entry on a binary heap of `size` entries; among equal keys the smaller node comes first."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if heap[parent].key < key or (heap[parent].key == key and heap[parent].node <= node):
            break
        heap[place].key = heap[parent].key
        heap[place].node = heap[parent].node
        place = parent
    heap[place].key = key
    heap[place].node = node


@kernel
def heap_pop(heap: Records, size: int) -> None:
    """Remove the first entry of a binary heap of `size` entries."""
    last = size - 1
    key, node = heap[last].key, heap[last].node
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and (
            heap[child + 1].key < heap[child].key
            or (heap[child + 1].key == heap[child].key and heap[child + 1].node < heap[child].node)
        ):
            child += 1
        if heap[child].key > key or (heap[child].key == key and heap[child].node >= node):
            break
        heap[place].key = heap[child].key
        heap[place].node = heap[child].node
        place = child
    heap[place].key = key
    heap[place].node = node


@kernel
def reverse_star(start: OffsetColumn, head: IndexColumn) -> tuple[OffsetColumn, IndexColumn, IndexColumn]:
    """Return the links by head: node i is entered by `link[in_start[i]:in_start[i + 1]]` from `in_tail` likewise.

    A search in these columns, with the costs in the order of `link`, runs against the links: its tree from a destination leads
    every node there. Nodes that are not passable keep their meaning.
    """
    n_nodes, n_links = len(start) - 1, len(head)
    in_start = np.zeros(n_nodes + 1, np.int64)
    for link in range(n_links):
        in_start[head[link] + 1] += 1
    for node in range(n_nodes):
        in_start[node + 1] += in_start[node]
    fill = in_start[:-1].copy()
    in_tail, in_link = np.empty(n_links, np.int32), np.empty(n_links, np.int32)
    for tail in range(n_nodes):
        for link in range(start[tail], start[tail + 1]):
            place = fill[head[link]]
            fill[head[link]] += 1
            in_tail[place] = tail
            in_link[place] = link
    return in_start, in_tail, in_link


@kernel
def one_way_path(
    source: int,
    target: int,
    start: OffsetColumn,
    tail: IndexColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
    label: FloatColumn,
    by_link: IndexColumn,
    heap: Records,
    path: IndexColumn,
) -> tuple[float, int]:
    """Search from `source` until `target` is reached; return (cost or inf, number of links in `path`).

    Parameters
    ----------
    label, by_link
        Scratch, shape (n_nodes,); `label` must be inf everywhere, and is so again afterwards.
    heap
        Scratch of HEAP_ENTRY, shape (n_links + 1,).
    path
        Gets the links in driving order, shape (n_nodes,).
    """
    label[source] = 0.0
    by_link[source] = NO_LINK
    heap_push(heap, 0, 0.0, source)
    size = 1
    touched = np.empty(len(label), np.int32)
    touched[0] = source
    n_touched = 1
    while size > 0:
        key, node = heap[0].key, heap[0].node
        if node == target:
            break
        heap_pop(heap, size)
        size -= 1
        if key != label[node] or (node != source and not passable[node]):
            continue
        for link in range(start[node], start[node + 1]):
            candidate = key + cost[link]
            other = np.uintp(head[link])
            if candidate < label[other]:
                if label[other] == np.inf:
                    touched[n_touched] = other
                    n_touched += 1
                label[other] = candidate
                by_link[other] = link
                heap_push(heap, size, candidate, head[link])
                size += 1
    found = label[target]
    length = _trace_back(target, source, tail, by_link, path) if found < np.inf else 0
    for place in range(n_touched):
        label[touched[place]] = np.inf
    return found, length


@kernel
def _trace_back(node: int, source: int, tail: IndexColumn, by_link: IndexColumn, path: IndexColumn) -> int:
    """Write the links from `source` to `node` in driving order; return how many."""
    length = 0
    at = node
    while at != source:
        path[length] = by_link[at]
        length += 1
        at = tail[by_link[at]]
    for place in range(length // 2):
        held = path[place]
        path[place] = path[length - 1 - place]
        path[length - 1 - place] = held
    return length


@kernel
def _advance(
    origin: int,
    far_end: int,
    start: OffsetColumn,
    other_end: IndexColumn,
    link_at: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
    label: FloatColumn,
    by_link: IndexColumn,
    heap: Records,
    size: int,
    opposite_key: float,
    opposite: FloatColumn,
    touched: IndexColumn,
    n_touched: int,
    best: float,
) -> tuple[int, int, float, int]:
    """Take one node from a side's heap; return (heap size, nodes touched, best cost, meeting node or -1 if not improved)."""
    key, node = heap[0].key, heap[0].node
    heap_pop(heap, size)
    size -= 1
    meeting = _NOWHERE
    if key != label[node] or (node != origin and not passable[node]):
        return size, n_touched, best, meeting
    for entry in range(start[node], start[node + 1]):
        candidate = key + cost[link_at[entry]]
        other = other_end[entry]
        if candidate < label[other]:
            if label[other] == np.inf:
                touched[n_touched] = other
                n_touched += 1
            label[other] = candidate
            by_link[other] = link_at[entry]
            if candidate + opposite_key < best:
                # Otherwise no path through here could still be better.
                heap_push(heap, size, candidate, other)
                size += 1
            if candidate + opposite[other] < best and (passable[other] or other == far_end):
                best = candidate + opposite[other]
                meeting = other
    return size, n_touched, best, meeting


@kernel
def two_way_path(
    source: int,
    target: int,
    start: OffsetColumn,
    tail: IndexColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
    in_start: OffsetColumn,
    in_tail: IndexColumn,
    in_link: IndexColumn,
    own_link: IndexColumn,
    label: FloatColumn,
    by_link: IndexColumn,
    heap: Records,
    path: IndexColumn,
) -> tuple[float, int]:
    """Search from both ends; return (cost or inf, number of links in `path`).

    Parameters
    ----------
    in_start, in_tail, in_link
        From `reverse_star`.
    own_link
        0, 1, ..., n_links - 1.
    label, by_link, heap
        Scratch as in `one_way_path`, with a row for each direction: shapes (2, n_nodes), (2, n_nodes), (2, n_links + 1).
    """
    if source == target:
        return 0.0, 0
    touched = np.empty((2, label.shape[1]), np.int32)
    touched[0, 0], touched[1, 0] = source, target
    label[0, source], label[1, target] = 0.0, 0.0
    heap_push(heap[0], 0, 0.0, source)
    heap_push(heap[1], 0, 0.0, target)
    size, back_size, n_touched, n_back = 1, 1, 1, 1
    best, meeting = np.inf, _NOWHERE
    # Rows taken out once: each look-up in the loop would make a view and count references.
    ahead, back, ahead_by, back_by = label[0], label[1], by_link[0], by_link[1]
    heap_ahead, heap_back, seen_ahead, seen_back = heap[0], heap[1], touched[0], touched[1]
    while size > 0 and back_size > 0 and heap_ahead[0].key + heap_back[0].key < best:
        if heap_ahead[0].key <= heap_back[0].key:
            size, n_touched, best, found = _advance(
                source, target, start, head, own_link, cost, passable, ahead, ahead_by, heap_ahead, size,
                heap_back[0].key, back, seen_ahead, n_touched, best,
            )  # fmt: skip
        else:
            back_size, n_back, best, found = _advance(
                target, source, in_start, in_tail, in_link, cost, passable, back, back_by, heap_back, back_size,
                heap_ahead[0].key, ahead, seen_back, n_back, best,
            )  # fmt: skip
        meeting = found if found != _NOWHERE else meeting
    length = 0
    if meeting != _NOWHERE:
        length = _trace_back(meeting, source, tail, by_link[0], path)
        while meeting != target:
            path[length] = by_link[1, meeting]
            meeting = head[path[length]]
            length += 1
    for place in range(n_touched):
        label[0, touched[0, place]] = np.inf
    for place in range(n_back):
        label[1, touched[1, place]] = np.inf
    return best, length
