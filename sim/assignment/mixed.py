"""Mixed equilibrium: members of a coalition count what they cause to one another, everybody else counts only himself.

Mathematics. A share of every OD cell are members; v^P are their flows, v^O those of the others, v = v^P + v^O. At rest every
used path of a member is cheapest under t_a(v) + v^P_a t_a'(v), the derivative of the members' own total sum_a v^P_a t_a(v), and
every used path of an outsider is cheapest under t_a(v) (Harker 1988, Transportation Research B 22, a monopolist beside
price-takers). Share 0 is the user equilibrium, share 1 the system optimum. Fixed costs count in full for both.

Existence and uniqueness. The conditions are a variational inequality with continuous costs on a compact convex set, so a solution
exists (for power 0 or above; for 0 < power < 1 the product v^P t' is continued by 0 where nobody drives). The Jacobian of a
link's two costs, [[2 t' + v^P t'', t' + v^P t''], [t', t']], is not symmetric: no objective is minimised. Its symmetric part is
positive definite where v^P t'' < 2 t', for BPR costs where (power - 1) v^P / v < 2. So for powers up to 3, and for power 4 while
members are less than two thirds of the flow on every link, link flows of both classes are unique where t' > 0. Beyond that
uniqueness is not proven and the flows found are an equilibrium, not the equilibrium.

Method. Both classes are layers of one network (`sim.assignment.layers`), each origin of each class with a bush of its own; shifts
of Algorithm B alternate between the classes, and each sees at once what the other did. Convergence is observed, not proven.

Stopping. Relative gap of a class = (TSTT - SPTT) / TSTT in the costs that it counts; both must be at most `gap`. Otherwise the
solver stops at the iteration bound, or when the larger gap has not fallen by a tenth in 30 iterations; it says which.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.arrays import FloatColumn
from sim.assignment.classes import ClassFlows, class_equilibrium
from sim.assignment.layers import Layer
from sim.assignment.problem import AssignmentProblem
from sim.errors import InputError


@dataclass(frozen=True, eq=False)
class MixedEquilibrium:
    """A mixed equilibrium.

    Attributes
    ----------
    share
        Share of every OD cell that are members.
    flow_vph, cost_s, travel_time_s
        By link, network order: flow of both classes, generalised cost and travel time (without fixed cost) at that flow.
    total_cost_s, total_time_s
        Of both classes together, vehicle-seconds in the period.
    gap_history
        The larger of the two relative gaps before every iteration, and at the end.
    """

    share: float
    members: ClassFlows
    others: ClassFlows
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


def mixed_equilibrium(
    problem: AssignmentProblem, share: float, *, gap: float = 1e-6, max_iterations: int = 500
) -> MixedEquilibrium:
    """Return the equilibrium in which `share` of every OD cell drives at the members' own marginal cost.

    Raises
    ------
    InputError
        `share` is outside 0 to 1, an OD pair has no path, or costs leave the range of floating-point numbers.
    """
    if not 0.0 <= share <= 1.0:
        raise InputError(f"{share}", source="the share of members", allowed="0 to 1")
    layers = [Layer(share * problem.cell_demand, own_weight=1.0), Layer((1.0 - share) * problem.cell_demand)]
    found = class_equilibrium(problem, layers, gap=gap, max_iterations=max_iterations)
    members, others = found.classes
    return MixedEquilibrium(
        share=share,
        members=members,
        others=others,
        flow_vph=found.flow_vph,
        cost_s=found.cost_s,
        travel_time_s=found.travel_time_s,
        total_cost_s=found.total_cost_s,
        total_time_s=found.total_time_s,
        relative_gap=found.relative_gap,
        iterations=found.iterations,
        stopped_because=found.stopped_because,
        reached=found.reached,
        gap_history=found.gap_history,
    )
