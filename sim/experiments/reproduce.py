"""A recorded run, run again from its lock file, and whether every byte of its results agrees.

What depends on the clock or the machine (manifest.json, and report.html, which shows it) is left out, and so is quality.html,
whose figures the input files decide; everything else counts: poa.json, the lock file, every table.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow.parquet as pq

from sim.errors import InputError
from sim.experiments.build import demand_inputs
from sim.experiments.progress import Say, say_nothing
from sim.experiments.quality_page import QUALITY
from sim.experiments.record import LOCK, MANIFEST, REPORT, RecordedRun, fingerprint, read_run
from sim.experiments.run import record, run
from sim.spec import ScenarioSpec, parse_scenario

Agreement: TypeAlias = Literal["same", "different", "missing", "new", "damaged"]
"""missing: the new run has no such file; new: only it has one; damaged: the recorded file changed since it was written."""
_LEFT_OUT = (MANIFEST, REPORT, QUALITY)


@dataclass(frozen=True)
class FileAgreement:
    """One file of the run beside the same file of the new one; `detail` says in words where they part."""

    name: str
    state: Agreement
    detail: str = ""


@dataclass(frozen=True)
class Reproduction:
    """What running again gave.

    Attributes
    ----------
    run
        The recorded run.
    files
        Every file that counts, in name order.
    versions
        Programs whose version differs from the recorded one: (then, now).
    """

    run: Path
    files: tuple[FileAgreement, ...]
    versions: dict[str, tuple[str, str]]

    @property
    def agrees(self) -> bool:
        """Whether every byte agrees."""
        return all(found.state == "same" for found in self.files)

    def content(self) -> dict[str, Any]:
        """Return what `reproduce --json` prints."""
        return {
            "run": str(self.run),
            "agrees": self.agrees,
            "files": {found.name: {"state": found.state, "detail": found.detail} for found in self.files},
            "versions": {name: {"then": then, "now": now} for name, (then, now) in self.versions.items()},
        }


def reproduce(path: Path, *, folder: Path | None = None, out: Path | None = None, say: Say = say_nothing) -> Reproduction:
    """Run a recorded run again and compare.

    Parameters
    ----------
    path
        A run folder.
    folder
        Where the scenario's relative paths start; where they started then unless given.
    out
        Where to keep the new run; it is thrown away unless given.

    Raises
    ------
    InputError
        The folder is no run of `routepact run`, or an input file is missing or not the one that was read then.
    """
    recorded = read_run(path)
    spec = _spec_of(recorded)
    start = _folder_of(recorded, folder)
    _require_same_inputs(recorded, spec, start)
    result = run(spec, start, say=say)
    with tempfile.TemporaryDirectory(prefix="routepact-") as scratch:
        again = read_run(record(result, out or Path(scratch) / "run", say=say))
        names = sorted({*recorded.manifest["files"], *again.manifest["files"]} - set(_LEFT_OUT))
        files = tuple(_agreement(name, recorded, again) for name in names)
    return Reproduction(path, files, _versions_apart(recorded.manifest["versions"], again.manifest["versions"]))


def _spec_of(recorded: RecordedRun) -> ScenarioSpec:
    if not recorded.has_table("trips"):
        raise InputError("holds an assignment without travellers", source=recorded.path, allowed="a folder of `routepact run`")
    return parse_scenario(recorded.scenario, source=recorded.path / LOCK)


def _folder_of(recorded: RecordedRun, folder: Path | None) -> Path:
    if folder is not None:
        return folder
    start = recorded.manifest.get("scenario_folder")
    if start is None:
        raise InputError(
            "does not say where the scenario's paths start",
            source=recorded.path / MANIFEST,
            allowed="--folder DIR, the folder of the scenario file",
        )
    return Path(start)


def _require_same_inputs(recorded: RecordedRun, spec: ScenarioSpec, start: Path) -> None:
    # A bundled city comes with the program, whose version is compared.
    beside = demand_inputs(spec, start) if spec.network.source == "bundled" else recorded.manifest["inputs"]
    for name, then in recorded.manifest["inputs"].items():
        if name in beside and fingerprint(start / name) != then:
            raise InputError("is not the file that the run read", source=start / name, allowed=f"SHA-256 {then['sha256']}")


def _agreement(name: str, recorded: RecordedRun, again: RecordedRun) -> FileAgreement:
    then, now = recorded.manifest["files"].get(name), again.manifest["files"].get(name)
    if now is None:
        return FileAgreement(name, "missing")
    if then is None:
        return FileAgreement(name, "new")
    if not (recorded.path / name).is_file() or fingerprint(recorded.path / name) != then:
        return FileAgreement(name, "damaged", "the file changed since the run was written")
    if then == now:
        return FileAgreement(name, "same")
    return FileAgreement(name, "different", _where_they_part(recorded.path / name, again.path / name))


def _where_they_part(first: Path, second: Path) -> str:
    """Return in words where two files differ: the first column and row, or the first key."""
    if first.suffix == ".json":
        key = _first_key(json.loads(first.read_bytes()), json.loads(second.read_bytes()))
        return f"key {key}" if key else "order or layout of the keys"
    if first.suffix != ".parquet":
        return f"{first.stat().st_size:,} and {second.stat().st_size:,} bytes"
    tables = pq.read_table(first), pq.read_table(second)
    if tables[0].schema != tables[1].schema:
        return "the columns"
    if len(tables[0]) != len(tables[1]):
        return f"{len(tables[0]):,} and {len(tables[1]):,} rows"
    for name in tables[0].column_names:
        a, b = (table[name].to_pylist() for table in tables)
        apart = np.flatnonzero([x != y and not (x != x and y != y) for x, y in zip(a, b, strict=True)])
        if len(apart):
            row = int(apart[0])
            return f"column {name}, row {row + 1:,}: {a[row]} then, {b[row]} now ({len(apart):,} rows)"
    return "the encoding, not the values"


def _first_key(first: Any, second: Any, prefix: str = "") -> str | None:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            found = _first_key(first.get(key), second.get(key), f"{prefix}.{key}" if prefix else key)
            if found is not None:
                return found
        return None
    return None if first == second else prefix


def _versions_apart(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (then.get(name, "none"), now.get(name, "none")) for name in {**then, **now} if then.get(name) != now.get(name)}
