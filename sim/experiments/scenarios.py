"""Scenarios by name: the file, and the names in it that must exist; light, so that a wrong word is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.bundled import bundled_cities, bundled_scenarios
from sim.errors import InputError
from sim.spec import BundledNetwork, ScenarioSpec, load_scenario, naming_options

PRINCIPAL_WORLDS = ("selfish", "optimum")
MARKET_WORLDS = ("coalition", "pairwise", "toll", "toll_uniform", "toll_od", "random_control")
"""In the order in which they run: the random control moves as many as the coalition."""
WORLDS = PRINCIPAL_WORLDS + MARKET_WORLDS


def find_scenario(name: str, settings: Sequence[str] = (), seed: int | None = None) -> tuple[ScenarioSpec, Path]:
    """Return a scenario and the folder its relative paths start from; `name` is a file or the name of a bundled scenario.

    Raises
    ------
    InputError
        There is no such file and no such bundled scenario, or its content is bad.
    """
    bundled = bundled_scenarios()
    path = Path(name)
    if name in bundled and not _is_file(path):
        path = bundled[name]
    elif path.suffix != ".toml" and not _is_file(path):
        beside = path.with_name(f"{path.name}.toml") if path.name else path
        hint = f" (is {str(beside)!r} meant?)" if _is_file(beside) else ""
        raise InputError(f"there is no scenario {name!r}{hint}", allowed=f"a .toml file, or one of {', '.join(bundled)}")
    spec = load_scenario(path, settings, seed)
    with naming_options(settings, seed):
        require_names(spec, source=path)
    return spec, path.resolve().parent


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system, or a folder that may not be looked into
        return False


def require_names(spec: ScenarioSpec, *, source: Path | None = None) -> None:
    """Raise InputError unless the worlds and the bundled city of a scenario exist."""
    _require_worlds(spec.worlds.run, source=source)
    if isinstance(spec.network, BundledNetwork) and spec.network.city not in bundled_cities():
        allowed = ", ".join(bundled_cities())
        raise InputError(f"there is no bundled city {spec.network.city!r}", source=source, where="network.city", allowed=allowed)


def _require_worlds(names: Sequence[str], *, source: Path | None = None) -> None:
    """Raise InputError unless the names are worlds, each once, and at least one."""
    for name in names:
        if name not in WORLDS:
            raise InputError(f"there is no world {name!r}", source=source, where="worlds.run", allowed=", ".join(WORLDS))
    if not names or len(set(names)) != len(names):
        allowed = f"at least one of {', '.join(WORLDS)}, each once"
        raise InputError(f"{list(names)}", source=source, where="worlds.run", allowed=allowed)
    needed = dict.fromkeys(MARKET_WORLDS, PRINCIPAL_WORLDS) | {"random_control": (*PRINCIPAL_WORLDS, "coalition")}
    for name in names:
        missing = [other for other in needed.get(name, ()) if other not in names]
        if missing:
            allowed = f"{name} together with {' and '.join(missing)}"
            raise InputError(f"{list(names)}", source=source, where="worlds.run", allowed=allowed)
