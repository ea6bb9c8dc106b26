"""The report of a run with a market says what its files say, traces its contracts and tells when its ledger is damaged."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import write_market_run

from sim.errors import InputError
from sim.experiments import report_emissions as emitted
from sim.experiments import report_format as text
from sim.experiments import report_market as market
from sim.experiments.record import RecordedRun, add_file, read_run, verify_run
from sim.experiments.report import ledger_check, ledger_findings, report_html, write_report
from sim.experiments.report_contracts import contracts_section, ledger_sentence
from sim.experiments.report_sections import world_rows


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which 60 % take part, some break their contracts and some grief."""
    return write_market_run(tmp_path_factory.mktemp("market") / "run", participation=0.6)


@pytest.fixture(scope="module")
def run(run_path: Path) -> RecordedRun:
    return read_run(run_path)


@pytest.fixture(scope="module")
def page(run: RecordedRun) -> str:
    return report_html(run).replace("\u00a0", " ")


@pytest.fixture
def copied(run_path: Path, tmp_path: Path) -> Path:
    return copytree(run_path, tmp_path / "copy")


def rewrite_world(path: Path, world: str, **changes: Any) -> RecordedRun:
    poa = json.loads((path / "poa.json").read_text())
    poa["worlds"][world] |= changes
    (path / "poa.json").write_text(json.dumps(poa))
    return read_run(path)


def links_of(run: RecordedRun) -> dict[str, Any]:
    table = run.table("link_performance")
    return {name: table[name].to_numpy() for name in table.column_names}


def rewrite_contracts(path: Path, change: Callable[[dict[str, list[Any]]], None]) -> None:
    """Change contracts.parquet and enter it in the manifest as if it had always been so."""
    table = pq.read_table(path / "contracts.parquet")
    columns = table.to_pydict()
    change(columns)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=table.schema), sink)
    add_file(path, "contracts.parquet", sink.getvalue().to_pybytes())


# --- the headline


def test_the_headline_says_how_much_of_the_gap_is_closed(run: RecordedRun, page: str) -> None:
    worlds = run.poa["worlds"]
    selfish_s, optimum_s, market_s = (worlds[name]["total_time_s"] for name in ("selfish", "optimum", "coalition"))
    closed = math.floor((selfish_s - market_s) / (selfish_s - optimum_s) * 1000) / 10
    members = worlds["coalition"]["members"] / run.poa["travellers"] * 100
    assert f"With {members:.0f} % of the travellers taking part, paid detours close {closed:g} % of the gap;" in page
    below = worlds["coalition"]["below_baseline"]
    assert below > 0
    assert f"{below} of those who take part" in page
    assert "below the baseline, all of whom broke a contract." in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"members": 510, "below_baseline": 0}, "Travellers who pay each other for detours close 41.3 % of the gap; nobody who"),
        ({"called_off": 1}, "The market was called off"),
        ({"total_time_s": 1e9}, "against selfish routing"),
        ({"below_baseline": None}, "is not recorded"),
    ],
)
def test_the_headline_hides_no_failure(copied: Path, changes: dict[str, Any], said: str) -> None:
    found = market.market_headline(rewrite_world(copied, "coalition", **changes), None)
    assert found is not None
    assert said in found.sentence.replace("\u00a0", " ")


def test_a_broken_baseline_or_interval_is_bad_input(copied: Path) -> None:
    with pytest.raises(InputError, match=r"worlds\.toll\.ratio_interval"):
        report_html(rewrite_world(copied, "toll", ratio_interval=["low"]))
    poa = json.loads((copied / "poa.json").read_text())
    poa["worlds"]["toll"]["ratio_interval"] = None
    (copied / "poa.json").write_text(json.dumps(poa | {"baseline": {"total_time_s": 1.0}}))
    with pytest.raises(InputError, match=r"baseline\.mean_time_s"):
        report_html(read_run(copied))


def test_nothing_to_close_is_said(copied: Path) -> None:
    total_s = read_run(copied).poa["worlds"]["optimum"]["total_time_s"]
    found = market.market_headline(rewrite_world(copied, "selfish", total_time_s=total_s * (1 + 1e-8)), None)
    assert found is not None
    assert "have no gap to close" in found.sentence


def test_a_number_that_is_none_is_bad_input(copied: Path) -> None:
    for value in ("many", True):
        with pytest.raises(InputError, match=r"worlds\.coalition\.below_baseline"):
            report_html(rewrite_world(copied, "coalition", below_baseline=value))


# --- the account


def test_the_table_of_worlds_shows_baseline_interval_losers_and_money(run: RecordedRun, page: str) -> None:
    rows = {row.name: row for row in world_rows(run)}
    assert rows["baseline"].detail
    assert rows["Coalition"].interval == text.interval(*run.poa["worlds"]["coalition"]["ratio_interval"], 6)
    assert market.below_baseline(run, "coalition").startswith(str(run.poa["worlds"]["coalition"]["below_baseline"]))
    cost = run.poa["baseline"]["total_time_s"] * 1e6
    assert market.money_moved(run, "toll", cost) == text.percent(run.poa["worlds"]["toll"]["toll_revenue_micro"] / cost)
    assert market.money_moved(run, "random_control", cost) == ""
    assert "Below<span>the baseline</span>" in page


def test_the_account_keeps_transfers_apart_from_what_is_used_up(run: RecordedRun) -> None:
    rows = {row.world: row for row in market.welfare_rows(run, market.trip_money(run))}
    baseline_s = run.poa["baseline"]["total_time_s"]
    for name in ("coalition", "toll", "random_control"):
        entry = run.poa["worlds"][name]
        saved = baseline_s - entry["total_time_s"]
        fees = entry.get("fees_micro", 0) / 1e6
        assert rows[name].time_saved == text.signed_percent(saved / baseline_s)
        assert rows[name].net_gain == text.signed_percent((saved - fees) / baseline_s)
        assert rows[name].travellers_net == text.signed_percent((saved + entry["transfers_sum_micro"] / 1e6) / baseline_s)
    coalition = run.poa["worlds"]["coalition"]
    moved = (coalition["payments_micro"] + coalition["true_up_micro"]) / 1e6
    assert rows["coalition"].between_travellers == text.percent(moved / baseline_s)
    assert rows["toll"].travellers_net.startswith(text.MINUS)
    assert rows["toll"].fees == ""


def test_money_counts_at_each_traveller_s_own_value_of_time(tmp_path: Path) -> None:
    run = read_run(write_market_run(tmp_path / "run", numeraire="money"))
    trips = market.trip_money(run)
    assert trips is not None
    table = run.table("trips").to_pandas()
    credits = table.weight * table.vot_per_h / 3600.0
    assert trips.baseline_micro.sum() == pytest.approx(float((credits * table.baseline_cost_s).sum()) * 1e6, rel=1e-9)
    saved = float((credits * (table.baseline_cost_s - table.coalition_cost_s)).sum())
    assert trips.saved_micro["coalition"].sum() == pytest.approx(saved * 1e6, rel=1e-6)
    by_time = 1.0 - table.coalition_cost_s.sum() / table.baseline_cost_s.sum()
    assert saved / float((credits * table.baseline_cost_s).sum()) != pytest.approx(by_time, rel=1e-3)


def test_those_below_the_baseline_are_counted_as_in_poa_json(run: RecordedRun) -> None:
    trips = market.trip_money(run)
    assert trips is not None
    utility = trips.saved_micro["coalition"] + trips.money_micro["coalition"]
    assert int((trips.is_member & (utility < -1)).sum()) == run.poa["worlds"]["coalition"]["below_baseline"]
    assert market.honest_below_baseline(trips, frozenset()) == run.poa["worlds"]["coalition"]["below_baseline"]


# --- deciles


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 5)), min_size=30, max_size=200))
@settings(max_examples=60, derandomize=True)
def test_deciles_follow_the_order_and_have_equal_weight(entries: list[tuple[float, float]]) -> None:
    key, weight = np.array(entries).T
    group = market.deciles(key, weight)
    order = np.argsort(key, kind="stable")
    assert (np.diff(group[order]) >= 0).all()
    shares = np.bincount(group, weights=weight, minlength=10) / weight.sum()
    assert (np.abs(shares - 0.1) <= weight.max() / weight.sum() + 1e-9).all()


def test_groups_are_those_of_a_slow_count(run: RecordedRun) -> None:
    trips = market.trip_money(run)
    assert trips is not None
    found = market.groups(trips, "coalition")
    assert found is not None
    assert found.by == "value of time"
    members = [k for k in range(len(trips.weight)) if trips.is_member[k] and trips.baseline_micro[k] > 0]
    members.sort(key=lambda k: trips.vot_per_h[k])
    # Everybody weighs the same here, so that traveller k of n belongs to group 10 (k + 1/2) / n.
    for group in range(10):
        inside = [k for nth, k in enumerate(members) if int(10 * (nth + 0.5) / len(members)) == group]
        utility = [trips.saved_micro["coalition"][k] + trips.money_micro["coalition"][k] for k in inside]
        cost = sum(trips.baseline_micro[k] for k in inside)
        assert found.better[group] == pytest.approx(sum(u > 1 for u in utility) / len(inside))
        assert found.worse[group] == pytest.approx(sum(u < -1 for u in utility) / len(inside))
        assert found.time[group] == pytest.approx(sum(trips.saved_micro["coalition"][k] for k in inside) / cost)
        assert found.money[group] == pytest.approx(sum(trips.money_micro["coalition"][k] for k in inside) / cost)


def test_equal_values_of_time_are_grouped_by_the_trip_and_said_so(tmp_path: Path) -> None:
    shown = report_html(read_run(write_market_run(tmp_path / "run", sigma=0.0)))
    assert "decile of the baseline cost" in shown
    assert "Everybody has the same value of time." in shown
    assert "everybody takes part" in shown


# --- contracts and ledger


def test_counts_of_contracts_are_those_of_the_run(run: RecordedRun) -> None:
    section = contracts_section(run, links_of(run))
    assert section is not None
    content = run.poa["worlds"]["coalition"]
    states, facts = dict(section.states), {name: shown.replace("\u00a0", " ") for name, shown in section.facts}
    assert states["Paid"].startswith(f"{content['settled']}: ")
    assert states["Convicted"].startswith(f"{content['convicted']}: ")
    assert facts["Contracts"] == str(content["contracts"])
    assert facts["Disputed"].startswith(f"{content['disputed']} of {content['contracts']} ")
    assert facts["Disputed"].endswith(f"{content['griefed']} by griefers")
    assert facts["Against the truth"].startswith(f"{content['rulings_against_truth']} of {content['contracts']} ")
    assert facts["Against the truth"].endswith(f"misled in {content['evidence_against_truth']}")
    assert facts["Defectors convicted"].startswith(
        f"{content['defectors'] - content['defectors_paid']} of {content['defectors']} "
    )
    assert facts["Honest movers convicted"] == f"none of {content['contracts'] - content['defectors']}"


def test_samples_are_the_disputed_and_the_largest_and_can_be_traced(run: RecordedRun, page: str) -> None:
    links, table = links_of(run), run.table("contracts").to_pandas().set_index("contract")
    section = contracts_section(run, links)
    assert section is not None
    assert len(section.samples) == 10
    disputed = table[table.challenged_by.notna()].price_micro.sort_values(ascending=False)
    others = table[table.challenged_by.isna()].price_micro.sort_values(ascending=False)
    prices = [int(table.price_micro[int(row.contract)]) for row in section.samples]
    assert prices == [*disputed[:5].tolist(), *others[:5].tolist()]
    for row in section.samples:
        contract = table.loc[int(row.contract)]
        assert row.traveller == str(contract.traveller_id)
        assert row.baseline.links == " → ".join(str(links["link_id"][k]) for k in contract.baseline_path)
        minutes = sum(links["coalition_travel_time_s"][k] for k in contract.target_path) / 60
        shown = float(re.search(r"([\d.]+) min", row.target.summary)[1])  # type: ignore[index]
        assert shown == pytest.approx(minutes, rel=0.01)
        assert row.price == text.credits(contract.price_micro / 1e6)
        payers = sum(pays > 0 for pays in contract.fund_pays_micro)
        assert row.payers.startswith("fund of" if payers == 1 else f"{payers} funds")
        assert f"read {contract.target_reads} of {contract.target_units} on the detour" in row.evidence
        assert (row.ruling == "not disputed") == (contract.challenged_by not in ("watch", "griefer"))
        assert f"<h3>Contract {row.contract}, traveller {row.traveller}</h3>" in page


def test_a_whole_ledger_verifies(run_path: Path, page: str) -> None:
    check = ledger_check(run_path)
    assert check is not None
    assert check.holds
    assert check.fees_micro == read_run(run_path).poa["worlds"]["coalition"]["fees_micro"]
    assert ledger_findings(run_path) == []
    assert ledger_sentence(check) in page.replace("\u00a0", " ")
    assert f"{check.entries:,} entries" in page


@pytest.mark.parametrize("name", ["ledger.parquet", "contracts.parquet"])
def test_a_changed_byte_is_reported_and_the_report_still_comes(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    for place in (0.0, 0.3, 0.95, 0.6):
        changed = bytearray(content)
        changed[int(place * len(content))] ^= 0x20
        (copied / name).write_bytes(changed)
        assert any(name in finding for finding in ledger_findings(copied)), place
    shown = write_report(copied).read_text(encoding="utf-8")
    assert "The ledger does not hold." in shown
    assert "The ledger verifies" not in shown
    assert name in shown


@pytest.mark.parametrize("name", ["ledger.parquet", "contracts.parquet"])
def test_a_missing_file_is_reported(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert any(name in finding for finding in ledger_findings(copied))
    assert "The ledger does not hold." in report_html(read_run(copied))


def test_contracts_that_tell_another_story_than_the_ledger_are_found(copied: Path) -> None:
    """A forger who also corrects the manifest is found all the same, because the journal moved other amounts."""

    def pay_more(columns: dict[str, list[Any]]) -> None:
        row = columns["state"].index("paid")
        columns["paid_micro"][row] += 1

    rewrite_contracts(copied, pay_more)
    assert {check.state for check in verify_run(copied)} == {"ok"}
    assert any("was paid otherwise" in finding for finding in ledger_findings(copied))


def test_contracts_on_links_that_do_not_exist_are_bad_input(copied: Path) -> None:
    def leave_the_map(columns: dict[str, list[Any]]) -> None:
        columns["target_path"] = [[10_000] for _ in columns["target_path"]]

    rewrite_contracts(copied, leave_the_map)
    with pytest.raises(InputError, match=r"contracts\.parquet.*does not exist"):
        report_html(read_run(copied))


def test_runs_without_contracts_have_no_findings(tmp_path: Path) -> None:
    from made_run import write_made_run

    path = write_made_run(tmp_path / "run")
    assert ledger_findings(path) == []
    assert ledger_check(path) is None
    shown = report_html(read_run(path))
    for part in ('id="market"', 'id="contracts"', "the baseline", "Coalition"):
        assert part not in shown


# --- the page


def test_the_page_has_the_market_s_parts(page: str) -> None:
    for part in ("market", "contracts", "emissions"):
        assert f'id="{part}"' in page, part
    assert "Coalition minus selfish" in page
    assert "Barth" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for chart in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "#0a0" not in chart


# --- carbon dioxide


def test_the_curve_gives_what_the_paper_s_polynomial_gives() -> None:
    """Worked by hand at 30 mph: ln y = 7.613535 - 4.156964 + 3.523592 - 1.335187 + 0.193290 = 5.838266, y = 343.2 g/mile."""
    speed_kph = np.array([30 * 1.609344])
    assert float(emitted.grams_a_km(speed_kph)[0]) == pytest.approx(343.2 / 1.609344, rel=2e-4)
    slow, fast = emitted.SPEED_RANGE_KPH
    np.testing.assert_array_equal(emitted.grams_a_km(np.array([0.0, 500.0])), emitted.grams_a_km(np.array([slow, fast])))
    # Congestion costs most, and there is a best speed in between.
    grams = emitted.grams_a_km(np.linspace(slow, fast, 200))
    assert 60 < np.linspace(slow, fast, 200)[grams.argmin()] < 85
    assert grams[0] > 2 * grams.min()


def test_emissions_are_the_sum_over_the_streets(run: RecordedRun) -> None:
    links = links_of(run)
    for found in emitted.emissions(links, ["selfish", "coalition"]):
        total_g = distance = 0.0
        for k in range(len(links["link_id"])):
            flow = links[f"{found.world}_flow_vph"][k]
            if flow > 0 and links["link_class"][k] != "connector":
                length_km = links["length_m"][k] / 1000
                speed = length_km / (links[f"{found.world}_travel_time_s"][k] / 3600)
                total_g += flow * length_km * float(emitted.grams_a_km(np.array([speed]))[0])
                distance += flow * length_km
        assert found.co2_kg == pytest.approx(total_g / 1000)
        assert found.distance_km == pytest.approx(distance)


def test_lengths_that_mean_nothing_emit_nothing(run: RecordedRun) -> None:
    links = links_of(run)
    assert emitted.emissions(links, ["selfish"])
    assert emitted.emissions(links | {"length_m": np.zeros(len(links["length_m"]))}, ["selfish"]) == []
    assert emitted.emissions(links | {"length_m": links["length_m"] * 1e3}, ["selfish"]) == []
    assert emitted.emissions({}, ["selfish"]) == []
