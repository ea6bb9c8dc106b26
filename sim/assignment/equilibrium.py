"""User equilibrium and system optimum of static traffic by Algorithm B.

Mathematics. With link costs t_a(v) the user equilibrium minimises the Beckmann objective sum_a int_0^v_a t_a(x) dx over flows
that carry the demand (Beckmann, McGuire and Winsten 1956); the system optimum minimises Z(v) = sum_a v_a t_a(v_a), which is the
same problem with marginal costs t_a + v_a t_a'. Algorithm B (Dial 2006) keeps one acyclic bush an origin and shifts flow
between its longest used and its shortest paths; see `sim.kernels.bush`.

Stopping. TSTT = sum_a v_a c_a and SPTT = sum over OD cells of demand times cheapest path cost, with c the costs that the
principle equalises; relative gap = (TSTT - SPTT) / TSTT. The solver stops when the gap is reached, at the iteration bound, or
when the best gap has not fallen by a tenth in 30 iterations (the floor of floating-point arithmetic); it says which.

Lower bound of the optimum. Z is convex, so Z(w) >= Z(v) + sum_a m_a(v) (w_a - v_a) for all flows w, and the right side is least
at all-or-nothing flows: Z* >= Z(v) - (TSTT - SPTT) at marginal costs m. The best bound of all iterations is kept, less the
rounding error that its sums can carry; nor can it cost less than cheapest paths on empty streets. It rests on t_a being convex
or at least v t_a(v) being convex: power 0 or above gives that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.bushes import BushSolver
from sim.assignment.bushes import OriginFlows as OriginFlows
from sim.assignment.layers import Layer, make_layers
from sim.assignment.problem import AssignmentProblem, Principle, refresh_costs
from sim.assignment.stopping import Stopping
from sim.assignment.warm_start import WarmStart
from sim.kernels.costs import compensated_dot


@dataclass(frozen=True)
class IterationRecord:
    """State before an iteration: relative gap and total cost (vehicle-seconds in the period) at the flows' own costs."""

    iteration: int
    relative_gap: float
    total_cost_s: float


@dataclass(frozen=True, eq=False)
class Assignment:
    """A solved principle.

    Attributes
    ----------
    flow_vph, cost_s, travel_time_s
        By link, network order: flow, generalised cost and travel time (without fixed cost) at that flow.
    total_cost_s
        TSTT in the user's costs: sum of flow * cost.
    total_time_s
        Sum of flow * travel time.
    cheapest_cost_s
        SPTT in the user's costs: what the demand would cost if everybody could take a cheapest path at the flows' own costs.
    relative_gap
        (TSTT - SPTT) / TSTT in the costs that the principle equalises (marginal costs for the optimum).
    beckmann
        Beckmann objective of the flows.
    lower_bound_s
        Proven lower bound of the least total cost (system optimum only, otherwise None).
    """

    principle: Principle
    flow_vph: FloatColumn
    cost_s: FloatColumn
    travel_time_s: FloatColumn
    total_cost_s: float
    total_time_s: float
    cheapest_cost_s: float
    relative_gap: float
    beckmann: float
    lower_bound_s: float | None
    iterations: int
    stopped_because: str
    reached: bool
    history: tuple[IterationRecord, ...]
    origin_flows: OriginFlows


def solve(
    problem: AssignmentProblem,
    principle: Principle,
    *,
    gap: float,
    max_iterations: int = 500,
    start: WarmStart | None = None,
    on_iteration: Callable[[IterationRecord], None] | None = None,
) -> Assignment:
    """Assign the demand so that the relative gap is at most `gap`; `start` is a solution of a similar problem.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    state = _OnePrinciple(problem, principle)
    if start is None:
        state.solver.load_first()
    else:
        state.solver.load_flows(start.flows_for(problem))
    stopping = Stopping(gap, max_iterations)
    lower_bound = -math.inf
    history: list[IterationRecord] = []
    while True:
        tstt, sptt = state.totals()
        relative_gap = (tstt - sptt) / tstt if tstt > 0.0 else 0.0
        total_cost = state.total_cost()
        if principle is Principle.SYSTEM_OPTIMUM:
            lower_bound = max(lower_bound, total_cost - (tstt - sptt) - _rounding_slack(tstt, problem))
        history.append(IterationRecord(len(history), relative_gap, total_cost))
        if on_iteration is not None:
            on_iteration(history[-1])
        stopped = stopping.reason(relative_gap)
        if stopped is not None:
            break
        state.solver.improve(relative_gap, jointly=stopping.slow)
    bound = max(lower_bound, state.free_flow_total()) if principle is Principle.SYSTEM_OPTIMUM else None
    return state.result(history, bound, stopped, reached=relative_gap <= gap)


def _rounding_slack(tstt: float, problem: AssignmentProblem) -> float:
    # Relative errors, in half units of the last place: a path cost has at most n_nodes - 1 additions, an origin's total one for
    # each cell, a link cost a power and a few products (inverse capacity and ratio enter it `power` times). The other sums are
    # compensated. Flows need no slack: the inequality holds for any flows, also for such as carry the demand only nearly.
    most_cells = int(np.diff(problem.cell_start).max())
    roundings = problem.network.n_nodes + most_cells + 4.0 * float(problem.network.bpr_beta.max()) + 16.0
    return 0.5 * float(np.finfo(np.float64).eps) * roundings * tstt


class _OnePrinciple:
    """One class of travellers, and the users' costs beside those that the principle equalises."""

    def __init__(self, problem: AssignmentProblem, principle: Principle) -> None:
        self.problem = problem
        self.principle = principle
        own_weight = 1.0 if principle is Principle.SYSTEM_OPTIMUM else 0.0
        self.solver = BushSolver(make_layers(problem, [Layer(problem.cell_demand, own_weight)]))
        self._user_links = problem.links(Principle.USER_EQUILIBRIUM)

    def totals(self) -> tuple[float, float]:
        """Return (TSTT, SPTT) in the principle's own costs."""
        total, cheapest = self.solver.totals()
        return float(total[0]), float(cheapest[0])

    def user_cost(self) -> FloatColumn:
        """Return what a user pays on each link at present, in the problem's link order."""
        if self.principle is Principle.USER_EQUILIBRIUM:
            return self.solver.cost
        self._user_links.flow[:] = self.solver.flow[0]
        refresh_costs(self._user_links)
        return self._user_links.cost

    def total_cost(self) -> float:
        return float(compensated_dot(self.solver.flow[0], self.user_cost()))

    def free_flow_total(self) -> float:
        """Return what the demand costs at least on empty streets: the better lower bound while the gap is wide."""
        total = self._cheapest_at(self.problem.links(Principle.USER_EQUILIBRIUM).cost)
        return total - _rounding_slack(total, self.problem)

    def _cheapest_at(self, cost: FloatColumn) -> float:
        return float(self.solver.cheapest_at(cost)[0])

    def result(
        self, history: list[IterationRecord], lower_bound: float | None, stopped_because: str, *, reached: bool
    ) -> Assignment:
        problem, network = self.problem, self.problem.network
        flow, user_cost = problem.in_network_order(self.solver.flow[0]), self.user_cost()
        cost = problem.in_network_order(user_cost)
        return Assignment(
            principle=self.principle,
            flow_vph=flow,
            cost_s=cost,
            travel_time_s=cost - network.fixed_cost_s,
            total_cost_s=self.total_cost(),
            total_time_s=float(compensated_dot(flow, cost - network.fixed_cost_s)),
            cheapest_cost_s=self._cheapest_at(user_cost),
            relative_gap=history[-1].relative_gap,
            beckmann=beckmann(problem, self.solver.flow[0]),
            lower_bound_s=lower_bound,
            iterations=history[-1].iteration,
            stopped_because=stopped_because,
            reached=reached,
            history=tuple(history),
            origin_flows=self.solver.carried_flows(),
        )


def beckmann(problem: AssignmentProblem, flow: FloatColumn) -> float:
    """Return sum_a base v + slope v / (power + 1) (v / capacity) ** power of flows v in the problem's link order."""
    links = problem.links(Principle.USER_EQUILIBRIUM)
    integrand_mean = links.base + links.slope / (links.power + 1.0) * (flow * links.inverse_capacity) ** links.power
    return float(compensated_dot(flow, integrand_mean))
