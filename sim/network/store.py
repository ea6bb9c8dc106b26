"""The project's own compact form of a network: one .npz file without pickled objects, the same bytes for the same network.

Every column of RoadNetwork is a member of the archive; `about` holds the rest as JSON. Geographic coordinates are whole numbers
of 1e-7 degrees, as OpenStreetMap has them (11 mm); shapes are stored as differences from point to point, and so are
whole-number ids.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IdColumn, OffsetColumn
from sim.bundled import bundled_cities
from sim.errors import InputError
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.network.source_file import read_source_bytes
from sim.network.turn_table import TurnTable

FORMAT_NAME: Final = "routepact-network"
FORMAT_VERSION: Final = 1
TURNS_VERSION: Final = 2
"""Version of files with bans or delays of turns, which a reader of version 1 would ignore in silence."""

_PER_DEGREE: Final = 1e7
_NO_COORDINATE: Final = np.iinfo(np.int64).min
_IDS: Final = ("node_id", "link_id", "zone_id")
_COORDINATES: Final = ("node_x", "node_y")
_PLAIN: Final = {
    "node_passable": np.bool_,
    "tail_idx": np.int32,
    "head_idx": np.int32,
    "length_m": np.float64,
    "free_flow_time_s": np.float64,
    "capacity_vph": np.float64,
    "bpr_alpha": np.float64,
    "bpr_beta": np.float64,
    "fixed_cost_s": np.float64,
    "toll": np.float64,
    "free_speed_kph": np.float64,
    "lanes": np.float64,
    "link_class_code": np.uint8,
    "speed_source": np.uint8,
    "lanes_source": np.uint8,
    "capacity_source": np.uint8,
    "zone_node_idx": np.int32,
    "street_name_code": np.int32,
}
_TURNS: Final = {
    "ban_start": np.int64,
    "ban_link_idx": np.int32,
    "delay_in_idx": np.int32,
    "delay_out_idx": np.int32,
    "delay_s": np.float64,
}


def save_network(network: RoadNetwork, path: Path) -> None:
    """Write a network in the project's own form; the file appears under its name only when it is whole.

    Geographic coordinates are rounded to 1e-7 degrees; everything else is kept to the bit.

    Raises
    ------
    InputError
        The file cannot be written there.
    """
    members = _encoded(network)
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(members):
                content = io.BytesIO()
                np.lib.format.write_array(content, members[name], version=(1, 0), allow_pickle=False)
                # A fixed date: the clock is no part of the network.
                about_member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                about_member.external_attr = 0o644 << 16
                archive.writestr(about_member, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=path) from None
    finally:
        partial.unlink(missing_ok=True)  # also after an interruption; after the renaming there is nothing under that name


def load_network(path: Path) -> RoadNetwork:
    """Read a network that `save_network` wrote.

    Raises
    ------
    InputError
        The file is missing, damaged, of another kind or of another version.
    """
    path = Path(path)
    content = read_source_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
            }
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        raise InputError(f"is no whole network file: {error}", source=path, allowed="a file written by routepact") from None
    about = _about(members.pop("about", None), path)
    return _decoded(members, about, path)


def load_city(name: str) -> RoadNetwork:
    """Return the network of a bundled city; InputError lists those there are."""
    cities = bundled_cities()
    if name not in cities:
        raise InputError(f"there is no bundled city {name!r}", allowed=", ".join(cities) or "none is bundled")
    return load_network(cities[name] / "network.npz")


def _encoded(network: RoadNetwork) -> dict[str, NDArray[Any]]:
    about = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION if network.turns.is_empty else TURNS_VERSION,
        "name": network.name,
        "crs": network.crs,
        "link_classes": network.link_classes,
        "street_names": network.street_names,
        "time_unit_s": network.time_unit_s,
        "length_unit_m": network.length_unit_m,
        "cleaning_counts": dict(network.cleaning.counts),
        "cleaning_warnings": network.cleaning.warnings,
    }
    members: dict[str, NDArray[Any]] = {"about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8)}
    members |= {name: getattr(network, name).astype(dtype, copy=False) for name, dtype in _PLAIN.items()}
    for name in _IDS:
        ids: IdColumn = getattr(network, name)
        members[name] = (
            _differences(ids.astype(np.int64))
            if ids.dtype.kind in "iu"
            else np.array([str(value) for value in ids.tolist()], dtype=np.str_)
        )
    if not network.turns.is_empty:
        members |= {name: getattr(network.turns, name).astype(dtype, copy=False) for name, dtype in _TURNS.items()}
    geographic = network.crs == GEOGRAPHIC_CRS
    for name in _COORDINATES:
        members[name] = _lattice(getattr(network, name)) if geographic else getattr(network, name)
    members["geometry_points"] = np.diff(network.geometry_start).astype(np.int32)
    shapes = network.geometry_xy
    members["geometry_x"], members["geometry_y"] = (
        _differences(_lattice(column)).astype(np.int32) if geographic else column
        for column in (shapes[:, 0].copy(), shapes[:, 1].copy())
    )
    return members


def _about(member: NDArray[Any] | None, path: Path) -> dict[str, Any]:
    try:
        about = json.loads(b"" if member is None else member.tobytes())
    except ValueError:
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT_NAME:
        raise InputError("is an archive of another kind", source=path, allowed="a network written by routepact")
    if about.get("version") not in (FORMAT_VERSION, TURNS_VERSION):
        allowed = f"{FORMAT_VERSION} or {TURNS_VERSION}"
        raise InputError(f"has format version {about.get('version')!r}", source=path, where="version", allowed=allowed)
    return about


def _decoded(members: dict[str, NDArray[Any]], about: dict[str, Any], path: Path) -> RoadNetwork:
    geographic = about.get("crs") == GEOGRAPHIC_CRS
    coordinate: dict[str, Any] = dict.fromkeys(_COORDINATES, np.int64 if geographic else np.float64)
    shape: dict[str, Any] = dict.fromkeys(("geometry_x", "geometry_y"), np.int32 if geographic else np.float64)
    turns = _TURNS if about["version"] == TURNS_VERSION else {}
    for name, dtype in {**_PLAIN, **coordinate, **shape, **turns, "geometry_points": np.int32}.items():
        if name not in members or members[name].dtype != dtype or members[name].ndim != 1:
            raise InputError("is missing or of the wrong type", source=path, where=name, allowed=f"a column of {np.dtype(dtype)}")
    for name in _IDS:
        if name not in members or members[name].dtype.kind not in "iU" or members[name].ndim != 1:
            raise InputError(
                "is missing or of the wrong type", source=path, where=name, allowed="a column of whole numbers or texts"
            )
    if len(members["geometry_x"]) != len(members["geometry_y"]):
        raise InputError("the shapes of the links do not fit together", source=path, where="geometry_x")
    columns: dict[str, Any] = {name: members[name] for name in _PLAIN}
    columns |= {name: np.cumsum(members[name]) if members[name].dtype.kind == "i" else members[name] for name in _IDS}
    columns |= {name: _degrees(members[name]) if geographic else members[name] for name in _COORDINATES}
    points = [
        _degrees(np.cumsum(column, dtype=np.int64)) if geographic else column
        for column in (members["geometry_x"], members["geometry_y"])
    ]
    try:
        return RoadNetwork(
            **columns,
            name=str(about["name"]),
            crs=about["crs"],
            link_classes=tuple(map(str, about["link_classes"])),
            street_names=tuple(map(str, about["street_names"])),
            geometry_start=np.concatenate([[0], np.cumsum(members["geometry_points"], dtype=np.int64)]),
            geometry_xy=np.column_stack(points),
            time_unit_s=float(about["time_unit_s"]),
            length_unit_m=float(about["length_unit_m"]),
            turns=TurnTable(**{name: members[name] for name in turns}),
            cleaning=CleaningReport(dict(about["cleaning_counts"]), tuple(about["cleaning_warnings"])),
        )
    except KeyError as error:
        raise InputError("is missing", source=path, where=str(error.args[0])) from None
    except InputError as error:
        # The network's own checks know its name; the user knows the file.
        raise InputError(error.problem, source=path, where=error.where, allowed=error.allowed) from None


def _differences(values: OffsetColumn) -> OffsetColumn:
    return np.diff(values, prepend=np.int64(0))


def _lattice(degrees: FloatColumn) -> OffsetColumn:
    known = np.isfinite(degrees)
    return np.where(known, np.rint(np.where(known, degrees, 0.0) * _PER_DEGREE), _NO_COORDINATE).astype(np.int64)


def _degrees(lattice: OffsetColumn) -> FloatColumn:
    return np.where(lattice == _NO_COORDINATE, np.nan, lattice / _PER_DEGREE)
