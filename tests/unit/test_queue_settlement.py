"""Contracts of queue traffic: evidence from the drive, promises of another departure, detection against its closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from contracts_model import Verdict
from sim.experiments.build import build_scenario
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.queue_market import close_window, day_ahead_rules, deals_of, members_of, registrations_of, worth_of
from sim.experiments.scenarios import find_scenario
from sim.mechanisms.day_ahead import DayAhead
from sim.settlement.arbiter import names_enough
from sim.settlement.claims import Promises, draw_up_case
from sim.settlement.clearing import clear
from sim.settlement.detours import Detours
from sim.settlement.enforcement import enforce
from sim.settlement.evidence import compare, lost_records, rates_of_conviction, roadside_units, separations
from sim.settlement.outcome import Enforcement
from sim.settlement.queue_times import APART_S, agreed_times, driven_times, plans_on, queue_detours
from sim.settlement.timetables import RouteTimes, target_passages
from sim.spec import Adversaries, ContractRules
from sim.traffic.behaviour import reactive
from sim.traffic.driven_day import DrivenDay
from sim.traffic.equilibrium import EquilibriumRules, find_equilibrium

SETTINGS = [
    "market.days=4",
    "market.rehearsals=8",
    "demand.demand_vph=2400",
    "market.later_cost=0.02",
    "market.earlier_cost=0.02",
]


@cache
def market(*more: str) -> tuple[BuiltQueues, DayAhead]:
    spec, folder = find_scenario("queue_market", [*SETTINGS, *more])
    queues = build_queues(build_scenario(spec, folder))
    _, first = reactive(queues.network, queues.finder, queues.population.departure_s, every_s=300.0, share=1.0, seed=1)
    found = find_equilibrium(queues.network, queues.finder, first, EquilibriumRules(gap=0.02, most_days=15), 1)
    worth = worth_of(queues)
    is_member = members_of(registrations_of(queues, 5), len(worth))
    traded = DayAhead(queues.finder, found.driven, is_member, worth, day_ahead_rules(queues), spec.seed)
    traded.run()
    return queues, traded


@cache
def signed() -> tuple[Detours, RouteTimes, RouteTimes, np.ndarray, np.ndarray]:
    """Detours, agreed and driven times, movers, and who keeps his promise; every third mover does not."""
    queues, traded = market()
    mover = np.flatnonzero(traded.agreement.moved(traded.driven.trips)).astype(np.int32)
    kept = np.arange(len(mover)) % 3 > 0
    baseline, target = plans_on(traded.baseline, mover), plans_on(traded.driven, mover)
    detours = queue_detours(baseline, target, traded.worth[mover], queues.network.n_links)
    agreed = agreed_times(baseline, target, np.zeros(len(mover)))
    driven = redriven(traded, mover[~kept])
    return detours, agreed, driven_times(agreed, detours, plans_on(driven, mover), kept, 1.0, mover, 1), mover, kept


def redriven(traded: DayAhead, defectors: np.ndarray) -> DrivenDay:
    from sim.experiments.queue_market import _driven

    return _driven(traded.agreement, defectors.astype(np.int32))


def test_members_move_in_space_and_time() -> None:
    detours, _, _, mover, _ = signed()
    _, traded = market()
    shifted = traded.driven.trips.departure_s[mover] != traded.baseline.trips.departure_s[mover]
    assert len(mover) > 100 and 5 < shifted.sum() < len(mover)
    assert detours.baseline_apart is not None
    per_contract = np.add.reduceat(detours.baseline_apart, detours.baseline_start[:-1])
    assert (per_contract[shifted] > 0).any() and not per_contract[~shifted].any()


def test_times_are_those_of_the_drive() -> None:
    """Without noise the target of who kept his promise has the times of his own records, to the arrival."""
    queues, traded = market()
    mover = np.flatnonzero(traded.agreement.moved(traded.driven.trips)).astype(np.int32)
    baseline, target = plans_on(traded.baseline, mover), plans_on(traded.driven, mover)
    detours = queue_detours(baseline, target, traded.worth[mover], queues.network.n_links)
    agreed = agreed_times(baseline, target, np.zeros(len(mover)))
    kept = np.ones(len(mover), np.bool_)
    times = driven_times(agreed, detours, target, kept, 0.0, mover, 1)
    arrival_s = traded.driven.trips.departure_s[mover] + traded.driven.travel_time_s[mover]
    np.testing.assert_allclose(target_passages(detours, times).arrival_s, arrival_s)
    records = traded.driven.records
    some = int(mover[0])
    own = np.flatnonzero(records.vehicle_idx == some)
    order = own[np.argsort(records.entry_s[own])]
    assert records.link_idx[order].tolist() == detours.target_of(0).tolist()
    np.testing.assert_allclose(target_passages(detours, times).of(0)[1], (records.exit_s - records.entry_s)[order])


def test_clocks_are_noisy_and_do_not_change_the_order() -> None:
    detours, agreed, noisy, mover, kept = signed()
    _, traded = market()
    plans = plans_on(redriven(traded, mover[~kept]), mover)
    plain = driven_times(agreed, detours, plans, kept, 0.0, mover, 1)
    read, true = target_passages(detours, noisy), target_passages(detours, plain)
    assert (read.time_s > 0.0).all()
    late_s = (read.row_entry_s - true.row_entry_s)[detours.target_start[:-1]]
    assert abs(late_s.mean()) < 4.0 / math.sqrt(len(late_s)) and 0.8 < late_s.std() < 1.2
    np.testing.assert_allclose(read.arrival_s, true.arrival_s, atol=0.2)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_detection_is_one_minus_the_chance_of_passing_unread(share: float) -> None:
    """1 - (1 - share * hit rate)^n, with n the places of the baseline alone: other links, or the same at another time."""
    detours, agreed, _, mover, _ = signed()
    queues, _ = market()
    n_links = queues.network.n_links
    rules = ContractRules(roadside_units=share, gps_share=0.0, conviction_odds=1e300)
    places = detours.baseline_places(n_links)
    alone = np.array(
        [
            len(np.setdiff1d(places[detours.baseline_start[k] : detours.baseline_start[k + 1]], detours.target_of(k)))
            for k in range(len(mover))
        ]
    )
    wanted = 1.0 - (1.0 - share * rules.hit_rate) ** alone
    rejected = np.zeros(len(mover))
    n_windows = 300
    for window in range(n_windows):
        has_unit = roadside_units(n_links, share, 1, window)
        counts = compare(detours, mover, np.zeros(len(mover), np.bool_), has_unit, rules, 1, window)
        rejected += counts[:, 5] > 0
    apart = separations(queues.built.network, detours, np.ascontiguousarray(counts[:, 6]), agreed, rules)
    detection, false_conviction = rates_of_conviction(counts, apart, rules)
    np.testing.assert_allclose(detection, wanted, rtol=1e-12)
    assert not false_conviction.any()
    error = np.sqrt(np.maximum(wanted * (1.0 - wanted), 1e-6) / n_windows)
    # A rare miss is a whole window: the normal bound alone would be too narrow near 1.
    assert (np.abs(rejected / n_windows - wanted) < 5.5 * error + 3.0 / n_windows).all()
    assert abs(float((rejected / n_windows - wanted).mean())) < 0.03
    shifted = np.add.reduceat(detours.baseline_apart, detours.baseline_start[:-1]) > 0
    assert (alone[shifted] > 0).all()


def carried_out(rules: ContractRules, adversaries: Adversaries, kept: np.ndarray) -> Enforcement:
    detours, agreed, _, mover, _ = signed()
    queues, traded = market()
    deals = deals_of(traded.agreement, fee=np.ones(len(traded.worth)), theta=0.0)
    contracts = clear(deals, queues.population.weight, queues.network.n_links, 1.0)
    driven = driven_times(agreed, detours, plans_on(redriven(traded, mover[~kept]), mover), kept, 1.0, mover, 1)
    return enforce(
        contracts, detours, kept, network=queues.built.network, agreed_time_s=agreed, link_time_s=driven, rules=rules,
        adversaries=adversaries, seed=1,
    )  # fmt: skip


def test_the_arbiter_says_the_same_of_full_records_as_of_columns() -> None:
    """Chains with missing records, reads at either time, forged claims: each judged by its records alone."""
    rules = ContractRules(roadside_units=0.5, record_gap=0.2, gps_share=0.5)
    detours, _agreed, driven, mover, kept = signed()
    queues, _ = market()
    found = carried_out(rules, Adversaries(), kept)
    has_unit = roadside_units(queues.network.n_links, rules.roadside_units, 1, 0)
    promises = Promises(detours, found.evidence.deadline_ms, found.escrows.accounts, has_unit, rules, 1)
    promises.driven = driven
    verdicts = []
    chosen = np.arange(0, len(mover), max(1, len(mover) // 120))
    for contract in chosen.tolist():
        case = draw_up_case(
            promises, contract, int(mover[contract]), found.evidence, bool(kept[contract]), has_unit, driven, rules.hit_rate, 1, 0
        )
        verdicts.append(int(promises.judge(contract, case, 10**6, 10**6)))
    assert verdicts == found.evidence.verdict[chosen].tolist()
    assert {int(Verdict.ACCEPTED), int(Verdict.REJECTED)} <= set(verdicts)


def test_honest_drivers_are_not_convicted_and_defectors_are() -> None:
    rules = ContractRules(roadside_units=0.5, record_gap=0.05)
    _, _, _, _mover, kept = signed()
    found = carried_out(rules, Adversaries(griefers=0.1, colluding_validators=0.2), kept)
    totals = found.totals()
    assert totals["honest_convicted"] <= 0.001 * kept.sum()
    assert totals["defectors"] > 20
    caught = 1.0 - totals["defectors_paid"] / totals["defectors"]
    expected = found.detection[~kept].mean()
    assert abs(caught - expected) < 4.5 * math.sqrt(expected * (1 - expected) / totals["defectors"]) + 1e-9
    assert totals["open"] == 0


def test_gaps_in_the_records_are_tolerated_up_to_half() -> None:
    assert names_enough([1, 3], [1, 2, 3]) and names_enough([1, 2, 3], [1, 2, 3])
    assert not names_enough([3, 1], [1, 2, 3])
    assert not names_enough([1], [1, 2, 3]) and not names_enough([], [1])
    assert not names_enough([1, 4], [1, 2, 3])
    mover, start = np.arange(200, dtype=np.int32), np.arange(0, 2001, 10)
    lost = lost_records(mover, start, ContractRules(record_gap=0.1), 3, 0)
    assert 0.07 < lost.mean() < 0.13


def test_money_is_exact_and_nobody_is_below_his_baseline() -> None:
    queues, traded = market()
    registrations = registrations_of(queues, 5)
    closed = close_window(queues, traded.agreement, registrations)
    content = closed.content
    assert content["contracts"] == content["settled"] > 100
    assert content["below_baseline"] == 0 and content["shortfall_micro"] == 0
    assert content["transfers_sum_micro"] == -content["fees_micro"] == -sum(content["others_net_micro"].values())
    assert closed.enforcement.escrows.free_micro(np.array([closed.enforcement.escrows.accounts.clearing])).tolist() == [0]


def test_a_window_without_a_gain_is_called_off() -> None:
    """At a fee that no detour is worth nobody is paid, nobody pays, and the baseline is driven."""
    queues, traded = market("market.fee_per_vehicle=100000", "market.days=1")
    assert traded.called_off and traded.driven is traded.baseline
    closed = close_window(queues, traded.agreement, registrations_of(queues, 5))
    assert closed.content["contracts"] == 0 and closed.content["transfers_sum_micro"] == 0
    assert closed.content["below_baseline"] == 0 and not closed.money_micro.any()


def test_other_times_tell_only_where_they_differ() -> None:
    queues, traded = market()
    mover = np.flatnonzero(traded.agreement.moved(traded.driven.trips)).astype(np.int32)
    baseline, target = plans_on(traded.baseline, mover), plans_on(traded.driven, mover)
    close = replace(target, departure_s=baseline.departure_s)
    detours = queue_detours(baseline, close, traded.worth[mover], queues.network.n_links)
    assert detours.baseline_apart is not None and not detours.baseline_apart.any()
    assert 6 * ContractRules().clock_noise_s < APART_S
