"""Sweeps: how fast, at what overhead, in how much memory, and what is left after many kills.

`python -m benchmarks.sweep --data DIR` runs Sioux Falls markets (DIR holds the TNTP benchmark networks) with one worker and with
two, and prints the time, the speed-up, the overhead a run and the memory of a worker early and late.
`python -m benchmarks.sweep --kills N` kills a sweep N times at random moments (the driver, a worker or all at once), goes on each
time, and says whether the bytes are those of an undisturbed sweep.
`python -m benchmarks.sweep --points N` plans a Latin hypercube of N points, runs a part, resumes another, reports and says how
much memory the driver took.

Wall-clock figures mean something on an idle machine alone; the processor time beside them means something anywhere.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.market import CASES, tntp_scenario
from sim.experiments.record import lock_text
from sim.experiments.run import run
from sim.experiments.sweep import sweep, sweep_job
from sim.experiments.sweep_plan import SweepPlan, make_plan, with_value
from sim.experiments.sweep_store import SweepFolder
from sim.experiments.sweep_worker import run_shard
from sim.experiments.work import SharedWork
from sim.spec import parse_scenario

_START = [sys.executable, "-c", "from sim.cli import main; main()", "sweep"]
_MIB = 1 << 20
_LOOK_EVERY_S = 3.0
_KILLED_WITHIN_S = (0.5, 25.0)

KILLS = """name = "kills"
base = "braess"
replications = 40
runs_per_shard = 2
outputs = ["price_of_anarchy", "worlds.selfish.atomic.total_time_s"]
[[factor]]
key = "demand.scale"
low = 0.5
high = 1.5
steps = 25
"""
POINTS = """name = "points"
base = "braess"
design = "latin_hypercube"
points = {points}
outputs = ["price_of_anarchy", "worlds.selfish.mean_time_s"]
[settings.demand]
vehicles_per_traveller = 0.5
[[factor]]
key = "demand.scale"
low = 0.2
high = 2.0
[[factor]]
key = "traffic.atomic_gap"
low = 1e-6
high = 1e-2
distribution = "log_uniform"
"""
MARKET = """name = "sioux_falls"
base = "base.toml"
replications = {replications}
outputs = ["worlds.coalition.ratio", "worlds.coalition.below_baseline"]
[[factor]]
key = "market.participation"
low = 0.1
high = 1.0
steps = 10
"""


class Memory:
    """Watches the resident memory of the processes below one process."""

    def __init__(self, pid: int) -> None:
        self.seen: list[tuple[float, int]] = []
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                below = psutil.Process(self._pid).children(recursive=True)
                largest = max((process.memory_info().rss for process in below), default=0)
            except psutil.NoSuchProcess:
                continue
            self.seen.append((time.monotonic(), largest))

    def at(self, share: float) -> float:
        """Return the largest worker's memory in MiB at a share of the time with full workers."""
        # Before the workers have read their inputs, and after they have ended, there is little to see.
        largest = max((size for _, size in self.seen), default=0)
        full = [size for _, size in self.seen if size > largest / 2]
        return full[min(int(share * len(full)), len(full) - 1)] / _MIB if full else 0.0


def speed(data: Path, runs: int) -> None:
    """Print the figures of Sioux Falls markets."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = tntp_scenario(CASES[1], data.resolve())
        (folder / "base.toml").write_text(lock_text(spec))
        (folder / "sweep.toml").write_text(MARKET.format(replications=max(1, runs // 10)))
        plan = make_plan(str(folder / "sweep.toml"))
        in_worker_s = _overhead_of_rows(plan, SweepFolder(folder / "none"))
        print(
            "| workers | runs | wall s | runs a minute | processor s | worker MiB early | late |\n" + "|---" * 7 + "|", flush=True
        )
        driver: list[tuple[int, float]] = []
        rate = []
        # One worker and two do the same runs: those of one level of a factor may take longer than those of another.
        for name, jobs, limit in (("few", 1, max(10, runs // 20)), ("one", 1, runs), ("two", 2, runs)):
            before, driver_before = _processor_s(), time.process_time()
            with Memory(os.getpid()) as memory:
                outcome = sweep(plan, folder / name, jobs=jobs, limit=limit)
            driver.append((outcome.runs_now, time.process_time() - driver_before))
            rate.append(outcome.runs_now / outcome.seconds)
            print(
                f"| {jobs} | {outcome.runs_now} | {outcome.seconds:.1f} | {60 * rate[-1]:.0f} | {_processor_s() - before:.1f} "
                f"| {memory.at(0.3):.0f} | {memory.at(0.95):.0f} |",
                flush=True,
            )
        # What a session costs before its first run is in both; their difference is runs alone.
        (few, few_s), (many, many_s) = driver[:2]
        in_driver_s = (many_s - few_s) / (many - few)
        print(
            f"overhead a run: {1000 * (in_worker_s + in_driver_s):.1f} ms of processor time "
            f"({1000 * in_worker_s:.1f} in the worker, {1000 * in_driver_s:.1f} in driver and scheduler)"
        )
        print(f"two workers are {rate[2] / rate[1]:.2f} times as fast as one by the clock")


def _overhead_of_rows(plan: SweepPlan, folder: SweepFolder) -> float:
    """Return what a row costs a worker beyond its run: seconds of processor time, the least of three rounds."""
    job, rows = sweep_job(plan, folder), [plan.row(number) for number in range(20)]
    specs = [parse_scenario(with_value({**plan.scenario, "seed": row.seed}, job.keys[0], row.values[0])) for row in rows]
    work = SharedWork()
    alone, overheads = [], []
    for _ in range(4):
        begin = time.process_time()
        for spec in specs:
            run(spec, plan.folder, work=work).poa()
        alone.append((time.process_time() - begin) / len(rows))
        begin = time.process_time()
        run_shard(job, 0, rows)
        overheads.append((time.process_time() - begin) / len(rows) - alone[-1])
    print(f"one run alone: {min(alone):.3f} s of processor time", flush=True)
    return min(overheads[1:])  # the first round compiles, and fills what is remembered


def _processor_s() -> float:
    """Return the processor time of this process and of the children that have ended."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + below.ru_utime + below.ru_stime


def kills(times: int, seed: int) -> bool:
    """Kill a sweep many times, print what happened and return whether its bytes are right."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "kills.toml").write_text(KILLS)
        sweep(make_plan(str(folder / "kills.toml")), folder / "undisturbed", jobs=2)
        out, counts, done = folder / "out", {"driver": 0, "worker": 0, "all": 0}, 0
        while done < times:
            arguments = [
                *_START,
                str(folder / "kills.toml"),
                "--out",
                str(out),
                "--jobs",
                "1",
                "--resume",
                "--quiet",
                "--limit",
                "24",
            ]
            driver = subprocess.Popen(arguments, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + draw.uniform(*_KILLED_WITHIN_S)
            while time.monotonic() < end and driver.poll() is None:
                time.sleep(0.02)
            if driver.poll() is None:
                kind = draw.choice(list(counts))
                _kill(driver, kind)
                counts[kind], done = counts[kind] + 1, done + 1
            driver.wait()
            if (out / "sweep.json").exists():
                # Whole before the last kill: a few shards go, as if the disk had lost them, and it goes on.
                for path in sorted((out / "shards").iterdir())[:: draw.randint(2, 9)]:
                    path.unlink()
                (out / "sweep.json").unlink()
            print(f"{done} kills, {len(list((out / 'shards').glob('*.parquet'))) if out.exists() else 0} shards", flush=True)
        sweep(make_plan(str(folder / "kills.toml")), out, jobs=2, resume=True)
        same = _content(out) == _content(folder / "undisturbed")
        print(f"{done} kills ({counts}): the bytes are {'the same' if same else 'DIFFERENT'}")
        return same


def _kill(driver: subprocess.Popen[bytes], kind: str) -> None:
    if kind == "all":
        os.killpg(driver.pid, signal.SIGKILL)
        return
    if kind == "worker":
        for process in psutil.Process(driver.pid).children(recursive=True):
            process.kill()
        time.sleep(1.0)
    driver.kill()


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    }


def points(n_points: int, part: int) -> None:
    """Plan many points, run a part in two sessions, and print the driver's memory and time."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "points.toml").write_text(POINTS.format(points=n_points))
        begin = time.process_time()
        plan = make_plan(str(folder / "points.toml"))
        print(f"{plan.n_runs:,} runs in {plan.n_shards:,} shards planned in {time.process_time() - begin:.2f} s", flush=True)
        for session in (1, 2):
            outcome = sweep(plan, folder / "out", jobs=2, limit=part // 2, resume=session > 1)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            page = (folder / "out" / "report.html").stat().st_size / 1000
            rate = outcome.runs_now / outcome.seconds
            print(
                f"session {session}: {outcome.runs_there:,} runs there, {rate:.0f} a second, driver's peak {peak:.0f} MiB, "
                f"report {page:.0f} kB",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="folder of the TNTP benchmark networks")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int)
    parser.add_argument("--part", type=int, default=4096)
    options = parser.parse_args(arguments)
    if options.data is not None:
        speed(options.data, options.runs)
    if options.points is not None:
        points(options.points, options.part)
    if options.kills is not None and not kills(options.kills, options.seed):
        sys.exit(1)


if __name__ == "__main__":
    main()
