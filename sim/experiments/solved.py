"""What runs and plain assignments share: solving a principle with progress, what was missed, and the Price of Anarchy as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sim.assignment.equilibrium import Assignment, IterationRecord, solve
from sim.assignment.problem import AssignmentProblem, Principle, overflow_error, refresh_costs
from sim.experiments.progress import Say
from sim.metrics import PriceOfAnarchy
from sim.parallel import thread_count


def solve_principle(
    problem: AssignmentProblem, principle: Principle, *, name: str, gap: float, max_iterations: int, say: Say
) -> Assignment:
    """Solve one principle and say how far it is; `name` is what people call it.

    Raises
    ------
    InputError
        An OD pair has no path, the demand is far too large for the capacities, or ROUTEPACT_THREADS is no number of threads.
    """
    _require_finite(problem, principle)
    # A bad setting is refused even where the network is too small to need a second thread.
    thread_count()

    def tell(record: IterationRecord) -> None:
        say(f"{name}: iteration {record.iteration}, relative gap {record.relative_gap:.1e} (wanted {gap:.0e})")

    return solve(problem, principle, gap=gap, max_iterations=max_iterations, on_iteration=tell)


def _require_finite(problem: AssignmentProblem, principle: Principle) -> None:
    """Refuse demand whose costs could leave the range of floating point: no link ever carries more than all of it."""
    links = problem.links(principle)
    links.flow[:] = problem.od.total_vph
    refresh_costs(links)
    if not math.isfinite(float(links.cost.sum()) * problem.od.total_vph):
        raise overflow_error(problem)


def missed_promises(solved: Mapping[str, Assignment], price: PriceOfAnarchy | None) -> tuple[str, ...]:
    """Return what was promised and not reached, in words; empty when all is well."""
    missed = [
        f"{name}: {found.stopped_because} at relative gap {found.relative_gap:.1e}"
        for name, found in solved.items()
        if not found.reached
    ]
    if price is not None and price.withheld:
        missed.append(f"the Price of Anarchy is withheld: {price.withheld}")
    return tuple(missed)


def price_content(price: PriceOfAnarchy | None, not_asked_for: str) -> dict[str, Any]:
    """Return the three keys on the Price of Anarchy that poa.json and `assign --json` share.

    Parameters
    ----------
    price
        None where one of the two totals was not asked for.
    not_asked_for
        The reason to give then.
    """
    if price is None:
        return {"price_of_anarchy": None, "price_of_anarchy_interval": None, "withheld": not_asked_for}
    bounded = all(map(math.isfinite, price.interval))  # JSON has no infinity
    return {
        "price_of_anarchy": price.ratio,
        "price_of_anarchy_interval": list(price.interval) if bounded else None,
        "withheld": price.withheld,
    }
