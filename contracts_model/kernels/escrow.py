"""Life of an escrow up to a claim that nobody disputes.

    OFFERED --all dues funded + accepted--> ACTIVE --claim--> CLAIMED --window passes, collect--> PAID
       | reclaim at accept_by: REFUNDED       | reclaim at claim_by: SLASHED

At each deadline T the forward operation is legal strictly before T and the time-out from T on: both are never legal at one
instant (I8).
"""

from __future__ import annotations

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    ALREADY_ACCEPTED,
    BAD_AMOUNT,
    BAD_DEADLINES,
    BAD_PARTIES,
    DUES_DO_NOT_ADD_UP,
    DUPLICATE_PARTY,
    INSUFFICIENT_FUNDS,
    KIND_ACCEPT,
    KIND_CLAIM,
    KIND_FUND,
    KIND_OPEN,
    KIND_PROMISE_COLLATERAL,
    KIND_PROMISE_FEE,
    KIND_PROMISE_PAYEE,
    KIND_PROMISE_PAYER,
    KIND_RESERVE,
    NOBODY,
    NOT_A_PAYER,
    OK,
    OVERFUNDED,
    POT_COLLATERAL,
    POT_PRICE,
    POT_RESERVE,
    ROLE_CONFLICT,
    SIDE_PERFORMER,
    STATE_ACTIVE,
    STATE_CLAIMED,
    STATE_OFFERED,
    STATE_PAID,
    STATE_REFUNDED,
    STATE_SLASHED,
    TOO_EARLY,
    TOO_LATE,
    UNKNOWN_ACTOR,
    UNKNOWN_ESCROW,
    UNKNOWN_TERMS,
    WRONG_ACTOR,
    WRONG_STATE,
)
from contracts_model.kernels.layout import (
    ACTORS,
    CREATED,
    ESCROWS,
    FREE,
    PARTIES,
    TERMS_COUNT,
    Ints,
    Tables,
    check_message,
    check_time,
    room,
    stamp,
    write,
    write_digest,
)
from contracts_model.kernels.payout import close, forfeit_collateral, pay_price, refund_price, return_collateral, return_reserves
from contracts_model.outcomes import MAX_AMOUNT, MAX_PARTIES, MAX_TIME


@helper
def check_parties(
    t: Tables,
    performer: int,
    owed: int,
    payers: Ints,
    dues: Ints,
    p0: int,
    p1: int,
    payees: Ints,
    weights: Ints,
    q0: int,
    q1: int,
) -> int:
    """Check payers p0..p1 (dues add up to `owed`) and payees q0..q1 of a new escrow."""
    actors = t.counters[ACTORS]
    if p1 == p0 or p1 - p0 > MAX_PARTIES or q1 - q0 > MAX_PARTIES:
        return BAD_PARTIES
    left = owed
    for i in range(p0, p1):
        if payers[i] < 0 or payers[i] >= actors:
            return UNKNOWN_ACTOR
        if payers[i] == performer:
            return ROLE_CONFLICT
        if dues[i] <= 0 or dues[i] > MAX_AMOUNT:
            return BAD_AMOUNT
        if dues[i] > left:
            return DUES_DO_NOT_ADD_UP
        left -= dues[i]
        for j in range(p0, i):
            if payers[j] == payers[i]:
                return DUPLICATE_PARTY
    if left != 0:
        return DUES_DO_NOT_ADD_UP
    for i in range(q0, q1):
        if payees[i] < 0 or payees[i] >= actors:
            return UNKNOWN_ACTOR
        if weights[i] <= 0 or weights[i] > MAX_AMOUNT // MAX_PARTIES:
            return BAD_AMOUNT
        for j in range(q0, i):
            if payees[j] == payees[i]:
                return DUPLICATE_PARTY
    return OK


@helper
def check_offer(
    t: Tables,
    now: int,
    terms: int,
    performer: int,
    price: int,
    fee: int,
    collateral: int,
    accept_by: int,
    claim_by: int,
    payees: int,
) -> int:
    """Check the scalars of a new escrow."""
    if terms < 0 or terms >= t.counters[TERMS_COUNT]:
        return UNKNOWN_TERMS
    if performer < 0 or performer >= t.counters[ACTORS]:
        return UNKNOWN_ACTOR
    if price < 0 or price > MAX_AMOUNT or fee < 0 or fee > MAX_AMOUNT - price or collateral < 0 or collateral > MAX_AMOUNT:
        return BAD_AMOUNT
    if accept_by <= now or claim_by <= accept_by or claim_by > MAX_TIME // 2:
        return BAD_DEADLINES
    if price > 0 and payees == 0:
        return BAD_PARTIES
    return OK


@kernel
def open_escrow(
    t: Tables,
    now: int,
    opener: int,
    nonce: int,
    terms: int,
    performer: int,
    price: int,
    fee: int,
    collateral: int,
    accept_by: int,
    claim_by: int,
    payers: Ints,
    dues: Ints,
    p0: int,
    p1: int,
    payees: Ints,
    weights: Ints,
    q0: int,
    q1: int,
    conditions: Ints,
    condition_row: int,
) -> int:
    """Write an offer down; nobody is bound before it funds or accepts. The escrow's number is left in `counters[CREATED]`."""
    code = check_message(t, now, opener, nonce)
    if code != OK:
        return code
    code = check_offer(t, now, terms, performer, price, fee, collateral, accept_by, claim_by, q1 - q0)
    if code != OK:
        return code
    code = check_parties(t, performer, price + fee, payers, dues, p0, p1, payees, weights, q0, q1)
    if code != OK:
        return code
    parties = p1 - p0 + q1 - q0
    code = room(t, 3 + parties, 1, parties, 0, 0, 0)
    if code != OK:
        return code
    stamp(t, now, opener, nonce)
    at = t.counters[ESCROWS]
    first = t.counters[PARTIES]
    row = t.escrows[at]
    row["price"] = price
    row["fee"] = fee
    row["collateral"] = collateral
    row["accept_by"] = accept_by
    row["claim_by"] = claim_by
    row["deadline"] = accept_by
    row["terms"] = terms
    row["performer"] = performer
    row["challenger"] = NOBODY
    row["first_party"] = first
    row["payers"] = p1 - p0
    row["payees"] = q1 - q0
    row["state"] = STATE_OFFERED
    for word in range(4):
        t.conditions[at, word] = conditions[condition_row, word]
    t.counters[ESCROWS] = at + 1
    t.counters[PARTIES] = first + parties
    t.counters[CREATED] = at
    asset = t.terms[terms]["asset"]
    write(t, now, KIND_OPEN, at, asset, 0, opener, NOBODY, price, accept_by)
    write_digest(t, conditions, condition_row)
    write(t, now, KIND_PROMISE_FEE, at, asset, 0, NOBODY, t.terms[terms]["fee_account"], fee, terms)
    write(t, now, KIND_PROMISE_COLLATERAL, at, t.terms[terms]["bond_asset"], 0, performer, NOBODY, collateral, claim_by)
    for i in range(p0, p1):
        party = t.parties[first + i - p0]
        party["value"] = dues[i]
        party["actor"] = payers[i]
        write(t, now, KIND_PROMISE_PAYER, at, asset, i - p0, payers[i], NOBODY, dues[i], 0)
    for i in range(q0, q1):
        party = t.parties[first + p1 - p0 + i - q0]
        party["value"] = weights[i]
        party["actor"] = payees[i]
        write(t, now, KIND_PROMISE_PAYEE, at, asset, i - q0, NOBODY, payees[i], 0, weights[i])
    return OK


@helper
def check_escrow(t: Tables, escrow: int) -> int:
    """`OK` for an escrow that exists."""
    if escrow < 0 or escrow >= t.counters[ESCROWS]:
        return UNKNOWN_ESCROW
    return OK


@helper
def activate(t: Tables, escrow: int) -> None:
    """Bind everybody once all dues are paid and the performer has accepted."""
    row = t.escrows[escrow]
    if row["accepted"] == 1 and row["pot_price"] == row["price"] + row["fee"]:
        row["state"] = STATE_ACTIVE
        row["deadline"] = row["claim_by"]


@kernel
def fund(t: Tables, now: int, payer: int, nonce: int, escrow: int, amount: int) -> int:
    """Pay a due, whole or in part, into the pot of this escrow."""
    code = check_message(t, now, payer, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_OFFERED:
        return WRONG_STATE
    if now >= row["accept_by"]:
        return TOO_LATE
    leg = 0
    while leg < row["payers"] and t.parties[row["first_party"] + leg]["actor"] != payer:
        leg += 1
    if leg == row["payers"]:
        return NOT_A_PAYER
    if amount <= 0 or amount > MAX_AMOUNT:
        return BAD_AMOUNT
    party = t.parties[row["first_party"] + leg]
    if amount > party["value"] - party["paid"]:
        return OVERFUNDED
    asset = t.terms[row["terms"]]["asset"]
    if t.balances[payer, asset, FREE] < amount:
        return INSUFFICIENT_FUNDS
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, payer, nonce)
    t.balances[payer, asset, FREE] -= amount
    party["paid"] += amount
    row["pot_price"] += amount
    write(t, now, KIND_FUND, escrow, asset, leg, payer, POT_PRICE, amount, used)
    activate(t, escrow)
    return OK


@helper
def appeal_budget(t: Tables, terms: int) -> int:
    """Sum of the bonds of every appeal after the challenge: bond * (growth + growth^2 + .. + growth^rounds).

    Below `MAX_AMOUNT` for all terms that a book takes.
    """
    row = t.terms[terms]
    total = 0
    bond = row["bond"]
    for _ in range(row["rounds"]):
        bond = bond * row["bond_growth"]
        total += bond
    return total


@kernel
def accept(t: Tables, now: int, performer: int, nonce: int, escrow: int) -> int:
    """Lock the performer's collateral and, where the terms ask for it, the appeal budget."""
    code = check_message(t, now, performer, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_OFFERED:
        return WRONG_STATE
    if now >= row["accept_by"]:
        return TOO_LATE
    if row["performer"] != performer:
        return WRONG_ACTOR
    if row["accepted"] == 1:
        return ALREADY_ACCEPTED
    terms = t.terms[row["terms"]]
    asset = terms["bond_asset"]
    collateral = row["collateral"]
    budget = appeal_budget(t, row["terms"]) if terms["reserve_appeals"] == 1 else 0
    if t.balances[performer, asset, FREE] < collateral + budget:
        return INSUFFICIENT_FUNDS
    code = room(t, 2, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, performer, nonce)
    t.balances[performer, asset, FREE] -= collateral + budget
    row["pot_collateral"] = collateral
    row["pot_reserve_performer"] = budget
    row["accepted"] = 1
    write(t, now, KIND_ACCEPT, escrow, asset, 0, performer, POT_COLLATERAL, collateral, used)
    if budget > 0:
        write(t, now, KIND_RESERVE, escrow, asset, SIDE_PERFORMER, performer, POT_RESERVE, budget, used)
    activate(t, escrow)
    return OK


@kernel
def claim(t: Tables, now: int, performer: int, nonce: int, escrow: int, claims: Ints, claim_row: int) -> int:
    """Claim fulfilment by the digest of the evidence; opens the challenge window."""
    code = check_message(t, now, performer, nonce)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_ACTIVE:
        return WRONG_STATE
    if now >= row["claim_by"]:
        return TOO_LATE
    if row["performer"] != performer:
        return WRONG_ACTOR
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, performer, nonce)
    for word in range(4):
        t.claims[escrow, word] = claims[claim_row, word]
    row["state"] = STATE_CLAIMED
    row["claimed_at"] = now
    row["deadline"] = now + t.terms[row["terms"]]["challenge_window"]
    write(t, now, KIND_CLAIM, escrow, 0, 0, performer, NOBODY, 0, used)
    write_digest(t, claims, claim_row)
    return OK


@kernel
def collect(t: Tables, now: int, escrow: int) -> int:
    """Anybody pays an unchallenged claim out once its window has passed."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_CLAIMED:
        return WRONG_STATE
    if now < row["deadline"]:
        return TOO_EARLY
    code = room(t, row["payees"] + 5, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    pay_price(t, now, escrow)
    return_collateral(t, now, escrow)
    return_reserves(t, now, escrow)
    close(t, now, escrow, STATE_PAID)
    return OK


@kernel
def reclaim(t: Tables, now: int, escrow: int) -> int:
    """Anybody ends an offer nobody completed (everything returns) or a promise nobody kept (the payers get the collateral)."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_escrow(t, escrow)
    if code != OK:
        return code
    row = t.escrows[escrow]
    if row["state"] != STATE_OFFERED and row["state"] != STATE_ACTIVE:
        return WRONG_STATE
    if now < row["deadline"]:
        return TOO_EARLY
    code = room(t, 2 * row["payers"] + 4, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    offered = row["state"] == STATE_OFFERED
    refund_price(t, now, escrow)
    if offered:
        return_collateral(t, now, escrow)
    else:
        forfeit_collateral(t, now, escrow)
    return_reserves(t, now, escrow)
    close(t, now, escrow, STATE_REFUNDED if offered else STATE_SLASHED)
    return OK
