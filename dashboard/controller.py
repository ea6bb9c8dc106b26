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

from dashboard.scene import Phase, Scene
from dashboard.show import Publish, Show
from dashboard.wishes import Wish
from sim.errors import RoutepactError
from sim.experiments.scenarios import find_scenario
from sim.spec import ScenarioSpec

_LOG = logging.getLogger(__name__)

FindScenario = Callable[[str], tuple[ScenarioSpec, Path]]


class _Order(Enum):
    LOAD = auto()
    RESET = auto()
    DAY = auto()
    SEEK = auto()
    CLOSE = auto()


class _SupersededError(Exception):
    """The visitor asked for something else, or left, while the worker was busy."""


def make_show(wish: Wish, publish: Publish, find: FindScenario) -> Show:
    """Return the show that a wish asks for: a replay, queue traffic or static traffic."""
    if wish.runs:
        from dashboard.replay import Replay

        return Replay(wish, publish)
    spec, folder = find(wish.scenario)
    spec = wish.applied_to(spec)
    if spec.traffic.model == "queue":
        from dashboard.queue_show import QueueShow

        return QueueShow(wish, spec, folder, publish)
    from dashboard.static_show import StaticShow

    return StaticShow(wish, spec, folder, publish)


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
        self._seek_wanted: int | None = None
        self._steps_wanted = 0
        self._closed = False
        self._s_per_day = 1.0 / days_per_s
        self._last_day_at = 0.0
        self._show: Show | None = None
        self._thread = threading.Thread(target=self._work, name="routepact worlds", daemon=True)
        self._thread.start()

    @property
    def scene(self) -> Scene:
        """The present moment."""
        return self._scene

    def load(self, wish: Wish) -> None:
        """Show something else; what runs is given up."""
        with self._changed:
            self._wanted = wish
            self._reset_wanted, self._steps_wanted, self._seek_wanted = False, 0, None
            self._changed.notify_all()

    def play(self) -> None:
        """Let the clock run, and days follow each other until the worlds rest."""
        self._set_playing(True)

    def pause(self) -> None:
        """Stop the clock, and the days after the present one."""
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

    def seek(self, day: int) -> None:
        """Go to a day of a replay."""
        with self._changed:
            if self._scene.phase is Phase.READY:
                self._seek_wanted = day
                self._changed.notify_all()

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
            may = self._scene.phase is Phase.READY
            self._steps_wanted += further_days if may and not self._scene.at_rest else 0
            self._scene = replace(self._scene, playing=playing and may)
            self._changed.notify_all()
        self._on_change()

    def _publish(self, **changes: Any) -> None:
        """Exchange parts of the scene; raise when they are no longer wanted. Without changes it only looks."""
        with self._changed:
            if self._closed or self._wanted is not None:
                raise _SupersededError
            if not changes:
                return
            self._scene = replace(self._scene, **changes)
        self._on_change()

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
        self._close_show()
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
                if self._seek_wanted is not None:
                    return _Order.SEEK
                if self._steps_wanted > 0:
                    self._steps_wanted -= 1
                    return _Order.DAY
                lives = self._scene.playing and not self._scene.at_rest
                until_next_s = self._last_day_at + self._s_per_day - time.monotonic() if lives else None
                if until_next_s is not None and until_next_s <= 0.0:
                    return _Order.DAY
                self._changed.wait(until_next_s)

    def _obey(self, order: _Order) -> None:
        if order is _Order.LOAD:
            self._load_wanted()
            return
        show = self._show
        if show is None or self._scene.phase is not Phase.READY:
            return
        if order is _Order.RESET:
            show.reset()
        elif order is _Order.SEEK:
            day, self._seek_wanted = self._seek_wanted, None
            show.seek(day or 0)
        elif not self._scene.at_rest:
            self._last_day_at = time.monotonic()
            show.step()

    def _load_wanted(self) -> None:
        with self._changed:
            wish, self._wanted = self._wanted, None
            assert wish is not None  # that is why we are here
            self._scene = Scene(wish)
        self._close_show()
        self._on_change()
        self._show = make_show(wish, self._publish, self._find)
        self._show.open()
        self._last_day_at = time.monotonic()

    def _close_show(self) -> None:
        if self._show is not None:
            self._show.close()
            self._show = None

    def _fail(self, message: str) -> None:
        try:
            self._publish(phase=Phase.FAILED, playing=False, progress=None, error=message)
        except _SupersededError:
            return
