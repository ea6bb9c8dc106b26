"""The Braess search against brute force, its prediction against closings, and its streets in series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference.small_networks import network_of, od_of

from sim.api import load_scenario
from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle, make_problem
from sim.assignment.toll_response import closing_promise, marginal_toll_response
from sim.errors import InputError
from sim.experiments.braess_search import braess_search, streets_in_series
from sim.network.changes import without_links

UE = Principle.USER_EQUILIBRIUM


def test_the_derivative_by_a_toll_is_what_a_small_toll_does() -> None:
    """Two routes of different length between two nodes, and one link that both share: linear times, exact sensitivities."""
    rows = [(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 12.0, 20.0, 1.0, 1.0), (0, 2, 8.0, 10.0, 1.0, 1.0), (2, 1, 3.0, 15.0, 1.0, 1.0)]
    network = network_of(rows, zones=[0, 1])
    od = od_of(network, [(0, 1, 40.0)])
    problem = make_problem(network, od)
    base = solve(problem, UE, gap=1e-12)
    response = marginal_toll_response(problem, base, gap=1e-12)
    for link in range(network.n_links):
        toll_s = np.zeros(network.n_links)
        toll_s[link] = 0.001
        tolled = solve(make_problem(network.replace(fixed_cost_s=toll_s), od), UE, gap=1e-12)
        assert (tolled.total_time_s - base.total_time_s) / 0.001 == pytest.approx(response[link], rel=2e-3, abs=2e-3)


def test_the_prediction_has_the_right_sign_on_braess() -> None:
    built = load_scenario("braess").build()
    base = solve(built.problem, UE, gap=1e-10)
    promise = closing_promise(base.flow_vph, marginal_toll_response(built.problem, base, gap=1e-10), built.network.bpr_beta)
    assert (promise > 0).tolist() == [False, False, False, True, False]


def test_the_search_names_what_brute_force_finds() -> None:
    """A grid with one demand that overloads its middle: every link is closed in turn, cold, by the plain solver."""
    built = load_scenario("grid", network__rows=4, network__columns=4, network__arterial_every=2).build()
    search = braess_search(built, top=100, examine=1000)
    base = solve(built.problem, UE, gap=1e-9).total_cost_s
    helpful = {}
    for link in np.flatnonzero(search.selfish.flow_vph > 0).tolist():
        closed = np.zeros(built.network.n_links, dtype=np.bool_)
        closed[link] = True
        try:
            total = solve(make_problem(without_links(built.network, closed), built.problem.od), UE, gap=1e-9).total_cost_s
        except InputError:
            continue
        if total < base * (1.0 - 1e-5):
            helpful[link] = 1.0 - total / base
    found = {paradox.link_idx: paradox.saving for paradox in search.found if paradox.saving > 1e-5}
    in_series = {other for paradox in search.found for other in paradox.in_series}
    assert set(found) <= set(helpful) <= set(found) | in_series
    for link, saving in found.items():
        assert saving == pytest.approx(helpful[link], rel=1e-3, abs=1e-6)
    assert search.share_examined == 1.0


def test_streets_in_series_are_tried_once_and_end_at_zones() -> None:
    rows = [
        (0, 1, 1.0, 9.0, 0.15, 4.0),
        (1, 2, 1.0, 9.0, 0.15, 4.0),
        (2, 3, 1.0, 9.0, 0.15, 4.0),
        (3, 4, 1.0, 9.0, 0.15, 4.0),
        (0, 4, 9.0, 9.0, 0.15, 4.0),
    ]
    network = network_of(rows, zones=[0, 3, 4])
    flow = np.array([5.0, 5.0, 5.0, 2.0, 0.0])
    assert streets_in_series(network, flow, flow > 0) == [(0, 1, 2), (3,)]


def test_a_street_that_somebody_joins_is_not_in_series() -> None:
    rows = [(0, 2, 1.0, 9.0, 0.15, 4.0), (1, 2, 1.0, 9.0, 0.15, 4.0), (2, 3, 1.0, 9.0, 0.15, 4.0)]
    network = network_of(rows, zones=[0, 1, 3])
    flow = np.array([5.0, 1.0, 6.0])
    assert streets_in_series(network, flow, flow > 0) == [(0,), (1,), (2,)]


@pytest.mark.nightly
def test_every_link_that_is_named_in_the_default_city_helps_when_it_closes() -> None:
    search = braess_search(load_scenario("city").build(), top=5, examine=40)
    assert len(search.found) == 5
    for paradox in search.found:
        assert 0 < paradox.margin < paradox.saving


@pytest.mark.nightly
def test_sioux_falls_has_no_link_whose_closing_helps(shared_data: Path) -> None:
    folder = shared_data / "tntp" / "SiouxFalls"
    keys = {
        "name": "siouxfalls",
        "network": {"source": "tntp", "net": str(folder / "SiouxFalls_net.tntp"), "time_unit_s": 60.0, "length_unit_m": 1000.0},
        "demand": {"source": "tntp", "trips": str(folder / "SiouxFalls_trips.tntp"), "vehicles_per_traveller": 1000.0},
    }
    search = braess_search(load_scenario(keys).build())
    assert (search.n_streets, search.n_examined, search.found) == (76, 76, ())
