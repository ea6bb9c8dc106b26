"""Evidence, sealed votes and their count."""

from __future__ import annotations

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    ALREADY_COMMITTED,
    ALREADY_REVEALED,
    BAD_VOTE,
    KIND_COMMIT,
    KIND_EVIDENCE,
    KIND_REVEAL,
    KIND_TALLY,
    NOBODY,
    NOT_ON_PANEL,
    OK,
    STATE_APPEALABLE,
    STATE_CLAIMED,
    STATE_REPLAY,
    STATE_VOTING,
    TOO_EARLY,
    TOO_LATE,
    VERDICT_ACCEPTED,
    VERDICT_NOT_FINAL,
    VERDICT_REJECTED,
    WRONG_ACTOR,
    WRONG_REVEAL,
    WRONG_STATE,
)
from contracts_model.kernels.dispute import enter_replay
from contracts_model.kernels.escrow import check_escrow
from contracts_model.kernels.layout import (
    CLOCK,
    Ints,
    Tables,
    check_message,
    check_time,
    room,
    stamp,
    write,
    write_digest,
)
from contracts_model.kernels.panel import find_seat


@kernel
def submit_evidence(t: Tables, now: int, actor: int, nonce: int, escrow: int, digests: Ints, digest_row: int) -> int:
    """Note the digest of a piece of evidence; performer, challenger and payers may."""
    code = check_message(t, now, actor, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] < STATE_CLAIMED or row["state"] > STATE_REPLAY:
        return WRONG_STATE
    if now >= row["deadline"]:
        return TOO_LATE
    allowed = actor == row["performer"] or actor == row["challenger"]
    for leg in range(row["payers"]):
        if t.parties[row["first_party"] + leg]["actor"] == actor:
            allowed = True
    if not allowed:
        return WRONG_ACTOR
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, actor, nonce)
    write(t, now, KIND_EVIDENCE, escrow, 0, 0, actor, NOBODY, 0, used)
    write_digest(t, digests, digest_row)
    return OK


@kernel
def commit(t: Tables, now: int, juror: int, nonce: int, escrow: int, digests: Ints, digest_row: int) -> int:
    """Hand in a sealed vote."""
    code = check_message(t, now, juror, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_VOTING:
        return WRONG_STATE
    if now >= row["commit_end"]:
        return TOO_LATE
    at = find_seat(t, escrow, juror)
    if at == NOBODY:
        return NOT_ON_PANEL
    seat = t.seats[at]
    if seat["committed"] == 1:
        return ALREADY_COMMITTED
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, juror, nonce)
    seat["committed"] = 1
    seat["d0"] = digests[digest_row, 0]
    seat["d1"] = digests[digest_row, 1]
    seat["d2"] = digests[digest_row, 2]
    seat["d3"] = digests[digest_row, 3]
    write(t, now, KIND_COMMIT, escrow, 0, row["votes"] - 1, juror, NOBODY, 0, used)
    write_digest(t, digests, digest_row)
    return OK


@kernel
def reveal(t: Tables, now: int, juror: int, nonce: int, escrow: int, vote: int, digests: Ints, digest_row: int) -> int:
    """Open a sealed vote; the digest is computed by the caller from this escrow's claim and condition, the juror.

    The vote and the salt (I9).
    """
    code = check_message(t, now, juror, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_VOTING:
        return WRONG_STATE
    if now < row["commit_end"]:
        return TOO_EARLY
    if now >= row["deadline"]:
        return TOO_LATE
    if vote < VERDICT_NOT_FINAL or vote > VERDICT_REJECTED:
        return BAD_VOTE
    at = find_seat(t, escrow, juror)
    if at == NOBODY:
        return NOT_ON_PANEL
    seat = t.seats[at]
    if seat["revealed"] == 1:
        return ALREADY_REVEALED
    same = seat["d0"] == digests[digest_row, 0] and seat["d1"] == digests[digest_row, 1]
    if seat["committed"] == 0 or not same or seat["d2"] != digests[digest_row, 2] or seat["d3"] != digests[digest_row, 3]:
        return WRONG_REVEAL
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, juror, nonce)
    seat["revealed"] = 1
    seat["vote"] = vote
    write(t, now, KIND_REVEAL, escrow, 0, row["votes"] - 1, juror, NOBODY, vote, used)
    return OK


@helper
def ruling_of(t: Tables, round_row: int) -> int:
    """Verdict of a panel.

    Or `NOT_FINAL` without quorum (more than half the seats revealed) and without a side ahead of both other answers.
    """
    record = t.rounds[round_row]
    accepted = 0
    rejected = 0
    undecided = 0
    for s in range(record["first_seat"], record["first_seat"] + record["seats"]):
        seat = t.seats[s]
        if seat["revealed"] == 1:
            if seat["vote"] == VERDICT_ACCEPTED:
                accepted += 1
            elif seat["vote"] == VERDICT_REJECTED:
                rejected += 1
            else:
                undecided += 1
    if 2 * (accepted + rejected + undecided) <= record["seats"]:
        return VERDICT_NOT_FINAL
    if accepted > rejected and accepted > undecided:
        return VERDICT_ACCEPTED
    if rejected > accepted and rejected > undecided:
        return VERDICT_REJECTED
    return VERDICT_NOT_FINAL


@kernel
def tally(t: Tables, now: int, escrow: int) -> int:
    """Anybody counts the votes once the reveal window has passed."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_VOTING:
        return WRONG_STATE
    if now < row["deadline"]:
        return TOO_EARLY
    code = room(t, 2, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    t.counters[CLOCK] = now
    ruling = ruling_of(t, row["first_round"] + row["votes"] - 1)
    write(t, now, KIND_TALLY, escrow, 0, row["votes"] - 1, NOBODY, NOBODY, 0, ruling)
    if row["planted"] == 1 or ruling == VERDICT_NOT_FINAL:
        enter_replay(t, now, escrow)
        return OK
    row["ruling"] = ruling
    row["state"] = STATE_APPEALABLE
    row["deadline"] = now + t.terms[row["terms"]]["appeal_window"]
    return OK
