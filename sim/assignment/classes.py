"""User equilibrium of several classes of travellers with their own tolls and values of time, on the same streets.

Mathematics. Class k pays t_a(v) + f_ka on link a: the time that the flow v of all classes together causes, and a fixed cost of
its own (a toll over the class's value of time). At rest every used path of a class is cheapest in the costs of the class. The
flows minimise sum_a int_0^v_a t_a(x) dx + sum_k sum_a f_ka v_ka, which is convex (Dafermos 1972, Transportation Science 6): an
equilibrium exists, total link flows are unique where t_a rises, flows by class need not be.

Method. Each class is a layer (`sim.assignment.layers`), each origin of each class has a bush, and shifts of Algorithm B alternate
between the classes, each seeing at once what the others did.

Stopping. Relative gap of a class = (TSTT - SPTT) / TSTT in the costs that it counts; the largest must be at most `gap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.bushes import BushSolver, OriginFlows
from sim.assignment.layers import Layer, LayeredProblem, make_layers
from sim.assignment.problem import AssignmentProblem
from sim.assignment.stopping import Stopping
from sim.errors import InputError
from sim.kernels.costs import compensated_dot


@dataclass(frozen=True, eq=False)
class ClassFlows:
    """What one class does at rest.

    Attributes
    ----------
    demand_vph
        Vehicles an hour.
    flow_vph
        By link, network order.
    total_cost_s, total_time_s
        Generalised cost and travel time of all its vehicles in the period (vehicle-seconds), without what the class counts
        beside: its own fixed cost, or its own marginal cost.
    relative_gap
        In the costs that the class counts; 0 for a class without demand.
    origin_flows
        By origin of the problem (links in the problem's link order).
    """

    demand_vph: float
    flow_vph: FloatColumn
    total_cost_s: float
    total_time_s: float
    relative_gap: float
    origin_flows: OriginFlows


@dataclass(frozen=True, eq=False)
class ClassEquilibrium:
    """Classes at rest with one another.

    Attributes
    ----------
    classes
        In the order in which they were given.
    flow_vph, cost_s, travel_time_s
        By link, network order: flow of all classes, generalised cost and travel time (without fixed cost) at that flow.
    total_cost_s, total_time_s
        Of all classes together, vehicle-seconds in the period.
    relative_gap
        The largest of the classes' gaps.
    gap_history
        The same before every iteration, and at the end.
    """

    classes: tuple[ClassFlows, ...]
    flow_vph: FloatColumn
    cost_s: FloatColumn
    travel_time_s: FloatColumn
    total_cost_s: float
    total_time_s: float
    relative_gap: float
    iterations: int
    stopped_because: str
    reached: bool
    gap_history: tuple[float, ...]


def class_equilibrium(
    problem: AssignmentProblem, layers: Sequence[Layer], *, gap: float = 1e-6, max_iterations: int = 500
) -> ClassEquilibrium:
    """Return the equilibrium of several classes.

    Parameters
    ----------
    layers
        One for each class, in the problem's order of cells and links. Classes without any demand are allowed beside one with.

    Raises
    ------
    InputError
        No class has demand, a demand or a fixed cost is below 0, an OD pair has no path, or costs leave the range of
        floating-point numbers.
    """
    for number, layer in enumerate(layers):
        fixed = np.zeros(1) if layer.fixed_cost_s is None else layer.fixed_cost_s
        if not (np.isfinite(fixed).all() and (fixed >= 0.0).all() and (layer.demand_vph >= 0.0).all()):
            raise InputError(f"class {number + 1}", source="classes", allowed="demand and fixed costs of at least 0")
    moving = [layer for layer in layers if layer.demand_vph.any()]
    if not moving:
        raise InputError("no demand", source="classes", allowed="a class with demand")
    solver = BushSolver(make_layers(problem, moving))
    solver.load_first()
    stopping = Stopping(gap, max_iterations)
    while True:
        total, cheapest = solver.totals()
        gaps = np.where(total > 0.0, (total - cheapest) / np.where(total > 0.0, total, 1.0), 0.0)
        stopped = stopping.reason(float(gaps.max()))
        if stopped is not None:
            return _result(problem, layers, solver, gaps.tolist(), stopping, stopped)
        solver.improve(stopping.gaps[-1], jointly=stopping.slow and len(moving) == 1)


def _result(
    problem: AssignmentProblem, layers: Sequence[Layer], solver: BushSolver, gaps: list[float], stopping: Stopping, stopped: str
) -> ClassEquilibrium:
    fixed = problem.network.fixed_cost_s
    flows = solver.flow
    flow = problem.in_network_order(flows.sum(axis=0))
    cost = problem.user_cost(flow)
    carried = solver.carried_flows()
    classes = []
    number = 0
    for layer in layers:
        if not layer.demand_vph.any():
            classes.append(_no_flows(problem))
            continue
        own = problem.in_network_order(flows[number])
        own_flows = ClassFlows(
            demand_vph=float(layer.demand_vph.sum()),
            flow_vph=own,
            total_cost_s=float(compensated_dot(own, cost)),
            total_time_s=float(compensated_dot(own, cost - fixed)),
            relative_gap=gaps[number],
            origin_flows=_of_layer(solver.problem, carried, number),
        )
        classes.append(own_flows)
        number += 1
    return ClassEquilibrium(
        classes=tuple(classes),
        flow_vph=flow,
        cost_s=cost,
        travel_time_s=cost - fixed,
        total_cost_s=sum(of.total_cost_s for of in classes),
        total_time_s=sum(of.total_time_s for of in classes),
        relative_gap=stopping.gaps[-1],
        iterations=len(stopping.gaps) - 1,
        stopped_because=stopped,
        reached=stopping.gaps[-1] <= stopping.gap,
        gap_history=tuple(stopping.gaps),
    )


def _no_flows(problem: AssignmentProblem) -> ClassFlows:
    nothing = OriginFlows(np.zeros(problem.n_origins + 1, np.int64), np.empty(0, np.int32), np.empty(0))
    return ClassFlows(0.0, np.zeros(problem.network.n_links), 0.0, 0.0, 0.0, nothing)


def _of_layer(layered: LayeredProblem, carried: OriginFlows, layer: int) -> OriginFlows:
    """Return the flows of one layer by origin of the problem, which may have more origins than the layer."""
    first, past_last = layered.origin_start[layer], layered.origin_start[layer + 1]
    slots = slice(carried.start[first], carried.start[past_last])
    n_slots = np.zeros(layered.problem.n_origins, np.int64)
    n_slots[layered.origin_idx[first:past_last]] = np.diff(carried.start[first : past_last + 1])
    link = carried.link[slots] - np.int32(layer * layered.problem.network.n_links)
    return OriginFlows(np.concatenate(([0], np.cumsum(n_slots))), link, carried.flow[slots])
