r"""Demand from link counts at equilibrium: the matrix whose user equilibrium fits the counts, with the prior kept.

Method. Estimating and assigning in turn (H. Yang, T. Sasaki, Y. Iida and Y. Asakura 1992, Transportation Research B 26): with the
shares in which each origin's flow enters each node kept, flows are linear in the demand, and generalised least squares has one
answer (`sim.demand.estimation`); its demand is assigned, the shares change, and so on. Each round takes a step towards that
answer; a step after which the objective at the new equilibrium is higher shortens those that follow by `_SHORTENING`, and the
best demand seen is what is returned.

Stopping. When `_PATIENCE` rounds have not lowered the best objective by more than `least_change` of it, or at the bound on
rounds. What is found is a demand at which the fixed-share answer no longer improves the fit; the problem as a whole is not
convex, and no global optimum is claimed. Many matrices fit the same counts: which one is found is the prior's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import Assignment, solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.warm_start import WarmStart
from sim.demand.estimation import LEAST_FACTOR, CountEvidence, LinearFlows, common_factor, fit_factors
from sim.demand.link_counts import LinkCounts
from sim.demand.population import OdMatrix
from sim.kernels.od_shares import flows_of_demand, slot_shares, values_of_cells
from sim.network.turns import TurnGraph
from sim.spec_counts import Counts

_SHORTENING = 0.7
_PATIENCE = 5


@dataclass(frozen=True, eq=False)
class CountFit:
    """Demand that was estimated from counts.

    Attributes
    ----------
    od
        The estimated matrix; it has the cells of the prior.
    prior
        The matrix before.
    counts
        What was counted.
    prior_flow_vph, flow_vph
        Equilibrium flows of the prior and of the estimate on the counted links, shape (n_counts,).
    objective
        Least-squares objective of the prior and after every round; that of the estimate is the least of them.
    stopped_because
        Why the rounds ended.
    """

    od: OdMatrix
    prior: OdMatrix
    counts: LinkCounts
    prior_flow_vph: FloatColumn
    flow_vph: FloatColumn
    objective: tuple[float, ...]
    stopped_because: str


def estimate_demand(
    graph: TurnGraph,
    prior: OdMatrix,
    counts: LinkCounts,
    rules: Counts,
    *,
    say: Callable[[str], None] | None = None,
) -> CountFit:
    """Return the demand whose user equilibrium fits the counts, with the pattern of the prior kept.

    Parameters
    ----------
    graph
        The streets in the form in which paths honour turns.
    prior
        Demand between the zones of `graph`.
    counts
        Links of `graph.streets`.
    rules
        Errors, gap and bound on the rounds.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    rounds = _Rounds(graph, prior, counts, rules)
    factor = np.ones(prior.n_cells)
    found = rounds.assign(factor)
    prior_flow = flow = rounds.counted(found.flow_vph)
    objective = [rounds.evidence.objective(factor, flow)]
    best, best_factor, best_flow, best_at, size = objective[0], factor, flow, 0, 1.0
    stopped = f"bound of {rules.rounds} rounds reached"
    for number in range(1, rules.rounds + 1):
        answer = rounds.answer(found, factor, is_first=number == 1)
        factor = np.maximum(LEAST_FACTOR, factor + size * (answer - factor))
        found = rounds.assign(factor, found)
        flow = rounds.counted(found.flow_vph)
        objective.append(rounds.evidence.objective(factor, flow))
        if say is not None:
            say(f"demand from counts: round {number}, objective {objective[-1]:.6g} (prior {objective[0]:.6g})")
        if objective[-1] > objective[-2]:
            size *= _SHORTENING
        if objective[-1] < best * (1.0 - rules.least_change):
            best_at = number
        if objective[-1] < best:
            best, best_factor, best_flow = objective[-1], factor, flow
        if number - best_at >= _PATIENCE:
            stopped = f"the objective no longer falls (best in the last {_PATIENCE} rounds)"
            break
    return CountFit(rounds.matrix(best_factor), prior, counts, prior_flow, best_flow, tuple(objective), stopped)


class _Rounds:
    """What all rounds share."""

    def __init__(self, graph: TurnGraph, prior: OdMatrix, counts: LinkCounts, rules: Counts) -> None:
        self.graph, self.prior, self.counts, self.rules = graph, prior, counts, rules
        self.problem = make_problem(graph.network, prior)
        error_vph = np.maximum(rules.least_error_vph, rules.count_error * counts.count_vph)
        self.evidence = CountEvidence(counts.count_vph, error_vph, rules.prior_error)

    def matrix(self, factor: FloatColumn) -> OdMatrix:
        prior = self.prior
        return OdMatrix(
            prior.zone_id, prior.origin_zone_idx, prior.destination_zone_idx, prior.demand_vph * factor, prior.intrazonal_vph
        )

    def assign(self, factor: FloatColumn, before: Assignment | None = None) -> Assignment:
        """Return the equilibrium of factors on the prior, beginning with the flows of the round before."""
        problem = make_problem(self.graph.network, self.matrix(factor))
        start = None if before is None else WarmStart(self.problem, before.origin_flows)
        return solve(problem, Principle.USER_EQUILIBRIUM, gap=self.rules.gap, start=start)

    def counted(self, flow_vph: FloatColumn) -> FloatColumn:
        """Return the flows of the counted streets from a column of the graph's network."""
        return self.graph.flow_on_streets(flow_vph)[self.counts.link_idx]

    def answer(self, found: Assignment, factor: FloatColumn, *, is_first: bool) -> FloatColumn:
        """Return the factors that fit best while the shares of an assignment are kept."""
        spread = _Spread(self.problem, found)
        graph, link_idx, prior_vph = self.graph, self.counts.link_idx, self.prior.demand_vph

        def of_factors(factors: FloatColumn) -> FloatColumn:
            return self.counted(spread.flows(factors * prior_vph))

        def transposed(value: FloatColumn) -> FloatColumn:
            on_street = np.zeros(graph.streets.n_links + 1)
            on_street[link_idx] = value
            # Turn links have street -1, which picks the last place: 0.
            return spread.values(on_street[graph.street_idx]) * prior_vph

        flows = LinearFlows(of_factors, transposed)
        start = np.full(len(factor), common_factor(self.evidence, flows, len(factor))) if is_first else factor
        return fit_factors(self.evidence, flows, start)


class _Spread:
    """Flows as a linear function of the demand, with the shares of an assignment; columns in network order."""

    def __init__(self, problem: AssignmentProblem, found: Assignment) -> None:
        self.problem = problem
        self.slots = found.origin_flows
        self.share = np.empty(len(self.slots.link))
        self.scratch = np.zeros(problem.network.n_nodes)
        slot_shares(self.slots.start, self.slots.link, self.slots.flow, problem.head, self.share)

    def flows(self, demand_vph: FloatColumn) -> FloatColumn:
        """Return the flow of every link for a demand of every cell."""
        problem, flow = self.problem, np.empty(self.problem.network.n_links)
        flows_of_demand(
            self.slots.start, self.slots.link, self.share, problem.tail, problem.head, problem.cell_start, problem.cell_node,
            demand_vph, self.scratch, flow,
        )  # fmt: skip
        return problem.in_network_order(flow)

    def values(self, value: FloatColumn) -> FloatColumn:
        """Return for every cell the sum of link values that one of its vehicles meets on average."""
        problem, of_cell = self.problem, np.empty(self.problem.od.n_cells)
        values_of_cells(
            self.slots.start, self.slots.link, self.share, problem.tail, problem.head, problem.cell_start, problem.cell_node,
            np.ascontiguousarray(value[problem.link_order]), self.scratch, of_cell,
        )  # fmt: skip
        return of_cell
