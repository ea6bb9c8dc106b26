"""Shares: at least 0, sum 1, in proportion to what they should be; cooperative games beside slow twins."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cooperative import largest_excess, monotone, shapley
from reference.small_markets import SmallMarket, random_market

from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation.cooperative import MOST_COALITIONS, Counts, least_core, shapley_values
from sim.negotiation.marketplace import Marketplace
from sim.negotiation.od_savings import OdSavings
from sim.negotiation.shares import (
    MemberFacts,
    ShareRule,
    equal_shares,
    externality_shares,
    honour_surcharges,
    member_shares,
)
from sim.spec import Market

RULES: tuple[ShareRule, ...] = get_args(ShareRule)
COSTS = st.floats(0.0, 1e4).map(lambda cost: cost if cost > 1e-6 else 0.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@st.composite
def games(draw: st.DrawFn) -> tuple[list[int], dict[Counts, float]]:
    """Draw sizes of 1 to 3 kinds, at most 5 players, and a worth of every coalition, some below 0 and some below their parts."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda sizes: sum(sizes) <= 5))
    worth = {}
    for counts in np.ndindex(*(size + 1 for size in sizes)):
        worth[tuple(map(int, counts))] = float(sum(counts)) * draw(st.floats(-1.0, 3.0))
    return sizes, worth


def by_players(sizes: list[int], worth: dict[Counts, float]) -> tuple[list[int], object]:
    """Return the kind of each player and the game on single players."""
    kind = [number for number, size in enumerate(sizes) for _ in range(size)]
    return kind, lambda part: worth[tuple(sum(kind[player] == number for player in part) for number in range(len(sizes)))]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(games())
def test_shapley_values_are_the_mean_over_all_orders(game: tuple[list[int], dict[Counts, float]]) -> None:
    sizes, worth = game
    kind, single = by_players(sizes, worth)
    values = shapley_values(sizes, worth.__getitem__, rng())
    np.testing.assert_allclose(values[kind], shapley(len(kind), single), atol=1e-9)
    assert values.min() >= 0.0
    assert values[kind].sum() == pytest.approx(monotone(len(kind), single)[frozenset(range(len(kind)))], abs=1e-9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(games(), st.integers(0, 1000))
def test_no_payoffs_have_a_smaller_largest_excess_than_the_least_core(
    game: tuple[list[int], dict[Counts, float]], seed: int
) -> None:
    sizes, worth = game
    kind, single = by_players(sizes, worth)
    payoff = least_core(sizes, worth.__getitem__, rng())[kind]
    total = monotone(len(kind), single)[frozenset(range(len(kind)))]
    assert payoff.min() >= 0.0
    assert payoff.sum() == pytest.approx(total, abs=1e-7)
    if len(kind) > 1:
        excess = largest_excess(len(kind), single, payoff.tolist())
        others = np.random.default_rng(seed).dirichlet(np.ones(len(kind)), 200) * total
        assert excess <= min(largest_excess(len(kind), single, other) for other in others.tolist()) + 1e-6


def gloves(counts: Counts) -> float:
    """Two left gloves, one right; a pair is worth 1."""
    return float(min(counts))


def airport(counts: Counts) -> float:
    """Three airlines that need runways of length 1, 2 and 3 save what they need not build twice."""
    used = [length for count, length in zip(counts, (1, 2, 3), strict=True) if count]
    return float(sum(used) - max(used, default=0))


def majority(counts: Counts) -> float:
    """Two of three get everything."""
    return float(sum(counts) >= 2)


def test_textbook_games() -> None:
    # Shapley: the right glove 2/3, the left ones 1/6 each; the core gives the scarce glove all.
    np.testing.assert_allclose(shapley_values([2, 1], gloves, rng()), [1 / 6, 2 / 3])
    np.testing.assert_allclose(least_core([2, 1], gloves, rng()), [0.0, 1.0], atol=1e-7)
    # Each stretch of runway is paid in equal parts by those who need it.
    parts = np.array([1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 1])
    np.testing.assert_allclose(shapley_values([1, 1, 1], airport, rng()), np.array([1, 2, 3]) - parts)
    # The core is empty, the least core equal with an excess of 1/3.
    np.testing.assert_allclose(least_core([1, 1, 1], majority, rng()), [1 / 3] * 3, atol=1e-7)
    # Two players split what they save together equally, on top of what each has alone.
    alone = {(0, 0): 0.0, (1, 0): 1.0, (0, 1): 3.0, (1, 1): 8.0}.__getitem__
    np.testing.assert_allclose(least_core([1, 1], alone, rng()), [3.0, 5.0], atol=1e-6)
    np.testing.assert_allclose(shapley_values([1, 1], alone, rng()), [3.0, 5.0])


def test_large_games_are_sampled_and_near_the_closed_form() -> None:
    # v = (sum of strengths)^2 for 14 different players: the Shapley value is strength * total.
    strength = np.arange(1.0, 15.0)
    assert 2 ** len(strength) > MOST_COALITIONS

    def worth(counts: Counts) -> float:
        return float(np.dot(counts, strength)) ** 2

    values = shapley_values([1] * 14, worth, rng())
    assert values.sum() == pytest.approx(strength.sum() ** 2)
    np.testing.assert_allclose(values, strength * strength.sum(), rtol=0.15)
    np.testing.assert_array_equal(values, shapley_values([1] * 14, worth, rng()))
    payoff = least_core([1] * 14, worth, rng())
    assert payoff.sum() == pytest.approx(strength.sum() ** 2)
    # Convex: a core exists, so no sampled coalition has reason to leave; single players are worth strength ** 2.
    assert payoff.min() >= 0.0 and payoff[-1] > payoff[0]


@settings(derandomize=True)
@given(st.lists(st.tuples(COSTS, st.floats(0.1, 100.0)), min_size=1, max_size=30))
def test_simple_shares_are_proportional(rows: list[tuple[float, float]]) -> None:
    cost, weight = (np.array(column) for column in zip(*rows, strict=True))
    equal, external = equal_shares(weight), externality_shares(cost, weight)
    for share in (equal, external):
        assert share.min() >= 0.0 and share.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(equal * weight.sum(), weight)
    np.testing.assert_allclose(external, cost / cost.sum() if cost.any() else equal)


@settings(derandomize=True)
@given(st.lists(st.tuples(COSTS, st.floats(0.1, 100.0)), min_size=2, max_size=10), st.floats(0.01, 0.99))
def test_splitting_into_identities_is_neutral(rows: list[tuple[float, float]], part: float) -> None:
    cost, weight = (np.array(column) for column in zip(*rows, strict=True))
    parts = np.array([part, 1.0 - part])
    split_cost, split_weight = np.append(cost[1:], cost[0] * parts), np.append(weight[1:], weight[0] * parts)
    for whole, split in (
        (equal_shares(weight), equal_shares(split_weight)),
        (externality_shares(cost, weight), externality_shares(split_cost, split_weight)),
    ):
        assert split[-2:].sum() == pytest.approx(whole[0])
        np.testing.assert_allclose(split[:-2], whole[1:])


def facts_of(market: SmallMarket, *, fee: float = 0.1) -> tuple[MemberFacts, Coalition, StaticTraffic]:
    mechanism = Coalition(Market(fee_per_vehicle=fee), market.baseline, market.is_member, market.value, 1)
    world = CityModel(market.problem, market.population, mechanism, 1)
    world.run_days(50)
    members = mechanism.place.members
    stake = mechanism.place.stakes(mechanism.baseline_route)
    facts = MemberFacts(
        member=members,
        od_idx=market.population.od_idx[members],
        weight=market.population.weight[members],
        external_cost=market.baseline.external_cost_s[members],
        savings=OdSavings(world.traffic, mechanism.baseline_route, stake, market.value, fee),
        seed=3,
    )
    return facts, mechanism, world.traffic


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.6)), st.sampled_from(RULES))
def test_all_rules_share_everything_and_take_from_nobody(seed: int, sigma: float, rule: ShareRule) -> None:
    facts = facts_of(random_market(seed, grain=8.0, participation=0.8, sigma=sigma))[0]
    if len(facts.member) == 0:
        return
    share = member_shares(rule, facts)
    assert share.shape == facts.weight.shape
    assert share.min() >= 0.0 and share.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(share, member_shares(rule, facts))
    # Between OD pairs all but equal shares divide alike.
    if rule != "equal":
        external = member_shares("externality", facts)
        for cell in np.unique(facts.od_idx):
            assert share[facts.od_idx == cell].sum() == pytest.approx(external[facts.od_idx == cell].sum())


def test_game_shares_need_the_games() -> None:
    facts = MemberFacts(np.arange(2, dtype=np.int32), np.zeros(2, np.int32), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="savings"):
        member_shares("shapley", facts)


def saving_by_trading(market: SmallMarket, traffic: StaticTraffic, chosen: np.ndarray, fee: float) -> float:
    """Return what a separate market earns in which only `chosen` trade, until nobody does."""
    fresh = market.traffic()
    columns = traffic.routes.columns
    for route in range(traffic.routes.n_routes):
        cell = next(number for number, routes in enumerate(traffic.routes.by_cell()) if route in routes)
        links = columns.link[columns.start[route] : columns.start[route + 1]]
        fresh.routes.add_paths(np.array([cell], np.int32), np.array([0, len(links)]), links)
    place = Marketplace(fresh, market.is_member, market.value, fee_per_vehicle=fee, surplus_to_mover=0.0, seed=0)
    for _ in range(100):
        struck = place.book.trade(
            chosen,
            market.population.od_idx,
            fresh.route_of_traveller,
            market.population.weight,
            market.value,
            fresh.routes.columns,
            fresh.links,
            place.stakes(fresh.route_of_traveller),
            fee_per_vehicle=fee,
            surplus_to_mover=0.0,
        )
        if struck == 0:
            return float(place.book.surplus.sum())
    raise AssertionError("trading did not end")


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.7)))
def test_a_groups_saving_is_what_a_market_of_its_own_earns(seed: int, sigma: float) -> None:
    market = random_market(seed, grain=8.0, sigma=sigma)
    facts, _, traffic = facts_of(market)
    assert facts.savings is not None
    for cell in np.unique(facts.od_idx).tolist():
        group = facts.member[facts.od_idx == cell]
        for size in range(1, len(group) + 1, 2):
            chosen = group[:size]
            saving = facts.savings.saving(chosen)
            assert saving == pytest.approx(saving_by_trading(market, traffic, chosen, 0.1), abs=1e-6)
            # Everything was put back.
            assert facts.savings.saving(chosen) == saving
    assert facts.savings.saving(np.empty(0, np.int32)) == 0.0


@settings(derandomize=True)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), COSTS), min_size=1, max_size=20), st.floats(-10.0, 1e5))
def test_surcharges_are_honoured_before_the_rest_is_shared(rows: list[tuple[float, float]], gain: float) -> None:
    share, surcharge = (np.array(column) for column in zip(*rows, strict=True))
    share = share / share.sum() if share.sum() > 1e-9 else np.full(len(rows), 1.0 / len(rows))
    result = honour_surcharges(share, surcharge, gain)
    assert result.min() >= 0.0 and result.sum() == pytest.approx(1.0)
    if gain >= surcharge.sum() > 0.0:
        np.testing.assert_allclose(result * gain, surcharge + share * (gain - surcharge.sum()), atol=1e-9 * gain)
    elif surcharge.any() and gain > 0.0:
        np.testing.assert_allclose(result * surcharge.sum(), surcharge, rtol=1e-9)
    else:
        np.testing.assert_array_equal(result, share)
