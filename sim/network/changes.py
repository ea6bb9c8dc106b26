"""What-if edits: a network with links closed, built, widened, re-timed, made one-way or tolled. The network given stays as it is.

Changes are applied in order, each to what the ones before left. Nodes and zones stay, with their positions; links keep their ids.
A turn ban or a delay that names a closed link goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IdColumn, IndexColumn
from sim.errors import InputError
from sim.network.connectors import new_link_ids
from sim.network.distance import distance_m
from sim.network.road_network import Provenance, RoadNetwork
from sim.network.turn_table import TurnTable, turn_table
from sim.spec_changes import Add, Close, NetworkChange, OneWay, SetSpeed, Toll, Widen
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

_COLUMNS_OF_LINKS = (
    "link_id", "tail_idx", "head_idx", "length_m", "free_flow_time_s", "capacity_vph", "bpr_alpha", "bpr_beta", "fixed_cost_s",
    "toll", "free_speed_kph", "lanes", "link_class_code", "speed_source", "lanes_source", "capacity_source", "street_name_code",
)  # fmt: skip
_MOST_EXAMPLES = 5


@dataclass(frozen=True, eq=False)
class ChangedNetwork:
    """A network after its changes.

    Attributes
    ----------
    network
        The network as changed.
    link_ids
        For every change the ids of the links that it closed, built or altered.
    """

    network: RoadNetwork
    link_ids: tuple[tuple[Any, ...], ...]


def apply_changes(network: RoadNetwork, changes: Sequence[NetworkChange]) -> ChangedNetwork:
    """Return the network after all changes.

    Raises
    ------
    InputError
        A change names a link or node that does not exist, or what it asks for cannot be (the message names it as
        `network.change[k]`, counted from 1).
    """
    link_ids = []
    for number, change in enumerate(changes, start=1):
        where = f"network.change[{number}]"
        if isinstance(change, Add):
            network, ids = _with_new_links(network, change, where)
        else:
            chosen = chosen_links(network, change, where)
            ids = tuple(network.link_id[chosen].tolist())
            network = _changed(network, change, chosen, where)
        link_ids.append(ids)
    return ChangedNetwork(network, tuple(link_ids))


def chosen_links(network: RoadNetwork, change: Close | Widen | SetSpeed | OneWay | Toll, where: str) -> IndexColumn:
    """Return the links that a change alters (for `one_way`: those that it closes), ascending, each once.

    Raises
    ------
    InputError
        It names a link or node that does not exist, two nodes that no link joins, or nothing that leads the opposite way.
    """
    named = _named_links(network, change.links, change.between, where)
    if isinstance(change, OneWay):
        closed = sorted(set(_opposite(network, named)) - set(named))
        if not closed:
            raise InputError("no link leads the opposite way: the street is one-way already", source=network.name, where=where)
        return np.array(closed, dtype=np.int32)
    if change.both_ways:
        named = [*named, *_opposite(network, named)]
    return np.array(sorted(set(named)), dtype=np.int32)


def without_links(network: RoadNetwork, closed: BoolColumn) -> RoadNetwork:
    """Return the network without the links that `closed` (n_links,) marks; the others keep their order.

    Raises
    ------
    InputError
        No link is left.
    """
    kept = np.flatnonzero(~closed)
    start, points = network.geometry_start, network.geometry_xy
    counts = np.diff(start)
    columns: dict[str, Any] = {name: getattr(network, name)[kept] for name in _columns(network)}
    columns["geometry_start"] = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
    columns["geometry_xy"] = points[np.repeat(~closed, counts)]
    return network.replace(**columns, turns=_without(network.turns, closed))


def _columns(network: RoadNetwork) -> Iterable[str]:
    return [name for name in _COLUMNS_OF_LINKS if name != "street_name_code" or len(network.street_name_code)]


def _without(turns: TurnTable, closed: BoolColumn) -> TurnTable:
    if turns.is_empty:
        return turns
    position = np.cumsum(~closed) - 1
    bans = [tuple(position[list(ban)].tolist()) for ban in turns.bans() if not closed[list(ban)].any()]
    delays = {
        (int(position[turn[0]]), int(position[turn[1]])): delay_s
        for turn, delay_s in turns.delays().items()
        if not closed[list(turn)].any()
    }
    return turn_table(bans, delays)


def _named_links(network: RoadNetwork, links: Sequence[str], between: Sequence[tuple[str, str]], where: str) -> list[int]:
    found = []
    if links:
        link_of_id = {str(link_id): link_idx for link_idx, link_id in enumerate(network.link_id.tolist())}
        for number, link_id in enumerate(links, start=1):
            if link_id not in link_of_id:
                raise InputError(
                    f"link {link_id!r} does not exist", source=network.name, where=f"{where}.links[{number}]",
                    allowed=_some(network.link_id.tolist(), "link"),
                )  # fmt: skip
            found.append(link_of_id[link_id])
    for number, pair in enumerate(between, start=1):
        place = f"{where}.between[{number}]"
        tail, head = (_node(network, node_id, place) for node_id in pair)
        joined = np.flatnonzero((network.tail_idx == tail) & (network.head_idx == head)).tolist()
        if not joined:
            reached = network.node_id[np.unique(network.head_idx[network.tail_idx == tail])].tolist()
            allowed = f"one of the nodes that links from {pair[0]} lead to: {', '.join(map(str, reached))}" if reached else None
            raise InputError(
                f"no link leads from node {pair[0]} to node {pair[1]}", source=network.name, where=place, allowed=allowed
            )
        found += joined
    return found


def _node(network: RoadNetwork, node_id: str, where: str) -> int:
    places = np.flatnonzero(network.node_id.astype(np.str_) == node_id)
    if not len(places):
        allowed = _some(network.node_id.tolist(), "node")
        raise InputError(f"node {node_id!r} does not exist", source=network.name, where=where, allowed=allowed)
    return int(places[0])


def _some(ids: Sequence[Any], kind: str) -> str:
    more = ", ..." if len(ids) > _MOST_EXAMPLES else ""
    return f"one of the {len(ids)} {kind}s: {', '.join(map(str, ids[:_MOST_EXAMPLES]))}{more}"


def _opposite(network: RoadNetwork, links: Sequence[int]) -> list[int]:
    """Return the links that join the same two nodes the other way."""
    ends = {(int(network.head_idx[link]), int(network.tail_idx[link])) for link in links}
    tails = np.isin(network.tail_idx, [tail for tail, _ in ends])
    return [link for link in np.flatnonzero(tails).tolist() if (int(network.tail_idx[link]), int(network.head_idx[link])) in ends]


def _changed(
    network: RoadNetwork, change: Close | Widen | SetSpeed | OneWay | Toll, chosen: IndexColumn, where: str
) -> RoadNetwork:
    if isinstance(change, Widen):
        return _widened(network, change, chosen, where)
    if isinstance(change, SetSpeed):
        return _with_speed(network, change, chosen, where)
    if isinstance(change, Toll):
        return network.replace(
            fixed_cost_s=_with(network.fixed_cost_s, chosen, network.fixed_cost_s[chosen] + change.fixed_cost_s)
        )
    closed = np.zeros(network.n_links, dtype=np.bool_)
    closed[chosen] = True
    return without_links(network, closed)


def _with(column: IdColumn, chosen: IndexColumn, values: Any) -> IdColumn:
    result = column.copy()
    result[chosen] = values
    return result


def _widened(network: RoadNetwork, change: Widen, chosen: IndexColumn, where: str) -> RoadNetwork:
    capacity, lanes = network.capacity_vph[chosen], network.lanes
    columns: dict[str, Any] = {}
    if change.lanes is not None:
        unknown = chosen[lanes[chosen] <= 0]
        if len(unknown):
            raise InputError(
                f"link {network.link_id[unknown[0]]} states no lanes", source=network.name, where=f"{where}.lanes",
                allowed="capacity_factor or capacity_vph for such links",
            )  # fmt: skip
        capacity = capacity * change.lanes / lanes[chosen]
        columns = {
            "lanes": _with(lanes, chosen, change.lanes),
            "lanes_source": _with(network.lanes_source, chosen, Provenance.OVERRIDE),
        }
    elif change.capacity_factor is not None:
        capacity = capacity * change.capacity_factor
    else:
        capacity = np.full(len(chosen), change.capacity_vph)
    return network.replace(
        **columns,
        capacity_vph=_with(network.capacity_vph, chosen, capacity),
        capacity_source=_with(network.capacity_source, chosen, Provenance.OVERRIDE),
    )


def _with_speed(network: RoadNetwork, change: SetSpeed, chosen: IndexColumn, where: str) -> RoadNetwork:
    time_s, speed_kph = network.free_flow_time_s[chosen], network.free_speed_kph[chosen]
    if change.speed_factor is not None:
        new_speed_kph = speed_kph * change.speed_factor
        new_time_s = time_s / change.speed_factor
    else:
        assert change.free_speed_kph is not None  # the spec demands one of the two
        length_m = network.length_m[chosen]
        if (length_m <= 0).any():
            link_id = network.link_id[chosen[np.argmax(length_m <= 0)]]
            allowed = "speed_factor for such links"
            raise InputError(
                f"link {link_id} has no length", source=network.name, where=f"{where}.free_speed_kph", allowed=allowed
            )
        new_speed_kph = np.full(len(chosen), change.free_speed_kph)
        new_time_s = _driving_s(length_m, new_speed_kph) + _standing_s(time_s, length_m, speed_kph)
    return network.replace(
        free_flow_time_s=_with(network.free_flow_time_s, chosen, new_time_s),
        free_speed_kph=_with(network.free_speed_kph, chosen, new_speed_kph),
        speed_source=_with(network.speed_source, chosen, Provenance.OVERRIDE),
    )


def _driving_s(length_m: FloatColumn, speed_kph: FloatColumn) -> FloatColumn:
    return length_m / (speed_kph * METRES_PER_KILOMETRE / SECONDS_PER_HOUR)


def _standing_s(time_s: FloatColumn, length_m: FloatColumn, speed_kph: FloatColumn) -> FloatColumn:
    """Return what a free-flow time holds beyond driving: the wait at a signal; nothing where the speed is not stated."""
    known = speed_kph > 0
    driving_s = _driving_s(length_m, np.where(known, speed_kph, 1.0))
    return np.where(known, np.maximum(0.0, time_s - driving_s), 0.0)


def _with_new_links(network: RoadNetwork, change: Add, where: str) -> tuple[RoadNetwork, tuple[Any, ...]]:
    """Return the network with one or two further links behind all others, and their ids."""
    tail, head = _node(network, change.tail, f"{where}.tail"), _node(network, change.head, f"{where}.head")
    ends = [(tail, head), (head, tail)] if change.both_ways else [(tail, head)]
    length_m = _length_m(network, tail, head, where) if change.length_m is None else change.length_m
    time_s, speed_kph = change.free_flow_time_s, change.free_speed_kph
    if time_s is None:
        assert speed_kph is not None  # the spec demands one of the two
        time_s = length_m / (speed_kph * METRES_PER_KILOMETRE / SECONDS_PER_HOUR)
    has_class = change.link_class in network.link_classes
    classes = network.link_classes if has_class else (*network.link_classes, change.link_class)
    ids = new_link_ids(network, len(ends), "added")
    values: dict[str, Any] = {
        "link_id": ids,
        "tail_idx": [pair[0] for pair in ends],
        "head_idx": [pair[1] for pair in ends],
        "length_m": length_m,
        "free_flow_time_s": time_s,
        "capacity_vph": change.capacity_vph,
        "bpr_alpha": change.bpr_alpha,
        "bpr_beta": change.bpr_beta,
        "fixed_cost_s": 0.0,
        "toll": 0.0,
        "free_speed_kph": speed_kph or 0.0,
        "lanes": change.lanes,
        "link_class_code": classes.index(change.link_class),
        "speed_source": Provenance.OVERRIDE,
        "lanes_source": Provenance.OVERRIDE,
        "capacity_source": Provenance.OVERRIDE,
        "street_name_code": network.street_names.index(""),
    }
    columns = {name: _extended(getattr(network, name), values[name], len(ends)) for name in _columns(network)}
    no_points = np.full(len(ends), network.geometry_start[-1])
    columns["geometry_start"] = np.concatenate([network.geometry_start, no_points])
    return network.replace(**columns, link_classes=classes), tuple(ids.tolist())


def _extended(column: IdColumn, value: Any, n_links: int) -> IdColumn:
    return np.concatenate([column, np.broadcast_to(np.asarray(value), n_links)])


def _length_m(network: RoadNetwork, tail: int, head: int, where: str) -> float:
    x, y = network.node_x[[tail, head]], network.node_y[[tail, head]]
    if not np.isfinite([x, y]).all():
        problem = "the nodes have no coordinates, from which the length could be taken"
        raise InputError(problem, source=network.name, where=where, allowed="length_m")
    return float(distance_m(network.crs, x[:1], y[:1], x[1:], y[1:])[0])
