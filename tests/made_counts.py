"""A small city with counts for the tests: a grid on which everybody travels to everybody, and what its loops would count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.arrays import FloatColumn
from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle, make_problem
from sim.demand.link_counts import LinkCounts
from sim.demand.od import od_from_cells, od_from_trip_table
from sim.demand.population import OdMatrix
from sim.network.synthetic import grid
from sim.network.tntp import read_tntp_network, read_tntp_trips
from sim.network.turns import TurnGraph, turn_graph


@dataclass(frozen=True, eq=False)
class CountedCity:
    """A city whose true demand is known."""

    graph: TurnGraph
    truth: OdMatrix
    flow_vph: FloatColumn


def counted_city(side: int = 4, total_vph: float = 9000.0, seed: int = 5) -> CountedCity:
    """Return a square grid with a zone at every node and uneven demand between all pairs."""
    network = grid(side, side, block_m=400.0, free_speed_kph=50.0, capacity_vph=900.0)
    n_nodes = network.n_nodes
    network = network.replace(zone_id=np.arange(1, n_nodes + 1), zone_node_idx=np.arange(n_nodes, dtype=np.int32))
    origin, destination = np.nonzero(~np.eye(n_nodes, dtype=np.bool_))
    size = np.random.default_rng(seed).lognormal(0.0, 0.7, len(origin))
    truth = od_from_cells(network.zone_id, origin, destination, size * total_vph / size.sum(), source="test")
    graph = turn_graph(network)
    found = solve(make_problem(graph.network, truth), Principle.USER_EQUILIBRIUM, gap=1e-9)
    return CountedCity(graph, truth, graph.flow_on_streets(found.flow_vph))


def sioux_falls(folder: Path, *, hour_share: float = 1.0) -> CountedCity:
    """Return Sioux Falls with `hour_share` of its trips and capacities: the same equilibrium on a smaller scale."""
    network = read_tntp_network(folder / "SiouxFalls_net.tntp", time_unit_s=60.0, length_unit_m=1000.0)
    source = folder / "SiouxFalls_trips.tntp"
    truth = od_from_trip_table(read_tntp_trips(source), network, source=source).scaled(hour_share)
    graph = turn_graph(network.replace(capacity_vph=network.capacity_vph * hour_share))
    found = solve(make_problem(graph.network, truth), Principle.USER_EQUILIBRIUM, gap=1e-9)
    return CountedCity(graph, truth, found.flow_vph)


def counts_of(city: CountedCity, noise: float, seed: int) -> LinkCounts:
    """Return a count on every link, wrong by a normal error of relative size `noise`."""
    luck = np.random.default_rng(seed).standard_normal(len(city.flow_vph))
    return LinkCounts(np.arange(len(city.flow_vph), dtype=np.int32), np.maximum(0.0, city.flow_vph * (1.0 + noise * luck)))


def wrong_prior(truth: OdMatrix, level: float, spread: float, seed: int) -> OdMatrix:
    """Return a matrix with another total, and every cell off by a lognormal factor of mean 1."""
    factor = np.exp(spread * np.random.default_rng(seed).standard_normal(truth.n_cells) - spread**2 / 2)
    return OdMatrix(truth.zone_id, truth.origin_zone_idx, truth.destination_zone_idx, truth.demand_vph * level * factor)
