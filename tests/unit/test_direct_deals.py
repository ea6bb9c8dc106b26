"""Pools and pairs beside their slow twins, and the money of both: it balances to the micro-credit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.direct_deals import Purse, trade_in_pairs, trade_with_pools
from reference.small_markets import SmallMarket, random_market
from test_negotiation_deals import place_of, routes_known, street_of

from sim.kernels.pair_deals import pair_in_turn
from sim.kernels.pool_deals import FEES, PAYMENTS, pool_in_turn
from sim.mechanisms.pairwise import Pairwise
from sim.mechanisms.pools import Pools
from sim.model import CityModel
from sim.negotiation.deal_book import LEAST_SURPLUS
from sim.settlement.money import MICRO_PER_CREDIT, round_to_total, to_micro
from sim.spec import Market

SEEDS = st.integers(0, 10_000)
PARTICIPATION, SIGMA, FEE = st.sampled_from((0.5, 1.0)), st.sampled_from((0.0, 0.7)), st.sampled_from((0.0, 0.3))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS, PARTICIPATION, SIGMA, FEE, st.sampled_from((0.0, 0.4)))
def test_pools_pay_what_brute_force_says(seed: int, participation: float, sigma: float, fee: float, theta: float) -> None:
    market = random_market(seed, grain=6.0, participation=participation, sigma=sigma)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    known, street = routes_known(traffic), street_of(market, traffic)
    n = market.population.n_travellers
    charge, settled, totals = np.zeros(len(traffic.links.flow)), np.zeros(n), np.zeros(2)
    struck = pool_in_turn(
        place.members, market.population.od_idx, traffic.route_of_traveller, market.population.weight, market.value,
        traffic.routes.columns, traffic.links, place.stakes(traffic.route_of_traveller), fee, theta, LEAST_SURPLUS,
        charge, settled, totals,
    )  # fmt: skip
    purse = Purse([0.0] * n)
    of_traveller = [known[cell] for cell in market.population.od_idx.tolist()]
    after = trade_with_pools(street, place.members.tolist(), of_traveller, fee, theta, purse)
    scale = max(purse.payments, 1.0)
    assert struck == purse.deals
    assert after.driven == [tuple(traffic.routes.links_of(route).tolist()) for route in traffic.route_of_traveller]
    charged = traffic.routes.costs(charge)[traffic.route_of_traveller] * market.value * market.population.weight
    np.testing.assert_allclose(np.where(market.is_member, settled - charged, 0.0), purse.money, atol=1e-9 * scale)
    assert totals[PAYMENTS] == pytest.approx(purse.payments, abs=1e-9 * scale)
    assert totals[FEES] == pytest.approx(purse.fees, abs=1e-9 * scale)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS, PARTICIPATION, SIGMA, FEE, st.booleans())
def test_pairs_pay_what_brute_force_says(seed: int, participation: float, sigma: float, fee: float, compensate: bool) -> None:
    market = random_market(seed, grain=6.0, participation=participation, sigma=sigma)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    known, street = routes_known(traffic), street_of(market, traffic)
    n, members = market.population.n_travellers, place.members
    met = members[np.random.default_rng(seed).integers(0, max(len(members), 1), (len(members), 3))] if len(members) else None
    if met is None:
        return
    money, totals = np.zeros(n), np.zeros(2)
    struck = pair_in_turn(
        members, met, market.population.od_idx, traffic.route_of_traveller, market.population.weight, market.value,
        traffic.routes.columns, traffic.links, place.stakes(traffic.route_of_traveller), market.is_member, fee, compensate,
        1e-9, money, totals,
    )  # fmt: skip
    purse = Purse([0.0] * n)
    of_traveller = [known[cell] for cell in market.population.od_idx.tolist()]
    after = trade_in_pairs(street, members.tolist(), met.tolist(), of_traveller, fee, compensate, purse)
    scale = max(purse.payments, 1.0)
    assert struck == purse.deals
    assert after.driven == [tuple(traffic.routes.links_of(route).tolist()) for route in traffic.route_of_traveller]
    np.testing.assert_allclose(money, purse.money, atol=1e-9 * scale)
    assert totals.tolist() == pytest.approx([purse.payments, purse.fees], abs=1e-9 * scale)


def rested(market: SmallMarket, mechanism: Pools | Pairwise) -> CityModel:
    world = CityModel(market.problem, market.population, mechanism, 1)
    world.run_days(30)
    world.close()
    return world


@pytest.mark.parametrize("seed", range(4))
def test_money_adds_up_to_minus_the_fees_exactly(seed: int) -> None:
    market = random_market(seed, grain=2.0, participation=0.8)
    rules = Market(rounds=8, fee_per_vehicle=0.01)
    for mechanism in (
        Pools(rules, market.baseline, market.is_member, market.value, 1),
        Pairwise(rules, market.baseline, market.is_member, market.value, 1),
        Pairwise(rules, market.baseline, market.is_member, market.value, 1, compensates=True),
    ):
        rested(market, mechanism)
        fees = int(to_micro(np.array([mechanism.fees]))[0])
        money = round_to_total(mechanism.money, -fees)
        assert money.sum() == -fees
        assert np.abs(money - mechanism.money * MICRO_PER_CREDIT).max() <= 2.0
        assert not money[~market.is_member].any()
        assert (mechanism.fees > 0.0) == (mechanism.n_deals > 0) and mechanism.payments >= mechanism.fees


def test_where_the_one_payer_compensates_nobody_in_the_market_is_worse_off() -> None:
    struck, rules = 0, Market(fee_per_vehicle=0.0, rounds=1)
    for seed in range(12):
        # Few and heavy travellers: one of them may gain more than all others lose.
        market = random_market(seed, grain=30.0)
        mechanism = Pairwise(rules, market.baseline, market.is_member, market.value, 1, compensates=True)
        world = rested(market, mechanism)
        worth = market.value * market.population.weight
        utility = worth * (market.baseline.cost_s - world.traffic.traveller_costs_s()) + mechanism.money
        assert utility.min() >= -1e-6
        struck += mechanism.n_deals
    assert struck > 0


def test_rounding_to_a_total_that_the_amounts_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="should add up to 5000000 micro-credits"):
        round_to_total(np.array([1.0, 2.0]), 5_000_000)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
@settings(derandomize=True)
def test_rounding_to_the_total_moves_no_amount_by_more_than_a_micro_credit_or_two(amounts: list[float]) -> None:
    column = np.array(amounts)
    total = round(float(np.sum(column * MICRO_PER_CREDIT)))
    rounded = round_to_total(column, total)
    assert rounded.sum() == total
    assert np.abs(rounded - column * MICRO_PER_CREDIT).max() <= 2.0
