"""Results as people read them on a terminal: tables and sentences, with units and with no digits that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import console
from sim.experiments import report_format as text
from sim.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from sim.experiments.verify import Check

_SMALL_TOTAL_H = 10.0
"""Totals below this many vehicle-hours are shown in vehicle-seconds: textbook networks carry a few vehicles."""
_UNNOTICED = 1e-4
_LONGEST_FIGURE = 1e15
_PRINCIPLES = {"ue": "user equilibrium (ue)", "so": "system optimum (so)"}


def print_run(poa: Mapping[str, Any], *, n_links: int, has_fixed_cost: bool, notes: Sequence[str], report: Path) -> None:
    """Print what a run found.

    Parameters
    ----------
    poa
        Content of poa.json.
    n_links
        Links of the network.
    has_fixed_cost
        Whether tolls or distance count beside time.
    notes
        Attribution and assumptions.
    report
        Where the report lies.
    """
    console.line(f"{poa['scenario']}: {poa['travellers']:,} travellers on {n_links:,} links")
    for note in notes:
        console.line(note)
    console.line()
    worlds = {name: world for name, world in poa["worlds"].items() if "atomic" in world}
    kind = "cost" if has_fixed_cost else "time"
    means = mean_times([world["mean_time_s"] for world in worlds.values()])
    atomic = mean_times([world["atomic"]["mean_time_s"] for world in worlds.values()])
    unit, totals = total_times([world["total_time_s"] for world in worlds.values()])
    columns = ["world", f"mean {kind}", f"total {kind}, vehicle-{unit}", "relative gap", "mean, one by one", "days"]
    rows = [
        [name, mean, total, f"{world['relative_gap']:.1e}", mean_one_by_one, str(world["atomic"]["days"])]
        for (name, world), mean, total, mean_one_by_one in zip(worlds.items(), means, totals, atomic, strict=True)
    ]
    console.print_table(columns, rows)
    console.line("(one by one: whole travellers, who find their own routes day by day or follow the plan)")
    console.line()
    _print_price(poa, kind)
    _print_market({name: world for name, world in poa["worlds"].items() if "ratio" in world}, kind)
    console.line(f"Report: {report}")


def _print_market(worlds: Mapping[str, Any], kind: str) -> None:
    """Print the worlds in which travellers change their routes for money or by chance."""
    if not worlds:
        return
    means = mean_times([world["mean_time_s"] for world in worlds.values()])
    rows = [
        [
            name,
            mean,
            f"{world['ratio']:.6f}",
            f"{world['below_baseline']:,}",
            f"{world['contracts']:,}" if "contracts" in world else "",
            str(world["days"]),
        ]
        for (name, world), mean in zip(worlds.items(), means, strict=True)
    ]
    console.line()
    console.print_table(["world", f"mean {kind}", "ratio to the optimum", "below baseline", "contracts", "days"], rows)
    console.line("(below baseline: travellers who end worse off than in the selfish city, money counted)")
    console.line()


def print_assignment(content: Mapping[str, Any], report: Path | None) -> None:
    """Print what `assign --json` would say as a table; `report` is where the report lies, if one was written."""
    solved = {key: found for key, found in content.items() if isinstance(found, dict)}
    rows = [
        [
            _PRINCIPLES[key],
            _figure(found["tstt"], 9),
            f"{found['relative_gap']:.1e}",
            str(found["iterations"]),
            f"{found['seconds']:.2f}",
            found["stopped_because"],
        ]
        for key, found in solved.items()
    ]
    console.print_table(
        ["principle", "total, in the files' units", "relative gap", "iterations", "seconds", "stopped because"], rows
    )
    if "so" in solved:
        console.line(f"No assignment totals less than {_figure(solved['so']['lower_bound'], 9)} (proven lower bound).")
    if "price_of_anarchy" in content:
        console.line()
        _print_price(content, "cost")
    if report is not None:
        console.line(f"Report: {report}")


def _print_price(content: Mapping[str, Any], kind: str) -> None:
    price, bounds = content["price_of_anarchy"], content["price_of_anarchy_interval"]
    if price is None:
        console.line(f"Price of Anarchy: withheld, {content['withheld']}")
        return
    shown = f"Price of Anarchy {text.ratio(price, bounds[1] - bounds[0])} (interval {text.interval(*bounds)})"
    if bounds[0] <= 1.0 and price - 1.0 < _UNNOTICED:
        console.line(f"{shown}: selfish routing costs nothing that can be told apart from zero.")
    elif kind == "time":
        console.line(f"{shown}: the average trip takes {text.percent(price - 1.0, 3)} longer than it could.")
    else:
        console.line(f"{shown}: the average trip costs {text.percent(price - 1.0, 3)} more than it could.")


def mean_times(seconds: Sequence[float]) -> list[str]:
    """Return times of trips as texts: minutes and seconds, or four digits where all are below a minute."""
    if all(value < SECONDS_PER_MINUTE for value in seconds):
        return [f"{text.significant(value, 4)} s" for value in seconds]
    return [text.duration(value, 1) for value in seconds]


def total_times(seconds: Sequence[float]) -> tuple[str, list[str]]:
    """Return the unit that suits these totals ("hours" or "seconds") and the totals as texts in it."""
    in_hours = any(value >= _SMALL_TOTAL_H * SECONDS_PER_HOUR for value in seconds)
    unit, size = ("hours", SECONDS_PER_HOUR) if in_hours else ("seconds", 1.0)
    return unit, [_figure(value / size, 5) for value in seconds]


def _figure(number: float, digits: int) -> str:
    return text.significant(number, digits) if abs(number) < _LONGEST_FIGURE else f"{number:.{digits}g}"


def print_validation(content: Mapping[str, Any]) -> None:
    """Print what `validate --json` would say."""
    network, demand = content["network"], content["demand"]
    coordinates = network["crs"] or ("plane, of the source's own" if network["bounds"] else "none")
    facts = [
        ["network", network["name"]],
        ["nodes", f"{network['nodes']:,}, of which no path may pass {network['nodes_not_passable']:,}"],
        ["links", f"{network['links']:,}, of which {network['connectors']:,} connect zones to streets"],
        ["length", f"{network['length_km']:,.1f} km" + (f", {network['lane_km']:,.1f} lane-km" if network["lane_km"] else "")],
        ["zones", f"{network['zones']:,}"],
        ["coordinates", coordinates],
        ["travellers", f"{demand['travellers']:,}"],
        ["vehicles an hour", f"{demand['vehicles_per_h']:,.6g}"],
        ["pairs of zones", f"{demand['od_cells']:,}"],
    ]
    facts += [[reason.replace("_", " "), f"{count:,}"] for reason, count in network["cleaning"].items() if count]
    console.print_table(["scenario", content["scenario"]], facts, left=2)
    classes = network["link_classes"]
    console.line()
    rows = [[name.replace("_", " "), f"{of['links']:,}", f"{of['length_km']:,.1f}"] for name, of in classes.items()]
    console.print_table(["class of link", "links", "km"], rows)
    shares = network["provenance_share"]
    sources = list(dict.fromkeys(source for by_source in shares.values() for source in by_source))
    console.line()
    rows = [[value.replace("_", " "), *(text.percent(of.get(source, 0.0)) for source in sources)] for value, of in shares.items()]
    console.print_table(["value from", *(source.replace("_", " ") for source in sources)], rows)
    console.line()
    for note in demand["notes"]:
        console.line(note)
    console.line(f"{content['scenario']} is sound.")


def print_checks(checks: Sequence[Check]) -> None:
    """Print figures beside their references."""
    rows = [
        [
            check.case,
            check.figure,
            f"{check.found:,.10g}",
            f"{check.reference:,.10g}",
            f"{check.difference:.1e}",
            f"{check.tolerance:.0e}",
            "yes" if check.passed else "NO",
        ]
        for check in checks
    ]
    console.print_table(["case", "figure", "found", "reference", "difference", "allowed", "agrees"], rows, left=2)
    n_passed = sum(check.passed for check in checks)
    console.line()
    console.line(f"{n_passed} of {len(checks)} figures agree with their references.")
