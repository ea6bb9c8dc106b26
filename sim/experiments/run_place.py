"""Whether a run folder can be written, asked before the work and not after it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sim.experiments.record import RunFolder


class _OnlyTrying(Exception):
    """Leaves a run folder that was entered only to see whether it can be."""


def require_room(target: Path, *, overwrite: bool = False) -> None:
    """Raise InputError unless a run folder can be written at `target`; nothing stays behind."""
    with suppress(_OnlyTrying), RunFolder(target, overwrite=overwrite):
        raise _OnlyTrying
