"""From a scenario to what runs: network, demand, travellers, worlds.

Names of files are resolved here; those of scenarios, cities and worlds in `sim.experiments.scenarios`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.assignment.equilibrium import Assignment
from sim.assignment.od_estimation import CountFit
from sim.assignment.problem import AssignmentProblem
from sim.bundled import bundled_cities
from sim.demand.build import build_demand
from sim.demand.population import Population
from sim.demand.travellers import make_population
from sim.errors import InputError
from sim.experiments.counted_demand import count_notes, fit_counts
from sim.experiments.scenarios import require_names
from sim.experiments.streets import Changes, Streets, changed_streets, make_streets
from sim.network import synthetic
from sim.network.gmns import GMNS_FILES, read_gmns
from sim.network.junctions import JunctionRules
from sim.network.matsim import read_matsim_network
from sim.network.quality import quality_of
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city
from sim.network.sumo import read_sumo
from sim.network.tntp import read_tntp_network
from sim.network.turn_table import TurnTable
from sim.network.turns import TurnGraph
from sim.network.validate import describe
from sim.spec import ScenarioSpec
from sim.spec_networks import (
    BundledNetwork,
    GmnsNetwork,
    MatsimNetwork,
    NetworkSpec,
    OsmNetwork,
    SumoNetwork,
    SyntheticNetwork,
    TntpNetwork,
)
from sim.spec_traffic import QueueSettings, require_static

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
    turn_graph
        The streets in the form in which every path honours bans and delays of turns; columns of `problem`, and paths, go through
        it on their way to `network`.
    problem
        The static assignment problem of the travellers on the turn graph.
    notes
        Attribution and assumptions that whoever sees a result must see too.
    inputs
        Files that were read, by the name the scenario uses.
    folder
        Where the scenario's relative paths start.
    changes
        What the scenario changes about the network, with the streets before; None where it changes nothing.
    count_fit
        How the demand was corrected by counts; None where the scenario names none.
    """

    spec: ScenarioSpec
    network: RoadNetwork
    population: Population
    turn_graph: TurnGraph
    problem: AssignmentProblem
    notes: tuple[str, ...]
    inputs: dict[str, Path]
    folder: Path
    changes: Changes | None = None
    count_fit: CountFit | None = None

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
    require_names(spec, folder=folder)
    network, inputs = build_network(spec.network, folder)
    demand = build_demand(spec.demand, network, folder, spec.seed)
    inputs |= demand_inputs(spec, folder)
    streets, count_fit = fit_counts(spec.demand, make_streets(demand.network, demand.od), folder)
    population, notes = demand.population, demand.notes
    if count_fit is not None:
        assert spec.demand.counts is not None  # there is no fit without counts
        rules = spec.demand
        population = make_population(count_fit.od, rules.vehicles_per_traveller, rules.value_of_time, rules.profile, spec.seed)
        notes += count_notes(count_fit)
    streets, changes = changed_streets(spec.network, streets)
    return BuiltScenario(
        spec,
        streets.network,
        population,
        streets.turn_graph,
        streets.problem,
        _attribution(spec.network) + notes + _fixed_cost_notes(streets, population) + (() if changes is None else changes.notes),
        inputs,
        folder,
        changes,
        count_fit,
    )


def demand_inputs(spec: ScenarioSpec, folder: Path) -> dict[str, Path]:
    """Return the files that the demand of a scenario is read from, by their names in the scenario."""
    names = [getattr(spec.demand, key, None) for key in ("trips", "file", "production_grid", "attraction_grid")]
    if spec.demand.counts is not None:
        names.append(spec.demand.counts.file)
    return {name: folder / name for name in names if name is not None}


def _fixed_cost_notes(streets: Streets, population: Population) -> tuple[str, ...]:
    """Return what must be told where tolls or distance meet different values of time: routes do not know of the difference."""
    if np.ptp(population.vot_per_h) == 0 or not (streets.network.fixed_cost_s > 0).any():
        return ()
    return ("Tolls and distance costs of the network count as the same seconds for everybody, whatever the value of time.",)


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
    if isinstance(spec, GmnsNetwork):
        return _gmns_network(spec, folder)
    if isinstance(spec, MatsimNetwork):
        return read_matsim_network(folder / spec.file, crs=spec.crs), {spec.file: folder / spec.file}
    if isinstance(spec, SumoNetwork):
        return read_sumo(folder / spec.file), {spec.file: folder / spec.file}
    with _full_keys("network"):
        return _synthetic_network(spec), {}


def _osm_network(spec: OsmNetwork, folder: Path) -> tuple[RoadNetwork, dict[str, Path]]:
    # Reading maps brings libraries along that runs on our own saved form need not wait for.
    has_defaults = bool(spec.default_speed_kph or spec.default_capacity_per_lane_vph or spec.junctions)
    if spec.file is not None and spec.file.endswith(".npz") and not has_defaults:
        from sim.network.store import load_network

        network = load_network(folder / spec.file)
        return network if spec.turn_restrictions else network.replace(turns=TurnTable()), {spec.file: folder / spec.file}
    from sim.network.osm import download_place, read_osm

    speed_kph, capacity_vph = spec.default_speed_kph, spec.default_capacity_per_lane_vph
    with _full_keys("network"):
        if spec.file is not None:
            path = folder / spec.file
            network = read_osm(
                path,
                default_speed_kph=speed_kph,
                default_capacity_per_lane_vph=capacity_vph,
                turn_restrictions=spec.turn_restrictions,
                junctions=None if spec.junctions is None else JunctionRules(**spec.junctions.model_dump()),
            )
            return network, {spec.file: path}
        assert spec.place is not None  # the spec demands one of the two
        return download_place(spec.place, default_speed_kph=speed_kph, default_capacity_per_lane_vph=capacity_vph), {}


def _gmns_network(spec: GmnsNetwork, folder: Path) -> tuple[RoadNetwork, dict[str, Path]]:
    network = read_gmns(
        folder / spec.folder,
        length_unit_m=spec.length_unit_m,
        speed_unit_kph=spec.speed_unit_kph,
        toll_weight_s=spec.toll_weight_s,
    )
    files = sorted(path for name in GMNS_FILES for path in (folder / spec.folder).glob(f"{name}.csv*"))
    return network, {f"{spec.folder}/{path.name}": path for path in files}


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
    quality = quality_of(built.network).content(built.network)
    content = {"scenario": built.spec.name, "network": describe(built.network), "quality": quality, "demand": demand}
    if isinstance(built.spec.traffic, QueueSettings):
        from sim.experiments.queue_build import build_queues, queue_content

        content["queues"] = queue_content(build_queues(built))
    return content


def make_world(built: BuiltScenario, name: str, optimum: Assignment | None) -> CityModel:
    """Return a world of travellers before its first day; the optimum world needs the solved system optimum."""
    # Mesa brings pandas along, a second that those who only build or validate need not wait.
    from sim.mechanisms.optimum import Optimum
    from sim.mechanisms.selfish import Selfish
    from sim.model import CityModel

    spec = built.spec
    mechanism: Mechanism
    if name == "selfish":
        mechanism = Selfish(spec.seed, require_static(spec.traffic, "worlds of routes").atomic_gap)
    else:
        if name != "optimum" or optimum is None:
            raise ValueError(f"{name} is no world of this kind, or the system optimum that it needs is not solved")
        mechanism = Optimum(optimum.origin_flows, spec.seed)
    return CityModel(built.problem, built.population, mechanism, spec.seed)
