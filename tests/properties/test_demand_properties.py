"""What holds for every demand: rounding bounds, balance, the vehicles of every cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.demand.gravity import feasible_attractions, furness
from sim.demand.population import OdMatrix
from sim.demand.travellers import make_population
from sim.demand.whole_trips import round_to_whole
from sim.demand.zoning import split_evenly
from sim.spec import Profile, ValueOfTime

SEEDS = st.integers(0, 2**32 - 1)


def random_matrix(generator: np.random.Generator, n_zones: int, empty_share: float, spread: float) -> np.ndarray:
    demand = generator.lognormal(0.0, spread, (n_zones, n_zones)) * (generator.random((n_zones, n_zones)) >= empty_share)
    np.fill_diagonal(demand, 0.0)
    demand[0, 1] += 0.5
    return demand


def square(od: OdMatrix) -> np.ndarray:
    result = np.zeros((len(od.zone_id), len(od.zone_id)))
    result[od.origin_zone_idx, od.destination_zone_idx] = od.demand_vph
    return result


def matrix(demand: np.ndarray) -> OdMatrix:
    origin, destination = np.nonzero(demand)
    return OdMatrix(np.arange(len(demand)), origin.astype(np.int32), destination.astype(np.int32), demand[origin, destination])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=SEEDS, n_zones=st.integers(2, 25), empty_share=st.floats(0, 0.95), spread=st.floats(0, 4), total=st.integers(1, 5000))
def test_whole_trips_keep_every_bound(seed: int, n_zones: int, empty_share: float, spread: float, total: int) -> None:
    real = random_matrix(np.random.default_rng(seed), n_zones, empty_share, spread)
    whole = square(round_to_whole(matrix(real), total, seed))
    real *= total / real.sum()
    slack = 1e-9 * (1 + total)
    assert np.all(whole == np.rint(whole)) and np.all(whole >= 0)
    assert whole.sum() == total
    assert np.all(whole[real == 0] == 0)
    for got, wanted in ((whole, real), (whole.sum(axis=0), real.sum(axis=0)), (whole.sum(axis=1), real.sum(axis=1))):
        assert np.all(got >= np.floor(wanted - slack)) and np.all(got <= np.ceil(wanted + slack))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=SEEDS, n_zones=st.integers(3, 20), deterrence_km=st.floats(0.5, 1000), spread=st.floats(0, 1.5))
def test_gravity_is_balanced(seed: int, n_zones: int, deterrence_km: float, spread: float) -> None:
    generator = np.random.default_rng(seed)
    production, attraction = generator.lognormal(0, spread, (2, n_zones))
    production = np.minimum(production, 0.4 * production.sum())
    fitted = feasible_attractions(production, attraction)
    assert fitted.sum() == pytest.approx(production.sum(), rel=1e-9)
    assert np.all(fitted >= 0) and np.all(production + fitted <= 0.9500001 * production.sum())
    places_km = generator.random((n_zones, 2)) * 20
    distance_km = np.hypot(*(places_km[:, None, :] - places_km[None, :, :]).transpose(2, 0, 1))
    result = furness(production, fitted, distance_km, deterrence_km)
    assert result.residual == pytest.approx(np.max(np.abs(result.trips.sum(axis=1) - production) / production), abs=1e-12)
    if result.balanced:
        np.testing.assert_allclose(result.trips.sum(axis=1), production, rtol=1.1e-10)
        np.testing.assert_allclose(result.trips.sum(axis=0), fitted, rtol=1e-9)
    else:
        # Only a deterrence that is short against the distances leaves zones that hardly meet.
        assert deterrence_km < 3 and result.stopped_because != "balanced"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    demand=st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=20),
    grain=st.floats(0.05, 500),
    distribution=st.sampled_from(["constant", "lognormal"]),
    shape=st.sampled_from(["uniform", "peak", "plateau", "even"]),
    seed=SEEDS,
)
def test_travellers_carry_the_demand(demand: list[float], grain: float, distribution: str, shape: str, seed: int) -> None:
    grain = max(grain, sum(demand) / 20_000)
    n = len(demand)
    od = OdMatrix(np.arange(n + 1), np.arange(n, dtype=np.int32), np.arange(1, n + 1, dtype=np.int32), np.array(demand))
    value_of_time = ValueOfTime.model_validate({"distribution": distribution})
    population = make_population(od, grain, value_of_time, Profile.model_validate({"shape": shape}), seed)
    np.testing.assert_allclose(np.bincount(population.od_idx, weights=population.weight), demand, rtol=1e-9)
    count = np.diff(population.od_start)
    assert np.all(count >= 1)
    assert np.all(np.abs(count - np.array(demand) / grain)[count > 1] <= 0.5 + 1e-9)
    assert np.all((population.departure_s >= 0) & (population.departure_s < 3600))
    assert np.all(population.vot_per_h > 0) and np.all(np.isfinite(population.vot_per_h))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=SEEDS, n_points=st.integers(1, 80), data=st.data())
def test_parts_share_the_weight(seed: int, n_points: int, data: st.DataObject) -> None:
    generator = np.random.default_rng(seed)
    x_m, y_m = np.round(generator.random((2, n_points)) * 5) * 100
    weight = generator.random(n_points) * (generator.random(n_points) < 0.7)
    weight[0] = 1.0
    n_parts = data.draw(st.integers(1, int(np.count_nonzero(weight))))
    part = split_evenly(x_m, y_m, weight, n_parts)
    share = np.bincount(part, weights=weight, minlength=n_parts)
    assert len(share) == n_parts and np.all(share > 0)
    # Each of at most ceil(log2 n) cuts misses by half a point, unless points run out (fewer than four a part).
    if np.count_nonzero(weight) >= 4 * n_parts and weight.min(where=weight > 0, initial=1.0) > 0.5:
        assert share.max() - share.min() <= 2 * weight.max() * np.ceil(np.log2(max(n_parts, 2)))
