"""Deals beside their slow twin: what a detour is worth, who pays what, when trading ends, how the book grows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.deals import Street, best_worth, worth_of
from reference.link_costs import cost_s
from reference.small_markets import SmallMarket, random_market
from reference.small_networks import network_of, problem_of
from reference.travellers import Route

from sim.arrays import FloatColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.travellers import make_population
from sim.kernels.deals import screen_offers
from sim.negotiation.baseline import Baseline
from sim.negotiation.deal_book import LEAST_SURPLUS, DealBook
from sim.negotiation.marketplace import Marketplace
from sim.spec import Profile, ValueOfTime

SEEDS = st.integers(0, 10_000)


def routes_known(traffic: StaticTraffic) -> list[list[Route]]:
    return [[tuple(traffic.routes.links_of(route).tolist()) for route in routes] for routes in traffic.routes.by_cell()]


def street_of(market: SmallMarket, traffic: StaticTraffic) -> Street:
    network, order = market.problem.network, market.problem.link_order
    columns = (network.free_flow_time_s, network.capacity_vph, network.bpr_alpha, network.bpr_beta, network.fixed_cost_s)
    rows = list(zip(*(column[order].tolist() for column in columns), strict=True))
    return Street(
        driven=[tuple(traffic.routes.links_of(route).tolist()) for route in traffic.route_of_traveller],
        weight=market.population.weight.tolist(),
        value=market.value.tolist(),
        is_member=market.is_member.tolist(),
        cost=lambda link, flow: cost_s(flow, *rows[link]),
        n_links=network.n_links,
    )


def place_of(market: SmallMarket, traffic: StaticTraffic, *, fee: float = 0.0, theta: float = 0.0) -> Marketplace:
    return Marketplace(traffic, market.is_member, market.value, fee_per_vehicle=fee, surplus_to_mover=theta, seed=1)


def trade(
    place: Marketplace,
    book: DealBook,
    turn: np.ndarray,
    fee: float,
    theta: float,
    ask: FloatColumn,
    rival_ask: FloatColumn | None = None,
) -> int:
    traffic = place.traffic
    return book.trade(
        turn,
        traffic.population.od_idx,
        traffic.route_of_traveller,
        traffic.population.weight,
        place.value,
        traffic.routes.columns,
        traffic.links,
        place.stakes(traffic.route_of_traveller),
        fee_per_vehicle=fee,
        surplus_to_mover=theta,
        ask=ask,
        rival_ask=rival_ask,
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    SEEDS,
    st.sampled_from((0.4, 1.0)),
    st.sampled_from((0.0, 0.8)),
    st.sampled_from((0.0, 0.3, 5.0)),
    st.sampled_from((0.0, 0.4, 1.0)),
    st.sampled_from((0.0, 2.0)),
    st.sampled_from((0.0, 3.0, np.inf)),
)
def test_every_deal_is_what_brute_force_says(
    seed: int, participation: float, sigma: float, fee: float, theta: float, most_ask: float, rival: float
) -> None:
    market = random_market(seed, grain=6.0, participation=participation, sigma=sigma)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    known, street = routes_known(traffic), street_of(market, traffic)
    ask = np.random.default_rng(seed).uniform(0.0, 1.0, len(market.value)) * most_ask
    book = DealBook()
    trade(place, book, place.members, fee, theta, ask, ask + rival)
    of_route = [tuple(traffic.routes.links_of(route).tolist()) for route in range(traffic.routes.n_routes)]
    scale = max(street.members_total(), 1.0)
    done = 0
    for mover in place.members.tolist():
        weight, own_cost = street.weight[mover], street.trip_credits()[mover]
        asked = float(ask[mover]) * weight
        cell = int(market.population.od_idx[mover])
        best = best_worth(street, mover, known[cell], fee * weight + asked)
        trades = done < book.n_deals and int(book.traveller[done]) == mover
        if not trades:
            assert best is None or best.surplus <= LEAST_SURPLUS * own_cost + 1e-9 * scale
            continue
        route = of_route[book.columns.to_route[done]]
        assert street.driven[mover] == of_route[book.columns.from_route[done]]
        worth = worth_of(street, mover, route, fee * weight + asked)
        assert best is not None and worth.surplus == pytest.approx(best.surplus, abs=1e-9 * scale)
        assert worth.surplus > 0.0
        # The surcharge: the rivals' ask, as far as the deal is worth it; never less than what was asked.
        surcharge = min((float(ask[mover]) + rival) * weight, asked + worth.surplus)
        left = worth.surplus + asked - surcharge
        gain, loss = max(-worth.loss, 0.0), max(worth.loss, 0.0)
        rho = (loss + surcharge + worth.harm + fee * weight + theta * left) / (worth.gains + gain)
        assert rho <= 1.0 + 1e-9
        assert book.columns.loss[done] == pytest.approx(worth.loss, abs=1e-9 * scale)
        assert book.surcharge[done] == pytest.approx(surcharge, abs=1e-9 * scale)
        assert book.surplus[done] == pytest.approx(left, abs=1e-9 * scale)
        assert book.to_mover[done] == pytest.approx(loss + surcharge + theta * left - rho * gain, abs=1e-9 * scale)
        rows = slice(book.start[done], book.start[done + 1])
        pays = dict(zip(book.link[rows].tolist(), book.fund_pays[rows].tolist(), strict=True))
        expected = {link: rho * amount for link, amount in worth.gain_of_link.items()}
        expected |= {link: -amount for link, amount in worth.harm_of_link.items()}
        assert pays == pytest.approx(expected, abs=1e-9 * scale)
        # Balance: what the funds pay is what the mover and the validators get.
        assert sum(pays.values()) == pytest.approx(book.to_mover[done] + fee * weight, abs=1e-9 * scale)
        street = street.after(mover, route)
        done += 1
    assert done == book.n_deals
    # The kernel's flows, costs and stakes are those of the routes.
    assert street.driven == [of_route[route] for route in traffic.route_of_traveller]
    np.testing.assert_allclose(traffic.links.cost, street.link_costs(), rtol=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((0.0, 1.0)), st.sampled_from((0.0, 1.5)))
def test_total_cost_falls_by_surplus_fees_and_surcharges_until_nobody_trades(
    seed: int, fee: float, ask_per_vehicle: float
) -> None:
    market = random_market(seed, grain=2.0)
    traffic = market.traffic()
    place = place_of(market, traffic)
    before = traffic.total_cost_s
    ask = np.full(len(market.value), ask_per_vehicle)
    for _ in range(200):
        place.listen()
        if trade(place, place.book, place.members, fee, 0.0, ask) == 0:
            break
        traffic.load()
    else:
        pytest.fail("trading did not end")
    book, weight = place.book, market.population.weight[place.book.traveller]
    fees, surcharges = fee * weight.sum(), ask_per_vehicle * weight.sum()
    assert book.surcharge.sum() == pytest.approx(surcharges)
    assert before - traffic.total_cost_s == pytest.approx(book.surplus.sum() + fees + surcharges, rel=1e-9, abs=1e-9 * before)
    street, known = street_of(market, traffic), routes_known(traffic)
    for mover in place.members.tolist():
        best = best_worth(street, mover, known[market.population.od_idx[mover]], (fee + ask_per_vehicle) * street.weight[mover])
        assert best is None or best.surplus <= 1e-8 * before


@settings(max_examples=20, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((0.0, 0.7)))
def test_members_gain_the_surplus_whatever_their_values_of_time(seed: int, sigma: float) -> None:
    market = random_market(seed, participation=0.6, sigma=sigma)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    before = street_of(market, traffic).members_total()
    trade(place, place.book, place.members, 0.0, 0.0, np.zeros(len(market.value)))
    after = street_of(market, traffic).members_total()
    assert before - after == pytest.approx(place.book.surplus.sum(), abs=1e-9 * max(before, 1.0))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((0.0, 2.0)))
def test_screened_offers_are_what_the_first_in_turn_would_sell(seed: int, ask_per_vehicle: float) -> None:
    market = random_market(seed, grain=6.0, sigma=0.5)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    members, n = place.members, len(place.members)
    route, surplus, loss = np.empty(n, np.int32), np.empty(n), np.empty(n)
    ask = np.full(len(market.value), ask_per_vehicle)
    flow_before, driven_before = traffic.links.flow.copy(), traffic.route_of_traveller.copy()
    screen_offers(
        members, market.population.od_idx, traffic.route_of_traveller, market.population.weight, market.value, ask,
        traffic.routes.columns, traffic.links, place.stakes(driven_before), 1.0, LEAST_SURPLUS, route, surplus, loss,
    )  # fmt: skip
    np.testing.assert_array_equal(flow_before, traffic.links.flow)
    np.testing.assert_array_equal(driven_before, traffic.route_of_traveller)
    for index, mover in enumerate(members.tolist()):
        fresh = market.traffic()
        own_place = place_of(market, fresh)
        own_place.listen()
        book = DealBook()
        struck = trade(own_place, book, members[index : index + 1], 1.0, 0.0, ask)
        assert (route[index] != driven_before[mover]) == (struck == 1)
        if struck:
            assert (route[index], surplus[index], loss[index]) == (
                book.columns.to_route[0],
                book.surplus[0],
                book.columns.loss[0],
            )


def test_a_deal_on_two_parallel_links_by_hand() -> None:
    # Pigou's pair as two links of 1 s and 0.1 v s, ten travellers of one vehicle, all on the second: t = 1. One who leaves to
    # the first loses 1 - 1 = 0 s and saves the nine others 0.1 s each.
    problem = problem_of(network_of([(0, 1, 1.0, 1.0, 0.0, 1.0), (0, 1, 1e-9, 1.0, 1e8, 1.0)], zones=[0, 1]), [(0, 1, 10.0)])
    population = make_population(problem.od, 1.0, ValueOfTime(), Profile(), 1)
    slow, quick = (int(np.flatnonzero(problem.link_order == link)[0]) for link in (0, 1))
    baseline = Baseline(np.arange(11), np.full(10, quick, np.int32), np.ones(10), np.ones(10), 10.0, 0)
    market = SmallMarket(problem, population, baseline, np.ones(10, np.bool_), np.ones(10))
    traffic = market.traffic()
    traffic.routes.add_paths(np.zeros(1, np.int32), np.array([0, 1]), np.array([slow], np.int32))
    place = place_of(market, traffic)
    assert trade(place, place.book, np.array([3], np.int32), 0.25, 0.5, np.full(10, 0.05)) == 1
    book = place.book
    assert book.columns.loss[0] == pytest.approx(0.0, abs=1e-8)
    assert book.surplus[0] == pytest.approx(0.9 - 0.25 - 0.05)
    assert book.surcharge[0] == pytest.approx(0.05)
    assert book.to_mover[0] == pytest.approx(0.05 + 0.5 * 0.6)
    assert dict(zip(book.link.tolist(), book.fund_pays.tolist(), strict=True)) == pytest.approx(
        {quick: 0.25 + 0.05 + 0.5 * 0.6, slow: 0.0}
    )


def test_a_book_that_grows_holds_the_same_deals() -> None:
    market = random_market(3, grain=0.02)
    books = []
    for room in ("usual", "tiny"):
        traffic = market.traffic()
        place = place_of(market, traffic)
        place.listen()
        book = DealBook()
        if room == "tiny":
            # One deal, and a row less than it may need: every deal makes it grow.
            book.columns = book.columns._replace(
                **{
                    name: getattr(book.columns, name)[:1]
                    for name in ("traveller", "from_route", "to_route", "loss", "surplus", "surcharge", "to_mover")
                },
                start=book.columns.start[:2],
                link=book.columns.link[:1],
                fund_pays=book.columns.fund_pays[:1],
            )
        trade(place, book, place.members, 0.0, 0.0, np.zeros(len(market.value)))
        books.append(book)
    usual, tiny = books
    assert usual.n_deals == tiny.n_deals > 50
    for name in ("traveller", "surplus", "surcharge", "to_mover", "start", "link", "fund_pays"):
        np.testing.assert_array_equal(getattr(usual, name), getattr(tiny, name))
    np.testing.assert_array_equal(usual.columns.to_route[: usual.n_deals], tiny.columns.to_route[: tiny.n_deals])


def test_forgotten_deals_leave_the_book() -> None:
    market = random_market(3, grain=0.5)
    traffic = market.traffic()
    place = place_of(market, traffic)
    place.listen()
    trade(place, place.book, place.members, 0.0, 0.0, np.zeros(len(market.value)))
    kept = [column[:2].copy() for column in (place.book.traveller, place.book.surplus)]
    rows = int(place.book.start[2])
    place.book.forget_from(2)
    assert place.book.n_deals == 2
    np.testing.assert_array_equal(place.book.traveller, kept[0])
    np.testing.assert_array_equal(place.book.surplus, kept[1])
    assert len(place.book.link) == len(place.book.fund_pays) == rows


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS)
def test_stakes_are_those_of_the_members_on_each_link(seed: int) -> None:
    market = random_market(seed, participation=0.5, sigma=0.6)
    traffic = market.traffic()
    street = street_of(market, traffic)
    stake = place_of(market, traffic).stakes(traffic.route_of_traveller)
    np.testing.assert_allclose(stake, [street.stake(link) for link in range(street.n_links)], rtol=1e-12)


def test_a_market_without_members_does_nothing() -> None:
    market = random_market(3, participation=0.0)
    traffic = market.traffic()
    place = place_of(market, traffic)
    before = traffic.links.flow.copy()
    place.listen()
    assert not place.stakes(traffic.route_of_traveller).any()
    assert place.trade(traffic.route_of_traveller, 1) == 0
    np.testing.assert_array_equal(traffic.links.flow, before)
