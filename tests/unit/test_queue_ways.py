"""Ways down trees, for many vehicles at once, and the re-routing of everybody under way."""

from __future__ import annotations

import numpy as np
import pytest
from reference.queue_days import queues_of, trips_of
from reference.shortest_paths import distances

from sim.traffic.loading import Loading
from sim.traffic.tree_ways import TreeWays, reroute_all


@pytest.mark.parametrize("seed", range(5))
def test_every_way_is_as_short_as_the_slow_twin_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEPACT_THREADS", str(1 + seed % 2))
    luck = np.random.default_rng(seed)
    n_nodes = 12
    links = [(k, (k + 1) % (n_nodes - 1)) for k in range(n_nodes - 1)]
    links += [(int(a), int(b)) for a, b in luck.integers(0, n_nodes, (20, 2)) if a != b]
    network = queues_of(links)
    time_s = luck.integers(0, 9, len(links)).astype(np.float64)
    time_s[luck.random(len(links)) < 0.1] = np.inf
    node, destination = luck.integers(0, network.n_nodes, (2, 60))
    order, start, way_links = TreeWays(network).ways(time_s, node, destination)
    assert sorted(order.tolist()) == list(range(60))
    for place, vehicle in enumerate(order):
        way = way_links[start[place] : start[place + 1]]
        here = int(node[vehicle])
        open_nodes = [True] * network.n_nodes
        tail, head = network.tail_idx.tolist(), network.head_idx.tolist()
        expected = distances(here, network.n_nodes, tail, head, time_s.tolist(), open_nodes)[destination[vehicle]]
        if here == destination[vehicle] or expected == np.inf:
            assert len(way) == 0
            continue
        for link in way:
            assert network.tail_idx[link] == here
            here = int(network.head_idx[link])
        assert here == destination[vehicle] and time_s[way].sum() == expected


def test_everybody_under_way_is_re_routed() -> None:
    """Two ways from 1 to 3; the direct one (link 1) is closed by its time, so who has not taken it yet goes by links 2 and 3."""
    network = queues_of([(0, 1), (1, 3), (1, 2), (2, 3)], headway_s=1.0)
    day = Loading(network, trips_of([(0.0, [0, 1]), (5.0, [0, 1]), (15.0, [0, 1]), (100.0, [0, 1])]))
    day.advance(12.0)
    vehicle, node = day.next_nodes(50.0)
    assert (vehicle.tolist(), node.tolist()) == ([0, 1, 2], [3, 1, 0])
    times_s = np.array([10.0, 1000.0, 10.0, 10.0])
    assert reroute_all(day, TreeWays(network), times_s, np.full(4, 3), 50.0) == 2
    day.run()
    assert day.travel_time_s().tolist() == [20.0, 30.0, 30.0, 20.0]
