"""Operation by state, the whole table: which operations are legal where.

And that the others are refused with nothing changed.
"""

from __future__ import annotations

import pytest
from contract_scenes import (
    ACCEPT_BY,
    BONDS,
    CHALLENGER,
    CLAIM,
    CLAIM_BY,
    PAYER,
    PERFORMER,
    active,
    appealable,
    claimed,
    offer,
    opened,
    replaying,
    salt,
    voting,
    world,
)

from contracts_model import Book, Outcome, State, Verdict
from contracts_model.validators import answer_digest

ANSWER = answer_digest(CLAIM, CLAIM, Verdict.ACCEPTED, b"s")


def paid(book: Book) -> int:
    escrow = claimed(book)
    assert book.collect(escrow, now=20) is Outcome.OK
    return escrow


def refunded(book: Book) -> int:
    escrow = opened(book)
    assert book.reclaim(escrow, now=ACCEPT_BY) is Outcome.OK
    return escrow


def slashed(book: Book) -> int:
    escrow = active(book)
    assert book.reclaim(escrow, now=CLAIM_BY) is Outcome.OK
    return escrow


def planted(book: Book) -> int:
    outcome, escrow = book.plant(PAYER, 0, CLAIM, CLAIM, ANSWER, now=10)
    assert outcome is Outcome.OK
    return escrow


def closed(book: Book) -> int:
    escrow = planted(book)
    assert book.tally(escrow, now=20) is Outcome.OK
    assert book.open_answer(escrow, Verdict.ACCEPTED, b"s", now=20) is Outcome.OK
    return escrow


SCENES = {
    State.OFFERED: opened,
    State.ACTIVE: active,
    State.CLAIMED: claimed,
    State.VOTING: voting,
    State.APPEALABLE: appealable,
    State.REPLAY: replaying,
    State.PAID: paid,
    State.REFUNDED: refunded,
    State.SLASHED: slashed,
    State.CLOSED: closed,
}

EARLY, DUE = "while its deadline lies ahead", "from its deadline on"

# (state, moment) -> {operation: outcome}; everything that is not listed is WRONG_STATE.
LEGAL = {
    (State.OFFERED, EARLY): {"fund": Outcome.OK, "accept": Outcome.OK, "reclaim": Outcome.TOO_EARLY},
    (State.OFFERED, DUE): {"fund": Outcome.TOO_LATE, "accept": Outcome.TOO_LATE, "reclaim": Outcome.OK},
    (State.ACTIVE, EARLY): {"claim": Outcome.OK, "reclaim": Outcome.TOO_EARLY},
    (State.ACTIVE, DUE): {"claim": Outcome.TOO_LATE, "reclaim": Outcome.OK},
    (State.CLAIMED, EARLY): {"challenge": Outcome.OK, "evidence": Outcome.OK, "collect": Outcome.TOO_EARLY},
    (State.CLAIMED, DUE): {"challenge": Outcome.TOO_LATE, "evidence": Outcome.TOO_LATE, "collect": Outcome.OK},
    (State.VOTING, EARLY): {
        "evidence": Outcome.OK,
        "commit": Outcome.OK,
        "reveal": Outcome.TOO_EARLY,
        "tally": Outcome.TOO_EARLY,
    },
    (State.VOTING, DUE): {
        "evidence": Outcome.TOO_LATE,
        "commit": Outcome.TOO_LATE,
        "reveal": Outcome.TOO_LATE,
        "tally": Outcome.OK,
    },
    (State.APPEALABLE, EARLY): {"evidence": Outcome.OK, "appeal": Outcome.OK, "execute": Outcome.TOO_EARLY},
    (State.APPEALABLE, DUE): {"evidence": Outcome.TOO_LATE, "appeal": Outcome.TOO_LATE, "execute": Outcome.OK},
    (State.REPLAY, EARLY): {"evidence": Outcome.OK, "replay": Outcome.OK, "lapse": Outcome.TOO_EARLY},
    (State.REPLAY, DUE): {"evidence": Outcome.TOO_LATE, "replay": Outcome.TOO_LATE, "lapse": Outcome.OK},
}


def operations(book: Book, escrow: int, now: int) -> dict:
    panel = book.panel(escrow)
    juror = panel[0] if panel else PAYER
    sealed = book.seal_vote(escrow, juror, Verdict.ACCEPTED, salt(juror))
    return {
        "fund": lambda: book.fund(PAYER, escrow, 1, now=now),
        "accept": lambda: book.accept(PERFORMER, escrow, now=now),
        "claim": lambda: book.claim(PERFORMER, escrow, CLAIM, now=now),
        "collect": lambda: book.collect(escrow, now=now),
        "reclaim": lambda: book.reclaim(escrow, now=now),
        "challenge": lambda: book.challenge(CHALLENGER, escrow, now=now),
        "evidence": lambda: book.submit_evidence(PERFORMER, escrow, CLAIM, now=now),
        "commit": lambda: book.commit(juror, escrow, sealed, now=now),
        "reveal": lambda: book.reveal(juror, escrow, Verdict.ACCEPTED, salt(juror), now=now),
        "tally": lambda: book.tally(escrow, now=now),
        "appeal": lambda: book.appeal(CHALLENGER, escrow, now=now),
        "execute": lambda: book.execute(escrow, now=now),
        "replay": lambda: book.replay_verdict(escrow, Verdict.ACCEPTED, CLAIM, now=now),
        "lapse": lambda: book.lapse(escrow, now=now),
    }


NAMES = [
    "fund",
    "accept",
    "claim",
    "collect",
    "reclaim",
    "challenge",
    "evidence",
    "commit",
    "reveal",
    "tally",
    "appeal",
    "execute",
    "replay",
    "lapse",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moment", [EARLY, DUE])
@pytest.mark.parametrize("state", list(SCENES))
def test_every_operation_in_every_state(state: State, moment: str, name: str) -> None:
    book = world()
    escrow = SCENES[state](book)
    assert book.state(escrow) is state
    now = max(book.deadline(escrow), book.clock) if moment == DUE else book.clock
    expected = LEGAL.get((state, moment), {}).get(name, Outcome.WRONG_STATE)
    head = book.journal_head()
    assert operations(book, escrow, now)[name]() is expected
    assert (book.journal_head() != head) == (expected is Outcome.OK)


@pytest.mark.parametrize("state", [state for state in SCENES if (state, DUE) in LEGAL])
def test_at_the_boundary_instant_either_the_forward_operation_or_the_time_out_is_legal(state: State) -> None:
    """I8: one instant before the deadline and at the deadline, never both."""
    time_outs = {"reclaim", "collect", "tally", "execute", "lapse"}
    for before in (1, 0):
        outcomes = {}
        for name in NAMES:
            book = world()
            escrow = SCENES[state](book)
            now = max(book.deadline(escrow) - before, book.clock)
            outcomes[name] = operations(book, escrow, now)[name]()
        legal = {name for name, outcome in outcomes.items() if outcome is Outcome.OK}
        assert legal, state
        assert (legal <= time_outs) == (before == 0)
        assert bool(legal & time_outs) == (before == 0)


@pytest.mark.parametrize("state", list(SCENES))
def test_advance_ends_every_escrow_by_waiting(state: State) -> None:
    """I5, with somebody who is no party."""
    book = world()
    escrow = SCENES[state](book)
    for _ in range(5):
        if book.advance(escrow, now=max(book.deadline(escrow), book.clock)) is Outcome.WRONG_STATE:
            break
    assert book.state(escrow) in {State.PAID, State.REFUNDED, State.SLASHED, State.CLOSED}
    assert book.escrow_row(escrow)["pot_price"] == 0


def test_an_unknown_escrow_is_refused_by_every_operation() -> None:
    book = world()
    opened(book)
    for escrow in (-1, 1, 2**40):
        for name in NAMES:
            if name not in ("commit", "reveal"):
                outcome = _on(book, name, escrow)
                assert outcome is Outcome.UNKNOWN_ESCROW, name
        assert book.commit(PAYER, escrow, CLAIM, now=10) is Outcome.UNKNOWN_ESCROW
        assert book.reveal(PAYER, escrow, Verdict.ACCEPTED, b"", now=10) is Outcome.UNKNOWN_ESCROW
        assert book.advance(escrow, now=10) is Outcome.UNKNOWN_ESCROW
        assert book.open_answer(escrow, Verdict.ACCEPTED, b"", now=10) is Outcome.UNKNOWN_ESCROW
    assert book.free(PERFORMER, BONDS) == 1_000_000


def _on(book: Book, name: str, escrow: int) -> Outcome:
    calls = {
        "fund": lambda: book.fund(PAYER, escrow, 1, now=10),
        "accept": lambda: book.accept(PERFORMER, escrow, now=10),
        "claim": lambda: book.claim(PERFORMER, escrow, CLAIM, now=10),
        "challenge": lambda: book.challenge(CHALLENGER, escrow, now=10),
        "evidence": lambda: book.submit_evidence(PERFORMER, escrow, CLAIM, now=10),
        "appeal": lambda: book.appeal(CHALLENGER, escrow, now=10),
        "replay": lambda: book.replay(escrow, now=10),
    }
    return calls[name]() if name in calls else getattr(book, name)(escrow, now=10)


@pytest.mark.parametrize("state", list(SCENES))
def test_every_operation_checks_the_time_first(state: State) -> None:
    book = world()
    escrow = SCENES[state](book)
    head = book.journal_head()
    for now, expected in ((book.clock - 1, Outcome.TIME_REVERSED), (-1, Outcome.BAD_TIME), ((1 << 60) + 1, Outcome.BAD_TIME)):
        for name, operation in operations(book, escrow, now).items():
            assert operation() is expected, name
    assert book.journal_head() == head


HOLD_CALLS = {
    "post": lambda book, hold, now, nonce: book.post(PAYER, hold, 5, now=now, nonce=nonce),
    "void": lambda book, hold, now, nonce: book.void(PAYER, hold, now=now, nonce=nonce),
    "expire": lambda book, hold, now, nonce: book.expire(hold, now=now),
    "stake": lambda book, hold, now, nonce: book.stake(PAYER, BONDS, 5, now=now, nonce=nonce),
    "unstake": lambda book, hold, now, nonce: book.unstake(PAYER, BONDS, 5, now=now, nonce=nonce),
    "hold": lambda book, hold, now, nonce: (
        book.hold(PAYER, CHALLENGER, BONDS, 5, controller=PAYER, expires=now + 1, now=now, nonce=nonce).outcome
    ),
}


@pytest.mark.parametrize("name", list(HOLD_CALLS))
def test_every_ledger_operation_checks_time_and_nonce_first(name: str) -> None:
    book = world()
    assert book.stake(PAYER, BONDS, 50, now=10, nonce=77) is Outcome.OK
    _, hold = book.hold(PAYER, CHALLENGER, BONDS, 5, controller=PAYER, expires=12, now=10)
    head, call = book.journal_head(), HOLD_CALLS[name]
    for now, expected in ((9, Outcome.TIME_REVERSED), (-1, Outcome.BAD_TIME), ((1 << 60) + 1, Outcome.BAD_TIME)):
        assert call(book, hold, now, 0) is expected
    if name != "expire":
        assert call(book, hold, 11, 77) is Outcome.NONCE_REPLAYED
        assert call(book, hold, 11, -1) is Outcome.BAD_NONCE
    assert book.journal_head() == head
    assert call(book, hold, 12 if name == "expire" else 11, 0) is Outcome.OK
    for unknown in (-1, 1, 2):
        if name in ("post", "void", "expire"):
            assert call(book, unknown, 12, 0) is Outcome.UNKNOWN_HOLD


SIGNED = ("fund", "accept", "claim", "challenge", "evidence", "commit", "reveal", "appeal")


@pytest.mark.parametrize("name", SIGNED)
def test_signed_operations_check_actor_and_nonce_before_anything_else(name: str) -> None:
    book = world()
    escrow = voting(book)
    calls = {
        "fund": lambda actor, nonce: book.fund(actor, escrow, 1, now=10, nonce=nonce),
        "accept": lambda actor, nonce: book.accept(actor, escrow, now=10, nonce=nonce),
        "claim": lambda actor, nonce: book.claim(actor, escrow, CLAIM, now=10, nonce=nonce),
        "challenge": lambda actor, nonce: book.challenge(actor, escrow, now=10, nonce=nonce),
        "evidence": lambda actor, nonce: book.submit_evidence(actor, escrow, CLAIM, now=10, nonce=nonce),
        "commit": lambda actor, nonce: book.commit(actor, escrow, CLAIM, now=10, nonce=nonce),
        "reveal": lambda actor, nonce: book.reveal(actor, escrow, Verdict.ACCEPTED, b"", now=10, nonce=nonce),
        "appeal": lambda actor, nonce: book.appeal(actor, escrow, now=10, nonce=nonce),
    }
    assert book.transfer(PERFORMER, PAYER, BONDS, 1, now=10, nonce=50) is Outcome.OK
    head = book.journal_head()
    assert calls[name](99, 0) is calls[name](-1, 0) is Outcome.UNKNOWN_ACTOR
    assert calls[name](PERFORMER, 50) is Outcome.NONCE_REPLAYED
    assert calls[name](PERFORMER, -1) is Outcome.BAD_NONCE
    assert book.journal_head() == head


def test_the_nonce_of_every_signed_operation_is_used_up() -> None:
    """Each forward operation of a life with an explicit nonce; the same nonce again is refused."""
    book = world()
    escrow = opened(book)
    steps = [
        (PAYER, lambda n: book.fund(PAYER, escrow, 700, now=10, nonce=n)),
        (3, lambda n: book.fund(3, escrow, 350, now=10, nonce=n)),
        (PERFORMER, lambda n: book.accept(PERFORMER, escrow, now=10, nonce=n)),
        (PERFORMER, lambda n: book.claim(PERFORMER, escrow, CLAIM, now=10, nonce=n)),
        (CHALLENGER, lambda n: book.challenge(CHALLENGER, escrow, now=10, nonce=n)),
        (CHALLENGER, lambda n: book.submit_evidence(CHALLENGER, escrow, CLAIM, now=10, nonce=n)),
        (PAYER, lambda n: book.decide(PAYER, f"subject {n}", Verdict.ACCEPTED, now=10, nonce=n)),
        (PAYER, lambda n: book.plant(PAYER, 0, CLAIM, CLAIM, ANSWER, now=10, nonce=n).outcome),
        (PAYER, lambda n: book.open(PAYER, offer(), now=10, nonce=n).outcome),
    ]
    for nonce, (actor, step) in enumerate(steps, start=100):
        assert step(nonce) is Outcome.OK
        assert int(book.tables.nonces[actor]) == nonce
        again = Outcome.ALREADY_DECIDED if actor == PAYER and nonce == 106 else Outcome.NONCE_REPLAYED
        assert step(nonce) is again
