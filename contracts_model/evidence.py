"""Evidence: obligations and fulfilments that refer to each other by digest, and signed records chained by hash.

Keys are simulated: one secret an actor, derived from a seed, and HMAC-SHA-256 in place of a signature. Whoever holds the key
ring can check and could forge; a deployment puts asymmetric signatures in its place, the chain and its checks stay as they
are.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

CHAIN_START: Final = bytes(32)


def _joined(tag: bytes, parts: Sequence[bytes]) -> bytes:
    """SHA-256 over parts with their lengths, so that no two lists of parts give the same input."""
    state = hashlib.sha256(tag)
    for part in parts:
        state.update(struct.pack("<Q", len(part)))
        state.update(part)
    return state.digest()


class EvidenceFault(IntEnum):
    """What is wrong with a chain of records; `NONE` for nothing."""

    NONE = 0
    BROKEN_CHAIN = 1
    WRONG_SEQUENCE = 2
    BAD_SIGNATURE = 3
    BAD_COUNTERSIGNATURE = 4


class KeyRing:
    """Simulated keys, one an actor.

    Parameters
    ----------
    seed
        Two rings of the same seed hold the same keys.
    """

    def __init__(self, seed: int) -> None:
        self._secret = hashlib.sha256(b"keyring" + str(int(seed)).encode()).digest()

    def sign(self, actor: int, message: bytes) -> bytes:
        """HMAC-SHA-256 of `message` under the actor's key, 32 bytes."""
        key = hmac.digest(self._secret, str(int(actor)).encode(), "sha256")
        return hmac.digest(key, message, "sha256")

    def verify(self, actor: int, message: bytes, signature: bytes) -> bool:
        """Tell whether the actor signed the message."""
        return hmac.compare_digest(self.sign(actor, message), signature)


@dataclass(frozen=True)
class Record:
    """One signed observation in a chain; `witness` is who countersigned it (-1: nobody)."""

    author: int
    sequence: int
    body: bytes
    previous: bytes
    signature: bytes
    witness: int = -1
    countersignature: bytes = b""

    @cached_property
    def message(self) -> bytes:
        """What is signed: author, sequence, body and the digest of the record before."""
        return _joined(b"record", [struct.pack("<qq", self.author, self.sequence), self.body, self.previous])

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the whole record, signatures included; what the next record refers to."""
        return _joined(b"signed", [self.message, self.signature, struct.pack("<q", self.witness), self.countersignature])


def append_record(chain: tuple[Record, ...], keys: KeyRing, author: int, body: bytes, witness: int = -1) -> tuple[Record, ...]:
    """Chain with one more record, signed by its author and, if there is one, by a witness."""
    previous = chain[-1].digest if chain else CHAIN_START
    unsigned = Record(author, len(chain), body, previous, b"")
    signature = keys.sign(author, unsigned.message)
    countersignature = keys.sign(witness, unsigned.message) if witness >= 0 else b""
    return (*chain, Record(author, len(chain), body, previous, signature, witness, countersignature))


def check_chain(chain: Sequence[Record], keys: KeyRing) -> EvidenceFault:
    """First fault of a chain, in the order of the records."""
    previous = CHAIN_START
    for position, record in enumerate(chain):
        if record.previous != previous:
            return EvidenceFault.BROKEN_CHAIN
        if record.sequence != position:
            return EvidenceFault.WRONG_SEQUENCE
        if not keys.verify(record.author, record.message, record.signature):
            return EvidenceFault.BAD_SIGNATURE
        if record.witness >= 0 and not keys.verify(record.witness, record.message, record.countersignature):
            return EvidenceFault.BAD_COUNTERSIGNATURE
        previous = record.digest
    return EvidenceFault.NONE


@dataclass(frozen=True)
class Obligation:
    """A promise: who owes what (digest of the condition), and on which other obligations or fulfilments it rests."""

    promisor: int
    condition: bytes
    references: tuple[bytes, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over all fields."""
        return _joined(b"obligation", [struct.pack("<q", self.promisor), self.condition, *self.references])


@dataclass(frozen=True)
class Fulfilment:
    """What is handed in for an obligation.

    Attributes
    ----------
    payload
        The delivered thing itself, or `None` where the records are all there is (or nothing is there yet).
    records
        Signed observations.
    obligation
        Digest of the obligation that is fulfilled, empty for an escrow without one.
    references
        Digests of other obligations and fulfilments that this one points at.
    """

    payload: bytes | None = None
    records: tuple[Record, ...] = ()
    obligation: bytes = b""
    references: tuple[bytes, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over all fields."""
        present = b"\x00" if self.payload is None else b"\x01" + hashlib.sha256(self.payload).digest()
        records = _joined(b"records", [record.digest for record in self.records])
        return _joined(b"fulfilment", [present, records, self.obligation, *self.references])
