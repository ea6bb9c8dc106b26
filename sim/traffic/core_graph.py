"""A search graph shrunk to the nodes that matter: origins, destinations and the ends of chosen links; free-flow times are kept.

A node that does not matter is taken out and the ways through it become links around it (contraction, Geisberger et al. 2008,
"Contraction hierarchies"), as long as that does not add many links. Of parallel links only the fastest stays, and none that a
way through others beats. Times are rounded down to whole milliseconds link by link, so that their sums are exact. Nodes that may
not be passed stand twice, once to depart from and once to arrive at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.kernels.timed_bound import FAR_MS, UNPRICED
from sim.traffic.search_graph import SearchGraph
from sim.traffic.timed_paths import TripEnds

_MOST_ADDED = 3
_MS = 1000
_NOT_HERE = -1

_Ways = list[dict[int, float]]


@dataclass(frozen=True, eq=False)
class CoreGraph:
    """The shrunk graph.

    Attributes
    ----------
    tail_idx, head_idx
        Nodes of each link, in the numbering of this graph.
    time_ms
        Free-flow time, rounded down.
    priced_idx
        Position in the column of chosen queues, -1 for other links.
    depart_idx, arrive_idx
        Where each node of the search graph stands for those who depart from it and who arrive at it; -1 if nowhere.
    """

    n_nodes: int
    tail_idx: IndexColumn
    head_idx: IndexColumn
    time_ms: IndexColumn
    priced_idx: IndexColumn
    depart_idx: IndexColumn
    arrive_idx: IndexColumn

    def free_ms(self, target_idx: IndexColumn) -> IndexColumn:
        """Return the free-flow time from every node to some targets, FAR_MS where there is no way; shape (n_targets, n_nodes)."""
        time_ms = _distances(self.n_nodes, self.head_idx, self.tail_idx, self.time_ms.astype(np.float64), target_idx)
        return np.where(np.isfinite(time_ms), time_ms, FAR_MS).astype(np.int32)


def core_graph(graph: SearchGraph, ends: TripEnds, queue_idx: IndexColumn) -> CoreGraph:
    """Return the graph shrunk to the ends of some trips and of some queues."""
    n_nodes = graph.n_nodes
    # A node that may not be passed: departures at its own place, arrivals behind all nodes.
    barred = np.flatnonzero(~graph.passable)
    arrive = np.arange(n_nodes, dtype=np.int32)
    arrive[barred] = n_nodes + np.arange(len(barred))
    size = n_nodes + len(barred)
    row_of_queue = np.full(int(graph.queue_idx.max(initial=0)) + 1, UNPRICED, dtype=np.int32)
    row_of_queue[queue_idx] = np.arange(len(queue_idx))
    row = np.where(graph.queue_idx >= 0, row_of_queue[np.maximum(graph.queue_idx, 0)], UNPRICED)
    chosen = row != UNPRICED
    tail, head = graph.tail_idx, arrive[graph.head_idx]
    needed = np.zeros(size, dtype=np.bool_)
    for nodes in (tail[chosen], head[chosen], ends.origin_idx, arrive[ends.destination_idx]):
        needed[nodes] = True
    time_ms = np.floor(graph.delay_s * _MS)
    out: _Ways = [{} for _ in range(size)]
    into: _Ways = [{} for _ in range(size)]
    others = zip(tail[~chosen].tolist(), head[~chosen].tolist(), time_ms[~chosen].tolist(), strict=True)
    for here, there, its_ms in others:
        if here != there:
            _join(out, into, here, there, its_ms)
    _contract(out, into, needed)
    return _numbered(out, into, needed, tail[chosen], head[chosen], time_ms[chosen], row[chosen], arrive, n_nodes)


def _join(out: _Ways, into: _Ways, tail: int, head: int, time_ms: float) -> None:
    if time_ms < out[tail].get(head, np.inf):
        out[tail][head] = time_ms
        into[head][tail] = time_ms


def _contract(out: _Ways, into: _Ways, needed: BoolColumn) -> None:
    """Take out nodes while each adds at most `_MOST_ADDED` links, in rounds in the order of the nodes."""
    left = [node for node in range(len(out)) if not needed[node]]
    for most_added in range(-1, _MOST_ADDED + 1):
        changed = True
        while changed:
            kept: list[int] = []
            for node in left:
                before, after = into[node], out[node]
                returning = len(before.keys() & after.keys())
                added = len(before) * len(after) - returning - len(before) - len(after)
                if added > most_added:
                    kept.append(node)
                    continue
                for tail, first_ms in before.items():
                    del out[tail][node]
                    for head, second_ms in after.items():
                        if tail != head:
                            _join(out, into, tail, head, first_ms + second_ms)
                for head in after:
                    del into[head][node]
                out[node], into[node] = {}, {}
            changed = len(kept) < len(left)
            left = kept


def _numbered(
    out: _Ways,
    into: _Ways,
    needed: BoolColumn,
    tail: IndexColumn,
    head: IndexColumn,
    time_ms: OffsetColumn,
    row: IndexColumn,
    arrive: IndexColumn,
    n_departing: int,
) -> CoreGraph:
    alive = np.array([bool(out[node]) or bool(into[node]) or bool(needed[node]) for node in range(len(out))])
    new = np.full(len(out), _NOT_HERE, dtype=np.int32)
    new[alive] = np.arange(int(alive.sum()))
    n_nodes = int(alive.sum())
    links = [(node, other, ms) for node, ways in enumerate(out) for other, ms in ways.items()]
    own_tail = new[[link[0] for link in links]] if links else np.zeros(0, dtype=np.int32)
    own_head = new[[link[1] for link in links]] if links else np.zeros(0, dtype=np.int32)
    own_ms = np.array([link[2] for link in links])
    every = np.arange(n_nodes, dtype=np.int32)
    shortest_ms = _distances(n_nodes, own_tail, own_head, own_ms, every)
    # Longer than another way without prices: of no use to anybody.
    useful = own_ms <= shortest_ms[own_tail, own_head] + 0.5
    all_ms = np.concatenate([own_ms[useful], time_ms])
    return CoreGraph(
        n_nodes=n_nodes,
        tail_idx=np.concatenate([own_tail[useful], new[tail]]).astype(np.int32),
        head_idx=np.concatenate([own_head[useful], new[head]]).astype(np.int32),
        time_ms=all_ms.astype(np.int32),
        priced_idx=np.concatenate([np.full(int(useful.sum()), UNPRICED), row]).astype(np.int32),
        depart_idx=new[:n_departing],
        arrive_idx=new[arrive],
    )


def _distances(n_nodes: int, tail: IndexColumn, head: IndexColumn, time_ms: OffsetColumn, source: IndexColumn) -> np.ndarray:
    """Return the distances from some nodes, shape (n_sources, n_nodes); parallel links count with the fastest."""
    order = np.lexsort((time_ms, head, tail))
    pair = np.stack([tail[order], head[order]])
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (pair[:, 1:] != pair[:, :-1]).any(axis=0)
    order = order[first]
    # A stored 0 would count as "no link".
    value = np.maximum(np.asarray(time_ms, dtype=np.float64)[order], 1e-9)
    matrix = csr_array((value, (tail[order], head[order])), shape=(n_nodes, n_nodes))
    return np.asarray(dijkstra(matrix, indices=source))
