"""A network as a GMNS folder: config.csv, node.csv, link.csv, and zone.csv, movement.csv and demand.csv where there is something.

Every field of the published schemas stands in its file, blank where the network knows nothing. Volume-delay functions go into the
columns that Path4GMNS reads (`VDF_fftt1` in minutes, `VDF_cap1`, `VDF_alpha1`, `VDF_beta1`); what no schema and no tool has a
column for (`fixed_cost_s`, and in config.csv the units of a TNTP source) stands in columns of our own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely

from sim.arrays import FloatColumn, IdColumn
from sim.errors import InputError
from sim.network.gmns import CENTROID
from sim.network.junctions import STRAIGHT_DEGREES, U_TURN_DEGREES, turn_angles
from sim.network.road_network import RoadNetwork
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_MINUTE

_CONFIG: Final = (
    "dataset_name", "short_length", "long_length", "speed", "crs", "geometry_field_format", "currency", "version_number",
    "id_type", "source_time_unit_s", "source_length_unit_m",
)  # fmt: skip
_NODE: Final = ("node_id", "name", "x_coord", "y_coord", "z_coord", "node_type", "ctrl_type", "zone_id", "parent_node_id")
_LINK: Final = (
    "link_id", "name", "from_node_id", "to_node_id", "directed", "geometry_id", "geometry", "parent_link_id", "dir_flag",
    "length", "grade", "facility_type", "capacity", "free_speed", "lanes", "bike_facility", "ped_facility", "parking",
    "allowed_uses", "toll", "jurisdiction", "row_width", "VDF_fftt1", "VDF_cap1", "VDF_alpha1", "VDF_beta1", "fixed_cost_s",
)  # fmt: skip
_MOVEMENT: Final = (
    "mvmt_id", "node_id", "name", "ib_link_id", "start_ib_lane", "end_ib_lane", "ob_link_id", "start_ob_lane", "end_ob_lane",
    "type", "penalty", "capacity", "ctrl_type", "mvmt_code", "allowed_uses", "geometry",
)  # fmt: skip
_ZONE: Final = ("zone_id", "name", "boundary", "super_zone")
_DEMAND: Final = ("o_zone_id", "d_zone_id", "volume")
_VERSION: Final = "0.96"


def write_gmns(network: RoadNetwork, folder: Path) -> tuple[str, ...]:
    """Write a network into a folder that is new or empty; return in words what the format could not hold.

    Raises
    ------
    InputError
        The folder holds something, or cannot be written.
    """
    notes: list[str] = []
    make_empty_folder(folder)
    _write(folder / "config.csv", _CONFIG, [_config(network)])
    _write(folder / "node.csv", _NODE, _node_rows(network))
    _write(folder / "link.csv", _LINK, _link_rows(network))
    if network.n_zones:
        _write(folder / "zone.csv", _ZONE, ({"zone_id": zone} for zone in network.zone_id.tolist()))
    if not network.turns.is_empty:
        long_bans = sum(len(ban) > 2 for ban in network.turns.bans())
        if long_bans:
            notes.append(f"GMNS has no place for {long_bans} bans that hold over three links or more; they are left out")
        _write(folder / "movement.csv", _MOVEMENT, _movement_rows(network))
    if not np.isfinite(network.node_x).all():
        notes.append("some nodes have no coordinates, which the schema demands; they are blank")
    return tuple(notes)


def write_gmns_demand(path: Path, origin_zone_id: IdColumn, destination_zone_id: IdColumn, demand: FloatColumn) -> None:
    """Write demand.csv in the form of Path4GMNS: o_zone_id, d_zone_id, volume; one row a cell."""
    cells = zip(origin_zone_id.tolist(), destination_zone_id.tolist(), demand.tolist(), strict=True)
    _write(path, _DEMAND, (dict(zip(_DEMAND, cell, strict=True)) for cell in cells))


def make_empty_folder(folder: Path) -> None:
    """Make a folder for files of an export; InputError where it holds something or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = next(iter(folder.iterdir()), None)
    except OSError as error:
        raise InputError(f"cannot make the folder: {error.strerror}", source=folder) from None
    if strange is not None:
        raise InputError(f"holds {strange.name}", source=folder, allowed="a new folder, or an empty one")


def _write(path: Path, names: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=path) from None


def _config(network: RoadNetwork) -> dict[str, Any]:
    return {
        "dataset_name": network.name,
        "short_length": "m",
        "long_length": "km",
        "speed": "kph",
        "crs": network.crs or "",
        "geometry_field_format": "WKT",
        "version_number": _VERSION,
        "id_type": "integer" if network.node_id.dtype.kind in "iu" else "string",
        "source_time_unit_s": network.time_unit_s,
        "source_length_unit_m": network.length_unit_m,
    }


def _node_rows(network: RoadNetwork) -> Iterable[dict[str, Any]]:
    zone_of = dict(zip(network.zone_node_idx.tolist(), network.zone_id.tolist(), strict=True))
    columns = (network.node_id, network.node_x, network.node_y, network.node_passable)
    for node_idx, (node_id, x, y, passable) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield {
            "node_id": node_id,
            "x_coord": _known(x),
            "y_coord": _known(y),
            "node_type": "" if passable else CENTROID,
            "zone_id": zone_of.get(node_idx, ""),
        }


def _known(value: float) -> float | str:
    return value if np.isfinite(value) else ""


def _link_rows(network: RoadNetwork) -> Iterable[dict[str, Any]]:
    tail_id, head_id = network.node_id[network.tail_idx].tolist(), network.node_id[network.head_idx].tolist()
    # The schema wants whole lanes; capacity is that of one of them, and VDF_cap1 that of all.
    lanes = np.floor(network.lanes + 0.5)
    per_lane_vph = network.capacity_vph / np.maximum(lanes, 1.0)
    codes, start = network.link_class_code.tolist(), network.geometry_start
    for link, link_id in enumerate(network.link_id.tolist()):
        points = network.geometry_xy[start[link] : start[link + 1]]
        yield {
            "link_id": link_id,
            "name": network.street_name(link),
            "from_node_id": tail_id[link],
            "to_node_id": head_id[link],
            "directed": 1,
            "geometry": shapely.to_wkt(shapely.LineString(points), rounding_precision=-1) if len(points) else "",
            "dir_flag": 1,
            "length": network.length_m[link] / METRES_PER_KILOMETRE,
            "facility_type": network.link_classes[codes[link]],
            "capacity": per_lane_vph[link],
            "free_speed": network.free_speed_kph[link] or "",
            "lanes": int(lanes[link]) or "",
            "toll": network.toll[link] or "",
            "VDF_fftt1": network.free_flow_time_s[link] / SECONDS_PER_MINUTE,
            "VDF_cap1": network.capacity_vph[link],
            "VDF_alpha1": network.bpr_alpha[link],
            "VDF_beta1": network.bpr_beta[link],
            "fixed_cost_s": network.fixed_cost_s[link] or "",
        }


def _movement_rows(network: RoadNetwork) -> Iterable[dict[str, Any]]:
    """Yield every turn that is allowed at the nodes where one is banned or takes time."""
    bans = {ban for ban in network.turns.bans() if len(ban) == 2}
    delays = network.turns.delays()
    involved = np.zeros(network.n_nodes, dtype=np.bool_)
    involved[[network.head_idx[before] for before, _ in (*bans, *delays)]] = True
    in_idx, out_idx, angle = turn_angles(network)
    at = involved[network.head_idx[in_idx]]
    number = 0
    for before, after, degrees in zip(in_idx[at].tolist(), out_idx[at].tolist(), angle[at].tolist(), strict=True):
        if (before, after) in bans:
            continue
        number += 1
        yield {
            "mvmt_id": number,
            "node_id": network.node_id[network.head_idx[before]],
            "ib_link_id": network.link_id[before],
            "ob_link_id": network.link_id[after],
            "type": _movement_type(degrees),
            "penalty": delays.get((before, after), ""),
        }


def _movement_type(degrees: float) -> str:
    if abs(degrees) > U_TURN_DEGREES:
        return "uturn"
    if not abs(degrees) >= STRAIGHT_DEGREES:
        return "thru"
    return "left" if degrees > 0 else "right"
