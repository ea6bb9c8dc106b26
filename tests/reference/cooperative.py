"""Slow twins of `sim.negotiation.cooperative`: single players, every order, every coalition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, permutations

Coalition = frozenset[int]


def monotone(n_players: int, worth: Callable[[Coalition], float]) -> dict[Coalition, float]:
    """Return the most that any part of each coalition is worth; nobody is worth 0."""
    everyone = [frozenset(chosen) for size in range(n_players + 1) for chosen in combinations(range(n_players), size)]
    return {whole: max([0.0, *(worth(part) for part in everyone if part and part <= whole)]) for whole in everyone}


def shapley(n_players: int, worth: Callable[[Coalition], float]) -> list[float]:
    """Return the mean marginal contribution of each player over all orders."""
    cover = monotone(n_players, worth)
    value = [0.0] * n_players
    orders = list(permutations(range(n_players)))
    for order in orders:
        for place, player in enumerate(order):
            value[player] += cover[frozenset(order[: place + 1])] - cover[frozenset(order[:place])]
    return [total / len(orders) for total in value]


def largest_excess(n_players: int, worth: Callable[[Coalition], float], payoff: Sequence[float]) -> float:
    """Return the most that a proper coalition would gain by leaving."""
    cover = monotone(n_players, worth)
    return max(cover[part] - sum(payoff[player] for player in part) for part in cover if 0 < len(part) < n_players)
