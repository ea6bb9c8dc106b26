"""Slow twin of `sim.kernels.trees`: Dijkstra's method with Python's heap, links looked up one by one."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence


def distances(
    source: int, n_nodes: int, tail: Sequence[int], head: Sequence[int], cost: Sequence[float], passable: Sequence[bool]
) -> list[float]:
    """Return the cost of the cheapest path from `source` to every node, inf where none leads; none passes a closed node."""
    leaving: list[list[int]] = [[] for _ in range(n_nodes)]
    for link, node in enumerate(tail):
        leaving[node].append(link)
    best = [math.inf] * n_nodes
    best[source] = 0.0
    queue = [(0.0, source)]
    while queue:
        reached, node = heapq.heappop(queue)
        if reached > best[node] or (node != source and not passable[node]):
            continue
        for link in leaving[node]:
            candidate = reached + cost[link]
            if candidate < best[head[link]]:
                best[head[link]] = candidate
                heapq.heappush(queue, (candidate, head[link]))
    return best
