"""Counted flows of links: the file, and what it says about links of a network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from sim.arrays import FloatColumn, IndexColumn, frozen
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.table_file import read_table

COLUMNS = ("link_id", "count_vph")


@dataclass(frozen=True, eq=False)
class LinkCounts:
    """Counts by link, each link once.

    Attributes
    ----------
    link_idx
        Links of the network, ascending, shape (n_counts,).
    count_vph
        Vehicles an hour, at least 0.
    """

    link_idx: IndexColumn
    count_vph: FloatColumn

    def __post_init__(self) -> None:
        for column in fields(self):
            object.__setattr__(self, column.name, frozen(getattr(self, column.name)))


def read_link_counts(path: Path, network: RoadNetwork) -> LinkCounts:
    """Read counts (CSV, plain or gzipped, or Parquet) with the columns `COLUMNS`, in any order.

    Raises
    ------
    InputError
        The file is missing, no table or empty, names a link that does not exist or one twice, or a count is no finite number of
        0 or above, or all are 0.
    """
    table = read_table(path, COLUMNS)
    table.require(COLUMNS)
    if not table.n_rows:
        raise InputError("holds no counts", source=path, allowed="at least one row")
    position = {str(link_id): link_idx for link_idx, link_id in enumerate(network.link_id.tolist())}
    first_row: dict[int, int] = {}
    for row, link_id in enumerate(map(str, table.ids("link_id").tolist())):
        if link_id not in position:
            raise InputError(
                f"link {link_id!r} does not exist in {network.name}", source=path, where=table.where(row),
                allowed=f"ids of its {network.n_links} links",
            )  # fmt: skip
        if position[link_id] in first_row:
            earlier = table.where(first_row[position[link_id]])
            raise InputError(f"link {link_id!r} is counted in {earlier} already", source=path, where=table.where(row))
        first_row[position[link_id]] = row
    count_vph = table.numbers("count_vph", at_least=0.0)
    if not count_vph.any():
        raise InputError("every count is 0", source=path, where="count_vph", allowed="at least one above 0")
    link_idx = np.array(list(first_row), dtype=np.int32)
    order = np.argsort(link_idx)
    return LinkCounts(link_idx[order], count_vph[order])
