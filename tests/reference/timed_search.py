"""Slow, obvious twins: one more vehicle in the traffic of a day, and the linear programme of which the bound is the dual."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from sim.traffic.driven_day import DrivenDay
from sim.traffic.timed_paths import PathFinder


class PlainDay:
    """The records of a day as Python lists."""

    def __init__(self, driven: DrivenDay) -> None:
        self.network = driven.network
        records, trips = driven.records, driven.trips
        paths = [trips.path_link[a:b].tolist() for a, b in zip(trips.path_start[:-1], trips.path_start[1:], strict=True)]
        self.rows: list[list[tuple[float, float, object]]] = []
        self.queue_at: dict[int, list[tuple[float, float]]] = {}
        for link in range(self.network.n_links):
            rows = []
            for place in range(records.start[link], records.start[link + 1]):
                path = paths[records.vehicle_idx[place]]
                step = path.index(link)
                came_from: object = "origin" if step == 0 else path[step - 1]
                rows.append((float(records.entry_s[place]), float(records.exit_s[place]), came_from))
                if step == 0:
                    departed = float(trips.departure_s[records.vehicle_idx[place]])
                    self.queue_at.setdefault(link, []).append((departed, float(records.entry_s[place])))
            self.rows.append(rows)

    def leave(self, came_from: object, link: int, time_s: float) -> float:
        """Return when a vehicle that comes to a link at `time_s` leaves it."""
        network, rows = self.network, self.rows[link]
        if came_from == "origin":
            before = [entered for departed, entered in self.queue_at.get(link, []) if departed < time_s]
            if before:
                time_s = max(time_s, max(before) + network.entry_headway_s[link])
        place = sum(entry < time_s for entry, _, _ in rows)
        own = network.origin_weight[link] if came_from == "origin" else network.merge_weight[came_from]
        into = [a for a in range(network.n_links) if network.head_idx[a] == network.tail_idx[link]]
        patience = math.ceil((sum(network.merge_weight[a] for a in into) + network.origin_weight[link]) / own)
        last = place + patience
        while True:
            enter = time_s
            if place > 0:
                enter = max(enter, rows[place - 1][0] + network.entry_headway_s[link])
            if place >= network.storage_veh[link]:
                enter = max(enter, rows[place - network.storage_veh[link]][1] + network.backward_time_s[link])
            if place in (len(rows), last) or rows[place][2] == came_from or enter < rows[place][0] - 1e-6:
                break
            place += 1
        ready = enter + network.free_flow_time_s[link]
        return float(max(ready, rows[place - 1][1] + network.headway_s[link]) if place > 0 else ready)

    def arrival(self, path: Sequence[int], departure_s: float) -> float:
        """Return when one more vehicle arrives that drives a path."""
        now, came_from = departure_s, "origin"
        for link in path:
            now, came_from = self.leave(came_from, link, now), link  # type: ignore[assignment]
        return now

    def earliest(self, origin: int, destination: int, departure_s: float) -> float:
        """Return the earliest arrival, with one label a node (Dijkstra)."""
        network = self.network
        best = {origin: departure_s}
        heap: list[tuple[float, int, object]] = [(departure_s, origin, "origin")]
        final: set[int] = set()
        while heap:
            now, node, came_from = heapq.heappop(heap)
            if node == destination:
                return now
            if node in final:
                continue
            final.add(node)
            for link in np.flatnonzero(network.tail_idx == node).tolist():
                head = int(network.head_idx[link])
                then = self.leave(came_from, link, now)
                if head not in final and then < best.get(head, math.inf):
                    best[head] = then
                    heapq.heappush(heap, (then, head, link))
        return math.inf


def slot_programme_s(finder: PathFinder, driven: DrivenDay, cell_s: float, slot_s: float, end_s: float) -> float:
    """Return the least total time of a plan in which vehicles may be divided, links give at most slot / headway exits a slot.

    A linear programme on cells of time for one destination; free-flow times, departures and slots must be whole numbers of cells.
    """
    network = driven.network
    (target,) = finder.targets.tolist()
    n_cells = round(end_s / cell_s)
    n_nodes, n_links = network.n_nodes, network.n_links
    steps = np.round(network.free_flow_time_s / cell_s).astype(int)
    # Columns: leave(link, cell), then wait(node, cell). Everybody must be at the destination in the last cell.
    n_leave = n_links * n_cells
    cost = np.concatenate([np.repeat(network.free_flow_time_s, n_cells), np.full(n_nodes * n_cells, cell_s)])
    cost[n_leave + target * n_cells : n_leave + (target + 1) * n_cells] = 0.0
    rows, columns, values = [], [], []

    def put(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    upper = np.full(n_leave + n_nodes * n_cells, np.inf)
    for link in range(n_links):
        for cell in range(n_cells):
            put(network.tail_idx[link] * n_cells + cell, link * n_cells + cell, 1.0)
            if cell + steps[link] < n_cells:
                put(network.head_idx[link] * n_cells + cell + steps[link], link * n_cells + cell, -1.0)
            else:
                upper[link * n_cells + cell] = 0.0
    for node in range(n_nodes):
        for cell in range(n_cells):
            put(node * n_cells + cell, n_leave + node * n_cells + cell, 1.0)
            if cell + 1 < n_cells:
                put(node * n_cells + cell + 1, n_leave + node * n_cells + cell, -1.0)
    supply = np.zeros(n_nodes * n_cells)
    departs = np.round(driven.trips.departure_s / cell_s).astype(int)
    np.add.at(supply, finder.ends.origin_idx * n_cells + departs, 1.0)
    flow = coo_array((values, (rows, columns)), shape=(n_nodes * n_cells, len(cost))).tocsr()
    slot_rows, slot_columns, room = [], [], []
    per_slot = round(slot_s / cell_s)
    for link in range(n_links):
        if network.headway_s[link] == 0:
            continue
        for slot in range(-(-n_cells // per_slot)):
            cells = [c for c in range(n_cells) if (c + steps[link]) // per_slot == slot]
            slot_rows += [len(room)] * len(cells)
            slot_columns += [link * n_cells + c for c in cells]
            room.append(slot_s / network.headway_s[link])
    capacity = coo_array((np.ones(len(slot_rows)), (slot_rows, slot_columns)), shape=(len(room), len(cost))).tocsr()
    bounds = np.column_stack([np.zeros(len(cost)), upper])
    solved = linprog(cost, A_ub=capacity, b_ub=room, A_eq=flow, b_eq=supply, bounds=bounds, method="highs")
    if solved.status != 0:
        raise AssertionError(f"the programme has no solution before {end_s} s: {solved.message}")
    return float(solved.fun)


class PlainResponse:
    """Waits of a day's links at the starts of steps of time, and what becomes of them when entries come and go."""

    def __init__(self, driven: DrivenDay, n_steps: int, step_s: float) -> None:
        self.n_steps, self.step_s = n_steps, step_s
        records = driven.records
        self.base_s: list[list[float]] = []
        self.inflow: list[list[int]] = []
        self.headway_s = driven.network.headway_s.tolist()
        for link in range(driven.network.n_links):
            rows = slice(records.start[link], records.start[link + 1])
            entries, exits = records.entry_s[rows].tolist(), records.exit_s[rows].tolist()
            free_s = float(driven.network.free_flow_time_s[link])
            base = []
            for step in range(n_steps):
                before = [gone for came, gone in zip(entries, exits, strict=True) if came < step * step_s]
                base.append(max(0.0, before[-1] - free_s - step * step_s) if before else 0.0)
            self.base_s.append(base)
            self.inflow.append([sum(step * step_s <= came < (step + 1) * step_s for came in entries) for step in range(n_steps)])

    def waits_s(self, link: int, change: Sequence[float]) -> list[float]:
        """Return the waits at the starts of the steps when that many entries are added to each step."""
        base, inflow, headway_s = self.base_s[link], self.inflow[link], self.headway_s[link]
        waits = [0.0]
        for step in range(self.n_steps - 1):
            work_s = headway_s
            if inflow[step] and base[step] > 0 and base[step + 1] > 0:
                work_s = max(headway_s, min(self.step_s, (base[step + 1] - base[step] + self.step_s) / inflow[step]))
            rest_s = base[step + 1] - (base[step] + inflow[step] * work_s - self.step_s)
            if base[step + 1] == 0:
                rest_s = min(rest_s, 0.0)
            waits.append(max(0.0, waits[-1] + max(0.0, inflow[step] + change[step]) * work_s - self.step_s + rest_s))
        return waits
