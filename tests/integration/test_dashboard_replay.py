"""Replays of recorded runs, and queue traffic by the clock, without a browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_queue import write_bridge

from dashboard.controller import Controller
from dashboard.queue_stage import QueueStage
from dashboard.scene import Phase, Scene
from dashboard.wishes import Wish
from sim.experiments.build import build_scenario
from sim.experiments.queue_build import build_queues
from sim.experiments.record import read_run
from sim.experiments.run import record, run
from sim.spec import load_scenario, parse_scenario
from sim.traffic.loading import Loading
from sim.traffic.trips import Trips

BRAESS = {
    "name": "braess",
    "network": {"source": "synthetic", "kind": "braess"},
    "demand": {"source": "synthetic", "vehicles_per_traveller": 0.05},
    "worlds": {"run": ["selfish", "optimum", "coalition"]},
}


def wait_for(condition: Callable[[], bool], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def opened(wish: Wish, at_end: Callable[[Controller], None] = lambda controller: None) -> Scene:
    """Return the scene that a wish opens with; `at_end` may do more before the visit ends."""
    controller = Controller(wish)
    try:
        wait_for(lambda: controller.scene.phase in (Phase.READY, Phase.FAILED))
        scene = controller.scene
        at_end(controller)
    finally:
        controller.close()
        assert controller.join(20.0)
    return scene


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two recorded runs, the second with a tenth of the movers breaking their promise."""
    folder = tmp_path_factory.mktemp("runs")
    kinds = ({}, {"adversaries": {"defectors": 0.1}})
    return tuple(  # type: ignore[return-value]
        record(run(parse_scenario(BRAESS | kind), folder), folder / f"run{number}") for number, kind in enumerate(kinds)
    )


def test_a_replay_shows_what_the_run_recorded(runs: tuple[Path, Path]) -> None:
    recorded = read_run(runs[1])

    def go_back(controller: Controller) -> None:
        last = controller.scene.last_day
        controller.seek(1)
        wait_for(lambda: controller.scene.right is not None and controller.scene.right.today.day == 1)
        assert last is not None and last > 1 and controller.scene.last_day == last

    scene = opened(Wish("braess", runs=(str(runs[1]),)), go_back)
    assert scene.error is None and scene.left is not None and scene.right is not None and scene.solved is not None
    assert (scene.left.key, scene.right.key) == ("selfish", "coalition")
    assert scene.solved.price.ratio == recorded.poa["price_of_anarchy"]
    assert scene.right.today.total_s == pytest.approx(recorded.poa["worlds"]["coalition"]["total_time_s"], rel=1e-9)
    links = recorded.table("link_performance")
    assert scene.right.links is not None and scene.left.links is not None
    assert np.array_equal(scene.right.links.flow_vph, links["coalition_flow_vph"].to_numpy())
    # v t'(v) of t = a + b v is b v, the time above that of an empty street.
    above = scene.left.links.time_s - links["free_flow_time_s"].to_numpy()
    assert scene.left.links.external_s is not None
    assert np.allclose(scene.left.links.external_s, above)
    trips = recorded.table("trips")
    start, link = scene.right.routes.paths(np.array([3, 0], np.int32))
    assert np.split(link, start[1:-1])[0].tolist() == trips["coalition_path"][3].as_py()
    assert scene.right.money_micro is not None
    assert scene.right.money_micro.tolist() == trips["coalition_money_micro"].to_pylist()
    assert scene.books is not None and scene.books.contracts.equals(recorded.table("contracts"))
    assert scene.stage is not None and len(scene.stage.at(100.0).panes[1].vehicles.traveller) > 0
    assert scene.market is not None and scene.market.settled


def test_two_runs_stand_side_by_side(runs: tuple[Path, Path]) -> None:
    scene = opened(Wish("braess", runs=tuple(map(str, runs))))
    assert scene.error is None and scene.left is not None and scene.right is not None
    assert (scene.left.title, scene.right.title) == ("Market A", "Market B")
    facts = {name: (first, second) for name, first, second in scene.facts}
    assert facts["adversaries.defectors"] == ("0", "0.1")
    assert scene.stage is not None and len(scene.stage.at(0.0).panes) == 2
    chosen = opened(Wish("braess", runs=tuple(map(str, runs)), worlds=("optimum", "selfish")))
    assert chosen.left is not None and chosen.right is not None
    assert (chosen.left.key, chosen.right.key) == ("optimum", "selfish")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: shutil.rmtree(run), "no such run folder"),
        (lambda run: (run / "manifest.json").unlink(), "no manifest.json"),
        (lambda run: (run / "trips.parquet").write_bytes(b"PAR1 no more"), "trips.parquet"),
        (lambda run: (run / "ledger.parquet").write_bytes(b"PAR1 no more"), "ledger.parquet"),
        (lambda run: (run / "scenario.lock.toml").write_text("name = 3"), "scenario.lock.toml"),
    ],
)
def test_a_damaged_run_is_told_and_does_not_crash(
    runs: tuple[Path, Path], tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    copy = Path(shutil.copytree(runs[0], tmp_path / "copy"))
    spoil(copy)
    scene = opened(Wish("braess", runs=(str(copy),)))
    assert scene.phase is Phase.FAILED and message in (scene.error or "")


def test_a_world_that_did_not_run_is_told(runs: tuple[Path, Path]) -> None:
    scene = opened(Wish("braess", runs=(str(runs[0]),), worlds=("selfish", "toll")))
    assert scene.phase is Phase.FAILED and "no world 'toll'" in (scene.error or "")


@pytest.fixture(scope="module")
def queue_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queue")
    scenario = write_bridge(folder, worlds='run = ["selfish", "optimum"]')
    return record(run(load_scenario(scenario), folder), folder / "run")


def test_a_recorded_day_of_queue_traffic_is_the_same_to_the_last_bit(queue_run: Path) -> None:
    recorded = read_run(queue_run)
    scene = opened(Wish("bridge", runs=(str(queue_run),)))
    assert scene.error is None and scene.left is not None and scene.right is not None and scene.city is not None
    assert (scene.left.key, scene.right.key) == ("selfish", "optimum") and scene.is_queue
    trips = recorded.table("trips")
    for view in (scene.left, scene.right):
        assert view.cost_s.tolist() == trips[f"{view.key}_travel_time_s"].to_pylist()
    assert scene.stage is not None
    moment = scene.stage.at(scene.city.end_s)
    assert moment.spent_s is not None
    for view, spent_s in zip((scene.left, scene.right), moment.spent_s, strict=False):
        assert spent_s == pytest.approx(recorded.poa["worlds"][view.key]["total_time_s"], rel=1e-12)
    assert all(len(pane.vehicles.traveller) == 0 and pane.under_way == 0 for pane in moment.panes)


def test_the_stage_goes_on_and_back_like_a_loading_of_its_own(queue_run: Path) -> None:
    recorded = read_run(queue_run)
    built = build_scenario(parse_scenario(recorded.scenario), queue_run.parent)
    queues = build_queues(built)
    scene = opened(Wish("bridge", runs=(str(queue_run),)))
    assert isinstance(scene.stage, QueueStage)
    start, link = scene.left.routes.paths(np.arange(built.population.n_travellers, dtype=np.int32))  # type: ignore[union-attr]
    trips = Trips(built.population.departure_s, start, link)
    for clock_s in (400.0, 700.0, 100.0):
        loading = Loading(queues.network, trips, scene.stage._options)
        loading.advance(clock_s)
        expected, pane = loading.positions(), scene.stage.at(clock_s).panes[0]
        assert pane.vehicles.traveller.tolist() == expected.vehicle_idx.tolist()
        assert pane.vehicles.fraction.tolist() == expected.fraction.tolist()
        assert pane.under_way == int((trips.departure_s < clock_s).sum()) - loading.n_arrived


def test_queue_traffic_runs_live_and_a_mechanism_that_cannot_is_told(tmp_path: Path) -> None:
    scenario = str(write_bridge(tmp_path))
    scene = opened(Wish(scenario, mechanism="optimum"))
    assert scene.error is None and scene.left is not None and scene.right is not None and scene.solved is not None
    assert scene.right.today.total_s <= scene.left.today.total_s
    assert scene.solved.optimum_bound_s <= scene.solved.optimum_s
    assert scene.left.flow_by_bin is not None and scene.left.flow_by_bin.values.max() > 0
    traded = opened(Wish(scenario))
    assert traded.error is None and traded.right is not None and traded.market is not None and traded.books is not None
    assert traded.right.key == "coalition" and traded.right.below_baseline == 0 and traded.market.settled
    assert traded.right.today.total_s <= scene.left.today.total_s and traded.right.money_micro is not None
    refused = opened(Wish(scenario, mechanism="pools"))
    assert refused.phase is Phase.FAILED and "'pools'" in (refused.error or "")
