"""The page rendered without a browser: what stands on it, that buttons act, and that it ends its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import ipyvuetify
import ipywidgets
import pytest
import solara

from dashboard.city_map import CityMap
from dashboard.page import Page
from dashboard.session import SCENARIO_VARIABLE


def wait_for(condition: Callable[[], bool], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def below(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Yield a widget and all widgets inside it."""
    yield widget
    for child in getattr(widget, "children", ()):
        if isinstance(child, ipywidgets.Widget):
            yield from below(child)


def named(root: ipywidgets.Widget, name: str) -> ipywidgets.Widget | None:
    return next((widget for widget in below(root) if name in (getattr(widget, "class_", None) or "").split()), None)


def text(root: ipywidgets.Widget, name: str) -> str:
    widget = named(root, name)
    return "" if widget is None else "".join(child for child in widget.children if isinstance(child, str))


def press(root: ipywidgets.Widget, name: str) -> None:
    button = named(root, name)
    assert isinstance(button, ipyvuetify.Btn) and not button.disabled
    button.click()


def length_after_drawing(city_map: CityMap) -> int:
    """Answer as a browser does that has drawn the frame; return the length of the frame that is there then."""
    city_map.drawn_number = city_map.frame_number
    return len(city_map.frame)


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "routepact worlds"}


def test_page_shows_the_price_steps_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCENARIO_VARIABLE, "braess")
    before = workers()
    root, context = solara.render(Page(), handle_error=False)
    try:
        mine = workers() - before
        assert len(mine) == 1
        wait_for(lambda: text(root, "rp-day") == "Day 0" or named(root, "rp-error") is not None)
        first = text(root, "rp-poa")
        assert float(first) > 1.2
        assert text(root, "rp-certified").startswith("1.1084")
        city_map = next(widget for widget in below(root) if isinstance(widget, CityMap))
        wait_for(lambda: length_after_drawing(city_map) == 16 + 2 * 5)
        assert city_map.address == "?scenario=braess&demand=1&view=worlds"
        press(root, "rp-step")
        wait_for(lambda: text(root, "rp-day") == "Day 1")
        assert text(root, "rp-poa") != first
        press(root, "rp-view-difference")
        wait_for(lambda: length_after_drawing(city_map) == 16 + 5)
        press(root, "rp-reset")
        wait_for(lambda: text(root, "rp-day") == "Day 0")
        assert text(root, "rp-poa") == first
        assert "synthetic" in text(root, "rp-foot")
    finally:
        context.close()
    wait_for(lambda: not workers() & mine)
