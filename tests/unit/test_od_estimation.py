"""Demand from link counts: the linear model against a slow twin, least squares against a closed form, and known truths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_counts import CountedCity, counted_city, counts_of, sioux_falls, wrong_prior
from reference.demand_shares import cell_link_shares

from sim.assignment.equilibrium import solve
from sim.assignment.od_estimation import estimate_demand
from sim.assignment.problem import Principle, make_problem
from sim.demand.estimation import LEAST_FACTOR, CountEvidence, LinearFlows, common_factor, fit_factors
from sim.demand.link_counts import LinkCounts, read_link_counts
from sim.errors import InputError
from sim.kernels.od_shares import flows_of_demand, slot_shares, values_of_cells
from sim.metrics import geh
from sim.spec_counts import Counts

RULES = Counts(file="unused.csv")


@pytest.fixture(scope="module")
def city() -> CountedCity:
    return counted_city()


def test_flows_are_what_the_twin_says_and_the_transpose_fits(city: CountedCity) -> None:
    problem = make_problem(city.graph.network, city.truth)
    found = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-8)
    twin = cell_link_shares(problem, found)
    slots = found.origin_flows
    share = np.empty(len(slots.link))
    slot_shares(slots.start, slots.link, slots.flow, problem.head, share)
    arrays = (slots.start, slots.link, share, problem.tail, problem.head, problem.cell_start, problem.cell_node)
    luck = np.random.default_rng(3)
    demand, value = luck.uniform(0.0, 50.0, city.truth.n_cells), luck.standard_normal(problem.network.n_links)
    flow, of_cell, scratch = np.empty(problem.network.n_links), np.empty(city.truth.n_cells), np.zeros(problem.network.n_nodes)
    flows_of_demand(*arrays, demand, scratch, flow)
    values_of_cells(*arrays, value, scratch, of_cell)
    np.testing.assert_allclose(flow, demand @ twin, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(of_cell, twin @ value, rtol=1e-11, atol=1e-9)
    flows_of_demand(*arrays, city.truth.demand_vph, scratch, flow)
    np.testing.assert_allclose(problem.in_network_order(flow), found.flow_vph, rtol=1e-9, atol=1e-6)


def test_the_fit_solves_the_normal_equations() -> None:
    luck = np.random.default_rng(1)
    matrix = luck.uniform(0.0, 100.0, (4, 6))
    evidence = CountEvidence(matrix @ np.full(6, 1.3) + luck.normal(0.0, 5.0, 4), np.full(4, 10.0), 0.2)
    flows = LinearFlows(lambda factor: matrix @ factor, lambda value: matrix.T @ value)
    centring = np.eye(6) - 1.0 / 6.0
    left = matrix.T @ matrix / 10.0**2 + centring / 0.2**2
    exact = np.linalg.solve(left, matrix.T @ evidence.count_vph / 10.0**2)
    assert (exact > LEAST_FACTOR).all()
    found = fit_factors(evidence, flows, np.full(6, common_factor(evidence, flows, 6)))
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_counts_that_the_prior_fits_change_nothing(city: CountedCity) -> None:
    fit = estimate_demand(city.graph, city.truth, counts_of(city, 0.0, 1), RULES)
    assert fit.od.total_vph == pytest.approx(city.truth.total_vph, rel=1e-4)
    np.testing.assert_allclose(fit.od.demand_vph, city.truth.demand_vph, rtol=0.01)


@pytest.mark.parametrize(("level", "seed"), [(0.7, 1), (1.3, 2)])
def test_noisy_counts_recover_the_total_and_fit_the_links(city: CountedCity, level: float, seed: int) -> None:
    counts = counts_of(city, 0.05, seed)
    fit = estimate_demand(city.graph, wrong_prior(city.truth, level, 0.2, seed), counts, RULES)
    assert min(fit.objective) < 0.2 * fit.objective[0]
    assert fit.od.total_vph == pytest.approx(city.truth.total_vph, rel=0.02)
    assert np.mean(geh(fit.flow_vph, counts.count_vph) < 5) >= 0.95
    assert np.mean(geh(fit.flow_vph, city.flow_vph) < 5) >= 0.95
    again = estimate_demand(city.graph, wrong_prior(city.truth, level, 0.2, seed), counts, RULES)
    assert again.od.demand_vph.tobytes() == fit.od.demand_vph.tobytes()


def test_the_prior_keeps_cells_apart_that_no_count_tells_apart(city: CountedCity) -> None:
    counts = counts_of(city, 0.0, 1)
    few = LinkCounts(counts.link_idx[:5], counts.count_vph[:5])
    prior = wrong_prior(city.truth, 1.0, 0.4, 3)
    fit = estimate_demand(city.graph, prior, few, Counts(file="x", prior_error=0.05))
    factor = fit.od.demand_vph / prior.demand_vph
    assert np.abs(factor / factor.mean() - 1.0).max() < 0.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sioux_falls_is_recovered_from_noisy_counts(shared_data: Path, seed: int) -> None:
    """A tenth of the table, and of the capacities, is an hour of the day that they describe: GEH is defined for hourly flows.

    On the flows of the day itself GEH is sqrt(10) times as large, and the noise of 5 % alone exceeds 5 on every link with more
    than 10,000 vehicles: even the true demand would miss it on a third of the links (`python -m benchmarks.estimation`).
    """
    city = sioux_falls(shared_data / "tntp" / "SiouxFalls", hour_share=0.1)
    counts = counts_of(city, 0.05, seed)
    fit = estimate_demand(city.graph, wrong_prior(city.truth, 0.8, 0.2, seed), counts, RULES)
    assert fit.od.total_vph == pytest.approx(city.truth.total_vph, rel=0.02)
    assert np.mean(geh(fit.flow_vph, counts.count_vph) < 5) >= 0.95
    assert np.mean(geh(fit.flow_vph, city.flow_vph) < 5) >= 0.95


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("link_id,count_vph\n1,10\n99,10\n", "line 3: link '99' does not exist"),
        ("link_id,count_vph\n1,10\n1,10\n", "line 3: link '1' is counted in line 2 already"),
        ("link_id,count_vph\n1,-1\n", "line 2: count_vph is '-1'"),
        ("link_id,count_vph\n1,many\n", "line 2: count_vph is 'many'"),
        ("link_id,count_vph\n1,0\n", "every count is 0"),
        ("link_id,count_vph\n", "holds no counts"),
        ("link_id,count\n1,3\n", "the column count_vph is missing"),
    ],
)
def test_bad_counts_are_refused(city: CountedCity, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"counts\.csv") as error:
        read_link_counts(path, city.graph.streets)
    assert words in str(error.value)


def test_counts_come_in_link_order_whatever_the_file_has(city: CountedCity, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("count_vph,remark,link_id\n30,b,3\n10,a,1\n")
    found = read_link_counts(path, city.graph.streets)
    assert (found.link_idx.tolist(), found.count_vph.tolist()) == ([0, 2], [10.0, 30.0])
