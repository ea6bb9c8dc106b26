"""Two runs side by side as one HTML page that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

import sim
from sim.errors import RunFailedError
from sim.experiments import report_charts as charts
from sim.experiments import report_format as text
from sim.experiments import report_maps as maps
from sim.experiments.bootstrap import MeanInterval
from sim.experiments.compare import Comparison, WorldChange
from sim.experiments.record import RecordedRun
from sim.experiments.report import ChartFigure, MapFigure, map_figure
from sim.experiments.report_sections import weighted_quantile, world_name
from sim.settlement.money import MICRO_PER_CREDIT
from sim.units import SECONDS_PER_HOUR

_TEMPLATE = "compare.html.jinja"
_DIGITS = 6


def write_comparison(comparison: Comparison, target: Path) -> Path:
    """Write the page to a file, whole or not at all, and return its path.

    Raises
    ------
    RunFailedError
        The file cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(comparison_html(comparison), encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise RunFailedError(f"cannot write {target}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def comparison_html(comparison: Comparison) -> str:
    """Return the page; the same two folders give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.experiments", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = comparison.first, comparison.second
    notes = dict.fromkeys(str(note) for run in runs for note in run.manifest.get("notes", ()) if "©" in str(note))
    return environment.get_template(_TEMPLATE).render(
        title=" and ".join(dict.fromkeys(str(run.manifest["scenario"]) for run in runs)),
        remarks=comparison.remarks,
        runs=[
            {
                "scenario": run.manifest["scenario"],
                "folder": run.path.name,
                "seed": run.manifest["seed"],
                "price": "none" if price is None else f"{price:.{_DIGITS}g}",
            }
            for run, price in zip(runs, comparison.price_of_anarchy, strict=True)
        ],
        changed=[(key, _shown(a), _shown(b)) for key, (a, b) in comparison.changed_keys.items()],
        worlds=[_world(comparison, world) for world in comparison.worlds],
        attributions=list(notes),
        version=sim.__version__,
    )


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def _signed(value: float, unit: str) -> str:
    size = f"{abs(value):,.4g}"
    return f"{text.MINUS if value < 0 and size != '0' else ''}{size}\u00a0{unit}".rstrip()


def _interval(found: MeanInterval, unit: str, scale: float = 1.0) -> str:
    if found.interval is None:
        return "one unit alone"
    low, high = found.interval
    return f"{_signed(low * scale, unit)} to {_signed(high * scale, unit)}"


def _world(comparison: Comparison, world: WorldChange) -> dict[str, Any]:
    one, other = world_name(world.first_world), world_name(world.second_world)
    return {
        "title": one if one == other else f"{one} (first) and {other.lower()} (second)",
        "totals": [
            (key.replace("_", " "), f"{a:,.{_DIGITS}g}", f"{b:,.{_DIGITS}g}", _signed(b - a, ""))
            for key, (a, b) in world.totals.items()
        ],
        "means": list(_means(world)),
        "shares": _shares(world),
        "figures": list(_figures(comparison, world)),
        "maps": list(_maps(comparison, world)),
        "pairs": [
            (
                f"{pair.origin_zone_id} → {pair.destination_zone_id}",
                f"{pair.vehicles:,.4g}",
                _signed(pair.cost_s.mean, "s"),
                _interval(pair.cost_s, "s"),
                _signed(pair.total_s / SECONDS_PER_HOUR, ""),
            )
            for pair in (world.travellers.pairs if world.travellers is not None else ())
        ],
        "links": [
            (
                str(link.link_id),
                f"{link.first_flow_vph:,.5g}",
                f"{link.second_flow_vph:,.5g}",
                _signed(link.total_s / SECONDS_PER_HOUR, ""),
            )
            for link in (world.links.links if world.links is not None else ())
        ],
    }


def _means(world: WorldChange) -> Iterator[tuple[str, str, str, str]]:
    found, links = world.travellers, world.links
    if found is not None:
        n, pairs = f"{found.n_travellers:,} travellers", f"{found.n_pairs:,} pairs"
        yield "Cost of a vehicle's trip", n, _signed(found.cost_s.mean, "s"), _interval(found.cost_s, "s")
        yield "The same, OD pairs drawn whole", pairs, _signed(found.by_od.mean, "s"), _interval(found.by_od, "s")
        if found.money_micro is not None:
            scale = 1 / MICRO_PER_CREDIT
            money = found.money_micro
            yield "Money received a vehicle", n, _signed(money.mean * scale, "credits"), _interval(money, "credits", scale)
    if links is not None:
        scale = 1 / SECONDS_PER_HOUR
        mean = _signed(links.total_s.mean * scale, "vehicle-h")
        yield "Time spent on a link in an hour", f"{links.n_links:,} links", mean, _interval(links.total_s, "vehicle-h", scale)


def _shares(world: WorldChange) -> str:
    if world.travellers is None:
        return ""
    found = world.travellers
    return (
        f"{text.percent(found.better)} of the vehicles are better off in the second run, {text.percent(found.worse)} worse off, "
        f"{text.percent(found.same)} the same within a second (payments not counted)."
    )


def _figures(comparison: Comparison, world: WorldChange) -> Iterator[ChartFigure]:
    if world.travellers is None:
        return
    first = comparison.first.table("trips", [f"{world.first_world}_cost_s", "weight"])
    second = comparison.second.table("trips", [f"{world.second_world}_cost_s"])
    change = second[0].to_numpy() - first[0].to_numpy()
    travels = np.isfinite(change)
    change, weight = change[travels], first["weight"].to_numpy()[travels]
    limit_s = weighted_quantile(np.abs(change), weight, 0.99)
    if limit_s <= 0:
        return
    name = f"{world_name(world.first_world)} and {world_name(world.second_world)}"
    svg = charts.change_svg(change, weight, limit_s=limit_s, description=f"Change of cost traveller by traveller: {name}")
    caption = "Second minus first. Larger changes (1 % of the trips) are counted in the outermost bars."
    ends = (("Better in the second run", "--optimum"), ("Worse in the second run", "--selfish"))
    yield ChartFigure("Change of cost, traveller by traveller", caption, Markup(svg), ends)


def _maps(comparison: Comparison, world: WorldChange) -> Iterator[MapFigure]:
    if world.links is None:
        return
    links, geo_metadata = _link_columns(comparison.first)
    links["first_flow_vph"] = links[f"{world.first_world}_flow_vph"]
    links["second_flow_vph"] = _link_columns(comparison.second)[0][f"{world.second_world}_flow_vph"]
    if not (links["first_flow_vph"] != links["second_flow_vph"]).any():
        return
    shapes = maps.link_shapes(links, geo_metadata)
    if shapes is None:
        return
    picture, limit_vph = maps.difference_map(shapes, links, "second", "first")
    limit = text.significant(limit_vph, 1)
    yield map_figure(
        picture,
        "Flow, second minus first",
        "Purple streets carry more in the second run, green ones more in the first; grey ones hardly change.",
        (f"{text.MINUS}{limit} or less", "vehicles an hour", f"+{limit} or more"),
    )


def _link_columns(run: RecordedRun) -> tuple[dict[str, Any], bytes | None]:
    table = run.table("link_performance")
    return {name: table[name].to_numpy() for name in table.column_names}, (table.schema.metadata or {}).get(b"geo")
