"""Object interface to disputes: challenge, evidence, sealed votes, tally, appeal, replay, planted cases."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from contracts_model.escrow import EscrowDesk, digest_row
from contracts_model.evidence import Fulfilment
from contracts_model.kernels import dispute, ledger, voting
from contracts_model.kernels import verdict as verdicts
from contracts_model.kernels.layout import CREATED, Ints
from contracts_model.outcomes import MAX_TIME, NEXT_NONCE, Outcome, Result, State, Verdict
from contracts_model.store import Kernel
from contracts_model.validators import answer_digest, vote_digest

LATEST_PLANT: Final = MAX_TIME // 2
"""Last instant at which a case can be planted; offers have the same bound in `claim_by`."""

_NO_DIGEST: Ints = np.zeros((1, 4), np.int64)


def _is_verdict(value: object) -> bool:
    """Tell whether a caller, who need not heed annotations, has handed over a verdict."""
    return isinstance(value, Verdict)


class DisputeDesk(EscrowDesk):
    """Escrows whose claims can be disputed."""

    def _run_with_digest(self, kernel: Kernel, numbers: tuple[int, ...], digest: bytes) -> Outcome:
        """Carry out an operation whose last argument is a digest."""
        refusal = self.check_call(numbers)
        if refusal is not Outcome.OK:
            return refusal
        row = digest_row(digest)
        if row is None:
            return Outcome.BAD_DIGEST
        return self.apply(kernel, (*numbers, row, 0))

    def challenge(
        self, challenger: int, escrow: int, *, now: int, with_reserve: bool = False, nonce: int = NEXT_NONCE
    ) -> Outcome:
        """Dispute a claim within its window; `with_reserve` sets the whole appeal budget aside as well."""
        return self.run(dispute.challenge, now, challenger, nonce, escrow, int(bool(with_reserve)))

    def submit_evidence(
        self, actor: int, escrow: int, exhibit: Fulfilment | bytes, *, now: int, nonce: int = NEXT_NONCE
    ) -> Outcome:
        """Add an exhibit that the replay will see; performer, challenger and payers may."""
        digest = exhibit.digest if isinstance(exhibit, Fulfilment) else exhibit
        outcome = self._run_with_digest(voting.submit_evidence, (now, actor, nonce, escrow), digest)
        if outcome is Outcome.OK and isinstance(exhibit, Fulfilment):
            self.exhibits.setdefault(escrow, []).append(exhibit)
        return outcome

    def seal_vote(self, escrow: int, juror: int, vote: Verdict, salt: bytes) -> bytes:
        """Digest of a vote in the present round of an escrow, over this escrow's own claim and condition."""
        t = self.tables
        round_idx = int(t.escrows["votes"][escrow]) - 1
        return vote_digest(escrow, round_idx, t.conditions[escrow].tobytes(), t.claims[escrow].tobytes(), juror, vote, salt)

    def commit(self, juror: int, escrow: int, sealed: bytes, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Hand in a sealed vote."""
        return self._run_with_digest(voting.commit, (now, juror, nonce, escrow), sealed)

    def reveal(self, juror: int, escrow: int, vote: Verdict, salt: bytes, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Open a sealed vote."""
        refusal = self.check_call((now, juror, nonce, escrow))
        if refusal is not Outcome.OK:
            return refusal
        if not isinstance(vote, Verdict) or type(salt) is not bytes:
            return Outcome.BAD_VOTE
        known = self.state(escrow) is not None
        sealed = self.seal_vote(escrow, juror, vote, salt) if known else bytes(32)
        return self._run_with_digest(voting.reveal, (now, juror, nonce, escrow, int(vote)), sealed)

    def tally(self, escrow: int, *, now: int) -> Outcome:
        """Count the votes once the reveal window has passed; anybody may."""
        return self.run(voting.tally, now, escrow)

    def appeal(self, poster: int, escrow: int, *, now: int, from_reserve: bool = False, nonce: int = NEXT_NONCE) -> Outcome:
        """Appeal for the side that lost; anybody but the winner may pay the bond, that side also from its reserve."""
        return self.run(dispute.appeal, now, poster, nonce, escrow, int(bool(from_reserve)))

    def execute(self, escrow: int, *, now: int) -> Outcome:
        """Carry out a ruling that nobody appealed against in time; anybody may."""
        return self.notify(escrow, self.run(verdicts.execute, now, escrow))

    def judge_evidence(self, escrow: int, *, now: int) -> Verdict | Outcome:
        """Verdict of the condition on claim and exhibits; the same for everybody who asks."""
        if self.busy:
            return Outcome.REENTRANT_CALL
        if self.state(escrow) is None:
            return Outcome.UNKNOWN_ESCROW
        if not self.judges_itself(escrow):
            return Outcome.UNKNOWN_EVIDENCE
        return self._judge(escrow, self.fulfilments[escrow], int(self.tables.escrows["claimed_at"][escrow]), now)

    def judges_itself(self, escrow: int) -> bool:
        """Tell whether the book keeps condition and evidence of an escrow: then nobody else's verdict settles it."""
        return escrow in self.conditions and escrow in self.fulfilments

    def replay(self, escrow: int, *, now: int) -> Outcome:
        """Settle by the evidence itself, inside the replay window; anybody may."""
        if self.state(escrow) is not State.REPLAY:
            return self._replay(escrow, Verdict.NOT_FINAL, bytes(32), _NO_DIGEST, now)
        verdict = self.judge_evidence(escrow, now=now)
        if isinstance(verdict, Outcome):
            return verdict
        return self._replay(escrow, verdict, self.fulfilments[escrow].digest, _NO_DIGEST, now)

    def replay_verdict(self, escrow: int, verdict: Verdict, claim: bytes, *, now: int) -> Outcome:
        """Settle by the verdict on evidence that is kept elsewhere.

        `claim` is its digest and must be the one that was claimed. Where the book keeps condition and evidence itself, `replay`
        alone settles (`WRONG_EVIDENCE` here): whoever asks, the arbiters judge.
        """
        refusal = self.check_call((now, escrow))
        if refusal is not Outcome.OK:
            return refusal
        if not _is_verdict(verdict):
            return Outcome.BAD_VOTE
        if self.judges_itself(escrow):
            claim = (~self.tables.claims[escrow]).tobytes()  # whatever is brought from elsewhere is not the claim's
        return self._replay(escrow, verdict, claim, _NO_DIGEST, now)

    def open_answer(self, escrow: int, answer: Verdict, salt: bytes, *, now: int) -> Outcome:
        """Open the known answer of a planted case; anybody who knows it may. No other case waits for one."""
        if self.state(escrow) is None:
            return Outcome.UNKNOWN_ESCROW
        if not isinstance(answer, Verdict) or type(salt) is not bytes:
            return Outcome.BAD_VOTE
        if not self.tables.escrows["planted"][escrow]:
            return Outcome.WRONG_STATE
        claim, condition = self.tables.claims[escrow].tobytes(), self.tables.conditions[escrow].tobytes()
        row = digest_row(answer_digest(condition, claim, answer, salt))
        return self._replay(escrow, answer, claim, row if row is not None else _NO_DIGEST, now)

    def _replay(self, escrow: int, verdict: Verdict, claim: bytes, answer: Ints, now: int) -> Outcome:
        refusal = self.check_call((now, escrow))
        if refusal is not Outcome.OK:
            return refusal
        row = digest_row(claim)
        if row is None:
            return Outcome.BAD_DIGEST
        outcome = self.apply(verdicts.replay, (now, escrow, int(verdict), row, 0, answer, 0))
        return self.notify(escrow, outcome)

    def lapse(self, escrow: int, *, now: int) -> Outcome:
        """End a case whose evidence stayed silent until the replay's time ran out; anybody may."""
        return self.notify(escrow, self.run(verdicts.lapse, now, escrow))

    def plant(
        self, operator: int, terms: int, condition: bytes, claim: bytes, answer: bytes, *, now: int, nonce: int = NEXT_NONCE
    ) -> Result:
        """Put a case with a known answer before a panel; `answer` is its `answer_digest`.

        As late as `LATEST_PLANT` at most, so that its time-outs come before the end of time.
        """
        rows = [digest_row(digest) for digest in (condition, claim, answer)]
        if any(row is None for row in rows):
            return Result(Outcome.BAD_DIGEST, -1)
        numbers = (now, operator, nonce, terms)
        refusal = self.check_call(numbers)
        if refusal is Outcome.OK and now > LATEST_PLANT:
            refusal = Outcome.BAD_TIME
        if refusal is not Outcome.OK:
            return Result(refusal, -1)
        outcome = self.apply(dispute.plant, (*numbers, rows[0], 0, rows[1], 0, rows[2], 0))
        return Result(outcome, int(self.tables.counters[CREATED]) if outcome is Outcome.OK else -1)

    def decide(self, oracle: int, subject: str, verdict: Verdict, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Record an oracle's decision on a subject; it is written once (I10)."""
        refusal = self.check_call((now, oracle, nonce))
        if refusal is not Outcome.OK:
            return refusal
        if not _is_verdict(verdict):
            return Outcome.BAD_VOTE
        if type(subject) is not str:
            return Outcome.BAD_DIGEST
        if (oracle, subject) in self.decisions:
            return Outcome.ALREADY_DECIDED
        digest = hashlib.sha256(subject.encode(errors="surrogatepass")).digest()
        outcome = self._run_with_digest(ledger.decide, (now, oracle, nonce, int(verdict)), digest)
        if outcome is Outcome.OK:
            self.decisions[(oracle, subject)] = verdict
        return outcome

    def advance(self, escrow: int, *, now: int) -> Outcome:
        """Trigger whatever time-out is due for an escrow: every non-terminal state has one (I5), and anybody may."""
        steps = {
            State.OFFERED: self.reclaim,
            State.ACTIVE: self.reclaim,
            State.CLAIMED: self.collect,
            State.VOTING: self.tally,
            State.APPEALABLE: self.execute,
            State.REPLAY: self.lapse,
        }
        state = self.state(escrow)
        if state is None:
            return Outcome.UNKNOWN_ESCROW
        step = steps.get(state)
        return Outcome.WRONG_STATE if step is None else step(escrow, now=now)
