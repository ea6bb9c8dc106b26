r"""Demand from link counts with the routes fixed: generalised least squares with the prior kept.

    least over x in [LEAST_FACTOR, inf)^n of   sum_a ((v_a(x) - c_a) / sigma_a)^2 + sum_k ((x_k - mean x) / prior_error)^2

x_k is the factor on cell k of the prior, v_a(x) the flow on counted link a (linear in x while nobody changes his route), c_a the
count and sigma_a its standard deviation. The second sum keeps the prior's pattern: its cells are taken to be independent with the
same relative standard deviation around a common level. That level is free, because what prior matrices know worst is how many
trips there are in all. The function is convex and quadratic; it is minimised by L-BFGS-B (R. Byrd, P. Lu, J. Nocedal and C. Zhu
1995, in SciPy) with exact gradients. E. Cascetta (1984), "Estimation of trip matrices from traffic counts and survey data: a
generalized least squares estimator", Transportation Research B 18, is the source of the form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize

from sim.arrays import FloatColumn

LEAST_FACTOR: Final = 1e-3
"""No cell of the prior falls below this part of itself: a cell without trips would have no routes in the next round."""
_MOST_STEPS: Final = 200


@dataclass(frozen=True, eq=False)
class CountEvidence:
    """What is known of flows and of the demand.

    Attributes
    ----------
    count_vph, error_vph
        Counts and their standard deviations, above 0, vehicles an hour; shape (n_counts,).
    prior_error
        Relative standard deviation of a cell around the prior's pattern, above 0.
    """

    count_vph: FloatColumn
    error_vph: FloatColumn
    prior_error: float

    def objective(self, factor: FloatColumn, flow_vph: FloatColumn) -> float:
        """Return the objective (module docstring) of factors with flows on the counted links."""
        misfit = (flow_vph - self.count_vph) / self.error_vph
        spread = (factor - factor.mean()) / self.prior_error
        return float(misfit @ misfit + spread @ spread)


@dataclass(frozen=True, eq=False)
class LinearFlows:
    """Flows on the counted links as a linear function of the factors on the prior's cells.

    Attributes
    ----------
    of_factors
        Vehicles an hour on each counted link for a factor on each cell.
    transposed
        For a number on each counted link, the sum over links of it times the flow that a factor of 1 on a cell sends there; by
        cell.
    """

    of_factors: Callable[[FloatColumn], FloatColumn]
    transposed: Callable[[FloatColumn], FloatColumn]


def fit_factors(evidence: CountEvidence, flows: LinearFlows, start: FloatColumn) -> FloatColumn:
    """Return the factors that minimise the objective while nobody changes his route.

    Parameters
    ----------
    start
        Where to begin, at least `LEAST_FACTOR`, shape (n_cells,).
    """

    def value_and_gradient(factor: FloatColumn) -> tuple[float, FloatColumn]:
        flow_vph = flows.of_factors(factor)
        on_links = 2.0 * (flow_vph - evidence.count_vph) / evidence.error_vph**2
        # Deviations from the mean sum to 0, so that the mean's own derivative cancels.
        on_cells = 2.0 * (factor - factor.mean()) / evidence.prior_error**2
        return evidence.objective(factor, flow_vph), flows.transposed(on_links) + on_cells

    found = minimize(
        value_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST_FACTOR, None)] * len(start),
        options={"maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS, "ftol": 1e-12, "gtol": 1e-9, "maxcor": 20},
    )
    return np.asarray(found.x, dtype=np.float64)


def common_factor(evidence: CountEvidence, flows: LinearFlows, n_cells: int) -> float:
    """Return the one factor on all cells that fits the counts best, at least `LEAST_FACTOR`: where the search begins."""
    flow_vph = flows.of_factors(np.ones(n_cells))
    weight = flow_vph / evidence.error_vph**2
    if float(weight @ flow_vph) <= 0.0:
        return 1.0
    return max(LEAST_FACTOR, float(weight @ evidence.count_vph) / float(weight @ flow_vph))
