"""The warm-up of the baseline: where it comes to rest nobody would leave it, and where it does not the run says so."""

from __future__ import annotations

import numpy as np
import pytest
from reference.small_markets import random_market

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle
from sim.assignment.static_traffic import StaticTraffic
from sim.experiments.run import run
from sim.experiments.scenarios import find_scenario
from sim.negotiation import baseline as warm_up
from sim.negotiation.baseline import declared_baseline, draw_baseline


def test_at_rest_nobody_would_leave_the_baseline() -> None:
    market = random_market(3, grain=1.0)
    assert market.baseline.at_rest and 0 < market.baseline.warm_up_days < warm_up.MOST_WARM_UP_DAYS
    traffic = StaticTraffic(market.problem, market.population)
    traffic.route_of_traveller[:] = market.baseline.first_routes(traffic)
    traffic.load()
    traffic.explore()
    assert len(traffic.choices_in_turn(traffic.travellers_who_could_gain(), 7, 0)[0]) == 0


def test_a_warm_up_that_is_cut_short_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    market = random_market(3, grain=1.0)
    equilibrium = solve(market.problem, Principle.USER_EQUILIBRIUM, gap=1e-8)
    monkeypatch.setattr(warm_up, "MOST_WARM_UP_DAYS", market.baseline.warm_up_days)
    cut = draw_baseline(market.problem, market.population, equilibrium.origin_flows, 3)
    assert not cut.at_rest and cut.warm_up_days == market.baseline.warm_up_days - 1
    nobody = np.zeros(market.population.n_travellers, np.bool_)
    assert not declared_baseline(market.problem, market.population, cut, nobody)[0].at_rest


def test_a_run_tells_that_its_baseline_is_not_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, folder = find_scenario("parallel", ["demand.vehicles_per_traveller=20", 'worlds.run=["selfish", "optimum", "toll"]'])
    assert run(spec, folder).missed == ()
    monkeypatch.setattr(warm_up, "MOST_WARM_UP_DAYS", 1)
    missed = run(spec, folder).missed
    assert len(missed) == 1 and missed[0].startswith("baseline: some travellers still gained")
