"""Where every unit goes: each ending worked by hand, and the rule of remainders."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from contract_scenes import (
    ACCEPT_BY,
    BANK,
    BONDS,
    CHALLENGER,
    CLAIM,
    CLAIM_BY,
    CREDIT,
    PAYER,
    PAYER2,
    PERFORMER,
    RICH,
    STRANGER,
    TREASURY,
    active,
    appealable,
    claimed,
    money,
    opened,
    replaying,
    vote,
    voting,
    world,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts_model import Outcome, State, Verdict
from contracts_model.audit import check_book
from contracts_model.kernels.layout import share
from contracts_model.validators import answer_digest

A, R, N = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_FINAL


def gains(book, asset: int, before: dict[int, int]) -> dict[int, int]:
    after = money(book, asset)
    return {actor: after[actor] - before[actor] for actor in after if after[actor] != before[actor]}


def test_a_paid_escrow() -> None:
    book = world()
    credit, bonds = money(book, CREDIT), money(book, BONDS)
    escrow = claimed(book)
    assert book.collect(escrow, now=20) is Outcome.OK
    # 1000 by weights 2 : 1, cumulated floors: 666 and 1000 - 666
    assert gains(book, CREDIT, credit) == {PAYER: -700, PAYER2: -350, PERFORMER: 666, STRANGER: 334, BANK: 50}
    assert gains(book, BONDS, bonds) == {}


def test_an_offer_that_nobody_completed_returns_everything() -> None:
    book = world()
    before = [money(book, asset) for asset in (CREDIT, BONDS)]
    escrow = opened(book)
    assert book.fund(PAYER, escrow, 500, now=11) is Outcome.OK
    assert book.fund(PAYER, escrow, 200, now=11) is Outcome.OK
    assert book.accept(PERFORMER, escrow, now=11) is Outcome.OK
    assert book.escrow_row(escrow)["pot_reserve_performer"] == 202 + 404
    assert book.free(PERFORMER, BONDS) == RICH - 333 - 606
    assert book.reclaim(escrow, now=ACCEPT_BY) is Outcome.OK
    assert book.state(escrow) is State.REFUNDED
    assert [money(book, asset) for asset in (CREDIT, BONDS)] == before


def test_a_promise_nobody_kept_costs_the_collateral() -> None:
    """A time-out both pays and refunds: the payers get their price back and the collateral, 333 by 700 : 350."""
    book = world()
    credit, bonds = money(book, CREDIT), money(book, BONDS)
    escrow = active(book)
    assert book.reclaim(escrow, now=CLAIM_BY) is Outcome.OK
    assert book.state(escrow) is State.SLASHED
    assert gains(book, CREDIT, credit) == {}
    assert gains(book, BONDS, bonds) == {PERFORMER: -333, PAYER: 222, PAYER2: 111}


def test_a_challenger_who_is_right() -> None:
    book = world()
    credit, bonds = money(book, CREDIT), money(book, BONDS)
    escrow = appealable(book, R)
    panel = book.panel(escrow)
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.state(escrow) is State.SLASHED
    assert gains(book, CREDIT, credit) == {}
    # 30 % of 333 is 99; 234 by 700 : 350; no bond was lost, so the jurors earn nothing
    assert gains(book, BONDS, bonds) == {PERFORMER: -333, CHALLENGER: 99, PAYER: 156, PAYER2: 78}
    assert len(panel) == 3


def test_a_challenger_who_is_wrong_pays_the_jurors_and_the_performer() -> None:
    book = world()
    bonds = money(book, BONDS)
    escrow = voting(book)
    panel = book.panel(escrow)
    vote(book, escrow, [A, A, R])
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.state(escrow) is State.PAID
    # bond 101: two right jurors at 7 each, 87 for the performer; the wrong juror's stake 40 is shared by the right ones
    expected = {CHALLENGER: -101, PERFORMER: 87, panel[0]: 27, panel[1]: 27, panel[2]: -40}
    assert gains(book, BONDS, bonds) == expected


def test_an_appeal_overturned_by_the_replay() -> None:
    """Round one wrong, round two wrong as well, the evidence right: the performer's reserve carries both appeals."""
    book = world(jurors=14)
    credit, bonds = money(book, CREDIT), money(book, BONDS)
    escrow = voting(book)
    first = book.panel(escrow)
    vote(book, escrow, [R, R, A])
    assert book.appeal(PERFORMER, escrow, now=book.clock, from_reserve=True) is Outcome.OK
    second = book.panel(escrow)
    assert len(second) == 7 and not set(first) & set(second)
    vote(book, escrow, [R] * 6 + [A])
    assert book.appeal(PERFORMER, escrow, now=book.clock, from_reserve=True) is Outcome.OK
    assert book.state(escrow) is State.REPLAY
    assert book.escrow_row(escrow)["pot_reserve_performer"] == 0
    assert book.escrow_row(escrow)["pot_bonds"] == 101 + 202 + 404
    assert book.replay_verdict(escrow, A, CLAIM, now=book.clock) is Outcome.OK
    assert gains(book, CREDIT, credit)[PERFORMER] == 666
    # eight wrong jurors lose 40 each, the two right ones share 320 and earn 7; 101 - 14 remain for the performer
    change = gains(book, BONDS, bonds)
    assert change.pop(CHALLENGER) == -101
    assert change.pop(PERFORMER) == 87
    assert change.pop(first[2]) == 160 + 7 and change.pop(second[6]) == 160 + 7
    assert set(change.values()) == {-40} and len(change) == 8


def test_a_backer_gets_its_bond_back() -> None:
    book = world(jurors=14, reserve_appeals=False)
    bonds = money(book, BONDS)
    escrow = voting(book)
    vote(book, escrow, [R, R, R])
    assert book.appeal(STRANGER, escrow, now=book.clock) is Outcome.OK
    assert book.free(STRANGER, BONDS) == RICH - 202
    vote(book, escrow, [A] * 7)
    assert book.execute(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert STRANGER not in gains(book, BONDS, bonds)


def test_a_silent_oracle_costs_nobody_anything() -> None:
    """Silence is not a rejection: bonds, collateral and price return; only validators who hid their vote lose their stake."""
    book = world()
    credit, bonds = money(book, CREDIT), money(book, BONDS)
    escrow = voting(book)
    panel = book.panel(escrow)
    vote(book, escrow, [N, N, None])
    assert book.state(escrow) is State.REPLAY
    assert book.replay_verdict(escrow, N, CLAIM, now=book.clock) is Outcome.CONDITION_NOT_FINAL
    assert book.lapse(escrow, now=book.deadline(escrow)) is Outcome.OK
    assert book.state(escrow) is State.REFUNDED
    assert gains(book, CREDIT, credit) == {}
    assert gains(book, BONDS, bonds) == {panel[0]: 20, panel[1]: 20, panel[2]: -40}


def test_what_no_juror_earned_goes_to_the_treasury() -> None:
    book = world()
    bonds = money(book, BONDS)
    escrow = replaying(book)
    panel = book.panel(escrow)
    assert book.replay_verdict(escrow, R, CLAIM, now=book.clock) is Outcome.OK
    change = gains(book, BONDS, bonds)
    assert change[TREASURY] == 120 and [change[juror] for juror in panel] == [-40] * 3


@pytest.mark.parametrize("opened_in_time", [True, False])
def test_a_planted_case(opened_in_time: bool) -> None:
    book = world()
    bonds = money(book, BONDS)
    sealed = answer_digest(CLAIM, CLAIM, R, b"s")
    _, case = book.plant(PAYER, 0, CLAIM, CLAIM, sealed, now=10)
    panel = book.panel(case)
    assert book.free(PAYER, BONDS) == RICH - 21
    vote(book, case, [R, A, N])
    assert book.state(case) is State.REPLAY
    if opened_in_time:
        assert book.open_answer(case, A, b"s", now=book.clock) is Outcome.WRONG_REVEAL
        assert book.open_answer(case, R, b"t", now=book.clock) is Outcome.WRONG_REVEAL
        assert book.open_answer(case, R, b"s", now=book.clock) is Outcome.OK
        # saying "not final" is wrong here: both others lose 40, the right one earns 80 and 7 of the operator's 21
        assert gains(book, BONDS, bonds) == {PAYER: -7, panel[0]: 87, panel[1]: -40, panel[2]: -40}
    else:
        assert book.lapse(case, now=book.deadline(case)) is Outcome.OK
        assert gains(book, BONDS, bonds) == {PAYER: -21, panel[0]: 7, panel[1]: 7, panel[2]: 7}
    assert book.state(case) is State.CLOSED
    assert check_book(book) == []


@given(
    total=st.integers(0, 1 << 61) | st.integers((1 << 31) - 2, (1 << 31) + 2),
    whole=st.integers(1, 1 << 61) | st.integers((1 << 31) - 2, (1 << 31) + 2),
    fraction=st.fractions(0, 1),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_share_is_the_exact_floor(total: int, whole: int, fraction: Fraction) -> None:
    part = floor(fraction * whole)
    for chosen in {part, 0, whole, min(part + 1, whole)}:
        assert share(total, chosen, whole) == total * chosen // whole


def test_two_phase_transfer_by_hand() -> None:
    book = world()
    outcome, hold = book.hold(PAYER, PAYER2, CREDIT, 100, controller=STRANGER, expires=20, now=10)
    assert outcome is Outcome.OK and book.free(PAYER, CREDIT) == RICH - 100
    assert book.post(PAYER2, hold, 60, now=11) is Outcome.WRONG_ACTOR
    assert book.post(STRANGER, hold, 101, now=11) is Outcome.BAD_AMOUNT
    assert book.expire(hold, now=19) is Outcome.TOO_EARLY
    assert book.post(STRANGER, hold, 60, now=19) is Outcome.OK
    assert (book.free(PAYER, CREDIT), book.free(PAYER2, CREDIT)) == (RICH - 60, RICH + 60)
    assert book.post(STRANGER, hold, 1, now=19) is book.void(PAYER2, hold, now=19) is Outcome.HOLD_CLOSED
    _, late = book.hold(PAYER, PAYER2, CREDIT, 100, controller=STRANGER, expires=30, now=20)
    assert book.post(STRANGER, late, 100, now=30) is Outcome.TOO_LATE
    assert book.expire(late, now=30) is Outcome.OK
    _, given_up = book.hold(PAYER, PAYER2, CREDIT, 100, controller=STRANGER, expires=40, now=30)
    assert book.void(PAYER, given_up, now=31) is Outcome.WRONG_ACTOR
    assert book.void(PAYER2, given_up, now=31) is Outcome.OK
    assert book.free(PAYER, CREDIT) == RICH - 60
    assert check_book(book) == []


def test_a_seat_binds_its_stake() -> None:
    book = world()
    escrow = voting(book)
    juror = book.panel(escrow)[0]
    assert book.staked(juror, BONDS) == 460
    assert book.unstake(juror, BONDS, 500, now=11) is Outcome.INSUFFICIENT_FUNDS
    assert book.unstake(juror, BONDS, 460, now=11) is Outcome.OK
