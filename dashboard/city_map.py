"""The map widget: streets sent once, then frames, of which at most one is on its way at any time.

The browser says which frame it drew last. A new frame waits while an earlier one is still on its way (for two seconds at most, in
case the answer was lost), and a newer one replaces it while it waits: the latest wins, none queues up. Links go along only when
they look different from those of the frame before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dashboard.pictures import Picture
from dashboard.streets import Streets

_STATIC = Path(__file__).resolve().parent / "static"
_LOST_AFTER_S = 2.0
NO_LINK = -1


def script(*names: str) -> str:
    """Return the static scripts as one module, in this order; only the last may export."""
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)


class CityMap(anywidget.AnyWidget):
    """One or two maps of the same streets, with legend, clock and the page's keyboard.

    Attributes
    ----------
    streets, extent
        Bytes of `dashboard.streets` and what is known of their extent.
    frame, frame_number
        The picture on show; the number grows with every frame sent.
    head
        Titles, scale and routes of the picture.
    drawn_number
        Set by the browser: the frame that it drew last or is drawing.
    asked
        Set by the browser: the drawn link under the pointer, or NO_LINK.
    card
        What is told about that link.
    address
        Query of the page's address, so that the view can be shared.
    may_close
        Whether a link may be closed from its card.
    """

    _esm = script("palette.js", "plot.js", "streets.js", "draw.js", "city_map.js")

    streets = traitlets.Bytes(b"").tag(sync=True)
    extent = traitlets.Dict().tag(sync=True)
    frame = traitlets.Bytes(b"").tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    frame_number = traitlets.Int(0).tag(sync=True)
    drawn_number = traitlets.Int(0).tag(sync=True)
    asked = traitlets.Int(NO_LINK).tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    address = traitlets.Unicode("").tag(sync=True)
    may_close = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._lock = threading.Lock()
        self._waiting: Picture | None = None
        self._sent_at = 0.0
        self._links_key: object = None
        self._shown: Picture | None = None
        self._acts: Mapping[str, Callable[[Any], None]] = {}
        self._on_asked: Callable[[int], dict[str, object]] = lambda link: {}
        self.observe(self._was_drawn, "drawn_number")
        self.observe(self._answer, "asked")
        self.on_msg(self._take_message)

    def connect(self, acts: Mapping[str, Callable[[Any], None]], on_asked: Callable[[int], dict[str, object]]) -> None:
        """Say what to do.

        Parameters
        ----------
        acts
            By the word that the browser sends: "key" (with "space", "right", ...), "close" (a drawn link), "vehicle" (a
            traveller), "save" (with "data").
        on_asked
            Returns the card of the drawn link under the pointer.
        """
        self._acts, self._on_asked = acts, on_asked
        self.refresh_card()

    def show_streets(self, streets: Streets | None) -> None:
        """Show other streets (or none), without traffic."""
        with self._lock:
            self._links_key = None
        with self.hold_sync():
            self.extent = (
                {} if streets is None else {"width": streets.width, "height": streets.height, "in_metres": streets.in_metres}
            )
            self.streets = b"" if streets is None else streets.content

    def show(self, picture: Picture) -> bool:
        """Send a picture, or let it wait; return whether it was sent. From any thread."""
        with self._lock:
            on_its_way = self.drawn_number != self.frame_number and time.monotonic() - self._sent_at < _LOST_AFTER_S
            self._waiting = picture if on_its_way else None
            if on_its_way:
                return False
            self._sent_at = time.monotonic()
            # A frame that was lost may have taken the links along.
            lost = self.drawn_number != self.frame_number
            known = not lost and picture.links_key is not None and picture.links_key == self._links_key
            self._links_key, self._shown = picture.links_key, picture
        # Outside the lock: assigning traits takes the session's own locks.
        with self.hold_sync():
            if self.head != picture.head:
                self.head = picture.head
            self.frame = picture.frame_without_links if known else picture.frame
            self.frame_number += 1
        return True

    def download(self, name: str, content: bytes) -> None:
        """Let the visitor's browser save a file."""
        self.send({"download": name}, buffers=[content])

    def refresh_card(self) -> None:
        """Tell about the link under the pointer again, because its figures may have changed."""
        if self.asked != NO_LINK:
            self.card = {**self._on_asked(self.asked), "asked": self.asked}

    def _was_drawn(self, change: object) -> None:
        with self._lock:
            picture = self._waiting
        if picture is not None:
            self.show(picture)

    def _answer(self, change: object) -> None:
        self.refresh_card()

    def _take_message(self, widget: object, content: dict[str, Any], buffers: object) -> None:
        if isinstance(content.get("vehicle"), list):
            self._take_vehicle(content["vehicle"])
            return
        for word, act in self._acts.items():
            if word in content:
                act(content[word])

    def _take_vehicle(self, place: list[Any]) -> None:
        """Find who drives the vehicle at [map, position in its frame]; a frame that is gone has nobody."""
        with self._lock:
            shown = self._shown
        pane, position = place
        if shown is not None and 0 <= pane < len(shown.travellers) and 0 <= position < len(shown.travellers[pane]):
            self._acts["vehicle"](int(shown.travellers[pane][position]))
