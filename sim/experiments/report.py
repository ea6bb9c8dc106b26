"""A finished run as one HTML page that needs nothing else: no network, no script, no file beside it (one it names: quality.html).

Everything on the page comes from the files of the run folder, so that any old run can be reported again; the same folder gives
the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from sim.errors import InputError
from sim.experiments import report_charts as charts
from sim.experiments import report_contracts as contracts
from sim.experiments import report_controls as controls
from sim.experiments import report_counts as counted
from sim.experiments import report_emissions as emitted
from sim.experiments import report_format as text
from sim.experiments import report_maps as maps
from sim.experiments import report_market as market
from sim.experiments import report_queue as queued
from sim.experiments import report_sections as sections
from sim.experiments import report_what_if as changed
from sim.experiments.quality_page import QUALITY
from sim.experiments.record import LOCK, MANIFEST, REPORT, RecordedRun, add_file, read_run
from sim.experiments.record_tables import GEOMETRY_COLUMN
from sim.experiments.report_sections import OPTIMUM, SELFISH
from sim.settlement.ledger_file import LedgerCheck

_TEMPLATE = "report.html.jinja"
_SOURCE_COLOURS = {
    "tag": "--source-1",
    "file": "--source-2",
    "class_default": "--source-3",
    "override": "--source-4",
    "none": "--line",
}
_HOW_SOLVED = {"solver": "iteration", "days": "day"}


class _Missing(jinja2.StrictUndefined):
    """A value the template asks for in vain; unlike jinja2's own it also says its name when it is formatted as a number."""

    def __format__(self, specification: str) -> str:
        return str(self)  # raises UndefinedError


@dataclass(frozen=True)
class MapFigure:
    """A map with its legend: the pictures as data URIs by theme, the ramp by theme, and the texts at its ends."""

    title: str
    caption: str
    uri: Mapping[maps.Theme, str]
    ramp: Mapping[maps.Theme, str]
    width_px: int
    height_px: int
    low: str
    middle: str
    high: str
    scale_bar: maps.ScaleBar | None


@dataclass(frozen=True)
class ChartFigure:
    """A chart with its legend: (name, CSS variable) of each world in it."""

    title: str
    caption: str
    svg: Markup
    legend: tuple[tuple[str, str], ...]


def write_report(run_folder: Path, ledger: LedgerCheck | None = None) -> Path:
    """Write report.html into a run folder from the other files in it, enter it in the manifest, and return its path.

    Parameters
    ----------
    run_folder
        A finished run.
    ledger
        What `ledger_check` found, where that is known already: large ledgers take a second.

    Raises
    ------
    InputError
        The folder is no run folder, or a file in it is missing or broken.
    RunFailedError
        The folder cannot be written to.
    """
    return add_file(run_folder, REPORT, report_html(read_run(run_folder), ledger).encode("utf-8"))


def ledger_findings(run_folder: Path) -> list[str]:
    """Return what is damaged in the ledger of a run, in words; empty where it verifies, or where the run recorded none.

    Raises
    ------
    InputError
        The folder is no run folder.
    """
    check = ledger_check(run_folder)
    return [] if check is None else list(check.problems)


def ledger_check(run_folder: Path) -> LedgerCheck | None:
    """Recompute the ledger of a run from its files; None where the run recorded none.

    `report_contracts.ledger_sentence` says in words what was checked.

    Raises
    ------
    InputError
        The folder is no run folder.
    """
    return contracts.check_run_ledger(read_run(run_folder))


def report_html(run: RecordedRun, ledger: LedgerCheck | None = None) -> str:
    """Return the page; parts whose world or table is absent are left out. See `write_report` for `ledger`.

    Raises
    ------
    InputError
        A file of the run is missing or broken.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.experiments", "templates"),
        autoescape=True,
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "whole": text.whole,
        "percent": text.percent,
        "duration": text.duration,
        "size": text.size,
        "significant": text.significant,
        "signed_percent": text.signed_percent,
        "words": _words,
        "world_name": sections.world_name,
    }
    try:
        return environment.get_template(_TEMPLATE).render(_content(run, ledger))
    except jinja2.UndefinedError as error:
        raise InputError(f"lacks a key that the report needs: {error}", source=run.path / MANIFEST) from None


def _content(run: RecordedRun, ledger: LedgerCheck | None) -> dict[str, Any]:
    """Return everything that the template shows."""
    links, geo_metadata = _links(run)
    has_fixed_cost = bool(links) and bool((links["fixed_cost_s"] > 0).any())
    # What is cheap and may refuse a broken file comes before the pictures.
    headline, worlds = sections.headline(run, has_fixed_cost=has_fixed_cost), sections.world_rows(run)
    times = sections.trip_times(run)
    contracts_found = contracts.contracts_section(run, links, ledger)
    money = _market_content(run, None if contracts_found is None else contracts_found.defectors)
    counts = counted.counts_section(run)
    queue = queued.queue_section(run, links)
    emissions = emitted.emissions(links, list(sections.worlds_of(run)))
    figures, map_remark = _maps(links, geo_metadata, links_are_queues=queue is not None)
    notes = [str(note) for note in run.manifest.get("notes", ())]
    return {
        "scenario": run.scenario,
        "manifest": run.manifest,
        "poa": run.poa,
        "headline": headline,
        "has_fixed_cost": has_fixed_cost,
        "worlds": worlds,
        **money,
        "contracts": contracts_found,
        "emissions": emissions,
        "emission_source": emitted.SOURCE,
        "emission_range_kph": emitted.SPEED_RANGE_KPH,
        "world_colours": charts.colour_variables(list(sections.worlds_of(run))),
        "what_if": changed.what_if(run),
        "what_if_map": _what_if_map(run),
        "counts": counts,
        "counts_chart": None if counts is None else _counts_chart(counts),
        "maps": figures,
        "map_remark": map_remark,
        "attributions": [note for note in notes if "©" in note],
        "notes": notes,
        "gains": None if times is None else sections.gains(times),
        "same_time_s": sections.SAME_TIME_S,
        "time_rows": [] if times is None else sections.time_rows(times),
        "time_charts": [] if times is None else [*_change_charts(times), *_time_charts(times)],
        "convergence_charts": list(_convergence_charts(run)),
        "queue": queue,
        "queue_charts": [] if queue is None else [_curve_figure(figure) for figure in queue.figures],
        "delay_maps": [] if queue is None else list(_delay_maps(queue, links, geo_metadata)),
        "busiest": sections.busiest_links(links) if queue is None and f"{SELFISH}_flow_vph" in links else [],
        "source_colours": _SOURCE_COLOURS,
        "provenance": sections.provenance_bars(links) if links else [],
        "quality": run.manifest["network"].get("quality"),
        "quality_page": QUALITY if QUALITY in run.manifest["files"] else None,
        "files": {name: entry for name, entry in run.manifest["files"].items() if name != REPORT},
        "lock_text": (run.path / LOCK).read_text(encoding="utf-8"),
        "manifest_name": MANIFEST,
    }


def _market_content(run: RecordedRun, defectors: frozenset[int] | None) -> dict[str, Any]:
    """Return what the template shows of the worlds in which money moves; `defectors` are rows of trips."""
    names = market.market_worlds(run)
    trips = market.trip_money(run) if names else None
    cost_micro = market.time_cost_micro(run, trips) if names else None
    honest_below = market.honest_below_baseline(trips, defectors)
    return {
        "market_headline": market.market_headline(run, honest_below),
        "market_cells": {name: (market.below_baseline(run, name), market.money_moved(run, name, cost_micro)) for name in names},
        "savings": market.savings(run, honest_below),
        "welfare": market.welfare_rows(run, trips),
        "payments": market.payment_facts(run, cost_micro),
        "market_charts": [] if trips is None else list(_group_charts(trips, names)),
        "controls": controls.control_rows(run) if names else [],
        "cheats": controls.cheat_rows(run) if names else [],
        "curves": [(curve, list(_curve_charts(curve))) for curve in controls.curves(run)],
    }


def _curve_charts(curve: controls.Curve) -> Iterator[ChartFigure]:
    pictures: tuple[tuple[str, Mapping[str, Any], str, bool], ...] = (
        (curve.title, {"Coalition": curve.ratio}, "ratio to the optimum", False),
        (
            "What members and others save",
            {
                name: values
                for name, values in (("Members", curve.members), ("Others", curve.others))
                if np.isfinite(values).any()
            },
            "of their travel time",
            True,
        ),
    )
    for title, series, y_label, shares in pictures:
        svg, colours = charts.curve_svg(
            curve.level, series, x_label=curve.x_label, y_label=y_label, shares=shares, description=f"{title}, {curve.lever}"
        )
        yield ChartFigure(title, "", Markup(svg), tuple(colours.items()))


def _group_charts(trips: market.TripMoney, names: list[str]) -> Iterator[ChartFigure]:
    world = market.COALITION if market.COALITION in names else names[0]
    found = market.groups(trips, world)
    if found is None:
        return
    why = "" if found.by == "value of time" else " Everybody has the same value of time."
    name, x_label = sections.world_name(world), f"decile of the {found.by}"
    svg = charts.winners_svg(
        found.better, found.worse, x_label=x_label, description=f"Winners and losers by decile of the {found.by}"
    )
    ends = (("Better off than in the baseline", "--optimum"), ("Worse off", "--selfish"))
    yield ChartFigure(f"{name}: winners and losers", f"Members alone, payments counted.{why}", Markup(svg), ends)
    parts = {"Time saved": found.time, "Money received": found.money}
    svg, colours = charts.parts_svg(
        parts,
        found.time + found.money,
        x_label=x_label,
        y_label="of the baseline cost",
        description=f"Time saved and money received by decile of the {found.by}",
    )
    caption = "Sums of each group over its baseline cost. Money below zero was paid."
    legend = (*colours.items(), ("Both together", "--ink"))
    yield ChartFigure(f"{name}: time and money", caption, Markup(svg), legend)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _links(run: RecordedRun) -> tuple[dict[str, Any], bytes | None]:
    """Return the columns of link_performance as arrays, and its GeoParquet metadata; nothing where the run has no such table."""
    if not run.has_table("link_performance"):
        return {}, None
    table = run.table("link_performance")
    return {name: table[name].to_numpy() for name in table.column_names}, (table.schema.metadata or {}).get(b"geo")


def _flow_remark(links_are_queues: bool) -> str:
    return " Flow: all vehicles over the time in which people depart." if links_are_queues else ""


def _maps(links: Mapping[str, Any], geo_metadata: bytes | None, *, links_are_queues: bool = False) -> tuple[list[MapFigure], str]:
    """Return the maps, and a remark that says what the reader sees or why there is no map."""
    worlds = [name.removesuffix("_flow_vph") for name in links if name.endswith("_flow_vph")]
    if not worlds:
        return [], "There is no map, because the run recorded no link flows."
    shapes = maps.link_shapes(links, geo_metadata)
    if shapes is None:
        reason = (
            "have no coordinates" if GEOMETRY_COLUMN in links else "come without coordinates and are too many to lay out by hand"
        )
        return [], f"There is no map: the links {reason}."
    world = SELFISH if SELFISH in worlds else worlds[0]
    load = maps.load_map(shapes, links, world)
    figures = [
        map_figure(
            load,
            f"Load in the {world_text(world)} world",
            "Colour: flow over capacity. Width: flow. Grey streets carry nobody." + _flow_remark(links_are_queues),
            ("0", "flow / capacity", f"{maps.LOAD_LIMIT:g} and more"),
        )
    ]
    if {SELFISH, OPTIMUM} <= set(worlds):
        difference, limit_vph = maps.difference_map(shapes, links, SELFISH, OPTIMUM)
        figures.append(
            map_figure(
                difference,
                "Selfish minus optimum",
                "Purple streets carry more when everybody is selfish, green ones more in the optimum; grey ones hardly change.",
                (f"{text.MINUS}{text.whole(limit_vph)} or less", "vehicles an hour", f"+{text.whole(limit_vph)} or more"),
            )
        )
    if {SELFISH, market.COALITION} <= set(worlds):
        difference, limit_vph = maps.difference_map(shapes, links, market.COALITION, SELFISH)
        figures.append(
            map_figure(
                difference,
                "Coalition minus selfish",
                "Purple streets carry more when detours are paid for, green ones more when everybody is selfish.",
                (f"{text.MINUS}{text.whole(limit_vph)} or less", "vehicles an hour", f"+{text.whole(limit_vph)} or more"),
            )
        )
    return figures, "The network has no coordinates: this is a schematic, distances mean nothing." if shapes.schematic else ""


def _curve_figure(figure: queued.CurveFigure) -> ChartFigure:
    return ChartFigure(figure.title, figure.caption, Markup(figure.svg), figure.legend)


def _delay_maps(found: queued.QueueSection, links: Mapping[str, Any], geo_metadata: bytes | None) -> Iterator[MapFigure]:
    shapes = maps.link_shapes(links, geo_metadata)
    if shapes is None:
        return
    limit_h = queued.delay_limit_h(found.delay_h)
    for world, delay_h in found.delay_h.items():
        title = f"Time lost in the {world_text(world)} world"
        ends = ("0", "vehicle-hours on the link", f"{text.significant(limit_h, 2)} and more")
        yield map_figure(maps.delay_map(shapes, delay_h, limit_h), title, "Against free flow, over the whole day.", ends)


def _counts_chart(found: counted.CountsSection) -> ChartFigure:
    series = {"Before": found.prior_flow_vph, "After": found.flow_vph}
    svg, colours = charts.scatter_svg(
        found.count_vph, series, x_label="counted (veh/h)", y_label="selfish flow (veh/h)", description="Flows against counts"
    )
    return ChartFigure("Flows against counts", "", Markup(svg), tuple(colours.items()))


def _what_if_map(run: RecordedRun) -> MapFigure | None:
    found = changed.difference(run)
    if found is None:
        return None
    picture, limit_vph = found
    ends = (f"{text.MINUS}{text.whole(limit_vph)} or less", "vehicles an hour", f"+{text.whole(limit_vph)} or more")
    caption = "Purple streets carry more after the change, green ones less; grey ones hardly change."
    return map_figure(picture, "Selfish traffic after the change minus before", caption, ends)


def world_text(world: str) -> str:
    """Return the name of a world inside a sentence."""
    return sections.world_name(world).lower()


def map_figure(picture: maps.Picture, title: str, caption: str, ends: tuple[str, str, str]) -> MapFigure:
    """Return a picture with its texts; `ends` stand below the low end, the middle and the high end of the colours."""
    uri = {theme: "data:image/png;base64," + base64.b64encode(png).decode("ascii") for theme, png in picture.png.items()}
    if picture.cropped:
        caption += " Outlying streets lie outside the frame."
    return MapFigure(title, caption, uri, picture.ramp, picture.width_px, picture.height_px, *ends, picture.scale_bar)


def _legend(worlds: list[str]) -> tuple[tuple[str, str], ...]:
    colours = charts.colour_variables(worlds)
    return tuple((sections.world_name(world), colours[world]) for world in worlds)


def _time_charts(times: sections.TripTimes) -> Iterator[ChartFigure]:
    values = {SELFISH: times.selfish_s, OPTIMUM: times.optimum_s}
    up_to_s = max(sections.weighted_quantile(column, times.weight, 0.995) for column in values.values())
    if up_to_s <= 0:
        return
    beyond = float(times.weight[times.selfish_s > up_to_s].sum() / times.weight.sum())
    caption = (
        f"Not shown: {text.percent(beyond)} of the selfish trips, which take longer than {text.duration(up_to_s)}."
        if beyond > 0
        else ""
    )
    svg = charts.histogram_svg(
        values, times.weight, up_to_s=up_to_s, description="Distribution of travel times in the selfish world and the optimum"
    )
    yield ChartFigure("Distribution of travel times", caption, Markup(svg), _legend(list(values)))


def _change_charts(times: sections.TripTimes) -> Iterator[ChartFigure]:
    change_s = times.optimum_s - times.selfish_s
    limit_s = sections.weighted_quantile(np.abs(change_s), times.weight, 0.99)
    if limit_s <= sections.SAME_TIME_S:
        return
    svg = charts.change_svg(
        change_s, times.weight, limit_s=limit_s, description="Change of travel time from the selfish world to the optimum"
    )
    caption = (
        "Optimum minus selfish, traveller by traveller. Larger changes (1 % of the trips) are counted in the outermost bars."
    )
    yield ChartFigure(
        "Change of travel time",
        caption,
        Markup(svg),
        (("Faster in the optimum", "--optimum"), ("Slower in the optimum", "--selfish")),
    )


def _convergence_charts(run: RecordedRun) -> Iterator[ChartFigure]:
    if not run.has_table("convergence"):
        return
    table = run.table("convergence")
    columns = {name: table[name].to_numpy() for name in ("world", "stage", "step", "relative_gap")}
    titles = {
        "solver": ("Solvers", "Continuous solutions."),
        "days": ("Travellers", "Travellers who choose their routes day by day."),
    }
    if run.poa.get("traffic") == "queue":
        titles = {"days": ("Gap by day", "Of those who were searched: a sample on most days, everybody on the last.")}
    for stage, (title, caption) in titles.items():
        series = {}
        for world in dict.fromkeys(columns["world"].tolist()):
            rows = (columns["world"] == world) & (columns["stage"] == stage) & np.isfinite(columns["relative_gap"])
            if rows.any():
                series[world] = charts.Steps(columns["step"][rows].astype(np.float64), columns["relative_gap"][rows])
        if series:
            svg = charts.convergence_svg(series, x_label=_HOW_SOLVED[stage], description=f"Relative gap by {_HOW_SOLVED[stage]}")
            yield ChartFigure(title, caption, Markup(svg), _legend(list(series)))
