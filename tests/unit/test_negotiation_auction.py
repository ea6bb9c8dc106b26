"""The reverse auction: who wins, at what price, and that nobody with one trip to sell can gain by another ask."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.small_markets import random_market

from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation.auction import order_by_ask, reverse_auction
from sim.negotiation.conduct import Conduct
from sim.negotiation.marketplace import Marketplace
from sim.negotiation.strategies import cast_strategies
from sim.spec import Market

ASKS = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=6)
BENEFITS = st.lists(st.integers(0, 10).map(float), max_size=6).map(lambda column: sorted(column, reverse=True))


def utility(asks: list[float], benefits: list[float], seller: int, worth: float) -> float:
    """Return what a seller who wants `worth` earns above it."""
    result = reverse_auction(np.array(asks), np.array(benefits))
    return result.price - worth if seller in result.winners else 0.0


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ASKS, BENEFITS)
def test_winners_are_the_cheapest_and_as_many_as_pay(asks: list[float], benefits: list[float]) -> None:
    result = reverse_auction(np.array(asks), np.array(benefits))
    ranked = sorted(range(len(asks)), key=lambda seller: (asks[seller], seller))
    worth_it = [k for k in range(1, min(len(asks), len(benefits)) + 1) if asks[ranked[k - 1]] <= benefits[k - 1]]
    n_winners = max(worth_it, default=0)
    assert result.winners.tolist() == ranked[:n_winners]
    if n_winners:
        rejected = [asks[seller] for seller in ranked[n_winners:]]
        assert result.price == min([*rejected, benefits[n_winners - 1]])
        assert all(asks[seller] <= result.price <= benefits[n_winners - 1] for seller in result.winners)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ASKS, BENEFITS, st.integers(0, 5))
def test_no_seller_of_one_trip_gains_by_another_ask(wants: list[float], benefits: list[float], number: int) -> None:
    # Brute force: every ask on a half-unit grid, against every profile that the others happen to have.
    seller = number % len(wants)
    honest = utility(wants, benefits, seller, wants[seller])
    assert honest >= 0.0
    for other in np.arange(0.0, 11.5, 0.5):
        lied = [*wants[:seller], float(other), *wants[seller + 1 :]]
        assert utility(lied, benefits, seller, wants[seller]) <= honest


def test_a_seller_of_two_trips_can_gain_by_holding_one_back() -> None:
    # So truthfulness is promised for one trip alone: with both it earns 2 * (2 - 1), with the second held back 1 * (5 - 1).
    benefits = np.array([6.0, 5.0, 2.0])
    both = reverse_auction(np.array([1.0, 1.0, 1.0]), benefits)
    held = reverse_auction(np.array([1.0, 9.0, 1.0]), benefits)
    assert both.price == 2.0 and held.price == 5.0
    assert 1 * (held.price - 1.0) > 2 * (both.price - 1.0)


def test_nobody_wins_where_nothing_is_worth_its_ask() -> None:
    for asks, benefits in (([3.0], []), ([3.0, 4.0], [2.0, 1.0])):
        result = reverse_auction(np.array(asks), np.array(benefits))
        assert len(result.winners) == 0 and result.price == 0.0


@pytest.mark.parametrize(("asks", "benefits"), [([-1.0], [1.0]), ([np.nan], [1.0]), ([1.0], [1.0, 2.0]), ([1.0], [np.nan, 2.0])])
def test_bad_columns_are_refused(asks: list[float], benefits: list[float]) -> None:
    with pytest.raises(ValueError, match=r"must not rise|below 0"):
        reverse_auction(np.array(asks), np.array(benefits))


def test_places_of_a_group_go_to_its_cheapest() -> None:
    turn = np.array([4, 0, 3, 1, 2], np.int32)
    group = np.array([7, 9, 7, 9, 7], np.int32)
    ask = np.array([2.0, 0.5, 1.0, 0.5, 3.0])
    # Group 7 has the places 0, 1, 4 and the travellers 2 (1.0), 0 (2.0), 4 (3.0); group 9 keeps the lot's order 3, 1.
    assert order_by_ask(turn, group, ask).tolist() == [2, 0, 3, 1, 4]
    for free in product((0.0, 1.0), repeat=2):
        assert sorted(order_by_ask(turn, group, np.repeat(free, [2, 3])).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shares", [{"honest": 1.0}, {"honest": 0.5, "stubborn": 0.5}, {"stubborn": 1.0}])
def test_a_market_with_auctions_pays_winners_at_least_their_ask_and_rests_as_low(shares: dict[str, float]) -> None:
    market = random_market(2, grain=1.0)
    n = market.population.n_travellers
    worlds = {}
    for how in ("lot", "auction"):
        conduct = Conduct(cast_strategies(shares, n, 1), market.population, market.baseline, market.value, 1, how)
        mechanism = Coalition(
            Market(fee_per_vehicle=0.1, rounds=1000), market.baseline, market.is_member, market.value, 1, conduct
        )
        world = CityModel(market.problem, market.population, mechanism, 1)
        world.run_days(1000)
        assert world.stopped_because == "nobody trades"
        worlds[how] = (world.traffic.total_cost_s, mechanism.book)
    auction = worlds["auction"][1]
    assert auction.n_deals > 5
    assert auction.surplus.min() >= 0.0
    cost = market.value * market.population.weight * market.baseline.cost_s
    asked = np.where(np.array(list(shares))[conduct.cast.part] == "stubborn", 0.05 * cost, 0.0)[auction.traveller]
    assert (auction.surcharge >= asked * (1.0 - 1e-12)).all()
    # Balance holds with surcharges too.
    weight = market.population.weight[auction.traveller]
    assert auction.fund_pays.sum() == pytest.approx(auction.to_mover.sum() + 0.1 * weight.sum())
    assert worlds["auction"][0] == pytest.approx(worlds["lot"][0], rel=0.01)


def test_a_seller_without_rivals_gets_what_the_detour_is_worth() -> None:
    # One traveller an OD pair: nobody else could give way, so the price is the marginal benefit and no surplus is left.
    market = random_market(390, grain=1e9)
    conduct = Conduct(
        cast_strategies({}, market.population.n_travellers, 1), market.population, market.baseline, market.value, 1, "auction"
    )
    traffic = market.traffic()
    place = Marketplace(
        traffic, market.is_member, market.value, fee_per_vehicle=0.0, surplus_to_mover=0.0, seed=1, conduct=conduct
    )
    place.listen()
    assert place.trade(traffic.route_of_traveller, 1) > 0
    assert place.book.surcharge.min() > 0.0
    assert place.book.surplus[0] == pytest.approx(0.0, abs=1e-9)
