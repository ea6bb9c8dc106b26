"""What a few travellers of one OD pair could earn for everybody by selling detours, if nobody else sold any.

They trade in turn, each the known detour with the largest surplus (`sim.kernels.deals`), round after round until nobody does;
then the streets are put back as they were.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.deals import best_detour, mark, move
from sim.kernels.routes import NO_ROUTE, Routes
from sim.kernels.segments import Links

_MOST_ROUNDS = 100


@kernel
def saving_alone(
    turn: IndexColumn, cell: int, route_of_traveller: IndexColumn, weight: FloatColumn, value: FloatColumn, routes: Routes,
    links: Links, stake: FloatColumn, fee_per_vehicle: float, least_surplus: float, surplus_of_deal: FloatColumn,
) -> tuple[float, int]:  # fmt: skip
    """Return (sum of surpluses in credits, number of deals) of the travellers in `turn`, all of OD cell `cell`, trading alone.

    The first deals' surpluses are written into `surplus_of_deal` as far as there is room. Flows, costs, stakes and routes are as
    before when it returns.
    """
    n_rows = 0
    route = routes.first_of_cell[cell]
    while route != NO_ROUTE:
        n_rows += routes.start[route + 1] - routes.start[route]
        route = routes.next_of_cell[route]
    touched = np.empty(n_rows, np.int32)
    before = np.empty((4, n_rows))
    n_rows = 0
    route = routes.first_of_cell[cell]
    while route != NO_ROUTE:
        for place in range(routes.start[route], routes.start[route + 1]):
            link = routes.link[place]
            touched[n_rows] = link
            before[0, n_rows], before[1, n_rows] = links.flow[link], links.cost[link]
            before[2, n_rows], before[3, n_rows] = links.cost_slope[link], stake[link]
            n_rows += 1
        route = routes.next_of_cell[route]
    route_before = np.empty(len(turn), np.int32)
    for index in range(len(turn)):
        route_before[index] = route_of_traveller[turn[index]]
    on_own = np.zeros(len(links.flow), np.bool_)
    on_other = np.zeros(len(links.flow), np.bool_)
    total, n_deals = 0.0, 0
    for _ in range(_MOST_ROUNDS):
        n_before = n_deals
        for member in turn:
            own = route_of_traveller[member]
            own_links = routes.link[routes.start[own] : routes.start[own + 1]]
            mark(own_links, on_own, True)
            best, surplus, _, _, _ = best_detour(
                own, own_links, on_own, on_other, cell, weight[member], value[member], routes, links, stake,
                fee_per_vehicle * weight[member], least_surplus,
            )  # fmt: skip
            mark(own_links, on_own, False)
            if best != own:
                move(
                    own_links,
                    routes.link[routes.start[best] : routes.start[best + 1]],
                    weight[member],
                    value[member],
                    links,
                    stake,
                )
                route_of_traveller[member] = best
                if n_deals < len(surplus_of_deal):
                    surplus_of_deal[n_deals] = surplus
                total += surplus
                n_deals += 1
        if n_deals == n_before:
            break
    for row in range(n_rows):
        link = touched[row]
        links.flow[link], links.cost[link], links.cost_slope[link], stake[link] = (
            before[0, row],
            before[1, row],
            before[2, row],
            before[3, row],
        )
    for index in range(len(turn)):
        route_of_traveller[turn[index]] = route_before[index]
    return total, n_deals
