"""A day's vehicles on their way through a network of queues: advance by any number of seconds, look, re-route, go on.

The model is in `sim.traffic.queue_network`, the events are in `sim.kernels.queue_events`. There is no luck in it: the result
depends on the trips and the network alone, and is the same to the last bit however the day is cut into calls of `advance`,
into blocks and into threads.

Order. Events are worked off by time; at equal times exits by the position of their link, then departures by the position of
their first link, then links that choose among those who wait, by position. Merging: see `sim.kernels.queue_events`.

Gridlock. At every whole multiple of `patience_s` cycles of full links are looked for whose first vehicles have all waited for
`patience_s`. Policy "rotate" moves all first vehicles of a cycle up by one link at once (over capacity for that instant,
never over storage) and counts them; "hold" leaves them, and `locked_links` names a link of each.

Incidents of the network begin and end at their times, before whatever else happens then (`sim.traffic.incidents`).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.kernels.queue_gridlock import ROTATED, ROTATIONS, advance, locked_cycles
from sim.kernels.queue_layout import NO_PLACE, NOBODY, PENDING, Lights, Notes, Queues, Turns
from sim.kernels.queue_paths import change_paths, empty_origins, find_vehicles, occupancy, positions, reconsider
from sim.traffic.incidents import CapacityChange, capacity_changes
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.queue_state import make_rows, new_queues, rehome, with_bins, with_path_room, with_record_room
from sim.traffic.trips import LATEST_S, Trips, require_paths

Recorded: TypeAlias = Literal["none", "all"] | IndexColumn
_RUN_STEP_S = 1800.0


@dataclass(frozen=True)
class LoadingOptions:
    """How a loading is run and what it notes.

    Attributes
    ----------
    gridlock
        "rotate" or "hold", see the module.
    patience_s
        Above 0, finite.
    record
        Whose entries and exits are kept, link by link: "none", "all", or the positions of some vehicles.
    bin_s
        Width of the time bins in which each link's entries, exits and travel times are added up; 0 for none.
    """

    gridlock: Literal["rotate", "hold"] = "rotate"
    patience_s: float = 60.0
    record: Recorded = "none"
    bin_s: float = 0.0

    def __post_init__(self) -> None:
        if self.gridlock not in ("rotate", "hold"):
            raise InputError(f"{self.gridlock!r}", where="gridlock", allowed='"rotate" or "hold"')
        if not 0 < self.patience_s < np.inf:
            raise InputError(f"{self.patience_s}", where="patience_s", allowed="a finite number of seconds above 0")
        if not 0 <= self.bin_s < np.inf:
            raise InputError(f"{self.bin_s}", where="bin_s", allowed="a finite number of seconds, 0 for no bins")


@dataclass(frozen=True, eq=False)
class LinkRecords:
    """Entries and exits of the recorded vehicles: those of link a are rows `start[a]` to `start[a + 1]`, in order of entry.

    Attributes
    ----------
    start
        Shape (n_links + 1,).
    vehicle_idx, entry_s, exit_s
        One a traversal; an exit that has not happened yet is inf. First in, first out: both columns rise along a link.
    """

    start: OffsetColumn
    vehicle_idx: IndexColumn
    entry_s: FloatColumn
    exit_s: FloatColumn

    @property
    def link_idx(self) -> IndexColumn:
        """Link of each row."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))


@dataclass(frozen=True, eq=False)
class LinkBins:
    """What happened on each link in each bin of time, shape (n_links, n_bins); bin i is [i, i + 1) times `bin_s`.

    Attributes
    ----------
    entries_veh, exits_veh
        Vehicles.
    travel_time_sum_s
        Of those who left in the bin.
    """

    bin_s: float
    entries_veh: IndexColumn
    exits_veh: IndexColumn
    travel_time_sum_s: FloatColumn

    @property
    def vehicles_at_end(self) -> IndexColumn:
        """Vehicles on each link at the end of each bin."""
        return np.asarray(np.cumsum(self.entries_veh - self.exits_veh, axis=1, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Positions:
    """Vehicles on links at one time, by link and from its head backwards; `fraction` of the link driven, in [0, 1]."""

    vehicle_idx: IndexColumn
    link_idx: IndexColumn
    fraction: FloatColumn


class Loading:
    """Vehicles on their way; see the module.

    Parameters
    ----------
    network
        The queues.
    trips
        Who departs when and drives where.
    options
        What happens in gridlock, and what is noted.

    Raises
    ------
    InputError
        A departure or a path that the network cannot take.

    Attributes
    ----------
    clock_s
        All events before this time have happened, none at or after it.
    arrival_s
        Of each vehicle, inf while it is under way (read-only view of the state).
    """

    def __init__(self, network: QueueNetwork, trips: Trips, options: LoadingOptions | None = None) -> None:
        trips.require_fit(network)
        self.network = network
        self.trips = trips
        self.options = options or LoadingOptions()
        self.clock_s = 0.0
        recorded = _recorded_mask(self.options.record, trips.n_vehicles)
        self._nobody_recorded = not recorded.any()
        self._rows = make_rows(network)
        self._queues = new_queues(network, self._rows, trips, recorded, self.options.bin_s)
        self._window_s = float(min(network.free_flow_time_s.min(), network.backward_time_s.min()))
        self._counts = np.zeros(3, dtype=np.int64)
        self._n_path_entries = len(self._queues.path)
        self._changes = capacity_changes(network.incidents)
        self.arrival_s: FloatColumn = frozen(self._queues.arrival_s)

    @property
    def arrived(self) -> BoolColumn:
        """Who has arrived, shape (n_vehicles,)."""
        return np.asarray(self.arrival_s < np.inf)

    @property
    def n_arrived(self) -> int:
        """Number of vehicles that have arrived."""
        return int(np.count_nonzero(self.arrived))

    @property
    def n_on_links(self) -> int:
        """Number of vehicles on links."""
        return int(self.occupancy_veh.sum())

    @property
    def n_at_origins(self) -> int:
        """Number of vehicles that are still to enter the network: not departed yet, or kept out by a full first link."""
        return self.trips.n_vehicles - self.n_arrived - self.n_on_links

    @property
    def occupancy_veh(self) -> IndexColumn:
        """Vehicles on each link now, shape (n_links,)."""
        count = np.empty(self.network.n_links, dtype=np.int32)
        occupancy(self._queues, self._rows.head, count)
        return count

    @property
    def rotations(self) -> int:
        """How often a gridlocked cycle was moved up."""
        return int(self._counts[ROTATIONS])

    @property
    def rotated_vehicles(self) -> int:
        """How many vehicles were moved up with gridlocked cycles."""
        return int(self._counts[ROTATED])

    @property
    def state_bytes(self) -> int:
        """Bytes of the kernel's state; paths, records and bins apart."""
        queues = self._queues
        columns = (queues.ends, queues.event_s, queues.state, queues.slots, queues.arrival_s, queues.row_start, queues.tail_start,
                   queues.node_event_s, queues.group_event_s, *queues.turns, *queues.lights)  # fmt: skip
        return sum(column.nbytes for column in columns)

    def advance(self, until_s: float) -> None:
        """Let everything happen that happens before `until_s`, which may not lie before the clock.

        Raises
        ------
        InputError
            `until_s` lies before the clock, is no number, or lies beyond `LATEST_S`.
        """
        if not self.clock_s <= until_s <= LATEST_S:
            raise InputError(f"{until_s}", where="until_s", allowed=f"seconds from {self.clock_s:g} (the clock) to {LATEST_S:g}")
        if self.options.bin_s > 0:
            self._queues = with_bins(self._queues, int(until_s / self.options.bin_s) + 1)
        while self._changes and self._changes[0].time_s < until_s:
            self._pass_time(self._changes[0].time_s)
            self._change_capacity(self._changes[0])
            self._changes = self._changes[1:]
        self._pass_time(until_s)

    def _pass_time(self, until_s: float) -> None:
        if until_s > self.clock_s:
            patience_s = self.options.patience_s if self.options.gridlock == "rotate" else np.inf
            advance(self._queues, self._rows.head, until_s, self._window_s, patience_s, self._counts)
            self.clock_s = until_s

    def _change_capacity(self, change: CapacityChange) -> None:
        """Let an incident begin or end, before what happens at that time."""
        link, ends = change.link_idx, self._queues.ends
        row = self._rows.head[link : link + 1]
        ends["headway_s"][row] = change.headway_s(float(self.network.headway_s[link]))
        if change.closed_until_s is not None:
            # Whoever slipped through while he waited for the next link has put the next exit off by too much.
            begins = change.closed_until_s > change.time_s
            free_s = ends["free_s"][row]
            ends["free_s"][row] = (np.maximum if begins else np.minimum)(free_s, change.closed_until_s)
        if self._queues.state[row[0]] == PENDING:
            reconsider(self._queues, row, self.clock_s)

    def copy(self) -> Loading:
        """Return a second loading in the same state, to see what would happen; the two have nothing in common but the trips."""
        other = copy(self)
        other._queues = _copied(self._queues)
        other._counts = self._counts.copy()
        other.arrival_s = frozen(other._queues.arrival_s)
        return other

    def run(self, latest_s: float = LATEST_S) -> None:
        """Advance until everybody has arrived, nobody can move any more, or the clock shows `latest_s`."""
        while self.clock_s < latest_s and self.n_arrived < self.trips.n_vehicles:
            if not self.has_events and self.options.gridlock == "hold":
                return
            self.advance(min(latest_s, self.clock_s + _RUN_STEP_S))

    def reroute(self, vehicle_idx: IndexColumn, path_start: OffsetColumn, path_link: IndexColumn) -> None:
        """Replace what vehicles will drive after the link they are on; the whole path of those not in the network yet.

        Parameters
        ----------
        vehicle_idx
            Each at most once, none that has arrived.
        path_start, path_link
            Their new ways, in the form of `Trips`; a vehicle on a link may get none, then it arrives at that link's head.

        Raises
        ------
        InputError
            A vehicle that has arrived or is named twice, or a way that does not start where the vehicle's link ends.
        """
        vehicle_idx = np.asarray(vehicle_idx, dtype=np.int32)
        path_start, path_link = np.asarray(path_start, dtype=np.int64), np.asarray(path_link, dtype=np.int32)
        row, slot = self._places()
        self._require_ways(vehicle_idx, row, path_start, path_link)
        n_more = len(path_link) + len(vehicle_idx)
        queues, self._n_path_entries = with_path_room(self._queues, self._n_path_entries, n_more)
        its_row, its_slot = row[vehicle_idx], slot[vehicle_idx]
        at_head = (queues.ends["other"][its_row] != NOBODY) & (queues.ends["slot"][its_row] == its_slot)
        moved = queues.ends["other"][its_row] == NOBODY
        first_link = np.append(path_link, 0)[path_start[:-1]]
        moved &= self._rows.link[its_row] != first_link
        touched = np.unique(np.concatenate([its_row[moved], self._rows.origin[first_link[moved]]]))
        empty_origins(queues, touched)
        self._n_path_entries = change_paths(queues, its_slot, path_start, path_link, self._rows.tail, self._n_path_entries)
        reconsider(queues, its_row[at_head], self.clock_s)
        if len(touched):
            rehome(queues, self._rows, self.trips, touched, self.clock_s)
        self._queues = queues if self._nobody_recorded else with_record_room(queues)

    def vehicle_seconds(self) -> float:
        """Return the time spent so far by everybody who has departed, those still in the system included."""
        end_s = np.minimum(self.arrival_s, self.clock_s)
        return float(np.maximum(end_s - self.trips.departure_s, 0.0).sum())

    def travel_time_s(self) -> FloatColumn:
        """Return arrival minus departure of each vehicle, inf for those under way."""
        return np.asarray(self.arrival_s - self.trips.departure_s)

    def positions(self) -> Positions:
        """Return where the vehicles on links are now."""
        size = self.n_on_links
        vehicle, link, fraction = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32), np.empty(size)
        positions(self._queues, self._rows.head, self.clock_s, vehicle, link, fraction)
        return Positions(vehicle, link, fraction)

    def next_nodes(self, until_s: float) -> tuple[IndexColumn, IndexColumn]:
        """Return who may get a new way and from which node: those on links, and those to depart before `until_s`.

        Vehicles that depart before `until_s` and have not entered the network count from the node where they start.
        """
        row, _ = self._places()
        under_way = row != NO_PLACE
        outside = under_way & (self._queues.ends["other"][row] == NOBODY)
        vehicle = np.flatnonzero(under_way & (~outside | (self.trips.departure_s < until_s))).astype(np.int32)
        return vehicle, self._queues.ends["node"][row[vehicle]].astype(np.int32)

    def records(self) -> LinkRecords:
        """Return the entries and exits of the recorded vehicles so far."""
        notes = self._queues.notes
        start = np.zeros(self.network.n_links + 1, dtype=np.int64)
        np.cumsum(notes.n_entries, out=start[1:])
        place = np.arange(start[-1]) + np.repeat(notes.start[:-1] - start[:-1], notes.n_entries)
        return LinkRecords(start, notes.vehicle[place], notes.entry_s[place], notes.exit_s[place])

    def bins(self) -> LinkBins:
        """Return the links' bins up to the clock."""
        if self.options.bin_s == 0:
            raise InputError("bins of a loading without bins", where="bin_s", allowed="a width above 0")
        notes = self._queues.notes
        return LinkBins(self.options.bin_s, notes.bin_entries.copy(), notes.bin_exits.copy(), notes.bin_time_s.copy())

    def locked_links(self) -> IndexColumn:
        """Return one link of each cycle that is gridlocked now."""
        member = np.empty(self.network.n_links, dtype=np.int32)
        n_cycles = locked_cycles(self._queues, self._rows.head, np.inf, member)
        return np.asarray(self._rows.link[member[:n_cycles]])

    @property
    def has_events(self) -> bool:
        """Whether anything is still to happen by itself: without events, whoever has not arrived is locked."""
        return bool(self._changes) or bool((self._queues.state == PENDING).any())

    def _places(self) -> tuple[IndexColumn, IndexColumn]:
        row, slot = np.empty(self.trips.n_vehicles, dtype=np.int32), np.empty(self.trips.n_vehicles, dtype=np.int32)
        find_vehicles(self._queues, row, slot)
        return row, slot

    def _require_ways(self, vehicle_idx: IndexColumn, row: IndexColumn, path_start: OffsetColumn, path_link: IndexColumn) -> None:
        """Raise InputError unless each way is sound and starts where its vehicle will be."""
        n_vehicles = self.trips.n_vehicles
        outside = (vehicle_idx < 0) | (vehicle_idx >= n_vehicles)
        if outside.any():
            raise InputError(f"vehicle {vehicle_idx[np.argmax(outside)]}", where="reroute", allowed=f"0 to {n_vehicles - 1}")
        named, times = np.unique(vehicle_idx, return_counts=True)
        if (times > 1).any():
            raise InputError(f"vehicle {named[np.argmax(times)]} is named twice", where="reroute", allowed="each vehicle once")
        gone = row[vehicle_idx] == NO_PLACE
        if gone.any():
            raise InputError(f"vehicle {vehicle_idx[np.argmax(gone)]} has arrived", where="reroute", allowed="those under way")
        if len(path_start) != len(vehicle_idx) + 1:
            raise InputError(f"{len(path_start) - 1} ways", where="reroute", allowed=f"{len(vehicle_idx)}, one a vehicle")
        require_paths(self.network, path_start, path_link, vehicle_idx, may_be_empty=True)
        has_way = np.diff(path_start) > 0
        on_link = self._queues.ends["other"][row[vehicle_idx]] != NOBODY
        if (~has_way & ~on_link).any():
            stranger = vehicle_idx[np.argmax(~has_way & ~on_link)]
            raise InputError("a path without links", where=f"vehicle {stranger}", allowed="at least one link before the start")
        first = path_link[path_start[:-1][has_way]]
        driver, its_row = vehicle_idx[has_way], row[vehicle_idx[has_way]]
        here = self._queues.ends["node"][its_row]
        apart = self.network.tail_idx[first] != here
        if apart.any():
            place = int(np.argmax(apart))
            raise InputError(
                f"link {self.network.link_id[first[place]]} does not start where the vehicle's link ends",
                where=f"vehicle {driver[place]}",
                allowed="a way from the next node on",
            )


def _copied(queues: Queues) -> Queues:
    """Return the same state in columns of its own."""

    def own(part: tuple[Any, ...]) -> list[Any]:
        return [value.copy() if isinstance(value, np.ndarray) else value for value in part]

    nested = {"turns": Turns(*own(queues.turns)), "lights": Lights(*own(queues.lights)), "notes": Notes(*own(queues.notes))}
    return Queues(*own(queues))._replace(**nested)  # type: ignore[arg-type]  # each name has a value of its own type


def _recorded_mask(record: Recorded, n_vehicles: int) -> BoolColumn:
    mask = np.zeros(n_vehicles, dtype=np.bool_)
    if isinstance(record, str):
        if record not in ("none", "all"):
            raise InputError(f"{record!r}", where="record", allowed='"none", "all" or positions of vehicles')
        mask[:] = record == "all"
        return mask
    outside = (record < 0) | (record >= n_vehicles)
    if outside.any():
        raise InputError(f"vehicle {record[np.argmax(outside)]}", where="record", allowed=f"0 to {n_vehicles - 1}")
    mask[record] = True
    return mask
