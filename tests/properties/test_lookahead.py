"""The look-ahead below full participation: pass-through against a twin, and a promise that holds whoever takes part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.negotiation.pass_through import Load, member_flows, pass_through
from sim.spec import Market
from tests.reference.small_markets import random_market


def test_pass_through_by_hand() -> None:
    before = Load(np.array([10.0, 10.0, 10.0, 10.0, 10.0]), np.array([5.0, 5.0, 5.0, 5.0, 5.0]))
    # Half came back, all came back and more, nobody answered, members changed nothing, members brought 2 and one other left.
    after = Load(np.array([8.0, 11.0, 6.0, 9.0, 11.0]), np.array([1.0, 1.0, 1.0, 5.0, 7.0]))
    assert pass_through(before, after).tolist() == [0.5, 0.0, 1.0, 1.0, 0.5]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_flows_of_members_equal_a_count_by_hand(seed: int, participation: float) -> None:
    market = random_market(seed, participation=participation)
    world = CityModel(
        market.problem, market.population, Coalition(Market(), market.baseline, market.is_member, market.value, seed), seed
    )
    world.step()
    traffic = world.traffic
    expected = np.zeros(market.problem.network.n_links)
    columns = traffic.routes.columns
    for traveller in np.flatnonzero(market.is_member):
        route = traffic.route_of_traveller[traveller]
        for link in columns.link[columns.start[route] : columns.start[route + 1]]:
            expected[link] += market.population.weight[traveller]
    found = member_flows(traffic, np.flatnonzero(market.is_member).astype(np.int32))
    assert found.members == pytest.approx(expected)
    assert (found.members <= found.everybody + 1e-9).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from((0.1, 0.3, 0.6, 0.9)), st.sampled_from((0.0, 0.01)))
def test_members_together_never_end_below_their_baseline(seed: int, participation: float, fee: float) -> None:
    market = random_market(seed, participation=participation)
    mechanism = Coalition(Market(fee_per_vehicle=fee), market.baseline, market.is_member, market.value, seed)
    world = CityModel(market.problem, market.population, mechanism, seed)
    world.run_days(60)
    members = np.flatnonzero(market.is_member)
    fees = fee * market.population.weight[mechanism.book.traveller].sum()
    before = mechanism.baseline_cost[members].sum() if len(world.days) > 1 else 0.0
    gain = before - mechanism.place.trip_costs()[members].sum() - fees
    assert gain >= -1e-9 * max(before, 1.0)
    if mechanism.called_off:
        assert mechanism.book.n_deals == 0
        np.testing.assert_array_equal(world.traffic.route_of_traveller, mechanism.baseline_route)
