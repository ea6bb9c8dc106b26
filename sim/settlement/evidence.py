"""What the roadside and the sealed on-board units say about each claim, and what the arbiter makes of it.

Everybody's evidence is computed here in columns: the counts of roadside reads, the log likelihood ratio of the position
fixes, the claimed arrival (mathematics in `sim.kernels.evidence`). The full chain of link records behind it is drawn up for
the claims that are challenged or audited alone (`sim.settlement.records`); it carries the same reads and the same ratio, so
the arbiter says the same of both.

The arbiter's rule, the same for columns and for a single claim (`followed_verdicts`):

1. a read on a link of the baseline alone: REJECTED, since that link is no part of the route that was promised;
2. no read on a link of the target alone, and L <= -ln(conviction odds): REJECTED;
3. a sound chain of own records for the target, half of its links or more: ACCEPTED. Records that the mover signed himself prove
   nothing against a read or the fixes; they only shift the burden of proof;
4. a read on a link of the target alone, or L >= ln(conviction odds): ACCEPTED; otherwise NOT_FINAL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from contracts_model import Verdict
from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels.evidence import compare_routes, conviction_rates, lens_separations, squared_separations
from sim.network.distance import GEOGRAPHIC_CRS
from sim.network.road_network import RoadNetwork
from sim.rng import uniforms
from sim.settlement.detours import Detours
from sim.settlement.timetables import Times, baseline_passages, target_passages
from sim.spec import ContractRules
from sim.units import METRES_PER_DEGREE, SECONDS_PER_MINUTE

MOST_SEPARATION: Final = 400.0
"""Largest D^2: the fixes then err with probability Phi(-10), and computing further distances changes nothing."""
LEAST_RECORDED: Final = 0.5
"""Share of the target's links that a chain of records must name."""
_MOST_RECORDS: Final = 2**20
"""Upper bound of the links of a route, for naming draws."""
_LEAST_MISS: Final = 1e-9
"""Smallest probability that a unit misses a vehicle; keeps the logarithm finite at a hit rate of 1."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of each claim; shapes (n_contracts,).

    Attributes
    ----------
    target_links, baseline_links
        Links on one of the two routes alone.
    target_units, baseline_units
        Roadside units on those links.
    target_reads, baseline_reads
        Units there that read the vehicle.
    has_fixes
        Whether the sealed unit had position fixes.
    gps_log_ratio
        Log likelihood ratio of the fixes, target against baseline; 0 without fixes.
    has_chain
        Whether the claim comes with a sound chain of records for the whole target.
    arrival_ms, deadline_ms
        Arrival as the records claim it, and the instant by which it was promised.
    followed
        The arbiter's verdict on the route (`Verdict` numbers).
    verdict
        Its verdict on the whole condition.
    """

    target_links: IndexColumn
    baseline_links: IndexColumn
    target_units: IndexColumn
    baseline_units: IndexColumn
    target_reads: IndexColumn
    baseline_reads: IndexColumn
    has_fixes: BoolColumn
    gps_log_ratio: FloatColumn
    has_chain: BoolColumn
    arrival_ms: OffsetColumn
    deadline_ms: OffsetColumn
    followed: CodeColumn
    verdict: CodeColumn


@dataclass(frozen=True, eq=False)
class Separation:
    """D^2 of position fixes on the target, and on the baseline, against the other route; shapes (n_contracts,)."""

    on_target: FloatColumn
    on_baseline: FloatColumn


def roadside_units(n_links: int, share: float, seed: int, window: int) -> BoolColumn:
    """Return which links have a unit in this window, shape (n_links,); each with probability `share`."""
    return np.asarray(uniforms(seed, "roadside units", np.arange(n_links), window) < share)


def would_read(
    mover: IndexColumn, start: OffsetColumn, link: IndexColumn, n_links: int, hit_rate: float, seed: int, window: int
) -> BoolColumn:
    """Return for each row of the movers' routes whether a unit there reads the vehicle when it passes."""
    ids = np.repeat(mover.astype(np.int64), np.diff(start)) * n_links + link
    return np.asarray(uniforms(seed, "roadside reads", ids, window) < hit_rate)


def lost_records(mover: IndexColumn, start: OffsetColumn, rules: ContractRules, seed: int, window: int) -> BoolColumn:
    """Return for each row of the movers' targets whether its record is missing from the claim."""
    length = np.diff(start)
    within = np.arange(int(start[-1])) - np.repeat(start[:-1], length)
    ids = np.repeat(mover.astype(np.int64), length) * _MOST_RECORDS + within
    return np.asarray(uniforms(seed, "lost records", ids, window) < rules.record_gap)


def silence_weight(rules: ContractRules) -> float:
    """Return lambda = -ln(1 - hit rate): the log likelihood ratio that a silent unit adds."""
    return -math.log(max(1.0 - rules.hit_rate, _LEAST_MISS))


def compare(
    detours: Detours,
    mover: IndexColumn,
    drove_target: BoolColumn,
    has_unit: BoolColumn,
    rules: ContractRules,
    seed: int,
    window: int,
) -> IndexColumn:
    """Return the counts of `sim.kernels.evidence.compare_routes`, shape (n_contracts, 7)."""
    counts = np.zeros((detours.n_contracts, 7), np.int32)
    routes = ((detours.baseline_start, detours.baseline_link), (detours.target_start, detours.target_link))
    reads = [would_read(mover, start, link, len(has_unit), rules.hit_rate, seed, window) for start, link in routes]
    # A link at its other time is a place of its own, under the same unit.
    places = detours.baseline_places(len(has_unit))
    unit_of_place = has_unit if detours.baseline_apart is None else np.concatenate([has_unit, has_unit])
    compare_routes(
        detours.baseline_start,
        places,
        detours.target_start,
        detours.target_link,
        reads[0],
        reads[1],
        drove_target,
        unit_of_place,
        counts,
    )
    return counts


def shapes_m(network: RoadNetwork) -> tuple[OffsetColumn, FloatColumn] | None:
    """Return the links' shapes in metres: (first point of each link, shape (n_links + 1,); points (n_points, 2)).

    None where somebody's coordinates are unknown.

    Degrees are projected about the middle latitude; plane coordinates, whose unit nobody states, are scaled so that the
    links' stated lengths are those of their shapes on the whole.
    """
    points, link_of_point = network.all_link_points()
    if not np.isfinite(points).all():
        return None
    start = np.searchsorted(link_of_point, np.arange(network.n_links + 1)).astype(np.int64)
    if network.crs == GEOGRAPHIC_CRS:
        middle = (points[:, 1].min() + points[:, 1].max()) / 2.0
        return start, points * METRES_PER_DEGREE * np.array([math.cos(math.radians(middle)), 1.0])
    steps = np.hypot(*np.diff(points, axis=0).T)
    drawn = float(steps[np.diff(link_of_point) == 0].sum())
    stated = float(network.length_m.sum())
    return (start, points * (stated / drawn)) if drawn > 0.0 and stated > 0.0 else None


def separations(network: RoadNetwork, detours: Detours, sections: IndexColumn, times: Times, rules: ContractRules) -> Separation:
    """Return how far position fixes tell the two routes of each contract apart, driving at these times."""
    baseline, target = baseline_passages(detours, times), target_passages(detours, times)
    found = (np.empty(detours.n_contracts), np.empty(detours.n_contracts))
    shapes = shapes_m(network)
    for (own, other), result in zip(((target, baseline), (baseline, target)), found, strict=True):
        routes, fixes = (own.start, own.link, other.start, other.link), (rules.gps_period_s, rules.gps_noise_m)
        if shapes is None:
            lens_separations(*routes, sections, own.time_s, network.length_m, *fixes, MOST_SEPARATION, result)
        else:
            squared_separations(*routes, own.time_s, *shapes, *fixes, MOST_SEPARATION, result)
    return Separation(*found)


def rates_of_conviction(counts: IndexColumn, separation: Separation, rules: ContractRules) -> tuple[FloatColumn, FloatColumn]:
    """Return (detection, false conviction) of each contract before anybody drives.

    Probabilities over units, reads, fixes and their errors.
    """
    target_links, baseline_links = np.ascontiguousarray(counts[:, 0]), np.ascontiguousarray(counts[:, 1])
    detection, false_conviction = np.empty(len(counts)), np.empty(len(counts))
    conviction_rates(
        np.lexsort((baseline_links, target_links)),
        target_links,
        baseline_links,
        separation.on_target,
        separation.on_baseline,
        rules.roadside_units,
        rules.hit_rate,
        rules.gps_share,
        silence_weight(rules),
        math.log(rules.conviction_odds),
        detection,
        false_conviction,
    )
    return detection, false_conviction


def followed_verdicts(
    target_units: IndexColumn,
    baseline_units: IndexColumn,
    target_reads: IndexColumn,
    baseline_reads: IndexColumn,
    gps_log_ratio: FloatColumn,
    has_chain: BoolColumn,
    rules: ContractRules,
) -> CodeColumn:
    """Return the arbiter's verdict on the route of each claim by the rule at the head of this module (`Verdict` numbers)."""
    ratio = gps_log_ratio - silence_weight(rules) * (target_units.astype(np.float64) - baseline_units)
    threshold = math.log(rules.conviction_odds)
    rejected = (baseline_reads > 0) | ((target_reads == 0) & (ratio <= -threshold))
    accepted = ~rejected & (has_chain | (target_reads > 0) | (ratio >= threshold))
    verdict = np.where(rejected, int(Verdict.REJECTED), np.where(accepted, int(Verdict.ACCEPTED), int(Verdict.NOT_FINAL)))
    return verdict.astype(np.uint8)


def deadlines_ms(detours: Detours, agreed: Times, rules: ContractRules) -> OffsetColumn:
    """Return the instant by which each mover promised to arrive, in milliseconds.

    Departure + agreed time * (1 + delay_share) + delay_s, rounded up to the whole minute.
    """
    agreed_s = target_passages(detours, agreed).arrival_s - detours.departure_s
    latest_s = detours.departure_s + agreed_s * (1.0 + rules.delay_share) + rules.delay_s
    return np.asarray(np.ceil(latest_s / SECONDS_PER_MINUTE) * (SECONDS_PER_MINUTE * 1000.0), np.int64)


def gather_evidence(
    detours: Detours,
    mover: IndexColumn,
    counts: IndexColumn,
    separation: Separation,
    drove_target: BoolColumn,
    times: Times,
    deadline_ms: OffsetColumn,
    rules: ContractRules,
    seed: int,
    window: int,
) -> Evidence:
    """Return everybody's evidence after the drive, and the arbiter's verdict on it.

    Everybody claims the target with all records he has, at the target's times: the honest truly, the others by forgery.

    Parameters
    ----------
    counts
        Of `compare`, with what the units read.
    drove_target
        The truth; it shapes what the units see, and the verdicts follow from that alone.
    times
        As driven; the targets of those who did not drive them, as they claim them.
    """
    has_fixes = uniforms(seed, "position fixes", mover, window) < rules.gps_share
    error = ndtri(uniforms(seed, "position errors", mover, window) + 2.0**-54)
    squared = np.where(drove_target, separation.on_target, separation.on_baseline)
    gps = np.where(has_fixes, np.where(drove_target, squared, -squared) / 2.0 + np.sqrt(squared) * error, 0.0)
    has_chain = _has_chain(detours, mover, rules, seed, window)
    followed = followed_verdicts(counts[:, 2], counts[:, 3], counts[:, 4], counts[:, 5], gps, has_chain, rules)
    arrival_ms = np.asarray(np.round(target_passages(detours, times).arrival_s * 1000.0), np.int64)
    verdict = np.where(arrival_ms < deadline_ms, followed, int(Verdict.REJECTED)).astype(np.uint8)
    columns = np.ascontiguousarray(counts.T)
    return Evidence(
        target_links=columns[0],
        baseline_links=columns[1],
        target_units=columns[2],
        baseline_units=columns[3],
        target_reads=columns[4],
        baseline_reads=columns[5],
        has_fixes=np.asarray(has_fixes),
        gps_log_ratio=gps,
        has_chain=has_chain,
        arrival_ms=arrival_ms,
        deadline_ms=deadline_ms,
        followed=followed,
        verdict=verdict,
    )


def _has_chain(detours: Detours, mover: IndexColumn, rules: ContractRules, seed: int, window: int) -> BoolColumn:
    """Return whose claims name enough of the target's links."""
    if rules.record_gap == 0.0:
        return np.ones(len(mover), np.bool_)
    length = np.diff(detours.target_start)
    lost = lost_records(mover, detours.target_start, rules, seed, window)
    recorded = np.bincount(np.repeat(np.arange(len(mover)), length)[~lost], minlength=len(mover))
    return np.asarray((recorded >= LEAST_RECORDED * length) & (recorded > 0))
