"""What the report says of markets that should fail, of cheats, and of the coalition at other levels.

Pure functions from a recorded run to rows; see `sim.experiments.report_market` for the unit of money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.arrays import FloatColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.record import POA, RecordedRun
from sim.experiments.report_market import COALITION
from sim.experiments.report_sections import OPTIMUM, optional_number, world_name, worlds_of
from sim.settlement.money import MICRO_PER_CREDIT

_LITTLE: Final = 0.25
"""Share of the gap that pairs may close without contradicting what is expected of them."""
_NEXT_TO_NONE: Final = 1e-2
"""Deals for each traveller that count as next to none."""
_NOTHING_GAINED_MICRO: Final = 2
_ROLES: Final = {
    "defectors": "Defectors, who took the money and drove their old route",
    "baseline_liars": "Baseline liars, who named another usual route than theirs",
    "extortionists": "Extortionists, who wanted all that their detour was worth",
    "sybils": "Sybils, with three identities each and a trip that nobody drove",
    "lazy_validators": "Lazy validators, who accepted without looking",
    "colluding_validators": "Colluding validators, who voted against the evidence",
    "griefers": "Griefers, who challenged what the evidence supports",
    "honest_members": "Honest members",
}


@dataclass(frozen=True)
class ControlRow:
    """A negative control: what is expected of it, what was found, and whether the two agree."""

    world: str
    name: str
    expected: str
    found: str
    agrees: bool


@dataclass(frozen=True)
class CheatRow:
    """A class of adversaries: what each of them ended with on average, and would have ended with if nobody cheated."""

    name: str
    count: str
    found: str
    honest: str
    gain: str


@dataclass(frozen=True)
class LevelRow:
    """The coalition at one level of a lever, in words."""

    level: str
    ratio: str
    closed: str
    members: str
    others: str
    below: str
    called_off: str
    contracts: str
    payments: str


@dataclass(frozen=True, eq=False)
class Curve:
    """The coalition along a lever: rows for the table, columns for the charts; shares are NaN where nobody is there."""

    lever: str
    title: str
    x_label: str
    rows: tuple[LevelRow, ...]
    level: FloatColumn
    ratio: FloatColumn
    members: FloatColumn
    others: FloatColumn


def control_rows(run: RecordedRun) -> list[ControlRow]:
    """Return the negative controls that ran, side by side; the selfish baseline is what they are measured by."""
    baseline, worlds = run.poa.get("baseline"), worlds_of(run)
    if not isinstance(baseline, dict) or not isinstance(baseline.get("ratio"), float):
        return []
    selfish = baseline["ratio"]
    rows = [
        row
        for name, judge in (
            ("pools", _pools),
            ("pairwise", _pairwise),
            ("pairwise_compensated", _compensated),
            ("random_control", _random_control),
        )
        if name in worlds
        for row in [judge(run, name, selfish)]
    ]
    declared = run.poa.get("declared_baselines")
    if isinstance(declared, dict):
        rent_s, saving_s = float(declared["rent_s"]), float(declared["saving_s"])
        found = f"{text.duration(rent_s, 1)} a vehicle against a saving of {text.duration(saving_s, 1)}"
        expected = "whoever may name his own usual route can extort more than there is to save"
        rows.append(ControlRow("", "Self-declared baselines", expected, found, rent_s > saving_s))
    return rows


def _ratio(run: RecordedRun, world: str) -> float:
    value = optional_number(run, world, "ratio")
    if value is None:
        raise InputError("missing", source=run.path / POA, where=f"worlds.{world}.ratio")
    return value


def _found(run: RecordedRun, world: str, selfish: float) -> str:
    below = optional_number(run, world, "below_baseline_share") or 0.0
    shown = f"ratio {_ratio(run, world):.4f} (selfish {selfish:.4f}), {text.percent(below)} worse off"
    deals = optional_number(run, world, "deals")
    return shown if deals is None else f"{shown}, {text.whole(deals)} {'deal' if deals == 1 else 'deals'}"


def _pools(run: RecordedRun, world: str, selfish: float) -> ControlRow:
    expected = "pools that do not compensate whom they harm are no better than selfish routing"
    return ControlRow(world, world_name(world), expected, _found(run, world, selfish), _ratio(run, world) >= selfish)


def _pairwise(run: RecordedRun, world: str, selfish: float) -> ControlRow:
    optimum = _ratio_of_optimum(run)
    closed = (selfish - _ratio(run, world)) / (selfish - optimum) if selfish > optimum else 0.0
    expected = "single payers who do not compensate leave most of the gap open (three quarters at least)"
    return ControlRow(world, world_name(world), expected, _found(run, world, selfish), closed <= _LITTLE)


def _ratio_of_optimum(run: RecordedRun) -> float:
    return 1.0 if OPTIMUM in worlds_of(run) else 0.0


def _compensated(run: RecordedRun, world: str, selfish: float) -> ControlRow:
    deals, travellers = optional_number(run, world, "deals") or 0.0, float(run.poa.get("travellers") or 1)
    expected = "one payer who must compensate everybody harmed makes next to no deals (one for a hundred travellers at most)"
    return ControlRow(world, world_name(world), expected, _found(run, world, selfish), deals <= _NEXT_TO_NONE * travellers)


def _random_control(run: RecordedRun, world: str, selfish: float) -> ControlRow:
    expected = "as many changes of route by chance are worse than selfish routing"
    return ControlRow(world, world_name(world), expected, _found(run, world, selfish), _ratio(run, world) > selfish)


def cheat_rows(run: RecordedRun) -> list[CheatRow]:
    """Return what cheating earned in the coalition; empty where nobody cheated."""
    account = worlds_of(run).get(COALITION, {}).get("adversaries", [])
    rows = []
    for entry in account:
        per = str(entry["per"])
        rows.append(
            CheatRow(
                _ROLES.get(str(entry["class"]), str(entry["class"])),
                text.whole(float(entry["count"])),
                f"{_amount(entry['mean_micro'])} a {per}",
                _amount(entry["honest_mean_micro"]),
                _signed(entry["gain_micro"]),
            )
        )
    return rows


def _amount(micro: float) -> str:
    return "nothing" if abs(micro) < _NOTHING_GAINED_MICRO else text.credits(micro / MICRO_PER_CREDIT)


def _signed(micro: float) -> str:
    # The shares of a window are rounded to micro-credits.
    if abs(micro) < _NOTHING_GAINED_MICRO:
        return "nothing"
    return f"{'+' if micro > 0 else ''}{text.credits(micro / MICRO_PER_CREDIT)}"


_CURVES: Final = {
    "participation": ("participation", "Ratio against participation", "share of the travellers who take part"),
    "fee_per_vehicle": ("fee_per_vehicle", "Ratio against transaction cost", "fee of a contract, credits a vehicle"),
}


def curves(run: RecordedRun) -> list[Curve]:
    """Return the coalition along each lever that the run varied; its own level is among the rows.

    Raises
    ------
    InputError
        levels.parquet lacks a column.
    """
    if not run.has_table("levels"):
        return []
    baseline = run.poa.get("baseline", {})
    cost, selfish = float(baseline.get("cost_micro", 0)), float(baseline.get("ratio", 1.0))
    rows = run.table("levels").to_pylist()
    own = worlds_of(run).get(COALITION, {})
    found = []
    for lever, title, x_label in _CURVES.values():
        chosen = [row for row in rows if row["lever"] == lever]
        if not chosen:
            continue
        level = run.scenario.get("market", {}).get(lever)
        if level is not None and all(row["level"] != level for row in chosen):
            chosen.append(dict(own) | {"lever": lever, "level": float(level)})
        chosen.sort(key=lambda row: float(row["level"]))
        found.append(_curve(lever, title, x_label, chosen, selfish, cost))
    return found


def _curve(lever: str, title: str, x_label: str, rows: list[dict[str, Any]], selfish: float, cost_micro: float) -> Curve:
    def column(name: str) -> FloatColumn:
        return np.array([np.nan if row[name] is None else float(row[name]) for row in rows])

    shown = tuple(_level_row(lever, row, selfish, cost_micro) for row in rows)
    saving = ("members_saving_share", "others_saving_share")
    return Curve(lever, title, x_label, shown, column("level"), column("ratio"), *(column(name) for name in saving))


def _level_row(lever: str, row: Mapping[str, Any], selfish: float, cost_micro: float) -> LevelRow:
    closed = (selfish - float(row["ratio"])) / (selfish - 1.0) if selfish > 1.0 else 0.0
    members, others = row["members_saving_share"], row["others_saving_share"]
    return LevelRow(
        level=text.percent(row["level"]) if lever == "participation" else f"{row['level']:g}",
        ratio=f"{row['ratio']:.5f}",
        closed=text.closed_share(closed) if closed >= 0 else text.signed_percent(closed),
        members="" if members is None else text.signed_percent(members),
        others="" if others is None else text.signed_percent(others),
        below=text.whole(row["below_baseline"]),
        called_off="yes" if row["called_off"] else "no",
        contracts=text.whole(row["contracts"]),
        payments=text.percent(row["payments_micro"] / cost_micro) if cost_micro else "",
    )
