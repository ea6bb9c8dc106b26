"""Disputes: bond, panel, commit and reveal, tally, appeal, replay.

    CLAIMED --challenge (bond)--> VOTING --tally--> APPEALABLE --time-out, execute--> PAID | SLASHED
                                    | tie, no quorum      | appeal (bond * growth, panel 2n + 1), fewer than `rounds` votes:
                                    VOTING v                     v the last appeal, or too few validators for the panel
                                  REPLAY --verdict of the evidence--> PAID | SLASHED;   time-out, lapse --> REFUNDED (nobody
                                  was right)

A bond lies with a side, whoever posted it. The losing side's bonds pay the jurors' fees, the rest is the winner's. A planted
case goes the same way (VOTING, REPLAY) with nothing at stake but its operator's bond; its "replay" is the opening of the
answer committed beforehand.
"""

from __future__ import annotations

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    INSUFFICIENT_FUNDS,
    KIND_BOND,
    KIND_BOND_FROM_RESERVE,
    KIND_PLANT,
    KIND_RESERVE,
    KIND_TO_REPLAY,
    NO_PANEL,
    NOBODY,
    OK,
    POT_BONDS,
    POT_RESERVE,
    ROLE_CONFLICT,
    SIDE_CHALLENGER,
    SIDE_NONE,
    SIDE_PERFORMER,
    STATE_APPEALABLE,
    STATE_CLAIMED,
    STATE_REPLAY,
    STATE_VOTING,
    TOO_LATE,
    UNKNOWN_TERMS,
    VERDICT_REJECTED,
    WRONG_ACTOR,
    WRONG_STATE,
)
from contracts_model.kernels.escrow import appeal_budget, check_escrow
from contracts_model.kernels.layout import (
    CREATED,
    ESCROWS,
    FREE,
    ROUNDS,
    TERMS_COUNT,
    Ints,
    Tables,
    check_message,
    room,
    stamp,
    write,
    write_digest,
)
from contracts_model.kernels.panel import eligible, seat_panel


@helper
def panel_size(t: Tables, terms: int, round_idx: int) -> int:
    """Seats of round `round_idx` (from 0): n, 2n + 1, 4n + 3, ...; 0 when that stage is the replay."""
    if round_idx >= t.terms[terms]["rounds"]:
        return 0
    seats: int = (t.terms[terms]["panel"] + 1) * (1 << round_idx) - 1
    return seats


@helper
def enter_replay(t: Tables, now: int, escrow: int) -> None:
    """Leave the judgement to the evidence itself."""
    row = t.escrows[escrow]
    row["state"] = STATE_REPLAY
    row["deadline"] = now + t.terms[row["terms"]]["replay_window"]
    write(t, now, KIND_TO_REPLAY, escrow, 0, 0, NOBODY, NOBODY, 0, row["deadline"])


@helper
def add_bond(t: Tables, escrow: int, side: int, poster: int, amount: int) -> None:
    """Record the next bond of a case."""
    row = t.escrows[escrow]
    record = t.rounds[row["first_round"] + row["bonds"]]
    record["bond"] = amount
    record["poster"] = poster
    record["side"] = side
    row["pot_bonds"] += amount
    row["bonds"] += 1


@helper
def start_stage(t: Tables, now: int, escrow: int, count: int, size: int) -> None:
    """After a bond: seat a panel of `size` from the `count` candidates in `scratch`.

    Or go to the replay where that cannot be.
    """
    row = t.escrows[escrow]
    if size == 0 or count < size:
        enter_replay(t, now, escrow)
        return
    terms = t.terms[row["terms"]]
    seat_panel(t, now, escrow, row["bonds"] - 1, count, size)
    row["votes"] = row["bonds"]
    row["state"] = STATE_VOTING
    row["commit_end"] = now + terms["commit_window"]
    row["deadline"] = row["commit_end"] + terms["reveal_window"]


@kernel
def challenge(t: Tables, now: int, challenger: int, nonce: int, escrow: int, with_reserve: int) -> int:
    """Dispute a claim within its window; `with_reserve` = 1 also sets the challenger's whole appeal budget aside."""
    code = check_message(t, now, challenger, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_CLAIMED:
        return WRONG_STATE
    if now >= row["deadline"]:
        return TOO_LATE
    if challenger == row["performer"]:
        return ROLE_CONFLICT
    for leg in range(row["payees"]):
        if t.parties[row["first_party"] + row["payers"] + leg]["actor"] == challenger:
            return ROLE_CONFLICT
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    bond = terms["bond"]
    budget = appeal_budget(t, row["terms"]) if with_reserve == 1 else 0
    if t.balances[challenger, asset, FREE] < bond + budget:
        return INSUFFICIENT_FUNDS
    size = panel_size(t, row["terms"], 0)
    code = room(t, size + 3, 0, 0, 0, terms["rounds"] + 1, size)
    if code != OK:
        return code
    used = stamp(t, now, challenger, nonce)
    t.balances[challenger, asset, FREE] -= bond + budget
    row["challenger"] = challenger
    row["pot_reserve_challenger"] = budget
    row["first_round"] = t.counters[ROUNDS]
    t.counters[ROUNDS] += terms["rounds"] + 1
    write(t, now, KIND_BOND, escrow, asset, SIDE_CHALLENGER, challenger, POT_BONDS, bond, used)
    if budget > 0:
        write(t, now, KIND_RESERVE, escrow, asset, SIDE_CHALLENGER, challenger, POT_RESERVE, budget, used)
    count = eligible(t, escrow, challenger)
    add_bond(t, escrow, SIDE_CHALLENGER, challenger, bond)
    start_stage(t, now, escrow, count, size)
    return OK


@kernel
def appeal(t: Tables, now: int, poster: int, nonce: int, escrow: int, from_reserve: int) -> int:
    """Appeal for the side that lost the last round: anybody but the winner with own money.

    Or that side itself from its reserve.
    """
    code = check_message(t, now, poster, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_APPEALABLE:
        return WRONG_STATE
    if now >= row["deadline"]:
        return TOO_LATE
    performer_lost = row["ruling"] == VERDICT_REJECTED
    loser = row["performer"] if performer_lost else row["challenger"]
    winner = row["challenger"] if performer_lost else row["performer"]
    if poster == winner:
        return ROLE_CONFLICT
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    bond = terms["bond"]
    for _ in range(row["bonds"]):
        bond = bond * terms["bond_growth"]
    if from_reserve == 1:
        if poster != loser:
            return WRONG_ACTOR
        reserve = row["pot_reserve_performer"] if performer_lost else row["pot_reserve_challenger"]
        if reserve < bond:
            return INSUFFICIENT_FUNDS
    elif t.balances[poster, asset, FREE] < bond:
        return INSUFFICIENT_FUNDS
    size = panel_size(t, row["terms"], row["bonds"])
    code = room(t, size + 2, 0, 0, 0, 0, size)
    if code != OK:
        return code
    used = stamp(t, now, poster, nonce)
    side = SIDE_PERFORMER if performer_lost else SIDE_CHALLENGER
    if from_reserve == 0:
        t.balances[poster, asset, FREE] -= bond
        write(t, now, KIND_BOND, escrow, asset, side, poster, POT_BONDS, bond, used)
    else:
        if performer_lost:
            row["pot_reserve_performer"] -= bond
        else:
            row["pot_reserve_challenger"] -= bond
        write(t, now, KIND_BOND_FROM_RESERVE, escrow, asset, side, POT_RESERVE, POT_BONDS, bond, used)
    count = eligible(t, escrow, poster)
    add_bond(t, escrow, side, poster, bond)
    start_stage(t, now, escrow, count, size)
    return OK


@kernel
def plant(
    t: Tables,
    now: int,
    operator: int,
    nonce: int,
    terms: int,
    conditions: Ints,
    condition_row: int,
    claims: Ints,
    claim_row: int,
    answers: Ints,
    answer_row: int,
) -> int:
    """Put a case with a known, committed answer before a panel, to find out who votes without looking."""
    code = check_message(t, now, operator, nonce)
    if code != OK:
        return code
    if terms < 0 or terms >= t.counters[TERMS_COUNT]:
        return UNKNOWN_TERMS
    size = panel_size(t, terms, 0)
    asset = t.terms[terms]["bond_asset"]
    bond = t.terms[terms]["juror_fee"] * size
    if t.balances[operator, asset, FREE] < bond:
        return INSUFFICIENT_FUNDS
    code = room(t, size + 2, 1, 0, 0, 1, size)
    if code != OK:
        return code
    at = t.counters[ESCROWS]
    row = t.escrows[at]
    row["terms"] = terms
    row["performer"] = NOBODY
    row["challenger"] = NOBODY
    count = eligible(t, at, operator)
    if size == 0 or count < size:
        return NO_PANEL
    used = stamp(t, now, operator, nonce)
    row["planted"] = 1
    row["first_round"] = t.counters[ROUNDS]
    for word in range(4):
        t.conditions[at, word] = conditions[condition_row, word]
        t.claims[at, word] = claims[claim_row, word]
        t.answers[at, word] = answers[answer_row, word]
    t.counters[ROUNDS] += 1
    t.counters[ESCROWS] = at + 1
    t.counters[CREATED] = at
    t.balances[operator, asset, FREE] -= bond
    add_bond(t, at, SIDE_NONE, operator, bond)
    write(t, now, KIND_PLANT, at, asset, 0, operator, POT_BONDS, bond, used)
    write_digest(t, answers, answer_row)
    start_stage(t, now, at, count, size)
    return OK
