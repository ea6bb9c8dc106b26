"""Edges that mutants of the kernels showed to be unwatched: first and last legal values, rows that begin late, empty parts."""

from __future__ import annotations

import numpy as np
import pytest
from contract_scenes import (
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
    TREASURY,
    active,
    appealable,
    claimed,
    make_terms,
    money,
    offer,
    opened,
    vote,
    voting,
    world,
)

from contracts_model import Batch, Book, Outcome, State, Verdict
from contracts_model.arbiters import standard_arbiters
from contracts_model.audit import check_book
from contracts_model.conditions import Composite, leaf
from contracts_model.evidence import Fulfilment, KeyRing, Obligation
from contracts_model.kernels.layout import PARTIES, ROUNDS
from contracts_model.outcomes import Kind
from contracts_model.validators import answer_digest

A, R, N = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL
MOST, LAST = 1 << 61, 1 << 60


def entries(book: Book, kind: Kind) -> list[tuple[int, int, int]]:
    """Leg, creditor and amount of every entry of one kind."""
    rows = book.entries()[0]
    rows = rows[rows["kind"] == kind]
    return list(zip(rows["leg"].tolist(), rows["credit"].tolist(), rows["amount"].tolist(), strict=True))


# -- ledger


def test_holds_at_their_edges() -> None:
    book = world()

    def hold(**changes: int) -> Outcome:
        values = {
            "debtor": PAYER,
            "creditor": PAYER2,
            "asset": CREDIT,
            "amount": 1,
            "controller": PAYER,
            "expires": 11,
            "now": 10,
        }
        return book.hold(**(values | changes)).outcome

    assert hold(creditor=PAYER) is Outcome.SAME_ACCOUNT
    assert hold(expires=10) is hold(expires=9) is hold(expires=LAST + 1) is Outcome.BAD_DEADLINES
    assert hold(expires=LAST) is hold(creditor=BANK) is hold(controller=BANK) is Outcome.OK
    assert hold(creditor=-1) is hold(controller=-1) is Outcome.UNKNOWN_ACTOR


def test_holds_of_one_unit() -> None:
    """One unit posted, one unit that returns: each is written, and nothing is written for nothing."""
    book = world()
    for posted in (1, 2):
        _, hold = book.hold(PAYER, PAYER2, CREDIT, 2, controller=STRANGER, expires=11, now=10)
        assert book.post(STRANGER, hold, posted, now=10) is Outcome.OK
        assert book.post(STRANGER, hold, 1, now=10) is Outcome.HOLD_CLOSED
    _, hold = book.hold(PAYER, PAYER2, CREDIT, 2, controller=STRANGER, expires=11, now=10)
    assert book.post(STRANGER, hold, 0, now=10) is Outcome.BAD_AMOUNT
    assert entries(book, Kind.POST) == [(0, PAYER2, 1), (0, PAYER2, 2)]
    assert entries(book, Kind.VOID) == [(1, PAYER, 1)]
    assert check_book(book) == []


def test_the_largest_amount_is_an_amount() -> None:
    """2^61 is in range: such a sum is refused for want of money or of a due, not as a bad amount."""
    book = world()
    escrow = opened(book)
    assert book.transfer(PAYER, PAYER2, CREDIT, MOST, now=10) is Outcome.INSUFFICIENT_FUNDS
    assert book.stake(PAYER, CREDIT, MOST, now=10) is Outcome.INSUFFICIENT_FUNDS
    assert book.unstake(PAYER, CREDIT, MOST, now=10) is Outcome.INSUFFICIENT_FUNDS
    assert book.fund(PAYER, escrow, MOST, now=10) is Outcome.OVERFUNDED
    assert book.issue(BANK, PAYER, CREDIT, MOST, now=10) is Outcome.SUPPLY_EXCEEDED
    assert book.transfer(PAYER, BANK, CREDIT, 1, now=10) is Outcome.OK  # to the actor with the lowest number


def test_a_stake_names_its_validator_once() -> None:
    book = world(jurors=2)
    assert book.unstake(FIRST_JUROR, BONDS, 1, now=10) is book.stake(FIRST_JUROR, BONDS, 1, now=10) is Outcome.OK
    for juror in (FIRST_JUROR, FIRST_JUROR + 1, FIRST_JUROR):
        assert book.stake(juror, BONDS, 1, now=10) is Outcome.OK
    assert book.validators().tolist() == [FIRST_JUROR, FIRST_JUROR + 1]
    assert book.staked(FIRST_JUROR, BONDS) == 502


# -- offers


@pytest.mark.parametrize(
    "changes",
    [
        {"price": 0, "payees": [], "payers": [(PAYER, 50)]},
        {"price": 1, "fee": 0, "payers": [(PAYER, 1)]},
        {"price": MOST, "fee": 0, "payers": [(PAYER, MOST)]},
        {"price": 1, "fee": MOST - 1, "payers": [(PAYER, MOST)]},
        {"collateral": MOST},
        {"collateral": 0, "fee": 0, "payers": [(PAYER, 1000)]},
        {"accept_by": 11, "claim_by": 12},
        {"claim_by": LAST // 2},
        {"performer": BANK},
        {"payers": [(BANK, 1050)]},
        {"payees": [(BANK, 1)]},
        {"payees": [(PERFORMER, MOST // 1024), (STRANGER, 1)]},
    ],
)
def test_offers_at_the_edge_of_the_range(changes: dict) -> None:
    book = world()
    assert book.open(BANK, offer(**changes), now=10) == (Outcome.OK, 0)
    assert book.conditions == {}  # the digest alone is known


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": 1, "fee": 0, "payees": [], "payers": [(PAYER, 1)]}, Outcome.BAD_PARTIES),
        ({"fee": MOST, "price": 1}, Outcome.BAD_AMOUNT),
        ({"claim_by": LAST // 2 + 1}, Outcome.BAD_DEADLINES),
        ({"payees": [(PERFORMER, MOST // 1024 + 1)]}, Outcome.BAD_AMOUNT),
        ({"condition": Composite("xor", (), 0)}, Outcome.CONDITION_MALFORMED),
    ],
)
def test_offers_just_beyond_it(changes: dict, expected: Outcome) -> None:
    assert world().open(BANK, offer(**changes), now=10) == (expected, -1)


def test_dues_cannot_add_up_by_overflow() -> None:
    """Eight dues of 2^61 are 2^64, which is 0 in 64 bits."""
    book = world()
    payers = [(juror, MOST) for juror in range(FIRST_JUROR, FIRST_JUROR + 8)]
    assert book.open(BANK, offer(payers=[*payers, (PAYER, 1050)]), now=10) == (Outcome.DUES_DO_NOT_ADD_UP, -1)


def test_an_obligation_of_somebody_else_is_refused_with_no_number() -> None:
    strange = Obligation(PAYER, CONDITION)
    assert world().open(BANK, offer(), now=10, obligation=strange) == (Outcome.WRONG_OBLIGATION, -1)


def offers_in_columns(payers: list[list[int]], payees: list[list[int]]) -> tuple[Book, list[int]]:
    """Offers of one price unit a payer, in one batch, in a book with 3,000 actors."""
    book = world()
    book.add_actors(["more"] * 3000)
    made = Batch(book).open(
        BANK,
        terms=0,
        performers=PERFORMER,
        prices=np.array([len(row) for row in payers]),
        accept_by=20,
        claim_by=30,
        payers=np.array([actor for row in payers for actor in row]),
        dues=1,
        payer_start=np.cumsum([0, *map(len, payers)]),
        payees=np.array([actor for row in payees for actor in row]),
        weights=1,
        payee_start=np.cumsum([0, *map(len, payees)]),
        conditions=np.zeros((len(payers), 4), np.int64),
        now=10,
    )
    return book, made.outcomes.tolist()


def test_the_number_of_parties_is_counted_within_the_row() -> None:
    """Rows whose parties begin late in the columns; 1,024 of a kind are taken, 1,025 are not."""
    first = list(range(100, 1124))
    book, outcomes = offers_in_columns([first, [2], [2, 3]], [first, [3, 4], [5]])
    assert outcomes == [Outcome.OK] * 3
    assert [book.escrow_row(e)["payers"] for e in range(3)] == [1024, 1, 2]
    assert [book.escrow_row(e)["payees"] for e in range(3)] == [1024, 2, 1]
    assert book.parties(1)["actor"].tolist() == [2, 3, 4]
    assert book.parties(2)["actor"].tolist() == [2, 3, 5]
    assert int(book.tables.counters[PARTIES]) == 2 * 1024 + 3 + 3
    assert offers_in_columns([[2], [2]], [[3], []])[1] == [Outcome.OK, Outcome.BAD_PARTIES]
    many = list(range(100, 1125))
    assert offers_in_columns([many, [2]], [[2], [2]])[1] == [Outcome.BAD_PARTIES, Outcome.OK]
    assert offers_in_columns([[2], [2]], [many, [2]])[1] == [Outcome.BAD_PARTIES, Outcome.OK]


def test_an_escrow_lives_under_its_own_terms() -> None:
    """The second set of terms differs in everything an escrow or a planted case takes from it."""
    book = world()
    changes = {"asset": BONDS, "bond_asset": CREDIT, "fee_account": STRANGER, "challenge_window": 33, "panel": 1, "juror_fee": 9}
    assert book.add_terms(make_terms(**changes)).idx == 1
    assert book.stake(PAYER2, CREDIT, 500, now=1) is Outcome.OK
    escrow = active(book, terms=1)
    assert book.claim(PERFORMER, escrow, CLAIM, now=10) is Outcome.OK
    assert book.deadline(escrow) == 43
    assert book.free(PAYER, BONDS) == RICH - 700 and book.free(PERFORMER, CREDIT) == RICH - 333 - 606
    assert book.collect(escrow, now=43) is Outcome.OK
    assert book.free(STRANGER, BONDS) == RICH + 50 + 334
    _, case = book.plant(PAYER, 1, CLAIM, CLAIM, CLAIM, now=43)
    assert book.free(PAYER, CREDIT) == RICH - 9 and book.panel(case) == [PAYER2]
    assert check_book(book) == []


def test_nothing_is_reserved_where_the_terms_do_not_ask() -> None:
    book = world(reserve_appeals=False)
    escrow = active(book)
    assert book.free(PERFORMER, BONDS) == RICH - 333
    assert book.escrow_row(escrow)["pot_reserve_performer"] == 0
    assert book.claim(PERFORMER, escrow, CLAIM, now=12) is Outcome.OK
    assert book.escrow_row(escrow)["claimed_at"] == 12
    assert book.challenge(CHALLENGER, escrow, now=12) is Outcome.OK
    assert entries(book, Kind.RESERVE) == []


# -- panels


@pytest.mark.parametrize("seats", [3, 4, 7])
def test_the_ruling_of_every_count_of_votes(seats: int) -> None:
    """More than half the seats must have revealed, and one side be ahead of both other answers."""
    for accepted in range(seats + 1):
        for rejected in range(seats + 1 - accepted):
            for silent in range(seats + 1 - accepted - rejected):
                revealed = accepted + rejected + silent
                book = world(jurors=seats, panel=seats, reserve_appeals=False)
                escrow = voting(book, with_reserve=False)
                vote(book, escrow, [A] * accepted + [R] * rejected + [N] * silent + [None] * (seats - revealed))
                ahead = max((accepted, A), (rejected, R), (silent, N))[1] if revealed * 2 > seats else N
                if [accepted, rejected, silent].count(max(accepted, rejected, silent)) > 1:
                    ahead = N
                expected = State.REPLAY if ahead is N else State.APPEALABLE
                assert book.state(escrow) is expected, (accepted, rejected, silent)
                if ahead is not N:
                    assert book.escrow_row(escrow)["ruling"] == ahead


@pytest.mark.parametrize("word", range(4))
def test_every_word_of_a_sealed_vote_counts(word: int) -> None:
    book = world()
    escrow = voting(book)
    juror = book.panel(escrow)[0]
    assert book.reveal(STRANGER, escrow, A, b"s", now=10) is Outcome.TOO_EARLY
    sealed = np.frombuffer(book.seal_vote(escrow, juror, A, b"s"), np.int64).copy()
    sealed[word] ^= 1
    assert book.commit(juror, escrow, sealed.tobytes(), now=10) is Outcome.OK
    assert book.reveal(juror, escrow, A, b"s", now=15) is Outcome.WRONG_REVEAL
    assert book.reveal(STRANGER, escrow, A, b"s", now=15) is Outcome.NOT_ON_PANEL


def test_what_cannot_be_divided_goes_to_the_later_jurors() -> None:
    """Three right jurors share the stake of the wrong one and a bond that is too short for their fees, by cumulated floors."""
    book = world(jurors=6, panel=6, juror_fee=7, bond=20)
    before = money(book, BONDS)
    escrow = voting(book)
    panel = book.panel(escrow)
    vote(book, escrow, [A, A, A, N, N, R])
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    after = money(book, BONDS)
    # the lost stake 40: 13, 26, 40; the bond 20 where 21 would be due: 6, 13, 20
    assert [after[juror] - before[juror] for juror in panel] == [13 + 6, 13 + 7, 14 + 7, 0, 0, -40]
    assert after[PERFORMER] == before[PERFORMER] and after[CHALLENGER] == before[CHALLENGER] - 20


def test_the_stake_of_one_seat_is_enough_for_it() -> None:
    book = world(jurors=3)
    assert book.unstake(FIRST_JUROR, BONDS, 460, now=1) is Outcome.OK
    assert FIRST_JUROR in book.panel(voting(book))
    assert book.staked(FIRST_JUROR, BONDS) == 0


def test_who_has_posted_a_bond_sits_on_no_later_panel() -> None:
    """Six validators are left for the seven seats of the appeal, the challenger would be the seventh."""
    book = world(jurors=9)
    assert book.stake(CHALLENGER, BONDS, 100, now=1) is Outcome.OK
    escrow = appealable(book, A)
    assert book.appeal(PAYER, escrow, now=book.clock) is Outcome.OK
    assert book.state(escrow) is State.REPLAY


def test_a_planted_case_takes_a_round_and_seats_of_its_own() -> None:
    book = world()
    sealed = answer_digest(CONDITION, CLAIM, R, b"s")
    cases = [book.plant(PAYER, 0, CONDITION, CLAIM, sealed, now=10).idx for _ in range(2)]
    panels = [book.panel(case) for case in cases]
    assert panels[0] != panels[1] and int(book.tables.counters[ROUNDS]) == 2
    escrow = voting(book)
    assert int(book.tables.counters[ROUNDS]) == 2 + 3  # a bond for the challenge, one for either appeal
    assert [book.panel(case) for case in cases] == panels
    for case in cases:
        assert book.tally(case, now=20) is Outcome.OK
        assert book.open_answer(case, R, b"s", now=20) is Outcome.OK
    assert book.tally(escrow, now=20) is Outcome.OK
    assert check_book(book) == []


def test_a_planted_case_whose_answer_is_never_opened() -> None:
    """The operator's whole bond goes to whoever revealed; where nobody did, to the treasury with the lost stakes."""
    for votes, expected in (([R, None, None], None), ([None] * 3, {TREASURY: 120 + 21})):
        book = world()
        before = money(book, BONDS)
        _, case = book.plant(PAYER, 0, CLAIM, CLAIM, CLAIM, now=10)
        panel = book.panel(case)
        vote(book, case, votes)
        assert book.lapse(case, now=book.deadline(case)) is Outcome.OK
        after = money(book, BONDS)
        gains = {actor: after[actor] - before[actor] for actor in after if after[actor] != before[actor]}
        earned = {panel[0]: 80 + 21} if expected is None else expected
        assert gains == {PAYER: -21} | earned | {juror: -40 for juror in panel if juror not in earned}
        leg = 0
        assert {row[0] for row in entries(book, Kind.JUROR_FEE) + entries(book, Kind.SEAT_LOST)} == {leg}


def test_the_last_actor_of_a_full_table_can_judge_a_planted_case() -> None:
    """16 actors fill the tables; a planted case has no performer, whose number -1 must not stand for the last actor."""
    book = world(jurors=9)
    for juror in range(FIRST_JUROR, FIRST_JUROR + 6):
        assert book.unstake(juror, BONDS, 500, now=1) is Outcome.OK
    assert len(book.tables.marks) == len(book.actor_names) == 16
    _, case = book.plant(PAYER, 0, CLAIM, CLAIM, CLAIM, now=1)
    assert set(book.panel(case)) == {13, 14, 15}


def test_a_performer_who_is_no_payee_is_kept_from_the_panel() -> None:
    book = world(jurors=2)
    for party in (PERFORMER, PAYER, PAYER2, STRANGER):
        assert book.stake(party, BONDS, 100, now=1) is Outcome.OK
    escrow = claimed(book, payees=[(STRANGER, 1)])
    assert book.challenge(PERFORMER, escrow, now=10) is Outcome.ROLE_CONFLICT
    assert book.challenge(CHALLENGER, escrow, now=10) is Outcome.OK
    assert book.state(escrow) is State.REPLAY  # three would be needed, two are there


def test_the_actor_with_the_lowest_number_challenges_and_earns_the_bounty() -> None:
    book = world()
    assert book.issue(BANK, BANK, BONDS, 1000, now=1) is Outcome.OK
    escrow = claimed(book)
    assert book.challenge(BANK, escrow, now=10) is Outcome.OK
    vote(book, escrow, [R, R, R])
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.free(BANK, BONDS) == 1000 + 99
    assert book.escrow_row(escrow)["final"] == R


@pytest.mark.parametrize("operation", ["accept", "challenge"])
def test_a_reserve_of_one_unit_is_written(operation: str) -> None:
    book = world(bond=1, bond_growth=1, rounds=1, reserve_appeals=operation == "accept")
    escrow = claimed(book)
    assert book.challenge(CHALLENGER, escrow, now=10, with_reserve=operation == "challenge") is Outcome.OK
    side = 1 if operation == "accept" else 2
    assert [(leg, amount) for leg, _, amount in entries(book, Kind.RESERVE)] == [(side, 1)]


# -- judgement, foreign code


def test_a_claim_needs_a_digest() -> None:
    book = world()
    escrow = active(book)
    assert book.claim(PERFORMER, escrow, b"short", now=10) is Outcome.BAD_DIGEST
    assert book.claim(PERFORMER, escrow, CLAIM, now=10) is Outcome.OK


def test_a_claim_is_judged_beforehand_where_condition_and_evidence_are_both_known() -> None:
    book = world()
    book.arbiters = standard_arbiters(KeyRing(1))
    impossible = leaf("recipient", actor=PAYER)
    known = active(book, condition=impossible)
    assert book.claim(PERFORMER, known, Fulfilment(), now=10) is Outcome.CONDITION_REJECTED
    assert book.claim(PAYER, known, Fulfilment(), now=10) is Outcome.WRONG_ACTOR
    assert book.claim(PERFORMER, known, Fulfilment(), now=CLAIM_BY) is Outcome.TOO_LATE
    assert book.claim(PERFORMER, known, Fulfilment(), now=9) is Outcome.TIME_REVERSED
    assert book.claim(PERFORMER, known, CLAIM, now=10) is Outcome.OK  # only its digest is known
    assert book.claim(PERFORMER, known, Fulfilment(), now=10) is Outcome.WRONG_STATE
    assert book.claim(PERFORMER, active(book), Fulfilment(), now=10) is Outcome.OK  # only the condition's digest is known


def test_a_replay_at_another_time_is_refused_before_anybody_asks_for_evidence() -> None:
    book = world()
    assert book.replay(claimed(book), now=10) is Outcome.WRONG_STATE


def test_the_replay_does_not_take_the_instant_of_the_claim_for_zero() -> None:
    book = world()
    book.arbiters = standard_arbiters(KeyRing(1))
    escrow = active(book, condition=leaf("not_before", instant=12))
    assert book.claim(PERFORMER, escrow, Fulfilment(), now=13) is Outcome.OK
    assert book.escrow_row(escrow)["claimed_at"] == 13


def test_listeners_hear_of_ends_alone_and_the_book_goes_on() -> None:
    book = world()
    heard: list[tuple[int, State]] = []
    book.listeners.append(lambda escrow, state: heard.append((escrow, state)))
    batch = Batch(book)
    escrow = voting(book)
    assert batch.tally(escrow, now=20).tolist() == [Outcome.OK]
    assert heard == [] and book.state(escrow) is State.REPLAY
    assert batch.advance(escrow, now=book.deadline(escrow)).tolist() == [Outcome.OK]
    assert heard == [(escrow, State.REFUNDED)]
    other = appealable(book, A, now=book.clock, accept_by=1000, claim_by=2000)
    assert book.execute(other, now=book.deadline(other)) is Outcome.OK
    assert heard[1:] == [(other, State.PAID)]
    assert book.transfer(PAYER, PAYER2, CREDIT, 1, now=book.clock) is Outcome.OK


def test_a_call_back_on_a_subject_that_is_decided_already() -> None:
    book = world()
    answers: list[Outcome] = []
    assert book.decide(STRANGER, "subject", A, now=1) is Outcome.OK
    book.listeners.append(lambda escrow, state: answers.append(book.decide(STRANGER, "subject", R, now=30)))
    assert book.collect(claimed(book), now=20) is Outcome.OK
    assert answers == [Outcome.REENTRANT_CALL] and book.decisions == {(STRANGER, "subject"): A}
