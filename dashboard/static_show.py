"""Static traffic, live: the selfish city at rest on the left, and on the right a mechanism that begins from the same morning."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.books import Books, Event
from dashboard.scene import City, Day, MarketState, Phase, Progress, Solved, WorldView
from dashboard.show import Publish, scale_for
from dashboard.streets import streets_of
from dashboard.trading import Teller
from dashboard.views import StaticStage, day_of, view_of
from dashboard.wishes import Wish
from sim.arrays import BoolColumn
from sim.assignment.equilibrium import Assignment, IterationRecord, solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle
from sim.assignment.static_traffic import StaticTraffic
from sim.experiments import report_format as text
from sim.experiments.build import BuiltScenario, build_scenario, make_world
from sim.experiments.coalition import close_coalition
from sim.experiments.market import DIRECT, MarketOutcome, close_market, make_market_world, market_setting
from sim.model import CityModel
from sim.settlement.money import MICRO_PER_CREDIT
from sim.spec import ScenarioSpec
from sim.spec_traffic import StaticSettings, require_static

_PROGRESS_EVERY_S = 0.2
_DAYS_KEPT = 200
"""Days up to which the flows of all links are kept."""
_PAID = ("coalition", *DIRECT)
"""Worlds in which travellers are paid for another way."""
_TASKS = {Principle.USER_EQUILIBRIUM: "the selfish equilibrium", Principle.SYSTEM_OPTIMUM: "the optimum"}


class StaticShow:
    """Worlds of static traffic that live while the visitor watches; see `dashboard.show.Show`.

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
        self._world: CityModel | None = None

    def open(self) -> None:
        """Build, solve and show the first day."""
        built = build_scenario(self._spec, self._folder)
        self._city = City(built, streets_of(built.network), built.spec.demand.profile.period_s)
        self._publish(phase=Phase.SOLVING, city=self._city)
        self._equilibrium = self._solve(built, Principle.USER_EQUILIBRIUM)
        self._optimum = self._solve(built, Principle.SYSTEM_OPTIMUM)
        self._publish(progress=Progress("Drawing everybody's usual route by lot …"), solved=self._solved())
        self._setting = market_setting(built, self._equilibrium, self._optimum)
        self._left = self._selfish_view()
        self.reset()

    def step(self) -> None:
        """Live one more day; after the last one, settle."""
        world = self._world
        if world is None or self._is_over():
            return
        world.step()
        most_days = max(self._settings.days, self._spec.market.rounds + 2)
        if len(world.days) >= most_days:
            world.run_days(most_days)  # says that the bound was reached, unless the world rests anyway
        if self._is_over():
            self._settle(world)
        else:
            self._show_day()

    def reset(self) -> None:
        """Make the right world afresh and live its first day."""
        self._forget_world()
        self._flows: list[NDArray[np.float32]] = []
        name = self._wish.mechanism
        if name in ("learning", "optimum"):
            self._world = make_world(self._city.built, "selfish" if name == "learning" else name, self._optimum)
        else:
            self._world = make_market_world(self._city.built, name, self._setting, 0)
        self._teller = Teller(
            self._first_event(),
            int(self._setting.is_member.sum()),
            self._spec.market.fee_per_vehicle,
            self._city.built.population.weight,
        )
        self._world.step()
        self._first_route = self._world.traffic.route_of_traveller.copy()
        self._show_day(phase=Phase.READY, progress=None, books=None, market=None)

    def seek(self, day: int) -> None:
        """Do nothing: days that are still to come cannot be gone to."""

    def close(self) -> None:
        """Give the models up."""
        self._forget_world()

    @property
    def _settings(self) -> StaticSettings:
        return require_static(self._spec.traffic, "a show of static traffic")

    def _is_over(self) -> bool:
        return self._world is None or self._world.stopped_because is not None

    def _forget_world(self) -> None:
        if self._world is not None:
            self._world.close()
            self._world = None

    def _solve(self, built: BuiltScenario, principle: Principle) -> Assignment:
        task, wanted = f"Solving {_TASKS[principle]}", self._settings.gap
        first_gap, told_at = 1.0, 0.0

        def tell(record: IterationRecord) -> None:
            nonlocal first_gap, told_at
            if record.iteration == 0:
                first_gap = record.relative_gap
            if time.monotonic() - told_at < _PROGRESS_EVERY_S:
                self._publish()
                return
            told_at = time.monotonic()
            remark = f"iteration {record.iteration}, relative gap {text.power(record.relative_gap)}, wanted {text.power(wanted)}"
            self._publish(progress=Progress(task, progress_share(first_gap, record.relative_gap, wanted), remark))

        return solve(built.problem, principle, gap=wanted, max_iterations=self._settings.max_iterations, on_iteration=tell)

    def _solved(self) -> Solved:
        price = price_of_assignments({Principle.USER_EQUILIBRIUM: self._equilibrium, Principle.SYSTEM_OPTIMUM: self._optimum})
        assert price is not None and self._optimum.lower_bound_s is not None  # both are there
        graph = self._city.built.turn_graph
        flows = [graph.flow_on_streets(found.flow_vph) for found in (self._equilibrium, self._optimum)]
        return Solved(price, self._optimum.total_cost_s, self._optimum.lower_bound_s, scale_for(self._city, *flows))

    def _selfish_view(self) -> WorldView:
        """Return the selfish city at rest: the routes that the lottery drew from the equilibrium, which nobody would leave."""
        built, baseline = self._city.built, self._setting.baseline
        traffic = StaticTraffic(built.problem, built.population)
        traffic.route_of_traveller[:] = baseline.first_routes(traffic)
        traffic.load()
        day = Day(0, baseline.total_cost_s, 0, self._equilibrium.relative_gap)
        return view_of("selfish", traffic, self._city, (day,), "at rest", None)

    def _show_day(self, **further: Any) -> None:
        world = self._world
        assert world is not None  # a day was lived
        right = self._view(world, self._movers(world), world.stopped_because)
        stage = StaticStage(self._city, (self._left, right))
        self._publish(**{"left": self._left, "right": right, "stage": stage, **further, **self._tell(world)})

    def _view(self, world: CityModel, movers: BoolColumn | None, stopped_because: str | None) -> WorldView:
        has_gap = self._wish.mechanism == "learning"
        days = (day_of(record, has_gap=has_gap) for record in world.days)
        view = view_of(self._wish.mechanism, world.traffic, self._city, days, stopped_because, movers)
        assert view.links is not None  # static traffic has it
        del self._flows[len(world.days) - 1 :]
        self._flows.append(view.links.flow_vph.astype(np.float32))
        return replace(view, flow_by_day=tuple(self._flows) if len(self._flows) <= _DAYS_KEPT else ())

    def _movers(self, world: CityModel) -> BoolColumn | None:
        """Return who drives another way than on the first day, for money."""
        if self._wish.mechanism not in _PAID:
            return None
        return np.asarray(world.traffic.route_of_traveller != self._first_route)

    def _first_event(self) -> Event:
        words = {
            "learning": "Everybody takes the route that is quickest on empty streets, and finds the others there.",
            "optimum": "A plan hands out the routes.",
        }
        return Event("day 0", "day", words.get(self._wish.mechanism, "Everybody starts on the usual route, drawn by lot."))

    def _tell(self, world: CityModel) -> dict[str, Any]:
        """Return what there is to publish of the market's latest day."""
        book = getattr(world.mechanism, "book", None)
        if book is None:
            return {"feed": self._teller.told}
        return {"feed": self._teller.tell(book, world.days[-1].day), "market": self._teller.state(book)}

    def _settle(self, world: CityModel) -> None:
        """Close the window: contracts, evidence, disputes, payments."""
        name = self._wish.mechanism
        reason = world.stopped_because
        if name in ("learning", "optimum"):
            self._show_day()
            return
        movers = self._movers(world)
        settling = Progress("Settling: contracts, evidence, disputes, payments …")
        self._publish(right=self._view(world, movers, None), progress=settling, **self._tell(world))
        close = close_coalition if name == "coalition" else close_market
        outcome = close(self._city.built, world, self._setting)
        self._show_settled(world, outcome, movers, reason)

    def _show_settled(self, world: CityModel, outcome: MarketOutcome, movers: BoolColumn | None, reason: str | None) -> None:
        built, content = self._city.built, outcome.content
        books = None if outcome.enforcement is None else Books.of_window(outcome.enforcement, built.turn_graph)
        contracts = movers if books is None else books.under_contract(built.population.n_travellers)
        view = self._view(world, contracts, reason)
        right = replace(view, money_micro=outcome.money_micro, below_baseline=int(content["below_baseline"]))
        market = settled_market(content, int(self._setting.is_member.sum()))
        feed = () if books is None else books.events()
        self._publish(
            right=right,
            stage=StaticStage(self._city, (self._left, right)),
            books=books,
            market=market,
            feed=(*feed, *self._teller.told),
            progress=None,
        )


def settled_market(content: dict[str, Any], members: int) -> MarketState:
    """Return the state of a market from its entry in poa.json."""
    return MarketState(
        members=int(content.get("members", members)),
        deals=int(content.get("deals", 0)),
        paid_credits=content.get("payments_micro", content.get("toll_revenue_micro", 0)) / MICRO_PER_CREDIT,
        fees_credits=content.get("fees_micro", 0) / MICRO_PER_CREDIT,
        settled=True,
        content=content,
    )


def progress_share(first_gap: float, gap: float, wanted: float) -> float:
    """Return how far a solver has come, 0 to 1 on a logarithmic scale of its gap."""
    if gap <= wanted:
        return 1.0
    return 0.0 if first_gap <= gap else math.log(first_gap / gap) / math.log(first_gap / wanted)
