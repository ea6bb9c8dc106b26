"""Vehicles of static traffic: the timetable against a traveller by traveller walk along each way."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.vehicles import Timetable, shown_travellers
from dashboard.views import ListedItineraries


def walk(departure_s: float, way: list[int], time_s: list[float], clock_s: float) -> tuple[int, float] | None:
    """Return (link, part driven) of a vehicle at a time, None while it is not on the road."""
    entry = departure_s
    for link in way:
        if entry <= clock_s < entry + time_s[link]:
            return link, (clock_s - entry) / time_s[link]
        entry += time_s[link]
    return None


@given(
    st.lists(st.tuples(st.floats(0, 99), st.lists(st.integers(0, 4), min_size=1, max_size=6)), min_size=1, max_size=8),
    st.lists(st.floats(1, 40), min_size=5, max_size=5),
    st.floats(0, 99.9),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_everybody_is_where_a_walk_along_the_way_leads(
    trips: list[tuple[float, list[int]]], time_s: list[float], clock_s: float
) -> None:
    period_s = 100.0
    start = np.concatenate(([0], np.cumsum([len(way) for _, way in trips])))
    links = np.array([link for _, way in trips for link in way], dtype=np.int32)
    rows = np.arange(len(trips), dtype=np.int32)
    departure_s = np.array([departure for departure, _ in trips])
    table = Timetable(rows, departure_s, ListedItineraries(start, links), np.array(time_s), period_s)
    now = table.at(clock_s)
    expected = [
        (row, *found)
        for lap in range(4)
        for row, (departure, way) in enumerate(trips)
        if (found := walk(departure, way, time_s, clock_s + lap * period_s)) is not None
    ]
    assert sorted(now.traveller.tolist()) == sorted(row for row, _, _ in expected)
    found = sorted(zip(now.traveller.tolist(), now.link_idx.tolist(), now.fraction.tolist(), strict=True))
    for (row, link, part), (true_row, true_link, true_part) in zip(found, sorted(expected), strict=True):
        # At the very border of two links rounding decides which of them it is.
        assert row == true_row and (link == true_link or min(part, true_part) < 1e-6)
        assert link != true_link or abs(part - true_part) < 1e-6


def test_of_many_travellers_every_nth_is_shown() -> None:
    assert len(shown_travellers(60_000, 20_000)) == 20_000
    assert shown_travellers(60_001, 20_000)[1] == 4
    assert np.array_equal(shown_travellers(5), np.arange(5))
