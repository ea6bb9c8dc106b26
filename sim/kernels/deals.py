r"""Paid detours: what one traveller's change of route is worth to everybody, and trading one traveller after another.

Traveller i of weight w and value of time beta_i moves from route p to q; D- = p \ q is relieved, D+ = q \ p loaded. Each link e
has a fund of its members with stake s_e = sum of beta_j w_j over the members who drive on it. With t_e(v) the cost of link e at
flow v of everybody:

    mover's loss   kappa = beta_i w (sum over D+ of t_e(v + w) - sum over D- of t_e(v))
    gains          G = sum over D- of (s_e - beta_i w) (t_e(v) - t_e(v - w))
    harm           H = sum over D+ of s_e (t_e(v + w) - t_e(v))
    surplus        S = G - H - kappa - surcharge - fee

With equal values of time and everybody a member S + surcharge + fee = -(change of the total cost), so trading stops. A negative
kappa is a gain of the mover himself, who then pays like the funds. Every gain g pays rho g with rho = (harm + loss of the mover +
surcharge + fee + theta S) / (all gains) <= 1; every harm is paid in full; the mover gets his loss, the surcharge and theta S. The
surcharge is what the mover asks on top of his loss; where sellers compete (`sim.negotiation.auction`) it is the auction's price,
but never more than the deal is worth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.routes import NO_ROUTE, Routes
from sim.kernels.segments import Links


class Deals(NamedTuple):
    """Room for deals, one row each; amounts in credits.

    The links of deal d and what their funds pay (negative: receive) are rows `start[d]` to `start[d + 1]`.
    """

    traveller: IndexColumn
    from_route: IndexColumn
    to_route: IndexColumn
    loss: FloatColumn
    """Loss of the mover (negative: his gain)."""
    surplus: FloatColumn
    """What the deal is worth to everybody together, after loss, surcharge and fee."""
    surcharge: FloatColumn
    """What the mover gets on top of his loss."""
    to_mover: FloatColumn
    """What the mover gets (negative: pays)."""
    start: OffsetColumn
    link: IndexColumn
    fund_pays: FloatColumn


@kernel
def _cost_at(link: int, flow: float, links: Links) -> float:
    return cost_and_slope(max(flow, 0.0), links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link])[0]


@kernel
def surplus_of(
    own_links: IndexColumn, other_links: IndexColumn, on_own: BoolColumn, on_other: BoolColumn, weight: float, value: float,
    links: Links, stake: FloatColumn, fee: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Return (surplus, loss of the mover, gains, harm) of a change from one route to another, in credits.

    `on_own` and `on_other` (n_links,) mark the links of the two routes; `value` is the mover's value of time in credits a second.
    """
    loss = gains = harm = 0.0
    for link in own_links:
        if not on_other[link]:
            loss -= links.cost[link]
            gains += (stake[link] - value * weight) * (links.cost[link] - _cost_at(link, links.flow[link] - weight, links))
    for link in other_links:
        if not on_own[link]:
            loaded = _cost_at(link, links.flow[link] + weight, links)
            loss += loaded
            harm += stake[link] * (loaded - links.cost[link])
    loss *= value * weight
    return gains - harm - loss - fee, loss, gains, harm


@kernel
def move(own_links: IndexColumn, other_links: IndexColumn, weight: float, value: float, links: Links, stake: FloatColumn) -> None:
    """Change flows, costs and stakes as a member of this weight goes from one route to another."""
    for link in own_links:
        links.flow[link] = max(links.flow[link] - weight, 0.0)
        stake[link] = max(stake[link] - value * weight, 0.0)
    for link in other_links:
        links.flow[link] += weight
        stake[link] += value * weight
    for route_links in (own_links, other_links):
        for link in route_links:
            links.cost[link], links.cost_slope[link] = cost_and_slope(
                links.flow[link], links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link]
            )


@kernel
def mark(route_links: IndexColumn, marks: BoolColumn, value: bool) -> None:
    """Set the marks of a route's links."""
    for link in route_links:
        marks[link] = value


@kernel
def best_detour(
    own: int, own_links: IndexColumn, on_own: BoolColumn, on_other: BoolColumn, cell: int, weight: float, value: float,
    routes: Routes, links: Links, stake: FloatColumn, fee_and_ask: float, least_surplus: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """Return (route, surplus, loss, gains, harm) of the best known detour; the own route where none is worth it.

    Worth it is a surplus above `least_surplus` (a share of the own route's cost). `on_own` must mark the links of the own route.
    """
    own_cost = 0.0
    for link in own_links:
        own_cost += links.cost[link]
    best, best_surplus = own, least_surplus * own_cost * value * weight
    best_loss = best_gains = best_harm = 0.0
    route = routes.first_of_cell[cell]
    while route != NO_ROUTE:
        if route != own:
            other_links = routes.link[routes.start[route] : routes.start[route + 1]]
            mark(other_links, on_other, True)
            surplus, loss, gains, harm = surplus_of(
                own_links, other_links, on_own, on_other, weight, value, links, stake, fee_and_ask
            )
            mark(other_links, on_other, False)
            if surplus > best_surplus:
                best, best_surplus, best_loss, best_gains, best_harm = route, surplus, loss, gains, harm
        route = routes.next_of_cell[route]
    return best, best_surplus, best_loss, best_gains, best_harm


@kernel
def screen_offers(
    members: IndexColumn, cell_of_traveller: IndexColumn, route_of_traveller: IndexColumn, weight: FloatColumn,
    value: FloatColumn, ask: FloatColumn, routes: Routes, links: Links, stake: FloatColumn, fee_per_vehicle: float,
    least_surplus: float, route: IndexColumn, surplus: FloatColumn, loss: FloatColumn,
) -> None:  # fmt: skip
    """Write each member's best detour at the present traffic, its surplus and his loss, in credits; nothing is traded.

    Where none is worth it, that is his own route. `ask` has a row a traveller; `route`, `surplus` and `loss` a row a member.
    """
    on_own = np.zeros(len(links.flow), np.bool_)
    on_other = np.zeros(len(links.flow), np.bool_)
    for index in range(len(members)):
        member = members[index]
        own = route_of_traveller[member]
        own_links = routes.link[routes.start[own] : routes.start[own + 1]]
        mark(own_links, on_own, True)
        route[index], surplus[index], loss[index], _, _ = best_detour(
            own, own_links, on_own, on_other, cell_of_traveller[member], weight[member], value[member],
            routes, links, stake, (fee_per_vehicle + ask[member]) * weight[member], least_surplus,
        )  # fmt: skip
        mark(own_links, on_own, False)


@kernel
def trade_in_turn(
    first: int, turn: IndexColumn, cell_of_traveller: IndexColumn, route_of_traveller: IndexColumn, weight: FloatColumn,
    value: FloatColumn, ask: FloatColumn, rival_ask: FloatColumn, routes: Routes, links: Links, stake: FloatColumn,
    fee_per_vehicle: float, theta: float, least_surplus: float, deals: Deals, n_deals: int,
) -> tuple[int, int]:  # fmt: skip
    """Let the members in `turn` from position `first` on sell their best detour, one after another.

    Returns (first position not done, number of deals).

    A member takes the known route with the largest surplus if that exceeds `least_surplus` (a share of his own route's cost,
    above rounding). `ask` and `rival_ask` (n_travellers,) are credits a vehicle: the least surcharge he sells for, and what he
    is paid if the deal is worth it (his ask where that is more). Flows, costs, stakes and `route_of_traveller` follow. Fewer
    positions than there are are done when the room for deals is used up.
    """
    on_own = np.zeros(len(links.flow), np.bool_)
    on_other = np.zeros(len(links.flow), np.bool_)
    for index in range(first, len(turn)):
        member = turn[index]
        own = route_of_traveller[member]
        own_links = routes.link[routes.start[own] : routes.start[own + 1]]
        fee, asked = fee_per_vehicle * weight[member], ask[member] * weight[member]
        mark(own_links, on_own, True)
        best, best_surplus, best_loss, best_gains, best_harm = best_detour(
            own, own_links, on_own, on_other, cell_of_traveller[member], weight[member], value[member],
            routes, links, stake, fee + asked, least_surplus,
        )  # fmt: skip
        if best != own:
            other_links = routes.link[routes.start[best] : routes.start[best + 1]]
            row = deals.start[n_deals]
            if n_deals + 1 >= len(deals.start) or row + len(own_links) + len(other_links) > len(deals.link):
                return index, n_deals
            mark(other_links, on_other, True)
            surcharge = min(max(asked, rival_ask[member] * weight[member]), asked + best_surplus)
            best_surplus = max(best_surplus - (surcharge - asked), 0.0)
            own_gain, own_loss = max(-best_loss, 0.0), max(best_loss, 0.0)
            rho = (own_loss + surcharge + best_harm + fee + theta * best_surplus) / (best_gains + own_gain)
            row = _write_funds(
                row, own_links, other_links, on_own, on_other, weight[member], value[member], rho, links, stake, deals
            )
            mark(other_links, on_other, False)
            deals.traveller[n_deals] = member
            deals.from_route[n_deals] = own
            deals.to_route[n_deals] = best
            deals.loss[n_deals] = best_loss
            deals.surplus[n_deals] = best_surplus
            deals.surcharge[n_deals] = surcharge
            deals.to_mover[n_deals] = own_loss + surcharge + theta * best_surplus - rho * own_gain
            n_deals += 1
            deals.start[n_deals] = row
            move(own_links, other_links, weight[member], value[member], links, stake)
            route_of_traveller[member] = best
        mark(own_links, on_own, False)
    return len(turn), n_deals


@kernel
def _write_funds(
    row: int, own_links: IndexColumn, other_links: IndexColumn, on_own: BoolColumn, on_other: BoolColumn, weight: float,
    value: float, rho: float, links: Links, stake: FloatColumn, deals: Deals,
) -> int:  # fmt: skip
    for link in own_links:
        if not on_other[link]:
            relief = links.cost[link] - _cost_at(link, links.flow[link] - weight, links)
            deals.link[row] = link
            deals.fund_pays[row] = rho * (stake[link] - value * weight) * relief
            row += 1
    for link in other_links:
        if not on_own[link]:
            deals.link[row] = link
            deals.fund_pays[row] = -stake[link] * (_cost_at(link, links.flow[link] + weight, links) - links.cost[link])
            row += 1
    return row
