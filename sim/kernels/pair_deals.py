"""Literal bilateral deals: one traveller pays one other for a detour, and nobody asks the rest.

The mover's loss is that of `sim.kernels.deals`; the payer j gains beta_j w_j (sum over his links in D- of t(v) - t(v - w),
minus sum over his links in D+ of t(v + w) - t(v)). Where the one payer must compensate, everybody else who is a member gets what
the loaded links cost him.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.deals import move
from sim.kernels.pool_deals import FEES, PAYMENTS
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
    is_member: BoolColumn,
    fee_per_vehicle: float,
    compensate: bool,
    least_gain: float,
    money: FloatColumn,
    totals: FloatColumn,
) -> int:
    """Let each traveller in `turn` sell a detour to one of those he meets (`met`, one row each); return the number of deals.

    A deal is made with the payer and the route whose gain exceeds what must be paid by most: the mover's loss (if he has
    one) and the fee, and with `compensate` also the harm of all other members on the loaded links. `money` (n_travellers,) and
    `totals` (payments, fees included, and fees) in credits, flows, costs, stakes and routes follow. Without compensation the
    harmed get nothing.
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
                for place in range(met.shape[1]):
                    payer = met[index, place]
                    if payer != mover:
                        gain, own_harm = _gain(payer, route_of_traveller, weight, value, routes, change)
                        need = max(loss, 0.0) + fee + (harm - own_harm if compensate else 0.0)
                        net = gain - need
                        if net > best_net and net > least_gain * need:
                            best_route, best_payer, best_net, best_loss = route, payer, net, loss
                _clear(own_links, other_links, change)
            route = routes.next_of_cell[route]
        if best_route == NO_ROUTE:
            continue
        other_links = routes.link[routes.start[best_route] : routes.start[best_route + 1]]
        _changes(own_links, other_links, weight[mover], value[mover], links, stake, change)
        due = max(best_loss, 0.0) + fee
        money[mover] += max(best_loss, 0.0)
        if compensate:
            due += _pay_harmed(mover, best_payer, is_member, route_of_traveller, weight, value, routes, change, money)
        money[best_payer] -= due
        totals[PAYMENTS] += due
        totals[FEES] += fee
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
) -> tuple[float, float]:
    """Return (what a traveller gains by the changes, all in all; what the loaded links cost him)."""
    route = route_of_traveller[traveller]
    total, harm = 0.0, 0.0
    for place in range(routes.start[route], routes.start[route + 1]):
        total -= change[routes.link[place]]
        harm += max(change[routes.link[place]], 0.0)
    worth = value[traveller] * weight[traveller]
    return total * worth, harm * worth


@kernel
def _pay_harmed(
    mover: int,
    payer: int,
    is_member: BoolColumn,
    route_of_traveller: IndexColumn,
    weight: FloatColumn,
    value: FloatColumn,
    routes: Routes,
    change: FloatColumn,
    money: FloatColumn,
) -> float:
    """Pay all members but these two what the loaded links cost them; return the sum."""
    total = 0.0
    for traveller in range(len(route_of_traveller)):
        if is_member[traveller] and traveller != mover and traveller != payer:
            harm = _gain(traveller, route_of_traveller, weight, value, routes, change)[1]
            money[traveller] += harm
            total += harm
    return total


@kernel
def _clear(own_links: IndexColumn, other_links: IndexColumn, change: FloatColumn) -> None:
    for link in own_links:
        change[link] = 0.0
    for link in other_links:
        change[link] = 0.0
