"""The same bytes on any number of threads: of flows, of travellers' routes, in one process and in several."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from reference.small_networks import problem_of

from sim import parallel
from sim.assignment.equilibrium import solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.demand.od import od_from_cells
from sim.demand.travellers import make_population
from sim.mechanisms.optimum import Optimum
from sim.mechanisms.selfish import Selfish
from sim.model import CityModel
from sim.network.synthetic import grid
from sim.spec import Profile, ValueOfTime


def town() -> AssignmentProblem:
    network = grid(6, 6)
    rng = np.random.default_rng(4)
    network = network.replace(
        zone_id=network.node_id, zone_node_idx=np.arange(36), capacity_vph=rng.uniform(200.0, 900.0, network.n_links)
    )
    origin, destination = rng.integers(0, 36, 60), rng.integers(0, 36, 60)
    return make_problem(network, od_from_cells(network.zone_id, origin, destination, rng.uniform(1.0, 200.0, 60), source="test"))


def everything() -> bytes:
    """Return the bytes of what the solver and both worlds make of the town."""
    problem = town()
    population = make_population(problem.od, 5.0, ValueOfTime(), Profile(), 1)
    result = b""
    optimum = None
    for principle in Principle:
        optimum = solve(problem, principle, gap=1e-8)
        result += optimum.flow_vph.tobytes() + optimum.origin_flows.flow.tobytes() + repr(optimum.history).encode()
    assert optimum is not None and optimum.principle is Principle.SYSTEM_OPTIMUM
    for mechanism in (Selfish(1, 1e-4), Optimum(optimum.origin_flows, 1)):
        world = CityModel(problem, population, mechanism)
        world.run_days(8)
        result += world.traffic.route_of_traveller.tobytes() + world.traffic.links.flow.tobytes() + repr(world.days).encode()
    return result


@pytest.fixture(scope="module")
def on_one_thread() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "thread_count", lambda: 1)
        return everything()


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_same_bytes_in_one_process(monkeypatch: pytest.MonkeyPatch, on_one_thread: bytes, threads: int) -> None:
    monkeypatch.setattr(parallel, "thread_count", lambda: threads)
    assert everything() == on_one_thread


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bytes_by_environment(on_one_thread: bytes, threads: str) -> None:
    code = "import hashlib, test_determinism as t; print(hashlib.sha256(t.everything()).hexdigest())"
    environment = {**os.environ, "ROUTEPACT_THREADS": threads, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=250
    )
    import hashlib

    assert answer.stdout.strip() == hashlib.sha256(on_one_thread).hexdigest()


def test_another_seed_draws_other_routes_and_the_same_totals() -> None:
    problem = problem_of(town().network, [(0, 35, 300.0), (5, 30, 300.0)])
    population = make_population(problem.od, 1.0, ValueOfTime(), Profile(), 1)
    flows = solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-8).origin_flows
    worlds = []
    for seed in (1, 2):
        world = CityModel(problem, population, Optimum(flows, seed))
        world.run_days(1)
        worlds.append(world.traffic)
    driven = [[tuple(traffic.routes.links_of(route)) for route in traffic.route_of_traveller] for traffic in worlds]
    assert driven[0] != driven[1]
    assert worlds[0].total_cost_s == pytest.approx(worlds[1].total_cost_s, rel=1e-3)
