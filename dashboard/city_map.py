"""The map widget: streets sent once, then frames, of which at most one is on its way at any time.

The browser says which frame it drew last. A new frame waits while an earlier one is still on its way (for two seconds at most, in
case the answer was lost), and a newer one replaces it while it waits: the latest wins, none queues up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dashboard.paint import Scale
from dashboard.streets import Streets

_STATIC = Path(__file__).resolve().parent / "static"
_LOST_AFTER_S = 2.0
NO_LINK = -1


def script(*names: str) -> str:
    """Return the static scripts as one module, in this order; only the last may export."""
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)


@dataclass(frozen=True)
class Picture:
    """What the map shows: a frame's bytes with the (title, remark) of its maps and the scale of its colours."""

    frame: bytes
    panes: tuple[tuple[str, str], ...]
    scale: Scale | None


class CityMap(anywidget.AnyWidget):
    """One or two maps of the same streets, with legend and the page's keyboard.

    Attributes
    ----------
    streets, extent
        Bytes of `dashboard.streets` and what is known of their extent.
    frame, panes, scale, frame_number
        The picture on show; the number grows with every frame sent.
    drawn_number
        Set by the browser: the frame it drew last.
    asked
        Set by the browser: the drawn link under the pointer, or NO_LINK.
    card
        What is told about that link.
    address
        Query of the page's address, so that the view can be shared.
    """

    _esm = script("palette.js", "streets.js", "draw.js", "city_map.js")

    streets = traitlets.Bytes(b"").tag(sync=True)
    extent = traitlets.Dict().tag(sync=True)
    frame = traitlets.Bytes(b"").tag(sync=True)
    panes: Any = traitlets.List().tag(sync=True)
    scale = traitlets.Dict().tag(sync=True)
    frame_number = traitlets.Int(0).tag(sync=True)
    drawn_number = traitlets.Int(0).tag(sync=True)
    asked = traitlets.Int(NO_LINK).tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    address = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._lock = threading.Lock()
        self._waiting: Picture | None = None
        self._sent_at = 0.0
        self._on_key: Callable[[str], None] = lambda key: None
        self._on_asked: Callable[[int], dict[str, object]] = lambda link: {}
        self.observe(self._was_drawn, "drawn_number")
        self.observe(self._answer, "asked")
        self.on_msg(self._take_message)

    def connect(self, on_key: Callable[[str], None], on_asked: Callable[[int], dict[str, object]]) -> None:
        """Call `on_key` with "space", "right" or "r", `on_asked` with the drawn link under the pointer, for the card."""
        self._on_key, self._on_asked = on_key, on_asked
        self.refresh_card()

    def show_streets(self, streets: Streets | None) -> None:
        """Show other streets (or none), without traffic."""
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
        # Outside the lock: assigning traits takes the session's own locks.
        with self.hold_sync():
            self.panes = [list(pane) for pane in picture.panes]
            self.scale = {} if picture.scale is None else asdict(picture.scale)
            self.frame = picture.frame
            self.frame_number += 1
        return True

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
        if isinstance(content.get("key"), str):
            self._on_key(content["key"])
