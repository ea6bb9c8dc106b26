"""A naive reader of turn restrictions: sequences of places on the map that nobody may drive, straight from the file.

It shares nothing with `sim.network.restrictions`: no links, no simplification. A restriction becomes the coordinates of the last
node before via, of via, and of the first node behind it; a path is checked on the coordinates that it goes through.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import osmium

Place = tuple[float, float]
"""Longitude and latitude, rounded to 1e-7 degrees as the map has them."""


class Rule(NamedTuple):
    """Who has driven `before` may not go on to `after` (or, where `is_only`, must)."""

    before: tuple[Place, ...]
    after: Place
    is_only: bool


def place(lon: float, lat: float) -> Place:
    return round(lon, 7), round(lat, 7)


def read_rules(path: Path, relation_ids: set[int]) -> dict[int, list[Rule]]:
    """Return the rules of the relations; the ways must be whole in the file."""
    relations = {
        relation.id: (dict(relation.tags), [(member.type, member.ref, member.role) for member in relation.members])
        for relation in osmium.FileProcessor(str(path), osmium.osm.RELATION)
        if relation.id in relation_ids
    }
    wanted = {ref for _, members in relations.values() for kind, ref, _ in members if kind == "w"}
    ways: dict[int, list[tuple[int, Place]]] = {}
    for entity in osmium.FileProcessor(str(path)).with_locations("sparse_mem_array"):
        if isinstance(entity, osmium.osm.Way) and entity.id in wanted:
            ways[entity.id] = [(node.ref, place(node.lon, node.lat)) for node in entity.nodes if node.location.valid()]
    return {number: list(_rules(tags, members, ways)) for number, (tags, members) in relations.items()}


def breaks(path: list[Place], rules: list[Rule]) -> bool:
    """Return whether a path over the map breaks one of the rules."""
    for before, after, is_only in rules:
        for at in range(len(path) - len(before)):
            if tuple(path[at : at + len(before)]) == before and (path[at + len(before)] == after) != is_only:
                return True
    return False


def _rules(tags: dict[str, str], members: list[tuple[str, int, str]], ways: dict[int, list[tuple[int, Place]]]) -> list[Rule]:
    value = tags.get("restriction:motorcar") or tags["restriction"]
    rules = []
    for into in _sides(members, "from", ways):
        for out in _sides(members, "to", ways):
            for inner in _inner(members, ways):
                for entry in _beside(into, inner[0][0]):
                    for leaving in _beside(out, inner[-1][0]):
                        if len(inner) > 1 and (entry == inner[1][1] or leaving == inner[-2][1]):
                            continue
                        before = (entry, *(where for _, where in inner))
                        rules.append(Rule(before, leaving, value.startswith("only")))
    return rules


def _sides(
    members: list[tuple[str, int, str]], role: str, ways: dict[int, list[tuple[int, Place]]]
) -> list[list[tuple[int, Place]]]:
    return [ways[ref] for kind, ref, member_role in members if member_role == role and kind == "w"]


def _inner(members: list[tuple[str, int, str]], ways: dict[int, list[tuple[int, Place]]]) -> list[list[tuple[int, Place]]]:
    """Return the nodes along via, in both directions where it is a way."""
    via = [(kind, ref) for kind, ref, role in members if role == "via"]
    if via[0][0] == "n":
        where = next(spot for nodes in ways.values() for ref, spot in nodes if ref == via[0][1])
        return [[(via[0][1], where)]]
    assert len(via) == 1  # more of them do not occur in the extracts
    return [ways[via[0][1]], ways[via[0][1]][::-1]]


def _beside(nodes: list[tuple[int, Place]], node: int) -> list[Place]:
    steps = [*pairwise(nodes), *pairwise(nodes[::-1])]
    return [where for (ref, _), (_, where) in steps if ref == node]
