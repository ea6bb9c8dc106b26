"""The lottery that turns flows by origin into a route for each traveller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.small_networks import MILD, network_of, problem_of, problems

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import Assignment, OriginFlows, solve
from sim.assignment.layers import Layer, make_layers
from sim.assignment.plan import draw_plan
from sim.assignment.problem import AssignmentProblem, Principle
from sim.demand.population import Population
from sim.demand.travellers import make_population
from sim.kernels.bush import NOTHING, Slots, mark_carried
from sim.spec import Profile, ValueOfTime


def population_of(problem: AssignmentProblem, grain: float) -> Population:
    return make_population(problem.od, grain, ValueOfTime(), Profile(), 1)


def drawn_flow(problem: AssignmentProblem, population: Population, flows: OriginFlows, seed: int = 1) -> FloatColumn:
    """Draw a plan, check every path and return the link flows of the travellers."""
    traveller, start, link = draw_plan(problem, flows, population, seed)
    assert sorted(traveller.tolist()) == list(range(population.n_travellers))
    flow = np.zeros(problem.network.n_links)
    origin_of_cell = np.repeat(np.arange(problem.n_origins), np.diff(problem.cell_start))
    for row, who in enumerate(traveller.tolist()):
        path = link[start[row] : start[row + 1]].tolist()
        cell = int(population.od_idx[who])
        origin = int(origin_of_cell[cell])
        here = int(problem.origin_node[origin])
        planned = set(flows.link[flows.start[origin] : flows.start[origin + 1]].tolist())
        for step in path:
            assert problem.tail[step] == here and step in planned
            here = int(problem.head[step])
            flow[step] += population.weight[who]
        assert here == problem.cell_node[cell]
        assert len(set(path)) == len(path)
    return flow


def solved(problem: AssignmentProblem, gap: float = 1e-8) -> Assignment:
    return solve(problem, Principle.SYSTEM_OPTIMUM, gap=gap)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(MILD), st.sampled_from((0.3, 1.0, 7.0)), st.integers(0, 3))
def test_everybody_gets_a_whole_path_and_links_stay_near_the_plan(problem: AssignmentProblem, grain: float, seed: int) -> None:
    population, plan = population_of(problem, grain), solved(problem)
    flow = drawn_flow(problem, population, plan.origin_flows, seed)
    planned = plan.flow_vph[problem.link_order]
    # About one traveller at each node that the flow has still to cross.
    assert np.abs(flow - planned).max() <= problem.network.n_nodes * population.weight.max()


def test_two_routes_are_shared_exactly() -> None:
    # Affine links 10 + v and 10 + 3 v at 40: marginal costs 10 + 2 v = 10 + 6 w, v = 30.
    network = network_of([(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 10.0, 3.0, 1.0)], zones=[0, 1])
    problem = problem_of(network, [(0, 1, 40.0)])
    plan = solved(problem, 1e-12)
    assert drawn_flow(problem, population_of(problem, 1.0), plan.origin_flows).tolist() == [30.0, 10.0]
    assert np.abs(drawn_flow(problem, population_of(problem, 3.0), plan.origin_flows) - [30.0, 10.0]).max() <= 3.1


def test_the_lottery_decides_who_and_not_how_many() -> None:
    network = network_of([(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 10.0, 3.0, 1.0)], zones=[0, 1])
    problem = problem_of(network, [(0, 1, 40.0)])
    population, flows = population_of(problem, 1.0), solved(problem, 1e-12).origin_flows
    routes = []
    for seed in (1, 1, 2):
        traveller, _, link = draw_plan(problem, flows, population, seed)
        routes.append(link[np.argsort(traveller)].tolist())
    assert routes[0] == routes[1]
    assert routes[0] != routes[2]
    assert sum(routes[0]) == sum(routes[2]) == 10


def test_chances_are_those_of_the_plan() -> None:
    # Over many lotteries traveller 0 takes the first link three times out of four.
    network = network_of([(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 10.0, 3.0, 1.0)], zones=[0, 1])
    problem = problem_of(network, [(0, 1, 40.0)])
    population, flows = population_of(problem, 1.0), solved(problem, 1e-12).origin_flows
    first = 0
    for seed in range(400):
        traveller, _, link = draw_plan(problem, flows, population, seed)
        first += int(link[int(np.flatnonzero(traveller == 0)[0])] == 0)
    assert first == pytest.approx(300, abs=4 * np.sqrt(400 * 0.25 * 0.75))


def test_travellers_of_unequal_weight() -> None:
    # Two cells of one origin share the first street; their travellers weigh 1 and 0.75.
    rows = [(0, 1, 1.0, 5.0, 1.0, 1.0), (0, 1, 1.0, 5.0, 1.0, 1.0), (1, 2, 1.0, 50.0, 1.0, 1.0)]
    problem = problem_of(network_of(rows, zones=[0, 1, 2]), [(0, 1, 12.0), (0, 2, 1.5)])
    population = population_of(problem, 1.0)
    assert sorted(set(population.weight.tolist())) == [0.75, 1.0]
    flow = drawn_flow(problem, population, solved(problem, 1e-12).origin_flows)
    assert flow[2] == 1.5
    assert flow[:2].tolist() == pytest.approx([6.75, 6.75], abs=1.0)


def test_no_route_comes_from_a_trace_that_rounding_left() -> None:
    """A link may carry 1e-17 behind a node that nothing enters any more; a traveller sent over it would start nowhere.

    Origin 0 uses 0 -> 2 -> 3; link 1 -> 2 holds a trace, and what other origins owed to it would have made it the next choice.
    """
    rows = [(0, 1, 1.0, 5.0, 1.0, 1.0), (0, 2, 1.0, 5.0, 1.0, 1.0), (1, 2, 1.0, 5.0, 1.0, 1.0), (2, 3, 1.0, 5.0, 1.0, 1.0)]
    problem = problem_of(network_of(rows, zones=[0, 1, 2, 3]), [(0, 3, 4.0)])
    state = make_layers(problem, [Layer(problem.cell_demand)]).link_state()
    start = np.array([0, 4], np.int64)
    link, flow = np.array([0, 2, 1, 3], np.int32), np.array([0.0, 1e-17, 4.0, 4.0])
    carried, scratch = np.ones(4, np.bool_), np.full(4, NOTHING, np.int32)
    mark_carried(problem.origin_node, Slots(start, link, flow), state, scratch, carried)
    assert carried.tolist() == [False, False, True, True]
    flows = OriginFlows(np.array([0, 2], np.int64), link[carried], flow[carried])
    assert drawn_flow(problem, population_of(problem, 1.0), flows).tolist() == [0.0, 4.0, 0.0, 4.0]
