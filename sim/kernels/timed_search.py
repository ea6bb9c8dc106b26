"""Earliest (or cheapest) arrival of one more vehicle in the traffic of a day that has happened.

What one more vehicle would meet. The records of a link's day are its entries and exits in order. A vehicle that comes to link a
at time t finds n of them before it (entries earlier than t), and could have entered and left at

    enter = max(t, entry(n - 1) + h_in, exit(n - N) + b)         leave = max(enter + f, exit(n - 1) + h), or the next green

the very rules of the loading (`sim.traffic.queue_network`), with the others where they were. So it takes the place behind the
n-th in the queue, waits as they waited, and finds a full link full until a place came free. Where the place at `enter` was taken
by a vehicle from another link, it waits for the first place that was left open or went to the link from which it comes itself,
but for no more places than until its link's share of the merge is due. Left out is what the one more vehicle would do to others.
A vehicle's own records never hold it up, because only earlier entries count, and nobody's experienced time is below what the
search finds (but for the rotations of gridlock).

The search keeps one label a node, the earliest. Times out of a link rise with times into it, so that is exact but for the merge:
a later label that came by a link with a quicker turn is lost, which is worth some headways at most.

Rows n_links + a are the origins: vehicles that start on link a wait there in the order of their departures; a record is
(departure, entry into a).

Tolls are steps in time, by the instant of leaving a link. With them the search keeps one label a node, the cheapest, and may miss
a cheaper path that gets to a node at more cost but earlier: a good path, not the best.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_pair import heap_pop, heap_push

NOT_A_QUEUE = -1
NOT_FOUND = -1

Records = NDArray[Any]
Table = NDArray[np.float32]
_SAME_S = 1e-6
"""Times as close as this are the same."""


class Star(NamedTuple):
    """Links of the search graph by their tails (or, for searches backwards, by their heads)."""

    start: OffsetColumn
    """Shape (n_nodes + 1,)."""
    other: IndexColumn
    """Node at the other end."""
    queue: IndexColumn
    """Position of the queue that the link is, NOT_A_QUEUE for a turn link."""
    delay_s: FloatColumn
    """Time of a turn link; free-flow time of a queue."""


class Day(NamedTuple):
    """What happened on the links, and the rules of their queues."""

    start: OffsetColumn
    """Records of row r: `start[r]` to `start[r + 1]`; links, then origins; shape (2 n_links + 1,)."""
    entry_s: FloatColumn
    exit_s: FloatColumn
    free_flow_time_s: FloatColumn
    backward_time_s: FloatColumn
    headway_s: FloatColumn
    entry_headway_s: FloatColumn
    storage: IndexColumn
    source: IndexColumn
    """Row from which each record of a link came in: the link before or the origin; shape (records of links,)."""
    weight: FloatColumn
    """Share of each row where rows compete, shape (2 n_links,)."""
    rivals: FloatColumn
    """Sum of the weights of all rows that lead into a link, shape (n_links,)."""
    cycle_s: FloatColumn
    """Signals; empty where there are none."""
    green_s: FloatColumn
    offset_s: FloatColumn
    toll_start: OffsetColumn
    """Toll steps of link a: `toll_s[toll_start[a]]` to `toll_start[a + 1]`; empty where there are no tolls."""
    toll_s: FloatColumn
    step_s: FloatColumn
    """Width of a link's toll steps, counted from time 0; shape (n_links,) or empty."""
    live: BoolColumn
    """Rows with anything in `extra_s`; empty where no ways have changed since the day."""
    extra_s: Table
    """Wait beyond that of the day by row and the step of time in which a vehicle comes (`sim.kernels.timed_response`)."""
    width_s: float
    """Width of these steps."""


class Scratch(NamedTuple):
    """Room of one search; shapes (n_nodes,), heap (n_links + 1,)."""

    stamp: IndexColumn
    """Twice the mark of the search that has labelled the node, plus 1 once the label is final."""
    cost_s: FloatColumn
    time_s: FloatColumn
    tree_link: IndexColumn
    tree_tail: IndexColumn
    from_queue: IndexColumn
    heap: Records


@kernel
def earlier_entries(day: Day, row: int, time_s: float) -> int:
    """Return how many records of a row were entered before `time_s`."""
    first, last = day.start[row], day.start[row + 1]
    if first == last or day.entry_s[last - 1] < time_s:
        return int(last - first)
    low, high = first, last - 1
    while low < high:
        middle = (low + high) >> 1
        if day.entry_s[middle] < time_s:
            low = middle + 1
        else:
            high = middle
    return int(low - first)


@kernel
def extra_of(day: Day, row: int, time_s: float) -> float:
    """Return the wait beyond that of the day for a vehicle that comes to a row at `time_s`; may be below 0."""
    place = time_s / day.width_s
    if not place + 1.0 < day.extra_s.shape[1]:
        return 0.0
    step = int(place)
    share = place - step
    return float(day.extra_s[row, step] * (1.0 - share) + day.extra_s[row, step + 1] * share)


@kernel
def pass_link(day: Day, source: int, link: int, time_s: float) -> tuple[float, float]:
    """Return when a vehicle that comes from row `source` to a link at `time_s` enters and leaves it."""
    place = day.start[link] + earlier_entries(day, link, time_s)
    first, past_last, storage = day.start[link], day.start[link + 1], day.storage[link]
    most = place + int(np.ceil(day.rivals[link] / day.weight[source]))
    while True:
        enter_s = time_s
        if place > first:
            enter_s = max(enter_s, day.entry_s[place - 1] + day.entry_headway_s[link])
            if place - first >= storage:
                enter_s = max(enter_s, day.exit_s[place - storage] + day.backward_time_s[link])
        if place in (past_last, most) or day.source[place] == source or enter_s < day.entry_s[place] - _SAME_S:
            break
        place += 1
    leave_s = enter_s + day.free_flow_time_s[link]
    if place > first:
        leave_s = max(leave_s, day.exit_s[place - 1] + day.headway_s[link])
    if len(day.live) and day.live[link]:
        leave_s = max(enter_s + day.free_flow_time_s[link], leave_s + extra_of(day, link, enter_s))
    if len(day.cycle_s) and day.cycle_s[link] > 0.0 and leave_s < np.inf:
        into_s = (leave_s - day.offset_s[link]) % day.cycle_s[link]
        if into_s >= day.green_s[link]:
            leave_s += day.cycle_s[link] - into_s
    return enter_s, leave_s


@kernel
def sources(
    start: OffsetColumn, vehicle: IndexColumn, path_start: OffsetColumn, path_link: IndexColumn, source: IndexColumn
) -> None:
    """Write the row from which each record came in: the link before it on its vehicle's path, or the link's origin."""
    n_links = len(start) - 1
    for link in range(n_links):
        for record in range(start[link], start[link + 1]):
            place = path_start[vehicle[record]]
            source[record] = n_links + link
            while path_link[place] != link:
                source[record] = path_link[place]
                place += 1


@kernel
def start_on(day: Day, link: int, departure_s: float) -> float:
    """Return when a vehicle that departs at `departure_s` gets its turn among those who wait to enter the link at its origin."""
    n_links = len(day.free_flow_time_s)
    n_before = earlier_entries(day, n_links + link, departure_s)
    turn_s = departure_s
    if n_before > 0:
        turn_s = max(turn_s, day.exit_s[day.start[n_links + link] + n_before - 1] + day.entry_headway_s[link])
    if len(day.live) and day.live[n_links + link]:
        turn_s = max(departure_s, turn_s + extra_of(day, n_links + link, departure_s))
    return float(turn_s)


@kernel
def toll_of(day: Day, link: int, time_s: float) -> float:
    """Return the toll for leaving a link at `time_s`, seconds; 0 beyond its steps."""
    if len(day.step_s) == 0:
        return 0.0
    place = day.toll_start[link] + int(time_s / day.step_s[link])
    return float(day.toll_s[place]) if place < day.toll_start[link + 1] else 0.0


@kernel
def free_times(target: int, into: Star, passable: BoolColumn, time_s: FloatColumn, heap: Records) -> None:
    """Write the time of the fastest way from each node to the target by the links' own delays; inf where there is none.

    Parameters
    ----------
    into
        Links by their heads.
    time_s
        Shape (n_nodes,).
    heap
        Scratch, shape (n_links + 1,).
    """
    time_s[:] = np.inf
    time_s[target] = 0.0
    heap_push(heap, 0, 0.0, target)
    size = 1
    while size > 0:
        key, node = heap[0].key, heap[0].node
        heap_pop(heap, size)
        size -= 1
        if key != time_s[node] or (node != target and not passable[node]):
            continue
        for place in range(into.start[node], into.start[node + 1]):
            other = into.other[place]
            candidate = key + into.delay_s[place]
            if candidate < time_s[other]:
                time_s[other] = candidate
                heap_push(heap, size, candidate, other)
                size += 1


@kernel
def cheapest(
    day: Day,
    out: Star,
    passable: BoolColumn,
    bound_s: FloatColumn,
    source: int,
    target: int,
    departure_s: float,
    limit_s: float,
    scratch: Scratch,
    mark: int,
) -> float:
    """Search for the way of least time plus tolls (A*: Hart, Nilsson and Raphael 1968) and leave its tree in the scratch.

    Parameters
    ----------
    bound_s
        Least time from each node to the target.
    limit_s
        A cost that is of no interest; the search ends when nothing below it is left.
    mark
        A number that no earlier search with this scratch has had.

    Returns
    -------
    cost_s
        Travel time plus tolls, inf where no way costs less than the limit.
    """
    heap = scratch.heap
    n_links = len(day.free_flow_time_s)
    scratch.stamp[source] = 2 * mark
    scratch.cost_s[source], scratch.time_s[source] = 0.0, departure_s
    scratch.from_queue[source] = NOT_FOUND
    heap_push(heap, 0, bound_s[source], source)
    size = 1
    while size > 0:
        key, node = heap[0].key, heap[0].node
        if key >= limit_s:
            return np.inf
        cost_s, time_s = scratch.cost_s[node], scratch.time_s[node]
        if node == target:
            return float(cost_s)
        heap_pop(heap, size)
        size -= 1
        # A node is left once, so that the heap's entries are at most as many as the links, whatever rounding does to the keys.
        if scratch.stamp[node] == 2 * mark + 1 or (node != source and not passable[node]):
            continue
        scratch.stamp[node] = 2 * mark + 1
        for place in range(out.start[node], out.start[node + 1]):
            other, link = out.other[place], out.queue[place]
            known_s = scratch.cost_s[other] if scratch.stamp[other] >= 2 * mark else np.inf
            # Looking a link up is what costs; often the link's free-flow time tells enough.
            if min(known_s, limit_s - bound_s[other]) <= cost_s + out.delay_s[place] or scratch.stamp[other] == 2 * mark + 1:
                continue
            if link == NOT_A_QUEUE:
                leave_s, toll_s = time_s + out.delay_s[place], 0.0
            else:
                if scratch.from_queue[node] == NOT_FOUND:
                    _, leave_s = pass_link(day, n_links + link, link, start_on(day, link, time_s))
                else:
                    _, leave_s = pass_link(day, scratch.from_queue[node], link, time_s)
                toll_s = toll_of(day, link, leave_s)
            candidate = cost_s + (leave_s - time_s) + toll_s
            if min(known_s, limit_s - bound_s[other]) <= candidate:
                continue
            scratch.stamp[other] = 2 * mark
            scratch.cost_s[other], scratch.time_s[other] = candidate, leave_s
            scratch.tree_link[other], scratch.tree_tail[other] = link, node
            scratch.from_queue[other] = link if link != NOT_A_QUEUE else scratch.from_queue[node]
            heap_push(heap, size, candidate + bound_s[other], other)
            size += 1
    return np.inf


@kernel
def search_batch(
    day: Day,
    out: Star,
    passable: BoolColumn,
    bound_s: FloatColumn,
    bound_row: IndexColumn,
    source: IndexColumn,
    target: IndexColumn,
    departure_s: FloatColumn,
    limit_s: FloatColumn,
    scratch: Scratch,
    first: int,
    past_last: int,
    cost_s: FloatColumn,
    time_s: FloatColumn,
    length: IndexColumn,
    column: IndexColumn,
) -> tuple[int, int]:
    """Search for vehicles `first` to `past_last` and write their ways one after another into `column`.

    Parameters
    ----------
    bound_s, bound_row
        Least times to the destinations, shape (n_destinations, n_nodes), and the row of each vehicle.
    source, target, departure_s, limit_s
        Of each vehicle; see `cheapest`.
    cost_s, time_s, length
        Of each vehicle: time plus tolls, travel time (both inf where nothing below the limit was found) and links of the way.

    Returns
    -------
    vehicle, n_used
        The first one whose way found no room (`past_last` if all did), and entries of `column` in use.
    """
    n_used = 0
    for vehicle in range(first, past_last):
        length[vehicle] = 0
        lower_s = bound_s[bound_row[vehicle]]
        cost_s[vehicle] = cheapest(
            day, out, passable, lower_s, source[vehicle], target[vehicle], departure_s[vehicle], limit_s[vehicle], scratch,
            vehicle + 1,
        )  # fmt: skip
        time_s[vehicle] = np.inf
        if cost_s[vehicle] == np.inf:
            continue
        n_links = 0
        node = target[vehicle]
        while node != source[vehicle]:
            n_links += 1 if scratch.tree_link[node] != NOT_A_QUEUE else 0
            node = scratch.tree_tail[node]
        if n_used + n_links > len(column):
            return vehicle, n_used
        time_s[vehicle] = scratch.time_s[target[vehicle]] - departure_s[vehicle]
        length[vehicle] = n_links
        place = n_used + n_links
        node = target[vehicle]
        while node != source[vehicle]:
            if scratch.tree_link[node] != NOT_A_QUEUE:
                place -= 1
                column[place] = scratch.tree_link[node]
            node = scratch.tree_tail[node]
        n_used += n_links
    return past_last, n_used


@kernel
def follow(day: Day, departure_s: FloatColumn, path_start: OffsetColumn, path_link: IndexColumn, cost_s: FloatColumn) -> None:
    """Write the time plus tolls that one more vehicle would need for each path in the traffic of the day."""
    n_links = len(day.free_flow_time_s)
    for vehicle in range(len(departure_s)):
        now_s, toll_s = departure_s[vehicle], 0.0
        for place in range(path_start[vehicle], path_start[vehicle + 1]):
            link = path_link[place]
            if place == path_start[vehicle]:
                _, now_s = pass_link(day, n_links + link, link, start_on(day, link, now_s))
            else:
                _, now_s = pass_link(day, path_link[place - 1], link, now_s)
            toll_s += toll_of(day, link, now_s)
        cost_s[vehicle] = now_s - departure_s[vehicle] + toll_s
