"""What belongs to one visitor besides the page's text: the controller, the film, the widgets, and what goes between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.charts import LEFT_INK, RIGHT_INK, Charts, line, plot
from dashboard.city_map import CityMap
from dashboard.controller import Controller
from dashboard.export import links_csv
from dashboard.figures import link_card
from dashboard.film import Film, Look
from dashboard.pictures import Route, drawn_of, way_of
from dashboard.scene import Moment, Scene
from dashboard.wishes import Address, Wish

Act = Callable[[], None]
_STEP_S = 60.0
_FOLLOWS_WITHIN_S = 90.0


@dataclass(frozen=True)
class Choice:
    """What a visitor has chosen to see: tab, traveller, link and contract.

    Attributes
    ----------
    tab
        Name of the open tab.
    follow, link, contract
        Traveller that is followed, link that was found, contract that is open.
    """

    tab: str = "overview"
    follow: int | None = None
    link: int | None = None
    contract: int | None = None


class Visit:
    """One visitor, from the first picture to the end of his threads.

    Parameters
    ----------
    address
        What he asked for first.
    on_change
        Called after every change of the scene, from any thread.
    on_moment
        Called twice a second while the clock runs.
    on_trouble
        Called with what went wrong in the picture.
    """

    def __init__(
        self, address: Address, on_change: Act, on_moment: Callable[[Moment], None], on_trouble: Callable[[str], None]
    ) -> None:
        self.map = CityMap()
        self.charts = Charts()
        self.moment: Moment | None = None
        self._tell_moment = on_moment
        self.look = Look(address.view, address.colour, follow=address.follow)
        self.controller = Controller(address.wish, on_change)
        self.film = Film(self.map, lambda: self.controller.scene, self._take_moment, on_trouble, self.controller.pause)

    def close(self) -> None:
        """End the threads and give everything up."""
        self.controller.close()
        self.film.close()

    def step(self) -> None:
        """Pause, and go on by a day; in queue traffic by a minute."""
        self.controller.step()
        scene = self.controller.scene
        if scene.is_queue and scene.city is not None:
            self.film.seek(min(self.film.clock_s + _STEP_S, scene.city.end_s))

    def reset(self) -> None:
        """Pause, and go back to the first day; in queue traffic to its beginning."""
        self.controller.reset()
        if self.controller.scene.is_queue:
            self.film.seek(0.0)

    def seek(self, clock_s: float) -> None:
        """Set the clock; a slider that only follows it sets nothing."""
        if abs(clock_s - self.film.clock_s) > _FOLLOWS_WITHIN_S:
            self.film.seek(float(clock_s))

    def connect(self, acts: dict[str, Callable[[Any], None]]) -> None:
        """Say what the page does when the map's user presses a key, picks a vehicle, or closes a link."""
        own: dict[str, Callable[[Any], None]] = {"save": lambda what: self._save(), "close": self._close_link}
        self.map.connect({**own, **acts}, self._card)

    def show(self, scene: Scene, choice: Choice) -> None:
        """Show a scene as the visitor wants it; called whenever either changes."""
        self.look = replace(self.look, follow=choice.follow, routes=routes_of(scene, choice))
        self.map.may_close = not scene.wish.runs and scene.city is not None
        self.film.show(self.look)
        self.map.refresh_card()
        self.map.address = Address(scene.wish, self.look.view, self.look.colour, choice.follow).query()

    def _take_moment(self, moment: Moment) -> None:
        self.moment = moment
        self.charts.take(self.controller.scene, moment)
        if moment.spent_s is not None:
            self._tell_moment(moment)

    def _card(self, drawn_link: int) -> dict[str, object]:
        """Return what the map tells about a drawn link; nothing when it belongs to streets that are gone."""
        scene = self.controller.scene
        if scene.city is None or not 0 <= drawn_link < scene.city.streets.n_drawn:
            return {"title": "", "facts": "", "rows": []}
        link = int(scene.city.streets.link_idx[drawn_link])
        return {**link_card(scene, link, self.moment if scene.is_queue else None), "plot": link_plot(scene, link)}

    def _close_link(self, drawn_link: Any) -> None:
        scene = self.controller.scene
        if scene.city is None or scene.wish.runs or not isinstance(drawn_link, int):
            return
        if 0 <= drawn_link < scene.city.streets.n_drawn:
            link_id = str(scene.city.built.network.link_id[scene.city.streets.link_idx[drawn_link]])
            self.controller.load(with_closed(scene.wish, link_id))

    def _save(self) -> None:
        scene = self.controller.scene
        if scene.city is not None and scene.left is not None:
            self.map.download("routepact-links.csv", links_csv(scene, self.moment).encode())


def with_closed(wish: Wish, link_id: str) -> Wish:
    """Return a wish with one more closed link."""
    return replace(wish, closed=tuple(dict.fromkeys((*wish.closed, link_id))))


def routes_of(scene: Scene, choice: Choice) -> tuple[Route, ...]:
    """Return the ways that are drawn on top: those of the open contract, else those of the traveller who is followed."""
    city = scene.city
    if city is None or scene.left is None or scene.right is None:
        return ()
    books = scene.books
    if choice.contract is not None and books is not None and choice.contract < books.n_contracts:
        row = books.row(choice.contract)
        kinds = (("old", "baseline_path"), ("new", "target_path"))
        return tuple(Route(None, kind, drawn_of(city, np.asarray(row[key], np.int32))) for kind, key in kinds)
    if choice.follow is not None and choice.follow < min(len(scene.left.cost_s), len(scene.right.cost_s)):
        ways = way_of(city, scene.left, choice.follow), way_of(city, scene.right, choice.follow)
        return (Route(0, "old", ways[0]), Route(1, "old", ways[0]), Route(1, "new", ways[1]))
    if choice.link is not None and choice.link < city.built.network.n_links:
        return (Route(None, "new", drawn_of(city, np.array([choice.link]))),)
    return ()


def link_plot(scene: Scene, link_idx: int) -> dict[str, Any] | None:
    """Return the flow of a link over the days, or over the day; None where there is only one moment."""
    left, right = scene.left, scene.right
    if left is None or right is None:
        return None
    by_clock = [(view, view.flow_by_bin) for view in (left, right) if view.flow_by_bin is not None]
    if by_clock:
        inks = (LEFT_INK, RIGHT_INK)
        lines = [
            line(view.title, ink, [float(value) for value in bins.values[link_idx]])
            for (view, bins), ink in zip(by_clock, inks, strict=False)
        ]
        return plot("Vehicles on the link, by the clock", lines, axis="clock", step=by_clock[0][1].bin_s, decimals=0)
    if len(right.flow_by_day) < 2 or left.links is None:
        return None
    rights = [float(flow[link_idx]) for flow in right.flow_by_day]
    lefts: list[float | None] = [float(left.links.flow_vph[link_idx])] * len(rights)
    return plot("Flow by day, vehicles/h", [line(left.title, LEFT_INK, lefts), line(right.title, RIGHT_INK, rights)], decimals=0)
