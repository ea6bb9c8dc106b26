"""Up to k different good paths between two nodes, by the penalty method (Chen, Bell and Bogenberger 2007; Bader et al. 2011).

The shortest path comes first. Then, again and again, the links of the path found last become dearer by a factor, and a shortest
path at the new costs is a candidate. It is taken if its true cost is at most `stretch` times the least and it shares at
most `overlap` of its true cost with each path taken before. Penalties only grow, so every path falls out of favour in the end;
the number of searches is bounded. The method finds paths that differ, not the k shortest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_pair import HEAP_ENTRY, one_way_path

SEARCHES_PER_PATH = 8

Records = NDArray[Any]


@kernel
def _differs(
    path: IndexColumn, paths: IndexColumn, path_start: OffsetColumn, n_paths: int, cost: FloatColumn, most: float
) -> bool:
    """Return whether the links that `path` shares with each earlier path cost at most `most`, and it is not one of them."""
    for one in range(n_paths):
        shared, n_shared = 0.0, 0
        earlier = paths[path_start[one] : path_start[one + 1]]
        for link in path:
            for other in earlier:
                if link == other:
                    shared += cost[link]
                    n_shared += 1
                    break
        if shared > most or n_shared == len(path):
            return False
    return True


@kernel
def alternative_paths(
    source: int,
    target: int,
    n_wanted: int,
    factor: float,
    stretch: float,
    overlap: float,
    start: OffsetColumn,
    tail: IndexColumn,
    head: IndexColumn,
    cost: FloatColumn,
    passable: BoolColumn,
) -> tuple[FloatColumn, OffsetColumn, IndexColumn]:
    """Return (cost, start, link): path i has the links `link[start[i]:start[i + 1]]`; none where the target is out of reach.

    Parameters
    ----------
    n_wanted
        The most paths to return, at least 1.
    factor
        Factor on the links of a path found, above 1; 1.3 does well on streets.
    stretch
        Cost of a path over the least cost, at most; at least 1.
    overlap
        Share of a path's cost that it may have in common with another, 0 to 1.
    """
    n_nodes, n_links = len(start) - 1, len(head)
    penalised = cost.copy()
    label, by_link, path = np.full(n_nodes, np.inf), np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
    heap = np.empty(n_links + 1, HEAP_ENTRY)
    found, path_start = np.empty(n_wanted), np.zeros(n_wanted + 1, np.int64)
    links = np.empty(n_wanted * n_nodes, np.int32)
    n_paths = 0
    for _ in range(SEARCHES_PER_PATH * n_wanted):
        reached, length = one_way_path(source, target, start, tail, head, penalised, passable, label, by_link, heap, path)
        if reached == np.inf:
            break
        true_cost = 0.0
        for link in path[:length]:
            true_cost += cost[link]
        if n_paths == 0 or (
            true_cost <= stretch * found[0] and _differs(path[:length], links, path_start, n_paths, cost, overlap * true_cost)
        ):
            filled = path_start[n_paths]
            links[filled : filled + length] = path[:length]
            path_start[n_paths + 1] = filled + length
            found[n_paths] = true_cost
            n_paths += 1
        if n_paths == n_wanted or length == 0:
            break
        for link in path[:length]:
            penalised[link] *= factor
    return found[:n_paths], path_start[: n_paths + 1], links[: path_start[n_paths]]
