"""A scene in words and numbers: pure functions, every text with its unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.books import instant
from dashboard.scene import City, LinkState, Moment, Phase, Scene, WorldView
from sim.experiments import report_format as text
from sim.units import METRES_PER_KILOMETRE, SECONDS_PER_HOUR

DASH = "\N{EN DASH}"
_NARROW = "\u00a0"
_LARGEST_CAPACITY_VPH = 1e8
_LEAST_HOURS_S = 2 * SECONDS_PER_HOUR
"""Sums of time from here on are told in hours."""
_NO_GAP = 1e-4
"""Share of the optimum's total below which there is no gap worth closing."""


@dataclass(frozen=True)
class Row:
    """A line of figures: what, left, right (or one value for both), and what it means, as a tooltip."""

    label: str
    values: tuple[str, ...]
    hint: str = ""


def ratio_of(scene: Scene, world: WorldView | None) -> float | None:
    """Return a world's total today over the optimum's (dimensionless), None before there are both."""
    if world is None or scene.solved is None or scene.solved.optimum_s <= 0.0:
        return None
    return world.today.total_s / scene.solved.optimum_s


def ratios_by_day(scene: Scene, world: WorldView | None) -> list[float]:
    """Return the ratio of every day so far."""
    if world is None or scene.solved is None or scene.solved.optimum_s <= 0.0:
        return []
    return [day.total_s / scene.solved.optimum_s for day in world.days]


def ratio_text(scene: Scene, world: WorldView | None) -> str:
    """Return a world's ratio with four decimals, or a dash."""
    value = ratio_of(scene, world)
    return DASH if value is None else f"{value:.4f}"


def ratio_interval_text(scene: Scene, world: WorldView | None) -> str:
    """Return the interval of a world's ratio: over the best that is known, over what no plan can fall below."""
    value = ratio_of(scene, world)
    if value is None or scene.solved is None or world is None or scene.solved.optimum_bound_s <= 0.0:
        return ""
    return text.interval(value, max(value, world.today.total_s / scene.solved.optimum_bound_s), most_decimals=6)


def certified_text(scene: Scene) -> tuple[str, str]:
    """Return the Price of Anarchy at equilibrium and its interval (or why it is withheld), in words."""
    if scene.solved is None:
        return DASH, ""
    price = scene.solved.price
    low, high = price.interval
    if price.ratio is None:
        return "withheld", price.withheld or ""
    return text.ratio(price.ratio, high - low), text.interval(low, high)


def closed_share(scene: Scene) -> float | None:
    """Return (left - right) / (left - optimum), the share of the gap that the right world closes; None where there is no gap."""
    if scene.left is None or scene.right is None or scene.solved is None:
        return None
    gap_s = scene.left.today.total_s - scene.solved.optimum_s
    if gap_s <= _NO_GAP * scene.solved.optimum_s:
        return None
    return (scene.left.today.total_s - scene.right.today.total_s) / gap_s


def closed_text(scene: Scene) -> str:
    """Return the share of the gap that is closed, in words."""
    share = closed_share(scene)
    if share is None:
        return DASH
    return text.closed_share(share) if share >= 0.0 else text.percent(share)


def day_text(scene: Scene) -> str:
    """Return the number of the latest day."""
    if scene.right is None or scene.is_queue:
        return ""
    last = "" if scene.last_day is None else f" of {scene.last_day}"
    return f"Day {scene.right.today.day}{last}"


def story(scene: Scene) -> str:
    """Return a sentence on what is going on today."""
    if scene.right is None:
        return ""
    if scene.progress is not None and scene.phase is Phase.READY:
        return scene.progress.task
    right = scene.right
    if scene.is_queue:
        return "The same day in both worlds, minute by minute. Press play, or set the time below."
    if right.stopped_because is not None:
        return f"At rest: {_rest_words(right.stopped_because)}."
    if right.today.day == 0:
        return _OPENING.get(right.key, "Both cities wake up to the same morning. Press play: members begin to trade.")
    if right.key == "learning":
        return f"{_people(right.today.moved)} changed to a quicker route; the streets changed with them."
    return f"{_people(right.today.moved)} took another route today."


def _rest_words(reason: str) -> str:
    return {
        "gap reached": "hardly anybody could gain by changing",
        "nobody trades": "nobody knows a detour worth its fee any more",
    }.get(reason, reason)


def _people(number: int) -> str:
    return "One traveller" if number == 1 else f"{text.whole(number)} travellers"


def progress_text(scene: Scene) -> str:
    """Return what is being worked on, in words."""
    if scene.progress is not None:
        return f"{scene.progress.task}{': ' if scene.progress.remark else ''}{scene.progress.remark}"
    return "Reading the streets and making the travellers …" if scene.city is None else "Working …"


def delay_s(city: City, links: LinkState) -> float:
    """Return what all vehicles lose against empty streets: sum of flow * (time - free-flow time), vehicle-seconds."""
    lost = np.maximum(links.time_s - city.built.network.free_flow_time_s, 0.0)
    return float((links.flow_vph * lost).sum())


def world_rows(scene: Scene) -> list[Row]:
    """Return what the two worlds cost their travellers, side by side; dashes where there is nothing yet."""
    city, left, right = scene.city, scene.left, scene.right
    if city is None or left is None or right is None:
        return []
    vehicles = city.built.problem.od.total_vph
    cost = "cost" if city.built.network.fixed_cost_s.any() else "time"
    means = text.duration_pair(left.today.total_s / vehicles, right.today.total_s / vehicles)
    rows = [
        Row(f"Mean {cost} of a trip", means, "What everybody spends together, divided by the number of vehicles."),
        Row(
            "Time of all",
            _pair(total_time, left.today.total_s, right.today.total_s),
            "Vehicle-hours that everybody spends on the road together.",
        ),
    ]
    if left.links is not None and right.links is not None:
        lost = (delay_s(city, view.links) for view in (left, right) if view.links is not None)
        rows.append(Row("of it in delay", _pair(total_time, *lost), "What congestion costs everybody against empty streets."))
    if left.co2_kg is not None and right.co2_kg is not None:
        hint = "By an average-speed curve for cars (Barth and Boriboonsomsin 2008); what counts is how the worlds compare."
        rows.append(Row("CO₂ an hour", _pair(_mass, left.co2_kg, right.co2_kg), hint))
    return rows


def market_rows(scene: Scene) -> list[Row]:
    """Return what the market has come to."""
    if scene.market is None or scene.city is None or scene.right is None:
        return []
    market = scene.market
    rows = [
        Row("Members", (text.whole(market.members),), f"of {text.whole(scene.city.built.population.n_travellers)} travellers"),
        Row("Detours sold", (text.whole(market.deals),), "Changes of route that members paid each other for."),
        Row("Paid for them", (text.credits(market.paid_credits),), "One credit is worth one vehicle-second of travel time."),
    ]
    if market.fees_credits:
        rows.append(Row("Fees to validators", (text.credits(market.fees_credits),), "For checking who kept the promise."))
    below = scene.right.below_baseline
    rows.append(
        Row(
            "Below their baseline",
            (text.whole(below) if below is not None else "told when settled",),
            "Members who end worse off than if nobody had traded, money included.",
        )
    )
    if scene.books is not None:
        rows.append(Row("Contracts", (text.whole(scene.books.n_contracts),), _states(scene.books.states)))
        rows.append(Row("Disputed", (text.whole(len(scene.books.disputed)),), "Claims that somebody challenged."))
    return rows


def _states(states: dict[str, int]) -> str:
    return ", ".join(f"{text.whole(count)} {state}" for state, count in states.items())


def moment_rows(scene: Scene, moment: Moment | None) -> list[Row]:
    """Return what the clock changes: vehicles under way, and the time spent until now."""
    if moment is None or moment.spent_s is None:
        return []
    left, right, optimum = moment.spent_s
    under_way = tuple(text.whole(pane.under_way or 0) for pane in moment.panes)
    ratios = tuple(f"{spent / optimum:.4f}" if optimum > 0 else DASH for spent in (left, right))
    return [
        Row(f"Time spent by {instant(moment.clock_s)}", _pair(total_time, left, right), "By everybody who has left so far."),
        Row("over the optimum's", ratios, "Vehicle-seconds spent so far, divided by those in the optimum at the same time."),
        Row("Vehicles under way", under_way, "Left and not arrived, those who wait at their door included."),
    ]


def total_time(seconds: float) -> str:
    """Return a sum of time with its unit."""
    if abs(seconds) >= _LEAST_HOURS_S:
        return f"{text.significant(seconds / SECONDS_PER_HOUR, 4)}{_NARROW}veh-h"
    return f"{text.significant(seconds, 4)}{_NARROW}veh-s"


def _mass(kilograms: float) -> str:
    return (
        f"{text.significant(kilograms / 1000, 4)}{_NARROW}t"
        if kilograms >= 1000
        else f"{text.significant(kilograms, 3)}{_NARROW}kg"
    )


def _pair(show: object, left: float, right: float) -> tuple[str, str]:
    assert callable(show)
    return str(show(left)), str(show(right))


def link_card(scene: Scene, link_idx: int, moment: Moment | None = None) -> dict[str, object]:
    """Return what the map tells about a link: title, remark and rows of texts (what, left, right)."""
    assert scene.city is not None  # there is no link before
    network = scene.city.built.network
    capacity = float(network.capacity_vph[link_idx])
    facts = [f"link {network.link_id[link_idx]}", network.link_classes[network.link_class_code[link_idx]].replace("_", " ")]
    if network.length_m[link_idx] > 0:
        facts.append(length_text(float(network.length_m[link_idx])))
    if network.lanes[link_idx] > 0:
        facts.append(f"{network.lanes[link_idx]:g} {'lane' if network.lanes[link_idx] == 1 else 'lanes'}")
    if network.free_speed_kph[link_idx] > 0:
        facts.append(f"{network.free_speed_kph[link_idx]:.0f}{_NARROW}km/h")
    rows: list[list[str]] = []
    if scene.left is not None and scene.right is not None:
        rows.append(["", scene.left.title.lower(), scene.right.title.lower()])
        states = [pane.links for pane in moment.panes] if moment is not None else [scene.left.links, scene.right.links]
        rows += _link_rows(link_idx, capacity, [state for state in states if state is not None])
    rows.append(["Free-flow time", _time(float(network.free_flow_time_s[link_idx]))])
    rows.append(["Capacity, vehicles/h", text.significant(capacity, 1) if capacity < _LARGEST_CAPACITY_VPH else "no limit"])
    return {"title": scene.city.street(link_idx), "facts": " · ".join(facts), "rows": rows}


def _link_rows(link_idx: int, capacity: float, states: list[LinkState]) -> list[list[str]]:
    if len(states) != 2:
        return []
    rows = [["Flow, vehicles/h", *(_flow(float(state.flow_vph[link_idx])) for state in states)]]
    if capacity < _LARGEST_CAPACITY_VPH:
        rows.append(["Volume / capacity", *(f"{state.flow_vph[link_idx] / capacity:.2f}" for state in states)])
    rows.append(["Travel time", *(_time(float(state.time_s[link_idx])) for state in states)])
    external = [float(state.external_s[link_idx]) for state in states if state.external_s is not None]
    if len(external) == 2:
        rows.append(["Delay to others, s/vehicle", *(text.significant(value, 2) if value else "0" for value in external)])
    return rows


def _flow(flow: float) -> str:
    return text.whole(flow) if flow >= 100 or flow == np.rint(flow) else text.significant(flow, 3)


def _time(seconds: float) -> str:
    return text.duration(seconds, 0 if seconds >= 600 else 1 if seconds >= 1 or seconds < 0.005 else 3)


def length_text(length_m: float) -> str:
    """Return a length in metres or kilometres."""
    if length_m < METRES_PER_KILOMETRE:
        return f"{length_m:.0f}{_NARROW}m"
    return f"{length_m / METRES_PER_KILOMETRE:.1f}{_NARROW}km"


_OPENING = {
    "learning": "Everybody takes the route that is quickest on empty streets, and finds the others there. Press play.",
    "optimum": "The plan is there from the first day on. Press play to see it driven.",
}
