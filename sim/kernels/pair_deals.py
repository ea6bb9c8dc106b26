"""Literal bilateral deals: one traveller pays one other for a detour, and nobody asks the rest.

The mover's loss is that of `sim.kernels.deals`; the payer j gains beta_j w_j (sum over his links in D- of t(v) - t(v - w),
minus sum over his links in D+ of t(v + w) - t(v)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.deals import move
from sim.kernels.routes import NO_ROUTE, Routes
from sim.kernels.segments import Links


@kernel
def pair_in_turn(
    turn: IndexColumn,
    met: NDArray[np.int32],
    cell_of_traveller: IndexColumn,
    route_of_traveller: IndexColumn,
    weight: FloatColumn,
    value: FloatColumn,
    routes: Routes,
    links: Links,
    stake: FloatColumn,
    fee_per_vehicle: float,
    compensate: bool,
    least_gain: float,
    money: FloatColumn,
) -> int:
    """Let each traveller in `turn` sell a detour to one of those he meets (`met`, one row each); return the number of deals.

    A deal is made with the payer and the route whose gain exceeds what must be paid by most: the mover's loss (if he has
    one) and the fee, and with `compensate` also the harm of everybody on the loaded links. `money` (n_travellers,) in
    credits, flows, costs, stakes and routes follow. Without compensation the harmed get nothing.
    """
    change = np.zeros(len(links.flow))
    n_deals = 0
    for index in range(len(turn)):
        mover = turn[index]
        own = route_of_traveller[mover]
        own_links = routes.link[routes.start[own] : routes.start[own + 1]]
        fee = fee_per_vehicle * weight[mover]
        best_route, best_payer, best_net, best_loss = NO_ROUTE, -1, 0.0, 0.0
        route = routes.first_of_cell[cell_of_traveller[mover]]
        while route != NO_ROUTE:
            if route != own:
                other_links = routes.link[routes.start[route] : routes.start[route + 1]]
                loss, harm = _changes(own_links, other_links, weight[mover], value[mover], links, stake, change)
                need = max(loss, 0.0) + fee + (harm if compensate else 0.0)
                for place in range(met.shape[1]):
                    payer = met[index, place]
                    if payer != mover:
                        net = _gain(payer, route_of_traveller, weight, value, routes, change) - need
                        if net > best_net and net > least_gain * need:
                            best_route, best_payer, best_net, best_loss = route, payer, net, loss
                _clear(own_links, other_links, change)
            route = routes.next_of_cell[route]
        if best_route == NO_ROUTE:
            continue
        other_links = routes.link[routes.start[best_route] : routes.start[best_route + 1]]
        loss, harm = _changes(own_links, other_links, weight[mover], value[mover], links, stake, change)
        price = max(best_loss, 0.0)
        money[mover] += price
        money[best_payer] -= price + fee
        if compensate:
            money[best_payer] -= harm
            _pay_harmed(mover, route_of_traveller, weight, value, routes, change, money)
        _clear(own_links, other_links, change)
        move(own_links, other_links, weight[mover], value[mover], links, stake)
        route_of_traveller[mover] = best_route
        n_deals += 1
    return n_deals


@kernel
def _changes(
    own_links: IndexColumn,
    other_links: IndexColumn,
    weight: float,
    value: float,
    links: Links,
    stake: FloatColumn,
    change: FloatColumn,
) -> tuple[float, float]:
    """Write by how much each link's cost changes for those who stay on it; return (mover's loss, harm on the loaded links)."""
    for link in own_links:
        change[link] = -1.0
    for link in other_links:
        change[link] = 0.0 if change[link] == -1.0 else 1.0
    loss, harm = 0.0, 0.0
    for link in own_links:
        if change[link] == -1.0:
            relieved = _cost_at(link, links.flow[link] - weight, links)
            loss -= links.cost[link]
            change[link] = relieved - links.cost[link]
    for link in other_links:
        if change[link] == 1.0:
            loaded = _cost_at(link, links.flow[link] + weight, links)
            loss += loaded
            change[link] = loaded - links.cost[link]
            harm += stake[link] * change[link]
    return loss * value * weight, harm


@kernel
def _cost_at(link: int, flow: float, links: Links) -> float:
    cost: float = cost_and_slope(
        max(flow, 0.0), links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link]
    )[0]
    return cost


@kernel
def _gain(
    traveller: int, route_of_traveller: IndexColumn, weight: FloatColumn, value: FloatColumn, routes: Routes, change: FloatColumn
) -> float:
    route = route_of_traveller[traveller]
    total = 0.0
    for place in range(routes.start[route], routes.start[route + 1]):
        total -= change[routes.link[place]]
    gain: float = total * value[traveller] * weight[traveller]
    return gain


@kernel
def _pay_harmed(
    mover: int,
    route_of_traveller: IndexColumn,
    weight: FloatColumn,
    value: FloatColumn,
    routes: Routes,
    change: FloatColumn,
    money: FloatColumn,
) -> None:
    for traveller in range(len(route_of_traveller)):
        if traveller != mover:
            route = route_of_traveller[traveller]
            for place in range(routes.start[route], routes.start[route + 1]):
                money[traveller] += max(change[routes.link[place]], 0.0) * value[traveller] * weight[traveller]


@kernel
def _clear(own_links: IndexColumn, other_links: IndexColumn, change: FloatColumn) -> None:
    for link in own_links:
        change[link] = 0.0
    for link in other_links:
        change[link] = 0.0
