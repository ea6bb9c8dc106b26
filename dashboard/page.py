"""The page: what a visitor sees and can do. Solara renders `Page` once for each visitor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import reacton.ipyvuetify as rv
from reacton import use_effect, use_memo, use_state
from solara.core import component
from solara.routing import use_router

from dashboard.charts import Charts
from dashboard.city_map import CityMap
from dashboard.controller import Controller
from dashboard.controls import Head, PlayControls
from dashboard.elements import Style, Title, follow_system_theme
from dashboard.panels import Foot, Side
from dashboard.scene import Scene
from dashboard.session import Address, View, link_answer, picture_of, read_address, scenario_choices

_STYLE = Path(__file__).resolve().parent / "static" / "page.css"


@component
def Layout(children: list[Any]) -> None:
    """Show the bare frame around the page, in place of Solara's bar."""
    rv.Html(tag="main", class_="rp-page", children=children)


@component
def Page() -> None:
    """Show the worlds of one visitor."""
    choices = use_memo(scenario_choices, [])
    query = use_router().search
    first = use_memo(lambda: read_address(query, choices), [])
    _, set_changes = use_state(0)

    def changed() -> None:
        set_changes(lambda number: number + 1)

    controller = use_memo(lambda: Controller(first.wish, changed), [])
    use_effect(lambda: controller.close, [])
    view, set_view = use_state(first.view)
    city_map = use_memo(CityMap, [])
    scene = controller.scene
    _use_map(city_map, controller, scene, view)
    charts = use_memo(Charts, [])
    use_effect(lambda: charts.show(scene), [scene.city, scene.solved, scene.selfish])
    Title("routepact · the Price of Anarchy of a city")
    Style(_STYLE)
    use_memo(follow_system_theme, [])
    Head(scene, choices, controller.load)
    if scene.error is not None:
        _error(scene.error)
    with rv.Html(tag="div", class_="rp-body"):
        with rv.Html(tag="section", class_="rp-left"):
            rv.Html(tag="div", class_="rp-map-box", children=[city_map])
            PlayControls(scene, controller, view, set_view)
        Side(scene, charts)
    Foot(scene)


def _error(message: str) -> None:
    with rv.Html(tag="div", class_="rp-error", attributes={"role": "alert"}):
        rv.Html(tag="strong", children=["This did not work. "])
        rv.Html(tag="span", children=[message])


def _use_map(city_map: CityMap, controller: Controller, scene: Scene, view: View) -> None:
    """Keep the map at the present scene."""

    def connect() -> None:
        acts: dict[str, Callable[[], None]] = {"space": controller.toggle, "right": controller.step, "r": controller.reset}

        def on_key(key: str) -> None:
            if key in acts:
                acts[key]()

        city_map.connect(on_key, lambda link: link_answer(controller.scene, link))

    def show_streets() -> None:
        city_map.show_streets(None if scene.city is None else scene.city.streets)

    def show() -> None:
        city_map.show(picture_of(scene, view))
        city_map.refresh_card()

    def show_address() -> None:
        city_map.address = Address(scene.wish, view).query()

    use_effect(connect, [])
    use_effect(show_streets, [scene.city])
    use_effect(show, [scene.city, scene.selfish, scene.optimum, view])
    use_effect(show_address, [scene.wish, view])
