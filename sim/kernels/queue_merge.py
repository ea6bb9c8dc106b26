"""Who waits for a link, and who of them comes in next; signals, turn penalties, and what is noted of a passage.

When a link takes the next vehicle, the waiting row with the least tag gets in (start-time fair queueing, Goyal, Vin and Cheng
1997): a turn's tag grows by 1 / weight with each of its vehicles that had to wait, and one that begins to wait is never
behind the tag last served. Rows that always have a vehicle waiting thus share the entries in proportion to their weights,
and what one does not use falls to the others. Equal tags: the lower row.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import CodeColumn, FloatColumn
from sim.kernels._jit import kernel
from sim.kernels.queue_layout import FULL, IDLE, NOBODY, PATH_END, PENDING, WAITING, Lights, Notes, Records, Turns


@kernel
def green_from(lights: Lights, row: int, time_s: float) -> float:
    """Return the first time from `time_s` on at which the signal of a row shows green."""
    if len(lights.cycle_s) == 0 or lights.cycle_s[row] == 0.0:
        return time_s
    cycle_s, offset_s = lights.cycle_s[row], lights.offset_s[row]
    start_s = offset_s + np.floor((time_s - offset_s) / cycle_s) * cycle_s
    if time_s - start_s < lights.green_s[row]:
        return time_s
    # The sum may round to just below `time_s`.
    return float(max(time_s, start_s + cycle_s))


@kernel
def penalty_s(ends: Records, turns: Turns, row: int, target: int) -> float:
    """Return the penalty of the turn from a row into a tail row, 0 at a path's end."""
    if len(turns.penalty_s) == 0 or target == PATH_END:
        return 0.0
    return float(turns.penalty_s[ends[target].next + ends[row].in_rank])


@kernel
def wait(
    ends: Records,
    event_s: FloatColumn,
    state: CodeColumn,
    tag: FloatColumn,
    served: FloatColumn,
    row: int,
    target: int,
    time_s: float,
) -> None:
    """Add a row to those who wait for a tail, and have the tail choose when it can."""
    end, tail = ends[row], ends[target]
    state[row] = WAITING
    event_s[row] = np.inf
    end.wait_s = time_s
    end.next = tail.toward
    tail.toward = row
    turn = tail.next + end.in_rank
    tag[turn] = max(tag[turn], served[target])
    if state[target] == IDLE:
        state[target] = PENDING
        event_s[target] = max(time_s, tail.free_s)
    elif state[target] == FULL:
        state[target] = WAITING


@kernel
def stop_waiting(ends: Records, row: int, target: int) -> None:
    """Take a row out of the list of those who wait for a tail; the states stay for the caller to change."""
    before, other = NOBODY, ends[target].toward
    while other != row:
        before, other = other, ends[other].next
    if before == NOBODY:
        ends[target].toward = ends[row].next
    else:
        ends[before].next = ends[row].next


@kernel
def release_red(ends: Records, event_s: FloatColumn, state: CodeColumn, lights: Lights, target: int, time_s: float) -> None:
    """Take the rows whose signal is red off the list of those who wait for a tail; they try again when it is green."""
    row = ends[target].toward
    while row != NOBODY:
        following = ends[row].next
        green_s = green_from(lights, row, time_s)
        if green_s > time_s:
            stop_waiting(ends, row, target)
            state[row] = PENDING
            event_s[row] = green_s
        row = following


@kernel
def choose(ends: Records, tag: FloatColumn, served: FloatColumn, step: FloatColumn, target: int) -> int:
    """Take the row with the least tag off the list of those who wait for a tail; NOBODY where nobody does."""
    best, before_best, best_tag = NOBODY, NOBODY, np.inf
    before, row = NOBODY, ends[target].toward
    while row != NOBODY:
        its_tag = tag[ends[target].next + ends[row].in_rank]
        if its_tag < best_tag or (its_tag == best_tag and row < best):
            best, before_best, best_tag = row, before, its_tag
        before, row = row, ends[row].next
    if best != NOBODY:
        if before_best == NOBODY:
            ends[target].toward = ends[best].next
        else:
            ends[before_best].next = ends[best].next
        served[target] = best_tag
        tag[ends[target].next + ends[best].in_rank] = best_tag + step[best]
    return best


@kernel
def note_entry(notes: Notes, tail_row: int, vehicle: int, time_s: float) -> None:
    """Count an entry, and record it if the vehicle is recorded."""
    link = notes.link_of_row[tail_row]
    if vehicle < 0:
        place = notes.start[link] + notes.n_entries[link]
        notes.vehicle[place] = ~vehicle
        notes.entry_s[place] = time_s
        notes.n_entries[link] += 1
    if notes.bin_entries.shape[1]:
        notes.bin_entries[link, int(time_s / notes.bin_s)] += 1


@kernel
def note_exit(notes: Notes, head_row: int, vehicle: int, entry_s: float, time_s: float) -> None:
    """Count an exit, and record it if the vehicle is recorded."""
    link = notes.link_of_row[head_row]
    if vehicle < 0:
        notes.exit_s[notes.start[link] + notes.n_exits[link]] = time_s
        notes.n_exits[link] += 1
    if notes.bin_entries.shape[1]:
        place = int(time_s / notes.bin_s)
        notes.bin_exits[link, place] += 1
        notes.bin_time_s[link, place] += time_s - entry_s


@kernel
def exit_from_s(ends: Records, slots: Records, turns: Turns, lights: Lights, row: int) -> float:
    """Return when the first vehicle of a head or an origin may leave: ready, turn made, headway over, signal green."""
    end = ends[row]
    ready_s = slots[end.slot].time_s + penalty_s(ends, turns, row, end.toward)
    return green_from(lights, row, max(ready_s, end.free_s))
