"""Zones that may not be passed through: a path may start and end there, never go through."""

from __future__ import annotations

import numpy as np
import pytest
from reference.certificates import check_assignment
from reference.small_networks import network_of, problem_of

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle
from sim.errors import InputError

# 0 -> 1 -> 2 is short, 0 -> 3 -> 2 long; node 1 is a zone.
ROWS = [
    (0, 1, 1.0, 10.0, 1.0, 1.0), (1, 2, 1.0, 10.0, 1.0, 1.0), (0, 3, 50.0, 10.0, 1.0, 1.0), (3, 2, 50.0, 10.0, 1.0, 1.0),
    (3, 1, 1.0, 10.0, 1.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("principle", Principle)
def test_nobody_passes(principle: Principle) -> None:
    network = network_of(ROWS, zones=[0, 1, 2], barred=[1])
    problem = problem_of(network, [(0, 1, 5.0), (0, 2, 10.0), (1, 2, 4.0)])
    solved = solve(problem, principle, gap=1e-12)
    check_assignment(problem, solved)
    # 0 -> 1 ends there, 1 -> 2 starts there, and all of 0 -> 2 goes round.
    np.testing.assert_allclose(solved.flow_vph, [5.0, 4.0, 10.0, 10.0, 0.0])


def test_without_the_bar_everybody_would() -> None:
    solved = solve(problem_of(network_of(ROWS, zones=[0, 1, 2]), [(0, 2, 10.0)]), Principle.USER_EQUILIBRIUM, gap=1e-12)
    np.testing.assert_allclose(solved.flow_vph, [10.0, 10.0, 0.0, 0.0, 0.0])


def test_the_only_path_leads_through_a_barred_zone() -> None:
    network = network_of(ROWS[:2], zones=[0, 1, 2], barred=[1])
    with pytest.raises(InputError, match="no path from zone 1 to zone 3"):
        solve(problem_of(network, [(0, 2, 1.0)]), Principle.USER_EQUILIBRIUM, gap=1e-6)
