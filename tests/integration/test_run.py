"""Whole runs: what they leave, that they repeat to the byte, and what is told when a promise is missed."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import pytest
from command_line import call, entries, write_small_city

from sim.experiments.record import read_run

GAPS = 1e-6
SIMWRAPPER = {"dashboard-1.yaml", "worlds.csv", "relative_gaps.csv"}
FILES = SIMWRAPPER | {
    "manifest.json",
    "scenario.lock.toml",
    "poa.json",
    "convergence.parquet",
    "link_performance.parquet",
    "trips.parquet",
    "report.html",
    "quality.html",
}
SAME_BYTES = ("poa.json", "scenario.lock.toml", "convergence.parquet", "link_performance.parquet", "trips.parquet")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a sound scenario."""
    monkeypatch.chdir(tmp_path)
    write_small_city(tmp_path)
    return tmp_path


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in SAME_BYTES}


def test_a_run_leaves_the_files_of_the_design(folder: Path) -> None:
    outcome = call("run", "small.toml", "--out", "made/run", "--json", "--quiet")
    assert outcome.status == 0
    assert outcome.err == ""
    run = folder / "made" / "run"
    assert {path.name for path in run.iterdir()} == FILES
    assert entries(folder / "made") == {"run"} | {f"run/{name}" for name in FILES}
    assert json.loads(outcome.out) == json.loads((run / "poa.json").read_text())
    manifest = read_run(run).manifest
    assert manifest["status"] == "done"
    assert set(manifest["inputs"]) == {"small_net.tntp", "small_trips.tntp"}
    lock = tomllib.loads((run / "scenario.lock.toml").read_text())
    assert lock["traffic"]["gap"] == GAPS
    assert lock["demand"]["vehicles_per_traveller"] == 1.0
    assert b"<html" in (run / "report.html").read_bytes()[:500]


def test_poa_has_the_keys_of_the_design(folder: Path) -> None:
    poa = json.loads(call("run", "small.toml", "--json", "--quiet").out)
    assert set(poa) == {
        "scenario",
        "seed",
        "travellers",
        "traffic",
        "worlds",
        "price_of_anarchy",
        "price_of_anarchy_interval",
        "withheld",
    }
    assert (poa["scenario"], poa["seed"], poa["travellers"], poa["traffic"]) == ("small", 1, 25, "static")
    selfish, optimum = poa["worlds"]["selfish"], poa["worlds"]["optimum"]
    assert set(selfish) == {"total_time_s", "mean_time_s", "relative_gap", "atomic"}
    assert set(optimum) == {*selfish, "total_time_lower_bound_s"}
    assert set(selfish["atomic"]) == {"total_time_s", "mean_time_s", "relative_gap", "days", "stopped_because"}
    assert set(optimum["atomic"]) == set(selfish["atomic"]) - {"relative_gap"}
    for world in (selfish, optimum):
        assert math.isclose(world["mean_time_s"] * 25, world["total_time_s"], rel_tol=1e-12)
        assert world["relative_gap"] <= GAPS
    assert poa["price_of_anarchy"] == selfish["total_time_s"] / optimum["total_time_s"] >= 1.0
    low, high = poa["price_of_anarchy_interval"]
    assert low <= poa["price_of_anarchy"] <= high
    assert poa["withheld"] is None


@pytest.mark.parametrize(("name", "ratio"), [("pigou", 4 / 3), ("braess", 552 / 498)])
def test_textbook_networks_run_to_their_closed_forms(folder: Path, name: str, ratio: float) -> None:
    outcome = call("run", name, "--quiet", "--out", "run")
    assert outcome.status == 0
    poa = read_run(folder / "run").poa
    assert math.isclose(poa["price_of_anarchy"], ratio, rel_tol=2e-6)
    assert poa["price_of_anarchy_interval"][0] - 1e-9 <= ratio <= poa["price_of_anarchy_interval"][1] + 1e-9
    # Both textbooks' travellers stand for so little that what they do one by one is the continuous outcome.
    for world in poa["worlds"].values():
        assert math.isclose(world["atomic"]["total_time_s"], world["total_time_s"], rel_tol=1e-3)
    assert f"Price of Anarchy {ratio:.6f}" in outcome.out
    assert str(folder / "run" / "report.html") in outcome.out


def test_the_same_seed_gives_the_same_bytes_on_one_and_two_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for threads in ("1", "2"):
        monkeypatch.setenv("ROUTEPACT_THREADS", threads)
        assert call("run", "grid", "--out", f"threads{threads}", "--quiet").status == 0
    assert contents(folder / "threads1") == contents(folder / "threads2")
    assert call("run", "grid", "--seed", "2", "--out", "seed2", "--quiet").status == 0
    first, second = contents(folder / "threads1"), contents(folder / "seed2")
    assert first["trips.parquet"] != second["trips.parquet"]
    assert first["poa.json"] != second["poa.json"]
    # The continuous flows know no luck; only who drives where and when does.
    assert first["link_performance.parquet"] == second["link_performance.parquet"]
    worlds = [json.loads(content["poa.json"])["worlds"] for content in (first, second)]
    assert worlds[0]["optimum"]["total_time_s"] == worlds[1]["optimum"]["total_time_s"]


def test_a_run_is_the_same_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("run", "small.toml", "--out", "here", "--quiet").status == 0
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert call("run", "../small.toml", "--out", "there", "--quiet").status == 0
    assert contents(folder / "here") == contents(folder / "elsewhere" / "there")


def test_the_default_folder_is_found_and_never_replaced(folder: Path) -> None:
    for _ in range(2):
        assert call("run", "small.toml", "--quiet").status == 0
    runs = sorted((folder / "runs" / "small").iterdir())
    assert len(runs) == 2
    assert all({path.name for path in run.iterdir()} == FILES for run in runs)


def test_overwrite_replaces_a_run_and_nothing_else(folder: Path) -> None:
    assert call("run", "small.toml", "--out", "run", "--quiet").status == 0
    before = (folder / "run" / "poa.json").read_bytes()
    refused = call("run", "small.toml", "--seed", "7", "--out", "run", "--quiet")
    assert (refused.status, (folder / "run" / "poa.json").read_bytes()) == (2, before)
    assert call("run", "small.toml", "--seed", "7", "--out", "run", "--overwrite", "--quiet").status == 0
    assert read_run(folder / "run").poa["seed"] == 7
    (folder / "run" / "notes.txt").write_text("mine")
    refused = call("run", "small.toml", "--out", "run", "--overwrite", "--quiet")
    assert refused.status == 2
    assert "notes.txt" in refused.err


def test_a_bound_that_stops_the_solver_is_told(folder: Path) -> None:
    outcome = call("run", "braess", "--set", "traffic.max_iterations=1", "--out", "run", "--quiet")
    assert outcome.status == 3
    assert "Price of Anarchy: withheld, the gaps leave an interval" in outcome.out
    assert "warning: selfish: iteration bound of 1 reached at relative gap" in outcome.err
    run = read_run(folder / "run")
    assert run.manifest["status"] == "missed"
    assert run.poa["price_of_anarchy"] is None
    assert run.poa["withheld"].startswith("the gaps leave an interval")
    assert (folder / "run" / "report.html").exists()


@pytest.mark.parametrize(("world", "other"), [("selfish", "optimum"), ("optimum", "selfish")])
def test_one_world_alone_withholds_the_ratio_and_misses_nothing(folder: Path, world: str, other: str) -> None:
    outcome = call("run", "small.toml", "--set", f'worlds.run=["{world}"]', "--out", "run", "--quiet")
    assert outcome.status == 0
    poa = read_run(folder / "run").poa
    assert set(poa["worlds"]) == {world}
    assert (poa["price_of_anarchy"], poa["price_of_anarchy_interval"]) == (None, None)
    assert poa["withheld"] == f"the world {other} did not run"
    assert f"withheld, the world {other} did not run" in outcome.out


def test_the_order_of_worlds_does_not_matter(folder: Path) -> None:
    assert call("run", "small.toml", "--out", "a", "--quiet").status == 0
    assert call("run", "small.toml", "--set", 'worlds.run=["optimum", "selfish"]', "--out", "b", "--quiet").status == 0
    for name in ("poa.json", "link_performance.parquet", "trips.parquet"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_a_large_seed_runs(folder: Path) -> None:
    assert call("run", "small.toml", "--seed", str(2**63 - 1), "--quiet").status == 0


def test_report_checks_a_run_and_writes_the_page_anew(folder: Path) -> None:
    assert call("run", "small.toml", "--out", "run", "--quiet").status == 0
    page = (folder / "run" / "report.html").read_bytes()
    outcome = call("report", "run")
    assert (outcome.status, outcome.err) == (0, "")
    assert "report.html" in outcome.out
    assert (folder / "run" / "report.html").read_bytes() == page
    poa = folder / "run" / "poa.json"
    poa.write_bytes(poa.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    outcome = call("report", "run")
    assert outcome.status == 3
    assert outcome.err == f"warning: {Path('run') / 'poa.json'}: changed since the run was written\n"


def test_assign_writes_a_run_folder_without_travellers(folder: Path) -> None:
    arguments = ("assign", "--network", "small_net.tntp", "--trips", "small_trips.tntp", "--quiet")
    outcome = call(*arguments, "--out", "run")
    assert outcome.status == 0
    assert outcome.out.splitlines()[-1] == f"Report: {folder / 'run' / 'report.html'}"
    run = read_run(folder / "run")
    assert {path.name for path in (folder / "run").iterdir()} == FILES - SIMWRAPPER - {"trips.parquet", "quality.html"}
    content = json.loads(call(*arguments, "--json").out)
    assert run.poa["worlds"]["selfish"]["total_time_s"] == content["ue"]["tstt"]
    assert run.poa["price_of_anarchy"] == content["price_of_anarchy"]
    assert call("report", "run").status == 0
    assert call(*arguments, "--out", "run").status == 2
    assert call(*arguments, "--out", "one", "--principle", "ue").status == 0
    one = read_run(folder / "one").poa
    assert set(one["worlds"]) == {"selfish"}
    assert one["withheld"] == "only one principle was asked for"
