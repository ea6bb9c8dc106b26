"""The page in a real browser, against a server of its own: it paints, plays, obeys, complains to nobody and asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_MS = 150_000
"""The first visit may have to wait until the kernels are compiled."""

BROKEN = """
name = "broken"
[network]
source = "osm"
file = "no_such_city.osm"
[demand]
source = "gravity"
trips_per_h = 100
"""

# Loaded by the server's Python before anything else: writes down every name and address outside this machine that it asks for.
GUARD = """
import os, socket
real_connect, real_getaddrinfo = socket.socket.connect, socket.getaddrinfo
LOCAL = {"127.0.0.1", "::1", "localhost", "", None, "0.0.0.0"}
def note(host):
    if host not in LOCAL:
        with open(os.environ["ASKED_OUTSIDE"], "a") as log:
            log.write(f"{host}\\n")
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        note(address[0])
    return real_connect(self, address)
def getaddrinfo(host, *rest, **more):
    note(host)
    return real_getaddrinfo(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""

PAINTED_COLOURS = """pane => {
    const canvas = document.querySelectorAll('canvas.rp-map')[pane];
    const data = canvas.getContext('2d', {willReadFrequently: true}).getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
    }
    return colours.size;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def asked_outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guard") / "asked_outside.txt"


@pytest.fixture(scope="module")
def address(browser: Browser, project_root: Path, asked_outside: Path) -> Iterator[str]:
    """Address of a server whose command line names a scenario that cannot be built; it also ends cleanly on Ctrl-C."""
    folder = asked_outside.parent
    (folder / "sitecustomize.py").write_text(GUARD)
    (folder / "broken.toml").write_text(BROKEN)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(project_root)]),
        "ASKED_OUTSIDE": str(asked_outside),
    }
    command = [sys.executable, "-m", "dashboard", str(folder / "broken.toml"), "--no-open"]
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
    assert found is not None
    yield found.group()
    server.send_signal(signal.SIGINT)
    assert server.wait(15) == 0


class Visit:
    """A visitor's tab, with everything its browser asked for and complained about."""

    def __init__(self, browser: Browser, url: str, scheme: str = "light") -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def day(self) -> int:
        return int(self.page.inner_text(".rp-day").removeprefix("Day "))

    def wait_for_day(self, day: int) -> None:
        self.page.wait_for_function(
            "day => document.querySelector('.rp-error') || document.querySelector('.rp-day')?.innerText === `Day ${day}`",
            arg=day,
            timeout=PATIENCE_MS,
        )
        assert not self.page.is_visible(".rp-error")

    def wait_for_colours(self, pane: int, least: int) -> None:
        self.page.wait_for_function(
            f"([pane, least]) => ({PAINTED_COLOURS})(pane) >= least", arg=[pane, least], timeout=PATIENCE_MS
        )

    def figure(self, label: str) -> str:
        return self.page.inner_text(f".rp-figure:has-text('{label}') .rp-value")


def test_the_worlds_play_and_obey(browser: Browser, address: str, asked_outside: Path) -> None:
    visit = Visit(browser, f"{address}/?scenario=grid")
    page = visit.page
    visit.wait_for_day(0)
    visit.wait_for_colours(0, 3)
    visit.wait_for_colours(1, 3)
    first = page.inner_text(".rp-poa")
    assert float(page.inner_text(".rp-certified")) < float(first)
    travellers, mean = visit.figure("Travellers"), visit.figure("Mean travel time, optimum")

    page.keyboard.press("Space")  # play
    page.wait_for_function("first => document.querySelector('.rp-poa').innerText !== first", arg=first)
    page.keyboard.press("Space")  # pause
    page.wait_for_selector(".rp-play:has-text('Play')")
    page.wait_for_timeout(200)  # the day under way ends
    held = visit.day()
    page.wait_for_timeout(1300)  # longer than a day at the speed of the page
    assert visit.day() == held >= 1

    page.click(".rp-step")
    visit.wait_for_day(held + 1)
    page.keyboard.press("ArrowRight")
    visit.wait_for_day(held + 2)
    page.click(".rp-reset")
    visit.wait_for_day(0)
    page.wait_for_function("first => document.querySelector('.rp-poa').innerText === first", arg=first)

    page.click(".rp-view-difference")
    page.wait_for_function("() => document.querySelectorAll('.rp-pane')[1].hidden")
    visit.wait_for_colours(0, 3)
    page.wait_for_function("() => location.search.includes('view=difference')")

    page.focus(".rp-demand [role=slider]")
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".rp-demand:has-text('70%')")
    page.click(".rp-apply")
    page.wait_for_function("() => location.search.includes('demand=0.7')")
    visit.wait_for_day(0)
    assert int(visit.figure("Travellers").replace(",", "")) == round(0.7 * int(travellers.replace(",", "")))
    assert visit.figure("Mean travel time, optimum") != mean

    assert visit.complaints == []
    assert {re.sub(r"^(http|ws)", "", url.split("/")[2]) for url in visit.requests if not url.startswith(("data:", "blob:"))} == {
        address.removeprefix("http://")
    }
    assert not asked_outside.exists()
    page.close()


def test_pointing_at_a_link_tells_its_figures_and_zooming_moves_both_maps(browser: Browser, address: str) -> None:
    visit = Visit(browser, f"{address}/?scenario=parallel", "dark")
    page = visit.page
    visit.wait_for_day(0)
    visit.wait_for_colours(0, 2)
    plate = page.locator("canvas.rp-map").first.bounding_box()
    assert plate is not None
    x, y = plate["x"] + plate["width"] / 2, plate["y"] + plate["height"] / 2  # the middle one of three roads runs here
    page.mouse.move(x, y)
    page.wait_for_selector(".rp-card:has-text('Volume / capacity')", state="visible")
    assert "Link 2" in page.inner_text(".rp-card")
    page.mouse.click(x, y)
    page.wait_for_selector(".rp-card.rp-pinned")
    page.mouse.move(x, y + 100)
    assert page.is_visible(".rp-card")
    page.keyboard.press("Escape")
    page.wait_for_selector(".rp-card", state="hidden")

    page.mouse.move(5, 5)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # the mark is gone
    picture = "pane => document.querySelectorAll('canvas.rp-map')[pane].toDataURL()"
    before = [page.evaluate(picture, pane) for pane in (0, 1)]
    page.mouse.move(x, y + 100)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"([before]) => ({picture})(0) !== before", arg=before[:1])
    page.wait_for_function(f"([before]) => ({picture})(1) !== before", arg=before[1:])
    page.keyboard.press("0")
    page.mouse.move(5, 5)
    page.wait_for_function(f"([before]) => ({picture})(0) === before", arg=before[:1])
    assert page.evaluate("() => document.querySelector('.v-application').classList.contains('theme--dark')")
    assert visit.complaints == []
    page.close()


def test_an_error_is_told_on_the_page(browser: Browser, address: str) -> None:
    visit = Visit(browser, address)
    visit.page.wait_for_selector(".rp-error:has-text('no_such_city.osm')", timeout=PATIENCE_MS)
    assert visit.complaints == []
    visit.page.close()
