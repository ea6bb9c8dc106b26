"""Street networks from OpenStreetMap: local extracts, graphs that OSMnx saved, and places by name.

Extracts (.osm, .osm.gz, .osm.bz2, .osm.pbf) are read by osmium, which keeps the ways of OSMnx's "drive" filter and their nodes;
`sim.network.osm_simplify` joins the pieces of streets between junctions into links, as OSMnx does with graphs and places. From
there on a graph file, a place and an extract go the same way: the largest strongly connected component stays, tags become free
speed, lanes and capacity (`sim.network.infer`), and what was dropped or repaired is counted. Turn restrictions of extracts become
bans (`sim.network.restrictions`). No other module imports osmnx or osmium.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import osmium
import platformdirs

from sim.errors import DownloadError, InputError
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.infer import StreetOverrides
from sim.network.junctions import JunctionRules, with_junctions
from sim.network.osm_graph import network_from_graph, network_from_streets
from sim.network.osm_simplify import BACKWARD, FORWARD, DirectedTags, MappedStreets, Sign, join_streets
from sim.network.restrictions import Relation, RelationOutcome, is_restriction, steps_of, ways_of, with_restrictions
from sim.network.road_network import RoadNetwork
from sim.network.source_file import read_source_bytes
from sim.network.store import load_network
from sim.network.turn_table import TurnTable

if TYPE_CHECKING:
    import networkx as nx

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
_SIGNS: Final = ("stop", "give_way")


def read_osm(
    path: Path,
    *,
    name: str | None = None,
    default_speed_kph: Mapping[str, float] | None = None,
    default_capacity_per_lane_vph: Mapping[str, float] | None = None,
    turn_restrictions: bool = True,
    junctions: JunctionRules | None = None,
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
    turn_restrictions
        Whether to honour the turn restrictions of an extract (or of a saved network); graphs that OSMnx saved have none.
    junctions
        Times of turns and controls; None leaves them out. They need an extract.

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
    if junctions is not None and ending not in EXTRACT_ENDINGS:
        raise InputError(
            "turns and controls cannot be timed here", source=path, where="junctions", allowed=", ".join(EXTRACT_ENDINGS)
        )
    if ending == OWN_ENDING:
        if default_speed_kph or default_capacity_per_lane_vph:
            raise InputError(
                "a saved network keeps the values it was saved with",
                source=path,
                allowed="defaults by class for OpenStreetMap files only",
            )
        network = load_network(path)
        return network if turn_restrictions else network.replace(turns=TurnTable())
    own_name = name or path.name[: -len(ending)]
    with _collector_paused():
        if ending in GRAPH_ENDINGS:
            return network_from_graph(_joined(_saved_graph(path), path), name=own_name, overrides=overrides, source=path)
        return _extract_network(path, own_name, overrides, junctions, turn_restrictions=turn_restrictions)[0]


def read_osm_restrictions(path: Path) -> tuple[RoadNetwork, list[RelationOutcome]]:
    """Read an extract with the defaults of `read_osm` and return what became of each of its turn restrictions, too.

    Raises
    ------
    InputError
        As `read_osm`.
    """
    with _collector_paused():
        return _extract_network(path, path.name, StreetOverrides(), None, turn_restrictions=True)


def _extract_network(
    path: Path, name: str, overrides: StreetOverrides, junctions: JunctionRules | None, *, turn_restrictions: bool
) -> tuple[RoadNetwork, list[RelationOutcome]]:
    """Return the network of an extract with its turn restrictions, and what became of each of them."""
    try:
        streets = _drivable_streets(path)
        relations = _restrictions(path) if turn_restrictions else []
    except (RuntimeError, OSError, UnicodeDecodeError, osmium.InvalidLocationError) as error:
        raise InputError(f"cannot be read as OpenStreetMap data: {error}", source=path) from None
    if not streets.node_id:
        raise InputError("holds no drivable street", source=path)
    pieces_of_way = streets.pieces_of(ways_of(relations))
    steps = {step for pieces in pieces_of_way.values() for step in steps_of(pieces)}
    joined = join_streets(streets, steps)
    del streets
    network, edge, control = network_from_streets(joined, name=name, overrides=overrides, source=path)
    link_of_edge = dict(zip(edge.tolist(), range(network.n_links), strict=True))
    link_of_step = {step: link_of_edge[of] for step, of in joined.edge_of_step.items() if of in link_of_edge}
    outcomes: list[RelationOutcome] = []
    if turn_restrictions:
        network, outcomes = with_restrictions(network, relations, pieces_of_way, link_of_step)
    return network if junctions is None else with_junctions(network, control, junctions), outcomes


def _restrictions(path: Path) -> list[Relation]:
    """Return the turn restrictions of an extract; a second pass that skips nodes and ways."""
    found = []
    for relation in osmium.FileProcessor(str(path), osmium.osm.RELATION):
        if isinstance(relation, osmium.osm.Relation) and is_restriction(relation.tags.get("type") or ""):
            members = tuple((member.role, member.type, member.ref) for member in relation.members)
            found.append(Relation(relation.id, {tag.k: tag.v for tag in relation.tags}, members))
    return found


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
    import osmnx  # takes a second and 150 MB, which extracts need not pay

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
    import osmnx

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
    import networkx as nx
    import osmnx

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
    if is_simplified:
        return graph
    import osmnx

    joined: nx.MultiDiGraph[Any] = osmnx.simplify_graph(graph)
    return joined


def _drivable_streets(path: Path) -> MappedStreets:
    wanted = {*_KEPT_TAGS, *_DIRECTED_TAGS}
    streets = MappedStreets()
    # The sparse index holds 16 bytes a node of the file; a filter by node id, a bit for every id ever given (0.9 GB).
    entities = osmium.FileProcessor(str(path)).with_locations("sparse_mem_array").with_filter(osmium.filter.KeyFilter("highway"))
    for entity in entities:
        if isinstance(entity, osmium.osm.Node) and entity.tags["highway"] == _SIGNALS:
            streets.signals[entity.id] = entity.tags.get(f"{_SIGNALS}:direction") or ""
        elif isinstance(entity, osmium.osm.Node) and (kind := entity.tags["highway"]) in _SIGNS:
            streets.signs[entity.id] = Sign(kind, entity.tags.get("direction") or "", entity.tags.get("stop") == "all")
        if not isinstance(entity, osmium.osm.Way):
            continue
        tags = {tag.k: tag.v for tag in entity.tags}
        if any(key in tags and pattern.search(tags[key]) for key, pattern in _NOT_FOR_CARS.items()):
            continue
        _add_way(streets, entity, {key: sys.intern(value) for key, value in tags.items() if key in wanted})
    return streets


def _add_way(streets: MappedStreets, way: osmium.osm.Way, tags: dict[str, str]) -> None:
    """Keep a way with its tags for each direction that is open, and the nodes of its pieces, of at least two each."""
    position = len(streets.tags)
    streets.way_id.append(way.id)
    streets.tags.append(streets.shared_tags(tags, _by_direction))
    # A way that leaves the extract and comes back is no straight street in between.
    for is_known, stretch in groupby(way.nodes, key=lambda node: node.location.valid()):
        nodes = [(node.ref, node.location.x, node.location.y) for node in stretch] if is_known else []
        piece = [next(same) for _, same in groupby(nodes, key=lambda node: node[0])]
        if len(piece) > 1:
            streets.piece_start.append(len(streets.node_id))
            streets.piece_way.append(position)
            for node_id, x, y in piece:
                streets.node_id.append(node_id)
                streets.x.append(x)
                streets.y.append(y)


def _by_direction(tags: Mapping[str, str]) -> DirectedTags:
    """Return the tags of a way for those who drive along it and against it; None for a direction that is closed."""
    one_way_text = tags.get("oneway", "")
    one_way = one_way_text in _ONE_WAY_VALUES or tags.get("junction") == "roundabout"
    backward_only = one_way_text in _REVERSED_VALUES
    directed: list[dict[str, Any] | None] = [None, None]
    for reverse in (backward_only,) if one_way else (False, True):
        own: dict[str, Any] = {**tags, "oneway": one_way}
        _direct(own, reverse=reverse)
        directed[BACKWARD if reverse else FORWARD] = own
    return directed[FORWARD], directed[BACKWARD]


def _direct(tags: dict[str, Any], *, reverse: bool) -> None:
    """Turn the tags of a way into those of one direction: what is stated for it alone replaces what is stated for both."""
    own, other = ("backward", "forward") if reverse else ("forward", "backward")
    for key in ("lanes", "maxspeed"):
        stated = tags.pop(f"{key}:{own}", None)
        tags.pop(f"{key}:{other}", None)
        if stated is not None:
            tags["lanes:direction" if key == "lanes" else key] = stated
