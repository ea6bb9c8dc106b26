"""The page in a real browser, against a server of its own: it paints, plays, obeys, complains to nobody and asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sim.experiments.run import record, run
from sim.spec import parse_scenario

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


@contextmanager
def served(project_root: Path, asked_outside: Path, *arguments: str) -> Iterator[str]:
    """Serve the page with these arguments; yield its address. It ends cleanly on Ctrl-C."""
    folder = asked_outside.parent
    (folder / "sitecustomize.py").write_text(GUARD)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(project_root)]),
        "ASKED_OUTSIDE": str(asked_outside),
    }
    command = [sys.executable, "-m", "dashboard", *arguments, "--no-open"]
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        server.send_signal(signal.SIGINT)
        status = server.wait(30)
    assert status == 0


@pytest.fixture(scope="module")
def address(browser: Browser, project_root: Path, asked_outside: Path) -> Iterator[str]:
    """Address of a server whose command line names a scenario that cannot be built."""
    broken = asked_outside.parent / "broken.toml"
    broken.write_text(BROKEN)
    with served(project_root, asked_outside, str(broken)) as found:
        yield found


class Visit:
    """A visitor's tab, with everything its browser asked for and complained about."""

    def __init__(self, browser: Browser, url: str, scheme: str = "light") -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.goto(url)

    def day(self) -> int:
        return int(self.page.inner_text(".rp-day").removeprefix("Day ").split()[0])

    def wait_for_day(self, day: int) -> None:
        self.page.wait_for_function(
            """day => document.querySelector('.rp-error')
                || document.querySelector('.rp-day')?.innerText.split(' ')[1] === `${day}`""",
            arg=day,
        )
        assert not self.page.is_visible(".rp-error")

    def wait_for_colours(self, pane: int, least: int) -> None:
        self.page.wait_for_function(
            f"([pane, least]) => ({PAINTED_COLOURS})(pane) >= least", arg=[pane, least], timeout=PATIENCE_MS
        )

    def wait_for_address(self, part: str) -> None:
        self.page.wait_for_function("part => location.search.includes(part)", arg=part)

    def figure(self, label: str) -> str:
        return self.page.inner_text(f".rp-rows tr:has(.rp-label:text-is('{label}')) .rp-value:last-child")

    def end(self, address: str, *, asked_outside: Path) -> None:
        """Require that nobody complained and nobody else was asked, and close the tab."""
        assert self.complaints == []
        hosts = {url.split("/")[2] for url in self.requests if not url.startswith(("data:", "blob:"))}
        assert hosts == {address.removeprefix("http://")}
        assert not asked_outside.exists()
        self.page.close()


def test_the_worlds_play_and_obey(browser: Browser, address: str, asked_outside: Path) -> None:
    visit = Visit(browser, f"{address}/?scenario=grid")
    page = visit.page
    visit.wait_for_day(0)
    visit.wait_for_colours(0, 3)
    visit.wait_for_colours(1, 3)
    page.wait_for_selector(".rp-price-right .rp-poa:text-matches('^[0-9]')")
    first = page.inner_text(".rp-price-right .rp-poa")
    assert float(first) == pytest.approx(float(page.inner_text(".rp-certified")), abs=0.002)
    clock = page.inner_text(".rp-clock")

    page.keyboard.press("Space")  # play
    page.wait_for_function("first => document.querySelector('.rp-price-right .rp-poa').innerText !== first", arg=first)
    page.wait_for_function("clock => document.querySelector('.rp-clock').innerText !== clock", arg=clock)
    page.keyboard.press("Space")  # pause
    page.wait_for_selector(".rp-play:has-text('Play')")
    page.wait_for_timeout(400)  # the day under way ends
    held = visit.day()
    page.wait_for_timeout(1300)  # longer than a day at the speed of the page
    assert visit.day() == held >= 1

    page.click(".rp-step")
    visit.wait_for_day(held + 1)
    page.keyboard.press("ArrowRight")
    visit.wait_for_day(held + 2)
    assert page.inner_text(".rp-closed") != "0 %"
    page.click(".rp-reset")
    visit.wait_for_day(0)
    page.wait_for_function("first => document.querySelector('.rp-price-right .rp-poa').innerText === first", arg=first)

    page.keyboard.press("d")
    page.wait_for_function("() => document.querySelectorAll('.rp-pane')[1].hidden")
    visit.wait_for_colours(0, 3)
    visit.wait_for_address("view=difference")
    page.click(".rp-is-worlds")
    page.keyboard.press("c")
    visit.wait_for_address("colour=speed")
    page.wait_for_selector(".rp-legend-title:has-text('Speed')")
    visit.end(address, asked_outside=asked_outside)


def test_vehicles_move_and_a_traveller_is_followed(browser: Browser, address: str, asked_outside: Path) -> None:
    visit = Visit(browser, f"{address}/?scenario=parallel&follow=3", "dark")
    page = visit.page
    visit.wait_for_day(0)
    visit.wait_for_colours(0, 2)
    picture = "() => document.querySelectorAll('canvas.rp-map')[0].toDataURL()"
    page.wait_for_timeout(300)
    before = page.evaluate(picture)
    page.wait_for_timeout(400)
    assert page.evaluate(picture) == before, "nothing moves while the clock stands"
    page.keyboard.press("Space")
    page.wait_for_function(f"before => ({picture})() !== before", arg=before)
    drawn = "() => Number(document.querySelector('.rp-citymap').dataset.drawn)"
    at = page.evaluate(drawn)
    page.wait_for_function(f"at => ({drawn})() > at + 3", arg=at)
    page.click(".rp-tabs .rp-is-find")
    page.wait_for_selector("h2:has-text('Traveller 3')")
    assert "min" in visit.figure("Trip takes") or " s" in visit.figure("Trip takes")
    page.click(".rp-unfollow")
    page.wait_for_function("() => !location.search.includes('follow')")
    visit.end(address, asked_outside=asked_outside)


def test_a_contract_is_opened_from_the_feed_to_the_ledger(browser: Browser, address: str, asked_outside: Path) -> None:
    visit = Visit(browser, f"{address}/?scenario=braess&defectors=0.1")
    page = visit.page
    visit.wait_for_day(0)
    page.click(".rp-play")
    page.wait_for_selector(".rp-story:has-text('At rest')")
    page.click(".rp-play")
    page.click(".rp-tabs .rp-is-market")
    page.wait_for_selector(".rp-feed .rp-event-ruling")
    page.click(".rp-is-dispute")
    page.wait_for_selector(".rp-feed .rp-event-dispute")
    assert page.locator(".rp-feed .rp-event-deal").count() == 0
    page.locator(".rp-feed .rp-open").first.click()
    page.wait_for_selector(".rp-contract h2:has-text('Contract #')")
    page.wait_for_selector(".rp-contract .rp-entries td:has-text('claim')")
    assert "panel" in page.inner_text(".rp-contract") and "the mover is wrong" in page.inner_text(".rp-contract")
    page.keyboard.press("Escape")
    page.wait_for_selector(".rp-contract", state="hidden")
    page.click(".rp-tabs .rp-is-ledger")
    page.wait_for_selector(".rp-entries tr:nth-child(20)")
    page.fill(".rp-search input >> nth=0", "validator")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.rp-entries tr')].slice(1).every(row => row.innerText.includes('validator'))"
    )
    with page.expect_download() as saved:
        page.click(".rp-save-data")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert len(lines) == 6 and lines[0].startswith("link_id,street")
    with page.expect_download() as saved:
        page.keyboard.press("p")
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")
    visit.end(address, asked_outside=asked_outside)


def test_pointing_tells_figures_zooming_moves_both_maps_and_a_street_is_closed(
    browser: Browser, address: str, asked_outside: Path
) -> None:
    visit = Visit(browser, f"{address}/?scenario=parallel", "dark")
    page = visit.page
    visit.wait_for_day(0)
    visit.wait_for_colours(0, 2)
    plate = page.locator("canvas.rp-map").first.bounding_box()
    assert plate is not None
    x, y = plate["x"] + plate["width"] / 2, plate["y"] + plate["height"] / 2  # the middle one of three roads runs here
    page.mouse.move(5, 5)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # nothing is marked
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

    page.mouse.move(x, y)
    page.wait_for_selector(".rp-card:has-text('Volume / capacity')", state="visible")
    assert "Link 2" in page.inner_text(".rp-card")
    page.mouse.click(x, y)
    page.wait_for_selector(".rp-card.rp-pinned")
    page.mouse.move(x, y + 100)
    assert page.is_visible(".rp-card")
    page.click(".rp-card-close")
    visit.wait_for_address("closed=2")
    visit.wait_for_day(0)
    page.click(".rp-tabs .rp-is-setup")
    page.click(".rp-reopen")
    page.click(".rp-apply")
    page.wait_for_function("() => !location.search.includes('closed')")
    visit.wait_for_day(0)

    page.focus(".rp-demand [role=slider]")
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".rp-demand:has-text('70%')")
    page.click(".rp-apply")
    visit.wait_for_address("demand=0.7")
    visit.wait_for_day(0)
    visit.end(address, asked_outside=asked_outside)


def test_an_error_is_told_on_the_page_and_a_bad_address_too(browser: Browser, address: str) -> None:
    visit = Visit(browser, address)
    visit.page.wait_for_selector(".rp-error:has-text('no_such_city.osm')")
    assert visit.complaints == []
    visit.page.goto(f"{address}/?scenario=../../secret&demand=9")
    visit.page.wait_for_selector(".rp-notice:has-text('is not on offer')")
    assert visit.complaints == []
    visit.page.close()


def test_recorded_runs_are_replayed_and_compared(
    browser: Browser, project_root: Path, tmp_path: Path, asked_outside: Path
) -> None:
    braess = {
        "name": "braess",
        "network": {"source": "synthetic", "kind": "braess"},
        "demand": {"source": "synthetic", "vehicles_per_traveller": 0.05},
        "worlds": {"run": ["selfish", "optimum", "coalition"]},
    }
    runs = [
        record(run(parse_scenario(braess | {"market": {"participation": share}}), tmp_path), tmp_path / f"run{share}")
        for share in (1.0, 0.5)
    ]
    with served(project_root, asked_outside, str(runs[0]), "--with", str(runs[1])) as address:
        visit = Visit(browser, address)
        page = visit.page
        page.wait_for_selector(".rp-pane-title:has-text('Market B')")
        visit.wait_for_colours(0, 2)
        last = visit.day()
        page.focus(".rp-day-slider [role=slider]")
        page.keyboard.press("Home")
        visit.wait_for_day(0)
        page.keyboard.press("End")
        visit.wait_for_day(last)
        page.click(".rp-tabs .rp-is-setup")
        page.wait_for_selector(".rp-facts:has-text('market.participation')")
        visit.end(address, asked_outside=asked_outside)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_three_visitors_who_start_and_stop_at_random_leave_no_memory_behind(browser: Browser, project_root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.dashboard", "--soak", "10"]
    told = subprocess.run(command, cwd=project_root, capture_output=True, text=True, check=True).stdout
    memory_mb = [int(number) for number in re.findall(r"server (\d+) MB", told)]
    assert "0 pages with an error, 0 complaints" in told
    # The first minutes load libraries and kernels; from then on visitors come and go.
    assert max(memory_mb[4:]) < 1.3 * max(memory_mb[1:4]), told
