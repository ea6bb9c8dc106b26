"""Bans and delays of turns: the split graph against a search from link to link that remembers its whole way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.shortest_paths import distances
from reference.small_networks import network_of
from reference.turns import distances_with_turns, is_driven

from sim.network.road_network import RoadNetwork
from sim.network.turn_table import turn_table
from sim.network.turns import TURN_CLASS, turn_graph


@st.composite
def networks_with_turns(draw: st.DrawFn) -> RoadNetwork:
    """Draw up to 7 nodes and 18 links with random bans of two to four links and random delays; the first two are zones."""
    n_nodes = draw(st.integers(3, 7))
    pairs = [(tail, head) for tail in range(n_nodes) for head in range(n_nodes) if tail != head]
    ends = draw(st.lists(st.sampled_from(pairs), min_size=4, max_size=18))
    times = draw(st.lists(st.integers(1, 9), min_size=len(ends), max_size=len(ends)))
    capacities = draw(st.lists(st.integers(1, 5), min_size=len(ends), max_size=len(ends)))
    barred = draw(st.sampled_from([(), (), (0,)]))
    rows = [(tail, head, float(t), 100.0 * c, 0.15, 4.0) for (tail, head), t, c in zip(ends, times, capacities, strict=True)]
    network = network_of(rows, zones=[0, 1], n_nodes=n_nodes, barred=barred)
    follows = {a: [b for b in range(len(ends)) if ends[a][1] == ends[b][0]] for a in range(len(ends))}
    bans = []
    for _ in range(draw(st.integers(0, 8))):
        way = [draw(st.integers(0, len(ends) - 1))]
        for _ in range(draw(st.integers(1, 3))):
            if follows[way[-1]]:
                way.append(draw(st.sampled_from(follows[way[-1]])))
        if len(way) > 1:
            bans.append(way)
    turns = [(a, b) for a, after in follows.items() for b in after]
    delayed = draw(st.lists(st.sampled_from(turns), max_size=5)) if turns else []
    delays = {turn: float(draw(st.integers(1, 5))) for turn in delayed}
    return network.replace(turns=turn_table(bans, delays))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(networks_with_turns())
def test_shortest_paths_are_those_of_a_search_that_remembers(network: RoadNetwork) -> None:
    graph = turn_graph(network)
    cost = graph.network.free_flow_time_s.tolist()
    for zone in range(network.n_zones):
        origin = int(network.zone_node_idx[zone])
        found = distances(
            origin,
            graph.network.n_nodes,
            graph.network.tail_idx.tolist(),
            graph.network.head_idx.tolist(),
            cost,
            graph.network.node_passable.tolist(),
        )
        expected = distances_with_turns(network, origin, network.free_flow_time_s.tolist())
        for node in network.zone_node_idx.tolist():
            assert found[node] == pytest.approx(expected[node])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks_with_turns(), st.integers(0, 2**32 - 1))
def test_no_walk_through_the_graph_drives_a_ban(network: RoadNetwork, seed: int) -> None:
    graph = turn_graph(network)
    bans, draw = network.turns.bans(), np.random.default_rng(seed)
    start, link = graph.network.out_rows
    for _ in range(20):
        node, path = int(draw.integers(network.n_nodes)), []
        for step in range(25):
            out = link[start[node] : start[node + 1]]
            if not len(out) or (step and not graph.network.node_passable[node]):
                break
            path.append(int(draw.choice(out)))
            node = int(graph.network.head_idx[path[-1]])
        _, street = graph.paths_on_streets(np.array([0, len(path)]), np.array(path, dtype=np.int32))
        assert not is_driven(street.tolist(), bans)
        assert (network.head_idx[street[:-1]] == network.tail_idx[street[1:]]).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks_with_turns(), st.integers(0, 2**32 - 1))
def test_vehicles_and_their_time_are_kept_on_the_streets(network: RoadNetwork, seed: int) -> None:
    graph = turn_graph(network)
    draw = np.random.default_rng(seed)
    is_turn = graph.street_idx < 0
    flow = np.zeros(graph.network.n_links)
    flow[~is_turn] = draw.integers(1, 9, int((~is_turn).sum()))
    # The flow that arrives at a junction's row leaves it by some turn link.
    for place in np.flatnonzero(is_turn).tolist():
        flow[place] = flow[~is_turn & (graph.network.head_idx == graph.network.tail_idx[place])].sum()
    time_s = graph.network.free_flow_time_s
    on_streets = graph.flow_on_streets(flow)
    assert on_streets.sum() == pytest.approx(flow[~is_turn].sum())
    spent = float(flow @ time_s)
    assert float(on_streets @ graph.time_on_streets(flow, time_s)) == pytest.approx(spent)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks_with_turns())
def test_states_share_the_capacity_of_their_street(network: RoadNetwork) -> None:
    graph = turn_graph(network)
    on_street = graph.street_idx >= 0
    fed = np.isin(graph.network.tail_idx, graph.network.head_idx) & on_street
    total = np.bincount(graph.street_idx[fed], weights=graph.network.capacity_vph[fed], minlength=network.n_links)
    n_states = np.bincount(graph.street_idx[fed], minlength=network.n_links)
    whole = n_states == np.bincount(graph.street_idx[on_street], minlength=network.n_links)
    split = whole & (n_states > 1)
    # What no path reaches keeps a capacity of its own, so only streets all of whose states are fed by a link add up.
    assert (total[split] >= network.capacity_vph[split] * (1 - 1e-12)).all()
    assert (graph.network.capacity_vph[on_street] <= network.capacity_vph[graph.street_idx[on_street]] * (1 + 1e-12)).all()


def test_one_ban_costs_one_node_and_one_turn_link() -> None:
    # A cross: links 0 to 3 lead in, 4 to 7 lead out.
    rows = [(node, 4, 1.0, 1.0, 0.0, 1.0) for node in range(4)] + [(4, node, 1.0, 1.0, 0.0, 1.0) for node in range(4)]
    network = network_of(rows, zones=[0, 1]).replace(turns=turn_table([(0, 6)]))
    graph = turn_graph(network)
    assert (graph.network.n_nodes, graph.network.n_links) == (network.n_nodes + 1, network.n_links + 1)
    assert graph.network.link_classes[graph.network.link_class_code[-1]] == TURN_CLASS
    plain = network_of(rows, zones=[0, 1])
    assert turn_graph(plain).network is plain


def test_a_ban_of_three_links_halves_the_capacity_between_equal_streams() -> None:
    # 0 and 1 lead to 2-3, from which 3-4 and 3-5 go; who comes from 0 may not go to 4.
    rows = [(0, 2, 1.0, 50.0, 1.0, 1.0), (1, 2, 1.0, 50.0, 1.0, 1.0), (2, 3, 1.0, 80.0, 1.0, 1.0)]
    rows += [(3, 4, 1.0, 80.0, 1.0, 1.0), (3, 5, 1.0, 80.0, 1.0, 1.0)]
    network = network_of(rows, zones=[0, 1, 4, 5]).replace(turns=turn_table([(0, 2, 3)]))
    graph = turn_graph(network)
    states = graph.street_idx == 2
    assert graph.network.capacity_vph[states].tolist() == [40.0, 40.0]
    flow = np.zeros(graph.network.n_links)
    flow[states] = 30.0
    time_s = 1.0 + flow / graph.network.capacity_vph
    # Equal flows: as if the 60 vehicles shared the 80 of the undivided street.
    assert graph.time_on_streets(flow, time_s)[2] == pytest.approx(1.0 + 60 / 80)
    assert graph.flow_on_streets(flow)[2] == 60.0
