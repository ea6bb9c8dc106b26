"""Small sweeps for tests, and a stand-in for the cluster that runs the work in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sim.experiments import sweep as driver
from sim.experiments.sweep_plan import SweepPlan, make_plan

TEXT = """name = "small"
base = "braess"
replications = 2
runs_per_shard = 2
outputs = ["price_of_anarchy", "worlds.selfish.atomic.total_time_s"]
[settings.demand]
vehicles_per_traveller = 0.1
[[factor]]
key = "demand.scale"
label = "demand"
values = [0.5, 1.0, 2.0]
[[factor]]
key = "traffic.days"
low = 1
high = 5
steps = 2
whole = true
"""


def small_plan(folder: Path, text: str = TEXT) -> SweepPlan:
    """Write a sweep file into a folder and return its plan."""
    path = folder / "plan.toml"
    path.write_text(text)
    return make_plan(str(path))


def here(monkeypatch: pytest.MonkeyPatch, *, backwards: bool = False, before: Callable[[int], None] | None = None) -> None:
    """Let sweeps run their shards in this process, in order or from the last; `before` is told each shard's number first."""

    @contextmanager
    def no_cluster(jobs: int | None, scheduler: str | None) -> Iterator[None]:
        yield None

    def one_by_one(
        client: Any, work: Callable[..., Any], shared: Any, tasks: Iterable[tuple[Any, ...]], *, ahead: int
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for task in sorted(tasks, key=lambda task: task[0], reverse=backwards):
            if before is not None:
                before(task[0])
            try:
                yield task, work(shared, *task)
            except Exception as error:
                yield task, error

    monkeypatch.setattr(driver, "cluster", no_cluster)
    monkeypatch.setattr(driver, "in_any_order", one_by_one)


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a sweep's folder but its lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
