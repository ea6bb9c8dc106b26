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
    bans, delays = network.turns.bans(), network.turns.delays()
    memory = max((len(ban) for ban in bans), default=2) - 1
    best = [math.inf] * network.n_nodes
    best[source] = 0.0
    seen: set[tuple[int, ...]] = set()
    queue: list[tuple[float, tuple[int, ...]]] = [
        (float(cost[link]), (link,)) for link in range(network.n_links) if network.tail_idx[link] == source
    ]
    heapq.heapify(queue)
    while queue:
        reached, way = heapq.heappop(queue)
        if way in seen:
            continue
        seen.add(way)
        node = int(network.head_idx[way[-1]])
        best[node] = min(best[node], reached)
        if not network.node_passable[node]:
            continue
        for link in range(network.n_links):
            if network.tail_idx[link] == node and not is_driven((*way, link), bans):
                delay_s = delays.get((way[-1], link), 0.0)
                heapq.heappush(queue, (reached + delay_s + float(cost[link]), (*way, link)[-memory:]))
    return best
