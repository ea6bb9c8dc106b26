"""The bundled markets from the command line: what they leave on disk, that it repeats, and that the README quotes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from command_line import call
from conftest import PROJECT_ROOT

from sim.experiments.record import verify_run

MARKETS = ("market", "defectors", "no_enforcement", "collusion", "extortionists", "phantoms", "participation")
CITIES = ("city", "controls", "declared", "liars")
"""Twenty seconds and more each: these run at night."""
MISSES = ("declared",)
WORLD_KEYS = {"total_time_s", "mean_time_s", "ratio", "ratio_interval", "below_baseline", "transfers_sum_micro", "days"}
COALITION_KEYS = WORLD_KEYS | {
    "contracts", "settled", "disputed", "called_off", "open", "payments_micro", "true_up_micro", "fees_micro", "convicted",
    "honest_below_baseline", "shortfall_micro", "bonds_locked_micro", "bonds_forfeited_micro", "others_net_micro", "members",
    "members_saving_share", "others_saving_share",
}  # fmt: skip
FIGURE = re.compile(r"^\| `(?P<scenario>\w+)` \| `(?P<key>[\w.]+)` \| (?P<value>-?[\d,.]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the runs that several tests look at."""
    return tmp_path_factory.mktemp("markets")


def run_of(name: str, folder: Path) -> Path:
    """Return the folder of a run of a bundled scenario; it runs once."""
    path = folder / name
    if not path.exists():
        outcome = call("run", name, "--out", path, "--quiet")
        assert outcome.status == (3 if name in MISSES else 0), outcome.err
        (folder / f"{name}.txt").write_text(outcome.out)
    return path


@cache
def poa_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "poa.json").read_text())
    return content


def check_market(name: str, folder: Path) -> None:
    path = run_of(name, folder)
    poa = poa_of(path)
    for world, content in poa["worlds"].items():
        if "ratio" not in content:
            continue
        assert (COALITION_KEYS if world == "coalition" else WORLD_KEYS) <= set(content)
        low, high = content["ratio_interval"]
        assert low == content["ratio"] <= high
    coalition = poa["worlds"]["coalition"]
    assert coalition["open"] == coalition["shortfall_micro"] == coalition["honest_below_promise"] == 0
    assert coalition["transfers_sum_micro"] == -sum(coalition["others_net_micro"].values())
    assert coalition["settled"] + coalition["convicted"] + coalition["refunded"] == coalition["contracts"]
    assert (coalition["honest_below_baseline"] == 0) == (name not in MISSES)
    printed = (folder / f"{name}.txt").read_text()
    for words in ("ratio to the optimum", f"{coalition['contracts']:,}", "paid under contracts", "true-up", "fees", "called off"):
        assert words in printed
    for table in ("contracts", "accounts", "ledger"):
        assert pq.read_metadata(path / f"{table}.parquet").num_rows > 0
    report = (path / "report.html").read_text()
    assert "The ledger verifies" in report
    assert ('id="cheats"' in report) == ("adversaries" in coalition)
    assert ('id="controls"' in report) == any(world in poa["worlds"] for world in ("pools", "pairwise", "random_control"))
    assert ('id="level-participation"' in report) == (path / "levels.parquet").exists()


@pytest.mark.parametrize("name", MARKETS)
def test_a_bundled_market_runs(name: str, kept: Path) -> None:
    check_market(name, kept)


@pytest.mark.nightly
@pytest.mark.parametrize("name", CITIES)
def test_a_market_of_the_city_runs(name: str, kept: Path) -> None:
    check_market(name, kept)


def check_figures(names: tuple[str, ...], folder: Path) -> None:
    """Assert that what the README quotes is what the runs print: the last decimal may differ by one, counts by 3 % or 3."""
    quoted = FIGURE.findall((PROJECT_ROOT / "scenarios" / "README.md").read_text(encoding="utf-8"))
    assert {name for name, _, _ in quoted} == {*MARKETS, *CITIES}
    wrong = []
    for name, key, text in quoted:
        if name not in names:
            continue
        found: Any = poa_of(run_of(name, folder))
        for part in key.split("."):
            found = next(row for row in found if row["class"] == part) if isinstance(found, list) else found[part]
        value = float(text.replace(",", ""))
        scale = 1e-6 if key.endswith("_micro") else 1.0
        decimals = len(text.partition(".")[2])
        tolerance = 1.01 * 10.0**-decimals if decimals else (max(0.03 * abs(value), 3.0) if value else 0.5)
        if abs(found * scale - value) > tolerance:
            wrong.append(f"| `{name}` | `{key}` | {found * scale:,.{decimals}f} |")
    assert not wrong, "scenarios/README.md should say:\n" + "\n".join(wrong)


def test_the_readme_quotes_what_the_markets_print(kept: Path) -> None:
    check_figures(MARKETS, kept)


@pytest.mark.nightly
def test_the_readme_quotes_what_the_city_prints(kept: Path) -> None:
    check_figures(CITIES, kept)


def test_a_market_is_the_same_on_one_and_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [
        part
        for setting in ("adversaries={defectors=0.1,griefers=0.1,sybils=0.1,colluding_validators=0.2}", "report.fees=[3.0]")
        for part in ("--set", setting)
    ]
    for threads in ("1", "2"):
        monkeypatch.setenv("ROUTEPACT_THREADS", threads)
        assert call("run", "market", "--out", tmp_path / threads, "--quiet", *settings).status == 0
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / side).iterdir()} for side in ("1", "2"))
    assert set(one) == set(two) and {"ledger.parquet", "levels.parquet"} <= set(one)
    for file in set(one) - {"manifest.json", "report.html"}:
        assert one[file] == two[file], file


def test_a_changed_byte_in_any_file_of_a_run_is_reported(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    small = ("--set", "network.rows=4", "--set", "network.columns=4", "--set", "report.fees=[2.0]")
    assert call("run", "defectors", "--out", whole, "--quiet", *small).status == 0
    files = sorted(path.name for path in whole.iterdir() if path.name not in ("manifest.json", "report.html"))
    assert len(files) >= 10
    for name in files:
        with changed_byte(whole / name):
            assert [(check.name, check.state) for check in verify_run(whole) if check.state != "ok"] == [(name, "changed")]
    # A table may be damaged so that nobody can read it; the command says so instead of breaking off.
    for name in ("ledger.parquet", "convergence.parquet"):
        with changed_byte(whole / name):
            outcome = call("report", whole)
        assert outcome.status in (2, 3) and name in outcome.err, outcome.err


@contextmanager
def changed_byte(path: Path) -> Iterator[None]:
    """Change one bit in the middle of a file, and change it back."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    yield
    path.write_bytes(content)


def test_levels_tell_participation_and_fees_apart(kept: Path) -> None:
    path = run_of("participation", kept)
    rows = pq.read_table(path / "levels.parquet").to_pylist()
    poa = poa_of(path)
    selfish = poa["baseline"]["ratio"]
    by_share = [row for row in rows if row["lever"] == "participation"]
    by_fee = [row for row in rows if row["lever"] == "fee_per_vehicle"]
    assert len(by_share) == 5 and len(by_fee) == 4
    for row in rows:
        assert row["below_baseline"] == 0 and 1.0 <= row["ratio"] <= selfish * (1 + 1e-12)
        assert row["others_saving_share"] is None or row["members"] < poa["travellers"]
    ratios = [row["ratio"] for row in by_share]
    assert ratios == sorted(ratios, reverse=True) and ratios[0] > ratios[-1]
    # Dearer contracts leave more of the gap open.
    assert [row["ratio"] for row in by_fee] == sorted(row["ratio"] for row in by_fee)
    assert [row["contracts"] for row in by_fee] == sorted((row["contracts"] for row in by_fee), reverse=True)
    report = (path / "report.html").read_text()
    assert report.count('<tr><td class="n">') >= len(rows)


def test_unknown_strategies_are_refused_at_once(tmp_path: Path) -> None:
    for command in ("validate", "run"):
        outcome = call(command, "braess", "--set", "market.strategies={honset=1.0}")
        assert outcome.status == 2 and "Traceback" not in outcome.err
        assert "'honset'" in outcome.err and "honest" in outcome.err and "stubborn" in outcome.err
        outcome = call(command, "braess", "--set", 'market.strategies={"no_such_module:Policy"=1.0}')
        assert outcome.status == 2 and "no_such_module" in outcome.err


def test_the_schema_of_the_messages_is_printed() -> None:
    outcome = call("schema", "--messages")
    schema = json.loads(outcome.out)
    assert outcome.status == 0
    jsonschema.Draft202012Validator.check_schema(schema)
    assert any("offer" in str(branch).lower() for branch in schema["$defs"])
    assert json.loads(call("schema").out) != schema
