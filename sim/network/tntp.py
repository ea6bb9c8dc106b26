"""Networks in the TNTP format (Transportation Networks for Research), plain or gzipped; trip tables from `tntp_trips` join in.

A link row holds ten values: tail, head, capacity, length, free-flow time, b, power, speed, toll, type; separated by spaces or
tabs, closed by an optional semicolon. Link time is `free_flow_time * (1 + b * (flow / capacity) ** power)` and generalised cost
adds `toll_weight * toll + distance_weight * length`. The format states no units: time is taken as minutes and length as
kilometres unless the caller knows better, and the network says so in its warnings. Zones are the nodes 1 to <NUMBER OF ZONES>;
no path passes through a node below <FIRST THRU NODE>. Format: the README of github.com/bstabler/TransportationNetworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IdColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.network.road_network import CleaningReport, Provenance, RoadNetwork
from sim.network.source_file import read_source_lines
from sim.network.tntp_nodes import read_tntp_nodes
from sim.network.tntp_text import count_from, number, shown, split_metadata, whole_number
from sim.network.tntp_trips import TripTable, read_tntp_trips
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_MINUTE

__all__ = ["TripTable", "read_tntp_network", "read_tntp_trips", "write_tntp_network"]

_COLUMNS: Final = ("tail", "head", "capacity", "length", "free-flow time", "b", "power", "speed", "toll", "type")
_N_NUMBERS: Final = 9
"""The type, last, may be a word."""
_MOST_CLASSES: Final = 255


class _Sizes(NamedTuple):
    zones: int
    nodes: int
    links: int
    first_thru_node: int


def read_tntp_network(
    path: Path,
    *,
    nodes: Path | None = None,
    toll_weight: float = 0.0,
    distance_weight: float = 0.0,
    time_unit_s: float | None = None,
    length_unit_m: float | None = None,
) -> RoadNetwork:
    """Read a TNTP network.

    Parameters
    ----------
    path
        Network file, plain or .gz.
    nodes
        File with coordinates: TNTP (node, x, y) or GeoJSON points with an `id`.
    toll_weight, distance_weight
        Time units of the file that one unit of toll (of length) is worth; at least 0.
    time_unit_s, length_unit_m
        Seconds (metres) in one unit of the file; None assumes 60 s (1000 m) and warns.

    Returns
    -------
    RoadNetwork
        `link_id` is the number of the link's row in the file, counted from 1. Self-loops are dropped; of links with the same
        ends the first is kept, as in published work since 2013. Both are counted in `cleaning`.

    Raises
    ------
    InputError
        The file is no whole TNTP network; file, line and value are named.
    """
    path = Path(path)
    lines, ended = read_source_lines(path)
    metadata, first = split_metadata(lines, path)
    sizes = _sizes(metadata, path)
    values, types, line_numbers = _link_rows(lines, first, ended, path)
    if len(types) != sizes.links:
        place = f"line {metadata['NUMBER OF LINKS'][1]}"
        raise InputError(f"the header states {sizes.links} links, the file has {len(types)}", source=path, where=place)
    _require_sound(values, line_numbers, sizes.nodes, path)
    row, cleaning = _kept_rows(values[:, 0], values[:, 1], line_numbers)
    time_unit_s, length_unit_m, warnings = _units(time_unit_s, length_unit_m)
    crs, node_x, node_y = None, np.full(sizes.nodes, np.nan), np.full(sizes.nodes, np.nan)
    if nodes is not None:
        crs, node_x, node_y = read_tntp_nodes(nodes, sizes.nodes)
    tail, head, capacity, length, free_flow_time, b, power, _speed, toll = values[row].T
    class_code, classes = _classes([types[position] for position in row.tolist()])
    node_id = np.arange(1, sizes.nodes + 1, dtype=np.int64)
    stated = np.full(len(row), Provenance.FILE, dtype=np.uint8)
    unstated = np.zeros(len(row))
    return RoadNetwork(
        name=path.name.removesuffix(".gz").removesuffix(".tntp").removesuffix(".txt").removesuffix("_net"),
        crs=crs,
        node_id=node_id,
        node_x=node_x,
        node_y=node_y,
        node_passable=node_id >= sizes.first_thru_node,
        link_id=row.astype(np.int64) + 1,
        tail_idx=(tail - 1).astype(np.int32),
        head_idx=(head - 1).astype(np.int32),
        length_m=length * length_unit_m,
        free_flow_time_s=free_flow_time * time_unit_s,
        capacity_vph=capacity,
        bpr_alpha=b,
        bpr_beta=power,
        fixed_cost_s=(toll_weight * toll + distance_weight * length) * time_unit_s,
        toll=toll,
        free_speed_kph=unstated,
        lanes=unstated,
        link_class_code=class_code,
        link_classes=classes,
        speed_source=stated,
        lanes_source=stated,
        capacity_source=stated,
        geometry_start=np.zeros(len(row) + 1, dtype=np.int64),
        geometry_xy=np.zeros((0, 2)),
        zone_id=node_id[: sizes.zones],
        zone_node_idx=np.arange(sizes.zones, dtype=np.int32),
        time_unit_s=time_unit_s,
        length_unit_m=length_unit_m,
        cleaning=cleaning.plus(warnings=warnings),
    )


def write_tntp_network(network: RoadNetwork, path: Path) -> IndexColumn:
    """Write a network in the TNTP format, in its own units of time and length.

    TNTP numbers zones first and forbids passage by number, so nodes are renumbered: zones that may not be passed, other zones,
    the rest. Names, shapes, lanes, provenance and link ids have no place in the format.

    Returns
    -------
    IndexColumn
        Node position by TNTP number - 1, shape (n_nodes,).

    Raises
    ------
    InputError
        The network holds what TNTP cannot say: a node that is no zone and may not be passed, two zones at one node, parallel
        links, bans or delays of turns, no zone.
    """
    is_zone = np.zeros(network.n_nodes, dtype=np.bool_)
    is_zone[network.zone_node_idx] = True
    pairs = network.tail_idx.astype(np.int64) * network.n_nodes + network.head_idx
    for problem, found in (
        ("a network without zones", network.n_zones == 0),
        ("two zones at one node", int(is_zone.sum()) != network.n_zones),
        ("a node that is no zone and may not be passed", bool((~is_zone & ~network.node_passable).any())),
        ("parallel links", len(np.unique(pairs)) != network.n_links),
        ("bans or delays of turns", not network.turns.is_empty),
    ):
        if found:
            raise InputError(f"TNTP cannot hold {problem}", source=network.name)
    zones = network.zone_node_idx
    order = np.concatenate(
        [zones[~network.node_passable[zones]], zones[network.node_passable[zones]], np.flatnonzero(~is_zone)]
    ).astype(np.int32)
    tntp_number = np.empty(network.n_nodes, dtype=np.int64)
    tntp_number[order] = np.arange(1, network.n_nodes + 1)
    lines = [
        f"<NUMBER OF ZONES> {network.n_zones}",
        f"<NUMBER OF NODES> {network.n_nodes}",
        f"<FIRST THRU NODE> {int((~network.node_passable).sum()) + 1}",
        f"<NUMBER OF LINKS> {network.n_links}",
        "<END OF METADATA>",
        "",
        "~\t" + "\t".join(name.replace(" ", "_") for name in _COLUMNS) + "\t;",
    ]
    lines += _written_rows(network, tntp_number)
    partial = path.with_name(path.name + ".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)
    return order


def _written_rows(network: RoadNetwork, tntp_number: OffsetColumn) -> list[str]:
    class_number = [name.removeprefix("type ") for name in network.link_classes]
    types = [word if word.isdigit() else str(code + 1) for code, word in enumerate(class_number)]
    columns: list[list[float]] = [
        column.tolist()
        for column in (
            tntp_number[network.tail_idx],
            tntp_number[network.head_idx],
            network.capacity_vph,
            network.length_m / network.length_unit_m,
            network.free_flow_time_s / network.time_unit_s,
            network.bpr_alpha,
            network.bpr_beta,
            network.free_speed_kph,
            network.toll,
        )
    ]
    codes = network.link_class_code.tolist()
    return ["\t" + "\t".join(map(repr, row)) + f"\t{types[code]}\t;" for *row, code in zip(*columns, codes, strict=True)]


def _sizes(metadata: dict[str, tuple[str, int]], path: Path) -> _Sizes:
    sizes = _Sizes(
        zones=count_from(metadata, "NUMBER OF ZONES", path),
        nodes=count_from(metadata, "NUMBER OF NODES", path),
        links=count_from(metadata, "NUMBER OF LINKS", path),
        first_thru_node=count_from(metadata, "FIRST THRU NODE", path, at_least=0),
    )
    if sizes.zones > sizes.nodes:
        where = f"line {metadata['NUMBER OF ZONES'][1]}"
        raise InputError(
            f"{sizes.zones} zones among {sizes.nodes} nodes", source=path, where=where, allowed="as many zones as nodes or fewer"
        )
    return sizes


def _units(time_unit_s: float | None, length_unit_m: float | None) -> tuple[float, float, tuple[str, ...]]:
    """Return both units, and a warning for each that had to be assumed."""
    warnings: tuple[str, ...] = ()
    if time_unit_s is None:
        time_unit_s = SECONDS_PER_MINUTE
        warnings += ("TNTP states no unit of time: minutes are assumed (time_unit_s = 60)",)
    if length_unit_m is None:
        length_unit_m = METRES_PER_KILOMETRE
        warnings += ("TNTP states no unit of length: kilometres are assumed (length_unit_m = 1000)",)
    return time_unit_s, length_unit_m, warnings


def _link_rows(lines: Sequence[str], first: int, ended: bool, path: Path) -> tuple[FloatColumn, list[str], list[int]]:
    """Return the nine numbers of every link row, its type and its line number."""
    rows: list[list[float]] = []
    types: list[str] = []
    line_numbers: list[int] = []
    for position in range(first, len(lines)):
        text, _, rest = lines[position].partition("~")[0].partition(";")
        fields = text.split()
        if not fields and not rest.strip():
            continue
        if not rows and fields and all(whole_number(field) is None for field in fields):
            continue  # the names of the columns, without the usual ~
        try:
            if len(fields) != len(_COLUMNS) or rest.strip() or "_" in text:
                raise ValueError
            rows.append([*map(float, fields[:_N_NUMBERS])])
        except ValueError:
            raise _row_error(fields, rest, path, position + 1, cut=position + 1 == len(lines) and not ended) from None
        types.append(fields[-1])
        line_numbers.append(position + 1)
    return np.array(rows, dtype=np.float64).reshape(-1, _N_NUMBERS), types, line_numbers


def _row_error(fields: list[str], rest: str, path: Path, line_number: int, *, cut: bool) -> InputError:
    allowed = "tail head capacity length free-flow-time b power speed toll type ;"
    where = f"line {line_number}"
    if rest.strip():
        return InputError(f"{shown(rest.strip())} stands behind the semicolon", source=path, where=where, allowed=allowed)
    if len(fields) != len(_COLUMNS):
        ending = "; the file is cut here" if cut else ""
        return InputError(f"{len(fields)} values{ending}", source=path, where=where, allowed=f"10 values: {allowed}")
    column, text = next((name, field) for name, field in zip(_COLUMNS, fields, strict=True) if number(field) is None)
    return InputError(f"{column} is {shown(text)}", source=path, where=where, allowed="a number")


def _require_sound(values: FloatColumn, line_numbers: list[int], n_nodes: int, path: Path) -> None:
    """Raise InputError for the first row with a node that does not exist or a number that means nothing."""
    bad = ~np.isfinite(values) | (values < 0)
    bad[:, 2] |= values[:, 2] == 0
    bad[:, :2] |= (values[:, :2] < 1) | (values[:, :2] > n_nodes) | (values[:, :2] != np.floor(values[:, :2]))
    if not bad.any():
        return
    row, column = (int(position) for position in np.argwhere(bad)[0])
    allowed = {0: f"a node from 1 to {n_nodes}", 1: f"a node from 1 to {n_nodes}", 2: "a finite number above 0"}.get(
        column, "a finite number, 0 or above"
    )
    raise InputError(
        f"{_COLUMNS[column]} is {values[row, column]:.15g}", source=path, where=f"line {line_numbers[row]}", allowed=allowed
    )


def _kept_rows(tail: FloatColumn, head: FloatColumn, line_numbers: list[int]) -> tuple[OffsetColumn, CleaningReport]:
    """Return the rows that stay (no self-loop, the first of each pair of ends) and what was dropped."""
    open_rows = np.flatnonzero(tail != head)
    pairs = np.column_stack([tail, head])[open_rows]
    _, first = np.unique(pairs, axis=0, return_index=True)
    is_first: BoolColumn = np.zeros(len(open_rows), dtype=np.bool_)
    is_first[first] = True
    repeated = open_rows[~is_first]
    report = CleaningReport({"self_loops": len(tail) - len(open_rows), "duplicate_links": len(repeated)})
    if len(repeated):
        listed = ", ".join(f"{tail[row]:.0f}-{head[row]:.0f} (line {line_numbers[row]})" for row in repeated[:6].tolist())
        more = f" and {len(repeated) - 6} more" if len(repeated) > 6 else ""
        report = report.plus(
            warnings=(f"{len(repeated)} links repeat the ends of an earlier one; the first is kept: {listed}{more}",)
        )
    return open_rows[is_first], report


def _classes(types: list[str]) -> tuple[IdColumn, tuple[str, ...]]:
    names = [f"type {int(value)}" if (value := whole_number(text)) is not None else text for text in types]
    classes = list(dict.fromkeys(names))
    if len(classes) > _MOST_CLASSES:
        classes = [*classes[: _MOST_CLASSES - 1], "other"]
    code = {name: position for position, name in enumerate(classes)}
    return np.array([code.get(name, len(classes) - 1) for name in names], dtype=np.uint8), tuple(classes)
