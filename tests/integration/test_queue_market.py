"""The market in queue traffic through a whole run: days traded, driven, settled, recorded, read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim.errors import InputError
from sim.experiments.run import record, run
from sim.experiments.scenarios import find_scenario
from sim.settlement.ledger_file import check_ledger

QUICK = ["market.days=3", "market.rehearsals=8", "demand.demand_vph=2400", "traffic.gap=0.02", "traffic.days=20"]
QUICK += ["traffic.bound_iterations=3", "traffic.optimum_days=2", "traffic.optimum_iterations=5"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec, folder = find_scenario("queue_market", QUICK)
    return record(run(spec, folder), tmp_path_factory.mktemp("queue") / "run")


def test_the_coalition_stands_in_poa_json(recorded: Path) -> None:
    content = json.loads((recorded / "poa.json").read_text())
    selfish, coalition = content["worlds"]["selfish"], content["worlds"]["coalition"]
    assert coalition["total_time_s"] < selfish["total_time_s"] == content["baseline"]["total_time_s"]
    assert coalition["ratio"] == pytest.approx(coalition["total_time_s"] / content["worlds"]["optimum"]["total_time_s"])
    assert coalition["ratio_interval"][0] == coalition["ratio"] <= coalition["ratio_interval"][1]
    assert coalition["below_baseline"] == 0 == coalition["called_off"] == coalition["open"]
    assert coalition["contracts"] == coalition["settled"] > 0
    assert coalition["transfers_sum_micro"] == -coalition["fees_micro"] < 0
    assert coalition["days"] == 3


def test_ledger_and_contracts_agree_with_the_trips(recorded: Path) -> None:
    check = check_ledger(recorded / "ledger.parquet", recorded / "contracts.parquet")
    assert check.holds and check.entries > 0
    trips = pq.read_table(recorded / "trips.parquet").to_pydict()
    content = json.loads((recorded / "poa.json").read_text())
    money = np.array(trips["coalition_money_micro"])
    assert money.sum() == content["worlds"]["coalition"]["transfers_sum_micro"]
    utility = np.array(trips["baseline_cost_s"]) - np.array(trips["coalition_cost_s"]) + money / 1e6
    assert utility.min() >= -2e-6
    contracts = pq.read_table(recorded / "contracts.parquet").to_pydict()
    for row in range(0, len(contracts["traveller_id"]), 17):
        traveller = contracts["traveller_id"][row]
        assert contracts["target_path"][row] == trips["coalition_path"][traveller]
        assert contracts["baseline_path"][row] == trips["selfish_path"][traveller]
    moved = [one for one in range(len(money)) if trips["coalition_path"][one] != trips["selfish_path"][one]]
    assert set(moved) <= set(contracts["traveller_id"])


def test_the_report_tells_of_the_market(recorded: Path) -> None:
    page = (recorded / "report.html").read_text()
    assert "The market" in page and "Contracts" in page


def test_the_same_seed_gives_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    spec, folder = find_scenario("queue_market", [*QUICK, "traffic.tick_s=7"])
    again = record(run(spec, folder), tmp_path / "run")
    names = ["contracts.parquet", "ledger.parquet", "trips.parquet", "accounts.parquet", "poa.json"]
    for name in names:
        assert (again / name).read_bytes() == (recorded / name).read_bytes(), name


def test_cheats_lose_and_the_honest_keep_their_baseline() -> None:
    cheats = ["adversaries.defectors=0.2", "adversaries.sybils=0.05", "adversaries.griefers=0.1", "market.participation=0.8"]
    spec, folder = find_scenario("queue_market", [*QUICK, *cheats, "contracts.roadside_units=0.5"])
    found = run(spec, folder).poa()["worlds"]["coalition"]
    assert found["defectors"] > 0 and found["honest_below_baseline"] == 0
    assert found["honest_convicted"] == 0
    assert found["transfers_sum_micro"] + sum(found["others_net_micro"].values()) == 0
    assert found["defectors_paid"] < 0.2 * found["defectors"]
    assert found["defectors_money_micro"] < 0


def test_an_incident_is_traded_within_the_day() -> None:
    spec, folder = find_scenario("incident", ["demand.demand_vph=2400", *QUICK[3:]])
    result = run(spec, folder)
    content = result.poa()
    selfish, coalition = content["worlds"]["selfish"], content["worlds"]["coalition"]
    assert content["price_of_anarchy"] is None and "no equilibrium" in content["withheld"]
    assert coalition["total_time_s"] < selfish["total_time_s"]
    assert coalition["below_baseline"] == 0 and coalition["decision_points"] > 0
    assert coalition["transfers_sum_micro"] == -coalition["fees_micro"]
    assert coalition["contracts"] > 0 and result.missed == ()


@pytest.mark.parametrize(
    ("scenario", "setting", "where"),
    [
        ("queue_market", "market.shares=shapley", "market.shares"),
        ("queue_market", "market.rounds=3", "market.rounds"),
        ("queue_market", "traffic.behaviour=reactive", "traffic.behaviour"),
        ("queue_market", "adversaries.extortionists=0.1", "adversaries.extortionists"),
        ("incident", "adversaries.defectors=0.1", "adversaries.defectors"),
        ("market", "market.days=3", "market.days"),
    ],
)
def test_what_the_market_does_not_have_is_told(scenario: str, setting: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        find_scenario(scenario, [setting])
    assert caught.value.where == where


def test_an_incident_needs_a_link_that_is_there(tmp_path: Path) -> None:
    text = Path(str(find_scenario("incident")[1] / "incident.toml")).read_text().replace("link = 1\n", "link = 9999\n")
    path = tmp_path / "bad.toml"
    path.write_text(text)
    spec, folder = find_scenario(str(path), QUICK[2:])
    with pytest.raises(InputError, match="9999"):
        run(spec, folder)
    path.write_text(text.replace("to_s = 1200", "to_s = 300"))
    with pytest.raises(InputError, match="to_s"):
        find_scenario(str(path))
