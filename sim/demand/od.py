"""OD matrices from files: TNTP trip tables and CSV lists of cells.

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
from sim.network.tntp import TripTable, read_tntp_trips
from sim.network.tntp_text import number, shown

CSV_COLUMNS: Final = ("origin", "destination", "demand_vph")
"""Columns that a CSV matrix must have, in any order; further columns are left alone."""


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
