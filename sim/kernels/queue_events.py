"""The hot loop of queue traffic: window by window and node by node, each node's events in exact order.

What happens at a node at time t reaches another node through a link: a vehicle after the link's free-flow time, a freed place
after its backward time. So in a window no longer than the shortest of these times nodes do not touch each other, and each is
worked off on its own, by (time, row). The order of the nodes and the cut into windows change nothing.

Exit event of a head or an origin: its first vehicle is ready and the exit headway has passed. It moves on at once if nobody
waits for the next link and that takes a vehicle now; otherwise it waits there. Entry event of a tail: it takes the next of
those who wait.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import CodeColumn, FloatColumn
from sim.kernels._jit import kernel
from sim.kernels.paths_prefetch import prefetch
from sim.kernels.queue_layout import (
    FREE,
    FULL,
    IDLE,
    NOBODY,
    NODES_A_GROUP,
    PATH_END,
    PENDING,
    WAITING,
    Queues,
    Records,
    RowColumn,
)
from sim.kernels.queue_merge import choose, exit_from_s, green_from, note_entry, note_exit, penalty_s, release_red, wait


@kernel
def call_first(queues: Queues, row: int, not_before_s: float) -> None:
    """Write the exit event of a head's or an origin's first vehicle, outside the hot loop."""
    end = queues.ends[row]
    end.toward = queues.path[queues.slots[end.slot].at + 1]
    queues.state[row] = PENDING
    exit_s = exit_from_s(queues.ends, queues.slots, queues.turns, queues.lights, row)
    queues.event_s[row] = exit_s if exit_s >= not_before_s else green_from(queues.lights, row, not_before_s)
    _wake(queues.ends, queues.event_s, queues.node_event_s, queues.group_event_s, row)


@kernel
def _wake(ends: Records, event_s: FloatColumn, node_event_s: FloatColumn, group_event_s: FloatColumn, row: int) -> None:
    node = ends[row].node
    if event_s[row] < node_event_s[node]:
        node_event_s[node] = event_s[row]
        group = node // NODES_A_GROUP
        group_event_s[group] = min(group_event_s[group], event_s[row])


@kernel
def _make_room(
    ends: Records,
    event_s: FloatColumn,
    state: CodeColumn,
    node_event_s: FloatColumn,
    group_event_s: FloatColumn,
    row: int,
    time_s: float,
) -> None:
    """Tell a full tail that somebody has left its link."""
    tail = ends[row]
    tail.free_s = max(tail.free_s, time_s + tail.wait_s)
    state[row] = IDLE if tail.toward == NOBODY else PENDING
    if state[row] == PENDING:
        event_s[row] = tail.free_s
        _wake(ends, event_s, node_event_s, group_event_s, row)


@kernel
def _earliest(event_s: FloatColumn, first: int, past: int) -> int:
    row, time_s = first, event_s[first]
    for other in range(first + 1, past):
        if event_s[other] < time_s:
            row, time_s = other, event_s[other]
    return int(row)


@kernel
def fetch_ahead(ends: Records, slots: Records, path: RowColumn, first_row: int, past_row: int) -> None:
    """Have the memory that the events of some rows may need on its way, for all of them at once and not one after another.

    Slots of the first few vehicles (or free places), then where the first two are bound for. No row is left out: what may be
    fetched in vain costs less than a branch that the processor cannot foresee.
    """
    for row in range(first_row, past_row):
        prefetch(slots, ends[row].slot)
        prefetch(slots, ends[row].slot + 3)
    for row in range(first_row, past_row):
        place = ends[row].slot
        prefetch(path, slots[place].at + 2)
        prefetch(path, slots[place + 1].at + 1)


@kernel
def sweep(queues: Queues, until_s: float) -> None:
    """Work off all events before `until_s`, the end of a window."""
    ends, event_s, state, slots, path = queues.ends, queues.event_s, queues.state, queues.slots, queues.path
    row_start, tail_start, arrival_s = queues.row_start, queues.tail_start, queues.arrival_s
    node_event_s, group_event_s = queues.node_event_s, queues.group_event_s
    turns, lights, notes, drop = queues.turns, queues.lights, queues.notes, queues.drop
    tag, served, step = turns.tag, turns.served, turns.step
    rules = len(lights.cycle_s) > 0 or len(turns.penalty_s) > 0
    noting = len(notes.vehicle) > 0 or notes.bin_entries.shape[1] > 0
    for group in range(len(group_event_s)):
        if group_event_s[group] >= until_s:
            continue
        past_node = min(len(node_event_s), (group + 1) * NODES_A_GROUP)
        fetch_ahead(ends, slots, path, row_start[group * NODES_A_GROUP], row_start[past_node])
        group_event_s[group] = soonest_s = np.inf
        for node in range(group * NODES_A_GROUP, past_node):
            if node_event_s[node] >= until_s:
                soonest_s = min(soonest_s, node_event_s[node])
                continue
            first, past, first_tail = row_start[node], row_start[node + 1], tail_start[node]
            while True:
                row = _earliest(event_s, first, past)
                time_s = event_s[row]
                if time_s >= until_s:
                    break
                queued = row >= first_tail
                if queued:
                    target = row
                    if rules:
                        release_red(ends, event_s, state, lights, target, time_s)
                    row = choose(ends, tag, served, step, target)
                    if row == NOBODY:
                        event_s[target], state[target] = np.inf, IDLE
                        continue
                else:
                    target = ends[row].toward
                    if target != PATH_END and (state[target] != IDLE or time_s < ends[target].free_s):
                        wait(ends, event_s, state, tag, served, row, target, time_s)
                        continue
                # The first vehicle leaves its row, and the next one gets its time.
                head = ends[row]
                slot = slots[head.slot]
                vehicle, at, back = slot.vehicle, slot.at + 1, head.other
                if noting and back != NOBODY:
                    note_exit(notes, row, vehicle, slot.time_s - head.free_flow_time_s, time_s)
                head.free_s = time_s + head.headway_s
                if drop != 1.0 and time_s > slot.time_s + penalty_s(ends, turns, row, target):
                    head.free_s = time_s + head.headway_s * drop
                slot.time_s = time_s
                slot.vehicle = FREE
                head.slot = head.slot + 1 if head.slot + 1 < head.end else head.first
                slot = slots[head.slot]
                if slot.vehicle != FREE:
                    head.toward = path[slot.at + 1]
                    state[row] = PENDING
                    event_s[row] = exit_from_s(ends, slots, turns, lights, row) if rules else max(slot.time_s, head.free_s)
                else:
                    event_s[row], state[row] = np.inf, IDLE
                if back != NOBODY and state[back] >= WAITING:
                    _make_room(ends, event_s, state, node_event_s, group_event_s, back, time_s)
                if target == PATH_END:
                    arrival_s[vehicle if vehicle >= 0 else ~vehicle] = time_s
                    continue
                # It takes its place at the end of the next link.
                tail = ends[target]
                slot = slots[tail.slot]
                slot.time_s = time_s + tail.free_flow_time_s
                slot.vehicle = vehicle
                slot.at = at
                if noting:
                    note_entry(notes, target, vehicle, time_s)
                front = tail.other
                if state[front] == IDLE:
                    ends[front].toward = path[at + 1]
                    state[front] = PENDING
                    event_s[front] = (
                        exit_from_s(ends, slots, turns, lights, front) if rules else max(slot.time_s, ends[front].free_s)
                    )
                    _wake(ends, event_s, node_event_s, group_event_s, front)
                tail.slot = tail.slot + 1 if tail.slot + 1 < tail.end else tail.first
                tail.free_s = time_s + (tail.headway_s * drop if queued else tail.headway_s)
                slot = slots[tail.slot]
                has_room = slot.vehicle == FREE
                if has_room:
                    tail.free_s = max(tail.free_s, slot.time_s + tail.wait_s)
                if queued or not has_room:
                    is_wanted = tail.toward != NOBODY
                    state[target] = (PENDING if has_room else WAITING) if is_wanted else (IDLE if has_room else FULL)
                    event_s[target] = tail.free_s if state[target] == PENDING else np.inf
            node_event_s[node] = time_s
            soonest_s = min(soonest_s, time_s)
        group_event_s[group] = min(group_event_s[group], soonest_s)


@kernel
def pass_time(queues: Queues, until_s: float, window_s: float) -> None:
    """Work off all events before `until_s` in windows of at most `window_s`, the shortest time over a link either way."""
    while True:
        soonest_s = queues.group_event_s.min()
        if soonest_s >= until_s:
            break
        sweep(queues, min(until_s, soonest_s + window_s))
