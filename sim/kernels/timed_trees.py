"""Ways down a tree of times to one destination."""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.timed_search import NOT_A_QUEUE, Star


@kernel
def descend(
    time_s: FloatColumn, out: Star, passable: BoolColumn, source: IndexColumn, target: int
) -> tuple[IndexColumn, IndexColumn]:
    """Return lengths and links of the fastest ways from some nodes to the target.

    Parameters
    ----------
    time_s
        Time from each node to the target with the delays of `out`, each above 0 on a queue; shape (n_nodes,).
    source
        Where each way starts; a way from a node that cannot reach the target is empty.
    """
    n_nodes = len(time_s)
    length = np.zeros(len(source), np.int32)
    column = np.empty(64 * len(source) + n_nodes, np.int32)
    n_used = 0
    for way in range(len(source)):
        if time_s[source[way]] == np.inf:
            continue
        if n_used + 2 * n_nodes > len(column):
            wider = np.empty(2 * len(column) + 2 * n_nodes, np.int32)
            wider[:n_used] = column[:n_used]
            column = wider
        node = source[way]
        while node != target:
            best, best_s = -1, np.inf
            for place in range(out.start[node], out.start[node + 1]):
                other = out.other[place]
                if (passable[other] or other == target) and out.delay_s[place] + time_s[other] < best_s:
                    best, best_s = place, out.delay_s[place] + time_s[other]
            if out.queue[best] != NOT_A_QUEUE:
                column[n_used] = out.queue[best]
                n_used += 1
                length[way] += 1
            node = out.other[best]
    return length, column[:n_used]
