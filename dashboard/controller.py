"""The worlds of one visitor, in a daemon thread of their own.

Only the worker thread touches models. Buttons leave orders behind a lock and return at once; what there is to see is an immutable
`Scene`, exchanged whole. The listener is called outside the lock, from whichever thread changed the scene, and reads `scene`
itself: so a late call never shows an old scene.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

import mesa

from dashboard.paint import load_scale
from dashboard.scene import City, Phase, Progress, Scene, Solved, Wish, view_of
from dashboard.streets import streets_of
from sim.assignment.equilibrium import Assignment, IterationRecord, solve
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import Principle
from sim.errors import RoutepactError
from sim.experiments.build import BuiltScenario, build_scenario, make_world
from sim.experiments.scenarios import find_scenario
from sim.model import CityModel
from sim.spec import ScenarioSpec

_LOG = logging.getLogger(__name__)
_PROGRESS_EVERY_S = 0.2

FindScenario = Callable[[str], tuple[ScenarioSpec, Path]]


class _Order(Enum):
    LOAD = auto()
    RESET = auto()
    DAY = auto()
    CLOSE = auto()


class _SupersededError(Exception):
    """The visitor asked for something else, or left, while the worker was busy."""


class Controller:
    """Runs the worlds of one visitor.

    Parameters
    ----------
    wish
        What to show first.
    on_change
        Called after every change of `scene`, from any thread; must not block.
    find
        Finds a scenario by name.
    days_per_s
        How fast days follow each other while playing, above 0.
    """

    def __init__(
        self,
        wish: Wish,
        on_change: Callable[[], None] = lambda: None,
        *,
        find: FindScenario = find_scenario,
        days_per_s: float = 1.0,
    ) -> None:
        self._on_change = on_change
        self._find = find
        self._changed = threading.Condition()
        self._scene = Scene(wish)
        self._wanted: Wish | None = wish
        self._reset_wanted = False
        self._steps_wanted = 0
        self._closed = False
        self._s_per_day = 1.0 / days_per_s
        self._last_day_at = 0.0
        self._worlds: dict[str, CityModel] = {}
        self._thread = threading.Thread(target=self._work, name="routepact worlds", daemon=True)
        self._thread.start()

    @property
    def scene(self) -> Scene:
        """The present moment."""
        return self._scene

    def load(self, wish: Wish) -> None:
        """Show another scenario or demand; what runs is given up."""
        with self._changed:
            self._wanted = wish
            self._reset_wanted, self._steps_wanted = False, 0
            self._changed.notify_all()

    def play(self) -> None:
        """Let days follow each other until the worlds rest."""
        self._set_playing(True)

    def pause(self) -> None:
        """Stop after the present day."""
        self._set_playing(False)

    def toggle(self) -> None:
        """Play if paused, pause if playing."""
        self._set_playing(not self._scene.playing)

    def step(self) -> None:
        """Pause, and live one more day."""
        self._set_playing(False, further_days=1)

    def reset(self) -> None:
        """Pause, and go back to the first day."""
        with self._changed:
            if self._scene.phase is not Phase.READY:
                return
            self._reset_wanted, self._steps_wanted = True, 0
        self._set_playing(False)

    def set_speed(self, days_per_s: float) -> None:
        """Set how fast days follow each other (above 0)."""
        with self._changed:
            self._s_per_day = 1.0 / days_per_s
            self._changed.notify_all()

    def close(self) -> None:
        """Let the worker end, at its next breath, and give the models up; returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the worker to end; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _set_playing(self, playing: bool, further_days: int = 0) -> None:
        with self._changed:
            may = self._scene.phase is Phase.READY and not self._scene.at_rest
            self._steps_wanted += further_days if may else 0
            self._scene = replace(self._scene, playing=playing and may)
            self._changed.notify_all()
        self._on_change()

    def _publish(self, **changes: Any) -> None:
        """Exchange parts of the scene; raise when they are no longer wanted."""
        with self._changed:
            self._require_wanted()
            self._scene = replace(self._scene, **changes)
        self._on_change()

    def _require_wanted(self) -> None:
        with self._changed:
            if self._closed or self._wanted is not None:
                raise _SupersededError

    def _work(self) -> None:
        while (order := self._next_order()) is not _Order.CLOSE:
            try:
                self._obey(order)
            except _SupersededError:
                continue
            except RoutepactError as error:
                self._fail(str(error))
            except Exception as error:
                _LOG.exception("the worlds of a session stopped")
                self._fail(f"{type(error).__name__}: {error}")
        self._forget_worlds()
        self._scene = Scene(self._scene.wish)

    def _next_order(self) -> _Order:
        """Wait for something to do."""
        with self._changed:
            while True:
                if self._closed:
                    return _Order.CLOSE
                if self._wanted is not None:
                    return _Order.LOAD
                if self._reset_wanted:
                    self._reset_wanted = False
                    return _Order.RESET
                if self._steps_wanted > 0:
                    self._steps_wanted -= 1
                    return _Order.DAY
                until_next_s = self._last_day_at + self._s_per_day - time.monotonic() if self._scene.playing else None
                if until_next_s is not None and until_next_s <= 0.0:
                    return _Order.DAY
                self._changed.wait(until_next_s)

    def _obey(self, order: _Order) -> None:
        if order is _Order.LOAD:
            self._load_wanted()
        elif order is _Order.RESET:
            self._begin("selfish")  # the optimum's plan does not change from day to day
        else:
            self._live_a_day()

    def _forget_worlds(self, *names: str) -> None:
        """Give worlds up (all of them unless named) with the memory they take."""
        for name in names or tuple(self._worlds):
            world = self._worlds.pop(name, None)
            # Mesa numbers agents by model in a table of the class, and so keeps every model alive that ever had an agent.
            mesa.Agent._ids.pop(world, None)

    def _fail(self, message: str) -> None:
        try:
            self._publish(phase=Phase.FAILED, playing=False, progress=None, error=message)
        except _SupersededError:
            return

    def _load_wanted(self) -> None:
        with self._changed:
            wish, self._wanted = self._wanted, None
            assert wish is not None  # that is what LOAD means
            self._scene = Scene(wish)
        self._forget_worlds()
        self._on_change()
        spec, folder = self._find(wish.scenario)
        demand = spec.demand.model_copy(update={"scale": spec.demand.scale * wish.demand_scale})
        built = build_scenario(spec.model_copy(update={"demand": demand}), folder)
        self._publish(phase=Phase.SOLVING, city=City(built, streets_of(built.network)))
        equilibrium = self._solve(built, Principle.USER_EQUILIBRIUM)
        optimum = self._solve(built, Principle.SYSTEM_OPTIMUM)
        price = price_of_assignments({Principle.USER_EQUILIBRIUM: equilibrium, Principle.SYSTEM_OPTIMUM: optimum})
        assert price is not None  # both are there
        drawn = ~built.network.is_connector
        greatest_load = max(
            float((built.turn_graph.flow_on_streets(found.flow_vph) / built.network.capacity_vph)[drawn].max(initial=0.0))
            for found in (equilibrium, optimum)
        )
        self._publish(progress=None, solved=Solved(equilibrium, optimum, price, load_scale(greatest_load)))
        self._begin("selfish", "optimum")

    def _solve(self, built: BuiltScenario, principle: Principle) -> Assignment:
        task = "the selfish equilibrium" if principle is Principle.USER_EQUILIBRIUM else "the optimum"
        wanted_gap = built.spec.traffic.gap
        first_gap, told_at = 1.0, 0.0

        def tell(record: IterationRecord) -> None:
            nonlocal first_gap, told_at
            self._require_wanted()
            if record.iteration == 0:
                first_gap = record.relative_gap
            if time.monotonic() - told_at >= _PROGRESS_EVERY_S:
                told_at = time.monotonic()
                self._publish(progress=Progress(task, record.iteration, first_gap, record.relative_gap, wanted_gap))

        return solve(
            built.problem, principle, gap=wanted_gap, max_iterations=built.spec.traffic.max_iterations, on_iteration=tell
        )

    def _begin(self, *names: str) -> None:
        """Make worlds afresh and live their first day."""
        scene = self._scene
        assert scene.city is not None and scene.solved is not None  # reset is refused before
        built, optimum = scene.city.built, scene.solved.optimum
        self._forget_worlds(*names)
        for name in names:
            self._worlds[name] = make_world(built, name, optimum)
            self._worlds[name].step()
        self._last_day_at = time.monotonic()
        views = {name: view_of(self._worlds[name], built.turn_graph) for name in names}
        self._publish(phase=Phase.READY, progress=None, playing=False, **views)

    def _live_a_day(self) -> None:
        scene, world = self._scene, self._worlds["selfish"]
        assert scene.city is not None  # a world was made from it
        self._last_day_at = time.monotonic()
        if world.stopped_because is None:
            world.step()
            most_days = scene.city.built.spec.traffic.days
            if len(world.days) >= most_days:
                world.run_days(most_days)  # says that the bound was reached, unless the world rests anyway
        view = view_of(world, scene.city.built.turn_graph)
        # The visitor may have paused meanwhile: only rest ends playing here.
        self._publish(selfish=view, **({"playing": False} if view.stopped_because is not None else {}))
