"""Strategies: how they are found, cast and asked, what they are told, and what they change in the market."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.small_markets import SmallMarket, random_market

from sim.errors import InputError
from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation.conduct import Conduct, surcharges_by_traveller
from sim.negotiation.strategies import (
    Cast,
    OfferColumns,
    Strategy,
    TravellerColumns,
    cast_strategies,
    find_strategy,
    strategy,
    strategy_names,
)
from sim.settlement.money import split_micro
from sim.spec import Market, parse_scenario

SEED = 5


def conduct_of(market: SmallMarket, shares: dict[str, float] | Cast, how: Any = "lot") -> Conduct:
    n = market.population.n_travellers
    cast = shares if isinstance(shares, Cast) else cast_strategies(shares, n, SEED)
    return Conduct(cast, market.population, market.baseline, market.value, SEED, how)


def world_of(market: SmallMarket, conduct: Conduct | None, **rules: Any) -> tuple[CityModel, Coalition]:
    is_member = market.is_member if conduct is None else conduct.members(market.is_member)
    mechanism = Coalition(Market(**rules), market.baseline, is_member, market.value, SEED, conduct)
    world = CityModel(market.problem, market.population, mechanism, SEED)
    world.run_days(200)
    return world, mechanism


def everybody(market: SmallMarket, played: Strategy) -> Cast:
    return Cast(("test",), (played,), np.zeros(market.population.n_travellers, np.int32))


def test_bundled_names() -> None:
    assert {"honest", "stubborn", "outsider", "hurried", "defector"} <= set(strategy_names())


def test_honest_travellers_trade_as_without_strategies() -> None:
    market = random_market(3, grain=1.0)
    plain, book = (world_of(market, conduct) for conduct in (None, conduct_of(market, {"honest": 1.0})))
    np.testing.assert_array_equal(plain[0].traffic.route_of_traveller, book[0].traffic.route_of_traveller)
    np.testing.assert_array_equal(plain[1].book.to_mover, book[1].book.to_mover)
    assert plain[1].book.n_deals > 5


def test_stubborn_travellers_get_what_they_ask_and_the_city_less() -> None:
    market = random_market(3, grain=1.0)
    (_, honest), (world, stubborn) = (world_of(market, conduct_of(market, {name: 1.0})) for name in ("honest", "stubborn"))
    book, weight = stubborn.book, market.population.weight
    cost = market.value * weight * market.baseline.cost_s
    np.testing.assert_allclose(book.surcharge, 0.05 * cost[book.traveller])
    assert 0 < book.n_deals < honest.book.n_deals
    # Everybody gets the surcharges first, and the rest by the rule; nobody ends below the baseline.
    members = stubborn.place.members
    fees = float(weight[book.traveller].sum())
    gain = float(cost.sum() - stubborn.place.trip_costs().sum()) - fees
    share = stubborn.shares(world.traffic, gain)
    surcharge = surcharges_by_traveller(book, len(weight))[members]
    assert share.min() >= 0.0 and share.sum() == pytest.approx(1.0)
    assert (share * gain >= surcharge - 1e-9).all()
    assert split_micro(10**9, share).sum() == 10**9


@pytest.mark.parametrize("rule", ["externality", "equal", "shapley", "least_core"])
def test_the_coalition_shares_by_the_scenarios_rule(rule: str) -> None:
    market = random_market(3, grain=8.0, sigma=0.5)
    world, mechanism = world_of(market, None, shares=rule)
    share = mechanism.shares(world.traffic, 100.0)
    assert share.min() >= 0.0 and share.sum() == pytest.approx(1.0)


def test_outsiders_stay_out() -> None:
    market = random_market(3, grain=1.0)
    conduct = conduct_of(market, {"honest": 0.5, "outsider": 0.5})
    _, mechanism = world_of(market, conduct)
    outside = conduct.cast.part == 1
    assert 0.3 < outside.mean() < 0.7
    np.testing.assert_array_equal(mechanism.is_member, ~outside)
    assert mechanism.book.n_deals > 0 and not outside[mechanism.book.traveller].any()
    # Whom the lottery does not admit nobody asks.
    assert not conduct.members(np.zeros(len(outside), np.bool_)).any()


def test_hurried_travellers_take_no_long_detours() -> None:
    seen: list[OfferColumns] = []

    class Picky(Strategy):
        def accepts(self, offers: OfferColumns) -> np.ndarray:
            seen.append(offers)
            return offers.loss <= 0.0

    market = random_market(3, grain=1.0)
    _, mechanism = world_of(market, conduct_of(market, everybody(market, Picky())))
    offers = seen[0]
    assert offers.day == 1 and len(offers) > 10
    assert (offers.surplus > 0.0).all()
    np.testing.assert_allclose(offers.price, offers.loss)
    np.testing.assert_allclose(offers.cost, offers.baseline_cost)
    _, honest = world_of(market, None)
    assert mechanism.book.n_deals < honest.book.n_deals


def test_refusing_everything_ends_trading_at_once() -> None:
    class No(Strategy):
        def accepts(self, offers: OfferColumns) -> np.ndarray:
            return np.zeros(len(offers), np.bool_)

    market = random_market(3, grain=1.0)
    world, mechanism = world_of(market, conduct_of(market, everybody(market, No())))
    assert mechanism.book.n_deals == 0 and world.stopped_because == "nobody trades"
    np.testing.assert_array_equal(world.traffic.route_of_traveller, mechanism.baseline_route)


def test_defectors_drive_the_baseline_where_that_is_quicker() -> None:
    market = random_market(3, grain=1.0)
    conduct = conduct_of(market, {"defector": 1.0})
    world, mechanism = world_of(market, conduct)
    movers = np.unique(mechanism.book.traveller).astype(np.int32)
    kept = conduct.keeps_promise(
        movers, np.zeros(len(movers)), world.traffic.route_of_traveller, mechanism.baseline_route, world.traffic
    )
    cost = world.traffic.routes.costs(world.traffic.links.cost)
    slower = cost[world.traffic.route_of_traveller[movers]] > cost[mechanism.baseline_route[movers]]
    np.testing.assert_array_equal(kept, ~slower)
    assert slower.sum() > 0
    honest = conduct_of(market, {"honest": 1.0})
    assert honest.keeps_promise(
        movers, np.zeros(len(movers)), world.traffic.route_of_traveller, mechanism.baseline_route, world.traffic
    ).all()


def test_columns_say_what_they_promise() -> None:
    seen: list[TravellerColumns] = []

    class Curious(Strategy):
        def surcharge(self, travellers: TravellerColumns) -> np.ndarray:
            seen.append(travellers)
            return np.zeros(len(travellers))

    market = random_market(3, grain=4.0, sigma=0.5)
    world_of(market, conduct_of(market, everybody(market, Curious())))
    assert [columns.day for columns in seen] == list(range(1, len(seen) + 1))
    for columns in seen:
        rows = columns.traveller
        assert sorted(rows.tolist()) == list(range(market.population.n_travellers))
        np.testing.assert_array_equal(columns.weight, market.population.weight[rows])
        np.testing.assert_array_equal(columns.od_idx, market.population.od_idx[rows])
        np.testing.assert_array_equal(columns.value, market.value[rows])
        np.testing.assert_allclose(
            columns.baseline_cost, (market.value * market.population.weight * market.baseline.cost_s)[rows]
        )
        luck = dict(zip(rows.tolist(), columns.luck.tolist(), strict=True))
        assert luck == dict(zip(seen[0].traveller.tolist(), seen[0].luck.tolist(), strict=True))
    assert seen[0].luck.min() >= 0.0 and seen[0].luck.max() < 1.0


def test_casting_is_a_lottery_by_shares_and_by_number() -> None:
    cast = cast_strategies({"honest": 3.0, "stubborn": 1.0}, 20_000, 1)
    assert (cast.part == 1).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(cast.part[:100], cast_strategies({"honest": 3.0, "stubborn": 1.0}, 100, 1).part)
    assert (cast.part != cast_strategies({"honest": 3.0, "stubborn": 1.0}, 20_000, 2).part).any()
    assert cast_strategies({}, 7, 1).names == ("honest",)


def test_strategies_are_found_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "patient_people.py").write_text(
        "from sim.negotiation.strategies import Strategy\nclass Patient(Strategy):\n    pass\nclass Needy(Strategy):\n"
        "    def __init__(self, x):\n        pass\nclass Other:\n    pass\n"
    )
    (tmp_path / "broken_people.py").write_text("1 / 0\n")
    assert type(find_strategy("patient_people:Patient", tmp_path)).__name__ == "Patient"
    for name, word in [
        ("patient_people:Needy", "cannot be made"),
        ("patient_people:Other", "no strategy"),
        ("patient_people:Missing", "no strategy"),
        ("broken_people:Patient", "ZeroDivisionError"),
        ("no_such_people:Patient", "ModuleNotFoundError"),
        ("nobody", "honest"),
    ]:
        with pytest.raises(InputError, match=re.escape(word)) as raised:
            find_strategy(name, tmp_path)
        assert "market.strategies" in str(raised.value)


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="honest"):

        @strategy("honest")
        class Impostor(Strategy):
            pass

    with pytest.raises(ValueError, match="colon"):
        strategy("a:b")(Strategy)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (np.zeros(1), "shape"),
        (lambda n: np.full(n, -1.0), "less than 0"),
        (lambda n: np.full(n, np.nan), "no number"),
        (lambda n: np.full(n, np.inf), "finite"),
        (lambda n: np.full(n, "x"), "no number"),
    ],
)
def test_bad_answers_are_named(answer: Any, word: str) -> None:
    class Bad(Strategy):
        def surcharge(self, travellers: TravellerColumns) -> np.ndarray:
            return answer(len(travellers)) if callable(answer) else answer

    market = random_market(3, grain=8.0)
    with pytest.raises(InputError, match=word) as raised:
        world_of(market, conduct_of(market, everybody(market, Bad())))
    assert "test.surcharge" in str(raised.value)


def test_bad_yes_or_no_is_named() -> None:
    class Bad(Strategy):
        def joins(self, travellers: TravellerColumns) -> np.ndarray:
            return np.ones(len(travellers))

    market = random_market(3, grain=8.0)
    with pytest.raises(InputError, match=r"test\.joins.*true or false"):
        conduct_of(market, everybody(market, Bad())).members(market.is_member)


def test_a_scenario_names_strategies() -> None:
    table = {
        "name": "x",
        "network": {"source": "synthetic", "kind": "braess"},
        "demand": {"source": "synthetic"},
        "market": {"strategies": {"honest": 0.9, "my_module:Mine": 0.1}, "who_gives_way": "auction", "shares": "least_core"},
    }
    market = parse_scenario(table).market
    assert (market.strategies, market.who_gives_way, market.shares) == (
        {"honest": 0.9, "my_module:Mine": 0.1},
        "auction",
        "least_core",
    )
    with pytest.raises(InputError, match=r"market\.strategies\.honest"):
        parse_scenario(table | {"market": {"strategies": {"honest": 0.0}}})
