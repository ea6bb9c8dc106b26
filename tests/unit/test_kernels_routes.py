"""Known routes and the choices among them, beside the twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.link_costs import cost_s
from reference.small_networks import network_of, problem_of
from reference.travellers import Route, choose_in_turn, could_gain, flows_of, rosenthal_potential

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.known_routes import KnownRoutes
from sim.assignment.problem import Principle, refresh_costs
from sim.kernels import routes as kernels
from sim.kernels.segments import Links

N_LINKS = 6
LINK_ROWS = [
    (1.0, 2.0, 1.0, 1.0),
    (2.0, 1.0, 0.5, 4.0),
    (0.0, 5.0, 1.0, 2.0),
    (4.0, 3.0, 0.15, 4.0),
    (1.0, 1.0, 1.0, 0.5),
    (3.0, 9.0, 0.0, 1.0),
]
"""Free-flow time, capacity, alpha, beta."""


def cost(link: int, flow: float) -> float:
    return cost_s(flow, *LINK_ROWS[link])


def rows_of(routes: list[Route]) -> tuple[OffsetColumn, IndexColumn]:
    start = np.cumsum([0, *map(len, routes)]).astype(np.int64)
    return start, np.array([link for route in routes for link in route], np.int32)


def links_at(flow: list[float]) -> Links:
    # All links leave one node, so that their order is kept.
    network = network_of([(0, 1, *row) for row in LINK_ROWS], zones=[0, 1])
    links = problem_of(network, [(0, 1, 1.0)]).links(Principle.USER_EQUILIBRIUM)
    links.flow[:] = flow
    refresh_costs(links)
    return links


route_strategy = st.lists(st.integers(0, N_LINKS - 1), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def towns(draw: st.DrawFn) -> tuple[list[list[Route]], list[int], list[Route], list[float]]:
    """Draw what cells know, and for each traveller cell, route and weight."""
    known = draw(st.lists(st.lists(route_strategy, min_size=1, max_size=5, unique=True), min_size=1, max_size=4))
    cell = sorted(draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=12)))
    driven = [draw(st.sampled_from(known[at])) for at in cell]
    weights = [draw(st.sampled_from((0.1, 0.5, 1.0, 2.0))) for _ in cell]
    return known, cell, driven, weights


def learnt(known: list[list[Route]]) -> tuple[KnownRoutes, dict[tuple[int, Route], int]]:
    routes = KnownRoutes(len(known))
    cells = np.array([cell for cell, of_cell in enumerate(known) for _ in of_cell], np.int32)
    paths = [route for of_cell in known for route in of_cell]
    numbers = routes.add_paths(cells, *rows_of(paths))
    return routes, {(int(cell), route): int(number) for cell, route, number in zip(cells, paths, numbers, strict=True)}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), route_strategy), max_size=60))
def test_each_route_of_a_cell_is_known_once(rows: list[tuple[int, Route]]) -> None:
    routes = KnownRoutes(3)
    numbers = routes.add_paths(np.array([cell for cell, _ in rows], np.int32), *rows_of([route for _, route in rows]))
    assert routes.n_routes == len(set(rows))
    assert len(set(numbers.tolist())) == len(set(rows))
    by_row: dict[tuple[int, Route], int] = {}
    for row, number in zip(rows, numbers.tolist(), strict=True):
        assert by_row.setdefault(row, number) == number
        assert tuple(routes.links_of(number).tolist()) == row[1]
    again = routes.add_paths(np.array([cell for cell, _ in rows], np.int32), *rows_of([route for _, route in rows]))
    assert again.tolist() == numbers.tolist()
    for cell in range(3):
        listed = set()
        route = int(routes.columns.first_of_cell[cell])
        while route != kernels.NO_ROUTE:
            listed.add(tuple(routes.links_of(route).tolist()))
            route = int(routes.columns.next_of_cell[route])
        assert listed == {links for at, links in rows if at == cell}


def test_room_grows_for_many_and_for_long_routes() -> None:
    routes = KnownRoutes(1)
    long = tuple(range(1000))
    many = [long[:length] for length in range(301)]
    numbers = routes.add_paths(np.zeros(len(many), np.int32), *rows_of(many))
    assert numbers.tolist() == list(range(301))
    one = routes.add_paths(np.zeros(1, np.int32), *rows_of([tuple(range(100_000))]))
    assert len(routes.links_of(int(one[0]))) == 100_000
    assert [len(routes.links_of(number)) for number in range(301)] == list(range(301))
    assert routes.costs(np.ones(100_000)).tolist() == [*range(301), 100_000]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(towns())
def test_flows_costs_and_who_could_gain(town: tuple[list[list[Route]], list[int], list[Route], list[float]]) -> None:
    known, cell, driven, weights = town
    routes, number = learnt(known)
    own = np.array([number[at, route] for at, route in zip(cell, driven, strict=True)], np.int32)
    flow: FloatColumn = np.full(N_LINKS, np.nan)
    kernels.link_flows(routes.columns, own, np.array(weights), flow)
    assert flow.tolist() == flows_of(driven, weights, N_LINKS)
    price = routes.costs(links_at(flow.tolist()).cost)
    for (_at, route), at_number in number.items():
        assert price[at_number] == pytest.approx(sum(cost(link, flow[link]) for link in route), rel=1e-12)
    found = np.empty(len(cell), np.int32)
    n_found = kernels.could_gain(routes.columns, np.array(cell, np.int32), own, price, 1e-6, found)
    assert found[:n_found].tolist() == could_gain(driven, cell, known, weights, cost, N_LINKS, 1e-6)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(towns(), st.data())
def test_each_choice_in_turn_is_that_of_the_twin(
    town: tuple[list[list[Route]], list[int], list[Route], list[float]], data: st.DataObject
) -> None:
    known, cell, driven, weights = town
    turn = data.draw(st.permutations(range(len(cell))))
    routes, number = learnt(known)
    own = np.array([number[at, route] for at, route in zip(cell, driven, strict=True)], np.int32)
    links = links_at(flows_of(driven, weights, N_LINKS))
    choice = np.empty(len(turn), np.int32)
    changed = kernels.choose_in_turn(
        np.array(turn, np.int32), np.array(cell, np.int32), own, np.array(weights), routes.columns, links, 1e-6, choice
    )
    assert changed == int((choice != own[turn]).sum())
    now = list(driven)
    for traveller, route in zip(turn, choice.tolist(), strict=True):
        expected = choose_in_turn([traveller], now, cell, known, weights, cost, N_LINKS, 1e-6)
        now[traveller] = tuple(routes.links_of(route).tolist())
        # Routes of equal cost may fall either way; what counts is what the traveller pays on them.
        paid = [
            sum(cost(link, flow) for flow, link in ((flows_of(paths, weights, N_LINKS)[at], at) for at in paths[traveller]))
            for paths in (now, expected)
        ]
        assert paid[0] == pytest.approx(paid[1], rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(links.flow, flows_of(now, weights, N_LINKS), atol=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(towns())
def test_rosenthals_potential_falls_with_each_change(town: tuple[list[list[Route]], list[int], list[Route], list[float]]) -> None:
    known, cell, driven, _ = town
    routes, number = learnt(known)
    now = list(driven)
    for traveller in range(len(cell)):
        own = np.array([number[at, route] for at, route in zip(cell, now, strict=True)], np.int32)
        links, choice = links_at(flows_of(now, [0.5] * len(cell), N_LINKS)), np.empty(1, np.int32)
        before = rosenthal_potential(now, cost, N_LINKS, 0.5)
        changed = kernels.choose_in_turn(
            np.array([traveller], np.int32),
            np.array(cell, np.int32),
            own,
            np.full(len(cell), 0.5),
            routes.columns,
            links,
            1e-9,
            choice,
        )
        now[traveller] = tuple(routes.links_of(int(choice[0])).tolist())
        after = rosenthal_potential(now, cost, N_LINKS, 0.5)
        assert after < before if changed else after == before
