"""Kernels of evidence beside their slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from reference import route_evidence as slow
from reference.settlement_windows import made_window

from contracts_model import Verdict
from sim.kernels.evidence import conviction_rates, squared_separations
from sim.network.road_network import RoadNetwork
from sim.settlement.evidence import (
    compare,
    followed_verdicts,
    rates_of_conviction,
    roadside_units,
    separations,
    shapes_m,
    silence_weight,
    would_read,
)
from sim.spec import ContractRules

WINDOW = made_window(40)


@pytest.mark.parametrize("drove", [True, False])
def test_counts_equal_the_twin(drove: bool) -> None:
    rules = ContractRules(roadside_units=0.4, hit_rate=0.6)
    detours, n_links = WINDOW.detours, WINDOW.network.n_links
    has_unit = roadside_units(n_links, rules.roadside_units, 3, 0)
    truth = np.full(detours.n_contracts, drove)
    found = compare(detours, WINDOW.contracts.mover, truth, has_unit, rules, 3, 0)
    units = set(np.flatnonzero(has_unit).tolist())
    for k in range(detours.n_contracts):
        everywhere = np.arange(n_links, dtype=np.int32)
        hits = would_read(WINDOW.contracts.mover[[k]], np.array([0, n_links]), everywhere, n_links, rules.hit_rate, 3, 0)
        read = set(np.flatnonzero(hits).tolist())
        baseline, target = detours.baseline_of(k).tolist(), detours.target_of(k).tolist()
        assert tuple(found[k].tolist()) == slow.counts(baseline, target, units, read, drove)
    assert found[:, 4].any() == drove and found[:, 5].any() != drove


def test_separations_equal_the_twin() -> None:
    """On a grid of straight streets, below the cap: the twin measures distances on 401 points of every segment."""
    network, detours = WINDOW.network, WINDOW.detours
    start, points = shapes_m(network) or pytest.fail("the grid has coordinates")
    np.testing.assert_allclose(points, WINDOW.network.all_link_points()[0], rtol=1e-12)
    found = np.empty(3)
    period_s, noise_m = 7.0, 400.0
    cut = slice(0, 4)
    squared_separations(
        detours.target_start[cut], detours.target_link, detours.baseline_start[cut], detours.baseline_link,
        WINDOW.link_time_s[detours.target_link], start, points, period_s, noise_m, 1e9, found,
    )  # fmt: skip
    shape = {a: [tuple(p) for p in points[start[a] : start[a + 1]].tolist()] for a in range(network.n_links)}
    times = dict(enumerate(WINDOW.link_time_s.tolist()))
    wanted = [
        slow.separation(detours.target_of(k).tolist(), detours.baseline_of(k).tolist(), shape, times, period_s, noise_m)
        for k in range(3)
    ]
    assert min(wanted) > 0.0
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_without_coordinates_lengths_tell_the_routes_apart() -> None:
    """Two sides of one block, 600 m each, at 20 s a link and a fix every 10 s: 4 fixes, widest 300 m, mean square 30,000 m2."""
    network: RoadNetwork = WINDOW.network.replace(node_x=np.full(WINDOW.network.n_nodes, np.nan))
    by_ends = {ends: link for link, ends in enumerate(zip(network.tail_idx.tolist(), network.head_idx.tolist(), strict=True))}
    target, baseline = [by_ends[0, 1], by_ends[1, 13]], [by_ends[0, 12], by_ends[12, 13]]
    detours = type(WINDOW.detours)(
        np.array([0, 2]), np.array(baseline, np.int32), np.array([0, 2]), np.array(target, np.int32), np.zeros(1), np.ones(1)
    )
    found = separations(network, detours, np.array([1], np.int32), np.full(network.n_links, 20.0), ContractRules(gps_noise_m=100))
    assert found.on_target[0] == pytest.approx(4 * 300.0**2 / 3 / 100.0**2)
    assert found.on_baseline[0] == pytest.approx(found.on_target[0])


@pytest.mark.parametrize(("units", "hit", "gps", "odds"), [(0.3, 0.95, 0.5, 1e6), (0.7, 0.4, 1.0, 50.0), (0.2, 0.8, 0.0, 1e3)])
def test_rates_of_conviction_equal_the_sum_over_all_cases(units: float, hit: float, gps: float, odds: float) -> None:
    rng = np.random.default_rng(2)
    target, baseline = rng.integers(0, 9, (2, 60)).astype(np.int32)
    squared = np.where(rng.random((2, 60)) < 0.3, 0.0, rng.uniform(0.1, 40.0, (2, 60)))
    detection, false_conviction = np.empty(60), np.empty(60)
    weight = silence_weight(ContractRules(hit_rate=hit))
    conviction_rates(
        np.lexsort((baseline, target)), target, baseline, squared[0], squared[1], units, hit, gps, weight, np.log(odds),
        detection, false_conviction,
    )  # fmt: skip
    for k in range(60):
        d = slow.conviction(int(baseline[k]), int(target[k]), squared[1, k], units, hit, gps, odds, drove_target=False)
        f = slow.conviction(int(target[k]), int(baseline[k]), squared[0, k], units, hit, gps, odds, drove_target=True)
        assert detection[k] == pytest.approx(d, abs=1e-12)
        assert false_conviction[k] == pytest.approx(f, abs=1e-12)


def test_a_unit_that_never_misses_gives_finite_rates() -> None:
    rules = ContractRules(hit_rate=1.0, roadside_units=1.0)
    counts = np.array([[3, 2, 3, 2, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]], np.int32)
    both = separations(WINDOW.network, WINDOW.detours, np.ones(40, np.int32), WINDOW.link_time_s, rules)
    detection, false_conviction = rates_of_conviction(counts, type(both)(np.zeros(2), np.zeros(2)), rules)
    np.testing.assert_array_equal(detection, [1.0, 0.0])
    np.testing.assert_array_equal(false_conviction, [0.0, 0.0])


def test_the_rule_equals_its_clauses() -> None:
    rules = ContractRules(hit_rate=0.9, conviction_odds=100.0)
    rng = np.random.default_rng(4)
    units = rng.integers(0, 6, (2, 400)).astype(np.int32)
    reads = np.minimum(rng.integers(0, 3, (2, 400)) * (rng.random((2, 400)) < 0.4), units).astype(np.int32)
    ratio, chain = rng.normal(0.0, 8.0, 400), rng.random(400) < 0.5
    found = followed_verdicts(units[0], units[1], reads[0], reads[1], ratio, chain, rules)
    pairs = [[(int(column[0, k]), int(column[1, k])) for k in range(400)] for column in (units, reads)]
    wanted = [
        slow.followed(of_units, of_reads, float(ratio[k]), bool(chain[k]), 0.9, 100.0)
        for k, (of_units, of_reads) in enumerate(zip(*pairs, strict=True))
    ]
    assert [Verdict(int(v)).name.lower() for v in found] == wanted
    assert set(wanted) == {"accepted", "rejected", "not_final"}
