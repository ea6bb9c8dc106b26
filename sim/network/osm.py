"""Street networks from OpenStreetMap: local extracts, graphs that OSMnx saved, and places by name.

Extracts (.osm, .osm.gz, .osm.bz2, .osm.pbf) are read by osmium, which keeps the ways of OSMnx's "drive" filter and their nodes;
OSMnx then joins the pieces of streets between junctions into links. From there on a graph file, a place and an extract go the
same way: the largest strongly connected component stays, tags become free speed, lanes and capacity (`sim.network.infer`), and
what was dropped or repaired is counted. No other module imports osmnx or osmium.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import networkx as nx
import osmium
import osmnx
import platformdirs

from sim.errors import DownloadError, InputError
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.infer import StreetOverrides
from sim.network.osm_graph import network_from_graph
from sim.network.road_network import RoadNetwork
from sim.network.source_file import read_source_bytes
from sim.network.store import load_network

EXTRACT_ENDINGS: Final = (".osm", ".osm.gz", ".osm.bz2", ".osm.pbf", ".pbf")
GRAPH_ENDINGS: Final = (".graphml", ".graphml.gz")
OWN_ENDING: Final = ".npz"

# OSMnx's "drive" filter (its Overpass patterns match anywhere in a value, hence `search`).
_NOT_FOR_CARS: Final = {
    "area": re.compile("yes"),
    "access": re.compile("private"),
    "highway": re.compile(
        "abandoned|bridleway|bus_guideway|construction|corridor|cycleway|elevator|escalator|footway|no|path|pedestrian|planned|platform|"
        "proposed|raceway|razed|rest_area|service|services|steps|track"
    ),
    "motor_vehicle": re.compile("no"),
    "motorcar": re.compile("no"),
    "service": re.compile("alley|driveway|emergency_access|parking|parking_aisle|private"),
}
_ONE_WAY_VALUES: Final = {"yes", "true", "1", "-1", "reverse", "T", "F"}
_REVERSED_VALUES: Final = {"-1", "reverse", "T"}
_KEPT_TAGS: Final = ("highway", "maxspeed", "lanes", "name", "ref", "junction")
_DIRECTED_TAGS: Final = ("lanes:forward", "lanes:backward", "maxspeed:forward", "maxspeed:backward", "oneway")
_SIGNALS: Final = "traffic_signals"


class _Way(NamedTuple):
    tags: dict[str, str]
    pieces: list[list[int]]
    """Node ids of the stretches that lie in the extract, each of at least two nodes."""


class _Streets(NamedTuple):
    ways: list[_Way]
    lon_lat: dict[int, tuple[float, float]]
    """Degrees by node id."""
    signals: dict[int, str]
    """Nodes with traffic signals, and the direction of the way that they are for ("" for both)."""


def read_osm(
    path: Path,
    *,
    name: str | None = None,
    default_speed_kph: Mapping[str, float] | None = None,
    default_capacity_per_lane_vph: Mapping[str, float] | None = None,
) -> RoadNetwork:
    """Read the street network of a local file.

    Parameters
    ----------
    path
        An extract (.osm, .osm.gz, .osm.bz2, .osm.pbf), a graph saved by OSMnx (.graphml, .graphml.gz) or a network in the
        project's own form (.npz), which comes back as it was saved.
    name
        Name of the network; the file's own without endings by default.
    default_speed_kph, default_capacity_per_lane_vph
        Values by link class that count before those of `sim.network.infer.STREET_DEFAULTS`.

    Raises
    ------
    InputError
        The file is missing, damaged or of another kind, has no drivable street, or a class does not exist.
    """
    path = Path(path)
    overrides = StreetOverrides(default_speed_kph or {}, default_capacity_per_lane_vph or {})
    overrides.require_known_classes()
    file_name = path.name.lower()
    ending = next((known for known in (*EXTRACT_ENDINGS, *GRAPH_ENDINGS, OWN_ENDING) if file_name.endswith(known)), None)
    if ending is None:
        raise InputError(
            f"ending {path.suffix!r}", source=path, allowed=", ".join((*EXTRACT_ENDINGS, *GRAPH_ENDINGS, OWN_ENDING))
        )
    if not path.is_file():
        raise InputError("no such file" if not path.exists() else "is no file", source=path)
    if ending == OWN_ENDING:
        if default_speed_kph or default_capacity_per_lane_vph:
            raise InputError(
                "a saved network keeps the values it was saved with",
                source=path,
                allowed="defaults by class for OpenStreetMap files only",
            )
        return load_network(path)
    with _collector_paused():
        graph = _saved_graph(path) if ending in GRAPH_ENDINGS else _extract_graph(path)
        return network_from_graph(_joined(graph, path), name=name or path.name[: -len(ending)], overrides=overrides, source=path)


def download_place(
    place: str,
    *,
    default_speed_kph: Mapping[str, float] | None = None,
    default_capacity_per_lane_vph: Mapping[str, float] | None = None,
) -> RoadNetwork:
    """Download the street network of a place by its name ("Delft, Netherlands") through OSMnx.

    Raises
    ------
    DownloadError
        There is no connection, the service refused, or it knows no such place.
    InputError
        The place has no drivable street, or a class does not exist.
    """
    overrides = StreetOverrides(default_speed_kph or {}, default_capacity_per_lane_vph or {})
    overrides.require_known_classes()
    with _download_settings():
        try:
            graph = osmnx.graph_from_place(place, network_type="drive", simplify=False, retain_all=True)
        # What requests, the parsers and OSMnx's own checks raise has no common class; all of it means that no map came.
        except Exception as error:
            raise DownloadError(f"the streets of {place!r} could not be downloaded: {type(error).__name__}: {error}") from error
    for _tail, _head, data in graph.edges(data=True):
        _direct(data, reverse=bool(data.get("reversed")))
    return network_from_graph(_joined(graph, place), name=place, overrides=overrides, source=place)


@contextmanager
def _download_settings() -> Iterator[None]:
    """Let OSMnx ask for the tags that matter here and keep the answers in the user's cache folder; then restore its settings."""
    before = {key: getattr(osmnx.settings, key) for key in ("useful_tags_way", "cache_folder", "use_cache")}
    osmnx.settings.useful_tags_way = sorted({*before["useful_tags_way"], *_KEPT_TAGS, *_DIRECTED_TAGS})
    osmnx.settings.cache_folder = platformdirs.user_cache_path("routepact") / "osmnx"
    osmnx.settings.use_cache = True
    try:
        yield
    finally:
        for key, value in before.items():
            setattr(osmnx.settings, key, value)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Stop the cycle collector while millions of small objects are made: searching them anew took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _saved_graph(path: Path) -> nx.MultiDiGraph[Any]:
    try:
        graph: nx.MultiDiGraph[Any] = osmnx.load_graphml(graphml_str=read_source_bytes(path).decode("utf-8"))
    except (SyntaxError, ValueError, KeyError, TypeError, AttributeError, IndexError, nx.NetworkXError) as error:
        # The XML parser's error is a SyntaxError; the others come from attributes that OSMnx expects and does not find.
        raise InputError(f"is no graph saved by OSMnx: {error}", source=path) from None
    if str(graph.graph.get("crs", GEOGRAPHIC_CRS)).upper() != GEOGRAPHIC_CRS:
        graph = osmnx.project_graph(graph, to_latlong=True)
    return graph


def _joined(graph: nx.MultiDiGraph[Any], source: Path | str) -> nx.MultiDiGraph[Any]:
    """Return the graph with one edge from junction to junction; a graph that is simplified already stays as it is."""
    if not graph.number_of_edges():
        raise InputError("holds no drivable street", source=source)
    is_simplified = bool(graph.graph.get("simplified")) or any(
        "geometry" in data for _tail, _head, data in graph.edges(data=True)
    )
    return graph if is_simplified else osmnx.simplify_graph(graph)


def _extract_graph(path: Path) -> nx.MultiDiGraph[Any]:
    """Return the drivable streets of an extract as OSMnx simplifies them: an edge for each step of a way and direction."""
    try:
        streets = _drivable_streets(path)
    except (RuntimeError, OSError, UnicodeDecodeError, osmium.InvalidLocationError) as error:
        raise InputError(f"cannot be read as OpenStreetMap data: {error}", source=path) from None
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(crs=GEOGRAPHIC_CRS, simplified=False)
    for node_id, (lon, lat) in streets.lon_lat.items():
        graph.add_node(node_id, x=lon, y=lat, **({"highway": _SIGNALS} if streets.signals.get(node_id) == "" else {}))
    for way in streets.ways:
        for piece in way.pieces:
            _add_way(graph, way, piece, streets.signals)
    return graph


def _drivable_streets(path: Path) -> _Streets:
    wanted = {*_KEPT_TAGS, *_DIRECTED_TAGS}
    streets = _Streets([], {}, {})
    # The sparse index holds 16 bytes a node of the file; a filter by node id, a bit for every id ever given (0.9 GB).
    entities = osmium.FileProcessor(str(path)).with_locations("sparse_mem_array").with_filter(osmium.filter.KeyFilter("highway"))
    for entity in entities:
        if isinstance(entity, osmium.osm.Node) and entity.tags["highway"] == _SIGNALS:
            streets.signals[entity.id] = entity.tags.get(f"{_SIGNALS}:direction") or ""
        if not isinstance(entity, osmium.osm.Way):
            continue
        tags = {tag.k: tag.v for tag in entity.tags}
        if any(key in tags and pattern.search(tags[key]) for key, pattern in _NOT_FOR_CARS.items()):
            continue
        # A way that leaves the extract and comes back is no straight street in between.
        pieces: list[list[int]] = []
        for is_known, stretch in groupby(entity.nodes, key=lambda node: node.location.valid()):
            nodes = [(node.ref, (node.lon, node.lat)) for node in stretch] if is_known else []
            piece = [node_id for node_id, _ in groupby(node_id for node_id, _ in nodes)]
            if len(piece) > 1:
                pieces.append(piece)
                streets.lon_lat.update(nodes)
        streets.ways.append(_Way({key: value for key, value in tags.items() if key in wanted}, pieces))
    return streets


def _add_way(graph: nx.MultiDiGraph[Any], way: _Way, node_ids: list[int], signals: Mapping[int, str]) -> None:
    one_way_text = way.tags.get("oneway", "")
    one_way = one_way_text in _ONE_WAY_VALUES or way.tags.get("junction") == "roundabout"
    backward_only = one_way_text in _REVERSED_VALUES
    for reverse in (backward_only,) if one_way else (False, True):
        tags: dict[str, Any] = {**way.tags, "oneway": one_way}
        _direct(tags, reverse=reverse)
        against = "forward" if reverse else "backward"
        for tail, head in pairwise(reversed(node_ids)) if reverse else pairwise(node_ids):
            if head in signals and signals[head] != against:
                graph.add_edge(tail, head, **tags, signals="yes")
            else:
                graph.add_edge(tail, head, **tags)


def _direct(tags: dict[str, Any], *, reverse: bool) -> None:
    """Turn the tags of a way into those of one direction: what is stated for it alone replaces what is stated for both."""
    own, other = ("backward", "forward") if reverse else ("forward", "backward")
    for key in ("lanes", "maxspeed"):
        stated = tags.pop(f"{key}:{own}", None)
        tags.pop(f"{key}:{other}", None)
        if stated is not None:
            tags["lanes:direction" if key == "lanes" else key] = stated
