"""Sweeps on real processes: kills of the driver, a worker and the whole group; a scheduler and workers that were there before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from command_line import START, call, spawn_environment, write_small_city
from made_sweep import files, here

from sim.experiments.sweep import sweep
from sim.experiments.sweep_plan import make_plan

TEXT = """name = "kills"
base = "braess"
replications = 12
runs_per_shard = 1
outputs = ["price_of_anarchy", "worlds.selfish.atomic.total_time_s"]
[[factor]]
key = "demand.scale"
low = 0.5
high = 1.5
steps = 10
"""
PATIENCE_S = 120.0


def wait_until(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, "the sweep ended before it could be killed"
        time.sleep(0.01)


def start(plan: Path, out: Path) -> subprocess.Popen[bytes]:
    arguments = ["sweep", str(plan), "--out", str(out), "--jobs", "1", "--resume", "--quiet"]
    return subprocess.Popen([*START, *arguments], env=spawn_environment(ROUTEPACT_THREADS="1"), start_new_session=True)


def n_shards(out: Path) -> int:
    return len(list((out / "shards").glob("*.parquet"))) if (out / "shards").is_dir() else 0


def workers(driver: int) -> list[psutil.Process]:
    """Return the processes below the driver."""
    return psutil.Process(driver).children(recursive=True)


def undisturbed(plan: Path, out: Path) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        here(patch)
        sweep(make_plan(str(plan)), out)
    return files(out)


def test_kills_of_driver_worker_and_group_lose_nothing(tmp_path: Path) -> None:
    plan, out = tmp_path / "kills.toml", tmp_path / "out"
    plan.write_text(TEXT)
    expected = undisturbed(plan, tmp_path / "undisturbed")

    driver = start(plan, out)
    wait_until(lambda: n_shards(out) >= 3, driver)
    orphans = workers(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in orphans))
    assert 0 < n_shards(out) < 120

    driver, before = start(plan, out), n_shards(out)
    wait_until(lambda: n_shards(out) >= before + 3, driver)
    for process in workers(driver.pid):
        if "spawn_main" in " ".join(process.cmdline()):
            process.kill()
    between = n_shards(out)
    # The worker comes back and goes on: more shards than the dead one can have handed over before.
    wait_until(lambda: n_shards(out) >= between + 6, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    assert n_shards(out) < 120

    assert start(plan, out).wait(PATIENCE_S) == 0
    assert files(out) == expected


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Address of a scheduler with two workers, each a process of its own on the loopback device."""
    where = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    environment = spawn_environment(ROUTEPACT_THREADS="1", NUMBA_NUM_THREADS="1")
    started = [subprocess.Popen([*command, "--scheduler-file", str(where)], env=environment, stderr=subprocess.DEVNULL)]
    try:
        wait_until(where.is_file)
        for number in (1, 2):
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(where), "--nthreads", "1"]
            options = ["--no-nanny", "--no-dashboard", "--name", f"w{number}", "--local-directory", str(tmp_path / f"w{number}")]
            started.append(subprocess.Popen([*worker, *options], env=environment, stderr=subprocess.DEVNULL))
        yield json.loads(where.read_text())["address"]
    finally:
        # A worker that has lost its scheduler may wait long for it; nothing of theirs needs an orderly end.
        for process in reversed(started):
            process.kill()
            process.wait()


def test_a_scheduler_that_runs_already_gives_the_same_bytes(tmp_path: Path, scheduler: str) -> None:
    write_small_city(tmp_path)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'name = "remote"\nbase = "small.toml"\nreplications = 4\nruns_per_shard = 1\n'
        '[[factor]]\nkey = "demand.scale"\nvalues = [0.5, 1.0, 2.0]\n'
    )
    expected = undisturbed(plan, tmp_path / "undisturbed")
    found = call("sweep", plan, "--out", tmp_path / "out", "--scheduler", scheduler, "--quiet", "--json")
    assert found.status == 0, found.err
    assert json.loads(found.out)["counts"] == {"done": 12, "missed": 0, "failed": 0}
    assert files(tmp_path / "out") == expected


def test_a_scheduler_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.experiments.sweep_cluster._CONNECT_S", 0.5)
    plan = tmp_path / "plan.toml"
    plan.write_text(TEXT)
    found = call("sweep", plan, "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9", "--quiet")
    assert (found.status, "no Dask scheduler answers at tcp://127.0.0.1:9" in found.err) == (4, True)
    found = call("sweep", plan, "--out", tmp_path / "other", "--scheduler", "where://x", "--quiet")
    assert (found.status, "--scheduler" in found.err) == (2, True)


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(TEXT)
    found = call("sweep", "plan.toml", "--dry-run", "--quiet")
    assert (found.status, "10 points x 12 replications = 120 runs" in found.out) == (0, True)
    assert "demand.scale: uniform, low 0.5, high 1.5, 10 steps" in found.out
    assert {path.name for path in tmp_path.iterdir()} == {"plan.toml"}
    assert json.loads(call("sweep", "plan.toml", "--dry-run", "--quiet", "--json").out)["runs"] == 120


def test_a_plan_of_a_hundred_thousand_points_is_ready_at_once(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    text = TEXT.replace("replications = 12\nruns_per_shard = 1", 'design = "latin_hypercube"\npoints = 100000')
    plan.write_text(text.replace("steps = 10\n", ""))
    found = json.loads(call("sweep", plan, "--dry-run", "--quiet", "--json").out)
    assert (found["points"], found["runs"], found["shards"]) == (100_000, 100_000, 196)


def test_the_schema_of_sweep_files_knows_every_key() -> None:
    schema = json.loads(call("schema", "--sweeps").out)
    assert {"base", "design", "factor", "outputs", "replications"} <= set(schema["properties"])
    assert {"key", "values", "distribution"} <= set(schema["$defs"]["Factor"]["properties"])


def test_a_sweep_that_is_told_to_end_leaves_no_worker(tmp_path: Path) -> None:
    plan, out = tmp_path / "plan.toml", tmp_path / "out"
    plan.write_text(TEXT.replace("replications = 12", "replications = 200"))
    driver = start(plan, out)
    wait_until(lambda: n_shards(out) >= 1, driver)
    below = workers(driver.pid)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(PATIENCE_S) == 128 + signal.SIGTERM
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in below))
    assert not list(out.rglob(".partial-*"))
