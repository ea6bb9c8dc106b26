"""Who has the last word on a case, and that rows and single calls refuse, tell and end alike."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from contract_scenes import (
    CLAIM,
    CLAIM_BY,
    CONDITION,
    FIRST_JUROR,
    PAYER,
    PERFORMER,
    STRANGER,
    active,
    appealable,
    claimed,
    make_terms,
    offer,
    opened,
    replaying,
    voting,
    world,
)

from contracts_model import Batch, Book, Outcome, State, Verdict
from contracts_model.arbiters import standard_arbiters
from contracts_model.audit import check_book
from contracts_model.batch import digest_column
from contracts_model.conditions import Composite, Leaf, leaf
from contracts_model.evidence import Fulfilment, KeyRing
from contracts_model.validators import answer_digest

A, R, N = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL


def judged_case(condition: Leaf) -> tuple[Book, int]:
    """A case before the replay whose condition and evidence the book keeps."""
    book = world()
    book.arbiters = standard_arbiters(KeyRing(1))
    escrow = active(book, condition=condition)
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=10) is Outcome.OK
    assert book.challenge(PAYER, escrow, now=10) is Outcome.OK
    assert book.tally(escrow, now=20) is Outcome.OK
    assert book.state(escrow) is State.REPLAY
    return book, escrow


@pytest.mark.parametrize("columns", [False, True])
def test_nobody_outvotes_the_arbiters_of_the_book(columns: bool) -> None:
    """The digest of the claim is public: who brings a verdict with it must not settle what the book can judge itself."""
    book, escrow = judged_case(leaf("recipient", actor=PERFORMER))
    digest = Fulfilment().digest
    head = book.journal_head()
    for verdict in (A, R):
        if columns:
            outcome = Batch(book).replay(np.array([escrow]), int(verdict), digest_column([digest]), now=20)[0]
        else:
            outcome = book.replay_verdict(escrow, verdict, digest, now=20)
        assert outcome == Outcome.WRONG_EVIDENCE
        assert book.open_answer(escrow, verdict, b"", now=20) is Outcome.WRONG_STATE
    assert book.journal_head() == head
    assert book.replay(escrow, now=20) is Outcome.OK
    assert book.state(escrow) is State.PAID


@pytest.mark.parametrize("columns", [False, True])
def test_a_late_verdict_is_late_whoever_keeps_the_evidence(columns: bool) -> None:
    book, escrow = judged_case(leaf("recipient", actor=PERFORMER))
    digest, late = Fulfilment().digest, book.deadline(escrow)
    if columns:
        assert Batch(book).replay(np.array([escrow, 99]), 1, digest_column([digest] * 2), now=late).tolist() == [
            Outcome.TOO_LATE,
            Outcome.UNKNOWN_ESCROW,
        ]
    else:
        assert book.replay_verdict(escrow, A, digest, now=late) is Outcome.TOO_LATE
        assert book.replay_verdict(99, A, digest, now=late) is Outcome.UNKNOWN_ESCROW


def test_rows_of_both_kinds_in_one_call() -> None:
    """A row whose evidence lies elsewhere is settled by the verdict that is brought, its neighbour is not."""
    book, kept = judged_case(leaf("recipient", actor=PERFORMER))
    elsewhere = replaying(book, now=20)
    digests = digest_column([Fulfilment().digest, CLAIM])
    outcomes = Batch(book).replay(np.array([kept, elsewhere]), int(R), digests, now=book.clock)
    assert outcomes.tolist() == [Outcome.WRONG_EVIDENCE, Outcome.OK]
    assert Batch(book).replay(np.zeros(0, np.int64), 1, np.zeros((0, 4), np.int64), now=book.clock).tolist() == []


def test_only_a_planted_case_waits_for_an_answer() -> None:
    for scene in (opened, active, claimed, voting, appealable, replaying):
        book = world()
        escrow = scene(book)
        head = book.journal_head()
        for answer in (A, R):
            assert book.open_answer(escrow, answer, b"s", now=book.clock) is Outcome.WRONG_STATE
        assert book.journal_head() == head


@pytest.mark.parametrize("columns", [False, True])
def test_the_end_of_a_case_is_told_once(columns: bool) -> None:
    """With an appeal window of 0 one instant counts the votes and carries the ruling out: two time-outs, one end."""
    book = world()
    assert book.add_terms(make_terms(appeal_window=0)).outcome is Outcome.OK
    told: list[tuple[int, State]] = []
    book.listeners.append(lambda escrow, state: told.append((escrow, state)))
    escrow = voting(book, terms=1)
    for juror in book.panel(escrow):
        assert book.commit(juror, escrow, book.seal_vote(escrow, juror, A, b"s"), now=11) is Outcome.OK
    for juror in book.panel(escrow):
        assert book.reveal(juror, escrow, A, b"s", now=15) is Outcome.OK
    if columns:
        assert Batch(book).advance(np.array([escrow, escrow]), now=20).tolist() == [Outcome.OK, Outcome.OK]
    else:
        assert [book.advance(escrow, now=20) for _ in range(2)] == [Outcome.OK, Outcome.OK]
    assert told == [(escrow, State.PAID)]


@pytest.mark.parametrize("columns", [False, True])
def test_a_planted_case_can_always_be_ended(columns: bool) -> None:
    """I5 at the end of time: no later instant than 2^60 exists, so that nothing may wait for one."""
    latest = 1 << 59
    book = world()
    sealed = answer_digest(CONDITION, CLAIM, R, b"s")

    def plant(now: int) -> tuple[int, int]:
        if not columns:
            outcome, idx = book.plant(STRANGER, 0, CONDITION, CLAIM, sealed, now=now)
            return int(outcome), idx
        rows = [digest_column([digest]) for digest in (CONDITION, CLAIM, sealed)]
        made = Batch(book).plant(STRANGER, 0, *rows, now=now)
        return int(made.outcomes[0]), int(made.idx[0])

    assert plant(latest + 1) == plant(1 << 60) == (Outcome.BAD_TIME, -1)
    assert book.clock == 0
    outcome, case = plant(latest)
    assert outcome == Outcome.OK
    while book.state(case) is not State.CLOSED:
        assert book.advance(case, now=book.deadline(case)) is Outcome.OK
    assert check_book(book) == []


def test_a_rejected_claim_is_refused_for_the_same_reason_in_rows() -> None:
    """Whom, where and when comes first; the condition is asked about claims that could be taken."""
    one, many = world(), world()
    for book in (one, many):
        book.arbiters = standard_arbiters(KeyRing(1))
        for scene in (active, opened, claimed, active):
            scene(book, condition=leaf("recipient", actor=STRANGER))
    performers, escrows = [PERFORMER, PERFORMER, PERFORMER, STRANGER, PERFORMER], [0, 1, 2, 3, 9]
    for now in (11, CLAIM_BY, 5):
        rows = [one.claim(p, e, Fulfilment(), now=now) for p, e in zip(performers, escrows, strict=True)]
        digests = digest_column([Fulfilment().digest] * len(escrows))
        found = Batch(many).claim(np.array(performers), np.array(escrows), digests, now=now, verdicts=int(R))
        assert found.tolist() == rows
        if now == 11:
            wanted = ["CONDITION_REJECTED", "WRONG_STATE", "WRONG_STATE", "WRONG_ACTOR", "UNKNOWN_ESCROW"]
            assert [outcome.name for outcome in rows] == wanted
    assert one.journal_head() == many.journal_head()


def test_arguments_that_are_no_such_thing() -> None:
    """Refused by name, whatever the argument; nothing changes and nothing is raised."""
    book, escrow = judged_case(leaf("recipient", actor=PERFORMER))
    head, now = book.journal_head(), book.clock
    calls = [
        *((partial(book.decide, STRANGER, subject, A, now=now), Outcome.BAD_DIGEST) for subject in (None, 3, b"x", ["x"], {})),
        *((partial(book.decide, STRANGER, "x", verdict, now=now), Outcome.BAD_VOTE) for verdict in (None, 1, "accepted")),
        (partial(book.decide, [], "x", A, now=now), Outcome.NOT_AN_INTEGER),
        *((partial(book.judge_evidence, number, now=now), Outcome.UNKNOWN_ESCROW) for number in ([], {}, "0", 7)),
        *((partial(book.replay_verdict, escrow, v, CLAIM, now=now), Outcome.BAD_VOTE) for v in (None, 1, b"x", 1 << 80)),
    ]
    for call, expected in calls:
        assert call() is expected, call
    for pairs in (None, 3, "ab", [1], [(PAYER,)], [(PAYER, 1050, 1)], {PAYER: 1050}):
        for side in ("payers", "payees"):
            assert book.open(STRANGER, offer(**{side: pairs}), now=now).outcome is Outcome.BAD_PARTIES, (side, pairs)
    for condition in (
        Leaf(3, ()),
        Leaf("recipient", (("actor", 1.5),)),
        Leaf("recipient", (("actor", True),)),
        Leaf("recipient", (("actor", b"x"),)),
        Leaf("recipient", ((1, 2), ("actor", 3))),
        Leaf("recipient", ["actor"]),
        Leaf("recipient", (("actor", (1, 2.0)),)),
        Composite("all", None, 0),
        Composite("all", [leaf("recipient", actor=1)], 1),
    ):
        assert book.open(STRANGER, offer(condition=condition), now=now).outcome is Outcome.CONDITION_MALFORMED, condition
    assert book.journal_head() == head
    assert book.decide(FIRST_JUROR, "\ud800", A, now=now) is Outcome.OK  # half a character is a subject like any other
    assert book.decide(FIRST_JUROR, "\ud800", R, now=now) is Outcome.ALREADY_DECIDED
    assert book.open(STRANGER, offer(condition=leaf("references_escrow", escrow=0, state=State.PAID)), now=now).idx >= 0


def test_the_answer_of_a_planted_case_is_opened_by_a_proper_call_alone() -> None:
    book = world()
    case = book.plant(STRANGER, 0, CONDITION, CLAIM, answer_digest(CONDITION, CLAIM, R, b"s"), now=10).idx
    assert book.tally(case, now=20) is Outcome.OK and book.state(case) is State.REPLAY
    head = book.journal_head()
    for now, expected in ((1.5, Outcome.NOT_AN_INTEGER), (1 << 70, Outcome.NUMBER_OUT_OF_RANGE)):
        assert book.open_answer(case, R, b"s", now=now) is expected
        assert book.replay(case + 1, now=now) is expected
    book.busy = True  # as while an arbiter or a listener runs
    assert book.open_answer(case, R, b"s", now=20) is Outcome.REENTRANT_CALL
    book.busy = False
    assert book.journal_head() == head
    assert book.open_answer(case, R, b"s", now=20) is Outcome.OK
