"""Run folders are whole or absent, the same run gives the same bytes, and what is read back is what was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
from made_run import (
    STARTED,
    grid_network,
    grid_population,
    made_facts,
    made_spec,
    made_world,
    write_made_run,
)

from sim.errors import InputError, RunFailedError
from sim.experiments import record
from sim.experiments.record import RunFolder, add_file, default_run_path, lock_text, read_run, verify_run
from sim.experiments.record_tables import ConvergenceRow, LinkColumns, TripColumns, convergence_table, link_table, trips_table
from sim.spec import load_scenario

RESULTS = ("poa.json", "convergence.parquet", "link_performance.parquet", "trips.parquet", "scenario.lock.toml")


def test_a_written_run_reads_back_and_verifies(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run", inputs={"self": Path(__file__)})
    run = read_run(path)
    assert sorted(entry.name for entry in path.iterdir()) == sorted(["manifest.json", *RESULTS])
    assert {check.state for check in verify_run(path)} == {"ok"}
    assert run.manifest["started_utc"] == "2026-01-02T03:04:05Z"
    assert run.manifest["status"] == "done"
    assert run.manifest["inputs"]["self"]["sha256"] == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert run.manifest["network"]["cleaning"]["counts"] == {"links outside the largest component": 4}
    assert set(run.manifest["versions"]) >= {"routepact", "python", "numpy", "numba"}
    assert run.poa["scenario"] == "gridville"
    assert run.scenario["demand"]["value_of_time"]["mean_per_h"] == 3600.0
    assert run.has_table("trips")
    assert not run.has_table("ledger")
    assert run.table("trips", ["weight"]).column_names == ["weight"]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_made_run(tmp_path / "a"), write_made_run(tmp_path / "b", timings_s={"network": 99.0})
    for name in RESULTS:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_parquet_files_hold_no_pandas_and_no_clock(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    for name in ("convergence", "link_performance", "trips"):
        metadata = pq.read_metadata(path / f"{name}.parquet").metadata or {}
        assert set(metadata) <= {b"geo", b"ARROW:schema"}, name
    assert read_run(path).columns("convergence") == ["world", "stage", "step", "relative_gap", "total_time_s", "travellers_moved"]


def test_the_lock_is_a_scenario_with_every_default(tmp_path: Path) -> None:
    spec = made_spec(seed=7)
    lock = tmp_path / "scenario.lock.toml"
    lock.write_text(lock_text(spec), encoding="utf-8")
    assert "max_iterations = 500" in lock_text(spec)
    assert load_scenario(lock) == spec


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failed_run_leaves_nothing_behind(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), RunFolder(tmp_path / "runs" / "city" / "one") as folder:
        folder.write_lock(made_spec())
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_manifest_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="manifest"), RunFolder(tmp_path / "run") as folder:
        folder.write_lock(made_spec())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_visible_under_the_final_name_before_the_end(tmp_path: Path) -> None:
    network = grid_network()
    with RunFolder(tmp_path / "run") as folder:
        folder.finish(made_facts(network, grid_population(network)))
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run" / "manifest.json").is_file()


def test_an_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(InputError, match="exists already") as caught:
        write_made_run(path)
    assert str(path) in str(caught.value)
    assert (path / "manifest.json").read_bytes() == before


def test_overwriting_replaces_the_old_run_by_the_new(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    add_file(path, "report.html", b"old")
    write_made_run(path, names=("selfish",), overwrite=True)
    assert list(read_run(path).poa["worlds"]) == ["selfish"]
    assert not (path / "report.html").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("moment", ["while it runs", "while it is renamed"])
def test_the_old_run_survives_a_failed_overwrite(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_made_run(tmp_path / "run")
    rename = Path.rename

    def fail_on_the_new(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise OSError("disk is gone")
        return rename(self, target)

    if moment == "while it is renamed":
        monkeypatch.setattr(Path, "rename", fail_on_the_new)
        with pytest.raises(RunFailedError, match="disk is gone"):
            write_made_run(path, overwrite=True)
    else:
        with pytest.raises(ZeroDivisionError), RunFolder(path, overwrite=True):
            _ = 1 / 0
    assert {check.state for check in verify_run(path)} == {"ok"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_only_a_run_folder_is_overwritten(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "wedding.jpg").write_bytes(b"irreplaceable")
    with pytest.raises(InputError, match=r"no manifest\.json"):
        write_made_run(photos, overwrite=True)
    run = write_made_run(tmp_path / "run")
    (run / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_made_run(run, overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        write_made_run(run / "notes.txt", overwrite=True)
    assert (photos / "wedding.jpg").read_bytes() == b"irreplaceable"
    assert (run / "notes.txt").read_text() == "mine"


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    network = grid_network()
    with pytest.raises(RunFailedError, match="meantime"), RunFolder(tmp_path / "run") as folder:
        folder.finish(made_facts(network, grid_population(network)))
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "theirs").write_text("theirs")
    assert (tmp_path / "run" / "theirs").read_text() == "theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_a_place_that_cannot_hold_a_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "run", tmp_path / ("n" * 300), tmp_path / "parent" / ("n" * 250)):
        with pytest.raises(InputError, match="cannot make the folder"):
            write_made_run(target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_default_names_carry_time_and_hash_and_never_collide(tmp_path: Path) -> None:
    spec = made_spec()
    path = default_run_path(spec, STARTED, root=tmp_path)
    digest = hashlib.sha256(lock_text(spec).encode()).hexdigest()[:8]
    assert path == tmp_path / "gridville" / f"20260102T030405Z-{digest}"
    path.mkdir(parents=True)
    assert default_run_path(spec, STARTED, root=tmp_path).name == f"{path.name}-2"
    assert default_run_path(made_spec(seed=2), STARTED, root=tmp_path).name != path.name


def test_verify_names_what_changed(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    (path / "poa.json").write_text("{}")
    (path / "trips.parquet").unlink()
    (path / "extra.txt").write_text("")
    states = {check.name: check.state for check in verify_run(path) if check.state != "ok"}
    assert states == {"poa.json": "changed", "trips.parquet": "missing", "extra.txt": "unlisted"}


def test_an_added_file_stands_in_the_manifest(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    add_file(path, "report.html", b"one")
    add_file(path, "report.html", b"two")
    assert read_run(path).manifest["files"]["report.html"]["sha256"] == hashlib.sha256(b"two").hexdigest()
    assert {check.state for check in verify_run(path)} == {"ok"}


def test_broken_run_folders_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no run folder"):
        read_run(tmp_path)
    path = write_made_run(tmp_path / "run")
    (path / "trips.parquet").write_bytes(b"PAR1 rubbish")
    (path / "convergence.parquet").unlink()
    (path / "poa.json").write_bytes(b"\xff\xfe{")
    (path / "scenario.lock.toml").write_text("name = ")
    run = read_run(path)
    with pytest.raises(InputError, match=r"trips\.parquet: cannot be read"):
        run.table("trips")
    with pytest.raises(InputError, match="no such file"):
        run.table("convergence")
    with pytest.raises(InputError, match=r"link_performance.*no such column"):
        run.table("link_performance", ["colour"])
    with pytest.raises(InputError, match="UTF-8"):
        _ = run.poa
    with pytest.raises(InputError, match="is not TOML"):
        _ = run.scenario


@pytest.mark.parametrize("text", ["[]", "{", '{"kind": "routepact run"}', '{"kind": "other", "files": {}}'])
def test_a_broken_manifest_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_run(tmp_path)


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format": record.MANIFEST_FORMAT + 1}))
    with pytest.raises(InputError, match="format"):
        read_run(path)


def test_geometry_opens_in_geopandas_and_equals_the_link_points(tmp_path: Path) -> None:
    network = grid_network()
    path = write_made_run(tmp_path / "run", network=network)
    frame = gpd.read_parquet(path / "link_performance.parquet")
    assert frame.crs.to_epsg() == 4326
    for link_idx in range(network.n_links):
        assert np.array_equal(np.asarray(frame.geometry.iloc[link_idx].coords), network.link_points(link_idx))
    np.testing.assert_allclose(frame.selfish_volume_to_capacity, frame.selfish_flow_vph / frame.capacity_vph)
    assert list(frame.from_node_id) == list(network.node_id[network.tail_idx])
    assert set(frame.speed_source) == {"tag", "class_default"}
    assert frame.link_class.iloc[-1] == "connector"


def test_networks_without_coordinates_or_with_some() -> None:
    bare = grid_network(coordinates=False)
    zeros = {"selfish": LinkColumns(np.zeros(bare.n_links), bare.free_flow_time_s)}
    assert "geometry" not in link_table(bare, zeros).column_names
    network = grid_network()
    x = network.node_x.copy()
    x[7] = np.nan
    shapes = link_table(network.replace(node_x=x, crs=None), zeros)
    unknown = (network.tail_idx == 7) | (network.head_idx == 7)
    assert shapes["geometry"].is_null().to_pylist() == unknown.tolist()
    geo = json.loads(shapes.schema.metadata[b"geo"])["columns"]["geometry"]
    assert geo["crs"] is None
    np.testing.assert_allclose(geo["bbox"], [np.nanmin(x), network.node_y.min(), np.nanmax(x), network.geometry_xy[:, 1].max()])


def test_costs_have_a_column_only_where_there_are_fixed_costs() -> None:
    tolled = grid_network(fixed_cost_s=12.5)
    worlds = {"optimum": LinkColumns(np.zeros(tolled.n_links), tolled.free_flow_time_s)}
    np.testing.assert_allclose(link_table(tolled, worlds)["optimum_cost_s"], tolled.free_flow_time_s + 12.5)
    assert "optimum_cost_s" not in link_table(grid_network(), worlds).column_names


def test_text_ids_stay_text() -> None:
    network = grid_network()
    named = network.replace(node_id=np.array([f"n{number}" for number in network.node_id]))
    assert link_table(named, {})["from_node_id"][0].as_py() == "n100"


def test_trips_hold_paths_and_nulls() -> None:
    network = grid_network()
    population = grid_population(network)
    world = made_world(network, population, spread=0.1)
    table = trips_table(population, {"selfish": world.trips, "toll": TripColumns()})
    assert table["selfish_path"].type.value_type == "int32"
    start, links = world.trips.path_start, world.trips.path_link_idx
    assert start is not None
    assert links is not None
    for traveller in (0, population.n_travellers - 1):
        assert table["selfish_path"][traveller].as_py() == links[start[traveller] : start[traveller + 1]].tolist()
    for name in ("toll_travel_time_s", "toll_cost_s", "toll_path"):
        assert table[name].null_count == population.n_travellers
    assert table["origin_zone_id"].to_pylist() == network.zone_id[population.origin_zone_idx].tolist()
    no_trip = np.full(population.n_travellers, np.nan)
    assert trips_table(population, {"x": TripColumns(no_trip)})["x_travel_time_s"].null_count == population.n_travellers


def test_money_baseline_and_membership_have_columns_where_there_is_a_market() -> None:
    population = grid_population(grid_network())
    n_travellers = population.n_travellers
    money = np.arange(n_travellers) - 7
    baseline_s, is_member = np.linspace(60.0, 600.0, n_travellers), np.arange(n_travellers) % 3 == 0
    worlds = {"selfish": TripColumns(), "coalition": TripColumns(money_micro=money)}
    table = trips_table(population, worlds, baseline_cost_s=baseline_s, is_member=is_member)
    assert table["coalition_money_micro"].type == "int64"
    assert table["coalition_money_micro"].to_pylist() == money.tolist()
    assert table["baseline_cost_s"].to_pylist() == baseline_s.tolist()
    assert table["is_member"].to_pylist() == is_member.tolist()
    assert "selfish_money_micro" not in table.column_names
    plain = trips_table(population, {"selfish": TripColumns()})
    assert not {"baseline_cost_s", "is_member"} & set(plain.column_names)


def test_columns_of_the_wrong_length_are_refused() -> None:
    network = grid_network()
    population = grid_population(network)
    with pytest.raises(ValueError, match="flow_vph"):
        link_table(network, {"selfish": LinkColumns(np.zeros(3), network.free_flow_time_s)})
    with pytest.raises(ValueError, match="travel_time_s"):
        trips_table(population, {"selfish": TripColumns(np.zeros(3))})
    with pytest.raises(ValueError, match="money_micro"):
        trips_table(population, {"coalition": TripColumns(money_micro=np.zeros(3, np.int64))})
    with pytest.raises(ValueError, match="baseline_cost_s"):
        trips_table(population, {}, baseline_cost_s=np.zeros(3))
    with pytest.raises(ValueError, match="is_member"):
        trips_table(population, {}, is_member=np.zeros(3, np.bool_))
    with pytest.raises(ValueError, match="belong together"):
        trips_table(population, {"selfish": TripColumns(path_start=np.zeros(1, dtype=np.int64))})
    with pytest.raises(ValueError, match="path_link_idx"):
        start = np.arange(population.n_travellers + 1)
        trips_table(population, {"selfish": TripColumns(path_start=start, path_link_idx=np.zeros(1, dtype=np.int32))})


def test_convergence_keeps_order_and_nulls() -> None:
    rows = [ConvergenceRow("selfish", "days", 1, 0.5, 10.0, 3), ConvergenceRow("optimum", "solver", 1, float("nan"), 9.0)]
    table = convergence_table(rows)
    assert table["world"].to_pylist() == ["selfish", "optimum"]
    assert table["travellers_moved"].to_pylist() == [3, None]
    assert convergence_table([]).num_rows == 0
