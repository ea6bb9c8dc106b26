"""Netting of funds and of members, against a member-by-member twin in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.arrays import FloatColumn, IndexColumn
from sim.settlement.netting import RouteStakes, by_fund, by_member

N_LINKS = 6
AMOUNT = st.floats(-100.0, 100.0, allow_nan=False).map(lambda value: round(value, 3))


def stakes_of(routes: list[tuple[list[int], float]]) -> RouteStakes:
    start = np.concatenate(([0], np.cumsum([len(links) for links, _ in routes]))).astype(np.int64)
    link = np.array([link for links, _ in routes for link in links], np.int32)
    return RouteStakes(start, link, np.array([stake for _, stake in routes]))


def net_by_link(link: IndexColumn, pays: FloatColumn) -> list[float]:
    return [float(pays[link == fund].sum()) for fund in range(N_LINKS)]


def slow_net_by_link(net: list[float], routes: list[tuple[list[int], float]]) -> list[float]:
    """Split each fund's bill among the members on the link, net every member, and add up again."""
    stake = [sum(s for links, s in routes if link in links) for link in range(N_LINKS)]
    left = [0.0 if stake[link] > 0.0 else net[link] for link in range(N_LINKS)]
    for links, own in routes:
        bills = {link: net[link] * own / stake[link] for link in links}
        pays = sum(bill for bill in bills.values() if bill > 0.0)
        gets = -sum(bill for bill in bills.values() if bill < 0.0)
        circle = min(pays, gets)
        for link, bill in bills.items():
            side = pays if bill > 0.0 else gets
            left[link] += bill * (1.0 - circle / side) if side > 0.0 else 0.0
    return left


ROUTES = st.lists(
    st.tuples(st.lists(st.integers(0, N_LINKS - 1), min_size=1, max_size=4, unique=True), st.floats(0.5, 50.0)), max_size=5
)
ROWS = st.lists(st.tuples(st.integers(0, N_LINKS - 1), AMOUNT), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ROWS, ROUTES)
def test_member_netting_equals_the_twin_and_keeps_every_balance(
    rows: list[tuple[int, float]], routes: list[tuple[list[int], float]]
) -> None:
    link = np.array([row[0] for row in rows], np.int32)
    drawn = np.array([row[1] for row in rows])
    pays = by_fund(link, drawn, N_LINKS)
    assert net_by_link(link, pays) == pytest.approx(net_by_link(link, drawn), abs=1e-9)
    netted = by_member(link, pays, N_LINKS, stakes_of(routes))
    assert net_by_link(link, netted) == pytest.approx(slow_net_by_link(net_by_link(link, pays), routes), abs=1e-9)
    assert netted.sum() == pytest.approx(drawn.sum(), abs=1e-9)
    assert (netted * pays >= 0.0).all()
    assert (np.abs(netted) <= np.abs(pays) * (1.0 + 1e-12)).all()


def test_by_hand() -> None:
    # Half of fund 0's stake drives on over link 1, whose fund is owed 2: of the 3 that those members pay, 2 come back.
    standing = stakes_of([([0, 1], 5.0), ([0], 5.0)])
    link = np.array([0, 1], np.int32)
    assert by_member(link, np.array([6.0, -2.0]), 2, standing).tolist() == [4.0, 0.0]


def test_a_fund_whose_link_is_empty_keeps_its_rows() -> None:
    link = np.array([0, 1], np.int32)
    assert by_member(link, np.array([6.0, -2.0]), 2, stakes_of([([0], 5.0)])).tolist() == [6.0, -2.0]


def test_nobody_stands_anywhere() -> None:
    link = np.array([0, 0], np.int32)
    assert by_member(link, np.array([6.0, 2.0]), 2, stakes_of([])).tolist() == [6.0, 2.0]
