"""Who pays what into each contract's escrow, and who is paid out of it.

Payers: the link funds that pay, the clearing account where it pays, a mover whose price is negative (out of his purse).
Payees: the mover, the link funds that receive, the clearing account where it receives. What the payers put in is exactly
what the payees and the validators' fee account get.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import OffsetColumn
from sim.settlement.accounts import Accounts
from sim.settlement.clearing import Contracts


@dataclass(frozen=True, eq=False)
class Parties:
    """One side of all escrows: parties of contract k are rows `start[k]` to `start[k + 1]`; amounts above 0, micro-credits."""

    start: OffsetColumn
    contract: OffsetColumn
    actor: OffsetColumn
    amount_micro: OffsetColumn

    def totals(self) -> OffsetColumn:
        """Return the sum of each contract's amounts, exact."""
        total = np.zeros(len(self.start) - 1, np.int64)
        np.add.at(total, self.contract, self.amount_micro)
        return total


def parties_of(contracts: Contracts, accounts: Accounts) -> tuple[Parties, Parties]:
    """Return (payers, payees) of the contracts.

    A contract in which no money moves at all has the clearing account put in one micro-credit that it gets back, so that
    the detour is promised under collateral like any other.

    Raises
    ------
    ValueError
        A contract's price and fee are not what its rows and the clearing account pay.
    """
    n_contracts = contracts.n_contracts
    contract_of_row = np.repeat(np.arange(n_contracts), np.diff(contracts.start))
    everybody = np.arange(n_contracts)
    clearing = np.full(n_contracts, accounts.clearing, np.int64)
    fund = accounts.fund_of(contracts.link)
    pays, price = contracts.fund_pays_micro, contracts.price_micro
    balance = price + contracts.fee_micro - contracts.clearing_pays_micro
    np.subtract.at(balance, contract_of_row, pays)
    if balance.any() or (contracts.fee_micro < 0).any():
        worst = int(np.argmax(np.abs(balance)))
        raise ValueError(f"contract {worst} is out of balance by {balance[worst]} micro-credits, or has a negative fee")
    idle = np.ones(n_contracts, np.bool_)
    idle[contract_of_row[pays > 0]] = False
    idle &= (contracts.clearing_pays_micro <= 0) & (price >= 0)
    put_in = np.where(idle, 1, np.maximum(contracts.clearing_pays_micro, 0))
    given_back = np.where(idle, 1, np.maximum(-contracts.clearing_pays_micro, 0))
    in_funds, in_clearing = (contract_of_row, fund, pays), (everybody, clearing, put_in)
    payers = _side(n_contracts, in_funds, in_clearing, (everybody, accounts.purses, -price))
    out_of_funds, out_of_clearing = (contract_of_row, fund, -pays), (everybody, clearing, given_back)
    payees = _side(n_contracts, (everybody, accounts.performers, price), out_of_funds, out_of_clearing)
    return payers, payees


_Amounts = tuple[OffsetColumn, OffsetColumn, OffsetColumn]
"""Columns (contract, actor, amount); what is not above 0 is left out."""


def _side(n_contracts: int, *lists: _Amounts) -> Parties:
    contract, actor, amount = (np.concatenate(columns) for columns in zip(*lists, strict=True))
    kept = amount > 0
    order = np.argsort(contract[kept], kind="stable")
    contract = contract[kept][order]
    start = np.searchsorted(contract, np.arange(n_contracts + 1))
    return Parties(start, contract, actor[kept][order], amount[kept][order])
