"""Who gives way: a reverse auction among the trips of an OD pair that could.

Each seller names what it wants on top of its loss. The k-th detour out of the same route is worth less to the others than the
one before: its marginal benefit falls with k. The cheapest sellers win, as many as ask no more than the marginal benefit of
their place, and all get one price, min(next ask, marginal benefit of the last place): the highest ask with which a winner would
still have won. So a mover with one trip to sell cannot do better than to ask what it wants (Vickrey 1961); with several trips
it can, by holding some back.

In the market the benefits are those at the start of a round, when the OD pair's trips trade alone; since others trade too, what
is paid is capped by what the deal is worth when its turn comes (`sim.kernels.deals`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn


@dataclass(frozen=True, eq=False)
class AuctionResult:
    """Outcome of an auction.

    Attributes
    ----------
    winners
        Positions of the sellers who give way, cheapest first.
    price
        What each of them gets (credits a vehicle, on top of its loss); inf where nothing bounds it, 0 without winners.
    """

    winners: IndexColumn
    price: float


def reverse_auction(ask: FloatColumn, marginal_benefit: FloatColumn) -> AuctionResult:
    """Return who gives way and at what price.

    Parameters
    ----------
    ask
        What each seller wants, at least 0, shape (n_sellers,); the earlier first among equals.
    marginal_benefit
        What the first, second, ... detour is worth before the seller is paid, not rising, shape (n_places,).

    Raises
    ------
    ValueError
        An ask is below 0 or no number, or the marginal benefits rise.
    """
    if not (ask >= 0.0).all():
        raise ValueError("an ask is below 0 or no number")
    if not (np.diff(marginal_benefit) <= 0.0).all():
        raise ValueError("marginal benefits must not rise")
    order = np.argsort(ask, kind="stable").astype(np.int32)
    sorted_ask = ask[order]
    n_places = min(len(ask), len(marginal_benefit))
    # Asks rise and benefits fall, so the places that are worth their ask come first.
    n_winners = int(np.count_nonzero(sorted_ask[:n_places] <= marginal_benefit[:n_places]))
    if n_winners == 0:
        return AuctionResult(order[:0], 0.0)
    next_ask = float(sorted_ask[n_winners]) if n_winners < len(ask) else np.inf
    return AuctionResult(order[:n_winners], min(next_ask, float(marginal_benefit[n_winners - 1])))


def order_by_ask(turn: IndexColumn, group_of_traveller: IndexColumn, ask: FloatColumn) -> IndexColumn:
    """Return `turn` with the places of each group taken by its members in the order of their asks.

    Parameters
    ----------
    turn
        Travellers in the order of the lot.
    group_of_traveller, ask
        By traveller.
    """
    group = group_of_traveller[turn]
    places = np.argsort(group, kind="stable")
    cheapest_first = np.lexsort((np.arange(len(turn)), ask[turn], group))
    result = np.empty_like(turn)
    result[places] = turn[cheapest_first]
    return result
