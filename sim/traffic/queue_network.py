"""Links as queues: what the road network has to say about vehicles that queue, fill links up and spill back.

The link model is Newell's (1993, Transportation Research B 27, "A simplified theory of kinematic waves", parts I to III)
with a triangular fundamental diagram cut at the link's capacity, for individual vehicles in continuous time (the link
transmission model, Yperman 2007). On link a with free-flow time f, headway h, storage N and backward time b, vehicle n
(counted from 0):

    ready(n)  = entry(n) + f                         exit(n)  >= max(ready(n), exit(n - 1) + h)
    entry(n) >= max(entry(n - 1) + h, exit(n - N) + b)

Vehicles leave in the order in which they entered. f is the time at free speed, h = 3600 / capacity, b the time that the freed
place takes to travel back along the link. Queues thus stand in the links, fill them, and spill back to the links before.
Vehicles that cannot enter their first link wait at their origin, outside the network, in the order of their departures.

Options. Signals: exits only while green (an exit at the end of green is late). Capacity drop: the headway behind a vehicle
that had to wait is h / (1 - drop). Turn penalties: a vehicle is ready later by the penalty of its next turn; those behind
it wait.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np

from sim.arrays import FloatColumn, IdColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.traffic.incidents import Incident, require_sound
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR, travel_time_s

MOST_STORAGE: Final = 500_000_000
"""Vehicles that all links together may store; above it the state alone takes 8 GB."""
SHORTEST_TIME_S: Final = 0.1
"""Links of less free-flow time (connectors of no length) get this: events at the two ends of a link must not coincide."""
LANE_CAPACITY_VPH: Final = 1800.0
"""A lane for the rule that reads lanes from capacity (Highway Capacity Manual, 6th edition: 1,900 in ideal conditions)."""
PLAIN_SPEED_KPH: Final = 50.0
"""Speed for the rule that reads length from free-flow time."""
BELIEVABLE_SPEED_KPH: Final = (5.0, 150.0)
"""A length is taken as it is where length over free-flow time lies between these."""


@dataclass(frozen=True)
class QueueRules:
    """How a road network becomes queues.

    Attributes
    ----------
    backward_wave_kph
        Speed at which the gaps of a dissolving queue travel back, above 0.
    jam_density_vpkm
        Vehicles on a kilometre of a lane in a standing queue, above 0; the default is one in 7.5 m.
    capacity_drop
        Share of the capacity that a queue loses when it discharges, in [0, 1).
    """

    backward_wave_kph: float = 18.0
    jam_density_vpkm: float = METRES_PER_KILOMETRE / 7.5
    capacity_drop: float = 0.0

    def __post_init__(self) -> None:
        for name, bad in (
            ("backward_wave_kph", not (0 < self.backward_wave_kph < np.inf)),
            ("jam_density_vpkm", not (0 < self.jam_density_vpkm < np.inf)),
            ("capacity_drop", not (0 <= self.capacity_drop < 1)),
        ):
            if bad:
                allowed = "0 or above, below 1" if name == "capacity_drop" else "a finite number above 0"
                raise InputError(f"{getattr(self, name)}", where=name, allowed=allowed)


@dataclass(frozen=True, eq=False)
class TurnTable:
    """Turns with a penalty or a ban, by the link they come from.

    Attributes
    ----------
    start
        Turns from link a: `start[a]` to `start[a + 1]`; shape (n_links + 1,).
    out_link_idx
        The link that each turn goes to.
    penalty_s
        Seconds, 0 or above; inf bans the turn.
    """

    start: OffsetColumn
    out_link_idx: IndexColumn
    penalty_s: FloatColumn


@dataclass(frozen=True, eq=False)
class Signals:
    """Signals at the heads of links, all of shape (n_links,).

    A link with cycle c, green g and offset o shows green at time t if (t - o) mod c < g. Its headway is then that of the
    saturation flow, and its capacity the green share of that.

    Attributes
    ----------
    cycle_s
        0 where there is no signal.
    green_s
        Above 0, at most the cycle.
    offset_s
        Any finite number.
    """

    cycle_s: FloatColumn
    green_s: FloatColumn
    offset_s: FloatColumn


@dataclass(frozen=True, eq=False)
class QueueNetwork:
    """Links as queues, as read-only columns of shape (n_links,); see the module for the model.

    Attributes
    ----------
    name, link_id
        For messages.
    n_nodes
        Number of nodes.
    tail_idx, head_idx
        Positions of the link's nodes.
    free_flow_time_s, backward_time_s
        Above 0, finite.
    headway_s, entry_headway_s
        Time between two exits (entries), 0 or above, finite.
    storage_veh
        Vehicles that the link holds, at least 1.
    merge_weight, origin_weight
        Where several links (and the origin of link b) compete for link b, those with a queue share its entries in
        proportion to these; above 0.
    capacity_drop
        Share in [0, 1).
    signals, turns
        None where there are none.
    incidents
        What befalls links on the day.
    """

    name: str
    link_id: IdColumn
    n_nodes: int
    tail_idx: IndexColumn
    head_idx: IndexColumn
    free_flow_time_s: FloatColumn
    backward_time_s: FloatColumn
    headway_s: FloatColumn
    entry_headway_s: FloatColumn
    storage_veh: IndexColumn
    merge_weight: FloatColumn
    origin_weight: FloatColumn
    capacity_drop: float = 0.0
    signals: Signals | None = None
    turns: TurnTable | None = None
    incidents: tuple[Incident, ...] = ()

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, column.name, frozen(value))
        _require_sound(self)
        require_sound(self.incidents, self.n_links, self.name)

    @property
    def n_links(self) -> int:
        """Number of links."""
        return len(self.tail_idx)

    @cached_property
    def in_rank(self) -> IndexColumn:
        """Place of each link among the links into the same node; shape (n_links,)."""
        order = np.argsort(self.head_idx, kind="stable")
        first = np.searchsorted(self.head_idx[order], np.arange(self.n_nodes))
        rank = np.empty(self.n_links, dtype=np.int32)
        rank[order] = np.arange(self.n_links) - first[self.head_idx[order]]
        return frozen(rank)

    @cached_property
    def turn_start(self) -> OffsetColumn:
        """Places of the turns into link b: `turn_start[b]` + the in-rank of the link they come from, then one for the origin."""
        n_into = np.bincount(self.head_idx, minlength=self.n_nodes)
        start = np.zeros(self.n_links + 1, dtype=np.int64)
        np.cumsum(n_into[self.tail_idx] + 1, out=start[1:])
        return frozen(start)

    @cached_property
    def turn_penalty_s(self) -> FloatColumn:
        """Penalty of each turn by its place, inf for banned ones; empty where there is no table of turns."""
        if self.turns is None:
            return frozen(np.zeros(0))
        from_link = np.repeat(np.arange(self.n_links), np.diff(self.turns.start))
        penalty_s = np.zeros(int(self.turn_start[-1]))
        penalty_s[self.turn_start[self.turns.out_link_idx] + self.in_rank[from_link]] = self.turns.penalty_s
        return frozen(penalty_s)


def queue_network(
    network: RoadNetwork, rules: QueueRules, *, signals: Signals | None = None, turns: TurnTable | None = None
) -> QueueNetwork:
    """Return the queues of a road network.

    Length is the network's where length over free-flow time is a believable speed (`BELIEVABLE_SPEED_KPH`); otherwise, as for
    TNTP files whose lengths have no unit, it is what free-flow time allows at 50 km/h. Lanes are the network's, or, where it
    states none, capacity over 1,800 vehicles an hour (a fraction counts as such). Storage is jam density times length times
    lanes, rounded down, but at least what lets capacity flow through: (f + b) / h, rounded up. Merging links share in
    proportion to their capacities, and the origin counts like a link as wide as the one that its vehicles enter.

    Raises
    ------
    InputError
        All links together would store more than `MOST_STORAGE` vehicles; signals or turns do not fit the network.
    """
    free_flow_time_s = np.maximum(network.free_flow_time_s, SHORTEST_TIME_S)
    speed_kph = network.length_m / METRES_PER_KILOMETRE / (free_flow_time_s / SECONDS_PER_HOUR)
    believable = (speed_kph >= BELIEVABLE_SPEED_KPH[0]) & (speed_kph <= BELIEVABLE_SPEED_KPH[1])
    plain_m = free_flow_time_s / SECONDS_PER_HOUR * PLAIN_SPEED_KPH * METRES_PER_KILOMETRE
    length_m = np.where(believable, network.length_m, plain_m)
    lanes = np.where(network.lanes > 0, network.lanes, network.capacity_vph / LANE_CAPACITY_VPH)
    backward_time_s = np.maximum(travel_time_s(1.0, rules.backward_wave_kph) * length_m, SHORTEST_TIME_S)
    headway_s = SECONDS_PER_HOUR / network.capacity_vph
    if signals is not None:
        # Capacity counts the red time; while the signal is green vehicles follow each other at the saturation flow.
        headway_s = np.where(signals.cycle_s > 0, headway_s * signals.green_s / np.maximum(signals.cycle_s, 1e-300), headway_s)
    # A hair below a whole number is that number.
    needed = np.ceil((free_flow_time_s + backward_time_s) / headway_s - 1e-9)
    storage = np.maximum(np.maximum(np.floor(length_m / METRES_PER_KILOMETRE * lanes * rules.jam_density_vpkm), needed), 1.0)
    _require_storable(storage, network)
    return QueueNetwork(
        name=network.name,
        link_id=network.link_id,
        n_nodes=network.n_nodes,
        tail_idx=network.tail_idx,
        head_idx=network.head_idx,
        free_flow_time_s=free_flow_time_s,
        backward_time_s=backward_time_s,
        headway_s=headway_s,
        entry_headway_s=headway_s,
        storage_veh=storage.astype(np.int32),
        merge_weight=network.capacity_vph,
        origin_weight=network.capacity_vph,
        capacity_drop=rules.capacity_drop,
        signals=signals,
        turns=turns,
    )


def _require_storable(storage: FloatColumn, network: RoadNetwork) -> None:
    if storage.sum() > MOST_STORAGE:
        largest = int(np.argmax(storage))
        raise InputError(
            f"its links store {storage.sum():,.0f} vehicles, {storage[largest]:,.0f} of them link {network.link_id[largest]}",
            source=network.name,
            allowed=f"at most {MOST_STORAGE:,}",
        )


def _require_sound(network: QueueNetwork) -> None:
    """Raise InputError for the first link with a value outside its range."""
    for name, is_bad, allowed in (
        ("free_flow_time_s", ~(network.free_flow_time_s > 0), "a finite number above 0"),
        ("backward_time_s", ~(network.backward_time_s > 0), "a finite number above 0"),
        ("headway_s", ~(network.headway_s >= 0), "a finite number, 0 or above"),
        ("entry_headway_s", ~(network.entry_headway_s >= 0), "a finite number, 0 or above"),
        ("storage_veh", network.storage_veh < 1, "at least 1 vehicle"),
        ("merge_weight", ~(network.merge_weight > 0), "a finite number above 0"),
        ("origin_weight", ~(network.origin_weight > 0), "a finite number above 0"),
    ):
        column = getattr(network, name)
        if len(column) != network.n_links:
            raise InputError(f"{len(column)} values", source=network.name, where=name, allowed=f"{network.n_links}, one a link")
        _refuse(network, name, column, is_bad | ~np.isfinite(column), allowed)
    for name in ("tail_idx", "head_idx"):
        column = getattr(network, name)
        _refuse(network, name, column, (column < 0) | (column >= network.n_nodes), f"0 to {network.n_nodes - 1}")
    if not 0 <= network.capacity_drop < 1:
        raise InputError(f"{network.capacity_drop}", source=network.name, where="capacity_drop", allowed="0 or above, below 1")
    if network.signals is not None:
        _require_sound_signals(network, network.signals)
    if network.turns is not None:
        _require_sound_turns(network, network.turns)


def _refuse(network: QueueNetwork, name: str, column: FloatColumn | IndexColumn, is_bad: np.ndarray, allowed: str) -> None:
    if is_bad.any():
        link_idx = int(np.argmax(is_bad))
        place = f"link {network.link_id[link_idx]}, {name}"
        raise InputError(f"{column[link_idx]}", source=network.name, where=place, allowed=allowed)


def _require_sound_signals(network: QueueNetwork, signals: Signals) -> None:
    for name in ("cycle_s", "green_s", "offset_s"):
        column = getattr(signals, name)
        if len(column) != network.n_links:
            raise InputError(f"{len(column)} values", source=network.name, where=name, allowed=f"{network.n_links}, one a link")
    has_signal = signals.cycle_s != 0
    cycle_is_bad = ~(np.isfinite(signals.cycle_s) & (signals.cycle_s >= 0))
    _refuse(network, "cycle_s", signals.cycle_s, cycle_is_bad, "a finite number, 0 or above")
    green_is_bad = has_signal & ~((signals.green_s > 0) & (signals.green_s <= signals.cycle_s))
    _refuse(network, "green_s", signals.green_s, green_is_bad, "above 0, at most the cycle")
    _refuse(network, "offset_s", signals.offset_s, has_signal & ~np.isfinite(signals.offset_s), "a finite number")


def _require_sound_turns(network: QueueNetwork, turns: TurnTable) -> None:
    n_turns = len(turns.out_link_idx)
    start = turns.start
    if len(start) != network.n_links + 1 or start[0] != 0 or start[-1] != n_turns or (np.diff(start) < 0).any():
        raise InputError("rows that do not fit the links", source=network.name, where="turns.start", allowed="one row a link")
    if len(turns.penalty_s) != n_turns:
        raise InputError(f"{len(turns.penalty_s)} values", source=network.name, where="turns.penalty_s", allowed=f"{n_turns}")
    from_link = np.repeat(np.arange(network.n_links), np.diff(start))
    outside = (turns.out_link_idx < 0) | (turns.out_link_idx >= network.n_links)
    apart = outside.copy()
    apart[~outside] = network.head_idx[from_link[~outside]] != network.tail_idx[turns.out_link_idx[~outside]]
    if apart.any():
        turn = int(np.argmax(apart))
        raise InputError(
            f"a turn into link position {turns.out_link_idx[turn]}",
            source=network.name,
            where=f"turns of link {network.link_id[from_link[turn]]}",
            allowed="links that start where it ends",
        )
    bad = ~(turns.penalty_s >= 0)
    if bad.any():
        turn = int(np.argmax(bad))
        place = f"turns of link {network.link_id[from_link[turn]]}"
        raise InputError(f"{turns.penalty_s[turn]}", source=network.name, where=place, allowed="0 or above, inf for a ban")
