"""Turn restrictions of OpenStreetMap: from relations between ways to bans between links, with what became of each relation.

A relation of type `restriction` names a way *from*, a node or ways *via* and a way *to*. `no_*` bans the turn; `only_*` bans
every other one, and with ways via every way that leaves the prescribed one before its end. A relation ends in one of three ways:
applied; refused with a reason, because it is broken, not for cars, or changes nothing among these streets; unsupported, because
it says something that this network cannot hold (a time of day, an unknown kind). Conditions are counted and not applied.
Convention: wiki.openstreetmap.org, Relation:restriction and Conditional restrictions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim.arrays import BoolColumn
from sim.network.road_network import RoadNetwork
from sim.network.turn_table import turn_table
from sim.network.turns import turn_graph

Step: TypeAlias = tuple[int, int]
"""Two neighbouring nodes of a way, in the order of driving."""
Outcome: TypeAlias = Literal["applied", "refused", "unsupported"]

_CAR_KEYS: Final = ("restriction:motorcar", "restriction:motor_vehicle", "restriction")
"""Keys that bind a car, the most special first."""
_CAR_CLASSES: Final = {"motorcar", "motor_vehicle", "vehicle"}
_KIND: Final = re.compile(r"(no|only)_(left_turn|right_turn|straight_on|u_turn|entry|exit)")
_TIMED_KEYS: Final = ("day_on", "day_off", "hour_on", "hour_off")
_MANY_FROM: Final = "no_entry"
_MANY_TO: Final = "no_exit"


class Relation(NamedTuple):
    """A relation as the file has it."""

    relation_id: int
    tags: Mapping[str, str]
    members: tuple[tuple[str, str, int], ...]
    """(role, "n" or "w" or "r", id) of each member."""


class RelationOutcome(NamedTuple):
    """What became of a relation; the reason is "" where it was applied."""

    relation_id: int
    outcome: Outcome
    reason: str


class _Stated(NamedTuple):
    """What a relation that can be read says."""

    relation_id: int
    is_only: bool
    from_ways: tuple[int, ...]
    via_node: int | None
    via_ways: tuple[int, ...]
    to_ways: tuple[int, ...]


class _Refused(Exception):
    """A relation cannot be applied; the reason is for people."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome


def is_restriction(type_tag: str) -> bool:
    """Return whether a relation of this type is a turn restriction of any kind."""
    return type_tag.partition(":")[0] == "restriction"


def ways_of(relations: Iterable[Relation]) -> set[int]:
    """Return the ids of all ways that the relations name."""
    return {ref for relation in relations for _, kind, ref in relation.members if kind == "w"}


def steps_of(pieces: Iterable[Sequence[int]]) -> Iterator[Step]:
    """Yield every step of a way's pieces, in both directions."""
    for piece in pieces:
        for before, after in pairwise(piece):
            yield before, after
            yield after, before


def with_restrictions(
    network: RoadNetwork,
    relations: Sequence[Relation],
    pieces_of_way: Mapping[int, Sequence[Sequence[int]]],
    link_of_step: Mapping[Step, int],
) -> tuple[RoadNetwork, list[RelationOutcome]]:
    """Return the network with the bans that the relations state, and what became of each relation, in their order.

    Parameters
    ----------
    network
        Streets without zones; its node ids are those of the file.
    pieces_of_way
        Node ids of the drivable ways that the relations name, in pieces that lie in the extract.
    link_of_step
        Position of the link that a step of those ways became part of; steps that nobody can drive are missing.
    """
    outcomes: dict[int, RelationOutcome] = {}
    bans_of: dict[int, list[tuple[int, ...]]] = {}
    streets = _Streets(network, pieces_of_way, link_of_step)
    for relation in relations:
        try:
            bans_of[relation.relation_id] = streets.bans(_stated(relation))
            outcomes[relation.relation_id] = RelationOutcome(relation.relation_id, "applied", "")
        except _Refused as refusal:
            outcomes[relation.relation_id] = RelationOutcome(relation.relation_id, refusal.outcome, str(refusal))
    while bans_of:
        network = network.replace(turns=turn_table(ban for bans in bans_of.values() for ban in bans))
        is_cut = _cut_off(network)
        guilty = [number for number, bans in bans_of.items() if any(is_cut[link] for ban in bans for link in ban)]
        if not guilty:
            break
        for number in guilty:
            del bans_of[number]
            outcomes[number] = RelationOutcome(number, "refused", "with the others it would cut off streets")
    if not bans_of:
        network = network.replace(turns=turn_table())
    listed = [outcomes[relation.relation_id] for relation in relations]
    counts = _counts(listed)
    # The unconditional part of such a relation counts, its condition does not.
    conditional = sum(any(key.endswith(":conditional") for key in relation.tags) for relation in relations)
    if conditional:
        counts["turn_restrictions with conditions that are left out"] = conditional
    return network.replace(cleaning=network.cleaning.plus(counts=counts)), listed


def _counts(outcomes: Sequence[RelationOutcome]) -> dict[str, int]:
    """Return the counts for the cleaning report: all, and those of each outcome and reason."""
    counts = {"turn_restrictions": len(outcomes)}
    found = Counter(f"turn_restrictions_{outcome}{f': {reason}' if reason else ''}" for _, outcome, reason in outcomes)
    return counts | dict(sorted(found.items()))


def _cut_off(network: RoadNetwork) -> BoolColumn:
    """Return which links cannot be reached from the largest strong component of the turn graph, or not lead back to it."""
    graph = turn_graph(network)
    links = graph.network
    ones = np.ones(links.n_links, dtype=np.int8)
    matrix = coo_array((ones, (links.tail_idx, links.head_idx)), shape=(links.n_nodes, links.n_nodes))
    _, component = connected_components(matrix, directed=True, connection="strong")
    largest = component == np.argmax(np.bincount(component))
    joined = largest[links.tail_idx] & largest[links.head_idx] & (graph.street_idx >= 0)
    return np.asarray(np.bincount(graph.street_idx[joined], minlength=network.n_links) == 0)


def _stated(relation: Relation) -> _Stated:
    """Read the tags and members of a relation; _Refused where it cannot be applied whatever the streets are."""
    tags = relation.tags
    value = next((tags[key] for key in _CAR_KEYS if key in tags), None)
    exempt = set(re.split(r"\s*[;,]\s*", tags.get("except", "")))
    if value is None:
        if any(key.startswith("restriction") and key.endswith(":conditional") for key in tags):
            raise _Refused("unsupported", "it holds under conditions only")
        raise _Refused("refused", "it is for other vehicles")
    if exempt & _CAR_CLASSES:
        raise _Refused("refused", "it exempts cars")
    if any(key in tags for key in _TIMED_KEYS):
        raise _Refused("unsupported", "it holds under conditions only")
    kind = _KIND.fullmatch(value)
    if kind is None:
        raise _Refused("unsupported", "its kind is unknown")
    by_role: dict[str, list[tuple[str, int]]] = {"from": [], "via": [], "to": []}
    for role, member_kind, ref in relation.members:
        if role in by_role:
            by_role[role].append((member_kind, ref))
    if not all(by_role.values()):
        raise _Refused("refused", "it lacks a member (from, via or to)")
    from_ways, to_ways = (tuple(ref for member_kind, ref in by_role[role] if member_kind == "w") for role in ("from", "to"))
    via_nodes, via_ways = (tuple(ref for member_kind, ref in by_role["via"] if member_kind == wanted) for wanted in "nw")
    if len(from_ways) < len(by_role["from"]) or len(to_ways) < len(by_role["to"]):
        raise _Refused("refused", "from or to is no way")
    if (len(from_ways) > 1 and value != _MANY_FROM) or (len(to_ways) > 1 and value != _MANY_TO):
        raise _Refused("refused", "it has several members from or to")
    if len(via_nodes) + len(via_ways) < len(by_role["via"]) or len(via_nodes) > 1 or (via_nodes and via_ways):
        raise _Refused("unsupported", "its via is neither one node nor ways")
    via_node = via_nodes[0] if via_nodes else None
    return _Stated(relation.relation_id, kind[1] == "only", from_ways, via_node, via_ways, to_ways)


class _Streets:
    """The drivable ways and links among which relations are read."""

    def __init__(
        self,
        network: RoadNetwork,
        pieces_of_way: Mapping[int, Sequence[Sequence[int]]],
        link_of_step: Mapping[Step, int],
    ) -> None:
        self.pieces_of_way = pieces_of_way
        self.link_of_step = link_of_step
        self.tail_id = network.node_id[network.tail_idx]
        self.head_id = network.node_id[network.head_idx]
        self.head_idx = network.head_idx
        self.start, self.leaving = network.out_rows

    def bans(self, stated: _Stated) -> list[tuple[int, ...]]:
        """Return the banned sequences of links of one relation; _Refused where there are none."""
        for way in (*stated.from_ways, *stated.via_ways, *stated.to_ways):
            if way not in self.pieces_of_way:
                raise _Refused("refused", "a member is no drivable street here")
        bans: list[tuple[int, ...]] = []
        for from_way in stated.from_ways:
            for to_way in stated.to_ways:
                links = self._links_over(self._steps(stated, from_way, to_way))
                bans += self._other_ways(links) if stated.is_only else [links]
        if not bans:
            raise _Refused("refused", "it changes nothing: there is no other way")
        return bans

    def _steps(self, stated: _Stated, from_way: int, to_way: int) -> list[Step]:
        """Return the steps of the way that the relation speaks of: into via, along it, out of it."""
        if stated.via_node is not None:
            first = last = stated.via_node
            inner: list[int] = [first]
        else:
            inner = self._via_nodes(stated.via_ways, from_way, to_way)
            first, last = inner[0], inner[-1]
        into = [(node, first) for node in self._neighbours(from_way, first)]
        out = [(last, node) for node in self._neighbours(to_way, last)]
        if not into or not out:
            raise _Refused("refused", "its members do not meet")
        # Whoever comes along the ways via has not come from them.
        if len(inner) > 1:
            into = [step for step in into if step[0] != inner[1]] or into
            out = [step for step in out if step[1] != inner[-2]] or out
        into, out = ([step for step in steps if step in self.link_of_step] for steps in (into, out))
        along = list(pairwise(inner))
        if not into or not out or any(step not in self.link_of_step for step in along):
            raise _Refused("refused", "it changes nothing: nobody can drive there anyway")
        if len(into) > 1 or len(out) > 1:
            raise _Refused("refused", "a member runs on through the junction: which turn is meant is open")
        return [into[0], *along, out[0]]

    def _neighbours(self, way: int, node: int) -> list[int]:
        """Return the nodes beside `node` on a way."""
        return list(dict.fromkeys(after for before, after in steps_of(self.pieces_of_way[way]) if before == node))

    def _via_nodes(self, via_ways: Sequence[int], from_way: int, to_way: int) -> list[int]:
        """Return the nodes along the ways via, from the end that `from_way` has to the end that `to_way` has."""
        if any(len(self.pieces_of_way[way]) != 1 for way in via_ways):
            raise _Refused("refused", "a way via leaves the extract")
        from_nodes, to_nodes = ({node for piece in self.pieces_of_way[way] for node in piece} for way in (from_way, to_way))
        for first in dict.fromkeys(node for way in via_ways for node in self._ends(way)):
            nodes, left = [first], list(via_ways)
            while left:
                way = next((way for way in left if nodes[-1] in self._ends(way)), None)
                if way is None:
                    break
                left.remove(way)
                piece = list(self.pieces_of_way[way][0])
                nodes += piece[1:] if piece[0] == nodes[-1] else piece[-2::-1]
            if not left and first in from_nodes and nodes[-1] in to_nodes:
                return nodes
        raise _Refused("refused", "its members do not meet")

    def _ends(self, way: int) -> tuple[int, int]:
        piece = self.pieces_of_way[way][0]
        return piece[0], piece[-1]

    def _links_over(self, steps: Sequence[Step]) -> tuple[int, ...]:
        """Return the links of consecutive steps, each once in a row; _Refused where no junction lies between first and last."""
        links = [self.link_of_step[step] for step in steps]
        way = [link for place, link in enumerate(links) if place == 0 or link != links[place - 1]]
        follows = all(self.head_id[before] == self.tail_id[after] for before, after in pairwise(way))
        if len(way) < 2 or not follows:
            raise _Refused("refused", "via is no junction of drivable streets")
        return tuple(way)

    def _other_ways(self, way: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return every way that starts like this one and leaves it."""
        bans = []
        for place in range(1, len(way)):
            node = self.head_idx[way[place - 1]]
            others = self.leaving[self.start[node] : self.start[node + 1]].tolist()
            bans += [(*way[:place], other) for other in others if other != way[place]]
        return bans
