"""Slow twin of `sim.kernels.external_delay`: events as objects, and what each had to wait for, straight from the model."""

from __future__ import annotations

from functools import cache

from sim.traffic.driven_day import DrivenDay

SAME_S = 1e-5


def charges(day: DrivenDay) -> list[float]:
    """What one more vehicle right behind that of each record costs the others on that link."""
    network, records = day.network, day.records
    link = records.link_idx.tolist()
    entry, leave, vehicle = records.entry_s.tolist(), records.exit_s.tolist(), records.vehicle_idx.tolist()
    of_vehicle: dict[int, list[int]] = {}
    for row in sorted(range(len(link)), key=lambda r: entry[r]):
        of_vehicle.setdefault(vehicle[row], []).append(row)
    after = {row: rows[k + 1] if k + 1 < len(rows) else None for rows in of_vehicle.values() for k, row in enumerate(rows)}
    before = {row: rows[k - 1] if k > 0 else None for rows in of_vehicle.values() for k, row in enumerate(rows)}
    first, past = records.start[:-1].tolist(), records.start[1:].tolist()

    # An event is (row left or None, row entered or None).
    def event_of_entry(row: int) -> tuple[int | None, int | None]:
        return before[row], row

    def event_of_exit(row: int) -> tuple[int | None, int | None]:
        return row, after[row]

    def reasons(event: tuple[int | None, int | None]) -> dict[str, tuple[int | None, int | None]]:
        left, entered = event
        found = {}
        if entered is not None:
            b, now = link[entered], entry[entered]
            if entered > first[b] and abs(now - entry[entered - 1] - network.entry_headway_s[b]) < SAME_S:
                found["entry"] = event_of_entry(entered - 1)
            freed = entered - int(network.storage_veh[b])
            if freed >= first[b] and abs(now - leave[freed] - network.backward_time_s[b]) < SAME_S:
                found["place"] = event_of_exit(freed)
        if left is not None:
            a, now = link[left], leave[left]
            if left > first[a] and abs(now - leave[left - 1] - network.headway_s[a]) < SAME_S:
                found["exit"] = event_of_exit(left - 1)
            if abs(now - entry[left] - network.free_flow_time_s[a]) < SAME_S:
                found["own"] = event_of_entry(left)
        return found

    events = [event_of_exit(row) for row in range(len(link))] + [event_of_entry(rows[0]) for rows in of_vehicle.values()]
    tied: dict[tuple[int | None, int | None], list[tuple[int | None, int | None]]] = {}
    for event in events:
        why = reasons(event)
        for name in ("entry", "place", "exit", "own"):
            if name in why:
                tied.setdefault(why[name], []).append(event)
                break

    @cache
    def weight(event: tuple[int | None, int | None]) -> float:
        return (1.0 if event[1] is None else 0.0) + sum(weight(other) for other in tied.get(event, []))

    found = []
    for row in range(len(link)):
        a, total = link[row], 0.0
        follower = None
        if row + 1 < past[a] and "exit" in reasons(event_of_exit(row + 1)):
            follower = event_of_exit(row + 1)
            total += network.headway_s[a] * weight(follower)
        entered = after[row]
        if entered is not None and entered + 1 < past[link[entered]]:
            event = event_of_entry(entered + 1)
            if event != follower and "entry" in reasons(event):
                total += network.entry_headway_s[link[entered]] * weight(event)
        for later in range(row + 1, past[a]):
            if entry[later] < leave[row] and "place" in reasons(event_of_entry(later)):
                total += network.headway_s[a] * weight(event_of_entry(later))
        found.append(total)
    return found
