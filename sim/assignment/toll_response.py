r"""How an equilibrium answers to small tolls, and what that says about every link at once.

Let T = sum_a v_a t_a be what selfish traffic spends, and D the diagonal of t_a'. Near an equilibrium, as long as the set of used
routes stays the same, tolls r on the links change the flows by -P r, where P is symmetric and P D P = P (the projection onto
flows that go round in circles; the standard sensitivity analysis of user equilibria, R. Tobin and T. Friesz 1988, Transportation
Science 22). Prices t are equal on used routes, so P t = 0. Hence for a toll on link a alone

    dT/dr_a = -sum_b (t_b + v_b t_b') P_ba = -(P q)_a = w_a,     q_b = v_b t_b'

with w the change of the flows when *every* link is tolled in proportion to q: one further equilibrium tells the derivative of T
by the toll on each link. T falls where the flow falls on the way to the optimum.

Closing link a is the toll that drives its flow to zero, v_a / P_aa in the linear picture. For costs of power p the second
derivative of T is (p + 1) P_aa, so the whole change is

    (v_a / P_aa) (w_a + (p + 1) v_a / 2)

and its sign does not need P_aa: closing a is predicted to help where -w_a / v_a > (p + 1) / 2. Exact only for small flows and
equal powers: a way to choose what to try, and no proof.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import Assignment, solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.warm_start import WarmStart

SHARE_OF_TOLL: Final = 0.02
"""Part of the marginal tolls that is charged to see the response: small enough to be linear, large against the gap."""


def marginal_toll_response(problem: AssignmentProblem, found: Assignment, *, gap: float) -> FloatColumn:
    """Return w: flow change of every link per unit share of marginal-cost tolls, vehicles an hour, network order.

    Parameters
    ----------
    problem, found
        A problem and its user equilibrium, solved to `gap`.
    gap
        Relative gap of the tolled equilibrium; far below `SHARE_OF_TOLL`.

    Raises
    ------
    InputError
        Costs leave the range of floating-point numbers.
    """
    network = problem.network
    toll_s = network.bpr_beta * (found.travel_time_s - network.free_flow_time_s)
    # A free-flow time that is rounded can make this a trace below zero.
    charged_s = SHARE_OF_TOLL * np.maximum(toll_s, 0.0)
    tolled = make_problem(network.replace(fixed_cost_s=network.fixed_cost_s + charged_s), problem.od)
    answer = solve(tolled, Principle.USER_EQUILIBRIUM, gap=gap, start=WarmStart(problem, found.origin_flows))
    return (answer.flow_vph - found.flow_vph) / SHARE_OF_TOLL


def closing_promise(flow_vph: FloatColumn, response_vph: FloatColumn, power: FloatColumn) -> FloatColumn:
    """Return -w / v - (p + 1) / 2 by link: above 0 where closing is predicted to lower the total; -inf where nobody drives."""
    promise = np.full(len(flow_vph), -np.inf)
    used = flow_vph > 0
    promise[used] = -response_vph[used] / flow_vph[used] - (power[used] + 1.0) / 2.0
    return promise
