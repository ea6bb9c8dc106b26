"""From the demand section of a scenario to travellers, for each source."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from sim.demand.build import build_demand
from sim.demand.gravity import zone_distances_km
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city
from sim.network.synthetic import braess, grid, parallel, pigou
from sim.spec import GravityDemand, OdDemand, SyntheticDemand, TntpDemand

HERE = Path()


def streets_only(rows: int, columns: int) -> RoadNetwork:
    network = grid(rows, columns)
    return network.replace(name="streets", zone_id=network.zone_id[:0], zone_node_idx=network.zone_node_idx[:0])


@pytest.mark.parametrize(
    ("network", "total_vph", "n_cells"),
    [(pigou(), 1.0, 1), (braess(), 6.0, 1), (parallel(4), 4800.0, 1), (grid(10, 10), 10_800.0, 12)],
)
def test_textbook_demand(network: RoadNetwork, total_vph: float, n_cells: int) -> None:
    built = build_demand(SyntheticDemand(source="synthetic"), network, HERE, 1)
    assert built.od.total_vph == pytest.approx(total_vph, rel=1e-12)
    assert built.od.n_cells == n_cells
    assert built.network is network
    assert "synthetic" in built.notes[0]
    halved = build_demand(SyntheticDemand(source="synthetic", demand_vph=90.0, scale=0.5), network, HERE, 1)
    assert halved.od.total_vph == pytest.approx(45.0, rel=1e-12)


def test_synthetic_demand_needs_a_synthetic_network() -> None:
    with pytest.raises(InputError, match=r"demand\.source.*streets.*gravity"):
        build_demand(SyntheticDemand(source="synthetic"), streets_only(3, 3), HERE, 1)


def test_tntp_demand_is_scaled_and_tells_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.tntp").write_text("<NUMBER OF ZONES> 1\n<END OF METADATA>\nOrigin 1\n 1 : 3;\n")
    with pytest.raises(InputError, match=r"t\.tntp.*no trips between"):
        build_demand(TntpDemand(source="tntp", trips="t.tntp"), grid(2, 2), tmp_path, 1)
    (tmp_path / "t.tntp").write_text("<NUMBER OF ZONES> 3\n<END OF METADATA>\nOrigin 1\n 1 : 3; 2 : 4; 2 : 1;\n")
    built = build_demand(TntpDemand(source="tntp", trips="t.tntp", scale=2.0), grid(2, 2), tmp_path, 1)
    assert built.od.demand_vph.tolist() == [10.0]
    assert built.population.n_travellers == 10
    text = " ".join(built.notes)
    assert "6 vehicles travel inside their zone" in text and "repeat a pair" in text and "3 zones, the network 4" in text


def test_od_demand_makes_zones_of_nodes(tmp_path: Path) -> None:
    (tmp_path / "od.csv").write_text("origin,destination,demand_vph\n1,9,30\n9,5,12\n")
    spec = OdDemand(source="od", file="od.csv", vehicles_per_traveller=10.0)
    built = build_demand(spec, streets_only(3, 3), tmp_path, 1)
    assert built.network.zone_id.tolist() == [1, 5, 9] == built.od.zone_id.tolist()
    assert built.population.weight.tolist() == [10.0] * 3 + [12.0]
    assert "nodes" in built.notes[0]


def test_gravity_demand_is_whole_and_exact() -> None:
    spec = GravityDemand(source="gravity", trips_per_h=1000.0, zones=12, deterrence_km=1.0, scale=0.5)
    built = build_demand(spec, streets_only(12, 12), HERE, 3)
    assert built.od.total_vph == 500.0
    assert built.population.n_travellers == 500
    assert set(built.population.weight.tolist()) == {1.0}
    assert built.network.n_zones == 12
    assert "synthetic" in built.notes[0] and "density of nodes" in built.notes[1]
    again = build_demand(spec, streets_only(12, 12), HERE, 3)
    assert again.od.demand_vph.tobytes() == built.od.demand_vph.tobytes()
    other = build_demand(spec, streets_only(12, 12), HERE, 4)
    assert other.od.demand_vph.tobytes() != built.od.demand_vph.tobytes()


def test_gravity_demand_uses_the_zones_that_are_there() -> None:
    network = grid(4, 4)
    built = build_demand(GravityDemand(source="gravity", trips_per_h=100.0), network, HERE, 1)
    assert built.network is network
    np.testing.assert_allclose(np.bincount(built.od.origin_zone_idx, weights=built.od.demand_vph), [25.0] * 4, atol=1.0)
    assert "own 4 zones" in built.notes[1]


@pytest.mark.parametrize("zones", [2, 3])
def test_few_zones_can_be_balanced(zones: int) -> None:
    built = build_demand(GravityDemand(source="gravity", trips_per_h=600.0, zones=zones), streets_only(5, 9), HERE, 1)
    assert built.od.total_vph == 600.0 and built.network.n_zones == zones


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (GravityDemand(source="gravity", trips_per_h=0.3, zones=2), r"demand\.trips_per_h.*0\.3"),
        (GravityDemand(source="gravity", trips_per_h=1e300, zones=2), r"demand\.trips_per_h"),
        (GravityDemand(source="gravity", trips_per_h=10.0, zones=26), r"demand\.zones.*1 to 25"),
    ],
)
def test_impossible_gravity_demand_is_refused(spec: GravityDemand, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_demand(spec, streets_only(5, 5), HERE, 1)


def test_zones_without_a_way_are_refused_by_name() -> None:
    network = streets_only(2, 4)
    # Node 8 loses its way out: a zone there can only be reached.
    kept = network.tail_idx != 7
    columns = {
        column.name: getattr(network, column.name)[kept]
        for column in fields(network)
        if isinstance(getattr(network, column.name), np.ndarray) and len(getattr(network, column.name)) == network.n_links
    }
    broken = network.replace(**columns, geometry_start=np.zeros(int(kept.sum()) + 1, dtype=np.int64))
    with pytest.raises(InputError, match="has no way to any other"):
        build_demand(GravityDemand(source="gravity", trips_per_h=100.0, zones=8), broken, HERE, 1)


def test_default_city() -> None:
    """60,000 travellers of weight 1 from 150 zones, none of them idle, about 6 km each."""
    built = build_demand(GravityDemand(source="gravity", trips_per_h=60_000.0), load_city("coquimbo"), HERE, 1)
    od = built.od
    assert built.population.n_travellers == 60_000 and set(built.population.weight.tolist()) == {1.0}
    started = np.bincount(od.origin_zone_idx, weights=od.demand_vph, minlength=150)
    ended = np.bincount(od.destination_zone_idx, weights=od.demand_vph, minlength=150)
    assert started.sum() == ended.sum() == 60_000.0
    assert started.min() > 380 and started.max() < 420
    assert ended.min() >= 1 and ended.max() > 2 * ended.mean()
    distance_km = zone_distances_km(built.network)
    assert np.average(distance_km[od.origin_zone_idx, od.destination_zone_idx], weights=od.demand_vph) == pytest.approx(
        6.0, abs=0.3
    )
    assert len(built.notes) == 2


def test_import_is_light() -> None:
    """A short command must not pay for tables and maps that it does not show."""
    heavy = ("pandas", "geopandas", "osmnx", "shapely", "mesa")
    code = f"import sys, sim.demand.build; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
