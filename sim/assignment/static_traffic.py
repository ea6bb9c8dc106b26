"""Static traffic with individual travellers: everybody's route, the flows that follow, and what each route costs.

Link costs depend on the flow of all travellers together, each counted with its weight. Relative gap of the travellers'
routes = (TSTT - SPTT) / TSTT, where TSTT is what they pay and SPTT what they would pay if each could take the cheapest path
at the present costs. Travellers are indivisible, so a gap above 0 may remain when nobody can gain any more.
"""

from __future__ import annotations

import math

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.known_routes import KnownRoutes
from sim.assignment.problem import AssignmentProblem, Principle, refresh_costs, require_finite_costs
from sim.demand.population import Population
from sim.kernels.costs import compensated_dot
from sim.kernels.paths_tree import trees_of_origins
from sim.kernels.routes import choose_in_turn, could_gain, link_flows
from sim.parallel import over_rows
from sim.rng import uniforms

LEAST_GAIN = 1e-9
"""Share of his cost that a traveller must save to bother; above rounding, below anything that people notice."""


class StaticTraffic:
    """The state of one world: columns by traveller, route and link; the numbers are computed in kernels.

    Attributes
    ----------
    problem, population
        Streets and travellers.
    routes
        What the travellers know.
    route_of_traveller
        Route that each drives, shape (n_travellers,).
    toll_s
        Toll of each link in the seconds that it is worth, in the problem's link order; travellers choose with it, and it is
        no part of the costs that are reported.
    cheapest_total_s
        SPTT in the period, known after `explore`.
    """

    def __init__(self, problem: AssignmentProblem, population: Population, toll_s: FloatColumn | None = None) -> None:
        self.problem = problem
        self.population = population
        self.routes = KnownRoutes(population.od.n_cells)
        self.toll_s = np.zeros(problem.network.n_links) if toll_s is None else toll_s
        links = problem.links(Principle.USER_EQUILIBRIUM)
        self.links = links._replace(base=links.base + self.toll_s)
        refresh_costs(self.links)
        self.route_of_traveller = np.full(population.n_travellers, -1, np.int32)
        self.cheapest_total_s = math.nan
        # What the travellers of a cell weigh together: its demand up to rounding, so that both totals count the same
        # vehicles.
        self._weight_of_cell: FloatColumn = np.zeros(population.od.n_cells)
        np.add.at(self._weight_of_cell, population.od_idx, population.weight)
        self._origin_of_cell = np.repeat(np.arange(problem.n_origins), np.diff(problem.cell_start)).astype(np.int32)
        self._tree_link = np.empty((problem.n_origins, problem.network.n_nodes), np.int32)

    def load(self) -> None:
        """Recompute the flows, costs and slopes of all links from the travellers' routes."""
        link_flows(self.routes.columns, self.route_of_traveller, self.population.weight, self.links.flow)
        refresh_costs(self.links)

    def explore(self) -> IndexColumn:
        """Let the travellers learn the cheapest path at the present costs; return it for each OD cell, shape (n_cells,).

        Raises
        ------
        InputError
            An OD pair has no path, or costs leave the range of floating-point numbers.
        """
        route_of_cell, self.cheapest_total_s = self.learn_cheapest(self.links.cost)
        return route_of_cell

    def learn_cheapest(self, link_cost: FloatColumn) -> tuple[IndexColumn, float]:
        """Add each OD cell's cheapest path at some link costs to the known routes; return it by cell, and what all would cost.

        Parameters
        ----------
        link_cost
            In the problem's link order, at least 0, shape (n_links,).

        Raises
        ------
        InputError
            An OD pair has no path, or costs leave the range of floating-point numbers.
        """
        problem = self.problem
        cheapest = np.empty(problem.n_origins)

        def rows(first: int, past_last: int) -> None:
            trees_of_origins(
                first, past_last, problem.origin_node, problem.cell_start, problem.cell_node, self._weight_of_cell,
                problem.start, problem.head, link_cost, problem.passable, self._tree_link, cheapest,
            )  # fmt: skip

        over_rows(problem.n_origins, rows)
        require_finite_costs(problem, self.links, self._tree_link, cheapest)
        route_of_cell = self.routes.add_tree_paths(
            self._origin_of_cell, problem.origin_node, problem.cell_node, self._tree_link, problem.tail
        )
        return route_of_cell, math.fsum(cheapest)

    def travellers_who_could_gain(self) -> IndexColumn:
        """Return the travellers who know a route that is cheaper at the present costs, ascending."""
        found = np.empty(self.population.n_travellers, np.int32)
        cost = self.routes.costs(self.links.cost)
        n_found = could_gain(self.routes.columns, self.population.od_idx, self.route_of_traveller, cost, LEAST_GAIN, found)
        return found[:n_found]

    def choices_in_turn(self, travellers: IndexColumn, seed: int, day: int) -> tuple[IndexColumn, IndexColumn]:
        """Let travellers choose one after another, in an order drawn for the day; return (who changes, to which route).

        Flows and costs follow the choices; the routes themselves change when the travellers take them.
        """
        turn = travellers[np.argsort(uniforms(seed, "turn", travellers, day), kind="stable")]
        choice = np.empty(len(turn), np.int32)
        choose_in_turn(
            turn,
            self.population.od_idx,
            self.route_of_traveller,
            self.population.weight,
            self.routes.columns,
            self.links,
            LEAST_GAIN,
            choice,
        )
        changed = choice != self.route_of_traveller[turn]
        return turn[changed], choice[changed]

    @property
    def total_cost_s(self) -> float:
        """What all vehicles spend in the period at the present flows (generalised cost, vehicle-seconds)."""
        return float(compensated_dot(self.links.flow, self.links.cost - self.toll_s))

    @property
    def relative_gap(self) -> float:
        """Gap of the travellers' routes, tolls included; valid after `explore` at the present costs."""
        total = float(compensated_dot(self.links.flow, self.links.cost))
        return (total - self.cheapest_total_s) / total if total > 0.0 else 0.0

    def traveller_costs_s(self) -> FloatColumn:
        """Generalised cost of each traveller's route, shape (n_travellers,)."""
        return self.routes.costs(self.links.cost - self.toll_s)[self.route_of_traveller]

    def traveller_times_s(self) -> FloatColumn:
        """Travel time of each traveller's route (without tolls and distance costs), shape (n_travellers,)."""
        fixed = self.problem.network.fixed_cost_s[self.problem.link_order]
        return self.routes.costs(self.links.cost - self.toll_s - fixed)[self.route_of_traveller]

    def paths(self) -> tuple[OffsetColumn, IndexColumn]:
        """Return each traveller's path in compressed rows: (start (n_travellers + 1,), links in the problem's order)."""
        columns, route = self.routes.columns, self.route_of_traveller
        length = columns.start[route + 1] - columns.start[route]
        start = np.concatenate(([0], np.cumsum(length)))
        place = np.arange(start[-1]) + np.repeat(columns.start[route] - start[:-1], length)
        return start, columns.link[place]
