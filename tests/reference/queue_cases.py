"""Small networks of queues and their travellers for the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from sim.traffic.queue_network import QueueNetwork
from sim.traffic.search_graph import search_graph
from sim.traffic.timed_paths import PathFinder, TripEnds

Row = tuple[int, int, float, float, int]
"""Tail, head, free-flow time (s), headway (s), storage (vehicles)."""
PLENTY = 100_000


def queues_of(rows: Sequence[Row], *, backward_time_s: float = 1.0) -> QueueNetwork:
    """Return a network of queues; merging links share in proportion to their capacities."""
    tail, head, free_s, headway_s, storage = (np.array(column) for column in zip(*rows, strict=True))
    weight = 1.0 / np.maximum(headway_s.astype(np.float64), 0.1)
    return QueueNetwork(
        name="small",
        link_id=np.arange(len(rows)),
        n_nodes=1 + int(max(tail.max(), head.max())),
        tail_idx=tail.astype(np.int32),
        head_idx=head.astype(np.int32),
        free_flow_time_s=free_s.astype(np.float64),
        backward_time_s=np.full(len(rows), backward_time_s),
        headway_s=headway_s.astype(np.float64),
        entry_headway_s=headway_s.astype(np.float64),
        storage_veh=storage.astype(np.int32),
        merge_weight=weight,
        origin_weight=weight,
    )


def finder_of(network: QueueNetwork, origin: Sequence[int], destination: Sequence[int]) -> PathFinder:
    """Return the searches for some travellers on all of the network."""
    return PathFinder(search_graph(network), TripEnds(np.array(origin, dtype=np.int32), np.array(destination, dtype=np.int32)))


def ring_rows(draw: st.DrawFn, n_nodes: int, n_chords: int) -> list[Row]:
    """Return a ring, so that everything is connected, with chords across it."""
    times = st.integers(min_value=2, max_value=40)
    headways = st.integers(min_value=1, max_value=12)
    stores = st.integers(min_value=8, max_value=40)
    pairs = [(node, (node + 1) % n_nodes) for node in range(n_nodes)]
    for _ in range(n_chords):
        tail = draw(st.integers(min_value=0, max_value=n_nodes - 1))
        pairs.append((tail, (tail + draw(st.integers(min_value=1, max_value=n_nodes - 1))) % n_nodes))
    return [(tail, head, float(draw(times)), draw(headways) / 2.0, draw(stores)) for tail, head in pairs]


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[QueueNetwork, PathFinder, np.ndarray]:
    """Draw a congested network that spills back, travellers on it, and their departures."""
    n_nodes = draw(st.integers(min_value=3, max_value=6))
    network = queues_of(ring_rows(draw, n_nodes, draw(st.integers(min_value=1, max_value=8))))
    n_vehicles = draw(st.integers(min_value=1, max_value=60))
    seed = draw(st.integers(min_value=0, max_value=2**16))
    luck = np.random.default_rng(seed)
    origin = luck.integers(0, n_nodes, n_vehicles)
    destination = (origin + luck.integers(1, n_nodes, n_vehicles)) % n_nodes
    departure_s = np.sort(luck.uniform(0.0, draw(st.sampled_from([5.0, 60.0, 300.0])), n_vehicles))
    return network, finder_of(network, origin.tolist(), destination.tolist()), departure_s
