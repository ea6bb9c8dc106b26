"""Trip tables in the TNTP format: `Origin i` lines, each followed by `destination : demand;` cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sim.arrays import FloatColumn, OffsetColumn
from sim.errors import InputError
from sim.network.source_file import read_source_lines
from sim.network.tntp_text import count_from, number, shown, split_metadata, whole_number

_CUT_SHARE: Final = 1e-3
"""Short of the stated total by more than this share, and ended before its last origin: a trip table has lost its end."""


@dataclass(frozen=True, eq=False)
class TripTable:
    """A trip table as a TNTP file states it, each pair once, in the order of the file (zero cells and intrazonal cells included).

    Attributes
    ----------
    n_zones
        <NUMBER OF ZONES>.
    origin_zone_id, destination_zone_id
        Zones of each cell, 1 to `n_zones`; shape (n_cells,).
    demand
        Vehicles in the file's period, 0 or above, finite.
    total_stated
        <TOTAL OD FLOW>, or None.
    warnings
        Pairs that were stated more than once (their values are added up) and a total that differs from the stated one.
    """

    n_zones: int
    origin_zone_id: OffsetColumn
    destination_zone_id: OffsetColumn
    demand: FloatColumn
    total_stated: float | None
    warnings: tuple[str, ...] = ()


def read_tntp_trips(path: Path) -> TripTable:
    """Read a TNTP trip table: `Origin i` lines, each followed by `destination : demand;` cells.

    A pair that is stated more than once gets the sum of its values, and the table warns.

    Raises
    ------
    InputError
        The file is no whole TNTP trip table; file, line and value are named.
    """
    path = Path(path)
    lines, ended = read_source_lines(path)
    metadata, first = split_metadata(lines, path)
    n_zones = count_from(metadata, "NUMBER OF ZONES", path)
    total_stated = _total_stated(metadata, path)
    origins: list[int] = []
    destinations: list[int] = []
    demands: list[float] = []
    origin = 0
    for position in range(first, len(lines)):
        text = lines[position].partition("~")[0].strip()
        if text[:6].lower() == "origin":
            origin = _zone(text[6:], n_zones, path, position + 1)
        elif text and not origin:
            where = f"line {position + 1}"
            raise InputError(f"{shown(text)} stands before the first origin", source=path, where=where, allowed="Origin i")
        else:
            n_before = len(demands)
            _cells(text, n_zones, destinations, demands, path, position + 1)
            origins.extend([origin] * (len(demands) - n_before))
    if not demands:
        raise InputError("the trip table is empty", source=path, allowed="Origin i, then destination : demand; cells")
    end = f"line {len(lines)}"
    if not ended and not lines[-1].rstrip().endswith(";"):
        raise InputError(
            f"the file is cut in {shown(lines[-1].strip())}", source=path, where=end, allowed="a last cell closed by ;"
        )
    origin_id, destination_id, demand, warnings = _summed(np.array(origins), np.array(destinations), np.array(demands))
    total = float(demand.sum())
    if total_stated is not None and abs(total - total_stated) > _CUT_SHARE * max(total, total_stated):
        difference = f"the file states a total of {total_stated:,.10g} and its cells add up to {total:,.10g}"
        if total < total_stated and origin < n_zones:
            raise InputError(f"{difference}; its last origin is {origin} of {n_zones}: the file is cut", source=path, where=end)
        warnings += (difference,)
    return TripTable(n_zones, origin_id, destination_id, demand, total_stated, warnings)


def write_tntp_trips(
    path: Path, n_zones: int, origin_zone_id: OffsetColumn, destination_zone_id: OffsetColumn, demand: FloatColumn
) -> None:
    """Write a trip table; zones are numbers from 1 to `n_zones`, and the file appears under its name only when it is whole.

    Raises
    ------
    InputError
        A zone is no such number.
    """
    for ids in (origin_zone_id, destination_zone_id):
        if len(ids) and not (ids.dtype.kind in "iu" and ids.min() >= 1 and ids.max() <= n_zones):
            raise InputError("a zone that TNTP cannot number", source=path, allowed=f"whole numbers from 1 to {n_zones}")
    lines = [f"<NUMBER OF ZONES> {n_zones}", f"<TOTAL OD FLOW> {float(demand.sum())!r}", "<END OF METADATA>", ""]
    order = np.lexsort((destination_zone_id, origin_zone_id))
    last = 0
    for cell in order.tolist():
        if origin_zone_id[cell] != last:
            last = int(origin_zone_id[cell])
            lines.append(f"Origin {last}")
        lines.append(f"    {int(destination_zone_id[cell])} : {float(demand[cell])!r};")
    partial = path.with_name(path.name + ".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)


def _total_stated(metadata: dict[str, tuple[str, int]], path: Path) -> float | None:
    if "TOTAL OD FLOW" not in metadata:
        return None
    text, line_number = metadata["TOTAL OD FLOW"]
    total = number(text)
    if total is None or total < 0:
        raise InputError(
            f"<TOTAL OD FLOW> is {shown(text)}", source=path, where=f"line {line_number}", allowed="a number, 0 or above"
        )
    return total


def _zone(text: str, n_zones: int, path: Path, line_number: int) -> int:
    zone = whole_number(text.strip())
    if zone is None or not 1 <= zone <= n_zones:
        raise InputError(
            f"zone {shown(text.strip())}", source=path, where=f"line {line_number}", allowed=f"a zone from 1 to {n_zones}"
        )
    return zone


def _cells(text: str, n_zones: int, destinations: list[int], demands: list[float], path: Path, line_number: int) -> None:
    """Append the `destination : demand` cells of one line."""
    for cell in text.split(";"):
        if not cell or cell.isspace():
            continue
        left, colon, right = cell.partition(":")
        if not colon:
            raise InputError(f"{shown(cell.strip())}", source=path, where=f"line {line_number}", allowed="destination : demand;")
        destinations.append(_zone(left, n_zones, path, line_number))
        demand = number(right)
        if demand is None or demand < 0:
            raise InputError(
                f"demand {shown(right.strip())}", source=path, where=f"line {line_number}", allowed="a finite number, 0 or above"
            )
        demands.append(demand)


def _summed(
    origin_id: OffsetColumn, destination_id: OffsetColumn, demand: FloatColumn
) -> tuple[OffsetColumn, OffsetColumn, FloatColumn, tuple[str, ...]]:
    """Return each pair once, in the order of its first appearance, with the sum of its values; and a warning if any repeat."""
    pair = origin_id.astype(np.int64) << 32 | destination_id.astype(np.int64)
    _, first, group = np.unique(pair, return_index=True, return_inverse=True)
    if len(first) == len(pair):
        return origin_id, destination_id, demand, ()
    in_order = np.argsort(first)
    total: FloatColumn = np.bincount(group, weights=demand)[in_order].astype(np.float64)
    repeated = int(np.setdiff1d(np.arange(len(pair)), first)[0])
    example = f"{origin_id[repeated]} to {destination_id[repeated]}"
    warning = f"{len(pair) - len(first)} cells repeat a pair ({example} is the first); their values are added up"
    return origin_id[first[in_order]], destination_id[first[in_order]], total, (warning,)
