"""Run folders: what a run leaves on disk, written whole or not at all, and read back with its checksums.

A folder is written under a temporary name beside its final one and renamed when it is complete, so that a folder with the final
name is always whole. Every result file stands in manifest.json with its size and SHA-256. The same seed gives the same bytes in
every Parquet file and in poa.json; what depends on the clock or the machine stands in the manifest alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tomllib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

import sim
from sim.demand.population import Population
from sim.errors import InputError, RunFailedError
from sim.network.road_network import RoadNetwork
from sim.parallel import thread_count
from sim.spec import ScenarioSpec

MANIFEST = "manifest.json"
LOCK = "scenario.lock.toml"
POA = "poa.json"
REPORT = "report.html"
MANIFEST_KIND = "routepact run"
MANIFEST_FORMAT = 1
_LIBRARIES = ("numpy", "numba", "scipy", "mesa", "pyarrow", "shapely", "networkx", "pydantic")

RunStatus: TypeAlias = Literal["done", "missed"]
"""done: everything asked for was reached; missed: finished, but a gap or a promise was missed (exit status 3)."""
FileState: TypeAlias = Literal["ok", "changed", "missing", "unlisted"]


@dataclass(frozen=True)
class RunFacts:
    """What the manifest says beside the results.

    Attributes
    ----------
    scenario, seed
        Name and seed of the scenario.
    status
        See `RunStatus`.
    started_utc
        When the run began, with time zone.
    timings_s
        Wall-clock seconds by phase, in order.
    network, demand
        Facts from `network_facts` and `demand_facts`.
    inputs
        Files that were read, by the name the scenario uses; their size and checksum are recorded.
    notes
        Attribution and assumptions that a reader of the results must see.
    warnings
        What the run wants the user to know.
    folder
        Where the scenario's relative paths start; None where there are none.
    """

    scenario: str
    seed: int
    status: RunStatus
    started_utc: datetime
    timings_s: Mapping[str, float]
    network: Mapping[str, Any]
    demand: Mapping[str, Any]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    folder: Path | None = None


def network_facts(network: RoadNetwork) -> dict[str, Any]:
    """Return what the manifest says of a network: size, coordinate system, units and what cleaning did."""
    return {
        "name": network.name,
        "nodes": network.n_nodes,
        "links": network.n_links,
        "zones": network.n_zones,
        "crs": network.crs,
        "time_unit_s": network.time_unit_s,
        "length_unit_m": network.length_unit_m,
        "cleaning": {"counts": dict(network.cleaning.counts), "warnings": list(network.cleaning.warnings)},
    }


def demand_facts(population: Population, statement: str) -> dict[str, Any]:
    """Return what the manifest says of the demand; `statement` is a sentence on where it comes from."""
    return {
        "statement": statement,
        "travellers": population.n_travellers,
        "vehicles": float(population.weight.sum()),
        "od_cells": population.od.n_cells,
        "demand_vph": population.od.total_vph,
        "intrazonal_vph": float(population.od.intrazonal_vph),
    }


def lock_text(spec: ScenarioSpec) -> str:
    """Return the scenario as TOML with every default written out; a key whose value is None is left out, which means the same."""
    return tomli_w.dumps(_without_none(spec.model_dump(mode="python")))


def default_run_path(spec: ScenarioSpec, started_utc: datetime, *, root: Path = Path("runs")) -> Path:
    """Return the first free one of `root/<scenario>/<utc>-<hash8>`, `...-2`, `...-3`; the hash is that of the lock file."""
    digest = hashlib.sha256(lock_text(spec).encode("utf-8")).hexdigest()[:8]
    base = root / spec.name / f"{started_utc.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"
    candidate, number = base, 2
    while candidate.exists():
        candidate, number = base.with_name(f"{base.name}-{number}"), number + 1
    return candidate


class RunFolder:
    """Writer of a run folder: a context manager that publishes the folder at its end, or removes its traces when the block fails.

    Parameters
    ----------
    target
        The run folder itself.
    overwrite
        Replace a run folder that is there already. The old one stays until the new one is whole.

    Raises
    ------
    InputError
        On entering: the target exists and may not be replaced, or no folder can be made there.
    RunFailedError
        A file cannot be written, or the target appeared while the run went on.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.target = target.resolve()
        self.overwrite = overwrite
        self.path = self.target.with_name(f".{self.target.name}.partial-{uuid.uuid4().hex[:12]}")
        self._made_parents: list[Path] = []
        self._made_path = False

    def __enter__(self) -> RunFolder:
        try:
            # Inside, because merely looking at a name that no file system can hold fails.
            self.require_replaceable()
            parent = self.target.parent
            missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                self._made_parents.insert(0, folder)
            self.path.mkdir()
            self._made_path = True
        except OSError as error:
            self._remove_traces()
            raise InputError(
                f"cannot make the folder: {error.strerror}", source=self.target, allowed="a place that may be written to"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                with _writing(str(self.target)):
                    self._publish()
        finally:
            self._remove_traces()

    def write_lock(self, spec: ScenarioSpec) -> None:
        """Write scenario.lock.toml."""
        self._write_bytes(LOCK, lock_text(spec).encode("utf-8"))

    def write_poa(self, content: Mapping[str, Any]) -> None:
        """Write poa.json; ValueError where a number is not finite, which JSON cannot say."""
        self._write_bytes(POA, _json_bytes(content))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write `<name>.parquet`; equal tables give equal bytes."""
        with _writing(name):
            pq.write_table(table, self.path / f"{name}.parquet", compression="zstd", version="2.6")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file in UTF-8."""
        self._write_bytes(name, text.encode("utf-8"))

    def finish(self, facts: RunFacts) -> None:
        """Write manifest.json, which makes the folder whole; call it after the last result and before the report is made."""
        manifest = {
            "kind": MANIFEST_KIND,
            "format": MANIFEST_FORMAT,
            "status": facts.status,
            "scenario": facts.scenario,
            "seed": facts.seed,
            "versions": _versions(),
            "machine": {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()},
            "threads": thread_count(),
            "started_utc": _utc_text(facts.started_utc),
            "finished_utc": _utc_text(datetime.now(UTC)),
            "timings_s": {phase: round(seconds, 3) for phase, seconds in facts.timings_s.items()},
            "network": dict(facts.network),
            "demand": dict(facts.demand),
            "notes": list(facts.notes),
            "warnings": list(facts.warnings),
            "scenario_folder": None if facts.folder is None else str(facts.folder.resolve()),
            "inputs": {name: fingerprint(path) for name, path in facts.inputs.items()},
            "files": {path.name: fingerprint(path) for path in sorted(self.path.iterdir())},
        }
        self._write_bytes(MANIFEST, _json_bytes(manifest))

    def _write_bytes(self, name: str, content: bytes) -> None:
        with _writing(name):
            (self.path / name).write_bytes(content)

    def require_replaceable(self) -> None:
        """Raise InputError unless the folder can be written: it is not there yet, or is a run that may be replaced."""
        if not self.target.exists():
            return
        if not self.overwrite:
            raise InputError("exists already", source=self.target, allowed="a new folder, or --overwrite")
        if not self.target.is_dir():
            raise InputError("is a file and will not be overwritten", source=self.target, allowed="a run folder")
        present = {entry.name for entry in self.target.iterdir()}
        if not present:
            return
        strangers = sorted(present - {MANIFEST, REPORT, *read_run(self.target).manifest["files"]})
        if strangers:
            problem = f"holds {strangers[0]}, which is no file of the run, and will not be overwritten"
            raise InputError(problem, source=self.target, allowed="a folder with nothing in it but a run")

    def _publish(self) -> None:
        if not (self.path / MANIFEST).exists():
            raise RunFailedError(f"{self.target}: the run ended before its manifest was written")
        if not self.target.exists():
            self.path.rename(self.target)
            self._made_parents.clear()
            return
        if not self.overwrite:
            raise RunFailedError(f"{self.target}: another run wrote this folder in the meantime")
        # Checked again, because hours may have passed since the first look.
        self.require_replaceable()
        old = self.path.with_name(self.path.name.replace(".partial-", ".old-"))
        self.target.rename(old)
        try:
            self.path.rename(self.target)
        except BaseException:
            old.rename(self.target)
            raise
        shutil.rmtree(old)

    def _remove_traces(self) -> None:
        if self._made_path and self.path.exists():
            shutil.rmtree(self.path)
        for folder in self._made_parents:
            if any(folder.iterdir()):
                break  # somebody else uses it by now
            folder.rmdir()
        self._made_parents.clear()


@dataclass(frozen=True)
class FileCheck:
    """What `verify_run` found for one file."""

    name: str
    state: FileState


@dataclass(frozen=True)
class RecordedRun:
    """A finished run on disk; the tables are read when asked for.

    Attributes
    ----------
    path
        The run folder.
    manifest
        Content of manifest.json.
    """

    path: Path
    manifest: dict[str, Any]

    @cached_property
    def poa(self) -> dict[str, Any]:
        """Content of poa.json; InputError where it is missing or broken."""
        return _read_json(self.path / POA)

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """Content of scenario.lock.toml; InputError where it is missing or broken."""
        source = self.path / LOCK
        try:
            return tomllib.loads(_read_text(source))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"is not TOML: {error}", source=source) from None

    def has_table(self, name: str) -> bool:
        """Return whether the run recorded `<name>.parquet`."""
        return f"{name}.parquet" in self.manifest["files"]

    def columns(self, name: str) -> list[str]:
        """Return the column names of `<name>.parquet`; InputError where it is missing or broken."""
        with _reading(self.path / f"{name}.parquet") as source:
            return list(pq.read_schema(source).names)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return `<name>.parquet`, or some of its columns.

        Raises
        ------
        InputError
            The file is missing or broken, or has no such column.
        """
        source = self.path / f"{name}.parquet"
        if columns is not None:
            unknown = [column for column in columns if column not in self.columns(name)]
            if unknown:
                raise InputError("no such column", source=source, where=unknown[0], allowed=", ".join(self.columns(name)))
        with _reading(source):
            return pq.read_table(source, columns=None if columns is None else list(columns))


def read_run(path: Path) -> RecordedRun:
    """Open a run folder.

    Raises
    ------
    InputError
        The folder is missing, is no run folder, or was written by a later version with another format.
    """
    if not path.is_dir():
        raise InputError(
            "no such run folder" if not path.exists() else "is a file", source=path, allowed="a folder that `routepact run` wrote"
        )
    if not (path / MANIFEST).is_file():
        raise InputError(f"is no run folder: it has no {MANIFEST}", source=path, allowed="a folder that `routepact run` wrote")
    manifest = _read_json(path / MANIFEST)
    if manifest.get("kind") != MANIFEST_KIND or not isinstance(manifest.get("files"), dict):
        raise InputError(
            "is no manifest of a run", source=path / MANIFEST, allowed=f'"kind": "{MANIFEST_KIND}" and a table "files"'
        )
    if manifest.get("format") != MANIFEST_FORMAT:
        raise InputError(f"{manifest.get('format')!r}", source=path / MANIFEST, where="format", allowed=str(MANIFEST_FORMAT))
    return RecordedRun(path, manifest)


def verify_run(path: Path) -> tuple[FileCheck, ...]:
    """Compare every file of a run folder with its checksum in the manifest; the files come in name order.

    Raises
    ------
    InputError
        `path` is no run folder.
    """
    run = read_run(path)
    recorded: dict[str, Any] = run.manifest["files"]
    present = {entry.name for entry in path.iterdir()} - {MANIFEST}

    def state_of(name: str) -> FileState:
        if name not in recorded:
            return "unlisted"
        if name not in present:
            return "missing"
        return "ok" if recorded[name] == fingerprint(path / name) else "changed"

    return tuple(FileCheck(name, state_of(name)) for name in sorted(present | set(recorded)))


def add_file(path: Path, name: str, content: bytes) -> Path:
    """Write a file into a finished run folder, or replace it, and enter it in the manifest; return its path.

    Raises
    ------
    InputError
        `path` is no run folder.
    RunFailedError
        The folder cannot be written to.
    """
    manifest = read_run(path).manifest
    _replace_file(path / name, content)
    manifest["files"] = dict(sorted({**manifest["files"], name: fingerprint(path / name)}.items()))
    _replace_file(path / MANIFEST, _json_bytes(manifest))
    return path / name


def _replace_file(target: Path, content: bytes) -> None:
    partial = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:12]}")
    with _writing(target.name):
        try:
            partial.write_bytes(content)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailedError(f"cannot write {name}: {error}") from error


@contextmanager
def _reading(source: Path) -> Iterator[Path]:
    try:
        yield source
    except FileNotFoundError:
        raise InputError("no such file", source=source) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", source=source) from None


def _read_text(source: Path) -> str:
    with _reading(source):
        content = source.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8", source=source) from None


def _read_json(source: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(source))
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg}", source=source, where=f"line {error.lineno}") from None
    if not isinstance(content, dict):
        raise InputError("holds no JSON object", source=source)
    return content


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def fingerprint(path: Path) -> dict[str, Any]:
    """Return size and SHA-256 of a file, as the manifest says them; InputError where it cannot be read."""
    with _reading(path), path.open("rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _versions() -> dict[str, str]:
    versions = {"routepact": sim.__version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _utc_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list | tuple) else value
