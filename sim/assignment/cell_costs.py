"""What each OD cell pays on its cheapest path; at equilibrium that is what everybody of the cell pays, whatever his route."""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.known_routes import KnownRoutes
from sim.assignment.problem import AssignmentProblem, Principle, require_finite_costs
from sim.kernels.paths_tree import trees_of_origins
from sim.parallel import over_rows


def cheapest_by_cell(problem: AssignmentProblem, cost_s: FloatColumn) -> FloatColumn:
    """Return the cost of the cheapest path of every OD cell, seconds, shape (n_cells,).

    Parameters
    ----------
    cost_s
        Cost of every link, at least 0, in network order.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    link_cost = np.ascontiguousarray(cost_s[problem.link_order])
    tree_link = np.empty((problem.n_origins, problem.network.n_nodes), np.int32)
    cheapest_total = np.empty(problem.n_origins)

    def rows(first: int, past_last: int) -> None:
        trees_of_origins(
            first, past_last, problem.origin_node, problem.cell_start, problem.cell_node, problem.cell_demand,
            problem.start, problem.head, link_cost, problem.passable, tree_link, cheapest_total,
        )  # fmt: skip

    over_rows(problem.n_origins, rows)
    require_finite_costs(problem, problem.links(Principle.USER_EQUILIBRIUM), tree_link, cheapest_total)
    origin_of_cell = np.repeat(np.arange(problem.n_origins), np.diff(problem.cell_start)).astype(np.int32)
    routes = KnownRoutes(problem.od.n_cells)
    route_of_cell = routes.add_tree_paths(origin_of_cell, problem.origin_node, problem.cell_node, tree_link, problem.tail)
    return routes.costs(link_cost)[route_of_cell]
