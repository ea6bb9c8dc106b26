"""Shortest-path trees with a bucket queue: one source to all nodes, with the last link of every path.

Method. Bucket b of a circular queue holds the nodes whose label lies in [b w, (b + 1) w), w the bucket width (Dial 1969; Denardo
and Fox 1979). Buckets are emptied in order; inside one the order is first in, first out, and a node whose label falls after it
was scanned is scanned again, so no width can make a label wrong (label correcting: Meyer and Sanders 2003, delta-stepping with
one thread). Labels beyond the last bucket wait in a list and are sorted in when the buckets have run empty.

Exactness. Adding a cost at least 0 is monotone in floating-point arithmetic, so the labels at the end are the very numbers of
Dijkstra's method: the least, over all paths, of the costs summed from the source on. A tree link is written on a strict
improvement only; a node's label is therefore never below its tree predecessor's plus the link, and a chain of predecessors that
came back to a node would need a label strictly below itself: the tree has no cycle, whatever the zeros.

Robustness. Costs that no bucket width suits (many orders of magnitude) would cause many second scans. The work is counted;
beyond a fixed multiple of the network's size the source is searched again with the heap of `sim.kernels.trees`, which has the
same labels. A cost of inf closes a link.

Turn bans: a search whose labels belong to links instead of nodes has the same form, with nodes for links and allowed turns for
links; such a network is given to these kernels as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import inlined, kernel
from sim.kernels.paths_prefetch import prefetch
from sim.kernels.trees import NO_LINK, shortest_tree

SEARCH_NODE = np.dtype([("label", np.float64), ("link", np.int32), ("start", np.int32)], align=True)
"""State of a node and where its links start, in 16 bytes, so that one load brings both."""
SEARCH_LINK = np.dtype([("cost", np.float64), ("head", np.int32), ("onward", np.int32)], align=True)
"""`onward` is 1 where a search goes on behind the head."""
ENTRY = np.dtype([("key", np.float64), ("node", np.int32), ("unused", np.int32)], align=True)
"""A node in the queue with its label when it was put there; a node with another label by then is no longer meant."""

N_BUCKETS = 128
"""A power of 2. More than the longest link over the width for most networks, and few enough to look through."""
_WIDTH_OF_MEDIAN = 0.25
_MOST_SAMPLES = 255
_LEAST_WIDTH = 1e-300
_MOST_BUCKET = 2.0**52
"""Beyond it neighbouring buckets are no longer different numbers."""
_FIRST_ROOM = 60
"""Entries a bucket; 16 bytes times this is an odd number of cache lines, so that the rows do not fall on each other."""
_MOST_ROOM_OF_SMALL = 1024
"""Room that a queue may take in any network, however small (2 MB in all)."""
_DONE, _BUCKET_FULL, _TOO_MUCH_WORK = 0, 1, 2
_NOBODY, _SEVERAL = -1, -2

Records = NDArray[Any]


@kernel
def bucket_width(cost: FloatColumn) -> float:
    """Return a bucket width for these costs: a quarter of the median of the positive finite ones, from a sample."""
    n_links = len(cost)
    step = max(1, n_links // _MOST_SAMPLES)
    sample = np.empty(n_links // step + 1)
    n_samples = 0
    for link in range(0, n_links, step):
        value = cost[link]
        if 0.0 < value < np.inf:
            # Insertion into the sorted sample: numpy's sort would take longer to compile than all else here.
            place = n_samples
            while place > 0 and sample[place - 1] > value:
                sample[place] = sample[place - 1]
                place -= 1
            sample[place] = value
            n_samples += 1
    if n_samples == 0:
        return 1.0
    return max(_LEAST_WIDTH, float(_WIDTH_OF_MEDIAN * sample[n_samples // 2]))


@inlined
def _meet(neighbour: IndexColumn, node: int, other: int) -> None:
    if neighbour[node] == _NOBODY:
        neighbour[node] = other
    elif neighbour[node] != other:
        neighbour[node] = _SEVERAL


@kernel
def worth_leaving(start: OffsetColumn, head: IndexColumn, passable: BoolColumn) -> BoolColumn:
    """Return which nodes a shortest path may pass through, shape (n_nodes,).

    Not through a node that is not passable, and never with profit through one whose links all come from and lead to one other
    node.
    """
    n_nodes = len(start) - 1
    neighbour = np.full(n_nodes, _NOBODY, np.int32)
    for tail in range(n_nodes):
        for link in range(start[tail], start[tail + 1]):
            target = head[link]
            if target != tail:
                _meet(neighbour, tail, target)
                _meet(neighbour, target, tail)
    result = np.empty(n_nodes, np.bool_)
    for node in range(n_nodes):
        result[node] = passable[node] and neighbour[node] == _SEVERAL
    return result


@kernel
def pack(start: OffsetColumn, head: IndexColumn, cost: FloatColumn, passable: BoolColumn, nodes: Records, links: Records) -> None:
    """Fill `nodes` (n_nodes + 1,) of SEARCH_NODE and `links` (n_links + 1,) of SEARCH_LINK for `bucket_tree`."""
    onward = worth_leaving(start, head, passable)
    for node in range(len(start)):
        nodes[node].start = start[node]
    for link in range(len(head)):
        links[link].head = head[link]
        links[link].onward = 1 if onward[head[link]] else 0
        links[link].cost = cost[link]


@inlined
def _sort_in(
    far: Records, n_far: int, nodes: Records, per_width: float, queue: Records, count: OffsetColumn
) -> tuple[int, int, int]:
    """Move the nearest of `far` into the empty buckets; return (status, first bucket, how many are left in `far`)."""
    least = np.inf
    for place in range(n_far):
        if far[place].key == nodes[far[place].node].label:
            least = min(least, far[place].key)
    if least == np.inf:
        return _DONE, 0, 0
    if not least * per_width < _MOST_BUCKET:
        return _TOO_MUCH_WORK, 0, 0
    first = int(least * per_width)
    left = 0
    for place in range(n_far):
        key, node = far[place].key, far[place].node
        if key != nodes[node].label:
            continue
        if key * per_width < first + N_BUCKETS:
            bucket = np.int64(key * per_width) & (N_BUCKETS - 1)
            size = count[bucket]
            if size == queue.shape[1]:
                return _BUCKET_FULL, 0, 0
            queue[bucket, size].key = key
            queue[bucket, size].node = node
            count[bucket] = size + 1
        else:
            far[left].key = key
            far[left].node = node
            left += 1
    return _DONE, first, left


@inlined
def _search(source: int, nodes: Records, links: Records, width: float, queue: Records, count: OffsetColumn, far: Records) -> int:
    """Label all nodes; `queue` has shape (N_BUCKETS, room), `far` room for `_most_work` entries."""
    n_nodes = len(nodes) - 1
    for node in range(n_nodes):
        nodes[node].label = np.inf
        nodes[node].link = NO_LINK
    count[:] = 0
    per_width = 1.0 / width
    room, most_work = queue.shape[1], len(far)
    nodes[source].label = 0.0
    queue[0, 0].key = 0.0
    queue[0, 0].node = source
    count[0] = 1
    current, empty, n_far, work = 0, 0, 0, 0
    past_last = np.float64(N_BUCKETS)
    while True:
        bucket = current & (N_BUCKETS - 1)
        if count[bucket] == 0:
            current += 1
            past_last += 1.0
            empty += 1
            if empty >= N_BUCKETS:
                if n_far == 0:
                    return _DONE
                work += n_far
                status, current, n_far = _sort_in(far, n_far, nodes, per_width, queue, count)
                if status != _DONE:
                    return status
                if work > most_work:
                    return _TOO_MUCH_WORK
                past_last = np.float64(current + N_BUCKETS)
                empty = 0
            continue
        empty = 0
        place = 0
        while place < count[bucket]:
            reached = queue[bucket, place].key
            node = queue[bucket, place].node
            place += 1
            if place + 1 < count[bucket]:
                prefetch(links, np.intp(nodes[queue[bucket, place + 1].node].start))
            if reached != nodes[node].label:
                continue
            for link in range(nodes[node].start, nodes[node + 1].start):
                # Unsigned positions spare the loop numba's test for negative ones.
                here = np.uintp(link)
                target = np.uintp(links[here].head)
                candidate = reached + links[here].cost
                if candidate < nodes[target].label:
                    nodes[target].label = candidate
                    nodes[target].link = link
                    if links[here].onward:
                        scaled = candidate * per_width
                        if scaled < past_last:
                            into = np.int64(scaled) & (N_BUCKETS - 1)
                            size = count[into]
                            if size == room:
                                return _BUCKET_FULL
                            queue[into, size].key = candidate
                            queue[into, size].node = target
                            count[into] = size + 1
                            prefetch(links, np.intp(nodes[target].start))
                        else:
                            if n_far == most_work:
                                return _TOO_MUCH_WORK
                            far[n_far].key = candidate
                            far[n_far].node = target
                            n_far += 1
        work += place
        if work > most_work:
            return _TOO_MUCH_WORK
        count[bucket] = 0
        current += 1
        past_last += 1.0


@kernel
def bucket_tree(
    source: int,
    nodes: Records,
    links: Records,
    width: float,
    queue: Records,
    start: OffsetColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
) -> Records:
    """Write labels and tree links of the shortest paths from `source` into `nodes`.

    Parameters
    ----------
    nodes, links
        As `pack` fills them.
    width
        Bucket width, seconds; it decides about speed, never about a label.
    queue
        Scratch of ENTRY, shape (N_BUCKETS, room), from `new_queue` or an earlier call.
    start, head, cost, passable
        The same network as columns, for the search with a heap.

    Returns
    -------
    Records
        The queue, larger where the search needed it; give it to the next call.
    """
    n_nodes, n_links = len(start) - 1, len(head)
    count = np.empty(N_BUCKETS, np.int64)
    far = np.empty(2 * (n_nodes + n_links) + N_BUCKETS, ENTRY)
    most_room = max(_MOST_ROOM_OF_SMALL, 8 * (n_nodes + n_links) // N_BUCKETS)
    while True:
        status = _search(source, nodes, links, width, queue, count, far)
        if status != _BUCKET_FULL or queue.shape[1] >= most_room:
            break
        queue = np.empty((N_BUCKETS, 2 * queue.shape[1] + 4), ENTRY)
    if status != _DONE:
        label = np.empty(n_nodes, np.float64)
        tree_link, heap, position = np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
        shortest_tree(source, start, head, cost, passable, label, tree_link, heap, position)
        for node in range(n_nodes):
            nodes[node].label = label[node]
            nodes[node].link = tree_link[node]
    return queue


@kernel
def new_queue() -> Records:
    """Return an empty queue for `bucket_tree`."""
    return np.empty((N_BUCKETS, _FIRST_ROOM), ENTRY)


@kernel
def trees_of_origins(
    first: int,
    past_last: int,
    origin_node: IndexColumn,
    cell_start: OffsetColumn,
    cell_node: IndexColumn,
    cell_demand: FloatColumn,
    start: OffsetColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
    tree_link: IndexColumn,
    cheapest_total: FloatColumn,
) -> None:
    """Write one tree an origin and what its demand costs on the tree, for origins `first` to `past_last`.

    `tree_link` has shape (n_origins, n_nodes), NO_LINK at the origin and where unreachable; `cheapest_total` (n_origins,): sum
    over the origin's OD cells of demand * distance (inf where a cell has no path).
    """
    n_nodes, n_links = len(start) - 1, len(head)
    nodes, links = np.empty(n_nodes + 1, SEARCH_NODE), np.empty(n_links + 1, SEARCH_LINK)
    pack(start, head, cost, passable, nodes, links)
    width = bucket_width(cost)
    queue = new_queue()
    for origin in range(first, past_last):
        queue = bucket_tree(origin_node[origin], nodes, links, width, queue, start, head, cost, passable)
        for node in range(n_nodes):
            tree_link[origin, node] = nodes[node].link
        total = 0.0
        for cell in range(cell_start[origin], cell_start[origin + 1]):
            total += cell_demand[cell] * nodes[cell_node[cell]].label
        cheapest_total[origin] = total
