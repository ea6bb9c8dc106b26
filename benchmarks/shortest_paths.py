"""Shortest paths beside other programs: `python -m benchmarks.shortest_paths [--data DIR] [--rounds N] [--skip-grid]`.

Chicago-Sketch and chicago-regional (TNTP, from DIR/tntp) and a perturbed grid of 302,500 nodes from a seeded generator. Everybody
gets the same links (those that leave zones without passage are left out, sources are passable nodes) and is measured in
turn within one run: process CPU time, median of the rounds, each round another source; compiling, reading and building are
outside. Costs are milliseconds in whole numbers, because one of the peers takes nothing else. Peers that are not installed are
named and left out; pandana takes part only when asked for: building its hierarchy did not end on Chicago-Sketch (version 0.8).
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from sim.kernels.paths_batch import trees_of_batches
from sim.kernels.paths_lanes import LANES
from sim.kernels.paths_pair import HEAP_ENTRY, one_way_path, reverse_star, two_way_path
from sim.kernels.paths_query import new_reached, path_between, paths_between
from sim.kernels.paths_tree import SEARCH_LINK, SEARCH_NODE, bucket_tree, bucket_width, new_queue, pack
from sim.kernels.trees import shortest_tree
from sim.network.hierarchy import PathHierarchy, make_hierarchy
from sim.network.tntp import read_tntp_network
from sim.rng import stream

PROJECT_ROOT = Path(__file__).resolve().parent.parent
GRID_SIDE = 550
N_ORIGINS = 64
N_PAIRS = 200
Task = Callable[[int], Any]


@dataclass(frozen=True, eq=False)
class Streets:
    """A network as columns, links by tail."""

    name: str
    start: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    cost: np.ndarray
    xy: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.xy)


def by_tail(name: str, tail: np.ndarray, head: np.ndarray, cost: np.ndarray, xy: np.ndarray) -> Streets:
    order = np.argsort(tail, kind="stable")
    start = np.concatenate(([0], np.cumsum(np.bincount(tail, minlength=len(xy)))))
    whole = np.round(cost[order] * 1000.0)
    return Streets(
        name, start.astype(np.int64), tail[order].astype(np.int32), head[order].astype(np.int32), whole, np.ascontiguousarray(xy)
    )


def tntp_streets(folder: Path, name: str, stem: str, suffix: str) -> tuple[Streets, np.ndarray]:
    nodes = next((folder / name).glob(f"{stem}_node.tntp*"))
    network = read_tntp_network(folder / name / f"{stem}_net.tntp{suffix}", nodes=nodes)
    open_tail = network.node_passable[network.tail_idx]
    xy = np.column_stack([network.node_x, network.node_y])
    streets = by_tail(
        name, network.tail_idx[open_tail], network.head_idx[open_tail], network.free_flow_time_s[open_tail], xy
    )  # fmt: skip
    return streets, np.flatnonzero(network.node_passable)


def grid_streets(seed: int = 1) -> tuple[Streets, np.ndarray]:
    """Return a grid with shifted crossings, one link in six taken out, and four classes of speed."""
    luck = stream(seed, "benchmark grid")
    number = np.arange(GRID_SIDE**2).reshape(GRID_SIDE, GRID_SIDE)
    xy = np.column_stack(np.divmod(number.ravel(), GRID_SIDE)[::-1]) + luck.uniform(-0.3, 0.3, (number.size, 2))
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    other = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    tail, head = np.concatenate([one, other]), np.concatenate([other, one])
    kept = luck.random(len(tail)) >= 0.155
    tail, head = tail[kept], head[kept]
    speed_kph = luck.choice([30.0, 50.0, 50.0, 70.0], len(tail))
    cost = np.hypot(*(xy[tail] - xy[head]).T) * 100.0 * 3.6 / speed_kph * luck.uniform(1.0, 1.5, len(tail))
    return by_tail("grid", tail, head, cost, xy), number.ravel()


def peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        print(f"  ({name} left out: {missing})")
        return None


def medians(tasks: dict[str, Task], rounds: int, repeats: int, units: dict[str, int] | None = None) -> dict[str, float]:
    """Median CPU time of each task, microseconds a unit; the tasks take turns."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task(0)
    for turn in range(1, rounds + 1):
        for name, task in tasks.items():
            started = time.process_time_ns()
            for repeat in range(repeats):
                task(turn * repeats + repeat)
            taken[name].append((time.process_time_ns() - started) / repeats / 1e3 / (units or {}).get(name, 1))
    return {name: float(np.median(times)) for name, times in taken.items()}


def show(title: str, result: dict[str, float], against: str) -> None:
    print(f"  {title}")
    base = result.get(against)
    for name, microseconds in result.items():
        ratio = f"{base / microseconds:8.2f}x of {against}" if base is not None else ""
        print(f"    {name:44s} {microseconds:12,.1f} us {ratio}")


def one_to_all(streets: Streets, sources: np.ndarray, rounds: int, repeats: int) -> None:
    n_nodes, n_links = streets.n_nodes, len(streets.head)
    sources = np.resize(sources, (rounds + 1) * repeats)
    everywhere = np.ones(n_nodes, np.bool_)
    nodes, links = np.empty(n_nodes + 1, SEARCH_NODE), np.empty(n_links + 1, SEARCH_LINK)
    pack(streets.start, streets.head, streets.cost, everywhere, nodes, links)
    width = bucket_width(streets.cost)
    queue = [new_queue()]

    def bucket(turn: int) -> None:
        queue[0] = bucket_tree(
            sources[turn], nodes, links, width, queue[0], streets.start, streets.head, streets.cost, everywhere
        )  # fmt: skip

    label, link = np.empty(n_nodes), np.empty(n_nodes, np.int32)
    heap, position = np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
    graph = csr_matrix((streets.cost, streets.head, streets.start), shape=(n_nodes, n_nodes))
    tasks: dict[str, Task] = {
        "routepact, bucket queue": bucket,
        "routepact, 4-ary heap": lambda turn: shortest_tree(
            sources[turn], streets.start, streets.head, streets.cost, everywhere, label, link, heap, position
        ),
        "scipy": lambda turn: dijkstra(graph, indices=sources[turn], return_predecessors=True),
    }
    if (networkit := peer("networkit")) is not None:
        networkit.setNumberOfThreads(1)
        other = networkit.GraphFromCoo((streets.cost, (streets.tail, streets.head)), n=n_nodes, weighted=True, directed=True)
        tasks["networkit"] = lambda turn: networkit.distance.Dijkstra(other, int(sources[turn]), True).run()
    if (igraph := peer("igraph")) is not None:
        mesh = igraph.Graph(n=n_nodes, edges=np.column_stack([streets.tail, streets.head]), directed=True)
        weights = streets.cost.tolist()
        tasks["igraph, distances alone"] = lambda turn: mesh.distances(int(sources[turn]), weights=weights)
    if (networkx := peer("networkx")) is not None:
        web = networkx.DiGraph()
        web.add_weighted_edges_from(zip(streets.tail.tolist(), streets.head.tolist(), streets.cost.tolist(), strict=True))
        tasks["networkx"] = lambda turn: networkx.dijkstra_predecessor_and_distance(web, int(sources[turn]))
    bucket(1)
    if not np.array_equal(nodes["label"][:-1], dijkstra(graph, indices=sources[1])):
        raise SystemExit("the bucket queue and scipy disagree")
    show("one source to all, distances and predecessors", medians(tasks, rounds, repeats), "scipy")


def batches(streets: Streets, hierarchy: PathHierarchy, sources: np.ndarray, rounds: int) -> None:
    costs = hierarchy.customised(streets.cost)
    origins = sources[:N_ORIGINS].astype(np.int32)
    order = hierarchy.batch_order(origins)
    no_cells, nothing, total = np.zeros(N_ORIGINS + 1, np.int64), np.zeros(0), np.empty(N_ORIGINS)
    links = np.empty((N_ORIGINS, streets.n_nodes), np.int32)
    distance = np.empty((N_ORIGINS, streets.n_nodes))

    def trees(wanted: np.ndarray) -> None:
        trees_of_batches(
            0, N_ORIGINS // LANES, order, origins, no_cells, order, nothing, hierarchy.layout, costs, links, total, wanted
        )  # fmt: skip

    def customised_trees(_: int) -> None:
        hierarchy.customise_again(streets.cost, costs)
        trees(np.empty((0, 0)))

    graph = csr_matrix((streets.cost, streets.head, streets.start), shape=(streets.n_nodes, streets.n_nodes))
    few = origins[:4]
    tasks: dict[str, Task] = {
        "routepact, hierarchy, trees": lambda _: trees(np.empty((0, 0))),
        "routepact, hierarchy, trees and distances": lambda _: trees(distance),
        "routepact, customising and trees": customised_trees,
        "scipy": lambda _: dijkstra(graph, indices=few, return_predecessors=True),
    }
    trees(distance)
    if not np.allclose(distance[:4], dijkstra(graph, indices=few), rtol=1e-11, atol=0.0):
        raise SystemExit("the batches and scipy disagree")
    units = dict.fromkeys(tasks, N_ORIGINS) | {"scipy": len(few)}
    show(f"batches of {N_ORIGINS} sources, a tree", medians(tasks, rounds, 1, units), "scipy")


def pairs(streets: Streets, hierarchy: PathHierarchy, sources: np.ndarray, rounds: int, with_pandana: bool) -> None:
    n_nodes, n_links = streets.n_nodes, len(streets.head)
    everywhere = np.ones(n_nodes, np.bool_)
    costs, spare = hierarchy.customised(streets.cost), hierarchy.customised(streets.cost)
    reverse, own = reverse_star(streets.start, streets.head), np.arange(n_links, dtype=np.int32)
    label, by_link = np.full((2, n_nodes), np.inf), np.empty((2, n_nodes), np.int32)
    heap, path, room = (
        np.empty((2, n_links + 1), HEAP_ENTRY),
        np.empty(n_nodes + 1, np.int32),
        np.empty(6 * n_nodes + 64, np.int64),
    )
    ahead, back = new_reached(hierarchy.layout.n_inside), new_reached(hierarchy.layout.n_inside)
    few = max(2, min(N_PAIRS, 2_000_000 // n_nodes))
    ends = [stream(turn, "benchmark pairs").choice(sources, (2, N_PAIRS)).astype(np.int32) for turn in range(rounds + 1)]

    def each(found: Callable[[int, int], Any], count: int) -> Task:
        def task(turn: int) -> None:
            for source, target in ends[turn][:, :count].T.tolist():
                found(source, target)

        return task

    tasks: dict[str, Task] = {
        "routepact, hierarchy, many in a call": lambda turn: paths_between(*ends[turn], hierarchy.layout, costs),
        "routepact, hierarchy, a call a path": each(
            lambda source, target: path_between(source, target, hierarchy.layout, costs, ahead, back, room, path), N_PAIRS
        ),
        "routepact, both ends": each(
            lambda source, target: two_way_path(
                source, target, streets.start, streets.tail, streets.head, streets.cost, everywhere, *reverse, own,
                label, by_link, heap, path,
            ), few,
        ),
        "routepact, one end": each(
            lambda source, target: one_way_path(
                source, target, streets.start, streets.tail, streets.head, streets.cost, everywhere,
                label[0], by_link[0], heap[0], path,
            ), few,
        ),
    }  # fmt: skip
    units = dict.fromkeys(tasks, few) | dict.fromkeys(list(tasks)[:2], N_PAIRS)
    customising: dict[str, Task] = {"routepact": lambda _: hierarchy.customise_again(streets.cost, spare)}
    add_pair_peers(streets, each, tasks, units, customising, few)
    if with_pandana:
        add_pandana(streets, each, tasks, units)
    show("point to point, with the path", medians(tasks, rounds, 1, units), "routingkit-cch")
    show("customising", medians(customising, rounds, 1), "routingkit-cch")


def add_pair_peers(
    streets: Streets,
    each: Callable[[Callable[[int, int], Any], int], Task],
    tasks: dict[str, Task],
    units: dict[str, int],
    customising: dict[str, Task],
    few: int,
) -> None:
    n_nodes = streets.n_nodes
    if (routingkit := peer("routingkit_cch")) is not None:
        tail, head, weight = streets.tail.tolist(), streets.head.tolist(), streets.cost.astype(np.int64).tolist()
        longitude, latitude = streets.xy.T.tolist()
        began = time.process_time()
        order = routingkit.compute_order_inertial(n_nodes, tail, head, latitude, longitude)
        graph = routingkit.CCH(order, tail, head, False)
        print(f"  preparing routingkit-cch: {time.process_time() - began:.2f} s")
        metric, spare = routingkit.CCHMetric(graph, weight), routingkit.CCHMetric(graph, weight)
        query = routingkit.CCHQuery(metric)
        tasks["routingkit-cch"] = each(lambda source, target: query.run(source, target).arc_path, N_PAIRS)
        units["routingkit-cch"] = N_PAIRS
        customising["routingkit-cch"] = lambda _: spare.reset(weight)
    if (networkit := peer("networkit")) is not None:
        mesh = networkit.GraphFromCoo((streets.cost, (streets.tail, streets.head)), n=n_nodes, weighted=True, directed=True)

        def from_both_ends(source: int, target: int) -> None:
            search = networkit.distance.BidirectionalDijkstra(mesh, source, target, True)
            search.run()
            search.getPath()

        tasks["networkit, both ends"] = each(from_both_ends, few)
        units["networkit, both ends"] = few


def add_pandana(
    streets: Streets, each: Callable[[Callable[[int, int], Any], int], Task], tasks: dict[str, Task], units: dict[str, int]
) -> None:
    if (pandana := peer("pandana")) is not None:
        import pandas as pd

        weights = pd.DataFrame({"cost": streets.cost})
        ends = (pd.Series(streets.tail), pd.Series(streets.head))
        hierarchy = pandana.Network(pd.Series(streets.xy[:, 0]), pd.Series(streets.xy[:, 1]), *ends, weights, twoway=False)
        tasks["pandana"] = each(lambda source, target: hierarchy.shortest_path(source, target), N_PAIRS)
        units["pandana"] = N_PAIRS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = os.environ.get("ROUTEPACT_SHARED_DATA", str(PROJECT_ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(beside), help="folder that has tntp/ (default: beside the checkout)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison")
    parser.add_argument("--skip-grid", action="store_true", help="leave the grid out (its node orders take a minute)")
    parser.add_argument("--pandana", action="store_true", help="take pandana in, whose building may not end")
    options = parser.parse_args()
    networks: list[Callable[[], tuple[Streets, np.ndarray]]] = []
    if (options.data / "tntp").is_dir():
        networks.append(lambda: tntp_streets(options.data / "tntp", "Chicago-Sketch", "ChicagoSketch", ""))
        networks.append(lambda: tntp_streets(options.data / "tntp", "chicago-regional", "ChicagoRegional", ".gz"))
    else:
        print(f"{options.data} has no tntp/: the grid alone (--data names the folder)")
    if not options.skip_grid:
        networks.append(grid_streets)
    make_hierarchy(np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2, np.bool_))  # compiles
    for network in networks:
        streets, open_nodes = network()
        print(f"{streets.name}: {streets.n_nodes:,} nodes, {len(streets.head):,} links")
        sources = stream(1, "benchmark sources").choice(open_nodes, max(N_ORIGINS, options.rounds + 1))
        one_to_all(streets, sources, options.rounds, max(1, 60_000 // streets.n_nodes))
        began = time.process_time()
        hierarchy = make_hierarchy(streets.start, streets.head, np.ones(streets.n_nodes, np.bool_), streets.xy)
        print(f"  preparing the hierarchy: {time.process_time() - began:.2f} s, {len(hierarchy.layout.upper):,} arcs")
        batches(streets, hierarchy, sources, options.rounds)
        pairs(streets, hierarchy, open_nodes, options.rounds, options.pandana)


if __name__ == "__main__":
    main()
