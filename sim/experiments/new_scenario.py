"""A new scenario file, ready to run: what `routepact init` does."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from sim.demand.zoning import lived_in_length_m
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city, save_network
from sim.spec import parse_scenario

TRIPS_PER_PERSON_PER_H = 0.13
"""Car trips in the peak hour for each inhabitant, as in the default city (60,000 for 452,000 people)."""
DEFAULT_CITY = "coquimbo"
DEFAULT_CITY_PEOPLE = 452_000
_DEFAULT_NETWORK = {"source": "bundled", "city": DEFAULT_CITY}
_NODES_PER_ZONE = 60
_MOST_ZONES = 150


@dataclass(frozen=True)
class NewScenario:
    """Files that were written, what was assumed in words, and what the reader of the streets wants the user to know."""

    scenario: Path
    network: Path | None
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def new_scenario(name: str, folder: Path, *, file: Path | None = None, place: str | None = None) -> NewScenario:
    """Write NAME.toml into `folder`, and beside it NAME.network.npz where the streets come from a file or a place.

    Without either, the scenario uses the default city. The number of trips follows the length of lived-in streets, scaled from
    the default city.

    Raises
    ------
    InputError
        Both or a bad file were named, the name is none, or a file of that name is there already.
    DownloadError
        The place could not be downloaded.
    """
    if file is not None and place is not None:
        raise InputError("both --file and --place were given", allowed="one of the two")
    scenario_path, network_path = folder / f"{name}.toml", folder / f"{name}.network.npz"
    _require_name(name)
    for path in (scenario_path, network_path):
        if path.exists():
            raise InputError("exists already and will not be overwritten", source=path, allowed="another name")
    if file is None and place is None:
        table = _table(name, _DEFAULT_NETWORK, TRIPS_PER_PERSON_PER_H * DEFAULT_CITY_PEOPLE, _MOST_ZONES)
        _write_files(folder, name, table, None)
        people = (
            f"{TRIPS_PER_PERSON_PER_H * DEFAULT_CITY_PEOPLE:,.0f} car trips in the peak hour of {DEFAULT_CITY_PEOPLE:,} people"
        )
        return NewScenario(scenario_path, None, (f"the streets are those of the default city, {DEFAULT_CITY}", people))
    network = _read(name, file, place)
    trips_per_h = likely_trips_per_h(network)
    n_zones = max(2, min(_MOST_ZONES, network.n_nodes // _NODES_PER_ZONE))
    _write_files(folder, name, _table(name, {"source": "osm", "file": network_path.name}, trips_per_h, n_zones), network)
    assumptions = (
        f"{trips_per_h:,.0f} car trips in the peak hour, from the length of lived-in streets as in the default city: "
        "set demand.trips_per_h to what you know",
        f"{n_zones} zones are made automatically",
    )
    return NewScenario(scenario_path, network_path, assumptions, network.cleaning.warnings)


def likely_trips_per_h(network: RoadNetwork) -> float:
    """Return a first guess of the peak hour's car trips, rounded to two digits.

    It is the default city's trips a metre of lived-in street times the metres here.
    """
    per_metre = TRIPS_PER_PERSON_PER_H * DEFAULT_CITY_PEOPLE / float(lived_in_length_m(load_city(DEFAULT_CITY)).sum())
    guess = per_metre * float(lived_in_length_m(network).sum())
    return float(f"{max(guess, 1.0):.2g}")


def _require_name(name: str) -> None:
    """Refuse a bad name before any work."""
    try:
        parse_scenario(_table(name, _DEFAULT_NETWORK, 1.0, 2))
    except InputError as error:
        raise InputError(error.problem, source="NAME", allowed=error.allowed) from None


def _read(name: str, file: Path | None, place: str | None) -> RoadNetwork:
    from sim.network.osm import download_place, read_osm  # OSMnx takes seconds to import

    if file is not None:
        return read_osm(file, name=name)
    assert place is not None  # one of the two was given
    return download_place(place)


def _table(name: str, network: dict[str, str], trips_per_h: float, n_zones: int) -> dict[str, object]:
    return {
        "name": name,
        "description": "",
        "seed": 1,
        "network": network,
        "demand": {
            "source": "gravity",
            "trips_per_h": trips_per_h,
            "zones": n_zones,
            "deterrence_km": 5.0,
            "profile": {"shape": "peak"},
        },
        "traffic": {"model": "static", "gap": 1e-6},
        "worlds": {"run": ["selfish", "optimum"]},
    }


def _write_files(folder: Path, name: str, table: dict[str, object], network: RoadNetwork | None) -> None:
    """Write the scenario and its network; both appear whole, the scenario last, or neither does."""
    partial = folder / f".{name}.partial-{uuid.uuid4().hex[:12]}"
    scenario_name, network_name = f"{name}.toml", f"{name}.network.npz"
    try:
        partial.mkdir()
        try:
            (partial / scenario_name).write_text(tomli_w.dumps(table), encoding="utf-8")
            if network is not None:
                save_network(network, partial / network_name)
                (partial / network_name).rename(folder / network_name)
            (partial / scenario_name).rename(folder / scenario_name)
        except BaseException:
            if network is not None and not (partial / network_name).exists():
                (folder / network_name).unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(partial)
    except OSError as error:
        place = folder.resolve()
        raise InputError(
            f"cannot be written: {error.strerror}", source=place, allowed="a folder that may be written to"
        ) from None
