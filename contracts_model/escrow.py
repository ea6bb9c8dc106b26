"""Object interface to escrows: offer, fund, accept, claim, collect, reclaim."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from contracts_model.conditions import Arbiter, Circumstances, Condition, check_shape, judge
from contracts_model.evidence import Fulfilment, Obligation
from contracts_model.kernels import escrow as kernels
from contracts_model.kernels.layout import CREATED, Ints
from contracts_model.ledger import Ledger
from contracts_model.outcomes import NEXT_NONCE, TERMINAL_STATES, Outcome, Result, State, Verdict
from contracts_model.store import LIMIT
from contracts_model.terms import Offer

Listener = Callable[[int, State], None]
"""Called with an escrow and the terminal state it has reached."""


def digest_row(digest: bytes) -> Ints | None:
    """Turn a SHA-256 digest into an array of shape (1, 4), anything else into `None`."""
    if type(digest) is not bytes or len(digest) != 32:
        return None
    return np.frombuffer(bytearray(digest), np.int64).reshape(1, 4)


def pair_columns(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints] | Outcome:
    """Two columns of integers, or why the pairs are no such thing."""
    if not isinstance(pairs, (list, tuple)) or any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
        return Outcome.BAD_PARTIES
    for actor, value in pairs:
        if type(actor) is not int or type(value) is not int:
            return Outcome.NOT_AN_INTEGER
        if not (-LIMIT <= actor <= LIMIT and -LIMIT <= value <= LIMIT):
            return Outcome.NUMBER_OUT_OF_RANGE
    columns = np.array(pairs, np.int64).reshape(len(pairs), 2).T.copy()
    return columns[0], columns[1]


class EscrowDesk(Ledger):
    """A ledger with escrows. Each escrow has pots of its own: what one deal misses, no other deal can cover."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.arbiters: dict[str, Arbiter] = {}
        self.listeners: list[Listener] = []
        self.conditions: dict[int, Condition] = {}
        self.obligations: dict[int, Obligation] = {}
        self.fulfilments: dict[int, Fulfilment] = {}
        self.exhibits: dict[int, list[Fulfilment]] = {}
        self.decisions: dict[tuple[int, str], Verdict] = {}

    def open(
        self, opener: int, offer: Offer, *, now: int, obligation: Obligation | None = None, nonce: int = NEXT_NONCE
    ) -> Result:
        """Write an offer down. Nobody is bound by it before paying or accepting, so anybody may open one.

        With an obligation, the journal records the obligation's digest (which covers the condition's) and a claim must refer
        to it.
        """
        condition = offer.condition
        if isinstance(condition, bytes):
            digest = condition
        else:
            shape = check_shape(condition)
            if shape is not Outcome.OK:
                return Result(shape, -1)
            digest = condition.digest
        if obligation is not None:
            if obligation.condition != digest or obligation.promisor != offer.performer:
                return Result(Outcome.WRONG_OBLIGATION, -1)
            digest = obligation.digest
        outcome = self._open(opener, offer, digest, now, nonce)
        if outcome is not Outcome.OK:
            return Result(outcome, -1)
        at = int(self.tables.counters[CREATED])
        if not isinstance(condition, bytes):
            self.conditions[at] = condition
        if obligation is not None:
            self.obligations[at] = obligation
        return Result(Outcome.OK, at)

    def _open(self, opener: int, offer: Offer, digest: bytes, now: int, nonce: int) -> Outcome:
        row = digest_row(digest)
        if row is None:
            return Outcome.BAD_DIGEST
        scalars = (
            now,
            opener,
            nonce,
            offer.terms,
            offer.performer,
            offer.price,
            offer.fee,
            offer.collateral,
            offer.accept_by,
            offer.claim_by,
        )
        refusal = self.check_call(scalars)
        if refusal is not Outcome.OK:
            return refusal
        payers, payees = pair_columns(offer.payers), pair_columns(offer.payees)
        if isinstance(payers, Outcome):
            return payers
        if isinstance(payees, Outcome):
            return payees
        return self.apply(kernels.open_escrow, (*scalars, *payers, 0, len(offer.payers), *payees, 0, len(offer.payees), row, 0))

    def fund(self, payer: int, escrow: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Pay a due, whole or in part, before `accept_by`."""
        return self.run(kernels.fund, now, payer, nonce, escrow, amount)

    def accept(self, performer: int, escrow: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Lock collateral and appeal budget, before `accept_by`."""
        return self.run(kernels.accept, now, performer, nonce, escrow)

    def claim(self, performer: int, escrow: int, fulfilment: Fulfilment | bytes, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Claim fulfilment before `claim_by`, with the evidence or the digest of evidence kept elsewhere.

        A claim that its own condition already rejects is refused; one that is not final yet is taken: silence is not a
        rejection.
        """
        refusal = self.check_call((now, performer, nonce, escrow))
        if refusal is not Outcome.OK:
            return refusal
        digest = fulfilment.digest if isinstance(fulfilment, Fulfilment) else fulfilment
        row = digest_row(digest)
        if row is None:
            return Outcome.BAD_DIGEST
        if isinstance(fulfilment, Fulfilment) and self.state(escrow) is State.ACTIVE:
            refusal = self._precheck(performer, escrow, fulfilment, now)
            if refusal is not Outcome.OK:
                return refusal
        outcome = self.apply(kernels.claim, (now, performer, nonce, escrow, row, 0))
        if outcome is Outcome.OK and isinstance(fulfilment, Fulfilment):
            self.fulfilments[escrow] = fulfilment
        return outcome

    def _precheck(self, performer: int, escrow: int, fulfilment: Fulfilment, now: int) -> Outcome:
        """Ask the condition about a claim that the kernel would take."""
        row = self.tables.escrows[escrow]
        if int(row["performer"]) != performer or not self.clock <= now < int(row["claim_by"]):
            return Outcome.OK  # the kernel names the reason
        obligation = self.obligations.get(escrow)
        if obligation is not None and fulfilment.obligation != obligation.digest:
            return Outcome.WRONG_OBLIGATION
        if escrow not in self.conditions:
            return Outcome.OK
        verdict = self._judge(escrow, fulfilment, now, now)
        if isinstance(verdict, Outcome):
            return verdict
        return Outcome.CONDITION_REJECTED if verdict is Verdict.REJECTED else Outcome.OK

    def _judge(self, escrow: int, fulfilment: Fulfilment, claimed_at: int, now: int) -> Verdict | Outcome:
        """Ask the arbiters; no operation gets through while they run (I11)."""
        circumstances = Circumstances(
            escrow=escrow,
            performer=int(self.tables.escrows["performer"][escrow]),
            claimed_at=claimed_at,
            now=now,
            exhibits=tuple(self.exhibits.get(escrow, ())),
            state_of=self.state,
            decision_of=lambda oracle, subject: self.decisions.get((oracle, subject), Verdict.NOT_FINAL),
        )
        self.busy = True
        try:
            return judge(self.conditions[escrow], self.arbiters, fulfilment, circumstances)
        finally:
            self.busy = False

    def collect(self, escrow: int, *, now: int) -> Outcome:
        """Pay an unchallenged claim out once its window has passed; anybody may."""
        return self.notify(escrow, self.run(kernels.collect, now, escrow))

    def reclaim(self, escrow: int, *, now: int) -> Outcome:
        """End an offer nobody completed or a promise nobody kept, from its deadline on; anybody may."""
        return self.notify(escrow, self.run(kernels.reclaim, now, escrow))

    def notify(self, escrow: int, outcome: Outcome) -> Outcome:
        """Tell the listeners of a settlement after everything has been written; their calls back are refused."""
        if outcome is Outcome.OK and self.listeners:
            state = self.state(escrow)
            if state is not None and state in TERMINAL_STATES:
                self.busy = True
                try:
                    for listener in self.listeners:
                        listener(escrow, state)
                finally:
                    self.busy = False
        return outcome
