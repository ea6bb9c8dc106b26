"""Who has an account in a window's ledger.

The members' pool issues the money: what members bring to the window. Each link that takes part has a fund, filled from the
pool; each mover has an account of his own and, where he pays for his detour, a purse besides, because in an escrow nobody
is both performer and payer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts_model import Book
from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.settlement.clearing import Contracts

N_GRIEFERS: Final = 10
"""Griefers share their cases out among so many accounts."""


@dataclass(frozen=True, eq=False)
class Accounts:
    """Actor numbers in the ledger.

    Attributes
    ----------
    pool, clearing, fees, treasury
        The members' pool (issuer), the clearing account, the validators' fee account, the operator of planted cases.
    roadside, sealed_unit
        Those who sign evidence; they hold no money.
    registry, forfeits
        Who decides what becomes of trip bonds, and the account that gets those of trips that nobody drove.
    watch, griefers
        The members' watch, who challenges what the evidence does not support, and the griefers.
    validators
        Shape (n_validators,).
    fund_link, funds
        Links that take part and their funds, ascending by link.
    performers, purses
        Account of each contract's mover; his purse, -1 where he pays nothing. Shapes (n_contracts,).
    """

    pool: int
    clearing: int
    fees: int
    treasury: int
    roadside: int
    sealed_unit: int
    registry: int
    forfeits: int
    watch: int
    griefers: OffsetColumn
    validators: OffsetColumn
    fund_link: IndexColumn
    funds: OffsetColumn
    performers: OffsetColumn
    purses: OffsetColumn

    def fund_of(self, link: IndexColumn) -> OffsetColumn:
        """Return the fund of each of some links that take part."""
        return np.asarray(self.funds[np.searchsorted(self.fund_link, link)])


def open_accounts(book: Book, contracts: Contracts, n_validators: int) -> Accounts:
    """Register everybody who takes part in a window."""
    names = ["members", "clearing", "fees", "treasury", "roadside", "sealed units", "registry", "forfeits", "watch"]
    pool, clearing, fees, treasury, roadside, sealed_unit, registry, forfeits, watch = book.add_actors(names)
    griefers = book.add_actors([f"griefer:{nth}" for nth in range(N_GRIEFERS)])
    validators = book.add_actors([f"validator:{nth}" for nth in range(n_validators)])
    links = np.unique(contracts.link)
    funds = book.add_actors([f"link:{link}" for link in links.tolist()])
    movers = contracts.mover.tolist()
    performers = book.add_actors([f"t:{mover}" for mover in movers])
    pays: BoolColumn = contracts.price_micro < 0
    purse = book.add_actors([f"t:{mover}/purse" for mover in contracts.mover[pays].tolist()])
    purses = np.full(len(movers), -1, np.int64)
    purses[pays] = np.asarray(purse, np.int64)
    return Accounts(
        pool=pool,
        clearing=clearing,
        fees=fees,
        treasury=treasury,
        roadside=roadside,
        sealed_unit=sealed_unit,
        registry=registry,
        forfeits=forfeits,
        watch=watch,
        griefers=np.asarray(griefers, np.int64),
        validators=np.asarray(validators, np.int64),
        fund_link=links,
        funds=np.asarray(funds, np.int64),
        performers=np.asarray(performers, np.int64),
        purses=purses,
    )
