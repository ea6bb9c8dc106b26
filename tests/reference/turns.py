"""Slow twin of `sim.network.turns`: a search from link to link that carries the whole way so far as far as a ban can reach."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from sim.network.road_network import RoadNetwork


def is_driven(path: Sequence[int], bans: Sequence[tuple[int, ...]]) -> bool:
    """Return whether a path of links drives a banned sequence anywhere."""
    return any(tuple(path[at : at + len(ban)]) == ban for ban in bans for at in range(len(path) - len(ban) + 1))


def distances_with_turns(network: RoadNetwork, source: int, cost: Sequence[float]) -> list[float]:
    """Return the cost of the cheapest path from node `source` to every node that honours bans, delays and closed nodes."""
    delays = network.turns.delays()
    of_last: dict[int, list[tuple[int, ...]]] = {}
    for ban in network.turns.bans():
        of_last.setdefault(ban[-1], []).append(ban)
    memory = max((len(ban) for ban in network.turns.bans()), default=2) - 1
    leaving: dict[int, list[int]] = {}
    for link, node in enumerate(network.tail_idx.tolist()):
        leaving.setdefault(node, []).append(link)
    best = [math.inf] * network.n_nodes
    best[source] = 0.0
    seen: set[tuple[int, ...]] = set()
    queue = [(float(cost[link]), (link,)) for link in leaving.get(source, [])]
    heapq.heapify(queue)
    head, passable = network.head_idx.tolist(), network.node_passable.tolist()
    while queue:
        reached, way = heapq.heappop(queue)
        if way in seen:
            continue
        seen.add(way)
        node = head[way[-1]]
        best[node] = min(best[node], reached)
        if not passable[node]:
            continue
        for link in leaving.get(node, []):
            longer = (*way, link)
            if not any(longer[-len(ban) :] == ban for ban in of_last.get(link, [])):
                heapq.heappush(queue, (reached + delays.get((way[-1], link), 0.0) + float(cost[link]), longer[-memory:]))
    return best
