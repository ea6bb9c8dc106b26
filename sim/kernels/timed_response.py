"""How the queues of a day answer when vehicles change their ways, link by link: what the night between two days reckons with.

Rows are links and then origins, as in `sim.kernels.timed_search`. Time is cut into steps of `width_s`; t(k) is the start of step
k. From the records of a row with free-flow time f (0 for origins) and headway h (for origins that of entries)

    base(k)    = max(0, exit of the last one in before t(k) - f - t(k))         the wait of who comes in at t(k)
    inflow(k)  = entries in step k
    work(k)    = (base(k + 1) - base(k) + width) / inflow(k) while a queue stands, from h up to the width; h otherwise
    rest(k)    = base(k + 1) - (base(k) + inflow(k) work(k) - width), at most 0 if base(k + 1) is 0

so that the queue  wait(k + 1) = max(0, wait(k) + inflow(k) work(k) - width + rest(k))  gives the base again. Where a queue is
held up by the next link, work is what a place in it really takes. When a way is changed its entries move, and the queues of the
links that it leaves and joins are worked out anew; the wait beyond the base, on a straight line between the steps, is added to
what a vehicle would meet (`sim.kernels.timed_search`). Left out is what a link hands on to the next one: the next day's drive
puts that right.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.timed_search import Day, Table, pass_link, start_on

_NOTHING_S = 0.01
"""A wait that differs by less is the same, so that a link whose queue comes back to the base is left alone."""


class Response(NamedTuple):
    """Queues by row and step of time; tables of shape (2 n_links, n_steps), all 0 for rows that nobody came to."""

    width_s: float
    extra_s: Table
    """Wait beyond the base."""
    live: BoolColumn
    """Rows with anything in `extra_s`, shape (2 n_links,)."""
    base_s: Table
    work_s: Table
    rest_s: Table
    inflow: Table


@kernel
def _headway_s(day: Day, row: int) -> float:
    n_links = len(day.headway_s)
    return float(day.headway_s[row] if row < n_links else day.entry_headway_s[row - n_links])


@kernel
def anchor(day: Day, response: Response) -> None:
    """Fill tables of zeros from the records of a day."""
    n_rows, n_steps = response.base_s.shape
    width_s = response.width_s
    for row in range(n_rows):
        first, past = day.start[row], day.start[row + 1]
        if first == past:
            continue
        free_s, headway_s = day.free_flow_time_s[row] if row < len(day.headway_s) else 0.0, _headway_s(day, row)
        base_s, record, before = 0.0, first, first
        for step in range(n_steps):
            end_s = (step + 1) * width_s
            while record < past and day.entry_s[record] < end_s:
                record += 1
            n_in = record - before
            next_s = max(0.0, day.exit_s[record - 1] - free_s - end_s) if record > first else 0.0
            work_s = headway_s
            if n_in > 0 and base_s > 0.0 and next_s > 0.0:
                work_s = max(headway_s, min((next_s - base_s + width_s) / n_in, width_s))
            rest_s = next_s - (base_s + n_in * work_s - width_s)
            response.base_s[row, step] = base_s
            response.work_s[row, step] = work_s
            response.rest_s[row, step] = rest_s if next_s > 0.0 else min(rest_s, 0.0)
            response.inflow[row, step] = n_in
            before, base_s = record, next_s


@kernel
def _settle(day: Day, response: Response, row: int) -> None:
    """Work out a row's queue anew from its inflow."""
    wait_s, headway_s = 0.0, _headway_s(day, row)
    response.live[row] = False
    for step in range(response.base_s.shape[1]):
        extra_s = wait_s - response.base_s[row, step]
        if abs(extra_s) < _NOTHING_S:
            extra_s = 0.0
        else:
            response.live[row] = True
        response.extra_s[row, step] = extra_s
        # An entry that is taken away stands where the records have it or, for a way chosen earlier in the night, nearby.
        n_in = max(0.0, response.inflow[row, step])
        work_s = max(headway_s, response.work_s[row, step])
        wait_s = max(0.0, wait_s + n_in * work_s - response.width_s + response.rest_s[row, step])


@kernel
def _count(
    day: Day, response: Response, path_link: IndexColumn, first: int, past: int, departure_s: float, change: float,
    touched: BoolColumn,
) -> None:  # fmt: skip
    """Add `change` to the inflow of the origin and every link of a way, when it would come to it, and mark the rows."""
    n_rows, n_steps = response.inflow.shape
    now_s, source, came_s = departure_s, -1, departure_s
    for place in range(first, past):
        link = path_link[place]
        if place == first:
            source = n_rows // 2 + link
            step = int(departure_s / response.width_s)
            if step < n_steps:
                response.inflow[source, step] += change
                touched[source] = True
            now_s = start_on(day, link, departure_s)
        came_s, now_s = pass_link(day, source, link, now_s)
        step = int(came_s / response.width_s)
        if step < n_steps:
            response.inflow[link, step] += change
            touched[link] = True
        source = link


@kernel
def change_ways(
    day: Day,
    response: Response,
    departure_s: FloatColumn,
    old_start: OffsetColumn,
    old_link: IndexColumn,
    new_start: OffsetColumn,
    new_link: IndexColumn,
    touched: BoolColumn,
) -> None:
    """Have some vehicles leave their old ways (which may be empty) for new ones, and work out the queues of all links on them.

    Parameters
    ----------
    day
        The day whose response it is, with the waits beyond the base.
    touched
        Scratch, all False before and after; shape (2 n_links,).
    """
    for way in range(len(departure_s)):
        _count(day, response, old_link, old_start[way], old_start[way + 1], departure_s[way], -1.0, touched)
        _count(day, response, new_link, new_start[way], new_start[way + 1], departure_s[way], 1.0, touched)
    for row in range(len(touched)):
        if touched[row]:
            _settle(day, response, row)
            touched[row] = False
