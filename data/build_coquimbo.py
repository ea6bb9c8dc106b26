"""Build the bundled city: the streets of La Serena and Coquimbo (Chile), from the example that the package `aequilibrae` carries.

The example is a SpatiaLite database of OpenStreetMap streets: nodes with OSM ids, links with OSM way ids, tags as columns for
each direction. Its links (the connectors of its zones left out) become a street graph with a node at every bend, which OSMnx
joins from junction to junction; the rest is the way of every OpenStreetMap file (`sim.network.osm_graph`). Run it in an
environment that has `aequilibrae`:

    python data/build_coquimbo.py [--out data/coquimbo/network.npz]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sqlite3
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import osmnx

from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.infer import StreetOverrides
from sim.network.osm_graph import network_from_graph
from sim.network.road_network import RoadNetwork
from sim.network.store import save_network

_POINTS_AT = 43
"""A SpatiaLite line starts with 39 bytes of header and 4 bytes of type; then come the number of points and their coordinates."""
_LINKS = """
    SELECT a.osm_id, b.osm_id, link.direction, link.link_type, link.name,
           link.speed_ab, link.speed_ba, link.lanes_ab, link.lanes_ba, link.geometry
    FROM links AS link JOIN nodes AS a ON a.node_id = link.a_node JOIN nodes AS b ON b.node_id = link.b_node
    WHERE link.link_type <> 'centroid_connector' ORDER BY link.link_id
"""


def main() -> None:
    """Build the file and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "coquimbo" / "network.npz")
    out: Path = parser.parse_args().out
    network = build()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_network(network, out)
    print(f"{out}: {network.n_nodes} nodes, {network.n_links} links, {out.stat().st_size} bytes; {dict(network.cleaning.counts)}")
    print(f"from aequilibrae {importlib.metadata.version('aequilibrae')} with osmnx {importlib.metadata.version('osmnx')}")


def build() -> RoadNetwork:
    """Return the network of the city."""
    # Found without importing the package, whose own dependencies are not needed.
    spec = importlib.util.find_spec("aequilibrae")
    if spec is None or spec.origin is None:
        sys.exit("build_coquimbo needs the package aequilibrae: pip install aequilibrae")
    archive = Path(spec.origin).parent / "reference_files" / "coquimbo.zip"
    with tempfile.TemporaryDirectory() as folder:
        database = Path(zipfile.ZipFile(archive).extract("project_database.sqlite", folder))
        connection = sqlite3.connect(database)
        try:
            graph = street_graph(connection)
        finally:
            connection.close()
    return network_from_graph(osmnx.simplify_graph(graph), name="La Serena-Coquimbo", overrides=StreetOverrides(), source=archive)


def street_graph(connection: sqlite3.Connection) -> nx.MultiDiGraph[Any]:
    """Return the streets of the database, one edge for each step between points and direction; bends get negative node ids."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(crs=GEOGRAPHIC_CRS, simplified=False)
    bend_id = 0
    for tail, head, direction, link_class, name, speed_ab, speed_ba, lanes_ab, lanes_ba, blob in connection.execute(_LINKS):
        points = _points(blob)
        node_ids = [tail, *range(bend_id - 1, bend_id - len(points) + 1, -1), head]
        bend_id -= len(points) - 2
        for node_id, (lon, lat) in zip(node_ids, points, strict=True):
            graph.add_node(node_id, x=lon, y=lat)
        for reverse, speed_kph, lanes in ((False, speed_ab, lanes_ab), (True, speed_ba, lanes_ba)):
            if direction == (1 if reverse else -1):
                continue
            tags = {"highway": link_class, "oneway": direction != 0}
            tags |= {"name": name} if name else {}
            tags |= {"maxspeed": f"{speed_kph:g}"} if speed_kph is not None else {}
            tags |= {"lanes:direction": f"{lanes:g}"} if lanes is not None else {}
            for step_tail, step_head in _steps(node_ids, reverse=reverse):
                graph.add_edge(step_tail, step_head, **tags)
    return graph


def _steps(node_ids: list[int], *, reverse: bool) -> Iterator[tuple[int, int]]:
    return pairwise(reversed(node_ids)) if reverse else pairwise(node_ids)


def _points(blob: bytes) -> list[tuple[float, float]]:
    """Return the points of a SpatiaLite line, rounded to the 1e-7 degrees of OpenStreetMap."""
    order = "<" if blob[1] == 1 else ">"
    (n_points,) = struct.unpack_from(f"{order}i", blob, _POINTS_AT)
    xy = np.frombuffer(blob, dtype=f"{order}f8", count=2 * n_points, offset=_POINTS_AT + 4).reshape(-1, 2)
    return [(round(lon, 7), round(lat, 7)) for lon, lat in xy.tolist()]


if __name__ == "__main__":
    main()
