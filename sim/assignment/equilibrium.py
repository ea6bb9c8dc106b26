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
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.problem import AssignmentProblem, Principle, overflow_error, refresh_costs, require_finite_costs
from sim.kernels.bush import NOTHING, Bush, bush_pass, mark_carried
from sim.kernels.costs import compensated_dot
from sim.kernels.joint import joint_shift
from sim.kernels.segments import Links, Pairs, sweep_pairs
from sim.kernels.trees import trees_of_origins
from sim.parallel import over_rows

_Number = TypeVar("_Number", bound=np.generic)

_STALL_ITERATIONS = 30
_STALL_FACTOR = 0.9
_SWEEPS = 150
_MOST_PAIRS = 4_000_000
_MOST_PAIR_SLOTS = 60_000_000
_JOINT_ROUNDS = 5
_SLOW_ITERATIONS = 3
_SLOW_FACTOR = 0.5
"""Pairs of segments are moved jointly, too, where the gap has not fallen to this share in so many iterations."""
_SHIFT_TOLERANCE = 1e-15
"""Relative cost difference of two segments that rounding alone can explain."""
_FIRST_CHUNKS = 8
"""The first loading refreshes its trees this many times, because at free-flow costs everybody would take the same streets."""


@dataclass(frozen=True, eq=False)
class OriginFlows:
    """Flow by origin on the links it uses (positions in the problem's link order); the links of an origin hold no cycle."""

    start: OffsetColumn
    link: IndexColumn
    flow: FloatColumn


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
    on_iteration: Callable[[IterationRecord], None] | None = None,
) -> Assignment:
    """Assign the demand so that the relative gap is at most `gap`.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    state = _Solver(problem, principle)
    state.load_first()
    best_gap, best_iteration = math.inf, 0
    lower_bound = -math.inf
    history: list[IterationRecord] = []
    iteration = 0
    while True:
        tstt, sptt = state.totals()
        relative_gap = (tstt - sptt) / tstt if tstt > 0.0 else 0.0
        total_cost = state.total_cost()
        if principle is Principle.SYSTEM_OPTIMUM:
            lower_bound = max(lower_bound, total_cost - (tstt - sptt) - _rounding_slack(tstt, problem))
        history.append(IterationRecord(iteration, relative_gap, total_cost))
        if on_iteration is not None:
            on_iteration(history[-1])
        if relative_gap < _STALL_FACTOR * best_gap:
            best_gap, best_iteration = relative_gap, iteration
        stopped = _why_stop(relative_gap, gap, iteration, max_iterations, iteration - best_iteration)
        if stopped is not None:
            break
        state.improve(jointly=_is_slow(history))
        iteration += 1
    bound = max(lower_bound, state.free_flow_total()) if principle is Principle.SYSTEM_OPTIMUM else None
    return state.result(history, bound, stopped, reached=relative_gap <= gap)


def _is_slow(history: list[IterationRecord]) -> bool:
    return len(history) > _SLOW_ITERATIONS and (
        history[-1].relative_gap > _SLOW_FACTOR * history[-1 - _SLOW_ITERATIONS].relative_gap
    )


def _why_stop(relative_gap: float, gap: float, iteration: int, max_iterations: int, since_best: int) -> str | None:
    if relative_gap <= gap:
        return "gap reached"
    if iteration >= max_iterations:
        return f"iteration bound of {max_iterations} reached"
    if since_best >= _STALL_ITERATIONS:
        return f"gap no longer falls (best in the last {_STALL_ITERATIONS} iterations)"
    return None


def _rounding_slack(tstt: float, problem: AssignmentProblem) -> float:
    # Relative errors, in half units of the last place: a path cost has at most n_nodes - 1 additions, an origin's total one for
    # each cell, a link cost a power and a few products (inverse capacity and ratio enter it `power` times). The other sums are
    # compensated. Flows need no slack: the inequality holds for any flows, also for such as carry the demand only nearly.
    most_cells = int(np.diff(problem.cell_start).max())
    roundings = problem.network.n_nodes + most_cells + 4.0 * float(problem.network.bpr_beta.max()) + 16.0
    return 0.5 * float(np.finfo(np.float64).eps) * roundings * tstt


class _Solver:
    """Bushes of all origins and the link state that they share; the numbers are computed in kernels."""

    def __init__(self, problem: AssignmentProblem, principle: Principle) -> None:
        self.problem = problem
        self.principle = principle
        self.links = problem.links(principle)
        self.bush = _empty_bush(problem)
        self.pairs = _empty_pairs(problem)
        self.tree_link = np.empty((problem.n_origins, problem.network.n_nodes), np.int32)
        self.cheapest_total = np.zeros(problem.n_origins)
        self.flows = OriginFlows(np.zeros(problem.n_origins + 1, np.int64), np.empty(0, np.int32), np.empty(0))
        self.spare = OriginFlows(np.zeros(problem.n_origins + 1, np.int64), np.empty(0, np.int32), np.empty(0))
        if principle is Principle.SYSTEM_OPTIMUM:
            self.user_links = problem.links(Principle.USER_EQUILIBRIUM)
        else:
            self.user_links = self.links

    def grow_trees(self, first: int, past_last: int, links: Links | None = None) -> None:
        """Write the trees and cheapest totals of some origins at the costs of `links` (the solver's own unless given)."""
        problem, cost = self.problem, (links or self.links).cost

        def rows(low: int, high: int) -> None:
            trees_of_origins(
                first + low, first + high, problem.origin_node, problem.cell_start, problem.cell_node, problem.cell_demand,
                problem.start, problem.head, cost, problem.passable, self.tree_link, self.cheapest_total,
            )  # fmt: skip

        over_rows(past_last - first, rows)
        require_finite_costs(problem, links or self.links, self.tree_link, self.cheapest_total)

    def load_first(self) -> None:
        n_origins = self.problem.n_origins
        bounds = [n_origins * chunk // _FIRST_CHUNKS for chunk in range(_FIRST_CHUNKS + 1)]
        n_pairs = 0
        self._clear_spare()
        for first, past_last in pairwise(bounds):
            self.grow_trees(first, past_last)
            n_pairs = self._rebuild(first, past_last, n_pairs)
        self._finish_pass(n_pairs, jointly=False)

    def improve(self, *, jointly: bool) -> None:
        """Do one iteration; the trees at the present costs must have been grown (`totals` does)."""
        self._clear_spare()
        self._finish_pass(self._rebuild(0, self.problem.n_origins, 0), jointly=jointly)

    def _clear_spare(self) -> None:
        self.pairs.bound[0] = 0
        if len(self.spare.link) == 0:
            room = max(1024, 2 * len(self.flows.link), 2 * self.problem.network.n_nodes)
            self.spare = OriginFlows(self.spare.start, np.empty(room, np.int32), np.empty(room))

    def _rebuild(self, first: int, past_last: int, n_pairs: int) -> int:
        problem, old = self.problem, self.flows
        while first < past_last:
            new = self.spare
            first, n_pairs, well = bush_pass(
                first, past_last, problem.origin_node, problem.cell_start, problem.cell_node, problem.cell_demand,
                self.tree_link, old.start, old.link, old.flow, new.start, new.link, new.flow, self.links, self.bush, self.pairs,
                n_pairs, _SHIFT_TOLERANCE,
            )  # fmt: skip
            if not well:
                raise AssertionError(f"the bush of origin {first} is not acyclic: a fault of the solver")
            if first < past_last:
                room = 2 * len(new.link) + problem.network.n_links
                self.spare = OriginFlows(new.start, _grown(new.link, room), _grown(new.flow, room))
        return n_pairs

    def _finish_pass(self, n_pairs: int, *, jointly: bool) -> None:
        alive = np.ones(n_pairs, np.bool_)
        first_gain = 0.0
        for sweep in range(_SWEEPS):
            gain = sweep_pairs(n_pairs, self.spare.link, self.spare.flow, self.links, self.pairs, alive)
            first_gain = first_gain if sweep else gain
            if gain <= 1e-3 * first_gain:
                break
        if jointly:
            n_slots = int(self.spare.start[-1])
            joint_shift(n_pairs, n_slots, _JOINT_ROUNDS, self.spare.link, self.spare.flow, self.links, self.pairs)
        self.flows, self.spare = self.spare, self.flows
        used = self.flows.start[-1]
        # Sums afresh, so that the link flows never drift from the flows by origin.
        self.links.flow[:] = np.bincount(self.flows.link[:used], weights=self.flows.flow[:used], minlength=len(self.links.flow))
        refresh_costs(self.links)

    def totals(self) -> tuple[float, float]:
        """Grow the trees at the present costs; return (TSTT, SPTT) in the principle's own costs."""
        self.grow_trees(0, self.problem.n_origins)
        total = compensated_dot(self.links.flow, self.links.cost)
        if not math.isfinite(total):
            raise overflow_error(self.problem)
        return total, math.fsum(self.cheapest_total)

    def total_cost(self) -> float:
        if self.user_links is not self.links:
            self.user_links.flow[:] = self.links.flow
            refresh_costs(self.user_links)
        return float(compensated_dot(self.user_links.flow, self.user_links.cost))

    def free_flow_total(self) -> float:
        """Return what the demand costs at least on empty streets: the better lower bound while the gap is wide."""
        self.grow_trees(0, self.problem.n_origins, self.problem.links(Principle.USER_EQUILIBRIUM))
        total = math.fsum(self.cheapest_total)
        return total - _rounding_slack(total, self.problem)

    def user_cheapest_cost(self) -> float:
        if self.user_links is not self.links:
            self.grow_trees(0, self.problem.n_origins, self.user_links)
        return math.fsum(self.cheapest_total)

    def result(
        self, history: list[IterationRecord], lower_bound: float | None, stopped_because: str, *, reached: bool
    ) -> Assignment:
        problem, network = self.problem, self.problem.network
        flow = problem.in_network_order(self.links.flow)
        cost = problem.in_network_order(self.user_links.cost)
        total_cost = self.total_cost()
        return Assignment(
            principle=self.principle,
            flow_vph=flow,
            cost_s=cost,
            travel_time_s=cost - network.fixed_cost_s,
            total_cost_s=total_cost,
            total_time_s=float(compensated_dot(flow, cost - network.fixed_cost_s)),
            cheapest_cost_s=self.user_cheapest_cost(),
            relative_gap=history[-1].relative_gap,
            beckmann=beckmann(problem, self.links.flow),
            lower_bound_s=lower_bound,
            iterations=history[-1].iteration,
            stopped_because=stopped_because,
            reached=reached,
            history=tuple(history),
            origin_flows=self._carried_flows(),
        )

    def _carried_flows(self) -> OriginFlows:
        used = int(self.flows.start[-1])
        carried = np.empty(used, np.bool_)
        scratch = np.full(self.problem.network.n_nodes, NOTHING, np.int32)
        flows = self.flows
        mark_carried(self.problem.origin_node, flows.start, flows.link, flows.flow, self.links, scratch, carried)
        start = np.concatenate(([0], np.cumsum(carried)))[flows.start]
        return OriginFlows(start, flows.link[:used][carried], flows.flow[:used][carried])


def beckmann(problem: AssignmentProblem, flow: FloatColumn) -> float:
    """Return sum_a base v + slope v / (power + 1) (v / capacity) ** power of flows v in the problem's link order."""
    links = problem.links(Principle.USER_EQUILIBRIUM)
    integrand_mean = links.base + links.slope / (links.power + 1.0) * (flow * links.inverse_capacity) ** links.power
    return float(compensated_dot(flow, integrand_mean))


def _grown(array: NDArray[_Number], size: int) -> NDArray[_Number]:
    return np.concatenate((array, np.empty(size - len(array), array.dtype)))


def _empty_bush(problem: AssignmentProblem) -> Bush:
    n_nodes, n_links = problem.network.n_nodes, problem.network.n_links

    def node_ints() -> IndexColumn:
        return np.empty(n_nodes, np.int32)

    return Bush(
        local_of=np.full(n_nodes, NOTHING, np.int32),
        node=node_ints(),
        order=node_ints(),
        rank=node_ints(),
        entry_start=np.empty(n_nodes + 1, np.int32),
        link=np.empty(n_links, np.int32),
        flow=np.empty(n_links),
        from_local=np.empty(n_links, np.int32),
        slot=np.empty(n_links, np.int32),
        barred=np.empty(n_links, np.bool_),
        tree_link=node_ints(),
        shortest=np.empty(n_nodes),
        longest=np.empty(n_nodes),
        through=np.empty(n_nodes),
        shortest_entry=node_ints(),
        longest_entry=node_ints(),
        stack=node_ints(),
        next_entry=node_ints(),
    )


def _empty_pairs(problem: AssignmentProblem) -> Pairs:
    # Untouched memory costs nothing; pairs beyond this are not remembered, which slows the sweeps and changes no result.
    n_pairs = min(_MOST_PAIRS, problem.n_origins * problem.network.n_links) + 1
    n_slots = min(_MOST_PAIR_SLOTS, 64 * n_pairs) + 2 * problem.network.n_nodes
    return Pairs(np.zeros(2 * n_pairs + 1, np.int64), np.empty(n_slots, np.int32))
