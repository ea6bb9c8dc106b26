"""Static assignment beside its peers: `python -m benchmarks.assignment [--data DIR] [--tapb PATH] [--parts ...]`.

Parts: `peers` (CPU seconds to a relative gap beside TAP-B, a program in C whose binary `--tapb` names, and AequilibraE),
`floor` (the gap reached at 0.25 to 3 times the demand, and why the solver stopped), `references` (totals and objectives
against solutions at 1e-12), `warm` (a start after a 5 % change of demand), `growth` (time against zones x links, with the
fitted exponent). Process CPU time, one thread, the two sides in turn within one run, medians; compiling is apart. Our side has
its arrays in memory and counts everything from there on, the result included; of TAP-B reading, initialising and writing are
left out.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.assignment_peers import TapB, aequilibrae_bfw
from sim.assignment.equilibrium import Assignment, solve
from sim.assignment.problem import AssignmentProblem, Principle, make_problem
from sim.assignment.warm_start import WarmStart
from sim.demand.od import od_from_cells, od_from_tntp
from sim.network.synthetic import grid
from sim.network.tntp import read_tntp_network
from sim.rng import stream

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PARTS = ("peers", "floor", "references", "warm", "growth")
UE, SO = Principle.USER_EQUILIBRIUM, Principle.SYSTEM_OPTIMUM
LONGEST_RUN_S = 600.0


@dataclass(frozen=True)
class Case:
    """A benchmark network: its files, weights, and totals of equilibrium and optimum at 1e-12 (0 where none is published)."""

    folder: str
    net: str
    trips: str
    toll_weight: float = 0.0
    distance_weight: float = 0.0
    selfish: float = 0.0
    optimal: float = 0.0

    def problem(self, data: Path, scale: float = 1.0) -> AssignmentProblem:
        """Read it."""
        folder = data / "tntp" / self.folder
        network = read_tntp_network(
            folder / self.net,
            toll_weight=self.toll_weight,
            distance_weight=self.distance_weight,
            time_unit_s=1.0,
            length_unit_m=1.0,
        )
        return make_problem(network, od_from_tntp(folder / self.trips, network).scaled(scale))


CASES = (
    Case("Braess-Example", "Braess_net.tntp", "Braess_trips.tntp", selfish=552.0 + 8e-8, optimal=498.0 + 6e-8),
    Case("SiouxFalls", "SiouxFalls_net.tntp", "SiouxFalls_trips.tntp", selfish=7_480_225.3449, optimal=7_194_256.0529),
    Case("Eastern-Massachusetts", "EMA_net.tntp", "EMA_trips.tntp", selfish=28_181.423167, optimal=27_323.932257),
    Case("Anaheim", "Anaheim_net.tntp", "Anaheim_trips.tntp", selfish=1_419_913.8511, optimal=1_395_015.0867),
    Case(
        "Chicago-Sketch", "ChicagoSketch_net.tntp", "ChicagoSketch_trips.tntp.gz", 0.02, 0.04, 18_935_450.2615, 18_518_575.8057
    ),
    Case(
        "Berlin-Center", "berlin-center_net.tntp.gz", "berlin-center_trips.tntp.gz", selfish=21_275_629.8737,
        optimal=21_145_067.4555,
    ),
    Case("Austin_sdb", "Austin_sdb_net.txt.gz", "Austin_sdb_trips.txt.gz"),
)  # fmt: skip


def timed(problem: AssignmentProblem, gap: float, start: WarmStart | None = None) -> tuple[float, Assignment]:
    """CPU seconds of one solution, and the solution."""
    before = time.process_time()
    solved = solve(problem, UE, gap=gap, start=start)
    return time.process_time() - before, solved


def rounds_for(seconds: float, rounds: int) -> int:
    return max(1, min(rounds, int(20.0 / max(seconds, 1e-3))))


def beside_peers(case: Case, data: Path, gaps: list[float], tapb: Path | None, rounds: int) -> None:
    problem = case.problem(data)
    size = f"{problem.network.n_nodes:,} nodes, {problem.network.n_links:,} links, {problem.od.n_cells:,} OD cells"
    print(f"{case.folder} ({size})", flush=True)
    peer = None if tapb is None else TapB(tapb, problem)
    overhead = 0.0 if peer is None else float(np.median([peer.overhead_s() for _ in range(min(rounds, 5))]))
    for gap in gaps:
        first, solved = timed(problem, gap)
        ours, theirs, run = [], [], None
        for _ in range(rounds_for(first, rounds)):
            ours.append(timed(problem, gap)[0])
            if peer is not None:
                run = peer.run(gap, overhead, LONGEST_RUN_S)
                theirs.append(run.cpu_s)
        mine = float(np.median(ours))
        line = f"  gap {gap:.0e}: routepact {mine:9.4f} s ({solved.iterations:2d} iterations, {solved.relative_gap:.1e})"
        if run is not None:
            other = float(np.median(theirs))
            line += f"; TAP-B {other:9.4f} s ({run.iterations}, {run.gap:.1e}); {other / mine:5.2f}x"
        print(line, flush=True)
    if peer is not None:
        peer.close()


def beside_frank_wolfe(data: Path) -> None:
    problem = next(case for case in CASES if case.folder == "Chicago-Sketch").problem(data)
    timed(problem, 1e-4)
    mine = float(np.median([timed(problem, 1e-4)[0] for _ in range(5)]))
    run = aequilibrae_bfw(problem, 1e-4, 500)
    if run is not None:
        print(
            f"Chicago-Sketch, gap 1e-4: routepact {mine:.4f} s; AequilibraE bfw {run.cpu_s:.2f} s "
            f"({run.iterations} iterations, {run.gap:.1e}); {run.cpu_s / mine:.1f}x",
            flush=True,
        )


def floors(cases: list[Case], data: Path) -> None:
    for case in cases:
        for scale in (0.25, 0.5, 1.0, 1.5, 2.0, 3.0):
            problem = case.problem(data, scale)
            for principle in Principle:
                before = time.process_time()
                solved = solve(problem, principle, gap=1e-12)
                print(
                    f"{case.folder:22s} x{scale:<4g} {principle.value}: {solved.relative_gap:8.1e} in {solved.iterations:3d} "
                    f"iterations, {time.process_time() - before:7.2f} s: {solved.stopped_because}",
                    flush=True,
                )


def references(cases: list[Case], data: Path) -> None:
    for case in cases:
        if case.selfish == 0.0:
            continue
        problem = case.problem(data)
        for principle, total in ((UE, case.selfish), (SO, case.optimal)):
            solved, exact = solve(problem, principle, gap=1e-9), solve(problem, principle, gap=1e-12)
            # The objective of an optimum is its total, that of an equilibrium Beckmann's.
            objective = solved.beckmann / exact.beckmann if principle is UE else solved.total_cost_s / exact.total_cost_s
            print(
                f"{case.folder:22s} {principle.value}: total {exact.total_cost_s:.4f}, "
                f"off by {exact.total_cost_s / total - 1:+.1e}; objective at gap 1e-9 off by {objective - 1:+.1e}",
                flush=True,
            )


def warm_starts(cases: list[Case], data: Path, rounds: int) -> None:
    for case in cases:
        problem = case.problem(data)
        start = WarmStart(problem, solve(problem, UE, gap=1e-6).origin_flows)
        for scale in (0.95, 1.05):
            changed = case.problem(data, scale)
            first, cold = timed(changed, 1e-6)
            n_rounds = rounds_for(first, rounds)
            pairs = [(timed(changed, 1e-6)[0], timed(changed, 1e-6, start)[0]) for _ in range(n_rounds)]
            warm = solve(changed, UE, gap=1e-6, start=start)
            cold_s, warm_s = (float(np.median(column)) for column in zip(*pairs, strict=True))
            print(
                f"{case.folder:22s} demand x{scale}: cold {cold_s:.4f} s ({cold.iterations}), warm {warm_s:.4f} s "
                f"({warm.iterations}), ratio {warm_s / cold_s:.2f}",
                flush=True,
            )


def made_city(side: int, n_zones: int) -> AssignmentProblem:
    """Return a grid with streets of four capacities; every zone sends to twenty others, as much as its streets bear."""
    luck = stream(1, "benchmark city", side)
    network = grid(side, side)
    zones = np.sort(luck.choice(network.n_nodes, n_zones, replace=False)).astype(np.int32)
    network = network.replace(
        capacity_vph=luck.choice([600.0, 900.0, 1200.0, 1800.0], network.n_links),
        free_flow_time_s=luck.uniform(8.0, 30.0, network.n_links),
        zone_id=np.arange(1, n_zones + 1),
        zone_node_idx=zones,
    )
    origin = np.repeat(np.arange(n_zones), 20)
    destination = (origin + luck.integers(1, n_zones, len(origin))) % n_zones
    cells = np.unique(origin * n_zones + destination)
    demand = np.full(len(cells), 900.0 * side / len(cells) * 4.0)
    return make_problem(network, od_from_cells(network.zone_id, cells // n_zones, cells % n_zones, demand, source="benchmark"))


def growth(most_links: int) -> None:
    sizes, seconds = [], []
    for side, n_zones in ((16, 32), (28, 56), (50, 100), (90, 150), (158, 200), (274, 250)):
        if 4 * side * (side - 1) > most_links:
            break
        problem = made_city(side, n_zones)
        taken, solved = timed(problem, 1e-4)
        sizes.append(problem.network.n_links * n_zones)
        seconds.append(taken)
        bar = "#" * max(1, int(8 * (np.log10(taken) + 3)))
        print(
            f"{problem.network.n_links:9,} links x {n_zones:4d} zones: {taken:9.3f} s ({solved.iterations} iterations, "
            f"{solved.relative_gap:.0e}) {bar}",
            flush=True,
        )
    if len(sizes) > 1:
        exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        print(f"CPU time to 1e-4 grows with (zones x links) to the power {exponent:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = os.environ.get("ROUTEPACT_SHARED_DATA", str(PROJECT_ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(beside), help="folder that has tntp/ (default: beside the checkout)")
    parser.add_argument("--tapb", type=Path, help="binary of TAP-B")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--networks", nargs="+", help="folders of networks (default: all)")
    parser.add_argument("--gaps", nargs="+", type=float, default=[1e-4, 1e-6, 1e-10])
    parser.add_argument("--most-links", type=int, default=400_000, help="largest made city of `growth`")
    options = parser.parse_args()
    os.environ["ROUTEPACT_THREADS"] = "1"
    cases = [case for case in CASES if options.networks is None or case.folder in options.networks]
    if not (options.data / "tntp").is_dir():
        print(f"{options.data} has no tntp/: made cities alone (--data names the folder)")
        cases = []
    began = time.process_time()
    timed(made_city(4, 8), 0.1)
    print(f"compiling, or reading what was compiled: {time.process_time() - began:.1f} s of CPU time", flush=True)
    if "peers" in options.parts:
        for case in cases:
            beside_peers(case, options.data, options.gaps, options.tapb, options.rounds)
        if any(case.folder == "Chicago-Sketch" for case in cases):
            beside_frank_wolfe(options.data)
    if "floor" in options.parts:
        floors(cases, options.data)
    if "references" in options.parts:
        references(cases, options.data)
    if "warm" in options.parts:
        warm_starts(cases, options.data, options.rounds)
    if "growth" in options.parts:
        growth(options.most_links)


if __name__ == "__main__":
    main()
