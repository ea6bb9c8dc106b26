"""Lists of trips, demand tables of GMNS tools and OMX matrices."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim.demand.build import build_demand
from sim.demand.od import od_from_gmns, od_from_omx
from sim.demand.trip_list import read_trip_list
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.synthetic import grid
from sim.spec import TripsDemand

TRIPS = """origin,destination,departure_s,weight,vot_per_h
2,1,900,2.5,7
1,4,100,1,
1,4,,3,9
4,1,4000,1,8
3,3,5,1,
1,2,50,,
"""


@pytest.fixture
def town() -> RoadNetwork:
    """A grid with its four corners as zones 1 to 4."""
    network = grid(4, 3)
    return network.replace(zone_id=np.arange(1, network.n_zones + 1))


def saved(tmp_path: Path, text: str, name: str = "trips.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def demand(tmp_path: Path, network: RoadNetwork, text: str = TRIPS, **keys: object) -> object:
    saved(tmp_path, text)
    return build_demand(TripsDemand.model_validate({"source": "trips", "file": "trips.csv", **keys}), network, tmp_path, 1)


def test_every_row_becomes_a_traveller(tmp_path: Path, town: RoadNetwork) -> None:
    built = demand(tmp_path, town)
    population, od = built.population, built.od
    ends = [(int(od.zone_id[a]), int(od.zone_id[b])) for a, b in zip(od.origin_zone_idx, od.destination_zone_idx, strict=True)]
    assert ends == [(1, 2), (1, 4), (2, 1), (4, 1)]
    assert od.demand_vph.tolist() == [1.0, 4.0, 2.5, 1.0] and od.intrazonal_vph == 1.0
    assert population.od_idx.tolist() == [0, 1, 1, 2, 3]
    assert population.weight.tolist() == [1.0, 1.0, 3.0, 2.5, 1.0]
    assert population.departure_s[[0, 1, 3, 4]].tolist() == [50.0, 100.0, 900.0, 4000.0]
    assert 0 <= population.departure_s[2] < 3600
    assert population.vot_per_h.tolist() == [3600.0, 3600.0, 9.0, 7.0, 8.0]
    assert any("inside their zone" in note for note in built.notes)


def test_a_window_scales_to_an_hour(tmp_path: Path, town: RoadNetwork) -> None:
    built = demand(tmp_path, town, start_s=60.0, end_s=1860.0)
    # 50 s and 4000 s are outside; half an hour counts double.
    assert built.od.demand_vph.tolist() == [8.0, 5.0]
    assert built.population.departure_s[0] == 40.0
    assert any("3 trips depart outside" in note for note in built.notes)
    with pytest.raises(ValueError, match="end_s must be above start_s"):
        demand(tmp_path, town, start_s=10.0, end_s=10.0)
    with pytest.raises(ValueError, match="does not apply to a list of trips"):
        demand(tmp_path, town, vehicles_per_traveller=2.0)


def test_parquet_holds_the_same_trips(tmp_path: Path, town: RoadNetwork) -> None:
    rows = read_trip_list(saved(tmp_path, TRIPS), town)
    table = pa.table(
        {
            "origin": pa.array([2, 1, 1, 4, 3, 1]),
            "destination": pa.array([1, 4, 4, 1, 3, 2]),
            "departure_s": pa.array([900.0, 100.0, None, 4000.0, 5.0, 50.0]),
            "weight": pa.array([2.5, 1.0, 3.0, 1.0, 1.0, None]),
            "vot_per_h": pa.array([7, None, 9, 8, None, None]),
            "note": pa.array(["x"] * 6),
        }
    )
    pq.write_table(table, tmp_path / "trips.parquet")
    again = read_trip_list(tmp_path / "trips.parquet", town)
    for name in ("origin_idx", "destination_idx", "departure_s", "weight", "vot_per_h"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(again, name))


def test_nodes_stand_for_zones_where_there_are_none(tmp_path: Path) -> None:
    network = grid(3, 3).replace(zone_id=np.zeros(0, dtype=np.int64), zone_node_idx=np.zeros(0, dtype=np.int32))
    built = demand(tmp_path, network, "origin,destination\n5,2\n2,9\n")
    assert built.network.zone_id.tolist() == [2, 5, 9] == built.od.zone_id.tolist()
    assert any("nodes that trips.csv names" in note for note in built.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("origin,destination\n", "the list has no trips"),
        ("origin,ziel\n1,2\n", "line 1: the column destination is missing"),
        ("origin,destination\n1,2\n1,77\n", r"line 3: destination '77': no such zone \(allowed: one of the 4 zones: 1, 2, 3"),
        ("origin,destination,weight\n1,2,0\n", r"line 2: weight is '0'"),
        ("origin,destination,departure_s\n1,2,-5\n", r"line 2: departure_s is '-5'"),
        ("origin,destination,departure_s\n1,2,nine\n", r"line 2: departure_s is 'nine'"),
        ("origin,destination\n1,2,3\n", "is no table: .*Expected 2 columns, got 3"),
        ("origin,destination,origin\n1,2,3\n", "line 1: the column origin is there 2 times"),
        ("origin,destination\n1,1\n", "no trips between different zones"),
        ("origin\0,destination\n1,1\n", "is not a text file"),
    ],
)
def test_bad_lists_are_named_with_their_line(tmp_path: Path, town: RoadNetwork, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        demand(tmp_path, town, text)
    assert "trips.csv" in str(caught.value)


def test_a_broken_parquet_file(tmp_path: Path, town: RoadNetwork) -> None:
    with pytest.raises(InputError, match="is no Parquet file"):
        read_trip_list(saved(tmp_path, "PAR1 nonsense", "trips.parquet"), town)
    with pytest.raises(InputError, match="no such file"):
        read_trip_list(tmp_path / "nowhere.parquet", town)


def test_demand_tables_of_gmns_tools(tmp_path: Path, town: RoadNetwork) -> None:
    od = od_from_gmns(
        saved(tmp_path, "o_zone_id,d_zone_id,volume,extra\n1,2,10\n2,1,0.5\n1,2,1\n".replace("volume,extra", "volume")), town
    )
    assert od.demand_vph.tolist() == [11.0, 0.5]
    with pytest.raises(InputError, match="line 3: zone 9 does not exist"):
        od_from_gmns(saved(tmp_path, "o_zone_id,d_zone_id,volume\n1,2,10\n1,9,10\n"), town)
    with pytest.raises(InputError, match="line 2: volume is ''"):
        od_from_gmns(saved(tmp_path, "o_zone_id,d_zone_id,volume\n1,2,\n"), town)


def omx(path: Path, values: np.ndarray, *, name: str = "am", mapping: list[int] | None = None) -> Path:
    openmatrix = pytest.importorskip("openmatrix")
    with openmatrix.open_file(str(path), "a") as file:
        file[name] = values
        if mapping is not None:
            file.create_mapping("taz", mapping)
    return path


def test_matrices_of_omx(tmp_path: Path, town: RoadNetwork) -> None:
    values = np.zeros((4, 4))
    values[0, 3], values[2, 1] = 12.5, 3.0
    path = omx(tmp_path / "demand.omx", values, mapping=[4, 3, 2, 1])
    plain = od_from_omx(path, town, matrix=None, zone_mapping=None)
    assert [(int(a), int(b)) for a, b in zip(plain.origin_zone_idx, plain.destination_zone_idx, strict=True)] == [(0, 3), (2, 1)]
    mapped = od_from_omx(path, town, matrix="am", zone_mapping="taz")
    assert [(int(a), int(b)) for a, b in zip(mapped.origin_zone_idx, mapped.destination_zone_idx, strict=True)] == [
        (1, 2),
        (3, 0),
    ]
    assert mapped.demand_vph.tolist() == [3.0, 12.5]
    with pytest.raises(InputError, match=r"matrix 'pm' does not exist \(allowed: am\)"):
        od_from_omx(path, town, matrix="pm", zone_mapping=None)
    with pytest.raises(InputError, match=r"zone_mapping 'x' does not exist \(allowed: taz\)"):
        od_from_omx(path, town, matrix=None, zone_mapping="x")
    omx(path, values, name="pm")
    with pytest.raises(InputError, match="the file holds 2 of them"):
        od_from_omx(path, town, matrix=None, zone_mapping=None)


def test_bad_matrices_of_omx(tmp_path: Path, town: RoadNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a shape of \(3, 3\).*4 rows and columns"):
        od_from_omx(omx(tmp_path / "small.omx", np.ones((3, 3))), town, matrix=None, zone_mapping=None)
    values = np.ones((4, 4))
    values[1, 2] = np.nan
    with pytest.raises(InputError, match="am, row 2, column 3: nan"):
        od_from_omx(omx(tmp_path / "nan.omx", values), town, matrix=None, zone_mapping=None)
    with pytest.raises(InputError, match="zone 9 does not exist"):
        path = omx(tmp_path / "zones.omx", np.ones((4, 4)), mapping=[1, 2, 3, 9])
        od_from_omx(path, town, matrix=None, zone_mapping="taz")
    with pytest.raises(InputError, match="is no OMX file"):
        od_from_omx(saved(tmp_path, "no HDF5", "text.omx"), town, matrix=None, zone_mapping=None)
    with pytest.raises(InputError, match="no such file"):
        od_from_omx(tmp_path / "nowhere.omx", town, matrix=None, zone_mapping=None)
    monkeypatch.setitem(sys.modules, "openmatrix", None)
    with pytest.raises(InputError, match=r"openmatrix is not installed .*routepact\[omx\]"):
        od_from_omx(tmp_path / "small.omx", town, matrix=None, zone_mapping=None)
