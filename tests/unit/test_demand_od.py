"""Matrices from files: what is kept, what is refused, and what the refusal says."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sim.demand.od import od_from_cells, od_from_csv, od_from_tntp, zones_from_nodes
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid, plain_network
from sim.network.tntp import read_tntp_network

HEADER = "origin,destination,demand_vph\n"


@pytest.fixture
def four_zones() -> RoadNetwork:
    """A grid whose zones are the nodes 1, 3, 7 and 9."""
    return grid(3, 3)


@pytest.fixture
def no_zones() -> RoadNetwork:
    """A triangle of nodes 1, 2, 3 without zones."""
    return plain_network(
        "triangle",
        node_xy=[(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)],
        tail_idx=[0, 1, 2],
        head_idx=[1, 2, 0],
        free_flow_time_s=[10.0] * 3,
        capacity_vph=[500.0] * 3,
    )


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "od.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_cells_are_sorted_summed_and_split(tmp_path: Path, four_zones: RoadNetwork) -> None:
    rows = "9,1,5\n1,3,2.5\n1,9,0\n1,3,1.5\n7,7,40\n"
    od = od_from_csv(csv_file(tmp_path, HEADER + rows), four_zones)
    assert od.zone_id.tolist() == [1, 3, 7, 9]
    assert od.origin_zone_idx.tolist() == [0, 3]
    assert od.destination_zone_idx.tolist() == [1, 0]
    assert od.demand_vph.tolist() == [4.0, 5.0]
    assert od.intrazonal_vph == 40.0


def test_column_order_blank_lines_byte_order_mark_and_gzip_do_not_matter(tmp_path: Path, four_zones: RoadNetwork) -> None:
    plain = od_from_csv(csv_file(tmp_path, HEADER + "1,3,2\n"), four_zones)
    packed = tmp_path / "od.csv.gz"
    packed.write_bytes(gzip.compress("\ufeffnote, demand_vph ,destination,origin\r\nx,2,3, 1\r\n\r\n".encode()))
    other = od_from_csv(packed, four_zones)
    assert other.origin_zone_idx.tolist() == plain.origin_zone_idx.tolist()
    assert other.demand_vph.tolist() == plain.demand_vph.tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (HEADER + "1,3,2\n1,4,2\n", ["line 3", "destination '4'", "no such zone", "1, 3, 7, ..."]),
        (HEADER + "5,3,2\n", ["line 2", "origin '5'", "no such zone"]),
        (HEADER + "1,3,-1\n", ["line 2", "'-1'", "0 or above"]),
        (HEADER + "1,3,nan\n", ["line 2", "'nan'"]),
        (HEADER + "1,3,inf\n", ["line 2", "'inf'"]),
        (HEADER + "1,3,many\n", ["line 2", "'many'"]),
        (HEADER + "1,3\n", ["line 2", "2 fields", "3 fields"]),
        ("origin,destination,trips\n1,3,4\n", ["line 1", "demand_vph is missing", "origin, destination, demand_vph"]),
        ("origin,origin,destination,demand_vph\n1,1,3,4\n", ["line 1", "origin is there 2 times"]),
        (HEADER, ["no trips between different zones"]),
        (HEADER + "1,3,0\n7,7,3\n", ["no trips between different zones"]),
        ("", ["empty"]),
        (HEADER + "1,3," + "9" * 200_000 + "\n", ["no CSV"]),
    ],
)
def test_bad_rows_are_refused_with_their_place(tmp_path: Path, four_zones: RoadNetwork, text: str, parts: list[str]) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        od_from_csv(path, four_zones)
    assert str(path) in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_binary_and_missing_files_are_refused(tmp_path: Path, four_zones: RoadNetwork) -> None:
    junk = tmp_path / "junk.csv"
    generator = np.random.default_rng(3)
    for _ in range(20):
        junk.write_bytes(generator.bytes(300))
        with pytest.raises(InputError, match=r"junk\.csv"):
            od_from_csv(junk, four_zones)
    with pytest.raises(InputError, match="no such file"):
        od_from_csv(tmp_path / "absent.csv", four_zones)


def test_without_zones_the_named_nodes_are_zones(tmp_path: Path, no_zones: RoadNetwork) -> None:
    od = od_from_csv(csv_file(tmp_path, HEADER + "3,1,7\n"), no_zones)
    assert od.zone_id.tolist() == [1, 3]
    assert (od.origin_zone_idx.tolist(), od.destination_zone_idx.tolist()) == ([1], [0])
    network = zones_from_nodes(no_zones, od.zone_id)
    assert network.zone_node_idx.tolist() == [0, 2]
    with pytest.raises(InputError, match="no such node"):
        od_from_csv(csv_file(tmp_path, HEADER + "3,4,7\n"), no_zones)
    for bad in ([1, 4], [1, 1]):
        with pytest.raises(InputError, match="does not exist or is named twice"):
            zones_from_nodes(no_zones, np.array(bad))


def tntp_file(folder: Path, n_zones: int, body: str) -> Path:
    path = folder / "trips.tntp"
    path.write_text(f"<NUMBER OF ZONES> {n_zones}\n<END OF METADATA>\n{body}", encoding="utf-8")
    return path


def test_tntp_table_becomes_a_matrix(tmp_path: Path) -> None:
    network = grid(2, 2)
    od = od_from_tntp(tntp_file(tmp_path, 4, "Origin 1\n 1 : 3; 2 : 5;\nOrigin 4\n 3 : 0; 1 : 2;\n"), network)
    assert od.origin_zone_idx.tolist() == [0, 3]
    assert od.destination_zone_idx.tolist() == [1, 0]
    assert od.demand_vph.tolist() == [5.0, 2.0]
    assert od.intrazonal_vph == 3.0


def test_tntp_table_has_to_fit_the_network(tmp_path: Path, four_zones: RoadNetwork, no_zones: RoadNetwork) -> None:
    with pytest.raises(InputError, match="5 zones, more than the 4"):
        od_from_tntp(tntp_file(tmp_path, 5, "Origin 1\n 2 : 5;\n"), four_zones)
    with pytest.raises(InputError, match="zone 2 does not exist"):
        od_from_tntp(tntp_file(tmp_path, 4, "Origin 1\n 2 : 5;\n"), four_zones)
    with pytest.raises(InputError, match="needs a network with zones"):
        od_from_tntp(tntp_file(tmp_path, 2, "Origin 1\n 2 : 5;\n"), no_zones)


def test_repeated_pairs_are_summed_in_any_order() -> None:
    zone_id = np.array(["a", "b", "c"], dtype=object)
    od = od_from_cells(zone_id, np.array([2, 0, 2]), np.array([1, 2, 1]), np.array([1.0, 2.0, 3.0]), source="x")
    assert od.origin_zone_idx.tolist() == [0, 2]
    assert od.demand_vph.tolist() == [2.0, 4.0]


@pytest.mark.shared_data
def test_benchmark_totals(shared_data: Path) -> None:
    """Totals as data/README of the benchmark networks states them."""
    folder = shared_data / "tntp"
    sioux = read_tntp_network(folder / "SiouxFalls/SiouxFalls_net.tntp")
    assert od_from_tntp(folder / "SiouxFalls/SiouxFalls_trips.tntp", sioux).total_vph == pytest.approx(360_600.0, rel=1e-12)
    chicago = read_tntp_network(folder / "Chicago-Sketch/ChicagoSketch_net.tntp")
    od = od_from_tntp(folder / "Chicago-Sketch/ChicagoSketch_trips.tntp.gz", chicago)
    assert od.intrazonal_vph == pytest.approx(123_414, rel=1e-6)
    assert od.total_vph + od.intrazonal_vph == pytest.approx(1_260_907.44, rel=1e-9)
