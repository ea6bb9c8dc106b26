"""Grids of residents and jobs: which zone a point counts for, what is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.demand.build import build_demand
from sim.demand.grids import read_zone_weights
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid
from sim.spec import GravityDemand


def town(crs: str | None = "EPSG:4326") -> RoadNetwork:
    """A grid of 3 x 3 nodes, 0.01 degrees apart (about 1.1 km), around 0 degrees."""
    network = grid(3, 3, block_m=1100.0, free_speed_kph=50.0, capacity_vph=900.0)
    x, y = (network.node_x / 1100.0 * 0.01, network.node_y / 1100.0 * 0.01)
    return network.replace(crs=crs, node_x=x, node_y=y, zone_id=np.arange(1, 10), zone_node_idx=np.arange(9, dtype=np.int32))


def write(path: Path, rows: list[tuple[float, float, float]], header: str = "lon,lat,weight") -> Path:
    path.write_text("\n".join([header, *(f"{lon},{lat},{weight}" for lon, lat, weight in rows)]) + "\n")
    return path


def test_points_count_for_the_nearest_zone_and_far_ones_for_none(tmp_path: Path) -> None:
    network = town()
    places = list(zip(network.node_x.tolist(), network.node_y.tolist(), strict=True))
    rows = [(x + 0.002, y - 0.002, 10.0 * number) for number, (x, y) in enumerate(places)]
    path = write(tmp_path / "people.csv", [*rows, (5.0, 5.0, 40.0)])
    zones = np.arange(9, dtype=np.int32)
    found = read_zone_weights(path, network, network.zone_node_idx, zones, 9)
    assert found.weight.tolist() == [10.0 * number for number in range(9)]
    assert found.share_left_out == pytest.approx(40.0 / 400.0)


def test_a_projected_network_finds_the_same_zones(tmp_path: Path) -> None:
    network = town()
    projected = network.replace(crs="EPSG:3857", node_x=network.node_x * 111319.49, node_y=network.node_y * 111319.49)
    path = write(tmp_path / "people.csv", [(0.0, 0.0, 1.0), (0.02, 0.02, 2.0)])
    zones = np.arange(9, dtype=np.int32)
    weights = [read_zone_weights(path, city, city.zone_node_idx, zones, 9).weight.tolist() for city in (network, projected)]
    assert weights[0] == weights[1]


def test_gravity_demand_follows_the_grids(tmp_path: Path) -> None:
    network = town()
    places = list(zip(network.node_x.tolist(), network.node_y.tolist(), strict=True))
    homes = [8.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    write(tmp_path / "homes.csv", [(x, y, weight) for (x, y), weight in zip(places, homes, strict=True)])
    write(tmp_path / "jobs.csv", [(x, y, weight) for (x, y), weight in zip(places, homes[::-1], strict=True)])
    spec = GravityDemand(source="gravity", trips_per_h=1600.0, production_grid="homes.csv", attraction_grid="jobs.csv")
    built = build_demand(spec, network, tmp_path, 1)
    produced = np.bincount(built.od.origin_zone_idx, weights=built.od.demand_vph, minlength=9)
    attracted = np.bincount(built.od.destination_zone_idx, weights=built.od.demand_vph, minlength=9)
    np.testing.assert_allclose(produced, 100.0 * np.array(homes), atol=8.0)
    np.testing.assert_allclose(attracted, 100.0 * np.array(homes[::-1]), atol=8.0)
    assert any("homes.csv" in note for note in built.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat,weight\n0,91,1\n", "lat is 91"),
        ("lon,lat,weight\n-181,0,1\n", "lon is '-181'"),
        ("lon,lat,weight\n0,0,-1\n", "weight is '-1'"),
        ("lon,lat,weight\n0,0,nan\n", "weight"),
        ("lon,lat\n0,0\n", "the column weight is missing"),
        ("lon,lat,weight\n", "no points"),
        ("lon,lat,weight\n50,50,1\n", "no weight within 2000 m"),
    ],
)
def test_bad_grids_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    network = town()
    with pytest.raises(InputError, match=r"people\.csv") as error:
        read_zone_weights(path, network, network.zone_node_idx, np.arange(9, dtype=np.int32), 9)
    assert words in str(error.value)


def test_a_network_without_a_place_on_the_earth_is_refused(tmp_path: Path) -> None:
    path, network = write(tmp_path / "people.csv", [(0.0, 0.0, 1.0)]), town(crs=None)
    with pytest.raises(InputError, match="no coordinates on the earth"):
        read_zone_weights(path, network, network.zone_node_idx, np.arange(9, dtype=np.int32), 9)
