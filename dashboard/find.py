"""The tab in which a link or a traveller is found by id; a traveller is followed on the map, with his contract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import reacton.ipyvuetify as rv
from reacton import use_state
from solara.core import component

from dashboard import figures
from dashboard.books import instant
from dashboard.elements import InputText, text_button, words
from dashboard.figures import DASH, Row
from dashboard.scene import City, Scene, WorldView
from dashboard.sheet import rows_table
from sim.experiments import report_format as text
from sim.settlement.money import MICRO_PER_CREDIT


@component
def FindTab(
    scene: Scene,
    follow: int | None,
    set_follow: Callable[[int | None], None],
    link: int | None,
    set_link: Callable[[int | None], None],
    open_contract: Callable[[int], None],
) -> None:
    """Show what is found."""
    wanted_traveller, set_wanted_traveller = use_state("" if follow is None else str(follow))
    wanted_link, set_wanted_link = use_state("")
    city = scene.city
    with rv.Html(tag="div", class_="rp-tab rp-find"):
        if city is None:
            words("p", "rp-remark", "The city is not there yet.")
            return
        known = [len(world.cost_s) for world in (scene.left, scene.right) if world is not None]
        n_travellers = min([city.built.population.n_travellers, *known])
        InputText(f"Traveller (0 to {n_travellers - 1})", value=wanted_traveller, on_value=set_wanted_traveller)
        text_button("Follow", lambda: set_follow(_number(wanted_traveller)), "rp-find-traveller")
        if follow is None:
            words("p", "rp-remark", "Or click a vehicle on the map while you hold the shift key.")
        else:
            _traveller(scene, city, follow, n_travellers, set_follow, open_contract)
        InputText("Link id, or part of a street's name", value=wanted_link, on_value=set_wanted_link)
        text_button("Find link", lambda: set_link(find_link(city, wanted_link)), "rp-find-link")
        if link is not None:
            _link(scene, city, link)
        elif wanted_link:
            words("p", "rp-remark", "Press the button to look for it.")


def _number(wanted: str) -> int | None:
    wanted = wanted.strip()
    return int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 12 else None


def find_link(city: City, wanted: str) -> int | None:
    """Return the link with an id, or the longest one whose street's name holds some words; None where there is none."""
    wanted = wanted.strip()
    network = city.built.network
    if not wanted:
        return None
    by_id = np.flatnonzero(network.link_id.astype(str) == wanted)
    if len(by_id):
        return int(by_id[0])
    named = [link for link in range(network.n_links) if wanted.lower() in network.street_name(link).lower()]
    return max(named, key=lambda link: float(network.length_m[link])) if named else None


def _traveller(
    scene: Scene,
    city: City,
    follow: int,
    n_travellers: int,
    set_follow: Callable[[int | None], None],
    open_contract: Callable[[int], None],
) -> None:
    if follow >= n_travellers:
        words("p", "rp-remark", f"There is no traveller {follow}.")
        return
    words("h2", "", f"Traveller {follow}")
    rows_table(traveller_rows(scene, city, follow), (scene.left.title, scene.right.title) if scene.left and scene.right else ())
    contract = None if scene.books is None else scene.books.contract_of(follow)
    if contract is not None:
        text_button(f"Open contract #{contract}", lambda: open_contract(contract), "rp-open")
    text_button("Stop following", lambda: set_follow(None), "rp-unfollow")


def traveller_rows(scene: Scene, city: City, traveller: int) -> list[Row]:
    """Return what the two worlds do to a traveller; he has the same row in both."""
    population = city.built.population
    zones = population.od.zone_id
    trip = f"{zones[population.origin_zone_idx[traveller]]} → {zones[population.destination_zone_idx[traveller]]}"
    rows = [
        Row("From zone to zone", (trip,)),
        Row("Leaves at", (instant(float(population.departure_s[traveller])),), "After the start of the period."),
        Row("Vehicles", (f"{population.weight[traveller]:.3g}",), "What this traveller stands for."),
    ]
    if scene.left is None or scene.right is None:
        return rows
    worlds = (scene.left, scene.right)
    times = text.duration_pair(*(float(world.cost_s[traveller]) for world in worlds))
    rows.append(Row("Trip takes", times, "Drawn on the map: dashed left's way, solid right's."))
    rows.append(Row("Links", (_n_links(scene.left, traveller), _n_links(scene.right, traveller))))
    rows.append(Row("Money", tuple(_money(world, traveller) for world in worlds), "Received minus paid, once it is settled."))
    return rows


def _n_links(world: WorldView, traveller: int) -> str:
    _, link = world.routes.paths(np.array([traveller], dtype=np.int32))
    return str(len(link))


def _money(world: WorldView, traveller: int) -> str:
    return DASH if world.money_micro is None else text.credits(int(world.money_micro[traveller]) / MICRO_PER_CREDIT)


def _link(scene: Scene, city: City, link: int) -> None:
    card = figures.link_card(scene, link)
    words("h2", "", str(card["title"]))
    words("p", "rp-remark", str(card["facts"]))
    lines = card["rows"]
    assert isinstance(lines, list)
    head = lines[0][1:] if lines and lines[0][0] == "" else []
    rows_table([Row(str(line[0]), tuple(str(value) for value in line[1:])) for line in lines if line[0]], head)
