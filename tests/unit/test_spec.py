from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.bundled import bundled_scenarios
from sim.errors import InputError
from sim.spec import ScenarioSpec, TntpDemand, load_scenario, parse_scenario
from sim.spec_networks import SyntheticNetwork

SMALL: dict[str, Any] = {
    "name": "small",
    "network": {"source": "synthetic", "kind": "braess"},
    "demand": {"source": "synthetic"},
}


def with_key(path: str, value: Any) -> dict[str, Any]:
    """Return the small scenario with one key set."""
    table: dict[str, Any] = {key: dict(inner) if isinstance(inner, dict) else inner for key, inner in SMALL.items()}
    *sections, key = path.split(".")
    inner = table
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[key] = value
    return table


def test_defaults() -> None:
    spec = parse_scenario(SMALL)
    assert (spec.seed, spec.traffic.gap, spec.demand.scale, spec.worlds.run) == (1, 1e-6, 1.0, ("selfish", "optimum"))
    assert isinstance(spec.network, SyntheticNetwork)


def test_whole_numbers_are_numbers() -> None:
    spec = parse_scenario(with_key("demand.scale", 2))
    assert spec.demand.scale == 2.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("seed", 2**63),
        ("seed", "1"),
        ("seed", 1.5),
        ("name", ""),
        ("name", "../etc"),
        ("name", "a" * 65),
        ("traffic.gap", 0.0),
        ("traffic.gap", 1.0),
        ("traffic.gap", float("nan")),
        ("traffic.gap", "1e-6"),
        ("traffic.gap", True),
        ("traffic.model", "fluid"),
        ("traffic.max_iterations", 0),
        ("traffic.days", 0),
        ("traffic.atomic_gap", -1e-9),
        ("demand.scale", 0.0),
        ("demand.scale", -1.0),
        ("demand.scale", float("inf")),
        ("demand.vehicles_per_traveller", 0),
        ("demand.source", "wishes"),
        ("network.kind", "torus"),
        ("network.rows", 1),
        ("network", "braess"),
        ("worlds.run", "selfish"),
        ("worlds.run", [1]),
    ],
)
def test_bad_values_are_refused_with_their_key(key: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_scenario(with_key(key, value), source="x.toml")
    assert str(caught.value).startswith(f"x.toml, {key.split('.')[0]}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["sede", "traffic.gapp", "network.row", "demand.trips_per_h", "demand.value_of_time.average"])
def test_unknown_keys_are_refused_and_the_known_ones_named(key: str) -> None:
    with pytest.raises(InputError, match="unknown key") as caught:
        parse_scenario(with_key(key, 3))
    assert caught.value.where == key
    assert caught.value.allowed


@pytest.mark.parametrize("missing", ["name", "network", "demand"])
def test_missing_sections(missing: str) -> None:
    with pytest.raises(InputError, match="missing"):
        parse_scenario({key: value for key, value in SMALL.items() if key != missing})


def test_osm_wants_a_file_or_a_place() -> None:
    for network in ({"source": "osm"}, {"source": "osm", "file": "a.osm", "place": "Delft"}):
        with pytest.raises(InputError, match="either a file or a place"):
            parse_scenario({**SMALL, "network": network})


def test_classes_of_value_of_time_belong_together() -> None:
    good = {"distribution": "classes", "classes": {"rich": 40.0, "poor": 8.0}, "shares": {"rich": 0.2, "poor": 0.8}}
    assert parse_scenario(with_key("demand.value_of_time", good)).demand.value_of_time.classes["rich"] == 40.0
    for change in ({"classes": {}}, {"shares": {"rich": 1.0}}):
        with pytest.raises(InputError, match="classes"):
            parse_scenario(with_key("demand.value_of_time", {**good, **change}))


def test_a_spec_does_not_change() -> None:
    spec = parse_scenario(SMALL)
    with pytest.raises(Exception, match="frozen"):
        spec.seed = 5  # type: ignore[misc]


def test_settings_and_seed(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\n[network]\nsource = "tntp"\nnet = "a_net.tntp"\n[demand]\nsource = "tntp"\ntrips = "a_trips.tntp"\n',
        encoding="utf-8",
    )
    spec = load_scenario(
        path, ["traffic.gap=1e-4", "demand.scale = 0.5", "network.net=b_net.tntp", 'worlds.run=["selfish"]'], seed=9
    )
    assert (spec.traffic.gap, spec.demand.scale, spec.seed, spec.worlds.run) == (1e-4, 0.5, 9, ("selfish",))
    assert spec.network.net == "b_net.tntp"  # type: ignore[union-attr]
    assert isinstance(spec.demand, TntpDemand)


@pytest.mark.parametrize("setting", ["traffic.gap", "=3", ".=3", "traffic..gap=1", "name.x=1", "traffic.gap=nan", "traffic.gap="])
def test_bad_settings(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\n[network]\nsource = "synthetic"\nkind = "braess"\n[demand]\nsource = "synthetic"\n', encoding="utf-8"
    )
    with pytest.raises(InputError):
        load_scenario(path, [setting])


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"[network", b"name = 'a'\nname = 'b'"])
def test_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.toml"):
        load_scenario(path)
    with pytest.raises(InputError, match="no such file"):
        load_scenario(tmp_path / "absent.toml")


def test_bundled_scenarios_are_sound() -> None:
    assert {"pigou", "braess", "parallel", "grid", "city"} <= set(bundled_scenarios())
    for path in bundled_scenarios().values():
        assert isinstance(load_scenario(path), ScenarioSpec)
