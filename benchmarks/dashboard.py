"""The live page in a real browser: frames a second, answers to clicks, the first picture, and memory over many visits.

`python -m benchmarks.dashboard` prints a row a measurement; `--soak MINUTES` lets three visitors start and stop at random for so
long and prints the server's memory by the minute. It needs Playwright and the system's chromium. Server and browser share the
machine; the frames are those that the browser says it drew. Where others use the machine as well, the processor time of a frame
says more than their number.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
GRID = """
name = "grid{rows}"
[network]
source = "synthetic"
kind = "grid"
rows = {rows}
columns = {rows}
arterial_every = 4
capacity_vph = 6000
[demand]
source = "synthetic"
demand_vph = {demand}
[demand.profile]
period_s = {period}
[worlds]
run = ["selfish", "optimum", "coalition"]
"""
_WARM_UP_S = 20.0
"""The server gets its kernels ready after it has started; a user who opens the page at once waits for the rest of that."""
PATIENCE_MS = 300_000
CLICK = """
async () => {
    const title = () => document.querySelector('.rp-legend-title')?.textContent;
    const before = title();
    const chosen = document.querySelector('.rp-is-speed.rp-chosen') ? '.rp-is-load' : '.rp-is-speed';
    const begin = performance.now();
    document.querySelector(chosen).click();
    while (title() === before) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - begin;
}
"""


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, int]]:
    """Serve the page; yield its address and the server's process."""
    command = [sys.executable, "-m", "dashboard", *arguments, "--no-open"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
    assert found is not None
    try:
        yield found.group(), server.pid
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found.group(1)) / 1024


def cpu_seconds(*pids: int) -> float:
    """Return the processor time of processes so far; those that have ended count nothing."""
    ticks = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def browser_pids(server: int) -> list[int]:
    """Return the processes below this one that are not the server's."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue

    def line(pid: int) -> Iterator[int]:
        while pid in parents:
            yield pid
            pid = parents[pid]

    return [pid for pid in parents if pid != os.getpid() and os.getpid() in line(pid) and server not in line(pid)]


def open_page(browser: Any, address: str) -> Any:
    """Open a tab of the usual size."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    return page


def frames(page: Any, server: int, seconds: float) -> str:
    """Return how many frames a second the map draws, of how many vehicles, and what a frame costs server and browser."""
    read = "() => document.querySelector('.rp-citymap').dataset"
    browser = browser_pids(server)
    begin, before = time.perf_counter(), int(page.evaluate(read)["drawn"])
    spent = cpu_seconds(server), cpu_seconds(*browser)
    page.wait_for_timeout(1000 * seconds)
    now = page.evaluate(read)
    n_frames = max(1, int(now["drawn"]) - before)
    server_ms, browser_ms = (
        1000 * (cpu_seconds(*pids) - earlier) / n_frames for pids, earlier in zip(((server,), browser), spent, strict=True)
    )
    rate = n_frames / (time.perf_counter() - begin)
    cost = f"processor time a frame: server {server_ms:.0f} ms, browser {browser_ms:.0f} ms"
    return f"{int(now['vehicles']):,} vehicles on both maps: {rate:.1f} frames/s ({cost})"


def measure_grid(browser: Any, rows: int, demand: int, period_s: int) -> None:
    """Print frames and answers to clicks of a grid, standing by day and while its market trades."""
    with tempfile.TemporaryDirectory(prefix="routepact-") as scratch:
        scenario = Path(scratch) / "grid.toml"
        scenario.write_text(GRID.format(rows=rows, demand=demand, period=period_s))
        with served(str(scenario)) as (address, server):
            page = open_page(browser, f"{address}/?mechanism=optimum")
            page.wait_for_selector(".rp-day")
            page.keyboard.press("Space")
            page.wait_for_timeout(3000)
            links = 4 * rows * (rows - 1)
            print(f"{links:,} links, {frames(page, server, 8.0)}", flush=True)
            page.close()
            page = open_page(browser, f"{address}/?mechanism=coalition")
            page.wait_for_selector(".rp-day")
            page.keyboard.press("Space")
            page.wait_for_function("() => document.querySelector('.rp-day').innerText !== 'Day 0'")
            answers = sorted(page.evaluate(CLICK) for _ in range(15))
            day = page.inner_text(".rp-day")
            shown = f"median {statistics.median(answers):.0f} ms, largest {answers[-1]:.0f} ms"
            print(f"{links:,} links, click to repaint while the market trades ({day}): {shown}", flush=True)
            page.close()


def measure_first_picture(browser: Any) -> None:
    """Print how long the default city takes from opening the page to streets, and to the first day."""
    with served("city") as (address, _):
        time.sleep(_WARM_UP_S)
        for visit in ("first visit", "second visit"):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(PATIENCE_MS)
            begin = time.perf_counter()
            page.goto(address)
            page.wait_for_function("() => document.querySelector('.rp-citymap')?.dataset.links > 0")
            streets_s = time.perf_counter() - begin
            page.wait_for_selector(".rp-day")
            print(f"default city, {visit}: streets after {streets_s:.1f} s, first day after {time.perf_counter() - begin:.1f} s")
            page.close()


def soak(browser: Any, minutes: float, seed: int = 1) -> None:
    """Print the server's memory while three visitors come, play, pause, step, reset, change scenarios and go."""
    lot = random.Random(seed)
    acts = (".rp-play", ".rp-step", ".rp-reset", ".rp-is-speed", ".rp-is-difference", ".rp-tabs .rp-is-market")
    with served("grid") as (address, pid):
        pages = [open_page(browser, f"{address}/?scenario=grid") for _ in range(3)]
        end, told, visits = time.monotonic() + 60 * minutes, time.monotonic(), 3
        complaints: list[str] = []
        while time.monotonic() < end:
            place = lot.randrange(3)
            if lot.random() < 0.08:
                pages[place].close()
                pages[place] = open_page(
                    browser, f"{address}/?scenario={lot.choice(('grid', 'parallel', 'braess', 'defectors'))}"
                )
                pages[place].on("pageerror", lambda error: complaints.append(str(error)))
                visits += 1
            button = pages[place].locator(lot.choice(acts)).first
            if button.is_visible() and button.is_enabled():
                button.click(force=True)  # it may have been disabled in the meantime
            pages[place].wait_for_timeout(lot.uniform(100, 700))
            if time.monotonic() - told >= 60 or time.monotonic() >= end:
                told = time.monotonic()
                left_min = max(0.0, (end - told) / 60)
                print(f"soak: {minutes - left_min:.1f} min, {visits} visits, server {memory_mb(pid):.0f} MB", flush=True)
        broken = sum(page.is_visible(".rp-error") for page in pages)
        for page in pages:
            page.close()
        time.sleep(15)
        print(f"soak: everybody gone, server {memory_mb(pid):.0f} MB; {broken} pages with an error, {len(complaints)} complaints")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only the three visitors, for so long")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no chromium, chromium-browser or google-chrome on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        if options.soak is not None:
            soak(browser, options.soak)
        else:
            measure_first_picture(browser)
            measure_grid(browser, rows=72, demand=6_500, period_s=3600)
            measure_grid(browser, rows=113, demand=6_500, period_s=3600)
        browser.close()


if __name__ == "__main__":
    main()
