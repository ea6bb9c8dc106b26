"""Deals in queue traffic: what a change of way and departure is worth to the links' funds by the external delay, and its price.

A mover leaves his baseline plan p for plan q. With m_a(t) the charge that link a broadcasts for leaving it at t
(`sim.traffic.external_delay`), the times of p those of the baseline day and those of q those of the day that is carried out,

    relief and load of link a    d_a = m_a on p - m_a on q,     G = sum of d_a above 0,     H = - sum of d_a below 0
    the mover's loss             kappa = worth (cost of q - cost of p, both in the traffic of the day carried out)
    surplus                      S = G - H - kappa - fee

The funds of relieved links pay, those of loaded links receive d_a for their users, the mover gets kappa + theta S if S is above
0, otherwise what is left, G - H - fee (negative: he pays); and never less than -H - fee, so that no fund is paid for relief. What
the relieved links pay is the same part of d_a for each, at most all of it. Each deal adds up: payments = price + fee. This is the
screen; who ends with what is settled on what was driven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.traffic.equilibrium import chosen_paths


@dataclass(frozen=True, eq=False)
class PlanDeals:
    """Deals of a window, one a mover, ascending; amounts in credits.

    Attributes
    ----------
    traveller
        The movers.
    loss, surplus, to_mover
        kappa, S, and what the mover gets (negative: pays); shapes (n_deals,).
    start, link, fund_pays
        Rows of deal d are `start[d]` to `start[d + 1]`: a link, and what its fund pays (negative: receives).
    """

    traveller: IndexColumn
    loss: FloatColumn
    surplus: FloatColumn
    to_mover: FloatColumn
    start: OffsetColumn
    link: IndexColumn
    fund_pays: FloatColumn

    @property
    def n_deals(self) -> int:
        """Number of deals."""
        return len(self.traveller)


@dataclass(frozen=True, eq=False)
class Charges:
    """Charges of the links that everybody drives: compressed rows by traveller, as `Trips` has its paths; credits."""

    path_start: OffsetColumn
    path_link: IndexColumn
    charge: FloatColumn


def plan_deals(
    mover: IndexColumn,
    before: Charges,
    after: Charges,
    loss: FloatColumn,
    fee: FloatColumn,
    *,
    surplus_to_mover: float,
    n_links: int,
) -> PlanDeals:
    """Return the deals of some movers.

    Parameters
    ----------
    mover
        Travellers who drive another plan than their baseline, ascending.
    before, after
        Charges of everybody's baseline plan, and of the plan that is carried out.
    loss, fee
        kappa and the fee of each mover, credits.
    surplus_to_mover
        theta, 0 to 1.
    """
    keys, amounts = [], []
    for charges, sign in ((before, 1.0), (after, -1.0)):
        start, link = chosen_paths(charges.path_start, charges.path_link, mover)
        place = np.repeat(charges.path_start[mover] - start[:-1], np.diff(start)) + np.arange(int(start[-1]))
        keys.append(np.repeat(np.arange(len(mover)), np.diff(start)) * n_links + link)
        amounts.append(sign * charges.charge[place])
    key, row = np.unique(np.concatenate(keys), return_inverse=True)
    change = np.asarray(np.bincount(row, weights=np.concatenate(amounts), minlength=len(key)), np.float64)
    key, change = key[change != 0.0], change[change != 0.0]
    deal = key // n_links
    relief = np.bincount(deal, weights=np.maximum(change, 0.0), minlength=len(mover))
    load = np.bincount(deal, weights=np.maximum(-change, 0.0), minlength=len(mover))
    surplus = relief - load - loss - fee
    price = np.where(surplus > 0.0, loss + surplus_to_mover * surplus, relief - load - fee)
    price = np.maximum(price, -load - fee)
    part = np.divide(price + load + fee, relief, out=np.zeros(len(mover)), where=relief > 0.0)
    pays = np.where(change > 0.0, change * part[deal], change)
    start = np.searchsorted(deal, np.arange(len(mover) + 1))
    return PlanDeals(mover, loss, surplus, price, start, (key % n_links).astype(np.int32), pays)
