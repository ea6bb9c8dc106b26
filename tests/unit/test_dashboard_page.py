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
from dashboard.sheet import Sheet
from dashboard.visitors import SEATS, VISITORS_VARIABLE
from dashboard.wishes import SCENARIO_VARIABLE


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


def rows(root: ipywidgets.Widget, look: str) -> dict[str, list[str]]:
    """Return the lines of the sheets of a look, by their first cell."""
    sheets = [widget for widget in below(root) if isinstance(widget, Sheet) and look in widget.look]
    lines = [[cell if isinstance(cell, str) else cell["text"] for cell in line] for sheet in sheets for line in sheet.rows]
    return {line[0]: line[1:] for line in lines}


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("routepact ")}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[ipywidgets.Widget]:
    """The page on its first day; its threads and its place are gone afterwards."""
    monkeypatch.setenv(SCENARIO_VARIABLE, "braess")
    before, taken = workers(), SEATS.taken
    root, context = solara.render(Page(), handle_error=False)
    mine = workers() - before
    try:
        assert len(mine) == 2 and SEATS.taken == taken + 1
        wait_for(lambda: text(root, "rp-day") == "Day 0" or named(root, "rp-error") is not None)
        yield root
    finally:
        context.close()
    assert SEATS.taken == taken
    wait_for(lambda: not workers() & mine)


def test_page_shows_the_price_steps_and_resets(page: ipywidgets.Widget) -> None:
    wait_for(lambda: text(page, "rp-poa")[:1].isdigit())
    first = text(page, "rp-poa")
    assert float(first) > 1.1 and text(page, "rp-certified").startswith("1.1084")
    city_map = next(widget for widget in below(page) if isinstance(widget, CityMap))
    wait_for(lambda: length_after_drawing(city_map) > 16 + 8 + 2 * 5)
    assert city_map.address == "?scenario=braess&demand=1&mechanism=coalition&view=worlds&colour=load"
    press(page, "rp-step")
    wait_for(lambda: text(page, "rp-day") == "Day 1")
    # The parts of the page are rendered one after another.
    wait_for(lambda: int(rows(page, "rp-rows")["Detours sold"][0]) > 0)
    wait_for(lambda: text(page, "rp-closed") != "0\u00a0%")
    press(page, "rp-is-difference")
    wait_for(lambda: length_after_drawing(city_map) > 0 and len(city_map.head["panes"]) == 1)
    wait_for(lambda: "view=difference" in city_map.address)
    press(page, "rp-is-speed")
    wait_for(lambda: "colour=speed" in city_map.address)
    press(page, "rp-reset")
    wait_for(lambda: text(page, "rp-day") == "Day 0")
    assert "synthetic" in text(page, "rp-foot")


def test_tabs_lead_to_market_ledger_contract_and_traveller(page: ipywidgets.Widget) -> None:
    press(page, "rp-play")
    wait_for(lambda: "At rest" in text(page, "rp-story"))
    press(page, "rp-play")
    press(page, "rp-is-ledger")
    wait_for(lambda: bool(rows(page, "rp-entries")))
    assert "entries" in text(page, "rp-found")
    press(page, "rp-is-market")
    wait_for(lambda: bool(rows(page, "rp-openers")))
    openers = next(widget for widget in below(page) if isinstance(widget, Sheet) and "rp-openers" in widget.look)
    openers.opened = [openers.rows[0][0]["open"], 1]
    wait_for(lambda: named(page, "rp-contract") is not None)
    wait_for(lambda: rows(page, "rp-rows").get("Evidence says") == ["the mover is right"])
    wait_for(lambda: bool(rows(page, "rp-entries")))
    press(page, "rp-follow")
    wait_for(lambda: "From zone to zone" in rows(page, "rp-rows"))
    wait_for(lambda: "credit" in rows(page, "rp-rows")["Money"][1])
    press(page, "rp-is-setup")
    wait_for(lambda: named(page, "rp-apply") is not None)


def test_a_visitor_too_many_is_told_so_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISITORS_VARIABLE, str(SEATS.taken))
    before, taken = workers(), SEATS.taken
    root, context = solara.render(Page(), handle_error=False)
    full = named(root, "rp-full")
    assert full is not None and workers() == before
    context.close()
    assert SEATS.taken == taken
