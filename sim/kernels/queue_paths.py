"""Paths of queue traffic: checking them, laying them out, finding vehicles and changing where they go."""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.queue_events import call_first
from sim.kernels.queue_layout import FREE, FULL, IDLE, NO_PLACE, NOBODY, PATH_END, WAITING, Queues, Records, RowColumn
from sim.kernels.queue_merge import stop_waiting

SOUND, OUTSIDE, BROKEN, BANNED = 0, 1, 2, 3


@kernel
def first_fault(
    path_start: OffsetColumn,
    path_link: IndexColumn,
    tail_node: IndexColumn,
    head_node: IndexColumn,
    turn_start: OffsetColumn,
    in_rank: IndexColumn,
    penalty_s: FloatColumn,
) -> tuple[int, int, int]:
    """Look for a link outside the network, a gap or a banned turn.

    Returns
    -------
    fault, path, position
        What is wrong first, in which path, and where in the column of links; (SOUND, -1, -1) where nothing is.
    """
    n_links = len(tail_node)
    for path in range(len(path_start) - 1):
        before = NO_PLACE
        for place in range(path_start[path], path_start[path + 1]):
            link = path_link[place]
            if link < 0 or link >= n_links:
                return OUTSIDE, path, place
            if before != NO_PLACE:
                if head_node[before] != tail_node[link]:
                    return BROKEN, path, place
                if len(penalty_s) and penalty_s[turn_start[link] + in_rank[before]] == np.inf:
                    return BANNED, path, place
            before = link
    return SOUND, -1, -1


@kernel
def lay_out(path_start: OffsetColumn, path_link: IndexColumn, tail_row: IndexColumn, path: RowColumn) -> None:
    """Copy paths as tail rows, each followed by PATH_END; path p then starts at `path_start[p] + p + 1`."""
    path[0] = PATH_END
    place = 1
    for number in range(len(path_start) - 1):
        for step in range(path_start[number], path_start[number + 1]):
            path[place] = tail_row[path_link[step]]
            place += 1
        path[place] = PATH_END
        place += 1


@kernel
def fill_origins(
    order: OffsetColumn,
    departure_s: FloatColumn,
    path_start: OffsetColumn,
    path_link: IndexColumn,
    next_slot: OffsetColumn,
    slots: Records,
    recorded: BoolColumn,
) -> None:
    """Put the vehicles into the slots of their first links' origins, in the given order.

    Parameters
    ----------
    next_slot
        First slot of each link's origin, shape (n_links,); afterwards past the last one filled.
    """
    for place in range(len(order)):
        vehicle = order[place]
        first = path_link[path_start[vehicle]]
        slot = slots[next_slot[first]]
        next_slot[first] += 1
        slot.time_s = departure_s[vehicle]
        slot.vehicle = ~vehicle if recorded[vehicle] else vehicle
        # The entry before the path's first in the laid-out column.
        slot.at = path_start[vehicle] + vehicle


@kernel
def start_origins(queues: Queues, row: IndexColumn, not_before_s: float) -> None:
    """Write the next departure of each origin."""
    for origin in row:
        end = queues.ends[origin]
        if end.first < end.end and queues.slots[end.slot].vehicle != FREE:
            call_first(queues, origin, not_before_s)
        else:
            queues.state[origin] = IDLE
            queues.event_s[origin] = np.inf


@kernel
def find_vehicles(queues: Queues, row_of_vehicle: IndexColumn, slot_of_vehicle: IndexColumn) -> None:
    """Write the row and the slot in which each vehicle stands, NO_PLACE for those who have arrived; shapes (n_vehicles,)."""
    row_of_vehicle[:] = NO_PLACE
    slot_of_vehicle[:] = NO_PLACE
    for row in range(len(queues.ends)):
        # A tail has the same ring as the head of its link.
        if queues.ends[row].in_rank == NOBODY:
            continue
        for place in range(queues.ends[row].first, queues.ends[row].end):
            vehicle = queues.slots[place].vehicle
            if vehicle != FREE:
                vehicle = vehicle if vehicle >= 0 else ~vehicle
                row_of_vehicle[vehicle] = row
                slot_of_vehicle[vehicle] = place


@kernel
def count_recorded(queues: Queues, link_of_row: IndexColumn, count: OffsetColumn) -> None:
    """Add to `count`, shape (n_links,), how often recorded vehicles will still enter each link."""
    for place in range(len(queues.slots)):
        vehicle = queues.slots[place].vehicle
        if vehicle < 0 and vehicle != FREE:
            at = queues.slots[place].at + 1
            while queues.path[at] != PATH_END:
                count[link_of_row[queues.path[at]]] += 1
                at += 1


@kernel
def change_paths(
    queues: Queues,
    slot: IndexColumn,
    path_start: OffsetColumn,
    path_link: IndexColumn,
    tail_row: IndexColumn,
    n_used: int,
) -> int:
    """Write new ways from the next node on for the vehicles in some slots.

    A way that is no longer than what it replaces takes its place; another goes behind the `n_used` entries in use.

    Returns
    -------
    n_used
        Entries in use now; the caller has made room for all ways and their ends.
    """
    column = queues.path
    for number in range(len(slot)):
        length = path_start[number + 1] - path_start[number]
        at = queues.slots[slot[number]].at
        room = 0
        while room < length and column[at + 1 + room] != PATH_END:
            room += 1
        if room < length:
            at = n_used - 1
            n_used += length + 1
            queues.slots[slot[number]].at = at
        for step in range(length):
            column[at + 1 + step] = tail_row[path_link[path_start[number] + step]]
        column[at + 1 + length] = PATH_END
    return n_used


@kernel
def pack_ways(queues: Queues, column: RowColumn) -> int:
    """Move what each vehicle still has to drive into a new column of paths; return how many entries are in use.

    Parameters
    ----------
    column
        Takes the place of `queues.path` afterwards; long enough for all that is moved.
    """
    column[0] = PATH_END
    n_used = 1
    for place in range(len(queues.slots)):
        if queues.slots[place].vehicle == FREE:
            continue
        at = queues.slots[place].at
        queues.slots[place].at = n_used
        while True:
            at += 1
            n_used += 1
            column[n_used] = queues.path[at]
            if queues.path[at] == PATH_END:
                break
        n_used += 1
    return n_used


@kernel
def reconsider(queues: Queues, row: IndexColumn, time_s: float) -> None:
    """Let first vehicles whose next link has changed try again, `time_s` at the earliest; `row`: heads."""
    for place in range(len(row)):
        head = queues.ends[row[place]]
        if queues.state[row[place]] == WAITING:
            if queues.path[queues.slots[head.slot].at + 1] == head.toward:
                continue
            leave_list(queues, row[place], head.toward)
        call_first(queues, row[place], time_s)


@kernel
def leave_list(queues: Queues, row: int, target: int) -> None:
    """Take a row off the list of those who wait for a tail, which forgets its event when nobody is left."""
    stop_waiting(queues.ends, row, target)
    if queues.ends[target].toward == NOBODY:
        queues.state[target] = FULL if queues.state[target] == WAITING else IDLE
        queues.event_s[target] = np.inf


@kernel
def empty_origins(queues: Queues, row: IndexColumn) -> None:
    """Let the first vehicles of origins no longer wait for their links."""
    for origin in row:
        if queues.state[origin] == WAITING:
            leave_list(queues, origin, queues.ends[origin].toward)
        queues.state[origin] = IDLE
        queues.event_s[origin] = np.inf


@kernel
def positions(
    queues: Queues, head_row: IndexColumn, time_s: float, vehicle: IndexColumn, link: IndexColumn, fraction: FloatColumn
) -> int:
    """Write who is on which link, and how far: at free speed until the back of the queue that stands at its head.

    Returns
    -------
    n_vehicles
        Entries in use, by link and from its head backwards.
    """
    n_found = 0
    for number in range(len(head_row)):
        head = queues.ends[head_row[number]]
        place = head.slot
        storage = head.end - head.first
        for ahead in range(storage):
            slot = queues.slots[place]
            if slot.vehicle == FREE:
                break
            driven = 1.0 - (slot.time_s - time_s) / head.free_flow_time_s
            vehicle[n_found] = slot.vehicle if slot.vehicle >= 0 else ~slot.vehicle
            link[n_found] = number
            fraction[n_found] = max(0.0, min(driven, 1.0 - ahead / storage))
            n_found += 1
            place = place + 1 if place + 1 < head.end else head.first
    return n_found


@kernel
def occupancy(queues: Queues, row: IndexColumn, count: IndexColumn) -> None:
    """Write how many vehicles stand in the ring of each of some rows."""
    for number in range(len(row)):
        end = queues.ends[row[number]]
        place, storage = end.slot, end.end - end.first
        count[number] = 0
        while count[number] < storage and queues.slots[place].vehicle != FREE:
            count[number] += 1
            place = place + 1 if place + 1 < end.end else end.first
