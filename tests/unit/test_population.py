"""Travellers as columns: the grain, departures, values of time, and luck that stays with its owner."""

from __future__ import annotations

import numpy as np
import pytest

from sim.demand.population import OdMatrix
from sim.demand.travellers import MOST_TRAVELLERS, make_population, travellers_per_cell
from sim.errors import InputError
from sim.spec import Profile, ValueOfTime

HOUR = Profile()
CONSTANT = ValueOfTime()


def matrix(cells: dict[tuple[int, int], float], n_zones: int = 4) -> OdMatrix:
    pairs = sorted(cells)
    origin, destination = (np.array([pair[side] for pair in pairs], dtype=np.int32) for side in (0, 1))
    return OdMatrix(np.arange(n_zones), origin, destination, np.array([cells[pair] for pair in pairs]))


@pytest.mark.parametrize(
    ("demand", "grain", "expected"),
    [
        (0.2, 1.0, 1),
        (1.49, 1.0, 1),
        (1.5, 1.0, 2),
        (2.5, 1.0, 3),
        (250.0, 100.0, 3),
        (49.0, 100.0, 1),
        (1.0, 0.25, 4),
        (5.0, 1e9, 1),
    ],
)
def test_grain_rounds_half_up_and_never_to_nobody(demand: float, grain: float, expected: int) -> None:
    assert travellers_per_cell(np.array([demand]), grain).tolist() == [expected]


def test_travellers_are_sorted_by_cell_and_keep_the_vehicles() -> None:
    od = matrix({(0, 1): 2.6, (0, 2): 0.3, (3, 0): 5.0})
    population = make_population(od, 1.0, CONSTANT, HOUR, 1)
    assert population.od_start.tolist() == [0, 3, 4, 9]
    assert population.od_idx.tolist() == [0] * 3 + [1] + [2] * 5
    np.testing.assert_allclose(population.weight, [2.6 / 3] * 3 + [0.3] + [1.0] * 5, rtol=1e-15)
    assert population.origin_zone_idx.tolist() == [0] * 4 + [3] * 5
    assert population.vot_per_h.tolist() == [3600.0] * 9


def test_too_many_travellers_are_refused_before_they_are_made() -> None:
    with pytest.raises(InputError, match=r"demand\.vehicles_per_traveller"):
        make_population(matrix({(0, 1): 1.0}), 0.5 / MOST_TRAVELLERS, CONSTANT, HOUR, 1)


def test_same_seed_same_bytes_other_seed_other_luck() -> None:
    od = matrix({(0, 1): 400.0, (2, 1): 300.0})
    lognormal = ValueOfTime(distribution="lognormal", mean_per_h=12.0)
    first, again, other = (make_population(od, 1.0, lognormal, HOUR, seed) for seed in (5, 5, 6))
    for name in ("departure_s", "vot_per_h", "weight", "od_idx", "od_start"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert not np.any(first.departure_s == other.departure_s)
    # Departure and value of time are drawn apart.
    assert abs(np.corrcoef(first.departure_s, first.vot_per_h)[0, 1]) < 0.15


def test_luck_stays_with_the_traveller_when_others_come_and_go() -> None:
    lognormal = ValueOfTime(distribution="lognormal")
    alone = make_population(matrix({(2, 1): 3.0}), 1.0, lognormal, HOUR, 5)
    crowd = make_population(matrix({(0, 1): 7.0, (2, 1): 9.0, (3, 0): 2.0}), 1.0, lognormal, HOUR, 5)
    start = crowd.od_start[1]
    assert crowd.departure_s[start : start + 3].tolist() == alone.departure_s.tolist()
    assert crowd.vot_per_h[start : start + 3].tolist() == alone.vot_per_h.tolist()


def largest_distance(sample: np.ndarray, cdf: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of a sorted sample from its distribution."""
    rank = np.arange(len(sample))
    return float(max(np.max(cdf - rank / len(sample)), np.max((rank + 1) / len(sample) - cdf)))


def test_departures_follow_the_profile() -> None:
    n, period_s = 40_000, 1800.0
    od = matrix({(0, 1): float(n)})
    bound = 1.95 / np.sqrt(n)  # Kolmogorov-Smirnov, 0.1 % level
    uniform = np.sort(make_population(od, 1.0, CONSTANT, Profile(period_s=period_s), 1).departure_s)
    assert uniform[0] >= 0 and uniform[-1] < period_s
    assert largest_distance(uniform, uniform / period_s) < bound
    peak = np.sort(make_population(od, 1.0, CONSTANT, Profile(shape="peak", period_s=period_s), 1).departure_s)
    assert peak[0] >= 0 and peak[-1] < period_s
    share = peak / period_s
    assert largest_distance(peak, np.where(share <= 0.5, 2 * share**2, 1 - 2 * (1 - share) ** 2)) < bound
    plateau = np.sort(make_population(od, 1.0, CONSTANT, Profile(shape="plateau", period_s=period_s), 1).departure_s)
    assert plateau[0] >= 0 and plateau[-1] < period_s
    share = plateau / period_s
    level = (share - 1 / 16) * 8 / 7
    ends = np.where(share < 0.5, share**2 * 32 / 7, 1 - (1 - share) ** 2 * 32 / 7)
    assert largest_distance(plateau, np.where(np.abs(share - 0.5) < 3 / 8, level, ends)) < bound
    even = make_population(od, 1.0, CONSTANT, Profile(shape="even", period_s=period_s), 1).departure_s
    assert np.allclose(np.diff(even), period_s / len(even))
    assert even[0] == pytest.approx(period_s / len(even) / 2)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 0.6, 1.0])
def test_lognormal_keeps_the_mean(sigma: float) -> None:
    value_of_time = ValueOfTime(distribution="lognormal", mean_per_h=15.0, sigma=sigma)
    n = 200_000
    vot = make_population(matrix({(0, 1): float(n)}), 1.0, value_of_time, HOUR, 2).vot_per_h
    # Standard deviation of a lognormal over its mean: sqrt(exp(sigma^2) - 1).
    assert vot.mean() == pytest.approx(15.0, abs=4 * 15.0 * np.sqrt(np.expm1(sigma**2) / n) + 1e-9)
    assert np.log(vot).std() == pytest.approx(sigma, abs=0.01)
    assert np.all(vot > 0) and np.all(np.isfinite(vot))


def test_classes_have_their_shares() -> None:
    value_of_time = ValueOfTime(
        distribution="classes", classes={"low": 5.0, "high": 20.0, "van": 40.0}, shares={"low": 3.0, "high": 1.0, "van": 1.0}
    )
    n = 50_000
    vot = make_population(matrix({(0, 1): float(n)}), 1.0, value_of_time, HOUR, 2).vot_per_h
    for value, share in ((5.0, 0.6), (20.0, 0.2), (40.0, 0.2)):
        assert np.mean(vot == value) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / n))
    assert set(vot.tolist()) == {5.0, 20.0, 40.0}


def test_a_million_travellers() -> None:
    n_zones = 100
    origin, destination = np.nonzero(~np.eye(n_zones, dtype=bool))
    od = OdMatrix(
        np.arange(n_zones), origin.astype(np.int32), destination.astype(np.int32), np.full(len(origin), 1e6 / len(origin))
    )
    value_of_time = ValueOfTime(distribution="lognormal")
    make_population(od, 100.0, value_of_time, HOUR, 1)
    population = make_population(od, 1.0, value_of_time, Profile(shape="peak"), 1)
    assert population.n_travellers == pytest.approx(1e6, rel=0.01)
    assert population.weight.sum() == pytest.approx(1e6, rel=1e-12)
