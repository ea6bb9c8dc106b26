"""Shifts of flow between two segments that lead from one node to another: the step of which the equilibrium is made.

A segment is a list of slots, places where the bushes of all origins keep the flow of one origin on one link.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import inlined, kernel
from sim.kernels.costs import cost_and_slope, layer_cost_and_slope

_NEWTON_STEPS = 4
_MOST_STEPS = 60
_CLOSE_ENOUGH = 0.1
"""Share of the first difference of cost at which a shift ends; the next sweep does the rest."""


class Links(NamedTuple):
    """Links by tail (forward star), shapes (n_links,): cost function and state (flow of all travellers, cost and slope at it)."""

    tail: IndexColumn
    head: IndexColumn
    base: FloatColumn
    slope: FloatColumn
    inverse_capacity: FloatColumn
    power: FloatColumn
    flow: FloatColumn
    cost: FloatColumn
    cost_slope: FloatColumn


LINK = np.dtype(
    [
        ("flow", np.float64),
        ("cost", np.float64),
        ("cost_slope", np.float64),
        ("base", np.float64),
        ("slope", np.float64),
        ("inverse_capacity", np.float64),
        ("power", np.float64),
        ("tail", np.int32),
        ("head", np.int32),
    ]
)
"""The same for one link, side by side: the 64 bytes that a shift of flow needs come from memory at once."""
Records = NDArray[Any]


class LinkState(NamedTuple):
    """Links of all classes of travellers.

    Several classes share the streets as layers: each layer is a copy of all links (and of all nodes), in the same order, with the
    flow and the cost of its class; the flows of all copies of a link congest it together. One class is one layer.
    """

    links: Records
    """Rows of LINK, one layer after the other; shape (n_layers * links of a layer,)."""
    own_weight: FloatColumn
    """How much of what its own flow causes to itself a class counts (0 nothing, 1 all of it); shape (n_layers,). 0 with one
    layer, whose cost function has it."""


class Pairs(NamedTuple):
    """Pairs of segments with the same ends.

    Slots of pair k: `slot[bound[2 k]:bound[2 k + 1]]` of the segment that was longer, then to `bound[2 k + 2]` of the other.
    """

    bound: OffsetColumn
    slot: IndexColumn


@inlined
def move(link: int, amount: float, state: LinkState) -> None:
    """Add `amount` to the flow of a link (never below 0) and bring its cost and slope up to date."""
    here = state.links[link]
    flow = max(here.flow + amount, 0.0)
    here.flow = flow
    if len(state.own_weight) == 1:
        here.cost, here.cost_slope = cost_and_slope(flow, here.base, here.slope, here.inverse_capacity, here.power)
    else:
        refresh_copies(link % (len(state.links) // len(state.own_weight)), state)


@kernel
def refresh_copies(street: int, state: LinkState) -> None:
    """Recompute cost and slope of all copies of a link; `street` is its position in the first layer."""
    links = state.links
    per_layer = len(links) // len(state.own_weight)
    total = 0.0
    for link in range(street, len(links), per_layer):
        total += links[link].flow
    for layer in range(len(state.own_weight)):
        here = links[street + layer * per_layer]
        here.cost, here.cost_slope = layer_cost_and_slope(
            total, here.flow, state.own_weight[layer], here.base, here.slope, here.inverse_capacity, here.power
        )


@kernel
def refresh_all(state: LinkState) -> None:
    """Recompute cost and slope of every link from the flows."""
    for street in range(len(state.links) // len(state.own_weight)):
        refresh_copies(street, state)


@kernel
def segment_cost(first: int, past_last: int, slots: IndexColumn, slot_link: IndexColumn, state: LinkState) -> tuple[float, float]:
    """Return the cost of the segment `slots[first:past_last]` and its slope when flow is added all along it."""
    cost = 0.0
    slope = 0.0
    for place in range(first, past_last):
        link = slot_link[slots[place]]
        cost += state.links[link].cost
        slope += state.links[link].cost_slope
    return cost, slope


@kernel
def segment_room(first: int, past_last: int, slots: IndexColumn, slot_flow: FloatColumn) -> float:
    """Return the most flow that can be taken from a segment: the least of its slots."""
    room = np.inf
    for place in range(first, past_last):
        room = min(room, slot_flow[slots[place]])
    return room


@kernel
def _load(
    amount: float,
    first: int,
    past_last: int,
    slots: IndexColumn,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    state: LinkState,
) -> tuple[float, float]:
    """Add flow all along a segment; return its cost and slope then."""
    cost = 0.0
    slope = 0.0
    for place in range(first, past_last):
        slot = slots[place]
        link = slot_link[slot]
        slot_flow[slot] = max(slot_flow[slot] + amount, 0.0)
        move(link, amount, state)
        cost += state.links[link].cost
        slope += state.links[link].cost_slope
    return cost, slope


@kernel
def equalise(
    from_first: int, from_end: int, to_first: int, to_end: int, slots: IndexColumn, slot_link: IndexColumn,
    slot_flow: FloatColumn, state: LinkState, tolerance: float,
) -> float:  # fmt: skip
    """Shift flow from the dearer segment to the cheaper until their costs about agree or the dearer one is empty.

    Newton's method inside the bracket [0, what the segment carries]; a step that leaves the bracket, which steep or concave
    costs can cause, halves it instead. Where a few steps end beyond the balance (a steep cost approached from above), the bracket
    is halved until they do not: short of the balance the Beckmann objective has fallen all the way.

    Parameters
    ----------
    from_first, from_end, to_first, to_end
        The segments: `slots[from_first:from_end]` and `slots[to_first:to_end]`.
    tolerance
        Share of the cost of the dearer segment that a difference must exceed.

    Returns
    -------
    float
        The first difference of cost times the shift; 0 where nothing was to be done.
    """
    dear, dear_slope = segment_cost(from_first, from_end, slots, slot_link, state)
    cheap, cheap_slope = segment_cost(to_first, to_end, slots, slot_link, state)
    difference = dear - cheap
    if difference <= tolerance * dear:
        return 0.0
    room = segment_room(from_first, from_end, slots, slot_flow)
    if room <= 0.0:
        return 0.0
    first_difference = difference
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
        dear, dear_slope = _load(shifted - target, from_first, from_end, slots, slot_link, slot_flow, state)
        cheap, cheap_slope = _load(target - shifted, to_first, to_end, slots, slot_link, slot_flow, state)
        shifted = target
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
        _load(shifted - low, from_first, from_end, slots, slot_link, slot_flow, state)
        _load(low - shifted, to_first, to_end, slots, slot_link, slot_flow, state)
        shifted = low
    return first_difference * shifted


@kernel
def sweep_pairs(
    n_pairs: int,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    state: LinkState,
    pairs: Pairs,
    tolerance: float,
    living: IndexColumn,
) -> tuple[float, int]:
    """Equalise the first `n_pairs` of the `living` pairs once, in either direction; a pair with nothing left to do dies.

    Returns
    -------
    tuple
        Sum of difference * shift over the pairs, and how many still live; those stand first in `living`, in the same order.
    """
    gained = 0.0
    n_living = 0
    for place in range(n_pairs):
        pair = living[place]
        first, middle, end = pairs.bound[2 * pair], pairs.bound[2 * pair + 1], pairs.bound[2 * pair + 2]
        here = equalise(first, middle, middle, end, pairs.slot, slot_link, slot_flow, state, tolerance)
        if here == 0.0:
            here = equalise(middle, end, first, middle, pairs.slot, slot_link, slot_flow, state, tolerance)
        gained += here
        if here > 0.0:
            living[n_living] = pair
            n_living += 1
    return gained, n_living
