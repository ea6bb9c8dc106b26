"""The report opens by double click in a real browser: nothing is asked of the network, nothing complains, everything fits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_market import write_market_run
from made_run import write_made_run
from playwright.sync_api import Browser, Page, sync_playwright

from sim.experiments.record import read_run
from sim.experiments.report import write_report

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
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(write_made_run(tmp_path_factory.mktemp("browser") / "run"))


@pytest.fixture(scope="module")
def market_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(write_market_run(tmp_path_factory.mktemp("browser") / "market", participation=0.7))


def open_page(browser: Browser, report: Path, *, width_px: int, scheme: str) -> tuple[Page, list[str], list[str]]:
    page = browser.new_page(viewport={"width": width_px, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_load_state("load")
    return page, complaints, requests


@pytest.mark.parametrize(("width_px", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_report_opens_without_complaint_or_outside_request(
    browser: Browser, report: Path, width_px: int, scheme: str
) -> None:
    page, complaints, requests = open_page(browser, report, width_px=width_px, scheme=scheme)
    shown = page.locator("#headline .figure")
    assert shown.is_visible()
    assert shown.inner_text() == f"{read_run(report.parent).poa['price_of_anarchy']:.5f}"
    box = shown.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900, "the headline is seen without scrolling"
    assert complaints == []
    assert [url for url in requests if url != report.as_uri() and not url.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    page.close()


def test_maps_and_charts_are_painted_in_the_colours_of_the_theme(browser: Browser, report: Path) -> None:
    plates = {}
    for scheme in ("light", "dark"):
        page, _, _ = open_page(browser, report, width_px=1280, scheme=scheme)
        sizes = page.evaluate("[...document.querySelectorAll('.plate img')].map(image => [image.complete, image.naturalWidth])")
        assert sizes == [[True, 1100], [True, 1100]]
        plates[scheme] = page.evaluate("document.querySelector('.plate img').currentSrc")
        strokes = page.evaluate("[...document.querySelectorAll('svg path')].map(path => getComputedStyle(path).stroke)")
        assert ("rgb(194, 80, 26)" in strokes) == (scheme == "light")
        assert ("rgb(255, 154, 98)" in strokes) == (scheme == "dark")
        page.close()
    assert plates["light"] != plates["dark"]


@pytest.mark.parametrize(("width_px", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_market_s_report_fits_and_its_contracts_unfold(
    browser: Browser, market_report: Path, width_px: int, scheme: str
) -> None:
    page, complaints, requests = open_page(browser, market_report, width_px=width_px, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.locator("#market svg").count() == 2
    assert page.locator("#contracts tbody tr").count() == 10
    painted = page.evaluate("[...document.querySelectorAll('.plate img')].map(image => image.naturalWidth)")
    assert painted == [1100, 1100, 1100]
    history = page.locator("#contracts dt", has_text="History").first
    assert not history.is_visible()
    page.locator("#contracts summary").click()
    assert history.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    # The colours of both parts of the chart are those of the theme.
    fills = page.evaluate("[...document.querySelectorAll('#market svg path')].map(path => getComputedStyle(path).fill)")
    assert ("rgb(46, 125, 79)" in fills) == (scheme == "light")
    assert ("rgb(127, 207, 157)" in fills) == (scheme == "dark")
    assert complaints == []
    assert [url for url in requests if url != market_report.as_uri() and not url.startswith("data:")] == []
    page.close()
