"""The parts that every TNTP file has: metadata in angle brackets, comments behind `~`, numbers."""

from __future__ import annotations

import math
from pathlib import Path

from sim.errors import InputError

LARGEST_COUNT = 10_000_000
"""Most nodes, links or zones a header may state; more is a broken number, not a city."""


def split_metadata(lines: list[str], path: Path) -> tuple[dict[str, tuple[str, int]], int]:
    """Return the metadata, (value, line number) by upper-case key, and the position of the first line after it.

    Raises
    ------
    InputError
        Something other than metadata stands above `<END OF METADATA>`, or that line is missing.
    """
    metadata: dict[str, tuple[str, int]] = {}
    for position, line in enumerate(lines):
        text = line.strip()
        if not text or text.startswith("~"):
            continue
        key, closed, value = text.removeprefix("<").partition(">")
        if not text.startswith("<") or not closed:
            raise InputError(
                f"{shown(text)} is no metadata",
                source=path,
                where=f"line {position + 1}",
                allowed="<KEY> value lines, then <END OF METADATA>",
            )
        key = " ".join(key.upper().split())
        if key == "END OF METADATA":
            return metadata, position + 1
        metadata[key] = (value.partition("~")[0].strip(), position + 1)
    raise InputError("<END OF METADATA> is missing", source=path, where=f"line {len(lines)}")


def count_from(metadata: dict[str, tuple[str, int]], key: str, path: Path, *, at_least: int = 1) -> int:
    """Return the whole number that the metadata states for `key`; InputError where it is missing or out of range."""
    if key not in metadata:
        raise InputError(f"<{key}> is missing from the metadata", source=path)
    text, line_number = metadata[key]
    allowed = f"a whole number from {at_least} to {LARGEST_COUNT:,}"
    value = whole_number(text)
    if value is None or not at_least <= value <= LARGEST_COUNT:
        raise InputError(f"<{key}> is {shown(text)}", source=path, where=f"line {line_number}", allowed=allowed)
    return value


def number(text: str) -> float | None:
    """Return a finite number, or None where the text is something else (Python's own digit grouping included)."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def whole_number(text: str) -> int | None:
    """Return a whole number (also when written like 12.0), or None where the text is something else."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None


def shown(text: str) -> str:
    """Return a text from a file in a form that fits into a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
