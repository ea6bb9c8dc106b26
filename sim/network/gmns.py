"""Networks in the General Modeling Network Specification: a folder with node.csv and link.csv, and what else is there.

config.csv states units and the coordinate system (`sim.network.gmns_units` where it does not), zone.csv the zones, movement.csv
the turns: at a node that it names, turns that it does not list are banned. Further columns of link.csv that other tools write
count too: `VDF_alpha1`, `VDF_beta1`, `VDF_fftt1` (minutes) and `VDF_cap1` (all lanes) of Path4GMNS, and `fixed_cost_s` of our
own. `capacity` is that of one lane. Schemas: github.com/zephyr-data-specs/GMNS (version 0.96).

A node with a `zone_id` stands for that zone; where a zone has several, it gets a centre joined to all of them. A node whose
`node_type` is "centroid" may not be passed.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely

from sim.arrays import BoolColumn, FloatColumn, IdColumn, IndexColumn
from sim.errors import InputError
from sim.network.connectors import with_zones
from sim.network.distance import GEOGRAPHIC_CRS, distance_m
from sim.network.gmns_units import GmnsUnits, units_of
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.network.rows import LinkRows, NodeRows, network_from_rows, positions
from sim.network.table_file import Table, read_table
from sim.network.turn_table import turn_table
from sim.units import SECONDS_PER_MINUTE

GMNS_FILES: Final = ("config", "node", "link", "zone", "movement")
"""Files that are read, without their ending."""
CENTROID: Final = "centroid"
_CAR_USES: Final = {"auto", "car", "cars", "motor", "driving", "drive", "vehicle", "motorized", "sov", "hov", "all", "any", "da"}
_YES: Final = {"1", "true", "yes", "t", "y", ""}
_NO: Final = {"0", "false", "no", "f", "n"}


def read_gmns(
    folder: Path,
    *,
    length_unit_m: float | None = None,
    speed_unit_kph: float | None = None,
    toll_weight_s: float = 0.0,
) -> RoadNetwork:
    """Read a GMNS folder.

    Parameters
    ----------
    folder
        Holds node.csv and link.csv, plain or gzipped (node.csv.gz), and perhaps config.csv, zone.csv and movement.csv.
    length_unit_m, speed_unit_kph
        Metres in a unit of length and km/h in a unit of speed; None takes config.csv, or what fits the coordinates.
    toll_weight_s
        Seconds that a unit of toll is worth.

    Raises
    ------
    InputError
        A file is missing or bad; file, line and value are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", source=folder, allowed="a folder with node.csv and link.csv")
    node_table, link_table = (_table(folder, name, required=True) for name in ("node", "link"))
    assert node_table is not None and link_table is not None  # required
    config = _table(folder, "config")
    nodes = _nodes(node_table)
    kept, counts = _for_cars(link_table)
    tail, head = (positions(link_table.ids(name), nodes.node_id, name, link_table.where, link_table.path) for name in _ENDS)
    length = link_table.numbers("length", blank=np.nan, at_least=0)
    units = _units(config, link_table.path, nodes, (tail, head), length, length_unit_m, speed_unit_kph)
    links = _both_ways(_links(link_table, units, tail, head, toll_weight_s), link_table, kept)
    cleaning = CleaningReport(counts, units.warnings)
    zone_id, nodes_of_zone = _zones(_table(folder, "zone"), node_table)
    plain = all(len(found) == 1 for found in nodes_of_zone)
    network = network_from_rows(
        nodes,
        links,
        name=folder.name,
        crs=units.crs,
        source=link_table.path,
        zone_id=zone_id if plain else None,
        zone_node_idx=np.array([found[0] for found in nodes_of_zone], dtype=np.int32) if plain else None,
        cleaning=cleaning,
        time_unit_s=_source_unit(config, "source_time_unit_s"),
        length_unit_m=_source_unit(config, "source_length_unit_m"),
    )
    network = _with_movements(network, _table(folder, "movement"))
    if plain:
        return network
    centre = [(float(nodes.x[found].mean()), float(nodes.y[found].mean())) for found in nodes_of_zone]
    return with_zones(network, zone_id, np.array([x for x, _ in centre]), np.array([y for _, y in centre]), nodes_of_zone)


_ENDS: Final = ("from_node_id", "to_node_id")


def _table(folder: Path, name: str, *, required: bool = False) -> Table | None:
    for ending in (".csv", ".csv.gz"):
        if (folder / f"{name}{ending}").exists():
            return read_table(folder / f"{name}{ending}")
    if required:
        raise InputError("no such file", source=folder / f"{name}.csv", allowed="a GMNS folder with node.csv and link.csv")
    return None


def _nodes(table: Table) -> NodeRows:
    node_id = table.ids("node_id")
    _require_once(node_id, "node_id", table)
    x, y = (table.numbers(name, blank=np.nan) for name in ("x_coord", "y_coord"))
    table.require(["x_coord", "y_coord"])
    passable = np.array([text.lower() != CENTROID for text in table.texts("node_type")], dtype=np.bool_)
    return NodeRows(node_id, x, y, passable)


def _require_once(ids: IdColumn, name: str, table: Table) -> None:
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if (counts > 1).any():
        value = ids[first[counts > 1][0]]
        row = int(np.flatnonzero(ids == value)[1])
        raise InputError(f"{name} {value} is there twice", source=table.path, where=table.where(row), allowed="each id once")


def _for_cars(table: Table) -> tuple[BoolColumn, dict[str, int]]:
    """Return which links carry cars, and the counts of the others."""
    uses = [{use.strip().lower() for use in text.replace(";", ",").split(",")} for text in table.texts("allowed_uses")]
    for_cars = np.array([use == {""} or not use.isdisjoint(_CAR_USES) for use in uses], dtype=np.bool_)
    closed = (table.numbers("capacity", blank=np.nan, at_least=0) == 0) | (table.numbers("lanes", blank=np.nan, at_least=0) == 0)
    counts = {"links_not_for_cars": int((~for_cars).sum()), "links_without_lanes": int((closed & for_cars).sum())}
    return for_cars & ~closed, counts


def _units(
    config: Table | None,
    source: Path,
    nodes: NodeRows,
    ends: tuple[IndexColumn, IndexColumn],
    length: FloatColumn,
    length_unit_m: float | None,
    speed_unit_kph: float | None,
) -> GmnsUnits:
    known_x, known_y = nodes.x[np.isfinite(nodes.x)], nodes.y[np.isfinite(nodes.y)]
    looks_geographic = bool(len(known_x)) and bool((np.abs(known_x) <= 180).all() and (np.abs(known_y) <= 90).all())
    stated_crs = config.texts("crs")[0] if config is not None and config.n_rows and config.has("crs") else None
    if stated_crs is not None and stated_crs.isdigit():
        stated_crs = f"EPSG:{stated_crs}"
    crs = stated_crs or (GEOGRAPHIC_CRS if looks_geographic else None)
    tail, head = ends
    straight_m = distance_m(crs, nodes.x[tail], nodes.y[tail], nodes.x[head], nodes.y[head]) if crs == GEOGRAPHIC_CRS else None
    found = units_of(
        config,
        length_unit_m=length_unit_m,
        speed_unit_kph=speed_unit_kph,
        length=np.nan_to_num(length),
        straight_m=straight_m,
        crs=crs,
        source=source,
    )
    if stated_crs is None and crs == GEOGRAPHIC_CRS:
        found = found._replace(warnings=(*found.warnings, "no coordinate system is stated: longitudes and latitudes are assumed"))
    return found


def _source_unit(config: Table | None, name: str) -> float:
    return float(config.numbers(name, blank=1.0, above=0)[0]) if config is not None and config.n_rows else 1.0


def _links(table: Table, units: GmnsUnits, tail: IndexColumn, head: IndexColumn, toll_weight_s: float) -> LinkRows:
    link_id = table.ids("link_id")
    _require_once(link_id, "link_id", table)

    def stated(name: str) -> FloatColumn:
        return table.numbers(name, blank=np.nan, at_least=0)

    lanes = stated("lanes")
    capacity_vph = stated("capacity") * np.where(np.isnan(lanes), 1.0, lanes)
    own_capacity = table.numbers("VDF_cap1", blank=np.nan, at_least=0)
    speed_kph = stated("free_speed") * units.speed_kph
    toll = table.numbers("toll", blank=0.0, at_least=0)
    link_class = table.texts("facility_type" if table.has("facility_type") else "link_type_name")
    return LinkRows(
        link_id=link_id,
        tail_idx=tail,
        head_idx=head,
        link_class=link_class,
        street_name=table.texts("name"),
        length_m=stated("length") * units.length_m,
        free_flow_time_s=stated("VDF_fftt1") * SECONDS_PER_MINUTE,
        free_speed_kph=np.where(speed_kph > 0, speed_kph, np.nan),
        lanes=lanes,
        capacity_vph=np.where(own_capacity > 0, own_capacity, capacity_vph),
        bpr_alpha=stated("VDF_alpha1"),
        bpr_beta=stated("VDF_beta1"),
        toll=toll,
        fixed_cost_s=table.numbers("fixed_cost_s", blank=0.0, at_least=0) + toll_weight_s * toll,
        shapes=_shapes(table),
    )


def _shapes(table: Table) -> list[FloatColumn | None]:
    """Return the points of each link in the order of driving, None where it has no geometry."""
    texts = table.texts("geometry")
    backward = [text == "-1" for text in table.texts("dir_flag")]
    shapes: list[FloatColumn | None] = []
    for row, text in enumerate(texts):
        if not text or text == ";":
            shapes.append(None)
            continue
        try:
            line = shapely.from_wkt(text)
        except shapely.errors.GEOSException:
            line = None
        if not isinstance(line, shapely.LineString) or not np.isfinite(shapely.get_coordinates(line)).all():
            raise InputError(
                f"geometry is {text[:40]!r}", source=table.path, where=table.where(row), allowed="LINESTRING (x y, ...)"
            )
        points = shapely.get_coordinates(line)
        shapes.append(points[::-1] if backward[row] else points)
    return [shape if shape is not None and len(shape) > 1 else None for shape in shapes]


def _both_ways(links: LinkRows, table: Table, kept: BoolColumn) -> LinkRows:
    """Return the kept links, those that are not directed once in each direction (the second with an id of its own)."""
    directed = np.ones(table.n_rows, dtype=np.bool_)
    for row, text in enumerate(table.texts("directed")):
        if text.lower() not in _YES | _NO:
            raise InputError(f"directed is {text!r}", source=table.path, where=table.where(row), allowed="1 or 0, true or false")
        directed[row] = text.lower() in _YES
    back = ~directed & kept
    if not back.any():
        return links.take(kept)
    ahead, behind = links.take(kept), links.take(back)
    ids = behind.link_id
    new_ids = (
        links.link_id.max() + 1 + np.arange(len(ids))
        if ids.dtype.kind in "iu"
        else np.array([f"{name}-back" for name in ids.tolist()])
    )
    shapes = [None if shape is None else shape[::-1] for shape in behind.shapes]
    turned = {**behind.__dict__, "link_id": new_ids, "tail_idx": behind.head_idx, "head_idx": behind.tail_idx, "shapes": shapes}
    columns: dict[str, Any] = {
        name: np.concatenate([column, turned[name]]) if isinstance(column, np.ndarray) else [*column, *turned[name]]
        for name, column in ahead.__dict__.items()
    }
    return LinkRows(**columns)


def _zones(table: Table | None, node_table: Table) -> tuple[IdColumn, list[IndexColumn]]:
    """Return the ids of the zones that have nodes, and the positions of their nodes."""
    nodes_of: dict[str, list[int]] = defaultdict(list)
    for node_idx, text in enumerate(node_table.texts("zone_id")):
        # Tools that keep the column as floating-point numbers write 9.0 for zone 9, and 0 or -1 for none.
        name = text.removesuffix(".0")
        if name not in ("", "-1"):
            nodes_of[name].append(node_idx)
    if table is not None:
        known = [str(zone) for zone in table.ids("zone_id").tolist()]
        _require_once(table.ids("zone_id"), "zone_id", table)
        strange = next((name for name in nodes_of if name not in set(known)), None)
        if strange is not None:
            row = nodes_of[strange][0]
            allowed = f"a zone of {table.path.name}"
            raise InputError(
                f"zone_id {strange!r} does not exist", source=node_table.path, where=node_table.where(row), allowed=allowed
            )
        names = [name for name in known if name in nodes_of]
    else:
        names = list(nodes_of)
    types = node_table.texts("node_type")
    found = []
    for name in names:
        centres = [node for node in nodes_of[name] if types[node].lower() == CENTROID]
        found.append(np.array(centres[:1] or nodes_of[name], dtype=np.int32))
    whole = all(name.lstrip("-").isdigit() for name in names)
    return np.array([int(name) for name in names], dtype=np.int64) if whole else np.array(names, dtype=np.str_), found


def _with_movements(network: RoadNetwork, table: Table | None) -> RoadNetwork:
    """Return the network with the turns of movement.csv: others at the same node are banned, penalties become delays."""
    if table is None or not table.n_rows:
        return network
    node_idx = positions(table.ids("node_id"), network.node_id, "node_id", table.where, table.path)
    place_of = {str(link): place for place, link in enumerate(network.link_id.tolist())}
    penalty_s = table.numbers("penalty", blank=0.0, at_least=0).tolist()
    inbound, outbound = (table.ids(name).tolist() for name in ("ib_link_id", "ob_link_id"))
    listed: set[tuple[int, int]] = set()
    delays: dict[tuple[int, int], float] = {}
    for row, (node, before, after) in enumerate(zip(node_idx.tolist(), inbound, outbound, strict=True)):
        turn = place_of.get(str(before)), place_of.get(str(after))
        if turn[0] is None or turn[1] is None:
            continue  # a link for others than cars
        if network.head_idx[turn[0]] != node or network.tail_idx[turn[1]] != node:
            raise InputError(
                f"links {before} and {after} do not meet at node {network.node_id[node]}",
                source=table.path,
                where=table.where(row),
                allowed="an inbound and an outbound link of the node",
            )
        listed.add((turn[0], turn[1]))
        if penalty_s[row] > 0:
            delays[turn[0], turn[1]] = penalty_s[row]
    start, leaving = network.out_rows
    in_start, entering = network.in_rows
    bans = [
        (before, after)
        for node in sorted({int(network.head_idx[before]) for before, _ in listed})
        for before in entering[in_start[node] : in_start[node + 1]].tolist()
        for after in leaving[start[node] : start[node + 1]].tolist()
        if (before, after) not in listed
    ]
    counts = {"movements": len(listed), "turns_banned": len(bans)}
    return network.replace(turns=turn_table(bans, delays), cleaning=network.cleaning.plus(counts=counts))
