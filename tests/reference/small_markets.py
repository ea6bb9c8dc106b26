"""Small markets for the tests: a random network, its travellers on their baselines, and the routes they know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from reference.small_networks import Row, network_of, problem_of

from sim.arrays import BoolColumn, FloatColumn
from sim.assignment.equilibrium import solve
from sim.assignment.problem import AssignmentProblem, Principle
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.population import Population
from sim.demand.travellers import make_population
from sim.negotiation.baseline import Baseline, draw_baseline
from sim.spec import Profile, ValueOfTime


@dataclass(frozen=True, eq=False)
class SmallMarket:
    """Travellers of a problem on their baselines; `value` in credits a second."""

    problem: AssignmentProblem
    population: Population
    baseline: Baseline
    is_member: BoolColumn
    value: FloatColumn

    def traffic(self) -> StaticTraffic:
        """Return a world in which everybody drives the baseline."""
        traffic = StaticTraffic(self.problem, self.population)
        traffic.route_of_traveller[:] = self.baseline.first_routes(traffic)
        traffic.load()
        traffic.explore()
        return traffic


def random_problem(seed: int) -> AssignmentProblem:
    """Return a ring of 4 to 7 nodes with as many chords or more, and 2 to 5 OD pairs that fill the streets."""
    rng = np.random.default_rng(seed)
    n_nodes = int(rng.integers(4, 8))
    pairs = [(node, (node + 1) % n_nodes) for node in range(n_nodes)]
    while len(pairs) < n_nodes + int(rng.integers(n_nodes, 3 * n_nodes)):
        tail, head = rng.integers(0, n_nodes, 2).tolist()
        if tail != head:
            pairs.append((tail, head))
    rows: list[Row] = [
        (
            tail,
            head,
            float(rng.uniform(5.0, 60.0)),
            float(rng.uniform(10.0, 60.0)),
            float(rng.uniform(0.1, 2.0)),
            float(rng.choice([1.0, 1.5, 2.0, 4.0])),
        )
        for tail, head in pairs
    ]
    network = network_of(
        rows, zones=range(n_nodes), n_nodes=n_nodes, fixed_cost_s=rng.choice([0.0, 0.0, 4.0], len(pairs)).tolist()
    )
    cells = {(int(o), int(d)) for o, d in rng.integers(0, n_nodes, (8, 2)) if o != d}
    chosen = sorted(cells)[: int(rng.integers(2, 6))] or [(0, 1)]
    return problem_of(network, [(o, d, float(rng.uniform(5.0, 60.0))) for o, d in chosen])


def random_market(seed: int, *, grain: float = 4.0, participation: float = 1.0, sigma: float = 0.0) -> SmallMarket:
    """Return the travellers of `random_problem(seed)`; `sigma` spreads their values of time around 1 credit a second."""
    problem = random_problem(seed)
    value_of_time = ValueOfTime(distribution="lognormal", sigma=sigma) if sigma else ValueOfTime()
    population = make_population(problem.od, grain, value_of_time, Profile(), seed)
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-8)
    is_member = np.random.default_rng(seed + 1).random(population.n_travellers) < participation
    return SmallMarket(
        problem,
        population,
        draw_baseline(problem, population, equilibrium.origin_flows, seed),
        is_member,
        population.vot_per_h / 3600.0,
    )
