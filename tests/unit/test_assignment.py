"""The solver: why it stops, what it says, what it refuses; and the networks on which an earlier form of it got stuck."""

from __future__ import annotations

import numpy as np
import pytest
from reference.certificates import check_assignment
from reference.shortest_paths import distances
from reference.small_networks import network_of, od_of, problem_of

from sim.assignment import bushes
from sim.assignment.equilibrium import IterationRecord, solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.od import od_from_cells
from sim.demand.travellers import make_population
from sim.errors import InputError
from sim.metrics import equilibrium_margin
from sim.network.synthetic import braess, grid
from sim.spec import Profile, ValueOfTime

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM


def made_town(seed: int) -> AssignmentProblem:
    """Return a grid of random streets (powers 1 to 8) with 30 random cells, often far beyond capacity."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 9))
    network = grid(size, size)
    n_links = network.n_links
    network = network.replace(
        capacity_vph=rng.uniform(100, 1500, n_links),
        free_flow_time_s=rng.uniform(5, 60, n_links),
        bpr_beta=rng.choice([1.0, 2, 4, 4, 5, 8], n_links),
        bpr_alpha=rng.uniform(0.05, 2, n_links),
        zone_id=network.node_id,
        zone_node_idx=np.arange(network.n_nodes),
    )
    origin, destination = rng.integers(0, network.n_nodes, 30), rng.integers(0, network.n_nodes, 30)
    demand = rng.uniform(1, 600, 30) * rng.choice([0.3, 1, 2])
    return make_problem(network, od_from_cells(network.zone_id, origin, destination, demand, source="test"))


@pytest.mark.parametrize("seed", [12, 55, 96, 148])
@pytest.mark.parametrize("principle", Principle)
def test_steep_and_over_saturated_towns_are_solved(seed: int, principle: Principle) -> None:
    # Town 55 stood at a gap of 5e-6 (optimum) and fell by a third in 100 iterations (equilibrium) while pairs moved in turn only.
    problem = made_town(seed)
    solved = solve(problem, principle, gap=1e-11)
    assert solved.reached and solved.iterations <= 100
    check_assignment(problem, solved)


@pytest.mark.parametrize("seed", range(12))
def test_margin_of_the_equilibrium_holds(seed: int) -> None:
    solved = solve(made_town(seed), UE, gap=1e-13)
    totals, gaps = [record.total_cost_s for record in solved.history], [record.relative_gap for record in solved.history]
    for last in range(len(gaps)):
        if gaps[last] <= 1e-3:
            off = abs(totals[last] - solved.total_cost_s) / totals[last]
            assert off <= equilibrium_margin(totals[: last + 1], gaps[: last + 1]) + 1e-12


@pytest.mark.parametrize("demand", [40 / 11, 80 / 9, 8.5])
def test_margin_where_a_path_is_just_not_used(demand: float) -> None:
    solved = solve(problem_of(braess(), [(0, 1, demand)]), UE, gap=1e-14)
    totals, gaps = [record.total_cost_s for record in solved.history], [record.relative_gap for record in solved.history]
    for last in range(len(gaps)):
        if gaps[last] <= 1e-4:
            off = abs(totals[last] - solved.total_cost_s) / totals[last]
            assert off <= equilibrium_margin(totals[: last + 1], gaps[: last + 1]) + 1e-12


def test_iteration_bound_is_a_result() -> None:
    told: list[IterationRecord] = []
    solved = solve(made_town(3), UE, gap=1e-12, max_iterations=2, on_iteration=told.append)
    assert not solved.reached and solved.iterations == 2
    assert solved.stopped_because == "iteration bound of 2 reached"
    assert tuple(told) == solved.history and [record.iteration for record in told] == [0, 1, 2]
    assert solved.relative_gap == told[-1].relative_gap > 1e-12
    check_assignment(made_town(3), solved)


def test_floor_of_arithmetic_is_a_result() -> None:
    solved = solve(made_town(55), UE, gap=1e-30)
    assert solved.reached == (solved.relative_gap <= 1e-30)
    assert solved.reached or solved.stopped_because.startswith("gap no longer falls")
    assert solved.relative_gap <= 1e-13


def test_loose_and_tight_agree_within_the_bounds() -> None:
    problem = made_town(7)
    exact = solve(problem, SO, gap=1e-13)
    network = problem.network
    tail, head, times = network.tail_idx.tolist(), network.head_idx.tolist(), network.free_flow_time_s.tolist()
    free_flow = 0.0
    for origin, destination, demand in zip(
        problem.od.origin_zone_idx, problem.od.destination_zone_idx, problem.cell_demand, strict=True
    ):
        free_flow += demand * distances(int(origin), network.n_nodes, tail, head, times, [True] * network.n_nodes)[destination]
    for gap in (0.999, 1e-1, 1e-3, 1e-6):
        loose = solve(problem, SO, gap=gap)
        assert loose.lower_bound_s is not None
        # With the widest gaps the bound from marginal costs is below zero.
        assert loose.lower_bound_s >= free_flow * (1 - 1e-12)
        assert loose.lower_bound_s <= exact.total_cost_s <= loose.total_cost_s * (1 + 1e-12)


@pytest.mark.parametrize("seed", [6, 8, 71, 83, 145])
def test_loose_solutions_hold_no_trace_of_rounding(seed: int) -> None:
    # Flows of 1e-14 behind nodes that nothing enters were handed out with these; a traveller sent over one would start nowhere.
    problem = made_town(seed)
    for gap in (1e-1, 1e-2, 1e-3):
        check_assignment(problem, solve(problem, SO, gap=gap))


def test_bound_belongs_to_the_optimum_alone_and_the_price_to_both() -> None:
    problem = made_town(1)
    selfish, optimum = solve(problem, UE, gap=1e-8), solve(problem, SO, gap=1e-8)
    assert selfish.lower_bound_s is None
    assert price_of_assignments({UE: selfish}) is None
    assert price_of_assignments({SO: optimum}) is None
    price = price_of_assignments({SO: optimum, UE: selfish})
    assert price is not None and price.ratio == pytest.approx(selfish.total_cost_s / optimum.total_cost_s)


def test_demand_without_a_path_is_refused_by_name() -> None:
    network = network_of([(0, 1, 1.0, 1.0, 1.0, 1.0), (1, 0, 1.0, 1.0, 1.0, 1.0), (2, 0, 1.0, 1.0, 1.0, 1.0)], zones=[0, 1, 2])
    problem = problem_of(network, [(0, 1, 1.0), (1, 2, 1.0)])
    with pytest.raises(InputError, match="no path from zone 2 to zone 3"):
        solve(problem, UE, gap=1e-6)
    # Travellers look for paths on their own; this never ended where a zone could not be reached.
    traffic = StaticTraffic(problem, make_population(problem.od, 1.0, ValueOfTime(), Profile(), 1))
    with pytest.raises(InputError, match="no path from zone 2 to zone 3"):
        traffic.explore()


@pytest.mark.parametrize("demand", [1e60, 1e200, 1e308])
@pytest.mark.parametrize("principle", Principle)
def test_demand_beyond_floating_point_is_refused(demand: float, principle: Principle) -> None:
    network = network_of([(0, 1, 1.0, 1e-6, 1.0, 8.0), (0, 2, 1.0, 1.0, 1.0, 4.0), (2, 1, 1.0, 1.0, 1.0, 4.0)], zones=[0, 1])
    with pytest.raises(InputError, match="beyond the range of floating-point numbers"):
        solve(problem_of(network, [(0, 1, demand)]), principle, gap=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e3, 1e12])
def test_units_do_not_matter(scale: float) -> None:
    # The same town in other units of flow has the same gaps and the scaled flows.
    town = made_town(5)
    network = town.network.replace(capacity_vph=town.network.capacity_vph * scale)
    scaled = make_problem(network, town.od.scaled(scale))
    here, there = solve(town, UE, gap=1e-12), solve(scaled, UE, gap=1e-12)
    assert there.reached
    assert there.total_cost_s == pytest.approx(scale * here.total_cost_s, rel=1e-9)
    np.testing.assert_allclose(there.flow_vph, scale * here.flow_vph, rtol=1e-5, atol=1e-6 * scale * town.od.total_vph)


def test_more_pairs_than_are_remembered_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = solve(made_town(5), UE, gap=1e-12)
    monkeypatch.setattr(bushes, "_MOST_PAIRS", 3)
    monkeypatch.setattr(bushes, "_MOST_PAIR_SLOTS", 10)
    forgetful = solve(made_town(5), UE, gap=1e-9)
    assert forgetful.reached
    assert forgetful.total_cost_s == pytest.approx(exact.total_cost_s, rel=1e-6)


def test_columns_stand_in_network_order() -> None:
    # The links are listed against the order of their tails, which the solver sorts.
    rows = [(2, 1, 5.0, 10.0, 1.0, 1.0), (0, 2, 7.0, 10.0, 1.0, 1.0), (1, 0, 1.0, 10.0, 1.0, 1.0)]
    network = network_of(rows, zones=[0, 1])
    solved = solve(problem_of(network, [(0, 1, 10.0)]), UE, gap=1e-12)
    assert solved.flow_vph.tolist() == [10.0, 10.0, 0.0]
    assert solved.cost_s.tolist() == [10.0, 14.0, 1.0]


def test_cells_are_sorted_and_inner_trips_left_out() -> None:
    network = network_of([(0, 1, 1.0, 1.0, 0.0, 1.0), (1, 0, 1.0, 1.0, 0.0, 1.0)], zones=[0, 1])
    od = od_of(network, [(1, 0, 2.0), (0, 0, 9.0), (0, 1, 3.0)])
    problem = make_problem(network, od)
    assert problem.origin_zone_idx.tolist() == [0, 1] and problem.cell_start.tolist() == [0, 1, 2]
    assert problem.cell_demand.tolist() == [3.0, 2.0]
    assert solve(problem, UE, gap=1e-9).flow_vph.tolist() == [3.0, 2.0]


def test_the_same_problem_gives_the_same_bytes() -> None:
    first, second = (solve(made_town(11), SO, gap=1e-10) for _ in range(2))
    assert first.flow_vph.tobytes() == second.flow_vph.tobytes()
    assert first.history == second.history
