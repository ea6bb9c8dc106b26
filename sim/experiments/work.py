"""What a run asks of whoever runs it: to build, to solve and to keep its days; sweeps share the first two, checkpoints keep all.

`Work` itself does nothing special. Its results must not depend on what else it has done: a run gives the same bytes whether its
parts are computed, remembered or read from a checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem, Principle
from sim.experiments.build import BuiltScenario, build_scenario
from sim.experiments.progress import Say
from sim.experiments.scenarios import require_names
from sim.experiments.solved import solve_principle
from sim.model import CityModel
from sim.spec import ScenarioSpec

_NO_PART_OF_THE_BUILD = {"name", "description", "market", "contracts", "adversaries", "report", "worlds"}
_MOST_BUILT = 4
_MOST_SOLVED = 32
_Found = TypeVar("_Found")


class Work:
    """Builds and solves what it is asked, and lets the days pass."""

    def build(self, spec: ScenarioSpec, folder: Path) -> BuiltScenario:
        """Return the streets and travellers of a scenario; InputError where its data are bad."""
        return build_scenario(spec, folder)

    def solve(
        self, problem: AssignmentProblem, principle: Principle, *, name: str, gap: float, max_iterations: int, say: Say
    ) -> Assignment:
        """Return a solved principle; see `sim.experiments.solved.solve_principle`."""
        return solve_principle(problem, principle, name=name, gap=gap, max_iterations=max_iterations, say=say)

    def remember(self, what: str, parts: Sequence[Any], compute: Callable[[], _Found]) -> _Found:
        """Return what `compute` finds; `parts` is everything that it depends on."""
        return compute()

    def night_by_night(self, what: str, parts: Sequence[Any]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """Return what gives the state that long work had reached (None: it has to begin), and what notes how far it is."""
        return (lambda: None), (lambda state: None)

    def begin(self, world: CityModel) -> None:
        """Take note of a world before its first day."""

    def day_ended(self, world: CityModel) -> None:
        """Take note of a day that has been driven."""

    def come_to_rest(self, world: CityModel) -> None:
        """Take note of a world that lives no further day."""


class SharedWork(Work):
    """Remembers what the runs of a sweep have in common, a few of each kind, so that memory stays flat.

    A built scenario is known by everything in the scenario that building can read (all sections but those on the market, the
    contracts, the adversaries, the report and the worlds, which only what comes later reads) with its seed and folder. A solved
    principle is known by the content of its problem, byte for byte, so that runs whose seeds give the same demand share it too.
    """

    def __init__(self) -> None:
        self._built = _Recent[BuiltScenario](_MOST_BUILT)
        self._solved = _Recent[Assignment](_MOST_SOLVED)
        self._remembered = _Recent[Any](_MOST_BUILT)

    def build(self, spec: ScenarioSpec, folder: Path) -> BuiltScenario:
        """Return the streets and travellers of a scenario, built or remembered."""
        require_names(spec, folder=folder)
        key = json.dumps([str(folder), spec.model_dump(mode="json", exclude=_NO_PART_OF_THE_BUILD)], sort_keys=True)
        return dataclasses.replace(self._built.get(key, lambda: build_scenario(spec, folder)), spec=spec)

    def solve(
        self, problem: AssignmentProblem, principle: Principle, *, name: str, gap: float, max_iterations: int, say: Say
    ) -> Assignment:
        """Return a solved principle, solved or remembered."""
        key = json.dumps([content_digest(problem), principle.value, gap, max_iterations])
        return self._solved.get(
            key, lambda: solve_principle(problem, principle, name=name, gap=gap, max_iterations=max_iterations, say=say)
        )

    def remember(self, what: str, parts: Sequence[Any], compute: Callable[[], _Found]) -> _Found:
        """Return what `compute` finds, or found before from parts of the same content."""
        found: _Found = self._remembered.get(f"{what} {parts_digest(parts)}", compute)
        return found


class _Recent(Generic[_Found]):
    """The results that were asked for last, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, _Found] = OrderedDict()

    def get(self, key: str, make: Callable[[], _Found]) -> _Found:
        if key not in self._kept:
            self._kept[key] = make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def parts_digest(parts: Sequence[Any]) -> str:
    """Return a hash of the content of several things, in order."""
    return hashlib.sha256("".join(content_digest(part) for part in parts).encode()).hexdigest()


def content_digest(value: Any) -> str:
    """Return a hash of every array and number in a tree of dataclasses (a problem with its network and demand)."""
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        # Texts of any length are told apart by their own form; numbers by their bytes.
        content = repr(value.tolist()).encode() if value.dtype.hasobject else np.ascontiguousarray(value).tobytes()
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(content)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            digest.update(part.name.encode())
            _add(digest, getattr(value, part.name))
    else:
        digest.update(repr(value).encode())
