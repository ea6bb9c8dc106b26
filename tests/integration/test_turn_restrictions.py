"""Turn restrictions of real extracts: every relation ends somewhere, and no route breaks one that was applied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference.restriction_reader import Place, breaks, place, read_rules
from reference.turns import distances_with_turns
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from sim.assignment.cell_costs import cheapest_by_cell
from sim.assignment.problem import make_problem
from sim.demand.population import OdMatrix
from sim.network.junctions import JunctionRules
from sim.network.osm import read_osm, read_osm_restrictions
from sim.network.road_network import RoadNetwork
from sim.network.turns import TurnGraph, turn_graph

pytestmark = pytest.mark.shared_data

RELATIONS = {"london.osm.pbf": 77, "baltimore.osm.pbf": 3, "poa_osm.pbf": 0, "porto_portugal.osm.pbf": 357}
N_ROUTES = 10_000


def trees(graph: TurnGraph, origins: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and predecessors from some nodes of the turn graph (parallel links: the fastest)."""
    links = graph.network
    order = np.lexsort((links.free_flow_time_s, links.head_idx, links.tail_idx))
    _, first = np.unique(np.column_stack([links.tail_idx, links.head_idx])[order], axis=0, return_index=True)
    kept = order[first]
    # SciPy takes an entry of 0 for no link.
    cost = np.maximum(links.free_flow_time_s[kept], 1e-12)
    matrix = csr_array((cost, (links.tail_idx[kept], links.head_idx[kept])), shape=(links.n_nodes, links.n_nodes))
    found: tuple[np.ndarray, np.ndarray] = dijkstra(matrix, indices=origins, return_predecessors=True)
    return found


def fastest_link(graph: TurnGraph) -> dict[tuple[int, int], int]:
    links = graph.network
    order = np.argsort(-links.free_flow_time_s, kind="stable").tolist()
    tail, head = links.tail_idx.tolist(), links.head_idx.tolist()
    return {(tail[link], head[link]): link for link in order}


def places_along(network: RoadNetwork, streets: list[int]) -> list[Place]:
    path: list[Place] = []
    for link in streets:
        points = [place(lon, lat) for lon, lat in network.link_points(link).tolist()]
        path += points if not path else points[1:]
    return path


def count_broken(graph: TurnGraph, rules: list, seed: int) -> int:
    """Return how many of `N_ROUTES` fastest routes between random places break a rule."""
    draw, streets = np.random.default_rng(seed), graph.streets
    origins = draw.choice(graph.network.n_nodes, 100, replace=graph.network.n_nodes < 100).tolist()
    _, before = trees(graph, origins)
    link_of = fastest_link(graph)
    starts: dict[Place, list] = {}
    for rule in rules:
        starts.setdefault(rule.before[0], []).append(rule)
    broken = 0
    for row in range(len(origins)):
        for destination in draw.choice(graph.network.n_nodes, N_ROUTES // len(origins)).tolist():
            links, node = [], destination
            while before[row, node] >= 0:
                links.append(link_of[int(before[row, node]), node])
                node = int(before[row, node])
            on_streets = [street for link in reversed(links) if (street := int(graph.street_idx[link])) >= 0]
            path = places_along(streets, on_streets)
            concerned = [rule for spot in set(path) & set(starts) for rule in starts[spot]]
            broken += breaks(path, concerned)
    return broken


def require_obeyed(path: Path) -> None:
    network, outcomes = read_osm_restrictions(path)
    assert len(outcomes) == RELATIONS[path.name] == network.cleaning.counts["turn_restrictions"]
    by_outcome = [found.outcome for found in outcomes]
    for kind in ("applied", "refused", "unsupported"):
        counted = {key: n for key, n in network.cleaning.counts.items() if key.startswith(f"turn_restrictions_{kind}")}
        assert sum(counted.values()) == by_outcome.count(kind)
    assert all((found.outcome == "applied") == (found.reason == "") for found in outcomes)
    applied = {found.relation_id for found in outcomes if found.outcome == "applied"}
    by_relation = read_rules(path, applied)
    assert set(by_relation) == applied and all(by_relation.values())
    rules = [rule for of_relation in by_relation.values() for rule in of_relation]
    assert not rules or count_broken(turn_graph(network), rules, seed=5) == 0
    if len(rules) > 20:
        # The check can fail: the same routes without bans break some.
        free = turn_graph(network.replace(turns=type(network.turns)()))
        assert count_broken(free, rules, seed=5) > 0


def test_no_route_breaks_a_restriction(shared_data: Path) -> None:
    require_obeyed(shared_data / "osm" / "london.osm.pbf")


@pytest.mark.nightly
@pytest.mark.parametrize("file", ["baltimore.osm.pbf", "poa_osm.pbf", "porto_portugal.osm.pbf"])
def test_no_route_in_other_towns_breaks_a_restriction(shared_data: Path, file: str) -> None:
    require_obeyed(shared_data / "osm" / file)


def require_shortest_paths(network: RoadNetwork, *, n_origins: int, n_destinations: int) -> np.ndarray:
    """Return shortest times, checked against a search from link to link; two threads must write the bytes of one."""
    # Zones are junctions of their own, as scenarios have them.
    zones = np.random.default_rng(2).choice(network.n_nodes, n_destinations, replace=False).astype(np.int32)
    network = network.replace(zone_id=network.node_id[zones], zone_node_idx=zones)
    graph = turn_graph(network)
    origin_idx = np.repeat(np.arange(n_origins, dtype=np.int32), n_destinations)
    destination_idx = np.tile(np.arange(n_destinations, dtype=np.int32), n_origins)
    apart = origin_idx != destination_idx
    od = OdMatrix(network.zone_id, origin_idx[apart], destination_idx[apart], np.ones(int(apart.sum())))
    problem = make_problem(graph.network, od)
    found = []
    for threads in ("1", "2"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROUTEPACT_THREADS", threads)
            found.append(cheapest_by_cell(problem, graph.network.free_flow_time_s))
    assert found[0].tobytes() == found[1].tobytes()
    time_s = network.free_flow_time_s.tolist()
    expected = [distances_with_turns(network, origin, time_s) for origin in zones[:n_origins].tolist()]
    np.testing.assert_allclose(found[0], np.array(expected)[:, zones][origin_idx, destination_idx][apart], rtol=1e-9)
    return found[0]


def without_bans(network: RoadNetwork) -> RoadNetwork:
    return network.replace(turns=type(network.turns)())


@pytest.mark.parametrize("file", ["london.osm.pbf", "baltimore.osm.pbf"])
def test_shortest_paths_equal_those_of_a_search_from_link_to_link(shared_data: Path, file: str) -> None:
    network, _ = read_osm_restrictions(shared_data / "osm" / file)
    banned, free = (require_shortest_paths(form, n_origins=6, n_destinations=60) for form in (network, without_bans(network)))
    assert (banned >= free * (1 - 1e-12)).all()
    # The bans of London concern four paths in ten; the three of Baltimore none of these.
    assert file != "london.osm.pbf" or (banned > free * 1.001).mean() > 0.1


def test_shortest_paths_where_every_turn_takes_time(shared_data: Path) -> None:
    # Porto Alegre's extract bans nothing; its turns have their times instead.
    network = read_osm(shared_data / "osm" / "poa_osm.pbf", junctions=JunctionRules())
    assert network.turns.n_delays > 20_000
    timed, free = (require_shortest_paths(form, n_origins=3, n_destinations=60) for form in (network, without_bans(network)))
    assert (timed >= free * (1 - 1e-12)).all() and (timed > free).mean() > 0.9


@pytest.mark.nightly
def test_shortest_paths_of_porto_equal_those_of_a_search_from_link_to_link(shared_data: Path) -> None:
    network, _ = read_osm_restrictions(shared_data / "osm" / "porto_portugal.osm.pbf")
    for form in (network, without_bans(network)):
        require_shortest_paths(form, n_origins=4, n_destinations=200)
