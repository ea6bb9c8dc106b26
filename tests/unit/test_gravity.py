"""The gravity model against closed forms, distances against a slow twin, whole trips against their bounds."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest

from sim.demand.gravity import feasible_attractions, furness, zone_distances_km
from sim.demand.population import OdMatrix
from sim.demand.whole_trips import round_table, round_to_whole
from sim.errors import InputError
from sim.network.connectors import with_zones
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import plain_network


def line_distances_km(places_km: list[float]) -> np.ndarray:
    return np.abs(np.subtract.outer(places_km, places_km))


def test_rows_and_columns_are_met() -> None:
    production, attraction = np.array([30.0, 50.0, 20.0, 40.0]), np.array([10.0, 60.0, 40.0, 30.0])
    result = furness(production, attraction, line_distances_km([0, 1, 4, 9]), 2.0)
    assert result.balanced and result.stopped_because == "balanced" and result.residual <= 1e-10
    np.testing.assert_allclose(result.trips.sum(axis=1), production, rtol=1e-10)
    np.testing.assert_allclose(result.trips.sum(axis=0), attraction, rtol=1e-10)
    assert np.all(np.diag(result.trips) == 0)


def test_trips_have_the_form_of_the_model() -> None:
    """T_ij T_kl / (T_il T_kj) depends on the distances alone: the balancing factors cancel."""
    distance_km = line_distances_km([0, 1, 4, 9, 11])
    result = furness(np.array([3.0, 5, 2, 4, 1]), np.array([2.0, 4, 3, 3, 3]), distance_km, 3.0)
    for i, k, j, m in itertools.permutations(range(5), 4):
        ratio = result.trips[i, j] * result.trips[k, m] / (result.trips[i, m] * result.trips[k, j])
        exponent = -(distance_km[i, j] + distance_km[k, m] - distance_km[i, m] - distance_km[k, j]) / 3.0
        assert ratio == pytest.approx(np.exp(exponent), rel=1e-9)


def test_symmetric_case() -> None:
    size = np.array([10.0, 20.0, 30.0, 15.0])
    trips = furness(size, size, line_distances_km([0, 2, 3, 7]), 4.0).trips
    np.testing.assert_allclose(trips, trips.T, rtol=1e-8)


def test_equal_zones_without_deterrence_share_equally() -> None:
    """P_i A_j / T where every pair may trade: with the diagonal left out, P / (n - 1) each."""
    n = 6
    trips = furness(np.full(n, 10.0), np.full(n, 10.0), np.ones((n, n)), np.inf).trips
    np.testing.assert_allclose(trips[~np.eye(n, dtype=bool)], 10.0 / (n - 1), rtol=1e-9)


def test_without_deterrence_separate_origins_and_destinations_give_products() -> None:
    """Origins 0, 1 and destinations 2, 3, 4 never meet the diagonal, so T_ij = P_i A_j / T exactly."""
    production, attraction = np.array([30.0, 70.0, 0, 0, 0]), np.array([0, 0, 20.0, 50.0, 30.0])
    for deterrence_km, distance_km in ((np.inf, line_distances_km([0, 1, 2, 3, 4])), (5.0, np.ones((5, 5)))):
        trips = furness(production, attraction, distance_km, deterrence_km).trips
        np.testing.assert_allclose(trips, np.outer(production, attraction) / 100.0, rtol=1e-9, atol=1e-12)


def test_short_deterrence_does_not_underflow() -> None:
    """exp(-2000) is 0 in floating point, yet all pairs are equally far and share equally."""
    result = furness(np.full(4, 6.0), np.full(4, 6.0), np.full((4, 4), 1000.0), 0.5)
    assert result.balanced
    np.testing.assert_allclose(result.trips[~np.eye(4, dtype=bool)], 2.0, rtol=1e-9)
    pairs = furness(np.full(4, 5.0), np.full(4, 5.0), line_distances_km([0.0, 1.0, 5000.0, 5001.0]), 0.5)
    np.testing.assert_allclose(pairs.trips[0], [0, 5, 0, 0], atol=1e-9)


def test_unsolvable_cases_say_why() -> None:
    cut_off = np.array([[0, 1, np.inf], [1, 0, np.inf], [1, 1, 0.0]])
    result = furness(np.ones(3), np.ones(3), cut_off, 2.0)
    assert not result.balanced and "destination zone at position 2" in result.stopped_because
    too_big = furness(np.array([8.0, 1, 1]), np.array([8.0, 1, 1]), np.ones((3, 3)), 2.0)
    assert not too_big.balanced and too_big.stopped_because == "the rows stopped getting better" and too_big.residual > 0.01
    bounded = furness(np.array([3.0, 5, 2]), np.array([4.0, 3, 3]), line_distances_km([0, 1, 5]), 1.0, most_iterations=1)
    assert bounded.stopped_because == "too many iterations" and bounded.iterations == 1


def test_feasible_attractions() -> None:
    np.testing.assert_allclose(feasible_attractions(np.array([6.0, 4.0]), np.array([5.0, 5.0])), [4.0, 6.0])
    untouched = feasible_attractions(np.full(4, 2.0), np.array([1.0, 2, 3, 2]))
    np.testing.assert_allclose(untouched, [1.0, 2, 3, 2])
    production, attraction = np.array([50.0, 20, 30]), np.array([80.0, 10, 10])
    fitted = feasible_attractions(production, attraction)
    assert fitted.sum() == pytest.approx(100.0) and np.all(production + fitted <= 95.0 + 1e-9)
    assert furness(production, fitted, line_distances_km([0, 3, 7]), 2.0).balanced


def random_network(seed: int) -> RoadNetwork:
    generator = np.random.default_rng(seed)
    n_nodes, n_links = 12, 40
    tail, head = generator.integers(0, n_nodes, n_links), generator.integers(0, n_nodes, n_links)
    kept = tail != head
    streets = plain_network(
        "random",
        node_xy=generator.random((n_nodes, 2)) * 1000,
        tail_idx=tail[kept].astype(np.int32),
        head_idx=head[kept].astype(np.int32),
        free_flow_time_s=np.ones(kept.sum()),
        capacity_vph=np.ones(kept.sum()),
        # Long streets make a way through another zone tempting; a few have no length at all.
        length_m=np.round(1000 + generator.random(kept.sum()) * 4000) * (generator.random(kept.sum()) < 0.9),
    )
    nodes = [generator.choice(n_nodes, 2, replace=False).astype(np.int32) for _ in range(4)]
    return with_zones(streets, np.arange(1, 5), generator.random(4) * 1000, generator.random(4) * 1000, nodes)


@pytest.mark.parametrize("seed", range(5))
def test_distances_against_a_slow_twin(seed: int) -> None:
    """One networkx graph for each origin, without the other zones' outgoing links; parallel and zero-length links included."""
    network = random_network(seed)
    distance_km = zone_distances_km(network)
    for origin_idx, origin in enumerate(network.zone_node_idx.tolist()):
        graph = nx.MultiDiGraph()
        graph.add_nodes_from(range(network.n_nodes))
        for tail, head, length_m in zip(
            network.tail_idx.tolist(), network.head_idx.tolist(), network.length_m.tolist(), strict=True
        ):
            if network.node_passable[tail] or tail == origin:
                graph.add_edge(tail, head, weight=length_m)
        reached = nx.single_source_dijkstra_path_length(graph, origin)
        expected = [reached.get(node, np.inf) / 1000 for node in network.zone_node_idx.tolist()]
        np.testing.assert_allclose(distance_km[origin_idx], expected, rtol=1e-12)


def square_matrix(demand: np.ndarray) -> OdMatrix:
    origin, destination = np.nonzero(demand)
    return OdMatrix(
        np.arange(len(demand)), origin.astype(np.int32), destination.astype(np.int32), demand[origin, destination], 2.0
    )


def as_square(od: OdMatrix) -> np.ndarray:
    square = np.zeros((len(od.zone_id), len(od.zone_id)))
    square[od.origin_zone_idx, od.destination_zone_idx] = od.demand_vph
    return square


def test_whole_trips_of_a_known_table() -> None:
    """Four halves around a square: whole trips are one of the two diagonals, each half of the time."""
    demand = np.array([[0.5, 0.5], [0.5, 0.5]])
    seen = {tuple(as_square(round_to_whole(square_matrix(demand), 2, seed)).ravel().tolist()) for seed in range(30)}
    assert seen == {(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 0.0)}


def test_whole_trips_change_nothing_on_average() -> None:
    demand = np.array([[0, 0.3, 1.9], [0.6, 0, 0.2], [2.5, 0.5, 0]])
    mean = np.mean([as_square(round_to_whole(square_matrix(demand), 6, seed)) for seed in range(2000)], axis=0)
    # A cell is a coin between two neighbours: standard error at most 0.5 / sqrt(2000).
    np.testing.assert_allclose(mean, demand, atol=4 * 0.5 / np.sqrt(2000))


def test_whole_trips_stay_as_they_are() -> None:
    demand = np.array([[0, 3.0, 7.0], [1.0, 0, 2.0], [4.0, 900_000.0, 0]])
    od = round_to_whole(square_matrix(demand), int(demand.sum()), 1)
    assert np.array_equal(as_square(od), demand)
    assert od.intrazonal_vph == 2.0


def test_no_trips_cannot_be_whole() -> None:
    with pytest.raises(InputError, match="at least 1 trip"):
        round_to_whole(square_matrix(np.ones((3, 3))), 0, 1)


def round_table_slowly(cells: list[tuple[int, int]], units: list[int], luck: list[float], one: int) -> list[int]:
    """Slow twin of `round_table`: a graph of the fractional cells, and networkx to find the one path that a new cell closes."""
    units = list(units)
    forest = nx.Graph()
    for cell, (row, column) in enumerate(cells):
        if not 0 < units[cell] < one:
            continue
        forest.add_nodes_from((row, column))
        if nx.has_path(forest, row, column):
            path = nx.shortest_path(forest, row, column)
            cycle = [cell] + [forest.edges[ends]["cell"] for ends in itertools.pairwise(path)]
            rising, falling = cycle[0::2], cycle[1::2]
            up = min([one - units[c] for c in rising] + [units[c] for c in falling])
            down = min([units[c] for c in rising] + [one - units[c] for c in falling])
            step = up if luck[cell] * (up + down) < down else -down
            for c in rising:
                units[c] += step
            for c in falling:
                units[c] -= step
            forest.remove_edges_from([cells[c] for c in cycle[1:] if units[c] in (0, one)])
        if 0 < units[cell] < one:
            forest.add_edge(row, column, cell=cell)
    return units


@pytest.mark.parametrize("seed", range(8))
def test_rounding_kernel_against_its_slow_twin(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, one = 7, 1000
    inner = generator.integers(0, one, (n, n)) * (generator.random((n, n)) < 0.8)
    table = np.zeros((n + 1, n + 1), dtype=np.int64)
    table[:n, :n] = inner
    table[:n, n] = -inner.sum(axis=1) % one
    table[n, :n] = -inner.sum(axis=0) % one
    # The slack column and row need whole sums too.
    table[n, n] = -table[:n, n].sum() % one
    assert (table[n].sum() % one, table[:, n].sum() % one) == (0, 0)
    row, column = np.divmod(generator.permutation((n + 1) ** 2), n + 1)
    units, luck = table[row, column], generator.random(len(row))
    expected = round_table_slowly(
        list(zip(row.tolist(), (column + n + 1).tolist(), strict=True)), units.tolist(), luck.tolist(), one
    )
    rounded = units.copy()
    round_table(row, column + n + 1, rounded, luck, 2 * (n + 1), one)
    assert rounded.tolist() == expected
    assert set(expected) <= {0, one}
    for ends in (row, column):
        np.testing.assert_array_equal(np.bincount(ends, weights=rounded), np.bincount(ends, weights=units))
