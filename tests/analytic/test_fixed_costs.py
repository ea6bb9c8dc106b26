"""Tolls and distance costs: they steer, they are part of the generalised cost and they are no travel time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle, make_problem
from sim.network.synthetic import braess, parallel
from sim.network.tntp import read_tntp_network

UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM


def test_a_toll_shifts_the_balance() -> None:
    # 10 + v + 6 on the tolled link and 10 + v on the other, demand 10: v = 2 and 8, 18 each; the times are 12 and 18.
    rows = [(0, 1, 10.0, 10.0, 1.0, 1.0), (0, 1, 10.0, 10.0, 1.0, 1.0)]
    network = network_of(rows, zones=[0, 1], fixed_cost_s=[6.0, 0.0])
    solved = solve(problem_of(network, [(0, 1, 10.0)]), UE, gap=1e-13)
    np.testing.assert_allclose(solved.flow_vph, [2.0, 8.0], rtol=1e-9)
    np.testing.assert_allclose(solved.cost_s, [18.0, 18.0])
    np.testing.assert_allclose(solved.travel_time_s, [12.0, 18.0])
    assert solved.total_cost_s == pytest.approx(180.0)
    assert solved.total_time_s == pytest.approx(2 * 12 + 8 * 18)
    # Optimal: 10 + 2 v + 6 = 10 + 2 w, v = 3.5.
    np.testing.assert_allclose(solve(problem_of(network, [(0, 1, 10.0)]), SO, gap=1e-13).flow_vph, [3.5, 6.5], rtol=1e-9)


@pytest.mark.parametrize(("network", "demand"), [(braess(), 6.0), (parallel(5), 6000.0)], ids=["braess", "parallel"])
def test_marginal_cost_tolls_make_selfish_optimal(network: object, demand: float) -> None:
    # Pigou's remedy: everybody pays v dt/dv, the delay that he causes to others.
    from sim.network.road_network import RoadNetwork

    assert isinstance(network, RoadNetwork)
    optimum = solve(problem_of(network, [(0, 1, demand)]), SO, gap=1e-13)
    congestion = network.free_flow_time_s * network.bpr_alpha * (optimum.flow_vph / network.capacity_vph) ** network.bpr_beta
    tolled = network.replace(fixed_cost_s=network.bpr_beta * congestion)
    selfish = solve(problem_of(tolled, [(0, 1, demand)]), UE, gap=1e-13)
    assert selfish.total_time_s == pytest.approx(optimum.total_time_s, rel=1e-8)


def test_tntp_weights(tmp_path: Path) -> None:
    # Two links of time 10, toll 4 and length 1 on the first, length 3 on the second.
    text = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 2
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 1
<END OF METADATA>
1 2 10 1 10 1 1 0 4 1 ;
"""
    path = tmp_path / "toll_net.tntp"
    path.write_text(text)
    network = read_tntp_network(path, toll_weight=0.5, distance_weight=2.0, time_unit_s=60.0, length_unit_m=1.0)
    solved = solve(make_problem(network, problem_of(network, [(0, 1, 10.0)]).od), UE, gap=1e-12)
    # Time 10 (1 + 10 / 10) = 20 min, toll 0.5 * 4 and distance 2 * 1 minutes on top.
    assert solved.cost_s.tolist() == pytest.approx([24.0 * 60.0])
    assert solved.total_time_s == pytest.approx(10.0 * 20.0 * 60.0)
