"""Entitlement: history, registered trips, and the theorems about identities and self-declared baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.small_markets import random_market, random_problem

from sim.assignment.equilibrium import solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.demand.build import build_demand
from sim.experiments.build import build_network
from sim.negotiation.deal_book import DealBook
from sim.negotiation.entitlement import entitled, extortion_rent, register_trips, verified_trips
from sim.negotiation.marketplace import Marketplace
from sim.spec import parse_scenario


def test_history_counts_trips_of_the_claimed_pair_alone() -> None:
    traveller, od = np.array([0, 0, 1, 1, 1, 3], np.int32), np.array([5, 5, 5, 6, 6, 9], np.int32)
    trips = verified_trips(traveller, od, claimed_od_idx=np.array([5, 6, 6, 8], np.int32))
    assert trips.tolist() == [2, 2, 0, 0]
    assert entitled(trips, 2).tolist() == [True, True, False, False]
    assert entitled(trips, 0).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 5))
@settings(derandomize=True)
def test_vehicles_with_a_history_are_admitted_and_phantoms_only_where_none_is_asked_for(
    rows: list[tuple[bool, bool]], days: int, needed: int
) -> None:
    wants, sybil = (np.array(column) for column in zip(*rows, strict=True))
    found = register_trips(wants, sybil, np.arange(len(rows), dtype=np.int32) % 3, days_driven=days, history_trips=needed)
    assert found.admitted[~found.is_phantom].all() == (days >= needed or not wants.any())
    assert found.admitted[found.is_phantom].all() == (needed == 0 or not (wants & sybil).any())
    assert found.is_phantom.sum() == (wants & sybil).sum()
    # Every vehicle that wants to take part is registered once, in one part or in three.
    np.testing.assert_allclose(np.bincount(found.traveller, weights=found.part, minlength=len(rows)), wants)
    assert (np.diff(found.traveller * 10 + found.nth) > 0).all()
    assert found.refused == (~found.admitted).sum()
    assert set(found.taking_part) == set(found.bonded) - set(np.flatnonzero(found.is_phantom))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_a_trip_in_two_identities_is_paid_by_the_funds_what_the_whole_is_paid(seed: int, part: float, pick: int) -> None:
    market = random_market(seed, grain=4.0, sigma=0.4)
    n = market.population.n_travellers
    split = pick % n
    # The trip is one row, or two of part and 1 - part of its weight; the others trade.
    parts, books = [], []
    for rows in (np.arange(n), np.insert(np.arange(n), split, split)):
        traffic = market.traffic()
        place = Marketplace(traffic, market.is_member, market.value, fee_per_vehicle=0.1, surplus_to_mover=0.2, seed=1)
        place.listen()
        weight = market.population.weight[rows].copy()
        mine = np.flatnonzero(rows == split)
        if len(mine) == 2:
            weight[mine] *= (part, 1.0 - part)
        value, route = market.value[rows], traffic.route_of_traveller[rows].copy()
        stake_before = place.stakes(traffic.route_of_traveller)
        turn = np.flatnonzero(rows != split).astype(np.int32)
        book = DealBook()
        book.trade(
            turn,
            market.population.od_idx[rows],
            route,
            weight,
            value,
            traffic.routes.columns,
            traffic.links,
            stake_before,
            fee_per_vehicle=0.1,
            surplus_to_mover=0.2,
        )
        on_route = np.isin(book.link, traffic.routes.links_of(route[mine[0]]))
        parts.append([float((book.fund_pays[on_route] * value[row] * weight[row]).sum()) for row in mine])
        books.append(book)
    np.testing.assert_allclose(books[0].fund_pays, books[1].fund_pays, rtol=1e-9, atol=1e-12)
    assert sum(parts[1]) == pytest.approx(parts[0][0], rel=1e-9, abs=1e-9)
    assert parts[1][0] == pytest.approx(part * parts[0][0], rel=1e-9, abs=1e-9)


def rent_by_enumeration(problem: AssignmentProblem) -> float:
    """Return the mean rent by listing every route of used links for every OD pair."""
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-10)
    network, order = problem.network, problem.link_order
    flow = equilibrium.flow_vph[order]
    power, capacity = network.bpr_beta[order], network.capacity_vph[order]
    slope = network.free_flow_time_s[order] * network.bpr_alpha[order]
    external = slope * power * (flow / capacity) ** power
    flows = equilibrium.origin_flows
    named = drawn = 0.0
    for origin in range(problem.n_origins):
        rows = slice(flows.start[origin], flows.start[origin + 1])
        used = flows.link[rows][flows.flow[rows] > 0.0]
        drawn += float(flows.flow[rows] @ external[flows.link[rows]])
        for cell in range(problem.cell_start[origin], problem.cell_start[origin + 1]):
            best, stack = -np.inf, [(int(problem.origin_node[origin]), 0.0)]
            while stack:
                node, amount = stack.pop()
                if node == problem.cell_node[cell]:
                    best = max(best, amount)
                stack += [(int(problem.head[link]), amount + external[link]) for link in used if problem.tail[link] == node]
            named += problem.cell_demand[cell] * best
    return (named - drawn) / problem.od.total_vph


@pytest.mark.parametrize("seed", range(8))
def test_the_rent_is_what_enumeration_finds(seed: int) -> None:
    problem = random_problem(seed)
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-10)
    optimum = solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-10)
    found = extortion_rent(problem, equilibrium, optimum.total_cost_s)
    assert found.rent_s == pytest.approx(rent_by_enumeration(problem), rel=1e-9, abs=1e-9)
    assert found.rent_s >= -1e-9
    vehicles = problem.od.total_vph
    assert found.saving_s == pytest.approx((equilibrium.total_cost_s - optimum.total_cost_s) / vehicles)


@pytest.mark.shared_data
def test_on_sioux_falls_liars_could_extort_more_than_there_is_to_gain(shared_data: Path) -> None:
    spec = parse_scenario(
        {
            "name": "siouxfalls",
            "network": {"source": "tntp", "net": "SiouxFalls_net.tntp"},
            "demand": {"source": "tntp", "trips": "SiouxFalls_trips.tntp", "vehicles_per_traveller": 1000.0},
        }
    )
    folder = shared_data / "tntp" / "SiouxFalls"
    demand = build_demand(spec.demand, build_network(spec.network, folder)[0], folder, 1)
    problem = make_problem(demand.network, demand.od)
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-8)
    optimum = solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-8)
    found = extortion_rent(problem, equilibrium, optimum.total_cost_s)
    # Minutes a trip. Which routes carry flow at an equilibrium is not unique, and the rent depends on it: an earlier study found
    # 1.13 against 0.79, three versions of the solver here 1.06, 1.09 and 1.20.
    assert found.saving_s / 60.0 == pytest.approx(0.793, abs=0.005)
    assert 1.0 < found.rent_s / 60.0 < 1.35
    assert found.rent_s > found.saving_s
