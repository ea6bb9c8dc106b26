"""A network as other libraries like it: networkx graphs and geopandas tables."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import shapely

from sim.network.road_network import Provenance, RoadNetwork

_LINK_COLUMNS = (
    "link_id", "length_m", "free_flow_time_s", "capacity_vph", "bpr_alpha", "bpr_beta", "fixed_cost_s", "toll",
    "free_speed_kph", "lanes",
)  # fmt: skip


def link_table(network: RoadNetwork) -> pd.DataFrame:
    """Return the links as a table, one row a link in array order; external ids for the ends, names for classes and provenance."""
    table = pd.DataFrame({name: getattr(network, name) for name in _LINK_COLUMNS})
    table.insert(1, "from_node_id", network.node_id[network.tail_idx])
    table.insert(2, "to_node_id", network.node_id[network.head_idx])
    table["link_class"] = np.asarray(network.link_classes, dtype=object)[network.link_class_code]
    if len(network.street_name_code):
        table["street_name"] = np.asarray(network.street_names, dtype=object)[network.street_name_code]
    names = np.asarray([member.name.lower() for member in Provenance], dtype=object)
    for column in ("speed_source", "lanes_source", "capacity_source"):
        table[column] = names[getattr(network, column)]
    return table


def to_networkx(network: RoadNetwork) -> nx.MultiDiGraph[Any]:
    """Return the network as a MultiDiGraph: nodes by `node_id` with x and y, links keyed by `link_id` with their columns."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=network.name, crs=network.crs)
    for node_id, x, y in zip(network.node_id.tolist(), network.node_x.tolist(), network.node_y.tolist(), strict=True):
        graph.add_node(node_id, x=x, y=y)
    for row in link_table(network).to_dict("records"):
        graph.add_edge(
            row.pop("from_node_id"), row.pop("to_node_id"), key=row["link_id"], **{str(key): value for key, value in row.items()}
        )
    return graph


def link_shapes(network: RoadNetwork) -> list[shapely.LineString]:
    """Return the shape of every link in array order."""
    points, link_of_point = network.all_link_points()
    return list(np.atleast_1d(np.asarray(shapely.linestrings(points, indices=link_of_point))))


def to_geopandas(network: RoadNetwork) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return (nodes, links) as GeoDataFrames in the network's coordinate system."""
    points = gpd.points_from_xy(network.node_x, network.node_y)
    nodes = gpd.GeoDataFrame({"node_id": network.node_id, "passable": network.node_passable}, geometry=points, crs=network.crs)
    return nodes, gpd.GeoDataFrame(link_table(network), geometry=link_shapes(network), crs=network.crs)
