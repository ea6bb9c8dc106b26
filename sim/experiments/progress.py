"""How long work tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]
"""Takes a line on what is going on; the command line shows it, tests ignore it."""


def say_nothing(text: str) -> None:
    """Be the `Say` of those who need no progress."""
