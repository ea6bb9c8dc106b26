"""Gridlock: cycles of full links, each of whose first vehicles waits for the next link of the cycle.

Such a cycle never dissolves by itself. The policy "rotate": when each of its first vehicles has waited for `patience_s`,
all of them move up by one link at the same instant. No link ever holds more vehicles than its storage, and as every
rotation shortens what is left of some paths, every day ends.

It is looked for at the whole multiples of `patience_s`, before what happens at that time.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.queue_events import call_first, pass_time
from sim.kernels.queue_layout import FULL, NOBODY, WAITING, Queues
from sim.kernels.queue_merge import note_entry, note_exit, stop_waiting

_NEW = 0
CHECKS, ROTATIONS, ROTATED = 0, 1, 2
"""Places of what is counted: times that gridlock was looked for, cycles moved up, vehicles in them."""


@kernel
def blocked_by(queues: Queues, row: int) -> int:
    """Return the head row of the full link for which the first vehicle of a head row waits, NOBODY where that is not so."""
    target = queues.ends[row].toward
    if queues.state[row] != WAITING or queues.state[target] != WAITING:
        return NOBODY
    return int(queues.ends[target].other)


@kernel
def locked_cycles(queues: Queues, head_row: IndexColumn, waiting_since_s: float, member: IndexColumn) -> int:
    """Write one head row of each cycle whose first vehicles have all waited since `waiting_since_s` or longer.

    Parameters
    ----------
    head_row
        Of each link, shape (n_links,).
    member
        Shape (n_links,).

    Returns
    -------
    n_cycles
        Entries of `member` in use; cycles in the order of the first link from which each is reached.
    """
    seen_from = np.zeros(len(queues.ends), dtype=np.int32)
    n_cycles = 0
    for link in range(len(head_row)):
        row = head_row[link]
        if queues.state[row] != WAITING:
            continue
        while row != NOBODY and seen_from[row] == _NEW:
            seen_from[row] = link + 1
            row = blocked_by(queues, row)
        if row == NOBODY or seen_from[row] != link + 1:
            continue
        patient = True
        other = row
        while True:
            patient = patient and queues.ends[other].wait_s <= waiting_since_s
            other = blocked_by(queues, other)
            if other == row:
                break
        if patient:
            member[n_cycles] = row
            n_cycles += 1
    return n_cycles


@kernel
def rotate(queues: Queues, start: int, time_s: float) -> int:
    """Move the first vehicle of each link of a cycle into the next link; return how many vehicles moved."""
    n_moved = 0
    row = start
    while True:
        following = blocked_by(queues, row)
        stop_waiting(queues.ends, row, queues.ends[following].other)
        row = following
        n_moved += 1
        if row == start:
            break
    vehicle, at = _first(queues, start)
    _note_exit(queues, start, time_s)
    for _ in range(n_moved):
        target = queues.path[at + 1]
        front = queues.ends[target].other
        # The ring is full: the slot that the target's first vehicle leaves is the one for the next.
        next_vehicle, next_at = _first(queues, front)
        if front != start:
            _note_exit(queues, front, time_s)
        _move_up(queues, target, vehicle, at + 1, time_s)
        vehicle, at = next_vehicle, next_at
    return n_moved


@kernel
def _first(queues: Queues, row: int) -> tuple[int, int]:
    slot = queues.slots[queues.ends[row].slot]
    return slot.vehicle, slot.at


@kernel
def _note_exit(queues: Queues, row: int, time_s: float) -> None:
    head = queues.ends[row]
    slot = queues.slots[head.slot]
    note_exit(queues.notes, row, slot.vehicle, slot.time_s - head.free_flow_time_s, time_s)


@kernel
def _move_up(queues: Queues, target: int, vehicle: int, at: int, time_s: float) -> None:
    """Replace a full link's first vehicle, which has left, by one at its end."""
    tail = queues.ends[target]
    head = queues.ends[tail.other]
    slot = queues.slots[tail.slot]
    slot.time_s = time_s + tail.free_flow_time_s
    slot.vehicle = vehicle
    slot.at = at
    tail.slot = tail.slot + 1 if tail.slot + 1 < tail.end else tail.first
    head.slot = tail.slot
    head.free_s = time_s + head.headway_s * queues.drop
    tail.free_s = time_s + tail.headway_s * queues.drop
    note_entry(queues.notes, target, vehicle, time_s)
    if tail.toward == NOBODY:
        queues.state[target] = FULL
    call_first(queues, tail.other, time_s)


@kernel
def advance(
    queues: Queues, head_row: IndexColumn, until_s: float, window_s: float, patience_s: float, counts: OffsetColumn
) -> None:
    """Let everything happen before `until_s`, and gridlock be moved up; `patience_s` inf leaves it.

    Parameters
    ----------
    counts
        CHECKS, ROTATIONS and ROTATED so far.
    """
    member = np.empty(len(head_row), dtype=np.int32)
    while True:
        check_s = (counts[CHECKS] + 1) * patience_s
        pass_time(queues, min(until_s, check_s), window_s)
        if check_s > until_s:
            break
        counts[CHECKS] += 1
        for place in range(locked_cycles(queues, head_row, check_s - patience_s, member)):
            counts[ROTATIONS] += 1
            counts[ROTATED] += rotate(queues, member[place], check_s)
