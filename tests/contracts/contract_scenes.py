"""A small world that the tests of contracts_model share: actors, one or two assets, terms.

And escrows brought to a wanted state.
"""

from __future__ import annotations

import hashlib

from contracts_model import Book, Offer, Outcome, State, Terms, Verdict

BANK, PERFORMER, PAYER, PAYER2, CHALLENGER, STRANGER, TREASURY = range(7)
FIRST_JUROR = 7
RICH = 1_000_000
CREDIT, BONDS = 0, 1
CONDITION = hashlib.sha256(b"condition").digest()
CLAIM = hashlib.sha256(b"claim").digest()

ACCEPT_BY, CLAIM_BY = 100, 200


def make_terms(**changes: int | bool) -> Terms:
    values: dict = {
        "asset": CREDIT,
        "bond_asset": BONDS,
        "fee_account": BANK,
        "treasury": TREASURY,
        "challenge_window": 10,
        "commit_window": 5,
        "reveal_window": 5,
        "appeal_window": 10,
        "replay_window": 20,
        "panel": 3,
        "rounds": 2,
        "seat_stake": 40,
        "juror_fee": 7,
        "bond": 101,
        "bond_growth": 2,
        "challenger_ppm": 300_000,
        "reserve_appeals": True,
    }
    values.update(changes)
    return Terms(**values)


def populate(book, jurors: int = 12, **changes: int | bool):
    """Actors, two assets, money, stakes and terms 0; works for a Book and for its twin."""
    book.add_actors(["bank", "performer", "payer", "payer2", "challenger", "stranger", "treasury"])
    book.add_actors([f"juror{i}" for i in range(jurors)])
    assert book.add_asset("credit", BANK).outcome is Outcome.OK
    assert book.add_asset("bonds", BANK).outcome is Outcome.OK
    for actor in (PERFORMER, PAYER, PAYER2, CHALLENGER, STRANGER):
        for asset in (CREDIT, BONDS):
            assert book.issue(BANK, actor, asset, RICH, now=0) is Outcome.OK
    for juror in range(FIRST_JUROR, FIRST_JUROR + jurors):
        assert book.issue(BANK, juror, BONDS, 1000, now=0) is Outcome.OK
        assert book.stake(juror, BONDS, 500, now=0) is Outcome.OK
    assert book.add_terms(make_terms(**changes)).outcome is Outcome.OK
    return book


def world(jurors: int = 12, seed: int = 5, **changes: int | bool) -> Book:
    return populate(Book(seed), jurors, **changes)


def offer(**changes) -> Offer:
    values: dict = {
        "terms": 0,
        "performer": PERFORMER,
        "price": 1000,
        "fee": 50,
        "collateral": 333,
        "accept_by": ACCEPT_BY,
        "claim_by": CLAIM_BY,
        "payers": [(PAYER, 700), (PAYER2, 350)],
        "payees": [(PERFORMER, 2), (STRANGER, 1)],
        "condition": CONDITION,
    }
    values.update(changes)
    return Offer(**values)


def opened(book, now: int = 10, **changes) -> int:
    outcome, escrow = book.open(STRANGER, offer(**changes), now=now)
    assert outcome is Outcome.OK
    return escrow


def active(book, now: int = 10, **changes) -> int:
    escrow = opened(book, now, **changes)
    for payer, due in offer(**changes).payers:
        assert book.fund(payer, escrow, due, now=now) is Outcome.OK
    assert book.accept(offer(**changes).performer, escrow, now=now) is Outcome.OK
    assert book.state(escrow) is State.ACTIVE
    return escrow


def claimed(book, now: int = 10, **changes) -> int:
    escrow = active(book, now, **changes)
    assert book.claim(PERFORMER, escrow, CLAIM, now=now) is Outcome.OK
    return escrow


def voting(book, now: int = 10, with_reserve: bool = True, **changes) -> int:
    escrow = claimed(book, now, **changes)
    assert book.challenge(CHALLENGER, escrow, now=now, with_reserve=with_reserve) is Outcome.OK
    assert book.state(escrow) is State.VOTING
    return escrow


def salt(juror: int) -> bytes:
    return juror.to_bytes(8, "little")


def vote(book, escrow: int, votes) -> None:
    """Commit and reveal; `votes` in panel order, `None` for a juror who never shows up. Then count."""
    end = book.deadline(escrow)
    start = end - book.terms[0].reveal_window - book.terms[0].commit_window
    for juror, ballot in zip(book.panel(escrow), votes, strict=True):
        if ballot is not None:
            sealed = book.seal_vote(escrow, juror, ballot, salt(juror))
            assert book.commit(juror, escrow, sealed, now=start) is Outcome.OK
    for juror, ballot in zip(book.panel(escrow), votes, strict=True):
        if ballot is not None:
            assert book.reveal(juror, escrow, ballot, salt(juror), now=end - 1) is Outcome.OK
    assert book.tally(escrow, now=end) is Outcome.OK


def appealable(book, ruling: Verdict = Verdict.ACCEPTED, now: int = 10, **changes) -> int:
    escrow = voting(book, now, **changes)
    vote(book, escrow, [ruling] * len(book.panel(escrow)))
    assert book.state(escrow) is State.APPEALABLE
    return escrow


def replaying(book, now: int = 10, **changes) -> int:
    escrow = voting(book, now, **changes)
    vote(book, escrow, [None] * len(book.panel(escrow)))
    assert book.state(escrow) is State.REPLAY
    return escrow


def money(book, asset: int) -> dict[int, int]:
    """Free plus staked of every actor."""
    return {actor: book.free(actor, asset) + book.staked(actor, asset) for actor in range(len(book.actor_names))}
