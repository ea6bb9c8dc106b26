"""What cheating earns, what is promised to the honest and kept, and where every micro-credit of a window ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mesa
import numpy as np
import pytest

from contracts_model import Verdict
from contracts_model.audit import check_book
from contracts_model.outcomes import Kind
from sim.agents.offices import LinkFund, Validator
from sim.experiments.run import RunResult, run
from sim.spec import parse_scenario

GRID: dict[str, Any] = {
    "network": {"source": "synthetic", "kind": "grid", "rows": 7, "columns": 7, "arterial_every": 3},
    "demand": {"source": "synthetic", "vehicles_per_traveller": 10.0},
}
SIOUX_FALLS: dict[str, Any] = {
    "network": {"source": "tntp", "net": "SiouxFalls_net.tntp", "time_unit_s": 60.0, "length_unit_m": 1000.0},
    "demand": {"source": "tntp", "trips": "SiouxFalls_trips.tntp", "vehicles_per_traveller": 100.0},
}
COALITION = ("selfish", "optimum", "coalition")


@dataclass(frozen=True)
class Found:
    """A run with its coalition's keys in poa.json, and what each class of cheats gained in credits."""

    result: RunResult
    content: dict[str, Any]

    @property
    def gains(self) -> dict[str, float]:
        return {row["class"]: row["gain_micro"] / 1e6 for row in self.content.get("adversaries", ())}


def found(base: dict[str, Any], folder: Path, worlds: tuple[str, ...] = COALITION, **sections: Any) -> Found:
    result = run(parse_scenario({"name": "cheats", **base, "worlds": {"run": list(worlds)}, **sections}), folder)
    return Found(result, result.poa()["worlds"]["coalition"])


@cache
def on_grid(kind: str) -> Found:
    sections: dict[str, dict[str, Any]] = {
        "honest": {},
        "everybody": {
            "adversaries": {
                "defectors": 0.15, "griefers": 0.1, "lazy_validators": 0.1, "colluding_validators": 0.2,
                "baseline_liars": 0.2, "extortionists": 0.1, "sybils": 0.1,
            },
        },
        "liars": {"adversaries": {"baseline_liars": 0.5, "sybils": 0.3}},
        "believed": {"adversaries": {"baseline_liars": 0.5}, "market": {"baselines": "declared"}},
        "phantoms": {"adversaries": {"sybils": 0.3}, "market": {"history_trips": 0}},
        "newcomers": {"market": {"history_trips": 1000}},
        "extortionists": {"adversaries": {"extortionists": 0.2}},
        "bidders": {"adversaries": {"extortionists": 0.2}, "market": {"who_gives_way": "auction"}},
    }  # fmt: skip
    return found(GRID, Path(), **sections[kind])


@pytest.mark.parametrize("kind", ["honest", "everybody", "phantoms", "believed"])
def test_every_micro_credit_is_somebodys(kind: str) -> None:
    """Travellers, validators, griefers, treasury and forfeits end with 0 together, and the journal holds."""
    case = on_grid(kind)
    others = case.content["others_net_micro"]
    assert case.content["transfers_sum_micro"] == -sum(others.values())
    outcome = case.result.market["coalition"]
    assert outcome.enforcement is not None
    assert check_book(outcome.enforcement.escrows.book) == []
    assert outcome.money_micro.sum() == case.content["transfers_sum_micro"]
    assert not outcome.money_micro[~case.result.setting.is_member].any()  # type: ignore[union-attr]
    assert others["forfeits"] == case.content["bonds_forfeited_micro"]
    if kind == "honest":
        assert case.content["transfers_sum_micro"] == -case.content["fees_micro"] and "adversaries" not in case.content


def test_nobody_listens_to_liars_and_sybils() -> None:
    case, honest = on_grid("liars"), on_grid("honest")
    n_sybils = next(row["count"] for row in case.content["adversaries"] if row["class"] == "sybils")
    assert n_sybils > 100 and case.content["refused_trips"] == n_sybils
    assert case.content["bonds_forfeited_micro"] == 0
    # Each identity has its share, rounded to the micro-credit.
    assert max(abs(gain) for gain in case.gains.values()) < 1e-5
    assert case.content["ratio"] == honest.content["ratio"] and case.content["honest_below_baseline"] == 0
    weight = case.result.built.population.weight
    difference = case.result.market["coalition"].money_micro - honest.result.market["coalition"].money_micro
    assert np.abs(difference).max() <= 6 and weight.min() > 0


def test_believed_liars_take_from_the_honest() -> None:
    case = on_grid("believed")
    assert case.gains["baseline_liars"] > 0.0 > case.gains["honest_members"]
    setting = case.result.setting
    assert setting is not None and setting.lies.any() and not (setting.lies & ~setting.is_member).any()
    # What they declared looks as good to them as what they drive, and costs the others more.
    lies, declared, true = setting.lies, setting.declared, setting.baseline
    assert (declared.external_cost_s[lies] > true.external_cost_s[lies]).mean() > 0.95
    assert declared.total_cost_s > true.total_cost_s


def test_phantoms_lose_their_bonds_where_no_history_is_asked_for() -> None:
    case = on_grid("phantoms")
    n_sybils = next(row["count"] for row in case.content["adversaries"] if row["class"] == "sybils")
    assert case.content["refused_trips"] == 0
    assert case.content["bonds_forfeited_micro"] == n_sybils * 5_000_000
    weight = case.result.built.population.weight
    assert case.gains["sybils"] == pytest.approx(-5.0 / float(np.median(weight)), rel=0.02)
    # Each admitted identity locked a bond: three of a sybil's vehicle, one of its phantom, one of everybody else.
    assert case.content["bonds_locked_micro"] == (case.content["members"] + 3 * n_sybils) * 5_000_000


def test_without_a_long_enough_history_nobody_takes_part() -> None:
    case = on_grid("newcomers")
    assert (case.content["members"], case.content["contracts"], case.content["transfers_sum_micro"]) == (0, 0, 0)
    assert case.content["refused_trips"] == case.result.built.population.n_travellers
    assert case.content["ratio"] == case.result.poa()["baseline"]["ratio"]


def test_extortionists_gain_by_lot_and_lose_the_auction() -> None:
    by_lot, by_auction = on_grid("extortionists"), on_grid("bidders")
    assert by_lot.gains["extortionists"] > 1.0 and by_lot.gains["honest_members"] < 0.0
    assert by_lot.content["honest_below_baseline"] == by_auction.content["honest_below_baseline"] == 0
    assert by_auction.gains["extortionists"] < 0.1 * by_lot.gains["extortionists"]


def test_funds_and_validators_are_agents_whose_columns_agree_with_the_ledger() -> None:
    case = on_grid("everybody")
    world, outcome = case.result.worlds["coalition"], case.result.market["coalition"]
    assert outcome.enforcement is not None
    escrows = outcome.enforcement.escrows
    entries, _ = escrows.book.entries()
    of_contracts = entries[(entries["escrow"] >= 0) & (entries["escrow"] < escrows.n_contracts)]

    def moved(account: int, kind: Kind, side: str) -> int:
        chosen = (of_contracts["kind"] == int(kind)) & (of_contracts[side] == account)
        return int(of_contracts["amount"][chosen].sum())

    assert world.link_funds and set(world.agents.select(agent_type=LinkFund)) == set(world.link_funds)
    for fund in world.link_funds:
        put_in = moved(fund.account, Kind.FUND, "debit") - moved(fund.account, Kind.REFUND, "credit")
        assert put_in == fund.paid_micro
        assert moved(fund.account, Kind.PAY, "credit") == fund.received_micro
        assert escrows.book.actor_names[fund.account] == f"link:{fund.link_idx}"
    assert sum(fund.paid_micro for fund in world.link_funds) <= case.content["payments_micro"]
    drawn = [validator for validator in world.validators if validator.seats]
    assert drawn == world.validators and set(world.agents.select(agent_type=Validator)) == set(drawn)
    positions = {v.account: v.money_micro for v in drawn}
    validators = escrows.accounts.validators
    assert sum(positions.values()) == case.content["others_net_micro"]["validators"]
    assert positions == {a: int(escrows.position_micro(np.array([a]))[0]) for a in positions} and set(positions) <= set(
        validators
    )
    assert sum(v.seats for v in drawn) == len(entries[entries["kind"] == int(Kind.SEAT)])


def test_a_run_leaves_no_world_behind() -> None:
    on_grid("honest")
    before = set(mesa.Agent._ids)
    result = found(GRID, Path()).result
    assert not set(result.worlds.values()) & set(mesa.Agent._ids)
    assert set(mesa.Agent._ids) <= before


def test_the_four_share_rules_differ_and_each_balances() -> None:
    money = {}
    for rule in ("externality", "equal", "shapley", "least_core"):
        case = found(GRID | {"demand": GRID["demand"] | {"vehicles_per_traveller": 60.0}}, Path(), market={"shares": rule})
        assert case.content["transfers_sum_micro"] == -case.content["fees_micro"]
        assert case.content["below_baseline"] == 0 and case.content["contracts"] > 10
        money[rule] = case.result.market["coalition"].money_micro
    rules = list(money)
    for nth, rule in enumerate(rules):
        for other in rules[nth + 1 :]:
            assert (money[rule] != money[other]).any(), f"{rule} and {other} pay everybody the same"


@pytest.mark.shared_data
def test_on_sioux_falls_a_tenth_defects_and_a_fifth_of_the_validators_colludes(shared_data: Path) -> None:
    folder = shared_data / "tntp" / "SiouxFalls"
    case = found(SIOUX_FALLS, folder, adversaries={"defectors": 0.1, "colluding_validators": 0.2})
    assert case.content["ratio"] <= 1.02
    assert case.content["honest_below_promise"] == case.content["honest_below_baseline"] == case.content["honest_convicted"] == 0
    assert case.content["defectors"] > 10 and case.gains["defectors"] < 0.0 and case.content["defectors_money_micro"] < 0


@pytest.mark.shared_data
def test_on_sioux_falls_replay_carries_two_fifths_of_colluding_validators(shared_data: Path) -> None:
    folder = shared_data / "tntp" / "SiouxFalls"
    adversaries = {"defectors": 0.1, "colluding_validators": 0.4, "griefers": 0.2}
    case = found(SIOUX_FALLS, folder, adversaries=adversaries, contracts={"appeal_share": 1.0})
    assert case.content["disputed"] > 50
    assert case.content["rulings_against_evidence"] <= 0.01 * case.content["disputed"]
    enforcement = case.result.market["coalition"].enforcement
    assert enforcement is not None
    # Panels were wrong often enough: it is the appeals that mend it.
    assert (enforcement.votes > 1).sum() > 0.1 * case.content["disputed"]
    # Against the truth only where the evidence itself errs.
    misled = (enforcement.evidence.verdict == int(Verdict.ACCEPTED)) != enforcement.drove_target
    assert case.content["rulings_against_truth"] <= int(misled.sum()) + case.content["rulings_against_evidence"]


@pytest.mark.shared_data
def test_on_sioux_falls_what_should_fail_fails(shared_data: Path) -> None:
    worlds = (*COALITION, "pools", "pairwise", "pairwise_compensated", "random_control")
    case = found(SIOUX_FALLS, shared_data / "tntp" / "SiouxFalls", worlds, market={"rounds": 8})
    poa = case.result.poa()
    ratio = {name: poa["worlds"][name]["ratio"] for name in worlds[2:]}
    selfish = poa["baseline"]["ratio"]
    assert ratio["coalition"] < 1.001 < selfish
    assert ratio["pools"] > selfish and poa["worlds"]["pools"]["below_baseline_share"] > 0.5
    assert poa["worlds"]["pairwise_compensated"]["deals"] == 0 and ratio["pairwise_compensated"] == selfish
    assert ratio["random_control"] > selfish
    assert ratio["pairwise"] > 1.0 + 0.75 * (selfish - 1.0) and poa["worlds"]["pairwise"]["below_baseline_share"] > 0.3
    assert poa["declared_baselines"]["rent_s"] > poa["declared_baselines"]["saving_s"]
    for name in ("pools", "pairwise", "pairwise_compensated"):
        world = poa["worlds"][name]
        assert world["transfers_sum_micro"] == -world["fees_micro"]
        assert world["payments_micro"] >= world["fees_micro"]


@pytest.mark.shared_data
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_on_sioux_falls_liars_are_ignored_or_believed(shared_data: Path, share: float) -> None:
    folder = shared_data / "tntp" / "SiouxFalls"
    ignored = found(SIOUX_FALLS, folder, adversaries={"baseline_liars": share})
    assert all(abs(gain) < 1e-6 for gain in ignored.gains.values())
    believed = found(SIOUX_FALLS, folder, adversaries={"baseline_liars": share}, market={"baselines": "declared"})
    assert believed.content["honest_below_baseline"] > 0 and believed.result.missed
    if share < 1.0:
        assert believed.gains["baseline_liars"] > 1.0 and believed.gains["honest_members"] < -1.0
