"""The tables that every operation works on, and the one function that writes a journal entry.

An entry of the journal has nine numbers. `debit` and `credit` are actors (from 0) or one of the negative accounts of
`outcomes.Account`; an entry with one side `NOBODY` is a promise or a fact and moves nothing. `leg` tells entries of one
operation apart: position of the party, round or side. Operations write the numbers column by column into the journal's tail,
so that a full block can be packed column by column.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    BAD_NONCE,
    BAD_TIME,
    NO_ROOM,
    NONCE_REPLAYED,
    OK,
    TIME_REVERSED,
    UNKNOWN_ACTOR,
)
from contracts_model.outcomes import MAX_TIME, NEXT_NONCE

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]

ENTRY: Final = np.dtype(
    [
        ("time", "<i8"),
        ("escrow", "<i4"),
        ("kind", "u1"),
        ("asset", "u1"),
        ("leg", "<u2"),
        ("debit", "<i4"),
        ("credit", "<i4"),
        ("amount", "<i8"),
        ("reference", "<i8"),
    ]
)
"""A row of the journal as it is read."""

JOURNAL_COLUMNS: Final = 9
"""Fields of `ENTRY`, in their order: rows of `Tables.journal`."""

PACKED_HEAD_BYTES: Final = 16 * JOURNAL_COLUMNS
"""A packed block opens with least value and width of every column."""

TERMS: Final = np.dtype(
    [
        (name, "<i8")
        for name in (
            "asset",
            "bond_asset",
            "fee_account",
            "treasury",
            "challenge_window",
            "commit_window",
            "reveal_window",
            "appeal_window",
            "replay_window",
            "panel",
            "rounds",
            "seat_stake",
            "juror_fee",
            "bond",
            "bond_growth",
            "challenger_ppm",
            "reserve_appeals",
        )
    ]
)

ESCROW: Final = np.dtype(
    [
        (name, "<i8")
        for name in (
            "state",
            "price",
            "fee",
            "collateral",
            "accept_by",
            "claim_by",
            "claimed_at",
            "commit_end",
            "deadline",
            "pot_price",
            "pot_collateral",
            "pot_reserve_performer",
            "pot_reserve_challenger",
            "pot_bonds",
            "pot_seats",
            "terms",
            "performer",
            "challenger",
            "first_party",
            "payers",
            "payees",
            "first_round",
            "accepted",
            "bonds",
            "votes",
            "ruling",
            "final",
            "planted",
        )
    ]
)
"""One width for all: mixed widths would make numba compile every function once more for each mixture."""

PARTY: Final = np.dtype([(name, "<i8") for name in ("value", "paid", "actor")])
"""A payer (value: due) or a payee (value: weight)."""

HOLD: Final = np.dtype([(name, "<i8") for name in ("amount", "expires", "debtor", "creditor", "controller", "asset")])
"""A two-phase transfer."""

CLOSED: Final = -1
"""Amount of a hold that is posted, voided or expired."""

ROUND: Final = np.dtype([(name, "<i8") for name in ("bond", "poster", "side", "first_seat", "seats")])
"""A bond that opened a round of votes or the replay; the round's panel."""

SEAT: Final = np.dtype([(name, "<i8") for name in ("d0", "d1", "d2", "d3", "juror", "committed", "revealed", "vote")])
"""A validator on a panel; d0 to d3 are the digest of its sealed vote."""

# columns of `balances`
FREE: Final = 0
STAKED: Final = 1
# columns of `assets`
ISSUER: Final = 0
SUPPLY: Final = 1

# positions in `counters`
CLOCK: Final = 0
SEED: Final = 1
CREATED: Final = 2
ENTRIES: Final = 3
DIGESTS: Final = 4
ACTORS: Final = 5
ASSETS: Final = 6
TERMS_COUNT: Final = 7
ESCROWS: Final = 8
PARTIES: Final = 9
HOLDS: Final = 10
ROUNDS: Final = 11
SEATS: Final = 12
POOL: Final = 13
NEED_ENTRIES: Final = 14
NEED_ESCROWS: Final = 15
NEED_PARTIES: Final = 16
NEED_HOLDS: Final = 17
NEED_ROUNDS: Final = 18
NEED_SEATS: Final = 19
EPOCH: Final = 20
COUNTERS: Final = 21


class Tables(NamedTuple):
    """Whole state of a book; arrays are replaced by longer ones when they are full. A row that was never used holds zeros."""

    counters: Ints
    balances: Ints
    """Shape (actors, assets, 2): free and staked amounts."""
    nonces: Ints
    assets: Ints
    """Shape (assets, 2): issuer and supply."""
    terms: Rows
    escrows: Rows
    conditions: Ints
    """Shape (escrows, 4): digest of the condition."""
    claims: Ints
    """Shape (escrows, 4): digest of the claim, zero before one is made."""
    answers: Ints
    """Shape (escrows, 4): digest of the known answer of a planted case."""
    parties: Rows
    holds: Rows
    rounds: Rows
    seats: Rows
    pool: Ints
    """Validators in the order of their first stake."""
    scratch: Ints
    """Room for the draw of a panel, as long as the pool."""
    marks: Ints
    """Number of the draw (`counters[EPOCH]`) that an actor may not take part in."""
    journal: Ints
    """Shape (9, entries): tail of the journal, one row for each field of `ENTRY`."""
    digests: Ints
    """Shape (entries, 4): digests of the tail's entries."""


@helper
def write(
    t: Tables, now: int, kind: int, escrow: int, asset: int, leg: int, debit: int, credit: int, amount: int, reference: int
) -> None:
    """Append one entry to the journal's tail; the caller has made sure of the room."""
    at = t.counters[ENTRIES]
    t.journal[0, at] = now
    t.journal[1, at] = escrow
    t.journal[2, at] = kind
    t.journal[3, at] = asset
    t.journal[4, at] = leg
    t.journal[5, at] = debit
    t.journal[6, at] = credit
    t.journal[7, at] = amount
    t.journal[8, at] = reference
    t.counters[ENTRIES] = at + 1


@helper
def write_digest(t: Tables, digests: Ints, row_idx: int) -> None:
    """Append row `row_idx` of `digests`, shape (n, 4), to the digests of the journal's tail."""
    at = t.counters[DIGESTS]
    for word in range(4):
        t.digests[at, word] = digests[row_idx, word]
    t.counters[DIGESTS] = at + 1


@helper
def same_digest(left: Ints, left_idx: int, right: Ints, right_idx: int) -> bool:
    """Tell whether two rows of digests are equal."""
    differing = 0
    for word in range(4):
        differing |= left[left_idx, word] ^ right[right_idx, word]
    return differing == 0


@helper
def check_time(t: Tables, now: int) -> int:
    """`OK`, `BAD_TIME` or `TIME_REVERSED`: the book's time never runs backwards."""
    if now < 0 or now > MAX_TIME:
        return BAD_TIME
    if now < t.counters[CLOCK]:
        return TIME_REVERSED
    return OK


@helper
def check_message(t: Tables, now: int, actor: int, nonce: int) -> int:
    """Check time, actor and nonce of a signed message; a used or older nonce is refused."""
    code = check_time(t, now)
    if code != OK:
        return code
    if actor < 0 or actor >= t.counters[ACTORS]:
        return UNKNOWN_ACTOR
    if nonce < 0 or nonce > MAX_TIME:
        return BAD_NONCE
    if nonce != NEXT_NONCE and nonce <= t.nonces[actor]:
        return NONCE_REPLAYED
    if t.nonces[actor] >= MAX_TIME:
        return BAD_NONCE
    return OK


@helper
def stamp(t: Tables, now: int, actor: int, nonce: int) -> int:
    """Consume the nonce of an accepted message, move the clock; returns the nonce that the journal records."""
    used = nonce if nonce != NEXT_NONCE else t.nonces[actor] + 1
    t.nonces[actor] = used
    t.counters[CLOCK] = now
    return used


@helper
def room(t: Tables, entries: int, escrows: int, parties: int, holds: int, rounds: int, seats: int) -> int:
    """`OK`, or `NO_ROOM` with the wanted rows noted for the caller, before anything has changed."""
    c = t.counters
    if (
        c[ENTRIES] + entries <= t.journal.shape[1]
        and c[DIGESTS] + 1 <= t.digests.shape[0]
        and c[ESCROWS] + escrows <= t.escrows.shape[0]
        and c[PARTIES] + parties <= t.parties.shape[0]
        and c[HOLDS] + holds <= t.holds.shape[0]
        and c[ROUNDS] + rounds <= t.rounds.shape[0]
        and c[SEATS] + seats <= t.seats.shape[0]
    ):
        return OK
    c[NEED_ENTRIES] = entries
    c[NEED_ESCROWS] = escrows
    c[NEED_PARTIES] = parties
    c[NEED_HOLDS] = holds
    c[NEED_ROUNDS] = rounds
    c[NEED_SEATS] = seats
    return NO_ROOM


@kernel
def share(total: int, part: int, whole: int) -> int:
    """Floor of total * part / whole for 0 <= part <= whole.

    Exact beyond 64 bits (double-and-add where the product would overflow).
    """
    if total < 2147483648 and part < 2147483648:
        return total * part // whole
    quotient = 0
    rest = 0
    for bit in range(61, -1, -1):
        quotient = quotient * 2
        rest = rest * 2
        if rest >= whole:
            rest -= whole
            quotient += 1
        if (total >> bit) & 1:
            rest += part
            if rest >= whole:
                rest -= whole
                quotient += 1
    return quotient


def empty_tables(seed: int) -> dict[str, Any]:
    """Arrays of a new book, small; `store.Store` lengthens them."""
    counters = np.zeros(COUNTERS, np.int64)
    counters[SEED] = seed
    return {
        "counters": counters,
        "balances": np.zeros((16, 4, 2), np.int64),
        "nonces": np.zeros(16, np.int64),
        "assets": np.zeros((4, 2), np.int64),
        "terms": np.zeros(4, TERMS),
        "escrows": np.zeros(64, ESCROW),
        "conditions": np.zeros((64, 4), np.int64),
        "claims": np.zeros((64, 4), np.int64),
        "answers": np.zeros((64, 4), np.int64),
        "parties": np.zeros(256, PARTY),
        "holds": np.zeros(16, HOLD),
        "rounds": np.zeros(16, ROUND),
        "seats": np.zeros(64, SEAT),
        "pool": np.zeros(16, np.int64),
        "scratch": np.zeros(16, np.int64),
        "marks": np.zeros(16, np.int64),
    }
