"""How the demand of OD cells spreads over links, with the shares of a solved assignment kept.

At a node that several links of an origin's flow enter, everybody from that origin came by these links in the proportion of their
flows, wherever he is going. So a slot (the flow of one origin on one link) has a share of what enters its head, and flows are a
linear function of the demand: `flows_of_demand` applies it, `values_of_cells` its transpose. The heads of an origin's slots
stand in topological order, those of one head side by side (`sim.assignment.bushes.OriginFlows`).
"""

from __future__ import annotations

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel


@kernel
def slot_shares(start: OffsetColumn, link: IndexColumn, flow: FloatColumn, head: IndexColumn, share: FloatColumn) -> None:
    """Write the share of each slot in all that enters its head from the same origin; shape (n_slots,)."""
    for origin in range(len(start) - 1):
        first = start[origin]
        while first < start[origin + 1]:
            past_last = first
            entering = 0.0
            while past_last < start[origin + 1] and head[link[past_last]] == head[link[first]]:
                entering += flow[past_last]
                past_last += 1
            for slot in range(first, past_last):
                share[slot] = flow[slot] / entering
            first = past_last


@kernel
def flows_of_demand(
    start: OffsetColumn,
    link: IndexColumn,
    share: FloatColumn,
    tail: IndexColumn,
    head: IndexColumn,
    cell_start: OffsetColumn,
    cell_node: IndexColumn,
    demand: FloatColumn,
    through: FloatColumn,
    flow: FloatColumn,
) -> None:
    """Write the flow of every link, shape (n_links,); `through` (n_nodes,) is scratch."""
    flow[:] = 0.0
    through[:] = 0.0
    for origin in range(len(start) - 1):
        for cell in range(cell_start[origin], cell_start[origin + 1]):
            through[cell_node[cell]] += demand[cell]
        for slot in range(start[origin + 1] - 1, start[origin] - 1, -1):
            part = share[slot] * through[head[link[slot]]]
            flow[link[slot]] += part
            through[tail[link[slot]]] += part
        for slot in range(start[origin], start[origin + 1]):
            through[head[link[slot]]] = 0.0
            through[tail[link[slot]]] = 0.0


@kernel
def values_of_cells(
    start: OffsetColumn,
    link: IndexColumn,
    share: FloatColumn,
    tail: IndexColumn,
    head: IndexColumn,
    cell_start: OffsetColumn,
    cell_node: IndexColumn,
    value: FloatColumn,
    mean_value: FloatColumn,
    of_cell: FloatColumn,
) -> None:
    """Write the sum of link values that a vehicle of each cell meets on average; shape (n_cells,).

    `value` (n_links,) are the values; `mean_value` (n_nodes,) is scratch.
    """
    for origin in range(len(start) - 1):
        for slot in range(start[origin], start[origin + 1]):
            mean_value[head[link[slot]]] = 0.0
            mean_value[tail[link[slot]]] = 0.0
        for slot in range(start[origin], start[origin + 1]):
            mean_value[head[link[slot]]] += share[slot] * (mean_value[tail[link[slot]]] + value[link[slot]])
        for cell in range(cell_start[origin], cell_start[origin + 1]):
            of_cell[cell] = mean_value[cell_node[cell]]
