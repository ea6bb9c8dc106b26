"""From a world of static traffic to what the page shows of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dashboard.scene import City, Day, LinkState, Moment, PaneNow, WorldView
from dashboard.vehicles import Timetable, shown_travellers
from dashboard.wishes import MECHANISMS
from sim.arrays import BoolColumn, IndexColumn, OffsetColumn
from sim.assignment.static_traffic import StaticTraffic
from sim.experiments.report_emissions import emissions
from sim.kernels.routes import Routes
from sim.model import DayRecord
from sim.network.turns import TurnGraph

SELFISH = ("Selfish", "everybody takes the route that is quickest for himself")


class KnownItineraries:
    """Ways of travellers who each drive one of the routes that are known.

    Routes are never changed once they are known, so that the columns may be shared with a world that goes on learning.

    Parameters
    ----------
    routes, route_of_traveller
        The routes, and which one each traveller drives (copied), shape (n_travellers,).
    link_order, graph
        Lead from the problem's links to the streets.
    """

    def __init__(self, routes: Routes, route_of_traveller: IndexColumn, link_order: IndexColumn, graph: TurnGraph) -> None:
        self._routes = routes
        self._route = route_of_traveller.copy()
        self._link_order = link_order
        self._graph = graph

    def paths(self, rows: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
        """Return the ways of some travellers in compressed rows, as links of the streets."""
        route = self._route[rows]
        begin = self._routes.start[route]
        length = self._routes.start[route + 1] - begin
        start = np.concatenate(([0], np.cumsum(length)))
        place = np.arange(start[-1]) + np.repeat(begin - start[:-1], length)
        return self._graph.paths_on_streets(start, self._link_order[self._routes.link[place]])


class ListedItineraries:
    """Ways that are listed one by one: traveller i drives `link[start[i]:start[i + 1]]`, links of the streets."""

    def __init__(self, start: OffsetColumn, link: IndexColumn) -> None:
        self._start, self._link = start, link

    def paths(self, rows: IndexColumn) -> tuple[OffsetColumn, IndexColumn]:
        """Return the ways of some travellers in compressed rows."""
        length = self._start[rows + 1] - self._start[rows]
        start = np.concatenate(([0], np.cumsum(length)))
        place = np.arange(start[-1]) + np.repeat(self._start[rows] - start[:-1], length)
        return start, self._link[place]


def words_of(key: str) -> tuple[str, str]:
    """Return title and remark of a world."""
    return SELFISH if key == "selfish" else MECHANISMS.get(key, (key.replace("_", " ").capitalize(), ""))


def day_of(record: DayRecord, *, has_gap: bool) -> Day:
    """Return a day as the page has it; only selfish choices have a gap that means something."""
    return Day(record.day, record.total_cost_s, record.travellers_moved, record.relative_gap if has_gap else None)


def view_of(
    key: str, traffic: StaticTraffic, city: City, days: Iterable[Day], stopped_because: str | None, contracts: BoolColumn | None
) -> WorldView:
    """Return a copy of what a world of static traffic shows after its latest day."""
    problem, graph = traffic.problem, city.built.turn_graph
    links = traffic.links
    flow = problem.in_network_order(links.flow)
    time_s = problem.in_network_order(links.cost - traffic.toll_s) - problem.network.fixed_cost_s
    external = problem.in_network_order(links.flow * np.where(np.isfinite(links.cost_slope), links.cost_slope, 0.0))
    state = LinkState(graph.flow_on_streets(flow), graph.time_on_streets(flow, time_s), external[: graph.streets.n_links].copy())
    title, remark = words_of(key)
    return WorldView(
        key,
        title,
        remark,
        tuple(days),
        state,
        KnownItineraries(traffic.routes.columns, traffic.route_of_traveller, problem.link_order, graph),
        traffic.traveller_costs_s(),
        stopped_because,
        under_contract=contracts,
        co2_kg=co2_of(city, state),
    )


def co2_of(city: City, state: LinkState) -> float | None:
    """Return what the vehicles on the links emit in an hour, kilograms; None where it cannot be told."""
    columns = {
        "now_flow_vph": state.flow_vph,
        "now_travel_time_s": state.time_s,
        "link_class": city.link_class,
        "length_m": city.built.network.length_m,
    }
    found = emissions(columns, ["now"])
    return found[0].co2_kg if found else None


class StaticStage:
    """Vehicles of static traffic on the move, as an illustration; see `dashboard.vehicles`."""

    def __init__(self, city: City, views: tuple[WorldView, ...]) -> None:
        self._city = city
        self._views = views
        self._tables: tuple[Timetable, ...] | None = None

    def at(self, clock_s: float) -> Moment:
        """Return the traffic at a time of the period."""
        if self._tables is None:
            self._tables = tuple(self._table(view) for view in self._views)
        panes = []
        for view, table in zip(self._views, self._tables, strict=True):
            assert view.links is not None  # static traffic has it
            panes.append(PaneNow(table.at(clock_s), view.links, id(view)))
        return Moment(clock_s, tuple(panes))

    def _table(self, view: WorldView) -> Timetable:
        assert view.links is not None  # static traffic has it
        departure_s = self._city.built.population.departure_s if view.departure_s is None else view.departure_s
        rows = shown_travellers(len(departure_s))
        return Timetable(rows, departure_s[rows], view.routes, view.links.time_s, self._city.end_s)
