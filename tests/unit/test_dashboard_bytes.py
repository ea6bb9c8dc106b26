"""The bytes that the map draws: streets, classes, frames, scales."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import paint
from dashboard.streets import streets_of
from sim.network import synthetic
from sim.network.road_network import RoadNetwork


def unpacked(content: bytes) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Read streets the slow way; return (start, xy, has_twin)."""
    n_links, n_points, *_ = struct.unpack_from("<4I", content)
    start = list(struct.unpack_from(f"<{n_links + 1}I", content, 16))
    at = 16 + 4 * (n_links + 1)
    xy = np.array(struct.unpack_from(f"<{2 * n_points}H", content, at)).reshape(-1, 2)
    twin = np.array(struct.unpack_from(f"<{n_links}B", content, at + 4 * n_points))
    assert len(content) == at + 4 * n_points + n_links
    return start, xy, twin


def test_grid_streets_keep_place_and_shape() -> None:
    network = synthetic.grid(3, 5, block_m=100.0)
    streets = streets_of(network)
    start, xy, twin = unpacked(streets.content)
    assert streets.n_drawn == network.n_links
    assert (streets.width, streets.height) == (400.0, 200.0)
    assert twin.all()
    for position, link_idx in enumerate(streets.link_idx):
        points = xy[start[position] : start[position + 1]] * (400.0 / 65535)
        assert np.allclose(points, network.link_points(int(link_idx)), atol=0.01)


def test_one_way_links_have_no_twin_and_bent_links_keep_their_points() -> None:
    start, _, twin = unpacked(streets_of(synthetic.pigou()).content)
    assert not twin.any()
    assert np.diff(start).tolist() == [9, 9]


def without_coordinates(network: RoadNetwork) -> RoadNetwork:
    nowhere = np.full(network.n_nodes, np.nan)
    return network.replace(node_x=nowhere, node_y=nowhere)


def test_network_without_coordinates_is_laid_out_or_left_out() -> None:
    small = streets_of(without_coordinates(synthetic.braess()))
    assert small.schematic and small.n_drawn == 5 and not small.in_metres
    _, xy, _ = unpacked(small.content)
    assert len(np.unique(xy, axis=0)) == 4
    large = streets_of(without_coordinates(synthetic.grid(21, 21)))
    assert large.n_drawn == 0 and not large.schematic
    assert unpacked(large.content)[0] == [0]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), st.floats(0.001, 1e6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_frame_gives_back_its_classes(values: list[float], full: float) -> None:
    column = np.array(values)
    scale = paint.load_scale(float(column.max()))
    colour, width = scale.classes(column), paint.width_classes(column, full)
    content = paint.frame(7.9, len(column), [], [paint.link_bytes(colour, width)] * 2)
    assert struct.unpack_from("<4I", content) == (7, len(column), 0, 0)
    both = np.frombuffer(content, np.uint8, offset=16).reshape(2, -1)
    assert np.array_equal(both[0], both[1])
    assert np.array_equal(both[0] & 15, colour) and np.array_equal(both[0] >> 4, width)
    assert np.array_equal(np.argsort(colour[np.argsort(column, kind="stable")], kind="stable"), np.arange(len(column)))


@pytest.mark.parametrize("greatest", [0.0, 0.4, 2.9, 3.1, 6.0, 47.0, 1e5])
def test_scales_are_ascending_and_cover_the_loads(greatest: float) -> None:
    load = paint.load_scale(greatest)
    assert list(load.breaks) == sorted(set(load.breaks)) and len(load.breaks) == 6
    if greatest > 3.0:
        assert greatest / 7 <= load.breaks[0] <= greatest / 2
    difference = paint.difference_scale(load, "Selfish", "Market")
    assert difference.breaks == tuple(-value for value in reversed(difference.breaks))
    assert difference.classes(np.array([0.0])).tolist() == [len(difference.breaks) // 2]


def test_scales_where_small_values_matter_turn_round() -> None:
    slow_is_dark = paint.SPEED_SCALE.classes(np.array([1.0, 0.9, 0.5, 0.1]))
    assert slow_is_dark.tolist() == sorted(slow_is_dark.tolist()) and slow_is_dark[0] == 0 and slow_is_dark[-1] == 6
    difference = paint.difference_scale(paint.SPEED_SCALE, "Selfish", "Market")
    slower_left, same, faster_left = difference.classes(np.array([-0.4, 0.0, 0.4])).tolist()
    assert slower_left > same == len(difference.breaks) // 2 > faster_left


@given(
    st.lists(st.tuples(st.integers(0, paint.MOST_LINKS - 1), st.floats(0, 1), st.integers(0, 2)), max_size=30),
    st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1), st.integers(0, 2)), max_size=5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_frame_gives_back_its_vehicles(first: list[tuple[int, float, int]], second: list[tuple[int, float, int]]) -> None:
    words = [
        paint.vehicle_words(
            np.array([link for link, _, _ in some], np.int32),
            np.array([part for _, part, _ in some], np.float64),
            np.array([mark for _, _, mark in some], np.uint8),
        )
        for some in (first, second)
    ]
    content = paint.frame(None, 3, words, [bytes(3), bytes(3)])
    clock, n_links, n_maps, _, *counts = struct.unpack_from("<6I", content)
    assert (clock, n_links, n_maps, counts) == (paint.NO_CLOCK, 3, 2, [len(first), len(second)])
    read = struct.unpack_from(f"<{len(first) + len(second)}I", content, 24)
    for word, (link, part, mark) in zip(read, [*first, *second], strict=True):
        assert word >> 12 == link and word & 3 == mark
        assert abs((word >> 2 & 1023) / 1024 - part) <= 1 / 1024
    assert len(content) == 24 + 4 * len(read) + 6


def test_drawn_places_lead_back_to_the_network() -> None:
    streets = streets_of(synthetic.grid(3, 3))
    assert np.array_equal(streets.drawn_place[streets.link_idx], np.arange(streets.n_drawn))
