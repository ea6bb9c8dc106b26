"""Bushes of all origins of all layers, and the link state that they share: what the static solvers have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.layers import LayeredProblem
from sim.assignment.problem import no_path_or_overflow, overflow_error
from sim.kernels.bush import NOTHING, Bush, Slots, bush_pass, mark_carried
from sim.kernels.bush_iteration import finish_pass
from sim.kernels.costs import compensated_dot
from sim.kernels.kept_trees import Trees, update_trees
from sim.kernels.segments import Pairs, refresh_all
from sim.kernels.trees import NO_LINK
from sim.parallel import over_rows

_MOST_PAIRS = 4_000_000
_MOST_PAIR_SLOTS = 60_000_000
LEAST_TOLERANCE = 1e-15
"""Relative cost difference of two segments that rounding alone can explain."""
TOLERANCE_OF_GAP = 1e-4
"""Share of the relative gap by which a segment must be dearer than another to be worth a shift."""
_GAP_OF_A_START = 1e-3
"""What the gap of an earlier solution may be at the new demand; it decides about nothing but which shifts are left out."""
_FIRST_CHUNKS = 8
"""The first loading grows its trees in so many steps, because at free-flow costs everybody would take the same streets."""
_LEAST_WORK_OF_A_THREAD = 2_000_000
"""Links times origins below which starting threads takes longer than the work."""


@dataclass(frozen=True, eq=False)
class OriginFlows:
    """Flow by origin on the links it uses (positions in the problem's link order); the links of an origin hold no cycle."""

    start: OffsetColumn
    link: IndexColumn
    flow: FloatColumn


class BushSolver:
    """The state of a solution and its improvement; the numbers are computed in kernels.

    Attributes
    ----------
    problem
        Streets and demand of all layers.
    state
        Flows and costs at present.
    """

    def __init__(self, problem: LayeredProblem) -> None:
        self.problem = problem
        self.state = problem.link_state()
        self._streets = problem.streets()
        self._trees = _empty_trees(problem)
        self._bush = _empty_bush(problem)
        self._pairs = _empty_pairs(problem)
        self._slots = _empty_slots(problem.n_origins, 0)
        self._spare = _empty_slots(problem.n_origins, 2 * problem.problem.network.n_nodes + 1024)

    def load_first(self) -> None:
        """Load the demand on trees, some origins after the other."""
        n_origins = self.problem.n_origins
        n_pairs = 0
        for chunk in range(_FIRST_CHUNKS):
            first, past_last = (
                n_origins * chunk // _FIRST_CHUNKS,
                n_origins * (chunk + 1) // _FIRST_CHUNKS,
            )
            if first < past_last:
                self._update_trees(self.cost, first, past_last)
                n_pairs = self._pass_origins(first, past_last, n_pairs, LEAST_TOLERANCE)
        self._finish_pass(n_pairs, LEAST_TOLERANCE, jointly=False)

    def load_flows(self, flows: OriginFlows) -> None:
        """Start from flows by origin of the layered problem, which are fitted to the demand."""
        self._slots = Slots(flows.start, flows.link.copy(), flows.flow.copy())
        n_links = self.problem.n_links
        self.state.links["flow"] = np.bincount(flows.link, weights=flows.flow, minlength=n_links)
        refresh_all(self.state)
        self._update_trees(self.cost, 0, self.problem.n_origins)
        self.improve(_GAP_OF_A_START, jointly=False)

    def improve(self, relative_gap: float, *, jointly: bool) -> None:
        """Do one iteration; the trees at the present costs must be there (`totals` brings them up to date).

        What is much smaller than the present relative gap is left to the next iteration.
        """
        tolerance = max(LEAST_TOLERANCE, TOLERANCE_OF_GAP * relative_gap)
        n_pairs = self._pass_origins(0, self.problem.n_origins, 0, tolerance)
        self._finish_pass(n_pairs, tolerance, jointly=jointly)

    def _finish_pass(self, n_pairs: int, tolerance: float, *, jointly: bool) -> None:
        finish_pass(
            self.problem.n_origins,
            self._spare,
            self.state,
            self._pairs,
            n_pairs,
            tolerance,
            jointly,
        )
        self._slots, self._spare = self._spare, self._slots

    def _pass_origins(self, first: int, past_last: int, n_pairs: int, tolerance: float) -> int:
        while first < past_last:
            first, n_pairs, well = bush_pass(
                first, past_last, self._streets, self._trees, self._slots, self._spare, self.state, self._bush, self._pairs,
                n_pairs, tolerance,
            )  # fmt: skip
            if not well:
                raise AssertionError(f"origin {first} has no path to a destination: a fault of the solver")
            if first < past_last:
                self._spare = _grown(
                    self._spare,
                    2 * len(self._spare.link) + 2 * self.problem.n_links + 1024,
                )
        return n_pairs

    @property
    def flow(self) -> FloatColumn:
        """Flow of every link by layer, vehicles an hour, shape (n_layers, links of a layer); a copy."""
        return self.state.links["flow"].reshape(len(self.problem.layers), -1)

    @property
    def cost(self) -> FloatColumn:
        """Cost of every link, seconds, one layer after the other; a copy."""
        return np.ascontiguousarray(self.state.links["cost"])

    def _update_trees(self, cost: FloatColumn, first: int, past_last: int) -> None:
        def rows(low: int, high: int) -> None:
            update_trees(first + low, first + high, cost, self._streets, self._trees)

        if (past_last - first) * self.problem.problem.network.n_links < _LEAST_WORK_OF_A_THREAD:
            rows(0, past_last - first)
        else:
            over_rows(past_last - first, rows)
        require_finite_costs(self.problem, cost, self._trees)

    def cheapest_at(self, cost: FloatColumn) -> FloatColumn:
        """Return what the demand of every layer would cost on cheapest paths at these costs of the links.

        Raises
        ------
        InputError
            An OD pair has no path, or costs leave the range of floating-point numbers.
        """
        self._update_trees(cost, 0, self.problem.n_origins)
        bounds = self.problem.origin_start.tolist()
        return np.array([math.fsum(self._trees.cheapest_total[low:high]) for low, high in pairwise(bounds)])

    def totals(self) -> tuple[FloatColumn, FloatColumn]:
        """Bring the trees up to date; return TSTT and SPTT of every layer in its own costs.

        Raises
        ------
        InputError
            An OD pair has no path, or costs leave the range of floating-point numbers.
        """
        flow, cost = self.flow, self.cost
        cheapest = self.cheapest_at(cost)
        total = np.array([compensated_dot(*row) for row in zip(flow, cost.reshape(flow.shape), strict=True)])
        if not np.isfinite(total).all():
            raise overflow_error(self.problem.problem)
        return total, cheapest

    def carried_flows(self) -> OriginFlows:
        """Return the flows that come from their origins, without the traces that rounding leaves elsewhere."""
        slots = self._slots
        used = int(slots.start[-1])
        carried = np.empty(used, np.bool_)
        scratch = np.full(self.problem.n_nodes, NOTHING, np.int32)
        mark_carried(self.problem.origin_node, slots, self.state, scratch, carried)
        start = np.concatenate(([0], np.cumsum(carried)))[slots.start]
        return OriginFlows(start, slots.link[:used][carried], slots.flow[:used][carried])


def require_finite_costs(problem: LayeredProblem, cost: FloatColumn, trees: Trees) -> None:
    """Check that every origin's demand has a finite cost on its tree.

    Raises
    ------
    InputError
        An OD pair has no path, or costs leave the range of floating-point numbers.
    """
    finite = np.isfinite(trees.cheapest_total)
    if finite.all():
        return
    origin = int(np.argmin(finite))
    cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
    nodes_per_layer = problem.problem.network.n_nodes
    nodes = problem.cell_node[cells] % nodes_per_layer
    pathless = (trees.link_into[origin, nodes] == NO_LINK) & (nodes != problem.origin_node[origin] % nodes_per_layer)
    raise no_path_or_overflow(problem.problem, problem.cell_idx[cells], pathless, cost)


def _empty_slots(n_origins: int, size: int) -> Slots:
    return Slots(np.zeros(n_origins + 1, np.int64), np.empty(size, np.int32), np.empty(size))


def _grown(slots: Slots, size: int) -> Slots:
    link, flow = np.empty(size, np.int32), np.empty(size)
    link[: len(slots.link)], flow[: len(slots.flow)] = slots.link, slots.flow
    return Slots(slots.start, link, flow)


def _empty_trees(problem: LayeredProblem) -> Trees:
    shape = (problem.n_origins, problem.problem.network.n_nodes)
    return Trees(
        np.empty(shape, np.int32), np.empty(shape, np.int32), np.zeros(shape[0], np.int32), np.zeros(shape[0])
    )  # fmt: skip


def _empty_bush(problem: LayeredProblem) -> Bush:
    n_nodes, n_links = problem.problem.network.n_nodes, problem.problem.network.n_links

    def ints(size: int) -> IndexColumn:
        return np.empty(size, np.int32)

    return Bush(
        number_of=np.full(problem.n_nodes, NOTHING, np.int32),
        node=ints(n_nodes),
        old_start=ints(n_nodes + 1),
        old_link=ints(n_links),
        old_flow=np.empty(n_links),
        old_from=ints(n_links),
        new_link=ints(n_nodes),
        order=ints(n_nodes),
        place_of=ints(n_nodes),
        entry_start=ints(n_nodes + 1),
        from_place=ints(n_links),
        shortest=np.empty(n_nodes),
        longest=np.empty(n_nodes),
        through=np.empty(n_nodes),
        shortest_entry=ints(n_nodes),
        longest_entry=ints(n_nodes),
        stack=ints(n_nodes),
        spare=ints(n_nodes),
    )


def _empty_pairs(problem: LayeredProblem) -> Pairs:
    # Untouched memory costs nothing; pairs beyond this are not remembered, which slows the sweeps and changes no result.
    n_pairs = min(_MOST_PAIRS, problem.n_origins * problem.problem.network.n_links) + 1
    n_slots = min(_MOST_PAIR_SLOTS, 64 * n_pairs) + 2 * problem.n_nodes
    pairs = Pairs(np.empty(2 * n_pairs + 1, np.int64), np.empty(n_slots, np.int32))
    pairs.bound[0] = 0
    return pairs
