"""The end of a dispute: the final decision is written once, bonds, seats and pots are emptied by it."""

from __future__ import annotations

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    BAD_VOTE,
    CONDITION_NOT_FINAL,
    KIND_BOND_BACK,
    KIND_BOND_WON,
    KIND_FINAL,
    NOBODY,
    OK,
    POT_BONDS,
    SIDE_CHALLENGER,
    SIDE_PERFORMER,
    STATE_APPEALABLE,
    STATE_CLOSED,
    STATE_PAID,
    STATE_REFUNDED,
    STATE_REPLAY,
    STATE_SLASHED,
    TOO_EARLY,
    TOO_LATE,
    VERDICT_ACCEPTED,
    VERDICT_NOT_FINAL,
    VERDICT_REJECTED,
    WRONG_EVIDENCE,
    WRONG_REVEAL,
    WRONG_STATE,
)
from contracts_model.kernels.escrow import check_escrow
from contracts_model.kernels.layout import (
    Ints,
    Tables,
    check_time,
    room,
    same_digest,
    write,
)
from contracts_model.kernels.panel import count_rewarded, settle_seats
from contracts_model.kernels.payout import (
    close,
    credit,
    forfeit_collateral,
    pay_price,
    refund_price,
    return_collateral,
    return_reserves,
)


@helper
def settle_bonds(t: Tables, now: int, escrow: int, final: int, rewarded: int) -> int:
    """Return the winners' bonds, give the winner what the jurors' fees leave of the losers'.

    Returns the part kept for the jurors.
    """
    row = t.escrows[escrow]
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    right = SIDE_PERFORMER if final == VERDICT_ACCEPTED else SIDE_CHALLENGER
    losing = 0
    for r in range(row["bonds"]):
        record = t.rounds[row["first_round"] + r]
        if row["planted"] == 1 or (final != VERDICT_NOT_FINAL and record["side"] != right):
            losing += record["bond"]
        else:
            credit(t, now, KIND_BOND_BACK, escrow, asset, r, POT_BONDS, record["poster"], record["bond"])
    if row["planted"] == 1 and final == VERDICT_NOT_FINAL:
        return losing  # an operator who never opens its answer pays the panel it has bothered
    juror_pot: int = min(losing, terms["juror_fee"] * rewarded)
    winner = row["performer"] if right == SIDE_PERFORMER else row["challenger"]
    kind = KIND_BOND_WON
    if row["planted"] == 1:
        winner = t.rounds[row["first_round"]]["poster"]
        kind = KIND_BOND_BACK
    credit(t, now, kind, escrow, asset, 0, POT_BONDS, winner, losing - juror_pot)
    return juror_pot


@helper
def settlement_entries(t: Tables, escrow: int) -> int:
    """Most entries that the settlement of a dispute can write."""
    row = t.escrows[escrow]
    entries: int = 2 * row["payers"] + row["payees"] + row["bonds"] + 10
    for r in range(row["bonds"]):
        entries += 3 * t.rounds[row["first_round"] + r]["seats"]
    return entries


@helper
def settle(t: Tables, now: int, escrow: int, final: int) -> None:
    """Write the final decision (once) and empty every pot; `NOT_FINAL` when the replay's time has run out."""
    row = t.escrows[escrow]
    row["final"] = final
    write(t, now, KIND_FINAL, escrow, 0, 0, NOBODY, NOBODY, 0, final)
    rewarded = count_rewarded(t, escrow, final)
    juror_pot = settle_bonds(t, now, escrow, final, rewarded)
    settle_seats(t, now, escrow, final, rewarded, juror_pot)
    row["pot_bonds"] = 0
    if row["planted"] == 1:
        close(t, now, escrow, STATE_CLOSED)
        return
    if final == VERDICT_ACCEPTED:
        pay_price(t, now, escrow)
        return_collateral(t, now, escrow)
        state = STATE_PAID
    elif final == VERDICT_REJECTED:
        refund_price(t, now, escrow)
        forfeit_collateral(t, now, escrow)
        state = STATE_SLASHED
    else:
        refund_price(t, now, escrow)
        return_collateral(t, now, escrow)
        state = STATE_REFUNDED
    return_reserves(t, now, escrow)
    close(t, now, escrow, state)


@kernel
def execute(t: Tables, now: int, escrow: int) -> int:
    """Anybody carries a ruling out that nobody appealed against in time."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_APPEALABLE:
        return WRONG_STATE
    if now < row["deadline"]:
        return TOO_EARLY
    code = room(t, settlement_entries(t, escrow), 0, 0, 0, 0, 0)
    if code != OK:
        return code
    settle(t, now, escrow, row["ruling"])
    return OK


@kernel
def replay(t: Tables, now: int, escrow: int, verdict: int, claims: Ints, claim_row: int, answers: Ints, answer_row: int) -> int:
    """Anybody brings the verdict that the evidence gives; it must be the evidence of this claim (and.

    For a planted case, its answer).
    """
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_REPLAY:
        return WRONG_STATE
    if now >= row["deadline"]:
        return TOO_LATE
    if verdict < VERDICT_NOT_FINAL or verdict > VERDICT_REJECTED:
        return BAD_VOTE
    if not same_digest(t.claims, escrow, claims, claim_row):
        return WRONG_EVIDENCE
    if row["planted"] == 1 and not same_digest(t.answers, escrow, answers, answer_row):
        return WRONG_REVEAL
    if verdict == VERDICT_NOT_FINAL:
        return CONDITION_NOT_FINAL
    code = room(t, settlement_entries(t, escrow), 0, 0, 0, 0, 0)
    if code != OK:
        return code
    settle(t, now, escrow, verdict)
    return OK


@kernel
def lapse(t: Tables, now: int, escrow: int) -> int:
    """Anybody ends a case whose evidence stayed silent: everybody gets its own back, silence is no rejection."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_REPLAY:
        return WRONG_STATE
    if now < row["deadline"]:
        return TOO_EARLY
    code = room(t, settlement_entries(t, escrow), 0, 0, 0, 0, 0)
    if code != OK:
        return code
    settle(t, now, escrow, VERDICT_NOT_FINAL)
    return OK
