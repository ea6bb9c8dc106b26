"""Queue traffic, live: the selfish day, the day of the mechanism and the best day found are solved, then driven by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.books import Books, Event
from dashboard.queue_stage import PLACES_SCALE, DrivenAgain, QueueStage, drive_again
from dashboard.scene import City, Day, Phase, Progress, Solved, WorldView
from dashboard.show import Publish
from dashboard.static_show import settled_market
from dashboard.streets import streets_of
from dashboard.views import ListedItineraries, words_of
from dashboard.wishes import Wish
from sim.arrays import BoolColumn
from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments.build import build_scenario
from sim.experiments.queue_build import BuiltQueues, build_queues
from sim.experiments.queue_solve import (
    BestDay,
    SelfishDay,
    learned_day,
    price_of,
    seen_day,
    solve_best,
    unlearned_rule,
)
from sim.experiments.work import Work
from sim.metrics import PriceOfAnarchy
from sim.queue_model import QueueCityModel
from sim.spec import ScenarioSpec
from sim.spec_traffic import require_queue
from sim.traffic.trips import Trips


@dataclass(frozen=True, eq=False)
class QueueDay:
    """One world's day: its trips as driven, vehicle-seconds of everybody, and what became of it."""

    trips: Trips
    total_s: float
    again: DrivenAgain


def queue_view(key: str, day: QueueDay, **more: Any) -> WorldView:
    """Return what the page shows of a day of queue traffic."""
    title, remark = words_of(key)
    plain: dict[str, Any] = {"days": (Day(0, day.total_s),), "stopped_because": "the clock drives this day as often as you like"}
    return WorldView(
        key=key,
        title=title,
        remark=remark,
        links=None,
        routes=ListedItineraries(day.trips.path_start, day.trips.path_link),
        cost_s=day.again.travel_time_s,
        flow_by_bin=day.again.on_links,
        **{**plain, **more},
    )


class QueueShow:
    """Worlds of queue traffic; see `dashboard.show.Show`.

    Parameters
    ----------
    wish, spec, folder
        What the visitor wants, the scenario as he wants it, and where its paths start.
    publish
        Takes every change of the scene.
    """

    def __init__(self, wish: Wish, spec: ScenarioSpec, folder: Path, publish: Publish) -> None:
        self._wish = wish
        self._spec = spec
        self._folder = folder
        self._publish = publish
        self._worlds: list[QueueCityModel] = []

    def open(self) -> None:
        """Build, solve and show the beginning of the day."""
        if self._wish.mechanism not in ("coalition", "optimum"):
            raise InputError(
                f"{self._wish.mechanism!r} does not run in queue traffic", where="mechanism", allowed="coalition or optimum"
            )
        built = build_scenario(self._spec, self._folder)
        city = City(built, streets_of(built.network), built.spec.demand.profile.period_s)
        self._publish(phase=Phase.SOLVING, city=city)
        queues = build_queues(built)
        work = Work()
        selfish = self._selfish(queues, work)
        best = solve_best(queues, selfish.driven, work=work, say=self._say)
        left = self._day(queues, selfish.driven.trips, selfish.driven.total_time_s)
        optimum = self._day(queues, best.found.driven.trips, best.found.driven.total_time_s)
        more: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        if self._wish.mechanism == "optimum":
            right = optimum
        else:
            right, more, changes = self._market(queues, selfish, left)
        end_s = max(day.again.end_s for day in (left, right, optimum))
        # The end of the day is known only now; the streets stay as they are.
        city = replace(city, end_s=end_s)
        stage = QueueStage(queues, (left.trips, right.trips, optimum.trips))
        self._publish(
            phase=Phase.READY,
            progress=None,
            city=city,
            solved=_solved(queues, selfish, best),
            left=queue_view("selfish", left),
            right=queue_view(self._wish.mechanism, right, **more),
            stage=stage,
            **changes,
        )

    def step(self) -> None:
        """Do nothing: the clock alone moves a day of queue traffic."""

    def reset(self) -> None:
        """Do nothing: the page sets the clock back."""

    def seek(self, day: int) -> None:
        """Do nothing: there is one day."""

    def close(self) -> None:
        """Give the models up."""
        for world in self._worlds:
            world.close()
        self._worlds.clear()

    def _say(self, words: str) -> None:
        self._publish(progress=Progress(words))

    def _selfish(self, queues: BuiltQueues, work: Work) -> SelfishDay:
        if require_queue(self._spec.traffic, "a show of queue traffic").behaviour == "equilibrium":
            return learned_day(queues, work=work, say=self._say)
        world = QueueCityModel(queues.network, queues.population, unlearned_rule(queues), self._spec.seed, rules=queues.day_rules)
        self._worlds.append(world)
        world.run_day()
        return seen_day(queues, world)

    def _day(self, queues: BuiltQueues, trips: Trips, total_s: float) -> QueueDay:
        self._say("Driving the day once to look at it …")
        return QueueDay(trips, total_s * queues.weight, drive_again(queues, trips))

    def _market(
        self, queues: BuiltQueues, selfish: SelfishDay, left: QueueDay
    ) -> tuple[QueueDay, dict[str, Any], dict[str, Any]]:
        """Run the market; return its day, what its view shows beside, and what else is published."""
        from sim.experiments.queue_market import run_queue_market

        @contextmanager
        def phase(name: str) -> Iterator[None]:
            self._say(f"{name} …")
            yield

        history = max(1, len(selfish.history))
        found = run_queue_market(queues, selfish.driven, warm_up_days=history, phase=phase, say=self._say)
        self._worlds.append(found.world)
        driven = found.world.driven
        day = self._day(queues, driven.trips, driven.total_time_s)
        lived = [Day(day.day, day.total_time_s * queues.weight, day.movers) for day in found.days]
        more: dict[str, Any] = {
            "days": (Day(0, left.total_s), *lived, Day(len(lived) + 1, day.total_s)),
            "money_micro": found.money_micro,
            "below_baseline": int(found.content["below_baseline"]),
            "under_contract": _moved(left.trips, day.trips),
        }
        books = Books.of_window(found.enforcement, None)
        told = [
            Event(f"day {one.day}", "day", f"{text.whole(one.movers)} members drive another way, or leave at another time")
            for one in reversed(found.days)
        ]
        market = settled_market(dict(found.content), int(found.is_member.sum()))
        return day, more, {"market": market, "books": books, "feed": (*books.events(), *told)}


def _moved(before: Trips, after: Trips) -> BoolColumn:
    """Return whose way or departure is another one."""
    same_length = np.diff(before.path_start) == np.diff(after.path_start)
    moved = np.asarray(~same_length | (before.departure_s != after.departure_s))
    for row in np.flatnonzero(~moved).tolist():
        one, other = (trips.path_link[trips.path_start[row] : trips.path_start[row + 1]] for trips in (before, after))
        moved[row] = not np.array_equal(one, other)
    return moved


def _solved(queues: BuiltQueues, selfish: SelfishDay, best: BestDay) -> Solved:
    price = price_of(selfish, best, queues.settings.behaviour)
    weight = queues.weight
    return Solved(
        PriceOfAnarchy(price.ratio, price.interval, price.withheld),
        best.found.driven.total_time_s * weight,
        best.bound.total_time_s * weight,
        PLACES_SCALE,
        "best found",
    )
