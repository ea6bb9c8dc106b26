"""What the maps show of a scene at a time of the day: colours, widths, vehicles and the ways that are drawn on top."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dashboard import paint
from dashboard.scene import City, LinkState, Moment, PaneNow, Scene, WorldView
from dashboard.wishes import Colour, View
from sim.arrays import CodeColumn, FloatColumn, IndexColumn
from sim.experiments.report_format import MINUS


@dataclass(frozen=True)
class Route:
    """A way that is drawn on top: on which map (None: all), "old" or "new", and its drawn links in order."""

    pane: int | None
    kind: str
    links: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """What the map widget needs for one frame.

    Attributes
    ----------
    frame
        Bytes of `dashboard.paint`.
    head
        Titles, scale and routes; sent only when they change.
    links_key
        Equal for frames whose links look the same, so that they are sent once.
    frame_without_links
        The same frame for a browser that has these links already.
    travellers
        Who drives each vehicle, by map.
    """

    frame: bytes
    head: dict[str, Any]
    links_key: object = None
    frame_without_links: bytes = b""
    travellers: tuple[IndexColumn, ...] = ()


EMPTY_HEAD: dict[str, Any] = {"panes": [], "scale": {}, "routes": []}


class Painter:
    """Makes the pictures of one visitor; keeps the links of the last one, which most frames share."""

    def __init__(self) -> None:
        self._key: object = None
        self._links: tuple[list[bytes], paint.Scale] = ([], paint.SPEED_SCALE)

    def picture(
        self,
        scene: Scene,
        view: View,
        colour: Colour,
        moment: Moment | None,
        follow: int | None = None,
        routes: tuple[Route, ...] = (),
    ) -> Picture:
        """Return what the map shows of a scene: two maps, or one of the difference; nothing before there is traffic."""
        city, left, right = scene.city, scene.left, scene.right
        if city is None or left is None or right is None or scene.solved is None or moment is None:
            self._key = None
            return Picture(b"", EMPTY_HEAD)
        key = (city.streets, view, colour, left.title, right.title, tuple(pane.links_version for pane in moment.panes))
        if key != self._key:
            self._links = _links(city, moment.panes, (left, right), view, scale_of(colour, scene.solved.scale), colour)
            self._key = key
        maps, scale = self._links
        if view == "difference":
            titles = [(f"{left.title} {MINUS} {right.title.lower()}", "purple: worse on the left; green: worse on the right")]
            vehicles, travellers = [np.zeros(0, np.uint32)], [np.zeros(0, np.int32)]
        else:
            titles = [(world.title, world.remark) for world in (left, right)]
            found = [_vehicles(city, pane, world, follow) for pane, world in zip(moment.panes, (left, right), strict=True)]
            vehicles, travellers = [words for words, _ in found], [who for _, who in found]
        head = {
            "panes": [list(title) for title in titles],
            "scale": asdict(scale),
            "routes": [{"pane": route.pane, "kind": route.kind, "links": list(route.links)} for route in routes],
        }
        frame, bare = (paint.frame(moment.clock_s, city.streets.n_drawn, vehicles, shown) for shown in (maps, []))
        return Picture(frame, head, key, bare, tuple(travellers))


def _links(
    city: City, panes: tuple[PaneNow, ...], worlds: tuple[WorldView, WorldView], view: View, scale: paint.Scale, colour: Colour
) -> tuple[list[bytes], paint.Scale]:
    """Return the bytes of the links of each map, and their scale."""
    if view == "difference":
        shown = paint.difference_scale(scale, worlds[0].title, worlds[1].title)
        return [_difference_map(city, panes, colour, shown)], shown
    full = paint.full_width(*(pane.links.flow_vph[city.streets.link_idx] for pane in panes))
    return [_map(city, pane.links, colour, scale, full) for pane in panes], scale


def scale_of(colour: Colour, load: paint.Scale) -> paint.Scale:
    """Return the scale of what the colours say."""
    return {"load": load, "speed": paint.SPEED_SCALE, "external": paint.EXTERNAL_SCALE}[colour]


def values_of(city: City, links: LinkState, colour: Colour) -> FloatColumn:
    """Return what the colours of the drawn links say, shape (n_drawn,)."""
    network, drawn = city.built.network, city.streets.link_idx
    if colour == "load" and links.places_taken is not None:
        return np.asarray(links.places_taken[drawn])
    if colour == "load":
        return np.asarray(links.flow_vph[drawn] / network.capacity_vph[drawn])
    if colour == "external":
        return np.zeros(len(drawn)) if links.external_s is None else np.asarray(links.external_s[drawn])
    share = np.ones(len(drawn))
    np.divide(network.free_flow_time_s[drawn], links.time_s[drawn], out=share, where=links.time_s[drawn] > 0)
    return share


def way_of(city: City, world: WorldView, traveller: int) -> tuple[int, ...]:
    """Return the drawn links of a traveller's way."""
    _, link = world.routes.paths(np.array([traveller], dtype=np.int32))
    return drawn_of(city, link)


def drawn_of(city: City, link_idx: IndexColumn) -> tuple[int, ...]:
    """Return the drawn links among some links of the streets, in their order."""
    place = city.streets.drawn_place[np.asarray(link_idx, dtype=np.int64)]
    return tuple(int(link) for link in place[place >= 0])


def _map(city: City, links: LinkState, colour: Colour, scale: paint.Scale, full_vph: float) -> bytes:
    flow = links.flow_vph[city.streets.link_idx]
    return paint.link_bytes(scale.classes(values_of(city, links, colour)), paint.width_classes(flow, full_vph))


def _difference_map(city: City, panes: tuple[PaneNow, ...], colour: Colour, scale: paint.Scale) -> bytes:
    first, second = (pane.links for pane in panes)
    change = values_of(city, first, colour) - values_of(city, second, colour)
    drawn = city.streets.link_idx
    width = np.abs(first.flow_vph[drawn] - second.flow_vph[drawn])
    return paint.link_bytes(scale.classes(change), paint.width_classes(width, paint.full_width(width)))


def _vehicles(city: City, pane: PaneNow, world: WorldView, follow: int | None) -> tuple[Any, IndexColumn]:
    now = pane.vehicles
    if city.streets.n_drawn >= paint.MOST_LINKS:
        return np.zeros(0, np.uint32), np.zeros(0, np.int32)
    link = city.streets.drawn_place[now.link_idx]
    seen = link >= 0
    traveller = now.traveller[seen]
    mark: CodeColumn = np.zeros(len(traveller), np.uint8)
    if world.under_contract is not None:
        mark[world.under_contract[traveller]] = paint.UNDER_CONTRACT
    if follow is not None:
        mark[traveller == follow] = paint.FOLLOWED
    return paint.vehicle_words(link[seen], now.fraction[seen], mark), traveller
