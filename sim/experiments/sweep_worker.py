"""What a worker of a sweep does: run the rows that it is given and return their numbers.

A run that fails because of its own content (a bad value, a demand without a path) is a row with the status "failed" and the
reason, and the rest goes on. What is no property of the run (no memory, no disk) ends the task instead, so that `--resume` tries
again and no accident of one machine becomes a result.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim.errors import InputError, RoutepactError, RunFailedError
from sim.experiments.run import record, run
from sim.experiments.sweep_plan import Output, Row, with_value
from sim.experiments.work import SharedWork
from sim.spec import parse_scenario

_LONGEST_PROBLEM = 500


@dataclass(frozen=True)
class SweepJob:
    """What all runs of a sweep share; it is sent to each worker once.

    Attributes
    ----------
    scenario
        The base scenario as a table.
    keys
        Keys of the factors, in the order of `Row.values`.
    folder
        Where the scenario's relative paths start on the driver's machine.
    files
        Content of the files that the runs read, for workers on machines that do not have them.
    record_in
        Folder in which each run leaves its run folder; None for none.
    """

    digest: str
    scenario: dict[str, Any]
    keys: tuple[str, ...]
    outputs: tuple[Output, ...]
    folder: str
    files: Mapping[str, bytes] = field(repr=False)
    record_in: str | None = None


@dataclass(frozen=True)
class RowResult:
    """What became of one run: status (done, missed or failed), why, and the outputs (None where there is none)."""

    row: Row
    status: str
    problem: str | None
    outputs: tuple[float | None, ...]


@dataclass(frozen=True)
class ShardResult:
    """The rows of a shard, and the seconds that they took."""

    shard: int
    rows: tuple[RowResult, ...]
    seconds: float


@dataclass
class _Here:
    """What this process remembers between its tasks: of one sweep at a time."""

    digest: str = ""
    folder: Path = Path()
    work: SharedWork = field(default_factory=SharedWork)
    scratch: tempfile.TemporaryDirectory[str] | None = None


_here = _Here()


def run_shard(job: SweepJob, shard: int, rows: Sequence[Row]) -> ShardResult:
    """Run the rows of a shard one after another.

    Raises
    ------
    InputError
        An output that must be there is not in a run's poa.json: the sweep itself is wrong.
    RunFailedError
        A run folder cannot be written.
    """
    # The sweep runs one process a core: threads inside would only get into each other's way, and change no byte.
    os.environ["ROUTEPACT_THREADS"] = "1"
    if _here.digest != job.digest:
        _here.digest, _here.work, _here.folder = job.digest, SharedWork(), _folder_of(job)
    begin = time.perf_counter()
    found = tuple(run_row(job, row, _here.folder, _here.work) for row in rows)
    return ShardResult(shard, found, time.perf_counter() - begin)


def run_row(job: SweepJob, row: Row, folder: Path, work: SharedWork) -> RowResult:
    """Run one row; see `run_shard` for what is raised."""
    table = job.scenario
    for key, value in zip(job.keys, row.values, strict=True):
        table = with_value(table, key, value)
    try:
        spec = parse_scenario({**table, "seed": row.seed})
        result = run(spec, folder, work=work)
        content = result.poa()
    except (MemoryError, OSError):
        raise
    except Exception as error:
        return _failed(job, row, error)
    if job.record_in is not None:
        try:
            record(result, Path(job.record_in) / f"{row.point:06d}-{row.replication:04d}", overwrite=True)
        except (MemoryError, OSError, RunFailedError):
            raise  # the disk's fault, where the same error of `run` is the run's own
        except Exception as error:
            return _failed(job, row, error)
    outputs = tuple(_output(content, output) for output in job.outputs)
    missed = "; ".join(result.missed)[:_LONGEST_PROBLEM]
    return RowResult(row, "missed" if missed else "done", missed or None, outputs)


def _failed(job: SweepJob, row: Row, error: Exception) -> RowResult:
    problem = str(error) if isinstance(error, RoutepactError) else f"{type(error).__name__}: {error}"
    return RowResult(row, "failed", problem[:_LONGEST_PROBLEM], (None,) * len(job.outputs))


def _folder_of(job: SweepJob) -> Path:
    """Return where the input files are: their own folder where this machine has it, otherwise one made from the copies."""
    folder = Path(job.folder)
    if all(_is_same(folder / name, content) for name, content in job.files.items()):
        return folder
    _here.scratch = tempfile.TemporaryDirectory(prefix="routepact-inputs-")
    copies = Path(_here.scratch.name)
    for name, content in job.files.items():
        target = (copies / name).resolve()
        if not target.is_relative_to(copies.resolve()):
            raise InputError(
                "is not on this worker, and only files in or below the scenario's folder are sent along",
                source=name,
                allowed="a relative path, or the same file on every machine",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return copies


def _is_same(path: Path, content: bytes) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()


def _output(content: Mapping[str, Any], output: Output) -> float | None:
    """Return one number of poa.json; in a list, a key is a position or the `class` of an entry."""
    value: Any = content
    for part in output.key.split("."):
        inner = _inner(value, part)
        if inner is _ABSENT:
            if output.optional:
                return None
            there = ", ".join(value) if isinstance(value, Mapping) else "nothing below it"
            raise InputError(f"{part!r} is no part of poa.json here", source="outputs", where=output.key, allowed=there)
        value = inner
    if value is None:
        return None
    if isinstance(value, str | Mapping | list | tuple):
        allowed = ", ".join(f"{output.key}.{name}" for name in value) if isinstance(value, Mapping) else "the key of a number"
        raise InputError("is no number", source="outputs", where=output.key, allowed=allowed)
    return float(value)


_ABSENT = object()


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, _ABSENT)
    if isinstance(value, list | tuple):
        if part.isdigit() and int(part) < len(value):
            return value[int(part)]
        return next((entry for entry in value if isinstance(entry, Mapping) and entry.get("class") == part), _ABSENT)
    return _ABSENT
