"""Where the bundled scenarios and data are, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def bundled_folder(kind: str) -> Path:
    """Return the folder of the bundled `kind` ("scenarios" or "data").

    A wheel carries both below `sim/_bundled/`; in a checkout they stand at the top level.
    """
    in_wheel = _HERE / "_bundled" / kind
    return in_wheel if in_wheel.is_dir() else _HERE.parent / kind


def bundled_scenarios() -> dict[str, Path]:
    """Return the bundled scenario files by name, sorted."""
    return {path.stem: path for path in sorted(bundled_folder("scenarios").glob("*.toml"))}


def bundled_sweeps() -> dict[str, Path]:
    """Return the bundled sweep files by name, sorted."""
    return {path.stem: path for path in sorted((bundled_folder("scenarios") / "sweeps").glob("*.toml"))}


def bundled_cities() -> dict[str, Path]:
    """Return the folders of the bundled cities by name, sorted."""
    return {path.parent.name: path.parent for path in sorted(bundled_folder("data").glob("*/network.npz"))}
