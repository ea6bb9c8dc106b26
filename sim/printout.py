"""Results as people read them on a terminal: tables and sentences, with units and with no digits that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import console
from sim.experiments import report_format as text
from sim.settlement.money import MICRO_PER_CREDIT
from sim.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from sim.experiments.verify import Check

_SMALL_TOTAL_H = 10.0
"""Totals below this many vehicle-hours are shown in vehicle-seconds: textbook networks carry a few vehicles."""
_UNNOTICED = 1e-4
_LONGEST_FIGURE = 1e15
_PRINCIPLES = {"ue": "user equilibrium (ue)", "so": "system optimum (so)", "mixed": "mixed equilibrium"}


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
    if poa["traffic"] == "queue":
        _print_queue_worlds(poa)
        console.line(f"Report: {report}")
        return
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
    _print_before(poa, kind)
    market = {name: world for name, world in poa["worlds"].items() if "ratio" in world}
    _print_market(market, kind)
    if "coalition" in market:
        _print_coalition(market["coalition"], poa)
    console.line(f"Report: {report}")


def _print_queue_worlds(poa: Mapping[str, Any]) -> None:
    """Print the worlds of queue traffic and the Price of Anarchy."""
    worlds = poa["worlds"]
    means = mean_times([world["mean_time_s"] for world in worlds.values()])
    unit, totals = total_times([world["total_time_s"] for world in worlds.values()])
    rows = []
    for (name, world), mean, total in zip(worlds.items(), means, totals, strict=True):
        gap = "" if world.get("relative_gap") is None else text.percent(world["relative_gap"])
        rows.append([name, mean, total, gap, f"{world['gridlock_rotations']:,}", f"{world['never_arrived']:,}"])
    console.print_table(["world", "mean time", f"total time, vehicle-{unit}", "gap", "gridlocks", "never arrived"], rows)
    console.line("(gap: selfish, what people could still save; optimum, the best day found over the proven lower bound)")
    console.line()
    price, bounds = poa["price_of_anarchy"], poa["price_of_anarchy_interval"]
    if price is None:
        console.line(f"Price of Anarchy: withheld, {poa['withheld']}")
        return
    shown = f"Price of Anarchy {text.ratio(price, bounds[1] - bounds[0])} (interval {text.interval(*bounds)})"
    console.line(f"{shown}: the average trip takes {text.percent(price - 1.0, 3)} longer than on the best day found.")


def _print_before(poa: Mapping[str, Any], kind: str) -> None:
    """Print the worlds before what-if changes beside those after them."""
    if "before" not in poa:
        return
    names = list(poa["before"]["worlds"])
    pairs = [mean_times([side["worlds"][name]["mean_time_s"] for side in (poa["before"], poa)]) for name in names]
    console.line()
    console.print_table(
        ["world", f"mean {kind} before", "after"], [[name, *pair] for name, pair in zip(names, pairs, strict=True)]
    )


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
            text.interval(world["ratio_interval"][0], world["ratio_interval"][1], most_decimals=7),
            f"{world['below_baseline']:,}",
            str(world["days"]),
        ]
        for (name, world), mean in zip(worlds.items(), means, strict=True)
    ]
    console.line()
    console.print_table(["world", f"mean {kind}", "ratio to the optimum", "interval", "below baseline", "days"], rows)
    console.line("(below baseline: travellers who end worse off than in the selfish city, money counted)")
    console.line()


def _print_coalition(world: Mapping[str, Any], poa: Mapping[str, Any]) -> None:
    """Print the coalition's account: what was saved, agreed and paid, and whether its promise was kept."""
    cost_micro = poa["baseline"]["cost_micro"]

    def money(micro: int) -> str:
        of_cost = f" ({text.percent(abs(micro) / cost_micro)} of the baseline's cost)" if cost_micro and micro else ""
        return f"{text.credits(micro / MICRO_PER_CREDIT)}{of_cost}"

    def saving(key: str) -> list[list[str]]:
        share = world[f"{key}_saving_share"]
        return [] if share is None else [[f"{key} save", f"{text.signed_percent(share).removeprefix('+')} of their time"]]

    disputed = f"{world['disputed']:,} disputed" if world["disputed"] else "none disputed"
    rows = [
        *saving("members"),
        *saving("others"),
        ["contracts", f"{world['contracts']:,}: {world['settled']:,} paid, {world['convicted']:,} convicted, {disputed}"],
        ["paid under contracts", money(world["payments_micro"])],
        ["true-up at the window's end", money(world["true_up_micro"])],
        ["fees", money(world["fees_micro"])],
        ["received minus paid, all travellers", money(world["transfers_sum_micro"])],
        ["members below the baseline", f"{world['below_baseline']:,} of {world['members']:,}"],
        *([["trips not admitted, no history", f"{world['refused_trips']:,}"]] if world["refused_trips"] else []),
        ["called off", "yes" if world["called_off"] else "no"],
    ]
    console.print_table(["coalition", ""], rows, left=2)
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
    if "mixed" in content and content["mixed"]["ratio"] is not None:
        mixed = content["mixed"]
        console.line(f"With a share of {mixed['share']:g} members the total is {mixed['ratio']:.4f} of the optimum's.")
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


def print_paradoxes(content: Mapping[str, Any]) -> None:
    """Print what `braess --json` would say."""
    tried = f"{content['streets_examined']:,} of {content['streets']:,} streets with traffic were closed, one at a time"
    console.line(f"{content['scenario']}: {tried} ({text.percent(content['share_examined'], 3)}).")
    if content["indispensable"]:
        console.line(f"{content['indispensable']:,} of them cannot be closed: some trip would have no way.")
    if not content["found"]:
        console.line("None of them lowers the selfish total when it is closed.")
        return
    rows = [
        [
            str(found["link_id"]),
            f"{found['from_node_id']} → {found['to_node_id']}",
            found["street_name"],
            f"{found['flow_vph']:,.0f}",
            text.percent(found["saving"], 3),
            f"{found['margin']:.0e}",
        ]
        for found in content["found"]
    ]
    console.print_table(["closing link", "nodes", "street", "flow, veh/h", "selfish total falls by", "margin"], rows, left=3)
    console.line("(each solved again from an empty network; margin: what the solutions' gaps may do to the share)")


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
    _print_quality(content["quality"])
    console.line()
    if "queues" in content:
        _print_queues(content["queues"])
    for note in demand["notes"]:
        console.line(note)
    console.line(f"{content['scenario']} is sound.")


def _print_queues(queues: Mapping[str, Any]) -> None:
    facts = [
        ["vehicles in all", f"{queues['vehicles']:,.6g}, {queues['vehicles_per_traveller']:.6g} a traveller"],
        ["they depart within", text.duration(queues["departures_within_s"])],
        ["mean free-flow time", text.duration(queues["mean_free_flow_time_s"], 1)],
        ["places on the links", f"{queues['storage_vehicles']:,.6g} vehicles"],
        ["links with signals", f"{queues['links_with_signals']:,}"],
        ["links without stated lanes", f"{queues['links_without_stated_lanes']:,}"],
        ["shortest link", f"{queues['shortest_link_s']:.3g} s"],
    ]
    console.print_table(["queue traffic", ""], facts, left=2)
    console.line()
    for note in queues["notes"]:
        console.line(note)


def _print_quality(quality: Mapping[str, Any]) -> None:
    facts = [
        ["parts connected in both directions", f"{quality['strong_components']:,}"],
        ["dead ends", f"{quality['dead_ends']:,}"],
        ["turns banned", f"{quality['bans']:,}"],
        ["turns that take time", f"{quality['delays']:,}"],
    ]
    doubts = [
        [doubt["name"], f"{doubt['links']:,} links: {doubt['meaning']}, as {', '.join(map(str, doubt['examples'][:3]))}"]
        for doubt in quality["doubts"]
    ]
    console.line()
    console.print_table(["worth a look", ""], facts + doubts, left=2)


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


def print_comparison(content: Mapping[str, Any], page: Path) -> None:
    """Print two runs side by side; `content` is that of `compare --json`."""
    for key, values in content["changed_keys"].items():
        console.line(f"{key}: {values['first']} -> {values['second']}")
    rows = []
    for world in content["worlds"]:
        name = (
            world["first_world"]
            if world["first_world"] == world["second_world"]
            else f"{world['first_world']} -> {world['second_world']}"
        )
        means = {key: found["mean_time_s"] for key, found in (("totals", world["totals"]),) if "mean_time_s" in found}
        first, second = mean_times([means["totals"]["first"], means["totals"]["second"]]) if means else ("", "")
        rows.append([name, first, second, *_change_cells(world["travellers"])])
    console.print_table(["world", "mean, first", "mean, second", "change a vehicle", "95 % interval", "better", "worse"], rows)
    for remark in content["remarks"]:
        console.line(remark)
    console.line(f"Page: {page}")


def _change_cells(travellers: Mapping[str, Any] | None) -> list[str]:
    if travellers is None:
        return ["", "", "", ""]
    cost, interval = travellers["cost_s"]["mean"], travellers["cost_s"]["interval"]
    return [
        f"{cost:+.4g} s",
        "" if interval is None else f"{interval[0]:+.4g} to {interval[1]:+.4g} s",
        text.percent(travellers["better_share"]),
        text.percent(travellers["worse_share"]),
    ]


def print_reproduction(content: Mapping[str, Any]) -> None:
    """Print whether a run came out the same; `content` is that of `reproduce --json`."""
    console.print_table(
        ["file", "bytes", "where they part"], [[name, *found.values()] for name, found in content["files"].items()], left=3
    )
    for name, versions in content["versions"].items():
        console.line(f"{name} was {versions['then']} then and is {versions['now']} now")
    console.line("Every byte agrees." if content["agrees"] else "The results differ.")


def print_plan(content: Mapping[str, Any]) -> None:
    """Print what a sweep would do; `content` is that of its plan.json."""
    console.line(f"{content['name']}: {content['base']}, design {content['design'].replace('_', ' ')}")
    for factor in content["factors"]:
        levels = f"{len(factor['values'])} values" if factor.get("values") else _range_text(factor, content["design"])
        console.line(f"  {factor['key']}: {levels}")
    console.line(f"  keeps {', '.join(content['outputs'])}")
    console.line(
        f"{content['points']:,} points x {content['replications']:,} replications = {content['runs']:,} runs in "
        f"{content['shards']:,} shards of up to {content['runs_per_shard']:,}"
    )


def _range_text(factor: Mapping[str, Any], design: str) -> str:
    kind = factor.get("distribution", "uniform").replace("_", " ")
    first, second = ("low", "high") if "low" in factor else ("mean", "sd")
    steps = f", {factor['steps']} steps" if design == "grid" else ""
    return f"{kind}, {first} {factor[first]:g}, {second} {factor[second]:g}{steps}"


def print_sweep(content: Mapping[str, Any], *, runs_now: int, seconds: float) -> None:
    """Print what a sweep has come to; `content` is that of `sweep --json`."""
    if runs_now:
        each = f"{seconds / runs_now:.3g} s each" if seconds > 0 else ""
        console.line(f"{runs_now:,} runs in {text.duration(seconds)}, {each}")
    if content["counts"] is None:
        console.line(f"{content['runs_there']:,} of {content['runs']:,} runs are there; --resume goes on")
    else:
        console.line(", ".join(f"{n:,} {state}" for state, n in content["counts"].items()))
    console.line(f"Report: {content['sweep']}/report.html")
