"""Shifts of flow between two segments that lead from one node to another: the step of which the equilibrium is made.

A segment is a list of slots, places where the bushes of all origins keep the flow of one origin on one link.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.costs import cost_and_slope

_NEWTON_STEPS = 4
_MOST_STEPS = 60
_CLOSE_ENOUGH = 0.02
"""Share of the first difference of cost at which a shift ends; the next sweep does the rest."""


class Links(NamedTuple):
    """Links by tail (forward star), shapes (n_links,): cost function and state (flow of all origins, cost and slope at it)."""

    tail: IndexColumn
    head: IndexColumn
    base: FloatColumn
    slope: FloatColumn
    inverse_capacity: FloatColumn
    power: FloatColumn
    flow: FloatColumn
    cost: FloatColumn
    cost_slope: FloatColumn


class Pairs(NamedTuple):
    """Pairs of segments with the same ends.

    Slots of pair k: `slot[bound[2 k]:bound[2 k + 1]]` of the segment that was longer, then to `bound[2 k + 2]` of the other.
    """

    bound: OffsetColumn
    slot: IndexColumn


@kernel
def move(link: int, amount: float, links: Links) -> None:
    """Add `amount` to the flow of a link (never below 0) and bring its cost and slope up to date."""
    flow = max(links.flow[link] + amount, 0.0)
    links.flow[link] = flow
    links.cost[link], links.cost_slope[link] = cost_and_slope(
        flow, links.base[link], links.slope[link], links.inverse_capacity[link], links.power[link]
    )


@kernel
def segment_cost(slots: IndexColumn, slot_link: IndexColumn, links: Links) -> tuple[float, float]:
    """Return the cost of a segment and its slope when flow is added all along it."""
    cost = 0.0
    slope = 0.0
    for slot in slots:
        cost += links.cost[slot_link[slot]]
        slope += links.cost_slope[slot_link[slot]]
    return cost, slope


@kernel
def segment_room(slots: IndexColumn, slot_flow: FloatColumn) -> float:
    """Return the most flow that can be taken from a segment: the least of its slots."""
    room = np.inf
    for slot in slots:
        room = min(room, slot_flow[slot])
    return room


@kernel
def _shift(
    amount: float, from_slots: IndexColumn, to_slots: IndexColumn, slot_link: IndexColumn, slot_flow: FloatColumn, links: Links
) -> None:
    for slot in from_slots:
        slot_flow[slot] = max(slot_flow[slot] - amount, 0.0)
        move(slot_link[slot], -amount, links)
    for slot in to_slots:
        slot_flow[slot] = max(slot_flow[slot] + amount, 0.0)
        move(slot_link[slot], amount, links)


@kernel
def equalise(
    from_slots: IndexColumn, to_slots: IndexColumn, slot_link: IndexColumn, slot_flow: FloatColumn, links: Links, tolerance: float
) -> float:
    """Shift flow from the dearer segment to the cheaper until their costs about agree or the dearer one is empty.

    Newton's method inside the bracket [0, what the segment carries]; a step that leaves the bracket, which steep or concave
    costs can cause, halves it instead. Where a few steps end beyond the balance (a steep cost approached from above), the bracket
    is halved until they do not: short of the balance the Beckmann objective has fallen all the way.

    Returns
    -------
    float
        The first difference of cost times the shift; 0 where nothing was to be done.
    """
    room = segment_room(from_slots, slot_flow)
    dear, dear_slope = segment_cost(from_slots, slot_link, links)
    cheap, cheap_slope = segment_cost(to_slots, slot_link, links)
    difference = dear - cheap
    first_difference = difference
    if room <= 0.0 or difference <= tolerance * dear:
        return 0.0
    low, high, shifted = 0.0, room, 0.0
    for step in range(_MOST_STEPS):
        slope = dear_slope + cheap_slope
        if step >= _NEWTON_STEPS:
            target = 0.5 * (low + high)
        elif slope > 0.0:
            target = shifted + difference / slope
        else:
            target = high if difference > 0.0 else low
        if target >= room and high == room:
            target = room
        elif not low < target < high:
            target = 0.5 * (low + high)
        _shift(target - shifted, from_slots, to_slots, slot_link, slot_flow, links)
        shifted = target
        dear, dear_slope = segment_cost(from_slots, slot_link, links)
        cheap, cheap_slope = segment_cost(to_slots, slot_link, links)
        difference = dear - cheap
        if difference >= 0.0:
            low = shifted
        else:
            high = shifted
        if abs(difference) <= _CLOSE_ENOUGH * first_difference:
            break
        if difference >= 0.0 and (shifted == room or step >= _NEWTON_STEPS - 1):
            break
    if difference < -_CLOSE_ENOUGH * first_difference:
        _shift(low - shifted, from_slots, to_slots, slot_link, slot_flow, links)
        shifted = low
    return first_difference * shifted


@kernel
def sweep_pairs(
    n_pairs: int, slot_link: IndexColumn, slot_flow: FloatColumn, links: Links, pairs: Pairs, alive: NDArray[np.bool_]
) -> float:
    """Equalise every living pair once, in either direction; a pair with nothing left to do dies.

    Returns
    -------
    float
        Sum of difference * shift over the pairs.
    """
    gained = 0.0
    for pair in range(n_pairs):
        if not alive[pair]:
            continue
        one = pairs.slot[pairs.bound[2 * pair] : pairs.bound[2 * pair + 1]]
        other = pairs.slot[pairs.bound[2 * pair + 1] : pairs.bound[2 * pair + 2]]
        here = equalise(one, other, slot_link, slot_flow, links, 1e-15)
        if here == 0.0:
            here = equalise(other, one, slot_link, slot_flow, links, 1e-15)
        gained += here
        alive[pair] = here > 0.0
    return gained
