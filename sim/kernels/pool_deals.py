"""Pools that do not compensate: whoever is on a relieved link pays for the relief, and nobody asks those on the loaded links.

Loss kappa of the mover and gains G on the relieved links are those of `sim.kernels.deals`. The deal is made iff

    S = G - kappa - fee > 0,

so the harm H on the loaded links counts for nothing. Every gain g pays rho g with rho = (loss + fee + theta S) / (all gains);
the mover gets his loss and theta S. Without H the sum of all costs is no potential: trading need not end.

Members on one link pay alike, in proportion to value of time * weight. So each link keeps an account `charge`, credits a unit
of stake since the beginning; who joins a link is credited its account, who leaves it is debited, and what a traveller has paid
is the difference. That costs as much as the change of route itself, not a pass over all travellers.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.deals import mark, move, surplus_of
from sim.kernels.routes import NO_ROUTE, Routes
from sim.kernels.segments import Links

PAYMENTS, FEES = 0, 1
"""Positions in the totals of `pool_in_turn` and of `sim.kernels.pair_deals`."""


@kernel
def pool_in_turn(
    turn: IndexColumn, cell_of_traveller: IndexColumn, route_of_traveller: IndexColumn, weight: FloatColumn,
    value: FloatColumn, routes: Routes, links: Links, stake: FloatColumn, fee_per_vehicle: float, theta: float,
    least_surplus: float, charge: FloatColumn, money: FloatColumn, totals: FloatColumn,
) -> int:  # fmt: skip
    """Let the members in `turn` sell their best detour to the pools of the relieved links; return how many did.

    A member takes the known route with the largest S if that exceeds `least_surplus` (a share of his own route's cost).
    Flows, costs, stakes, routes, `charge` (n_links,) and `money` (n_travellers,) follow, and so do `totals`: payments, fees
    included, and fees. In credits; what is charged on the links that somebody drives now is not in `money` yet.
    """
    on_own = np.zeros(len(links.flow), np.bool_)
    on_other = np.zeros(len(links.flow), np.bool_)
    n_deals = 0
    for member in turn:
        own = route_of_traveller[member]
        own_links = routes.link[routes.start[own] : routes.start[own + 1]]
        fee, worth = fee_per_vehicle * weight[member], value[member] * weight[member]
        mark(own_links, on_own, True)
        own_cost = 0.0
        for link in own_links:
            own_cost += links.cost[link]
        best, best_surplus, best_loss, best_gains = own, least_surplus * own_cost * worth, 0.0, 0.0
        route = routes.first_of_cell[cell_of_traveller[member]]
        while route != NO_ROUTE:
            if route != own:
                other_links = routes.link[routes.start[route] : routes.start[route + 1]]
                mark(other_links, on_other, True)
                surplus, loss, gains, harm = surplus_of(
                    own_links, other_links, on_own, on_other, weight[member], value[member], links, stake, fee
                )
                mark(other_links, on_other, False)
                if surplus + harm > best_surplus:
                    best, best_surplus, best_loss, best_gains = route, surplus + harm, loss, gains
            route = routes.next_of_cell[route]
        if best != own:
            other_links = routes.link[routes.start[best] : routes.start[best + 1]]
            own_gain, own_loss = max(-best_loss, 0.0), max(best_loss, 0.0)
            due = own_loss + fee + theta * best_surplus
            rho = due / (best_gains + own_gain)
            mark(other_links, on_other, True)
            for link in own_links:
                money[member] -= worth * charge[link]
                if not on_other[link]:
                    charge[link] += rho * _relief(link, weight[member], links)
            for link in other_links:
                money[member] += worth * charge[link]
            mark(other_links, on_other, False)
            money[member] += own_loss + theta * best_surplus - rho * own_gain
            totals[PAYMENTS] += due
            totals[FEES] += fee
            move(own_links, other_links, weight[member], value[member], links, stake)
            route_of_traveller[member] = best
            n_deals += 1
        mark(own_links, on_own, False)
    return n_deals


@kernel
def _relief(link: int, weight: float, links: Links) -> float:
    flow = max(links.flow[link] - weight, 0.0)
    after: float = cost_and_slope(flow, links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link])[0]
    relief: float = links.cost[link] - after
    return relief
