"""The window's end under enforcement: who kept his word is never below the baseline, and the ledger ends where it must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.plain_settlement import settle_plainly
from reference.settlement_windows import made_window
from reference.small_markets import random_market

from contracts_model.audit import check_book
from sim.arrays import FloatColumn, IndexColumn
from sim.mechanisms.coalition import Coalition
from sim.model import CityModel
from sim.settlement.adversaries import defects
from sim.settlement.clearing import clear
from sim.settlement.detours import detours_of, routes_driven
from sim.settlement.enforcement import enforce
from sim.settlement.members import believed_costs, settle_members
from sim.settlement.money import to_micro
from sim.spec import Adversaries, ContractRules, Market

WINDOW = made_window(60, 31)
N_TRAVELLERS = 600
EVERYBODY: IndexColumn = np.arange(N_TRAVELLERS, dtype=np.int32)


def costs(seed: int, gain: float) -> tuple[FloatColumn, FloatColumn, FloatColumn]:
    """Baseline costs, realised costs (`gain` lower on average) and shares of everybody."""
    rng = np.random.default_rng(seed)
    baseline = rng.uniform(100.0, 900.0, N_TRAVELLERS)
    return baseline, baseline - rng.uniform(gain - 20.0, gain + 20.0, N_TRAVELLERS), rng.uniform(0.0, 1.0, N_TRAVELLERS)


def test_among_the_honest_it_is_the_plain_settlement() -> None:
    done = WINDOW.enforce()
    baseline, realised, share = costs(1, 25.0)
    found = settle_members(done, EVERYBODY, baseline, realised, share)
    plain = settle_plainly(baseline, realised, share / share.sum(), done.fees_micro)
    assert found.gain_micro == plain.gain_micro > 0 and not found.expelled.any() and found.shortfall_micro == 0
    assert np.abs(found.money_micro - plain.money_micro).max() <= 1
    assert found.money_micro.sum() == -done.fees_micro


def test_the_ledger_holds_what_was_settled() -> None:
    """Every traveller's account ends with his money, the pool with nothing; true-ups are the moves of the last instant."""
    done = WINDOW.enforce(adversaries=Adversaries(griefers=0.3), drove_target=np.arange(60) % 4 > 0)
    found = settle_members(done, EVERYBODY, *costs(2, 10.0))
    escrows = done.escrows
    assert check_book(escrows.book) == []
    assert escrows.position_micro(np.array([escrows.accounts.pool, escrows.accounts.clearing])).tolist() == [0, 0]
    by_name: dict[str, int] = {}
    positions = escrows.position_micro(np.arange(len(escrows.book.actor_names))).tolist()
    for name, money in zip(escrows.book.actor_names, positions, strict=True):
        key = name.removesuffix("/purse")
        by_name[key] = by_name.get(key, 0) + money
    assert [by_name[f"t:{traveller}"] for traveller in range(N_TRAVELLERS)] == found.money_micro.tolist()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), gain=st.floats(-30.0, 40.0), cheats=st.floats(0.0, 1.0))
def test_whoever_kept_his_word_has_his_share_of_the_gain(seed: int, gain: float, cheats: float) -> None:
    truth = np.random.default_rng(seed).random(60) >= cheats
    done = WINDOW.enforce(ContractRules(audit_share=0.0), drove_target=truth)
    baseline, believed, share = costs(seed, gain)
    found = settle_members(done, EVERYBODY, baseline, believed, share)
    kept = ~found.expelled
    utility = to_micro(baseline[kept]) - to_micro(believed[kept]) + found.money_micro[kept]
    assert utility.sum() == found.gain_micro == max(found.gain_micro, 0) - found.shortfall_micro
    assert (utility >= 0).all() if found.gain_micro >= 0 else (utility <= 0).all()
    assert np.abs(utility - found.gain_micro * share[kept] / share[kept].sum()).max() <= 2.0
    # The convicted keep what the ruling left them: their collateral is gone, and nobody trues it up.
    lost = dict(zip(done.contracts.mover.tolist(), done.mover_money_micro.tolist(), strict=True))
    assert all(found.money_micro[t] == lost[t] < 0 for t in np.flatnonzero(found.expelled).tolist())


def test_a_mover_who_is_no_member_is_refused() -> None:
    done = WINDOW.enforce()
    with pytest.raises(ValueError, match="every mover must be a member"):
        settle_members(done, np.array([0], np.int32), np.ones(1), np.ones(1), np.ones(1))


@pytest.mark.parametrize("seed", range(6))
def test_a_real_market_under_enforcement(seed: int) -> None:
    """Baselines, coalition, clearing, a third of the movers on their baselines, evidence, rulings, settlement."""
    market = random_market(seed, grain=1.0)
    mechanism = Coalition(Market(fee_per_vehicle=0.01), market.baseline, market.is_member, market.value, seed)
    world = CityModel(market.problem, market.population, mechanism, seed)
    world.run_days(100)
    traffic, network = world.traffic, market.problem.network
    cleared = clear(mechanism.book, market.population.weight, network.n_links, 0.01)
    target_route = traffic.route_of_traveller.copy()
    contracts, detours = detours_of(traffic, cleared, mechanism.baseline_route, target_route, market.value)
    agreed_s = market.problem.in_network_order(traffic.links.cost) - network.fixed_cost_s
    kept = ~defects(contracts.mover, Adversaries(defectors=1 / 3), seed)
    cheats = contracts.mover[~kept]
    traffic.route_of_traveller[cheats] = mechanism.baseline_route[cheats]
    traffic.load()
    link_cost_s = market.problem.in_network_order(traffic.links.cost)

    worth = market.value[contracts.mover] * market.population.weight[contracts.mover]
    np.testing.assert_array_equal(detours.credits_per_s, worth)
    start, driven = routes_driven(detours, kept)
    paths_start, paths = traffic.paths()
    for nth, traveller in enumerate(contracts.mover.tolist()):
        own = market.problem.link_order[paths[paths_start[traveller] : paths_start[traveller + 1]]]
        np.testing.assert_array_equal(driven[start[nth] : start[nth + 1]], own)

    done = enforce(
        contracts, detours, kept, network=network, agreed_time_s=agreed_s, link_time_s=link_cost_s - network.fixed_cost_s,
        rules=ContractRules(bond=1.0), adversaries=Adversaries(), seed=seed,
    )  # fmt: skip
    realised = mechanism.place.trip_costs()
    believed = believed_costs(done, realised, link_cost_s)
    assert (believed != realised).sum() <= (~done.drove_target & done.paid).sum()
    members = np.flatnonzero(market.is_member).astype(np.int32)
    weight = market.population.weight[members]
    found = settle_members(done, members, mechanism.baseline_cost[members], believed[members], weight)
    assert check_book(done.escrows.book) == []
    outside = done.escrows.accounts
    others = np.concatenate((outside.validators, outside.griefers, [outside.fees, outside.treasury]))
    assert found.money_micro.sum() == -done.escrows.position_micro(others).sum()
    assert found.expelled.sum() == done.convicted.sum()


def test_whoever_is_left_shares_alike_where_only_the_convicted_had_a_share() -> None:
    """Surcharges can take up the whole gain; if all who asked for one are convicted, the shares of the others are 0."""
    done = WINDOW.enforce(drove_target=np.arange(60) % 4 > 0)
    expelled = np.isin(EVERYBODY, done.contracts.mover[done.convicted])
    assert expelled.any() and not expelled.all()
    baseline, believed, _ = costs(7, 25.0)
    found = settle_members(done, EVERYBODY, baseline, believed, expelled.astype(np.float64))
    saving = to_micro(baseline) - to_micro(believed)
    utility = (saving + found.money_micro)[~expelled]
    assert found.gain_micro > 0 and utility.sum() == found.gain_micro
    assert utility.max() - utility.min() <= 1 and utility.min() >= 0
