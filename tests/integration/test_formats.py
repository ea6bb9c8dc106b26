"""Every format from the file to the run folder and back out again, and damaged files of every format."""

from __future__ import annotations

import json
from pathlib import Path

import format_files
import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.assignment.equilibrium import solve
from sim.assignment.problem import Principle, make_problem
from sim.demand.od import od_from_gmns, od_from_trip_table
from sim.experiments.build import build_scenario
from sim.network.gmns import read_gmns
from sim.network.gmns_writer import write_gmns, write_gmns_demand
from sim.network.tntp import read_tntp_network, read_tntp_trips, write_tntp_network
from sim.network.tntp_trips import write_tntp_trips
from sim.spec import load_scenario


@pytest.mark.parametrize(
    ("network", "demand"),
    [("gmns", "gmns"), ("gmns", "trips"), ("matsim", "matsim"), ("matsim", "trips"), ("sumo", "trips"), ("osm", "trips")],
)
def test_every_source_runs(tmp_path: Path, network: str, demand: str) -> None:
    scenario = format_files.write_town(tmp_path, network, demand)
    outcome = call("run", scenario, "--out", tmp_path / "out", "--json", "--quiet")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["worlds"]["selfish"]["total_time_s"] >= found["worlds"]["optimum"]["total_time_s"] * (1 - 1e-6) > 0
    links = pq.read_table(tmp_path / "out" / "link_performance.parquet")
    assert links.num_rows == (12 if network == "osm" else 6)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["inputs"]) >= 2
    quality = manifest["network"]["quality"]
    assert quality["n_links"] == links.num_rows
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    second_look = report.split('id="second-look"')[1].split("</section>")[0]
    assert '<a href="quality.html">' in second_look
    assert f"<dt>Dead ends</dt><dd>{quality['dead_ends']}</dd>" in second_look
    assert all(f"<dt>{doubt['name']}</dt><dd>{doubt['links']} links" in second_look for doubt in quality["doubts"])
    if network == "osm":
        assert quality["dead_ends"] == 3 and "<dt>Restrictions applied</dt><dd>1</dd>" in second_look
    assert "deserves a second look" in (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")


def test_a_run_on_a_made_network_has_no_quality_page(tmp_path: Path) -> None:
    assert call("run", "pigou", "--out", tmp_path / "out", "--quiet").status == 0
    assert not (tmp_path / "out" / "quality.html").exists()
    assert "second look" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_bans_shape_flows_and_disappear_from_the_results(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "osm", "trips")
    common = ("run", scenario, "--json", "--quiet", "--set", "demand.scale=3")
    outcome = call(*common, "--out", tmp_path / "out")
    free = call(*common, "--out", tmp_path / "free", "--set", "network.turn_restrictions=false")
    assert (outcome.status, free.status) == (0, 0)
    rows = pq.read_table(tmp_path / "out" / "link_performance.parquet").to_pandas()
    assert "turn" not in set(rows["link_class"])
    total_s = float((rows["selfish_flow_vph"] * rows["selfish_travel_time_s"]).sum())
    assert total_s == pytest.approx(json.loads(outcome.out)["worlds"]["selfish"]["total_time_s"], rel=1e-12)
    # Going round by node 2 is banned towards 3, except for those who turn back at the end of the side street.
    assert total_s > json.loads(free.out)["worlds"]["selfish"]["total_time_s"] * 1.01
    paths = pq.read_table(tmp_path / "out" / "trips.parquet").column("selfish_path").to_pylist()
    ids = list(zip(rows["from_node_id"], rows["to_node_id"], strict=True))
    for path in paths:
        nodes = [ids[path[0]][0], *(ids[link][1] for link in path)]
        assert (1, 2, 3) not in set(zip(nodes, nodes[1:], nodes[2:], strict=False))


def test_the_market_speaks_of_streets_alone(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "osm", "trips")
    worlds = 'worlds.run=["selfish", "optimum", "coalition"]'
    common = ("--out", tmp_path / "out", "--json", "--quiet", "--set", "demand.scale=4", "--set", worlds)
    outcome = call("run", scenario, *common)
    assert outcome.status in (0, 3), outcome.err
    links = pq.read_table(tmp_path / "out" / "link_performance.parquet").to_pandas()
    total_s = float((links["coalition_flow_vph"] * links["coalition_travel_time_s"]).sum())
    assert total_s == pytest.approx(json.loads(outcome.out)["worlds"]["coalition"]["total_time_s"], rel=1e-12)
    contracts = pq.read_table(tmp_path / "out" / "contracts.parquet")
    assert contracts.num_rows > 0
    tail, head = links["from_node_id"].to_numpy(), links["to_node_id"].to_numpy()
    for column in ("baseline_path", "target_path"):
        for path in contracts.column(column).to_pylist():
            assert 0 <= min(path) <= max(path) < len(links)
            assert (head[path[:-1]] == tail[path[1:]]).all()


def test_a_run_opens_in_geopandas(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "gmns", "gmns")
    assert call("run", scenario, "--out", tmp_path / "out", "--quiet").status == 0
    assert call("export", tmp_path / "out", "--to", tmp_path / "run.gpkg", "--quiet").status == 0
    links = gpd.read_file(tmp_path / "run.gpkg", layer="links")
    assert len(links) == 6 and links.crs == "EPSG:4326" and set(links.geom_type) == {"LineString"}
    recorded = pq.read_table(tmp_path / "out" / "link_performance.parquet")
    np.testing.assert_array_equal(links["selfish_flow_vph"], recorded.column("selfish_flow_vph").to_numpy())
    assert links.geometry[0].coords[0] == (0.0, 0.0)
    again = call("export", tmp_path / "out", "--to", tmp_path / "run.gpkg", "--quiet")
    assert again.status == 2 and "exists already" in again.err


def test_a_scenario_leaves_in_every_format(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "gmns", "gmns")
    assert call("export", scenario, "--to", tmp_path / "net.gpkg", "--quiet").status == 0
    assert set(gpd.list_layers(tmp_path / "net.gpkg")["name"]) == {"links", "nodes"}
    assert call("export", scenario, "--to", tmp_path / "gm", "--format", "gmns", "--quiet").status == 0
    assert call("export", scenario, "--to", tmp_path / "tn", "--format", "tntp", "--quiet").status == 0
    first, second = read_gmns(tmp_path / "gmns"), read_gmns(tmp_path / "gm")
    np.testing.assert_allclose(first.free_flow_time_s, second.free_flow_time_s, rtol=1e-15)
    assert od_from_gmns(tmp_path / "gm" / "demand.csv", second).total_vph == 1000.0
    table = read_tntp_trips(tmp_path / "tn" / "town_trips.tntp")
    assert table.demand.sum() == 1000.0
    assert read_tntp_network(tmp_path / "tn" / "town_net.tntp").n_links == 6
    for arguments in (("--to", tmp_path / "x"), ("--to", tmp_path / "gm", "--format", "gmns")):
        assert call("export", scenario, *arguments, "--quiet").status == 2


def test_the_quality_page(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "osm", "trips")
    outcome = call("validate", scenario, "--out", tmp_path / "q.html", "--json", "--quiet")
    quality = json.loads(outcome.out)["quality"]
    assert quality["bans"] == 1 and quality["dead_ends"] == 3
    assert quality["restrictions"] == {"turn_restrictions": 1, "applied": 1}
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert (
        "<h2>Doubts</h2>" in page
        and "OpenStreetMap contributors" in page
        and "http" not in page.split("</style>")[1].split("<footer>")[0]
    )


TNTP = ("SiouxFalls", "Anaheim", "Eastern-Massachusetts", "Chicago-Sketch")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", TNTP)
def test_tntp_to_gmns_to_tntp_keeps_every_total(shared_data: Path, tmp_path: Path, name: str) -> None:
    folder = shared_data / "tntp" / name
    net, trips = (next(path for path in sorted(folder.iterdir()) if part in path.name.lower()) for part in ("_net", "_trips"))
    network, table = read_tntp_network(net, toll_weight=0.02, distance_weight=0.04), read_tntp_trips(trips)
    write_gmns(network, tmp_path / "gmns")
    write_gmns_demand(tmp_path / "demand.csv", table.origin_zone_id, table.destination_zone_id, table.demand)
    middle = read_gmns(tmp_path / "gmns")
    write_tntp_network(middle, tmp_path / "back_net.tntp")
    origin, destination, volume = (
        np.array(column) for column in np.loadtxt(tmp_path / "demand.csv", delimiter=",", skiprows=1, unpack=True)
    )
    write_tntp_trips(tmp_path / "back_trips.tntp", table.n_zones, origin.astype(int), destination.astype(int), volume)
    back = read_tntp_network(tmp_path / "back_net.tntp", toll_weight=0.02, distance_weight=0.04)
    back_table = read_tntp_trips(tmp_path / "back_trips.tntp")
    for column in ("tail_idx", "head_idx", "node_passable", "zone_node_idx"):
        np.testing.assert_array_equal(getattr(network, column), getattr(back, column))
    for column in ("length_m", "free_flow_time_s", "capacity_vph", "bpr_alpha", "bpr_beta", "toll", "fixed_cost_s"):
        np.testing.assert_allclose(getattr(back, column), getattr(network, column), rtol=1e-12, atol=0)
        assert getattr(back, column).sum() == pytest.approx(getattr(network, column).sum(), rel=1e-12)
    assert back_table.demand.sum() == pytest.approx(table.demand.sum(), rel=1e-12)
    if name == "SiouxFalls":
        totals = [
            solve(make_problem(streets, od_from_trip_table(cells, streets, source=trips)), Principle.USER_EQUILIBRIUM, gap=1e-6)
            for streets, cells in ((network, table), (back, back_table))
        ]
        assert totals[0].total_cost_s == pytest.approx(totals[1].total_cost_s, rel=1e-12)


@st.composite
def damaged_files(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw one file of the town, cut, with bytes exchanged, or with a word replaced."""
    name = draw(st.sampled_from(sorted(format_files.FILES)))
    text = format_files.FILES[name].encode()
    kind = draw(st.sampled_from(["cut", "byte", "word", "lines"]))
    if kind == "cut":
        return {name: text[: draw(st.integers(0, len(text) - 1))]}
    if kind == "byte":
        at = draw(st.integers(0, len(text) - 1))
        return {name: text[:at] + draw(st.binary(min_size=0, max_size=2)) + text[at + 1 :]}
    if kind == "lines":
        lines = text.split(b"\n")
        at = draw(st.integers(0, len(lines) - 1))
        return {name: b"\n".join([*lines[:at], *lines[at + 1 :]])}
    words = text.replace(b'"', b",").replace(b"\n", b",").split(b",")
    word = draw(st.sampled_from(sorted({word for word in words if word.strip()})))
    other = draw(st.sampled_from([b"NaN", b"-1", b"1e999", b"", b"nowhere", b"1_0", b"\xff", b"0"]))
    return {name: text.replace(word, other, draw(st.integers(1, 3)))}


USED_BY = {
    "gmns": ("gmns", "gmns"),
    "demand.csv": ("gmns", "gmns"),
    "trips.csv": ("gmns", "trips"),
    "matsim.xml": ("matsim", "matsim"),
}
USED_BY |= {"plans.xml": ("matsim", "matsim"), "town.net.xml": ("sumo", "trips"), "town.osm": ("osm", "trips")}


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged_files())
def test_damaged_files_never_end_in_a_traceback(tmp_path: Path, files: dict[str, bytes]) -> None:
    name, content = next(iter(files.items()))
    scenario = format_files.write_town(tmp_path, *USED_BY[name.partition("/")[0]])
    (tmp_path / name).write_bytes(content)
    outcome = call("validate", scenario, "--json", "--quiet")
    assert outcome.status in (0, 2), outcome.err
    if outcome.status == 2:
        assert outcome.err.startswith("routepact: ") and outcome.err.count("\n") <= 2 and outcome.out == ""
        assert "Traceback" not in outcome.err


def test_trips_on_a_town_build_the_same_population_twice(tmp_path: Path) -> None:
    scenario = format_files.write_town(tmp_path, "gmns", "trips")
    one, other = (build_scenario(load_scenario(scenario), tmp_path).population for _ in range(2))
    np.testing.assert_array_equal(one.departure_s, other.departure_s)
    assert one.n_travellers == 200 and one.od.total_vph == 1000.0
