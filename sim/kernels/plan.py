"""From flows by origin to a route for each traveller, by a lottery that stays within about one traveller of the plan."""

from __future__ import annotations

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

_NOBODY = -1


@kernel
def draw_paths(
    origin_node: int,
    flow_link: IndexColumn,
    flow: FloatColumn,
    tail: IndexColumn,
    head: IndexColumn,
    destination_node: IndexColumn,
    weight: FloatColumn,
    owed: FloatColumn,
    last_here: IndexColumn,
) -> tuple[OffsetColumn, IndexColumn]:
    """Return the paths of one origin's travellers in compressed rows: (start (n_travellers + 1,), links from the origin on).

    The travellers come in the order of the lottery. They are gathered at their destinations and walk back node by node, far
    nodes first: the origin's flows stand in topological order of their heads. At a node each entering link is owed its share of
    the travellers' weight; the next traveller takes the link that is owed most. What remains owed is carried over in `owed`
    (n_links,) to the next origin. `last_here` (n_nodes,) is scratch, filled with -1 and left so.
    """
    n_travellers = len(destination_node)
    before = np.empty(n_travellers, np.int32)
    for traveller in range(n_travellers):
        before[traveller] = last_here[destination_node[traveller]]
        last_here[destination_node[traveller]] = traveller
    step_link = np.empty(max(16, 32 * n_travellers), np.int32)
    step_next = np.empty(len(step_link), np.int32)
    first_step = np.full(n_travellers, _NOBODY, np.int32)
    length = np.zeros(n_travellers, np.int64)
    n_steps = 0
    past_last = len(flow_link)
    while past_last > 0:
        node = head[flow_link[past_last - 1]]
        first = past_last
        inflow = 0.0
        while first > 0 and head[flow_link[first - 1]] == node:
            first -= 1
            inflow += flow[first]
        gathered = 0.0
        traveller = last_here[node]
        while traveller != _NOBODY:
            gathered += weight[traveller]
            traveller = before[traveller]
        for entry in range(first, past_last):
            owed[flow_link[entry]] += gathered * flow[entry] / inflow
        traveller = last_here[node]
        last_here[node] = _NOBODY
        while traveller != _NOBODY:
            following = before[traveller]
            link = flow_link[first]
            for entry in range(first + 1, past_last):
                if owed[flow_link[entry]] > owed[link]:
                    link = flow_link[entry]
            owed[link] -= weight[traveller]
            if n_steps == len(step_link):
                step_link = np.concatenate((step_link, np.empty_like(step_link)))
                step_next = np.concatenate((step_next, np.empty_like(step_next)))
            step_link[n_steps] = link
            step_next[n_steps] = first_step[traveller]
            first_step[traveller] = n_steps
            n_steps += 1
            length[traveller] += 1
            before[traveller] = last_here[tail[link]]
            last_here[tail[link]] = traveller
            traveller = following
        past_last = first
    last_here[origin_node] = _NOBODY
    start = np.zeros(n_travellers + 1, np.int64)
    for traveller in range(n_travellers):
        start[traveller + 1] = start[traveller] + length[traveller]
    link_of_path = np.empty(start[n_travellers], np.int32)
    for traveller in range(n_travellers):
        step = first_step[traveller]
        for place in range(start[traveller], start[traveller + 1]):
            link_of_path[place] = step_link[step]
            step = step_next[step]
    return start, link_of_path
