"""The moving picture of one visitor: a thread that lets the clock run and sends a frame as often as the browser takes one.

Nothing else asks a scene's stage for vehicles. The page leaves what it wants to see as one immutable `Look`; the thread sleeps
while the clock stands and nothing has changed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dashboard.city_map import CityMap
from dashboard.pictures import Painter, Route
from dashboard.scene import Moment, Scene
from dashboard.wishes import Colour, View

_FRAME_S = 1.0 / 30.0
_TOLD_EVERY_S = 0.5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What a visitor looks at.

    Attributes
    ----------
    view, colour
        Two maps or their difference, and what the colours say.
    clock_rate
        Seconds of the day that pass in a second.
    follow
        Traveller who is marked.
    routes
        Ways that are drawn on top.
    """

    view: View = "worlds"
    colour: Colour = "load"
    clock_rate: float = 60.0
    follow: int | None = None
    routes: tuple[Route, ...] = field(default=())


class Film:
    """Shows the scenes of one visitor on his map.

    Parameters
    ----------
    city_map
        Where the frames go.
    scene_of
        Returns the present scene.
    on_moment
        Called twice a second while the clock runs, with the traffic of the moment.
    on_trouble
        Called with what went wrong when a frame cannot be drawn; the film then waits for the next `show`.
    on_end
        Called when a day of queue traffic is over.
    """

    def __init__(
        self,
        city_map: CityMap,
        scene_of: Callable[[], Scene],
        on_moment: Callable[[Moment], None] = lambda moment: None,
        on_trouble: Callable[[str], None] = lambda words: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._map = city_map
        self._scene_of = scene_of
        self._on_moment = on_moment
        self._on_trouble = on_trouble
        self._on_end = on_end
        self._in_trouble = False
        self._wake = threading.Condition()
        self._look = Look()
        self._painter = Painter()
        self._stale = True
        self._closed = False
        self._seek_s: float | None = None
        self._clock_s = 0.0
        self._city: object = None
        self._thread = threading.Thread(target=self._work, name="routepact film", daemon=True)
        self._thread.start()

    @property
    def clock_s(self) -> float:
        """Time of the day on show, seconds."""
        return self._clock_s

    def show(self, look: Look | None = None) -> None:
        """Show the present scene, perhaps in another way."""
        with self._wake:
            self._look = look or self._look
            self._stale = True
            self._wake.notify_all()

    def seek(self, clock_s: float) -> None:
        """Set the clock."""
        with self._wake:
            self._seek_s = clock_s
            self._stale = True
            self._wake.notify_all()

    def close(self) -> None:
        """Let the thread end; returns at once."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        shown_at, told_at = time.monotonic(), 0.0
        while self._wait_for_work():
            now = time.monotonic()
            passed_s, shown_at = min(now - shown_at, 0.25), now
            try:
                moment = self._frame(passed_s)
                if moment is not None and (now - told_at >= _TOLD_EVERY_S or not self._scene_of().playing):
                    told_at = now
                    self._on_moment(moment)
            except Exception as error:
                # It must not end the film: the next scene may be sound again.
                _LOG.exception("a frame could not be drawn")
                self._in_trouble = True
                self._on_trouble(f"The picture cannot be drawn: {type(error).__name__}: {error}")
            time.sleep(max(0.0, _FRAME_S - (time.monotonic() - now)))

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to show; return False at the end."""
        with self._wake:
            while not (self._closed or self._stale or (self._scene_of().playing and not self._in_trouble)):
                self._wake.wait(1.0)
            self._stale = self._in_trouble = False
            return not self._closed

    def _frame(self, passed_s: float) -> Moment | None:
        scene, look = self._scene_of(), self._look
        if scene.city is not self._city:
            self._city = scene.city
            self._clock_s = 0.0 if scene.city is None or scene.is_queue else scene.city.end_s / 2
        moment = None
        if scene.city is not None and scene.stage is not None:
            if self._seek_s is not None:
                self._clock_s, self._seek_s = self._seek_s, None
            if scene.playing:
                self._clock_s = _after(self._clock_s + passed_s * look.clock_rate, scene)
                if scene.is_queue and self._clock_s >= scene.city.end_s:
                    self._on_end()
            moment = scene.stage.at(self._clock_s)
        self._map.show(self._painter.picture(scene, look.view, look.colour, moment, look.follow, look.routes))
        return moment


def _after(clock_s: float, scene: Scene) -> float:
    """Return the time that the clock shows: the period of static traffic repeats, a day of queue traffic ends."""
    assert scene.city is not None  # there is no clock before
    return min(clock_s, scene.city.end_s) if scene.is_queue else clock_s % scene.city.end_s
