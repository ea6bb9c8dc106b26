"""What the static solvers work on: links by tail, demand by origin, and the cost function of a principle."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.kernels.costs import all_costs
from sim.kernels.segments import Links
from sim.kernels.trees import NO_LINK
from sim.network.road_network import RoadNetwork


class Principle(StrEnum):
    """Who minimises what (Wardrop 1952)."""

    USER_EQUILIBRIUM = "ue"
    """Every used path is a cheapest path at the flows' own costs."""
    SYSTEM_OPTIMUM = "so"
    """Total cost is least; every used path is a cheapest path at marginal costs."""


@dataclass(frozen=True, eq=False)
class AssignmentProblem:
    """A network and its demand in the order the kernels want.

    Attributes
    ----------
    network, od
        What it was made from.
    link_order
        Network position of each link here; links stand by tail.
    start
        Links that leave node i: `start[i]` to `start[i + 1]`.
    origin_node, cell_start, cell_node, cell_demand
        Origins with demand; OD cells of origin o are `cell_start[o]` to `cell_start[o + 1]`, each with its node and vehicles an
        hour.
    origin_zone_idx
        Zone of each origin.
    """

    network: RoadNetwork
    od: OdMatrix
    link_order: IndexColumn
    start: OffsetColumn
    tail: IndexColumn
    head: IndexColumn
    origin_zone_idx: IndexColumn
    origin_node: IndexColumn
    cell_start: OffsetColumn
    cell_node: IndexColumn
    cell_demand: FloatColumn

    @property
    def n_origins(self) -> int:
        """Number of zones that send demand."""
        return len(self.origin_node)

    @property
    def passable(self) -> BoolColumn:
        """Whether a path may pass through a node."""
        return self.network.node_passable

    def links(self, principle: Principle) -> Links:
        """Return fresh link state at zero flow, with the cost function that `principle` equalises."""
        network, order = self.network, self.link_order
        free_flow, power = network.free_flow_time_s[order], network.bpr_beta[order]
        slope = free_flow * network.bpr_alpha[order]
        if principle is Principle.SYSTEM_OPTIMUM:
            slope = slope * (1.0 + power)
        n_links = network.n_links
        links = Links(
            tail=self.tail,
            head=self.head,
            base=free_flow + network.fixed_cost_s[order],
            slope=slope,
            inverse_capacity=1.0 / network.capacity_vph[order],
            power=np.ascontiguousarray(power),
            flow=np.zeros(n_links),
            cost=np.empty(n_links),
            cost_slope=np.empty(n_links),
        )
        refresh_costs(links)
        return links

    def user_cost(self, flow_vph: FloatColumn) -> FloatColumn:
        """Return what a user pays on each link at these flows (generalised cost), both in network order."""
        links = self.links(Principle.USER_EQUILIBRIUM)
        links.flow[:] = flow_vph[self.link_order]
        refresh_costs(links)
        return self.in_network_order(links.cost)

    def in_network_order(self, column: FloatColumn) -> FloatColumn:
        """Return a link column of the solver in the network's link order."""
        result = np.empty_like(column)
        result[self.link_order] = column
        return result


def refresh_costs(links: Links) -> None:
    """Recompute the cost and slope of every link from its flow."""
    all_costs(links.flow, links.base, links.slope, links.inverse_capacity, links.power, links.cost, links.cost_slope)


def require_finite_costs(problem: AssignmentProblem, links: Links, tree_link: IndexColumn, cheapest_total: FloatColumn) -> None:
    """Check that every origin's demand has a finite cost on its tree.

    Parameters
    ----------
    tree_link, cheapest_total
        Trees (n_origins, n_nodes) and what the demand costs on them (n_origins,), as `trees_of_origins` writes them.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    finite = np.isfinite(cheapest_total)
    if finite.all():
        return
    origin = int(np.argmin(finite))
    cells = np.arange(problem.cell_start[origin], problem.cell_start[origin + 1])
    nodes = problem.cell_node[cells]
    pathless = (tree_link[origin, nodes] == NO_LINK) & (nodes != problem.origin_node[origin])
    raise no_path_or_overflow(problem, cells, pathless, links.cost)


def no_path_or_overflow(
    problem: AssignmentProblem, cells: NDArray[Any], pathless: BoolColumn, link_cost: FloatColumn
) -> InputError:
    """Return the error for an origin whose demand costs infinity; `pathless` are those of its `cells` without a tree path."""
    # A tree link is not written where the cost of a path is infinite, which is not the same as no path.
    if not (pathless.any() and np.isfinite(link_cost).all()):
        return overflow_error(problem)
    cell = cells[int(np.argmax(pathless))]
    ids = problem.network.zone_id[[problem.od.origin_zone_idx[cell], problem.od.destination_zone_idx[cell]]]
    return InputError(
        f"no path from zone {ids[0]} to zone {ids[1]}",
        source=problem.network.name,
        allowed="demand between connected zones",
    )


def overflow_error(problem: AssignmentProblem) -> InputError:
    """Return the error for costs beyond the range of floating-point numbers."""
    return InputError(
        f"a demand of {problem.od.total_vph:.3g} vehicles an hour gives link costs beyond the range of floating-point numbers",
        source=problem.network.name,
        allowed="a demand that fits the capacities, and smaller powers",
    )


def make_problem(network: RoadNetwork, od: OdMatrix) -> AssignmentProblem:
    """Return the problem of assigning `od` (zone positions of `network`) to `network`."""
    start, link_order = network.out_rows
    origin_zone_idx, first_cell = np.unique(od.origin_zone_idx, return_index=True)
    return AssignmentProblem(
        network=network,
        od=od,
        link_order=link_order,
        start=start,
        tail=np.ascontiguousarray(network.tail_idx[link_order]),
        head=np.ascontiguousarray(network.head_idx[link_order]),
        origin_zone_idx=origin_zone_idx.astype(np.int32),
        origin_node=np.ascontiguousarray(network.zone_node_idx[origin_zone_idx]),
        cell_start=np.append(first_cell, od.n_cells).astype(np.int64),
        cell_node=np.ascontiguousarray(network.zone_node_idx[od.destination_zone_idx]),
        cell_demand=od.demand_vph,
    )
