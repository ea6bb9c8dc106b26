"""Queue traffic in the report: the day as curves, where vehicles lose time, and how near the best day is to what is proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.arrays import FloatColumn
from sim.experiments import report_charts as charts
from sim.experiments import report_format as text
from sim.experiments import report_maps as maps
from sim.experiments import report_sections as sections
from sim.experiments.record import RecordedRun
from sim.experiments.record_tables import CITY_TIMES, LINK_TIMES
from sim.network.road_network import CONNECTOR_CLASS
from sim.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

_MOST_LINKS = 10
_LEAST_HOURS = 5e-4
_METHODS = {"prices": "prices on full links", "free flow": "free flow"}
_BEHAVIOURS = {
    "equilibrium": "drivers who learn from day to day which way is best when they leave",
    "one_shot": "drivers who take the way that is fastest when they leave",
    "given": "drivers whose ways the list of trips states",
    "reactive": "drivers who follow the present traffic on the road",
}


@dataclass(frozen=True)
class CurveFigure:
    """A chart: title, caption, SVG, and (name, CSS variable) of each curve."""

    title: str
    caption: str
    svg: str
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DelayedLink:
    """A link where much time is lost: the delay in each world, in the order of the worlds, and the longest queue of the first."""

    link_id: str
    ends: str
    link_class: str
    delays: tuple[str, ...]
    most_vehicles: str


@dataclass(frozen=True, eq=False)
class QueueSection:
    """What the section shows.

    Attributes
    ----------
    sentence
        What selfish drivers do here, and how long the day takes.
    worlds
        Names of the worlds, for the table's head.
    facts
        (figure, one text a world).
    figures
        Curves over the day, and the search for the best day.
    delayed
        Links with the most delay.
    delay_h
        Delay by link in each world, vehicle-hours; shape (n_links,).
    """

    sentence: str
    worlds: tuple[str, ...]
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    figures: tuple[CurveFigure, ...]
    delayed: tuple[DelayedLink, ...]
    delay_h: Mapping[str, FloatColumn]


def queue_section(run: RecordedRun, links: Mapping[str, Any]) -> QueueSection | None:
    """Return the section; None for a run of static traffic.

    Parameters
    ----------
    links
        Columns of link_performance.

    Raises
    ------
    InputError
        A table of queue traffic is missing or broken.
    """
    if run.poa.get("traffic") != "queue":
        return None
    worlds = tuple(sections.worlds_of(run))
    city = _columns(run, CITY_TIMES)
    by_link = _columns(run, LINK_TIMES)
    n_links = len(links["link_id"])
    delay_h = {world: _delay_h(by_link, world, n_links, links["free_flow_time_s"]) for world in worlds}
    most = _most_vehicles(by_link, worlds[0], n_links)
    return QueueSection(
        sentence=_sentence(run),
        worlds=tuple(sections.world_name(world) for world in worlds),
        facts=tuple(_facts(run, worlds, city, delay_h)),
        figures=(*_day_figures(city, worlds), *_search_figure(run)),
        delayed=tuple(_delayed(links, delay_h, most)),
        delay_h=delay_h,
    )


def delay_limit_h(delay_h: Mapping[str, FloatColumn]) -> float:
    """Return the delay at which the colours of all maps end: links with more have half of all the delay, rounded."""
    worst = np.sort(np.concatenate(list(delay_h.values())))[::-1]
    if worst[0] <= 0:
        return 1.0
    half = int(np.searchsorted(np.cumsum(worst), 0.5 * worst.sum()))
    return maps.round_number(float(worst[half]))


def _columns(run: RecordedRun, name: str) -> dict[str, Any]:
    table = run.table(name)
    return {column: table[column].to_numpy() for column in table.column_names}


def _delay_h(by_link: Mapping[str, Any], world: str, n_links: int, free_flow_time_s: FloatColumn) -> FloatColumn:
    """Return what those who left each link lost on it against free flow, vehicle-hours."""
    left = (by_link["world"] == world) & np.isfinite(by_link["mean_travel_time_s"])
    link_idx, exits = by_link["link_idx"][left], by_link["exits"][left]
    lost_s = np.maximum(0.0, exits * (by_link["mean_travel_time_s"][left] - free_flow_time_s[link_idx]))
    return np.bincount(link_idx, weights=lost_s, minlength=n_links) / SECONDS_PER_HOUR


def _most_vehicles(by_link: Mapping[str, Any], world: str, n_links: int) -> FloatColumn:
    here = by_link["world"] == world
    most = np.zeros(n_links)
    np.maximum.at(most, by_link["link_idx"][here], by_link["vehicles_at_end"][here])
    return most


def _sentence(run: RecordedRun) -> str:
    selfish = sections.worlds_of(run).get(sections.SELFISH)
    behaviour = _BEHAVIOURS.get(str(selfish.get("behaviour")), "") if selfish is not None else ""
    start = "Every traveller is a vehicle that queues, fills links up and spills back."
    return f"{start} Selfish are {behaviour}." if behaviour else start


def _facts(
    run: RecordedRun, worlds: tuple[str, ...], city: Mapping[str, Any], delay_h: Mapping[str, FloatColumn]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    content = sections.worlds_of(run)
    lost_h = [
        (float(content[world]["total_time_s"]) - float(content[world]["free_flow_time_s"])) / SECONDS_PER_HOUR for world in worlds
    ]
    on_links_h = [float(delay_h[world].sum()) for world in worlds]
    yield "Free-flow time, vehicle-hours", tuple(text.vehicle_hours(float(content[w]["free_flow_time_s"])) for w in worlds)
    yield "Beyond it, by queues and detours", tuple(text.significant(hours, 5) for hours in lost_h)
    yield "of which lost on links", tuple(text.significant(hours, 5) for hours in on_links_h)
    for name, column in (("Most vehicles under way", "under_way"), ("Most of them waiting in queues", "waiting")):
        peak = [_series(city, world, column)[1].max(initial=0.0) for world in worlds]
        yield name, tuple(text.whole(float(number)) for number in peak)
    last_s = [float(np.nanmax(run.table("trips", [f"{world}_arrival_s"])[0].to_numpy(), initial=0.0)) for world in worlds]
    yield "The last ones arrive after", tuple(text.duration(seconds) for seconds in last_s)
    yield "Gridlocked circles moved up", tuple(text.whole(float(content[world]["gridlock_rotations"])) for world in worlds)
    yield "Vehicles in them", tuple(text.whole(float(content[world]["gridlock_vehicles"])) for world in worlds)
    yield "Travellers who never arrive", tuple(text.whole(float(content[world]["never_arrived"])) for world in worlds)


def _series(city: Mapping[str, Any], world: str, column: str) -> tuple[FloatColumn, FloatColumn]:
    here = city["world"] == world
    if column == "under_way":
        return city["time_s"][here], city["departed"][here] - city["arrived"][here]
    return city["time_s"][here], city[column][here]


def _day_figures(city: Mapping[str, Any], worlds: tuple[str, ...]) -> Iterator[CurveFigure]:
    minutes = {world: _series(city, world, "arrived")[0] / SECONDS_PER_MINUTE for world in worlds}
    # Departures are those of the first world; only a market or a choice of departures moves them.
    departed = {"Departures": (minutes[worlds[0]], _series(city, worlds[0], "departed")[1])}
    arrived = {world: (minutes[world], _series(city, world, "arrived")[1]) for world in worlds}
    yield _curves("Departures and arrivals", "Vehicles so far. Between the curves lie those under way.", departed | arrived)
    for title, column, caption in (
        ("Vehicles under way", "under_way", "Departed and not yet arrived, the wait at the origin included."),
        ("Vehicles waiting", "waiting", "On a link for longer than its free-flow time."),
    ):
        yield _curves(title, caption, {world: (minutes[world], _series(city, world, column)[1]) for world in worlds})


def _curves(title: str, caption: str, series: Mapping[str, tuple[FloatColumn, FloatColumn]]) -> CurveFigure:
    svg, colours = charts.lines_svg(
        series, x_label="minutes", y_label="vehicles", from_zero=True, description=f"{title} over the day"
    )
    return CurveFigure(title, caption, svg, tuple((sections.world_name(name), colour) for name, colour in colours.items()))


def _search_figure(run: RecordedRun) -> Iterator[CurveFigure]:
    """Return how the best day and the bound came towards each other."""
    if sections.OPTIMUM not in sections.worlds_of(run) or not run.has_table("convergence"):
        return
    table = run.table("convergence", ["world", "stage", "step", "total_time_s"])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    optimum = columns["world"] == sections.OPTIMUM
    content = sections.worlds_of(run)[sections.OPTIMUM]
    vehicles = float(content["total_time_s"]) / float(content["mean_time_s"])
    series = {}
    for name, stage in (("Best day so far", "solver"), ("Lower bound", "bound")):
        rows = optimum & (columns["stage"] == stage)
        if rows.any():
            total_s = columns["total_time_s"][rows]
            if stage == "bound":  # the best of the evaluations so far is what is proven
                total_s = np.maximum(float(content["free_flow_time_s"]), np.maximum.accumulate(total_s))
            series[name] = (columns["step"][rows].astype(np.float64), total_s / vehicles)
    if not series:
        return
    svg, colours = charts.lines_svg(
        series,
        x_label="day tried, or evaluation",
        y_label="seconds a trip",
        from_zero=False,
        description="Best day and lower bound",
    )
    method = _METHODS.get(str(content.get("lower_bound_method")), "")
    caption = f"No day takes less than the bound ({method}), whoever plans it." if method else ""
    yield CurveFigure("Best day found and lower bound", caption, svg, tuple(colours.items()))


def _hours(hours: float) -> str:
    return text.significant(hours, 3) if hours >= _LEAST_HOURS else "0"


def _delayed(links: Mapping[str, Any], delay_h: Mapping[str, FloatColumn], most: FloatColumn) -> Iterator[DelayedLink]:
    first = next(iter(delay_h.values()))
    street = links["link_class"] != CONNECTOR_CLASS
    for link_idx in np.argsort(-np.where(street, first, 0.0), kind="stable")[:_MOST_LINKS]:
        if not street[link_idx] or first[link_idx] <= 0:
            return
        yield DelayedLink(
            link_id=str(links["link_id"][link_idx]),
            ends=f"{links['from_node_id'][link_idx]} → {links['to_node_id'][link_idx]}",
            link_class=str(links["link_class"][link_idx]).replace("_", " "),
            delays=tuple(_hours(float(delay[link_idx])) for delay in delay_h.values()),
            most_vehicles=text.whole(float(most[link_idx])),
        )
