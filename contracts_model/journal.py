"""Append-only journal: entries in blocks of 4,096, each block sealed by SHA-256 over its predecessor's seal and its own bytes.

    seal_0 = SHA-256(0^32 | header_0 | entries_0 | digests_0),   seal_i = SHA-256(seal_(i-1) | header_i | entries_i | digests_i)

The header holds block number, number of entries and number of digests. Sealed blocks are kept as immutable bytes; the
unsealed tail is the one array that operations write to. The seal of an unfinished last block is computed when somebody asks
for it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts_model.kernels.layout import DIGESTS, ENTRIES, ENTRY, Ints, Rows, Tables, count_digests
from contracts_model.outcomes import BLOCK_ENTRIES, DIGEST_KINDS, Account, Kind, State, Verdict

GENESIS: Final = bytes(32)

CHUNK_BLOCKS: Final = 64
SLACK_ROWS: Final = 2 * BLOCK_ENTRIES
"""Room behind a full chunk for the operation that fills it."""

CARRIES_DIGEST: Final[npt.NDArray[np.bool_]] = np.isin(np.arange(256), [int(kind) for kind in DIGEST_KINDS])
"""For each entry kind whether a digest belongs to it."""


def seal_block(previous: bytes, number: int, entries: bytes | memoryview, digests: bytes | memoryview) -> bytes:
    """Chain one block.

    Parameters
    ----------
    previous
        Seal of the block before (32 bytes), `GENESIS` for block 0.
    number
        Position of the block, from 0.
    entries
        Rows of `ENTRY`, at most 4,096.
    digests
        32 bytes for each entry whose kind carries a digest.
    """
    state = hashlib.sha256(previous)
    state.update(struct.pack("<QQQ", number, len(entries) // ENTRY.itemsize, len(digests) // 32))
    state.update(entries)
    state.update(digests)
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


class Journal:
    """Seals of the full blocks, and the chunks of memory that operations have filled.

    The tables of the book hold the chunk that is being written; its first `sealed % CHUNK_BLOCKS` blocks are sealed already.
    A full chunk is made read-only and kept; large chunks spare the operating system millions of page faults.
    """

    __slots__ = ("_chunks", "_digest_at", "_seals")

    def __init__(self) -> None:
        self._chunks: list[tuple[Rows, Ints, list[int]]] = []
        self._seals: list[bytes] = []
        self._digest_at = [0]  # in the present chunk: where the digests of each block begin

    @property
    def sealed(self) -> int:
        """Number of sealed blocks."""
        return len(self._seals)

    def seal_full_blocks(self, tables: Tables) -> Tables:
        """Seal every full block of the present chunk; a full chunk is put away, what is left of it opens the next one."""
        total = int(tables.counters[ENTRIES])
        while True:
            done = len(self._digest_at) - 1
            if done == CHUNK_BLOCKS:
                return self._next_chunk(tables)
            end = (done + 1) * BLOCK_ENTRIES
            if end > total:
                return tables
            rows = tables.journal[end - BLOCK_ENTRIES : end]
            digest_at = self._digest_at[-1]
            digest_end = digest_at + int(count_digests(rows))
            number = len(self._seals)
            seal = seal_block(self._last, number, _memory(rows), _memory(tables.digests[digest_at:digest_end]))
            self._seals.append(seal)
            self._digest_at.append(digest_end)

    @property
    def _last(self) -> bytes:
        return self._seals[-1] if self._seals else GENESIS

    def _next_chunk(self, tables: Tables) -> Tables:
        counters = tables.counters
        full, digest_end = CHUNK_BLOCKS * BLOCK_ENTRIES, self._digest_at[-1]
        left, digests_left = int(counters[ENTRIES]) - full, int(counters[DIGESTS]) - digest_end
        journal, digests = empty_chunk(len(tables.journal))
        journal[:left] = tables.journal[full : full + left]
        digests[:digests_left] = tables.digests[digest_end : digest_end + digests_left]
        for array in (tables.journal, tables.digests):
            array.setflags(write=False)
        self._chunks.append((tables.journal, tables.digests, self._digest_at))
        self._digest_at = [0]
        counters[ENTRIES], counters[DIGESTS] = left, digests_left
        return self.seal_full_blocks(tables._replace(journal=journal, digests=digests))

    def blocks(self, tables: Tables, start: int = 0) -> Iterator[Block]:
        """Sealed blocks from number `start` on, then the unfinished one, if it has entries, with its present seal."""
        for number in range(start, len(self._seals)):
            chunk, within = divmod(number, CHUNK_BLOCKS)
            present = (tables.journal, tables.digests, self._digest_at)
            journal, digests, digest_at = self._chunks[chunk] if chunk < len(self._chunks) else present
            rows = journal[within * BLOCK_ENTRIES : (within + 1) * BLOCK_ENTRIES]
            yield Block(number, rows.tobytes(), digests[digest_at[within] : digest_at[within + 1]].tobytes(), self._seals[number])
        begin, end = (len(self._digest_at) - 1) * BLOCK_ENTRIES, int(tables.counters[ENTRIES])
        if end > begin and start <= len(self._seals):
            entries = tables.journal[begin:end].tobytes()
            digests_left = tables.digests[self._digest_at[-1] : int(tables.counters[DIGESTS])].tobytes()
            number = len(self._seals)
            yield Block(number, entries, digests_left, seal_block(self._last, number, entries, digests_left))

    def head(self, tables: Tables) -> bytes:
        """Seal over everything written so far."""
        seal = self._last
        for block in self.blocks(tables, len(self._seals)):
            seal = block.seal
        return seal


def _memory(array: npt.NDArray[Any]) -> memoryview:
    return array.view(np.uint8).reshape(-1).data


def empty_chunk(rows: int = CHUNK_BLOCKS * BLOCK_ENTRIES + SLACK_ROWS) -> tuple[Rows, Ints]:
    """Memory for `rows` entries and as many digests; pages are touched as they are written."""
    return np.empty(rows, ENTRY), np.empty((rows, 4), np.int64)


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
