"""Detection, false conviction and wrong rulings: frequencies in simulated windows against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference.settlement_windows import Window, made_window

from contracts_model import Verdict
from contracts_model.validators import panel_error_without_replacement
from sim.arrays import FloatColumn
from sim.settlement.enforcement import enforce
from sim.settlement.evidence import (
    compare,
    deadlines_ms,
    gather_evidence,
    rates_of_conviction,
    roadside_units,
    separations,
)
from sim.spec import Adversaries, ContractRules

WINDOW = made_window(150, 8)
N_WINDOWS = 400


def rejected_shares(scene: Window, rules: ContractRules, *, drove_target: bool) -> tuple[FloatColumn, FloatColumn, FloatColumn]:
    """Share of the claims that each window rejects; detection and false conviction of each claim in closed form."""
    detours, mover, network = scene.detours, scene.contracts.mover, scene.network
    truth = np.full(len(mover), drove_target)
    deadline = deadlines_ms(detours, scene.link_time_s, rules)
    shares = np.zeros(N_WINDOWS)
    for window in range(N_WINDOWS):
        has_unit = roadside_units(network.n_links, rules.roadside_units, 1, window)
        counts = compare(detours, mover, truth, has_unit, rules, 1, window)
        if window == 0:
            apart = separations(network, detours, np.ascontiguousarray(counts[:, 6]), scene.link_time_s, rules)
            detection, false_conviction = rates_of_conviction(counts, apart, rules)
        found = gather_evidence(detours, mover, counts, apart, truth, scene.link_time_s, deadline, rules, 1, window)
        shares[window] = np.mean(found.verdict == int(Verdict.REJECTED))
    return shares, detection, false_conviction


def standard_error(shares: FloatColumn) -> float:
    """Of the mean over windows, which are independent (the claims of one window share its units)."""
    return float(shares.std(ddof=1)) / math.sqrt(len(shares))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_roadside_detection_is_one_minus_the_chance_of_passing_unread(share: float) -> None:
    """1 - (1 - share * hit rate)^n for n links of the baseline alone, when nothing but a read convicts."""
    rules = ContractRules(roadside_units=share, gps_share=0.0, conviction_odds=1e300)
    shares, detection, _ = rejected_shares(WINDOW, rules, drove_target=False)
    n_links = np.array(
        [len(np.setdiff1d(WINDOW.detours.baseline_of(k), WINDOW.detours.target_of(k))) for k in range(len(detection))]
    )
    np.testing.assert_allclose(detection, 1.0 - (1.0 - share * 0.95) ** n_links, rtol=1e-12)
    assert standard_error(shares) < 0.01
    assert abs(float(shares.mean() - detection.mean())) < 4.0 * standard_error(shares)


def test_with_units_where_they_stand_only_misses_count() -> None:
    """A unit on every link: 1 - (1 - hit rate)^n, and no two claims share their luck, so the error is a binomial's."""
    rules = ContractRules(roadside_units=1.0, hit_rate=0.3, gps_share=0.0, conviction_odds=1e300)
    shares, detection, _ = rejected_shares(WINDOW, rules, drove_target=False)
    error = math.sqrt(float((detection * (1.0 - detection)).mean()) / N_WINDOWS / len(detection))
    assert abs(float(shares.mean() - detection.mean())) < 4.0 * error
    assert 0.3 < detection.mean() < 0.95


@pytest.mark.parametrize("drove_target", [True, False])
def test_rates_with_silence_and_fixes(drove_target: bool) -> None:
    """Weak units, weak fixes and low odds, so that every clause of the rule decides some claims."""
    rules = ContractRules(roadside_units=0.6, hit_rate=0.4, gps_share=0.5, gps_noise_m=400.0, conviction_odds=4.0)
    shares, detection, false_conviction = rejected_shares(WINDOW, rules, drove_target=drove_target)
    probability = false_conviction if drove_target else detection
    assert 0.005 < float(probability.mean()) < 0.97
    assert standard_error(shares) < 0.01
    assert abs(float(shares.mean() - probability.mean())) < 4.0 * standard_error(shares)


def test_the_ratio_of_fixes_is_normal_with_mean_half_its_variance() -> None:
    rules = ContractRules(gps_share=1.0, gps_noise_m=600.0, roadside_units=0.0)
    truth = np.arange(150) % 2 == 0
    has_unit = roadside_units(WINDOW.network.n_links, 0.0, 1, 0)
    counts = compare(WINDOW.detours, WINDOW.contracts.mover, truth, has_unit, rules, 1, 0)
    apart = separations(WINDOW.network, WINDOW.detours, np.ascontiguousarray(counts[:, 6]), WINDOW.link_time_s, rules)
    squared = np.where(truth, apart.on_target, apart.on_baseline)
    deadline = deadlines_ms(WINDOW.detours, WINDOW.link_time_s, rules)
    scores = np.concatenate([
        (found.gps_log_ratio - np.where(truth, squared, -squared) / 2.0)[squared > 0] / np.sqrt(squared[squared > 0])
        for window in range(40)
        for found in [gather_evidence(
            WINDOW.detours, WINDOW.contracts.mover, counts, apart, truth, WINDOW.link_time_s, deadline, rules, 1, window
        )]
    ])  # fmt: skip
    assert len(scores) > 3000
    assert abs(scores.mean()) < 4.5 / math.sqrt(len(scores))
    assert abs(scores.var() - 1.0) < 4.5 * math.sqrt(2.0 / len(scores))


def test_where_nobody_appeals_wrong_rulings_are_those_of_one_panel() -> None:
    """40 % of 50 validators collude, panels of 3, every honest claim challenged: the hypergeometric-binomial error, 0.39."""
    window = made_window(500, 3)
    found = enforce(
        window.contracts, window.detours, np.ones(500, np.bool_), network=window.network, agreed_time_s=window.link_time_s,
        link_time_s=window.link_time_s, rules=ContractRules(appeal_share=0.0, trap_rate=0.0),
        adversaries=Adversaries(griefers=1.0, colluding_validators=0.4), seed=2,
    )  # fmt: skip
    wrong = panel_error_without_replacement(3, 50, 20, 0.95)
    assert found.challenged.all() and (found.votes == 1).all()
    share = float(found.wrong_against_evidence.mean())
    assert abs(share - wrong) < 4.5 * math.sqrt(wrong * (1.0 - wrong) / 500)
