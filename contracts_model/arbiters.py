"""Arbiters that every asset needs (time, identity, reference, oracle) and two asset types that prove the protocol generic.

A road's arbiter, a compute job's or a battery's is one more class with `name` and `check`; nothing here needs to know of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast

from contracts_model.conditions import Arbiter, Circumstances, TermsValue
from contracts_model.evidence import EvidenceFault, Fulfilment, KeyRing, check_chain
from contracts_model.outcomes import TERMINAL_STATES, State, Verdict

_Terms = Mapping[str, TermsValue]


def _whether(holds: bool) -> Verdict:
    return Verdict.ACCEPTED if holds else Verdict.REJECTED


class ClaimedBefore:
    """Term `instant`: the claim was made strictly before it."""

    name = "claimed_before"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the instant of the claim."""
        return _whether(circumstances.claimed_at < cast(int, terms["instant"]))


class NotBefore:
    """Term `instant`: open until then, accepted from then on."""

    name = "not_before"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the instant of the judgement; never rejects."""
        return Verdict.ACCEPTED if circumstances.now >= cast(int, terms["instant"]) else Verdict.NOT_FINAL


class Recipient:
    """Term `actor`: the performer is this actor."""

    name = "recipient"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the escrow's performer."""
        return _whether(circumstances.performer == terms["actor"])


class Attester:
    """Term `actor`: a record of the fulfilment is signed or countersigned by this actor, and the chain is sound."""

    name = "attester"

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the signatures; no record at all is silence."""
        if not fulfilment.records:
            return Verdict.NOT_FINAL
        if check_chain(fulfilment.records, self._keys) is not EvidenceFault.NONE:
            return Verdict.REJECTED
        return _whether(any(terms["actor"] in (record.author, record.witness) for record in fulfilment.records))


class TrustedOracle:
    """Terms `oracle` (actor) and `subject` (text): what this oracle decided, once; open while it is silent."""

    name = "trusted_oracle"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the oracle's recorded decision."""
        return circumstances.decision_of(cast(int, terms["oracle"]), cast(str, terms["subject"]))


class ReferencesEscrow:
    """Terms `escrow` and `state`: another escrow has ended in this state; open while it has not ended."""

    name = "references_escrow"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the other escrow's state."""
        state = circumstances.state_of(cast(int, terms["escrow"]))
        if state is None or state not in TERMINAL_STATES:
            return Verdict.NOT_FINAL
        return _whether(state == State(cast(int, terms["state"])))


class ReferencesDigest:
    """Term `digest` (hex): the fulfilment points at this obligation or fulfilment."""

    name = "references_digest"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the fulfilment's references."""
        return _whether(bytes.fromhex(cast(str, terms["digest"])) in fulfilment.references)


class BlobDelivered:
    """Term `sha256` (hex): the payload is the blob with this content hash (storage, compute results)."""

    name = "blob_delivered"

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the payload, or by one of the exhibits if the claim came without; nothing delivered is silence."""
        payloads = [item.payload for item in (fulfilment, *circumstances.exhibits) if item.payload is not None]
        if not payloads:
            return Verdict.NOT_FINAL
        return _whether(any(hashlib.sha256(payload).hexdigest() == terms["sha256"] for payload in payloads))


class MeteredQuantity:
    """A metered delivery (energy, bandwidth): signed readings add up to a quantity within a tolerance.

    Terms: `meter` (actor that signs the readings), `quantity` and `tolerance` (minor units of the metered thing), `until`
    (end of the metering). The body of a record is one reading: 8 bytes, little-endian, signed.
    """

    name = "metered_quantity"

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def check(self, fulfilment: Fulfilment, terms: _Terms, circumstances: Circumstances) -> Verdict:
        """Judge by the sum; too little is open until the metering ends, too much or a broken chain is rejected."""
        if not fulfilment.records:
            return Verdict.NOT_FINAL
        sound = check_chain(fulfilment.records, self._keys) is EvidenceFault.NONE
        if not sound or any(record.author != terms["meter"] or len(record.body) != 8 for record in fulfilment.records):
            return Verdict.REJECTED
        total = sum(int.from_bytes(record.body, "little", signed=True) for record in fulfilment.records)
        short = cast(int, terms["quantity"]) - total
        if abs(short) <= cast(int, terms["tolerance"]):
            return Verdict.ACCEPTED
        return Verdict.NOT_FINAL if short > 0 and circumstances.now < cast(int, terms["until"]) else Verdict.REJECTED


def standard_arbiters(keys: KeyRing) -> dict[str, Arbiter]:
    """Every arbiter of this module, by name."""
    arbiters: list[Arbiter] = [
        ClaimedBefore(),
        NotBefore(),
        Recipient(),
        Attester(keys),
        TrustedOracle(),
        ReferencesEscrow(),
        ReferencesDigest(),
        BlobDelivered(),
        MeteredQuantity(keys),
    ]
    return {arbiter.name: arbiter for arbiter in arbiters}
