"""Whether a network is fit for a demand, and what it holds.

A path may start or end at a node that may not be passed, but not go through it. Each such node is therefore split into one copy
that links leave and one that links enter; what is connected in the split graph is connected in the network. Its strong
components are found once (Tarjan 1972, in SciPy), and the search from each origin runs over components, of which a city has
hardly more than zones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from sim.arrays import IndexColumn
from sim.errors import InputError
from sim.network.road_network import Provenance, RoadNetwork
from sim.units import METRES_PER_KILOMETRE


def check_connected(network: RoadNetwork, origin_zone_idx: IndexColumn, destination_zone_idx: IndexColumn) -> None:
    """Raise InputError that names the first OD pair without a path, by external zone ids; pairs inside a zone need none.

    Parameters
    ----------
    origin_zone_idx, destination_zone_idx
        Zone positions of each pair, shape (n_pairs,).
    """
    if not len(origin_zone_idx):
        return
    n_nodes = network.n_nodes
    # Positions from n_nodes on are the copies that links enter.
    entered_idx = np.where(network.node_passable, np.arange(n_nodes), np.arange(n_nodes) + n_nodes)
    component, condensed = _condensed(network.tail_idx, entered_idx[network.head_idx], 2 * n_nodes)
    origins, group = np.unique(origin_zone_idx, return_inverse=True)
    start = component[network.zone_node_idx[origins]]
    goal = component[entered_idx[network.zone_node_idx[destination_zone_idx]]]
    pairs_of_origin = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    unconnected: list[int] = []
    for origin_component, pairs in zip(start.tolist(), pairs_of_origin, strict=True):
        reached = np.zeros(condensed.shape[0], dtype=np.bool_)
        reached[breadth_first_order(condensed, origin_component, return_predecessors=False)] = True
        unconnected.extend(pairs[~reached[goal[pairs]]].tolist())
    unconnected = sorted(pair for pair in unconnected if origin_zone_idx[pair] != destination_zone_idx[pair])
    if unconnected:
        origin, destination = (
            network.zone_id[origin_zone_idx[unconnected[0]]],
            network.zone_id[destination_zone_idx[unconnected[0]]],
        )
        more = f" (and none for {len(unconnected) - 1} further pairs)" if len(unconnected) > 1 else ""
        raise InputError(
            f"no path from zone {origin} to zone {destination}{more}",
            source=network.name,
            allowed="demand between connected zones",
        )


def describe(network: RoadNetwork) -> dict[str, Any]:
    """Return counts, totals, shares of provenance, connectivity, cleaning counts and warnings, ready for JSON.

    Lengths are in kilometres; shares are of links, connectors left out.
    """
    streets = ~network.is_connector
    n_streets = max(int(streets.sum()), 1)
    component, _ = _condensed(network.tail_idx, network.head_idx, network.n_nodes)
    component_sizes = np.bincount(component)
    length_km = network.length_m / METRES_PER_KILOMETRE
    classes = {
        name: {"links": int(of_class.sum()), "length_km": round(float(length_km[of_class].sum()), 3)}
        for code, name in enumerate(network.link_classes)
        if (of_class := network.link_class_code == code).any()
    }
    sources = {
        value: {
            member.name.lower(): round(float((column[streets] == member).sum()) / n_streets, 4)
            for member in Provenance
            if (column[streets] == member).any()
        }
        for value, column in (
            ("free_speed", network.speed_source),
            ("lanes", network.lanes_source),
            ("capacity", network.capacity_source),
        )
    }
    known_x, known_y = network.node_x[np.isfinite(network.node_x)], network.node_y[np.isfinite(network.node_y)]
    return {
        "name": network.name,
        "crs": network.crs,
        "nodes": network.n_nodes,
        "links": network.n_links,
        "zones": network.n_zones,
        "nodes_not_passable": int((~network.node_passable).sum()),
        "connectors": int(network.is_connector.sum()),
        "length_km": round(float(length_km[streets].sum()), 3),
        "lane_km": round(float((length_km * network.lanes)[streets].sum()), 3),
        "links_without_free_flow_time": int((network.free_flow_time_s == 0).sum()),
        "links_with_fixed_cost": int((network.fixed_cost_s > 0).sum()),
        "bounds": [float(known_x.min()), float(known_y.min()), float(known_x.max()), float(known_y.max())]
        if len(known_x)
        else None,
        "nodes_without_coordinates": network.n_nodes - len(known_x),
        "strong_components": len(component_sizes),
        "nodes_in_largest_component": int(component_sizes.max()),
        "link_classes": classes,
        "provenance_share": sources,
        "cleaning": dict(network.cleaning.counts),
        "warnings": list(network.cleaning.warnings),
    }


def _condensed(tail_idx: IndexColumn, head_idx: IndexColumn, n_nodes: int) -> tuple[IndexColumn, csr_array]:
    """Return the strong component of each node and the graph between components."""
    links = csr_array((np.ones(len(tail_idx), dtype=np.float64), (tail_idx, head_idx)), shape=(n_nodes, n_nodes))
    n_components, component = connected_components(links, directed=True, connection="strong")
    between = component[tail_idx] != component[head_idx]
    ends = (component[tail_idx[between]], component[head_idx[between]])
    return component, csr_array((np.ones(int(between.sum()), dtype=np.float64), ends), shape=(n_components, n_components))
