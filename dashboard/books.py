"""Contracts and ledger of a window, as the page searches them: the same tables whether a window just closed or was recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts_model.journal_files import JournalStatus, read_journal
from contracts_model.kernels.layout import Rows
from contracts_model.outcomes import Account, Kind, State, Verdict
from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.record import RecordedRun
from sim.network.turns import TurnGraph
from sim.settlement.money import MICRO_PER_CREDIT
from sim.settlement.outcome import Enforcement
from sim.settlement.tables import account_table, contract_table

ROWS_SHOWN: Final = 60
"""Entries of the ledger, or contracts, that one page of a search shows."""
_DISPUTES_TOLD: Final = 20
_MOVES: Final = tuple(kind for kind in Kind if kind < Kind.TERMS or Kind.FUND <= kind < Kind.CLAIM or kind >= Kind.PAY)


@dataclass(frozen=True)
class Event:
    """Something that happened in the market: when, of what kind, in words, and the contract that it is about."""

    when: str
    kind: str
    words: str
    contract: int | None = None


@dataclass(frozen=True)
class LedgerRow:
    """One entry of the ledger in words: instant, what, from whom, to whom, how much, under which contract."""

    when: str
    kind: str
    debit: str
    credit: str
    amount: str
    contract: int | None


@dataclass(frozen=True)
class LedgerPage:
    """What a search in the ledger found; `moved` is the sum of what moved in all entries found, in words."""

    rows: tuple[LedgerRow, ...]
    n_found: int
    moved: str


class Books:
    """Contracts, accounts and ledger of one window.

    Parameters
    ----------
    contracts
        In the form of contracts.parquet.
    account_names
        Names of the accounts, by number.
    entries
        The journal.
    """

    def __init__(self, contracts: pa.Table, account_names: list[str], entries: Rows) -> None:
        self.contracts = contracts
        self.account_names = account_names
        self.entries = entries

    @classmethod
    def of_window(cls, enforcement: Enforcement, graph: TurnGraph | None) -> Books:
        """Return the books of a window that has just closed."""
        entries, _ = enforcement.escrows.book.entries()
        return cls(contract_table(enforcement, graph), account_table(enforcement)["name"].to_pylist(), entries)

    @classmethod
    def of_run(cls, run: RecordedRun) -> Books | None:
        """Read the books of a recorded run; None where it has none, InputError where they are damaged."""
        if not (run.has_table("contracts") and run.has_table("accounts") and run.has_table("ledger")):
            return None
        return cls.of_tables(run.table("contracts"), run.table("accounts"), run.path / "ledger.parquet")

    @classmethod
    def of_tables(cls, contracts: pa.Table, accounts: pa.Table, source: Path) -> Books:
        """Return the books with the ledger of a file; InputError where that is damaged."""
        reading = read_journal(source)
        if reading.status is not JournalStatus.WHOLE:
            raise InputError(reading.message, source=source, allowed="the ledger as the run wrote it")
        entries, _ = reading.entries()
        return cls(contracts, accounts["name"].to_pylist(), entries)

    @property
    def n_contracts(self) -> int:
        """Number of contracts."""
        return int(self.contracts.num_rows)

    @cached_property
    def mover(self) -> IndexColumn:
        """Traveller of each contract, ascending."""
        return np.asarray(self.contracts["traveller_id"].to_numpy(), dtype=np.int32)

    def contract_of(self, traveller: int) -> int | None:
        """Return the contract of a traveller, or None."""
        place = int(np.searchsorted(self.mover, traveller))
        return place if place < len(self.mover) and self.mover[place] == traveller else None

    def under_contract(self, n_travellers: int) -> BoolColumn:
        """Return who has a contract, shape (n_travellers,)."""
        who = np.zeros(n_travellers, np.bool_)
        who[self.mover] = True
        return who

    def row(self, contract: int) -> dict[str, Any]:
        """Return one contract's row of contracts.parquet."""
        found: dict[str, Any] = self.contracts.slice(contract, 1).to_pylist()[0]
        return found

    @cached_property
    def states(self) -> dict[str, int]:
        """How many contracts ended in each state."""
        return dict(Counter(self.contracts["state"].to_pylist()).most_common())

    @cached_property
    def disputed(self) -> OffsetColumn:
        """Contracts whose claim was challenged."""
        return np.flatnonzero(self.contracts["challenged_by"].is_valid().to_numpy())

    def dearest(self, count: int) -> list[int]:
        """Return the contracts with the largest prices, disputed ones first."""
        price = self.contracts["price_micro"].to_numpy()
        is_disputed = np.zeros(self.n_contracts, np.bool_)
        is_disputed[self.disputed] = True
        order = np.lexsort((-price, ~is_disputed))
        return [int(row) for row in order[:count]]

    def events(self) -> tuple[Event, ...]:
        """Return what happened from the signing to the last payment, newest first; disputes one by one."""
        told = self._milestones()
        for contract in self.disputed[:_DISPUTES_TOLD].tolist():
            told += self._dispute(contract)
        if len(self.disputed) > _DISPUTES_TOLD:
            told.append((0.0, Event("", "dispute", f"{text.whole(len(self.disputed) - _DISPUTES_TOLD)} more disputes")))
        return tuple(event for _, event in sorted(told, key=lambda pair: -pair[0]))

    def _milestones(self) -> list[tuple[float, Event]]:
        """One event for each state and instant at which contracts entered it, all together."""
        states: list[str] = pc.list_flatten(self.contracts["states"]).to_pylist()
        times: list[int] = pc.list_flatten(self.contracts["state_times_s"]).to_pylist()
        told = []
        for (time_s, state), count in Counter(zip(times, states, strict=True)).items():
            kind, words = _STATE_WORDS.get(state, ("deal", f"are {state}"))
            noun = "contract" if count == 1 else "contracts"
            told.append((float(time_s), Event(instant(time_s), kind, f"{text.whole(count)} {noun}: {words}")))
        return told

    def _dispute(self, contract: int) -> list[tuple[float, Event]]:
        row = self.row(contract)
        states: dict[str, int] = dict(zip(row["states"], row["state_times_s"], strict=True))
        when = float(states.get("voting", states.get("claimed", 0)))
        told = [
            (when + 0.1, Event(instant(when), "dispute", f"Claim of traveller {row['traveller_id']} challenged", contract)),
        ]
        for number, panel in enumerate(row["votes"] or (), start=1):
            yes = sum(cast["vote"] == "accepted" for cast in panel)
            words = f"Panel {number}: {yes} of {len(panel)} for the mover"
            told.append((when + 0.1 + 0.01 * number, Event(instant(when), "vote", words, contract)))
        end = float(row["state_times_s"][-1])
        verdict = _RULINGS.get(row["ruling"] or "", "no decision")
        told.append((end + 0.1, Event(instant(end), "ruling", f"Traveller {row['traveller_id']}: {verdict}", contract)))
        return told

    def search(self, words: str, kind: str | None = None) -> LedgerPage:
        """Return the entries whose accounts' names hold some words, or whose contract has that number; newest first.

        Parameters
        ----------
        words
            Part of a name ("t:4711", "link:881", "validator"), or "#12" for contract 12; empty finds everything.
        kind
            Name of an entry kind, or None for all of them.
        """
        found = np.ones(len(self.entries), np.bool_)
        wanted = words.strip().lower()
        if wanted.startswith("#"):
            number = int(wanted[1:]) if wanted[1:].isdigit() else -2
            found &= self.entries["escrow"] == min(number, 2**31 - 1)
        elif wanted:
            found &= self._touches(wanted)
        if kind is not None:
            found &= self.entries["kind"] == int(Kind[kind])
        rows = np.flatnonzero(found)
        moves = rows[np.isin(self.entries["kind"][rows], [int(move) for move in _MOVES])]
        moved = text.credits(float(self.entries["amount"][moves].sum()) / MICRO_PER_CREDIT)
        shown = tuple(self._ledger_row(self.entries[row]) for row in rows[::-1][:ROWS_SHOWN])
        return LedgerPage(shown, len(rows), moved)

    def life(self, contract: int) -> tuple[LedgerRow, ...]:
        """Return every entry of a contract, oldest first."""
        rows = np.flatnonzero(self.entries["escrow"] == contract)
        return tuple(self._ledger_row(self.entries[row]) for row in rows)

    def _touches(self, wanted: str) -> BoolColumn:
        exact = wanted in self._number_of
        numbers = (
            [self._number_of[wanted]] if exact else [n for n, name in enumerate(self.account_names) if wanted in name.lower()]
        )
        is_wanted = np.zeros(len(self.account_names) + 1, np.bool_)
        is_wanted[numbers] = True
        # The last place stands for whoever is no account.
        debit, credit = (np.where(self.entries[side] < 0, len(self.account_names), self.entries[side]) for side in _SIDES)
        return np.asarray(is_wanted[debit] | is_wanted[credit])

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {name.lower(): number for number, name in enumerate(self.account_names)}

    def _name(self, account: int) -> str:
        if account >= 0:
            return self.account_names[account]
        return "" if account == Account.NOBODY else Account(account).name.lower().replace("_", " ")

    def _ledger_row(self, entry: np.void) -> LedgerRow:
        kind, escrow = Kind(int(entry["kind"])), int(entry["escrow"])
        amount = ""
        if kind in _MOVES or kind in (Kind.OPEN, Kind.PROMISE_FEE, Kind.PROMISE_COLLATERAL, Kind.PROMISE_PAYER):
            amount = text.significant(int(entry["amount"]) / MICRO_PER_CREDIT, 3)
        words = kind.name.lower().replace("_", " ")
        if kind is Kind.REVEAL:
            words = f"votes {Verdict(int(entry['amount'])).name.lower()}"
        elif kind in (Kind.TALLY, Kind.FINAL):
            words = f"{words}: {Verdict(int(entry['reference'])).name.lower()}"
        elif kind is Kind.SETTLED:
            words = f"ends {State(int(entry['reference'])).name.lower()}"
        sides = self._name(int(entry["debit"])), self._name(int(entry["credit"]))
        is_contract = 0 <= escrow < self.n_contracts
        return LedgerRow(instant(float(entry["time"])), words, *sides, amount, escrow if is_contract else None)


def ledger_kinds() -> list[str]:
    """Return the names of the kinds of entries."""
    return [kind.name for kind in Kind]


def instant(seconds: float) -> str:
    """Return an instant of a window as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


_SIDES = ("debit", "credit")
_RULINGS = {"accepted": "the mover is right and paid", "rejected": "the mover is wrong and loses the collateral"}
_STATE_WORDS = {
    "offered": ("offer", "offered and paid into escrow"),
    "active": ("deal", "accepted, collateral locked"),
    "claimed": ("claim", "the movers claim to have driven the detour"),
    "voting": ("dispute", "challenged, before a panel"),
    "paid": ("paid", "the movers are paid"),
    "refunded": ("paid", "called off, the payers have their money back"),
    "slashed": ("ruling", "the mover broke the promise and loses the collateral"),
    "appealable": ("ruling", "decided, may be appealed"),
    "replay": ("dispute", "left to the replay of the evidence"),
}
