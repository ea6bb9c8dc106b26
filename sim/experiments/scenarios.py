"""Scenarios by name: the file, and the names in it that must exist; light, so that a wrong word is told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sim.bundled import bundled_cities, bundled_scenarios
from sim.errors import InputError
from sim.experiments.queue_market_rules import require_queue_market, require_static_market
from sim.spec import ScenarioSpec, TripsDemand, load_scenario, naming_options
from sim.spec_networks import BundledNetwork
from sim.spec_traffic import QueueSettings

PRINCIPAL_WORLDS = ("selfish", "optimum")
MARKET_WORLDS = (
    "coalition",
    "pools",
    "pairwise",
    "pairwise_compensated",
    "toll",
    "toll_uniform",
    "toll_od",
    "random_control",
)
"""In the order in which they run: the random control moves as many as the coalition."""
WORLDS = PRINCIPAL_WORLDS + MARKET_WORLDS
QUEUE_WORLDS = (*PRINCIPAL_WORLDS, "coalition")
"""Worlds of queue traffic."""


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
        require_names(spec, source=path, folder=path.resolve().parent)
    return spec, path.resolve().parent


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system, or a folder that may not be looked into
        return False


def require_names(spec: ScenarioSpec, *, source: Path | None = None, folder: Path | None = None) -> None:
    """Raise InputError unless the worlds, the bundled city and the strategies of a scenario exist.

    Strategies by import path are imported for it, from `folder` first; see `sim.negotiation.strategies.find_strategy`.
    """
    _require_worlds(spec.worlds.run, source=source)
    if isinstance(spec.traffic, QueueSettings):
        _require_queue_worlds(spec, spec.traffic, source)
    else:
        require_static_market(spec, source)
        if spec.incident:
            raise InputError("belongs to queue traffic", source=source, where="incident", allowed='traffic.model = "queue"')
    if spec.market.strategies:
        _require_strategies(spec.market.strategies, source, folder)
    if isinstance(spec.network, BundledNetwork) and spec.network.city not in bundled_cities():
        allowed = ", ".join(bundled_cities())
        raise InputError(f"there is no bundled city {spec.network.city!r}", source=source, where="network.city", allowed=allowed)


def _require_queue_worlds(spec: ScenarioSpec, settings: QueueSettings, source: Path | None) -> None:
    """Raise InputError where a scenario asks for what queue traffic does not have."""
    for name in spec.worlds.run:
        if name not in QUEUE_WORLDS:
            allowed = f'{", ".join(QUEUE_WORLDS)} with traffic.model = "queue"'
            raise InputError(
                f"the world {name!r} is not there in queue traffic", source=source, where="worlds.run", allowed=allowed
            )
    if spec.incident:
        for key, chosen, allowed in (
            ("behaviour", settings.behaviour != "equilibrium", '"equilibrium"'),
            ("gridlock", settings.gridlock == "hold", '"rotate"'),
            ("departure_choice", settings.departure_choice is not None, "none"),
        ):
            if chosen:
                raise InputError("an incident with that", source=source, where=f"traffic.{key}", allowed=allowed)
    if "optimum" in spec.worlds.run:
        # The best day is looked for among days that end, and with everybody's departure as it is.
        for key, chosen in (
            ("gridlock", settings.gridlock == "hold"),
            ("departure_choice", settings.departure_choice is not None),
        ):
            if chosen:
                what = f"traffic.{key}{' = ' + repr('hold') if key == 'gridlock' else ''}"
                raise InputError(f"the world 'optimum' with {what}", source=source, where="worlds.run", allowed='["selfish"]')
    if "coalition" in spec.worlds.run:
        require_queue_market(spec, settings, source)
    if settings.behaviour == "given" and not isinstance(spec.demand, TripsDemand):
        problem = "ways that are given, and the demand is no list of trips"
        raise InputError(problem, source=source, where="traffic.behaviour", allowed='demand.source = "trips" with a column path')
    if spec.demand.counts is not None:
        problem = "link counts, which correct the demand of static traffic"
        raise InputError(problem, source=source, where="demand.counts", allowed='traffic.model = "static"')


def _require_strategies(names: Iterable[str], source: Path | None, folder: Path | None) -> None:
    from sim.negotiation.strategies import find_strategy

    for name in names:
        try:
            find_strategy(name, folder)
        except InputError as error:
            raise InputError(error.problem, source=source, where=error.where, allowed=error.allowed) from error


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
