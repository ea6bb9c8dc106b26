"""Travellers from an OD matrix: how many a cell becomes, when they depart, what an hour is worth to them.

Grain: a cell of d vehicles becomes n = max(1, floor(d / grain + 1/2)) travellers (round half up) of weight d / n each, so that
the vehicles of every cell are kept.

Departures are drawn by inverse transform of a uniform number u in [0, 1) over a period T. Uniform: T u. Peak (a triangle that
is highest at T / 2): T sqrt(u / 2) for u <= 1/2, otherwise T (1 - sqrt((1 - u) / 2)). Plateau, with ramps of
r = 1/8 of the period: T sqrt(2 r (1 - r) u) while that is at most T r, the same from the end, and T (u (1 - r) + r / 2) between.
Even: no luck, traveller k of the n of a cell leaves at T (k + 1/2) / n.

Values of time with mean m. Constant: m. Lognormal: exp(mu + sigma z) with z standard normal and mu = ln m - sigma^2 / 2, which
keeps the mean at m. Classes: the class whose share of [0, 1) holds u.

Luck belongs to a traveller, not to a place in a list: every draw is keyed by the traveller's origin, destination and rank in
the cell. A traveller keeps departure and value of time when demand elsewhere changes, or when more travellers join the own
cell.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.demand.population import OdMatrix, Population
from sim.errors import InputError
from sim.rng import uniforms
from sim.spec import Profile, ValueOfTime

MOST_TRAVELLERS: Final = 50_000_000
"""Above this the columns alone take gigabytes; a coarser grain is meant."""

_SMALLEST_UNIFORM: Final = 2.0**-54
_RAMP: Final = 0.125
"""Share of the period in which a plateau rises, and in which it falls."""


def make_population(
    od: OdMatrix, vehicles_per_traveller: float, value_of_time: ValueOfTime, profile: Profile, seed: int
) -> Population:
    """Return the travellers of a matrix, sorted by cell; the same seed gives the same bytes.

    Parameters
    ----------
    od
        Demand; every cell gets at least one traveller.
    vehicles_per_traveller
        The grain, above 0 (below 1 too).
    value_of_time, profile
        Distributions of the value of time and of the departure.
    seed
        Seed of the scenario.

    Raises
    ------
    InputError
        The grain would make more than `MOST_TRAVELLERS` travellers.
    """
    n_travellers = travellers_per_cell(od.demand_vph, vehicles_per_traveller)
    od_start: OffsetColumn = np.zeros(od.n_cells + 1, dtype=np.int64)
    np.cumsum(n_travellers, out=od_start[1:])
    od_idx: IndexColumn = np.repeat(np.arange(od.n_cells, dtype=np.int32), n_travellers)
    weight = np.repeat(od.demand_vph / n_travellers, n_travellers)
    key = traveller_key(od, od_start, od_idx)
    departure_s = departures_s(profile, key, seed, even_shares(od_start, od_idx))
    return Population(od, od_start, od_idx, weight, departure_s, values_of_time(value_of_time, key, seed))


def travellers_per_cell(demand_vph: FloatColumn, vehicles_per_traveller: float) -> NDArray[np.int64]:
    """Return n = max(1, floor(d / grain + 1/2)) for each cell; InputError where that is more than `MOST_TRAVELLERS` in all."""
    rounded = np.maximum(1.0, np.floor(demand_vph / vehicles_per_traveller + 0.5))
    total = float(rounded.sum())
    if total > MOST_TRAVELLERS:
        raise InputError(
            f"{vehicles_per_traveller:g} makes {total:,.9g} travellers of {float(demand_vph.sum()):,.9g} vehicles",
            where="demand.vehicles_per_traveller",
            allowed=f"a grain that makes at most {MOST_TRAVELLERS:,} travellers",
        )
    return rounded.astype(np.int64)


def traveller_key(od: OdMatrix, od_start: OffsetColumn, od_idx: IndexColumn) -> NDArray[np.uint64]:
    """Return the number that names each traveller in every draw: (origin, destination, rank in the cell), shape (n_travellers,).

    Unique below 65,536 zones; zones beyond that would share luck, nothing else.
    """
    pair = od.origin_zone_idx.astype(np.uint64) * np.uint64(len(od.zone_id)) + od.destination_zone_idx.astype(np.uint64)
    rank = np.arange(len(od_idx), dtype=np.int64) - od_start[od_idx]
    return (pair[od_idx] << np.uint64(32)) + rank.astype(np.uint64)


def even_shares(od_start: OffsetColumn, od_idx: IndexColumn) -> FloatColumn:
    """Return (k + 1/2) / n for traveller k of the n of each cell."""
    rank = np.arange(len(od_idx), dtype=np.int64) - od_start[od_idx]
    return np.asarray((rank + 0.5) / np.diff(od_start)[od_idx])


def departures_s(profile: Profile, key: NDArray[np.uint64], seed: int, even: FloatColumn) -> FloatColumn:
    """Return a departure for each key of `traveller_key`, seconds after the start of the profile's period.

    Parameters
    ----------
    even
        `even_shares` of the same travellers.
    """
    if profile.shape == "even":
        return even * profile.period_s
    uniform = uniforms(seed, "departure", key)
    if profile.shape == "uniform":
        return uniform * profile.period_s
    if profile.shape == "plateau":
        return _plateau(uniform) * profile.period_s
    rising = np.sqrt(uniform / 2)
    falling = 1 - np.sqrt((1 - uniform) / 2)
    return np.asarray(np.where(uniform <= 0.5, rising, falling) * profile.period_s)


def _plateau(uniform: FloatColumn) -> FloatColumn:
    """Return shares of the period, by inverse transform of the trapezoid."""
    on_ramp = _RAMP / (2 * (1 - _RAMP))
    rising = np.sqrt(2 * _RAMP * (1 - _RAMP) * uniform)
    falling = 1 - np.sqrt(2 * _RAMP * (1 - _RAMP) * (1 - uniform))
    level = uniform * (1 - _RAMP) + _RAMP / 2
    return np.asarray(np.where(uniform < on_ramp, rising, np.where(uniform > 1 - on_ramp, falling, level)))


def values_of_time(value_of_time: ValueOfTime, key: NDArray[np.uint64], seed: int) -> FloatColumn:
    """Return a value of time for each key of `traveller_key`, credits an hour."""
    if value_of_time.distribution == "constant":
        return np.full(len(key), value_of_time.mean_per_h)
    uniform = uniforms(seed, "value_of_time", key)
    if value_of_time.distribution == "lognormal":
        mu = np.log(value_of_time.mean_per_h) - value_of_time.sigma**2 / 2
        # The normal quantile of 0 is minus infinity; half a step above it stands for it.
        return np.asarray(np.exp(mu + value_of_time.sigma * ndtri(np.maximum(uniform, _SMALLEST_UNIFORM))))
    names = list(value_of_time.classes)
    value = np.array([value_of_time.classes[name] for name in names])
    bound = np.cumsum([value_of_time.shares[name] for name in names])
    return np.asarray(value[np.searchsorted(bound[:-1], uniform * bound[-1], side="right")])
