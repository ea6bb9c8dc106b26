"""The kernels' columns for a network and its trips, before anything has happened, and how they grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.kernels.queue_layout import (
    END,
    FREE,
    IDLE,
    NOBODY,
    NODES_A_GROUP,
    SLOT,
    Lights,
    Notes,
    Queues,
    RowColumn,
    Turns,
)  # fmt: skip
from sim.kernels.queue_paths import count_recorded, fill_origins, lay_out, pack_ways, start_origins
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.trips import Trips

_MOST_ENTRIES: Final = 2**31 - 1
_HEAD, _ORIGIN, _TAIL = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Rows:
    """Where the rows of each link stand, shape (n_links,); see `sim.kernels.queue_layout`.

    Attributes
    ----------
    head, origin, tail
        Row of each link's end.
    start, tail_start
        Rows of each node, shape (n_nodes + 1,), and the first of its tails, shape (n_nodes,).
    link
        Link of each row, shape (3 n_links,).
    """

    head: IndexColumn
    origin: IndexColumn
    tail: IndexColumn
    start: RowColumn
    tail_start: RowColumn
    link: IndexColumn


def make_rows(network: QueueNetwork) -> Rows:
    """Return the order of the rows: by node, then heads, origins, tails, then link."""
    n_links = network.n_links
    node = np.concatenate([network.head_idx, network.tail_idx, network.tail_idx])
    kind = np.repeat([_HEAD, _ORIGIN, _TAIL], n_links)
    order = np.lexsort((kind, node))
    row = np.empty(3 * n_links, dtype=np.int32)
    row[order] = np.arange(3 * n_links, dtype=np.int32)
    start = np.zeros(network.n_nodes + 1, dtype=np.uint32)
    start[1:] = np.cumsum(np.bincount(node, minlength=network.n_nodes))
    tail_start = start[1:] - np.bincount(network.tail_idx, minlength=network.n_nodes).astype(np.uint32)
    link = np.tile(np.arange(n_links, dtype=np.int32), 3)[order]
    return Rows(row[:n_links], row[n_links : 2 * n_links], row[2 * n_links :], start, tail_start, frozen(link))


def new_queues(network: QueueNetwork, rows: Rows, trips: Trips, recorded: BoolColumn, bin_s: float) -> Queues:
    """Return the state at time 0."""
    n_rows = 3 * network.n_links
    if len(trips.path_link) + trips.n_vehicles >= _MOST_ENTRIES:
        raise InputError(f"{len(trips.path_link):,} links in all paths", where="trips", allowed=f"at most {_MOST_ENTRIES:,}")
    path = np.empty(len(trips.path_link) + trips.n_vehicles + 1, dtype=np.uint32)
    lay_out(trips.path_start, trips.path_link, rows.tail, path)
    ring_start, slots = _slots(network, trips, recorded)
    queues = Queues(
        ends=_ends(network, rows, ring_start),
        event_s=np.full(n_rows, np.inf),
        state=np.full(n_rows, IDLE, dtype=np.uint8),
        slots=slots,
        path=path,
        arrival_s=np.full(trips.n_vehicles, np.inf),
        row_start=rows.start,
        tail_start=rows.tail_start,
        node_event_s=np.full(network.n_nodes, np.inf),
        group_event_s=np.full(-(-network.n_nodes // NODES_A_GROUP), np.inf),
        turns=_turns(network, rows),
        lights=_lights(network, rows),
        notes=_empty_notes(rows, bin_s),
        drop=1.0 / (1.0 - network.capacity_drop),
    )
    start_origins(queues, rows.origin, 0.0)
    return with_record_room(queues)


def with_record_room(queues: Queues) -> Queues:
    """Return the state with room for the records of everybody who is recorded, what is recorded already kept."""
    notes = queues.notes
    room = notes.n_entries.astype(np.int64)
    count_recorded(queues, notes.link_of_row, room)
    start = np.zeros(len(room) + 1, dtype=np.int64)
    np.cumsum(room, out=start[1:])
    kept = np.arange(int(notes.n_entries.sum()))
    first = np.cumsum(notes.n_entries) - notes.n_entries
    before = kept + np.repeat(notes.start[:-1] - first, notes.n_entries)
    after = kept + np.repeat(start[:-1] - first, notes.n_entries)
    vehicle = np.zeros(int(start[-1]), dtype=np.int32)
    entry_s, exit_s = np.full(len(vehicle), np.inf), np.full(len(vehicle), np.inf)
    vehicle[after] = notes.vehicle[before]
    entry_s[after] = notes.entry_s[before]
    exit_s[after] = notes.exit_s[before]
    return queues._replace(notes=notes._replace(start=start, vehicle=vehicle, entry_s=entry_s, exit_s=exit_s))


def with_bins(queues: Queues, n_bins: int) -> Queues:
    """Return the state with at least this many bins a link."""
    notes = queues.notes
    missing = n_bins - notes.bin_entries.shape[1]
    if missing <= 0:
        return queues
    more = ((0, 0), (0, missing))
    wider = notes._replace(
        bin_entries=np.pad(notes.bin_entries, more),
        bin_exits=np.pad(notes.bin_exits, more),
        bin_time_s=np.pad(notes.bin_time_s, more),
    )
    return queues._replace(notes=wider)


def with_path_room(queues: Queues, n_used: int, n_more: int) -> tuple[Queues, int]:
    """Return the state with room for more entries in the column of paths, and how many are in use.

    What has been driven is thrown away before the column grows.
    """
    if n_used + n_more <= len(queues.path):
        return queues, n_used
    # Each way moved takes an entry for the present link, which may stand in for several where ways have been put elsewhere.
    path = np.empty(n_used + len(queues.arrival_s) + 1 + n_more, dtype=np.uint32)
    n_used = pack_ways(queues, path)
    if n_used + n_more > _MOST_ENTRIES:
        raise InputError(f"{n_used + n_more:,} links in all paths", where="reroute", allowed=f"at most {_MOST_ENTRIES:,}")
    return queues._replace(path=path[: max((n_used + n_more) * 5 // 4, n_used + n_more)].copy()), n_used


def rehome(queues: Queues, rows: Rows, trips: Trips, touched: IndexColumn, clock_s: float) -> None:
    """Put each vehicle that is not in the network yet to the origin of the first link of its path.

    `touched`: rows of the origins that win or lose a vehicle; they have been emptied and start again at `clock_s`.
    """
    origins = queues.ends[rows.origin]
    begin = int(origins["first"].min())
    slots = queues.slots[begin:]
    slots = slots[slots["vehicle"] != FREE]
    link_idx = rows.link[queues.path[slots["at"] + 1]]
    vehicle = np.where(slots["vehicle"] >= 0, slots["vehicle"], ~slots["vehicle"])
    queues.slots["vehicle"][begin:] = FREE
    queues.slots[begin : begin + len(slots)] = slots[np.lexsort((vehicle, trips.departure_s[vehicle], link_idx))]
    start = begin + np.cumsum(np.bincount(link_idx, minlength=len(rows.origin)))
    origins["end"] = start
    origins["first"] = origins["slot"] = np.concatenate([[begin], start[:-1]])
    queues.ends[rows.origin] = origins
    start_origins(queues, touched, clock_s)


def _slots(network: QueueNetwork, trips: Trips, recorded: BoolColumn) -> tuple[OffsetColumn, NDArray[Any]]:
    """Return where the rings of links and then of origins start, and the slots with all vehicles at their origins."""
    n_links = network.n_links
    n_starting = np.bincount(trips.path_link[trips.path_start[:-1]], minlength=n_links)
    ring_start: OffsetColumn = np.zeros(2 * n_links + 1, dtype=np.int64)
    np.cumsum(np.concatenate([network.storage_veh, n_starting]), out=ring_start[1:])
    # One more at the end, so that there is one behind each.
    slots = np.empty(int(ring_start[-1]) + 1, dtype=SLOT)
    slots["time_s"], slots["vehicle"], slots["at"] = -np.inf, FREE, 0
    order = np.argsort(trips.departure_s, kind="stable")
    next_slot = ring_start[n_links:-1].copy()
    fill_origins(order, trips.departure_s, trips.path_start, trips.path_link, next_slot, slots, recorded)
    return ring_start, slots


def _ends(network: QueueNetwork, rows: Rows, ring_start: OffsetColumn) -> NDArray[Any]:
    n_links = network.n_links
    link_ends = np.zeros((3, n_links), dtype=END)
    heads, origins, tails = link_ends
    link_ends["free_s"], link_ends["free_flow_time_s"] = -np.inf, network.free_flow_time_s
    link_ends["next"] = link_ends["toward"] = link_ends["in_rank"] = link_ends["other"] = NOBODY
    for ends, first, past in ((heads, 0, n_links), (origins, n_links, 2 * n_links), (tails, 0, n_links)):
        ends["slot"] = ends["first"] = ring_start[first:past]
        ends["end"] = ring_start[first + 1 : past + 1]
    heads["headway_s"], heads["in_rank"] = network.headway_s, network.in_rank
    heads["node"], heads["other"] = network.head_idx, rows.tail
    tails["headway_s"], tails["wait_s"] = network.entry_headway_s, network.backward_time_s
    tails["node"], tails["other"] = network.tail_idx, rows.head
    tails["next"] = network.turn_start[:-1]
    origins["node"], origins["free_flow_time_s"] = network.tail_idx, 0.0
    origins["in_rank"] = np.bincount(network.head_idx, minlength=network.n_nodes)[network.tail_idx]
    ends = np.empty(3 * n_links, dtype=END)
    ends[rows.head], ends[rows.origin], ends[rows.tail] = heads, origins, tails
    return ends


def _turns(network: QueueNetwork, rows: Rows) -> Turns:
    n_rows = 3 * network.n_links
    step = np.zeros(n_rows)
    step[rows.head], step[rows.origin] = 1.0 / network.merge_weight, 1.0 / network.origin_weight
    return Turns(np.zeros(int(network.turn_start[-1])), np.zeros(n_rows), step, network.turn_penalty_s)


def _lights(network: QueueNetwork, rows: Rows) -> Lights:
    def by_row(column: FloatColumn) -> FloatColumn:
        spread = np.zeros(3 * network.n_links)
        spread[rows.head] = column
        return spread

    signals = network.signals
    if signals is None:
        return Lights(np.zeros(0), np.zeros(0), np.zeros(0))
    return Lights(by_row(signals.cycle_s), by_row(signals.green_s), by_row(signals.offset_s))


def _empty_notes(rows: Rows, bin_s: float) -> Notes:
    n_links = len(rows.head)
    return Notes(
        link_of_row=rows.link,
        start=np.zeros(n_links + 1, dtype=np.int64),
        n_entries=np.zeros(n_links, dtype=np.int32),
        n_exits=np.zeros(n_links, dtype=np.int32),
        vehicle=np.zeros(0, dtype=np.int32),
        entry_s=np.zeros(0),
        exit_s=np.zeros(0),
        bin_entries=np.zeros((n_links, 0), dtype=np.int32),
        bin_exits=np.zeros((n_links, 0), dtype=np.int32),
        bin_time_s=np.zeros((n_links, 0)),
        bin_s=bin_s if bin_s > 0 else 1.0,
    )
