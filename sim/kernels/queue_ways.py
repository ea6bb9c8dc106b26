"""Ways of many vehicles to few destinations: one tree against the links from each destination, then down the tree."""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_tree import SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack
from sim.kernels.trees import NO_LINK


@kernel
def ways_to_destinations(
    destination: IndexColumn,
    vehicle_start: OffsetColumn,
    node: IndexColumn,
    in_start: OffsetColumn,
    in_tail: IndexColumn,
    in_link: IndexColumn,
    time_s: FloatColumn,
    head: IndexColumn,
    passable: BoolColumn,
    length: IndexColumn,
) -> IndexColumn:
    """Return the links of the fastest ways, one vehicle after another, and write how many each has.

    Parameters
    ----------
    destination
        Nodes; vehicles `vehicle_start[d]` to `vehicle_start[d + 1]` are bound for `destination[d]`.
    node
        Where each vehicle's way starts.
    in_start, in_tail, in_link
        The links by their heads, as `sim.kernels.paths_pair.reverse_star` gives them.
    time_s
        Of each link, 0 or above; inf closes it.
    head
        Of each link.
    length
        Of each way, shape of `node`; 0 where the vehicle is at its destination or cannot reach it.
    """
    n_nodes, n_links = len(in_start) - 1, len(in_tail)
    nodes, links = np.empty(n_nodes + 1, SEARCH_NODE), np.empty(n_links + 1, SEARCH_LINK)
    cost = time_s[in_link]
    pack(in_start, in_tail, cost, passable, nodes, links)
    width = bucket_width(cost)
    queue = new_queue()
    column = np.empty(16 * len(node) + n_nodes, np.int32)
    n_used = 0
    for row in range(len(destination)):
        queue = bucket_tree(destination[row], nodes, links, width, queue, in_start, in_tail, cost, passable)
        for vehicle in range(vehicle_start[row], vehicle_start[row + 1]):
            if n_used + n_nodes > len(column):
                wider = np.empty(2 * len(column), np.int32)
                wider[:n_used] = column[:n_used]
                column = wider
            begin = n_used
            place = nodes[node[vehicle]].link
            while place != NO_LINK:
                link = in_link[place]
                column[n_used] = link
                n_used += 1
                place = nodes[head[link]].link
            length[vehicle] = n_used - begin
    return column[:n_used]
