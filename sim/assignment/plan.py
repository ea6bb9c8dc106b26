"""A route for each traveller from the flows of a solved assignment: a central plan, or a lottery that draws baselines."""

from __future__ import annotations

import numpy as np

from sim.arrays import IndexColumn, OffsetColumn
from sim.assignment.equilibrium import OriginFlows
from sim.assignment.problem import AssignmentProblem
from sim.demand.population import Population
from sim.kernels.plan import draw_paths
from sim.rng import uniforms


def draw_plan(
    problem: AssignmentProblem, flows: OriginFlows, population: Population, seed: int
) -> tuple[IndexColumn, OffsetColumn, IndexColumn]:
    """Return (traveller of each path, path starts, path links): a path for everybody, in compressed rows and problem links.

    Every link's flow stays within about one traveller a node of the plan. Who takes which route is drawn by a public lottery
    that `seed` and the travellers' numbers decide, so that nobody can choose his own lot.
    """
    ticket = uniforms(seed, "plan lottery", np.arange(population.n_travellers))
    owed = np.zeros(problem.network.n_links)
    last_here = np.full(problem.network.n_nodes, -1, np.int32)
    travellers, lengths, links = [], [], []
    for origin in range(problem.n_origins):
        first = population.od_start[problem.cell_start[origin]]
        past_last = population.od_start[problem.cell_start[origin + 1]]
        drawn = first + np.argsort(ticket[first:past_last], kind="stable")
        rows = slice(flows.start[origin], flows.start[origin + 1])
        start, path_link = draw_paths(
            problem.origin_node[origin], flows.link[rows], flows.flow[rows], problem.tail, problem.head,
            problem.cell_node[population.od_idx[drawn]], population.weight[drawn], owed, last_here,
        )  # fmt: skip
        travellers.append(drawn)
        lengths.append(np.diff(start))
        links.append(path_link)
    path_start = np.concatenate(([0], np.cumsum(np.concatenate(lengths)))).astype(np.int64)
    return np.concatenate(travellers).astype(np.int32), path_start, np.concatenate(links)
