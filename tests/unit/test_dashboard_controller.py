"""The controller without a browser: what each button does to the scene, and how it ends."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dashboard import figures
from dashboard.city_map import CityMap
from dashboard.controller import Controller
from dashboard.scene import Phase, Scene, Wish
from dashboard.session import link_answer, picture_of, read_address, scenario_choices
from sim.errors import InputError
from sim.spec import ScenarioSpec, parse_scenario

BRAESS = {
    "name": "braess",
    "network": {"source": "synthetic", "kind": "braess"},
    "demand": {"source": "synthetic", "vehicles_per_traveller": 0.05},
}


def find(name: str) -> tuple[ScenarioSpec, Path]:
    if name == "broken":
        raise InputError("there is no scenario 'broken'")
    if name == "crash":
        raise ZeroDivisionError("made for the test")
    return parse_scenario(BRAESS | {"name": name}), Path()


def wait_for(condition: Callable[[], bool], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def wait_until_ready(controller: Controller) -> None:
    """Wait for the first day; an error ends the wait at once."""
    wait_for(lambda: controller.scene.phase in (Phase.READY, Phase.FAILED))
    assert controller.scene.error is None


def day(controller: Controller) -> int:
    view = controller.scene.selfish
    return -1 if view is None else view.today.day


@pytest.fixture
def controller() -> Iterator[Controller]:
    made = Controller(Wish("braess"), find=find, days_per_s=1000.0)
    wait_until_ready(made)
    yield made
    made.close()
    assert made.join(10.0)


def test_first_day_and_certified_price(controller: Controller) -> None:
    scene = controller.scene
    assert day(controller) == 0 and not scene.playing
    assert scene.solved is not None and scene.solved.price.ratio == pytest.approx(552 / 498, abs=1e-6)
    assert scene.selfish is not None and scene.optimum is not None
    # The optimum's plan is drawn for travellers of 0.05 vehicles, so its total is within a grain of 498.
    assert scene.optimum.today.total_cost_s == pytest.approx(498, rel=0.02)
    assert figures.live_ratio(scene) == pytest.approx(scene.selfish.today.total_cost_s / 498, rel=1e-6)


def test_step_adds_one_day_and_reset_goes_back(controller: Controller) -> None:
    first = controller.scene.selfish
    for wanted in (1, 2):
        controller.step()
        wait_for(lambda wanted=wanted: day(controller) == wanted)
    assert not controller.scene.playing
    controller.reset()
    wait_for(lambda: day(controller) == 0)
    again = controller.scene.selfish
    assert first is not None and again is not None and again is not first
    assert np.array_equal(first.flow_vph, again.flow_vph)  # the same seed, the same first day


def test_play_runs_to_rest_near_the_equilibrium(controller: Controller) -> None:
    controller.play()
    wait_for(lambda: controller.scene.at_rest)
    scene = controller.scene
    assert not scene.playing and day(controller) >= 2
    assert figures.live_ratio(scene) == pytest.approx(552 / 498, rel=0.03)
    assert "At rest" in figures.story(scene)
    days = day(controller)
    controller.play()
    controller.step()
    time.sleep(0.05)
    assert day(controller) == days and not controller.scene.playing


def test_pause_holds_the_day(controller: Controller) -> None:
    controller.set_speed(20.0)
    controller.play()
    wait_for(lambda: day(controller) >= 1)
    controller.pause()
    time.sleep(0.1)  # the day that was under way ends
    held = day(controller)
    time.sleep(0.3)
    assert day(controller) == held and not controller.scene.playing


def test_demand_scale_is_applied_to_the_scenario(controller: Controller) -> None:
    before = controller.scene.city
    controller.load(Wish("braess", 0.5))
    wait_for(lambda: controller.scene.wish.demand_scale == 0.5)
    wait_until_ready(controller)
    city, solved = controller.scene.city, controller.scene.solved
    assert before is not None and city is not None and solved is not None
    assert city.built.problem.od.total_vph == pytest.approx(before.built.problem.od.total_vph / 2)
    # With 3 vehicles everybody takes the shortcut: 10 * 3 + (10 + 3) + 10 * 3 seconds each.
    assert solved.equilibrium.total_cost_s == pytest.approx(3 * 73, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "message"), [("broken", "no scenario 'broken'"), ("crash", "ZeroDivisionError: made for the test")]
)
def test_errors_stop_and_show_and_do_not_last(controller: Controller, name: str, message: str) -> None:
    controller.load(Wish(name))
    wait_for(lambda: controller.scene.phase is Phase.FAILED)
    assert message in (controller.scene.error or "")
    controller.step()
    controller.reset()
    controller.load(Wish("braess"))
    wait_for(lambda: controller.scene.wish == Wish("braess"))
    wait_until_ready(controller)


def test_close_ends_the_thread_while_it_works_and_frees_the_models() -> None:
    controller = Controller(Wish("braess"), find=find)
    controller.close()
    assert controller.join(10.0)
    assert controller.scene.city is None
    assert not any(thread.name == "routepact worlds" and thread is controller._thread for thread in threading.enumerate())


def test_closing_gives_the_models_up() -> None:
    controller = Controller(Wish("braess"), find=find)
    wait_until_ready(controller)
    worlds = [weakref.ref(world) for world in controller._worlds.values()]
    assert len(worlds) == 2
    controller.close()
    assert controller.join(10.0)
    gc.collect()
    assert [world() for world in worlds] == [None, None]


def test_pictures_of_both_views(controller: Controller) -> None:
    worlds, difference = picture_of(controller.scene, "worlds"), picture_of(controller.scene, "difference")
    assert len(worlds.panes) == 2 and len(worlds.frame) == 16 + 2 * 5
    assert len(difference.panes) == 1 and len(difference.frame) == 16 + 5
    scene = controller.scene
    assert scene.selfish is not None and scene.optimum is not None
    more = scene.selfish.flow_vph > scene.optimum.flow_vph
    colours = np.frombuffer(difference.frame, np.uint8, offset=16) & 15
    assert (colours[more] > 4).all() and (colours[~more] <= 4).all()


def test_map_sends_one_frame_at_a_time_and_the_latest_wins(controller: Controller) -> None:
    city_map = CityMap()
    picture, later = picture_of(controller.scene, "worlds"), picture_of(controller.scene, "difference")
    assert city_map.show(picture)
    assert not city_map.show(picture)
    assert not city_map.show(later)
    assert city_map.frame == picture.frame
    city_map.drawn_number = city_map.frame_number
    assert city_map.frame == later.frame and city_map.frame_number == 2
    city_map.drawn_number = 2
    assert city_map.show(picture)


def test_link_card_is_answered_for_the_link_that_was_asked(controller: Controller) -> None:
    city_map = CityMap()
    city_map.connect(lambda key: None, lambda link: link_answer(controller.scene, link))
    city_map.asked = 2
    rows = {row[0]: row[1:] for row in city_map.card["rows"]}
    assert city_map.card["asked"] == 2 and city_map.card["title"] == "Link 3"
    assert set(rows) >= {"Flow, vehicles/h", "Travel time", "Free-flow time", "Capacity, vehicles/h"}
    assert link_answer(controller.scene, 99) == {} and link_answer(Scene(Wish("braess")), 0) == {}


def test_address_takes_only_what_is_on_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEPACT_DASHBOARD_SCENARIO", "mine.toml")
    choices = scenario_choices()
    assert choices[0] == "mine.toml" and "city" in choices
    asked = read_address("scenario=braess&demand=0.5&view=difference", choices)
    assert asked.wish == Wish("braess", 0.5) and asked.view == "difference"
    assert read_address(asked.query()[1:], choices) == asked
    for query in (None, "", "scenario=/etc/passwd&demand=1e9", "demand=nan&view=x", "demand=text"):
        assert read_address(query, choices).wish == Wish("mine.toml", 1.0)
