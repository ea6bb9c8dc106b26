"""One Newton step for many pairs of segments at once.

Pairs that share steep links block one another when they move in turn: an origin that should leave a steep link and another
that should take its place each stop after a step of (difference of cost) / (slope). In the space of all shifts y the Beckmann
objective is, to second order, y'Hy / 2 - g'y with g the differences of cost and H = A'DA, where A holds -1 (+1) where a pair
takes flow from (gives it to) a link and D the slopes. Hy = g is solved by conjugate gradients with H's diagonal as
preconditioner (Nocedal and Wright 2006, "Numerical Optimization", sections 5.1 and 16.7); the step ends where a flow becomes
zero or the objective no longer falls.
"""

from __future__ import annotations

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope
from sim.kernels.segments import LinkState, Pairs, move, segment_cost, segment_room

_MOST_CG_STEPS = 100
_CG_ACCURACY = 1e-4
_HALVINGS = 40
_BLOCKED = 1e-9
"""A step shorter than this share is not worth making: what blocks it is taken out and the step solved again."""


@kernel
def _spread(shift: FloatColumn, n_pairs: int, pairs: Pairs, slot_delta: FloatColumn) -> None:
    slot_delta[:] = 0.0
    for pair in range(n_pairs):
        if shift[pair] != 0.0:
            for place in range(pairs.bound[2 * pair], pairs.bound[2 * pair + 1]):
                slot_delta[pairs.slot[place]] -= shift[pair]
            for place in range(pairs.bound[2 * pair + 1], pairs.bound[2 * pair + 2]):
                slot_delta[pairs.slot[place]] += shift[pair]


@kernel
def _to_links(slot_delta: FloatColumn, slot_link: IndexColumn, link_delta: FloatColumn) -> None:
    link_delta[:] = 0.0
    for slot in range(len(slot_delta)):
        link_delta[slot_link[slot]] += slot_delta[slot]


@kernel
def free_pairs(
    n_pairs: int,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    state: LinkState,
    pairs: Pairs,
    difference: FloatColumn,
    scale: FloatColumn,
    free: BoolColumn,
) -> None:
    """Write the difference of cost of every pair, the sum of its slopes, and whether flow can move against the difference."""
    for pair in range(n_pairs):
        first, middle, end = pairs.bound[2 * pair], pairs.bound[2 * pair + 1], pairs.bound[2 * pair + 2]
        one_cost, one_slope = segment_cost(first, middle, pairs.slot, slot_link, state)
        other_cost, other_slope = segment_cost(middle, end, pairs.slot, slot_link, state)
        difference[pair] = one_cost - other_cost
        scale[pair] = one_slope + other_slope
        if one_cost < other_cost:
            first, middle = middle, end
        free[pair] = 0.0 < scale[pair] < np.inf and segment_room(first, middle, pairs.slot, slot_flow) > 0.0


@kernel
def solve_shifts(
    n_pairs: int,
    slot_link: IndexColumn,
    state: LinkState,
    pairs: Pairs,
    difference: FloatColumn,
    scale: FloatColumn,
    free: BoolColumn,
    slot_delta: FloatColumn,
    link_delta: FloatColumn,
    shift: FloatColumn,
) -> None:
    """Write the shift of every free pair (0 for the others) that balances all of them to first order."""
    residual, direction = np.zeros(n_pairs), np.zeros(n_pairs)
    size = 0.0
    for pair in range(n_pairs):
        shift[pair] = 0.0
        if free[pair]:
            residual[pair] = difference[pair]
            direction[pair] = difference[pair] / scale[pair]
            size += residual[pair] * direction[pair]
    first_size = size
    for _ in range(_MOST_CG_STEPS):
        if not size > _CG_ACCURACY * _CG_ACCURACY * first_size:
            break
        _spread(direction, n_pairs, pairs, slot_delta)
        _to_links(slot_delta, slot_link, link_delta)
        curvature = 0.0
        for link in range(len(link_delta)):
            if link_delta[link] != 0.0:
                curvature += link_delta[link] * link_delta[link] * state.links[link].cost_slope
                link_delta[link] *= state.links[link].cost_slope
        if not 0.0 < curvature < np.inf:
            break
        length = size / curvature
        new_size = 0.0
        for pair in range(n_pairs):
            if free[pair]:
                change = 0.0
                for place in range(pairs.bound[2 * pair], pairs.bound[2 * pair + 1]):
                    change -= link_delta[slot_link[pairs.slot[place]]]
                for place in range(pairs.bound[2 * pair + 1], pairs.bound[2 * pair + 2]):
                    change += link_delta[slot_link[pairs.slot[place]]]
                shift[pair] += length * direction[pair]
                residual[pair] -= length * change
                new_size += residual[pair] * residual[pair] / scale[pair]
        for pair in range(n_pairs):
            if free[pair]:
                direction[pair] = residual[pair] / scale[pair] + (new_size / size) * direction[pair]
        size = new_size


@kernel
def _objective_slope(share: float, link_delta: FloatColumn, state: LinkState) -> float:
    # d Beckmann / d share of the step
    total = 0.0
    for link in range(len(link_delta)):
        if link_delta[link] != 0.0:
            flow = max(state.links[link].flow + share * link_delta[link], 0.0)
            here = state.links[link]
            cost, _ = cost_and_slope(flow, here.base, here.slope, here.inverse_capacity, here.power)
            total += cost * link_delta[link]
    return total


@kernel
def _longest_share(slot_delta: FloatColumn, slot_flow: FloatColumn) -> float:
    share = np.inf
    for slot in range(len(slot_delta)):
        if slot_delta[slot] < 0.0:
            share = min(share, -slot_flow[slot] / slot_delta[slot])
    return share


@kernel
def _take_out(
    n_pairs: int, pairs: Pairs, slot_delta: FloatColumn, slot_flow: FloatColumn, shift: FloatColumn, free: BoolColumn
) -> bool:
    # Pairs that would take flow from where there is (nearly) none.
    any_out = False
    for pair in range(n_pairs):
        if free[pair] and shift[pair] != 0.0:
            half = 0 if shift[pair] > 0.0 else 1
            for place in range(pairs.bound[2 * pair + half], pairs.bound[2 * pair + half + 1]):
                slot = pairs.slot[place]
                if slot_delta[slot] < 0.0 and slot_flow[slot] <= -_BLOCKED * slot_delta[slot]:
                    free[pair] = False
                    any_out = True
                    break
    return any_out


@kernel
def joint_shift(
    n_pairs: int, n_slots: int, n_rounds: int, slot_link: IndexColumn, slot_flow: FloatColumn, state: LinkState, pairs: Pairs
) -> None:
    """Take up to `n_rounds` joint steps of all pairs; the Beckmann objective never rises."""
    difference, scale, shift = np.empty(n_pairs), np.empty(n_pairs), np.empty(n_pairs)
    free = np.empty(n_pairs, np.bool_)
    slot_delta, link_delta = np.empty(n_slots), np.empty(len(state.links))
    fresh = True
    for _ in range(n_rounds):
        if fresh:
            free_pairs(n_pairs, slot_link, slot_flow, state, pairs, difference, scale, free)
        solve_shifts(n_pairs, slot_link, state, pairs, difference, scale, free, slot_delta, link_delta, shift)
        _spread(shift, n_pairs, pairs, slot_delta)
        longest = _longest_share(slot_delta, slot_flow)
        if longest <= _BLOCKED:
            fresh = False
            if not _take_out(n_pairs, pairs, slot_delta, slot_flow, shift, free):
                return
            continue
        fresh = True
        _to_links(slot_delta, slot_link, link_delta)
        if not _objective_slope(0.0, link_delta, state) < 0.0:
            return
        share = min(1.0, longest)
        low, high = 0.0, share
        if _objective_slope(share, link_delta, state) > 0.0:
            for _halving in range(_HALVINGS):
                middle = 0.5 * (low + high)
                if _objective_slope(middle, link_delta, state) > 0.0:
                    high = middle
                else:
                    low = middle
            share = low
        if share == 0.0:
            return
        for slot in range(n_slots):
            if slot_delta[slot] != 0.0:
                slot_flow[slot] = max(slot_flow[slot] + share * slot_delta[slot], 0.0)
        for link in range(len(link_delta)):
            if link_delta[link] != 0.0:
                move(link, share * link_delta[link], state)
