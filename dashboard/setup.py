"""The tab in which a visitor changes what runs: scenario, demand, mechanism, members, cheats, seed, closed streets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import reacton.ipyvuetify as rv
from reacton import use_effect, use_state
from solara.core import component

from dashboard.elements import Button, InputText, Select, SliderFloat, text_button, words
from dashboard.scene import Scene
from dashboard.sheet import cell, sheet
from dashboard.wishes import CHEATS, LEAST_DEMAND, MECHANISMS, MOST_DEMAND, Wish

_STEP = 0.05


@component
def SetupTab(scene: Scene, choices: list[str], load: Callable[[Wish], None]) -> None:
    """Show what may be changed; nothing happens before Apply, because everything is solved again."""
    draft, set_draft = use_state(scene.wish)
    use_effect(lambda: set_draft(scene.wish), [scene.wish])
    with rv.Html(tag="div", class_="rp-tab rp-setup"):
        if scene.wish.runs:
            _recorded(scene, load)
            return
        _choices(scene, draft, set_draft, choices)
        _closed(scene, draft, set_draft)
        Button(
            "Apply",
            on_click=lambda: load(draft),
            disabled=draft == scene.wish,
            depressed=True,
            classes=["rp-apply"],
            attributes={"title": "Solves both worlds again"},
        )


def _choices(scene: Scene, draft: Wish, set_draft: Callable[[Wish], None], choices: list[str]) -> None:
    # A file is offered by its stem, for which there is room, unless a bundled scenario has that name.
    label_of = {name: name if Path(name).stem in choices else Path(name).stem for name in choices}
    name_of = {label: name for name, label in label_of.items()}
    titles = {title: key for key, (title, _) in MECHANISMS.items()}
    Select(
        label="Scenario",
        value=label_of[draft.scenario],
        values=list(name_of),
        on_value=lambda label: set_draft(Wish(name_of[label], mechanism=draft.mechanism)),
        classes=["rp-scenario"],
        dense=True,
    )
    Select(
        label="On the right map",
        value=MECHANISMS[draft.mechanism][0],
        values=list(titles),
        on_value=lambda title: set_draft(replace(draft, mechanism=titles[title])),
        classes=["rp-mechanism"],
        dense=True,
    )
    words("p", "rp-remark", MECHANISMS[draft.mechanism][1] + ".")
    _share(
        "Demand", draft.demand_scale, LEAST_DEMAND, MOST_DEMAND, lambda v: set_draft(replace(draft, demand_scale=v)), "rp-demand"
    )
    own = 1.0 if scene.city is None else scene.city.built.spec.market.participation
    members = own if draft.participation is None else draft.participation
    _share("Members", members, 0.0, 1.0, lambda v: set_draft(replace(draft, participation=v)), "rp-members")
    words("h2", "", "Who does not play fair")
    shares = dict(draft.cheats)
    spec = None if scene.city is None else scene.city.built.spec.adversaries
    for name, label in CHEATS.items():
        share = shares.get(name, 0.0 if spec is None else float(getattr(spec, name)))
        _share(label, share, 0.0, 1.0 if "validators" not in name else 0.5, _cheat(draft, set_draft, name), f"rp-{name}")
    seed = "" if draft.seed is None else str(draft.seed)
    InputText("Seed (empty: the scenario's)", value=seed, on_value=lambda v: set_draft(replace(draft, seed=_seed(v))))


def _cheat(draft: Wish, set_draft: Callable[[Wish], None], name: str) -> Callable[[float], None]:
    def change(share: float) -> None:
        set_draft(replace(draft, cheats=tuple({**dict(draft.cheats), name: share}.items())))

    return change


def _seed(words_typed: str) -> int | None:
    typed = words_typed.strip()
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else None


def _share(label: str, value: float, low: float, high: float, change: Callable[[float], None], class_: str) -> None:
    with rv.Html(tag="div", class_=f"rp-slider {class_}"):
        words("span", "rp-slider-label", f"{label}: {value:.0%}")
        SliderFloat("", value=value, min=low, max=high, step=_STEP, on_value=lambda v: change(round(v, 4)), thumb_label=False)


def _closed(scene: Scene, draft: Wish, set_draft: Callable[[Wish], None]) -> None:
    words("h2", "", "Closed streets")
    if not draft.closed:
        words("p", "rp-remark", "None. Click a street on the map, then close it on its card.")
    for link_id in draft.closed:
        left = tuple(other for other in draft.closed if other != link_id)
        text_button(f"Reopen link {link_id}", partial(set_draft, replace(draft, closed=left)), "rp-reopen")


def _recorded(scene: Scene, load: Callable[[Wish], None]) -> None:
    for mark, run in zip("AB", scene.wish.runs, strict=False):
        words("p", "rp-remark rp-run", f"Recorded run {mark if len(scene.wish.runs) == 2 else ''}: {Path(run).name}", title=run)
    if scene.left is None or scene.right is None:
        return
    shown = scene.left.key, scene.right.key
    for side, number in (("left", 0), ("right", 1)):

        def choose(name: str, number: int = number) -> None:
            worlds = (name, shown[1]) if number == 0 else (shown[0], name)
            load(replace(scene.wish, worlds=worlds))

        Select(
            label=f"On the {side} map",
            value=shown[number],
            values=list(scene.recorded[number]),
            on_value=choose,
            classes=[f"rp-recorded-{side}"],
            dense=True,
        )
    sheet([[cell(name, "rp-label"), first, second] for name, first, second in scene.facts], look="rp-rows rp-facts")
