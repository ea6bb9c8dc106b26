"""From a scenario to what runs: network, demand, travellers, worlds.

Names of files are resolved here; those of scenarios, cities and worlds in `sim.experiments.scenarios`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem, make_problem
from sim.bundled import bundled_cities
from sim.demand.build import build_demand
from sim.demand.population import Population
from sim.errors import InputError
from sim.experiments.scenarios import WORLDS as WORLDS
from sim.experiments.scenarios import find_scenario as find_scenario
from sim.experiments.scenarios import require_names
from sim.network import synthetic
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city
from sim.network.tntp import read_tntp_network
from sim.network.validate import check_connected, describe
from sim.spec import BundledNetwork, NetworkSpec, OsmNetwork, ScenarioSpec, SyntheticNetwork, TntpNetwork

if TYPE_CHECKING:
    from sim.mechanisms.protocol import Mechanism
    from sim.model import CityModel

OSM_ATTRIBUTION = "Map data © OpenStreetMap contributors, Open Database License 1.0."


@dataclass(frozen=True, eq=False)
class BuiltScenario:
    """A scenario ready to run.

    Attributes
    ----------
    spec
        What was asked for.
    network
        Streets, with zones.
    population
        Travellers.
    problem
        The static assignment problem of the two.
    notes
        Attribution and assumptions that whoever sees a result must see too.
    inputs
        Files that were read, by the name the scenario uses.
    folder
        Where the scenario's relative paths start.
    """

    spec: ScenarioSpec
    network: RoadNetwork
    population: Population
    problem: AssignmentProblem
    notes: tuple[str, ...]
    inputs: dict[str, Path]
    folder: Path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the network's reader wants the user to know."""
        return self.network.cleaning.warnings


def build_scenario(spec: ScenarioSpec, folder: Path) -> BuiltScenario:
    """Read the network and make the travellers.

    Raises
    ------
    InputError
        A file is missing or bad, a name does not exist, or demand has no path.
    """
    require_names(spec)
    network, inputs = build_network(spec.network, folder)
    demand = build_demand(spec.demand, network, folder, spec.seed)
    for key in ("trips", "file"):
        name = getattr(spec.demand, key, None)
        if name is not None:
            inputs[name] = folder / name
    check_connected(demand.network, demand.od.origin_zone_idx, demand.od.destination_zone_idx)
    return BuiltScenario(
        spec,
        demand.network,
        demand.population,
        make_problem(demand.network, demand.od),
        _attribution(spec.network) + demand.notes,
        inputs,
        folder,
    )


def _attribution(spec: NetworkSpec) -> tuple[str, ...]:
    if not isinstance(spec, BundledNetwork | OsmNetwork):
        return ()
    if isinstance(spec, OsmNetwork):
        return (OSM_ATTRIBUTION,)
    source = bundled_cities()[spec.city] / "attribution.txt"
    return (OSM_ATTRIBUTION, source.read_text(encoding="utf-8").strip()) if source.exists() else (OSM_ATTRIBUTION,)


def build_network(spec: NetworkSpec, folder: Path) -> tuple[RoadNetwork, dict[str, Path]]:
    """Return the network of a scenario and the files it was read from, by their names in the scenario."""
    if isinstance(spec, BundledNetwork):
        return load_city(spec.city), {f"{spec.city}/network.npz": bundled_cities()[spec.city] / "network.npz"}
    if isinstance(spec, TntpNetwork):
        nodes = None if spec.nodes is None else folder / spec.nodes
        network = read_tntp_network(
            folder / spec.net,
            nodes=nodes,
            toll_weight=spec.toll_weight,
            distance_weight=spec.distance_weight,
            time_unit_s=spec.time_unit_s,
            length_unit_m=spec.length_unit_m,
        )
        return network, {name: folder / name for name in (spec.net, spec.nodes) if name is not None}
    if isinstance(spec, OsmNetwork):
        return _osm_network(spec, folder)
    with _full_keys("network"):
        return _synthetic_network(spec), {}


def _osm_network(spec: OsmNetwork, folder: Path) -> tuple[RoadNetwork, dict[str, Path]]:
    # OSMnx takes seconds to import, which runs on our own saved form need not pay.
    has_defaults = bool(spec.default_speed_kph or spec.default_capacity_per_lane_vph)
    if spec.file is not None and spec.file.endswith(".npz") and not has_defaults:
        from sim.network.store import load_network

        return load_network(folder / spec.file), {spec.file: folder / spec.file}
    from sim.network.osm import download_place, read_osm

    speed_kph, capacity_vph = spec.default_speed_kph, spec.default_capacity_per_lane_vph
    with _full_keys("network"):
        if spec.file is not None:
            path = folder / spec.file
            return read_osm(path, default_speed_kph=speed_kph, default_capacity_per_lane_vph=capacity_vph), {spec.file: path}
        assert spec.place is not None  # the spec demands one of the two
        return download_place(spec.place, default_speed_kph=speed_kph, default_capacity_per_lane_vph=capacity_vph), {}


@contextmanager
def _full_keys(section: str) -> Iterator[None]:
    """Name the whole key in messages of readers, which know a key of their section alone."""
    try:
        yield
    except InputError as error:
        if error.source is not None or error.where is None:
            raise
        raise InputError(error.problem, where=f"{section}.{error.where}", allowed=error.allowed) from None


def _synthetic_network(spec: SyntheticNetwork) -> RoadNetwork:
    if spec.kind == "pigou":
        return synthetic.pigou(spec.pigou_power)
    if spec.kind == "braess":
        return synthetic.braess()
    if spec.kind == "parallel":
        return synthetic.parallel(spec.routes)
    return synthetic.grid(
        spec.rows,
        spec.columns,
        block_m=spec.block_m,
        free_speed_kph=spec.free_speed_kph,
        capacity_vph=spec.capacity_vph,
        arterial_every=spec.arterial_every,
    )


def validation_content(built: BuiltScenario) -> dict[str, Any]:
    """Return what `routepact validate --json` prints."""
    demand = {
        "travellers": built.population.n_travellers,
        "vehicles_per_h": built.problem.od.total_vph,
        "od_cells": built.problem.od.n_cells,
        "notes": list(built.notes),
    }
    return {"scenario": built.spec.name, "network": describe(built.network), "demand": demand}


def make_world(built: BuiltScenario, name: str, optimum: Assignment | None) -> CityModel:
    """Return a world of travellers before its first day; the optimum world needs the solved system optimum."""
    # Mesa brings pandas along, a second that those who only build or validate need not wait.
    from sim.mechanisms.optimum import Optimum
    from sim.mechanisms.selfish import Selfish
    from sim.model import CityModel

    spec = built.spec
    mechanism: Mechanism
    if name == "selfish":
        mechanism = Selfish(spec.seed, spec.traffic.atomic_gap)
    else:
        if name != "optimum" or optimum is None:
            raise ValueError(f"{name} is no world of this kind, or the system optimum that it needs is not solved")
        mechanism = Optimum(optimum.origin_flows, spec.seed)
    return CityModel(built.problem, built.population, mechanism, spec.seed)
