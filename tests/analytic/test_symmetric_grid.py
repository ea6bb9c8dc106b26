"""A grid of equal streets, crossed from corner to corner: every useful path has the same number of links, so selfish is optimal.

With F links a path, the Beckmann objective is d F t + k sum v ** 5 / 5 and the total d F t + k sum v ** 5: least at the same
flows.
"""

from __future__ import annotations

import numpy as np
import pytest
from reference.small_networks import problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle
from sim.network.synthetic import grid


@pytest.mark.parametrize("size", [2, 4, 7])
def test_selfish_is_optimal_and_symmetric(size: int) -> None:
    network = grid(size, size)
    problem = problem_of(network, [(0, 3, 900.0)])
    equilibrium = solve(problem, Principle.USER_EQUILIBRIUM, gap=1e-12)
    optimum = solve(problem, Principle.SYSTEM_OPTIMUM, gap=1e-12)
    assert equilibrium.total_cost_s == pytest.approx(optimum.total_cost_s, rel=1e-9)
    np.testing.assert_allclose(equilibrium.flow_vph, optimum.flow_vph, rtol=1e-3, atol=0.5)
    # Mirrored at the diagonal: node row * size + column becomes column * size + row.
    mirrored = {node: node % size * size + node // size for node in range(size * size)}
    flow = {
        (tail, head): value
        for tail, head, value in zip(network.tail_idx.tolist(), network.head_idx.tolist(), optimum.flow_vph.tolist(), strict=True)
    }
    for (tail, head), value in flow.items():
        assert value == pytest.approx(flow[mirrored[tail], mirrored[head]], rel=1e-3, abs=0.5)
    assert flow[0, 1] == pytest.approx(450.0, rel=1e-9)
