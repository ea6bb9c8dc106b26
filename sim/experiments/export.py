"""Results and networks in the formats of other programs: what `routepact export` writes.

A run becomes a GeoPackage whose layer `links` holds every column of link_performance. A scenario becomes a GeoPackage of its
network (layers `links` and `nodes`), a GMNS folder or a TNTP folder, both with the demand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from sim.errors import InputError
from sim.experiments.build import BuiltScenario
from sim.experiments.record import RecordedRun
from sim.experiments.record_tables import GEOMETRY_COLUMN
from sim.network.gmns_writer import make_empty_folder, write_gmns, write_gmns_demand
from sim.network.tntp import write_tntp_network
from sim.network.tntp_trips import write_tntp_trips

FORMATS: Final = ("gpkg", "gmns", "tntp")


def export_run(run: RecordedRun, path: Path) -> tuple[str, ...]:
    """Write the links of a finished run with their results as a GeoPackage.

    Raises
    ------
    InputError
        The run's network has no coordinates, or the file is there already or cannot be written.
    """
    import geopandas as gpd

    table = run.table("link_performance")
    if GEOMETRY_COLUMN not in table.column_names:
        raise InputError("its network has no coordinates", source=run.path, allowed="a run whose links can be drawn")
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    frame = table.to_pandas()
    shapes = gpd.GeoSeries.from_wkb(frame.pop(GEOMETRY_COLUMN), crs=_crs(metadata))
    _write_layers(path, {"links": gpd.GeoDataFrame(frame, geometry=shapes)})
    return ()


def _crs(metadata: dict[bytes, bytes]) -> Any:
    import json

    import pyproj

    described = json.loads(metadata[b"geo"])["columns"][GEOMETRY_COLUMN]["crs"] if b"geo" in metadata else None
    return None if described is None else pyproj.CRS.from_json_dict(described)


def export_scenario(built: BuiltScenario, path: Path, kind: str) -> tuple[str, ...]:
    """Write the network of a scenario, and its demand where the format has a place for it; return what could not be held.

    Parameters
    ----------
    path
        A file for "gpkg", a folder that is new or empty for "gmns" and "tntp".
    kind
        One of `FORMATS`.

    Raises
    ------
    InputError
        The format cannot hold the network, or the files cannot be written.
    """
    network, od = built.network, built.problem.od
    if kind == "gpkg":
        if not np.isfinite(network.node_x).all():
            raise InputError("has nodes without coordinates", source=network.name, allowed="a network that can be drawn")
        nodes, links = network.to_geopandas()
        _write_layers(path, {"links": links, "nodes": nodes})
        return ()
    if kind == "gmns":
        notes = write_gmns(network, path)
        ends = od.zone_id[od.origin_zone_idx], od.zone_id[od.destination_zone_idx]
        write_gmns_demand(path / "demand.csv", *ends, od.demand_vph)
        return notes
    if kind != "tntp":
        raise InputError(f"{kind!r}", source="--format", allowed=", ".join(FORMATS))
    make_empty_folder(path)
    order = write_tntp_network(network, path / f"{built.spec.name}_net.tntp")
    number = np.empty(network.n_nodes, dtype=np.int64)
    number[order] = np.arange(1, network.n_nodes + 1)
    zone = number[network.zone_node_idx]
    ends = zone[od.origin_zone_idx], zone[od.destination_zone_idx]
    write_tntp_trips(path / f"{built.spec.name}_trips.tntp", network.n_zones, *ends, od.demand_vph)
    return ("TNTP has no place for names, shapes, lanes and where values come from; they are left out",)


def _write_layers(path: Path, layers: dict[str, Any]) -> None:
    """Write the layers of a GeoPackage; the file appears under its name only when it is whole."""
    if path.exists():
        raise InputError("exists already", source=path, allowed="a new file")
    partial = path.with_name(f".{path.stem}.partial.gpkg")
    try:
        for name, frame in layers.items():
            frame.to_file(partial, layer=name, driver="GPKG", engine="pyogrio")
        partial.replace(path)
    # GDAL's errors have no common class with those of the file system; all of them mean that nothing was written.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot be written: {error}", source=path) from None
    finally:
        partial.unlink(missing_ok=True)
