"""Zone centres and the artificial links between them and the streets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sim.arrays import FloatColumn, IdColumn, IndexColumn
from sim.errors import InputError
from sim.network.distance import distance_m
from sim.network.road_network import CONNECTOR_CLASS, Provenance, RoadNetwork
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

CONNECTOR_CAPACITY_VPH: Final = 1e9
"""Connectors stand for many driveways and never fill up."""


def with_zones(
    network: RoadNetwork,
    zone_id: IdColumn,
    zone_x: FloatColumn,
    zone_y: FloatColumn,
    zone_nodes: Sequence[IndexColumn],
    *,
    connector_speed_kph: float = 30.0,
) -> RoadNetwork:
    """Return the network with one centre a zone, joined to streets.

    Appends, after all that is there, a node a zone that no path may pass through, and for each of its street nodes a link to
    the street and a link from it. Positions of existing nodes and links stay as they are. Node and link ids follow the
    network's own: whole numbers below the smallest node id (and above the largest link id), or texts that start with "zone"
    ("connector").

    Parameters
    ----------
    zone_id
        External ids, each once, shape (n_zones,).
    zone_x, zone_y
        Centres in the network's coordinates.
    zone_nodes
        Positions of the street nodes of each zone, at least one, each once.
    connector_speed_kph
        Free speed of the connectors, which no flow slows down; above 0.

    Raises
    ------
    InputError
        The network has zones already, or a zone has no street node or one that does not exist.
    """
    n_zones = len(zone_id)
    if network.n_zones:
        raise InputError(
            f"the network has {network.n_zones} zones already", source=network.name, allowed="a network without zones"
        )
    if not len(zone_x) == len(zone_y) == len(zone_nodes) == n_zones:
        raise InputError(
            f"{n_zones} zones with {len(zone_nodes)} lists of street nodes", source=network.name, allowed="one list a zone"
        )
    for zone, nodes in zip(zone_id, zone_nodes, strict=True):
        if not len(nodes) or len(np.unique(nodes)) != len(nodes) or np.min(nodes) < 0 or np.max(nodes) >= network.n_nodes:
            allowed = f"at least one position from 0 to {network.n_nodes - 1}, each once"
            raise InputError(f"street nodes {list(nodes)}", source=network.name, where=f"zone {zone}", allowed=allowed)
    centre_idx = np.arange(network.n_nodes, network.n_nodes + n_zones, dtype=np.int32)
    street_idx = np.concatenate(zone_nodes).astype(np.int32)
    own_centre_idx = np.repeat(centre_idx, [len(nodes) for nodes in zone_nodes])
    node_x, node_y = np.concatenate([network.node_x, zone_x]), np.concatenate([network.node_y, zone_y])
    to_street_m = distance_m(network.crs, node_x[own_centre_idx], node_y[own_centre_idx], node_x[street_idx], node_y[street_idx])
    # Out and back stand side by side, so that a zone's connectors are neighbours in the columns.
    tail_idx = np.column_stack([own_centre_idx, street_idx]).ravel()
    head_idx = np.column_stack([street_idx, own_centre_idx]).ravel()
    length_m = np.repeat(to_street_m, 2)
    columns = _connector_columns(network, tail_idx, head_idx, length_m, connector_speed_kph)
    appended: dict[str, Any] = {name: np.concatenate([getattr(network, name), column]) for name, column in columns.items()}
    has_class = CONNECTOR_CLASS in network.link_classes
    return replace(
        network,
        **appended,
        link_classes=network.link_classes if has_class else (*network.link_classes, CONNECTOR_CLASS),
        node_id=np.concatenate([network.node_id, new_node_ids(network, [str(zone) for zone in zone_id])]),
        node_x=node_x,
        node_y=node_y,
        node_passable=np.concatenate([network.node_passable, np.zeros(n_zones, dtype=np.bool_)]),
        geometry_start=np.concatenate([network.geometry_start, np.full(len(tail_idx), network.geometry_start[-1])]),
        zone_id=np.asarray(zone_id),
        zone_node_idx=centre_idx,
    )


def _connector_columns(
    network: RoadNetwork, tail_idx: IndexColumn, head_idx: IndexColumn, length_m: FloatColumn, speed_kph: float
) -> dict[str, IdColumn]:
    """Return what is appended to each column of links."""
    n_links = len(tail_idx)
    classes = network.link_classes
    class_code = classes.index(CONNECTOR_CLASS) if CONNECTOR_CLASS in classes else len(classes)
    zeros, assumed = np.zeros(n_links), np.full(n_links, Provenance.CLASS_DEFAULT, dtype=np.uint8)
    columns = {
        "link_id": new_link_ids(network, n_links),
        "tail_idx": tail_idx,
        "head_idx": head_idx,
        "length_m": length_m,
        "free_flow_time_s": length_m / (speed_kph * METRES_PER_KILOMETRE / SECONDS_PER_HOUR),
        "capacity_vph": np.full(n_links, CONNECTOR_CAPACITY_VPH),
        "bpr_alpha": zeros,
        "bpr_beta": np.ones(n_links),
        "fixed_cost_s": zeros,
        "toll": zeros,
        "free_speed_kph": np.full(n_links, speed_kph),
        "lanes": zeros,
        "link_class_code": np.full(n_links, class_code, dtype=np.uint8),
        "speed_source": assumed,
        "lanes_source": assumed,
        "capacity_source": assumed,
    }
    if len(network.street_name_code):
        columns["street_name_code"] = np.full(n_links, network.street_names.index(""), dtype=np.int32)
    return columns


def new_node_ids(network: RoadNetwork, names: Sequence[str], word: str = "zone") -> IdColumn:
    """Return ids for further nodes: below the smallest, or `word`-name texts where ids are texts."""
    if network.node_id.dtype.kind in "iu":
        below = min(0, int(network.node_id.min()))
        return below - 1 - np.arange(len(names), dtype=np.int64)
    return np.array(_unused(word, list(names), network.node_id))


def new_link_ids(network: RoadNetwork, n_links: int, word: str = "connector") -> IdColumn:
    """Return ids for further links: above the largest, or texts that start with `word` where ids are texts."""
    if network.link_id.dtype.kind in "iu":
        above = max(0, int(network.link_id.max()))
        return above + 1 + np.arange(n_links, dtype=np.int64)
    return np.array(_unused(word, [str(number) for number in range(1, n_links + 1)], network.link_id))


def _unused(prefix: str, names: list[str], taken_ids: IdColumn) -> list[str]:
    """Return `prefix-name` ids; the prefix is repeated until none of them is taken."""
    taken = set(map(str, taken_ids.tolist()))
    ids = [f"{prefix}-{name}" for name in names]
    while not taken.isdisjoint(ids):
        ids = [f"{prefix}-{name}" for name in ids]
    return ids
