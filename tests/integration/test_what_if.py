"""What-if runs from the command line: before and after, the report, counts, the Braess search, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import SCENARIO, call, write_small_city

from sim.experiments.record import read_run

CHANGE = '[[network.change]]\naction = "close"\nlinks = [2]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a sound scenario."""
    monkeypatch.chdir(tmp_path)
    write_small_city(tmp_path)
    return tmp_path


def with_change(text: str = CHANGE) -> str:
    return SCENARIO.replace("[demand]", f"{text}[demand]")


def test_a_change_is_reported_beside_the_network_as_it_was(folder: Path) -> None:
    (folder / "changed.toml").write_text(with_change().replace('"small"', '"changed"'))
    plain = json.loads(call("run", "small.toml", "--json", "--quiet").out)
    outcome = call("run", "changed.toml", "--out", "run", "--json", "--quiet")
    assert outcome.status == 0, outcome
    poa = json.loads(outcome.out)
    assert poa["before"]["changes"] == [{"action": "close", "links": [2]}]
    for name in ("selfish", "optimum"):
        told = poa["before"]["worlds"][name]
        assert told == {key: plain["worlds"][name][key] for key in told}
    assert poa["before"]["price_of_anarchy"] == plain["price_of_anarchy"]
    assert poa["worlds"]["selfish"]["total_time_s"] > poa["before"]["worlds"]["selfish"]["total_time_s"]
    run = read_run(folder / "run")
    before, after = run.table("link_performance_before"), run.table("link_performance")
    assert set(before["link_id"].to_pylist()) - set(after["link_id"].to_pylist()) == {2}
    cells = run.table("cells_before_after")
    change = cells["selfish_cost_after_s"].to_numpy() - cells["selfish_cost_before_s"].to_numpy()
    weight = cells["demand_vph"].to_numpy()
    gained = poa["worlds"]["selfish"]["total_time_s"] - poa["before"]["worlds"]["selfish"]["total_time_s"]
    assert float(change @ weight) == pytest.approx(gained, rel=1e-4)
    slower = weight[change > 1e-4 * cells["selfish_cost_before_s"].to_numpy()].sum() / weight.sum()
    assert poa["before"]["selfish_share_slower"] == slower > 0
    page = (folder / "run" / "report.html").read_text()
    assert "Before and after" in page
    assert "after the change minus before" in page
    assert call("report", "run").status == 0


def test_closing_the_shortcut_of_braess_makes_everybody_faster(folder: Path) -> None:
    close = 'network.change=[{action="close", between=[[3, 4]]}]'
    poa = json.loads(call("run", "braess", "--set", close, "--json", "--quiet", "--out", "run").out)
    assert poa["before"]["worlds"]["selfish"]["total_time_s"] == pytest.approx(552.0, rel=1e-6)
    assert poa["worlds"]["selfish"]["total_time_s"] == pytest.approx(498.0, rel=1e-6)
    assert (poa["before"]["selfish_share_faster"], poa["before"]["selfish_share_slower"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('action = "close"\nlinks = [77]', "network.change[1].links[1]: link '77' does not exist"),
        ('action = "close"\nlinks = [6]', "no path from zone 2 to zone 1"),
        ('action = "clos"\nlinks = [1]', "network.change[1].action: 'clos'"),
        ('action = "close"', "network.change[1]: names no link"),
        ('action = "widen"\nlinks = [1]', "exactly one of capacity_factor, capacity_vph and lanes"),
        ('action = "toll"\nlinks = [1]\nfixed_cost_s = -1.0', "network.change[1].fixed_cost_s: -1.0"),
        ('action = "add"\ntail = 1\nhead = 9\ncapacity_vph = 1.0\nfree_flow_time_s = 1.0', "node '9' does not exist"),
        ('action = "close"\nlinks = [2.5]', "an id: a text or a whole number"),
    ],
)
def test_bad_changes_are_refused_in_one_line(folder: Path, change: str, words: str) -> None:
    (folder / "bad.toml").write_text(with_change(f"[[network.change]]\n{change}\n"))
    outcome = call("validate", "bad.toml", "--quiet")
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert words in outcome.err


def test_counts_correct_the_demand_and_the_report_shows_them(folder: Path) -> None:
    counts = "link_id,count_vph\n1,8\n2,8\n4,8\n5,8\n6,4\n"
    (folder / "counts.csv").write_text(counts)
    scenario = SCENARIO.replace('"small"', '"counted"') + '[demand.counts]\nfile = "counts.csv"\nleast_error_vph = 0.1\n'
    (folder / "counted.toml").write_text(scenario)
    outcome = call("run", "counted.toml", "--out", "run", "--json", "--quiet")
    assert outcome.status == 0, outcome
    poa = json.loads(outcome.out)
    assert poa["counts"]["links"] == 5
    assert poa["counts"]["prior"]["demand_vph"] == 25.0
    assert poa["counts"]["estimate"]["demand_vph"] == pytest.approx(20.0, rel=0.02)  # 16 leave zone 1, 4 leave zone 2
    run = read_run(folder / "run")
    assert run.table("od_estimate")["demand_vph"].to_numpy().sum() == pytest.approx(poa["counts"]["estimate"]["demand_vph"])
    table = run.table("counts")
    assert np.isfinite(table["geh"].to_numpy()).all()
    assert "counts.csv" in run.manifest["inputs"]
    assert "Counts and flows" in (folder / "run" / "report.html").read_text()


def test_counts_of_a_missing_file_are_refused(folder: Path) -> None:
    (folder / "counted.toml").write_text(SCENARIO + '[demand.counts]\nfile = "nowhere.csv"\n')
    outcome = call("run", "counted.toml", "--quiet")
    assert outcome.status == 2
    assert "nowhere.csv: no such file" in outcome.err


def test_the_braess_command_finds_the_shortcut_and_only_it() -> None:
    outcome = call("braess", "braess", "--json", "--quiet")
    assert outcome.status == 0, outcome
    content = json.loads(outcome.out)
    assert [found["link_id"] for found in content["found"]] == [4]
    assert content["found"][0]["saving"] == pytest.approx(1.0 - 498.0 / 552.0, rel=1e-6)
    assert (content["streets"], content["streets_examined"], content["share_examined"]) == (5, 5, 1.0)
    told = call("braess", "braess", "--quiet")
    assert "3 → 4" in told.out
    assert "None of them" in call("braess", "pigou", "--quiet").out
    assert call("braess", "braess", "--top", "0", "--quiet").status == 2
