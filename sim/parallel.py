"""Rows in parallel, with the same bytes on any number of threads.

Kernels release the GIL, so plain threads suffice, and numba's parallel backends (of which the fallback aborts the process
when two threads enter it at once) are not needed. Each thread writes rows of its own; whoever needs a sum adds the rows up
afterwards in index order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from sim.errors import InputError

_MOST_THREADS_DIGITS = 4


def thread_count() -> int:
    """Return how many threads to use: ROUTEPACT_THREADS if set, otherwise the cores this process may run on."""
    asked = os.environ.get("ROUTEPACT_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if not (asked.isascii() and asked.isdigit() and 0 < len(asked.lstrip("0")) <= _MOST_THREADS_DIGITS):
        raise InputError(
            f"{asked!r} is no number of threads",
            source="environment variable ROUTEPACT_THREADS",
            allowed="a whole number from 1 to 9999",
        )
    return int(asked)


def over_rows(n_rows: int, work: Callable[[int, int], None]) -> None:
    """Call `work(first, past_last)` on pieces that cover rows 0 to `n_rows`; the pieces run at the same time."""
    n_threads = min(thread_count(), n_rows)
    if n_threads <= 1:
        if n_rows:
            work(0, n_rows)
        return
    # More pieces than threads, because the rows of one piece may be dearer than those of another.
    n_pieces = min(n_rows, 4 * n_threads)
    bounds = [n_rows * piece // n_pieces for piece in range(n_pieces + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        for future in [pool.submit(work, first, last) for first, last in pairwise(bounds)]:
            future.result()
