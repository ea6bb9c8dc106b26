"""The tables of one book: how an operation reaches its kernel, how tables grow, how the journal is sealed.

Both interfaces go through `Store.run` / `Store.run_many`, so that numbering, refusals and the bytes of the journal cannot
differ between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from contracts_model._jit import entry_point
from contracts_model.journal import Block, Journal, empty_tail, explain, gather
from contracts_model.kernels.layout import (
    ACTORS,
    ASSETS,
    CLOCK,
    DIGESTS,
    ENTRIES,
    ESCROWS,
    FREE,
    HOLDS,
    ISSUER,
    NEED_ENTRIES,
    NEED_ESCROWS,
    NEED_HOLDS,
    NEED_PARTIES,
    NEED_ROUNDS,
    NEED_SEATS,
    PARTIES,
    POOL,
    ROUNDS,
    SEATS,
    STAKED,
    SUPPLY,
    TERMS_COUNT,
    Ints,
    Rows,
    Tables,
    empty_tables,
)
from contracts_model.outcomes import BLOCK_ENTRIES, MAX_ASSETS, Account, Kind, Outcome, Result, State
from contracts_model.packed import touch
from contracts_model.terms import Terms

OUTCOMES: Final = {int(outcome): outcome for outcome in Outcome}
LIMIT: Final = (1 << 63) - 1
"""Largest number that an operation takes."""

_AXIS: Final = {"journal": 1}
"""Axis along which a table grows, where it is not the first."""

_FAST_GROWTH_BYTES: Final = 1 << 28
"""Tables shorter than this grow to four times their length: pages nobody has written to cost nothing, a copy does."""

_BESIDE_ESCROWS: Final = ("conditions", "claims", "answers")

Kernel = Callable[..., int]

_OK: Final = int(Outcome.OK)
_NO_ROOM: Final = int(Outcome.NO_ROOM)

_ENTRY_POINTS: dict[Kernel, Kernel] = {}
"""Machine code of the kernels that have run in this process."""


class Store:
    """State of a book and its journal.

    Parameters
    ----------
    seed
        Seed of the panel draws, 0 <= seed < 2^63.
    """

    def __init__(self, seed: int = 0) -> None:
        if type(seed) is not int or not 0 <= seed <= LIMIT:
            raise ValueError(f"seed {seed!r}: an integer from 0 to 2^63 - 1 is needed")
        journal, digests = empty_tail()
        self.tables = Tables(**empty_tables(seed), journal=journal, digests=digests)
        self.journal = Journal()
        self.actor_names: list[str] = []
        self.asset_names: list[str] = []
        self.terms: list[Terms] = []
        self.busy = False
        """True while foreign code (an arbiter, a listener) runs: every operation is refused then."""

    # -- operations ------------------------------------------------------------------------------------------------

    def run(self, kernel: Kernel, *arguments: int) -> Outcome:
        """Carry one operation on integers out, or refuse it."""
        refusal = self.check_call(arguments)
        return self.apply(kernel, arguments) if refusal is Outcome.OK else refusal

    def check_call(self, numbers: Sequence[int]) -> Outcome:
        """Refuse calls from within foreign code, and numbers that are no integers of 64 bits."""
        if self.busy:
            return Outcome.REENTRANT_CALL
        for number in numbers:
            if type(number) is not int:
                return Outcome.NOT_AN_INTEGER
            if not -LIMIT <= number <= LIMIT:
                return Outcome.NUMBER_OUT_OF_RANGE
        return Outcome.OK

    def apply(self, kernel: Kernel, arguments: Sequence[Any]) -> Outcome:
        """Call a kernel with checked arguments, making room as often as it asks for it."""
        operation = _ENTRY_POINTS.get(kernel)
        if operation is None:
            operation = kernel
            found = entry_point(kernel)
            if found is not None:
                _ENTRY_POINTS[kernel] = found
        code = operation(self.tables, *arguments)
        while code == _NO_ROOM:
            self._make_room()
            code = operation(self.tables, *arguments)
        if code == _OK and self.tables.counters[ENTRIES] >= BLOCK_ENTRIES:
            self.journal.seal_full_blocks(self.tables)
        return OUTCOMES[code]

    def run_many(self, loop: Kernel, count: int, arguments: Sequence[Any]) -> None:
        """Drive a batch loop: it returns the row it stopped at, for want of room, or `count`."""
        at = loop(self.tables, 0, *arguments)
        while at < count:
            self._make_room()
            at = loop(self.tables, at, *arguments)
        self.journal.seal_full_blocks(self.tables)

    def _make_room(self) -> None:
        """Seal what is full and lengthen each table that the last operation found too short, to at least twice its length."""
        counters = self.tables.counters
        self.journal.seal_full_blocks(self.tables)
        t = self.tables
        wanted = {
            "journal": counters[ENTRIES] + counters[NEED_ENTRIES],
            "digests": counters[DIGESTS] + 1,
            "escrows": counters[ESCROWS] + counters[NEED_ESCROWS],
            "parties": counters[PARTIES] + counters[NEED_PARTIES],
            "holds": counters[HOLDS] + counters[NEED_HOLDS],
            "rounds": counters[ROUNDS] + counters[NEED_ROUNDS],
            "seats": counters[SEATS] + counters[NEED_SEATS],
        }
        longer = {name: int(rows) for name, rows in wanted.items() if rows > getattr(t, name).shape[_AXIS.get(name, 0)]}
        if "escrows" in longer:
            longer |= dict.fromkeys(_BESIDE_ESCROWS, longer["escrows"])
        self._lengthen(longer)

    def _lengthen(self, lengths: dict[str, int], *, exact: bool = False) -> None:
        replaced = {}
        for name, wanted in lengths.items():
            old = getattr(self.tables, name)
            axis = _AXIS.get(name, 0)
            if wanted > old.shape[axis]:
                shape = list(old.shape)
                factor = 4 if old.nbytes < _FAST_GROWTH_BYTES else 2
                shape[axis] = wanted if exact else max(wanted, factor * shape[axis])
                new = np.zeros(shape, old.dtype)
                new[tuple(slice(length) for length in old.shape)] = old
                replaced[name] = new
        self.tables = self.tables._replace(**replaced)

    def reserve(self, *, escrows: int = 0, parties: int = 0, journal_bytes: int = 0) -> None:
        """Take memory beforehand: operations then wait neither for tables to be copied nor for the operating system.

        Parameters
        ----------
        escrows, parties
            Escrows, and payers plus payees, in all.
        journal_bytes
            Size of the packed journal that is to come; an entry takes about 16 bytes, 32 more where it carries a digest.
        """
        self._lengthen(dict.fromkeys(("escrows", *_BESIDE_ESCROWS), escrows) | {"parties": parties}, exact=True)
        t = self.tables
        for array, used in (
            (t.escrows, ESCROWS),
            (t.conditions, ESCROWS),
            (t.claims, ESCROWS),
            (t.parties, PARTIES),
        ):
            touch(array[t.counters[used] :])
        self.journal.reserve(journal_bytes)

    # -- actors, assets, terms ---------------------------------------------------------------------------------------

    def add_actors(self, names: Sequence[str]) -> range:
        """Register actors; their numbers follow each other. Names are for people, uniqueness is not required."""
        first = len(self.actor_names)
        self.actor_names.extend(names)
        count = len(self.actor_names)
        self._lengthen(dict.fromkeys(("balances", "nonces", "pool", "scratch", "marks"), count))
        self.tables.counters[ACTORS] = count
        return range(first, count)

    def add_actor(self, name: str) -> int:
        """Register one actor; returns its number."""
        return self.add_actors([name])[0]

    def add_asset(self, name: str, issuer: int) -> Result:
        """Register a fungible asset that `issuer` alone can create."""
        at = len(self.asset_names)
        if self.busy:
            return Result(Outcome.REENTRANT_CALL, -1)
        if type(issuer) is not int or not 0 <= issuer < len(self.actor_names):
            return Result(Outcome.UNKNOWN_ACTOR, -1)
        if at >= MAX_ASSETS:
            return Result(Outcome.NUMBER_OUT_OF_RANGE, -1)
        t = self.tables
        if at >= len(t.assets):
            balances = np.zeros((t.balances.shape[0], 2 * at, 2), np.int64)
            balances[:, :at] = t.balances
            self.tables = t._replace(balances=balances)
            self._lengthen({"assets": 2 * at})
        self.asset_names.append(name)
        self.tables.assets[at, ISSUER] = issuer
        self.tables.counters[ASSETS] = at + 1
        self._note(Kind.ASSET, at, issuer, 0, at)
        return Result(Outcome.OK, at)

    def add_terms(self, terms: Terms) -> Result:
        """Register terms that offers can name."""
        if self.busy:
            return Result(Outcome.REENTRANT_CALL, -1)
        outcome = terms.check()
        if outcome is not Outcome.OK:
            return Result(outcome, -1)
        if not (0 <= terms.asset < len(self.asset_names) and 0 <= terms.bond_asset < len(self.asset_names)):
            return Result(Outcome.UNKNOWN_ASSET, -1)
        if not (0 <= terms.fee_account < len(self.actor_names) and 0 <= terms.treasury < len(self.actor_names)):
            return Result(Outcome.UNKNOWN_ACTOR, -1)
        at = len(self.terms)
        self._lengthen({"terms": at + 1})
        for field in self.tables.terms.dtype.names or ():
            self.tables.terms[field][at] = int(getattr(terms, field))
        self.terms.append(terms)
        self.tables.counters[TERMS_COUNT] = at + 1
        self._note(Kind.TERMS, terms.asset, int(Account.NOBODY), 0, at, terms.digest())
        return Result(Outcome.OK, at)

    def _note(self, kind: Kind, asset: int, debit: int, amount: int, reference: int, digest: bytes | None = None) -> None:
        """Write a rare entry that needs no kernel."""
        counters = self.tables.counters
        row = (self.clock, int(Account.NOBODY), int(kind), asset, 0, debit, int(Account.NOBODY), amount, reference)
        self.tables.journal[:, counters[ENTRIES]] = row
        counters[ENTRIES] += 1
        if digest is not None:
            self.tables.digests[counters[DIGESTS]] = np.frombuffer(digest, "<i8")
            counters[DIGESTS] += 1
        if counters[ENTRIES] >= BLOCK_ENTRIES:
            self.journal.seal_full_blocks(self.tables)

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> int:
        """Instant of the last operation that was carried out."""
        return int(self.tables.counters[CLOCK])

    def free(self, actor: int, asset: int) -> int:
        """Free balance, minor units."""
        return int(self.tables.balances[actor, asset, FREE])

    def staked(self, actor: int, asset: int) -> int:
        """Stake that no seat binds, minor units."""
        return int(self.tables.balances[actor, asset, STAKED])

    def supply(self, asset: int) -> int:
        """Issued amount, minor units."""
        return int(self.tables.assets[asset, SUPPLY])

    def validators(self) -> Ints:
        """Actors that have ever staked, in the order of their first stake."""
        return self.tables.pool[: self.tables.counters[POOL]].copy()

    def state(self, escrow: int) -> State | None:
        """State of an escrow, `None` where there is none."""
        if type(escrow) is not int or not 0 <= escrow < self.tables.counters[ESCROWS]:
            return None
        return State(int(self.tables.escrows["state"][escrow]))

    def deadline(self, escrow: int) -> int:
        """Instant from which anybody may trigger the time-out of a non-terminal escrow (a vote: end of the reveal window)."""
        return int(self.tables.escrows["deadline"][escrow])

    def escrow_row(self, escrow: int) -> dict[str, int]:
        """Copy of all columns of an escrow."""
        row = self.tables.escrows[escrow]
        return {name: int(row[name]) for name in row.dtype.names or ()}

    def parties(self, escrow: int) -> Rows:
        """Payers, then payees of an escrow (a copy)."""
        row = self.tables.escrows[escrow]
        first = int(row["first_party"])
        return self.tables.parties[first : first + int(row["payers"]) + int(row["payees"])].copy()

    def panel(self, escrow: int) -> list[int]:
        """Jurors of the present round, in the order of the draw."""
        row = self.tables.escrows[escrow]
        if row["votes"] == 0:
            return []
        record = self.tables.rounds[row["first_round"] + row["votes"] - 1]
        first = int(record["first_seat"])
        return [int(juror) for juror in self.tables.seats["juror"][first : first + int(record["seats"])]]

    def blocks(self) -> list[Block]:
        """Blocks of the journal, the unfinished one included."""
        return list(self.journal.blocks(self.tables))

    def unsealed_entries(self) -> int:
        """Count the entries behind the last full block."""
        return int(self.tables.counters[ENTRIES])

    def journal_head(self) -> bytes:
        """Seal over the whole journal: equal heads, equal histories."""
        return self.journal.head(self.tables)

    def entries(self) -> tuple[Rows, Ints]:
        """All entries and their digests (a copy)."""
        return gather(self.journal.blocks(self.tables))

    def explain(self, escrow: int) -> list[str]:
        """Whole life of an escrow in sentences, from the journal alone."""
        entries, digests = self.entries()
        return explain(entries, digests, escrow)
