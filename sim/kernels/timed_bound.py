"""Cheapest ways through space and time under prices on the slots of links, from everywhere to a few destinations at once.

Time is cut into cells of `cell_ms`; `cost[c, v, lane]` is the least (arrival + prices paid), in milliseconds, of a vehicle that
is at node v at the start of cell c and bound for the destination of the lane. It is worked out backwards in time:

    cost[c, v] = min( cost[c + 1, v],  min over links v -> w of cost[c + time // cell, w] + price of leaving in that cell )

Waiting is allowed, so the true cost rises with time, and to round times down and to take for each cell the least price in it
never gives too much: the result is a lower bound of the cost. After the last cell there are no prices and the cost is the time
of arrival by free-flow times. Lanes lie beside each other in memory, so that the inner loop is one vector instruction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

LANES = 8
FAR_MS = 2**30
"""Stands for "no way"; twice it is still an int32."""
UNPRICED = -1
_NOWHERE = -1
_SATURATED = 1.3
"""Exits up to this many headways apart count as those of a queue."""


class SpaceTime(NamedTuple):
    """Links by their tails, cut into cells."""

    start: OffsetColumn
    """Shape (n_nodes + 1,)."""
    head: IndexColumn
    cells: IndexColumn
    """Free-flow time in whole cells, rounded down."""
    priced: IndexColumn
    """Row of `price_ms`, UNPRICED for links without prices."""
    instant: IndexColumn
    """Positions of the links of no whole cell."""
    tail: IndexColumn


@kernel
def cell_prices(price_ms: IndexColumn, slot_start: OffsetColumn, slot_ms: IndexColumn, cell_ms: int, out_ms: IndexColumn) -> None:
    """Write for each priced link and cell the least price of the slots that the cell touches; shape (n_priced, n_cells)."""
    n_priced, n_cells = out_ms.shape
    for row in range(n_priced):
        n_slots = slot_start[row + 1] - slot_start[row]
        for cell in range(n_cells):
            first = cell * cell_ms // slot_ms[row]
            last = ((cell + 1) * cell_ms - 1) // slot_ms[row]
            least = FAR_MS
            for slot in range(first, last + 1):
                value = price_ms[slot_start[row] + slot] if slot < n_slots else 0
                least = min(least, value)
            out_ms[row, cell] = least


@kernel
def sweep(
    graph: SpaceTime, price_ms: IndexColumn, free_ms: IndexColumn, target: IndexColumn, cell_ms: int, first_cell: int,
    cost: IndexColumn,
) -> None:  # fmt: skip
    """Fill `cost`, shape (n_cells, n_nodes, LANES), from the last cell down to `first_cell`.

    Parameters
    ----------
    price_ms
        By priced link and cell.
    free_ms
        Free-flow time from each node by lane, FAR_MS where there is no way; shape (n_nodes, LANES).
    target
        Destination by lane.
    """
    n_cells, n_nodes, _ = cost.shape
    least = np.empty(LANES, np.int32)
    for cell in range(n_cells - 1, first_cell - 1, -1):
        for node in range(n_nodes):
            if cell + 1 < n_cells:
                for lane in range(LANES):
                    least[lane] = cost[cell + 1, node, lane]
            else:
                for lane in range(LANES):
                    least[lane] = min(FAR_MS, n_cells * cell_ms + free_ms[node, lane])
            for link in range(graph.start[node], graph.start[node + 1]):
                at = cell + graph.cells[link]
                head = graph.head[link]
                if at >= n_cells:
                    base = np.int32(at * cell_ms)
                    for lane in range(LANES):
                        least[lane] = min(least[lane], np.int32(free_ms[head, lane] + base))
                elif at > cell:
                    price = np.int32(0)
                    if graph.priced[link] != UNPRICED:
                        price = price_ms[graph.priced[link], at]
                    for lane in range(LANES):
                        least[lane] = min(least[lane], np.int32(cost[at, head, lane] + price))
            for lane in range(LANES):
                cost[cell, node, lane] = least[lane]
        for lane in range(LANES):
            if target[lane] != _NOWHERE:
                cost[cell, target[lane], lane] = cell * cell_ms
        changed = True
        while changed:
            changed = False
            for link in graph.instant:
                tail, head = graph.tail[link], graph.head[link]
                price = np.int32(0)
                if graph.priced[link] != UNPRICED:
                    price = price_ms[graph.priced[link], cell]
                for lane in range(LANES):
                    if cost[cell, head, lane] + price < cost[cell, tail, lane]:
                        cost[cell, tail, lane] = cost[cell, head, lane] + price
                        changed = True


@kernel
def trace(
    graph: SpaceTime,
    price_ms: IndexColumn,
    slot_price_ms: IndexColumn,
    slot_start: OffsetColumn,
    slot_ms: IndexColumn,
    free_ms: IndexColumn,
    target: IndexColumn,
    cell_ms: int,
    cost: IndexColumn,
    source: IndexColumn,
    lane_of: IndexColumn,
    departure_s: FloatColumn,
    cost_s: FloatColumn,
    usage: IndexColumn,
) -> None:
    """Write each vehicle's least cost (s, from its departure) and count the slots in which its way leaves priced links.

    Parameters
    ----------
    source, lane_of, departure_s
        Of each vehicle.
    cost_s
        At least the free-flow time: that bound holds for each vehicle, too.
    usage
        Shape (n_slots,); counts are added. A way that would not end (links of no whole cell in a circle) is left off: the counts
        only say where prices should change.
    """
    n_cells, n_nodes, _ = cost.shape
    for vehicle in range(len(source)):
        lane, node = lane_of[vehicle], source[vehicle]
        # A microsecond early: no rounding of the simulated times can then put a vehicle before its place here.
        cell = max(0, int((departure_s[vehicle] - 1e-6) * 1000.0 // cell_ms))
        free_s = free_ms[node, lane] / 1000.0
        cost_s[vehicle] = free_s
        if cell >= n_cells:
            continue
        cost_s[vehicle] = max(free_s, cost[cell, node, lane] / 1000.0 - departure_s[vehicle])
        steps_left = 4 * (n_cells + n_nodes)
        while cell < n_cells and node != target[lane] and steps_left > 0:
            steps_left -= 1
            here = cost[cell, node, lane]
            best, best_free = _NOWHERE, FAR_MS
            for link in range(graph.start[node], graph.start[node + 1]):
                at, head = cell + graph.cells[link], graph.head[link]
                if at >= n_cells:
                    value = at * cell_ms + free_ms[head, lane]
                else:
                    value = cost[at, head, lane] + (price_ms[graph.priced[link], at] if graph.priced[link] != UNPRICED else 0)
                if value == here and free_ms[head, lane] < best_free:
                    best, best_free = link, free_ms[head, lane]
            if best == _NOWHERE:
                cell += 1
                continue
            cell += graph.cells[best]
            row = graph.priced[best]
            if row != UNPRICED and cell < n_cells:
                slot = slot_start[row] + cell * cell_ms // slot_ms[row]
                last = slot_start[row] + ((cell + 1) * cell_ms - 1) // slot_ms[row]
                end = slot_start[row + 1]
                while slot < last and slot < end and slot_price_ms[slot] > price_ms[row, cell]:
                    slot += 1
                if slot < end:
                    usage[slot] += 1
            node = graph.head[best]


@kernel
def congestion(
    start: OffsetColumn,
    entry_s: FloatColumn,
    exit_s: FloatColumn,
    free_s: FloatColumn,
    headway_s: FloatColumn,
    delay_s: FloatColumn,
) -> float:
    """Add to each link the waits of those who left hardly more than a headway after the one before, and that headway.

    In a good day a bottleneck has no queue but runs at its capacity, so that what counts is the distance of exits.

    Parameters
    ----------
    delay_s
        Shape (n_links,); vehicle-seconds, added to.

    Returns
    -------
    last_s
        When the last of them left.
    """
    last_s = 0.0
    for link in range(len(free_s)):
        for record in range(start[link] + 1, start[link + 1]):
            if exit_s[record] - exit_s[record - 1] <= _SATURATED * headway_s[link]:
                delay_s[link] += exit_s[record] - entry_s[record] - free_s[link] + headway_s[link]
                last_s = max(last_s, exit_s[record])
    return last_s
