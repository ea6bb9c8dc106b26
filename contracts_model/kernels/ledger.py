"""Ledger operations: issue, transfer, two-phase transfer, stake. Every one is checked whole before its first write.

Double entry: each entry debits one side and credits another with the same amount, so that per asset free + staked + held +
pots is always the supply (invariant I1). Two-phase transfer: `hold` sets an amount aside for a creditor until `expires`; the
named controller posts it (whole or in part, the rest returns) strictly before that instant, controller or creditor may void
it at any time, anybody may expire it from that instant on.
"""

from __future__ import annotations

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    BAD_AMOUNT,
    BAD_DEADLINES,
    BAD_VOTE,
    HELD,
    HOLD_CLOSED,
    INSUFFICIENT_FUNDS,
    ISSUANCE,
    KIND_DECISION,
    KIND_EXPIRE,
    KIND_HOLD,
    KIND_ISSUE,
    KIND_POST,
    KIND_STAKE,
    KIND_TRANSFER,
    KIND_UNSTAKE,
    KIND_VOID,
    NOBODY,
    OK,
    SAME_ACCOUNT,
    SUPPLY_EXCEEDED,
    TOO_EARLY,
    TOO_LATE,
    UNKNOWN_ACTOR,
    UNKNOWN_ASSET,
    UNKNOWN_HOLD,
    VERDICT_ACCEPTED,
    VERDICT_REJECTED,
    WRONG_ACTOR,
)
from contracts_model.kernels.codes import (
    STAKED as ACCOUNT_STAKED,
)
from contracts_model.kernels.layout import (
    ACTORS,
    ASSETS,
    CLOCK,
    CLOSED,
    CREATED,
    FREE,
    HOLDS,
    ISSUER,
    POOL,
    STAKED,
    SUPPLY,
    Ints,
    Tables,
    check_message,
    check_time,
    room,
    stamp,
    write,
    write_digest,
)
from contracts_model.outcomes import MAX_AMOUNT, MAX_TIME


@kernel
def issue(t: Tables, now: int, issuer: int, nonce: int, asset: int, to: int, amount: int) -> int:
    """Create `amount` minor units for actor `to`; the asset's issuer alone may."""
    code = check_message(t, now, issuer, nonce)
    if code != OK:
        return code
    if asset < 0 or asset >= t.counters[ASSETS]:
        return UNKNOWN_ASSET
    if to < 0 or to >= t.counters[ACTORS]:
        return UNKNOWN_ACTOR
    if t.assets[asset, ISSUER] != issuer:
        return WRONG_ACTOR
    if amount <= 0 or amount > MAX_AMOUNT:
        return BAD_AMOUNT
    if t.assets[asset, SUPPLY] > MAX_AMOUNT - amount:
        return SUPPLY_EXCEEDED
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, issuer, nonce)
    t.assets[asset, SUPPLY] += amount
    t.balances[to, asset, FREE] += amount
    write(t, now, KIND_ISSUE, NOBODY, asset, 0, ISSUANCE, to, amount, used)
    return OK


@helper
def check_payment(t: Tables, debtor: int, asset: int, amount: int) -> int:
    """Check that `debtor` can give a positive `amount` of `asset` out of its free balance."""
    if asset < 0 or asset >= t.counters[ASSETS]:
        return UNKNOWN_ASSET
    if amount <= 0 or amount > MAX_AMOUNT:
        return BAD_AMOUNT
    if t.balances[debtor, asset, FREE] < amount:
        return INSUFFICIENT_FUNDS
    return OK


@kernel
def transfer(t: Tables, now: int, debtor: int, nonce: int, creditor: int, asset: int, amount: int) -> int:
    """Move `amount` from the signer's free balance to another actor's."""
    code = check_message(t, now, debtor, nonce)
    if code != OK:
        return code
    if creditor < 0 or creditor >= t.counters[ACTORS]:
        return UNKNOWN_ACTOR
    if creditor == debtor:
        return SAME_ACCOUNT
    code = check_payment(t, debtor, asset, amount)
    if code != OK:
        return code
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, debtor, nonce)
    t.balances[debtor, asset, FREE] -= amount
    t.balances[creditor, asset, FREE] += amount
    write(t, now, KIND_TRANSFER, NOBODY, asset, 0, debtor, creditor, amount, used)
    return OK


@kernel
def hold(
    t: Tables, now: int, debtor: int, nonce: int, creditor: int, controller: int, asset: int, amount: int, expires: int
) -> int:
    """Set an amount aside (first phase); the number of the hold is left in `counters[CREATED]`."""
    code = check_message(t, now, debtor, nonce)
    if code != OK:
        return code
    if creditor < 0 or creditor >= t.counters[ACTORS] or controller < 0 or controller >= t.counters[ACTORS]:
        return UNKNOWN_ACTOR
    if creditor == debtor:
        return SAME_ACCOUNT
    if expires <= now or expires > MAX_TIME:
        return BAD_DEADLINES
    code = check_payment(t, debtor, asset, amount)
    if code != OK:
        return code
    code = room(t, 1, 0, 0, 1, 0, 0)
    if code != OK:
        return code
    stamp(t, now, debtor, nonce)
    at = t.counters[HOLDS]
    row = t.holds[at]
    row["amount"] = amount
    row["expires"] = expires
    row["debtor"] = debtor
    row["creditor"] = creditor
    row["controller"] = controller
    row["asset"] = asset
    t.counters[HOLDS] = at + 1
    t.counters[CREATED] = at
    t.balances[debtor, asset, FREE] -= amount
    write(t, now, KIND_HOLD, NOBODY, asset, 0, debtor, HELD, amount, at)
    return OK


@helper
def check_hold(t: Tables, hold_idx: int) -> int:
    """`OK` for a hold that is still open."""
    if hold_idx < 0 or hold_idx >= t.counters[HOLDS]:
        return UNKNOWN_HOLD
    if t.holds[hold_idx]["amount"] == CLOSED:
        return HOLD_CLOSED
    return OK


@helper
def close_hold(t: Tables, now: int, hold_idx: int, kind: int, posted: int) -> None:
    """Give `posted` to the creditor and the rest back to the debtor."""
    row = t.holds[hold_idx]
    asset = row["asset"]
    back = row["amount"] - posted
    if posted > 0:
        t.balances[row["creditor"], asset, FREE] += posted
        write(t, now, KIND_POST, NOBODY, asset, 0, HELD, row["creditor"], posted, hold_idx)
    if back > 0:
        t.balances[row["debtor"], asset, FREE] += back
        write(t, now, kind, NOBODY, asset, 1, HELD, row["debtor"], back, hold_idx)
    row["amount"] = CLOSED


@kernel
def post(t: Tables, now: int, controller: int, nonce: int, hold_idx: int, amount: int) -> int:
    """Second phase: the controller posts `amount` of a hold before it expires; what is left returns to the debtor."""
    code = check_message(t, now, controller, nonce)
    if code != OK:
        return code
    code = check_hold(t, hold_idx)
    if code != OK:
        return code
    row = t.holds[hold_idx]
    if row["controller"] != controller:
        return WRONG_ACTOR
    if now >= row["expires"]:
        return TOO_LATE
    if amount <= 0 or amount > row["amount"]:
        return BAD_AMOUNT
    code = room(t, 2, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    stamp(t, now, controller, nonce)
    close_hold(t, now, hold_idx, KIND_VOID, amount)
    return OK


@kernel
def void(t: Tables, now: int, actor: int, nonce: int, hold_idx: int) -> int:
    """Second phase: controller or creditor gives the whole amount back."""
    code = check_message(t, now, actor, nonce)
    if code != OK:
        return code
    code = check_hold(t, hold_idx)
    if code != OK:
        return code
    row = t.holds[hold_idx]
    if actor != row["controller"] and actor != row["creditor"]:
        return WRONG_ACTOR
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    stamp(t, now, actor, nonce)
    close_hold(t, now, hold_idx, KIND_VOID, 0)
    return OK


@kernel
def expire(t: Tables, now: int, hold_idx: int) -> int:
    """Anybody returns a hold whose time is over; disjoint with `post` also at the boundary instant."""
    code = check_time(t, now)
    if code != OK:
        return code
    code = check_hold(t, hold_idx)
    if code != OK:
        return code
    if now < t.holds[hold_idx]["expires"]:
        return TOO_EARLY
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    t.counters[CLOCK] = now
    close_hold(t, now, hold_idx, KIND_EXPIRE, 0)
    return OK


@kernel
def stake(t: Tables, now: int, validator: int, nonce: int, asset: int, amount: int) -> int:
    """Put free money at stake.

    The first stake of an actor makes it a validator. `nonces` and `pool` are sized together by the caller.
    """
    code = check_message(t, now, validator, nonce)
    if code != OK:
        return code
    code = check_payment(t, validator, asset, amount)
    if code != OK:
        return code
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, validator, nonce)
    known = False
    for at in range(t.counters[POOL]):
        if t.pool[at] == validator:
            known = True
            break
    if not known:
        t.pool[t.counters[POOL]] = validator
        t.counters[POOL] += 1
    t.balances[validator, asset, FREE] -= amount
    t.balances[validator, asset, STAKED] += amount
    write(t, now, KIND_STAKE, NOBODY, asset, 0, validator, ACCOUNT_STAKED, amount, used)
    return OK


@kernel
def unstake(t: Tables, now: int, validator: int, nonce: int, asset: int, amount: int) -> int:
    """Take stake back that no seat binds (a seat's stake lies in the pot of its escrow, out of reach)."""
    code = check_message(t, now, validator, nonce)
    if code != OK:
        return code
    if asset < 0 or asset >= t.counters[ASSETS]:
        return UNKNOWN_ASSET
    if amount <= 0 or amount > MAX_AMOUNT:
        return BAD_AMOUNT
    if t.balances[validator, asset, STAKED] < amount:
        return INSUFFICIENT_FUNDS
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, validator, nonce)
    t.balances[validator, asset, STAKED] -= amount
    t.balances[validator, asset, FREE] += amount
    write(t, now, KIND_UNSTAKE, NOBODY, asset, 0, ACCOUNT_STAKED, validator, amount, used)
    return OK


@kernel
def decide(t: Tables, now: int, oracle: int, nonce: int, verdict: int, subjects: Ints, subject_row: int) -> int:
    """Note a trusted oracle's decision on a subject; that it is the first one is for the caller to check."""
    code = check_message(t, now, oracle, nonce)
    if code != OK:
        return code
    if verdict != VERDICT_ACCEPTED and verdict != VERDICT_REJECTED:
        return BAD_VOTE
    code = room(t, 1, 0, 0, 0, 0, 0)
    if code != OK:
        return code
    used = stamp(t, now, oracle, nonce)
    write(t, now, KIND_DECISION, NOBODY, 0, verdict, oracle, NOBODY, 0, used)
    write_digest(t, subjects, subject_row)
    return OK
