"""Small networks and their demand for the tests, and strategies that draw them at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from reference.shortest_paths import distances

from sim.assignment.problem import AssignmentProblem, make_problem
from sim.demand.od import od_from_cells
from sim.demand.population import OdMatrix
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import plain_network

Row = tuple[int, int, float, float, float, float]
"""Tail, head, free-flow time, capacity, alpha, beta."""
Cell = tuple[int, int, float]
"""Origin zone, destination zone, demand."""


def network_of(
    rows: Sequence[Row],
    *,
    zones: Sequence[int],
    n_nodes: int | None = None,
    barred: Sequence[int] = (),
    fixed_cost_s: Sequence[float] | None = None,
) -> RoadNetwork:
    """Return a network of link rows; `barred` are the nodes that may not be passed."""
    columns = list(zip(*rows, strict=True))
    size = n_nodes or 1 + max(max(columns[0]), max(columns[1]))
    network = plain_network(
        "small",
        node_xy=np.column_stack([np.arange(size), np.arange(size) % 2]).astype(float),
        tail_idx=columns[0],
        head_idx=columns[1],
        free_flow_time_s=columns[2],
        capacity_vph=columns[3],
        bpr_alpha=columns[4],
        bpr_beta=columns[5],
        passable=[node not in set(barred) for node in range(size)],
    )
    zone_id = np.arange(1, len(zones) + 1)
    fixed = network.fixed_cost_s if fixed_cost_s is None else np.asarray(fixed_cost_s, dtype=np.float64)
    return network.replace(zone_id=zone_id, zone_node_idx=np.asarray(zones, dtype=np.int32), fixed_cost_s=fixed)


def od_of(network: RoadNetwork, cells: Sequence[Cell]) -> OdMatrix:
    """Return the matrix of some cells between zone positions."""
    origin, destination, demand = (np.asarray(column) for column in zip(*cells, strict=True))
    return od_from_cells(network.zone_id, origin, destination, demand.astype(np.float64), source="test")


def problem_of(network: RoadNetwork, cells: Sequence[Cell]) -> AssignmentProblem:
    """Return the assignment problem of a network and some cells."""
    return make_problem(network, od_of(network, cells))


@dataclass(frozen=True)
class Extent:
    """What random networks may look like."""

    free_flow_times_s: Sequence[float]
    capacities_vph: Sequence[float]
    alphas: Sequence[float]
    betas: Sequence[float]
    demands_vph: Sequence[float]
    most_nodes: int = 5
    most_extra_links: int = 6


MILD = Extent((1.0, 2.0, 5.0, 10.0), (10.0, 30.0, 100.0), (0.15, 1.0), (1.0, 2.0, 4.0), (1.0, 10.0, 40.0))
"""Where the slow twin finds the equilibrium in a moment."""
WILD = Extent(
    (0.0, 0.0, 1e-8, 1.0, 60.0, 1e4),
    (1e-6, 1.0, 50.0, 1000.0, 1e12),
    (0.0, 0.15, 1.0, 1e3),
    (0.0, 0.5, 1.0, 4.0, 5.2, 8.0),
    (1e-9, 1.0, 100.0, 1e4),
    most_nodes=7,
    most_extra_links=14,
)
"""Zero costs, huge and tiny capacities, powers from 0 to 8."""


@st.composite
def problems(draw: st.DrawFn, extent: Extent) -> AssignmentProblem:
    """Draw a ring of nodes with further links (parallel ones too), fixed costs, barred zones, and demand that has paths."""
    n_nodes = draw(st.integers(2, extent.most_nodes))
    pairs = [(node, (node + 1) % n_nodes) for node in range(n_nodes)]
    node = st.integers(0, n_nodes - 1)
    extra = draw(st.lists(st.tuples(node, node), max_size=extent.most_extra_links))
    pairs += [(tail, head) for tail, head in extra if tail != head]
    rows: list[Row] = [
        (
            tail,
            head,
            draw(st.sampled_from(extent.free_flow_times_s)),
            draw(st.sampled_from(extent.capacities_vph)),
            draw(st.sampled_from(extent.alphas)),
            draw(st.sampled_from(extent.betas)),
        )
        for tail, head in pairs
    ]
    fixed = [draw(st.sampled_from((0.0, 0.0, 3.0))) for _ in pairs]
    barred = draw(st.sets(node, max_size=1))
    network = network_of(rows, zones=range(n_nodes), n_nodes=n_nodes, barred=sorted(barred), fixed_cost_s=fixed)
    tail, head = network.tail_idx.tolist(), network.head_idx.tolist()
    passable = network.node_passable.tolist()
    reach = {origin: distances(origin, n_nodes, tail, head, [1.0] * len(tail), passable) for origin in range(n_nodes)}
    possible = [(o, d) for o in range(n_nodes) for d in range(n_nodes) if o != d and reach[o][d] < np.inf]
    chosen = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=5, unique=True))
    return problem_of(network, [(o, d, draw(st.sampled_from(extent.demands_vph))) for o, d in chosen])
