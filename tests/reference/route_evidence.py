"""Slow twins of `sim.kernels.evidence` and of the arbiter's rule: plain Python, straight from the formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


def counts(
    baseline: Sequence[int], target: Sequence[int], units: set[int], read: set[int], drove_target: bool
) -> tuple[int, int, int, int, int, int, int]:
    """Links on one route alone, units there, reads there (each target, baseline), sections of the target off the baseline."""
    alone = ([a for a in target if a not in baseline], [a for a in baseline if a not in target])
    driven = target if drove_target else baseline
    sections = sum(1 for before, link in pairwise([None, *target]) if link in alone[0] and before not in alone[0])
    return (
        len(alone[0]),
        len(alone[1]),
        *(sum(a in units for a in side) for side in alone),
        *(sum(a in units and a in read and a in driven for a in side) for side in alone),
        sections,
    )  # type: ignore[return-value]


def distance_to_segment(point: Point, a: Point, b: Point) -> float:
    """Distance to the nearest of 401 points of the segment."""
    return min(math.dist(point, (a[0] + (b[0] - a[0]) * k / 400, a[1] + (b[1] - a[1]) * k / 400)) for k in range(401))


def separation(
    own: Sequence[int],
    other: Sequence[int],
    shape: dict[int, list[Point]],
    time_s: dict[int, float],
    period_s: float,
    noise_m: float,
) -> float:
    """Sum of squared distances of the fixes from the other route in units of the noise, for straight links."""
    total = clock = 0.0
    for link in own:
        before, clock = clock, clock + time_s[link]
        fixes = math.floor(clock / period_s) - math.floor(before / period_s)
        if link in other:
            continue
        (x0, y0), (x1, y1) = shape[link]
        for nth in range(fixes):
            part = (nth + 0.5) / fixes
            place = (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
            total += min(distance_to_segment(place, *shape[a]) for a in other) ** 2 / noise_m**2
    return total


def binomial(trials: int, chance: float) -> list[float]:
    """Probabilities of 0 to `trials` successes."""
    return [math.comb(trials, k) * chance**k * (1.0 - chance) ** (trials - k) for k in range(trials + 1)]


def conviction(
    own_links: int, other_links: int, squared: float, units: float, hit: float, gps: float, odds: float, *, drove_target: bool
) -> float:
    """P(claim rejected) by summing over what stands and reads where; `own_links` are those on the driven route alone."""
    total = 0.0
    for n_own, p_own in enumerate(binomial(own_links, units)):
        for n_other, p_other in enumerate(binomial(other_links, units)):
            read = 1.0 - (1.0 - hit) ** n_own
            silent = -math.log(1.0 - hit) * ((n_own - n_other) if drove_target else (n_other - n_own))
            sign = 1.0 if drove_target else -1.0
            # Rejected if  G - silent <= -ln odds, G normal around sign * squared / 2.
            excess = silent - math.log(odds) - sign * squared / 2.0
            with_fixes = 0.5 * math.erfc(-excess / math.sqrt(2.0 * squared)) if squared > 0.0 else float(silent >= math.log(odds))
            unread = gps * with_fixes + (1.0 - gps) * float(silent >= math.log(odds))
            total += p_own * p_other * ((1.0 - read) * unread + (0.0 if drove_target else read))
    return total


def followed(units: tuple[int, int], reads: tuple[int, int], ratio: float, chain: bool, hit: float, odds: float) -> str:
    """The arbiter's rule, clause by clause; pairs are (target, baseline)."""
    if reads[1] > 0:
        return "rejected"
    weighed = ratio + math.log(1.0 - hit) * (units[0] - units[1])
    if reads[0] == 0 and weighed <= -math.log(odds):
        return "rejected"
    if chain or reads[0] > 0 or weighed >= math.log(odds):
        return "accepted"
    return "not_final"
