"""Streets joined in arrays against OSMnx's simplification of the same ways as a graph."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import networkx as nx
import osmnx
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network.osm_simplify import DEGREE, MappedStreets, join_streets

Way = tuple[list[int], bool]
"""Nodes, and whether it is one-way."""
Edge = tuple[int, int, tuple[tuple[float, float], ...]]


def place(node: int) -> tuple[float, float]:
    return node % 4 * 0.001, node // 4 * 0.001


@st.composite
def towns(draw: st.DrawFn) -> list[Way]:
    """Draw a few ways over twelve nodes; neighbours in a way differ, nodes may repeat."""
    ways: list[Way] = []
    for _ in range(draw(st.integers(1, 6))):
        nodes = draw(st.lists(st.integers(0, 11), min_size=2, max_size=6))
        nodes = [node for at, node in enumerate(nodes) if at == 0 or node != nodes[at - 1]]
        if len(nodes) > 1:
            ways.append((nodes, draw(st.booleans())))
    return ways


def mapped(ways: list[Way]) -> MappedStreets:
    streets = MappedStreets()
    for number, (nodes, one_way) in enumerate(ways):
        tags = {"highway": f"class {number}", "oneway": one_way}
        streets.way_id.append(number)
        streets.tags.append((tags, None if one_way else tags))
        streets.piece_start.append(len(streets.node_id))
        streets.piece_way.append(number)
        for node in nodes:
            streets.node_id.append(node)
            streets.x.append(round(place(node)[0] * DEGREE))
            streets.y.append(round(place(node)[1] * DEGREE))
    return streets


def by_osmnx(ways: list[Way]) -> Counter[Edge]:
    graph: nx.MultiDiGraph = nx.MultiDiGraph(crs="EPSG:4326", simplified=False)
    for nodes, one_way in ways:
        for node in nodes:
            graph.add_node(node, x=place(node)[0], y=place(node)[1])
        for steps in (pairwise(nodes),) if one_way else (pairwise(nodes), pairwise(nodes[::-1])):
            graph.add_edges_from(steps)
    edges: Counter[Edge] = Counter()
    for tail, head, data in osmnx.simplify_graph(graph).edges(data=True):
        points = tuple(data["geometry"].coords) if "geometry" in data else (place(tail), place(head))
        edges[tail, head, points] += 1
    return edges


@settings(max_examples=80, deadline=None, derandomize=True)
@given(towns())
def test_edges_are_those_of_osmnx(ways: list[Way]) -> None:
    if not ways:
        return
    expected = by_osmnx(ways)
    joined = join_streets(mapped(ways), frozenset())
    tails, heads = joined.node_id[joined.tail_idx].tolist(), joined.node_id[joined.head_idx].tolist()
    shapes = [tuple(map(tuple, joined.points[a:b].tolist())) for a, b in pairwise(joined.start.tolist())]
    assert Counter(zip(tails, heads, shapes, strict=True)) == expected


@settings(max_examples=30, deadline=None, derandomize=True)
@given(towns())
def test_steps_find_their_edges(ways: list[Way]) -> None:
    if not ways:
        return
    steps = {step for nodes, _ in ways for step in (*pairwise(nodes), *pairwise(nodes[::-1]))}
    joined = join_streets(mapped(ways), steps)
    for (tail, head), edge in joined.edge_of_step.items():
        points = list(map(tuple, joined.points[joined.start[edge] : joined.start[edge + 1]].tolist()))
        assert (place(tail), place(head)) in set(pairwise(points))
    if joined.tags:
        drivable = {
            step
            for nodes, one_way in ways
            for step in (pairwise(nodes) if one_way else (*pairwise(nodes), *pairwise(nodes[::-1])))
        }
        assert set(joined.edge_of_step) <= drivable
