"""Columns of queue traffic as its kernels take them; the model is in `sim.traffic.queue_network`.

What a vehicle needs to know of a link lies at the link's two ends, and what happens at a node touches the heads of the
links that come in and the tails of those that go out. So a link has two ends: its head (the queue that wants out) and its
tail (the room for those who want in); and an origin, where the vehicles that will start on it wait outside the network in
the order of their departures. Each is a row. The rows of a node stand together: heads of the links into it, then origins
and then tails of the links out of it, each by the position of the link. Paths are written as the tail rows of their links.

A link's vehicles stand in a ring of slots, one for each vehicle that it can store. A slot holds the vehicle and when it
gets to the head; once it has left, the time of its exit stays there until the slot is taken again, which is just when it is
needed: entry n waits for exit n - storage.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import CodeColumn, FloatColumn, IndexColumn, OffsetColumn

Records = NDArray[Any]
RowColumn = NDArray[np.uint32]
"""Rows and slots are unsigned, for which the compiler leaves out the code for indices below zero: much in a loop this tight."""

END = np.dtype(
    [
        (
            "free_s",
            np.float64,
        ),  # the next exit may not be earlier; tail: nor the next entry, the slot's freeing counted if it is free
        ("headway_s", np.float64),
        ("free_flow_time_s", np.float64),
        ("wait_s", np.float64),  # head: since when the first vehicle waits; tail: backward time of the link
        ("slot", np.uint32),  # head: of the first vehicle; tail: for the next one
        ("first", np.uint32),  # slots of the ring: first to end - 1
        ("end", np.uint32),
        ("other", np.uint32),  # row of the link's other end; NOBODY for an origin
        ("node", np.uint32),
        ("next", np.uint32),  # head, origin: the next of those who wait for the same link; tail: place of its first turn
        (
            "toward",
            np.uint32,
        ),  # head, origin: tail its first vehicle is bound for; tail: first row that waits for it, or NOBODY
        ("in_rank", np.uint32),  # head: place of its turns among those into a tail of its node; origin: behind them; tail: NOBODY
    ],
    align=True,
)
"""One cache line."""
SLOT = np.dtype([("time_s", np.float64), ("vehicle", np.int32), ("at", np.uint32)], align=True)
"""`at` is the place of the link in the column of paths; a vehicle that is recorded is written as ~vehicle, nobody as FREE."""

IDLE, PENDING, WAITING, FULL = 0, 1, 2, 3
"""State of a head: empty; its next exit has a time; its first vehicle waits for the next link. Of a tail: it has room and
nobody waits; those who wait know when the next of them comes in; it is full and somebody waits; it is full and nobody
waits."""
NOBODY = 2**32 - 1
PATH_END = 2**32 - 1
NO_PLACE = -1
FREE = -(2**31)
NODES_A_GROUP = 8


class Turns(NamedTuple):
    """Merging and penalties; the place of a turn is `next` of its tail plus `in_rank` of its head or origin."""

    tag: FloatColumn
    """By place: when the turn's next vehicle is due, in the time of the link's merge."""
    served: FloatColumn
    """By tail row: tag of the latest of those who waited and came in."""
    step: FloatColumn
    """By row: what a vehicle of a head or an origin adds to its turn's tag, 1 / weight."""
    penalty_s: FloatColumn
    """By place, 0 for origins; empty where there are none."""


class Lights(NamedTuple):
    """Signals at the links' heads by row, cycle 0 for none; empty where there are none."""

    cycle_s: FloatColumn
    green_s: FloatColumn
    offset_s: FloatColumn


class Notes(NamedTuple):
    """What is kept of the day."""

    link_of_row: IndexColumn
    start: OffsetColumn
    """Records of link a: `start[a]` to `start[a + 1]`, in order of entry; shape (n_links + 1,)."""
    n_entries: IndexColumn
    """Records so far, shape (n_links,)."""
    n_exits: IndexColumn
    vehicle: IndexColumn
    entry_s: FloatColumn
    exit_s: FloatColumn
    bin_entries: IndexColumn
    """Shape (n_links, n_bins); n_bins 0 where nothing is counted."""
    bin_exits: IndexColumn
    bin_time_s: FloatColumn
    """Sum of the travel times of those who left in a bin."""
    bin_s: float


class Queues(NamedTuple):
    """The whole state of a loading; rows number 3 n_links."""

    ends: Records
    event_s: FloatColumn
    """By row: head or origin, the next exit; tail, the next entry of one who waits; inf for none."""
    state: CodeColumn
    """By row: IDLE, PENDING or WAITING."""
    slots: Records
    path: RowColumn
    """A PATH_END, then paths one after another as tail rows, each followed by PATH_END."""
    arrival_s: FloatColumn
    """inf while a vehicle is under way."""
    row_start: RowColumn
    """Rows of node i: `row_start[i]` to `row_start[i + 1]`; shape (n_nodes + 1,)."""
    tail_start: RowColumn
    """First of the tails among the rows of each node, shape (n_nodes,)."""
    node_event_s: FloatColumn
    """The earliest event of each node."""
    group_event_s: FloatColumn
    """The earliest event of each NODES_A_GROUP nodes."""
    turns: Turns
    lights: Lights
    notes: Notes
    drop: float
    """Factor of the headway behind a vehicle that has queued; 1 without capacity drop."""
