"""Lists of trips, CSV or Parquet: every row becomes a traveller of its own.

Columns: `origin` and `destination` (ids of zones, or of nodes where the network has no zones), and where they are there
`departure_s` (seconds after midnight or whatever the file counts from; otherwise drawn from the profile), `weight` (vehicles; 1)
and `vot_per_h` (credits an hour; otherwise drawn as for other demand). `sim.demand.trip_paths` reads `path`. Static traffic takes
the vehicles of the list as those of an hour, unless the scenario names a window: then they are scaled to an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import BoolColumn, FloatColumn, IdColumn, IndexColumn
from sim.demand.od import od_from_cells
from sim.demand.population import OdMatrix, Population
from sim.demand.travellers import departures_s, even_shares, traveller_key, values_of_time
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.table_file import Table, read_table
from sim.spec import MatsimDemand, TripsDemand
from sim.units import SECONDS_PER_HOUR

COLUMNS: Final = ("origin", "destination", "departure_s", "weight", "vot_per_h")


@dataclass(frozen=True, eq=False)
class TripRows:
    """Trips in the order of their file, shape (n_trips,) each.

    Attributes
    ----------
    zone_id
        External ids of what the ends are positions of.
    origin_idx, destination_idx
        Positions of the ends among `zone_id`.
    departure_s
        Departure, at least 0; NaN where it is not stated.
    weight
        Vehicles, above 0.
    vot_per_h
        Value of time, above 0; NaN where it is not stated.
    """

    zone_id: IdColumn
    origin_idx: IndexColumn
    destination_idx: IndexColumn
    departure_s: FloatColumn
    weight: FloatColumn
    vot_per_h: FloatColumn

    @property
    def n_trips(self) -> int:
        """Number of trips."""
        return len(self.weight)

    def take(self, kept: NDArray[Any]) -> TripRows:
        """Return some of the trips, by a mask or by positions."""
        columns = {name: getattr(self, name)[kept] for name in self.__dict__ if name != "zone_id"}
        return TripRows(zone_id=self.zone_id, **columns)


def read_trip_list(path: Path, network: RoadNetwork) -> TripRows:
    """Read a list of trips.

    Raises
    ------
    InputError
        The file is missing, no table or without trips, lacks a column, names a zone (node) that does not exist, or holds a number
        that means nothing.
    """
    table = read_table(path, COLUMNS, nan_is_blank=False)
    table.require(COLUMNS[:2])
    if not table.n_rows:
        raise InputError("the list has no trips", source=path, allowed="at least one row")
    kind, known = ("zone", network.zone_id) if network.n_zones else ("node", network.node_id)
    place_of = {str(known_id): place for place, known_id in enumerate(known.tolist())}
    origin, destination = (_places(table, name, place_of, kind) for name in COLUMNS[:2])
    zone_id = known
    if not network.n_zones:
        # Only nodes that somebody names stand for zones.
        named, ends = np.unique(np.concatenate([origin, destination]), return_inverse=True)
        zone_id, origin, destination = known[named], ends[: table.n_rows], ends[table.n_rows :]
    return TripRows(
        zone_id=zone_id,
        origin_idx=origin.astype(np.int32),
        destination_idx=destination.astype(np.int32),
        departure_s=table.numbers("departure_s", blank=np.nan, at_least=0),
        weight=table.numbers("weight", blank=1.0, above=0),
        vot_per_h=table.numbers("vot_per_h", blank=np.nan, above=0),
    )


def _places(table: Table, name: str, place_of: dict[str, int], kind: str) -> NDArray[np.int64]:
    texts = table.texts(name)
    places = [place_of.get(text, -1) for text in texts]
    if -1 in places:
        row = places.index(-1)
        examples = ", ".join(list(place_of)[:3])
        raise InputError(
            f"{name} {texts[row][:40]!r}: no such {kind}",
            source=table.path,
            where=table.where(row),
            allowed=f"one of the {len(place_of)} {kind}s: {examples}{', ...' if len(place_of) > 3 else ''}",
        )
    return np.array(places, dtype=np.int64)


def traveller_rows(trips: TripRows, spec: TripsDemand | MatsimDemand) -> NDArray[np.int64]:
    """Return the rows of a list that travel between zones in the window, by cell and inside a cell in the order of the file."""
    pair = trips.origin_idx.astype(np.int64) * len(trips.zone_id) + trips.destination_idx
    travels = ~_outside_window(trips, spec) & (trips.origin_idx != trips.destination_idx)
    order = np.argsort(pair, kind="stable")
    return np.asarray(order[travels[order]])


def _outside_window(trips: TripRows, spec: TripsDemand | MatsimDemand) -> BoolColumn:
    timed = ~np.isnan(trips.departure_s)
    return np.asarray(timed & ((trips.departure_s < spec.start_s) | (trips.departure_s >= (spec.end_s or np.inf))))


def population_of_trips(
    trips: TripRows, spec: TripsDemand | MatsimDemand, seed: int, *, source: Path
) -> tuple[OdMatrix, Population, tuple[str, ...]]:
    """Return matrix and travellers of a list of trips, and what the user should know.

    Trips that start and end in the same zone are left out of both and counted in the matrix. Travellers stand by cell, and inside
    a cell in the order of the file.

    Raises
    ------
    InputError
        No trip between different zones departs in the window.
    """
    notes: tuple[str, ...] = ()
    outside = _outside_window(trips, spec)
    if outside.any():
        notes += (f"{int(outside.sum()):,} trips depart outside the window and are left out.",)
    row = traveller_rows(trips, spec)
    scale = spec.scale
    if spec.end_s is not None:
        scale *= SECONDS_PER_HOUR / (spec.end_s - spec.start_s)
    weight = trips.weight * scale
    od = od_from_cells(
        trips.zone_id, trips.origin_idx[~outside], trips.destination_idx[~outside], weight[~outside], source=source
    )
    pair = trips.origin_idx[row].astype(np.int64) * len(trips.zone_id) + trips.destination_idx[row]
    cell_pair = od.origin_zone_idx.astype(np.int64) * len(trips.zone_id) + od.destination_zone_idx
    od_start = np.concatenate([np.searchsorted(pair, cell_pair), [len(row)]]).astype(np.int64)
    od_idx = np.repeat(np.arange(od.n_cells, dtype=np.int32), np.diff(od_start))
    key = traveller_key(od, od_start, od_idx)
    departure_s, vot_per_h = trips.departure_s[row], trips.vot_per_h[row]
    drawn_s = departures_s(spec.profile, key, seed, even_shares(od_start, od_idx)) + spec.start_s
    departure_s = np.where(np.isnan(departure_s), drawn_s, departure_s)
    vot_per_h = np.where(np.isnan(vot_per_h), values_of_time(spec.value_of_time, key, seed), vot_per_h)
    return od, Population(od, od_start, od_idx, weight[row], departure_s - spec.start_s, vot_per_h), notes
