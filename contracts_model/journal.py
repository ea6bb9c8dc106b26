"""Append-only journal: entries in blocks of 4,096, each block sealed by SHA-256 over its predecessor's seal and its own bytes.

    seal_0 = SHA-256(0^32 | header_0 | entries_0 | digests_0),   seal_i = SHA-256(seal_(i-1) | header_i | entries_i | digests_i)

The header holds block number, number of entries and number of digests; the entries stand in their packed form
(`kernels.packing`), about a third of their rows, because the hash takes longer than the operations that it seals. Sealed blocks
are kept packed. The unsealed tail is the one piece that operations write to, small enough to stay in the processor's cache.
The seal of an unfinished last block is computed when somebody asks for it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts_model.kernels.layout import DIGESTS, ENTRIES, ENTRY, JOURNAL_COLUMNS, Ints, Rows, Tables
from contracts_model.kernels.packing import count_digests
from contracts_model.outcomes import BLOCK_ENTRIES, DIGEST_KINDS, Account, Kind, State, Verdict
from contracts_model.packed import FIELDS, PAGE_BYTES, Page, columns_of, most_bytes, packed_bytes, rows_of, touch, unpack

GENESIS: Final = bytes(32)

TAIL_ENTRIES: Final = 4 * BLOCK_ENTRIES + 72
"""Length of the tail. No multiple of 512: columns a multiple of 4,096 bytes apart would drive each other out of the cache."""

KIND_COLUMN: Final = FIELDS.index("kind")

CARRIES_DIGEST: Final[npt.NDArray[np.bool_]] = np.isin(np.arange(256), [int(kind) for kind in DIGEST_KINDS])
"""For each entry kind whether a digest belongs to it."""


def seal_block(previous: bytes, number: int, entries: int, body: bytes | memoryview, digests: int) -> bytes:
    """Chain one block.

    Parameters
    ----------
    previous
        Seal of the block before (32 bytes), `GENESIS` for block 0.
    number
        Position of the block, from 0.
    entries
        Number of entries, at most 4,096.
    body
        The packed entries, then 32 bytes for each entry whose kind carries a digest.
    digests
        Number of digests.
    """
    state = hashlib.sha256(previous)
    state.update(struct.pack("<QQQ", number, entries, digests))
    state.update(body)
    return state.digest()


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block, or the copy of an unfinished one."""

    number: int
    entries: bytes
    digests: bytes
    seal: bytes

    def rows(self) -> Rows:
        """Entries as a read-only structured array."""
        return np.frombuffer(self.entries, ENTRY)


def sealed_copy(previous: bytes, number: int, rows: Rows, digests: Ints) -> Block:
    """Block of some rows of `ENTRY` and their digests, shape (n, 4), sealed."""
    seal = seal_block(previous, number, len(rows), packed_bytes(columns_of(rows), digests), len(digests))
    return Block(number, rows.tobytes(), digests.tobytes(), seal)


class Sealed(NamedTuple):
    """A sealed block as it is kept."""

    body: memoryview
    seal: bytes


class Journal:
    """Sealed blocks in their packed form; the entries behind them are the tail in the tables of the book."""

    __slots__ = ("_pages", "_sealed")

    def __init__(self) -> None:
        self._pages: list[Page] = []  # those with room; the first is being filled
        self._sealed: list[Sealed] = []

    @property
    def sealed(self) -> int:
        """Number of sealed blocks."""
        return len(self._sealed)

    @property
    def packed_size(self) -> int:
        """Bytes of all sealed blocks."""
        return sum(len(kept.body) for kept in self._sealed)

    def seal_full_blocks(self, tables: Tables) -> None:
        """Seal every full block of the tail and move what is left to its front."""
        counters, tail, digests = tables.counters, tables.journal, tables.digests
        total, digest_total = int(counters[ENTRIES]), int(counters[DIGESTS])
        done = digests_done = 0
        while done + BLOCK_ENTRIES <= total:
            stop = done + BLOCK_ENTRIES
            digests_stop = digests_done + int(count_digests(tail[KIND_COLUMN, done:stop]))
            body = self._page().add(tail, done, stop, digests[digests_done:digests_stop])
            seal = seal_block(self._last, self.sealed, BLOCK_ENTRIES, body, digests_stop - digests_done)
            self._sealed.append(Sealed(body, seal))
            done, digests_done = stop, digests_stop
        left, digests_left = total - done, digest_total - digests_done
        tail[:, :left] = tail[:, done:total]
        digests[:digests_left] = digests[digests_done:digest_total]
        counters[ENTRIES], counters[DIGESTS] = left, digests_left

    @property
    def _last(self) -> bytes:
        return self._sealed[-1].seal if self._sealed else GENESIS

    def _page(self) -> Page:
        """Page with room for the largest block that can come."""
        needed = most_bytes(BLOCK_ENTRIES) + 32 * BLOCK_ENTRIES
        while self._pages and self._pages[0].room() < needed:
            del self._pages[0]
        if not self._pages:
            self._pages.append(Page(PAGE_BYTES))
        return self._pages[0]

    def reserve(self, size: int) -> None:
        """Take memory for `size` bytes of packed blocks now."""
        for _ in range(-(-size // PAGE_BYTES)):
            page = Page(PAGE_BYTES)
            touch(page.views[0])
            self._pages.append(page)

    def blocks(self, tables: Tables, start: int = 0) -> Iterator[Block]:
        """Sealed blocks from number `start` on, then the unfinished one, if it has entries, with its present seal."""
        for number in range(start, self.sealed):
            kept = self._sealed[number]
            rows, digests = unpack(kept.body, BLOCK_ENTRIES)
            yield Block(number, rows.tobytes(), digests.tobytes(), kept.seal)
        left = int(tables.counters[ENTRIES])
        if left > 0 and start <= self.sealed:
            rows = rows_of(tables.journal[:, :left])
            yield sealed_copy(self._last, self.sealed, rows, tables.digests[: int(tables.counters[DIGESTS])])

    def head(self, tables: Tables) -> bytes:
        """Seal over everything written so far."""
        seal = self._last
        for block in self.blocks(tables, self.sealed):
            seal = block.seal
        return seal


def empty_tail() -> tuple[Ints, Ints]:
    """Memory for the tail and as many digests."""
    return np.empty((JOURNAL_COLUMNS, TAIL_ENTRIES), np.int64), np.empty((TAIL_ENTRIES, 4), np.int64)


def gather(blocks: Iterator[Block]) -> tuple[Rows, Ints]:
    """Join blocks: entries, and their digests as an array of shape (n, 4)."""
    kept = list(blocks)
    entries = np.frombuffer(b"".join(block.entries for block in kept), ENTRY)
    digests = np.frombuffer(b"".join(block.digests for block in kept), "<i8").reshape(-1, 4)
    return entries, digests


def _side(code: int) -> str:
    return f"actor {code}" if code >= 0 else Account(code).name.lower().replace("_", " ")


_NOTES: Final[dict[Kind, str]] = {
    Kind.OPEN: "offered by {debit}: price {amount} of asset {asset}, to be accepted before {reference}",
    Kind.PROMISE_FEE: "fee {amount} for {credit}; terms {reference}",
    Kind.PROMISE_COLLATERAL: "performer is {debit}; collateral {amount} of asset {asset}, to be claimed before {reference}",
    Kind.PROMISE_PAYER: "{debit} is to pay {amount}",
    Kind.PROMISE_PAYEE: "{credit} receives by weight {reference}",
    Kind.CLAIM: "{debit} claims fulfilment",
    Kind.EVIDENCE: "{debit} submits evidence",
    Kind.COMMIT: "{debit} seals a vote in round {leg}",
    Kind.TO_REPLAY: "left to the replay of the evidence, until {reference}",
}


def sentence(entry: np.void, digest: bytes | None = None) -> str:
    """One entry in words."""
    kind = Kind(int(entry["kind"]))
    words = {name: int(entry[name]) for name in ("asset", "leg", "amount", "reference")}
    sides = {name: _side(int(entry[name])) for name in ("debit", "credit")}
    if kind is Kind.REVEAL:
        text = f"{sides['debit']} votes {Verdict(words['amount']).name.lower()} in round {words['leg']}"
    elif kind is Kind.TALLY:
        text = f"round {words['leg']} rules {Verdict(words['reference']).name.lower()}"
    elif kind is Kind.FINAL:
        text = f"final decision: {Verdict(words['reference']).name.lower()}"
    elif kind is Kind.SETTLED:
        text = f"ends {State(words['reference']).name.lower()}"
    else:
        note = _NOTES.get(kind, "{amount} of asset {asset} from {debit} to {credit}")
        text = note.format(**words, **sides)
    seal = f" [{digest.hex()[:16]}]" if digest is not None else ""
    return f"{int(entry['time'])} {kind.name.lower()}: {text}{seal}"


def explain(entries: Rows, digests: Ints, escrow: int) -> list[str]:
    """Whole life of an escrow in sentences, from the journal alone."""
    carrier = np.cumsum(CARRIES_DIGEST[entries["kind"]]) - 1
    life = np.flatnonzero(entries["escrow"] == escrow)
    return [sentence(entries[at], digests[carrier[at]].tobytes() if CARRIES_DIGEST[entries[at]["kind"]] else None) for at in life]
