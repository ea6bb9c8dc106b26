"""The Price of Anarchy of a solved equilibrium and optimum."""

from __future__ import annotations

from collections.abc import Mapping

from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import Principle
from sim.metrics import PriceOfAnarchy, equilibrium_margin, price_of_anarchy


def price_of_assignments(solved: Mapping[Principle, Assignment]) -> PriceOfAnarchy | None:
    """Return the Price of Anarchy of a solved equilibrium and optimum; None unless both are there."""
    if set(solved) != set(Principle):
        return None
    equilibrium, optimum = solved[Principle.USER_EQUILIBRIUM], solved[Principle.SYSTEM_OPTIMUM]
    assert optimum.lower_bound_s is not None  # the solver gives one for the system optimum
    margin = equilibrium_margin(
        [record.total_cost_s for record in equilibrium.history], [record.relative_gap for record in equilibrium.history]
    )
    return price_of_anarchy(equilibrium.total_cost_s, margin, optimum.total_cost_s, optimum.lower_bound_s)
