"""A proven lower bound of the time that everybody together needs, whoever plans it: Lagrangian prices on the slots of links.

Slots. Link a with headway h has slots of K h (K whole), half-open and a hair shorter, in whole milliseconds. Exits are at least
h apart, so at most K fall into one.

Bound. For prices p >= 0 of the slots, every possible day satisfies

    sum of travel times >= sum over vehicles of min over ways in space and time (arrival - departure + prices) - sum p K

because each exit pays its slot's price and at most K pay it. A way may wait anywhere, leaves a link no earlier than its free-flow
time after entering, and knows nothing of storage, order or merges: whatever those forbid only makes the true minimum larger. So
the bound holds with spillback, signals (green shares only thin the exits out), turn penalties (taken as 0) and a capacity drop
as well. The rotations of gridlock keep exits a headway apart, too, as all in the cycle have waited for `patience_s`: links with
longer headways than that get no price. The minima are worked out on cells of time with everything rounded down
(`sim.kernels.timed_bound`).

Where. Only the links that queues discharge from are priced, and time counts only at them: between them a way is the fastest one
without priced links, of which nothing but its free-flow time is needed. That keeps the work in proportion to the priced links and
not to the city, and rounds down once between two of them.

Ascent. The subgradient of a slot is (ways that use it) - K. Prices move by Adam (Kingma and Ba 2015) on its share of K, with a
step that falls to 0 (Held, Wolfe and Crowder 1974 for why any decreasing step will do). Each evaluation covers every vehicle and
is a bound by itself; the best is worked out again on finer cells, and the larger of it and the free-flow bound is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.kernels.timed_bound import FAR_MS, Stops, Ways, cell_prices, congestion, sweep, trace, useful_hops
from sim.parallel import over_rows
from sim.traffic.driven_day import DrivenDay
from sim.traffic.timed_paths import PathFinder, Tolls

_MS = 1000
_UNPRICED = -1


@dataclass(frozen=True)
class BoundRules:
    """How the bound is worked out.

    Attributes
    ----------
    rounds
        Evaluations of the ascent, at least 1.
    cell_s, last_cell_s
        Cells of time of the ascent and of the last evaluation, whole milliseconds.
    slot_s
        Length that slots should have, about (they are whole numbers of headways); small against the delays.
    most_priced
        Links that get prices, those with the most waiting first.
    step_s
        First step of the prices.
    patience_s
        Of gridlock in the loading.
    """

    rounds: int = 60
    cell_s: float = 2.0
    last_cell_s: float = 1.0
    slot_s: float = 60.0
    most_priced: int = 300
    step_s: float = 20.0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("rounds", "most_priced"):
            if getattr(self, name) < 1:
                raise InputError(f"{getattr(self, name)}", where=name, allowed="at least 1")
        for name in ("cell_s", "last_cell_s", "slot_s", "step_s"):
            if not 0.001 <= getattr(self, name) < np.inf:
                raise InputError(f"{getattr(self, name)}", where=name, allowed="a finite number of seconds, a thousandth or more")


@dataclass(frozen=True, eq=False)
class Slots:
    """Slots of the priced links.

    Attributes
    ----------
    link_idx
        Queue of each priced link.
    start
        Slots of priced link r: `start[r]` to `start[r + 1]`, from time 0 on.
    slot_ms
        Their length.
    room
        Vehicles that can leave in one slot (K).
    """

    link_idx: IndexColumn
    start: OffsetColumn
    slot_ms: IndexColumn
    room: IndexColumn

    @property
    def room_of_slot(self) -> IndexColumn:
        """K of every slot."""
        return np.repeat(self.room, np.diff(self.start))

    def tolls(self, price_s: FloatColumn, n_links: int) -> Tolls:
        """Return prices as tolls for the search for paths."""
        n_slots = np.zeros(n_links, dtype=np.int64)
        n_slots[self.link_idx] = np.diff(self.start)
        start = np.zeros(n_links + 1, dtype=np.int64)
        np.cumsum(n_slots, out=start[1:])
        toll_s = np.zeros(int(start[-1]))
        for row, link in enumerate(self.link_idx):
            toll_s[start[link] : start[link + 1]] = price_s[self.start[row] : self.start[row + 1]]
        step_s = np.ones(n_links)
        step_s[self.link_idx] = self.slot_ms / _MS
        return Tolls(start, toll_s, step_s)


@dataclass(frozen=True, eq=False)
class LowerBound:
    """A proven lower bound.

    Attributes
    ----------
    total_time_s
        No day of these trips takes less, vehicle-seconds.
    free_flow_time_s
        What they would need on empty streets.
    method
        "prices" or "free flow", whichever is larger.
    tolls
        The best prices, as tolls.
    rounds_s
        The bound of each evaluation of the ascent.
    n_priced
        Links with prices.
    """

    total_time_s: float
    free_flow_time_s: float
    method: str
    tolls: Tolls
    rounds_s: tuple[float, ...]
    n_priced: int


def lower_bound(
    finder: PathFinder,
    days: Sequence[DrivenDay],
    rules: BoundRules,
    on_round: Callable[[int, float], None] | None = None,
) -> LowerBound:
    """Return a lower bound of the total time of some trips; days of theirs only say where and how long links are full.

    Parameters
    ----------
    finder
        Travellers, and the graph of their ways.
    days
        At least one; the equilibrium shows where queues would stand, the best day found what runs at capacity without any.
    rules
        See the module.
    on_round
        Called with the number and the bound of every evaluation.
    """
    network, departure_s = days[0].network, days[0].trips.departure_s
    slots = _slots(days, rules)
    room = slots.room_of_slot
    pricing = Pricing(finder, departure_s, slots, round(rules.cell_s * _MS))
    price_s = np.zeros(len(room))
    mean, square = np.zeros(len(room)), np.zeros(len(room))
    best_s, best_price_s = -np.inf, price_s.copy()
    found: list[float] = []
    for turn in range(rules.rounds):
        value_s, usage = pricing.evaluate(price_s)
        found.append(value_s)
        if value_s > best_s:
            best_s, best_price_s = value_s, price_s.copy()
        if on_round is not None:
            on_round(turn, value_s)
        violation = (usage - room) / room
        # At a price of 0 there is nothing to lower.
        violation[(price_s == 0) & (violation < 0)] = 0.0
        mean = 0.8 * mean + 0.2 * violation
        square = 0.95 * square + 0.05 * violation**2
        step_s = rules.step_s * (1.0 - turn / rules.rounds)
        move_s = step_s * (mean / (1.0 - 0.8 ** (turn + 1))) / (np.sqrt(square / (1.0 - 0.95 ** (turn + 1))) + 1e-3)
        price_s = np.maximum(0.0, price_s + move_s)
    if rules.last_cell_s != rules.cell_s:
        last = Pricing(finder, departure_s, slots, round(rules.last_cell_s * _MS))
        best_s = max(best_s, last.evaluate(best_price_s)[0])
    free_s = float(finder.free_time_s.sum())
    method = "prices" if best_s > free_s else "free flow"
    tolls = slots.tolls(best_price_s, network.n_links)
    return LowerBound(max(best_s, free_s), free_s, method, tolls, tuple(found), len(slots.link_idx))


def _slots(days: Sequence[DrivenDay], rules: BoundRules) -> Slots:
    network = days[0].network
    delay_s = np.zeros(network.n_links)
    until_s = 0.0
    for day in days:
        start, entry_s, exit_s = day.records.start, day.records.entry_s, day.records.exit_s
        last_s = congestion(start, entry_s, exit_s, network.free_flow_time_s, network.headway_s, delay_s)
        until_s = max(until_s, last_s)
    can = (delay_s > 0) & (network.headway_s > 0.001) & (network.headway_s <= rules.patience_s)
    order = np.argsort(-np.where(can, delay_s, 0.0), kind="stable")[: min(rules.most_priced, int(can.sum()))]
    link_idx = np.sort(order).astype(np.int32)
    headway_s = network.headway_s[link_idx]
    room = np.maximum(1, np.round(rules.slot_s / headway_s)).astype(np.int32)
    slot_ms = np.floor(room * headway_s * _MS * (1.0 - 1e-9)).astype(np.int32)
    n_slots = np.ceil(until_s * _MS / slot_ms).astype(np.int64)
    start = np.zeros(len(link_idx) + 1, dtype=np.int64)
    np.cumsum(n_slots, out=start[1:])
    return Slots(link_idx, start, slot_ms, room)


class Pricing:
    """Evaluations of the bound for prices, on cells of one width."""

    def __init__(self, finder: PathFinder, departure_s: FloatColumn, slots: Slots, cell_ms: int) -> None:
        self.finder, self.departure_s, self.slots, self.cell_ms = finder, departure_s, slots, cell_ms
        graph = finder.graph
        row_of_queue = np.full(int(graph.queue_idx.max(initial=0)) + 1, _UNPRICED, dtype=np.int32)
        row_of_queue[slots.link_idx] = np.arange(len(slots.link_idx))
        row = np.where(graph.queue_idx >= 0, row_of_queue[np.maximum(graph.queue_idx, 0)], _UNPRICED).astype(np.int32)
        link = np.flatnonzero(row != _UNPRICED)
        # A link that takes for ever is on no fastest way.
        plain = replace(graph, delay_s=np.where(row == _UNPRICED, graph.delay_s, np.inf))
        self.plain_ms = _whole_ms(plain.free_times_to(finder.targets))
        self.free_ms = _whole_ms(finder.bound_s)
        self.stops = Stops(
            graph.head_idx[link], row[link], _whole_ms(graph.delay_s[link]), _whole_ms(plain.free_times_to(graph.tail_idx[link]))
        )
        longest_ms = int((np.diff(slots.start) * slots.slot_ms).max(initial=cell_ms))
        self.n_cells = -(-longest_ms // cell_ms)
        first_ms = float(departure_s.min()) * _MS if len(departure_s) else 0.0
        self.first_cell = max(0, int(first_ms // cell_ms) - 1)
        self.of_row = np.argsort(finder.row, kind="stable")
        self.row_start = np.searchsorted(finder.row[self.of_row], np.arange(len(finder.targets) + 1))

    def evaluate(self, price_s: FloatColumn) -> tuple[float, IndexColumn]:
        """Return the bound for some prices, vehicle-seconds, and how many ways use each slot."""
        slots = self.slots
        price_ms = np.floor(price_s * _MS).astype(np.int32)
        by_cell = np.zeros((len(slots.link_idx), self.n_cells), dtype=np.int32)
        cell_prices(price_ms, slots.start, slots.slot_ms, self.cell_ms, by_cell)
        cost_s = np.zeros(len(self.departure_s))
        used: list[IndexColumn] = [np.zeros(len(price_s), dtype=np.int32)]

        def work(first: int, past_last: int) -> None:
            cost = np.empty((len(self.stops.head), self.n_cells), dtype=np.int32)
            usage = np.zeros(len(price_s), dtype=np.int32)
            for row in range(first, past_last):
                self._destination(row, price_ms, by_cell, cost, cost_s, usage)
            used.append(usage)

        over_rows(len(self.finder.targets), work)
        paid_s = float((price_ms.astype(np.int64) * slots.room_of_slot).sum()) / _MS
        # Whole numbers: their sum does not depend on the order in which the threads were done.
        return float(cost_s.sum()) - paid_s, np.sum(used, axis=0, dtype=np.int32)

    def _destination(
        self, row: int, price_ms: IndexColumn, by_cell: IndexColumn, cost: IndexColumn, cost_s: FloatColumn, usage: IndexColumn
    ) -> None:
        ways = Ways(self.plain_ms[row], self.free_ms[row])
        hops = useful_hops(self.stops, ways, self.cell_ms)
        sweep(self.stops, ways, hops, by_cell, self.cell_ms, self.first_cell, cost)
        vehicle = self.of_row[self.row_start[row] : self.row_start[row + 1]]
        own_s = np.empty(len(vehicle))
        trace(
            self.stops, ways, hops, by_cell, price_ms, self.slots.start, self.slots.slot_ms, self.cell_ms, cost,
            self.finder.ends.origin_idx[vehicle], self.departure_s[vehicle], own_s, usage,
        )  # fmt: skip
        cost_s[vehicle] = own_s


def _whole_ms(time_s: FloatColumn) -> IndexColumn:
    """Return times in whole milliseconds, rounded down, FAR_MS for infinite ones.

    A nanosecond below a whole one is that one (sums of floats are no better); departures are taken a microsecond early for it.
    """
    time_ms = np.floor(time_s * _MS + 1e-6)
    return np.asarray(np.where(time_ms < FAR_MS, time_ms, FAR_MS).astype(np.int32))
