"""What a few travellers of one OD pair could earn for everybody by selling detours, if nobody else sold any.

They trade in turn, each the known detour with the largest surplus (`sim.kernels.deals`), round after round until nobody does;
then the streets are put back as they were.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.deals import best_detour, mark, move
from sim.kernels.routes import NO_ROUTE, Routes
from sim.kernels.segments import Links

_MOST_ROUNDS = 100


@kernel
def saving_alone(
    turn: IndexColumn, cell: int, route_of_traveller: IndexColumn, weight: FloatColumn, value: FloatColumn, routes: Routes,
    links: Links, stake: FloatColumn, fee_per_vehicle: float, least_surplus: float, on_own: BoolColumn, on_other: BoolColumn,
    surplus_of_deal: FloatColumn,
) -> tuple[float, int]:  # fmt: skip
    """Return (sum of surpluses in credits, number of deals) of the travellers in `turn`, all of OD cell `cell`, trading alone.

    The first deals' surpluses are written into `surplus_of_deal` as far as there is room. Flows, costs, stakes and routes are as
    before when it returns. `on_own` and `on_other` (n_links,) are scratch, all false, and left so.
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


@kernel
def savings_of_groups(
    turn: IndexColumn, group_start: OffsetColumn, cell_of_traveller: IndexColumn, route_of_traveller: IndexColumn,
    weight: FloatColumn, value: FloatColumn, routes: Routes, links: Links, stake: FloatColumn, fee_per_vehicle: float,
    least_surplus: float, surplus_of_deal: FloatColumn, n_deals: OffsetColumn,
) -> None:  # fmt: skip
    """Let each group of travellers of one OD cell trade alone, as in `saving_alone`.

    Group g stands in `turn` at `group_start[g]` to `group_start[g + 1]`; its deals' surpluses go there in `surplus_of_deal`
    (len(turn),) as far as there is room, their number into `n_deals` (n_groups,).
    """
    on_own = np.zeros(len(links.flow), np.bool_)
    on_other = np.zeros(len(links.flow), np.bool_)
    for group in range(len(n_deals)):
        first, past_last = group_start[group], group_start[group + 1]
        _, n_deals[group] = saving_alone(
            turn[first:past_last], cell_of_traveller[turn[first]], route_of_traveller, weight, value, routes, links, stake,
            fee_per_vehicle, least_surplus, on_own, on_other, surplus_of_deal[first:past_last],
        )  # fmt: skip
