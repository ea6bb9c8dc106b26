"""What one more vehicle costs the others, from the records of a day: who would have been put off by whom, to the end of the day.

Events of a day are the vehicles' moves from link to link: leaving link a and entering link b is one event. In the loading an
event happens at the latest of a few instants (`sim.traffic.queue_network`):

    own entry into a + f_a     exit before it from a + h_a     entry before it into b + h_b     exit N_b before it from b + b_b

The instant that decides ties the event to an earlier one. If that happened a moment later, so would this one, and all that are
tied to it: the day's events are a forest, and what a second's delay of an event costs, its *weight*, is the sum over the vehicles
whose arrival is among its descendants (infinitesimal perturbation analysis of a max-plus system: Ho and Cao 1991, "Perturbation
Analysis of Discrete Event Dynamic Systems"; Baccelli, Cohen, Olsder and Quadrat 1992). A delay that a later queue absorbs ends
there, and one that spills back goes on in other links: the formula "followers in the queue times headway" is the case of a
single bottleneck.

One more vehicle behind vehicle n on link a takes a place in the order: the next exit from a, if it had to wait for exit n, is a
headway later, the next entry into b, if it had to wait for entry n, too; and each entry into a full link a while he is on it
waits for the exit one place later.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

NOTHING = -1
AFTER_EXIT, AFTER_ENTRY, AFTER_PLACE = 1, 2, 4
"""What an event had to wait for: the exit before it, the entry before it, a place in the next link; may be several at once."""
_SAME_S = 1e-5
"""Instants as close as this are the same."""


@kernel
def weigh_events(
    order: OffsetColumn,
    start: OffsetColumn,
    link: IndexColumn,
    next_record: OffsetColumn,
    entry_event: OffsetColumn,
    entry_s: FloatColumn,
    exit_s: FloatColumn,
    free_flow_time_s: FloatColumn,
    headway_s: FloatColumn,
    entry_headway_s: FloatColumn,
    backward_time_s: FloatColumn,
    storage: IndexColumn,
    weight: FloatColumn,
    waited: CodeColumn,
) -> None:
    """Write what a second's delay of each event costs, and what each had to wait for.

    Parameters
    ----------
    order
        Events in the order of time: r for the exit of record r, n_records + v for vehicle v's entry into its first link.
    start, link
        Records of link a: `start[a]` to `start[a + 1]`, in order; the link of each record.
    next_record
        By event: the record that begins with it, NOTHING for an arrival.
    entry_event
        By record: the event with which it begins.
    weight
        By event: on entry what a second of the arriving vehicle is worth (0 for events that are no arrival), shape (n_events,).
    waited
        By event, zeros on entry.
    """
    n_records = len(link)
    for place in range(len(order) - 1, -1, -1):
        event = order[place]
        tied_to = NOTHING
        into = next_record[event]
        if into != NOTHING:
            other, time_s = link[into], entry_s[into]
            if into > start[other] and time_s - entry_s[into - 1] - entry_headway_s[other] < _SAME_S:
                waited[event] |= AFTER_ENTRY
                tied_to = entry_event[into - 1]
            freed = into - storage[other]
            if freed >= start[other] and time_s - exit_s[freed] - backward_time_s[other] < _SAME_S:
                waited[event] |= AFTER_PLACE
                tied_to = freed if tied_to == NOTHING else tied_to
        if event < n_records:
            here, time_s = link[event], exit_s[event]
            if event > start[here] and time_s - exit_s[event - 1] - headway_s[here] < _SAME_S:
                waited[event] |= AFTER_EXIT
                tied_to = event - 1 if tied_to == NOTHING else tied_to
            if tied_to == NOTHING and time_s - entry_s[event] - free_flow_time_s[here] < _SAME_S:
                tied_to = entry_event[event]
        if tied_to != NOTHING:
            weight[tied_to] += weight[event]


@kernel
def charge_records(
    start: OffsetColumn,
    link: IndexColumn,
    next_record: OffsetColumn,
    entry_event: OffsetColumn,
    entry_s: FloatColumn,
    exit_s: FloatColumn,
    headway_s: FloatColumn,
    entry_headway_s: FloatColumn,
    weight: FloatColumn,
    waited: CodeColumn,
    charge_s: FloatColumn,
) -> None:
    """Write what one more vehicle right behind that of each record costs the others for driving that link, shape (n_records,)."""
    for here in range(len(start) - 1):
        first, past = start[here], start[here + 1]
        full_s = np.zeros(past - first + 1)
        for record in range(first, past):
            event = entry_event[record]
            full_s[record - first + 1] = full_s[record - first]
            if waited[event] & AFTER_PLACE:
                full_s[record - first + 1] += headway_s[here] * weight[event]
        behind = first
        for record in range(first, past):
            charge_s[record] = 0.0
            follower = NOTHING
            if record + 1 < past and waited[record + 1] & AFTER_EXIT:
                follower = record + 1
                charge_s[record] += headway_s[here] * weight[follower]
            into = next_record[record]
            if into != NOTHING and into + 1 < start[link[into] + 1]:
                event = entry_event[into + 1]
                if event != follower and waited[event] & AFTER_ENTRY:
                    charge_s[record] += entry_headway_s[link[into]] * weight[event]
            while behind < past and entry_s[behind] < exit_s[record]:
                behind += 1
            charge_s[record] += full_s[behind - first] - full_s[record - first + 1]


@kernel
def mean_by_step(
    start: OffsetColumn, exit_s: FloatColumn, charge_s: FloatColumn, step_s: float, toll_start: OffsetColumn, toll_s: FloatColumn
) -> None:
    """Write the mean charge of the records of each link by the step of time in which they leave it; 0 where nobody does.

    Parameters
    ----------
    toll_start, toll_s
        Steps of link a: `toll_s[toll_start[a]:toll_start[a + 1]]`, from time 0 on, long enough for the last exit.
    """
    for here in range(len(start) - 1):
        record = start[here]
        for step in range(toll_start[here + 1] - toll_start[here]):
            total_s, count = 0.0, 0
            while record < start[here + 1] and exit_s[record] < (step + 1) * step_s:
                total_s += charge_s[record]
                count += 1
                record += 1
            toll_s[toll_start[here] + step] = total_s / count if count > 0 else 0.0
