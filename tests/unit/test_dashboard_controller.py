"""The controller without a browser: what each button does to the scene, and how it ends."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard import figures
from dashboard.city_map import CityMap
from dashboard.controller import Controller
from dashboard.export import links_csv
from dashboard.film import Film, Look
from dashboard.pictures import Painter
from dashboard.scene import Phase, Scene
from dashboard.visit import Choice, link_plot, routes_of
from dashboard.wishes import Wish
from sim.errors import InputError
from sim.spec import ScenarioSpec, parse_scenario

BRAESS = {
    "name": "braess",
    "network": {"source": "synthetic", "kind": "braess"},
    "demand": {"source": "synthetic", "vehicles_per_traveller": 0.05},
}
LEARNING = Wish("braess", mechanism="learning")
MARKET = Wish("braess", cheats=(("defectors", 0.2),))


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
    view = controller.scene.right
    return -1 if view is None else view.today.day


def started(wish: Wish) -> Iterator[Controller]:
    made = Controller(wish, find=find, days_per_s=1000.0)
    wait_until_ready(made)
    yield made
    made.close()
    assert made.join(10.0)


@pytest.fixture
def controller() -> Iterator[Controller]:
    yield from started(LEARNING)


@pytest.fixture(scope="module")
def settled() -> Iterator[Controller]:
    """A market that has come to rest and is settled."""
    for made in started(MARKET):
        made.play()
        wait_for(lambda made=made: made.scene.at_rest or made.scene.error is not None)
        assert made.scene.error is None
        made.pause()
        yield made


def test_first_day_and_certified_price(controller: Controller) -> None:
    scene = controller.scene
    assert day(controller) == 0 and not scene.playing
    assert scene.solved is not None and scene.solved.price.ratio == pytest.approx(552 / 498, abs=1e-6)
    assert scene.left is not None and scene.right is not None
    # The lottery's routes are an equilibrium of travellers of 0.05 vehicles.
    assert scene.left.today.total_s == pytest.approx(552, rel=0.02)
    assert figures.ratio_of(scene, scene.left) == pytest.approx(scene.left.today.total_s / 498, rel=1e-6)


def test_step_adds_one_day_and_reset_goes_back(controller: Controller) -> None:
    first = controller.scene.right
    for wanted in (1, 2):
        controller.step()
        wait_for(lambda wanted=wanted: day(controller) == wanted)
    assert not controller.scene.playing
    controller.reset()
    wait_for(lambda: day(controller) == 0)
    again = controller.scene.right
    assert first is not None and again is not None and again is not first
    assert first.links is not None and again.links is not None
    assert np.array_equal(first.links.flow_vph, again.links.flow_vph)  # the same seed, the same first day


def test_learners_come_to_rest_near_the_equilibrium_and_the_clock_goes_on(controller: Controller) -> None:
    controller.play()
    wait_for(lambda: controller.scene.at_rest)
    scene = controller.scene
    assert scene.playing and day(controller) >= 2
    assert figures.ratio_of(scene, scene.right) == pytest.approx(552 / 498, rel=0.03)
    assert "At rest" in figures.story(scene)
    days = day(controller)
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


def test_a_wish_is_applied_to_the_scenario(controller: Controller) -> None:
    before = controller.scene.city
    controller.load(Wish("braess", 0.5, "optimum", closed=("4",)))
    wait_for(lambda: controller.scene.wish.demand_scale == 0.5)
    wait_until_ready(controller)
    city, solved = controller.scene.city, controller.scene.solved
    assert before is not None and city is not None and solved is not None
    assert city.built.problem.od.total_vph == pytest.approx(before.built.problem.od.total_vph / 2)
    assert city.built.network.n_links == before.built.network.n_links - 1
    # Without the shortcut both principles send half of the three vehicles each way.
    assert solved.price.ratio == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "message"), [("broken", "no scenario 'broken'"), ("crash", "ZeroDivisionError: made for the test")]
)
def test_errors_stop_and_show_and_do_not_last(controller: Controller, name: str, message: str) -> None:
    controller.load(Wish(name))
    wait_for(lambda: controller.scene.phase is Phase.FAILED)
    assert message in (controller.scene.error or "")
    controller.step()
    controller.reset()
    controller.load(LEARNING)
    wait_for(lambda: controller.scene.wish == LEARNING)
    wait_until_ready(controller)


def test_close_ends_the_thread_while_it_works_and_frees_the_models() -> None:
    controller = Controller(LEARNING, find=find)
    controller.close()
    assert controller.join(10.0)
    assert controller.scene.city is None
    assert not any(thread.name == "routepact worlds" and thread is controller._thread for thread in threading.enumerate())


def test_closing_gives_the_models_up() -> None:
    controller = Controller(MARKET, find=find)
    wait_until_ready(controller)
    show: Any = controller._show
    world = weakref.ref(show._world)
    del show
    assert world() is not None
    controller.close()
    assert controller.join(10.0)
    gc.collect()
    assert world() is None


def test_the_market_closes_the_gap_and_nobody_loses(settled: Controller) -> None:
    scene = settled.scene
    assert scene.right is not None and scene.left is not None and scene.market is not None and scene.books is not None
    assert scene.right.today.total_s < scene.left.today.total_s
    assert (figures.closed_share(scene) or 0.0) > 0.5
    assert scene.market.settled and scene.market.deals > 0
    assert scene.right.money_micro is not None
    assert int(scene.right.money_micro.sum()) == scene.market.content["transfers_sum_micro"]
    rows = {row.label: row.values for row in (*figures.world_rows(scene), *figures.market_rows(scene))}
    assert rows["Contracts"] == (str(scene.books.n_contracts),) and rows["Members"] == (str(scene.market.members),)
    kinds = {event.kind for event in scene.feed}
    assert {"offer", "deal", "claim", "dispute", "ruling"} <= kinds


def test_books_lead_from_the_feed_to_the_whole_life_of_a_contract(settled: Controller) -> None:
    books = settled.scene.books
    assert books is not None and len(books.disputed) > 0
    disputed = next(event.contract for event in settled.scene.feed if event.kind == "ruling" and event.contract is not None)
    row, life = books.row(disputed), books.life(disputed)
    assert books.contract_of(row["traveller_id"]) == disputed
    assert life[-1].kind.startswith("ends") and any(line.kind == "claim" for line in life)
    assert all(line.contract == disputed for line in life)
    everything = books.search("")
    assert everything.n_found == len(books.entries) and len(everything.rows) <= 60
    of_contract = books.search(f"#{disputed}")
    assert of_contract.n_found == len(life) and of_contract.rows == tuple(reversed(life))[:60]
    name = f"t:{row['traveller_id']}"
    of_mover = books.search(name)
    assert 0 < of_mover.n_found < everything.n_found
    assert all(name in (line.debit, line.credit) for line in of_mover.rows)
    votes = books.search("validator", "REVEAL")
    assert votes.n_found > 0 and all(line.kind.startswith("votes") for line in votes.rows)
    assert books.search("nobody has this name").n_found == books.search("#x").n_found == 0


def test_pictures_show_both_worlds_or_their_difference(settled: Controller) -> None:
    scene = settled.scene
    assert scene.stage is not None and scene.left is not None and scene.right is not None
    moment = scene.stage.at(0.0)
    painter = Painter()
    worlds = painter.picture(scene, "worlds", "load", moment, follow=0)
    n_vehicles = [len(pane.vehicles.traveller) for pane in moment.panes]
    assert len(worlds.frame) == 16 + 8 + 4 * sum(n_vehicles) + 2 * 5 and min(n_vehicles) > 0
    assert [len(who) for who in worlds.travellers] == n_vehicles
    again = painter.picture(scene, "worlds", "load", scene.stage.at(1.0))
    assert again.links_key == worlds.links_key and len(again.frame) - len(again.frame_without_links) == 2 * 5
    difference = painter.picture(scene, "difference", "load", moment)
    assert len(difference.head["panes"]) == 1 and difference.links_key != worlds.links_key
    colours = np.frombuffer(difference.frame, np.uint8)[-5:] & 15
    assert scene.left.links is not None and scene.right.links is not None
    more = scene.left.links.flow_vph > scene.right.links.flow_vph + 1e-9
    assert (colours[more] >= 4).all() and more.any()
    for colour in ("speed", "external"):
        assert painter.picture(scene, "worlds", colour, moment).links_key not in (worlds.links_key, difference.links_key)
    assert painter.picture(Scene(LEARNING), "worlds", "load", None).frame == b""


def test_a_map_sends_one_frame_at_a_time_and_the_latest_wins(settled: Controller) -> None:
    scene, painter, city_map = settled.scene, Painter(), CityMap()
    assert scene.stage is not None
    first, later = (painter.picture(scene, "worlds", "load", scene.stage.at(clock_s)) for clock_s in (0.0, 500.0))
    assert city_map.show(first)
    assert not city_map.show(first)
    assert not city_map.show(later)
    assert city_map.frame == first.frame
    city_map.drawn_number = city_map.frame_number
    assert city_map.frame == later.frame_without_links and city_map.frame_number == 2
    city_map.drawn_number = 2
    assert city_map.show(first)
    city_map._sent_at -= 60.0  # as if the answer were lost
    assert city_map.show(later) and city_map.frame == later.frame


def test_the_film_runs_while_playing_and_marks_who_is_followed(settled: Controller) -> None:
    city_map = CityMap()
    film = Film(city_map, lambda: settled.scene)
    try:
        film.show(Look(clock_rate=600.0))
        wait_for(lambda: city_map.frame_number == 1)
        held = film.clock_s
        assert held == settled.scene.city.end_s / 2  # type: ignore[union-attr]
        settled.play()
        film.show()

        def moved_on() -> bool:
            city_map.drawn_number = city_map.frame_number
            return city_map.frame_number > 4

        wait_for(moved_on)
        assert film.clock_s != held
        settled.pause()
        film.seek(30.0)
        wait_for(lambda: film.clock_s == 30.0)
    finally:
        film.close()
    assert film.join(5.0)


def test_a_link_s_card_plot_and_csv_tell_the_same_flows(settled: Controller) -> None:
    scene = settled.scene
    assert scene.right is not None and scene.right.links is not None and scene.left is not None
    card = figures.link_card(scene, 2)
    rows = {row[0]: row[1:] for row in card["rows"]}  # type: ignore[attr-defined]
    assert card["title"] == "Link 3"
    assert set(rows) >= {"Flow, vehicles/h", "Travel time", "Delay to others, s/vehicle", "Capacity, vehicles/h"}
    shown = link_plot(scene, 2)
    assert shown is not None and len(shown["series"][1]["values"]) == len(scene.right.days)
    assert shown["series"][1]["values"][-1] == pytest.approx(scene.right.links.flow_vph[2], rel=1e-6)
    lines = links_csv(scene, None).splitlines()
    assert len(lines) == 6 and lines[0].startswith("link_id,street,") and "right_coalition_flow_vph" in lines[0]
    assert float(lines[3].split(",")[lines[0].split(",").index("right_coalition_flow_vph")]) == pytest.approx(
        scene.right.links.flow_vph[2], rel=1e-4
    )


def test_routes_of_a_contract_and_of_a_traveller_are_drawn(settled: Controller) -> None:
    scene = settled.scene
    assert scene.books is not None
    row = scene.books.row(0)
    old, new = routes_of(scene, Choice(contract=0))
    assert (list(old.links), list(new.links)) == (row["baseline_path"], row["target_path"])
    followed = routes_of(scene, Choice(follow=row["traveller_id"]))
    assert list(followed[0].links) == row["baseline_path"] and {route.pane for route in followed} == {0, 1}
    assert routes_of(scene, Choice(follow=10**9)) == () and routes_of(scene, Choice(contract=10**9)) == ()


@pytest.mark.parametrize("mechanism", ["optimum", "pools", "pairwise", "pairwise_compensated", "toll", "toll_uniform"])
def test_every_mechanism_lives_to_its_end(mechanism: str) -> None:
    for made in started(Wish("braess", mechanism=mechanism)):
        made.play()
        wait_for(lambda made=made: made.scene.at_rest or made.scene.error is not None)
        scene = made.scene
        assert scene.error is None and scene.right is not None and scene.right.key == mechanism
        paid = scene.right.under_contract is not None and bool(scene.right.under_contract.any())
        moved = any(day.moved for day in scene.right.days[1:])
        assert paid == (moved and mechanism in ("pools", "pairwise", "pairwise_compensated"))
        assert moved or mechanism != "pools"
        assert (scene.market is None) == (mechanism == "optimum")
        assert scene.progress is None and figures.world_rows(scene)
