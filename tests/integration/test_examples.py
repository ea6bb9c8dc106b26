"""The bundled example town: every format that routepact reads, counts and a new bridge, and the script that made the files."""

from __future__ import annotations

import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from command_line import call

from sim.experiments.record import read_run


def poa_of(name: str, out: Path) -> dict[str, Any]:
    outcome = call("run", name, "--out", out, "--json", "--quiet")
    assert outcome.status == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture(scope="module")
def gmns(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The run of `town_gmns`."""
    out = tmp_path_factory.mktemp("examples") / "run"
    return out, poa_of("town_gmns", out)


def test_the_script_makes_the_files_that_are_there(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = project_root / "data" / "build_examples.py"
    spec = importlib.util.spec_from_file_location("build_examples", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", [str(script), "--out", str(tmp_path / "examples")])
    module.main()
    kept = project_root / "data" / "examples"
    names = {path.relative_to(kept) for path in kept.rglob("*.*")}
    assert names == {path.relative_to(tmp_path / "examples") for path in (tmp_path / "examples").rglob("*.*")}
    for name in names:
        assert (tmp_path / "examples" / name).read_bytes() == (kept / name).read_bytes(), name


@pytest.mark.parametrize("name", ["town_matsim", "town_sumo"])
def test_the_town_is_the_same_in_every_format(tmp_path: Path, gmns: tuple[Path, dict[str, Any]], name: str) -> None:
    found, expected = poa_of(name, tmp_path / "run"), gmns[1]
    assert found["travellers"] == expected["travellers"] == 206
    for world in ("selfish", "optimum"):
        total_s = expected["worlds"][world]["total_time_s"]
        assert found["worlds"][world]["total_time_s"] == pytest.approx(total_s, rel=1e-5)
    quality = read_run(tmp_path / "run").manifest["network"]["quality"]
    assert (quality["bans"], quality["n_links"], quality["strong_components"]) == (2, 56, 1)


def test_nobody_turns_left_onto_the_bridge_and_some_are_paid_to_take_the_other(gmns: tuple[Path, dict[str, Any]]) -> None:
    out, poa = gmns
    assert poa["price_of_anarchy"] == pytest.approx(1.01170, abs=5e-5)
    coalition = poa["worlds"]["coalition"]
    assert 1.0 <= coalition["ratio"] < 1.001
    assert (coalition["below_baseline"], coalition["transfers_sum_micro"] + coalition["fees_micro"]) == (0, 0)
    assert coalition["contracts"] == coalition["settled"] > 0
    links = read_run(out).table("link_performance")["link_id"].to_pylist()
    trips = read_run(out).table("trips")
    for world in ("selfish", "optimum", "coalition"):
        for path in trips[f"{world}_path"].to_pylist():
            names = [links[link] for link in path]
            assert not {("6-7", "7-12"), ("7-12", "12-11")} & set(pairwise(names))


def test_counts_recover_the_demand_that_an_old_survey_missed(tmp_path: Path, project_root: Path) -> None:
    counts = poa_of("town_counts", tmp_path / "run")["counts"]
    rows = (project_root / "data" / "examples" / "demand.csv").read_text().split()[1:]
    true_vph = sum(float(row.rpartition(",")[2]) for row in rows)
    assert counts["prior"]["demand_vph"] < 0.8 * true_vph
    assert counts["estimate"]["demand_vph"] == pytest.approx(true_vph, rel=0.01)
    assert counts["prior"]["geh_below_5"] < 0.8
    assert counts["estimate"]["geh_below_5"] == 1.0


def test_a_third_bridge_makes_most_trips_faster(tmp_path: Path, gmns: tuple[Path, dict[str, Any]]) -> None:
    poa = poa_of("town_bridge", tmp_path / "run")
    before, after = poa["before"]["worlds"]["selfish"]["total_time_s"], poa["worlds"]["selfish"]["total_time_s"]
    assert before == gmns[1]["worlds"]["selfish"]["total_time_s"]
    assert 1 - after / before == pytest.approx(0.0347, abs=5e-4)
    assert poa["before"]["selfish_share_faster"] > 0.75
    assert 0 < poa["before"]["selfish_share_slower"] < 0.1


def test_a_toll_beside_several_values_of_time_is_told_to_be_the_same_time_for_all() -> None:
    toll = 'network.change=[{action="toll", links=["7-12"], fixed_cost_s=60.0}]'
    told = "count as the same seconds for everybody"
    assert told in call("validate", "town_sumo", "--set", toll, "--json").out
    assert told not in call("validate", "town_sumo", "--json").out
    assert told not in call("validate", "town_gmns", "--set", toll, "--json").out
