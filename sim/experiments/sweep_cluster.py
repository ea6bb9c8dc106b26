"""Where the runs of a sweep are computed: a Dask cluster of single-thread processes, made here or already there."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sim
from sim.errors import DownloadError, InputError, RunFailedError

_CONNECT_S = 10.0
_ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextmanager
def cluster(jobs: int | None, scheduler: str | None) -> Iterator[Any]:
    """Yield a client of a cluster; a cluster made here ends with the block.

    Parameters
    ----------
    jobs
        Processes of a cluster made here; the cores this process may run on unless given.
    scheduler
        Address of a scheduler that runs already ("tcp://host:8786"), with workers that have this version of routepact.

    Raises
    ------
    DownloadError
        No scheduler answers, or it has no worker.
    InputError
        The address is none, or a worker runs another version.
    """
    # Dask takes a second to import, which a dry run need not wait for.
    import distributed

    dask: Any = distributed  # its classes carry no types
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        with _connected(scheduler) as client:
            require_same_program(client, scheduler)
            yield client
        return
    n_workers = jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    others = set(multiprocessing.active_children())
    try:
        with (
            dask.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                # Without this the scheduler would take a port of all interfaces for pages that nobody asked for.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
                # A limit would kill large runs on machines with many cores and little memory; the system's own is enough.
                memory_limit=0,
                env=_ONE_THREAD,
            ) as local,
            dask.Client(local, set_as_default=False) as client,
        ):
            yield client
    finally:
        # A worker in the middle of a run does not hear that it should end, and would go on for nobody.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    import distributed

    dask: Any = distributed
    try:
        client = dask.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise InputError(f"{scheduler!r}: {error}", source="--scheduler", allowed="an address such as tcp://host:8786") from None
    except (OSError, TimeoutError):
        raise DownloadError(f"no Dask scheduler answers at {scheduler}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError:
            raise DownloadError(f"the Dask scheduler at {scheduler} has no worker") from None
        yield client


def program() -> tuple[str, str]:
    """Return version and hash of the sources: what must be equal on all machines for equal results."""
    digest, here = hashlib.sha256(), Path(sim.__file__).resolve().parent
    for source in sorted([*here.rglob("*.py"), *(here.parent / "contracts_model").rglob("*.py")]):
        digest.update(str(source.relative_to(here.parent)).encode())
        digest.update(source.read_bytes())
    return sim.__version__, digest.hexdigest()[:12]


def require_same_program(client: Any, scheduler: str) -> None:
    """Raise InputError unless every worker runs this version with these sources."""
    here = program()
    for worker, there in client.run(program).items():
        if tuple(there) != here:
            raise InputError(
                f"worker {worker} runs another routepact: {' '.join(there)}",
                source=scheduler,
                allowed=f"{' '.join(here)} on every worker",
            )


def _itself(shared: Any) -> Any:
    return shared


def in_any_order(
    client: Any, work: Callable[..., Any], shared: Any, tasks: Iterable[tuple[Any, ...]], *, ahead: int
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (task, result or exception) as tasks end.

    `work(shared, *task)` runs on the workers; `shared` reaches each of them once. Only some tasks a worker are handed over
    `ahead` of time, so that a hundred thousand do not fill the scheduler's memory. A worker that dies costs its tasks a new
    start elsewhere; `shared` is the result of a task too, since what is merely scattered is gone with its last holder, and
    Dask then gives up all that needs it.
    """
    import distributed
    from distributed.comm.core import CommClosedError

    dask: Any = distributed
    sent = client.submit(_itself, shared, pure=False)
    waiting = iter(tasks)
    task_of: dict[Any, tuple[Any, ...]] = {}
    queue = dask.as_completed([], loop=client.loop)

    def hand_over() -> None:
        task = next(waiting, None)
        if task is not None:
            future = client.submit(work, sent, *task, pure=False)
            task_of[future.key] = task
            queue.add(future)

    for _ in range(ahead * max(1, sum(client.nthreads().values()))):
        hand_over()
    for future in queue:
        try:
            error = future.exception()
            found = future.result() if error is None else error
        except (dask.CancelledError, CommClosedError):
            raise RunFailedError("the Dask scheduler went away; what is written stays, go on with --resume") from None
        task = task_of.pop(future.key)
        future.release()
        hand_over()
        yield task, found
