"""The used route on which a link column adds up to most, for every origin and node."""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.kernels._jit import kernel


@kernel
def most_on_used_routes(
    origin_node: int, used_link: IndexColumn, used_flow: FloatColumn, tail: IndexColumn, head: IndexColumn, amount: FloatColumn,
    most: FloatColumn,
) -> None:  # fmt: skip
    """Write the largest sum of `amount` over the routes of links with flow from the origin to each node, -inf where none leads.

    The origin's links stand in topological order of their heads (`sim.assignment.equilibrium.OriginFlows`); `amount` has a row a
    link, `most` a row a node.
    """
    most[:] = -np.inf
    most[origin_node] = 0.0
    for place in range(len(used_link)):
        link = used_link[place]
        if used_flow[place] > 0.0:
            most[head[link]] = max(most[head[link]], most[tail[link]] + amount[link])
