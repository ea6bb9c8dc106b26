"""What the report says, as plain values: pure functions from a recorded run to rows and figures, without any markup.

Travellers count with their weight (the vehicles they stand for). A section whose world or file is absent is None or empty, and
the page leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim.arrays import BoolColumn, FloatColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.record import POA, RecordedRun
from sim.network.road_network import CONNECTOR_CLASS
from sim.units import SECONDS_PER_HOUR

SELFISH, OPTIMUM = "selfish", "optimum"
_ATTRIBUTES = (
    ("Free speed", "free_speed_kph", "speed_source"),
    ("Lanes", "lanes", "lanes_source"),
    ("Capacity", "capacity_vph", "capacity_source"),
)
SAME_TIME_S = 1.0
"""Travel times this close count as the same."""
_NAMES = {
    "pairwise": "Pairs",
    "pairwise_compensated": "Pairs that compensate",
    "toll": "Toll",
    "toll_uniform": "Toll, equal refunds",
    "toll_od": "Toll, refunds by trip",
}
_MEANING = {
    SELFISH: "everybody takes their own best route",
    OPTIMUM: "the smallest total, within its gap",
    "coalition": "travellers pay each other for detours",
    "pools": "those relieved pay, those harmed get nothing",
    "pairwise": "one payer for each detour",
    "pairwise_compensated": "one payer, who compensates whom he harms",
    "toll": "marginal-cost tolls, nothing refunded",
    "toll_uniform": "the same refund for every vehicle",
    "toll_od": "refunded inside each pair of zones",
    "random_control": "as many detours, drawn at random",
}
_QUEUE_MEANING = {OPTIMUM: "the best day found; gap to what is proven"}
_PROVENANCE = {
    "file": "stated by the network file",
    "tag": "map tag",
    "class_default": "default of the class",
    "override": "set by the scenario",
    "none": "not known",
}


@dataclass(frozen=True)
class Headline:
    """The Price of Anarchy in big type and in one sentence; `value` is None where it is withheld or was not asked for."""

    value: str | None
    interval: str | None
    sentence: str
    selfish_share: float
    """Mean selfish time over the longer of both means, for the bars; 0 where one is unknown."""
    optimum_share: float
    selfish_mean: str
    optimum_mean: str


@dataclass(frozen=True)
class WorldRow:
    """One line of the table of worlds; empty text where a figure does not exist."""

    world: str
    name: str
    total: str
    mean: str
    ratio: str
    interval: str
    gap: str
    remark: str
    detail: bool
    """True for a line that belongs to the world above it."""


@dataclass(frozen=True, eq=False)
class TripTimes:
    """Travel times of the travellers in two worlds, those who have both."""

    weight: FloatColumn
    selfish_s: FloatColumn
    optimum_s: FloatColumn


@dataclass(frozen=True)
class Gains:
    """Who would be faster, slower or as fast under the optimum, as shares of the vehicles, and by how much on average."""

    faster: float
    same: float
    slower: float
    faster_by_s: float
    slower_by_s: float


@dataclass(frozen=True)
class LinkRow:
    """One of the links where the selfish world loses most time."""

    link_id: str
    ends: str
    link_class: str
    flow_vph: str
    volume_to_capacity: str
    travel_time: str
    free_flow_time: str
    delay_h: str
    change: str


@dataclass(frozen=True)
class ProvenanceBar:
    """Where the values of one attribute come from: (source, share of the street length), largest first."""

    attribute: str
    shares: tuple[tuple[str, str, float], ...]


def world_name(world: str) -> str:
    """Return the name of a world as a heading."""
    return _NAMES.get(world, world.replace("_", " ").capitalize())


def optional_number(run: RecordedRun, world: str, key: str) -> float | None:
    """Return a number of one world in poa.json, None where it is absent or null; InputError where it is something else."""
    value = worlds_of(run)[world].get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InputError(f"{value!r}", source=run.path / POA, where=f"worlds.{world}.{key}", allowed="a number or null")
    return None if value is None else float(value)


def worlds_of(run: RecordedRun) -> dict[str, Mapping[str, Any]]:
    """Return the worlds in poa.json; InputError where that is no table of tables with totals."""
    worlds = run.poa.get("worlds")
    if not isinstance(worlds, dict):
        raise InputError("missing or no table", source=run.path / POA, where="worlds")
    for name, world in worlds.items():
        require_totals(run, f"worlds.{name}", world)
    return worlds


def require_totals(run: RecordedRun, where: str, entry: Any) -> None:
    """Raise InputError unless an entry of poa.json is a table with a total and a mean; `where` is its place."""
    for key in ("total_time_s", "mean_time_s"):
        if not isinstance(entry, dict) or isinstance(entry.get(key), bool) or not isinstance(entry.get(key), int | float):
            raise InputError("missing or no number", source=run.path / POA, where=f"{where}.{key}")


def _numbers(run: RecordedRun, where: str, value: Any, n_numbers: int) -> list[float] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if len(values) != n_numbers or not all(isinstance(number, int | float) for number in values):
        allowed = "a number or null" if n_numbers == 1 else f"{n_numbers} numbers or null"
        raise InputError(f"{value!r}", source=run.path / POA, where=where, allowed=allowed)
    return [float(number) for number in values]


def headline(run: RecordedRun, *, has_fixed_cost: bool) -> Headline:
    """Return the Price of Anarchy in words, or why there is none."""
    worlds = worlds_of(run)
    poa = _numbers(run, "price_of_anarchy", run.poa.get("price_of_anarchy"), 1)
    bounds = _numbers(run, "price_of_anarchy_interval", run.poa.get("price_of_anarchy_interval"), 2)
    if not {SELFISH, OPTIMUM} <= set(worlds):
        missing = " and ".join(f"“{name}”" for name in (SELFISH, OPTIMUM) if name not in worlds)
        return Headline(None, None, f"No Price of Anarchy: the scenario did not run the world {missing}.", 0.0, 0.0, "", "")
    selfish_s, optimum_s = float(worlds[SELFISH]["mean_time_s"]), float(worlds[OPTIMUM]["mean_time_s"])
    longer_s = max(selfish_s, optimum_s)
    shares = (selfish_s / longer_s, optimum_s / longer_s) if longer_s > 0 else (0.0, 0.0)
    means = text.duration_pair(selfish_s, optimum_s)
    if poa is None:
        reason = run.poa.get("withheld") or "poa.json gives no reason"
        return Headline(None, None, f"The Price of Anarchy is withheld: {reason}.".replace("..", "."), *shares, *means)
    width = bounds[1] - bounds[0] if bounds else 0.0
    excess = poa[0] - 1.0
    if bounds and bounds[0] <= 1.0 and excess < 1e-4:
        sentence = (
            f"Selfish routing costs nothing that can be told apart from zero here: the average trip takes {means[0]} either way."
        )
    else:
        kind = "costs {} more than it need: {} instead of {} (time and fixed costs, in seconds)."
        plain = "{} longer than it need be: {} instead of {}."
        if run.poa.get("traffic") == "queue":
            plain = "{} longer than on the best day found: {} instead of {}."
        sentence = (
            "Selfish routing makes the average trip " + plain.format(text.percent(excess), *means)
            if not has_fixed_cost
            else "With selfish routing the average trip " + kind.format(text.percent(excess), *means)
        )
    shown = text.interval(bounds[0], bounds[1]) if bounds else None
    return Headline(text.ratio(poa[0], width), shown, sentence, *shares, *means)


def world_rows(run: RecordedRun) -> list[WorldRow]:
    """Return the table of worlds: each world, then its travellers one by one, then its proven bound.

    What the worlds with money start from, the routes that the lottery drew, stands below the selfish world.
    """
    worlds = worlds_of(run)
    optimum_s = float(worlds[OPTIMUM]["total_time_s"]) if OPTIMUM in worlds else None
    meaning = _MEANING | (_QUEUE_MEANING if run.poa.get("traffic") == "queue" else {})
    rows = []
    for name, world in worlds.items():
        rows.append(_world_row(name, world_name(name), world, optimum_s, remark=meaning.get(name, "")))
        if optimum_s:
            interval = _numbers(run, f"worlds.{name}.ratio_interval", world.get("ratio_interval"), 2)
            rows[-1] = replace(
                rows[-1], interval="" if interval is None else text.interval(interval[0], interval[1], most_decimals=6)
            )
        atomic = world.get("atomic")
        if atomic:
            rows.append(_world_row(name, "one by one", atomic, optimum_s, remark=_days_remark(atomic), detail=True))
        bound_s = world.get("total_time_lower_bound_s")
        if bound_s is not None:
            total_s = float(world["total_time_s"])
            mean_s = float(world["mean_time_s"]) * float(bound_s) / total_s if total_s > 0 else 0.0
            bound = {"total_time_s": bound_s, "mean_time_s": mean_s}
            rows.append(_world_row(name, "lower bound", bound, optimum_s, remark="proven: nothing takes less", detail=True))
        if name == SELFISH and run.poa.get("baseline") is not None:
            require_totals(run, "baseline", run.poa["baseline"])
            in_queues = run.poa.get("traffic") == "queue"
            remark = "what the selfish day cost; the market starts here" if in_queues else "drawn by lottery; markets start here"
            rows.append(_world_row(name, "baseline", run.poa["baseline"], optimum_s, remark=remark, detail=True))
    return rows


def _world_row(
    world: str, name: str, entry: Mapping[str, Any], optimum_s: float | None, *, remark: str, detail: bool = False
) -> WorldRow:
    total_s, gap = float(entry["total_time_s"]), entry.get("relative_gap")
    return WorldRow(
        world=world,
        name=name,
        total=text.vehicle_hours(total_s),
        mean=text.duration(float(entry["mean_time_s"]), 1),
        ratio=f"{total_s / optimum_s:.5f}" if optimum_s else "",
        interval="",
        gap="" if gap is None else text.power(float(gap)),
        remark=remark,
        detail=detail,
    )


def _days_remark(atomic: Mapping[str, Any]) -> str:
    parts = ["whole travellers"]
    if atomic.get("days") is not None:
        days = text.whole(float(atomic["days"]))
        parts.append(f"{days} day" if days == "1" else f"{days} days")
    if atomic.get("stopped_because"):
        parts.append(str(atomic["stopped_because"]).replace("_", " "))
    return ", ".join(parts)


def trip_times(run: RecordedRun) -> TripTimes | None:
    """Return the travel times of everybody who has one in both worlds, or None where there is nobody."""
    names = [f"{SELFISH}_travel_time_s", f"{OPTIMUM}_travel_time_s"]
    if not run.has_table("trips") or not set(names) <= set(run.columns("trips")):
        return None
    table = run.table("trips", ["weight", *names])
    weight, selfish_s, optimum_s = (table[name].to_numpy() for name in ("weight", *names))
    known = np.isfinite(selfish_s) & np.isfinite(optimum_s)
    return TripTimes(weight[known], selfish_s[known], optimum_s[known]) if known.any() else None


def gains(times: TripTimes) -> Gains:
    """Return who gains and who loses when the selfish world becomes the optimum; changes up to `SAME_TIME_S` count as none."""
    change_s = times.optimum_s - times.selfish_s
    total = times.weight.sum()

    def share_and_mean(chosen: BoolColumn) -> tuple[float, float]:
        weight = times.weight[chosen]
        return float(weight.sum() / total), float(np.average(np.abs(change_s[chosen]), weights=weight)) if len(weight) else 0.0

    faster, faster_by_s = share_and_mean(change_s < -SAME_TIME_S)
    slower, slower_by_s = share_and_mean(change_s > SAME_TIME_S)
    return Gains(faster, max(0.0, 1.0 - faster - slower), slower, faster_by_s, slower_by_s)


def weighted_quantile(values: FloatColumn, weight: FloatColumn, share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    position = int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12)))
    return float(values[order][min(position, len(values) - 1)])


def time_rows(times: TripTimes) -> list[tuple[str, str, str, str]]:
    """Return (figure, selfish, optimum, change) for the mean, the median and the slow end of the travel times."""
    rows = []
    for name, share in (("mean", None), ("median", 0.5), ("90 % are faster than", 0.9), ("99 % are faster than", 0.99)):
        pair = [
            float(np.average(values, weights=times.weight)) if share is None else weighted_quantile(values, times.weight, share)
            for values in (times.selfish_s, times.optimum_s)
        ]
        change_s = pair[1] - pair[0]
        sign = "+" if change_s > 0 and not text.duration(change_s, 1).startswith("0.0") else ""
        rows.append((name, text.duration(pair[0], 1), text.duration(pair[1], 1), sign + text.duration(change_s, 1)))
    return rows


def busiest_links(links: Mapping[str, Any], n_rows: int = 10) -> list[LinkRow]:
    """Return the streets where the selfish world loses most: flow x (travel time - free-flow time), in vehicle-hours an hour."""
    flow_vph = links[f"{SELFISH}_flow_vph"]
    time_s, free_s = links[f"{SELFISH}_travel_time_s"], links["free_flow_time_s"]
    delay_h = flow_vph * (time_s - free_s) / SECONDS_PER_HOUR
    delay_h = np.where(links["link_class"] == CONNECTOR_CLASS, 0.0, delay_h)
    optimum_vph = links.get(f"{OPTIMUM}_flow_vph")
    rows = []
    for link_idx in np.argsort(-delay_h, kind="stable")[:n_rows]:
        if delay_h[link_idx] <= 0:
            break
        change = (
            ""
            if optimum_vph is None
            else f"{_tidy_zero(optimum_vph[link_idx] - flow_vph[link_idx]):+,.0f}".replace("-", text.MINUS)
        )
        rows.append(
            LinkRow(
                link_id=str(links["link_id"][link_idx]),
                ends=f"{links['from_node_id'][link_idx]} → {links['to_node_id'][link_idx]}",
                link_class=str(links["link_class"][link_idx]).replace("_", " "),
                flow_vph=text.whole(flow_vph[link_idx]),
                volume_to_capacity=f"{links[f'{SELFISH}_volume_to_capacity'][link_idx]:.2f}",
                travel_time=text.duration(time_s[link_idx], 1),
                free_flow_time=text.duration(free_s[link_idx], 1),
                delay_h=text.significant(delay_h[link_idx], 3),
                change=change,
            )
        )
    return rows


def _tidy_zero(number: float) -> float:
    return 0.0 if abs(number) < 0.5 else number


def provenance_bars(links: Mapping[str, Any]) -> list[ProvenanceBar]:
    """Return where speeds, lanes and capacities come from, by share of street length (of streets, where no length is known)."""
    street = links["link_class"] != CONNECTOR_CLASS
    if not street.any():
        return []
    weight = links["length_m"][street]
    if weight.sum() <= 0:
        weight = np.ones(len(weight))
    bars = []
    for attribute, value, source in _ATTRIBUTES:
        known = np.where(links[value][street] > 0, links[source][street], "none")
        sources, position = np.unique(known.astype(str), return_inverse=True)
        shares = np.bincount(position, weights=weight) / weight.sum()
        order = np.argsort(-shares, kind="stable")
        named = tuple((str(sources[k]), _PROVENANCE.get(str(sources[k]), str(sources[k])), float(shares[k])) for k in order)
        bars.append(ProvenanceBar(attribute, named))
    return bars
