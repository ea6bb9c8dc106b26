"""The head of the page, and the row under the maps: play, step, reset, speeds, what happens now, and what the maps show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import reacton.ipyvuetify as rv
from reacton import use_effect, use_state
from solara.core import component

from dashboard import figures
from dashboard.elements import Button, Select, SliderInt, SliderValue, ThemeToggle, choice_group, words
from dashboard.film import Look
from dashboard.scene import Phase, Scene
from dashboard.visit import Visit

_LEAD = (
    "One city, the same trips, twice. Left, everybody takes the route that is quickest for himself. Right, travellers pay each "
    "other to take detours that help the rest. The Price of Anarchy says how far each is from the best there is: 1."
)
_DAYS_PER_S = [0.25, 0.5, 1.0, 2.0, 5.0]
_CLOCK_RATES = {"10x": 10.0, "30x": 30.0, "60x": 60.0, "120x": 120.0, "300x": 300.0, "600x": 600.0}
_VIEWS = (("worlds", "Two maps", "Both worlds side by side"), ("difference", "Difference", "Left minus right (d)"))
_COLOURS = (
    ("load", "Volume / capacity", "How full the streets are (c)"),
    ("speed", "Speed", "How fast one gets on, against free flow (c)"),
    ("external", "Marginal cost", "How much one more vehicle delays the others (c)"),
)
_QUEUE_COLOURS = (("load", "Places taken", "How full the streets are (c)"), _COLOURS[1])


@component
def Head() -> None:
    """Show the title, the sentence that explains the page, and the choice of light and dark."""
    with rv.Html(tag="header", class_="rp-head"):
        with rv.Html(tag="div", class_="rp-head-words"):
            words("h1", "", "routepact")
            words("p", "rp-lead", _LEAD)
        ThemeToggle()


@component
def PlayControls(scene: Scene, visit: Visit, look: Look, set_look: Callable[[Look], None], clock_s: float) -> None:
    """Show the rows under the maps; `clock_s` is the time of the day where there is a slider for it."""
    ready = scene.phase is Phase.READY
    controller = visit.controller
    with rv.Html(tag="div", class_="rp-controls"):
        with rv.Html(tag="div", class_="rp-buttons"):
            icon = "mdi-pause" if scene.playing else "mdi-play"
            _button("Pause" if scene.playing else "Play", icon, controller.toggle, not ready, "rp-play", "space")
            may_step = ready and (scene.is_queue or not scene.at_rest)
            step, start = ("one more minute", "the beginning") if scene.is_queue else ("one more day", "the first day")
            _button("Step", "mdi-skip-next", visit.step, not may_step, "rp-step", f"right arrow: {step}")
            _button("Reset", "mdi-restart", visit.reset, not ready, "rp-reset", f"R: back to {start}")
        _today(scene)
    with rv.Html(tag="div", class_="rp-controls rp-second-row"):
        if scene.last_day is not None and scene.right is not None and not scene.is_queue:
            _day_slider(scene, controller.seek)
        elif not scene.is_queue:
            DaySpeed(controller.set_speed)
        if scene.city is not None and scene.stage is not None:
            _clock(scene, visit, look, set_look, clock_s)
        colours = _QUEUE_COLOURS if scene.is_queue else _COLOURS
        choice_group("What the colours say", colours, look.colour, lambda colour: set_look(replace(look, colour=colour)))
        choice_group("What the map shows", _VIEWS, look.view, lambda view: set_look(replace(look, view=view)))


def _today(scene: Scene) -> None:
    with rv.Html(tag="div", class_="rp-today", attributes={"aria-live": "polite"}):
        if scene.phase is Phase.READY:
            words("strong", "rp-day", figures.day_text(scene))
            words("span", "rp-story", figures.story(scene))
        elif scene.phase is not Phase.FAILED:
            share = None if scene.progress is None else scene.progress.share
            rv.ProgressLinear(value=100 * (share or 0.0), indeterminate=share is None, height=4, class_="rp-progress")
            words("span", "rp-story", figures.progress_text(scene))


def _day_slider(scene: Scene, seek: Callable[[int], None]) -> None:
    assert scene.right is not None and scene.last_day is not None  # asked before
    day = scene.right.today.day
    with rv.Html(tag="div", class_="rp-slider rp-day-slider"):
        words("span", "rp-slider-label", f"Day {day} of {scene.last_day}")
        if scene.last_day > 0:
            SliderInt("", value=day, min=0, max=scene.last_day, on_value=seek, thumb_label=False)


@component
def DaySpeed(set_speed: Callable[[float], None]) -> None:
    """Show how fast days follow each other."""
    speed, keep_speed = use_state(1.0)
    use_effect(lambda: set_speed(speed), [speed])
    with rv.Html(tag="div", class_="rp-slider rp-speed"):
        words("span", "rp-slider-label", f"{speed:g} {'day' if speed == 1 else 'days'} a second", title="How fast days follow")
        SliderValue("", value=speed, values=_DAYS_PER_S, on_value=keep_speed)


def _clock(scene: Scene, visit: Visit, look: Look, set_look: Callable[[Look], None], clock_s: float) -> None:
    shown = next((name for name, rate in _CLOCK_RATES.items() if rate == look.clock_rate), "60x")
    with rv.Html(tag="div", class_="rp-rate", attributes={"title": "How much faster than real the vehicles move"}):
        Select(
            label="Clock",
            value=shown,
            values=list(_CLOCK_RATES),
            on_value=lambda name: set_look(replace(look, clock_rate=_CLOCK_RATES[name])),
            dense=True,
        )
    if scene.is_queue and scene.city is not None:
        with rv.Html(tag="div", class_="rp-slider rp-clock-slider"):
            words("span", "rp-slider-label", "Time of the day")
            SliderInt("", value=int(clock_s), min=0, max=int(scene.city.end_s), on_value=visit.seek, thumb_label=False)


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
