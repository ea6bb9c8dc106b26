"""Runs of queue traffic: what they leave, that they repeat to the byte, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from made_queue import write_bridge

from sim.experiments.build import build_scenario
from sim.experiments.checkpoint import CheckpointedWork
from sim.experiments.queue_build import build_queues
from sim.experiments.queue_run import QueueRunResult, queue_facts, write_queue_tables
from sim.experiments.record import RunFolder, read_run
from sim.experiments.run import run
from sim.experiments.scenarios import find_scenario
from sim.experiments.work import SharedWork, Work
from sim.traffic.loading import Loading
from sim.traffic.trips import Trips

TABLES = {"link_performance", "trips", "convergence", "link_times", "city_times"}
SELFISH_ALONE = 'run = ["selfish"]'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a sound scenario."""
    monkeypatch.chdir(tmp_path)
    write_bridge(tmp_path)
    return tmp_path


def contents(run_folder: Path) -> dict[str, bytes]:
    """Return every result file of a run but what names the tick, the clock or the machine."""
    left_out = {"manifest.json", "report.html", "scenario.lock.toml"}
    return {path.name: path.read_bytes() for path in run_folder.iterdir() if path.name not in left_out}


def poa_of(*settings: str) -> dict[str, Any]:
    """Return what a run in memory finds."""
    return run(*find_scenario("bridge.toml", settings)).poa()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scenario and a whole run of it, with trajectories, in the folder r."""
    place = tmp_path_factory.mktemp("bridge")
    scenario = write_bridge(place)
    outcome = call("run", scenario, "--quiet", "--out", place / "r", "--set", "report.trajectories=all")
    assert outcome.status == 0, outcome.err
    return place


def test_a_run_leaves_its_tables_and_an_interval_that_holds(whole: Path) -> None:
    recorded = read_run(whole / "r")
    poa = recorded.poa
    assert {name.removesuffix(".parquet") for name in recorded.manifest["files"] if name.endswith(".parquet")} == TABLES | {
        "trajectories"
    }
    assert (poa["traffic"], poa["travellers"], poa["withheld"]) == ("queue", 260, None)
    selfish, optimum = poa["worlds"]["selfish"], poa["worlds"]["optimum"]
    assert selfish["relative_gap"] <= 0.03
    assert (
        selfish["free_flow_time_s"] <= optimum["total_time_lower_bound_s"] <= optimum["total_time_s"] <= selfish["total_time_s"]
    )
    low, high = poa["price_of_anarchy_interval"]
    assert poa["price_of_anarchy"] == low == selfish["total_time_s"] / optimum["total_time_s"]
    assert math.isclose(high, selfish["total_time_s"] / optimum["total_time_lower_bound_s"])
    page = (whole / "r" / "report.html").read_text()
    for text in ("The day in queues", "Departures and arrivals", "Where most time is lost", "Best day found and lower bound"):
        assert text in page


def test_tables_agree_with_each_other_and_with_the_totals(whole: Path) -> None:
    recorded = read_run(whole / "r")
    trips, links, city = (recorded.table(name).to_pandas() for name in ("trips", "link_times", "city_times"))
    drives = recorded.table("trajectories").to_pandas()
    for world, content in recorded.poa["worlds"].items():
        time_s = trips[f"{world}_arrival_s"] - trips["departure_s"]
        assert np.allclose(time_s, trips[f"{world}_travel_time_s"])
        assert math.isclose(time_s.sum(), content["total_time_s"])
        mine = links[links["world"] == world]
        n_traversals = trips[f"{world}_path"].map(len).sum()
        assert mine["entries"].sum() == mine["exits"].sum() == n_traversals == (drives["world"] == world).sum()
        on_links_s = (mine["exits"] * mine["mean_travel_time_s"].fillna(0.0)).sum()
        drive = drives[drives["world"] == world]
        assert math.isclose(on_links_s, (drive["exit_s"] - drive["entry_s"]).sum())
        assert on_links_s <= content["total_time_s"] * (1 + 1e-12)
        now = city[city["world"] == world]
        assert (now["departed"] == now["arrived"] + now["on_links"] + now["at_origins"]).all()
        assert (now["waiting"] <= now["on_links"]).all()
        assert now["arrived"].iloc[-1] == 260


def test_recorded_ways_driven_again_give_the_recorded_arrivals(whole: Path) -> None:
    queues = build_queues(build_scenario(*find_scenario(str(whole / "bridge.toml"))))
    trips = read_run(whole / "r").table("trips").to_pandas()
    ways = trips["optimum_path"].tolist()
    path_start = np.concatenate([[0], np.cumsum([len(way) for way in ways])])
    day = Loading(queues.network, Trips(trips["departure_s"].to_numpy(), path_start, np.concatenate(ways)))
    day.run()
    assert (day.arrival_s == trips["optimum_arrival_s"].to_numpy()).all()


@pytest.mark.parametrize("behaviour", ["equilibrium", "reactive"])
def test_neither_ticks_nor_threads_change_a_byte(folder: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for tick_s, threads in ((60, 1), (7, 2), (1, 2)):
        monkeypatch.setenv("ROUTEPACT_THREADS", str(threads))
        settings = (f"traffic.tick_s={tick_s}", f"traffic.behaviour={behaviour}", "traffic.reroute_every_s=45")
        result = run(*find_scenario("bridge.toml", settings))
        assert isinstance(result, QueueRunResult)
        with RunFolder(folder / f"r{tick_s}") as made:
            write_queue_tables(result, made)
            made.finish(queue_facts(result, 0.0))
        found.append(contents(folder / f"r{tick_s}"))
    assert set(found[0]) >= {f"{name}.parquet" for name in TABLES}
    assert found[0] == found[1] == found[2]


def test_a_run_is_reproduced_to_the_byte(whole: Path) -> None:
    outcome = call("reproduce", whole / "r", "--quiet", "--json", "--out", whole / "again")
    assert outcome.status == 0
    assert json.loads(outcome.out)["agrees"]
    compared = call("compare", whole / "r", whole / "again", "--json", "--quiet")
    assert compared.status == 0, compared.err


@pytest.mark.parametrize("kind", ["checkpoints", "sweep"])
def test_what_was_solved_is_taken_up_again(folder: Path, kind: str) -> None:
    spec, start = find_scenario("bridge.toml")
    shared = SharedWork()

    def work(*, resume: bool) -> Work:
        return shared if kind == "sweep" else CheckpointedWork(folder / "kept", spec, start, resume=resume)

    lines: list[str] = []
    first = run(spec, start, work=work(resume=False), say=lines.append)
    assert any("travellers change their way" in line for line in lines)
    lines.clear()
    # Neither the tick nor what is reported matters to what is solved.
    again = run(spec, start, work=work(resume=True), say=lines.append)
    assert again.poa() == first.poa()
    assert not any("travellers change their way" in line for line in lines)


def test_a_run_that_was_ended_at_night_goes_on_to_the_same_result(folder: Path) -> None:
    spec, start = find_scenario("bridge.toml", ["traffic.gap=1e-6", "traffic.days=8", 'worlds.run=["selfish"]'])
    whole_run = run(spec, start).poa()

    class EndedError(Exception):
        """What ends the run."""

    def end_on_day_five(text: str) -> None:
        if "day 5," in text:
            raise EndedError

    with pytest.raises(EndedError):
        run(
            spec,
            start,
            say=end_on_day_five,
            work=CheckpointedWork(folder / "kept", spec, start, resume=False, seconds_between=0.0),
        )
    lines: list[str] = []
    resumed = run(spec, start, say=lines.append, work=CheckpointedWork(folder / "kept", spec, start, resume=True))
    assert resumed.poa() == whole_run
    assert next(line for line in lines if "travellers change" in line).startswith("selfish: day 5,")


def test_two_roads_have_their_fluid_price() -> None:
    """Roads of 600 s and 1,200 s; 600 vehicles an hour fit the short one, and r = 1,200 leave in T = 3,600 s, equally spaced.

    Selfish: all take the short road until its queue takes 600 s (after 600 s), then both cost the same: beyond 600 s a trip costs
    300 s on average in the first 600 s and 600 s afterwards, 550 in all. Best: a vehicle that queues near the end puts off
    few others. With a queue that grows during the last s seconds to s seconds, the marginal vehicle saves 600 - 2 s, so s = 300:
    half the vehicles of the first 3,300 s drive 600 s longer, the last wait 150 s on average, 287.5 in all. Price: 1,150 / 887.5.
    """
    poa = run(*find_scenario("two_routes")).poa()
    low, high = poa["price_of_anarchy_interval"]
    assert low <= 1150.0 / 887.5 <= high
    assert high - low < 0.03
    assert poa["worlds"]["selfish"]["mean_time_s"] == pytest.approx(1150.0, rel=0.005)
    assert poa["worlds"]["optimum"]["mean_time_s"] == pytest.approx(887.5, rel=0.015)


def test_a_wide_gap_withholds_the_price(folder: Path) -> None:
    close = run(*find_scenario("bridge.toml", ["traffic.gap=1e-9", "traffic.days=30"]))
    assert close.poa()["withheld"] is None
    assert "selfish: most days reached" in close.missed[0]
    far = call("run", "bridge.toml", "--json", "--quiet", "--set", "traffic.days=1")
    assert far.status == 3
    poa = json.loads(far.out)
    assert poa["worlds"]["selfish"]["relative_gap"] > 0.03
    assert poa["price_of_anarchy"] is None
    assert "above the 3%" in poa["withheld"]
    assert "above the 3%" in far.err


@pytest.mark.parametrize("behaviour", ["one_shot", "reactive"])
def test_drivers_who_do_not_learn_are_driven_once(folder: Path, behaviour: str) -> None:
    write_bridge(folder, f'behaviour = "{behaviour}"\nreroute_every_s = 60.0', SELFISH_ALONE)
    selfish = poa_of()["worlds"]["selfish"]
    assert (selfish["behaviour"], selfish["days"], selfish["stopped_because"]) == (behaviour, 1, "everybody has arrived")
    assert selfish["rerouted"] > 0
    assert 0.0 <= selfish["relative_gap"] < 1.0
    write_bridge(folder, f'behaviour = "{behaviour}"\nreroute_every_s = 60.0')
    both = poa_of()
    assert both["price_of_anarchy"] is None
    assert f"{behaviour.replace('_', '-')} drivers are" in both["withheld"]
    assert both["worlds"]["selfish"]["ratio"] > 1.03


def test_departures_can_be_chosen(folder: Path) -> None:
    table = "[traffic.departure_choice]\ndesired_arrival_s = 400.0"
    write_bridge(folder, table, SELFISH_ALONE)
    result = run(*find_scenario("bridge.toml"))
    assert isinstance(result, QueueRunResult)
    driven = result.worlds["selfish"].driven
    departure_s, time_s = driven.trips.departure_s, driven.travel_time_s
    assert (departure_s != result.queues.population.departure_s).any()
    early, late = 3.9 / 6.4, 15.21 / 6.4
    miss_s = departure_s + time_s - 400.0
    cost_s = time_s + np.where(miss_s < 0, -early * miss_s, late * miss_s)
    assert math.isclose(cost_s.mean(), result.poa()["worlds"]["selfish"]["mean_schedule_cost_s"])


def test_a_grain_scales_the_queues_and_not_the_day(folder: Path) -> None:
    """Ten vehicles a traveller: a tenth of the travellers on roads of a tenth, and totals of all vehicles."""
    fine, coarse = poa_of(), poa_of("demand.vehicles_per_traveller=5")
    assert coarse["travellers"] == 52
    mean_s = [content["worlds"]["selfish"]["mean_time_s"] for content in (fine, coarse)]
    assert mean_s[1] == pytest.approx(mean_s[0], rel=0.1)
    selfish = coarse["worlds"]["selfish"]
    assert selfish["total_time_s"] == pytest.approx(260 * selfish["mean_time_s"])


def test_a_run_is_exported_and_a_scenario_validated(whole: Path) -> None:
    exported = call("export", whole / "r", "--to", whole / "links.gpkg", "--quiet")
    assert exported.status == 2  # a network without coordinates has nothing to draw
    assert "coordinates" in exported.err
    validated = call("validate", whole / "bridge.toml", "--quiet", "--json")
    assert validated.status == 0
    content = json.loads(validated.out)
    assert content["demand"]["travellers"] == content["queues"]["vehicles"] == 260
    assert content["queues"]["departures_within_s"] == 900.0
    assert "places on the links" in call("validate", whole / "bridge.toml", "--quiet").out


RING = """<NUMBER OF ZONES> 3
<NUMBER OF NODES> 3
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 3
<END OF METADATA>
~ tail head capacity length time b power speed toll type ;
1 2 60 0.1 0.1 0.15 4 0 0 1 ;
2 3 60 0.1 0.1 0.15 4 0 0 1 ;
3 1 60 0.1 0.1 0.15 4 0 0 1 ;
"""


@pytest.mark.parametrize(("gridlock", "status", "never"), [("hold", 3, 3), ("rotate", 0, 0)])
def test_gridlock_is_counted_and_never_hidden(folder: Path, gridlock: str, status: int, never: int) -> None:
    """Three links in a ring, each with room for one, and on each a vehicle that wants on to the next."""
    (folder / "bridge_net.tntp").write_text(RING)
    (folder / "trips.csv").write_text("origin,destination,departure_s,path\n1,3,0,1 2\n2,1,0,2 3\n3,2,0,3 1\n")
    (folder / "ring.toml").write_text(LISTED.replace('"given"', f'"given"\ngridlock = "{gridlock}"'))
    outcome = call("run", "ring.toml", "--quiet", "--json", "--out", "r")
    assert outcome.status == status
    selfish = json.loads(outcome.out)["worlds"]["selfish"]
    assert (selfish["never_arrived"], selfish["gridlock_vehicles"]) == (never, 3 - never)
    trips = read_run(folder / "r").table("trips")
    assert trips["selfish_arrival_s"].null_count == trips["selfish_travel_time_s"].null_count == never
    assert ("gridlock holds 3 travellers" in outcome.err) == (gridlock == "hold")
    assert (folder / "r" / "report.html").is_file()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["traffic.atomic_gap=1e-3"], 'traffic.atomic_gap: unknown key with model = "queue"'),
        (["traffic.jam_density_vpkm=0"], "traffic.jam_density_vpkm=0"),
        (["traffic.tick_s=nan"], "traffic.tick_s"),
        (["traffic.gridlock=hold"], "days must end"),
        (["traffic.behaviour=reactive", "traffic.gridlock=hold"], "'optimum' with traffic.gridlock"),
        (["traffic.behaviour=given"], "the demand is no list of trips"),
        (["traffic.departure_choice.desired_arrival_s=300"], "'optimum' with traffic.departure_choice"),
        (["traffic.departure_choice.beta_per_h=9"], "traffic.departure_choice"),
        (['worlds.run=["selfish", "optimum", "toll"]'], "'toll' is not there in queue traffic"),
        (["traffic.model=fluid"], "'fluid'"),
    ],
)
def test_what_queue_traffic_does_not_have_is_refused(folder: Path, settings: list[str], message: str) -> None:
    outcome = call("run", "bridge.toml", "--quiet", *(part for text in settings for part in ("--set", text)))
    assert outcome.status == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (folder / "runs").exists()


LISTED = """name = "listed"
[network]
source = "tntp"
net = "bridge_net.tntp"
time_unit_s = 60
length_unit_m = 1000
[demand]
source = "trips"
file = "trips.csv"
[traffic]
model = "queue"
behaviour = "given"
[worlds]
run = ["selfish"]
"""


def test_ways_can_be_given(folder: Path) -> None:
    """Two vehicles at once on links of 1,800 and 600 vehicles an hour: the second leaves 6 s after the first."""
    (folder / "listed.toml").write_text(LISTED)
    (folder / "trips.csv").write_text("origin,destination,departure_s,path\n2,1,0,6\n1,2,0,1 4\n1,2,0,1 4\n")
    outcome = call("run", "listed.toml", "--quiet", "--out", "r")
    assert outcome.status == 0
    trips = read_run(folder / "r").table("trips").to_pandas()
    assert trips["selfish_travel_time_s"].tolist() == [180.0, 186.0, 60.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,0,1 5", "link 5 does not start where link 1 ends"),
        ("1,2,0,1 44", "'44': no such link"),
        ("1,2,0,", "no links"),
        ("1,2,0,6", "starts at node 2"),
        ("1,2,0,1 3", "ends at node 4"),
        ("1,2,-1,1 4", "departure_s is '-1'"),
        ("1,2,nan,1 4", "departure_s is 'nan'"),
        ("1,2,soon,1 4", "departure_s is 'soon'"),
        ("1,2,1e99,1 4", "departure 1e+99"),
    ],
)
def test_bad_trips_are_told_by_their_line(folder: Path, row: str, message: str) -> None:
    (folder / "listed.toml").write_text(LISTED)
    (folder / "trips.csv").write_text(f"origin,destination,departure_s,path\n1,2,0,1 4\n{row}\n")
    outcome = call("run", "listed.toml", "--quiet", "--out", "r")
    assert outcome.status == 2
    assert message in outcome.err
    assert "line 3" in outcome.err or "traveller 2" in outcome.err
    assert not (folder / "r").exists()
