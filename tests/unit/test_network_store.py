"""The project's own file form, and the bundled city in it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from sim.errors import InputError
from sim.network import store
from sim.network.road_network import CleaningReport, RoadNetwork
from sim.network.store import load_city, load_network, save_network
from sim.network.synthetic import braess, grid, parallel, pigou
from sim.network.turn_table import TurnTable, turn_table


def assert_same(first: RoadNetwork | TurnTable, second: RoadNetwork | TurnTable) -> None:
    for column in fields(first):
        one, other = getattr(first, column.name), getattr(second, column.name)
        if isinstance(one, TurnTable):
            assert_same(one, other)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, err_msg=column.name)
            assert one.dtype == other.dtype or one.dtype.kind in "OU", column.name
        else:
            assert one == other, column.name


def test_turns_are_saved_and_change_the_version(tmp_path: Path) -> None:
    network = grid(4, 3)
    head_of_first = network.head_idx[0]
    after = int(np.flatnonzero(network.tail_idx == head_of_first)[0])
    beyond = int(np.flatnonzero(network.tail_idx == network.head_idx[after])[0])
    turns = turn_table([(0, after), (0, after, beyond)], {(0, after): 2.5})
    save_network(network.replace(turns=turns), tmp_path / "turns.npz")
    assert_same(network.replace(turns=turns), load_network(tmp_path / "turns.npz"))
    save_network(network, tmp_path / "plain.npz")
    assert b"delay_s" not in (tmp_path / "plain.npz").read_bytes()


@pytest.mark.parametrize("network", [pigou(4.0), braess(), parallel(3), grid(4, 3)], ids=lambda network: network.name)
def test_a_saved_network_comes_back_to_the_bit(tmp_path: Path, network: RoadNetwork) -> None:
    save_network(network, tmp_path / "n.npz")
    assert_same(network, load_network(tmp_path / "n.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["n.npz"]


def test_names_texts_and_missing_coordinates_come_back(tmp_path: Path) -> None:
    network = grid(2, 2).replace(
        crs="EPSG:4326",
        node_x=np.array([-71.1234567, 0.0, np.nan, 180.0]),
        node_y=np.array([-29.9, 0.0, np.nan, 90.0]),
        node_id=np.array(["a", "b", "ç", "a long one"]),
        street_names=("", "Ñuñoa"),
        street_name_code=np.array([0, 1] * 4),
        cleaning=CleaningReport({"self_loops": 3}, ("careful",)),
        time_unit_s=60.0,
    )
    save_network(network, tmp_path / "n.npz")
    assert_same(network, load_network(tmp_path / "n.npz"))


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    save_network(grid(5, 5), tmp_path / "a.npz")
    time.sleep(0.01)
    save_network(load_network(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def rewritten(path: Path, member: str, content: bytes | None) -> Path:
    """Write a copy of an archive with one member exchanged (None leaves it out)."""
    copy = path.with_name("rewritten.npz")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            if name != member:
                target.writestr(name, source.read(name))
            elif content is not None:
                target.writestr(name, content)
    return copy


def npy(array: object, *, allow_pickle: bool = False) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(array), allow_pickle=allow_pickle)
    return content.getvalue()


def about(path: Path, **changes: object) -> bytes:
    table = json.loads(np.load(path)["about"].tobytes())
    return npy(np.frombuffer(json.dumps({**table, **changes}).encode(), dtype=np.uint8))


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.npz"
    save_network(grid(3, 3), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (
        b"PK\x03\x04",
        b"random bytes" * 30,
        whole[:middle],
        whole[:middle] + b"\x00\xff\x00" + whole[middle + 3 :],
        whole[100:],
    ):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz"):
            load_network(tmp_path / "bad.npz")
    for member, new, expected in (
        ("about.npy", None, "another kind"),
        ("about.npy", npy(np.zeros(3, dtype=np.uint8)), "another kind"),
        ("about.npy", about(path, format="other"), "another kind"),
        ("about.npy", about(path, version=store.TURNS_VERSION + 1), "format version 3"),
        ("tail_idx.npy", None, "tail_idx: is missing"),
        ("tail_idx.npy", npy(np.zeros(24)), "tail_idx: is missing or of the wrong type"),
        ("tail_idx.npy", npy(np.full(24, 99, dtype=np.int32)), "tail_idx: a position outside"),
        ("node_id.npy", npy(np.array([None, {}]), allow_pickle=True), "is no whole network file"),
        ("geometry_x.npy", npy(np.zeros(3)), "shapes"),
        ("capacity_vph.npy", npy(np.zeros(24)), "capacity_vph: 0.0"),
    ):
        with pytest.raises(InputError, match=expected):
            load_network(rewritten(path, member, new))
    with pytest.raises(InputError, match="no such file"):
        load_network(tmp_path / "missing.npz")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        save_network(grid(2, 2), tmp_path / "no" / "n.npz")


def test_the_bundled_city() -> None:
    city = load_city("coquimbo")
    assert (city.n_nodes, city.n_links, city.n_zones) == (8704, 22205, 0)
    # The source graph has 22,259 links: the others start and end at the same node.
    assert city.n_links + city.cleaning.counts["self_loops"] == 22259
    assert city.crs == "EPSG:4326" and city.node_passable.all()
    assert -71.5 < city.node_x.min() < city.node_x.max() < -71.0 and -30.3 < city.node_y.min() < city.node_y.max() < -29.7
    assert "Avenida Los Clarines" in city.street_names
    per_lane_vph = city.capacity_vph / city.lanes
    assert per_lane_vph.min() == 300.0 and per_lane_vph.max() == 2000.0
    assert city.free_flow_time_s == pytest.approx(city.length_m / (city.free_speed_kph / 3.6))


def test_an_unknown_city_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"'atlantis' \(allowed: coquimbo"):
        load_city("atlantis")


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys, sim.network.tntp, sim.network.synthetic, sim.network.connectors; from sim.network.store import load_city;"
        "load_city('coquimbo');"
        "print({'osmnx', 'osmium', 'geopandas', 'pandas', 'networkx', 'scipy', 'shapely', 'numba'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
