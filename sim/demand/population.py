"""Demand as sparse OD matrices, and travellers as columns.

A cell of d vehicles becomes n = max(1, round(d / grain)) travellers of weight d / n each (grain: vehicles a traveller stands
for).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sim.arrays import FloatColumn, IdColumn, IndexColumn, OffsetColumn, frozen


@dataclass(frozen=True, eq=False)
class OdMatrix:
    """Demand between zones, as the cells above zero, sorted by origin and then destination, each pair once.

    Attributes
    ----------
    zone_id
        External ids; positions are those of the network's zones.
    origin_zone_idx, destination_zone_idx
        Zone positions of each cell, shape (n_cells,).
    demand_vph
        Vehicles in the period (an hour unless the source says otherwise), above 0.
    intrazonal_vph
        Demand inside zones, which uses no link and is left out of the cells.
    """

    zone_id: IdColumn
    origin_zone_idx: IndexColumn
    destination_zone_idx: IndexColumn
    demand_vph: FloatColumn
    intrazonal_vph: float = 0.0

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, column.name, frozen(value))

    @property
    def n_cells(self) -> int:
        """Number of cells above zero."""
        return len(self.demand_vph)

    @property
    def total_vph(self) -> float:
        """Total demand between different zones."""
        return float(self.demand_vph.sum())

    def scaled(self, factor: float) -> OdMatrix:
        """Return the matrix with every cell multiplied by `factor` (above 0)."""
        return OdMatrix(
            self.zone_id, self.origin_zone_idx, self.destination_zone_idx, self.demand_vph * factor, self.intrazonal_vph * factor
        )


@dataclass(frozen=True, eq=False)
class Population:
    """Travellers as columns, sorted by OD cell; traveller i belongs to cell `od_idx[i]`.

    Attributes
    ----------
    od
        The matrix the travellers were made from.
    od_start
        Travellers of cell k: `od_start[k]` to `od_start[k + 1]`; shape (n_cells + 1,).
    od_idx
        Cell of each traveller, shape (n_travellers,).
    weight
        Vehicles each traveller stands for.
    departure_s
        Departure in seconds after the start of the period.
    vot_per_h
        Value of time in credits an hour.
    """

    od: OdMatrix
    od_start: OffsetColumn
    od_idx: IndexColumn
    weight: FloatColumn
    departure_s: FloatColumn
    vot_per_h: FloatColumn

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, column.name, frozen(value))

    @property
    def n_travellers(self) -> int:
        """Number of travellers."""
        return len(self.od_idx)

    @property
    def origin_zone_idx(self) -> IndexColumn:
        """Zone position of each traveller's origin."""
        return np.asarray(self.od.origin_zone_idx[self.od_idx])

    @property
    def destination_zone_idx(self) -> IndexColumn:
        """Zone position of each traveller's destination."""
        return np.asarray(self.od.destination_zone_idx[self.od_idx])
