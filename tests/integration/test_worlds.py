"""The worlds of travellers: selfish days, the optimum's plan, and how both near the continuous solutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference.link_costs import cost_s
from reference.small_networks import network_of, problem_of
from reference.travellers import Route, rosenthal_potential

from sim.assignment.equilibrium import Assignment, solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.static_traffic import LEAST_GAIN
from sim.demand.od import od_from_cells
from sim.demand.population import Population
from sim.demand.travellers import make_population
from sim.mechanisms.optimum import Optimum
from sim.mechanisms.selfish import Selfish
from sim.model import CityModel
from sim.network.synthetic import braess, grid, parallel
from sim.spec import Profile, ValueOfTime

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM
GRAINS = (1.0, 0.3, 0.1, 0.01)


def people(problem: AssignmentProblem, grain: float) -> Population:
    return make_population(problem.od, grain, ValueOfTime(), Profile(), 1)


def town(seed: int = 0, *, barred: bool = False) -> AssignmentProblem:
    """Return a 5 by 5 grid of uneven streets with 40 cells; with `barred`, four inner zones may not be passed."""
    network = grid(5, 5)
    rng = np.random.default_rng(seed)
    passable = np.ones(25, np.bool_)
    if barred:
        passable[[6, 8, 16, 18]] = False
    network = network.replace(
        zone_id=network.node_id,
        zone_node_idx=np.arange(25),
        node_passable=passable,
        capacity_vph=rng.uniform(5.0, 20.0, network.n_links),
        free_flow_time_s=rng.uniform(20.0, 60.0, network.n_links),
    )
    origin, destination = rng.integers(0, 25, 40), rng.integers(0, 25, 40)
    return make_problem(network, od_from_cells(network.zone_id, origin, destination, rng.uniform(0.5, 6.0, 40), source="test"))


def selfish_world(problem: AssignmentProblem, grain: float, gap: float = 0.0, days: int = 60, seed: int = 1) -> CityModel:
    world = CityModel(problem, people(problem, grain), Selfish(seed, gap))
    world.run_days(days)
    return world


def optimum_world(problem: AssignmentProblem, grain: float, plan: Assignment) -> CityModel:
    world = CityModel(problem, people(problem, grain), Optimum(plan.origin_flows, 1))
    world.run_days(60)
    return world


def check_routes(world: CityModel) -> None:
    """Assert that every route leads to its destination through no barred zone and that flows are the sum of the travellers."""
    traffic, population, problem = world.traffic, world.population, world.traffic.problem
    flow = np.zeros(problem.network.n_links)
    nodes = problem.network.zone_node_idx
    for agent in world.travellers:
        assert agent.route == traffic.route_of_traveller[agent.row]
        assert agent.weight == population.weight[agent.row]
        here = origin = int(nodes[population.origin_zone_idx[agent.row]])
        for link in traffic.routes.links_of(agent.route).tolist():
            assert problem.tail[link] == here
            assert here == origin or problem.network.node_passable[here]
            here = int(problem.head[link])
            flow[link] += agent.weight
        assert here == nodes[population.destination_zone_idx[agent.row]]
    np.testing.assert_allclose(traffic.links.flow, flow, rtol=1e-12, atol=1e-12)
    cost = problem.in_network_order(traffic.links.cost)
    network = problem.network
    columns = (
        problem.in_network_order(flow),
        network.free_flow_time_s,
        network.capacity_vph,
        network.bpr_alpha,
        network.bpr_beta,
    )
    expected = [cost_s(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    np.testing.assert_allclose(cost, expected, rtol=1e-9)
    assert traffic.total_cost_s == pytest.approx(float(flow @ traffic.links.cost), rel=1e-12)
    assert float(traffic.traveller_costs_s() @ population.weight) == pytest.approx(traffic.total_cost_s, rel=1e-12)


@pytest.mark.parametrize("barred", [False, True], ids=["open", "barred"])
def test_every_route_is_whole_in_both_worlds(barred: bool) -> None:
    problem = town(barred=barred)
    check_routes(selfish_world(problem, 0.5))
    for gap in (1e-3, 1e-7):
        check_routes(optimum_world(problem, 0.5, solve(problem, SO, gap=gap)))


@pytest.mark.parametrize("seed", [6, 9, 36, 55, 71])
def test_plans_from_loose_solutions_are_whole(seed: int) -> None:
    # At loose gaps the flows by origin hold traces that rounding left behind nodes that nothing enters.
    problem = town(seed)
    for gap in (1e-1, 1e-2, 1e-3, 1e-4):
        check_routes(optimum_world(problem, 0.3, solve(problem, SO, gap=gap)))


def test_selfish_days_lower_the_potential_and_end_at_rest() -> None:
    problem = problem_of(town(3).network, [(0, 24, 12.0), (4, 20, 9.0), (12, 2, 6.0)])
    # One vehicle a traveller: equal weights, for which Rosenthal's potential falls at every change.
    world = CityModel(problem, people(problem, 1.0), Selfish(1, 0.0))
    network = problem.network
    rows = list(
        zip(
            *(
                column[problem.link_order].tolist()
                for column in (network.free_flow_time_s, network.capacity_vph, network.bpr_alpha, network.bpr_beta)
            ),
            strict=True,
        )
    )

    def potential() -> float:
        driven: list[Route] = [tuple(world.traffic.routes.links_of(agent.route).tolist()) for agent in world.travellers]
        return rosenthal_potential(driven, lambda link, flow: cost_s(flow, *rows[link]), network.n_links, 1.0)

    world.step()
    seen = [potential()]
    while world.stopped_because is None:
        world.step()
        seen.append(potential())
        assert seen[-1] < seen[-2] if world.days[-1].travellers_moved else seen[-1] == seen[-2]
    assert world.stopped_because == "nobody gains by changing"
    assert len(seen) > 2
    check_routes(world)


def test_at_rest_nobody_gains_by_any_route() -> None:
    # A pure Nash equilibrium: checked for every traveller and every simple path, with his own weight where he would go.
    from reference.path_equilibrium import simple_paths

    problem = problem_of(braess(), [(0, 1, 6.0)])
    world = selfish_world(problem, 0.5)
    assert world.stopped_because == "nobody gains by changing"
    network, traffic = problem.network, world.traffic
    flow = problem.in_network_order(traffic.links.flow)

    def price(link: int, volume: float) -> float:
        return cost_s(
            volume,
            float(network.free_flow_time_s[link]),
            float(network.capacity_vph[link]),
            float(network.bpr_alpha[link]),
            float(network.bpr_beta[link]),
        )

    paths = simple_paths(network, 0, 1)
    assert len(paths) == 3
    for agent in world.travellers:
        own = {int(problem.link_order[link]) for link in traffic.routes.links_of(agent.route)}
        paid = sum(price(link, flow[link]) for link in own)
        for path in paths:
            there = sum(price(link, flow[link] + (0.0 if link in own else agent.weight)) for link in path)
            assert there >= paid * (1.0 - 2 * LEAST_GAIN)


@pytest.mark.parametrize("make", [lambda: problem_of(braess(), [(0, 1, 6.0)]), town], ids=["braess", "grid"])
def test_finer_grains_near_the_continuous_totals(make: Callable[[], AssignmentProblem]) -> None:
    problem = make()
    equilibrium, plan = solve(problem, UE, gap=1e-9), solve(problem, SO, gap=1e-9)
    selfish_off, optimum_off = [], []
    for grain in GRAINS:
        selfish = selfish_world(problem, grain, gap=1e-6, days=120)
        selfish_off.append(abs(selfish.traffic.total_cost_s / equilibrium.total_cost_s - 1.0))
        optimum = optimum_world(problem, grain, plan)
        assert optimum.stopped_because == "plan followed" and len(optimum.days) == 1
        # No flows of travellers are better than the optimum's proven bound.
        assert plan.lower_bound_s is not None and optimum.traffic.total_cost_s >= plan.lower_bound_s * (1 - 1e-12)
        optimum_off.append(abs(optimum.traffic.total_cost_s / plan.total_cost_s - 1.0))
    assert selfish_off[-1] <= 1e-3 and optimum_off[-1] <= 1e-4
    # Finer by a hundred: nearer by ten at least, unless it was exact from the start.
    assert selfish_off[-1] <= max(selfish_off[0] / 10.0, 1e-6)
    assert optimum_off[-1] <= max(optimum_off[0] / 10.0, 1e-9)


@pytest.mark.parametrize("grain", GRAINS)
def test_plan_is_kept_within_about_a_traveller_a_node(grain: float) -> None:
    problem = town(2)
    plan = solve(problem, SO, gap=1e-8)
    world = optimum_world(problem, grain, plan)
    off = np.abs(world.traffic.links.flow - plan.flow_vph[problem.link_order])
    weight = float(world.population.weight.max())
    # Paths here have up to 12 nodes; measured: at most 4 travellers, half of the links within one.
    assert off.max() <= 12.0 * weight
    assert float(np.median(off)) <= 1.5 * weight


def test_days_end_at_the_gap_or_at_the_bound() -> None:
    problem = town(1)
    at_gap = selfish_world(problem, 0.05, gap=1e-2)
    assert at_gap.stopped_because == "gap reached"
    assert at_gap.days[-1].relative_gap <= 1e-2 < at_gap.days[-2].relative_gap
    bounded = selfish_world(problem, 0.05, gap=0.0, days=3)
    assert bounded.stopped_because == "bound of 3 days reached" and [day.day for day in bounded.days] == [0, 1, 2]
    bounded.step()
    assert len(bounded.days) == 3


def test_day_records_are_what_was_driven() -> None:
    problem = town(1)
    world = CityModel(problem, people(problem, 0.5), Selfish(1, 0.0))
    before = np.full(world.population.n_travellers, -1)
    for day in range(5):
        world.step()
        now = world.traffic.route_of_traveller.copy()
        record = world.days[-1]
        assert record.day == day
        assert record.travellers_moved == (0 if day == 0 else int((now != before).sum()))
        assert record.total_cost_s == world.traffic.total_cost_s
        tstt, sptt = world.traffic.total_cost_s, world.traffic.cheapest_total_s
        assert record.relative_gap == (tstt - sptt) / tstt
        before = now


def test_first_day_follows_the_map() -> None:
    network = parallel(3)
    problem = problem_of(network, [(0, 1, 500.0)])
    world = selfish_world(problem, 10.0, days=1)
    assert problem.in_network_order(world.traffic.links.flow).tolist() == [500.0, 0.0, 0.0]


def test_fixed_costs_count_as_cost_and_not_as_time() -> None:
    rows = [(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 10.0, 1.0, 1.0)]
    problem = problem_of(network_of(rows, zones=[0, 1], fixed_cost_s=[6.0, 0.0]), [(0, 1, 10.0)])
    world = selfish_world(problem, 1.0)
    # As in test_fixed_costs: two on the tolled link (18 s, of which 12 s time), eight on the other.
    assert sorted(world.traffic.traveller_times_s().tolist()) == pytest.approx([12.0] * 2 + [18.0] * 8)
    assert world.traffic.traveller_costs_s().tolist() == pytest.approx([18.0] * 10)
