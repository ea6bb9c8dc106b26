"""Cooperative games among a few players, some of them alike: Shapley value and least core.

A game has kinds of players, `sizes[t]` of kind t, and a worth v(c) of a coalition with c[t] players of each kind; v(0) = 0. A
coalition may let members stand by, so it is worth at least what any part of it is: v is replaced by its monotone cover max
{v(d): d <= c}. Then every marginal contribution is at least 0, and so is every Shapley value.

Shapley value (1953) of a player of kind t: the mean of v(c + e_t) - v(c) over all orders in which the players can come,

    sum over c with c_t < n_t of  prod_s C(n_s - [s = t], c_s) |c|! (n - |c| - 1)! / n!  (v(c + e_t) - v(c)).

Least core (Maschler, Peleg and Shapley 1979): payoffs x >= 0 with sum v(N) that make the largest excess max {v(c) - x(c)} over
the proper coalitions as small as possible. Payoffs below 0 are excluded, and among the payoffs left the most equal ones are
taken: the largest is as small as possible. Alike players get alike, which loses nothing: the mean of a solution over their
permutations is one too.

Up to `MOST_COALITIONS` coalitions (ten different players, or many more alike ones) both are exact. Beyond, coalitions are
sampled: those that grow along `N_ORDERS` random orders and their reverses. The Shapley value is then the mean over these
orders; the least core heeds the sampled coalitions alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final

import numpy as np
from scipy.optimize import linprog

from sim.arrays import FloatColumn

MOST_COALITIONS: Final = 1024
N_ORDERS: Final = 32
Counts = tuple[int, ...]
Worth = Callable[[Counts], float]
_SLACK = 1e-9


def shapley_values(sizes: Sequence[int], worth: Worth, rng: np.random.Generator) -> FloatColumn:
    """Return the Shapley value of a player of each kind, at least 0; they add up to the worth of all (with `sizes` as weights).

    Parameters
    ----------
    sizes
        Players of each kind, at least 1 each.
    worth
        Worth of a coalition; asked at most once for each.
    rng
        Draws the orders where there are too many coalitions.
    """
    if not _is_small(sizes):
        return _sampled_shapley(sizes, _walk(sizes, worth, rng))
    cover = _cover(sizes, worth)
    n_players = sum(sizes)
    value = np.zeros(len(sizes))
    for kind, size in enumerate(sizes):
        for counts, low in cover.items():
            if counts[kind] < size:
                others = math.prod(math.comb(n - (s == kind), c) for s, (n, c) in enumerate(zip(sizes, counts, strict=True)))
                orders = n_players * math.comb(n_players - 1, sum(counts))
                value[kind] += others / orders * (cover[_with(counts, kind)] - low)
    return value


def least_core(sizes: Sequence[int], worth: Worth, rng: np.random.Generator) -> FloatColumn:
    """Return the least-core payoff of a player of each kind; parameters as for `shapley_values`.

    Raises
    ------
    RuntimeError
        The linear program was not solved, which it always can be.
    """
    if len(sizes) == 1:
        # Alike players share alike.
        return shapley_values(sizes, worth, rng)
    known = _cover(sizes, worth) if _is_small(sizes) else _best_seen(_walk(sizes, worth, rng))
    total = known[tuple(sizes)]
    proper = [counts for counts in known if 0 < sum(counts) < sum(sizes)]
    # Variables: payoffs by kind, then the largest excess, then the largest payoff.
    count = np.array(proper, np.float64)
    excess_rows = np.column_stack([-count, -np.ones(len(proper)), np.zeros(len(proper))])
    excess_bound = -np.array([known[counts] for counts in proper])
    largest_rows = np.column_stack([np.eye(len(sizes)), np.zeros(len(sizes)), -np.ones(len(sizes))])
    sum_row = np.array([[*map(float, sizes), 0.0, 0.0]])
    bounds: list[tuple[float | None, float | None]] = [*[(0.0, None)] * len(sizes), (None, None), (0.0, None)]
    rows, right = np.vstack([excess_rows, largest_rows]), np.concatenate([excess_bound, np.zeros(len(sizes))])
    excess = _solve([0.0] * len(sizes) + [1.0, 0.0], rows, right, sum_row, total, bounds)[-2]
    bounds[-2] = (None, excess + _SLACK * max(abs(excess), total))
    payoff = _solve([0.0] * len(sizes) + [0.0, 1.0], rows, right, sum_row, total, bounds)[: len(sizes)]
    return np.asarray(np.maximum(payoff, 0.0))


def _solve(
    cost: list[float],
    rows: FloatColumn,
    right: FloatColumn,
    sum_row: FloatColumn,
    total: float,
    bounds: list[tuple[float | None, float | None]],
) -> FloatColumn:
    found = linprog(cost, A_ub=rows, b_ub=right, A_eq=sum_row, b_eq=[total], bounds=bounds, method="highs")
    if found.status != 0:
        raise RuntimeError(f"the linear program of the least core was not solved: {found.message}")
    return np.asarray(found.x, np.float64)


def _is_small(sizes: Sequence[int]) -> bool:
    return math.prod(size + 1 for size in sizes) <= MOST_COALITIONS


def _with(counts: Counts, kind: int) -> Counts:
    return (*counts[:kind], counts[kind] + 1, *counts[kind + 1 :])


def _without(counts: Counts, kind: int) -> Counts:
    return (*counts[:kind], counts[kind] - 1, *counts[kind + 1 :])


def _cover(sizes: Sequence[int], worth: Worth) -> dict[Counts, float]:
    """Return the monotone cover of every coalition, the smaller before the larger."""
    cover: dict[Counts, float] = {}
    for counts in product(*(range(size + 1) for size in sizes)):
        parts = [cover[_without(counts, kind)] for kind, count in enumerate(counts) if count]
        cover[counts] = max(worth(counts), *parts) if parts else 0.0
    return cover


def _walk(sizes: Sequence[int], worth: Worth, rng: np.random.Generator) -> list[list[tuple[Counts, float]]]:
    """Return, for each sampled order of the players, the coalitions that grow along it with the best worth so far."""
    players = np.repeat(np.arange(len(sizes)), sizes)
    everybody = tuple(sizes)
    known = {(0,) * len(sizes): 0.0, everybody: worth(everybody)}
    walks = []
    for _ in range(N_ORDERS):
        order = rng.permutation(players)
        for kinds in (order, order[::-1]):
            counts, best, walk = (0,) * len(sizes), 0.0, []
            for kind in kinds.tolist():
                counts = _with(counts, kind)
                if counts not in known:
                    known[counts] = worth(counts)
                best = max(best, known[counts])
                walk.append((counts, best))
            walks.append(walk)
    # All must be worth the same at the end of every walk, the best that any part reached.
    total = max(walk[-1][1] for walk in walks)
    for walk in walks:
        walk[-1] = (everybody, total)
    return walks


def _best_seen(walks: list[list[tuple[Counts, float]]]) -> dict[Counts, float]:
    best: dict[Counts, float] = {}
    for walk in walks:
        for counts, worth in walk:
            best[counts] = max(worth, best.get(counts, 0.0))
    return best


def _sampled_shapley(sizes: Sequence[int], walks: list[list[tuple[Counts, float]]]) -> FloatColumn:
    value = np.zeros(len(sizes))
    for walk in walks:
        before, low = (0,) * len(sizes), 0.0
        for counts, high in walk:
            kind = next(kind for kind, count in enumerate(counts) if count > before[kind])
            value[kind] += high - low
            before, low = counts, high
    return np.asarray(value / (len(walks) * np.array(sizes)))
