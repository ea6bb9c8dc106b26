"""What goes to the terminal: results on standard output, progress, warnings and errors on standard error.

Results are plain text: nothing is cut to a width, because what is piped into a file has none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from sim.experiments.progress import Say, say_nothing
from sim.process import PipeClosed

_SECONDS_BETWEEN_LINES = 3.0
_GAP_BETWEEN_COLUMNS = "  "


def line(text: str = "") -> None:
    """Print a line of results."""
    _print(text, sys.stdout)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    _print(f"warning: {text}", sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    # Numbers stay with their units in HTML by a no-break space, which terminals and `grep` do not expect.
    try:
        print(text.replace("\u00a0", " "), file=stream)
    except BrokenPipeError:
        raise PipeClosed from None


@contextmanager
def progress(*, quiet: bool) -> Iterator[Say]:
    """Yield a function that shows progress: in place on a terminal, a line every few seconds elsewhere, nothing when quiet."""
    if quiet:
        yield say_nothing
    elif sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status("starting") as status:
            yield lambda text: status.update(escape(text))
    else:
        shown_at = time.monotonic()

        def say(text: str) -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at >= _SECONDS_BETWEEN_LINES:
                shown_at = time.monotonic()
                _print(text, sys.stderr)

        yield say


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output and nothing else."""
    line(json.dumps(content, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> None:
    """Print a table, every cell whole; the first `left` columns are aligned to the left, numbers to the right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = [
            text.ljust(width) if position < left else text.rjust(width)
            for position, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        line(_GAP_BETWEEN_COLUMNS.join(cells).rstrip())
