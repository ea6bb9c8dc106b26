"""What the funds of links and the validators did in a window, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts_model.kernels.layout import SEATS
from sim.arrays import CodeColumn, IndexColumn, OffsetColumn
from sim.settlement.outcome import Enforcement


@dataclass(frozen=True, eq=False)
class FundColumns:
    """Funds that paid or received under contracts that were paid out, ascending by link; money in micro-credits.

    Attributes
    ----------
    link_idx
        Position of the link in the network.
    account
        Number of the fund in the ledger.
    paid_micro, received_micro
        At least 0.
    """

    link_idx: IndexColumn
    account: OffsetColumn
    paid_micro: OffsetColumn
    received_micro: OffsetColumn


@dataclass(frozen=True, eq=False)
class ValidatorColumns:
    """Validators who sat on a panel, ascending by number.

    Attributes
    ----------
    account
        Number in the ledger.
    temper
        `Temper` numbers.
    seats
        Seats on panels, planted cases included.
    money_micro
        What each received minus what it lost, micro-credits.
    """

    account: OffsetColumn
    temper: CodeColumn
    seats: OffsetColumn
    money_micro: OffsetColumn


def fund_columns(enforcement: Enforcement) -> FundColumns:
    """Return what the funds of a window did."""
    contracts, accounts = enforcement.contracts, enforcement.escrows.accounts
    paid_out = np.repeat(enforcement.paid, np.diff(contracts.start))
    place = np.searchsorted(accounts.fund_link, contracts.link[paid_out])
    amount = contracts.fund_pays_micro[paid_out]
    paid, received = (np.zeros(len(accounts.fund_link), np.int64) for _ in range(2))
    np.add.at(paid, place, np.maximum(amount, 0))
    np.add.at(received, place, np.maximum(-amount, 0))
    busy = (paid > 0) | (received > 0)
    return FundColumns(accounts.fund_link[busy], accounts.funds[busy], paid[busy], received[busy])


def validator_columns(enforcement: Enforcement) -> ValidatorColumns:
    """Return what the validators of a window did."""
    escrows = enforcement.escrows
    validators, tables = escrows.accounts.validators, escrows.book.tables
    seats = np.bincount(tables.seats["juror"][: tables.counters[SEATS]] - validators[0], minlength=len(validators))
    drawn = seats > 0
    return ValidatorColumns(validators[drawn], enforcement.temper[drawn], seats[drawn], escrows.position_micro(validators[drawn]))


def others_net_micro(enforcement: Enforcement) -> dict[str, int]:
    """Return what those who are no travellers received minus what they paid; with the travellers' transfers it adds up to 0."""
    escrows = enforcement.escrows
    accounts = escrows.accounts
    groups = {
        "fees": np.array([accounts.fees]),
        "validators": accounts.validators,
        "griefers": accounts.griefers,
        "treasury": np.array([accounts.treasury]),
        "forfeits": np.array([accounts.forfeits]),
    }
    return {name: int(escrows.position_micro(rows).sum()) for name, rows in groups.items()}
