"""Sweeps: spec x levers x seeds -> runs, on Dask, in a folder that survives whatever ends them.

The driver alone writes. It hands shards to workers, and each that comes back is written whole before it counts; so a sweep that
was killed goes on with the shards that are missing, and gives the bytes that it would have given undisturbed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import InputError, RunFailedError
from sim.experiments.progress import Say, say_nothing
from sim.experiments.report_format import duration
from sim.experiments.report_sweep import write_sweep_report
from sim.experiments.sweep_cluster import cluster, in_any_order
from sim.experiments.sweep_plan import SweepPlan
from sim.experiments.sweep_store import SweepFolder
from sim.experiments.sweep_worker import ShardResult, SweepJob, run_shard

_TASKS_AHEAD = 3


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep has come to.

    Attributes
    ----------
    path
        Its folder.
    runs, runs_there
        All runs of the plan, and those whose shards are written.
    counts
        Runs by status; None until the sweep is whole.
    runs_now, seconds
        Runs of this session, and what they took, the start of the workers left out.
    """

    path: Path
    runs: int
    runs_there: int
    counts: dict[str, int] | None
    runs_now: int
    seconds: float

    def content(self) -> dict[str, Any]:
        """Return what `sweep --json` prints."""
        return {"sweep": str(self.path), "runs": self.runs, "runs_there": self.runs_there, "counts": self.counts}


def default_sweep_path(plan: SweepPlan, *, root: Path = Path("sweeps")) -> Path:
    """Return root/<name>-<hash8>; the same design has the same folder, so that `--resume` finds it."""
    return root / f"{plan.spec.name}-{plan.content()['sha256'][:8]}"


def sweep(
    plan: SweepPlan,
    out: Path | None = None,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    limit: int | None = None,
    say: Say = say_nothing,
) -> SweepOutcome:
    """Run what is missing of a sweep and report what is there.

    Parameters
    ----------
    out
        The sweep's folder; `default_sweep_path` unless given.
    jobs, scheduler
        See `sim.experiments.sweep_cluster.cluster`.
    resume
        Go on in a folder that holds this sweep.
    limit
        Runs of this session at most, rounded up to whole shards; all unless given.

    Raises
    ------
    InputError
        The folder holds something else, or an output is no number of poa.json.
    RunFailedError
        The folder cannot be written to, or shards could not be run; what is written stays.
    DownloadError
        The scheduler does not answer.
    """
    folder = SweepFolder(out or default_sweep_path(plan))
    with folder.locked():
        folder.begin(plan, resume=resume)
        shards = folder.whole_shards()
        missing = [shard for shard in range(plan.n_shards) if shard not in shards]
        now = missing if limit is None else missing[: -(-limit // plan.runs_per_shard)]
        seconds = 0.0
        if now:
            say(f"starting workers for {len(now):,} of {plan.n_shards:,} shards")
            with cluster(jobs, scheduler) as client:
                begin = time.perf_counter()
                for result in _results(client, sweep_job(plan, folder), plan, now, say):
                    shards[result.shard] = folder.write_shard(plan, result)
                seconds = time.perf_counter() - begin
        whole = len(shards) == plan.n_shards
        counts = folder.finish(plan, shards) if whole else None
        say("writing the report")
        write_sweep_report(folder.path)
    return SweepOutcome(
        folder.path,
        plan.n_runs,
        _n_runs(plan, shards),
        None if counts is None else {state: counts[state] for state in ("done", "missed", "failed")},
        _n_runs(plan, now),
        seconds,
    )


def _n_runs(plan: SweepPlan, shards: Iterable[int]) -> int:
    return sum(min(plan.runs_per_shard, plan.n_runs - shard * plan.runs_per_shard) for shard in shards)


def sweep_job(plan: SweepPlan, folder: SweepFolder) -> SweepJob:
    """Return what is sent to each worker."""
    return SweepJob(
        digest=plan.content()["sha256"],
        scenario=plan.scenario,
        keys=tuple(factor.key for factor in plan.spec.factor),
        outputs=plan.outputs,
        folder=str(plan.folder),
        files={name: (plan.folder / name).read_bytes() for name in plan.inputs},
        record_in=str(folder.runs.resolve()) if plan.spec.record_runs else None,
    )


def _results(client: Any, job: SweepJob, plan: SweepPlan, shards: list[int], say: Say) -> Iterable[ShardResult]:
    """Yield the shards as they come in any order, and say how far it is; raise at the end what could not be run."""
    total, done, failed = _n_runs(plan, shards), 0, 0
    lost: list[tuple[int, BaseException]] = []
    begin = time.perf_counter()
    tasks = ((shard, plan.rows(shard)) for shard in shards)
    for (shard, _), found in in_any_order(client, run_shard, job, tasks, ahead=_TASKS_AHEAD):
        if isinstance(found, InputError):
            raise found
        if isinstance(found, BaseException):
            lost.append((shard, found))
            continue
        yield found
        done += len(found.rows)
        failed += sum(row.status == "failed" for row in found.rows)
        left = duration((time.perf_counter() - begin) / done * (total - done))
        say(f"{done:,} of {total:,} runs, {failed:,} failed, about {left} left")
    if lost:
        shard, error = lost[0]
        raise RunFailedError(
            f"{len(lost):,} of {len(shards):,} shards could not be run, the first is {shard}: "
            f"{type(error).__name__}: {error}; what is written stays, go on with --resume"
        )
