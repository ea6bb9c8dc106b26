"""Every answer that an operation can give, every state of an escrow, every kind of journal entry.

An expected refusal is a named outcome and never an exception: whoever drives a million contracts wants to count them, and a
refused operation changes nothing. The numbers are part of the journal's format: append, never renumber.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class Outcome(IntEnum):
    """What became of an operation; `OK` alone changed something."""

    OK = 0
    # arguments
    NOT_AN_INTEGER = 1
    NUMBER_OUT_OF_RANGE = 2
    BAD_TIME = 3
    TIME_REVERSED = 4
    BAD_AMOUNT = 5
    BAD_DIGEST = 6
    BAD_TERMS = 7
    BAD_DEADLINES = 8
    BAD_PARTIES = 9
    DUPLICATE_PARTY = 10
    DUES_DO_NOT_ADD_UP = 11
    ROLE_CONFLICT = 12
    BAD_VOTE = 13
    # things that do not exist
    UNKNOWN_ASSET = 20
    UNKNOWN_ACTOR = 21
    UNKNOWN_ESCROW = 22
    UNKNOWN_TERMS = 23
    UNKNOWN_HOLD = 24
    UNKNOWN_EVIDENCE = 25
    # authority
    WRONG_ACTOR = 30
    NOT_A_PAYER = 31
    NOT_ON_PANEL = 32
    BAD_NONCE = 33
    NONCE_REPLAYED = 34
    REENTRANT_CALL = 35
    # money
    INSUFFICIENT_FUNDS = 40
    SUPPLY_EXCEEDED = 41
    OVERFUNDED = 42
    SAME_ACCOUNT = 43
    # states and times
    WRONG_STATE = 50
    TOO_EARLY = 51
    TOO_LATE = 52
    ALREADY_ACCEPTED = 53
    ALREADY_COMMITTED = 54
    ALREADY_REVEALED = 55
    ALREADY_DECIDED = 56
    HOLD_CLOSED = 57
    # judgement
    WRONG_CONDITION = 60
    WRONG_EVIDENCE = 61
    WRONG_REVEAL = 62
    CONDITION_REJECTED = 63
    CONDITION_NOT_FINAL = 64
    NO_PANEL = 65
    CONDITION_TOO_DEEP = 66
    CONDITION_TOO_WIDE = 67
    CONDITION_MALFORMED = 68
    UNKNOWN_ARBITER = 69
    ARBITER_INVALID = 70
    WRONG_OBLIGATION = 71
    # internal: a table is full; the caller makes room and repeats, nobody outside sees it
    NO_ROOM = 99


class State(IntEnum):
    """Where an escrow stands; the last four are terminal and hold nothing."""

    OFFERED = 1
    ACTIVE = 2
    CLAIMED = 3
    VOTING = 4
    APPEALABLE = 5
    REPLAY = 6
    PAID = 7
    REFUNDED = 8
    SLASHED = 9
    CLOSED = 10


TERMINAL_STATES: Final = frozenset({State.PAID, State.REFUNDED, State.SLASHED, State.CLOSED})


class Verdict(IntEnum):
    """What an arbiter, a validator or a panel says. `NOT_FINAL` is silence: it is never a rejection."""

    NOT_FINAL = 0
    ACCEPTED = 1
    REJECTED = 2


class Kind(IntEnum):
    """What a journal entry records. The first group is ledger, then promises, moves into pots, facts, moves out of pots."""

    ISSUE = 1
    TRANSFER = 2
    HOLD = 3
    POST = 4
    VOID = 5
    EXPIRE = 6
    STAKE = 7
    UNSTAKE = 8
    TERMS = 9
    ASSET = 10
    # promises: nothing moves yet
    OPEN = 20
    PROMISE_FEE = 21
    PROMISE_COLLATERAL = 22
    PROMISE_PAYER = 23
    PROMISE_PAYEE = 24
    PLANT = 25
    # into the pots of one escrow
    FUND = 30
    ACCEPT = 31
    RESERVE = 32
    BOND = 33
    BOND_FROM_RESERVE = 34
    SEAT = 35
    # facts: nothing moves
    CLAIM = 40
    EVIDENCE = 41
    COMMIT = 42
    REVEAL = 43
    TALLY = 44
    TO_REPLAY = 45
    FINAL = 46
    DECISION = 47
    # out of the pots
    PAY = 60
    FEE = 61
    REFUND = 62
    COLLATERAL_BACK = 63
    COLLATERAL_LOST = 64
    RESERVE_BACK = 65
    BOND_BACK = 66
    BOND_WON = 67
    SEAT_BACK = 68
    SEAT_REWARD = 69
    SEAT_LOST = 70
    JUROR_FEE = 71
    SETTLED = 72


DIGEST_KINDS: Final = frozenset({Kind.TERMS, Kind.OPEN, Kind.PLANT, Kind.CLAIM, Kind.EVIDENCE, Kind.COMMIT, Kind.DECISION})
"""Entries of these kinds carry a SHA-256 digest, in the order of the entries."""


class Account(IntEnum):
    """Sides of an entry that are no actor (actors are numbered from 0)."""

    NOBODY = -1
    ISSUANCE = -2
    POT_PRICE = -3
    POT_COLLATERAL = -4
    POT_RESERVE = -5
    POT_BONDS = -6
    POT_SEATS = -7
    HELD = -8
    STAKED = -9


class Side(IntEnum):
    """Sides of a dispute."""

    NONE = 0
    PERFORMER = 1
    CHALLENGER = 2


class Result(NamedTuple):
    """Outcome of an operation that creates something, and the number of what it created (-1 when refused)."""

    outcome: Outcome
    idx: int


NEXT_NONCE: Final = 0
"""Nonce of a caller who holds the actor's session: the ledger numbers the message itself."""

MAX_AMOUNT: Final = 1 << 61
"""Largest amount and largest supply of an asset, minor units; the sum of two such amounts still fits into 64 bits."""

MAX_TIME: Final = 1 << 60
"""Largest instant; phase lengths are at most `MAX_PHASE`, so that no deadline can overflow."""

MAX_PHASE: Final = 1 << 40
MAX_PARTIES: Final = 1024
MAX_ROUNDS: Final = 5
MAX_PANEL: Final = 63
MAX_ASSETS: Final = 255
PPM: Final = 1_000_000
BLOCK_ENTRIES: Final = 4096
