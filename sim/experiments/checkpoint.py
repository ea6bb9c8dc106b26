"""Checkpoints of a long single run: solved principles, and worlds at the end of a day; who goes on ends in the same bytes.

A file is written under a temporary name and renamed, and begins with the hash of its content; a damaged one counts as missing,
and what it held is computed again. What a world shares with its run (streets, travellers, baseline, spec) is not written: a world
that goes on is made as at its beginning, and then takes over the state that was kept.

The files are pickles, read by a reader that admits the classes of this program and of numpy alone. They belong to the version
that wrote them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

import sim
from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem, Principle
from sim.errors import InputError, RunFailedError
from sim.experiments.progress import Say
from sim.experiments.record import lock_text
from sim.experiments.work import Work, content_digest, parts_digest
from sim.model import CityModel
from sim.spec import ScenarioSpec

ABOUT = "checkpoint.json"
SECONDS_BETWEEN = 30.0
_FORMAT = 1
_DIGEST_LENGTH = 32
_ADMITTED_ROOTS = ("sim", "contracts_model", "numpy")
_ADMITTED_BUILTINS = {"set", "frozenset", "slice", "range", "complex", "bytearray", "object"}
_Found = TypeVar("_Found")
_ADMITTED_OTHERS = {("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "deque")}


class CheckpointedWork(Work):
    """Keeps what a run has done in a folder, and takes up what is there.

    Parameters
    ----------
    folder
        Where the files stand.
    spec, scenario_folder
        The scenario of the run, and where its paths start; checkpoints of another are refused.
    resume
        Go on with what the folder holds; otherwise it must be new or empty.
    modules
        Modules whose classes may be read too: those of the scenario's own strategies.
    seconds_between
        Least time between two checkpoints of a world at work; one that comes to rest is always kept.

    Raises
    ------
    InputError
        The folder is missing, is not empty, or belongs to another scenario or version.
    RunFailedError
        The folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        spec: ScenarioSpec,
        scenario_folder: Path,
        *,
        resume: bool,
        modules: Sequence[str] = (),
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        self.folder = folder
        self._seconds_between = seconds_between
        self._modules = tuple(modules)
        self._kept_at = time.monotonic()
        self._n_worlds = 0
        self._shared: dict[str, Any] = {}
        about = {
            "kind": "routepact checkpoints",
            "format": _FORMAT,
            "version": sim.__version__,
            "scenario_sha256": hashlib.sha256(f"{lock_text(spec)}{scenario_folder.resolve()}".encode()).hexdigest(),
        }
        if resume:
            _require_about(folder, about)
        else:
            _begin(folder, about)

    def solve(
        self, problem: AssignmentProblem, principle: Principle, *, name: str, gap: float, max_iterations: int, say: Say
    ) -> Assignment:
        """Return a solved principle, from its checkpoint where there is one."""
        key = hashlib.sha256(json.dumps([content_digest(problem), principle.value, gap, max_iterations]).encode()).hexdigest()
        file = f"solved-{principle.value}-{key[:16]}.pickle"
        self._shared = {"problem": problem, "od": problem.od, "network": problem.network}
        there = self._read(file)
        if isinstance(there, Assignment):
            return there
        solved = super().solve(problem, principle, name=name, gap=gap, max_iterations=max_iterations, say=say)
        self._write(file, solved)
        return solved

    def remember(self, what: str, parts: Sequence[Any], compute: Callable[[], _Found]) -> _Found:
        """Return what was found from the same parts, from its checkpoint where there is one."""
        file = self._file_of(what, parts)
        there = self._read(file)
        if there is not None:
            return cast("_Found", there)
        found = compute()
        self._write(file, found)
        return found

    def night_by_night(self, what: str, parts: Sequence[Any]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """Return what reads the state that was kept, and what keeps one, unless one was kept a moment ago."""
        file = self._file_of(f"{what} by night", parts)

        def keep(state: Any) -> None:
            if time.monotonic() - self._kept_at >= self._seconds_between:
                self._write(file, state)
                self._kept_at = time.monotonic()

        return (lambda: self._read(file)), keep

    def _file_of(self, what: str, parts: Sequence[Any]) -> str:
        """Return the file of what depends on some parts, which are written by name from now on."""
        self._shared = {f"part {place}": part for place, part in enumerate(parts) if dataclasses.is_dataclass(part)}
        return f"{what.replace(' ', '_')}-{parts_digest(parts)[:16]}.pickle"

    def begin(self, world: CityModel) -> None:
        """Give a world the state that was kept of it."""
        self._n_worlds += 1
        self._shared = _shared_by(world)
        state = self._read(self._file(world))
        if not isinstance(state, dict):
            return
        vars(world.traffic).update(state["traffic"])
        vars(world.mechanism).update(state["mechanism"])
        for name, content in state["parts"].items():
            vars(self._shared[name]).update(content)
        world.days[:] = state["days"]
        world.stopped_because = state["stopped_because"]

    def day_ended(self, world: CityModel) -> None:
        """Keep a world, unless it was kept a moment ago."""
        if time.monotonic() - self._kept_at >= self._seconds_between:
            self._keep(world)

    def come_to_rest(self, world: CityModel) -> None:
        """Keep a world that rests."""
        self._keep(world)

    def remove(self) -> None:
        """Remove the checkpoints: the run is recorded."""
        shutil.rmtree(self.folder)

    def _file(self, world: CityModel) -> str:
        return f"world-{self._n_worlds:03d}-{world.mechanism.world}.pickle"

    def _keep(self, world: CityModel) -> None:
        state = {
            "traffic": dict(vars(world.traffic)),
            "mechanism": dict(vars(world.mechanism)),
            "parts": {name: dict(vars(part)) for name, part in self._shared.items() if name.startswith("part ")},
            "days": list(world.days),
            "stopped_because": world.stopped_because,
        }
        self._write(self._file(world), state)
        self._kept_at = time.monotonic()

    def _write(self, name: str, content: Any) -> None:
        stream = io.BytesIO()
        writer = _Writer(stream, self._shared)
        writer.dump(content)
        payload = stream.getvalue()
        partial = self.folder / f".partial-{os.getpid()}-{name}"
        try:
            with partial.open("wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / name)
        except OSError as error:
            raise RunFailedError(f"cannot write checkpoint {self.folder / name}: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)

    def _read(self, name: str) -> Any:
        """Return the content of a file, None where there is none that is whole."""
        path = self.folder / name
        if not path.is_file():
            return None
        content = path.read_bytes()
        digest, payload = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        return _Reader(io.BytesIO(payload), self._shared, (*_ADMITTED_ROOTS, *self._modules)).load()


def checkpointed(spec: ScenarioSpec, scenario_folder: Path, *, new: Path | None, there: Path | None) -> CheckpointedWork:
    """Return the work of a run that keeps checkpoints in a new folder, or goes on with those of a folder that is there.

    Raises
    ------
    InputError
        Both folders are named, or the one that is cannot be used.
    """
    if new is not None and there is not None:
        raise InputError("--checkpoint and --resume", source="options", allowed="one of them: --resume keeps checkpoints too")
    folder = new if there is None else there
    assert folder is not None  # whoever calls this names one
    modules = [name.partition(":")[0].partition(".")[0] for name in spec.market.strategies if ":" in name]
    return CheckpointedWork(folder, spec, scenario_folder, resume=there is not None, modules=modules)


def _shared_by(world: CityModel) -> dict[str, Any]:
    """Return what a world did not make itself: frozen things as they are, others ("part ...") with a state of their own."""
    shared: dict[str, Any] = {
        "traffic": world.traffic,
        "mechanism": world.mechanism,
        "problem": world.traffic.problem,
        "od": world.traffic.problem.od,
        "network": world.traffic.problem.network,
        "population": world.population,
    }
    for name, value in vars(world.mechanism).items():
        if isinstance(value, np.ndarray) or not type(value).__module__.startswith("sim."):
            continue  # numbers, texts and columns are small, or change in place: they are written
        settled = getattr(type(value), "__dataclass_params__", None)
        frozen = settled is not None and settled.frozen
        if frozen or not hasattr(value, "__dict__") or hasattr(type(value), "model_fields"):
            shared[f"frozen {name}"] = value
        else:
            shared[f"part {name}"] = value
    return shared


class _Writer(pickle.Pickler):
    """Writes what is shared by its name."""

    def __init__(self, stream: io.BytesIO, shared: dict[str, Any]) -> None:
        super().__init__(stream, protocol=5)
        self._name_of = {id(value): name for name, value in shared.items()}

    def persistent_id(self, obj: Any) -> str | None:
        """Return the name of a shared thing."""
        return self._name_of.get(id(obj))


class _Reader(pickle.Unpickler):
    """Reads what is shared by its name, and admits classes of known modules alone."""

    def __init__(self, stream: io.BytesIO, shared: dict[str, Any], modules: tuple[str, ...]) -> None:
        super().__init__(stream)
        self._shared, self._modules = shared, modules

    def persistent_load(self, pid: Any) -> Any:
        """Return a shared thing."""
        return self._shared[pid]

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return a class that may stand in a checkpoint."""
        admitted = (
            module_name.partition(".")[0] in self._modules
            or (module_name == "builtins" and global_name in _ADMITTED_BUILTINS)
            or (module_name, global_name) in _ADMITTED_OTHERS
        )
        if not admitted:
            raise InputError(
                f"names {module_name}.{global_name}", source="checkpoint", allowed=f"classes of {', '.join(self._modules)}"
            )
        return super().find_class(module_name, global_name)


def _begin(folder: Path, about: dict[str, Any]) -> None:
    try:
        partial = folder / f".partial-{ABOUT}"
        if folder.exists() and (not folder.is_dir() or any(path != partial for path in folder.iterdir())):
            raise InputError("is there already", source=folder, allowed="a new folder, or --resume to go on with its checkpoints")
        folder.mkdir(parents=True, exist_ok=True)
        # A kill in the middle leaves a folder that counts as new.
        partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / ABOUT)
    except OSError as error:
        raise RunFailedError(f"cannot write {folder}: {error.strerror or error}") from error


def _require_about(folder: Path, about: dict[str, Any]) -> None:
    try:
        there = json.loads((folder / ABOUT).read_bytes())
    except (OSError, ValueError):
        raise InputError("holds no checkpoints", source=folder, allowed="a folder that `run --checkpoint` wrote") from None
    if there != about:
        apart = [key for key in about if there.get(key) != about[key]]
        what = "another scenario, seed or setting" if apart == ["scenario_sha256"] else f"another {' and '.join(apart)}"
        raise InputError(f"holds checkpoints of {what}", source=folder, allowed="the same scenario with the same settings")
