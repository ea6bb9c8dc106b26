"""Routes that travellers know: discovery on shortest-path trees, costs, and choices one traveller after another.

Routes stand in compressed rows: route r has the links `start[r]` to `start[r + 1]`, origin first. The routes of an OD cell form
a list: `first_of_cell[cell]`, then `next_of_cell[route]`, ended by NO_ROUTE.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.segments import Links

NO_ROUTE = -1


class Routes(NamedTuple):
    """Room for routes; `start[0]` is 0 and the number in use is kept by the caller."""

    start: OffsetColumn
    link: IndexColumn
    next_of_cell: IndexColumn
    first_of_cell: IndexColumn


@kernel
def add_route(cell: int, links_of_route: IndexColumn, routes: Routes, n_routes: int) -> tuple[int, int]:
    """Find the cell's route with exactly these links, or add it.

    Returns
    -------
    route, n_routes
        Its number (NO_ROUTE where there is no room for a new one) and the number of routes.
    """
    length = len(links_of_route)
    route = routes.first_of_cell[cell]
    while route != NO_ROUTE:
        first = routes.start[route]
        if routes.start[route + 1] - first == length:
            same = True
            for step in range(length):
                if routes.link[first + step] != links_of_route[step]:
                    same = False
                    break
            if same:
                return route, n_routes
        route = routes.next_of_cell[route]
    begin = routes.start[n_routes]
    if n_routes + 1 >= len(routes.start) or begin + length > len(routes.link):
        return NO_ROUTE, n_routes
    routes.link[begin : begin + length] = links_of_route
    routes.start[n_routes + 1] = begin + length
    routes.next_of_cell[n_routes] = routes.first_of_cell[cell]
    routes.first_of_cell[cell] = n_routes
    return n_routes, n_routes + 1


@kernel
def add_paths(
    first: int,
    cell_of_path: IndexColumn,
    path_start: OffsetColumn,
    path_link: IndexColumn,
    routes: Routes,
    n_routes: int,
    route_of_path: IndexColumn,
) -> tuple[int, int]:
    """Add each path (compressed rows) to its cell's routes, from `first` on; write its route into `route_of_path` (n_paths,).

    Returns (first path not done, number of routes): fewer paths than there are when the room is used up.
    """
    for path in range(first, len(cell_of_path)):
        route, n_routes = add_route(cell_of_path[path], path_link[path_start[path] : path_start[path + 1]], routes, n_routes)
        if route == NO_ROUTE:
            return path, n_routes
        route_of_path[path] = route
    return len(cell_of_path), n_routes


@kernel
def add_tree_paths(
    first: int, origin_of_cell: IndexColumn, origin_node: IndexColumn, cell_node: IndexColumn, tree_link: IndexColumn,
    tail: IndexColumn, routes: Routes, n_routes: int, route_of_cell: IndexColumn,
) -> tuple[int, int]:  # fmt: skip
    """Add every cell's path on its origin's tree (`tree_link`, (n_origins, n_nodes)), in the form of `add_paths`."""
    path = np.empty(tree_link.shape[1], np.int32)
    for cell in range(first, len(cell_node)):
        origin = origin_of_cell[cell]
        place = len(path)
        node = cell_node[cell]
        while node != origin_node[origin]:
            place -= 1
            path[place] = tree_link[origin, node]
            node = tail[path[place]]
        route, n_routes = add_route(cell, path[place:], routes, n_routes)
        if route == NO_ROUTE:
            return cell, n_routes
        route_of_cell[cell] = route
    return len(cell_node), n_routes


@kernel
def route_costs(routes: Routes, n_routes: int, link_cost: FloatColumn, cost: FloatColumn) -> None:
    """Write the sum of the link costs of every route; shape (n_routes,)."""
    for route in range(n_routes):
        total = 0.0
        for place in range(routes.start[route], routes.start[route + 1]):
            total += link_cost[routes.link[place]]
        cost[route] = total


@kernel
def link_flows(routes: Routes, route_of_traveller: IndexColumn, weight: FloatColumn, flow: FloatColumn) -> None:
    """Write the flow of every link, the travellers' weights summed in traveller order."""
    flow[:] = 0.0
    for traveller in range(len(route_of_traveller)):
        route = route_of_traveller[traveller]
        for place in range(routes.start[route], routes.start[route + 1]):
            flow[routes.link[place]] += weight[traveller]


@kernel
def could_gain(
    routes: Routes,
    cell_of_traveller: IndexColumn,
    route_of_traveller: IndexColumn,
    cost: FloatColumn,
    least_gain: float,
    result: IndexColumn,
) -> int:
    """Write who knows a route that is cheaper than his own by more than `least_gain` (a share of its cost); return how many."""
    n_found = 0
    for traveller in range(len(route_of_traveller)):
        own = cost[route_of_traveller[traveller]]
        route = routes.first_of_cell[cell_of_traveller[traveller]]
        while route != NO_ROUTE:
            if cost[route] < own * (1.0 - least_gain):
                result[n_found] = traveller
                n_found += 1
                break
            route = routes.next_of_cell[route]
    return n_found


@kernel
def choose_in_turn(
    turn: IndexColumn, cell_of_traveller: IndexColumn, route_of_traveller: IndexColumn, weight: FloatColumn, routes: Routes,
    links: Links, least_gain: float, choice: IndexColumn,
) -> int:  # fmt: skip
    """Let the travellers in `turn` choose one after another, each seeing what those before left; return how many changed.

    A traveller of weight w on route p pays sum t_a(v_a) there and would pay sum t_a(v_a + w [a not in p]) on q. It takes the
    cheapest route it knows if that saves more than `least_gain` of its cost. `choice` (len(turn),) gets the route of each;
    flows, costs and slopes of `links` follow. The total of Rosenthal's potential falls at each change.
    """
    on_own_route = np.zeros(len(links.flow), np.bool_)
    n_changed = 0
    for index in range(len(turn)):
        traveller = turn[index]
        own = route_of_traveller[traveller]
        moved = weight[traveller]
        own_links = routes.link[routes.start[own] : routes.start[own + 1]]
        own_cost = 0.0
        for link in own_links:
            on_own_route[link] = True
            own_cost += links.cost[link]
        best, best_cost = own, own_cost * (1.0 - least_gain)
        route = routes.first_of_cell[cell_of_traveller[traveller]]
        while route != NO_ROUTE:
            if route != own:
                cost = _cost_if_taken(
                    routes.link[routes.start[route] : routes.start[route + 1]], on_own_route, moved, best_cost, links
                )
                if cost < best_cost:
                    best, best_cost = route, cost
            route = routes.next_of_cell[route]
        for link in own_links:
            on_own_route[link] = False
        choice[index] = best
        if best != own:
            n_changed += 1
            _load(own_links, -moved, links)
            _load(routes.link[routes.start[best] : routes.start[best + 1]], moved, links)
    return n_changed


@kernel
def _cost_if_taken(route_links: IndexColumn, on_own_route: BoolColumn, moved: float, give_up: float, links: Links) -> float:
    # The present costs are a lower bound that needs no power: most routes are ruled out by it.
    bound = 0.0
    for link in route_links:
        bound += links.cost[link]
    if bound >= give_up:
        return bound
    total = 0.0
    for link in route_links:
        if on_own_route[link]:
            total += links.cost[link]
        else:
            total += cost_and_slope(
                links.flow[link] + moved, links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link]
            )[0]
    return total


@kernel
def _load(route_links: IndexColumn, amount: float, links: Links) -> None:
    for link in route_links:
        links.flow[link] = max(links.flow[link] + amount, 0.0)
        links.cost[link], links.cost_slope[link] = cost_and_slope(
            links.flow[link], links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link]
        )
