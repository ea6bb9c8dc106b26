"""Slow twins of the shortest-path kernels: relax every link until nothing changes, contract node by node, walk every path."""

from __future__ import annotations

import math
from collections.abc import Sequence

Link = tuple[int, int, float]


def labels(source: int, n_nodes: int, links: Sequence[Link], passable: Sequence[bool]) -> list[float]:
    """Return the cost of a cheapest path from `source` to every node, inf where none leads (Bellman and Ford)."""
    label = [math.inf] * n_nodes
    label[source] = 0.0
    changed = True
    while changed:
        changed = False
        for tail, head, cost in links:
            if (passable[tail] or tail == source) and label[tail] + cost < label[head]:
                label[head] = label[tail] + cost
                changed = True
    return label


def higher_neighbours(n_nodes: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the higher neighbours of every node after contracting 0, 1, ... in turn: each contraction joins them pairwise."""
    joined: list[set[int]] = [set() for _ in range(n_nodes)]
    for one, other in pairs:
        if one != other:
            joined[one].add(other)
            joined[other].add(one)
    result = []
    for node in range(n_nodes):
        higher = sorted(other for other in joined[node] if other > node)
        result.append(higher)
        for one in higher:
            joined[one] |= set(higher) - {one}
    return result


def check_tree(
    source: int,
    label: Sequence[float],
    tree_link: Sequence[int],
    links: Sequence[Link],
    passable: Sequence[bool],
    rounding: float,
) -> None:
    """Assert that every reached node has a link that explains its label, and that the links lead back to the source."""
    assert label[source] == 0.0
    assert tree_link[source] == -1
    for node in range(len(label)):
        if node == source or label[node] == math.inf:
            assert tree_link[node] == -1
            continue
        here, steps = node, 0
        while here != source:
            tail, head, cost = links[tree_link[here]]
            assert head == here
            assert passable[tail] or tail == source
            assert math.isclose(label[tail] + cost, label[here], rel_tol=rounding, abs_tol=0.0)
            here = tail
            steps += 1
            assert steps <= len(label), "the tree has a cycle"


def check_path(
    source: int, target: int, cost: float, path: Sequence[int], links: Sequence[Link], passable: Sequence[bool], rounding: float
) -> None:
    """Assert that `path` drives from `source` to `target`, meets no node twice, passes no closed node and has this cost."""
    nodes = [source]
    total = 0.0
    for link in path:
        assert links[link][0] == nodes[-1]
        nodes.append(links[link][1])
        total += links[link][2]
    assert nodes[-1] == target
    assert len(set(nodes)) == len(nodes)
    assert all(passable[node] for node in nodes[1:-1])
    assert math.isclose(total, cost, rel_tol=rounding, abs_tol=0.0)
