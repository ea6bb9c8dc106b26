"""A small made-up city and a run folder of it, for the tests of run folders and reports.

The flows are invented, but everything agrees with everything else: link times follow from the flows, trip times from the paths,
totals from the trips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from sim.demand.population import OdMatrix, Population
from sim.experiments.record import RunFacts, RunFolder, demand_facts, network_facts
from sim.experiments.record_tables import (
    ConvergenceRow,
    LinkColumns,
    TripColumns,
    convergence_table,
    link_table,
    trips_table,
)
from sim.network.road_network import CleaningReport, Provenance, RoadNetwork
from sim.spec import ScenarioSpec, parse_scenario

VEHICLES = 6.0
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def grid_network(size: int = 5, *, coordinates: bool = True, fixed_cost_s: float = 0.0) -> RoadNetwork:
    """Return a square grid of two-way links, one of them curved, with one connector from the first node to the second."""
    row, column = np.divmod(np.arange(size * size), size)
    tails, heads = [], []
    for node in range(size * size):
        for step, inside in ((1, column[node] < size - 1), (size, row[node] < size - 1)):
            if inside:
                tails += [node, node + step]
                heads += [node + step, node]
    tails.append(0)
    heads.append(1)
    n_links, n_nodes = len(tails), size * size
    x, y = -71.25 + 0.004 * column, -29.90 - 0.004 * row
    bend = np.array([[x[0], y[0]], [x[0] + 0.002, y[0] + 0.001], [x[1], y[1]]])
    geometry_start = np.full(n_links + 1, 3, dtype=np.int64)
    geometry_start[0] = 0
    main_street = (row[tails] == size // 2) & (row[heads] == size // 2)
    missing = np.full(n_nodes, np.nan)
    return RoadNetwork(
        name="gridville",
        crs="EPSG:4326" if coordinates else None,
        node_id=np.arange(100, 100 + n_nodes),
        node_x=x if coordinates else missing,
        node_y=y if coordinates else missing,
        node_passable=np.ones(n_nodes, dtype=np.bool_),
        link_id=np.arange(1, n_links + 1),
        tail_idx=np.asarray(tails, dtype=np.int32),
        head_idx=np.asarray(heads, dtype=np.int32),
        length_m=np.full(n_links, 400.0),
        free_flow_time_s=np.where(main_street, 24.0, 36.0),
        capacity_vph=np.where(main_street, 250.0, 400.0),
        bpr_alpha=np.full(n_links, 0.15),
        bpr_beta=np.full(n_links, 4.0),
        fixed_cost_s=np.full(n_links, fixed_cost_s),
        toll=np.zeros(n_links),
        free_speed_kph=np.where(main_street, 60.0, 40.0),
        lanes=np.where(main_street, 2.0, 1.0),
        link_class_code=np.where(np.arange(n_links) == n_links - 1, 2, main_street.astype(int)).astype(np.uint8),
        link_classes=("residential", "primary", "connector"),
        speed_source=np.where(main_street, Provenance.TAG, Provenance.CLASS_DEFAULT).astype(np.uint8),
        lanes_source=np.where(main_street, Provenance.TAG, Provenance.CLASS_DEFAULT).astype(np.uint8),
        capacity_source=np.full(n_links, Provenance.CLASS_DEFAULT, dtype=np.uint8),
        geometry_start=geometry_start if coordinates else np.zeros(n_links + 1, dtype=np.int64),
        geometry_xy=bend if coordinates else np.empty((0, 2)),
        zone_id=np.arange(1, n_nodes + 1),
        zone_node_idx=np.arange(n_nodes, dtype=np.int32),
        cleaning=CleaningReport({"links outside the largest component": 4}, ("Speed limits are missing on 80 % of the links.",)),
    )


def grid_population(
    network: RoadNetwork, *, pairs: int = 120, travellers_per_pair: int = 5, seed: int = 3, vot_sigma: float = 0.0
) -> Population:
    """Return travellers between random zones, each standing for six vehicles; `vot_sigma` spreads their values of time."""
    draw = np.random.default_rng(seed)
    cells = sorted({(int(a), int(b)) for a, b in draw.integers(0, network.n_zones, (pairs, 2)) if a != b})
    origin, destination = (np.asarray(side, dtype=np.int32) for side in zip(*cells, strict=True))
    demand = np.full(len(cells), VEHICLES * travellers_per_pair)
    n_travellers = len(cells) * travellers_per_pair
    return Population(
        od=OdMatrix(network.zone_id, origin, destination, demand),
        od_start=np.arange(len(cells) + 1, dtype=np.int64) * travellers_per_pair,
        od_idx=np.repeat(np.arange(len(cells), dtype=np.int32), travellers_per_pair),
        weight=np.full(n_travellers, VEHICLES),
        departure_s=draw.uniform(0, 3600, n_travellers),
        vot_per_h=3600.0 * draw.lognormal(-0.5 * vot_sigma**2, vot_sigma, n_travellers),
    )


@dataclass(frozen=True)
class MadeWorld:
    """One invented world: the columns of its links and trips, and its totals."""

    links: LinkColumns
    trips: TripColumns
    total_time_s: float


def made_world(network: RoadNetwork, population: Population, *, spread: float, seed: int = 5) -> MadeWorld:
    """Send everybody along a shortest path under link weights that are disturbed by up to `spread`."""
    return driven_world(network, population, made_paths(network, population, spread=spread, seed=seed))


def made_paths(network: RoadNetwork, population: Population, *, spread: float, seed: int = 5) -> list[list[int]]:
    """Return the links of everybody's shortest path under link weights that are disturbed by up to `spread`."""
    draw = np.random.default_rng(seed)
    weight_s = network.free_flow_time_s * (1 + spread * draw.random(network.n_links))
    graph = nx.DiGraph()
    ends = zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True)
    for link_idx, (tail, head) in enumerate(ends):
        if not network.is_connector[link_idx]:
            graph.add_edge(tail, head, weight=weight_s[link_idx], link_idx=link_idx)
    routes = dict(nx.all_pairs_dijkstra_path(graph))
    zone_node = network.zone_node_idx
    paths = []
    for origin, destination in zip(population.origin_zone_idx, population.destination_zone_idx, strict=True):
        nodes = routes[int(zone_node[origin])][int(zone_node[destination])]
        paths.append([graph.edges[pair]["link_idx"] for pair in pairwise(nodes)])
    return paths


def driven_world(network: RoadNetwork, population: Population, paths: list[list[int]]) -> MadeWorld:
    """Return the world in which everybody drives these paths."""
    path_start = np.concatenate([[0], np.cumsum([len(path) for path in paths])]).astype(np.int64)
    path_link_idx = np.concatenate(paths).astype(np.int32)
    weight = np.repeat(population.weight, np.diff(path_start))
    flow_vph = np.bincount(path_link_idx, weights=weight, minlength=network.n_links)
    time_s = network.free_flow_time_s * (1 + network.bpr_alpha * (flow_vph / network.capacity_vph) ** network.bpr_beta)
    trip_time_s = np.add.reduceat(time_s[path_link_idx], path_start[:-1])
    trips = TripColumns(trip_time_s, trip_time_s.copy(), path_start, path_link_idx)
    return MadeWorld(LinkColumns(flow_vph, time_s), trips, float((flow_vph * time_s).sum()))


def made_spec(**keys: Any) -> ScenarioSpec:
    """Return the scenario that the made-up run claims to come from."""
    table = {
        "name": "gridville",
        "description": "A made-up grid of 25 crossings with one wide main street.",
        "network": {"source": "synthetic", "kind": "grid", "rows": 5, "columns": 5},
        "demand": {"source": "synthetic"},
        **keys,
    }
    return parse_scenario(table)


def made_poa(population: Population, worlds: Mapping[str, MadeWorld], *, withheld: str | None = None) -> dict[str, Any]:
    """Return a poa.json that fits the worlds."""
    vehicles = float(population.weight.sum())
    entries: dict[str, Any] = {}
    for name, world in worlds.items():
        mean_time_s = world.total_time_s / vehicles
        entries[name] = {"total_time_s": world.total_time_s, "mean_time_s": mean_time_s, "relative_gap": 4.2e-7}
        entries[name]["atomic"] = {"total_time_s": world.total_time_s * 1.0001, "mean_time_s": mean_time_s * 1.0001}
    if "selfish" in entries:
        entries["selfish"]["atomic"] |= {"relative_gap": 8.1e-5, "days": 14, "stopped_because": "gap reached"}
    ratio = interval = None
    if {"selfish", "optimum"} <= set(entries):
        entries["optimum"]["total_time_lower_bound_s"] = worlds["optimum"].total_time_s * (1 - 4e-7)
        if withheld is None:
            ratio = worlds["selfish"].total_time_s / worlds["optimum"].total_time_s
            interval = [ratio * (1 - 1.3e-6), ratio * (1 + 2.5e-6)]
    return {
        "scenario": "gridville",
        "seed": 1,
        "travellers": population.n_travellers,
        "traffic": "static",
        "worlds": entries,
        "price_of_anarchy": ratio,
        "price_of_anarchy_interval": interval,
        "withheld": withheld,
    }


def made_convergence(worlds: Mapping[str, MadeWorld]) -> list[ConvergenceRow]:
    """Return falling gaps for each world, and fourteen days of travellers who settle down."""
    rows: list[ConvergenceRow] = []
    for name, world in worlds.items():
        rows += [
            ConvergenceRow(name, "solver", step, 0.3 * 0.32**step, world.total_time_s * (1 + 0.2 * 0.5**step))
            for step in range(1, 13)
        ]
    if "selfish" in worlds:
        for day in range(1, 15):
            total_time_s = worlds["selfish"].total_time_s * (1 + 0.3 * 0.6**day)
            rows.append(ConvergenceRow("selfish", "days", day, 0.2 * 0.6**day, total_time_s, int(300 * 0.7**day)))
    return rows


def made_facts(network: RoadNetwork, population: Population, **changes: Any) -> RunFacts:
    """Return what the manifest of the made-up run says."""
    facts = RunFacts(
        scenario="gridville",
        seed=1,
        status="done",
        started_utc=STARTED,
        timings_s={"network": 0.21, "demand": 0.05, "optimum": 0.4, "selfish": 0.3, "days": 1.2},
        network=network_facts(network),
        demand=demand_facts(population, "Invented trips between random crossings; nobody was counted."),
        notes=("Map data © OpenStreetMap contributors, Open Database License 1.0.",),
        warnings=("Capacity is inferred from the class of the street on every link.",),
    )
    return replace(facts, **changes)


def write_made_run(
    target: Path,
    *,
    names: tuple[str, ...] = ("selfish", "optimum"),
    network: RoadNetwork | None = None,
    withheld: str | None = None,
    overwrite: bool = False,
    **facts: Any,
) -> Path:
    """Write a whole made-up run folder (without report) and return its path."""
    network = grid_network() if network is None else network
    population = grid_population(network)
    spread = {"selfish": 0.0, "optimum": 0.45}
    worlds = {name: made_world(network, population, spread=spread.get(name, 0.2)) for name in names}
    with RunFolder(target, overwrite=overwrite) as folder:
        folder.write_lock(made_spec())
        folder.write_poa(made_poa(population, worlds, withheld=withheld))
        folder.write_table("convergence", convergence_table(made_convergence(worlds)))
        folder.write_table("link_performance", link_table(network, {name: world.links for name, world in worlds.items()}))
        folder.write_table("trips", trips_table(population, {name: world.trips for name, world in worlds.items()}))
        folder.finish(made_facts(network, population, **facts))
    return target
