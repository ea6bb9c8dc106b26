"""A scene in words and numbers: pure functions, every text with its unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dashboard.scene import Scene, WorldView
from sim.experiments.report_format import duration, duration_pair, interval, percent, power, ratio, significant, whole
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

_LEAST_HOURS_S = 2 * SECONDS_PER_HOUR
"""Sums of time from here on are told in hours."""
_LARGEST_CAPACITY_VPH = 1e8
_WAITING = {
    (False, False): "Reading the streets and making the travellers …",
    (False, True): "Solving …",
    (True, True): "Preparing the first day …",
}
"""What to say while no solver reports, by whether the solutions and the city are there."""
_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Figure:
    """A key figure: what it is, its value with unit, and a remark in small print."""

    label: str
    value: str
    remark: str = ""


def live_ratio(scene: Scene) -> float | None:
    """Return what the selfish travellers spend today over the optimum's total (dimensionless), None before there are both.

    The numerator is the travellers' own total, vehicle-seconds at generalised cost; the denominator the total of the continuous
    system optimum found.
    """
    if scene.selfish is None or scene.solved is None or scene.solved.optimum.total_cost_s <= 0.0:
        return None
    return scene.selfish.today.total_cost_s / scene.solved.optimum.total_cost_s


def ratio_by_day(scene: Scene) -> list[float]:
    """Return `live_ratio` of every day so far."""
    if scene.selfish is None or scene.solved is None or scene.solved.optimum.total_cost_s <= 0.0:
        return []
    return [day.total_cost_s / scene.solved.optimum.total_cost_s for day in scene.selfish.days]


def live_ratio_text(scene: Scene) -> str:
    """Return the live ratio with four decimals, or a dash."""
    value = live_ratio(scene)
    return _DASH if value is None else f"{value:.4f}"


def certified_text(scene: Scene) -> tuple[str, str]:
    """Return the Price of Anarchy at equilibrium and its interval (or why it is withheld), in words."""
    if scene.solved is None:
        return _DASH, ""
    price = scene.solved.price
    low, high = price.interval
    if price.ratio is None:
        return "withheld", price.withheld or ""
    return ratio(price.ratio, high - low), interval(low, high)


def day_text(scene: Scene) -> str:
    """Return the number of the latest day and whether another follows."""
    if scene.selfish is None:
        return ""
    return f"Day {scene.selfish.today.day}"


def story(scene: Scene) -> str:
    """Return a sentence on what is going on today."""
    if scene.selfish is None:
        return ""
    today, reason = scene.selfish.today, scene.selfish.stopped_because
    if reason == "gap reached":
        return f"At rest after day {today.day}: hardly anybody could gain by changing (relative gap {power(today.relative_gap)})."
    if reason is not None:
        return f"At rest after day {today.day}: {reason}."
    if today.day == 0:
        return "Everybody takes the route that is quickest on empty streets, and finds the others there. Press play."
    return f"{_people(today.travellers_moved)} changed to a quicker route; the streets changed with them."


def _people(number: int) -> str:
    return "One traveller" if number == 1 else f"{whole(number)} travellers"


def key_figures(scene: Scene) -> list[Figure]:
    """Return the key figures, each with its unit; dashes where there is nothing yet."""
    if scene.city is None:
        return []
    built = scene.city.built
    vehicles = built.problem.od.total_vph
    people = Figure("Travellers", whole(built.population.n_travellers), _vehicles_text(vehicles, built.population.n_travellers))
    cost_word = "cost" if built.network.fixed_cost_s.any() else "travel time"
    if scene.selfish is None or scene.solved is None or scene.optimum is None:
        names = (f"Mean {cost_word}, selfish", f"Mean {cost_word}, optimum", "Optimum would save", "Changed route today")
        return [*(Figure(name, _DASH) for name in names), people]
    today, optimum_s = scene.selfish.today, scene.solved.optimum.total_cost_s
    selfish_mean, optimum_mean = duration_pair(today.total_cost_s / vehicles, optimum_s / vehicles)
    lost_s = today.total_cost_s - optimum_s
    moved = Figure(
        "Changed route today", whole(today.travellers_moved), percent(today.travellers_moved / built.population.n_travellers)
    )
    return [
        Figure(f"Mean {cost_word}, selfish", selfish_mean, "a trip"),
        Figure(f"Mean {cost_word}, optimum", optimum_mean, "a trip"),
        Figure(
            "Optimum would save",
            _total_time(lost_s),
            percent(lost_s / today.total_cost_s) if today.total_cost_s > 0 else "",
        ),
        moved if today.day else Figure("Changed route today", _DASH, "first day"),
        people,
    ]


def _vehicles_text(vehicles: float, travellers: int) -> str:
    if math.isclose(vehicles, travellers, rel_tol=1e-9):
        return "a vehicle each"
    return f"in {whole(vehicles) if vehicles >= 1000 else format(vehicles, '.3g')} vehicles"


def _total_time(seconds: float) -> str:
    if abs(seconds) >= _LEAST_HOURS_S:
        return f"{significant(seconds / SECONDS_PER_HOUR, 3)}\u00a0vehicle-hours"
    return f"{significant(seconds, 3)}\u00a0vehicle-seconds"


def progress_share(scene: Scene) -> float | None:
    """Return how far the solver has come, 0 to 1 on a logarithmic scale of the gap; None when no solver works."""
    progress = scene.progress
    if progress is None:
        return None
    if progress.relative_gap <= progress.wanted_gap:
        return 1.0
    if progress.first_gap <= progress.relative_gap:
        return 0.0
    return math.log(progress.first_gap / progress.relative_gap) / math.log(progress.first_gap / progress.wanted_gap)


def progress_text(scene: Scene) -> str:
    """Return what the solver does, in words."""
    progress = scene.progress
    if progress is None:
        return _WAITING[scene.solved is not None, scene.city is not None]
    gap, wanted = power(progress.relative_gap), power(progress.wanted_gap)
    return f"Solving {progress.task}: iteration {progress.iteration}, relative gap {gap}, wanted {wanted}"


def gap_by_day(scene: Scene) -> list[float]:
    """Return the relative gap of the travellers' routes on every day so far."""
    return [] if scene.selfish is None else [day.relative_gap for day in scene.selfish.days]


def link_card(scene: Scene, link_idx: int) -> dict[str, object]:
    """Return what the map tells about a link: title, remark and rows of texts (what, selfish, optimum)."""
    assert scene.city is not None  # there is no link before
    network = scene.city.built.network
    name = network.street_name(link_idx) or f"Link {network.link_id[link_idx]}"
    capacity = float(network.capacity_vph[link_idx])
    facts = [network.link_classes[network.link_class_code[link_idx]].replace("_", " ")]
    if network.length_m[link_idx] > 0:
        facts.append(_length(float(network.length_m[link_idx])))
    if network.lanes[link_idx] > 0:
        facts.append(f"{network.lanes[link_idx]:g} {'lane' if network.lanes[link_idx] == 1 else 'lanes'}")
    if network.free_speed_kph[link_idx] > 0:
        facts.append(f"{network.free_speed_kph[link_idx]:.0f}\u00a0km/h")
    worlds = [view for view in (scene.selfish, scene.optimum) if view is not None]
    rows: list[list[str]] = [["", "selfish", "optimum"]] if len(worlds) == 2 else []
    if worlds:
        rows.append(["Flow, vehicles/h", *(_flow(view, link_idx) for view in worlds)])
        if capacity < _LARGEST_CAPACITY_VPH:
            rows.append(["Volume / capacity", *(f"{view.flow_vph[link_idx] / capacity:.2f}" for view in worlds)])
        rows.append(["Travel time", *(_time(float(view.time_s[link_idx])) for view in worlds)])
    rows.append(["Free-flow time", _time(float(network.free_flow_time_s[link_idx]))])
    rows.append(["Capacity, vehicles/h", significant(capacity, 1) if capacity < _LARGEST_CAPACITY_VPH else "no limit"])
    return {"title": name, "facts": " · ".join(facts), "rows": rows}


def _flow(view: WorldView, link_idx: int) -> str:
    flow = float(view.flow_vph[link_idx])
    return whole(flow) if flow >= 100 or flow == np.rint(flow) else significant(flow, 3)


def _time(seconds: float) -> str:
    return duration(seconds, 0 if seconds >= 600 else 1 if seconds >= 1 or seconds < 0.005 else 3)


def _length(length_m: float) -> str:
    return f"{length_m:.0f}\u00a0m" if length_m < METRES_PER_KILOMETRE else f"{length_m / METRES_PER_KILOMETRE:.1f}\u00a0km"
