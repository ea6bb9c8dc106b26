"""The pictures of the page in docs/img: `python -m benchmarks.dashboard_pictures` opens it in a browser and takes them.

The default city on a day of trading, a contract of the scenario "defectors" opened after its dispute, and the queues of
"grid_queue". Colours are reduced to 160, so that the files stay small.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.dashboard import FLAGS, PATIENCE_MS, served

TARGET = Path(__file__).resolve().parent.parent / "docs" / "img"
_COLOURS = 160


def take(browser: Any, address: str, name: str, scheme: str, act: Callable[[Any], None]) -> None:
    """Open an address, act on the page, and save what it looks like then."""
    from PIL import Image

    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector(".rp-clock:not(:empty)")
    act(page)
    page.wait_for_timeout(1500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    TARGET.mkdir(exist_ok=True)
    path = TARGET / name
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
    page.close()


def trade_for_a_while(page: Any) -> None:
    """Play until the market has traded for three days, then pause."""
    page.keyboard.press("Space")
    page.wait_for_function("() => Number(document.querySelector('.rp-day').innerText.split(' ')[1]) >= 3")
    page.keyboard.press("Space")


def open_a_dispute(page: Any) -> None:
    """Play until the window is settled, then open the first contract whose claim was disputed."""
    page.keyboard.press("Space")
    page.wait_for_selector(".rp-story:has-text('At rest')")
    page.keyboard.press("Space")
    page.click(".rp-tabs .rp-is-market")
    page.click(".rp-is-ruling")
    page.locator(".rp-feed .rp-open").first.click()
    page.wait_for_selector(".rp-contract .rp-entries")


def drive_for_a_while(page: Any) -> None:
    """Let the clock run for twenty minutes of the day."""
    page.keyboard.press("Space")
    page.wait_for_function("() => Number(document.querySelector('.rp-clock').innerText.split(':')[1]) >= 20")
    page.keyboard.press("Space")


def main() -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no chromium, chromium-browser or google-chrome on PATH")
    with sync_playwright() as playwright, served("city") as (address, _):
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        take(browser, f"{address}/?scenario=defectors", "dashboard-contract.png", "dark", open_a_dispute)
        take(browser, f"{address}/?scenario=grid_queue&mechanism=optimum", "dashboard-queue.png", "light", drive_for_a_while)
        take(browser, f"{address}/?scenario=city", "dashboard-city.png", "light", trade_for_a_while)
        browser.close()


if __name__ == "__main__":
    main()
