"""Streets from junction to junction: the steps of OpenStreetMap's ways joined into edges, in arrays.

The rule is that of G. Boeing 2025, *Topological graph simplification solutions to the street intersection miscount problem*
(Transactions in GIS 29), as OSMnx applies it, and gives the same edges: a node is an end unless it joins exactly two neighbours
by one street that runs on, in one direction or in both. Between two neighbours that are not both ends, the first of several
parallel steps stands for all. Rings without an end belong to nothing else and are left out. OSMnx does the same on a graph of
Python objects, which took most of the time and more than a gigabyte for a city.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.network.restrictions import Step

FORWARD, BACKWARD = 0, 1
DirectedTags: TypeAlias = tuple[dict[str, Any] | None, dict[str, Any] | None]
"""Tags of a way along it and against it; None for a direction that is closed."""
DEGREE: Final = 1e7
"""Parts of a degree in which OpenStreetMap keeps coordinates."""
_NO_STEP: Final = -1
_SIGN_KINDS: Final = ("", "give_way", "stop")
"""Kinds of sign by their code."""


class Sign(NamedTuple):
    """A stop or give-way sign on a node."""

    kind: str
    direction: str
    """Direction of the way that it is for, "" where the map does not say."""
    is_for_all: bool
    """Whether it stands at a junction and counts for everybody who comes there."""


@dataclass
class MappedStreets:
    """Drivable ways as they were read; a piece is a stretch of a way that lies in the extract.

    Attributes
    ----------
    way_id, tags
        Id and tags of each way. Ways with the same tags share the dictionaries, which nobody may change: one for each way
        and edge took most of the memory.
    node_id, x, y
        Nodes of all pieces in a row: id, longitude and latitude in `DEGREE` parts of a degree, as the map has them.
    piece_start, piece_way
        First node of each piece, and its way's position.
    signals
        Nodes with traffic signals, and the direction of the way that they are for ("" for both).
    signs
        Nodes with stop and give-way signs.
    """

    way_id: array[int] = field(default_factory=lambda: array("q"))
    tags: list[DirectedTags] = field(default_factory=list)
    node_id: array[int] = field(default_factory=lambda: array("q"))
    x: array[int] = field(default_factory=lambda: array("i"))
    y: array[int] = field(default_factory=lambda: array("i"))
    piece_start: array[int] = field(default_factory=lambda: array("q"))
    piece_way: array[int] = field(default_factory=lambda: array("q"))
    signals: dict[int, str] = field(default_factory=dict)
    signs: dict[int, Sign] = field(default_factory=dict)
    _known_tags: dict[tuple[tuple[str, str], ...], DirectedTags] = field(default_factory=dict)

    def shared_tags(self, tags: Mapping[str, str], directed: Callable[[Mapping[str, str]], DirectedTags]) -> DirectedTags:
        """Return `directed(tags)`, the same object for the same tags."""
        key = tuple(sorted(tags.items()))
        found = self._known_tags.get(key)
        if found is None:
            found = self._known_tags[key] = directed(tags)
        return found

    def pieces_of(self, wanted: Set[int]) -> dict[int, list[list[int]]]:
        """Return the nodes of some ways in pieces, by the ids of the ways; ways that are not here are left out."""
        ends = [*self.piece_start, len(self.node_id)]
        found: dict[int, list[list[int]]] = {}
        for piece, way in enumerate(self.piece_way):
            if self.way_id[way] in wanted:
                found.setdefault(self.way_id[way], []).append(self.node_id[ends[piece] : ends[piece + 1]].tolist())
        return found


@dataclass(frozen=True, eq=False)
class JoinedStreets:
    """Edges from end to end.

    Attributes
    ----------
    node_id, xy
        Ids of the ends, sorted, and their coordinates in degrees.
    tail_idx, head_idx
        Ends of each edge.
    tags
        Tags of each edge, the same object for many of them; a value is a list where its steps differ.
    start, points
        Shape of edge i: `points[start[i]:start[i + 1]]`, ends included.
    edge_of_step
        Edge that goes over each of the steps that were asked for.
    """

    node_id: OffsetColumn
    xy: FloatColumn
    tail_idx: IndexColumn
    head_idx: IndexColumn
    tags: list[dict[str, Any]]
    start: OffsetColumn
    points: FloatColumn
    edge_of_step: dict[Step, int]


class _Steps(NamedTuple):
    """Directed steps from node to node, in the order in which ways are read."""

    tail: IndexColumn
    head: IndexColumn
    way: IndexColumn
    direction: NDArray[np.int8]
    signals: BoolColumn
    sign: NDArray[np.int8]

    def take(self, chosen: OffsetColumn) -> _Steps:
        """Return some of the steps."""
        return _Steps(
            self.tail[chosen],
            self.head[chosen],
            self.way[chosen],
            self.direction[chosen],
            self.signals[chosen],
            self.sign[chosen],
        )


def join_streets(streets: MappedStreets, wanted: Set[Step]) -> JoinedStreets:
    """Join the steps of ways into edges between ends; `wanted` are steps whose edges are asked for.

    The nodes of the streets are used up, for the sake of memory.
    """
    node_id, xy, node_of_ref = _nodes(streets)
    steps = _steps(streets, node_id, node_of_ref, xy)
    del node_of_ref
    is_end = _ends(steps, len(node_id))
    steps = _without_doubles(steps, is_end)
    chain_start, chain_step = _chains(steps, is_end)
    first_node, last_node = steps.tail[chain_step[chain_start[:-1]]], steps.head[chain_step[chain_start[1:] - 1]]
    # The points of a chain are the heads of its steps behind its first tail.
    start = chain_start + np.arange(len(chain_start))
    point = np.empty(int(start[-1]), dtype=np.int32)
    is_first = np.zeros(len(point), dtype=np.bool_)
    is_first[start[:-1]] = True
    point[is_first], point[~is_first] = first_node, steps.head[chain_step]
    tags = _tags_of_chains(streets, steps, chain_start, chain_step)
    edge_of_step = _edges_of(wanted, steps, node_id, chain_start, chain_step)
    # The most memory is taken here: what has served goes before the shapes come.
    del steps, chain_step, chain_start, is_first, is_end
    used = np.zeros(len(node_id), dtype=np.bool_)
    used[first_node] = used[last_node] = True
    new_idx = (np.cumsum(used) - 1).astype(np.int32)
    return JoinedStreets(node_id[used], xy[used], new_idx[first_node], new_idx[last_node], tags, start, xy[point], edge_of_step)


def _nodes(streets: MappedStreets) -> tuple[OffsetColumn, FloatColumn, IndexColumn]:
    """Return the ids of all nodes, sorted, their coordinates, and the position there of each node of each piece.

    The nodes of the streets are used up.
    """
    node_id, first, of_ref = np.unique(np.frombuffer(streets.node_id, np.int64), return_index=True, return_inverse=True)
    xy = np.column_stack([np.frombuffer(streets.x, np.int32)[first], np.frombuffer(streets.y, np.int32)[first]]) / DEGREE
    for used_up in (streets.node_id, streets.x, streets.y):
        del used_up[:]
    return node_id, xy, of_ref.astype(np.int32)


def _steps(streets: MappedStreets, node_id: OffsetColumn, node_of_ref: IndexColumn, xy: FloatColumn) -> _Steps:
    """Return every step of every piece in each direction that is open, piece by piece, first along the way.

    Positions have 4 bytes: a file with more than 2 thousand million steps fits no memory either way.
    """
    begins = np.array([*streets.piece_start, len(node_of_ref)], dtype=np.int64)
    n_along = (np.diff(begins) - 1).astype(np.int32)
    way_of_piece = np.array(streets.piece_way, dtype=np.int32)
    is_open = np.array([[tags is not None for tags in both] for both in streets.tags], dtype=np.bool_).reshape(-1, 2)
    n_in_direction = n_along[:, None] * is_open[way_of_piece]
    tail, head, direction = _in_order(begins, node_of_ref, n_in_direction)
    way = np.repeat(way_of_piece, n_in_direction.sum(axis=1))
    # A step meets signals that are for its direction, or for both.
    stops_at = np.zeros((2, len(node_id)), dtype=np.bool_)
    for node, place in zip(*_places(list(streets.signals), node_id), strict=True):
        stops_at[FORWARD, place] = streets.signals[node] != "backward"
        stops_at[BACKWARD, place] = streets.signals[node] != "forward"
    sign = np.zeros(len(tail), dtype=np.int8)
    if streets.signs:
        of = _signs(streets, node_of_ref, begins, node_id, xy)
        for step in np.flatnonzero(np.isin(head, [node for _, node, _ in of])).tolist():
            sign[step] = _SIGN_KINDS.index(of.get((int(way[step]), int(head[step]), int(direction[step])), ""))
    return _Steps(tail, head, way, direction, stops_at[direction, head], sign)


def _in_order(
    begins: OffsetColumn, node_of_ref: IndexColumn, n_in_direction: IndexColumn
) -> tuple[IndexColumn, IndexColumn, NDArray[np.int8]]:
    """Return tails, heads and directions of the steps, given how many each piece has along it and against it."""
    n_of_piece = n_in_direction.sum(axis=1)
    first = np.cumsum(n_of_piece) - n_of_piece
    tail, head = np.empty(int(n_of_piece.sum()), dtype=np.int32), np.empty(int(n_of_piece.sum()), dtype=np.int32)
    direction = np.empty(len(tail), dtype=np.int8)
    for way_along, onward, begin in ((FORWARD, 1, begins[:-1]), (BACKWARD, -1, begins[1:] - 1)):
        count = n_in_direction[:, way_along]
        number = np.arange(int(count.sum()), dtype=np.int32) - np.repeat(np.cumsum(count) - count, count).astype(np.int32)
        place, ref = np.repeat(first, count) + number, np.repeat(begin, count) + onward * number
        tail[place], head[place], direction[place] = node_of_ref[ref], node_of_ref[ref + onward], way_along
        first = first + count
    return tail, head, direction


def _places(ids: list[int], node_id: OffsetColumn) -> tuple[list[int], list[int]]:
    """Return those of some node ids that lie on streets, and their positions."""
    place = np.searchsorted(node_id, ids)
    found = [(node, int(at)) for node, at in zip(ids, place, strict=True) if at < len(node_id) and node_id[at] == node]
    return [node for node, _ in found], [at for _, at in found]


def _signs(
    streets: MappedStreets, node_of_ref: IndexColumn, begins: OffsetColumn, node_id: OffsetColumn, xy: FloatColumn
) -> dict[tuple[int, int, int], str]:
    """Return the kind of sign for (way, node, direction).

    A sign without a direction counts for those who drive to the nearer junction; one at a junction for everybody where the map
    says so (stop=all), and otherwise for nobody, because whom it stops is not known.
    """
    found: dict[tuple[int, int, int], str] = {}
    uses = np.bincount(node_of_ref, minlength=len(node_id))
    ids, places = _places(list(streets.signs), node_id)
    sign_of = {place: streets.signs[node] for node, place in zip(ids, places, strict=True)}
    for ref in np.flatnonzero(np.isin(node_of_ref, places)).tolist():
        node = int(node_of_ref[ref])
        piece = int(np.searchsorted(begins, ref, side="right")) - 1
        way, sign = streets.piece_way[piece], sign_of[node]
        if sign.direction in ("forward", "backward"):
            directions = [FORWARD if sign.direction == "forward" else BACKWARD]
        elif uses[node] > 1:
            directions = [FORWARD, BACKWARD] if sign.is_for_all else []
        else:
            nodes = node_of_ref[begins[piece] : begins[piece + 1]]
            here = ref - begins[piece]
            ahead, behind = (_way_to_junction(part, uses, xy) for part in (nodes[here:], nodes[here::-1]))
            directions = [FORWARD if ahead <= behind else BACKWARD]
        for direction in directions:
            found[way, node, direction] = sign.kind
    return found


def _way_to_junction(nodes: IndexColumn, uses: OffsetColumn, xy: FloatColumn) -> float:
    """Return the distance in degrees along nodes up to the first that other ways use."""
    further = np.flatnonzero(uses[nodes[1:]] > 1)
    if not len(further):
        return float("inf")
    along = xy[nodes[: further[0] + 2]]
    return float(np.hypot(*np.diff(along, axis=0).T).sum())


def _ends(steps: _Steps, n_nodes: int) -> BoolColumn:
    """Return which nodes are ends of edges."""
    n_out, n_in = np.bincount(steps.tail, minlength=n_nodes), np.bincount(steps.head, minlength=n_nodes)
    one, other = np.minimum(steps.tail, steps.head), np.maximum(steps.tail, steps.head)
    pairs = np.unique(one.astype(np.int64) * n_nodes + other)
    n_neighbours = np.bincount(np.concatenate(np.divmod(pairs, n_nodes)), minlength=n_nodes)
    degree = n_out + n_in
    runs_on = (n_out > 0) & (n_in > 0) & (n_neighbours == 2) & ((degree == 2) | (degree == 4))
    loops = np.zeros(n_nodes, dtype=np.bool_)
    loops[steps.tail[steps.tail == steps.head]] = True
    return np.asarray(~runs_on | loops)


def _without_doubles(steps: _Steps, is_end: BoolColumn) -> _Steps:
    """Return the steps without those that repeat the ends of an earlier one, one of which is no end of edges."""
    _, first = np.unique(steps.tail.astype(np.int64) * len(is_end) + steps.head, return_index=True)
    kept = is_end[steps.tail] & is_end[steps.head]
    kept[first] = True
    return steps if kept.all() else steps.take(np.flatnonzero(kept))


def _chains(steps: _Steps, is_end: BoolColumn) -> tuple[OffsetColumn, IndexColumn]:
    """Return the steps from end to end: those of chain k are `step[start[k]:start[k + 1]]`."""
    n_nodes = len(is_end)
    leaving = np.argsort(steps.tail, kind="stable").astype(np.int32)
    start = np.concatenate([[0], np.cumsum(np.bincount(steps.tail, minlength=n_nodes))])
    # Behind a node that is no end there are one or two ways: the one that does not lead back is taken.
    first, count = start[:-1][steps.head], np.diff(start)[steps.head]
    last_place = max(len(leaving) - 1, 0)
    onward, other = leaving[np.minimum(first, last_place)], leaving[np.minimum(first + 1, last_place)]
    leads_back = steps.head[onward] == steps.tail
    follows = np.where(leads_back, np.where(count > 1, other, _NO_STEP), onward)
    follows[is_end[steps.head] | (count == 0)] = _NO_STEP
    next_step = _one_by_one(follows)
    begins, chained = array("i"), array("i")
    for step in _one_by_one(np.flatnonzero(is_end[steps.tail])):
        begins.append(len(chained))
        while step != _NO_STEP:
            chained.append(step)
            step = next_step[step]
    begins.append(len(chained))
    return np.array(begins, dtype=np.int64), np.array(chained, dtype=np.int32)


def _one_by_one(numbers: IndexColumn | OffsetColumn) -> array[int]:
    """Return integers in a form that makes one Python number at a time, where a list would hold them all."""
    plain: array[int] = array("i" if numbers.dtype == np.int32 else "q")
    plain.frombytes(numbers.tobytes())
    return plain


def _tags_of_chains(
    streets: MappedStreets, steps: _Steps, chain_start: OffsetColumn, chain_step: IndexColumn
) -> list[dict[str, Any]]:
    """Return the tags of each edge: those that its steps share as they are, others as the list of their values."""
    known: dict[tuple[tuple[int, ...], bool, frozenset[int]], dict[str, Any]] = {}
    found = []
    for first, past in pairwise(_one_by_one(chain_start)):
        chain = chain_step[first:past]
        ways = dict.fromkeys(zip(steps.way[chain].tolist(), steps.direction[chain].tolist(), strict=True))
        parts = [tags for way, direction in ways if (tags := streets.tags[way][direction]) is not None]
        signals, signs = bool(steps.signals[chain].any()), frozenset(steps.sign[chain].tolist()) - {0}
        # Dictionaries of the same tags are the same object, which lives as long as the streets.
        key = tuple(map(id, parts)), signals, signs
        tags = known.get(key)
        if tags is None:
            tags = known[key] = _tags(parts, signals=signals, signs=signs)
        found.append(tags)
    return found


def _tags(parts: Sequence[dict[str, Any]], *, signals: bool, signs: Set[int]) -> dict[str, Any]:
    tags = dict(parts[0]) if len(parts) == 1 else _merged(parts)
    if signals:
        tags["signals"] = "yes"
    if signs:
        tags["sign"] = sorted(_SIGN_KINDS[sign] for sign in signs)
    return tags


def _merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for part in parts:
        for key, value in part.items():
            if value not in values.setdefault(key, []):
                values[key].append(value)
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def _edges_of(
    wanted: Set[Step], steps: _Steps, node_id: OffsetColumn, chain_start: OffsetColumn, chain_step: IndexColumn
) -> dict[Step, int]:
    """Return the edge that goes over each wanted step."""
    if not wanted:
        return {}
    edge_of_step = np.full(len(steps.tail), -1, dtype=np.int32)
    edge_of_step[chain_step] = np.repeat(np.arange(len(chain_start) - 1, dtype=np.int32), np.diff(chain_start))
    named = np.array(sorted({node for step in wanted for node in step}), dtype=np.int64)
    near = np.flatnonzero(np.isin(node_id[steps.tail], named) & np.isin(node_id[steps.head], named) & (edge_of_step >= 0))
    found: dict[Step, int] = {}
    for tail, head, edge in zip(
        node_id[steps.tail[near]].tolist(), node_id[steps.head[near]].tolist(), edge_of_step[near].tolist(), strict=True
    ):
        if (tail, head) in wanted:
            found.setdefault((tail, head), edge)
    return found
