"""The page: what a visitor sees and can do. Solara renders `Page` once for each visitor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import reacton.ipyvuetify as rv
from reacton import use_effect, use_memo, use_state
from solara.core import component
from solara.routing import use_router

from dashboard.controls import Head, PlayControls
from dashboard.elements import Style, Title, choice_group, follow_system_theme, text_button, words
from dashboard.find import FindTab
from dashboard.money import ContractView, LedgerTab, MarketTab
from dashboard.overview import Overview
from dashboard.scene import Moment, Scene
from dashboard.setup import SetupTab
from dashboard.visit import Choice, Visit
from dashboard.visitors import SEATS, most_visitors
from dashboard.wishes import Address, Colour, read_address, runs_on_show, scenario_choices

_STYLE = Path(__file__).resolve().parent / "static" / "page.css"
_NO_MOMENT: Moment | None = None
_NO_TROUBLE: str | None = None
_TABS = (
    ("overview", "Overview", "The Price of Anarchy and what both worlds cost"),
    ("market", "Market", "Offers, deals, claims, disputes, rulings, contracts"),
    ("ledger", "Ledger", "Every movement of money, searchable"),
    ("find", "Find", "A traveller or a link by id"),
    ("setup", "Change", "Scenario, demand, mechanism, members, cheats, seed, closed streets"),
)


@component
def Layout(children: list[Any]) -> None:
    """Show the bare frame around the page, in place of Solara's bar."""
    rv.Html(tag="main", class_="rp-page", children=children)


@component
def Page() -> None:
    """Show the worlds of one visitor, if there is a place for him."""
    Title("routepact · the Price of Anarchy of a city")
    Style(_STYLE)
    use_memo(follow_system_theme, [])
    has_seat = use_memo(SEATS.take, [])
    use_effect(lambda: SEATS.leave if has_seat else None, [])
    if has_seat:
        City()
        return
    Head()
    with rv.Html(tag="div", class_="rp-error rp-full", attributes={"role": "alert"}):
        words("strong", "", "No place left. ")
        limit = most_visitors()
        words(
            "span",
            "",
            f"This page serves {limit} {'visitor' if limit == 1 else 'visitors'} at once, each with cities of his own.",
        )
        words("span", "", " Close another tab, or try again later; --visitors N of the command allows more.")


@component
def City() -> None:
    """Show the worlds of one visitor."""
    choices, runs = use_memo(scenario_choices, []), use_memo(runs_on_show, [])
    query = use_router().search
    address, left_out = use_memo(lambda: read_address(query, choices, runs), [])
    visit, moment, trouble = _use_visit(address)
    look, set_look = use_state(visit.look)
    choice, set_choice = use_state(Choice(follow=address.follow))
    scene = visit.controller.scene
    _use_map(visit, scene, choice, set_choice, look, set_look)
    use_effect(lambda: visit.charts.show(scene), [scene.city, scene.solved, scene.left, scene.right])
    Head()
    _notices(scene, left_out, trouble)
    with rv.Html(tag="div", class_="rp-body"):
        with rv.Html(tag="section", class_="rp-left"):
            rv.Html(tag="div", class_="rp-map-box", children=[visit.map])
            PlayControls(scene, visit, look, set_look, 0.0 if moment is None else moment.clock_s)
        Side(scene, visit, moment, choice, set_choice, choices)
    Foot(scene)


def _use_visit(address: Address) -> tuple[Visit, Moment | None, str | None]:
    """Begin the visit at the first rendering, and end it with the page."""
    _, set_changes = use_state(0)
    moment, set_moment = use_state(_NO_MOMENT)
    trouble, set_trouble = use_state(_NO_TROUBLE)

    def changed() -> None:
        set_changes(lambda number: number + 1)

    visit = use_memo(lambda: Visit(address, changed, set_moment, set_trouble), [])
    use_effect(lambda: visit.close, [])
    return visit, moment, trouble


@component
def Side(
    scene: Scene,
    visit: Visit,
    moment: Moment | None,
    choice: Choice,
    set_choice: Callable[[Any], None],
    choices: list[str],
) -> None:
    """Show the column beside the maps: tabs, or an open contract."""

    def open_contract(contract: int) -> None:
        set_choice(replace(choice, contract=contract))

    def set_follow(traveller: int | None) -> None:
        set_choice(replace(choice, follow=traveller, tab="find", contract=None))

    with rv.Html(tag="aside", class_="rp-side"):
        with rv.Html(tag="nav", class_="rp-tabs"):
            choice_group("Tabs", _TABS, choice.tab, lambda tab: set_choice(replace(choice, tab=tab, contract=None)))
        if choice.contract is not None:
            ContractView(scene, choice.contract, lambda: set_choice(replace(choice, contract=None)), set_follow)
        elif choice.tab == "market":
            MarketTab(scene, open_contract)
        elif choice.tab == "ledger":
            LedgerTab(scene, open_contract)
        elif choice.tab == "find":
            FindTab(
                scene, choice.follow, set_follow, choice.link, lambda link: set_choice(replace(choice, link=link)), open_contract
            )
        elif choice.tab == "setup":
            SetupTab(scene, choices, visit.controller.load)
        else:
            Overview(scene, visit.charts, moment)


def _notices(scene: Scene, left_out: tuple[str, ...], trouble: str | None) -> None:
    hidden, hide = use_state(False)
    for message in filter(None, (scene.error, trouble)):
        with rv.Html(tag="div", class_="rp-error", attributes={"role": "alert"}):
            words("strong", "", "This did not work. ")
            words("span", "", message)
    if left_out and not hidden:
        with rv.Html(tag="div", class_="rp-notice", attributes={"role": "status"}):
            words("span", "", f"The address asks for something that is left out: {'; '.join(left_out)}.")
            text_button("OK", lambda: hide(True), "rp-notice-close")


@component
def Foot(scene: Scene) -> None:
    """Show attribution, assumptions and warnings."""
    built = None if scene.city is None else scene.city.built
    lines = [] if built is None else [built.spec.description, *built.notes, *built.warnings]
    if scene.city is not None and scene.city.streets.schematic:
        lines.append("The network states no coordinates: the map shows how its links connect, not where they are.")
    if scene.city is not None and not scene.is_queue:
        lines.append("Static traffic knows no moments: the moving vehicles illustrate the day's flows and times.")
    rv.Html(tag="footer", class_="rp-foot", children=[" ".join(line for line in lines if line)])


def _use_map(
    visit: Visit, scene: Scene, choice: Choice, set_choice: Callable[[Any], None], look: Any, set_look: Callable[[Any], None]
) -> None:
    """Keep the map at the present scene and choice."""
    controller = visit.controller

    def on_key(key: object) -> None:
        acts: dict[object, Callable[[], None]] = {
            "space": controller.toggle,
            "right": visit.step,
            "r": visit.reset,
            "d": lambda: set_look(lambda now: replace(now, view="worlds" if now.view == "difference" else "difference")),
            "c": lambda: set_look(lambda now: replace(now, colour=_next_colour(now.colour))),
            "escape": lambda: set_choice(lambda now: replace(now, contract=None)),
        }
        if key in acts:
            acts[key]()

    def on_vehicle(traveller: object) -> None:
        set_choice(lambda now: replace(now, follow=traveller, tab="find", contract=None))

    def show_streets() -> None:
        visit.map.show_streets(None if scene.city is None else scene.city.streets)

    def show() -> None:
        visit.look = look
        visit.show(scene, choice)

    use_effect(lambda: visit.connect({"key": on_key, "vehicle": on_vehicle}), [])
    use_effect(show_streets, [scene.city])
    use_effect(show, [scene, choice, look])


def _next_colour(colour: Colour) -> Colour:
    colours: tuple[Colour, ...] = get_args(Colour)
    return colours[(colours.index(colour) + 1) % len(colours)]
