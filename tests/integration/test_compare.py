"""Two runs compared, a run reproduced, a run that goes on from checkpoints, and the dashboard for SimWrapper."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import call, write_small_city

from sim.errors import InputError
from sim.experiments.bootstrap import mean_interval
from sim.experiments.checkpoint import CheckpointedWork, checkpointed
from sim.experiments.compare import compare
from sim.experiments.reproduce import reproduce
from sim.experiments.run import record, run
from sim.experiments.scenarios import find_scenario
from sim.model import CityModel

BASE = "defectors"
SMALL = ["network.rows=5", "network.columns=5", "demand.vehicles_per_traveller=20"]
HALF = "market.participation=0.5"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of a small grid with a coalition and cheats, of all and of half the travellers."""
    folder = tmp_path_factory.mktemp("runs")
    for name, setting in (("all", "market.participation=1.0"), ("half", HALF)):
        spec, start = find_scenario(BASE, [*SMALL, setting])
        result = run(spec, start)
        assert result.poa()["worlds"]["coalition"]["contracts"] > 20
        record(result, folder / name)
    return folder / "all", folder / "half"


def test_differences_are_those_of_the_tables(pair: tuple[Path, Path]) -> None:
    found = compare(*pair)
    assert found.changed_keys == {"market.participation": (1.0, 0.5)}
    tables = [pq.read_table(path / "trips.parquet") for path in pair]
    by_name = {world.first_world: world for world in found.worlds}
    assert set(by_name) == {"selfish", "optimum", "coalition"}
    change = tables[1]["coalition_cost_s"].to_numpy() - tables[0]["coalition_cost_s"].to_numpy()
    travellers = by_name["coalition"].travellers
    assert travellers is not None
    weight = tables[0]["weight"].to_numpy()
    assert travellers.cost_s.mean == pytest.approx(np.average(change, weights=weight))
    assert travellers.better == pytest.approx(weight[change < -1].sum() / weight.sum())
    assert travellers.better + travellers.same + travellers.worse == pytest.approx(1.0)
    assert travellers.by_od.mean == pytest.approx(travellers.cost_s.mean)
    assert travellers.n_pairs == 12  # from each corner to the three others
    selfish = by_name["selfish"]
    assert selfish.travellers is not None and selfish.links is not None
    assert (selfish.travellers.cost_s.mean, selfish.links.mean_absolute_flow_vph) == (0.0, 0.0)
    links = [pq.read_table(path / "link_performance.parquet") for path in pair]
    totals = [table["coalition_flow_vph"].to_numpy() * table["coalition_travel_time_s"].to_numpy() for table in links]
    assert by_name["coalition"].links is not None
    assert by_name["coalition"].links.total_s.mean == pytest.approx((totals[1] - totals[0]).mean())


def test_the_other_way_round_everything_changes_its_sign(pair: tuple[Path, Path]) -> None:
    there, back = compare(*pair).content(), compare(*reversed(pair)).content()
    for one, other in zip(there["worlds"], back["worlds"], strict=True):
        assert one["travellers"]["cost_s"]["mean"] == pytest.approx(-other["travellers"]["cost_s"]["mean"])
        assert one["travellers"]["better_share"] == other["travellers"]["worse_share"]
        for key, total in one["totals"].items():
            assert total["difference"] == -other["totals"][key]["difference"]


def test_worlds_of_other_names_can_be_compared(pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = call("compare", pair[0], pair[0], "--world", "selfish", "--against", "coalition", "--json", "--out", page, "--quiet")
    world = json.loads(found.out)["worlds"][0]
    assert (world["first_world"], world["second_world"]) == ("selfish", "coalition")
    assert world["travellers"]["cost_s"]["mean"] < 0
    text = page.read_text()
    assert "Selfish (first) and coalition (second)" in text
    assert "Flow, second minus first" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert call("compare", *pair, "--world", "toll", "--quiet").status == 2
    assert call("compare", *pair, "--against", "coalition", "--quiet").status == 2


def test_runs_that_cannot_be_paired_say_so(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert call("run", "pigou", "--set", "demand.vehicles_per_traveller=0.1", "--out", tmp_path / "pigou", "--quiet").status == 0
    found = compare(pair[0], tmp_path / "pigou")
    assert [world.travellers for world in found.worlds] == [None, None]
    assert [world.links for world in found.worlds] == [None, None]
    assert len(found.remarks) == 2
    assert call("compare", pair[0], tmp_path, "--quiet").status == 2


def test_bootstrap_intervals_are_those_of_theory_for_many_equal_units() -> None:
    values = np.random.default_rng(3).normal(2.0, 5.0, 4000)
    found = mean_interval(values)
    assert found.interval is not None
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.interval == pytest.approx((found.mean - half, found.mean + half), abs=0.1 * half)
    assert mean_interval(values).interval == found.interval
    assert mean_interval(np.array([3.0])).interval is None
    assert mean_interval(np.array([3.0, 3.0])).interval == (3.0, 3.0)


def test_weights_count_in_the_bootstrap() -> None:
    """A unit of weight 3 is worth three of its kind in the mean, and one in the resampling."""
    values, weight = np.repeat([0.0, 4.0], 500), np.repeat([3.0, 1.0], 500)
    found = mean_interval(values, weight)
    assert found.mean == 1.0
    assert found.interval is not None
    share = np.random.default_rng(5).binomial(1000, 0.5, 200_000) / 1000
    low, high = np.quantile(4 * share / (3 * (1 - share) + share), [0.025, 0.975])
    assert found.interval == pytest.approx((low, high), abs=0.03)


def test_a_run_is_reproduced_byte_for_byte(pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = reproduce(pair[0], out=tmp_path / "again")
    assert found.agrees
    assert {"poa.json", "trips.parquet", "contracts.parquet", "dashboard-1.yaml"} <= {entry.name for entry in found.files}
    assert (tmp_path / "again" / "report.html").is_file()


def test_a_run_of_another_program_is_told_apart(tmp_path: Path) -> None:
    scenario = write_small_city(tmp_path)
    assert call("run", scenario, "--out", tmp_path / "run", "--quiet").status == 0
    lock = tmp_path / "run" / "scenario.lock.toml"
    manifest = tmp_path / "run" / "manifest.json"
    # As if the program of then had another result: a lock file of another seed that claims to be whole.
    import hashlib

    text = lock.read_text().replace("scale = 1.0", "scale = 1.1")
    lock.write_text(text)
    content: dict[str, Any] = json.loads(manifest.read_text())
    content["files"][lock.name] = {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    manifest.write_text(json.dumps(content))
    found = call("reproduce", tmp_path / "run", "--json", "--quiet")
    assert found.status == 3
    states = json.loads(found.out)
    assert states["agrees"] is False
    assert states["files"]["scenario.lock.toml"]["state"] == "same"
    assert states["files"]["poa.json"] == {"state": "different", "detail": "key travellers"}
    assert "column selfish_flow_vph, row" in states["files"]["link_performance.parquet"]["detail"]
    trips = tmp_path / "run" / "trips.parquet"
    trips.write_bytes(trips.read_bytes() + b"x")
    assert "damaged" in call("reproduce", tmp_path / "run", "--quiet").out


def test_reproducing_wants_the_same_inputs(tmp_path: Path) -> None:
    scenario = write_small_city(tmp_path)
    assert call("run", scenario, "--out", tmp_path / "run", "--quiet").status == 0
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("small_net.tntp", "small_trips.tntp"):
        (tmp_path / name).rename(moved / name)
    assert "no such file" in call("reproduce", tmp_path / "run", "--quiet").err
    assert call("reproduce", tmp_path / "run", "--folder", moved, "--quiet").status == 0
    (moved / "small_trips.tntp").write_text((moved / "small_trips.tntp").read_text() + "\n")
    found = call("reproduce", tmp_path / "run", "--folder", moved, "--quiet")
    assert (found.status, "is not the file that the run read" in found.err) == (2, True)


def test_reproducing_wants_the_same_files_beside_a_bundled_city(tmp_path: Path) -> None:
    scenario = write_small_city(tmp_path)
    assert call("run", scenario, "--out", tmp_path / "run", "--quiet").status == 0
    manifest = tmp_path / "run" / "manifest.json"
    (tmp_path / "run" / "scenario.lock.toml").write_text(
        'name = "x"\n[network]\nsource = "bundled"\ncity = "coquimbo"\n[demand]\nsource = "trips"\nfile = "small_trips.tntp"\n'
    )
    content = json.loads(manifest.read_text())
    content["inputs"]["coquimbo/network.npz"] = {"bytes": 1, "sha256": "of another version"}
    manifest.write_text(json.dumps(content))
    (tmp_path / "small_trips.tntp").write_text("edited")
    with pytest.raises(InputError, match=r"small_trips\.tntp.*is not the file that the run read"):
        reproduce(tmp_path / "run")


class Died(BaseException):
    """The machine went down."""


@pytest.mark.parametrize("dies_after", [0, 1, 3, 6, 10])
def test_a_run_goes_on_from_its_checkpoints_to_the_same_bytes(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    """The half market, killed after a number of days, again and again until it is through."""
    spec, folder = find_scenario(BASE, [*SMALL, HALF])
    days_left = dies_after

    def day_ended(work: CheckpointedWork, world: CityModel) -> None:
        nonlocal days_left
        work._keep(world)
        days_left -= 1
        if days_left < 0:
            raise Died

    result, lives = None, 0
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointedWork, "day_ended", day_ended)
        while result is None:
            days_left, lives = dies_after, lives + 1
            work = checkpointed(
                spec, folder, new=tmp_path / "kept" if lives == 1 else None, there=tmp_path / "kept" if lives > 1 else None
            )
            try:
                result = run(spec, folder, work=work)
            except Died:
                assert lives < 100
    assert lives > 1
    record(result, tmp_path / "run")
    for path in pair[1].iterdir():
        if path.name not in ("manifest.json", "report.html"):
            assert (tmp_path / "run" / path.name).read_bytes() == path.read_bytes(), path.name


def test_damaged_checkpoints_are_computed_anew_and_others_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    settings = [word for setting in (*SMALL, HALF) for word in ("--set", setting)] + ["--quiet"]
    spec, folder = find_scenario(BASE, [*SMALL, HALF])
    kept = tmp_path / "kept"
    run(spec, folder, work=checkpointed(spec, folder, new=kept, there=None))
    damaged = sorted(kept.glob("*.pickle"))
    assert len(damaged) == 5
    for path in damaged[::2]:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert call("run", BASE, *settings[2:], "--resume", kept, "--out", tmp_path / "no").status == 2
    assert call("run", BASE, *settings, "--checkpoint", kept, "--out", tmp_path / "no").status == 2
    assert call("run", BASE, *settings, "--resume", tmp_path / "none", "--out", tmp_path / "no").status == 2
    found = call("run", BASE, *settings, "--resume", kept, "--out", tmp_path / "run")
    assert found.status in (0, 3)
    assert not kept.exists()
    assert (tmp_path / "run" / "trips.parquet").read_bytes() == (pair[1] / "trips.parquet").read_bytes()


def test_a_kill_while_checkpoints_begin_leaves_a_folder_that_counts_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder = find_scenario("braess")
    with monkeypatch.context() as patch:

        def die(path: Path, target: Path) -> Path:
            raise Died

        patch.setattr(Path, "replace", die)
        with pytest.raises(Died):
            checkpointed(spec, folder, new=tmp_path / "kept", there=None)
    assert list((tmp_path / "kept").iterdir())
    checkpointed(spec, folder, new=tmp_path / "kept", there=None)
    checkpointed(spec, folder, new=None, there=tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["checkpoint.json"]


def test_a_checkpoint_with_foreign_classes_is_not_read(tmp_path: Path) -> None:
    import hashlib
    import pickle

    spec, folder = find_scenario("braess")
    work = checkpointed(spec, folder, new=tmp_path / "kept", there=None)
    payload = pickle.dumps(Path("x"))
    (tmp_path / "kept" / "bad.pickle").write_bytes(hashlib.sha256(payload).digest() + payload)
    with pytest.raises(InputError, match="pathlib"):
        work._read("bad.pickle")


def test_simwrapper_finds_its_files(pair: tuple[Path, Path]) -> None:
    board = json.loads((pair[0] / "dashboard-1.yaml").read_text())  # JSON is YAML
    poa = json.loads((pair[0] / "poa.json").read_text())
    panels = [panel for row in board["layout"].values() for panel in row]
    assert {panel["type"] for panel in panels} == {"bar", "line"}
    for panel in panels:
        with (pair[0] / panel["props"]["dataset"]).open() as stream:
            lines = list(csv.DictReader(stream))
        assert {panel["props"]["x"], *panel["props"]["columns"]} <= set(lines[0])
        if panel["type"] == "bar":
            for line in lines:
                for column in panel["props"]["columns"]:
                    assert float(line[column]) == poa["worlds"][line["world"]][column]
