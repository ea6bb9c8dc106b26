"""Slow twin of the bush solver: list every simple path of a tiny network and balance path flows two at a time.

For each OD cell in turn, flow moves from the dearest used path to the cheapest until their costs agree or the dear one is
empty, found by bisection (Dafermos and Sparrow 1969, "The traffic assignment problem for a general network"). Nothing here
knows bushes, labels or slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.demand.population import OdMatrix
from sim.network.road_network import RoadNetwork

LinkCost = Callable[[FloatColumn], FloatColumn]


@dataclass
class PathEquilibrium:
    """Flows of the twin and the relative gap they have over all simple paths."""

    flow_vph: FloatColumn
    relative_gap: float


def user_cost(network: RoadNetwork) -> LinkCost:
    """Return the generalised cost of every link as a function of the flows."""
    return lambda flow: (
        network.free_flow_time_s * (1.0 + network.bpr_alpha * (flow / network.capacity_vph) ** network.bpr_beta)
        + network.fixed_cost_s
    )


def marginal_cost(network: RoadNetwork) -> LinkCost:
    """Return t + v dt/dv of every link as a function of the flows."""
    return lambda flow: (
        network.free_flow_time_s
        * (1.0 + network.bpr_alpha * (1.0 + network.bpr_beta) * (flow / network.capacity_vph) ** network.bpr_beta)
        + network.fixed_cost_s
    )


def simple_paths(network: RoadNetwork, origin: int, destination: int) -> list[list[int]]:
    """Return every path without a repeated node as link positions; none goes through a node that is not passable."""
    leaving: list[list[int]] = [[] for _ in range(network.n_nodes)]
    for link, node in enumerate(network.tail_idx.tolist()):
        leaving[node].append(link)
    found: list[list[int]] = []

    def extend(node: int, path: list[int], seen: set[int]) -> None:
        if node == destination:
            found.append(path)
            return
        if node != origin and not network.node_passable[node]:
            return
        for link in leaving[node]:
            head = int(network.head_idx[link])
            if head not in seen:
                extend(head, [*path, link], seen | {head})

    extend(origin, [], {origin})
    return found


def solve_by_paths(
    network: RoadNetwork, od: OdMatrix, link_cost: LinkCost, *, gap: float = 1e-9, most_rounds: int = 3000
) -> PathEquilibrium:
    """Return flows of every link whose used paths cost the same; OD cells within one node use no link."""
    nodes = network.zone_node_idx
    ends = [(int(nodes[o]), int(nodes[d])) for o, d in zip(od.origin_zone_idx, od.destination_zone_idx, strict=True)]
    demand = [float(value) for (origin, destination), value in zip(ends, od.demand_vph, strict=True) if origin != destination]
    paths = [simple_paths(network, origin, destination) for origin, destination in ends if origin != destination]
    incidence = [_incidence(of_cell, network.n_links) for of_cell in paths]
    flows = [np.concatenate(([value], np.zeros(len(of_cell) - 1))) for value, of_cell in zip(demand, paths, strict=True)]
    total = np.zeros(network.n_links)
    relative_gap = 0.0
    for _ in range(most_rounds):
        total = sum((flow @ matrix for flow, matrix in zip(flows, incidence, strict=True)), np.zeros(network.n_links))
        cost = link_cost(total)
        tstt = float(total @ cost)
        sptt = sum(value * float((matrix @ cost).min()) for value, matrix in zip(demand, incidence, strict=True))
        relative_gap = (tstt - sptt) / tstt if tstt > 0 else 0.0
        if relative_gap <= gap:
            break
        for flow, matrix in zip(flows, incidence, strict=True):
            total = _balance(flow, matrix, total, link_cost)
    return PathEquilibrium(total, relative_gap)


def _incidence(paths: Sequence[Sequence[int]], n_links: int) -> FloatColumn:
    matrix = np.zeros((len(paths), n_links))
    for row, path in enumerate(paths):
        matrix[row, list(path)] = 1.0
    return matrix


def _balance(flow: FloatColumn, matrix: FloatColumn, total: FloatColumn, link_cost: LinkCost) -> FloatColumn:
    for _ in range(len(flow)):
        cost = matrix @ link_cost(total)
        used = np.flatnonzero(flow > 0.0)
        dear, cheap = int(used[np.argmax(cost[used])]), int(np.argmin(cost))
        if cost[dear] <= cost[cheap]:
            break
        change = matrix[cheap] - matrix[dear]

        def difference(shift: float, total: FloatColumn = total, change: FloatColumn = change) -> float:
            return float(change @ link_cost(np.maximum(total + shift * change, 0.0)))

        low, high = 0.0, float(flow[dear])
        if difference(high) > 0.0:
            for _halving in range(60):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if difference(middle) < 0.0 else (low, middle)
        flow[dear] -= high
        flow[cheap] += high
        total = np.maximum(total + high * change, 0.0)
    return total
