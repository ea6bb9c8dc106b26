"""Peers of the static assignment: TAP-B (a program in C, given as a binary) and AequilibraE (a Python package)."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.assignment.problem import AssignmentProblem

_GAP_LINE = re.compile(r"^Iteration (\d+):.* gap (-?[0-9.]+|nan|inf),", re.MULTILINE)


@dataclass(frozen=True)
class PeerRun:
    """What a peer did: CPU seconds, the gap it reported, iterations; gap NaN where it gave none."""

    cpu_s: float
    gap: float
    iterations: int


class TapB:
    """The binary on one problem; its files live in a temporary folder.

    Its own reading, initialising (connectivity, first bushes, first loading) and writing are left out: they are the CPU time of
    a run of no iterations, which is taken off.
    """

    def __init__(self, binary: Path, problem: AssignmentProblem) -> None:
        self._binary = binary.resolve()
        self._folder = tempfile.TemporaryDirectory(prefix="routepact-tapb-")
        self._path = Path(self._folder.name)
        write_network(problem, self._path / "net.txt")
        write_trips(problem, self._path / "trips.txt")

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def overhead_s(self) -> float:
        """CPU seconds of reading, initialising and writing alone."""
        return self._run("<MAX ITERATIONS> 0\n")[0]

    def run(self, gap: float, overhead_s: float, most_s: float) -> PeerRun:
        """Solve to `gap` ((TSTT - SPTT) / SPTT, as the program has it), for at most so many seconds."""
        cpu_s, printed = self._run(f"<CONVERGENCE GAP> {gap:.3e}\n<MAX RUN TIME> {most_s}\n")
        found = _GAP_LINE.findall(printed)
        iterations, last_gap = found[-1] if found else (0, "nan")
        return PeerRun(cpu_s - overhead_s, float(last_gap), int(iterations))

    def _run(self, stop: str) -> tuple[float, str]:
        files = f"<FILE PATH> {self._path}/\n<DATA PATH> {self._path}/\n<NETWORK FILE> net.txt\n<TRIPS FILE> trips.txt\n"
        parameters = f"{files}<FLOWS FILE> {self._path}/flows.txt\n<OMIT BECKMANN>\n<NUMBER OF THREADS> 1\n{stop}"
        (self._path / "parameters.txt").write_text(parameters)
        with (self._path / "printed.txt").open("w") as printed:
            command = [str(self._binary), str(self._path / "parameters.txt")]
            with subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, cwd=self._path) as process:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
        text = (self._path / "printed.txt").read_text(errors="replace")
        if process.returncode != 0:
            raise SystemExit(f"TAP-B left with status {process.returncode}: {text[-500:]}")
        return usage.ru_utime + usage.ru_stime, text


def _tapb_nodes(problem: AssignmentProblem) -> tuple[np.ndarray, int, np.ndarray]:
    """Return every node's number (from 1; zones first, closed ones before the others), the first open one and the zones."""
    network = problem.network
    zone_node = network.zone_node_idx
    zones = zone_node[np.argsort(network.node_passable[zone_node], kind="stable")]
    if network.node_passable.sum() != network.n_nodes - (~network.node_passable[zones]).sum():
        raise SystemExit(f"{network.name} closes nodes that are no zones, which TAP-B cannot say")
    order = np.concatenate([zones, np.setdiff1d(np.arange(network.n_nodes), zones)])
    number = np.empty(network.n_nodes, np.int64)
    number[order] = np.arange(1, network.n_nodes + 1)
    return number, int((~network.node_passable).sum()) + 1, zones


def write_network(problem: AssignmentProblem, path: Path) -> None:
    """Write the links as TNTP; what a link costs beside its time is written as a toll."""
    network = problem.network
    number, first_open, zones = _tapb_nodes(problem)
    lines = [
        f"<NUMBER OF ZONES> {len(zones)}",
        f"<NUMBER OF NODES> {network.n_nodes}",
        f"<FIRST THRU NODE> {first_open}",
        f"<NUMBER OF LINKS> {network.n_links}",
        "<TOLL FACTOR> 1",
        "<DISTANCE FACTOR> 0",
        "<END OF METADATA>",
        "",
    ]
    columns = (network.capacity_vph, network.free_flow_time_s, network.bpr_alpha, network.bpr_beta, network.fixed_cost_s)
    rows = zip(number[network.tail_idx], number[network.head_idx], *(column.tolist() for column in columns), strict=True)
    for tail, head, capacity, free_flow, alpha, beta, fixed in rows:
        lines.append(f"{tail} {head} {capacity!r} 0 {free_flow!r} {alpha!r} {beta!r} 0 {fixed!r} 1 ;")
    path.write_text("\n".join(lines) + "\n")


def write_trips(problem: AssignmentProblem, path: Path) -> None:
    """Write the demand as TNTP."""
    number, _, zones = _tapb_nodes(problem)
    lines = [
        f"<NUMBER OF ZONES> {len(zones)}",
        f"<TOTAL OD FLOW> {float(problem.cell_demand.sum())!r}",
        "<END OF METADATA>",
        "",
    ]
    for origin in range(problem.n_origins):
        lines.append(f"Origin {number[problem.origin_node[origin]]}")
        cells = slice(problem.cell_start[origin], problem.cell_start[origin + 1])
        rows = zip(number[problem.cell_node[cells]], problem.cell_demand[cells].tolist(), strict=True)
        lines += [f"{node} : {demand!r};" for node, demand in rows]
    path.write_text("\n".join(lines) + "\n")


def aequilibrae_bfw(problem: AssignmentProblem, gap: float, max_iterations: int) -> PeerRun | None:
    """Solve by AequilibraE's bi-conjugate Frank-Wolfe on one core; None where the package is not installed."""
    try:
        import pandas as pd
        from aequilibrae.matrix import AequilibraeMatrix
        from aequilibrae.paths import Graph, TrafficAssignment, TrafficClass
    except ImportError as missing:
        print(f"  (AequilibraE left out: {missing})")
        return None
    network = problem.network
    number, _, zones = _tapb_nodes(problem)
    links = {
        "link_id": np.arange(1, network.n_links + 1),
        "a_node": number[network.tail_idx],
        "b_node": number[network.head_idx],
        "direction": np.ones(network.n_links, np.int8),
        "free_flow_time": np.maximum(network.free_flow_time_s, 1e-9),  # it refuses zeros
        "capacity": network.capacity_vph,
        "alpha": network.bpr_alpha,
        "beta": network.bpr_beta,
        "fixed": network.fixed_cost_s,
    }
    graph = Graph()
    graph.network = pd.DataFrame(links)
    graph.prepare_graph(np.arange(1, len(zones) + 1))
    graph.set_graph("free_flow_time")
    graph.set_blocked_centroid_flows(not network.node_passable.all())
    matrix = AequilibraeMatrix()
    matrix.create_empty(zones=len(zones), matrix_names=["trips"], memory_only=True)
    matrix.index = np.arange(1, len(zones) + 1)
    matrix.matrices[:, :, 0] = 0.0
    origin = np.repeat(number[problem.origin_node], np.diff(problem.cell_start)) - 1
    matrix.matrices[origin, number[problem.cell_node] - 1, 0] = problem.cell_demand
    matrix.computational_view(["trips"])
    travellers = TrafficClass("car", graph, matrix)
    travellers.set_fixed_cost("fixed")
    travellers.set_vot(1.0)
    assignment = TrafficAssignment()
    assignment.set_classes([travellers])
    assignment.set_vdf("BPR")
    assignment.set_vdf_parameters({"alpha": "alpha", "beta": "beta"})
    assignment.set_capacity_field("capacity")
    assignment.set_time_field("free_flow_time")
    assignment.set_algorithm("bfw")
    assignment.set_cores(1)
    assignment.max_iter, assignment.rgap_target = max_iterations, gap
    before = time.process_time()
    assignment.execute()
    cpu_s = time.process_time() - before
    report = assignment.report()
    return PeerRun(cpu_s, float(report["rgap"].iloc[-1]), int(report["iteration"].iloc[-1]))
