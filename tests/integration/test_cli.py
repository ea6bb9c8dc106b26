"""What the commands print: JSON alone where asked for, whole tables, clean ends whatever happens to the process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from command_line import START, call, entries, spawn, spawn_environment, write_small_city

import sim
from sim.bundled import bundled_scenarios
from sim.experiments import run as run_module
from sim.experiments import work as work_module

ASSIGN = ("assign", "--network", "small_net.tntp", "--trips", "small_trips.tntp")
COMMANDS = {"run", "assign", "validate", "init", "report", "verify", "schema", "dashboard"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a sound scenario."""
    monkeypatch.chdir(tmp_path)
    write_small_city(tmp_path)
    return tmp_path


def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("numpy", "numba", "scipy", "mesa", "pandas", "matplotlib", "osmnx", "pydantic", "rich", "networkx")
    code = (
        "import sys; from sim.cli import app; app(['--help'], standalone_mode=False); "
        f"sys.exit('loaded: ' + ' '.join(name for name in {heavy} if name in sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=spawn_environment(), capture_output=True, text=True, check=False
    )
    assert finished.stderr.strip() == "loaded:"
    assert set(re.findall(r"^  (\w+) ", finished.stdout, flags=re.MULTILINE)) >= COMMANDS


def test_validate_and_assign_do_without_mesa(folder: Path) -> None:
    code = "import sys; from sim.cli import app; app({}, standalone_mode=False); sys.exit('mesa' in sys.modules)"
    for arguments in (["validate", "small.toml"], [*ASSIGN, "--json"]):
        command = [sys.executable, "-c", code.format(arguments)]
        assert subprocess.run(command, env=spawn_environment(), capture_output=True, check=False).returncode == 0, arguments


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str) -> None:
    outcome = call(command, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: routepact {command}")
    assert outcome.err == ""


def test_version() -> None:
    assert call("--version").out == f"routepact {sim.__version__}\n"


def test_the_schema_is_one_and_accepts_the_bundled_scenarios() -> None:
    schema = json.loads(call("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    scenarios = bundled_scenarios()
    assert set(scenarios) >= {"pigou", "braess", "parallel", "grid", "city"}
    for path in scenarios.values():
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        validator.validate(table)
        assert not validator.is_valid({**table, "sede": 1})
        assert not validator.is_valid({**table, "seed": "one"})


@pytest.mark.parametrize("name", sorted(bundled_scenarios()))
def test_bundled_scenarios_are_sound(name: str) -> None:
    outcome = call("validate", name)
    assert outcome.status == 0
    assert outcome.out.endswith(f"{name} is sound.\n")


def test_validate_tells_what_is_in_a_scenario(folder: Path) -> None:
    outcome = call("validate", "small.toml", "--json")
    content = json.loads(outcome.out)
    assert content["scenario"] == "small"
    assert (content["network"]["nodes"], content["network"]["links"]) == (4, 6)
    assert content["demand"] == {"travellers": 25, "vehicles_per_h": 25.0, "od_cells": 2, "notes": []}
    text = call("validate", "small.toml").out
    assert re.search(r"^nodes +4,", text, flags=re.MULTILINE)
    assert re.search(r"^travellers +25$", text, flags=re.MULTILINE)
    assert "{" not in text
    assert entries(folder) == {"small.toml", "small_net.tntp", "small_trips.tntp"}


def test_json_stands_alone_also_beside_warnings(folder: Path) -> None:
    scenario = (folder / "small.toml").read_text().replace("time_unit_s = 60\n", "")
    (folder / "small.toml").write_text(scenario)
    for arguments in (("run", "small.toml"), ("validate", "small.toml")):
        outcome = call(*arguments, "--json")
        assert outcome.status == 0
        assert json.loads(outcome.out)["scenario"] == "small"
        assert "warning: TNTP states no unit of time" in outcome.err


def test_assign_prints_the_keys_of_the_design(folder: Path) -> None:
    found = {"tstt", "sptt", "relative_gap", "beckmann", "iterations", "stopped_because", "seconds"}
    both = json.loads(call(*ASSIGN, "--json").out)
    assert set(both) == {"principle", "ue", "so", "price_of_anarchy", "price_of_anarchy_interval", "withheld"}
    assert set(both["ue"]) == found
    assert set(both["so"]) == found | {"lower_bound"}
    assert both["so"]["lower_bound"] <= both["so"]["tstt"] <= both["ue"]["tstt"]
    assert both["price_of_anarchy"] == both["ue"]["tstt"] / both["so"]["tstt"]
    low, high = both["price_of_anarchy_interval"]
    assert low <= both["price_of_anarchy"] <= high
    for principle, keys in (("ue", found), ("so", found | {"lower_bound"})):
        one = json.loads(call(*ASSIGN, "--json", "--principle", principle).out)
        assert set(one) == {"principle", principle}
        assert one["principle"] == principle
        assert set(one[principle]) == keys


def test_assign_tells_doubtful_trip_tables(folder: Path) -> None:
    trips = (folder / "small_trips.tntp").read_text().replace("25\n", "30\n")
    (folder / "small_trips.tntp").write_text(trips)
    outcome = call(*ASSIGN, "--json")
    assert outcome.status == 0
    assert "states a total of 30" in outcome.err
    assert set(json.loads(outcome.out)) >= {"ue", "so"}


def test_assign_without_any_cost_withholds_the_ratio(folder: Path) -> None:
    net = (folder / "small_net.tntp").read_text()
    (folder / "small_net.tntp").write_text(re.sub(r"(\d 10 1) \d", r"\1 0", net))
    outcome = call(*ASSIGN, "--json")
    content = json.loads(outcome.out)
    assert outcome.status == 3
    assert content["price_of_anarchy"] is None
    assert content["price_of_anarchy_interval"] is None
    assert "zero" in content["withheld"]


def test_tables_are_whole_in_a_pipe(folder: Path) -> None:
    """No width of any terminal cuts a cell."""
    outcome = spawn(*ASSIGN, folder=folder, COLUMNS="40")
    assert outcome.status == 0
    assert "…" not in outcome.out
    header = outcome.out.splitlines()[0]
    assert len(header) > 100
    assert header.endswith("stopped because")
    assert re.search(r"user equilibrium \(ue\) +\d.* gap reached$", outcome.out, flags=re.MULTILINE)


def test_verify_agrees_with_the_closed_forms() -> None:
    content = json.loads(call("verify", "--json").out)
    assert content["passed"] is True
    assert {(check["case"], round(check["reference"], 6)) for check in content["checks"]} == {
        ("Pigou, power 1", 1.333333),
        ("Pigou, power 4", 2.150502),
        ("Braess", 1.108434),
    }
    assert "3 of 3 figures agree" in call("verify").out


def test_verify_tells_a_figure_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.experiments import verify

    monkeypatch.setattr(verify, "closed_forms", lambda: iter([verify.Check("made up", "total", 1.1, 1.0, 1e-6)]))
    outcome = call("verify")
    assert outcome.status == 3
    assert "NO" in outcome.out
    assert "made up: total differs" in outcome.err


@pytest.mark.shared_data
def test_verify_finds_benchmark_networks(shared_data: Path) -> None:
    outcome = call("verify", "--data", shared_data / "tntp" / "Braess-Example", "--json")
    checks = json.loads(outcome.out)["checks"]
    assert outcome.status == 0
    assert [(check["case"], check["reference"]) for check in checks[3:5]] == [("Braess", 552.0), ("Braess", 498.0)]


@pytest.mark.parametrize("arguments", [("schema",), ("validate", "small.toml"), ("--help",)], ids=" ".join)
def test_a_reader_that_leaves_is_no_fault(folder: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    finished = subprocess.run(
        [*START, *arguments], cwd=folder, env=spawn_environment(), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert finished.stderr == ""
    assert finished.returncode in (1, 141)


def test_a_full_disk_behind_standard_output_is_told(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [*START, "schema"], env=spawn_environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert finished.returncode == 1
    assert finished.stderr.splitlines() == ["routepact: No space left on device"]


def test_a_terminal_without_our_signs_gets_others(folder: Path) -> None:
    outcome = spawn("validate", "city", folder=folder, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert outcome.status == 0
    assert "\\xa9 OpenStreetMap" in outcome.out


LONG = ("run", "city", "--set", "traffic.gap=1e-14", "--set", "traffic.max_iterations=100000", "--out", "made/run")


@pytest.mark.parametrize(
    ("signal_name", "status", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")], ids=["SIGINT", "SIGTERM"]
)
def test_an_interrupted_run_leaves_nothing(folder: Path, signal_name: str, status: int, word: str) -> None:
    before = entries(folder)
    process = subprocess.Popen(
        [*START, *LONG],
        cwd=folder,
        env=spawn_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    first_line = process.stderr.readline()  # progress: the run is at work
    assert first_line
    process.send_signal(getattr(signal, signal_name))
    out, err = process.communicate(timeout=200)
    assert process.returncode == status
    assert out == ""
    assert err.splitlines()[-1] == f"routepact: {word}"
    assert "Traceback" not in err
    assert entries(folder) == before


def test_mixed_assignment(folder: Path) -> None:
    found = json.loads(call(*ASSIGN, "--json", "--principle", "mixed", "--share", "0.5").out)
    mixed = found["mixed"]
    assert set(mixed) == {
        "share", "tstt", "ratio", "relative_gap", "iterations", "stopped_because", "seconds", "members", "others",
    }  # fmt: skip
    assert found["so"]["tstt"] * (1 - 1e-6) <= mixed["tstt"] == pytest.approx(mixed["members"]["tstt"] + mixed["others"]["tstt"])
    assert mixed["stopped_because"] == "gap reached" and mixed["members"]["demand"] == mixed["others"]["demand"]
    assert "share of 0.5 members" in call(*ASSIGN, "--principle", "mixed", "--share", "0.5").out


@pytest.mark.parametrize("options", [["--principle", "mixed"], ["--share", "0.5"], ["--principle", "mixed", "--share", "1.5"]])
def test_a_share_belongs_to_mixed_and_lies_between_0_and_1(folder: Path, options: list[str]) -> None:
    refused = call(*ASSIGN, *options)
    assert refused.status == 2 and "0 to 1" in refused.err


@pytest.mark.parametrize("moment", ["solve_principle", "write_report"])
def test_an_interruption_at_any_moment_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """A real signal, sent while the run solves and while it writes; the handlers of before are back afterwards."""
    before, handler = entries(folder), signal.getsignal(signal.SIGTERM)

    def interrupt(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was not noticed")

    monkeypatch.setattr(work_module if moment == "solve_principle" else run_module, moment, interrupt)
    outcome = call("run", "small.toml", "--out", "made/run", "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (143, "", "routepact: terminated\n")
    assert entries(folder) == before
    assert signal.getsignal(signal.SIGTERM) is handler
