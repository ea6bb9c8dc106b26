"""What a visitor's page consists of besides its text: the controller, the widgets, and what goes from one to the other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, urlencode

import numpy as np

from dashboard import paint
from dashboard.city_map import Picture
from dashboard.figures import link_card
from dashboard.scene import LEAST_DEMAND, MOST_DEMAND, Scene, Wish
from sim.arrays import FloatColumn
from sim.bundled import bundled_scenarios
from sim.experiments.report_format import MINUS

SCENARIO_VARIABLE = "ROUTEPACT_DASHBOARD_SCENARIO"
"""Environment variable in which `launch` leaves the scenario that the command line names."""
DEFAULT_SCENARIO = "city"

View: TypeAlias = Literal["worlds", "difference"]


def scenario_choices() -> list[str]:
    """Return the scenarios that a visitor may choose: the one from the command line, then the bundled ones."""
    named = os.environ.get(SCENARIO_VARIABLE)
    bundled = list(bundled_scenarios())
    first = [name for name in (named, DEFAULT_SCENARIO) if name is not None and (name == named or name in bundled)]
    return list(dict.fromkeys([*first, *bundled]))


@dataclass(frozen=True)
class Address:
    """The part of a view that its address carries."""

    wish: Wish
    view: View = "worlds"

    def query(self) -> str:
        """Return the query, with its question mark."""
        return "?" + urlencode({"scenario": self.wish.scenario, "demand": f"{self.wish.demand_scale:g}", "view": self.view})


def read_address(query: str | None, choices: list[str]) -> Address:
    """Return the view that an address asks for.

    An address comes from outside, so only scenarios on offer and demands within bounds count; anything else falls back to the
    default.
    """
    fields = {key: values[-1] for key, values in parse_qs(query or "").items()}
    scenario = fields.get("scenario", "")
    try:
        demand_scale = float(fields.get("demand", "1"))
    except ValueError:
        demand_scale = 1.0
    if not LEAST_DEMAND <= demand_scale <= MOST_DEMAND:
        demand_scale = 1.0
    wish = Wish(scenario if scenario in choices else choices[0], demand_scale)
    return Address(wish, "difference" if fields.get("view") == "difference" else "worlds")


def picture_of(scene: Scene, view: View) -> Picture:
    """Return what the map shows of a scene: two maps, or one of the difference."""
    if scene.city is None or scene.solved is None or scene.selfish is None or scene.optimum is None:
        return Picture(b"", _PANES[view], None)
    drawn = scene.city.streets.link_idx
    capacity = scene.city.built.network.capacity_vph[drawn]
    selfish, optimum = scene.selfish.flow_vph[drawn], scene.optimum.flow_vph[drawn]
    day, load = scene.selfish.today.day, scene.solved.scale
    if view == "difference":
        scale = paint.difference_scale(load)
        change = selfish - optimum
        full = paint.full_width(np.abs(change))
        maps = [paint.link_bytes(scale.classes(change / capacity), paint.width_classes(np.abs(change), full))]
    else:
        scale = load
        # By the settled flows, so that widths keep their meaning from day to day.
        graph, solved = scene.city.built.turn_graph, (scene.solved.equilibrium, scene.solved.optimum)
        full = paint.full_width(*(graph.flow_on_streets(found.flow_vph)[drawn] for found in solved))
        maps = [_load_map(flow, capacity, scale, full) for flow in (selfish, optimum)]
    return Picture(paint.frame(day, len(drawn), maps), _PANES[view], scale)


def link_answer(scene: Scene, drawn_link: int) -> dict[str, object]:
    """Return what the map tells about a drawn link; nothing when it belongs to streets that are gone."""
    if scene.city is None or not 0 <= drawn_link < scene.city.streets.n_drawn:
        return {}
    return link_card(scene, int(scene.city.streets.link_idx[drawn_link]))


def _load_map(flow_vph: FloatColumn, capacity_vph: FloatColumn, scale: paint.Scale, full_vph: float) -> bytes:
    return paint.link_bytes(scale.classes(flow_vph / capacity_vph), paint.width_classes(flow_vph, full_vph))


_PANES: dict[View, tuple[tuple[str, str], ...]] = {
    "worlds": (
        ("Selfish", "everybody takes the route that is quickest for himself"),
        ("Optimum", "the same trips, on the routes that cost the city least"),
    ),
    "difference": ((f"Selfish {MINUS} optimum", "where selfish drivers crowd, and which streets they leave idle"),),
}
