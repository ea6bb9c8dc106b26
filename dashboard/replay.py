"""A finished run on show, or two beside each other: nothing is solved again.

Static runs record the traffic of the last day and the totals of all days. Days of queue traffic are loaded again from the
recorded trips, which gives the same day to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.books import Books
from dashboard.queue_show import QueueDay, queue_view
from dashboard.queue_stage import PLACES_SCALE, QueueStage, drive_again
from dashboard.scene import City, Day, LinkState, Phase, Progress, Solved, WorldView
from dashboard.show import Publish, scale_for
from dashboard.static_show import settled_market
from dashboard.streets import streets_of
from dashboard.views import ListedItineraries, StaticStage, co2_of, words_of
from dashboard.wishes import Wish
from sim.arrays import FloatColumn
from sim.assignment.problem import Principle, refresh_costs
from sim.errors import InputError
from sim.experiments.build import BuiltScenario, build_scenario
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.record import LOCK, RecordedRun, read_run
from sim.metrics import PriceOfAnarchy
from sim.spec import parse_scenario
from sim.traffic.trips import Trips

_TOLD = ("name", "description", "seed")
"""Keys of a scenario whose difference is told anyway, or too long to be told."""
_FAVOURITES = ("coalition", "pools", "toll_uniform", "toll", "optimum")


@dataclass(frozen=True, eq=False)
class _Record:
    """A recorded run with its scenario built again."""

    run: RecordedRun
    built: BuiltScenario

    @property
    def worlds(self) -> list[str]:
        """Names of the worlds that ran."""
        return list(self.run.poa["worlds"])

    @property
    def favourite(self) -> str:
        """The world that one wants to see beside the selfish one."""
        return next((name for name in _FAVOURITES if name in self.worlds), self.worlds[-1])


class Replay:
    """One or two recorded runs; see `dashboard.show.Show`.

    Parameters
    ----------
    wish
        Names the run folders, and perhaps the worlds.
    publish
        Takes every change of the scene.
    """

    def __init__(self, wish: Wish, publish: Publish) -> None:
        self._wish = wish
        self._publish = publish
        self._left: WorldView | None = None
        self._right: WorldView | None = None

    def open(self) -> None:
        """Read the runs and show the last day."""
        records = [_read(Path(name)) for name in self._wish.runs]
        first, second = records[0], records[-1]
        _require_same_streets(first, second)
        names = _chosen(self._wish, first, second, two=len(records) == 2)
        built = first.built
        city = City(built, streets_of(built.network), built.spec.demand.profile.period_s)
        self._publish(phase=Phase.SOLVING, city=city, progress=Progress("Reading the recorded day …"))
        sides = ((first, names[0]), (second, names[1]))
        if built.spec.traffic.model == "queue":
            city, views, changes = self._queue(city, sides)
        else:
            views = tuple(_static_view(city, record, name) for record, name in sides)
            flows = [view.links.flow_vph for view in views if view.links is not None]
            changes = {"solved": _solved(second.run, scale_for(city, *flows)), "stage": StaticStage(city, (views[0], views[1]))}
        if len(records) == 2:
            views = tuple(replace(view, title=f"{view.title} {mark}") for view, mark in zip(views, "AB", strict=True))
            if "stage" in changes and built.spec.traffic.model != "queue":
                changes["stage"] = StaticStage(city, (views[0], views[1]))
        self._left, self._right = views
        books = Books.of_run(second.run) if names[1] == "coalition" else None
        content = second.run.poa["worlds"][names[1]]
        self._publish(
            phase=Phase.READY,
            progress=None,
            city=city,
            left=self._left,
            right=self._right,
            books=books,
            feed=() if books is None else books.events(),
            market=settled_market(content, 0) if "transfers_sum_micro" in content else None,
            last_day=self._right.today.day,
            facts=tuple(_facts(records)),
            recorded=(tuple(first.worlds), tuple(second.worlds)),
            **changes,
        )

    def step(self) -> None:
        """Do nothing: a replay opens on its last day."""

    def reset(self) -> None:
        """Go to the first day."""
        self.seek(0)

    def seek(self, day: int) -> None:
        """Show a day."""
        assert self._right is not None  # it is open
        kept = tuple(record for record in self._right.days if record.day <= day) or self._right.days[:1]
        last = len(kept) == len(self._right.days)
        remark = self._right.remark if last else "totals of this day; the run records the traffic of the last day alone"
        self._publish(right=replace(self._right, days=kept, remark=remark, stopped_because="recorded"))

    def close(self) -> None:
        """Give the tables up."""
        self._left = self._right = None

    def _queue(self, city: City, sides: tuple[tuple[_Record, str], ...]) -> tuple[City, tuple[WorldView, ...], dict[str, Any]]:
        days, views = [], []
        queues = build_queues(city.built)
        for record, name in (*sides, (sides[1][0], "optimum" if "optimum" in sides[1][0].worlds else sides[1][1])):
            day = _queue_day(queues, record.run, name)
            days.append(day)
            more = _money(record.run, name)
            views.append(queue_view(name, day, **more))
            self._publish(progress=Progress("Driving the recorded day again …"))
        city = replace(city, end_s=max(day.again.end_s for day in days))
        stage = QueueStage(queues, (days[0].trips, days[1].trips, days[2].trips))
        return city, tuple(views[:2]), {"solved": _solved(sides[1][0].run, PLACES_SCALE), "stage": stage}


def _read(path: Path) -> _Record:
    run = read_run(path)
    if not run.has_table("trips"):
        raise InputError("holds an assignment without travellers", source=path, allowed="a folder of `routepact run`")
    start = run.manifest.get("scenario_folder")
    built = build_scenario(parse_scenario(run.scenario, source=path / LOCK), Path(start or "."))
    recorded = run.table("link_performance", ["link_id"])["link_id"].to_pylist()
    if recorded != built.network.link_id.tolist():
        raise InputError(
            "the scenario's files have changed: its streets are not those of the run",
            source=path,
            allowed="the files that the run was made from",
        )
    if run.table("trips", ["traveller_id"]).num_rows != built.population.n_travellers:
        raise InputError(
            "its travellers are not those of the scenario", source=path, allowed="the files that the run was made from"
        )
    return _Record(run, built)


def _require_same_streets(first: _Record, second: _Record) -> None:
    if first.built.network.link_id.tolist() != second.built.network.link_id.tolist():
        raise InputError(
            "the two runs have different streets", source=second.run.path, allowed=f"a run on the streets of {first.run.path}"
        )
    if first.built.spec.traffic.model != second.built.spec.traffic.model:
        raise InputError("one run is static, the other queues", source=second.run.path, allowed="two runs of one kind of traffic")
    same = first.built.population.n_travellers == second.built.population.n_travellers
    if not same and first.built.spec.traffic.model == "queue":
        raise InputError("the two runs have different travellers", source=second.run.path, allowed="two runs of one demand")


def _chosen(wish: Wish, first: _Record, second: _Record, *, two: bool) -> tuple[str, str]:
    left = first.favourite if two else ("selfish" if "selfish" in first.worlds else first.worlds[0])
    names = wish.worlds if wish.worlds is not None else (left, second.favourite)
    for record, name in zip((first, second), names, strict=True):
        if name not in record.worlds:
            raise InputError(f"there is no world {name!r}", source=record.run.path, allowed=", ".join(record.worlds))
    return names[0], names[1]


def _static_view(city: City, record: _Record, name: str) -> WorldView:
    run, built = record.run, record.built
    flow, time_s = _link_columns(run, name)
    state = LinkState(flow, time_s, _external_s(built, flow))
    columns = run.columns("trips")
    cost_s = run.table("trips", [f"{name}_cost_s"])[f"{name}_cost_s"].to_numpy()
    title, remark = words_of(name)
    entry = run.poa["worlds"][name]
    days = tuple(_days(run, name)) or (Day(0, float(entry["total_time_s"])),)
    assert f"{name}_path" in columns  # every run records it
    return WorldView(
        name,
        title,
        remark,
        days,
        state,
        ListedItineraries(*_paths(run, name)),
        cost_s,
        str(entry.get("stopped_because") or "recorded"),
        co2_kg=co2_of(city, state),
        departure_s=built.population.departure_s,
        **_money(run, name),
    )


def _money(run: RecordedRun, name: str) -> dict[str, Any]:
    """Return what a world's view says about money, from the recorded trips and contracts."""
    entry = run.poa["worlds"][name]
    more: dict[str, Any] = {"below_baseline": entry.get("below_baseline")}
    key = f"{name}_money_micro"
    if key in run.columns("trips"):
        more["money_micro"] = run.table("trips", [key])[key].to_numpy()
    if name == "coalition" and run.has_table("contracts"):
        movers = run.table("contracts", ["traveller_id"])["traveller_id"].to_numpy()
        who = np.zeros(run.table("trips", ["traveller_id"]).num_rows, np.bool_)
        who[movers] = True
        more["under_contract"] = who
    return more


def _link_columns(run: RecordedRun, name: str) -> tuple[FloatColumn, FloatColumn]:
    keys = [f"{name}_flow_vph", f"{name}_travel_time_s"]
    table = run.table("link_performance", keys)
    flow, time_s = (np.asarray(table[key].to_numpy(), dtype=np.float64) for key in keys)
    return flow, time_s


def _external_s(built: BuiltScenario, flow: FloatColumn) -> FloatColumn | None:
    """Return flow times slope of the cost of each link; unknown where turns have links of their own."""
    if not built.turn_graph.is_plain:
        return None
    links = built.problem.links(Principle.USER_EQUILIBRIUM)
    links.flow[:] = flow[built.problem.link_order]
    refresh_costs(links)
    slope = np.where(np.isfinite(links.cost_slope), links.cost_slope, 0.0)
    return built.problem.in_network_order(links.flow * slope)


def _paths(run: RecordedRun, name: str) -> tuple[Any, Any]:
    column = run.table("trips", [f"{name}_path"])[f"{name}_path"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    length = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    start = np.concatenate(([0], np.cumsum(length)))
    return start, np.asarray(pc.list_flatten(column).to_numpy(zero_copy_only=False), dtype=np.int32)


def _days(run: RecordedRun, name: str) -> Iterator[Day]:
    table = run.table("convergence").to_pylist()
    for row in table:
        if row["world"] == name and row["stage"] == "days":
            gap = row["relative_gap"]
            is_known = gap is not None and np.isfinite(gap)
            yield Day(row["step"], row["total_time_s"], row["travellers_moved"] or 0, gap if is_known else None)


def _queue_day(queues: BuiltQueues, run: RecordedRun, name: str) -> QueueDay:
    columns = run.columns("trips")
    key = f"{name}_departure_s" if f"{name}_departure_s" in columns else "departure_s"
    departure_s = np.asarray(run.table("trips", [key])[key].to_numpy(), dtype=np.float64)
    trips = Trips(departure_s, *_paths(run, name))
    return QueueDay(trips, float(run.poa["worlds"][name]["total_time_s"]), drive_again(queues, trips))


def _solved(run: RecordedRun, scale: Any) -> Solved | None:
    poa = run.poa
    optimum = poa["worlds"].get("optimum")
    if optimum is None:
        return None
    low, high = poa["price_of_anarchy_interval"] or (1.0, float("inf"))
    price = PriceOfAnarchy(poa["price_of_anarchy"], (low, high), poa["withheld"])
    words = "best found" if poa["traffic"] == "queue" else "optimum"
    total_s = float(optimum["total_time_s"])
    return Solved(price, total_s, float(optimum.get("total_time_lower_bound_s") or total_s), scale, words)


def _facts(records: list[_Record]) -> Iterator[tuple[str, str, str]]:
    """Return what differs between two runs, or what one run was: (name, first, second)."""
    first, second = records[0], records[-1]
    one, other = first.run, second.run
    yield "", "A", "B" if len(records) == 2 else ""
    for label, key in (("Scenario", "scenario"), ("Seed", "seed"), ("Price of Anarchy", "price_of_anarchy")):
        yield label, _shown(one.poa[key]), _shown(other.poa[key]) if len(records) == 2 else ""
    for name in first.worlds:
        if name in second.worlds:
            means = (_shown(run.poa["worlds"][name].get("mean_time_s")) for run in (one, other))
            left, right = means
            yield f"Mean time, {name}, s", left, right if len(records) == 2 else ""
    if len(records) == 2:
        yield from _changed("", one.scenario, other.scenario)


def _changed(prefix: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys((*one, *other)):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _changed(f"{prefix}{key}.", left, right)
        elif left != right and f"{prefix}{key}" not in _TOLD:
            yield f"{prefix}{key}", _shown(left), _shown(right)


def _shown(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
