"""Loading vehicles through a network of queues, side by side with SUMO (mesoscopic) and UXsim (C++) where they are installed.

`python -m benchmarks.queue_loading` drives 100,000 vehicles over identical, fixed routes through a grid of 40 x 40 nodes
(6,240 links, 300 m blocks, 60 km/h, one lane of 900 vehicles an hour, a two-hour peak) and prints process CPU seconds, link
traversals a second, mean travel time and the ratio to our own. `--large` adds 1,000,000 vehicles on 100 x 100 nodes (39,600
links), `--rounds` takes the median of so many runs of ours, `--peers` names the peers (UXsim at deltan 1 takes minutes and
10 GB).

What is timed is moving the vehicles. Building the state from routes is timed beside it; SUMO's reading of its files is
subtracted by a run that ends at its first second with all routes read. SUMO gets one segment a link and its four headways
set to ours; UXsim moves one vehicle a platoon and does not search for routes.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid
from sim.rng import stream
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueRules, queue_network
from sim.traffic.tree_ways import TreeWays, reroute_all
from sim.traffic.trips import Trips

SPEED_KPH = 60.0
BLOCK_M = 300.0
CAPACITY_VPH = 900.0
PERIOD_S = 7200.0
PATIENCE_S = 60.0
NEWS_S = 600.0
BLUR = 0.3
VEHICLE_M = 7.5
_CHUNK = 50_000


def grid_case(
    side: int, n_vehicles: int, reach: int, *, capacity_vph: float = CAPACITY_VPH, seed: int = 1
) -> tuple[RoadNetwork, Trips]:
    """Return a grid and vehicles between random nodes, with at most two turns and departures in a triangular peak.

    A destination lies at most `reach` blocks away along each axis; where that is beyond the edge it is reflected there.
    """
    network = grid(side, side, block_m=BLOCK_M, free_speed_kph=SPEED_KPH, capacity_vph=capacity_vph)
    steps = np.array([1, -1, side, -side])
    link_of = np.full((side * side, 4), -1, dtype=np.int32)
    for direction, step in enumerate(steps):
        found = np.flatnonzero(network.head_idx - network.tail_idx == step)
        link_of[network.tail_idx[found], direction] = found
    rng = stream(seed, "benchmark.queue_loading")
    origin = rng.integers(0, side * side, n_vehicles)
    step = rng.integers(-reach, reach + 1, (2, n_vehicles))
    across, along = (np.abs(place) for place in (origin // side + step[0], origin % side + step[1]))
    last = side - 1
    destination = np.where(across > last, 2 * last - across, across) * side + np.where(along > last, 2 * last - along, along)
    destination += (destination == origin) * np.where(origin % side < last, 1, -1)
    share = rng.random(n_vehicles)
    uniform = rng.random(n_vehicles)
    departure_s = np.where(uniform < 0.5, np.sqrt(uniform / 2), 1 - np.sqrt((1 - uniform) / 2)) * PERIOD_S
    paths = [
        _two_turns(side, origin[k : k + _CHUNK], destination[k : k + _CHUNK], share[k : k + _CHUNK], link_of)
        for k in range(0, n_vehicles, _CHUNK)
    ]
    start = np.concatenate([[0], np.cumsum(np.concatenate([length for length, _ in paths]))])
    return network, Trips(departure_s, start, np.concatenate([links for _, links in paths]))


def _two_turns(
    side: int, origin: IndexColumn, destination: IndexColumn, share: FloatColumn, link_of: IndexColumn
) -> tuple[IndexColumn, IndexColumn]:
    """Return the lengths and the links of paths: along the row, then along a column in between, then along the other row."""
    down, right = destination // side - origin // side, destination % side - origin % side
    first = np.floor(share * (np.abs(right) + 1)).astype(np.int64)
    length = np.abs(down) + np.abs(right)
    vehicle = np.repeat(np.arange(len(origin)), length)
    step = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    first, n_down, sign_right, sign_down = first[vehicle], np.abs(down)[vehicle], np.sign(right)[vehicle], np.sign(down)[vehicle]
    driven_down = np.clip(step - first, 0, n_down)
    node = origin[vehicle] + sign_right * (step - driven_down) + sign_down * driven_down * side
    vertical = (step >= first) & (step < first + n_down)
    direction = np.where(vertical, np.where(sign_down > 0, 2, 3), np.where(sign_right > 0, 0, 1))
    return length, link_of[node, direction]


def ours(network: RoadNetwork, trips: Trips, rounds: int) -> tuple[float, float, Loading]:
    """Return the CPU seconds of building the state and of moving everybody (medians), and the last loading."""
    queues = queue_network(network, QueueRules())
    building, moving = [], []
    for number in range(rounds + 1):
        started = time.process_time()
        loading = Loading(queues, trips, LoadingOptions(patience_s=PATIENCE_S))
        built = time.process_time()
        loading.run()
        if number:  # The first one compiles.
            building.append(built - started)
            moving.append(time.process_time() - built)
    return statistics.median(building), statistics.median(moving), loading


def sumo(network: RoadNetwork, trips: Trips) -> tuple[float, float]:
    """Return the CPU seconds of SUMO's mesoscopic model with one segment a link and the mean travel time from departure (s)."""
    import sumo as package

    binaries = Path(package.SUMO_HOME) / "bin"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_sumo(network, trips, folder)
        subprocess.run(
            [binaries / "netconvert", "-n", "n.xml", "-e", "e.xml", "-o", "net.xml", "--no-internal-links"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        headway_s = 3600.0 / CAPACITY_VPH
        net_headway = str(headway_s - VEHICLE_M / (SPEED_KPH / 3.6))
        command = [
            str(binaries / "sumo"), "--mesosim", "-n", "net.xml", "-r", "r.xml", "--route-steps", "0",
            "--meso-edgelength", "100000",
            "--meso-minor-penalty", "0", "--meso-tls-penalty", "0", "--meso-jam-threshold", "-1",
            *(f"--meso-tau{kind}={net_headway}" for kind in ("ff", "fj", "jf", "jj")),
            "--time-to-teleport", str(PATIENCE_S), "--no-step-log", "--no-warnings",
            "--statistic-output", "s.xml", "--duration-log.statistics",
        ]  # fmt: skip
        reading = _child_cpu_s([*command, "--end", "1"], folder)
        all_of_it = _child_cpu_s(command, folder)
        mean = ET.parse(folder / "s.xml").getroot().find("vehicleTripStatistics")
        if mean is None:
            raise SystemExit("SUMO wrote no statistics")
        return all_of_it - reading, float(mean.attrib["duration"]) + float(mean.attrib["departDelay"])


def _write_sumo(network: RoadNetwork, trips: Trips, folder: Path) -> None:
    nodes = "".join(
        f'<node id="{i}" x="{x}" y="{y}"/>' for i, (x, y) in enumerate(zip(network.node_x, network.node_y, strict=True))
    )
    (folder / "n.xml").write_text(f"<nodes>{nodes}</nodes>")
    edges = "".join(
        f'<edge id="{i}" from="{tail}" to="{head}" numLanes="1" speed="{SPEED_KPH / 3.6}" length="{BLOCK_M}" priority="1"/>'
        for i, (tail, head) in enumerate(zip(network.tail_idx, network.head_idx, strict=True))
    )
    (folder / "e.xml").write_text(f"<edges>{edges}</edges>")
    with (folder / "r.xml").open("w") as out:
        out.write('<routes><vType id="car" length="5" minGap="2.5" speedDev="0" speedFactor="1"/>')
        for vehicle in np.argsort(trips.departure_s, kind="stable"):
            links = " ".join(map(str, trips.path_link[trips.path_start[vehicle] : trips.path_start[vehicle + 1]].tolist()))
            out.write(
                f'<vehicle id="{vehicle}" type="car" depart="{trips.departure_s[vehicle]:.3f}" departSpeed="max">'
                f'<route edges="{links}"/></vehicle>'
            )
        out.write("</routes>")


def _child_cpu_s(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def uxsim(network: RoadNetwork, trips: Trips) -> tuple[float, float]:
    """Return the CPU seconds of UXsim in C++ with one vehicle a platoon and the mean travel time (s)."""
    from uxsim import World

    world = World(
        name="", deltan=1, tmax=2 * PERIOD_S, print_mode=0, save_mode=0, random_seed=1, cpp=True, duo_update_time=10 * PERIOD_S,
        reaction_time=1,
    )  # fmt: skip
    nodes = [world.addNode(str(i), x, y) for i, (x, y) in enumerate(zip(network.node_x, network.node_y, strict=True))]
    links = [
        world.addLink(str(i), nodes[tail], nodes[head], length=BLOCK_M, free_flow_speed=SPEED_KPH / 3.6,
                      jam_density=1 / VEHICLE_M, capacity_out=CAPACITY_VPH / 3600, capacity_in=CAPACITY_VPH / 3600)
        for i, (tail, head) in enumerate(zip(network.tail_idx, network.head_idx, strict=True))
    ]  # fmt: skip
    for vehicle in range(trips.n_vehicles):
        path = trips.path_link[trips.path_start[vehicle] : trips.path_start[vehicle + 1]]
        first, last = network.tail_idx[path[0]], network.head_idx[path[-1]]
        driver = world.addVehicle(nodes[first], nodes[last], trips.departure_s[vehicle])
        driver.enforce_route([links[link] for link in path])
    started = time.process_time()
    world.exec_simulation()
    seconds = time.process_time() - started
    times_s = np.array([driver.travel_time for driver in world.VEHICLES.values()])
    return seconds, float(times_s[times_s > 0].mean())


PEERS = {"sumo": ("SUMO meso, one segment a link", sumo), "uxsim": ("UXsim C++, deltan 1", uxsim)}


def rows(side: int, n_vehicles: int, reach: int, rounds: int, peers: list[str]) -> Iterator[str]:
    """Yield the lines of the table of one case."""
    network, trips = grid_case(side, n_vehicles, reach)
    n_traversals = len(trips.path_link)
    yield f"{side} x {side} nodes, {network.n_links:,} links, {n_vehicles:,} vehicles, {n_traversals / 1e6:.2f} M link traversals"
    yield f"{'':34} {'CPU s':>8} {'M/s':>7} {'mean s':>8} {'ratio':>7}"
    building_s, moving_s, loading = ours(network, trips, rounds)
    mean_s = loading.travel_time_s().mean()
    yield f"{'routepact':34} {moving_s:8.3f} {n_traversals / moving_s / 1e6:7.2f} {mean_s:8.1f} {1:7.1f}"
    yield f"{'  building its state':34} {building_s:8.3f}"
    yield f"  {loading.state_bytes / n_vehicles:.0f} bytes of state a vehicle, paths apart"
    yield f"  {loading.rotations} gridlocked cycles moved up"
    for peer in peers:
        label, run = PEERS[peer]
        if importlib.util.find_spec(peer) is None:
            yield f"{label}: not installed"
            continue
        seconds, mean_s = run(network, trips)
        yield f"{label:34} {seconds:8.2f} {n_traversals / seconds / 1e6:7.2f} {mean_s:8.1f} {seconds / moving_s:7.1f}"


def rerouted(side: int, n_vehicles: int, reach: int, zones: int) -> Iterator[str]:
    """Yield the lines of a day on which everybody is re-routed every 600 s by present link times.

    With `zones`, destinations are moved to one of about so many nodes in a regular mesh; 0 leaves them. Capacity is twice
    that of the other cases: where all follow the present, they follow each other into the next queue, and the days never
    end. For the same reason link times are blurred by up to `BLUR`, anew each time: on a grid of equal streets all would
    take the same of many equal ways.
    """
    network, trips = grid_case(side, n_vehicles, reach, capacity_vph=2 * CAPACITY_VPH)
    queues = queue_network(network, QueueRules())
    trees = TreeWays(queues)
    origin = network.tail_idx[trips.path_link[trips.path_start[:-1]]]
    destination = network.head_idx[trips.path_link[trips.path_start[1:] - 1]]
    if zones:
        mesh = max(1, round(side / zones**0.5))
        destination = destination // side // mesh * mesh * side + destination % side // mesh * mesh
        destination = np.where(destination == origin, destination + np.where(origin % side < side - 1, 1, -1), destination)
        order, start, links = trees.ways(queues.free_flow_time_s * _blur(queues.n_links, 0), origin, destination)
        trips, destination = Trips(trips.departure_s[order], start, links), destination[order]
    for number in range(2):  # The first day compiles.
        loading, routing_s, n_ways, news = Loading(queues, trips, LoadingOptions(patience_s=PATIENCE_S, bin_s=NEWS_S)), 0.0, 0, 0
        begun, begun_wall = time.process_time(), time.perf_counter()
        while loading.n_arrived < n_vehicles and (number or news < 2):
            started = time.process_time()
            time_s = _present_s(loading) * _blur(queues.n_links, news + 1)
            n_ways += reroute_all(loading, trees, time_s, destination, loading.clock_s + NEWS_S)
            routing_s += time.process_time() - started
            loading.advance(loading.clock_s + NEWS_S)
            news += 1
        cpu_s, wall_s = time.process_time() - begun, time.perf_counter() - begun_wall
    n_destinations = len(np.unique(destination))
    yield f"re-routed every {NEWS_S:.0f} s: {side} x {side} nodes, {n_vehicles:,} vehicles, {n_destinations:,} destinations"
    yield f"  {cpu_s:.2f} CPU s ({wall_s:.2f} s on the clock), of which routing {routing_s:.2f}; {news} times, {n_ways:,} ways"
    yield f"  mean {loading.travel_time_s().mean():.0f} s, {loading.rotations} gridlocked cycles moved up"


def _blur(n_links: int, news: int) -> FloatColumn:
    return 1.0 + BLUR * stream(1, "benchmark.blur", news).random(n_links)


def _present_s(loading: Loading) -> FloatColumn:
    """Return the mean time of those who left each link in the last bin; at least free flow, and what its queue needs."""
    network, bins = loading.network, loading.bins()
    time_s = np.maximum(network.free_flow_time_s, loading.occupancy_veh * network.headway_s)
    last = int(loading.clock_s / NEWS_S) - 1
    if last >= 0:
        left = bins.exits_veh[:, last]
        time_s = np.maximum(time_s, np.divide(bins.travel_time_sum_s[:, last], left, out=np.zeros(len(left)), where=left > 0))
    return time_s


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_loading", description=__doc__)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=["sumo"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="add 1,000,000 vehicles on 100 x 100 nodes, without peers")
    parser.add_argument("--vehicles", type=int, default=100_000)
    parser.add_argument("--reroute", action="store_true", help="only days on which everybody is re-routed every 600 s")
    options = parser.parse_args(arguments)
    if options.reroute:
        for line in rerouted(40, options.vehicles, 39, 0):
            print(line, flush=True)
        if options.large:
            for line in rerouted(100, 1_000_000, 30, 1000):
                print(line, flush=True)
        return
    for line in rows(40, options.vehicles, 39, options.rounds, options.peers):
        print(line, flush=True)
    if options.large:
        for line in rows(100, 1_000_000, 30, options.rounds, []):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
