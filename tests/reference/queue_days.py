"""Small networks of queues and their vehicles for the tests of loading, and a strategy that draws whole days at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork, Signals, TurnTable
from sim.traffic.trips import Trips


def queues_of(links: Sequence[tuple[int, int]], **columns: Any) -> QueueNetwork:
    """Return a network of (tail, head) links; a column is one value for all or one a link.

    Left out: free-flow and backward time 10 s, headway 2 s (for entries the same), storage 100 vehicles, weights 1.
    """
    size = len(links)
    given = {"free_flow_time_s": 10.0, "backward_time_s": 10.0, "headway_s": 2.0, "storage_veh": 100, "merge_weight": 1.0}
    given |= {"origin_weight": 1.0, "entry_headway_s": columns.get("headway_s", 2.0), "name": "queues"} | columns
    spread = {
        name: np.broadcast_to(np.asarray(value, dtype=np.int32 if name == "storage_veh" else np.float64), (size,)).copy()
        for name, value in given.items()
        if name not in ("name", "capacity_drop", "signals", "turns")
    }
    ends = np.asarray(links, dtype=np.int32).reshape(-1, 2)
    kept = {name: given[name] for name in ("name", "capacity_drop", "signals", "turns") if name in given}
    return QueueNetwork(
        link_id=np.arange(1, size + 1), n_nodes=int(ends.max()) + 1, tail_idx=ends[:, 0], head_idx=ends[:, 1], **spread, **kept
    )


def trips_of(vehicles: Sequence[tuple[float, Sequence[int]]]) -> Trips:
    """Return trips of (departure, links)."""
    start = np.cumsum([0, *(len(path) for _, path in vehicles)])
    links = [link for _, path in vehicles for link in path]
    return Trips(np.array([departure for departure, _ in vehicles], dtype=np.float64), start, np.array(links, dtype=np.int32))


def loaded(network: QueueNetwork, vehicles: Sequence[tuple[float, Sequence[int]]], **options: Any) -> Loading:
    """Return the day after its end, with everybody recorded."""
    loading = Loading(network, trips_of(vehicles), LoadingOptions(**{"record": "all", **options}))
    loading.run(1e6)
    return loading


def times_of(loading: Loading, link: int) -> tuple[list[float], list[float]]:
    """Return the entries and the exits of a link."""
    records = loading.records()
    rows = slice(records.start[link], records.start[link + 1])
    return records.entry_s[rows].tolist(), records.exit_s[rows].tolist()


@st.composite
def days(draw: st.DrawFn) -> tuple[QueueNetwork, Trips, LoadingOptions]:
    """Draw a small, crowded network, some vehicles with connected paths, and options."""
    n_nodes = draw(st.integers(2, 5))
    ring = [(node, (node + 1) % n_nodes) for node in range(n_nodes)]
    pairs = st.tuples(st.integers(0, n_nodes - 1), st.integers(0, n_nodes - 1)).filter(lambda pair: pair[0] != pair[1])
    links = ring + draw(st.lists(pairs, max_size=5))
    size = len(links)

    def column(values: Sequence[float]) -> NDArray[np.float64]:
        return np.array(draw(st.lists(st.sampled_from(values), min_size=size, max_size=size)), dtype=np.float64)

    has_signals, has_turns = draw(st.booleans()), draw(st.booleans())
    cycle_s = column((0.0, 20.0, 30.0))
    signals = Signals(cycle_s, np.maximum(cycle_s * 0.3, 1.0), column((0.0, 7.0))) if has_signals else None
    rows = [[b for b, (tail, _) in enumerate(links) if tail == head] for _, head in links]
    n_turns = sum(map(len, rows))
    turns = TurnTable(
        np.cumsum([0, *map(len, rows)]),
        np.array([b for row in rows for b in row], dtype=np.int32),
        np.array(draw(st.lists(st.sampled_from((0.0, 0.0, 3.0)), min_size=n_turns, max_size=n_turns))),
    )
    network = queues_of(
        links,
        free_flow_time_s=column((1.0, 2.5, 10.0)),
        backward_time_s=column((0.5, 2.0, 6.0)),
        headway_s=column((0.0, 1.0, 2.0, 3.7)),
        entry_headway_s=column((0.0, 1.0, 2.0)),
        storage_veh=column((1, 1, 2, 3)),
        merge_weight=column((1.0, 2.0)),
        origin_weight=column((0.5, 1.0)),
        capacity_drop=draw(st.sampled_from((0.0, 0.25))),
        signals=signals,
        turns=turns if has_turns else None,
    )
    vehicles = []
    for _ in range(draw(st.integers(1, 25))):
        path = [draw(st.integers(0, size - 1))]
        for _ in range(draw(st.integers(0, 6))):
            path.append(draw(st.sampled_from(rows[path[-1]])))
        vehicles.append((draw(st.sampled_from((0.0, 0.0, 1.0, 2.5, 10.0, 33.3, 60.0))), path))
    patience_s = draw(st.sampled_from((5.0, 20.0)))
    gridlock = draw(st.sampled_from(("rotate", "rotate", "hold")))
    return network, trips_of(vehicles), LoadingOptions(gridlock, patience_s, "all", 10.0)
