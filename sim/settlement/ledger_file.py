"""ledger.parquet: the journal of a window on disk, and its check by somebody who has only the files.

The check recomputes the hash chain from the first block on, draws up every account from the moves, and, where
contracts.parquet lies beside it, compares what that says about each contract with what the journal did.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contracts_model import State
from contracts_model.audit import check_entries
from contracts_model.journal_files import JournalStatus, read_journal, write_journal
from contracts_model.kernels.layout import Rows
from contracts_model.outcomes import Kind
from sim.arrays import OffsetColumn
from sim.settlement.outcome import Enforcement

_TERMINAL = {state.name.lower(): int(state) for state in (State.PAID, State.REFUNDED, State.SLASHED)}


@dataclass(frozen=True)
class LedgerCheck:
    """What a reading of the files found; money in micro-credits.

    Attributes
    ----------
    entries
        Verified entries.
    head
        Seal over all of them, in hex.
    problems
        What is wrong, in words; empty when the ledger holds.
    issued_micro, paid_micro, fees_micro, refunded_micro, collateral_lost_micro
        Sums of the journal's moves: money brought in, paid to payees, paid as fees, given back to payers, lost by movers.
    """

    entries: int
    head: str
    problems: tuple[str, ...]
    issued_micro: int = 0
    paid_micro: int = 0
    fees_micro: int = 0
    refunded_micro: int = 0
    collateral_lost_micro: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def write_ledger(enforcement: Enforcement, path: Path) -> str:
    """Write the window's journal and its SHA-256 beside it; return that digest (hex)."""
    return write_journal(enforcement.escrows.book, path)


def check_ledger(path: Path, contracts_path: Path | None = None) -> LedgerCheck:
    """Verify a ledger file, and that contracts.parquet tells the same story; damage is a finding and no exception."""
    reading = read_journal(path)
    entries, _ = reading.entries()
    problems = [] if reading.status is JournalStatus.WHOLE else [f"{reading.status.name.lower()}: {reading.message}"]
    if reading.status is JournalStatus.WHOLE:
        problems += check_entries(entries)
        if contracts_path is not None:
            problems += _compare_contracts(entries, contracts_path)

    def total(kind: Kind) -> int:
        return int(entries["amount"][entries["kind"] == int(kind)].sum())

    return LedgerCheck(
        entries=len(entries),
        head=reading.head.hex(),
        problems=tuple(problems),
        issued_micro=total(Kind.ISSUE),
        paid_micro=total(Kind.PAY),
        fees_micro=total(Kind.FEE),
        refunded_micro=total(Kind.REFUND),
        collateral_lost_micro=total(Kind.COLLATERAL_LOST),
    )


def _compare_contracts(entries: Rows, contracts_path: Path) -> list[str]:
    try:
        table = pq.read_table(contracts_path, columns=["escrow", "mover_account", "state", "paid_micro", "collateral_lost_micro"])
    except (OSError, pa.ArrowException, KeyError) as error:
        return [f"{contracts_path.name}: {error}"]
    escrow = table["escrow"].to_numpy()
    size = int(max(escrow.max(initial=-1), entries["escrow"].max(initial=-1))) + 1
    settled = entries[entries["kind"] == int(Kind.SETTLED)]
    state = np.zeros(size, np.int64)
    state[settled["escrow"]] = settled["reference"]
    told = np.array([_TERMINAL.get(name, 0) for name in table["state"].to_pylist()], np.int64)
    problems = [
        f"{contracts_path.name}: contract in escrow {e} ends otherwise in the ledger" for e in escrow[state[escrow] != told][:5]
    ]
    account = np.full(size, -1, np.int64)
    account[escrow] = table["mover_account"].to_numpy()
    performed = _sums(entries, Kind.PAY, size, account)
    paid = table["paid_micro"].to_numpy()
    problems += [
        f"{contracts_path.name}: the mover in escrow {e} was paid otherwise in the ledger"
        for e in escrow[(performed[escrow] != paid) & (paid >= 0)][:5]
    ]
    lost = _sums(entries, Kind.COLLATERAL_LOST, size, None)
    odd = escrow[lost[escrow] != table["collateral_lost_micro"].to_numpy()]
    return problems + [f"{contracts_path.name}: the collateral in escrow {e} went otherwise in the ledger" for e in odd[:5]]


def _sums(entries: Rows, kind: Kind, size: int, account: OffsetColumn | None) -> OffsetColumn:
    """Sum the moves of one kind by escrow, where an account is given those to it alone."""
    chosen = np.flatnonzero((entries["kind"] == int(kind)) & (entries["escrow"] >= 0))
    if account is not None:
        # Looked up for these rows alone: a window without contracts has moves, but no escrow.
        chosen = chosen[entries["credit"][chosen] == account[entries["escrow"][chosen]]]
    sums = np.zeros(size, np.int64)
    np.add.at(sums, entries["escrow"][chosen], entries["amount"][chosen])
    return sums
