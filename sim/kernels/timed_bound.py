"""Cheapest ways through space and time under prices on the slots of some links, for everybody bound for one destination.

Only what happens at the priced links needs time. A hop leads from the head of priced link r along the fastest way without priced
links to the tail of priced link s and over s. Time is cut into cells of `cell_ms`; `cost[r, c]` is the least (arrival + prices
paid), in milliseconds, of a vehicle that could leave r from the start of cell c on. It is worked out backwards in time:

    cost[r, c] = min( cost[r, c + 1],  price[r, c] + min( c + way to the destination without prices,
                                                           min over hops r -> s of cost[s, c + time // cell] ) )

Waiting is allowed, so the true cost rises with time, and to round times down and to take for each cell the least price in it
never gives too much: the result is a lower bound of the cost. Times are rounded down hop by hop and not link by link, so little
is lost. After the last cell there are no prices and the cost is the time of arrival by free-flow times. A hop is left out where
even without prices it leads to the destination no sooner than the way without priced links does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

FAR_MS = 2**29
"""Stands for "no way"; three times it is still an int32."""
_SATURATED = 1.3
"""Exits up to this many headways apart count as those of a queue."""


class Stops(NamedTuple):
    """Priced links as the stops of ways; times in whole milliseconds, rounded down, FAR_MS where there is no way."""

    head: IndexColumn
    """Node of the search graph at the end of each, shape (n_stops,)."""
    queue: IndexColumn
    """Row of its prices."""
    time_ms: IndexColumn
    """Free-flow time over each."""
    to_tail_ms: IndexColumn
    """From every node to the tail of each without priced links, shape (n_stops, n_nodes)."""


class Ways(NamedTuple):
    """To one destination, from every node; shape (n_nodes,)."""

    plain_ms: IndexColumn
    """Without priced links."""
    free_ms: IndexColumn
    """By any links, without prices: no more than `plain_ms`."""


class Hops(NamedTuple):
    """Hops that may be of use on the way to one destination: those from stop r are `start[r]` to `start[r + 1]`."""

    start: OffsetColumn
    to: IndexColumn
    time_ms: IndexColumn
    cells: IndexColumn
    """The same in whole cells, rounded down."""
    instant_from: IndexColumn
    """Stops from which and to which hops take less than a cell."""
    instant_to: IndexColumn


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
def useful_hops(stops: Stops, ways: Ways, cell_ms: int) -> Hops:
    """Return the hops that may be of use on the way to a destination."""
    n_stops = len(stops.head)
    start = np.zeros(n_stops + 1, np.int64)
    for stop in range(n_stops):
        start[stop + 1] = start[stop]
        for to in range(n_stops):
            time_ms = stops.to_tail_ms[to, stops.head[stop]] + stops.time_ms[to]
            if time_ms + ways.free_ms[stops.head[to]] < ways.plain_ms[stops.head[stop]]:
                start[stop + 1] += 1
    column, times_ms = np.empty(start[-1], np.int32), np.empty(start[-1], np.int32)
    came = np.empty(start[-1], np.int32)
    place = 0
    for stop in range(n_stops):
        for to in range(n_stops):
            time_ms = stops.to_tail_ms[to, stops.head[stop]] + stops.time_ms[to]
            if time_ms + ways.free_ms[stops.head[to]] < ways.plain_ms[stops.head[stop]]:
                came[place], column[place], times_ms[place] = stop, to, time_ms
                place += 1
    cells = times_ms // np.int32(cell_ms)
    return Hops(start, column, times_ms, cells, came[cells == 0], column[cells == 0])


@kernel
def _onward_ms(stops: Stops, ways: Ways, hops: Hops, hop: int, cell: int, cell_ms: int, cost: IndexColumn) -> int:
    """Return the cost of a hop that begins at the start of a cell."""
    to = hops.to[hop]
    at = cell + hops.cells[hop]
    if at < cost.shape[1]:
        return int(cost[to, at])
    return int(cell * cell_ms + hops.time_ms[hop] + ways.free_ms[stops.head[to]])


@kernel
def sweep(stops: Stops, ways: Ways, hops: Hops, price_ms: IndexColumn, cell_ms: int, first_cell: int, cost: IndexColumn) -> None:
    """Fill `cost`, shape (n_stops, n_cells), from the last cell down to `first_cell`; `price_ms` is by row of prices and cell."""
    n_stops, n_cells = cost.shape
    for cell in range(n_cells - 1, first_cell - 1, -1):
        for stop in range(n_stops):
            least = min(2 * FAR_MS, cell * cell_ms + ways.plain_ms[stops.head[stop]])
            for hop in range(hops.start[stop], hops.start[stop + 1]):
                at = cell + hops.cells[hop]
                if cell < at < n_cells:
                    least = min(least, cost[hops.to[hop], at])
                elif at >= n_cells:
                    least = min(least, _onward_ms(stops, ways, hops, hop, cell, cell_ms, cost))
            least += price_ms[stops.queue[stop], cell]
            if cell + 1 < n_cells:
                least = min(least, cost[stop, cell + 1])
            else:
                least = min(least, n_cells * cell_ms + ways.free_ms[stops.head[stop]])
            cost[stop, cell] = min(least, 2 * FAR_MS)
        changed = True
        while changed:
            changed = False
            for hop in range(len(hops.instant_from)):
                stop = hops.instant_from[hop]
                value = cost[hops.instant_to[hop], cell] + price_ms[stops.queue[stop], cell]
                if value < cost[stop, cell]:
                    cost[stop, cell] = value
                    changed = True


@kernel
def trace(
    stops: Stops,
    ways: Ways,
    hops: Hops,
    price_ms: IndexColumn,
    slot_price_ms: IndexColumn,
    slot_start: OffsetColumn,
    slot_ms: IndexColumn,
    cell_ms: int,
    cost: IndexColumn,
    source: IndexColumn,
    departure_s: FloatColumn,
    cost_s: FloatColumn,
    usage: IndexColumn,
) -> None:
    """Write each vehicle's least cost (s, from its departure) and count the slots in which its way leaves priced links.

    Parameters
    ----------
    source, departure_s
        Node and departure of each vehicle.
    cost_s
        At least the free-flow time: that bound holds for each vehicle, too.
    usage
        Shape (n_slots,); counts are added. A hop of no whole cell is followed only where it leads nearer, so that ways end; the
        counts say where prices should change and prove nothing.
    """
    n_stops, n_cells = cost.shape
    for vehicle in range(len(source)):
        node = source[vehicle]
        # A microsecond early: no rounding of the simulated times can then put a vehicle before its place here.
        now_ms = max(0, int((departure_s[vehicle] - 1e-6) * 1000.0))
        least, stop, cell = now_ms + ways.plain_ms[node], -1, 0
        for to in range(n_stops):
            ready_ms = now_ms + stops.to_tail_ms[to, node] + stops.time_ms[to]
            if ready_ms + ways.free_ms[stops.head[to]] < least:
                at = ready_ms // cell_ms
                value = cost[to, at] if at < n_cells else ready_ms + ways.free_ms[stops.head[to]]
                if value < least:
                    least, stop, cell = value, to, at
        cost_s[vehicle] = max(ways.free_ms[node] / 1000.0, least / 1000.0 - departure_s[vehicle])
        while stop >= 0 and cell < n_cells:
            row = stops.queue[stop]
            target = cost[stop, cell] - price_ms[row, cell]
            onward = cell * cell_ms + ways.plain_ms[stops.head[stop]]
            next_stop, next_cell = -1, 0
            for hop in range(hops.start[stop], hops.start[stop + 1]):
                value = _onward_ms(stops, ways, hops, hop, cell, cell_ms, cost)
                nearer = ways.free_ms[stops.head[hops.to[hop]]] < ways.free_ms[stops.head[stop]]
                if value < onward and (nearer or hops.cells[hop] > 0):
                    onward, next_stop, next_cell = value, hops.to[hop], cell + hops.cells[hop]
            if onward != target:
                cell += 1
                continue
            slot = slot_start[row] + cell * cell_ms // slot_ms[row]
            last = slot_start[row] + ((cell + 1) * cell_ms - 1) // slot_ms[row]
            end = slot_start[row + 1]
            while slot < last and slot < end and slot_price_ms[slot] > price_ms[row, cell]:
                slot += 1
            if slot < end:
                usage[slot] += 1
            stop, cell = next_stop, next_cell


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
