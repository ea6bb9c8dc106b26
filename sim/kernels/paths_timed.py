"""Earliest arrival where link times change during the day.

Link times are given at the starts of equal bins and are linear in between, constant before the first and after the last. If no
link lets a later vehicle leave earlier (first in, first out: times fall by at most one second a second), waiting never pays and
Dijkstra's method on arrival times is exact (Dreyfus 1969; Kaufman and Smith 1993); `is_fifo` tells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_pair import heap_pop, heap_push
from sim.kernels.trees import NO_LINK

Records = NDArray[Any]


@kernel
def is_fifo(travel_time_s: FloatColumn, bin_s: float) -> bool:
    """Return whether all times are at least 0 (inf: closed all day) and fall by at most `bin_s` from one bin to the next."""
    n_links, n_bins = travel_time_s.shape
    for link in range(n_links):
        for place in range(n_bins):
            if not travel_time_s[link, place] >= 0.0:
                return False
            # Closed for a part of the day has no linear course between the bins.
            if (travel_time_s[link, place] == np.inf) != (travel_time_s[link, 0] == np.inf):
                return False
            if place > 0 and travel_time_s[link, place] < travel_time_s[link, place - 1] - bin_s:
                return False
    return True


@kernel
def time_at(travel_time_s: FloatColumn, link: int, entry_s: float, first_s: float, bin_s: float) -> float:
    """Return the travel time of a link for a vehicle that enters at `entry_s`, seconds."""
    n_bins = travel_time_s.shape[1]
    place = (entry_s - first_s) / bin_s
    if not place > 0.0:
        return float(travel_time_s[link, 0])
    if place >= n_bins - 1:
        return float(travel_time_s[link, n_bins - 1])
    before = int(place)
    share = place - before
    now, later = travel_time_s[link, before], travel_time_s[link, before + 1]
    return float(now if now == later else now + share * (later - now))


@kernel
def earliest_arrivals(
    source: int,
    departure_s: float,
    target: int,
    start: OffsetColumn,
    head: IndexColumn,
    travel_time_s: FloatColumn,
    first_s: float,
    bin_s: float,
    passable: BoolColumn,
    arrival_s: FloatColumn,
    tree_link: IndexColumn,
    heap: Records,
) -> None:
    """Write when each node can be reached at the earliest, and by which last link.

    Parameters
    ----------
    target
        The search stops when this node is final; -1 searches everywhere. Then only nodes that arrive earlier are final, too.
    travel_time_s
        Times at the bins' starts `first_s + i * bin_s`, shape (n_links, n_bins), n_bins at least 1, for which `is_fifo` holds.
    arrival_s, tree_link
        Shape (n_nodes,); inf and NO_LINK where unreachable.
    heap
        Scratch of `sim.kernels.paths_pair.HEAP_ENTRY`, shape (n_links + 1,).
    """
    arrival_s[:] = np.inf
    tree_link[:] = NO_LINK
    arrival_s[source] = departure_s
    heap_push(heap, 0, departure_s, source)
    size = 1
    while size > 0:
        key, node = heap[0].key, heap[0].node
        if node == target:
            return
        heap_pop(heap, size)
        size -= 1
        if key != arrival_s[node] or (node != source and not passable[node]):
            continue
        for link in range(start[node], start[node + 1]):
            candidate = key + time_at(travel_time_s, link, key, first_s, bin_s)
            other = head[link]
            if candidate < arrival_s[other]:
                arrival_s[other] = candidate
                tree_link[other] = link
                heap_push(heap, size, candidate, other)
                size += 1
