"""From a demand section of a scenario to the network with its zones, the matrix and the travellers.

Cells are vehicles of the period that is simulated; static traffic takes that period as one hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sim.demand.gravity_demand import gravity_demand
from sim.demand.matsim_plans import read_plans
from sim.demand.od import od_from_cells, od_from_csv, od_from_gmns, od_from_omx, od_from_trip_table, zones_from_nodes
from sim.demand.population import OdMatrix, Population
from sim.demand.travellers import make_population
from sim.demand.trip_list import population_of_trips, read_trip_list
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import BRAESS_DEMAND_VPH, PIGOU_DEMAND_VPH, parallel_demand_vph
from sim.network.tntp import read_tntp_trips
from sim.spec import (
    DemandSpec,
    GmnsDemand,
    GravityDemand,
    MatsimDemand,
    OdDemand,
    OmxDemand,
    SyntheticDemand,
    TntpDemand,
    TripsDemand,
)

GRID_LOAD: Final = 1.5
"""Trips of the grid over the capacity of its corners: at 1 only the corners are full and the Price of Anarchy is 1; at 1.5
the usual 10 x 10 grid has 1.011."""


@dataclass(frozen=True, eq=False)
class BuiltDemand:
    """Demand ready to run.

    Attributes
    ----------
    network
        The network given, with zones added where it had none.
    od
        Scaled demand between the zones of `network`.
    population
        Travellers of `od`.
    notes
        What the user should know, in whole sentences: what is synthetic, what was assumed, what is left out.
    """

    network: RoadNetwork
    od: OdMatrix
    population: Population
    notes: tuple[str, ...]


def build_demand(spec: DemandSpec, network: RoadNetwork, folder: Path, seed: int) -> BuiltDemand:
    """Return the demand of a scenario on its network.

    Parameters
    ----------
    spec
        The scenario's demand section.
    network
        Network as read. Zones, centroids and connectors are added where the demand needs them.
    folder
        Where relative paths start.
    seed
        Seed of the scenario: lotteries of the rounding, departures, values of time.

    Raises
    ------
    InputError
        The demand cannot be had: a bad file, zones that do not exist, a demand that does not fit the network.
    """
    if isinstance(spec, TripsDemand | MatsimDemand):
        return _trips_demand(spec, network, folder, seed)
    if isinstance(spec, TntpDemand):
        network, od, notes = _tntp_demand(spec, network, folder)
    elif isinstance(spec, OdDemand):
        network, od, notes = _od_demand(spec, network, folder)
    elif isinstance(spec, GmnsDemand):
        od, notes = od_from_gmns(folder / spec.file, network).scaled(spec.scale), ()
    elif isinstance(spec, OmxDemand):
        od = od_from_omx(folder / spec.file, network, matrix=spec.matrix, zone_mapping=spec.zone_mapping).scaled(spec.scale)
        notes = ()
    elif isinstance(spec, GravityDemand):
        network, od, notes = gravity_demand(spec, network, folder, seed)
    else:
        network, od, notes = _synthetic_demand(spec, network)
    population = make_population(od, spec.vehicles_per_traveller, spec.value_of_time, spec.profile, seed)
    return BuiltDemand(network, od, population, notes + _intrazonal_note(od))


def _intrazonal_note(od: OdMatrix) -> tuple[str, ...]:
    if od.intrazonal_vph == 0:
        return ()
    return (f"{od.intrazonal_vph:,.6g} vehicles travel inside their zone, use no link and are left out.",)


def _trips_demand(spec: TripsDemand | MatsimDemand, network: RoadNetwork, folder: Path, seed: int) -> BuiltDemand:
    path = folder / spec.file
    trips = read_trip_list(path, network) if isinstance(spec, TripsDemand) else read_plans(path, network, mode=spec.mode)
    od, population, notes = population_of_trips(trips, spec, seed, source=path)
    if not network.n_zones:
        network = zones_from_nodes(network, od.zone_id)
        notes += (f"The network has no zones; the {len(od.zone_id)} nodes that {path.name} names stand for zones.",)
    return BuiltDemand(network, od, population, notes + _intrazonal_note(od))


def _tntp_demand(spec: TntpDemand, network: RoadNetwork, folder: Path) -> tuple[RoadNetwork, OdMatrix, tuple[str, ...]]:
    path = folder / spec.trips
    table = read_tntp_trips(path)
    od = od_from_trip_table(table, network, source=path).scaled(spec.scale)
    notes = tuple(f"{path.name}: {warning}." for warning in table.warnings)
    if table.n_zones < network.n_zones:
        notes += (f"{path.name} states {table.n_zones} zones, the network {network.n_zones}; the others have no trips.",)
    return network, od, notes


def _od_demand(spec: OdDemand, network: RoadNetwork, folder: Path) -> tuple[RoadNetwork, OdMatrix, tuple[str, ...]]:
    od = od_from_csv(folder / spec.file, network).scaled(spec.scale)
    if network.n_zones:
        return network, od, ()
    note = f"The network has no zones; the {len(od.zone_id)} nodes that {Path(spec.file).name} names stand for zones."
    return zones_from_nodes(network, od.zone_id), od, (note,)


def _synthetic_demand(spec: SyntheticDemand, network: RoadNetwork) -> tuple[RoadNetwork, OdMatrix, tuple[str, ...]]:
    if network.name not in _TEXTBOOK_DEMAND_VPH:
        raise InputError(
            f"synthetic demand belongs to a synthetic network, and this is {network.name}",
            where="demand.source",
            allowed="tntp, od or gravity for this network; synthetic for " + ", ".join(_TEXTBOOK_DEMAND_VPH),
        )
    total_vph = (_TEXTBOOK_DEMAND_VPH[network.name](network) if spec.demand_vph is None else spec.demand_vph) * spec.scale
    # Both ways only on the grid: the links of the other networks lead from zone 1 to zone 2 alone.
    n_zones = network.n_zones
    origin, destination = (
        np.nonzero(~np.eye(n_zones, dtype=np.bool_)) if network.name == "grid" else (np.array([0]), np.array([1]))
    )
    demand_vph = np.full(len(origin), total_vph / len(origin))
    od = od_from_cells(network.zone_id, origin, destination, demand_vph, source="demand")
    return network, od, (f"The demand is synthetic: {total_vph:,.6g} vehicles an hour on the textbook network {network.name}.",)


def _grid_demand_vph(network: RoadNetwork) -> float:
    """Return `GRID_LOAD` times what the streets that leave the grid's corners carry."""
    return GRID_LOAD * float(network.capacity_vph[np.isin(network.tail_idx, network.zone_node_idx)].sum())


_TEXTBOOK_DEMAND_VPH: Final[dict[str, Callable[[RoadNetwork], float]]] = {
    "pigou": lambda network: PIGOU_DEMAND_VPH,
    "braess": lambda network: BRAESS_DEMAND_VPH,
    "parallel": lambda network: parallel_demand_vph(network.n_links),
    "grid": _grid_demand_vph,
}
