"""The report says what the files of the run say, leaves out what is absent and needs nothing from outside."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import (
    MadeWorld,
    grid_network,
    grid_population,
    made_facts,
    made_poa,
    made_spec,
    write_made_run,
)
from PIL import Image

from sim.errors import InputError
from sim.experiments import report_format as text
from sim.experiments import report_maps as maps
from sim.experiments import report_sections as sections
from sim.experiments.record import RunFolder, read_run, verify_run
from sim.experiments.record_tables import LinkColumns, TripColumns, link_table, trips_table
from sim.experiments.report import report_html, write_report


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def page(run_path: Path) -> str:
    return write_report(run_path).read_text(encoding="utf-8").replace("\u00a0", " ")


def rewrite_poa(path: Path, **changes: object) -> None:
    poa = json.loads((path / "poa.json").read_text())
    (path / "poa.json").write_text(json.dumps(poa | changes))


# --- numbers as people read them


@pytest.mark.parametrize(
    ("seconds", "decimals", "shown"),
    [
        (750.0, 0, "12 min 30 s"),
        (59.96, 1, "1 min 0.0 s"),
        (3599.7, 0, "1 h 00 min 00 s"),
        (3725.25, 1, "1 h 02 min 05.2 s"),
        (-5.34, 1, "\u22125.3 s"),
        (-0.04, 1, "0.0 s"),
        (0.0, 0, "0 s"),
    ],
)
def test_durations(seconds: float, decimals: int, shown: str) -> None:
    assert text.duration(seconds, decimals).replace("\u00a0", " ") == shown


@given(st.floats(0, 1e6), st.integers(0, 3))
def test_a_duration_says_the_time_it_was_given(seconds: float, decimals: int) -> None:
    shown = text.duration(seconds, decimals).replace("\u00a0", " ")
    parts = {unit: float(number) for number, unit in re.findall(r"([\d.]+) (h|min|s)", shown)}
    assert parts["s"] < 60
    assert parts.get("min", 0) < 60
    assert parts.get("h", 0) * 3600 + parts.get("min", 0) * 60 + parts["s"] == pytest.approx(seconds, abs=0.51 * 10.0**-decimals)


def test_a_pair_of_durations_is_told_apart_where_possible() -> None:
    assert text.duration_pair(750.0, 731.0) == (text.duration(750.0), text.duration(731.0))
    assert text.duration_pair(750.0, 749.96) == (text.duration(750.0, 2), text.duration(749.96, 2))
    first, second = text.duration_pair(100.001, 100.002)
    assert first != second
    assert text.duration_pair(5.0, 5.0) == (text.duration(5.0, 1),) * 2


@given(st.floats(1.0, 3.0), st.floats(1e-8, 0.5))
def test_a_shown_interval_holds_the_interval(low: float, width: float) -> None:
    down, up = (float(number) for number in text.interval(low, low + width).split(" to "))
    assert down <= low + 1e-9
    assert up >= low + width - 1e-9
    # Rounding outwards adds less than the width itself, but never hides more than three decimals do.
    assert up - down <= max(2.01 * width, width + 0.0021)


def test_small_numbers_and_shares() -> None:
    assert text.power(4.2e-7).replace("\u00a0", " ") == "4.2 \u00d7 10⁻⁷"
    assert text.power(0.0) == "0"
    assert text.percent(0.0262).replace("\u00a0", " ") == "2.6 %"
    assert text.percent(1.0).replace("\u00a0", " ") == "100 %"
    assert text.significant(12345.678, 6) == "12,345.7"
    assert text.ratio(1.02615, 4e-6) == "1.02615"


# --- what the page says


def test_weighted_quantiles_are_those_of_repeated_values() -> None:
    draw = np.random.default_rng(2)
    for share in (0.1, 0.5, 0.9, 0.99, 1.0):
        values, counts = draw.normal(size=50).round(1), draw.integers(1, 6, 50)
        repeated = np.sort(np.repeat(values, counts))
        expected = repeated[int(np.ceil(share * len(repeated))) - 1]
        assert sections.weighted_quantile(values, counts.astype(float), share) == expected


def test_gains_count_vehicles_and_not_travellers() -> None:
    times = sections.TripTimes(
        weight=np.array([6.0, 1.0, 3.0]), selfish_s=np.array([100.0, 100.0, 100.0]), optimum_s=np.array([90.0, 100.5, 130.0])
    )
    assert sections.gains(times) == sections.Gains(0.6, pytest.approx(0.1), 0.3, 10.0, 30.0)


def test_trips_without_a_time_in_both_worlds_do_not_count(tmp_path: Path) -> None:
    network = grid_network()
    population = grid_population(network)
    selfish_s, optimum_s = np.full(population.n_travellers, 50.0), np.full(population.n_travellers, 40.0)
    selfish_s[0], optimum_s[1] = np.nan, np.nan
    with RunFolder(tmp_path / "run") as folder:
        folder.write_table(
            "trips", trips_table(population, {"selfish": TripColumns(selfish_s), "optimum": TripColumns(optimum_s)})
        )
        folder.finish(made_facts(network, population))
    times = sections.trip_times(read_run(tmp_path / "run"))
    assert times is not None
    assert len(times.weight) == population.n_travellers - 2


def test_the_headline_is_a_sentence_with_the_right_numbers(run_path: Path, page: str) -> None:
    poa = read_run(run_path).poa
    selfish_s, optimum_s = poa["worlds"]["selfish"]["mean_time_s"], poa["worlds"]["optimum"]["mean_time_s"]
    means = text.duration_pair(selfish_s, optimum_s)
    share = f"{(selfish_s / optimum_s - 1) * 100:.1f} %"
    sentence = f"Selfish routing makes the average trip {share} longer than it need be: {means[0]} instead of {means[1]}."
    assert sentence.replace("\u00a0", " ") in page
    assert f'<p class="figure">{poa["price_of_anarchy"]:.5f}' in page


def test_values_that_nobody_stated_are_not_called_stated(run_path: Path) -> None:
    table = read_run(run_path).table("link_performance")
    links = {name: table[name].to_numpy() for name in table.column_names} | {"lanes": np.zeros(table.num_rows)}
    assert [source for source, _, _ in sections.provenance_bars(links)[1].shares] == ["none"]


def test_a_withheld_price_of_anarchy_gives_its_reason(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run", withheld="the interval is wider than 0.001", status="missed")
    shown = write_report(path).read_text(encoding="utf-8")
    assert "The Price of Anarchy is withheld: the interval is wider than 0.001." in shown
    assert "a gap or a promise was missed" in shown
    assert '<p class="figure none">withheld</p>' in shown


def test_no_difference_is_called_no_difference(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    rewrite_poa(path, price_of_anarchy=1.0000002, price_of_anarchy_interval=[0.9999998, 1.0000004])
    assert "nothing that can be told apart from zero" in sections.headline(read_run(path), has_fixed_cost=False).sentence


def test_the_worst_links_are_those_with_most_delay(run_path: Path) -> None:
    table = read_run(run_path).table("link_performance")
    links = {name: table[name].to_numpy() for name in table.column_names}
    expected = sorted(
        range(table.num_rows),
        key=lambda k: -links["selfish_flow_vph"][k] * (links["selfish_travel_time_s"][k] - links["free_flow_time_s"][k]),
    )
    rows = sections.busiest_links(links)
    assert [row.link_id for row in rows] == [str(links["link_id"][k]) for k in expected[:10]]
    worst = expected[0]
    delay_s = links["selfish_travel_time_s"][worst] - links["free_flow_time_s"][worst]
    assert float(rows[0].delay_h) == pytest.approx(links["selfish_flow_vph"][worst] * delay_s / 3600, rel=0.01)
    assert rows[0].volume_to_capacity == f"{links['selfish_flow_vph'][worst] / links['capacity_vph'][worst]:.2f}"


def test_provenance_shares_are_of_the_street_length(run_path: Path) -> None:
    table = read_run(run_path).table("link_performance")
    bars = sections.provenance_bars({name: table[name].to_numpy() for name in table.column_names})
    assert [bar.attribute for bar in bars] == ["Free speed", "Lanes", "Capacity"]
    # 8 of the 80 streets lie on the main street, and all are equally long; the connector does not count.
    assert [(source, share) for source, _, share in bars[0].shares] == [
        ("class_default", pytest.approx(0.9)),
        ("tag", pytest.approx(0.1)),
    ]


# --- the page itself


def test_the_page_has_every_part_and_verifies(run_path: Path, page: str) -> None:
    for part in ("headline", "worlds", "maps", "gains", "times", "convergence", "links", "quality", "method"):
        assert f'id="{part}"' in page, part
    for said in (
        "gridville",
        "Invented trips between random crossings",
        "© OpenStreetMap contributors",
        "links outside the largest component",
    ):
        assert said in page, said
    for entry in read_run(run_path).manifest["files"].values():
        assert entry["sha256"] in page or entry == read_run(run_path).manifest["files"]["report.html"]
    assert {check.state for check in verify_run(run_path)} == {"ok"}


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "data:", page)
    assert "<script" not in without_pictures
    assert not re.findall(r'(?:src|srcset|href)="(?!data:|#)[^"]*"', without_pictures)
    assert not re.findall(r"url\((?!#)", without_pictures)
    assert "@import" not in without_pictures


def test_charts_take_their_colours_from_the_page(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        assert "#0a0" not in chart
        assert "var(--soft)" in chart
        assert "<text" in chart
        assert "<style" not in chart
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_same_run_gives_the_same_page(run_path: Path) -> None:
    first = write_report(run_path).read_bytes()
    assert report_html(read_run(run_path)).encode() == first


def test_text_from_the_scenario_is_escaped(tmp_path: Path) -> None:
    network = grid_network()
    path = tmp_path / "run"
    with RunFolder(path) as folder:
        folder.write_lock(made_spec(description="<script>alert('x')</script>"))
        folder.write_poa({"worlds": {}, "traffic": "static", "withheld": "<b>why</b>"})
        folder.finish(made_facts(network, grid_population(network), warnings=("<img src=x>",)))
    shown = write_report(path).read_text(encoding="utf-8")
    for raw in ("<script>", "<b>why", "<img src=x"):
        assert raw not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("world", ["selfish", "optimum", "random_control"])
def test_worlds_that_did_not_run_are_left_out(tmp_path: Path, world: str) -> None:
    path = write_made_run(tmp_path / "run", names=(world,))
    shown = write_report(path).read_text(encoding="utf-8")
    assert "No Price of Anarchy" in shown
    assert sections.world_name(world) in shown
    assert 'id="gains"' not in shown
    assert "Selfish minus optimum" not in shown
    assert ('id="links"' in shown) == (world == "selfish")
    assert ("background:var(--other-1)" in shown) == (world == "random_control")


def test_other_worlds_show_their_ratio(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run", names=("selfish", "optimum", "random_control"))
    run = read_run(path)
    run.poa["worlds"]["random_control"]["ratio_interval"] = [1.0312, 1.0314]
    row = next(row for row in sections.world_rows(run) if row.world == "random_control")
    ratio = run.poa["worlds"]["random_control"]["total_time_s"] / run.poa["worlds"]["optimum"]["total_time_s"]
    assert row.ratio == f"{ratio:.5f}"
    assert row.interval == "1.03120 to 1.03140"
    assert row.remark == "as many detours, drawn at random"
    assert next(row.remark for row in sections.world_rows(run) if row.detail) == "whole travellers, 14 days, gap reached"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"worlds": None}, "worlds"),
        ({"worlds": {"selfish": {"total_time_s": "long"}}}, r"worlds\.selfish\.total_time_s"),
        ({"price_of_anarchy": "high"}, "price_of_anarchy"),
        ({"price_of_anarchy_interval": [1.0]}, "price_of_anarchy_interval"),
    ],
)
def test_a_broken_poa_file_is_bad_input(tmp_path: Path, changes: dict[str, object], where: str) -> None:
    path = write_made_run(tmp_path / "run")
    rewrite_poa(path, **changes)
    with pytest.raises(InputError, match=where):
        write_report(path)
    assert not (path / "report.html").exists()


def test_missing_files_and_keys_are_bad_input(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["network"]["zones"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="zones"):
        write_report(path)
    (path / "trips.parquet").unlink()
    with pytest.raises(InputError, match=r"trips\.parquet"):
        write_report(path)
    with pytest.raises(InputError, match="no such run folder"):
        write_report(tmp_path / "nowhere")


# --- maps


def shapes_of(path: Path) -> tuple[dict[str, np.ndarray], maps.LinkShapes | None]:
    table = read_run(path).table("link_performance")
    links = {name: table[name].to_numpy() for name in table.column_names}
    return links, maps.link_shapes(links, (table.schema.metadata or {}).get(b"geo"))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_overloaded_links_are_drawn_in_the_colour_of_the_top(run_path: Path) -> None:
    links, shapes = shapes_of(run_path)
    assert shapes is not None
    assert len(shapes.link_idx) == len(links["link_id"]) - 1  # the connector is not drawn
    assert links["selfish_volume_to_capacity"].max() > maps.LOAD_LIMIT
    picture = maps.load_map(shapes, links, "selfish")
    for theme, colour in (("light", (68, 1, 84)), ("dark", (253, 231, 37))):
        image = pixels(picture.png[theme])
        assert image.shape == (picture.height_px, picture.width_px, 3)
        assert (np.abs(image - colour).max(axis=2) <= 12).sum() > 500, theme
    empty = dict(links) | {
        "selfish_volume_to_capacity": np.zeros(len(links["link_id"])),
        "selfish_flow_vph": np.zeros(len(links["link_id"])),
    }
    calm = pixels(maps.load_map(shapes, empty, "selfish").png["light"])
    assert (np.abs(calm - (68, 1, 84)).max(axis=2) <= 12).sum() == 0


def test_the_difference_is_purple_where_the_selfish_world_carries_more(run_path: Path) -> None:
    links, shapes = shapes_of(run_path)
    assert shapes is not None

    def mean_greenness(first: str, second: str) -> float:
        picture, limit_vph = maps.difference_map(
            shapes, links | {"zero_flow_vph": np.zeros(len(links["link_id"]))}, first, second
        )
        assert limit_vph > 0
        image = pixels(picture.png["light"])
        drawn = image[np.abs(image - image[0, 0]).max(axis=2) > 60]
        return float((drawn[:, 1] - drawn[:, [0, 2]].mean(axis=1)).mean())

    assert mean_greenness("selfish", "zero") < 0 < mean_greenness("zero", "selfish")


def test_maps_are_the_same_each_time_and_small(run_path: Path) -> None:
    links, shapes = shapes_of(run_path)
    assert shapes is not None
    first, second = (maps.load_map(shapes, links, "selfish") for _ in range(2))
    assert first.png == second.png
    assert all(len(png) < 400_000 for png in first.png.values())
    # The grid is 4 x 0.004 degrees of longitude wide, in a frame that is at least a fifth wider.
    assert first.scale_bar is not None
    width_m = 4 * 0.004 * np.cos(np.radians(29.91)) * 111_195 * 1.2
    assert 0 < first.scale_bar.share < 0.5
    assert float(first.scale_bar.label.split()[0]) / first.scale_bar.share >= 0.99 * width_m


def test_networks_without_coordinates_become_a_schematic_or_a_remark(tmp_path: Path) -> None:
    small = write_made_run(tmp_path / "small", network=grid_network(coordinates=False))
    links, shapes = shapes_of(small)
    assert shapes is not None
    assert shapes.schematic
    assert len(set(shapes.node_xy.values())) == 25
    assert "this is a schematic" in report_html(read_run(small))
    assert maps.load_map(shapes, links, "selfish").scale_bar is None
    large = write_made_run(tmp_path / "large", network=grid_network(9, coordinates=False))
    assert shapes_of(large)[1] is None


def test_fixed_costs_and_missing_maps_are_named(tmp_path: Path) -> None:
    path = write_made_run(tmp_path / "run", network=grid_network(9, coordinates=False, fixed_cost_s=5.0))
    shown = report_html(read_run(path))
    assert "time and fixed costs, in seconds" in shown
    assert "generalised costs in seconds" in shown
    assert "There is no map" in shown


def test_both_directions_of_a_street_are_drawn_apart(run_path: Path) -> None:
    links, shapes = shapes_of(run_path)
    assert shapes is not None
    middles = {}
    for line, link_idx in enumerate(shapes.link_idx):
        points = shapes.xy[shapes.start[line] : shapes.start[line + 1]]
        middles[links["from_node_id"][link_idx], links["to_node_id"][link_idx]] = points[len(points) // 2]
    for ends, middle in middles.items():
        if ends[::-1] in middles and 100 not in ends:
            assert np.hypot(*(middle - middles[ends[::-1]])) > 1e-4


@given(st.floats(1e-6, 1e9))
@settings(max_examples=60)
def test_round_numbers_are_round_and_not_above(number: float) -> None:
    rounded = maps.round_number(number)
    assert rounded <= number * (1 + 1e-9)
    assert number < rounded * 2.5 * (1 + 1e-9)
    assert f"{rounded:e}"[0] in "125"


def test_a_city_is_reported(tmp_path: Path) -> None:
    network = grid_network(75)
    draw = np.random.default_rng(4)
    flow_vph = {name: draw.gamma(0.7, 200.0, network.n_links) for name in ("selfish", "optimum")}
    population = grid_population(network, pairs=12_000)
    assert population.n_travellers > 59_000
    time_s = draw.gamma(4.0, 150.0, population.n_travellers)
    trips = {"selfish": TripColumns(time_s), "optimum": TripColumns(time_s * draw.normal(0.98, 0.05, len(time_s)))}
    worlds = {name: LinkColumns(flow, network.free_flow_time_s * 1.3) for name, flow in flow_vph.items()}
    with RunFolder(tmp_path / "run") as folder:
        folder.write_lock(made_spec())
        folder.write_poa(made_poa(population, {name: MadeWorld(worlds[name], trips[name], 1e7) for name in worlds}))
        folder.write_table("link_performance", link_table(network, worlds))
        folder.write_table("trips", trips_table(population, trips))
        folder.finish(made_facts(network, population))
    page = write_report(tmp_path / "run")
    assert page.stat().st_size < 3_000_000
