"""What the report says of the worlds in which money moves: pure functions from a recorded run to rows and figures.

Money is counted in credits. A credit is a vehicle-second (numeraire "time") or a unit of the travellers' own values of time
(numeraire "money"); a traveller's utility is baseline cost - cost + money, all in credits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.record import LOCK, RecordedRun
from sim.experiments.report_sections import OPTIMUM, SELFISH, optional_number, require_totals, world_name, worlds_of
from sim.experiments.scenarios import MARKET_WORLDS
from sim.settlement.money import MICRO_PER_CREDIT, to_micro
from sim.units import SECONDS_PER_HOUR

COALITION: Final = "coalition"
N_GROUPS: Final = 10
_NO_GAP: Final = 1e-6
"""Gap between selfish and optimum, as a share of the optimum, below which there is nothing to close."""


@dataclass(frozen=True)
class MarketHeadline:
    """The market in one sentence, and its bar beside those of the other worlds."""

    sentence: str
    mean: str
    bar: float
    """Mean time over the longest mean of the bars."""


@dataclass(frozen=True)
class Saving:
    """One of the big figures: a text and what it is."""

    figure: str
    meaning: str


@dataclass(frozen=True)
class WelfareRow:
    """Account of one world, each entry as a share of the baseline's time cost; empty text where an entry does not exist."""

    world: str
    name: str
    below: str
    time_saved: str
    fees: str
    net_gain: str
    between_travellers: str
    toll_revenue: str
    refund: str
    travellers_net: str


@dataclass(frozen=True, eq=False)
class TripMoney:
    """What the travellers who have a baseline ended with; columns of shape (n_travellers,).

    Attributes
    ----------
    row
        Rows of trips.
    weight, vot_per_h
        Vehicles and value of time.
    is_member
        Who takes part in the market.
    baseline_s
        Cost of the baseline in seconds.
    baseline_micro
        The same for all vehicles of the traveller, in micro-credits.
    saved_micro, money_micro
        By world: baseline cost - cost, and received - paid.
    """

    row: OffsetColumn
    weight: FloatColumn
    vot_per_h: FloatColumn
    is_member: BoolColumn
    baseline_s: FloatColumn
    baseline_micro: OffsetColumn
    saved_micro: dict[str, OffsetColumn]
    money_micro: dict[str, OffsetColumn]


@dataclass(frozen=True, eq=False)
class Groups:
    """Members in ten groups of equal weight, from the lowest to the highest; columns of shape (10,).

    Attributes
    ----------
    by
        What orders them, in words.
    better, worse
        Shares of the group's vehicles that end above and below the baseline.
    time, money
        Time saved and money received as shares of the group's baseline cost.
    """

    by: str
    better: FloatColumn
    worse: FloatColumn
    time: FloatColumn
    money: FloatColumn


def market_worlds(run: RecordedRun) -> list[str]:
    """Return the worlds of the run in which money moves or routes are assigned, in the order of poa.json."""
    return [name for name in worlds_of(run) if name in MARKET_WORLDS]


def market_headline(run: RecordedRun, honest_below: int | None) -> MarketHeadline | None:
    """Return how much of the gap the coalition closes; None where it or one of the worlds it is measured by did not run.

    Parameters
    ----------
    honest_below
        See `honest_below_baseline`.
    """
    worlds = worlds_of(run)
    if not {SELFISH, OPTIMUM, COALITION} <= set(worlds):
        return None
    selfish_s, optimum_s, market_s = (float(worlds[name]["total_time_s"]) for name in (SELFISH, OPTIMUM, COALITION))
    means = [float(worlds[name]["mean_time_s"]) for name in (SELFISH, OPTIMUM, COALITION)]
    bar = means[2] / max(means) if max(means) > 0 else 0.0
    sentence = f"{_closing(run, selfish_s, optimum_s, market_s)}; {_promise(run, honest_below)}."
    return MarketHeadline(sentence, text.duration_pair(means[0], means[2])[1], bar)


def _closing(run: RecordedRun, selfish_s: float, optimum_s: float, market_s: float) -> str:
    if optional_number(run, COALITION, "called_off"):
        return "The market was called off, because what its members saved did not cover the fees"
    members, travellers = optional_number(run, COALITION, "members"), run.poa.get("travellers")
    who = "Travellers who pay each other for detours"
    if members is not None and isinstance(travellers, int) and members < travellers:
        who = f"With {text.percent(members / travellers)} of the travellers taking part, paid detours"
    if selfish_s - optimum_s <= _NO_GAP * optimum_s:
        return f"{who} have no gap to close"
    closed = (selfish_s - market_s) / (selfish_s - optimum_s)
    if closed < 0:
        return f"{who} lose {text.percent(market_s / selfish_s - 1)} against selfish routing"
    return f"{who} close {text.closed_share(closed)} of the gap"


def honest_below_baseline(trips: TripMoney | None, defectors: frozenset[int] | None) -> int | None:
    """Return how many members of the coalition end below their baseline and kept their contract; None if unknown."""
    if trips is None or defectors is None or COALITION not in trips.saved_micro:
        return None
    below = trips.is_member & (trips.saved_micro[COALITION] + trips.money_micro[COALITION] < -1)
    return len(set(trips.row[below].tolist()) - defectors)


def _promise(run: RecordedRun, honest_below: int | None) -> str:
    below = optional_number(run, COALITION, "below_baseline")
    if below is None:
        return "how many end below the baseline is not recorded"
    if below == 0:
        return "nobody who takes part is below the baseline"
    share = optional_number(run, COALITION, "below_baseline_share")
    shown = "" if share is None else f" ({text.percent(share)})"
    broke = "" if honest_below is None else f", {_honest(below, honest_below)}"
    return f"{text.whole(below)} of those who take part{shown} {'is' if below == 1 else 'are'} below the baseline{broke}"


def _honest(below: float, honest_below: int) -> str:
    broke = below - honest_below
    if below == 1:
        return "who broke a contract" if broke else "who broke no contract"
    return f"{'all' if broke == below else text.whole(broke) if broke else 'none'} of whom broke a contract"


def savings(run: RecordedRun, honest_below: int | None) -> list[Saving]:
    """Return what members and outsiders of the coalition save, and how many members end below their baseline."""
    if COALITION not in worlds_of(run):
        return []
    found = []
    for key, who in (("members_saving_share", "members"), ("others_saving_share", "outsiders")):
        share = optional_number(run, COALITION, key)
        if share is not None:
            meaning = f"{'less' if share >= 0 else 'more'} time for {who}, against the baseline"
            found.append(Saving(text.percent(abs(share)), meaning))
        elif who == "outsiders" and found:
            found.append(Saving("none", "outside the market: everybody takes part"))
    below = optional_number(run, COALITION, "below_baseline")
    if below is not None:
        who = "member" if below == 1 else "members"
        broke = f", {_honest(below, honest_below)}" if below and honest_below is not None else ""
        found.append(Saving(text.whole(below), f"{who} below the baseline, payments counted{broke}"))
    return found


def numeraire(run: RecordedRun) -> str:
    """Return "time" or "money"; InputError where the lock file says something else."""
    market = run.scenario.get("market", {})
    value = market.get("numeraire", "time") if isinstance(market, dict) else market
    if value not in ("time", "money"):
        raise InputError(f"{value!r}", source=run.path / LOCK, where="market.numeraire", allowed="time or money")
    return str(value)


def trip_money(run: RecordedRun) -> TripMoney | None:
    """Return what the travellers ended with, or None where the run recorded no baseline."""
    if not run.has_table("trips"):
        return None
    there = set(run.columns("trips"))
    if not {"baseline_cost_s", "is_member"} <= there:
        return None
    worlds = [name for name in market_worlds(run) if f"{name}_cost_s" in there]
    with_money = [name for name in worlds if f"{name}_money_micro" in there]
    names = ["weight", "vot_per_h", "is_member", "baseline_cost_s", *(f"{name}_cost_s" for name in worlds)]
    table = run.table("trips", [*names, *(f"{name}_money_micro" for name in with_money)])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    known = np.isfinite(columns["baseline_cost_s"])
    for name in worlds:
        known &= np.isfinite(columns[f"{name}_cost_s"])
    columns = {name: column[known] for name, column in columns.items()}
    weight, baseline_s = columns["weight"], columns["baseline_cost_s"]
    credits_per_s = weight if numeraire(run) == "time" else weight * columns["vot_per_h"] / SECONDS_PER_HOUR
    baseline = to_micro(credits_per_s * baseline_s)
    nothing = np.zeros(len(weight), np.int64)
    return TripMoney(
        row=np.flatnonzero(known),
        weight=weight,
        vot_per_h=columns["vot_per_h"],
        is_member=columns["is_member"].astype(np.bool_),
        baseline_s=baseline_s,
        baseline_micro=baseline,
        saved_micro={name: baseline - to_micro(credits_per_s * columns[f"{name}_cost_s"]) for name in worlds},
        money_micro={name: columns.get(f"{name}_money_micro", nothing) for name in worlds},
    )


def time_cost_micro(run: RecordedRun, trips: TripMoney | None) -> float | None:
    """Return the baseline's time cost in micro-credits; None where it is not recorded."""
    if trips is not None:
        return float(trips.baseline_micro.sum())
    baseline = run.poa.get("baseline")
    if not isinstance(baseline, dict) or numeraire(run) != "time":
        return None
    require_totals(run, "baseline", baseline)
    return float(baseline["total_time_s"]) * MICRO_PER_CREDIT


def welfare_rows(run: RecordedRun, trips: TripMoney | None) -> list[WelfareRow]:
    """Return the account of each market world: what is saved, what is used up, and what only changes hands.

    Fees pay for the validators' work and are used up with the time; payments, tolls and refunds are transfers.
    """
    cost = time_cost_micro(run, trips)
    if not cost:
        return []
    rows = []
    for name in market_worlds(run):
        entry = {key: optional_number(run, name, key) for key in _MONEY_KEYS}
        saved = _saved_micro(run, name, trips, cost)
        fees = entry["fees_micro"] or 0.0
        moved = [micro for micro in (entry["payments_micro"], entry["true_up_micro"]) if micro is not None]
        net = entry["transfers_sum_micro"]
        rows.append(
            WelfareRow(
                world=name,
                name=world_name(name),
                below=_below(entry["below_baseline"], entry["below_baseline_share"]),
                time_saved=_change(saved, cost),
                fees=_share(entry["fees_micro"], cost),
                net_gain=_change(saved - fees, cost),
                between_travellers=_share(sum(moved) if moved else None, cost),
                toll_revenue=_share(entry["toll_revenue_micro"], cost),
                refund=_share(entry["refund_micro"], cost),
                travellers_net="" if net is None else _change(saved + net, cost),
            )
        )
    return rows


_MONEY_KEYS: Final = (
    "below_baseline",
    "below_baseline_share",
    "fees_micro",
    "payments_micro",
    "true_up_micro",
    "toll_revenue_micro",
    "refund_micro",
    "transfers_sum_micro",
)


def _saved_micro(run: RecordedRun, world: str, trips: TripMoney | None, cost_micro: float) -> float:
    if trips is not None and world in trips.saved_micro:
        return float(trips.saved_micro[world].sum())
    return cost_micro - float(worlds_of(run)[world]["total_time_s"]) * MICRO_PER_CREDIT


def _below(count: float | None, share: float | None) -> str:
    if count is None:
        return ""
    return text.whole(count) if not count or share is None else f"{text.whole(count)} ({text.percent(share, 3)})"


def _share(micro: float | None, cost_micro: float) -> str:
    return "" if micro is None else text.percent(micro / cost_micro)


def _change(micro: float, cost_micro: float) -> str:
    return text.signed_percent(micro / cost_micro)


def money_moved(run: RecordedRun, world: str, cost_micro: float | None) -> str:
    """Return the gross payments or tolls of a world as a share of the baseline's time cost, or in credits without that."""
    for key in ("payments_micro", "toll_revenue_micro"):
        moved = optional_number(run, world, key)
        if moved is not None:
            return text.percent(moved / cost_micro) if cost_micro else f"{text.whole(moved / MICRO_PER_CREDIT)} credits"
    return ""


def below_baseline(run: RecordedRun, world: str) -> str:
    """Return how many end below their baseline in a world, and which share that is; empty where it is not recorded."""
    return _below(optional_number(run, world, "below_baseline"), optional_number(run, world, "below_baseline_share"))


def payment_facts(run: RecordedRun, cost_micro: float | None) -> list[tuple[str, str]]:
    """Return (name, text) of what the coalition's contracts and its settlement move."""
    if COALITION not in worlds_of(run):
        return []
    facts = []
    for key, name in (
        ("payments_micro", "Paid under contracts"),
        ("true_up_micro", "True-up at the window's end"),
        ("fees_micro", "Fees"),
        ("collateral_lost_micro", "Collateral lost"),
    ):
        micro = optional_number(run, COALITION, key)
        if micro is not None:
            of_cost = f" ({text.percent(micro / cost_micro)} of the baseline's time cost)" if cost_micro and micro else ""
            facts.append((name, f"{text.credits(micro / MICRO_PER_CREDIT)}{of_cost}"))
    net = optional_number(run, COALITION, "transfers_sum_micro")
    if net is not None:
        facts.append(("Received minus paid, all travellers", text.credits(net / MICRO_PER_CREDIT)))
    return facts


def groups(trips: TripMoney, world: str) -> Groups | None:
    """Return how the members fare by decile of the value of time; by decile of the trip where all values are the same.

    None without members, without this world, or where nothing tells the members apart.
    """
    chosen = trips.is_member & (trips.baseline_micro > 0)
    if world not in trips.saved_micro or not chosen.any():
        return None
    ordered: Mapping[str, FloatColumn] = {"value of time": trips.vot_per_h[chosen], "baseline cost": trips.baseline_s[chosen]}
    by = next((name for name, key in ordered.items() if len(np.unique(key)) >= N_GROUPS), None)
    if by is None:
        return None
    weight = trips.weight[chosen]
    group = deciles(ordered[by], weight)
    saved, money = trips.saved_micro[world][chosen], trips.money_micro[world][chosen]
    utility, cost = saved + money, trips.baseline_micro[chosen]

    def total(values: Any) -> FloatColumn:
        return np.asarray(np.bincount(group, weights=np.asarray(values, np.float64), minlength=N_GROUPS), np.float64)

    vehicles, costs = total(weight), total(cost)
    if (vehicles == 0).any():
        return None
    return Groups(
        by,
        better=total(weight * (utility > 1)) / vehicles,
        worse=total(weight * (utility < -1)) / vehicles,
        time=total(saved) / costs,
        money=total(money) / costs,
    )


def deciles(key: FloatColumn, weight: FloatColumn) -> IndexColumn:
    """Return the group (0 to 9) of each entry when all are ordered by `key` and the groups get equal weight."""
    order = np.argsort(key, kind="stable")
    middle = np.cumsum(weight[order]) - 0.5 * weight[order]
    group = np.empty(len(key), np.int32)
    group[order] = np.minimum(N_GROUPS * middle / weight.sum(), N_GROUPS - 1)
    return group
