"""Counts in the report: how well the demand's flows fit the counted ones, before and after the demand was corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.counted_demand import COUNTS
from sim.experiments.record import POA, RecordedRun

_MOST_ROWS = 10


@dataclass(frozen=True, eq=False)
class CountsSection:
    """What the section shows.

    Attributes
    ----------
    sentence
        How many counts, and what they did to the demand.
    rows
        (figure, before, after).
    worst
        (link, count, flow, GEH) of the links that fit worst.
    count_vph, prior_flow_vph, flow_vph
        For the scatter.
    """

    sentence: str
    rows: tuple[tuple[str, str, str], ...]
    worst: tuple[tuple[str, str, str, str], ...]
    count_vph: FloatColumn
    prior_flow_vph: FloatColumn
    flow_vph: FloatColumn


def counts_section(run: RecordedRun) -> CountsSection | None:
    """Return the section; None where the scenario names no counts.

    Raises
    ------
    InputError
        poa.json has no whole entry "counts", or the table of counts is missing or broken.
    """
    counts = run.poa.get("counts")
    if counts is None:
        return None
    table = run.table(COUNTS, ["link_id", "count_vph", "prior_flow_vph", "flow_vph", "geh"])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    try:
        return CountsSection(
            sentence=_sentence(counts),
            rows=tuple(_rows(counts["prior"], counts["estimate"])),
            worst=tuple(_worst(columns)),
            count_vph=columns["count_vph"],
            prior_flow_vph=columns["prior_flow_vph"],
            flow_vph=columns["flow_vph"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"lacks a key that the report needs: {error}", source=run.path / POA, where="counts") from None


def _sentence(counts: Mapping[str, Any]) -> str:
    prior, estimate = counts["prior"], counts["estimate"]
    change = float(estimate["demand_vph"]) / float(prior["demand_vph"]) - 1.0
    return (
        f"The demand was corrected so that its selfish traffic fits counts on {text.whole(counts['links'])} links, with the "
        f"pattern of the prior matrix kept: {text.signed_percent(change)} trips in all, after {text.whole(counts['rounds'])} "
        "rounds."
    )


def _rows(prior: Mapping[str, Any], estimate: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    figures = (
        ("Vehicles an hour", "demand_vph", text.whole),
        ("Counted links with a GEH below 5", "geh_below_5", text.closed_share),
        ("Counted links with a GEH below 10", "geh_below_10", text.closed_share),
        ("Largest GEH", "largest_geh", lambda value: text.significant(value, 3)),
        ("Root mean square difference, veh/h", "root_mean_square_vph", lambda value: text.significant(value, 3)),
    )
    return [(name, show(float(prior[key])), show(float(estimate[key]))) for name, key, show in figures]


def _worst(columns: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    order = (-columns["geh"]).argsort(kind="stable")[:_MOST_ROWS]
    return [
        (
            str(columns["link_id"][row]),
            text.whole(columns["count_vph"][row]),
            text.whole(columns["flow_vph"][row]),
            text.significant(float(columns["geh"][row]), 3),
        )
        for row in order.tolist()
    ]
