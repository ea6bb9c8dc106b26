"""Loops over columns: the same operations, row after row.

Each returns the row it stopped at for want of room, or the number of rows. `nonces` of length 0 means that every row is
numbered by the ledger. A refused row leaves its outcome and nothing else.
"""

from __future__ import annotations

from typing import Final

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import (
    NO_ROOM,
    OK,
    STATE_ACTIVE,
    STATE_APPEALABLE,
    STATE_CLAIMED,
    STATE_OFFERED,
    STATE_REPLAY,
    STATE_VOTING,
    UNKNOWN_ESCROW,
    WRONG_STATE,
)
from contracts_model.kernels.dispute import appeal, challenge, plant
from contracts_model.kernels.escrow import accept, claim, collect, fund, open_escrow, reclaim
from contracts_model.kernels.layout import CREATED, ESCROWS, Ints, Tables
from contracts_model.kernels.ledger import expire, hold, issue, post, stake, transfer, unstake, void
from contracts_model.kernels.verdict import execute, lapse, replay
from contracts_model.kernels.voting import commit, reveal, submit_evidence, tally
from contracts_model.outcomes import NEXT_NONCE

ADVANCE: Final = 0
RECLAIM: Final = 1
TALLY: Final = 2
EXECUTE: Final = 3
LAPSE: Final = 4


@helper
def nonce_at(nonces: Ints, i: int) -> int:
    """Nonce of a row."""
    if len(nonces) == 0:
        return NEXT_NONCE
    used: int = nonces[i]
    return used


@kernel
def issue_many(
    t: Tables, start: int, now: int, issuers: Ints, nonces: Ints, assets: Ints, to: Ints, amounts: Ints, outcomes: Ints
) -> int:
    """Loop of `ledger.issue`."""
    for i in range(start, len(outcomes)):
        code = issue(t, now, issuers[i], nonce_at(nonces, i), assets[i], to[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def transfer_many(
    t: Tables, start: int, now: int, debtors: Ints, nonces: Ints, creditors: Ints, assets: Ints, amounts: Ints, outcomes: Ints
) -> int:
    """Loop of `ledger.transfer`."""
    for i in range(start, len(outcomes)):
        code = transfer(t, now, debtors[i], nonce_at(nonces, i), creditors[i], assets[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def hold_many(
    t: Tables,
    start: int,
    now: int,
    debtors: Ints,
    nonces: Ints,
    creditors: Ints,
    controllers: Ints,
    assets: Ints,
    amounts: Ints,
    expiries: Ints,
    outcomes: Ints,
    created: Ints,
) -> int:
    """Loop of `ledger.hold`; `created` receives the numbers of the holds, -1 where refused."""
    for i in range(start, len(outcomes)):
        code = hold(t, now, debtors[i], nonce_at(nonces, i), creditors[i], controllers[i], assets[i], amounts[i], expiries[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
        created[i] = t.counters[CREATED] if code == OK else -1
    return len(outcomes)


@kernel
def post_many(
    t: Tables, start: int, now: int, controllers: Ints, nonces: Ints, holds: Ints, amounts: Ints, outcomes: Ints
) -> int:
    """Loop of `ledger.post`."""
    for i in range(start, len(outcomes)):
        code = post(t, now, controllers[i], nonce_at(nonces, i), holds[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def void_many(t: Tables, start: int, now: int, actors: Ints, nonces: Ints, holds: Ints, outcomes: Ints) -> int:
    """Loop of `ledger.void`."""
    for i in range(start, len(outcomes)):
        code = void(t, now, actors[i], nonce_at(nonces, i), holds[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def expire_many(t: Tables, start: int, now: int, holds: Ints, outcomes: Ints) -> int:
    """Loop of `ledger.expire`."""
    for i in range(start, len(outcomes)):
        code = expire(t, now, holds[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def stake_many(
    t: Tables, start: int, now: int, validators: Ints, nonces: Ints, assets: Ints, amounts: Ints, outcomes: Ints
) -> int:
    """Loop of `ledger.stake`."""
    for i in range(start, len(outcomes)):
        code = stake(t, now, validators[i], nonce_at(nonces, i), assets[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def unstake_many(
    t: Tables, start: int, now: int, validators: Ints, nonces: Ints, assets: Ints, amounts: Ints, outcomes: Ints
) -> int:
    """Loop of `ledger.unstake`."""
    for i in range(start, len(outcomes)):
        code = unstake(t, now, validators[i], nonce_at(nonces, i), assets[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def open_many(
    t: Tables,
    start: int,
    now: int,
    openers: Ints,
    nonces: Ints,
    terms: Ints,
    performers: Ints,
    prices: Ints,
    fees: Ints,
    collaterals: Ints,
    accept_by: Ints,
    claim_by: Ints,
    payers: Ints,
    dues: Ints,
    payer_start: Ints,
    payees: Ints,
    weights: Ints,
    payee_start: Ints,
    conditions: Ints,
    outcomes: Ints,
    created: Ints,
) -> int:
    """Loop of `escrow.open_escrow`; payers of row i are payer_start[i]..payer_start[i + 1], payees likewise."""
    for i in range(start, len(outcomes)):
        code = open_escrow(
            t,
            now,
            openers[i],
            nonce_at(nonces, i),
            terms[i],
            performers[i],
            prices[i],
            fees[i],
            collaterals[i],
            accept_by[i],
            claim_by[i],
            payers,
            dues,
            payer_start[i],
            payer_start[i + 1],
            payees,
            weights,
            payee_start[i],
            payee_start[i + 1],
            conditions,
            i,
        )
        if code == NO_ROOM:
            return i
        outcomes[i] = code
        created[i] = t.counters[CREATED] if code == OK else -1
    return len(outcomes)


@kernel
def fund_many(t: Tables, start: int, now: int, payers: Ints, nonces: Ints, escrows: Ints, amounts: Ints, outcomes: Ints) -> int:
    """Loop of `escrow.fund`."""
    for i in range(start, len(outcomes)):
        code = fund(t, now, payers[i], nonce_at(nonces, i), escrows[i], amounts[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def accept_many(t: Tables, start: int, now: int, performers: Ints, nonces: Ints, escrows: Ints, outcomes: Ints) -> int:
    """Loop of `escrow.accept`."""
    for i in range(start, len(outcomes)):
        code = accept(t, now, performers[i], nonce_at(nonces, i), escrows[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def claim_many(
    t: Tables, start: int, now: int, performers: Ints, nonces: Ints, escrows: Ints, claims: Ints, outcomes: Ints
) -> int:
    """Loop of `escrow.claim`; a row whose outcome is not `OK` on entry has been refused by its condition and is left out."""
    for i in range(start, len(outcomes)):
        if outcomes[i] != OK:
            continue
        code = claim(t, now, performers[i], nonce_at(nonces, i), escrows[i], claims, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def challenge_many(
    t: Tables, start: int, now: int, challengers: Ints, nonces: Ints, escrows: Ints, reserves: Ints, outcomes: Ints
) -> int:
    """Loop of `dispute.challenge`."""
    for i in range(start, len(outcomes)):
        code = challenge(t, now, challengers[i], nonce_at(nonces, i), escrows[i], reserves[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def evidence_many(
    t: Tables, start: int, now: int, actors: Ints, nonces: Ints, escrows: Ints, digests: Ints, outcomes: Ints
) -> int:
    """Loop of `voting.submit_evidence`."""
    for i in range(start, len(outcomes)):
        code = submit_evidence(t, now, actors[i], nonce_at(nonces, i), escrows[i], digests, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def commit_many(t: Tables, start: int, now: int, jurors: Ints, nonces: Ints, escrows: Ints, digests: Ints, outcomes: Ints) -> int:
    """Loop of `voting.commit`."""
    for i in range(start, len(outcomes)):
        code = commit(t, now, jurors[i], nonce_at(nonces, i), escrows[i], digests, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def reveal_many(
    t: Tables, start: int, now: int, jurors: Ints, nonces: Ints, escrows: Ints, votes: Ints, digests: Ints, outcomes: Ints
) -> int:
    """Loop of `voting.reveal`."""
    for i in range(start, len(outcomes)):
        code = reveal(t, now, jurors[i], nonce_at(nonces, i), escrows[i], votes[i], digests, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def appeal_many(
    t: Tables, start: int, now: int, posters: Ints, nonces: Ints, escrows: Ints, reserves: Ints, outcomes: Ints
) -> int:
    """Loop of `dispute.appeal`."""
    for i in range(start, len(outcomes)):
        code = appeal(t, now, posters[i], nonce_at(nonces, i), escrows[i], reserves[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def replay_many(
    t: Tables, start: int, now: int, escrows: Ints, verdicts: Ints, claims: Ints, answers: Ints, outcomes: Ints
) -> int:
    """Loop of `verdict.replay`."""
    for i in range(start, len(outcomes)):
        code = replay(t, now, escrows[i], verdicts[i], claims, i, answers, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@kernel
def plant_many(
    t: Tables,
    start: int,
    now: int,
    operators: Ints,
    nonces: Ints,
    terms: Ints,
    conditions: Ints,
    claims: Ints,
    answers: Ints,
    outcomes: Ints,
    created: Ints,
) -> int:
    """Loop of `dispute.plant`."""
    for i in range(start, len(outcomes)):
        code = plant(t, now, operators[i], nonce_at(nonces, i), terms[i], conditions, i, claims, i, answers, i)
        if code == NO_ROOM:
            return i
        outcomes[i] = code
        created[i] = t.counters[CREATED] if code == OK else -1
    return len(outcomes)


@helper
def advance(t: Tables, now: int, escrow: int) -> int:
    """Trigger whatever time-out is due."""
    if escrow < 0 or escrow >= t.counters[ESCROWS]:
        return UNKNOWN_ESCROW
    state = t.escrows[escrow]["state"]
    if state in (STATE_OFFERED, STATE_ACTIVE):
        return reclaim(t, now, escrow)
    if state == STATE_CLAIMED:
        return collect(t, now, escrow)
    if state == STATE_VOTING:
        return tally(t, now, escrow)
    if state == STATE_APPEALABLE:
        return execute(t, now, escrow)
    if state == STATE_REPLAY:
        return lapse(t, now, escrow)
    return WRONG_STATE


@kernel
def collect_many(t: Tables, start: int, now: int, escrows: Ints, outcomes: Ints) -> int:
    """Loop of `escrow.collect`."""
    for i in range(start, len(outcomes)):
        code = collect(t, now, escrows[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)


@helper
def timeout(t: Tables, now: int, which: int, escrow: int) -> int:
    """Trigger one kind of time-out by its number."""
    if which == RECLAIM:
        return reclaim(t, now, escrow)
    if which == TALLY:
        return tally(t, now, escrow)
    if which == EXECUTE:
        return execute(t, now, escrow)
    if which == LAPSE:
        return lapse(t, now, escrow)
    return advance(t, now, escrow)


@kernel
def timeout_many(t: Tables, start: int, now: int, which: int, escrows: Ints, outcomes: Ints) -> int:
    """Loop of `timeout`."""
    for i in range(start, len(outcomes)):
        code = timeout(t, now, which, escrows[i])
        if code == NO_ROOM:
            return i
        outcomes[i] = code
    return len(outcomes)
