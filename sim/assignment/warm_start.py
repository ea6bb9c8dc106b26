"""A start of the solver from the solution of another problem: other demand, or streets that were closed or opened.

Links are matched by their identifiers and origins by their zones. What does not match is left out; the solver rescales flows to
the demand and gives a new path to whatever lost its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import IndexColumn
from sim.assignment.bushes import OriginFlows
from sim.assignment.problem import AssignmentProblem


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Flows by origin (`origin_flows` of a solution) and the problem that they solve."""

    problem: AssignmentProblem
    flows: OriginFlows

    def flows_for(self, problem: AssignmentProblem) -> OriginFlows:
        """Return the flows by origin and link of another problem."""
        old = self.problem
        link_to = _positions(old.network.link_id[old.link_order], problem.network.link_id[problem.link_order])
        zone_to = _positions(old.network.zone_id[old.origin_zone_idx], problem.network.zone_id[problem.origin_zone_idx])
        origin = zone_to[np.repeat(np.arange(old.n_origins), np.diff(self.flows.start))]
        link = link_to[self.flows.link]
        kept = (origin >= 0) & (link >= 0)
        # Stable: the links of an origin stay in an order in which tails come before heads.
        turn = np.argsort(origin[kept], kind="stable")
        start = np.searchsorted(origin[kept][turn], np.arange(problem.n_origins + 1)).astype(np.int64)
        return OriginFlows(start, np.ascontiguousarray(link[kept][turn]), self.flows.flow[kept][turn])


def _positions(identifiers: np.ndarray, among: np.ndarray) -> IndexColumn:
    """Return where each identifier stands among others, -1 where it does not."""
    order = np.argsort(among, kind="stable")
    place = np.minimum(np.searchsorted(among, identifiers, sorter=order), max(len(among) - 1, 0))
    found = order[place]
    return np.where(among[found] == identifiers, found, -1).astype(np.int32)
