"""The enumerations of `outcomes` as plain integers: a compiled function takes constants, not members of an enumeration."""

from __future__ import annotations

from typing import Final

from contracts_model.outcomes import (
    DIGEST_KINDS,
    Account,
    Kind,
    Outcome,
    Side,
    State,
    Verdict,
)

OK: Final = int(Outcome.OK)
BAD_TIME: Final = int(Outcome.BAD_TIME)
TIME_REVERSED: Final = int(Outcome.TIME_REVERSED)
BAD_AMOUNT: Final = int(Outcome.BAD_AMOUNT)
BAD_DEADLINES: Final = int(Outcome.BAD_DEADLINES)
BAD_PARTIES: Final = int(Outcome.BAD_PARTIES)
DUPLICATE_PARTY: Final = int(Outcome.DUPLICATE_PARTY)
DUES_DO_NOT_ADD_UP: Final = int(Outcome.DUES_DO_NOT_ADD_UP)
ROLE_CONFLICT: Final = int(Outcome.ROLE_CONFLICT)
BAD_VOTE: Final = int(Outcome.BAD_VOTE)
UNKNOWN_ASSET: Final = int(Outcome.UNKNOWN_ASSET)
UNKNOWN_ACTOR: Final = int(Outcome.UNKNOWN_ACTOR)
UNKNOWN_ESCROW: Final = int(Outcome.UNKNOWN_ESCROW)
UNKNOWN_TERMS: Final = int(Outcome.UNKNOWN_TERMS)
UNKNOWN_HOLD: Final = int(Outcome.UNKNOWN_HOLD)
WRONG_ACTOR: Final = int(Outcome.WRONG_ACTOR)
NOT_A_PAYER: Final = int(Outcome.NOT_A_PAYER)
NOT_ON_PANEL: Final = int(Outcome.NOT_ON_PANEL)
BAD_NONCE: Final = int(Outcome.BAD_NONCE)
NONCE_REPLAYED: Final = int(Outcome.NONCE_REPLAYED)
INSUFFICIENT_FUNDS: Final = int(Outcome.INSUFFICIENT_FUNDS)
SUPPLY_EXCEEDED: Final = int(Outcome.SUPPLY_EXCEEDED)
OVERFUNDED: Final = int(Outcome.OVERFUNDED)
SAME_ACCOUNT: Final = int(Outcome.SAME_ACCOUNT)
WRONG_STATE: Final = int(Outcome.WRONG_STATE)
TOO_EARLY: Final = int(Outcome.TOO_EARLY)
TOO_LATE: Final = int(Outcome.TOO_LATE)
ALREADY_ACCEPTED: Final = int(Outcome.ALREADY_ACCEPTED)
ALREADY_COMMITTED: Final = int(Outcome.ALREADY_COMMITTED)
ALREADY_REVEALED: Final = int(Outcome.ALREADY_REVEALED)
HOLD_CLOSED: Final = int(Outcome.HOLD_CLOSED)
WRONG_CONDITION: Final = int(Outcome.WRONG_CONDITION)
WRONG_EVIDENCE: Final = int(Outcome.WRONG_EVIDENCE)
WRONG_REVEAL: Final = int(Outcome.WRONG_REVEAL)
CONDITION_NOT_FINAL: Final = int(Outcome.CONDITION_NOT_FINAL)
NO_PANEL: Final = int(Outcome.NO_PANEL)
NO_ROOM: Final = int(Outcome.NO_ROOM)

STATE_OFFERED: Final = int(State.OFFERED)
STATE_ACTIVE: Final = int(State.ACTIVE)
STATE_CLAIMED: Final = int(State.CLAIMED)
STATE_VOTING: Final = int(State.VOTING)
STATE_APPEALABLE: Final = int(State.APPEALABLE)
STATE_REPLAY: Final = int(State.REPLAY)
STATE_PAID: Final = int(State.PAID)
STATE_REFUNDED: Final = int(State.REFUNDED)
STATE_SLASHED: Final = int(State.SLASHED)
STATE_CLOSED: Final = int(State.CLOSED)

VERDICT_NOT_FINAL: Final = int(Verdict.NOT_FINAL)
VERDICT_ACCEPTED: Final = int(Verdict.ACCEPTED)
VERDICT_REJECTED: Final = int(Verdict.REJECTED)

KIND_ISSUE: Final = int(Kind.ISSUE)
KIND_TRANSFER: Final = int(Kind.TRANSFER)
KIND_HOLD: Final = int(Kind.HOLD)
KIND_POST: Final = int(Kind.POST)
KIND_VOID: Final = int(Kind.VOID)
KIND_EXPIRE: Final = int(Kind.EXPIRE)
KIND_STAKE: Final = int(Kind.STAKE)
KIND_UNSTAKE: Final = int(Kind.UNSTAKE)
KIND_OPEN: Final = int(Kind.OPEN)
KIND_PROMISE_FEE: Final = int(Kind.PROMISE_FEE)
KIND_PROMISE_COLLATERAL: Final = int(Kind.PROMISE_COLLATERAL)
KIND_PROMISE_PAYER: Final = int(Kind.PROMISE_PAYER)
KIND_PROMISE_PAYEE: Final = int(Kind.PROMISE_PAYEE)
KIND_PLANT: Final = int(Kind.PLANT)
KIND_FUND: Final = int(Kind.FUND)
KIND_ACCEPT: Final = int(Kind.ACCEPT)
KIND_RESERVE: Final = int(Kind.RESERVE)
KIND_BOND: Final = int(Kind.BOND)
KIND_BOND_FROM_RESERVE: Final = int(Kind.BOND_FROM_RESERVE)
KIND_SEAT: Final = int(Kind.SEAT)
KIND_CLAIM: Final = int(Kind.CLAIM)
KIND_EVIDENCE: Final = int(Kind.EVIDENCE)
KIND_COMMIT: Final = int(Kind.COMMIT)
KIND_REVEAL: Final = int(Kind.REVEAL)
KIND_TALLY: Final = int(Kind.TALLY)
KIND_TO_REPLAY: Final = int(Kind.TO_REPLAY)
KIND_FINAL: Final = int(Kind.FINAL)
KIND_DECISION: Final = int(Kind.DECISION)
KIND_PAY: Final = int(Kind.PAY)
KIND_FEE: Final = int(Kind.FEE)
KIND_REFUND: Final = int(Kind.REFUND)
KIND_COLLATERAL_BACK: Final = int(Kind.COLLATERAL_BACK)
KIND_COLLATERAL_LOST: Final = int(Kind.COLLATERAL_LOST)
KIND_RESERVE_BACK: Final = int(Kind.RESERVE_BACK)
KIND_BOND_BACK: Final = int(Kind.BOND_BACK)
KIND_BOND_WON: Final = int(Kind.BOND_WON)
KIND_SEAT_BACK: Final = int(Kind.SEAT_BACK)
KIND_SEAT_REWARD: Final = int(Kind.SEAT_REWARD)
KIND_SEAT_LOST: Final = int(Kind.SEAT_LOST)
KIND_JUROR_FEE: Final = int(Kind.JUROR_FEE)
KIND_SETTLED: Final = int(Kind.SETTLED)

NOBODY: Final = int(Account.NOBODY)
ISSUANCE: Final = int(Account.ISSUANCE)
POT_PRICE: Final = int(Account.POT_PRICE)
POT_COLLATERAL: Final = int(Account.POT_COLLATERAL)
POT_RESERVE: Final = int(Account.POT_RESERVE)
POT_BONDS: Final = int(Account.POT_BONDS)
POT_SEATS: Final = int(Account.POT_SEATS)
HELD: Final = int(Account.HELD)
STAKED: Final = int(Account.STAKED)

SIDE_NONE: Final = int(Side.NONE)
SIDE_PERFORMER: Final = int(Side.PERFORMER)
SIDE_CHALLENGER: Final = int(Side.CHALLENGER)

# how a seat stands when its case ends
STANDING_RIGHT: Final = 1
STANDING_NEUTRAL: Final = 0
STANDING_WRONG: Final = -1

DIGEST_KIND_BITS: Final = sum(1 << int(kind) for kind in DIGEST_KINDS)
"""Bit k is set for the entry kind k that carries a digest; all of these kinds are below 63."""
