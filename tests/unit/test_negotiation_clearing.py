"""Money: rounding, clearing of a window's deals, the settlement at its end; everything balances to the micro-credit."""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.plain_settlement import settle_plainly
from reference.small_markets import random_market

from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation.deal_book import DealBook
from sim.settlement.clearing import Contracts, clear
from sim.settlement.money import MICRO_PER_CREDIT, split_micro, to_micro
from sim.spec import Market

PAYMENTS = st.floats(-50, 50).map(lambda credits: credits if abs(credits) > 1e-9 else 0.0)
CREDITS = st.floats(-1e6, 1e6, allow_nan=False)


def book_of(deals: list[tuple[int, float, list[tuple[int, float]]]]) -> DealBook:
    """Return a book of (mover, what he gets, [(link, what its fund pays)])."""
    book = DealBook()
    columns, row = book.columns, 0
    for number, (mover, to_mover, funds) in enumerate(deals):
        columns.traveller[number] = mover
        columns.to_mover[number] = to_mover
        for link, pays in funds:
            columns.link[row], columns.fund_pays[row] = link, pays
            row += 1
        columns.start[number + 1] = row
    book.n_deals = len(deals)
    return book


@st.composite
def books(draw: st.DrawFn) -> tuple[DealBook, float]:
    """Draw deals that balance: the funds pay fee and mover; links pay and receive; movers trade several times."""
    fee = draw(st.sampled_from((0.0, 1.0, 0.3)))
    deals = []
    for _ in range(draw(st.integers(0, 12))):
        funds = draw(st.dictionaries(st.integers(0, 4), PAYMENTS, min_size=1, max_size=4))
        mover = draw(st.integers(0, 5))
        deals.append((mover, sum(funds.values()) - fee * (1.0 + mover / 3.0), list(funds.items())))
    return book_of(deals), fee


WEIGHT = 1.0 + np.arange(6) / 3.0


def check_contracts(contracts: Contracts, book: DealBook, weight: np.ndarray, n_links: int, fee: float) -> None:
    n_rows = len(contracts.link)
    assert contracts.start[0] == 0 and contracts.start[-1] == n_rows
    price, fees = contracts.price_micro, contracts.fee_micro
    np.testing.assert_array_equal(contracts.mover, sorted(set(book.traveller.tolist())))
    for k, mover in enumerate(contracts.mover.tolist()):
        rows = slice(contracts.start[k], contracts.start[k + 1])
        assert len(set(contracts.link[rows].tolist())) == len(contracts.link[rows])
        assert price[k] + fees[k] == contracts.fund_pays_micro[rows].sum() + contracts.clearing_pays_micro[k]
        own = book.traveller == mover
        assert price[k] == pytest.approx(book.to_mover[own].sum() * MICRO_PER_CREDIT, abs=1.0)
        assert fees[k] == pytest.approx(fee * weight[mover] * own.sum() * MICRO_PER_CREDIT, abs=1.0)
    # The clearing account ends where it began, so the funds pay exactly the movers and the validators.
    assert contracts.clearing_pays_micro.sum() == 0
    assert contracts.fund_pays_micro.sum() == price.sum() + fees.sum()
    gross: dict[int, float] = defaultdict(float)
    for link, pays in zip(book.link.tolist(), book.fund_pays.tolist(), strict=True):
        gross[link] += pays
    for link in range(n_links):
        pays = contracts.fund_pays_micro[contracts.link == link]
        # A fund is on one side, up to the micro-credits that rounding leaves with the largest payment.
        assert pays.min(initial=0) >= -n_rows or pays.max(initial=0) <= n_rows
        assert pays.sum() == pytest.approx(gross[link] * MICRO_PER_CREDIT, abs=2.0 * n_rows + 1e-6)
    assert contracts.payments_micro == contracts.fund_pays_micro.clip(min=0).sum()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(books())
def test_clearing_balances_any_book(drawn: tuple[DealBook, float]) -> None:
    book, fee = drawn
    check_contracts(clear(book, WEIGHT, 5, fee), book, WEIGHT, 5, fee)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.5)), st.sampled_from((0.0, 0.7)))
def test_clearing_balances_what_members_traded(seed: int, fee: float, sigma: float) -> None:
    market = random_market(seed, grain=1.0, sigma=sigma)
    mechanism = Coalition(Market(fee_per_vehicle=fee), market.baseline, market.is_member, market.value, seed)
    CityModel(market.problem, market.population, mechanism, seed).run_days(100)
    n_links = market.problem.network.n_links
    weight = market.population.weight
    check_contracts(clear(mechanism.book, weight, n_links, fee), mechanism.book, weight, n_links, fee)


def test_netting_by_hand() -> None:
    # Link 0 pays 6 to mover 0 and 3 to mover 1, and is owed 3 by mover 2's detour: it pays two thirds of each and
    # receives nothing.
    book = book_of([(0, 6.0, [(0, 6.0)]), (1, 3.0, [(0, 3.0)]), (2, 1.0, [(1, 4.0), (0, -3.0)])])
    contracts = clear(book, np.ones(3), 2, 0.0)
    assert contracts.price_micro.tolist() == [6_000_000, 3_000_000, 1_000_000]
    assert contracts.link.tolist() == [0, 0, 0, 1]
    assert contracts.fund_pays_micro.tolist() == [4_000_000, 2_000_000, 0, 4_000_000]
    assert contracts.clearing_pays_micro.tolist() == [2_000_000, 1_000_000, -3_000_000]
    assert contracts.payments_micro == 10_000_000


def test_a_mover_who_comes_back_keeps_one_contract() -> None:
    book = book_of([(4, 2.0, [(0, 3.0)]), (4, 1.0, [(0, -1.0), (1, 3.0)])])
    contracts = clear(book, np.full(5, 2.0), 2, 0.5)
    assert contracts.n_contracts == 1
    assert (contracts.price_micro.tolist(), contracts.fee_micro.tolist()) == ([3_000_000], [2_000_000])
    assert contracts.fund_pays_micro.tolist() == [2_000_000, 3_000_000]


@given(CREDITS)
@settings(derandomize=True)
def test_money_is_the_nearest_micro_credit_half_away_from_zero(credits: float) -> None:
    scaled = Decimal(credits * MICRO_PER_CREDIT)
    assert to_micro(np.array([credits]))[0] == scaled.quantize(Decimal(1), ROUND_HALF_UP)
    assert to_micro(np.array([-credits]))[0] == -to_micro(np.array([credits]))[0]


def test_money_rounds_halves_away_from_zero() -> None:
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5]) / MICRO_PER_CREDIT
    assert to_micro(halves).tolist() == [1, 2, 3, -1, -2]


@settings(derandomize=True)
@given(
    st.integers(0, 10**13), st.lists(st.floats(0, 1e3).map(lambda share: share if share > 1e-9 else 0.0), min_size=1, max_size=40)
)
def test_a_split_adds_up_and_is_within_a_micro_credit(total_micro: int, shares: list[float]) -> None:
    share = np.array(shares)
    amount = split_micro(total_micro, share)
    assert amount.sum() == total_micro
    assert amount.min() >= 0
    share = share if share.any() else np.ones(len(share))
    exact = share * (total_micro / share.sum())
    # One micro-credit, and what floating point blurs in amounts of 1e13.
    assert np.abs(amount - exact).max() < 1.0 + 1e-2
    assert (amount[exact == 0.0] <= 1).all()


def test_a_split_gives_what_remains_to_the_largest_remainders() -> None:
    assert split_micro(10, np.array([1.0, 1.0, 1.0])).tolist() == [4, 3, 3]
    assert split_micro(7, np.array([1.0, 2.0, 4.0]) / 7.0 * 3.0).tolist() == [1, 2, 4]
    assert split_micro(1, np.array([0.2, 0.5, 0.3])).tolist() == [0, 1, 0]
    assert split_micro(7, np.zeros(3)).tolist() == [3, 2, 2]
    assert split_micro(0, np.zeros(3)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="-1"):
        split_micro(-1, np.ones(2))


@settings(derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1)), min_size=1, max_size=20), st.integers(0, 10**9))
def test_a_window_pays_exactly_the_fees_and_leaves_nobody_below_the_baseline(
    rows: list[tuple[float, float, float]], fees_micro: int
) -> None:
    baseline, realised, share = (np.array(column) for column in zip(*rows, strict=True))
    share = share / share.sum() if share.sum() > 1e-6 else np.full(len(rows), 1.0 / len(rows))
    settled = settle_plainly(baseline, realised, share, fees_micro)
    saving = to_micro(baseline) - to_micro(realised)
    assert settled.called_off == (int(saving.sum()) < fees_micro)
    if settled.called_off:
        assert not settled.money_micro.any() and settled.gain_micro == 0
        return
    assert settled.money_micro.sum() == -fees_micro
    better_by = saving + settled.money_micro
    assert better_by.min() >= 0
    assert better_by.sum() == settled.gain_micro == int(saving.sum()) - fees_micro
    np.testing.assert_allclose(better_by, share * settled.gain_micro, atol=1.01)
