"""OD matrices from files: TNTP trip tables, CSV lists of cells, demand tables of GMNS tools and OMX matrices.

Every reader ends in `od_from_cells`, which gives a matrix its one form: zero cells dropped, repeated pairs summed, demand
inside a zone counted apart.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IdColumn
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.source_file import read_source_lines
from sim.network.table_file import read_table
from sim.network.tntp import TripTable, read_tntp_trips
from sim.network.tntp_text import number, shown

CSV_COLUMNS: Final = ("origin", "destination", "demand_vph")
"""Columns that a CSV matrix must have, in any order; further columns are left alone."""
GMNS_COLUMNS: Final = ("o_zone_id", "d_zone_id", "volume")
"""Columns of a demand table of GMNS tools."""


def od_from_cells(
    zone_id: IdColumn,
    origin_zone_idx: NDArray[Any],
    destination_zone_idx: NDArray[Any],
    demand_vph: FloatColumn,
    *,
    source: str | Path,
) -> OdMatrix:
    """Return the matrix of a list of cells in any order.

    Parameters
    ----------
    zone_id
        External ids, shape (n_zones,).
    origin_zone_idx, destination_zone_idx
        Zone positions of the cells, 0 to n_zones - 1, shape (n,).
    demand_vph
        Vehicles of the cells, finite, 0 or above, shape (n,). Zero cells are dropped, repeated pairs are summed.
    source
        What to name in the message where nothing is left.

    Raises
    ------
    InputError
        No cell between two different zones is above zero.
    """
    n_zones = len(zone_id)
    pair = origin_zone_idx.astype(np.int64) * n_zones + destination_zone_idx
    pairs, cell_of_row = np.unique(pair, return_inverse=True)
    demand = np.bincount(cell_of_row, weights=demand_vph, minlength=len(pairs))
    origin, destination = np.divmod(pairs, n_zones)
    inside = origin == destination
    kept = ~inside & (demand > 0)
    if not kept.any():
        raise InputError("the matrix has no trips between different zones", source=source, allowed="at least one cell above 0")
    return OdMatrix(
        zone_id,
        origin[kept].astype(np.int32),
        destination[kept].astype(np.int32),
        demand[kept],
        intrazonal_vph=float(demand[inside].sum()),
    )


def od_from_tntp(path: Path, network: RoadNetwork) -> OdMatrix:
    """Read a TNTP trip table (plain or gzipped) for a network with zones.

    Raises
    ------
    InputError
        The file is no trip table, the network has no zones, or the table names zones that the network does not have.
    """
    return od_from_trip_table(read_tntp_trips(path), network, source=path)


def od_from_trip_table(table: TripTable, network: RoadNetwork, *, source: Path) -> OdMatrix:
    """Return the matrix of a trip table that was read before; errors as in `od_from_tntp`."""
    if network.n_zones == 0:
        raise InputError(
            f"a trip table needs a network with zones, and {network.name} has none", source=source, allowed="a TNTP network"
        )
    if table.n_zones > network.n_zones:
        raise InputError(
            f"the table has {table.n_zones} zones, more than the {network.n_zones} of {network.name}",
            source=source,
            where="NUMBER OF ZONES",
            allowed=f"1 to {network.n_zones}",
        )
    ids, row_of_cell = np.unique(np.concatenate([table.origin_zone_id, table.destination_zone_id]), return_inverse=True)
    position = {str(zone_id): zone_idx for zone_idx, zone_id in enumerate(network.zone_id.tolist())}
    absent = [zone_id for zone_id in ids.tolist() if str(zone_id) not in position]
    if absent:
        raise InputError(
            f"zone {absent[0]} does not exist in {network.name}", source=source, allowed=_some_of(list(position), "zone")
        )
    zone_idx = np.array([position[str(zone_id)] for zone_id in ids.tolist()], dtype=np.int64)[row_of_cell]
    n_cells = len(table.demand)
    return od_from_cells(network.zone_id, zone_idx[:n_cells], zone_idx[n_cells:], table.demand, source=source)


def od_from_csv(path: Path, network: RoadNetwork) -> OdMatrix:
    """Read a CSV matrix (plain or gzipped) with the columns of `CSV_COLUMNS`, one cell a row, in any order.

    `origin` and `destination` are ids of the network's zones, written as the network writes them. Where the network has no
    zones, they are ids of nodes: the matrix then has one zone for each node that the file names, in the order of the network's
    nodes, and `zones_from_nodes(network, od.zone_id)` is the network that fits it.

    Raises
    ------
    InputError
        The file is missing, no CSV text, lacks a column or any trips, names a zone or node that does not exist, or has a demand
        that is no finite number, 0 or above.
    """
    kind, known = ("zone", network.zone_id) if network.n_zones else ("node", network.node_id)
    position = {str(known_id): idx for idx, known_id in enumerate(known.tolist())}
    origin_idx, destination_idx, demand_vph = _read_csv_cells(path, position, kind)
    if network.n_zones:
        return od_from_cells(network.zone_id, origin_idx, destination_idx, demand_vph, source=path)
    named, zone_of_end = np.unique(np.concatenate([origin_idx, destination_idx]), return_inverse=True)
    n_cells = len(demand_vph)
    return od_from_cells(network.node_id[named], zone_of_end[:n_cells], zone_of_end[n_cells:], demand_vph, source=path)


def od_from_gmns(path: Path, network: RoadNetwork) -> OdMatrix:
    """Read a table with the columns o_zone_id, d_zone_id and volume (plain or gzipped CSV) for a network with zones.

    Raises
    ------
    InputError
        The network has no zones, or the file is bad or names a zone that does not exist.
    """
    _require_zones(network, path, "a demand table")
    origin, destination, volume = read_gmns_demand(path)
    table_ends = [str(zone) for zone in (*origin.tolist(), *destination.tolist())]
    position = {str(zone_id): zone_idx for zone_idx, zone_id in enumerate(network.zone_id.tolist())}
    absent = next((row for row, zone in enumerate(table_ends) if zone not in position), None)
    if absent is not None:
        where = f"line {absent % len(volume) + 2}"
        problem = f"zone {table_ends[absent]} does not exist in {network.name}"
        raise InputError(problem, source=path, where=where, allowed=_some_of(list(position), "zone"))
    zone_idx = np.array([position[zone] for zone in table_ends], dtype=np.int64)
    return od_from_cells(network.zone_id, zone_idx[: len(volume)], zone_idx[len(volume) :], volume, source=path)


def read_gmns_demand(path: Path) -> tuple[IdColumn, IdColumn, FloatColumn]:
    """Return (origin, destination, volume) of the rows of a demand table of GMNS tools; InputError where it is bad."""
    table = read_table(path, GMNS_COLUMNS)
    table.require(GMNS_COLUMNS)
    return table.ids("o_zone_id"), table.ids("d_zone_id"), table.numbers("volume", at_least=0)


def od_from_omx(path: Path, network: RoadNetwork, *, matrix: str | None, zone_mapping: str | None) -> OdMatrix:
    """Read a matrix of an OMX file for a network with zones.

    Parameters
    ----------
    matrix
        Its name; None where the file holds one alone.
    zone_mapping
        Mapping with the ids of the zones; None takes the order of the network's zones.

    Raises
    ------
    InputError
        openmatrix is not installed, the file is bad, or the matrix does not fit the network.
    """
    try:
        import openmatrix
    except ImportError:
        raise InputError("openmatrix is not installed", source=path, allowed="pip install 'routepact[omx]'") from None
    _require_zones(network, path, "a matrix")
    if not path.is_file():
        raise InputError("no such file", source=path)
    try:
        with openmatrix.open_file(str(path), "r") as file:
            name = _one_of(file.list_matrices(), matrix, "matrix", path)
            ids = list(network.zone_id.tolist()) if zone_mapping is None else None
            if ids is None:
                of_entry = file.mapping(_one_of(file.list_mappings(), zone_mapping, "zone_mapping", path))
                ids = [entry for entry, _ in sorted(of_entry.items(), key=lambda item: item[1])]
            values = np.array(file[name], dtype=np.float64)
    except InputError:
        raise
    # PyTables and its HDF5 library have no common error; all of them mean that this is no OMX file.
    except Exception as error:
        raise InputError(f"is no OMX file: {type(error).__name__}", source=path) from None
    return _od_of_square(values, ids, network, path, name)


def _od_of_square(values: FloatColumn, ids: Sequence[Any], network: RoadNetwork, path: Path, name: str) -> OdMatrix:
    if values.shape != (len(ids), len(ids)):
        allowed = f"{len(ids)} rows and columns"
        raise InputError(f"a shape of {values.shape}", source=path, where=name, allowed=allowed)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        where = f"{name}, row {row + 1}, column {column + 1}"
        raise InputError(f"{values[row, column]}", source=path, where=where, allowed="a finite number, 0 or above")
    position = {str(zone_id): zone_idx for zone_idx, zone_id in enumerate(network.zone_id.tolist())}
    origin, destination = np.nonzero(values)
    used = sorted({*origin.tolist(), *destination.tolist()})
    absent = next((ids[row] for row in used if str(ids[row]) not in position), None)
    if absent is not None:
        raise InputError(f"zone {absent} does not exist in {network.name}", source=path, allowed=_some_of(list(position), "zone"))
    zone_idx = np.array([position.get(str(zone), -1) for zone in ids], dtype=np.int64)
    return od_from_cells(network.zone_id, zone_idx[origin], zone_idx[destination], values[origin, destination], source=path)


def _one_of(names: Sequence[str], wanted: str | None, what: str, path: Path) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None or wanted not in names:
        problem = f"{what} {wanted!r} does not exist" if wanted is not None else f"the file holds {len(names)} of them"
        raise InputError(problem, source=path, where=f"demand.{what}", allowed=", ".join(names) or "none is there")
    return wanted


def _require_zones(network: RoadNetwork, path: Path, what: str) -> None:
    if network.n_zones == 0:
        raise InputError(f"{what} needs a network with zones, and {network.name} has none", source=path)


def zones_from_nodes(network: RoadNetwork, node_id: IdColumn) -> RoadNetwork:
    """Return the network with these nodes as its zones, in this order and with the ids of the nodes.

    Nodes stay as passable as they were.

    Raises
    ------
    InputError
        The network has no such node, or one is named twice.
    """
    position = {known_id: idx for idx, known_id in enumerate(network.node_id.tolist())}
    zone_node_idx = []
    for wanted in node_id.tolist():
        if wanted not in position:
            raise InputError(f"node {wanted!r} does not exist or is named twice", source=network.name)
        zone_node_idx.append(position.pop(wanted))
    return network.replace(zone_id=node_id, zone_node_idx=np.array(zone_node_idx, dtype=np.int32))


def _read_csv_cells(path: Path, position: dict[str, int], kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatColumn]:
    lines, _ = read_source_lines(path)
    reader = csv.reader(lines)
    origin_idx: list[int] = []
    destination_idx: list[int] = []
    demand_vph: list[float] = []
    try:
        header = next(reader, [])
        origin, destination, demand = _csv_columns(header, path)
        for row in reader:
            if not row:
                continue
            where = f"line {reader.line_num}"
            if len(row) != len(header):
                raise InputError(f"{len(row)} fields", source=path, where=where, allowed=f"{len(header)} fields as in the header")
            for column, indices in ((origin, origin_idx), (destination, destination_idx)):
                text = row[column].strip()
                if text not in position:
                    problem = f"{header[column].strip()} {shown(text)}: no such {kind}"
                    raise InputError(problem, source=path, where=where, allowed=_some_of(list(position), kind))
                indices.append(position[text])
            value = number(row[demand])
            if value is None or value < 0:
                raise InputError(
                    f"demand_vph {shown(row[demand].strip())}", source=path, where=where, allowed="a finite number, 0 or above"
                )
            demand_vph.append(value)
    except csv.Error as error:
        raise InputError(f"is no CSV: {error}", source=path, where=f"line {reader.line_num}") from None
    return np.array(origin_idx, dtype=np.int64), np.array(destination_idx, dtype=np.int64), np.array(demand_vph, dtype=np.float64)


def _csv_columns(header: Sequence[str], path: Path) -> tuple[int, int, int]:
    names = [name.strip() for name in header]
    for wanted in CSV_COLUMNS:
        if names.count(wanted) != 1:
            problem = (
                f"the column {wanted} is missing"
                if wanted not in names
                else f"the column {wanted} is there {names.count(wanted)} times"
            )
            raise InputError(problem, source=path, where="line 1", allowed="the columns " + ", ".join(CSV_COLUMNS))
    origin, destination, demand = (names.index(wanted) for wanted in CSV_COLUMNS)
    return origin, destination, demand


def _some_of(ids: Sequence[str], kind: str) -> str:
    examples = ", ".join(ids[:3])
    return f"one of the {len(ids)} {kind}s: {examples}{', ...' if len(ids) > 3 else ''}"
