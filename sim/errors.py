"""What can go wrong, and the exit status that the command line gives for it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class RoutepactError(Exception):
    """A failure with a message for people; `exit_status` is what the command line returns."""

    exit_status: ClassVar[int] = 1


class RunFailedError(RoutepactError):
    """A run could not be finished."""


class InputError(RoutepactError):
    """Bad usage or bad input: one message that names the place, the value and what is allowed.

    Parameters
    ----------
    problem
        What is wrong, with the offending value.
    source
        File (or option) that holds it.
    where
        Line ("line 12") or key ("traffic.gap") in that file.
    allowed
        What would be accepted.
    """

    exit_status = 2

    def __init__(
        self, problem: str, *, source: str | Path | None = None, where: str | None = None, allowed: str | None = None
    ) -> None:
        self.problem = problem
        self.source = None if source is None else str(source)
        self.where = where
        self.allowed = allowed
        place = ", ".join(part for part in (self.source, where) if part)
        text = f"{place}: {problem}" if place else problem
        if allowed:
            text += f" (allowed: {allowed})"
        super().__init__(text)


class DownloadError(RoutepactError):
    """Something that had to come over the network did not come."""

    exit_status = 4
