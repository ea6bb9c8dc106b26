"""The folder of a sweep: its plan, its shards, and what makes both safe from a kill at any moment.

    plan.json              what will be done, with its hash; written before the first run
    shards/KKKKKK-HASH.parquet   the rows of shard K, one a run; HASH is the start of the file's own SHA-256
    sweep.json             counts and checksums, written when the last shard is there
    views.sql              the DuckDB view `runs` over all shards
    runs/PPPPPP-RRRR/      run folders, where the sweep asks for them
    report.html            made by `routepact sweep` at its end and by `routepact report`

A shard is written under a temporary name, forced to the disk and renamed: under its own name a file is whole, and its name says
whether it still is. Nothing is ever changed in place, so that whatever a kill leaves behind is either whole or thrown away.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import InputError, RunFailedError
from sim.experiments.sweep_design import Column
from sim.experiments.sweep_plan import PLAN_FORMAT, SweepPlan
from sim.experiments.sweep_worker import ShardResult

PLAN = "plan.json"
RESULT = "sweep.json"
SHARDS = "shards"
RUNS = "runs"
VIEWS = "views.sql"
_LOCK = ".lock"
_TEMPORARY = ".partial-"
_HASH_LENGTH = 32
_VIEWS_TEXT = """-- One row a run. Start DuckDB in this folder and read this file: duckdb -init views.sql
CREATE OR REPLACE VIEW runs AS SELECT * FROM read_parquet('shards/*.parquet');
"""


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep on disk."""

    path: Path

    @property
    def runs(self) -> Path:
        """Where run folders stand."""
        return self.path / RUNS

    def begin(self, plan: SweepPlan, *, resume: bool) -> None:
        """Make the folder, or go on in one that holds the same plan.

        Raises
        ------
        InputError
            The folder holds something else, or the sweep was begun and `resume` is not asked for.
        RunFailedError
            The folder cannot be written to.
        """
        content = plan.content()
        if (self.path / PLAN).exists():
            self._require_same(content, resume=resume)
        elif self.path.exists() and any(not entry.name.startswith(".") for entry in self.path.iterdir()):
            raise InputError("holds something that is no sweep", source=self.path, allowed="a new folder")
        with _writing(self.path):
            for left in self.path.glob(f"{_TEMPORARY}*"):
                left.unlink()
            # The plan comes first: without it nobody could tell what else stands here.
            if not (self.path / PLAN).exists():
                self.write(PLAN, _json_bytes(content))
            (self.path / SHARDS).mkdir(exist_ok=True)
            if not (self.path / VIEWS).exists():
                self.write(VIEWS, _VIEWS_TEXT.encode())

    def _require_same(self, content: Mapping[str, Any], *, resume: bool) -> None:
        there = read_plan(self.path)
        if there["sha256"] != content["sha256"]:
            apart = [key for key in content if there.get(key) != content[key] and key != "sha256"]
            raise InputError(
                f"holds another design: {', '.join(apart)} differ", source=self.path / PLAN, allowed="another folder by --out"
            )
        if not resume:
            raise InputError("exists already", source=self.path, allowed="--resume to go on with it, or another folder by --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other drivers out; the lock goes with the process, however that ends."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError("is a file", source=self.path, allowed="a new folder")
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            _lock(handle, self.path)
            yield
        finally:
            os.close(handle)

    def whole_shards(self) -> dict[int, Path]:
        """Return the shards that are whole, by number; files that are not are removed."""
        whole: dict[int, Path] = {}
        with _writing(self.path):
            for path in sorted((self.path / SHARDS).iterdir()):
                shard = _number_of(path)
                if shard is None or shard in whole or path.name != shard_name(shard, path.read_bytes()):
                    path.unlink()
                else:
                    whole[shard] = path
        return whole

    def write_shard(self, plan: SweepPlan, result: ShardResult) -> Path:
        """Write the rows of a shard and return its path; RunFailedError where that fails, and nothing half-written stays."""
        content = shard_bytes(plan, result)
        return self.write(f"{SHARDS}/{shard_name(result.shard, content)}", content)

    def finish(self, plan: SweepPlan, shards: Mapping[int, Path]) -> dict[str, Any]:
        """Write sweep.json and return its content."""
        states = {"done": 0, "missed": 0, "failed": 0}
        for _, path in sorted(shards.items()):
            for status in pq.read_table(path, columns=["status"])["status"].to_pylist():
                states[status] += 1
        content = {
            "kind": "routepact sweep result",
            "plan_sha256": plan.content()["sha256"],
            "runs": plan.n_runs,
            **states,
            "shards": {path.name: path.stat().st_size for _, path in sorted(shards.items())},
        }
        self.write(RESULT, _json_bytes(content))
        return content

    def write(self, name: str, content: bytes) -> Path:
        """Write a file whole or not at all, and force it to the disk."""
        target = self.path / name
        # Whoever reads *.parquet meanwhile, DuckDB's patterns among them, must not find it.
        partial = target.with_name(f"{_TEMPORARY}{os.getpid()}-{target.name}.part")
        with _writing(target):
            try:
                with partial.open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(target)
                _sync_folder(target.parent)
            finally:
                partial.unlink(missing_ok=True)
        return target


def read_plan(path: Path) -> dict[str, Any]:
    """Return the plan of a sweep's folder.

    Raises
    ------
    InputError
        There is none, or it is damaged or of another format.
    """
    source = path / PLAN
    allowed = "a folder that `routepact sweep` wrote"
    try:
        content = json.loads(source.read_bytes())
    except FileNotFoundError:
        raise InputError(f"is no sweep: it has no {PLAN}", source=path, allowed=allowed) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", source=source, allowed=allowed) from None
    if not isinstance(content, dict) or content.get("kind") != "routepact sweep" or content.get("format") != PLAN_FORMAT:
        raise InputError("is no plan of a sweep in this version's format", source=source, allowed=allowed)
    rest = {key: value for key, value in content.items() if key != "sha256"}
    if hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest() != content.get("sha256"):
        raise InputError("does not agree with its own hash: it was edited or damaged", source=source, allowed=allowed)
    return content


def is_sweep(path: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (path / PLAN).is_file()


def shard_name(shard: int, content: bytes) -> str:
    """Return the name of a shard's file."""
    return f"{shard:06d}-{hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]}.parquet"


def shard_bytes(plan: SweepPlan, result: ShardResult) -> bytes:
    """Return a shard as Parquet; equal rows give equal bytes."""
    rows = result.rows
    columns: dict[str, pa.Array] = {
        "run": pa.array([row.row.run for row in rows], pa.int64()),
        "point": pa.array([row.row.point for row in rows], pa.int64()),
        "replication": pa.array([row.row.replication for row in rows], pa.int32()),
        "seed": pa.array([row.row.seed for row in rows], pa.int64()),
    }
    for k, column in enumerate(plan.design.columns):
        kind = factor_type(column)
        values = [row.row.values[k] for row in rows]
        columns[column.factor.key] = pa.array([json.dumps(v) for v in values] if _as_json(column) else values, kind)
    columns["status"] = pa.array([row.status for row in rows], pa.string())
    columns["problem"] = pa.array([row.problem for row in rows], pa.string())
    for k, output in enumerate(plan.outputs):
        columns[output.key] = pa.array([row.outputs[k] for row in rows], pa.float64())
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, compression="zstd", version="2.6")
    return stream.getvalue()


def factor_type(column: Column) -> pa.DataType:
    """Return the type of a factor's column: that of its values where they share one, JSON text otherwise."""
    if column.numbers is not None:
        return pa.int64() if column.factor.whole else pa.float64()
    kinds = {type(value) for value in column.factor.values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _as_json(column: Column) -> bool:
    return (
        column.level_idx is not None
        and factor_type(column) == pa.string()
        and not all(isinstance(value, str) for value in column.factor.values)
    )


def _number_of(path: Path) -> int | None:
    number, dash, _ = path.name.partition("-")
    return int(number) if dash and number.isdigit() and path.suffix == ".parquet" else None


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be opened there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError("is being written by another sweep", source=path, allowed="one driver at a time") from None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailedError(
            f"cannot write {path}: {error.strerror or error}; what is written stays, go on with --resume"
        ) from error


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
