"""What the visitor can do: choose scenario and demand, play, pause, step, reset, and look at worlds or their difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import reacton.ipyvuetify as rv
from reacton import use_effect, use_state
from solara.components.select import Select
from solara.components.slider import SliderFloat, SliderValue
from solara.core import component

from dashboard import figures
from dashboard.controller import Controller
from dashboard.elements import Button, ThemeToggle
from dashboard.scene import LEAST_DEMAND, MOST_DEMAND, Phase, Scene, Wish
from dashboard.session import View

_LEAD = (
    "One city and the same trips, twice. Left, everybody takes the route that is quickest for himself; "
    "right, a plan that costs the city least. "
    "How much worse the left one does is the Price of Anarchy."
)
_SPEEDS = [0.5, 1.0, 2.0, 5.0, 10.0]
_DEMAND_STEP = 0.05
_VIEWS: dict[View, str] = {"worlds": "Two maps", "difference": "Difference"}


@component
def Head(scene: Scene, choices: list[str], load: Callable[[Wish], None]) -> None:
    """Show the title, the sentence that explains the page, and the choice of scenario and demand."""
    demand, set_demand = use_state(scene.wish.demand_scale)
    use_effect(lambda: set_demand(scene.wish.demand_scale), [scene.wish])
    # A file is offered by its stem, for which there is room, unless a bundled scenario has that name.
    label_of = {name: name if Path(name).stem in choices else Path(name).stem for name in choices}
    name_of = {label: name for name, label in label_of.items()}
    with rv.Html(tag="header", class_="rp-head"):
        with rv.Html(tag="div", class_="rp-head-words"):
            rv.Html(tag="h1", children=["routepact"])
            rv.Html(tag="p", class_="rp-lead", children=[_LEAD])
        with rv.Html(tag="div", class_="rp-head-choices"):
            Select(
                label="Scenario",
                value=label_of[scene.wish.scenario],
                values=list(name_of),
                on_value=lambda label: load(Wish(name_of[label], scene.wish.demand_scale)),
                classes=["rp-scenario"],
                dense=True,
            )
            with rv.Html(tag="div", class_="rp-slider rp-demand"):
                rv.Html(tag="span", class_="rp-slider-label", children=[f"Demand: {demand:.0%}"])
                SliderFloat(
                    "", value=demand, min=LEAST_DEMAND, max=MOST_DEMAND, step=_DEMAND_STEP, on_value=set_demand, thumb_label=False
                )
            Button(
                "Apply",
                on_click=lambda: load(Wish(scene.wish.scenario, demand)),
                disabled=abs(demand - scene.wish.demand_scale) < _DEMAND_STEP / 2,
                outlined=True,
                small=True,
                classes=["rp-apply"],
            )
            ThemeToggle()


@component
def PlayControls(scene: Scene, controller: Controller, view: View, set_view: Callable[[View], None]) -> None:
    """Show the row under the maps: play, step, reset, speed, what happens today, and what the map shows."""
    speed, set_speed = use_state(1.0)
    use_effect(lambda: controller.set_speed(speed), [speed])
    ready = scene.phase is Phase.READY
    live = ready and not scene.at_rest
    with rv.Html(tag="div", class_="rp-controls"):
        with rv.Html(tag="div", class_="rp-buttons"):
            _button(
                "Pause" if scene.playing else "Play",
                "mdi-pause" if scene.playing else "mdi-play",
                controller.toggle,
                not live,
                "rp-play",
                "space",
            )
            _button("Step", "mdi-skip-next", controller.step, not live, "rp-step", "right arrow")
            _button("Reset", "mdi-restart", controller.reset, not ready, "rp-reset", "R")
        with rv.Html(tag="div", class_="rp-slider rp-speed"):
            rv.Html(tag="span", class_="rp-slider-label", children=[f"{speed:g} {'day' if speed == 1 else 'days'} a second"])
            SliderValue("", value=speed, values=_SPEEDS, on_value=set_speed)
        _today(scene)
        with rv.Html(tag="div", class_="rp-views", attributes={"role": "group", "aria-label": "What the map shows"}):
            for name, label in _VIEWS.items():
                _view_button(name, label, view == name, set_view)


def _today(scene: Scene) -> None:
    with rv.Html(tag="div", class_="rp-today", attributes={"aria-live": "polite"}):
        if scene.phase is Phase.READY:
            rv.Html(tag="strong", class_="rp-day", children=[figures.day_text(scene)])
            rv.Html(tag="span", class_="rp-story", children=[figures.story(scene)])
        elif scene.phase is not Phase.FAILED:
            share = figures.progress_share(scene)
            rv.ProgressLinear(value=100 * (share or 0.0), indeterminate=share is None, height=4, class_="rp-progress")
            rv.Html(tag="span", class_="rp-story", children=[figures.progress_text(scene)])


def _button(label: str, icon: str, act: Callable[[], None], disabled: bool, name: str, key: str) -> None:
    Button(
        label,
        icon_name=icon,
        on_click=act,
        disabled=disabled,
        color="primary" if name == "rp-play" else None,
        outlined=name != "rp-play",
        depressed=True,
        classes=[name],
        attributes={"title": f"{label} ({key})"},
    )


def _view_button(name: View, label: str, chosen: bool, set_view: Callable[[View], None]) -> Any:
    Button(
        label,
        on_click=lambda: set_view(name),
        text=True,
        small=True,
        classes=["rp-view", f"rp-view-{name}", *(["rp-chosen"] if chosen else [])],
        attributes={"aria-pressed": "true" if chosen else "false"},
    )
