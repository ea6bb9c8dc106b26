"""Clearing at the end of trading: the deals of a window become contracts, and each link's fund either pays or receives.

A mover who sold several changes has one contract, from his baseline to the route he ended on. A fund that owed in some
deals and was owed in others is netted: if it owes on balance, its payments are all cut by the same factor and it receives
nothing, and conversely; a member who would pay on some links and be paid on others is netted too (`sim.settlement.netting`).
What a single contract's own funds then pay more or less than its own payees get goes to or comes from the clearing account,
whose balance is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.settlement.money import to_micro
from sim.settlement.netting import RouteStakes, by_fund, by_member


class Deals(Protocol):
    """Deals of a window in credits, as a static market's book or the plans of a day in queue traffic have them."""

    @property
    def traveller(self) -> IndexColumn:
        """Mover of each deal, shape (n_deals,)."""
        ...

    @property
    def to_mover(self) -> FloatColumn:
        """What the mover gets (negative: pays)."""
        ...

    @property
    def start(self) -> OffsetColumn:
        """Rows of deal d: `start[d]` to `start[d + 1]`."""
        ...

    @property
    def link(self) -> IndexColumn:
        """Link of each row."""
        ...

    @property
    def fund_pays(self) -> FloatColumn:
        """What the link's fund pays in each row (negative: receives)."""
        ...


@dataclass(frozen=True, eq=False)
class Contracts:
    """Contracts of a window, in the order of their movers; money in micro-credits.

    Attributes
    ----------
    mover
        Traveller of each contract, shape (n_contracts,).
    price_micro
        What the mover gets for the detour (negative: pays).
    fee_micro
        What the validators get.
    start, link, fund_pays_micro
        Rows of contract k are `start[k]` to `start[k + 1]`: the link, and what its fund pays (negative: receives) after
        netting.
    clearing_pays_micro
        What the clearing account pays into each contract (negative: receives); price + fee = sum of its rows + this.
    """

    mover: IndexColumn
    price_micro: OffsetColumn
    fee_micro: OffsetColumn
    start: OffsetColumn
    link: IndexColumn
    fund_pays_micro: OffsetColumn
    clearing_pays_micro: OffsetColumn

    @property
    def n_contracts(self) -> int:
        """Number of contracts."""
        return len(self.mover)

    @property
    def payments_micro(self) -> int:
        """What the funds paid, after netting."""
        return int(self.fund_pays_micro[self.fund_pays_micro > 0].sum())


def clear(
    book: Deals, weight: FloatColumn, n_links: int, fee_per_vehicle: float, standing: RouteStakes | None = None
) -> Contracts:
    """Return the contracts that the deals of a window come to.

    Parameters
    ----------
    book
        Deals in credits.
    weight
        Vehicles of every traveller, shape (n_travellers,).
    fee_per_vehicle
        Credits; a mover pays it once a deal, and the contract carries the sum.
    standing
        Where the members drive when trading has ended; None nets the funds alone.
    """
    mover, contract_of_deal = np.unique(book.traveller, return_inverse=True)
    fees = np.bincount(contract_of_deal, weights=fee_per_vehicle * weight[book.traveller], minlength=len(mover))
    prices = np.bincount(contract_of_deal, weights=book.to_mover, minlength=len(mover))
    contract_of_row = np.repeat(contract_of_deal, np.diff(book.start))
    # One row a contract and link.
    key, row_of = np.unique(contract_of_row * n_links + book.link, return_inverse=True)
    pays = np.asarray(np.bincount(row_of, weights=book.fund_pays, minlength=len(key)), np.float64)
    contract, link = key // n_links, (key % n_links).astype(np.int32)
    netted = by_fund(link, pays, n_links)
    if standing is not None:
        netted = by_member(link, netted, n_links, standing)
    pays_micro = to_micro(netted)
    price_micro, fee_micro = to_micro(np.asarray(prices, np.float64)), to_micro(np.asarray(fees, np.float64))
    own = np.zeros(len(mover), np.int64)
    np.add.at(own, contract, pays_micro)
    clearing = price_micro + fee_micro - own
    # Rounding leaves a few micro-credits with the clearing account; the largest payment takes them, so that the account
    # ends at zero.
    rest = int(clearing.sum())
    if len(pays_micro) and rest:
        row = int(np.argmax(pays_micro))
        pays_micro[row] += rest
        clearing[contract[row]] -= rest
    start = np.searchsorted(contract, np.arange(len(mover) + 1))
    return Contracts(mover.astype(np.int32), price_micro, fee_micro, start, link, pays_micro, clearing)
