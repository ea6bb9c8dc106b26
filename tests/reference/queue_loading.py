"""Slow twin of queue traffic: every exit and entry of every link in a list, the earliest event found by looking at all of
them.

Written from the model in `sim.traffic.queue_network` and the rules in `sim.traffic.loading`, without rings, windows or tags
in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim.traffic.loading import LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.trips import Trips

EXIT, DEPARTURE, ENTRY = 0, 1, 2
Who = tuple[int, int]
"""(EXIT, link) or (DEPARTURE, link): a link's head, or the origin in front of a link."""


@dataclass
class Queue:
    """Vehicles in order, each with the time at which it is at the front end, and the times of all who have passed."""

    vehicles: list[tuple[int, float]] = field(default_factory=list)
    exits: list[float] = field(default_factory=list)
    entries: list[float] = field(default_factory=list)
    free_exit_s: float = -math.inf
    free_entry_s: float = -math.inf
    retry_s: float = -math.inf
    """Its first vehicle does not try before this."""
    since_s: float = math.inf
    """Since when the first vehicle waits for its next link; inf if it does not."""


class SlowLoading:
    """The same day, event by event."""

    def __init__(self, network: QueueNetwork, trips: Trips, options: LoadingOptions) -> None:
        self.network, self.options = network, options
        self.paths = [
            [int(link) for link in trips.path_link[trips.path_start[vehicle] : trips.path_start[vehicle + 1]]]
            for vehicle in range(trips.n_vehicles)
        ]
        self.step = [0] * trips.n_vehicles
        """Links of its path that a vehicle has entered."""
        self.queues: dict[Who, Queue] = {(kind, link): Queue() for kind in (EXIT, DEPARTURE) for link in range(network.n_links)}
        self.arrival_s = [math.inf] * trips.n_vehicles
        self.drop = 1.0 / (1.0 - network.capacity_drop)
        self.waiting: dict[int, set[Who]] = {link: set() for link in range(network.n_links)}
        self.tag: dict[tuple[Who, int], float] = {}
        self.served = [0.0] * network.n_links
        self.checks = 0
        self.rotations = self.rotated_vehicles = 0
        order = sorted(range(trips.n_vehicles), key=lambda vehicle: (trips.departure_s[vehicle], vehicle))
        for vehicle in order:
            self.queues[DEPARTURE, self.paths[vehicle][0]].vehicles.append((vehicle, float(trips.departure_s[vehicle])))

    def next_link(self, vehicle: int) -> int | None:
        path = self.paths[vehicle]
        return path[self.step[vehicle]] if self.step[vehicle] < len(path) else None

    def green_s(self, who: Who, time_s: float) -> float:
        signals = self.network.signals
        if signals is None or who[0] != EXIT or signals.cycle_s[who[1]] == 0:
            return time_s
        cycle_s, green_s, offset_s = (float(c[who[1]]) for c in (signals.cycle_s, signals.green_s, signals.offset_s))
        start_s = offset_s + math.floor((time_s - offset_s) / cycle_s) * cycle_s
        return time_s if time_s - start_s < green_s else max(time_s, start_s + cycle_s)

    def ready_s(self, who: Who) -> float:
        vehicle, at_front_s = self.queues[who].vehicles[0]
        turns, target = self.network.turns, self.next_link(vehicle)
        if turns is None or target is None or who[0] != EXIT:
            return at_front_s
        row = range(turns.start[who[1]], turns.start[who[1] + 1])
        return at_front_s + next((float(turns.penalty_s[k]) for k in row if turns.out_link_idx[k] == target), 0.0)

    def full(self, link: int) -> bool:
        return len(self.queues[EXIT, link].vehicles) >= self.network.storage_veh[link]

    def opens_s(self, link: int) -> float:
        """When the link takes its next vehicle."""
        if self.full(link):
            return math.inf
        queue = self.queues[EXIT, link]
        before = len(queue.entries) - int(self.network.storage_veh[link])
        backward_s = queue.exits[before] + float(self.network.backward_time_s[link]) if before >= 0 else -math.inf
        return max(queue.free_entry_s, backward_s)

    def events(self, now_s: float) -> list[tuple[float, int, int]]:
        found = []
        for (kind, link), queue in self.queues.items():
            if queue.vehicles and (kind, link) not in self.waiting_rows():
                due_s = max(self.ready_s((kind, link)), queue.free_exit_s)
                found.append((max(self.green_s((kind, link), due_s), queue.retry_s), kind, link))
        for link, rows in self.waiting.items():
            if rows and self.opens_s(link) < math.inf:
                found.append((max(now_s, self.opens_s(link)), ENTRY, link))
        return found

    def waiting_rows(self) -> set[Who]:
        return set().union(*self.waiting.values())

    def run(self, until_s: float, now_s: float = 0.0) -> float:
        """Work off all events before `until_s`; return the last event's time."""
        while True:
            due = min(self.events(now_s), default=(math.inf, 0, 0))
            check_s = (self.checks + 1) * self.options.patience_s
            if check_s <= min(due[0], until_s) and check_s < math.inf:
                self.checks += 1
                self.resolve_gridlock(check_s)
                now_s = max(now_s, check_s)
                if due[0] == math.inf and not self.events(now_s) and not self.waiting_rows():
                    return now_s
                continue
            if due[0] >= until_s:
                return now_s
            now_s = due[0]
            if due[1] == ENTRY:
                self.choose(due[2], now_s)
            else:
                self.try_exit((due[1], due[2]), now_s)

    def try_exit(self, who: Who, now_s: float) -> None:
        target = self.next_link(self.queues[who].vehicles[0][0])
        if target is not None and (self.waiting[target] or now_s < self.opens_s(target)):
            self.waiting[target].add(who)
            self.queues[who].since_s = now_s
            self.tag[who, target] = max(self.tag.get((who, target), 0.0), self.served[target])
            return
        self.move(who, now_s, queued=False)

    def choose(self, target: int, now_s: float) -> None:
        for who in list(self.waiting[target]):
            green_s = self.green_s(who, now_s)
            if green_s > now_s:
                self.waiting[target].discard(who)
                self.queues[who].retry_s = green_s
        if not self.waiting[target]:
            return
        who = min(self.waiting[target], key=lambda row: (self.tag[row, target], row))
        self.waiting[target].discard(who)
        self.served[target] = self.tag[who, target]
        weight = self.network.merge_weight[who[1]] if who[0] == EXIT else self.network.origin_weight[target]
        self.tag[who, target] += 1.0 / weight
        self.move(who, now_s, queued=True)

    def move(self, who: Who, now_s: float, *, queued: bool) -> None:
        queue = self.queues[who]
        late = now_s > self.ready_s(who)
        vehicle, _ = queue.vehicles.pop(0)
        queue.exits.append(now_s)
        queue.since_s, queue.retry_s = math.inf, -math.inf
        headway_s = float(self.network.headway_s[who[1]]) if who[0] == EXIT else 0.0
        queue.free_exit_s = now_s + (headway_s * self.drop if late else headway_s)
        target = self.next_link(vehicle)
        if target is None:
            self.arrival_s[vehicle] = now_s
            return
        self.step[vehicle] += 1
        into = self.queues[EXIT, target]
        into.entries.append(now_s)
        into.vehicles.append((vehicle, now_s + float(self.network.free_flow_time_s[target])))
        headway_s = float(self.network.entry_headway_s[target])
        into.free_entry_s = now_s + (headway_s * self.drop if queued else headway_s)

    def reroute(self, vehicle: int, way: list[int], now_s: float) -> None:
        """Change what a vehicle drives from the next node on."""
        who, queue = next((who, q) for who, q in self.queues.items() if any(v == vehicle for v, _ in q.vehicles))
        before = self.next_link(vehicle)
        self.paths[vehicle][self.step[vehicle] :] = way
        if who[0] == EXIT:
            if queue.vehicles[0][0] == vehicle and self.next_link(vehicle) != before:
                self.try_again(who, now_s)
        elif before != way[0]:
            other = (DEPARTURE, way[0])
            self.try_again(who, now_s)
            self.try_again(other, now_s)
            self.queues[other].vehicles.append(next(entry for entry in queue.vehicles if entry[0] == vehicle))
            queue.vehicles = [entry for entry in queue.vehicles if entry[0] != vehicle]
            self.queues[other].vehicles.sort(key=lambda entry: (entry[1], entry[0]))

    def try_again(self, who: Who, now_s: float) -> None:
        for rows in self.waiting.values():
            rows.discard(who)
        self.queues[who].retry_s = self.green_s(who, now_s)

    def blocked_by(self, link: int) -> int | None:
        queue = self.queues[EXIT, link]
        if queue.since_s == math.inf or (EXIT, link) not in self.waiting_rows():
            return None
        target = self.next_link(queue.vehicles[0][0])
        return target if target is not None and self.full(target) else None

    def cycles(self) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(self.network.n_links):
            chain: list[int] = []
            link: int | None = start
            while link is not None and link not in chain:
                chain.append(link)
                link = self.blocked_by(link)
            if link is not None:
                cycle = chain[chain.index(link) :]
                if all(set(cycle) != set(other) for other in found):
                    found.append(cycle)
        return found

    def resolve_gridlock(self, now_s: float) -> None:
        if self.options.gridlock == "hold":
            return
        for cycle in self.cycles():
            if any(self.queues[EXIT, link].since_s > now_s - self.options.patience_s for link in cycle):
                continue
            self.rotations += 1
            self.rotated_vehicles += len(cycle)
            movers = [self.queues[EXIT, link].vehicles[0][0] for link in cycle]
            for link in cycle:
                queue = self.queues[EXIT, link]
                queue.vehicles.pop(0)
                queue.exits.append(now_s)
                queue.since_s = math.inf
                queue.free_exit_s = now_s + float(self.network.headway_s[link]) * self.drop
                for rows in self.waiting.values():
                    rows.discard((EXIT, link))
            for place, vehicle in enumerate(movers):
                target = cycle[(place + 1) % len(cycle)]
                into = self.queues[EXIT, target]
                self.step[vehicle] += 1
                into.entries.append(now_s)
                into.vehicles.append((vehicle, now_s + float(self.network.free_flow_time_s[target])))
                into.free_entry_s = now_s + float(self.network.entry_headway_s[target]) * self.drop
