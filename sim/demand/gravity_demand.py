"""Gravity demand on a street network: zones where there are none, trips by the gravity model, whole vehicles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.demand.gravity import BALANCE_TOLERANCE, GravityResult, feasible_attractions, furness, zone_distances_km
from sim.demand.grids import read_zone_weights
from sim.demand.od import od_from_cells
from sim.demand.population import OdMatrix
from sim.demand.whole_trips import round_to_whole
from sim.demand.zoning import make_zones
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.spec import GravityDemand

MOST_TRIPS: Final = 1_000_000_000
"""More trips an hour than any city has; beyond, whole trips no longer fit the integers they are counted in."""


def gravity_demand(
    spec: GravityDemand, network: RoadNetwork, folder: Path, seed: int
) -> tuple[RoadNetwork, OdMatrix, tuple[str, ...]]:
    """Return (network with zones, matrix of whole trips, notes) of a gravity demand.

    The total is trips_per_h * scale, rounded half up. A network that has zones keeps them; without grids (whose names are
    relative to `folder`) every zone then produces and attracts the same, because neither streets nor nodes of such networks
    (TNTP) say where people live.

    Raises
    ------
    InputError
        Zones cannot be made, the total is below one trip, a grid is bad, or the trips cannot be balanced.
    """
    asked = spec.trips_per_h * spec.scale + 0.5
    if not 1 <= asked < MOST_TRIPS + 1:
        problem = f"{spec.trips_per_h:g} trips an hour at scale {spec.scale:g}"
        raise InputError(problem, where="demand.trips_per_h", allowed=f"1 to {MOST_TRIPS:,} whole trips")
    total = math.floor(asked)
    network, production, attraction, zone_notes = _zone_sizes(spec, network, folder)
    notes = (
        f"The demand is synthetic, not counted: {total:,} trips an hour by a gravity model "
        f"(deterrence {spec.deterrence_km:g} km).",
        *zone_notes,
    )
    production = production * (total / production.sum())
    fitted = feasible_attractions(production, attraction)
    if not np.allclose(fitted, attraction * (total / attraction.sum()), rtol=1e-9):
        notes += ("A zone drew too many trips for its own trips to end elsewhere; its attraction was lowered.",)
    result = furness(production, fitted, zone_distances_km(network), spec.deterrence_km)
    _require_balanced(result, network, spec)
    origin, destination = np.nonzero(result.trips)
    od = od_from_cells(network.zone_id, origin, destination, result.trips[origin, destination], source="demand")
    od = round_to_whole(od, total, seed)
    busy = [np.bincount(ends, minlength=network.n_zones) > 0 for ends in (od.origin_zone_idx, od.destination_zone_idx)]
    n_idle = int(np.count_nonzero(~(busy[0] & busy[1])))
    if n_idle:
        notes += (f"{n_idle} of {network.n_zones} zones start or end no whole trip.",)
    return network, od, notes


def _zone_sizes(
    spec: GravityDemand, network: RoadNetwork, folder: Path
) -> tuple[RoadNetwork, FloatColumn, FloatColumn, tuple[str, ...]]:
    """Return (network with zones, productions, attractions, notes)."""
    if network.n_zones == 1:
        problem = "a single zone has no trips to other zones"
        raise InputError(problem, source=network.name, where="demand", allowed="a network with two zones or more, or with none")
    if network.n_zones:
        same = np.ones(network.n_zones)
        zones = np.arange(network.n_zones, dtype=np.int32)
        production, attraction, notes = _from_grids(spec, network, folder, (network.zone_node_idx, zones), (same, same))
        sizes = "" if notes else ", all of the same size"
        return network, production, attraction, (f"The network's own {network.n_zones} zones are used{sizes}.", *notes)
    zoning = make_zones(network, spec.zones, centre_pull=spec.centre_pull)
    ground = "residential street length" if zoning.by_streets else "the density of nodes, for want of residential streets"
    note = f"{spec.zones} zones were made automatically from {ground}; places where many main streets meet attract more trips."
    node_idx = np.flatnonzero(zoning.zone_of_node_idx >= 0).astype(np.int32)
    found = (zoning.production_weight, zoning.attraction_weight)
    production, attraction, notes = _from_grids(spec, network, folder, (node_idx, zoning.zone_of_node_idx[node_idx]), found)
    return zoning.apply(network), production, attraction, (note, *notes)


def _from_grids(
    spec: GravityDemand,
    network: RoadNetwork,
    folder: Path,
    nodes_and_zones: tuple[IndexColumn, IndexColumn],
    sizes: tuple[FloatColumn, FloatColumn],
) -> tuple[FloatColumn, FloatColumn, tuple[str, ...]]:
    """Return productions and attractions, from the grids where the scenario names them, and notes that say so."""
    found, notes = [], []
    for name, what, size in (
        (spec.production_grid, "Trips start", sizes[0]), (spec.attraction_grid, "Trips end", sizes[1])
    ):  # fmt: skip
        if name is None:
            found.append(size)
            continue
        grid = read_zone_weights(folder / name, network, *nodes_and_zones, len(size))
        found.append(grid.weight)
        left_out = f"; {grid.share_left_out:.2%} of its weight lies apart and is left out" if grid.share_left_out > 0 else ""
        notes.append(f"{what} where {Path(name).name} says{left_out}.")
    return found[0], found[1], tuple(notes)


def _require_balanced(result: GravityResult, network: RoadNetwork, spec: GravityDemand) -> None:
    if result.balanced:
        return
    raise InputError(
        f"the trips between the {network.n_zones} zones cannot be balanced: {result.stopped_because} (after "
        f"{result.iterations} rounds a zone is off by {result.residual:.3g} of its trips, more than {BALANCE_TOLERANCE:g})",
        source=network.name,
        where="demand",
        allowed="zones that reach each other, and a deterrence_km that is not tiny against the network "
        f"(here {spec.deterrence_km:g})",
    )
