"""Shifts between two segments, and the joint step of many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.link_costs import beckmann_integral
from reference.small_networks import Row, network_of, problem_of

from sim.arrays import FloatColumn, IndexColumn
from sim.assignment.layers import Layer, make_layers
from sim.kernels.joint import joint_shift
from sim.kernels.segments import LinkState, Pairs, equalise, refresh_all, segment_cost, segment_room, sweep_pairs


def side_by_side(rows: list[tuple[float, float, float, float]], flow: list[float]) -> LinkState:
    """Return links with the same ends: (free-flow time, capacity, alpha, beta) each, with their flows."""
    links: list[Row] = [(0, 1, *row) for row in rows]
    problem = problem_of(network_of(links, zones=[0, 1]), [(0, 1, 1.0)])
    state = make_layers(problem, [Layer(problem.cell_demand)]).link_state()
    state.links["flow"] = flow
    refresh_all(state)
    return state


def shift(one: IndexColumn, other: IndexColumn, slot_link: IndexColumn, own: FloatColumn, state: LinkState) -> float:
    """Equalise two segments given as lists of slots."""
    both, middle = np.concatenate([one, other]), len(one)
    return equalise(0, middle, middle, len(both), both, slot_link, own, state, 1e-15)


def sweep(n_sweeps: int, pairs: Pairs, slot_link: IndexColumn, own: FloatColumn, state: LinkState) -> int:
    """Sweep two pairs; return how many still live."""
    living, n_living = np.arange(2, dtype=np.int32), 2
    for _ in range(n_sweeps):
        _, n_living = sweep_pairs(n_living, slot_link, own, state, pairs, 1e-15, living)
    return n_living


def objective(rows: list[tuple[float, float, float, float]], flow: FloatColumn) -> float:
    return sum(beckmann_integral(float(value), *row) for value, row in zip(flow, rows, strict=True))


def slots(*numbers: int) -> IndexColumn:
    return np.array(numbers, np.int32)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from((0.0, 1.0, 10.0)),
            st.sampled_from((1.0, 30.0, 1e6)),
            st.sampled_from((0.0, 0.15, 5.0)),
            st.sampled_from((0.0, 0.5, 1.0, 4.0, 8.0, 16.0)),
        ),
        min_size=4,
        max_size=4,
    ),
    flow=st.lists(st.sampled_from((0.0, 1e-9, 1.0, 20.0, 500.0)), min_size=4, max_size=4),
)
def test_a_shift_never_raises_the_objective(rows: list[tuple[float, float, float, float]], flow: list[float]) -> None:
    links = side_by_side(rows, flow)
    own = np.array(flow)
    before = objective(rows, links.links["flow"])
    # Slots 0 and 1 against 2 and 3; slot k is on link k and holds all its flow.
    gained = shift(slots(0, 1), slots(2, 3), slots(0, 1, 2, 3), own, links)
    shifted = flow[0] - own[0]
    assert gained >= 0.0 and shifted >= 0.0
    np.testing.assert_allclose(
        own, [flow[0] - shifted, flow[1] - shifted, flow[2] + shifted, flow[3] + shifted], rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(links.links["flow"], own, rtol=1e-12, atol=1e-12)
    assert objective(rows, links.links["flow"]) <= before * (1.0 + 1e-9) + 1e-12
    if gained == 0.0:
        both = slots(0, 1, 2, 3)
        dear, _ = segment_cost(0, 2, both, both, links)
        cheap, _ = segment_cost(2, 4, both, both, links)
        assert segment_room(0, 2, both, own) == 0.0 or dear <= cheap * (1.0 + 1e-14)


def test_steep_link_is_not_overrun() -> None:
    # From no flow the slope of power 8 is 0: Newton's first step takes everything, and a few steps back leave the cheap link far
    # dearer than the dear one ever was.
    rows = [(10.0, 1000.0, 0.15, 1.0), (1.0, 1.0, 1.0, 8.0)]
    links = side_by_side(rows, [1000.0, 0.0])
    own = np.array([1000.0, 0.0])
    before = objective(rows, links.links["flow"])
    shift(slots(0), slots(1), slots(0, 1), own, links)
    assert objective(rows, links.links["flow"]) < before
    assert links.links["cost"][1] <= links.links["cost"][0] + 0.1 * 10.5


def test_dear_segment_is_emptied() -> None:
    links = side_by_side([(50.0, 100.0, 0.1, 1.0), (1.0, 100.0, 0.1, 1.0)], [5.0, 5.0])
    own = np.array([5.0, 5.0])
    gained = shift(slots(0), slots(1), slots(0, 1), own, links)
    assert own.tolist() == [0.0, 10.0]
    assert gained == pytest.approx(5.0 * (50.25 - 1.005))
    assert shift(slots(0), slots(1), slots(0, 1), own, links) == 0.0


def pairs_of(rows: list[tuple[list[int], list[int]]]) -> Pairs:
    bound, flat = [0], []
    for one, other in rows:
        for half in (one, other):
            flat += half
            bound.append(len(flat))
    return Pairs(np.array(bound, np.int64), np.array(flat, np.int32))


def test_sweeps_balance_affine_links() -> None:
    # 10 + v, 20 + v and 26 + v: all cost 28 at 18, 8 and 2.
    rows = [(10.0, 10.0, 1.0, 1.0), (20.0, 20.0, 1.0, 1.0), (26.0, 26.0, 1.0, 1.0)]
    links = side_by_side(rows, [0.0, 0.0, 28.0])
    own = links.links["flow"].copy()
    n_living = sweep(60, pairs_of([([2], [0]), ([2], [1])]), slots(0, 1, 2), own, links)
    np.testing.assert_allclose(links.links["cost"], [28.0, 28.0, 28.0], rtol=1e-9)
    assert n_living == 0


def test_joint_step_swaps_two_origins_that_block_each_other() -> None:
    """Two origins share two very steep links; one should leave the first link for the second, the other the reverse.

    Worked by hand: approaches cost 100 v (origin A to link 0), 0 (A to link 1), 0 (B to 0), 100 v (B to 1): each should use its
    cheap approach, which leaves both steep links with the flow they had. Moving in turn, a step is about 100 / (slope 8e6).
    """
    steep = (1.0, 1.0, 1.0, 8.0)
    approach = (1.0, 1.0, 100.0, 1.0)
    free = (0.0, 1.0, 0.0, 1.0)
    rows = [steep, steep, approach, free, free, approach]
    # A: slots 0, 2 through link 0 and 1, 3 through link 1; B: 4, 6 and 5, 7.
    slot_link = slots(0, 1, 2, 3, 0, 1, 4, 5)
    own = np.array([5.0, 0.0, 5.0, 0.0, 0.0, 5.0, 0.0, 5.0])
    links = side_by_side(rows, np.bincount(slot_link, weights=own).tolist())
    pairs = pairs_of([([0, 2], [1, 3]), ([5, 7], [4, 6])])
    swept, swept_links = own.copy(), links._replace(links=links.links.copy())
    sweep(200, pairs, slot_link, swept, swept_links)
    assert swept[0] > 4.5
    joint_shift(2, len(own), 5, slot_link, own, links, pairs)
    np.testing.assert_allclose(own, [0.0, 5.0, 0.0, 5.0, 5.0, 0.0, 5.0, 0.0], atol=1e-2)
    np.testing.assert_allclose(np.bincount(slot_link, weights=own), links.links["flow"], atol=1e-12)
    assert objective(rows, links.links["flow"]) < objective(rows, swept_links.links["flow"])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from((0.0, 1.0, 9.0)),
            st.sampled_from((1.0, 40.0)),
            st.sampled_from((0.0, 0.15, 3.0)),
            st.sampled_from((0.0, 0.5, 1.0, 4.0, 8.0)),
        ),
        min_size=5,
        max_size=5,
    ),
    flow=st.lists(st.sampled_from((0.0, 1.0, 30.0)), min_size=5, max_size=5),
)
def test_a_joint_step_never_raises_the_objective(rows: list[tuple[float, float, float, float]], flow: list[float]) -> None:
    links = side_by_side(rows, flow)
    own = np.array(flow)
    before = objective(rows, links.links["flow"])
    pairs = pairs_of([([0], [1]), ([0], [2]), ([3], [1]), ([4], [3])])
    joint_shift(4, 5, 5, np.arange(5, dtype=np.int32), own, links, pairs)
    assert objective(rows, links.links["flow"]) <= before * (1.0 + 1e-9) + 1e-12
    assert own.sum() == pytest.approx(sum(flow), rel=1e-12)
    assert (own >= 0.0).all()
    np.testing.assert_allclose(links.links["flow"], own, rtol=1e-12, atol=1e-12)
