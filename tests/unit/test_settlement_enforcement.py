"""A window under enforcement: money balances to the micro-credit whoever cheats, the honest get what they were promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.settlement_windows import Window, made_window

from contracts_model import State, Verdict
from contracts_model.audit import check_book
from contracts_model.outcomes import Kind
from contracts_model.validators import least_collateral
from sim.arrays import BoolColumn
from sim.errors import RunFailedError
from sim.settlement.adversaries import Temper, defects, tempers
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours
from sim.settlement.enforcement import extra_cost
from sim.settlement.outcome import Enforcement
from sim.settlement.tables import account_table, contract_table
from sim.spec import Adversaries, ContractRules

WINDOW = made_window(160, 21)
COLLUDING_20 = Adversaries(defectors=0.1, colluding_validators=0.2, lazy_validators=0.1, griefers=0.1)
COLLUDING_40 = Adversaries(defectors=0.1, colluding_validators=0.4, griefers=0.1)
CASES = {
    "honest": Adversaries(),
    "defectors": Adversaries(defectors=0.1),
    "griefers": Adversaries(griefers=0.5),
    "20 % colluding": COLLUDING_20,
    "40 % colluding": COLLUDING_40,
    "all lazy": Adversaries(defectors=0.3, lazy_validators=1.0),
    "all against": Adversaries(defectors=0.5, colluding_validators=1.0, griefers=1.0),
}


def outcome(adversaries: Adversaries, rules: ContractRules | None = None, window: Window = WINDOW) -> Enforcement:
    truth = ~defects(window.contracts.mover, adversaries, 1)
    return window.enforce(rules, adversaries, drove_target=truth)


def position(done: Enforcement, actors: object) -> int:
    return int(done.escrows.position_micro(np.atleast_1d(np.asarray(actors, np.int64))).sum())


def require_balance(done: Enforcement) -> None:
    """Nothing is open, the ledger explains all money, and what all received minus what all paid is nothing."""
    assert check_book(done.escrows.book) == []
    assert done.totals()["open"] == 0
    assert position(done, np.arange(len(done.escrows.book.actor_names))) == 0
    assert position(done, done.escrows.accounts.fees) == done.fees_micro
    assert np.asarray(account_table(done)["position_micro"]).sum() == 0


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest) -> Enforcement:
    return outcome(CASES[request.param])


def test_money_is_conserved_whoever_cheats(case: Enforcement) -> None:
    require_balance(case)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    shares=st.tuples(*[st.sampled_from((0.0, 0.2, 0.5))] * 4),
    rules=st.builds(
        ContractRules,
        panel=st.integers(1, 7),
        rounds=st.integers(0, 4),
        validators=st.sampled_from((1, 9, 80)),
        accuracy=st.sampled_from((0.5, 0.95)),
        appeal_share=st.sampled_from((0.0, 0.6, 1.0)),
        trap_rate=st.sampled_from((0.0, 0.3)),
        bond_growth=st.integers(1, 3),
        bounty=st.sampled_from((0.0, 1 / 3, 1.0)),
        roadside_units=st.sampled_from((0.0, 0.4, 1.0)),
        collateral=st.sampled_from((0.0, 1.0, 3.0)),
    ),
)
def test_money_is_conserved_under_any_rules(seed: int, shares: tuple[float, ...], rules: ContractRules) -> None:
    window = made_window(25, seed)
    names = ("defectors", "lazy_validators", "colluding_validators", "griefers")
    require_balance(outcome(Adversaries(**dict(zip(names, shares, strict=True))), rules, window))


def test_no_honest_party_ends_below_its_promise(case: Enforcement) -> None:
    """Movers have their price and, in a dispute that they won, the griefer's bond; funds pay for what was driven alone."""
    honest = case.drove_target
    assert (case.mover_money_micro[honest] >= case.contracts.price_micro[honest]).all()
    # Each fund pays its dues in contracts that were paid out at most, and receives at least its compensation there.
    accounts = case.escrows.accounts
    rows_paid = np.repeat(case.paid, np.diff(case.contracts.start))
    due = np.zeros(WINDOW.network.n_links, np.int64)
    np.add.at(due, case.contracts.link[rows_paid], case.contracts.fund_pays_micro[rows_paid])
    lost_to_payers = case.collateral_lost_micro - case.bounty_micro
    assert (case.escrows.position_micro(accounts.funds) >= -due[accounts.fund_link]).all()
    gained = position(case, accounts.funds) + position(case, accounts.clearing) + int(due.sum())
    gained += int(case.contracts.clearing_pays_micro[case.paid].sum())
    assert 0 <= gained <= lost_to_payers.sum() and (gained > 0) == bool(case.convicted.any())


def test_rulings_follow_the_evidence_where_whom_it_supports_appeals(case: Enforcement) -> None:
    assert case.wrong_against_evidence.sum() <= 0.01 * max(int(case.challenged.sum()), 1)


def test_defectors_lose_on_average(case: Enforcement) -> None:
    cheats = ~case.drove_target
    if cheats.any():
        assert case.mover_money_micro[cheats].mean() < 0
        assert case.convicted[cheats].mean() > 0.6


def test_honest_windows_pay_exactly_the_contracts() -> None:
    done = outcome(Adversaries())
    contracts, accounts = done.contracts, done.escrows.accounts
    np.testing.assert_array_equal(done.state, int(State.PAID))
    np.testing.assert_array_equal(done.mover_money_micro, contracts.price_micro)
    assert (contracts.price_micro < 0).any()
    paid_by_link = np.zeros(WINDOW.network.n_links, np.int64)
    np.add.at(paid_by_link, contracts.link, contracts.fund_pays_micro)
    np.testing.assert_array_equal(done.escrows.position_micro(accounts.funds), -paid_by_link[accounts.fund_link])
    assert position(done, accounts.clearing) == 0
    assert done.fees_micro == contracts.fee_micro.sum()
    assert not done.challenged.any() and len(done.planted.escrow) == 0
    money = done.traveller_money_micro(2000)
    assert money.sum() == contracts.price_micro.sum() and money[contracts.mover[7]] == contracts.price_micro[7]


@pytest.mark.parametrize("bounty", [0.0, 1 / 3, 0.5, 1.0])
def test_lost_collateral_goes_to_challenger_and_payers(bounty: float) -> None:
    done = outcome(Adversaries(defectors=0.5), ContractRules(bounty=bounty))
    entries, _ = done.escrows.book.entries()
    lost = entries[entries["kind"] == int(Kind.COLLATERAL_LOST)]
    to_watch = np.zeros(160, np.int64)
    mine = lost["credit"] == done.escrows.accounts.watch
    np.add.at(to_watch, lost["escrow"][mine], lost["amount"][mine])
    np.testing.assert_array_equal(to_watch, done.bounty_micro)
    assert lost["amount"].sum() == done.collateral_lost_micro.sum() > 0


def test_griefers_pay_for_it_and_their_victims_are_made_whole() -> None:
    done = outcome(CASES["griefers"])
    assert done.griefed.sum() > 40 and (done.challenged == done.griefed).all()
    bonds = int(done.griefed.sum()) * 20_000_000
    assert position(done, done.escrows.accounts.griefers) == -bonds
    assert done.mover_money_micro[done.griefed].sum() >= done.contracts.price_micro[done.griefed].sum()


def test_colluders_lose_their_stakes_to_the_honest() -> None:
    done = outcome(COLLUDING_40)
    temper = tempers(50, COLLUDING_40, 1)
    money = done.escrows.position_micro(done.escrows.accounts.validators)
    assert money[temper == int(Temper.COLLUDING)].mean() < 0 < money[temper == int(Temper.HONEST)].mean()


def test_planted_cases_catch_the_lazy() -> None:
    """Everybody defects: the lazy vote against every conviction, and against the planted cases' answer."""
    adversaries = Adversaries(defectors=1.0, lazy_validators=0.2)
    done = outcome(adversaries, ContractRules(trap_rate=0.25))
    n_cases = int(done.challenged.sum()) + len(done.planted.escrow)
    assert abs(len(done.planted.escrow) / n_cases - 0.25) < 0.01
    states = done.escrows.book.tables.escrows["state"][done.planted.escrow]
    np.testing.assert_array_equal(states, int(State.CLOSED))
    temper = tempers(50, adversaries, 1)
    money = done.escrows.position_micro(done.escrows.accounts.validators)
    assert money[temper == int(Temper.LAZY)].max() < 0 < money[temper == int(Temper.HONEST)].mean()
    require_balance(done)


def test_appeals_are_what_carries_a_colluding_pool() -> None:
    with_appeals = outcome(COLLUDING_40)
    without = outcome(COLLUDING_40, ContractRules(appeal_share=0.0))
    assert without.wrong_against_evidence.sum() > 0.2 * without.challenged.sum()
    assert with_appeals.votes.max() == 3 and without.votes.max() == 1
    require_balance(without)


def test_without_enforcement_defection_pays() -> None:
    free = outcome(Adversaries(defectors=0.3), ContractRules(enforcement=False))
    held = outcome(Adversaries(defectors=0.3))
    cheats = ~free.drove_target
    require_balance(free)
    assert free.paid.all() and not free.challenged.any() and free.collateral_micro.sum() == 0
    np.testing.assert_array_equal(free.mover_money_micro, free.contracts.price_micro)
    assert free.mover_money_micro[cheats].mean() > 0 > held.mover_money_micro[cheats].mean()


def test_collateral_is_the_multiple_of_the_deterrence_bound() -> None:
    rules = ContractRules(collateral=1.5, gps_share=0.1)
    done = outcome(Adversaries(), rules)
    kappa = extra_cost(WINDOW.detours, WINDOW.link_time_s)
    bounds = [
        least_collateral(k, d, f, p)
        for k, d, f, p in zip(kappa, done.detection, done.false_conviction, done.contracts.price_micro / 1e6, strict=True)
    ]
    np.testing.assert_allclose(done.collateral_micro / 1e6, 1.5 * np.maximum(bounds, rules.bond), atol=1e-6)
    assert (np.array(bounds) > rules.bond).sum() > 20 and (np.array(bounds) < rules.bond).any()


def test_at_the_bound_cheating_earns_no_more_than_honesty() -> None:
    """Expected money, over the closed forms: P (1 - d) - C d against P (1 - f) - C f - kappa."""
    done = outcome(Adversaries(), ContractRules(collateral=1.0))
    price, collateral = done.contracts.price_micro / 1e6, done.collateral_micro / 1e6
    d, f = done.detection, done.false_conviction
    honest = price * (1 - f) - collateral * f - extra_cost(WINDOW.detours, WINDOW.link_time_s)
    assert (price * (1 - d) - collateral * d <= honest + 1e-6).all()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = outcome(COLLUDING_20), outcome(COLLUDING_20)
    assert first.escrows.book.journal_head() == again.escrows.book.journal_head()
    assert contract_table(first).equals(contract_table(again))
    truth = first.drove_target
    other_seed = WINDOW.enforce(adversaries=COLLUDING_20, drove_target=truth, seed=2)
    other_window = WINDOW.enforce(adversaries=COLLUDING_20, drove_target=truth, window=1)
    heads = {done.escrows.book.journal_head() for done in (first, other_seed, other_window)}
    assert len(heads) == 3


def test_draws_belong_to_the_mover_and_not_to_his_place_in_the_list() -> None:
    """Half the contracts alone have the same evidence as among all."""
    whole = outcome(Adversaries(defectors=0.3))
    half = Window(WINDOW.network, *half_of(WINDOW.contracts, WINDOW.detours), WINDOW.link_time_s)
    part = outcome(Adversaries(defectors=0.3), window=half)
    np.testing.assert_array_equal(part.evidence.verdict, whole.evidence.verdict[:80])
    np.testing.assert_array_equal(part.evidence.gps_log_ratio, whole.evidence.gps_log_ratio[:80])


def half_of(contracts: Contracts, detours: Detours) -> tuple[Contracts, Detours]:
    rows = contracts.start[80]
    kept = replace(
        contracts,
        mover=contracts.mover[:80],
        price_micro=contracts.price_micro[:80],
        fee_micro=contracts.fee_micro[:80],
        start=contracts.start[:81],
        link=contracts.link[:rows],
        fund_pays_micro=contracts.fund_pays_micro[:rows],
        clearing_pays_micro=contracts.clearing_pays_micro[:80],
    )
    return kept, Detours(
        detours.baseline_start[:81],
        detours.baseline_link[: detours.baseline_start[80]],
        detours.target_start[:81],
        detours.target_link[: detours.target_start[80]],
        detours.departure_s[:80],
        detours.credits_per_s[:80],
    )


@pytest.mark.parametrize(
    "rules",
    [
        ContractRules(rounds=0),
        ContractRules(validators=2),
        ContractRules(panel=4, validators=60, bond_growth=1),
        ContractRules(roadside_units=0.0, gps_share=0.0),
        ContractRules(hit_rate=1.0, roadside_units=1.0),
        ContractRules(accuracy=0.0, appeal_share=0.5),
        ContractRules(bounty=1.0, juror_fee=0.0, audit_share=1.0),
    ],
    ids=["no votes", "too few validators", "even panel", "no evidence", "perfect units", "blind validators", "audit all"],
)
def test_unusual_rules(rules: ContractRules) -> None:
    done = outcome(COLLUDING_20, rules)
    require_balance(done)
    if rules.rounds == 0 or rules.validators < rules.panel:
        # No panel can be seated: the evidence itself decides every dispute.
        assert done.votes.max() == 0 and not done.wrong_against_evidence.any() and done.challenged.any()
    if rules.roadside_units == 0.0:
        assert done.paid.all() and done.undeterred.all()
    if rules.roadside_units == 1.0:
        assert (done.convicted == ~done.drove_target).all()
    if rules.audit_share == 1.0:
        assert (done.audited == ~done.challenged).all()


def test_an_empty_window() -> None:
    empty = np.zeros(0, np.int64)
    start, nobody = np.zeros(1, np.int64), np.zeros(0, np.int32)
    contracts = Contracts(nobody, empty, empty, start, nobody, empty, empty)
    window = Window(
        WINDOW.network, contracts, Detours(start, nobody, start, nobody, np.zeros(0), np.zeros(0)), WINDOW.link_time_s
    )
    done = window.enforce()
    assert set(done.totals().values()) == {0}
    assert contract_table(done).num_rows == 0
    assert check_book(done.escrows.book) == []


def one(contract: int, **columns: object) -> Window:
    """One contract of the window, with some of its columns changed."""
    rows = slice(WINDOW.contracts.start[contract], WINDOW.contracts.start[contract + 1])
    contracts = Contracts(
        WINDOW.contracts.mover[[contract]],
        WINDOW.contracts.price_micro[[contract]],
        WINDOW.contracts.fee_micro[[contract]],
        np.array([0, rows.stop - rows.start]),
        WINDOW.contracts.link[rows],
        WINDOW.contracts.fund_pays_micro[rows],
        WINDOW.contracts.clearing_pays_micro[[contract]],
    )
    baseline, target = WINDOW.detours.baseline_of(contract), WINDOW.detours.target_of(contract)
    detours = Detours(
        np.array([0, len(baseline)]), baseline, np.array([0, len(target)]), target, np.zeros(1), np.ones(1),
    )  # fmt: skip
    return Window(WINDOW.network, replace(contracts, **columns), detours, WINDOW.link_time_s)


def test_a_contract_in_which_no_money_moves_is_still_a_promise() -> None:
    n_rows = int(WINDOW.contracts.start[1])
    nothing = np.zeros(1, np.int64)
    idle = one(0, price_micro=nothing, fee_micro=nothing, fund_pays_micro=np.zeros(n_rows, np.int64), clearing_pays_micro=nothing)
    kept = idle.enforce()
    assert kept.paid.all() and kept.mover_money_micro[0] == 0 and position(kept, kept.escrows.accounts.clearing) == 0
    broken = idle.enforce(ContractRules(roadside_units=1.0, hit_rate=1.0), drove_target=np.array([False]))
    assert broken.convicted.all() and broken.mover_money_micro[0] == -broken.collateral_micro[0] < 0
    require_balance(broken)


def test_who_ended_on_his_baseline_has_no_promise_to_break() -> None:
    scene = one(3)
    same = replace(scene.detours, target_start=scene.detours.baseline_start, target_link=scene.detours.baseline_link)
    done = replace(scene, detours=same).enforce(drove_target=np.array([False]))
    assert done.paid.all() and done.collateral_micro[0] == 0
    assert not done.undeterred.any() and done.drove_target.all()


def test_contracts_out_of_balance_are_refused() -> None:
    with pytest.raises(ValueError, match="out of balance by 1 micro"):
        one(5, price_micro=WINDOW.contracts.price_micro[[5]] + 1).enforce()
    with pytest.raises(ValueError, match="finite"):
        WINDOW.enforce(driven_time_s=np.full(WINDOW.network.n_links, np.inf))


def test_amounts_beyond_the_ledger_are_named() -> None:
    huge = np.array([2**62])
    with pytest.raises(RunFailedError, match=r"bring money to the ledger: BAD_AMOUNT|SUPPLY_EXCEEDED"):
        one(1, price_micro=huge, clearing_pays_micro=huge + WINDOW.contracts.clearing_pays_micro[[1]]
            - WINDOW.contracts.price_micro[[1]]).enforce()  # fmt: skip


def test_shares_of_adversaries() -> None:
    people = np.arange(20_000, dtype=np.int32)
    cheats: BoolColumn = defects(people, Adversaries(defectors=0.2), 5)
    assert abs(cheats.mean() - 0.2) < 0.015
    assert not defects(people, Adversaries(), 5).any() and defects(people, Adversaries(defectors=1.0), 5).all()
    more = defects(people, Adversaries(defectors=0.4), 5)
    assert (more | ~cheats).all(), "whoever defects at 20 % defects at 40 %"
    temper = tempers(50, Adversaries(lazy_validators=0.3, colluding_validators=0.5), 5)
    assert np.bincount(temper).tolist() == [10, 15, 25]


def test_the_table_traces_every_contract() -> None:
    done = outcome(COLLUDING_40)
    rows = contract_table(done).to_pylist()
    assert len(rows) == 160
    for row in rows:
        k = row["contract"]
        assert row["traveller_id"] == done.contracts.mover[k]
        assert row["target_path"] == WINDOW.detours.target_of(k).tolist()
        assert row["price_micro"] + row["fee_micro"] == sum(row["fund_pays_micro"]) + row["clearing_pays_micro"]
        assert (row["gps_log_ratio"] is None) == (not done.evidence.has_fixes[k])
        assert row["states"][-1] == row["state"] and row["state_times_s"] == sorted(row["state_times_s"])
        assert row["states"][:2] == ["active", "claimed"]
        assert [len(seats) for seats in row["votes"]] == [3, 7, 15][: done.votes[k]]
        assert (row["ruling"] is None) == (row["challenged_by"] is None)
        assert row["mover_money_micro"] >= row["paid_micro"] - row["collateral_lost_micro"]
        if row["state"] == "slashed":
            assert row["ruling"] == row["evidence"] == "rejected" and row["paid_micro"] == 0
    entries, _ = done.escrows.book.entries()
    seated = entries[(entries["kind"] == int(Kind.SEAT)) & (entries["escrow"] < 160)]
    told = {(row["escrow"], seat["validator"]) for row in rows for seats in row["votes"] for seat in seats}
    first = int(done.escrows.accounts.validators[0])
    assert told == set(zip(seated["escrow"].tolist(), (seated["debit"] - first).tolist(), strict=True))
    by_rounds = [row for row in rows if len(row["votes"]) > 1]
    assert by_rounds and all("appealable" in row["states"] for row in by_rounds)


def test_a_pool_that_is_all_against_is_overruled_by_the_replay() -> None:
    done = outcome(CASES["all against"])
    assert done.challenged.all() and (done.votes == 3).all()
    for row in contract_table(done).to_pylist():
        assert row["states"][2:] == [
            "voting",
            "appealable",
            "voting",
            "appealable",
            "voting",
            "appealable",
            "replay",
            row["state"],
        ]
        assert Verdict[row["ruling"].upper()] == done.evidence.verdict[row["contract"]]
