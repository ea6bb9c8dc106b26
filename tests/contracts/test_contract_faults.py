"""The faults that public escrow systems of this kind have shipped, and every refusal that must change nothing."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
import pytest
from contract_scenes import (
    ACCEPT_BY,
    BANK,
    BONDS,
    CHALLENGER,
    CLAIM,
    CLAIM_BY,
    CONDITION,
    CREDIT,
    FIRST_JUROR,
    PAYER,
    PAYER2,
    PERFORMER,
    RICH,
    STRANGER,
    active,
    appealable,
    claimed,
    make_terms,
    offer,
    opened,
    replaying,
    salt,
    voting,
    world,
)

from contracts_model import Batch, Book, Outcome, State, Verdict
from contracts_model.arbiters import standard_arbiters
from contracts_model.conditions import all_of, leaf
from contracts_model.evidence import Fulfilment, KeyRing
from contracts_model.validators import vote_digest

A, R = Verdict.ACCEPTED, Verdict.REJECTED
HUGE = (1 << 61) + 1


# -- faults that others have shipped


def test_fault_a_time_out_always_pays_or_refunds() -> None:
    for scene, now in ((opened, ACCEPT_BY), (active, CLAIM_BY)):
        book = world()
        escrow = scene(book)
        assert book.reclaim(escrow, now=now) is Outcome.OK
        assert book.free(PAYER, CREDIT) == book.free(PAYER2, CREDIT) == RICH
        assert book.free(PERFORMER, BONDS) + book.free(PAYER, BONDS) + book.free(PAYER2, BONDS) == 3 * RICH


def test_fault_a_time_out_refunds_no_collateral_of_another_deal() -> None:
    book = world()
    first, second = active(book), active(book)
    assert book.claim(PERFORMER, second, CLAIM, now=CLAIM_BY - 1) is Outcome.OK
    before = book.escrow_row(second)
    assert book.reclaim(first, now=CLAIM_BY) is Outcome.OK
    assert book.escrow_row(second) == before
    assert book.escrow_row(second)["pot_collateral"] == 333


def test_fault_balances_are_kept_per_deal() -> None:
    """An underfunded deal stays underfunded, however much the same payer has put into another."""
    book = world()
    rich, poor = opened(book), opened(book)
    for payer, due in offer().payers:
        assert book.fund(payer, rich, due, now=10) is Outcome.OK
    assert book.fund(PAYER, poor, 699, now=10) is Outcome.OK
    assert book.fund(PAYER2, poor, 350, now=10) is Outcome.OK
    assert book.accept(PERFORMER, poor, now=10) is Outcome.OK
    assert book.state(poor) is State.OFFERED
    assert book.claim(PERFORMER, poor, CLAIM, now=10) is Outcome.WRONG_STATE
    assert book.escrow_row(rich)["pot_price"] == 1050 and book.escrow_row(poor)["pot_price"] == 1049


def test_fault_an_outsider_cannot_vote_with_a_list_of_its_own() -> None:
    """Votes are keyed by claim and condition, and only a drawn seat has one."""
    book = world()
    escrow, other = voting(book), voting(book, condition=hashlib.sha256(b"another condition").digest())
    panel = book.panel(escrow)
    outsiders = [j for j in range(FIRST_JUROR, FIRST_JUROR + 12) if j not in panel]
    for outsider in [STRANGER, PAYER, *outsiders]:
        sealed = book.seal_vote(escrow, outsider, R, b"")
        assert book.commit(outsider, escrow, sealed, now=11) is Outcome.NOT_ON_PANEL
    juror = panel[0]
    for foreign in (
        book.seal_vote(other, juror, R, b"s"),
        vote_digest(escrow, 0, CONDITION, bytes(32), juror, R, b"s"),
        vote_digest(escrow, 0, bytes(32), CLAIM, juror, R, b"s"),
        vote_digest(escrow, 1, CONDITION, CLAIM, juror, R, b"s"),
        vote_digest(escrow, 0, CONDITION, CLAIM, panel[1], R, b"s"),
        vote_digest(escrow, 0, CONDITION, CLAIM, juror, A, b"s"),
        vote_digest(escrow, 0, CONDITION, CLAIM, juror, R, b"t"),
    ):
        book = world()
        assert voting(book) == escrow and book.panel(escrow) == panel
        assert book.commit(juror, escrow, foreign, now=11) is Outcome.OK
        assert book.reveal(juror, escrow, R, b"s", now=15) is Outcome.WRONG_REVEAL
    book = world()
    voting(book)
    assert book.commit(juror, escrow, vote_digest(escrow, 0, CONDITION, CLAIM, juror, R, b"s"), now=11) is Outcome.OK
    assert book.reveal(juror, escrow, R, b"s", now=15) is Outcome.OK


def test_fault_every_escrow_has_an_expiry() -> None:
    book = world()
    for changes in (
        {"accept_by": 10},
        {"accept_by": 9},
        {"claim_by": ACCEPT_BY},
        {"claim_by": 1 << 60},
        {"accept_by": 1 << 62},
    ):
        assert unchanged(book, lambda c=changes: book.open(STRANGER, offer(**c), now=10)) is Outcome.BAD_DEADLINES
    assert book.open(STRANGER, offer(accept_by=11, claim_by=12), now=10).outcome is Outcome.OK


def test_fault_a_silent_oracle_is_no_rejection() -> None:
    keys = KeyRing(1)
    book = world()
    book.arbiters = standard_arbiters(keys)
    escrow = active(book, condition=leaf("trusted_oracle", oracle=STRANGER, subject="delivered"))
    assert book.claim(PERFORMER, escrow, Fulfilment(payload=b"x"), now=11) is Outcome.OK
    assert book.challenge(CHALLENGER, escrow, now=12) is Outcome.OK
    assert book.tally(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.replay(escrow, now=book.clock) is Outcome.CONDITION_NOT_FINAL
    assert book.state(escrow) is State.REPLAY
    assert book.decide(STRANGER, "delivered", A, now=book.clock) is Outcome.OK
    assert book.decide(STRANGER, "delivered", R, now=book.clock) is Outcome.ALREADY_DECIDED
    assert book.replay(escrow, now=book.clock) is Outcome.OK
    assert book.state(escrow) is State.PAID


# -- settlement happens once, decisions are written once


def test_no_escrow_settles_twice() -> None:
    for scene in (claimed, active, opened, appealable, replaying):
        book = world()
        escrow = scene(book)
        assert book.advance(escrow, now=book.deadline(escrow)) is Outcome.OK
        head, later = book.journal_head(), book.clock + 10_000
        for name in ("collect", "reclaim", "tally", "execute", "lapse", "advance"):
            assert getattr(book, name)(escrow, now=later) is Outcome.WRONG_STATE
        assert book.replay_verdict(escrow, A, CLAIM, now=later) is Outcome.WRONG_STATE
        assert book.journal_head() == head


def test_votes_and_commitments_are_written_once() -> None:
    book = world()
    escrow = voting(book)
    juror = book.panel(escrow)[0]
    sealed = book.seal_vote(escrow, juror, A, salt(juror))
    assert book.reveal(juror, escrow, A, salt(juror), now=10) is Outcome.TOO_EARLY
    assert book.commit(juror, escrow, sealed, now=10) is Outcome.OK
    assert book.commit(juror, escrow, sealed, now=10) is Outcome.ALREADY_COMMITTED
    assert book.reveal(juror, escrow, A, salt(juror), now=15) is Outcome.OK
    assert book.reveal(juror, escrow, R, salt(juror), now=15) is Outcome.ALREADY_REVEALED
    other = book.panel(escrow)[1]
    assert book.reveal(other, escrow, A, salt(other), now=15) is Outcome.WRONG_REVEAL


def test_the_instant_between_commitment_and_disclosure() -> None:
    """Sealed votes strictly before it, opened ones from it on: nobody can see a vote and still cast one."""
    book = world()
    escrow = voting(book)
    first, second, _ = book.panel(escrow)
    sealed = [book.seal_vote(escrow, juror, A, b"") for juror in (first, second)]
    assert book.commit(first, escrow, sealed[0], now=14) is Outcome.OK
    assert unchanged(book, lambda: book.reveal(first, escrow, A, b"", now=14)) is Outcome.TOO_EARLY
    assert unchanged(book, lambda: book.commit(second, escrow, sealed[1], now=15)) is Outcome.TOO_LATE
    assert book.reveal(first, escrow, A, b"", now=15) is Outcome.OK
    assert unchanged(book, lambda: book.tally(escrow, now=19)) is Outcome.TOO_EARLY
    assert book.tally(escrow, now=20) is Outcome.OK


def test_replay_judges_the_claim_that_was_made() -> None:
    book = world()
    escrow = replaying(book)
    assert book.replay_verdict(escrow, A, CONDITION, now=book.clock) is Outcome.WRONG_EVIDENCE
    assert book.replay(escrow, now=book.clock) is Outcome.UNKNOWN_EVIDENCE


def test_the_winner_cannot_appeal_and_only_the_loser_uses_the_reserve() -> None:
    book = world()
    escrow = appealable(book, R)
    assert book.appeal(CHALLENGER, escrow, now=book.clock) is Outcome.ROLE_CONFLICT
    assert book.appeal(STRANGER, escrow, now=book.clock, from_reserve=True) is Outcome.WRONG_ACTOR
    assert book.appeal(PERFORMER, escrow, now=book.clock, from_reserve=True) is Outcome.OK
    other = appealable(book, A, now=book.clock, accept_by=1000, claim_by=2000, collateral=0)
    assert book.appeal(PERFORMER, other, now=book.clock) is Outcome.ROLE_CONFLICT
    assert book.appeal(CHALLENGER, other, now=book.clock, from_reserve=True) is Outcome.OK


def test_a_challenger_without_reserve_cannot_draw_on_one() -> None:
    book = world()
    escrow = voting(book, with_reserve=False)
    for juror in book.panel(escrow):
        assert book.commit(juror, escrow, book.seal_vote(escrow, juror, A, b""), now=10) is Outcome.OK
    for juror in book.panel(escrow):
        assert book.reveal(juror, escrow, A, b"", now=15) is Outcome.OK
    assert book.tally(escrow, now=20) is Outcome.OK
    assert book.appeal(CHALLENGER, escrow, now=20, from_reserve=True) is Outcome.INSUFFICIENT_FUNDS
    assert book.appeal(CHALLENGER, escrow, now=20) is Outcome.OK


def test_roles_that_exclude_each_other() -> None:
    book = world()
    escrow = claimed(book)
    assert book.challenge(PERFORMER, escrow, now=11) is Outcome.ROLE_CONFLICT
    assert book.challenge(STRANGER, escrow, now=11) is Outcome.ROLE_CONFLICT  # a payee
    assert book.challenge(PAYER, escrow, now=11) is Outcome.OK
    for party in (PERFORMER, PAYER, PAYER2, STRANGER):
        assert party not in book.panel(escrow)


def test_no_party_sits_on_the_panel() -> None:
    """Validators that are payer, payee, performer or challenger are never drawn, whatever the seed."""
    for seed in range(40):
        book = world(jurors=6, seed=seed)
        assert book.issue(BANK, BANK, BONDS, 100, now=1) is Outcome.OK
        for party in (PAYER, STRANGER, CHALLENGER, PERFORMER, BANK):
            assert book.stake(party, BONDS, 100, now=1) is Outcome.OK
        assert book.issue(BANK, BANK, CREDIT, 350, now=1) is Outcome.OK
        escrow = voting(book, payers=[(PAYER, 700), (BANK, 350)])
        assert set(book.panel(escrow)) <= set(range(FIRST_JUROR, FIRST_JUROR + 6))


def test_an_exhibit_counts_only_when_it_was_taken() -> None:
    book = world()
    escrow = voting(book)
    exhibit = Fulfilment(payload=b"late")
    assert book.submit_evidence(STRANGER, escrow, exhibit, now=11) is Outcome.WRONG_ACTOR
    assert book.submit_evidence(PAYER, escrow, exhibit, now=20) is Outcome.TOO_LATE
    assert book.submit_evidence(PAYER, escrow, exhibit.digest, now=11) is Outcome.OK
    assert book.exhibits == {}
    assert book.submit_evidence(PAYER, escrow, exhibit, now=11) is Outcome.OK
    assert book.submit_evidence(CHALLENGER, escrow, exhibit, now=11) is Outcome.OK
    assert book.exhibits == {escrow: [exhibit, exhibit]}


def test_a_claim_counts_only_when_it_was_taken() -> None:
    book = world()
    book.arbiters = standard_arbiters(KeyRing(1))
    condition = leaf("recipient", actor=PERFORMER)
    escrow = active(book, condition=condition)
    assert book.claim(PAYER, escrow, Fulfilment(), now=11) is Outcome.WRONG_ACTOR
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=9) is Outcome.TIME_REVERSED
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=CLAIM_BY) is Outcome.TOO_LATE
    assert book.fulfilments == {} and book.conditions == {escrow: condition}
    assert book.judge_evidence(escrow, now=11) is Outcome.UNKNOWN_EVIDENCE
    assert book.judge_evidence(escrow + 1, now=11) is Outcome.UNKNOWN_ESCROW
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=CLAIM_BY - 1) is Outcome.OK
    assert book.fulfilments == {escrow: Fulfilment()}
    assert book.open(STRANGER, offer(condition=condition, terms=9), now=CLAIM_BY).outcome is Outcome.UNKNOWN_TERMS
    assert book.conditions == {escrow: condition} and book.obligations == {}


def test_a_replay_needs_a_case_that_waits_for_it() -> None:
    for scene in (active, claimed, voting, appealable):
        book = world()
        book.arbiters = standard_arbiters(KeyRing(1))
        escrow = scene(book, condition=leaf("recipient", actor=PERFORMER))
        book.fulfilments[escrow] = Fulfilment()
        assert unchanged(book, lambda b=book, e=escrow: b.replay(e, now=b.clock)) is Outcome.WRONG_STATE
        assert unchanged(book, lambda b=book, e=escrow: b.open_answer(e, A, b"s", now=b.clock)) is Outcome.WRONG_STATE


@pytest.mark.parametrize("verdict", [-1, 3])
def test_a_verdict_is_one_of_three(verdict: int) -> None:
    book = world()
    escrow = replaying(book)
    digests = np.frombuffer(bytearray(CLAIM), np.int64).reshape(1, 4)
    assert Batch(book).replay(escrow, verdict, digests, now=book.clock).tolist() == [Outcome.BAD_VOTE]
    planted_answers = (1, "rejected", None)
    for answer in planted_answers:
        assert book.open_answer(escrow, answer, b"s", now=book.clock) is Outcome.BAD_VOTE
    assert book.open_answer(escrow, A, "salt", now=book.clock) is Outcome.BAD_VOTE
    assert book.replay_verdict(escrow, A, b"short", now=book.clock) is Outcome.BAD_DIGEST


def test_only_its_operator_is_kept_from_a_planted_case() -> None:
    """The panel of a planted case can be anybody else, the actors with the lowest numbers included."""
    book = world(jurors=1)
    assert book.issue(BANK, BANK, BONDS, 100, now=1) is Outcome.OK
    for actor in (BANK, PERFORMER, STRANGER):
        assert book.stake(actor, BONDS, 100, now=1) is Outcome.OK
    _, case = book.plant(STRANGER, 0, CLAIM, CLAIM, CLAIM, now=1)
    assert set(book.panel(case)) == {BANK, PERFORMER, FIRST_JUROR}
    assert unchanged(book, lambda: book.submit_evidence(BANK, case, CLAIM, now=1)) is Outcome.WRONG_ACTOR
    for wrong in ((b"x", CLAIM, CLAIM), (CLAIM, b"x", CLAIM), (CLAIM, CLAIM, b"x")):
        assert unchanged(book, lambda w=wrong: book.plant(STRANGER, 0, *w, now=1)) is Outcome.BAD_DIGEST
    assert unchanged(book, lambda: book.plant(STRANGER, 1, CLAIM, CLAIM, CLAIM, now=1)) is Outcome.UNKNOWN_TERMS
    assert unchanged(book, lambda: book.plant(STRANGER, -1, CLAIM, CLAIM, CLAIM, now=1)) is Outcome.UNKNOWN_TERMS


def test_calls_with_something_else_than_integers() -> None:
    """Every operation of the object interface, one argument wrong in type and one out of range."""
    book = world()
    escrow = voting(book)
    juror = book.panel(escrow)[0]
    for wrong, expected in (
        (1.0, Outcome.NOT_AN_INTEGER),
        (True, Outcome.NOT_AN_INTEGER),
        (1 << 63, Outcome.NUMBER_OUT_OF_RANGE),
    ):
        calls = [
            partial(book.accept, wrong, escrow, now=11),
            partial(book.claim, wrong, escrow, CLAIM, now=11),
            partial(book.claim, PERFORMER, escrow, CLAIM, now=wrong),
            partial(book.challenge, wrong, escrow, now=11),
            partial(book.submit_evidence, wrong, escrow, CLAIM, now=11),
            partial(book.commit, wrong, escrow, CLAIM, now=11),
            partial(book.reveal, wrong, escrow, A, b"", now=11),
            partial(book.reveal, juror, escrow, A, b"", now=wrong),
            partial(book.appeal, wrong, escrow, now=11),
            partial(book.tally, escrow, now=wrong),
            partial(book.replay_verdict, escrow, A, CLAIM, now=wrong),
            partial(book.plant, wrong, 0, CLAIM, CLAIM, CLAIM, now=11),
            partial(book.decide, wrong, "subject", A, now=11),
            partial(book.open, wrong, offer(), now=11),
            partial(book.open, PAYER, offer(price=wrong), now=11),
            partial(book.open, PAYER, offer(payers=[(wrong, 1050)]), now=11),
        ]
        for call in calls:
            assert unchanged(book, call) is expected


# -- refusals: named, and nothing changed


def unchanged(book: Book, operation) -> Outcome:
    tables = {name: table.copy() for name, table in book.tables._asdict().items() if name not in ("scratch", "marks")}
    head = book.journal_head()
    outcome = operation()
    assert book.journal_head() == head
    for name, table in tables.items():
        now = getattr(book.tables, name)[: len(table)]
        if name == "counters":  # what the last operation created or wanted, and the number of the draw, are notes, not state
            now, table = now[[0, 1, *range(3, 14)]], table[[0, 1, *range(3, 14)]]
        if name not in ("journal", "digests", "escrows"):
            assert np.array_equal(now, table), name
    rows = book.tables.counters[8]
    assert np.array_equal(book.tables.escrows[:rows], tables["escrows"][:rows])
    return named(outcome)


def named(answer) -> Outcome:
    """Outcome of an operation; one that creates something answers -1 when it is refused."""
    if isinstance(answer, Outcome):
        return answer
    assert (answer.idx == -1) == (answer.outcome is not Outcome.OK)
    return answer.outcome


@pytest.mark.parametrize(
    "amount, expected",
    [
        (0, Outcome.BAD_AMOUNT),
        (-1, Outcome.BAD_AMOUNT),
        (HUGE, Outcome.BAD_AMOUNT),
        ((1 << 63) - 1, Outcome.BAD_AMOUNT),
        (1 << 63, Outcome.NUMBER_OUT_OF_RANGE),
        (-(1 << 64), Outcome.NUMBER_OUT_OF_RANGE),
        (1.0, Outcome.NOT_AN_INTEGER),
        (True, Outcome.NOT_AN_INTEGER),
        ("1", Outcome.NOT_AN_INTEGER),
        (None, Outcome.NOT_AN_INTEGER),
    ],
)
def test_amounts(amount, expected: Outcome) -> None:
    book = world()
    escrow = opened(book)
    for operation in (
        lambda: book.issue(BANK, PAYER, CREDIT, amount, now=11),
        lambda: book.transfer(PAYER, PAYER2, CREDIT, amount, now=11),
        lambda: book.hold(PAYER, PAYER2, CREDIT, amount, controller=BANK, expires=20, now=11),
        lambda: book.stake(PAYER, CREDIT, amount, now=11),
        lambda: book.unstake(PAYER, CREDIT, amount, now=11),
        lambda: book.fund(PAYER, escrow, amount, now=11),
        lambda: book.open(PAYER, offer(payers=[(PAYER, amount)]), now=11),
        lambda: book.open(PAYER, offer(payees=[(PERFORMER, amount)]), now=11),
    ):
        assert unchanged(book, operation) is expected


@pytest.mark.parametrize("field", ["price", "fee", "collateral"])
@pytest.mark.parametrize("amount", [-1, HUGE, (1 << 63) - 1])
def test_amounts_of_an_offer(field: str, amount: int) -> None:
    book = world()
    assert unchanged(book, lambda: book.open(PAYER, offer(**{field: amount}), now=11)) is Outcome.BAD_AMOUNT


def test_supply_is_bounded_so_that_no_sum_overflows() -> None:
    book = world()
    most = (1 << 61) - book.supply(CREDIT)
    assert unchanged(book, lambda: book.issue(BANK, PAYER, CREDIT, most + 1, now=1)) is Outcome.SUPPLY_EXCEEDED
    assert book.issue(BANK, PAYER, CREDIT, most, now=1) is Outcome.OK
    assert unchanged(book, lambda: book.issue(BANK, PAYER, CREDIT, 1, now=1)) is Outcome.SUPPLY_EXCEEDED


@pytest.mark.parametrize("actor", [-1, 19, 99, 1 << 40])  # 19 actors: the first number too many
def test_actors_that_do_not_exist(actor: int) -> None:
    book = world()
    escrow = opened(book)
    for operation in (
        lambda: book.issue(actor, PAYER, CREDIT, 1, now=11),
        lambda: book.issue(BANK, actor, CREDIT, 1, now=11),
        lambda: book.transfer(actor, PAYER, CREDIT, 1, now=11),
        lambda: book.transfer(PAYER, actor, CREDIT, 1, now=11),
        lambda: book.hold(PAYER, actor, CREDIT, 1, controller=BANK, expires=20, now=11),
        lambda: book.hold(PAYER, PAYER2, CREDIT, 1, controller=actor, expires=20, now=11),
        lambda: book.fund(actor, escrow, 1, now=11),
        lambda: book.open(actor, offer(), now=11),
        lambda: book.open(PAYER, offer(performer=actor), now=11),
        lambda: book.open(PAYER, offer(payers=[(actor, 1050)]), now=11),
        lambda: book.open(PAYER, offer(payees=[(actor, 1)]), now=11),
        lambda: book.add_terms(make_terms(treasury=actor)),
        lambda: book.add_asset("x", actor),
    ):
        assert unchanged(book, operation) is Outcome.UNKNOWN_ACTOR


@pytest.mark.parametrize("asset", [-1, 2, 255, 1 << 40])
def test_assets_that_do_not_exist(asset: int) -> None:
    book = world()
    for operation in (
        lambda: book.issue(BANK, PAYER, asset, 1, now=11),
        lambda: book.transfer(PAYER, PAYER2, asset, 1, now=11),
        lambda: book.hold(PAYER, PAYER2, asset, 1, controller=BANK, expires=20, now=11),
        lambda: book.stake(PAYER, asset, 1, now=11),
        lambda: book.unstake(PAYER, asset, 1, now=11),
        lambda: book.add_terms(make_terms(asset=asset)),
        lambda: book.add_terms(make_terms(bond_asset=asset)),
    ):
        assert unchanged(book, operation) is Outcome.UNKNOWN_ASSET


def test_wrong_actors() -> None:
    book = world()
    escrow = opened(book)
    assert unchanged(book, lambda: book.issue(PAYER, PAYER, CREDIT, 1, now=11)) is Outcome.WRONG_ACTOR
    assert unchanged(book, lambda: book.fund(CHALLENGER, escrow, 1, now=11)) is Outcome.NOT_A_PAYER
    assert unchanged(book, lambda: book.accept(PAYER, escrow, now=11)) is Outcome.WRONG_ACTOR
    running = active(book, now=11)
    assert unchanged(book, lambda: book.claim(PAYER, running, CLAIM, now=11)) is Outcome.WRONG_ACTOR
    disputed = voting(book, now=11)
    assert unchanged(book, lambda: book.submit_evidence(STRANGER, disputed, CLAIM, now=11)) is Outcome.WRONG_ACTOR
    assert unchanged(book, lambda: book.transfer(PAYER, PAYER, CREDIT, 1, now=11)) is Outcome.SAME_ACCOUNT


def test_nonces_are_used_once() -> None:
    book = world()
    assert book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=7) is Outcome.OK
    for nonce in (7, 6, 1):
        assert unchanged(book, lambda n=nonce: book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=n)) is Outcome.NONCE_REPLAYED
    for nonce in (-1, (1 << 60) + 1):
        assert unchanged(book, lambda n=nonce: book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=n)) is Outcome.BAD_NONCE
    assert unchanged(book, lambda: book.transfer(PAYER, PAYER2, CREDIT, RICH, now=11, nonce=8)) is Outcome.INSUFFICIENT_FUNDS
    assert book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=8) is Outcome.OK  # a refused message does not use its nonce up
    assert book.transfer(PAYER, PAYER2, CREDIT, 5, now=11) is Outcome.OK
    assert unchanged(book, lambda: book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=9)) is Outcome.NONCE_REPLAYED
    assert book.transfer(PAYER, PAYER2, CREDIT, 5, now=11, nonce=1 << 60) is Outcome.OK
    assert unchanged(book, lambda: book.transfer(PAYER, PAYER2, CREDIT, 5, now=11)) is Outcome.BAD_NONCE


def test_time_never_runs_backwards() -> None:
    book = world()
    opened(book, now=10)
    assert unchanged(book, lambda: book.transfer(PAYER, PAYER2, CREDIT, 1, now=9)) is Outcome.TIME_REVERSED
    assert unchanged(book, lambda: book.reclaim(0, now=9)) is Outcome.TIME_REVERSED
    for now in (-1, (1 << 60) + 1):
        assert unchanged(book, lambda n=now: book.transfer(PAYER, PAYER2, CREDIT, 1, now=n)) is Outcome.BAD_TIME
        assert unchanged(book, lambda n=now: book.collect(0, now=n)) is Outcome.BAD_TIME


def test_parties() -> None:
    book = world()
    cases = {
        Outcome.BAD_PARTIES: [{"payers": []}, {"payees": []}, {"payers": [(PAYER, 1)] * 1025}],
        Outcome.DUPLICATE_PARTY: [{"payers": [(PAYER, 700), (PAYER, 350)]}, {"payees": [(PERFORMER, 1), (PERFORMER, 1)]}],
        Outcome.ROLE_CONFLICT: [{"payers": [(PERFORMER, 1050)]}],
        Outcome.DUES_DO_NOT_ADD_UP: [
            {"payers": [(PAYER, 1049)]},
            {"payers": [(PAYER, 1051)]},
            {"payers": [(PAYER, 1050), (PAYER2, 1)]},
        ],
        Outcome.UNKNOWN_TERMS: [{"terms": 1}, {"terms": -1}],
        Outcome.BAD_DIGEST: [{"condition": b"short"}, {"condition": bytes(33)}],
    }
    for expected, changes in cases.items():
        for change in changes:
            assert unchanged(book, lambda c=change: book.open(PAYER, offer(**c), now=11)) is expected, change


def test_funding_stops_at_the_due() -> None:
    book = world()
    escrow = opened(book)
    assert unchanged(book, lambda: book.fund(PAYER, escrow, 701, now=10)) is Outcome.OVERFUNDED
    assert book.fund(PAYER, escrow, 700, now=10) is Outcome.OK
    assert unchanged(book, lambda: book.fund(PAYER, escrow, 1, now=10)) is Outcome.OVERFUNDED
    assert book.transfer(PAYER2, PAYER, CREDIT, RICH - 349, now=10) is Outcome.OK
    assert unchanged(book, lambda: book.fund(PAYER2, escrow, 350, now=10)) is Outcome.INSUFFICIENT_FUNDS


def test_bonds_and_collateral_need_money() -> None:
    book = world()
    escrow = opened(book)
    assert book.transfer(PERFORMER, BANK, BONDS, RICH - 938, now=10) is Outcome.OK
    assert unchanged(book, lambda: book.accept(PERFORMER, escrow, now=10)) is Outcome.INSUFFICIENT_FUNDS
    assert book.transfer(BANK, PERFORMER, BONDS, 1, now=10) is Outcome.OK
    assert book.accept(PERFORMER, escrow, now=10) is Outcome.OK
    assert book.free(PERFORMER, BONDS) == 0
    assert unchanged(book, lambda: book.accept(PERFORMER, escrow, now=10)) is Outcome.ALREADY_ACCEPTED
    for payer, due in offer().payers:
        assert book.fund(payer, escrow, due, now=10) is Outcome.OK
    assert book.claim(PERFORMER, escrow, CLAIM, now=10) is Outcome.OK
    assert book.transfer(CHALLENGER, BANK, BONDS, RICH - 706, now=10) is Outcome.OK
    assert unchanged(book, lambda: book.challenge(CHALLENGER, escrow, now=10, with_reserve=True)) is Outcome.INSUFFICIENT_FUNDS
    assert book.challenge(CHALLENGER, escrow, now=10) is Outcome.OK


def test_the_last_unit_can_be_spent_and_not_one_more() -> None:
    """Every operation that takes money: one unit short is refused, exactly enough is taken."""

    def spend(book: Book, actor: int, asset: int, amount: int, operation) -> None:
        surplus = book.free(actor, asset) - amount + 1
        if surplus:
            assert book.transfer(actor, BANK, asset, surplus, now=book.clock) is Outcome.OK
        assert unchanged(book, operation) is Outcome.INSUFFICIENT_FUNDS
        assert book.transfer(BANK, actor, asset, 1, now=book.clock) is Outcome.OK
        assert named(operation()) is Outcome.OK
        assert book.free(actor, asset) == 0

    for with_reserve, amount in ((False, 101), (True, 707)):
        book = world()
        assert book.issue(BANK, BANK, BONDS, 1, now=0) is Outcome.OK
        escrow = claimed(book)
        spend(book, CHALLENGER, BONDS, amount, partial(book.challenge, CHALLENGER, escrow, now=10, with_reserve=with_reserve))
    book = world()
    escrow = appealable(book, R)
    spend(book, STRANGER, BONDS, 202, lambda: book.appeal(STRANGER, escrow, now=book.clock))
    book = world()
    spend(book, PAYER, BONDS, 21, lambda: book.plant(PAYER, 0, CLAIM, CLAIM, CLAIM, now=1))
    for operation in (
        lambda b: b.transfer(PAYER, PAYER2, CREDIT, 10, now=1),
        lambda b: b.stake(PAYER, CREDIT, 10, now=1),
        lambda b: b.hold(PAYER, PAYER2, CREDIT, 10, controller=BANK, expires=2, now=1),
    ):
        book = world()
        spend(book, PAYER, CREDIT, 10, lambda b=book, o=operation: o(b))
    book = world()
    escrow = opened(book)
    spend(book, PAYER, CREDIT, 700, lambda: book.fund(PAYER, escrow, 700, now=10))
    juror = FIRST_JUROR
    assert unchanged(book, lambda: book.unstake(juror, BONDS, 501, now=10)) is Outcome.INSUFFICIENT_FUNDS
    assert book.unstake(juror, BONDS, 500, now=10) is Outcome.OK


@pytest.mark.parametrize(
    "change",
    [
        {"panel": 0},
        {"panel": 64},
        {"rounds": -1},
        {"rounds": 6},
        {"seat_stake": 0},
        {"juror_fee": -1},
        {"bond": 0},
        {"bond": 1 << 61},
        {"bond_growth": 0},
        {"bond_growth": 9},
        {"challenger_ppm": -1},
        {"challenger_ppm": 1_000_001},
        {"challenge_window": -1},
        {"replay_window": 0},
        {"commit_window": 0},
        {"reveal_window": 0},
        {"appeal_window": (1 << 40) + 1},
    ],
)
def test_terms_out_of_range(change: dict[str, int]) -> None:
    book = world()
    assert unchanged(book, lambda: book.add_terms(make_terms(**change))) is Outcome.BAD_TERMS


@pytest.mark.parametrize(
    "change",
    [
        {"panel": 1},
        {"panel": 63},
        {"rounds": 0},
        {"rounds": 5},
        {"rounds": 0, "commit_window": 0, "reveal_window": 0},
        {"bond_growth": 8},
        {"challenger_ppm": 1_000_000},
        {"challenger_ppm": 0},
        {"challenge_window": 0, "appeal_window": 0},
        {"appeal_window": 1 << 40},
    ],
)
def test_terms_at_the_edge_of_the_range(change: dict[str, int]) -> None:
    assert world().add_terms(make_terms(**change)).outcome is Outcome.OK


def test_terms_of_the_wrong_type() -> None:
    assert world().add_terms(make_terms(panel=3.0)).outcome is Outcome.NOT_AN_INTEGER
    assert world().add_terms(make_terms(reserve_appeals=1)).outcome is Outcome.NOT_AN_INTEGER


def test_too_few_validators_go_to_the_replay_at_once() -> None:
    book = world(jurors=2)
    escrow = claimed(book)
    assert book.challenge(CHALLENGER, escrow, now=11) is Outcome.OK
    assert book.state(escrow) is State.REPLAY
    assert unchanged(book, lambda: book.plant(PAYER, 0, CLAIM, CLAIM, CLAIM, now=11)) is Outcome.NO_PANEL


def test_bad_votes() -> None:
    book = world()
    escrow = voting(book)
    juror = book.panel(escrow)[0]
    assert unchanged(book, lambda: book.reveal(juror, escrow, 1, b"", now=15)) is Outcome.BAD_VOTE
    assert unchanged(book, lambda: book.reveal(juror, escrow, A, "salt", now=15)) is Outcome.BAD_VOTE
    assert unchanged(book, lambda: book.commit(juror, escrow, b"short", now=11)) is Outcome.BAD_DIGEST
    outcomes = Batch(book).reveal(np.array([juror]), escrow, np.array([3]), [b""], now=15)
    assert outcomes.tolist() == [Outcome.BAD_VOTE]


# -- foreign code


class Intruder:
    """An arbiter that calls back into the book while it is asked."""

    name = "intruder"

    def __init__(self, book: Book) -> None:
        self.book, self.answers = book, []

    def check(self, fulfilment, terms, circumstances) -> Verdict:
        self.answers += attempts(self.book, circumstances.escrow)
        return Verdict.ACCEPTED


def attempts(book: Book, escrow: int) -> list:
    now = book.clock + 100
    results = [
        book.issue(BANK, STRANGER, CREDIT, 1, now=now),
        book.transfer(PAYER, STRANGER, CREDIT, 1, now=now),
        book.hold(PAYER, STRANGER, CREDIT, 1, controller=BANK, expires=now + 1, now=now),
        book.open(PAYER, offer(), now=now),
        book.claim(PERFORMER, escrow, CLAIM, now=now),
        book.collect(escrow, now=now),
        book.reclaim(escrow, now=now),
        book.challenge(CHALLENGER, escrow, now=now),
        book.commit(PAYER, escrow, CLAIM, now=now),
        book.reveal(PAYER, escrow, A, b"", now=now),
        book.replay_verdict(escrow, A, CLAIM, now=now),
        book.judge_evidence(escrow, now=now),
        book.plant(PAYER, 0, CLAIM, CLAIM, CLAIM, now=now),
        book.decide(STRANGER, "subject", A, now=now),
        book.add_asset("x", BANK),
        book.add_terms(make_terms()),
    ]
    results = [named(answer) for answer in results]
    results += Batch(book).collect(np.array([escrow, 0]), now=now).tolist()
    results += Batch(book).hold(PAYER, STRANGER, CREDIT, 1, controllers=BANK, expires=now + 1, now=now).outcomes.tolist()
    return results


def test_an_arbiter_that_calls_back_changes_nothing() -> None:
    book = world()
    intruder = Intruder(book)
    book.arbiters = {"intruder": intruder}
    escrow = active(book, condition=leaf("intruder"))
    before = [book.free(actor, CREDIT) for actor in range(7)]
    assert book.claim(PERFORMER, escrow, Fulfilment(payload=b""), now=11) is Outcome.OK
    assert intruder.answers and set(intruder.answers) == {Outcome.REENTRANT_CALL}
    assert [book.free(actor, CREDIT) for actor in range(7)] == before


@pytest.mark.parametrize("columns", [False, True])
def test_a_listener_that_calls_back_changes_nothing(columns: bool) -> None:
    """I11, through either interface: money has moved before anybody hears of it, and no call back gets through."""
    book = world()
    answers: list = []
    heard: list = []
    book.listeners.append(lambda escrow, state: (heard.append((escrow, state)), answers.extend(attempts(book, escrow))))
    escrow = claimed(book)
    if columns:
        assert Batch(book).collect(np.array([escrow, escrow]), now=20).tolist() == [Outcome.OK, Outcome.WRONG_STATE]
    else:
        assert book.collect(escrow, now=20) is Outcome.OK
    assert heard == [(escrow, State.PAID)]
    assert set(answers) == {Outcome.REENTRANT_CALL}
    assert book.free(BANK, CREDIT) == 50 and book.free(STRANGER, CREDIT) == RICH + 334


def test_an_exception_in_foreign_code_passes_and_leaves_the_book_usable() -> None:
    class Broken:
        name = "broken"

        def check(self, fulfilment, terms, circumstances) -> Verdict:
            raise RuntimeError("broken arbiter")

    book = world()
    book.arbiters = {"broken": Broken()}
    escrow = active(book, condition=leaf("broken"))
    with pytest.raises(RuntimeError, match="broken arbiter"):
        book.claim(PERFORMER, escrow, Fulfilment(), now=11)
    assert book.state(escrow) is State.ACTIVE
    assert book.reclaim(escrow, now=CLAIM_BY) is Outcome.OK


def test_an_arbiter_that_answers_with_something_else() -> None:
    class Chatty:
        name = "chatty"

        def check(self, fulfilment, terms, circumstances):
            return True

    book = world()
    book.arbiters = {"chatty": Chatty()}
    for condition, expected in ((leaf("chatty"), Outcome.ARBITER_INVALID), (all_of(leaf("nobody")), Outcome.UNKNOWN_ARBITER)):
        escrow = active(book, condition=condition)
        assert unchanged(book, lambda e=escrow: book.claim(PERFORMER, e, Fulfilment(), now=11)) is expected
