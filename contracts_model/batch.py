"""Columnar interface: the operations of a book on arrays, for city scale.

Row i of a call is exactly the operation that the object interface would carry out with the same arguments, in the order of
the rows; the journal has the same bytes. A column may be an array or one number for all rows. Each call answers with an array
of outcomes (`Outcome` numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts_model.disputes import LATEST_PLANT, DisputeDesk
from contracts_model.kernels import batch as loops
from contracts_model.kernels.layout import ESCROWS, Ints
from contracts_model.outcomes import Outcome, State, Verdict
from contracts_model.store import LIMIT, Kernel
from contracts_model.validators import vote_digest

Column = npt.NDArray[np.integer[Any]] | int

_NONE: Ints = np.zeros(0, np.int64)


class Created(NamedTuple):
    """Outcomes, and the numbers of what was created (-1 where refused)."""

    outcomes: Ints
    idx: Ints


def _column(values: Column, rows: int) -> Ints:
    """One column of `rows` 64-bit integers."""
    array = np.asarray(values)
    if not np.can_cast(array.dtype, np.int64, "safe") or array.dtype == np.bool_:
        raise TypeError(f"column of type {array.dtype}: integers of at most 64 bits with sign are needed")
    if array.ndim == 0:
        return np.full(rows, array, np.int64)
    if array.shape != (rows,):
        raise ValueError(f"column of shape {array.shape}: ({rows},) is needed")
    return np.ascontiguousarray(array, np.int64)


def _digests(values: npt.NDArray[np.integer[Any]], rows: int) -> Ints:
    """Check a column of SHA-256 digests, shape (rows, 4)."""
    if values.shape != (rows, 4) or values.dtype != np.int64:
        raise ValueError(f"digests of shape {values.shape}, type {values.dtype}: ({rows}, 4) of int64 is needed")
    return np.ascontiguousarray(values)


def digest_column(digests: Sequence[bytes]) -> Ints:
    """Digests of 32 bytes as an array of shape (n, 4)."""
    if any(len(digest) != 32 for digest in digests):
        raise ValueError("a digest has 32 bytes")
    return np.frombuffer(bytearray(b"".join(digests)), np.int64).reshape(-1, 4)


def _rows(*columns: Column | None) -> int:
    """Take the number of rows of a call: the length of its arrays, 1 if there are only numbers."""
    for column in columns:
        if isinstance(column, np.ndarray) and column.ndim > 0:
            return len(column)
    return 1


class Batch:
    """Columns for one book; objects and columns may be mixed freely.

    Parameters
    ----------
    book
        The book to operate on.
    """

    def __init__(self, book: DisputeDesk) -> None:
        self.book = book

    def _drive(self, loop: Kernel, rows: int, now: int, arguments: Sequence[Any], outcomes: Ints, *created: Ints) -> None:
        refusal = self.book.check_call((now,))
        if refusal is not Outcome.OK:
            outcomes[:] = int(refusal)
            for column in created:
                column[:] = -1
            return
        self.book.run_many(loop, rows, (now, *arguments, outcomes, *created))

    def _signed(self, loop: Kernel, now: int, actors: Column, nonces: Column | None, *columns: Column) -> Ints:
        """Drive a loop whose columns are actors, nonces and plain integers."""
        rows = _rows(actors, *columns)
        outcomes = np.zeros(rows, np.int64)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        self._drive(loop, rows, now, (_column(actors, rows), numbers, *(_column(c, rows) for c in columns)), outcomes)
        return outcomes

    def issue(
        self, issuers: Column, to: Column, assets: Column, amounts: Column, *, now: int, nonces: Column | None = None
    ) -> Ints:
        """Rows of `Book.issue`."""
        return self._signed(loops.issue_many, now, issuers, nonces, assets, to, amounts)

    def transfer(
        self, debtors: Column, creditors: Column, assets: Column, amounts: Column, *, now: int, nonces: Column | None = None
    ) -> Ints:
        """Rows of `Book.transfer`."""
        return self._signed(loops.transfer_many, now, debtors, nonces, creditors, assets, amounts)

    def hold(
        self,
        debtors: Column,
        creditors: Column,
        assets: Column,
        amounts: Column,
        *,
        controllers: Column,
        expires: Column,
        now: int,
        nonces: Column | None = None,
    ) -> Created:
        """Rows of `Book.hold`."""
        columns = (creditors, controllers, assets, amounts, expires)
        rows = _rows(debtors, *columns)
        outcomes, created = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        arguments = (_column(debtors, rows), numbers, *(_column(c, rows) for c in columns))
        self._drive(loops.hold_many, rows, now, arguments, outcomes, created)
        return Created(outcomes, created)

    def post(self, controllers: Column, holds: Column, amounts: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.post`."""
        return self._signed(loops.post_many, now, controllers, nonces, holds, amounts)

    def void(self, actors: Column, holds: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.void`."""
        return self._signed(loops.void_many, now, actors, nonces, holds)

    def expire(self, holds: Column, *, now: int) -> Ints:
        """Rows of `Book.expire`."""
        rows = _rows(holds)
        outcomes = np.zeros(rows, np.int64)
        self._drive(loops.expire_many, rows, now, (_column(holds, rows),), outcomes)
        return outcomes

    def stake(self, validators: Column, assets: Column, amounts: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.stake`."""
        return self._signed(loops.stake_many, now, validators, nonces, assets, amounts)

    def unstake(self, validators: Column, assets: Column, amounts: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.unstake`."""
        return self._signed(loops.unstake_many, now, validators, nonces, assets, amounts)

    def open(
        self,
        openers: Column,
        *,
        terms: Column,
        performers: Column,
        prices: Column,
        fees: Column = 0,
        collaterals: Column = 0,
        accept_by: Column,
        claim_by: Column,
        payers: Column,
        dues: Column,
        payer_start: npt.NDArray[np.integer[Any]],
        payees: Column,
        weights: Column,
        payee_start: npt.NDArray[np.integer[Any]],
        conditions: Ints,
        now: int,
        nonces: Column | None = None,
    ) -> Created:
        """Rows of `Book.open`.

        Payers and payees are ragged: those of row i stand at payer_start[i] up to payer_start[i + 1] of `payers` and `dues`,
        likewise `payees` and `weights`. `conditions` holds the digests, shape (rows, 4).
        """
        rows = len(conditions)
        outcomes, created = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        columns = (openers, terms, performers, prices, fees, collaterals, accept_by, claim_by)
        first, *others = (_column(column, rows) for column in columns)
        ragged: list[Ints] = []
        for starts, actors, values in ((payer_start, payers, dues), (payee_start, payees, weights)):
            bounds = _column(starts, rows + 1)
            length = _rows(actors, values)
            if bounds[0] < 0 or bounds[-1] > length or bool(np.any(np.diff(bounds) < 0)):
                raise ValueError(f"starts must rise from 0 to at most {length}, the number of parties")
            ragged += [_column(actors, length), _column(values, length), bounds]
        arguments = (first, numbers, *others, *ragged, _digests(conditions, rows))
        self._drive(loops.open_many, rows, now, arguments, outcomes, created)
        return Created(outcomes, created)

    def fund(self, payers: Column, escrows: Column, amounts: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.fund`."""
        return self._signed(loops.fund_many, now, payers, nonces, escrows, amounts)

    def accept(self, performers: Column, escrows: Column, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.accept`."""
        return self._signed(loops.accept_many, now, performers, nonces, escrows)

    def claim(
        self,
        performers: Column,
        escrows: Column,
        claims: Ints,
        *,
        now: int,
        verdicts: Column | None = None,
        nonces: Column | None = None,
    ) -> Ints:
        """Rows of `Book.claim` with digests; rows whose vectorised arbiter says REJECTED are refused as there."""
        rows = len(claims)
        outcomes = np.zeros(rows, np.int64)
        if verdicts is not None and not self.book.busy:
            rejected = _column(verdicts, rows) == int(Verdict.REJECTED)
            rejected &= self._claimable(_column(performers, rows), _column(escrows, rows), now)
            outcomes[rejected] = int(Outcome.CONDITION_REJECTED)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        arguments = (_column(performers, rows), numbers, _column(escrows, rows), _digests(claims, rows))
        self._drive(loops.claim_many, rows, now, arguments, outcomes)
        return outcomes

    def _claimable(self, performers: Ints, escrows: Ints, now: int) -> npt.NDArray[np.bool_]:
        """Tell which claims come in time, from the performer of an active escrow; of others the operation names the fault."""
        tables = self.book.tables
        known = (escrows >= 0) & (escrows < tables.counters[ESCROWS])
        rows = tables.escrows[np.where(known, escrows, 0)]
        waits = known & (rows["state"] == int(State.ACTIVE)) & (rows["performer"] == performers)
        return np.asarray(waits & (self.book.clock <= now) & (now < rows["claim_by"]))

    def collect(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.collect`."""
        rows = _rows(escrows)
        outcomes = np.zeros(rows, np.int64)
        column = _column(escrows, rows)
        self._drive(loops.collect_many, rows, now, (column,), outcomes)
        return self._told(column, outcomes)

    def _timeout(self, which: int, escrows: Column, now: int) -> Ints:
        rows = _rows(escrows)
        outcomes = np.zeros(rows, np.int64)
        column = _column(escrows, rows)
        self._drive(loops.timeout_many, rows, now, (which, column), outcomes)
        return self._told(column, outcomes)

    def _told(self, escrows: Ints, outcomes: Ints) -> Ints:
        """Tell the book's listeners, after the whole batch, of every escrow that it has settled."""
        if self.book.listeners:
            # One call can take an escrow through several time-outs; it ends once.
            for escrow in dict.fromkeys(escrows[outcomes == int(Outcome.OK)].tolist()):
                self.book.notify(escrow, Outcome.OK)
        return outcomes

    def reclaim(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.reclaim`."""
        return self._timeout(loops.RECLAIM, escrows, now)

    def tally(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.tally`."""
        return self._timeout(loops.TALLY, escrows, now)

    def execute(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.execute`."""
        return self._timeout(loops.EXECUTE, escrows, now)

    def lapse(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.lapse`."""
        return self._timeout(loops.LAPSE, escrows, now)

    def advance(self, escrows: Column, *, now: int) -> Ints:
        """Rows of `Book.advance`: whatever time-out is due."""
        return self._timeout(loops.ADVANCE, escrows, now)

    def challenge(
        self, challengers: Column, escrows: Column, *, now: int, with_reserve: Column = 0, nonces: Column | None = None
    ) -> Ints:
        """Rows of `Book.challenge`; `with_reserve` is 0 or 1."""
        return self._signed(loops.challenge_many, now, challengers, nonces, escrows, with_reserve)

    def appeal(
        self, posters: Column, escrows: Column, *, now: int, from_reserve: Column = 0, nonces: Column | None = None
    ) -> Ints:
        """Rows of `Book.appeal`; `from_reserve` is 0 or 1."""
        return self._signed(loops.appeal_many, now, posters, nonces, escrows, from_reserve)

    def _with_digests(
        self, loop: Kernel, now: int, actors: Column, nonces: Column | None, columns: Sequence[Column], digests: Ints
    ) -> Ints:
        rows = len(digests)
        outcomes = np.zeros(rows, np.int64)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        arguments = (_column(actors, rows), numbers, *(_column(c, rows) for c in columns), _digests(digests, rows))
        self._drive(loop, rows, now, arguments, outcomes)
        return outcomes

    def submit_evidence(self, actors: Column, escrows: Column, digests: Ints, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.submit_evidence` with digests."""
        return self._with_digests(loops.evidence_many, now, actors, nonces, [escrows], digests)

    def seal_votes(self, escrows: Column, jurors: Column, votes: Column, salts: Sequence[bytes]) -> Ints:
        """Sealed votes, shape (rows, 4): `Book.seal_vote` row by row; zeros where the escrow does not exist."""
        rows = len(salts)
        t = self.book.tables
        columns = zip(
            _column(escrows, rows).tolist(), _column(jurors, rows).tolist(), _column(votes, rows).tolist(), salts, strict=True
        )
        sealed = []
        for escrow, juror, vote, salt in columns:
            if self.book.state(escrow) is None or vote not in (0, 1, 2):
                sealed.append(bytes(32))
                continue
            condition, claim = t.conditions[escrow].tobytes(), t.claims[escrow].tobytes()
            round_idx = int(t.escrows["votes"][escrow]) - 1
            sealed.append(vote_digest(escrow, round_idx, condition, claim, juror, Verdict(vote), salt))
        return digest_column(sealed)

    def commit(self, jurors: Column, escrows: Column, sealed: Ints, *, now: int, nonces: Column | None = None) -> Ints:
        """Rows of `Book.commit`."""
        return self._with_digests(loops.commit_many, now, jurors, nonces, [escrows], sealed)

    def reveal(
        self,
        jurors: Column,
        escrows: Column,
        votes: Column,
        salts: Sequence[bytes],
        *,
        now: int,
        nonces: Column | None = None,
    ) -> Ints:
        """Rows of `Book.reveal`."""
        sealed = self.seal_votes(escrows, jurors, votes, salts)
        return self._with_digests(loops.reveal_many, now, jurors, nonces, [escrows, votes], sealed)

    def replay(self, escrows: Column, verdicts: Column, claims: Ints, *, now: int, answers: Ints | None = None) -> Ints:
        """Rows of `Book.replay_verdict`; `answers` are the answer digests of planted cases."""
        rows = len(claims)
        outcomes = np.zeros(rows, np.int64)
        sealed = np.zeros((rows, 4), np.int64) if answers is None else _digests(answers, rows)
        column, brought = _column(escrows, rows), _digests(claims, rows)
        if self.book.conditions:
            # Where the book keeps the evidence, whatever is brought from elsewhere is not the claim's.
            held = np.array([self.book.judges_itself(escrow) for escrow in column.tolist()], np.bool_)
            brought = brought.copy()
            brought[held] = ~self.book.tables.claims[column[held]]
        self._drive(loops.replay_many, rows, now, (column, _column(verdicts, rows), brought, sealed), outcomes)
        return self._told(column, outcomes)

    def plant(
        self,
        operators: Column,
        terms: Column,
        conditions: Ints,
        claims: Ints,
        answers: Ints,
        *,
        now: int,
        nonces: Column | None = None,
    ) -> Created:
        """Rows of `Book.plant`."""
        rows = len(answers)
        outcomes, created = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        numbers = _NONE if nonces is None else _column(nonces, rows)
        sealed = (_digests(conditions, rows), _digests(claims, rows), _digests(answers, rows))
        if type(now) is int and LATEST_PLANT < now <= LIMIT and not self.book.busy:
            return Created(np.full(rows, int(Outcome.BAD_TIME)), np.full(rows, -1))
        arguments = (_column(operators, rows), numbers, _column(terms, rows), *sealed)
        self._drive(loops.plant_many, rows, now, arguments, outcomes, created)
        return Created(outcomes, created)
