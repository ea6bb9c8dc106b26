r"""The doubly constrained gravity model.

    T_ij = a_i b_j P_i A_j f(c_ij),   f(c) = exp(-c / deterrence_km),   T_ii = 0,   sum_j T_ij = P_i,   sum_i T_ij = A_j

A. G. Wilson (1967), "A statistical theory of spatial trip distribution models", Transportation Research 1. The balancing
factors come from Furness's iteration (1965), also called iterative proportional fitting: rows and columns are scaled in turn.
It stops when the columns are exact and no row is off by more than `tolerance` of its production; when the rows stop getting
better or the iterations run out it says so.

c_ij is the length of the shortest way through the network (not the distance as the crow flies): bays, rivers and motorways
without crossings decide who meets whom. Subtracting a number from a whole row or column of c changes a_i or b_j and nothing
else, so each row and column of c is shifted to a least entry of 0: exp then cannot underflow to a row of zeros where
deterrence_km is short.

Without trips inside zones, a solution with no empty cell exists exactly where P_i + A_i < total for every zone of three or more
(P_i + A_i = total of two): zone i's origins and destinations have to find partners outside. `feasible_attractions` lowers the
one attraction that can stand in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from sim.arrays import FloatColumn
from sim.network.road_network import RoadNetwork
from sim.units import METRES_PER_KILOMETRE

BALANCE_TOLERANCE: Final = 1e-10
MOST_ITERATIONS: Final = 20_000
LARGEST_ZONE_SHARE: Final = 0.95
"""Most of P_i + A_i, as a share of the total, that `feasible_attractions` leaves to a zone of three or more."""

_ROUNDS_BETWEEN_CHECKS: Final = 200
_LEAST_PROGRESS: Final = 0.99
_DISTANCES_AT_ONCE: Final = 5_000_000


@dataclass(frozen=True, eq=False)
class GravityResult:
    """Trips of a gravity model and how well they are balanced.

    Attributes
    ----------
    trips
        T_ij, shape (n_zones, n_zones), zero on the diagonal.
    iterations
        Rounds of row and column scaling.
    residual
        Largest ``|sum_j T_ij - P_i| / P_i`` over zones with P_i > 0; the columns are exact up to rounding.
    balanced
        Whether the residual is within the tolerance.
    stopped_because
        "balanced", "too many iterations", "the rows stopped getting better", or which zone has no way to any other.
    """

    trips: NDArray[np.float64]
    iterations: int
    residual: float
    balanced: bool
    stopped_because: str


def furness(
    production: FloatColumn,
    attraction: FloatColumn,
    distance_km: NDArray[np.float64],
    deterrence_km: float,
    *,
    tolerance: float = BALANCE_TOLERANCE,
    most_iterations: int = MOST_ITERATIONS,
) -> GravityResult:
    """Return the trips of the doubly constrained gravity model (module docstring).

    Parameters
    ----------
    production, attraction
        P_i and A_j, 0 or above, shape (n_zones,). The attractions are scaled to the total of the productions.
    distance_km
        c_ij, 0 or above, inf where there is no way; shape (n_zones, n_zones). The diagonal is not looked at.
    deterrence_km
        Length at which the willingness to travel has fallen to 1/e, above 0; inf for no deterrence.
    tolerance
        Largest relative error of a row.
    most_iterations
        Bound on the rounds, at least 1.
    """
    attraction = attraction * (production.sum() / attraction.sum())
    willing = _willingness(distance_km, deterrence_km)
    for name, size, reach in (("origin", production, willing.sum(axis=1)), ("destination", attraction, willing.sum(axis=0))):
        cut_off = np.flatnonzero((size > 0) & (reach == 0))
        if len(cut_off):
            return GravityResult(
                np.zeros_like(willing), 0, 1.0, False, f"{name} zone at position {cut_off[0]} has no way to any other zone"
            )
    column_factor: FloatColumn = np.ones(len(production))
    reach = willing @ column_factor
    residual, earlier, iterations, stopped_because = np.inf, np.inf, 0, "too many iterations"
    while iterations < most_iterations:
        row_factor = _quotient(production, reach)
        column_factor = _quotient(attraction, row_factor @ willing)
        reach = willing @ column_factor
        residual = float(np.abs(_quotient(row_factor * reach - production, production)).max())
        iterations += 1
        if residual <= tolerance:
            stopped_because = "balanced"
            break
        if iterations % _ROUNDS_BETWEEN_CHECKS == 0:
            if residual > _LEAST_PROGRESS * earlier:
                stopped_because = "the rows stopped getting better"
                break
            earlier = residual
    trips = row_factor[:, None] * willing * column_factor
    return GravityResult(trips, iterations, residual, residual <= tolerance, stopped_because)


def feasible_attractions(production: FloatColumn, attraction: FloatColumn) -> FloatColumn:
    """Return attractions, scaled to the total of the productions, with which trips between different zones can be balanced.

    At most one zone can have P_i + A_i >= total (the sums of all zones add up to twice the total). Its attraction is lowered
    until P_i + A_i is `LARGEST_ZONE_SHARE` of the total (of two zones: exactly the total, so each zone's trips end in the
    other), the others' grow in proportion. That is repeated where another zone then stands in the way. A production of more
    than `LARGEST_ZONE_SHARE` cannot be mended and is left as it is.
    """
    total = float(production.sum())
    fitted: FloatColumn = attraction * (total / attraction.sum())
    if len(production) == 2:
        return production[::-1].copy()
    most = LARGEST_ZONE_SHARE * total
    capped = np.zeros(len(production), dtype=np.bool_)
    while True:
        over = (production + fitted > most) & ~capped & (production < most)
        if not over.any():
            return fitted
        capped |= over
        fitted[capped] = most - production[capped]
        others = ~capped
        if fitted[others].sum() > 0:
            fitted[others] *= (total - fitted[capped].sum()) / fitted[others].sum()


def zone_distances_km(network: RoadNetwork) -> NDArray[np.float64]:
    """Return the shortest lengths between the network's zones in kilometres, shape (n_zones, n_zones); inf where there is no way.

    A zone that may not be passed through gets a second node that holds its outgoing links: paths start there and end at the
    first, so none passes.
    """
    n_nodes, zone_node_idx = network.n_nodes, network.zone_node_idx
    start_idx = np.arange(n_nodes)
    closed_idx = np.flatnonzero(~network.node_passable)
    start_idx[closed_idx] = n_nodes + np.arange(len(closed_idx))
    n_all = n_nodes + len(closed_idx)
    tail = start_idx[network.tail_idx]
    # Of links with the same ends the shortest counts (a sparse matrix would add them up).
    order = np.lexsort((network.length_m, network.head_idx, tail))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(tail[order]) != 0) | (np.diff(network.head_idx[order]) != 0)
    kept = order[first]
    graph = csr_array((network.length_m[kept], (tail[kept], network.head_idx[kept])), shape=(n_all, n_all))
    block = max(1, _DISTANCES_AT_ONCE // n_all)
    rows = []
    for begin in range(0, network.n_zones, block):
        from_idx = start_idx[zone_node_idx[begin : begin + block]]
        rows.append(dijkstra(graph, indices=from_idx)[:, zone_node_idx])
    distance_km = np.concatenate(rows) / METRES_PER_KILOMETRE
    np.fill_diagonal(distance_km, 0.0)
    return np.asarray(distance_km)


def _willingness(distance_km: NDArray[np.float64], deterrence_km: float) -> NDArray[np.float64]:
    cost = distance_km / deterrence_km if np.isfinite(deterrence_km) else np.where(np.isfinite(distance_km), 0.0, np.inf)
    np.fill_diagonal(cost, np.inf)
    for axis in (1, 0):
        least = cost.min(axis=axis, keepdims=True)
        cost = cost - np.where(np.isfinite(least), least, 0.0)
    return np.asarray(np.exp(-cost))


def _quotient(numerator: FloatColumn, denominator: FloatColumn) -> FloatColumn:
    """Return numerator / denominator, and 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
