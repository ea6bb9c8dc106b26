"""Sweeps without a cluster: plans, shards, damage, resuming, failures, results."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import write_small_city
from made_sweep import TEXT, files, here, small_plan

from sim.errors import InputError, RunFailedError
from sim.experiments.run import run
from sim.experiments.scenarios import find_scenario
from sim.experiments.sweep import sweep, sweep_job
from sim.experiments.sweep_cluster import program, require_same_program
from sim.experiments.sweep_results import export_runs, open_results, sobol_indices
from sim.experiments.sweep_store import SweepFolder, read_plan
from sim.experiments.sweep_worker import run_shard
from sim.experiments.work import SharedWork, content_digest


def rows(folder: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(path).to_pylist() for path in sorted((folder / "shards").iterdir())]
    return sorted((row for table in tables for row in table), key=lambda row: row["run"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that nothing disturbed."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        here(patch)
        sweep(small_plan(folder), folder / "out")
    return folder / "out"


def test_every_row_is_the_run_that_the_command_line_would_make(undisturbed: Path) -> None:
    found = rows(undisturbed)
    assert [row["run"] for row in found] == list(range(12))
    for row in (found[1], found[10]):
        settings = [
            "demand.vehicles_per_traveller=0.1",
            f"demand.scale={row['demand.scale']}",
            f"traffic.days={row['traffic.days']}",
        ]
        poa = run(*find_scenario("braess", settings, row["seed"])).poa()
        assert row["price_of_anarchy"] == poa["price_of_anarchy"]
        assert row["worlds.selfish.atomic.total_time_s"] == poa["worlds"]["selfish"]["atomic"]["total_time_s"]


def test_levels_share_their_seeds(undisturbed: Path) -> None:
    for row in rows(undisturbed):
        assert row["seed"] == 1 + row["replication"]
        assert row["run"] == row["replication"] * 6 + row["point"]


@pytest.mark.parametrize("limit", [1, 5])
def test_a_sweep_in_pieces_and_in_another_order_has_the_same_bytes(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    here(monkeypatch, backwards=True)
    plan, out = small_plan(tmp_path), tmp_path / "out"
    first = sweep(plan, out, limit=limit)
    assert first.counts is None
    assert first.runs_there == 2 * -(-limit // 2)
    assert "is not whole" in (out / "report.html").read_text()
    assert sweep(plan, out, resume=True).counts == {"done": 12, "missed": 0, "failed": 0}
    assert files(out) == files(undisturbed)


def test_damaged_and_half_written_shards_are_made_anew(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch)
    plan, out = small_plan(tmp_path), tmp_path / "out"
    sweep(plan, out)
    shards = sorted((out / "shards").iterdir())
    content = bytearray(shards[1].read_bytes())
    content[len(content) // 2] ^= 1  # one bit, somewhere in the middle
    shards[1].write_bytes(content)
    shards[2].write_bytes(shards[2].read_bytes()[:100])
    shards[3].write_bytes(b"")
    (out / "shards" / ".partial-1-000004-x.parquet").write_bytes(b"half")
    shards[0].with_name("000000-0123.parquet").write_bytes(shards[0].read_bytes())
    (out / "sweep.json").unlink()
    (out / ".partial-1-sweep.json.part").write_bytes(b"half")
    with pytest.raises(InputError, match="--resume makes damaged shards anew"), open_results(out):
        pass
    outcome = sweep(plan, out, resume=True)
    assert outcome.runs_now == 6
    assert files(out) == files(undisturbed)


def test_queries_do_not_see_a_shard_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    plan, out = small_plan(tmp_path), tmp_path / "out"
    sweep(plan, out, limit=2)
    forced, seen = os.fsync, []

    def ask(handle: int) -> None:
        with open_results(out) as results:
            seen.append(results.counts()["done"])
        forced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", ask)
        sweep(plan, out, limit=2, resume=True)
    # Before and after the shard has its name, and at the two moments of the report.
    assert seen == [2, 4, 4, 4]


def test_a_death_at_any_shard_loses_nothing(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(shard: int) -> None:
        if shard == dies_at:
            raise Killed

    plan, out = small_plan(tmp_path), tmp_path / "out"
    for shard in range(plan.n_shards):
        dies_at = shard
        here(monkeypatch, before=die)
        with pytest.raises(Killed):
            sweep(plan, out, resume=True)
    here(monkeypatch)
    sweep(plan, out, resume=True)
    assert files(out) == files(undisturbed)


@pytest.mark.parametrize("room", [0, 1, 2, 3, 6])
def test_a_full_disk_is_told_and_resumable(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    here(monkeypatch)
    plan, out = small_plan(tmp_path), tmp_path / "out"
    forced, expected = os.fsync, room // 6

    def full(handle: int) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        forced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunFailedError, match=r"No space left on device.*--resume"):
            sweep(plan, out)
    assert not list(out.rglob(".partial-*"))
    assert len(list(out.glob("shards/*"))) == expected
    sweep(plan, out, resume=True)
    assert files(out) == files(undisturbed)


def test_another_design_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    out = tmp_path / "out"
    sweep(small_plan(tmp_path), out, limit=1)
    with pytest.raises(InputError, match=r"another design: .*replications"):
        sweep(small_plan(tmp_path, TEXT.replace("replications = 2", "replications = 3")), out, resume=True)
    with pytest.raises(InputError, match="exists already"):
        sweep(small_plan(tmp_path), out)
    (out / "plan.json").write_text((out / "plan.json").read_text().replace('"small"', '"smale"'))
    with pytest.raises(InputError, match="own hash"):
        read_plan(out)


def test_two_drivers_keep_out_of_each_others_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    with SweepFolder(tmp_path / "out").locked(), pytest.raises(InputError, match="one driver at a time"):
        sweep(small_plan(tmp_path), tmp_path / "out")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match="no sweep"):
        sweep(small_plan(tmp_path), tmp_path / "out")


def test_a_run_that_fails_is_a_row_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    text = TEXT.replace("[0.5, 1.0, 2.0]", "[0.5, 1e300]")
    outcome = sweep(small_plan(tmp_path, text), tmp_path / "out")
    assert outcome.counts == {"done": 4, "missed": 0, "failed": 4}
    failed = [row for row in rows(tmp_path / "out") if row["demand.scale"] == 1e300]
    assert {row["status"] for row in failed} == {"failed"}
    assert all(row["problem"] and row["price_of_anarchy"] is None for row in failed)
    assert "What went wrong" in (tmp_path / "out" / "report.html").read_text()


def refuse(*arguments: object, **keys: object) -> None:
    raise RunFailedError("the ledger refused the terms")


def test_a_run_that_breaks_a_rule_of_its_own_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    monkeypatch.setattr("sim.experiments.sweep_worker.run", refuse)
    assert sweep(small_plan(tmp_path), tmp_path / "out").counts == {"done": 0, "missed": 0, "failed": 12}
    assert {row["problem"] for row in rows(tmp_path / "out")} == {"the ledger refused the terms"}


def test_a_run_folder_that_cannot_be_written_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    monkeypatch.setattr("sim.experiments.sweep_worker.record", refuse)
    with pytest.raises(RunFailedError, match="6 of 6 shards could not be run"):
        sweep(small_plan(tmp_path, TEXT.replace("replications = 2", "replications = 2\nrecord_runs = true")), tmp_path / "out")


def test_no_memory_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)

    def no_memory(*arguments: object, **keys: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("sim.experiments.sweep_worker.run", no_memory)
        with pytest.raises(RunFailedError, match="6 of 6 shards could not be run"):
            sweep(small_plan(tmp_path), tmp_path / "out")
    assert sweep(small_plan(tmp_path), tmp_path / "out", resume=True).runs_now == 12


@pytest.mark.parametrize(
    ("output", "words"),
    [("worlds.selfih.mean_time_s", "'selfih' is no part"), ("worlds.selfish", "is no number"), ("scenario", "is no number")],
)
def test_an_output_that_is_none_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str) -> None:
    here(monkeypatch)
    text = TEXT.replace('"price_of_anarchy"', f'"{output}"')
    with pytest.raises(InputError, match=words):
        sweep(small_plan(tmp_path, text), tmp_path / "out")


def test_an_optional_output_may_be_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    text = TEXT.replace('"price_of_anarchy"', '"worlds.coalition.ratio?", "price_of_anarchy_interval.1"')
    sweep(small_plan(tmp_path, text), tmp_path / "out")
    found = rows(tmp_path / "out")
    assert {row["worlds.coalition.ratio"] for row in found} == {None}
    assert all(row["price_of_anarchy_interval.1"] >= 1.0 for row in found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[0.5, 1.0, 2.0]", "[0.5, -1.0]", r"factor demand.scale = -1.0: demand.scale"),
        ("demand.scale", "demand.sclae", "unknown key"),
        ('base = "braess"', 'base = "brass"', "there is no scenario 'brass'"),
        ("vehicles_per_traveller = 0.1", "vehicles_per_traveller = 0", "settings"),
        ("traffic.days", "network.kind.x", r"plan\.toml, factor network\.kind\.x = 1: kind is no section"),
        ("[settings.demand]", f"[settings]\nseed = {2**63 - 1}\n[settings.demand]", "replications = 2: seed"),
        ('outputs = ["price_of_anarchy",', 'outputs = ["seed",', "'seed' is there already"),
    ],
)
def test_a_bad_plan_is_told_before_anything_runs(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        small_plan(tmp_path, TEXT.replace(old, new))


def test_shared_work_changes_no_byte() -> None:
    shared = SharedWork()
    spec, folder = find_scenario("braess", ["demand.vehicles_per_traveller=0.1"])
    for seed in (1, 2, 1):
        there = spec.model_copy(update={"seed": seed})
        assert run(there, folder, work=shared).poa() == run(there, folder).poa()
    built = run(spec, folder).built
    assert content_digest(built.problem) == content_digest(run(spec, folder).built.problem)
    other = run(find_scenario("braess", ["demand.scale=1.0000001"])[0], folder).built
    assert content_digest(built.problem) != content_digest(other.problem)


def test_run_folders_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    text = TEXT.replace("replications = 2", "replications = 1\nrecord_runs = true").replace("[0.5, 1.0, 2.0]", "[1.0]")
    sweep(small_plan(tmp_path, text), tmp_path / "out")
    folders = sorted(path.name for path in (tmp_path / "out" / "runs").iterdir())
    assert folders == ["000000-0000", "000001-0000"]
    poa = json.loads((tmp_path / "out" / "runs" / folders[0] / "poa.json").read_text())
    assert rows(tmp_path / "out")[0]["price_of_anarchy"] == poa["price_of_anarchy"]
    assert 'href="runs/000000-0000/report.html"' in (tmp_path / "out" / "report.html").read_text()


def test_results_are_asked_by_queries(undisturbed: Path, tmp_path: Path) -> None:
    found = rows(undisturbed)
    with open_results(undisturbed) as results:
        assert results.counts() == {"done": 12}
        for point in results.curve("worlds.selfish.atomic.total_time_s", "demand.scale"):
            by_replication = [
                np.mean(
                    [
                        row["worlds.selfish.atomic.total_time_s"]
                        for row in found
                        if row["demand.scale"] == point.level and row["seed"] == s
                    ]
                )
                for s in (1, 2)
            ]
            assert point.mean == pytest.approx(np.mean(by_replication))
            assert point.half_width == pytest.approx(12.706204736 * np.std(by_replication, ddof=1) / np.sqrt(2), abs=1e-6)
            assert point.runs == 4
        binned = results.binned("price_of_anarchy", "demand.scale", 3)
        assert sum(point.runs for point in binned) == 12
        assert sobol_indices(results, "price_of_anarchy") is None
    with pytest.raises(InputError, match="cannot answer"), open_results(undisturbed) as results:
        results.sql("SELECT no_such_column FROM runs")
    assert export_runs(undisturbed, tmp_path / "all.csv") == 12
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert lines[0].startswith("run,point,replication,seed,demand.scale,traffic.days,status,problem,price_of_anarchy")
    assert [int(line.partition(",")[0]) for line in lines[1:]] == list(range(12))
    export_runs(undisturbed, tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet").to_pylist() == found
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        export_runs(undisturbed, tmp_path / "all.xlsx")


def test_sobol_indices_find_the_factor_that_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Ishigami function has known indices: S = 0.3139, 0.4424, 0 and ST = 0.5576, 0.4424, 0.2437 (Saltelli et al. 2008)."""
    here(monkeypatch)
    text = 'name = "i"\nbase = "braess"\ndesign = "sobol"\npoints = 512\nruns_per_shard = 2560\noutputs = ["price_of_anarchy"]\n'
    for key in ("demand.scale", "traffic.atomic_gap", "demand.vehicles_per_traveller"):
        text += f'[[factor]]\nkey = "{key}"\nlow = 0.1\nhigh = 0.2\n'

    class Ishigami:
        missed = ()

        def __init__(self, spec: Any) -> None:
            at = [spec.demand.scale, spec.traffic.atomic_gap, spec.demand.vehicles_per_traveller]
            a, b, c = (-np.pi + 2 * np.pi * (value - 0.1) / 0.1 for value in at)
            self.value = float(np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))

        def poa(self) -> dict[str, float]:
            return {"price_of_anarchy": self.value}

    monkeypatch.setattr("sim.experiments.sweep_worker.run", lambda spec, folder, work: Ishigami(spec))
    sweep(small_plan(tmp_path, text), tmp_path / "out")
    with open_results(tmp_path / "out") as results:
        indices = sobol_indices(results, "price_of_anarchy")
    assert indices is not None
    assert [index.first for index in indices] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.06)
    assert [index.total for index in indices] == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.06)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Sobol indices" in page
    assert "10 points with the least" in page


def test_a_worker_without_the_files_gets_copies(tmp_path: Path) -> None:
    write_small_city(tmp_path)
    plan = small_plan(tmp_path, 'name = "x"\nbase = "small.toml"\n[[factor]]\nkey = "demand.scale"\nvalues = [0.5, 1.0]\n')
    assert set(plan.inputs) == {"small_net.tntp", "small_trips.tntp"}
    there = sweep_job(plan, SweepFolder(tmp_path / "out"))
    elsewhere = replace(there, folder=str(tmp_path / "no such folder"), digest="elsewhere")
    assert run_shard(elsewhere, 0, plan.rows(0)).rows == run_shard(there, 0, plan.rows(0)).rows
    outside = replace(elsewhere, digest="outside", files={"../net.tntp": b""})
    with pytest.raises(InputError, match="is not on this worker"):
        run_shard(outside, 0, plan.rows(0))


def test_files_beside_a_bundled_city_belong_to_the_plan(tmp_path: Path) -> None:
    network = '[network]\nsource = "bundled"\ncity = "coquimbo"\n'
    (tmp_path / "mine.toml").write_text(
        f'name = "mine"\n{network}[demand]\nsource = "gravity"\ntrips_per_h = 1000\n[demand.counts]\nfile = "counts.csv"\n'
    )
    text = 'name = "x"\nbase = "mine.toml"\n[[factor]]\nkey = "demand.scale"\nvalues = [0.5, 1.0]\n'
    (tmp_path / "counts.csv").write_text("link_id,count_vph\n1,8\n")
    before = small_plan(tmp_path, text).content()
    assert set(before["inputs"]) == {"counts.csv"}
    (tmp_path / "counts.csv").write_text("link_id,count_vph\n1,9\n")
    assert small_plan(tmp_path, text).content()["sha256"] != before["sha256"]


def test_workers_of_another_program_are_refused() -> None:
    class Client:
        def __init__(self, there: tuple[str, str]) -> None:
            self.there = there

        def run(self, function: object) -> dict[str, tuple[str, str]]:
            return {"tcp://w:1": self.there}

    require_same_program(Client(program()), "tcp://s:1")
    with pytest.raises(InputError, match=r"worker tcp://w:1 runs another routepact: 0\.0\.1 abc"):
        require_same_program(Client(("0.0.1", "abc")), "tcp://s:1")
