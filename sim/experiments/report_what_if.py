"""What-if in the report: totals and Price of Anarchy before and after the changes, who gains, and a map of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments import report_maps as maps
from sim.experiments.record import POA, RecordedRun
from sim.experiments.record_tables import GEOMETRY_COLUMN
from sim.experiments.report_sections import OPTIMUM, SELFISH, world_name
from sim.experiments.what_if import LINKS_BEFORE
from sim.metrics import LEAST_MARGIN_FACTOR

_SHARED = ("link_id", "from_node_id", "to_node_id", "link_class")
_ACTIONS: Final = {
    "close": "closed",
    "one_way": "closed, to make the street one-way",
    "add": "built",
    "widen": "with another capacity",
    "set_speed": "with another speed",
    "toll": "tolled",
}
_MOST_IDS = 12


@dataclass(frozen=True)
class BeforeAfterRow:
    """One world before and after the changes, in words."""

    world: str
    name: str
    before: str
    after: str
    change: str
    total: str


@dataclass(frozen=True)
class WhatIf:
    """What the section shows.

    Attributes
    ----------
    sentence
        What the change does to the selfish world ("" where that did not run).
    changes
        Each change in words.
    rows
        One row a world.
    prices
        Price of Anarchy before and after, in words.
    faster, slower
        Shares of the selfish vehicles whose cost falls or rises; None without a selfish world.
    """

    sentence: str
    changes: tuple[str, ...]
    rows: tuple[BeforeAfterRow, ...]
    prices: tuple[str, str]
    faster: float | None
    slower: float | None


def what_if(run: RecordedRun) -> WhatIf | None:
    """Return the section; None where the scenario changed nothing.

    Raises
    ------
    InputError
        poa.json has no whole entry "before".
    """
    before = run.poa.get("before")
    if before is None:
        return None
    try:
        worlds = {name: (world, run.poa["worlds"][name]) for name, world in before["worlds"].items()}
        return WhatIf(
            sentence=_sentence(*worlds[SELFISH]) if SELFISH in worlds else "",
            changes=tuple(_change(change) for change in before["changes"]),
            rows=tuple(_row(name, *pair) for name, pair in worlds.items()),
            prices=(_price(before), _price(run.poa)),
            faster=before.get("selfish_share_faster"),
            slower=before.get("selfish_share_slower"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"lacks a key that the report needs: {error}", source=run.path / POA, where="before") from None


def difference(run: RecordedRun) -> tuple[maps.Picture, float] | None:
    """Return the map of selfish flow after minus before, and the flow (veh/h) at which its colours end; None without a map."""
    if not (run.has_table(LINKS_BEFORE) and run.has_table("link_performance")):
        return None
    world = next((name for name in (SELFISH, OPTIMUM) if f"{name}_flow_vph" in run.columns(LINKS_BEFORE)), None)
    if world is None:
        return None
    joined, geo_metadata = _joined(run, world)
    shapes = maps.link_shapes(joined, geo_metadata)
    return None if shapes is None else maps.difference_map(shapes, joined, "after", "before")


def _joined(run: RecordedRun, world: str) -> tuple[dict[str, Any], bytes | None]:
    """Return the links of both networks, each once, with their flows before and after (0 where a link is not there)."""
    flow = f"{world}_flow_vph"
    with_shape = GEOMETRY_COLUMN in run.columns("link_performance") and GEOMETRY_COLUMN in run.columns(LINKS_BEFORE)
    shared = [*_SHARED, GEOMETRY_COLUMN] if with_shape else [*_SHARED]
    after, before = (run.table(name, [*shared, flow]) for name in ("link_performance", LINKS_BEFORE))
    row_of_id = {link_id: row for row, link_id in enumerate(after["link_id"].to_pylist())}
    before_ids = before["link_id"].to_pylist()
    gone = np.array([link_id not in row_of_id for link_id in before_ids], dtype=np.bool_)
    columns = {name: np.concatenate([after[name].to_numpy(), before[name].to_numpy()[gone]]) for name in shared}
    size = len(row_of_id) + int(gone.sum())
    before_vph, after_vph = np.zeros(size), np.zeros(size)
    after_vph[: len(row_of_id)] = after[flow].to_numpy()
    row_of_before = np.array([row_of_id.get(link_id, -1) for link_id in before_ids])
    row_of_before[gone] = len(row_of_id) + np.arange(gone.sum())
    before_vph[row_of_before] = before[flow].to_numpy()
    return columns | {"after_flow_vph": after_vph, "before_flow_vph": before_vph}, (after.schema.metadata or {}).get(b"geo")


def _sentence(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old_s, new_s = float(before["mean_time_s"]), float(after["mean_time_s"])
    doubt = LEAST_MARGIN_FACTOR * (abs(float(before["relative_gap"])) + abs(float(after["relative_gap"])))
    if abs(new_s - old_s) <= doubt * max(old_s, new_s):
        return "For selfish travellers the change makes no difference that the relative gaps could tell from nothing."
    shown_old, shown_new = text.duration_pair(old_s, new_s)
    word = "shorter" if new_s < old_s else "longer"
    return (
        f"With the change the average selfish trip is {word}: {shown_new} instead of {shown_old} "
        f"({text.signed_percent(new_s / old_s - 1.0)})."
    )


def _change(change: Mapping[str, Any]) -> str:
    ids = [str(link_id) for link_id in change["links"]]
    shown = ", ".join(ids[:_MOST_IDS]) + (f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else "")
    return f"{'Link' if len(ids) == 1 else 'Links'} {shown} {_ACTIONS.get(change['action'], change['action'])}"


def _row(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> BeforeAfterRow:
    old_s, new_s = float(before["total_time_s"]), float(after["total_time_s"])
    saved = new_s - old_s
    return BeforeAfterRow(
        world=name,
        name=world_name(name),
        before=text.duration(float(before["mean_time_s"]), 1),
        after=text.duration(float(after["mean_time_s"]), 1),
        change=text.signed_percent(saved / old_s, 3) if old_s > 0 else "",
        total=f"{'+' if saved > 0 else text.MINUS}{text.vehicle_hours(abs(saved))}" if saved else "0",
    )


def _price(poa: Mapping[str, Any]) -> str:
    price, bounds = poa["price_of_anarchy"], poa["price_of_anarchy_interval"]
    return "withheld" if price is None or bounds is None else text.ratio(float(price), float(bounds[1]) - float(bounds[0]))
