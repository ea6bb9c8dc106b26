"""Evidence that tells two routes apart: links that differ, roadside reads, separation of position fixes, rates of conviction.

A mover promised the target route T and would like to drive the baseline route B. Only links on one of the two tell them
apart: k_T links on T alone, k_B on B alone. Each link has a roadside unit with probability s; a unit reads a vehicle that
passes with probability h and nobody else. With q = 1 - h and lambda = -ln q:

    somebody who drives B is read on a link of B alone with probability 1 - (1 - s h)^k_B.

Where no link of T alone has a read, the log likelihood ratio of T against B is L = G - lambda (n_T - n_B), with n_T, n_B the
units that stand on such links and read nothing, and G the ratio of the position fixes. A fix has a normal error of standard
deviation sigma across the road, so a fix at distance d from the nearest point of the other route adds (d^2 / 2 - d e) /
sigma^2 with e the error: G is normal with mean D^2 / 2 and variance D^2 for who drives T, mean -D^2 / 2 for who drives B,
D^2 = sum of d^2 / sigma^2 over the fixes (the shift of a normal mean of signal detection; likelihood ratio after Neyman and
Pearson 1933).
"""

from __future__ import annotations

import math

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel

_MOST_POINTS_A_LINK = 16
"""Fixes on a link beyond this many are represented by so many evenly spread points."""


@kernel
def compare_routes(
    baseline_start: OffsetColumn,
    baseline_link: IndexColumn,
    target_start: OffsetColumn,
    target_link: IndexColumn,
    baseline_read: BoolColumn,
    target_read: BoolColumn,
    drove_target: BoolColumn,
    has_unit: BoolColumn,
    counts: IndexColumn,
) -> None:
    """Count what tells the two routes of each contract apart, into `counts`, shape (n_contracts, 7).

    Columns: links on the target alone, on the baseline alone; units there (target, baseline); units there that read the
    vehicle (target, baseline); sections in which the target leaves the baseline. `baseline_read` and `target_read` say for
    each row of the routes whether a unit there would read a vehicle that passes.
    """
    on_baseline = np.full(len(has_unit), -1, np.int64)
    on_target = np.full(len(has_unit), -1, np.int64)
    for contract in range(len(drove_target)):
        for row in range(baseline_start[contract], baseline_start[contract + 1]):
            on_baseline[baseline_link[row]] = contract
        for column in range(7):
            counts[contract, column] = 0
        away = False
        for row in range(target_start[contract], target_start[contract + 1]):
            link = target_link[row]
            on_target[link] = contract
            if on_baseline[link] == contract:
                away = False
                continue
            counts[contract, 0] += 1
            counts[contract, 6] += not away
            away = True
            counts[contract, 2] += has_unit[link]
            counts[contract, 4] += has_unit[link] and drove_target[contract] and target_read[row]
        for row in range(baseline_start[contract], baseline_start[contract + 1]):
            link = baseline_link[row]
            if on_target[link] != contract:
                counts[contract, 1] += 1
                counts[contract, 3] += has_unit[link]
                counts[contract, 5] += has_unit[link] and not drove_target[contract] and baseline_read[row]


@kernel
def _squared_distance(x: float, y: float, x0: float, y0: float, x1: float, y1: float) -> float:
    """Return the squared distance of a point from a segment."""
    along_x, along_y = x1 - x0, y1 - y0
    length = along_x * along_x + along_y * along_y
    part = 0.0
    if length > 0.0:
        part = min(max(((x - x0) * along_x + (y - y0) * along_y) / length, 0.0), 1.0)
    off_x, off_y = x - x0 - part * along_x, y - y0 - part * along_y
    return off_x * off_x + off_y * off_y


@kernel
def _place(link: int, part: float, point_start: OffsetColumn, point_m: FloatColumn) -> tuple[float, float]:
    """Return the point at this part of a link's drawn length."""
    first, last = point_start[link], point_start[link + 1] - 1
    whole = 0.0
    for point in range(first, last):
        whole += math.hypot(point_m[point + 1, 0] - point_m[point, 0], point_m[point + 1, 1] - point_m[point, 1])
    left = part * whole
    for point in range(first, last):
        step = math.hypot(point_m[point + 1, 0] - point_m[point, 0], point_m[point + 1, 1] - point_m[point, 1])
        if left <= step and step > 0.0:
            share = left / step
            return (
                point_m[point, 0] + share * (point_m[point + 1, 0] - point_m[point, 0]),
                point_m[point, 1] + share * (point_m[point + 1, 1] - point_m[point, 1]),
            )
        left -= step
    return point_m[last, 0], point_m[last, 1]


@kernel
def _to_route(x: float, y: float, route_links: IndexColumn, point_start: OffsetColumn, point_m: FloatColumn) -> float:
    """Return the squared distance of a point from the nearest point of a route."""
    nearest = np.inf
    for link in route_links:
        for point in range(point_start[link], point_start[link + 1] - 1):
            distance = _squared_distance(x, y, point_m[point, 0], point_m[point, 1], point_m[point + 1, 0], point_m[point + 1, 1])
            nearest = min(nearest, distance)
    return nearest


@kernel
def squared_separations(
    own_start: OffsetColumn,
    own_link: IndexColumn,
    other_start: OffsetColumn,
    other_link: IndexColumn,
    own_time_s: FloatColumn,
    point_start: OffsetColumn,
    point_m: FloatColumn,
    period_s: float,
    noise_m: float,
    most: float,
    separation: FloatColumn,
) -> None:
    """Write D^2 of each contract for fixes on its own route against the other one, at most `most`; shape (n_contracts,).

    `own_time_s` is the time on each row of the own routes. The fixes on a link are as many as periods end on it, evenly spread.
    `point_m` (n_points, 2) holds the links' shapes in metres, those of link a from `point_start[a]` to `point_start[a + 1]`.
    """
    on_other = np.full(len(point_start) - 1, -1, np.int64)
    for contract in range(len(separation)):
        others = other_link[other_start[contract] : other_start[contract + 1]]
        for link in others:
            on_other[link] = contract
        total = clock = 0.0
        for row in range(own_start[contract], own_start[contract + 1]):
            link = own_link[row]
            before = math.floor(clock / period_s)
            clock += own_time_s[row]
            fixes = math.floor(clock / period_s) - before
            if on_other[link] == contract or fixes <= 0.0 or len(others) == 0:
                continue
            points = int(min(fixes, _MOST_POINTS_A_LINK))
            for nth in range(points):
                x, y = _place(link, (nth + 0.5) / points, point_start, point_m)
                total += fixes / points * _to_route(x, y, others, point_start, point_m) / (noise_m * noise_m)
                if total >= most:
                    break
            if total >= most:
                break
        separation[contract] = min(total, most)


@kernel
def _binomial(trials: int, chance: float, mass: FloatColumn) -> None:
    """Write the probabilities of 0 to `trials` successes."""
    for successes in range(trials + 1):
        if chance <= 0.0 or chance >= 1.0:
            mass[successes] = 1.0 if successes == (0 if chance <= 0.0 else trials) else 0.0
        else:
            log_ways = math.lgamma(trials + 1.0) - math.lgamma(successes + 1.0) - math.lgamma(trials - successes + 1.0)
            mass[successes] = math.exp(log_ways + successes * math.log(chance) + (trials - successes) * math.log1p(-chance))


@kernel
def _rejected(
    surplus_mass: FloatColumn, lowest: int, miss: float, threshold: float, mean: float, squared: float, gps_share: float
) -> float:
    """Return P(L <= -threshold) where nothing was read, over the surplus n_T - n_B of silent units (from `lowest`) and over G.

    G is there with probability `gps_share` and normal with this mean and variance `squared`.
    """
    without = within = 0.0
    spread = math.sqrt(squared)
    for nth in range(len(surplus_mass)):
        against = (lowest + nth) * miss
        if against >= threshold:
            without += surplus_mass[nth]
        if spread > 0.0:
            within += surplus_mass[nth] * 0.5 * math.erfc((threshold - against + mean) / spread / math.sqrt(2.0))
        elif against >= threshold:
            within += surplus_mass[nth]
    return (1.0 - gps_share) * without + gps_share * within


@kernel
def conviction_rates(
    order: OffsetColumn,
    target_links: IndexColumn,
    baseline_links: IndexColumn,
    squared_on_target: FloatColumn,
    squared_on_baseline: FloatColumn,
    unit_share: float,
    hit_rate: float,
    gps_share: float,
    miss: float,
    threshold: float,
    detection: FloatColumn,
    false_conviction: FloatColumn,
) -> None:
    """Write the probabilities of a conviction: of who drove the baseline, and of who drove the target.

    Parameters
    ----------
    order
        Contracts so ordered that equal pairs (target_links, baseline_links) follow each other: the distributions of units
        are computed once a pair.
    target_links, baseline_links
        k_T and k_B, shape (n_contracts,).
    squared_on_target, squared_on_baseline
        D^2 of fixes on either route against the other.
    miss, threshold
        lambda, and the log likelihood ratio from which on a claim is rejected.
    """
    unread = 1.0 - unit_share * hit_rate
    silent = unit_share * (1.0 - hit_rate) / unread if unread > 0.0 else 0.0
    seen_target = seen_baseline = -1
    of_defector = np.zeros(1)
    of_honest = np.zeros(1)
    for contract in order:
        n_target, n_baseline = target_links[contract], baseline_links[contract]
        if n_target != seen_target or n_baseline != seen_baseline:
            seen_target, seen_baseline = n_target, n_baseline
            masses = np.zeros((4, max(n_target, n_baseline) + 1))
            _binomial(n_target, unit_share, masses[0])
            _binomial(n_baseline, silent, masses[1])
            _binomial(n_target, silent, masses[2])
            _binomial(n_baseline, unit_share, masses[3])
            of_defector = np.zeros(n_target + n_baseline + 1)
            of_honest = np.zeros(n_target + n_baseline + 1)
            for on_target in range(n_target + 1):
                for on_baseline in range(n_baseline + 1):
                    place = on_target - on_baseline + n_baseline
                    of_defector[place] += masses[0, on_target] * masses[1, on_baseline]
                    of_honest[place] += masses[2, on_target] * masses[3, on_baseline]
        rejected = _rejected(
            of_defector,
            -n_baseline,
            miss,
            threshold,
            -squared_on_baseline[contract] / 2.0,
            squared_on_baseline[contract],
            gps_share,
        )
        detection[contract] = 1.0 - unread**n_baseline * (1.0 - rejected)
        rejected = _rejected(
            of_honest,
            -n_baseline,
            miss,
            threshold,
            squared_on_target[contract] / 2.0,
            squared_on_target[contract],
            gps_share,
        )
        false_conviction[contract] = unread**n_target * rejected


@kernel
def lens_separations(
    own_start: OffsetColumn,
    own_link: IndexColumn,
    other_start: OffsetColumn,
    other_link: IndexColumn,
    sections: IndexColumn,
    own_time_s: FloatColumn,
    length_m: FloatColumn,
    period_s: float,
    noise_m: float,
    most: float,
    separation: FloatColumn,
) -> None:
    """Write D^2 from lengths alone, where nobody knows where the links lie.

    Each of a contract's sections is taken for two sides of a lens: the distance between them grows evenly to half the
    shorter side and shrinks again, so its mean square is a third of the largest.
    """
    on_own = np.full(len(length_m), -1, np.int64)
    on_other = np.full(len(length_m), -1, np.int64)
    for contract in range(len(separation)):
        for row in range(other_start[contract], other_start[contract + 1]):
            on_other[other_link[row]] = contract
        own_m = other_m = time_s = 0.0
        for row in range(own_start[contract], own_start[contract + 1]):
            link = own_link[row]
            on_own[link] = contract
            if on_other[link] != contract:
                own_m += length_m[link]
                time_s += own_time_s[row]
        for row in range(other_start[contract], other_start[contract + 1]):
            if on_own[other_link[row]] != contract:
                other_m += length_m[other_link[row]]
        widest_m = min(own_m, other_m) / 2.0 / max(sections[contract], 1)
        separation[contract] = min(math.floor(time_s / period_s) * widest_m * widest_m / 3.0 / (noise_m * noise_m), most)
