"""Bushes: the acyclic links that one origin's demand uses, and the shifts of flow that equalise their costs (Algorithm B).

Method: Dial (2006, Transportation Research B 40), in the form of Nie (2010, Transportation Research B 44); pairs of segments
kept and swept after Bar-Gera's paired alternative segments (2010, Transportation Research B 44). What is particular here:

- A bush holds only nodes that carry flow, and what is new from the origin's shortest-path tree; nodes without demand cost
  nothing.
- Nodes are numbered by their place in a topological order, so that every pass over a bush reads memory in one direction.
- A tree link may enter a node of the bush only if longest label(tail) + cost < longest label(head). Longest labels never fall
  along a link and rise along such a link, so the bush stays acyclic, also with links of zero cost; and an order by longest labels
  (ties as they stood) is topological.
- After each rebuild the flows are rescaled to the demand, node by node from the far end, so that rounding never drifts and a
  start with another demand is a warm start.

A slot is where the flow of one origin on one link is kept, among the slots of all origins; those of an origin stand grouped by
head, heads in topological order. An entry is a slot counted from the origin's first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import inlined, kernel
from sim.kernels.kept_trees import Streets, Trees
from sim.kernels.segments import LinkState, Pairs, equalise, move

NOTHING = -1
_TINY_SHARE = 1e-13
"""Share of a node's flow below which an entry counts as empty: rounding, not routing."""

_MOST_MOVES = 8
"""Moves a node that sorting by insertion may take before merging takes its place."""


class Slots(NamedTuple):
    """Flow by origin; slots of origin o: `start[o]` to `start[o + 1]`."""

    start: OffsetColumn
    link: IndexColumn
    flow: FloatColumn


class Bush(NamedTuple):
    """Scratch for one origin's bush. A number is given to each node as it is met; number 0 is the origin."""

    number_of: IndexColumn
    """Number of a node, NOTHING outside; shape (n_nodes,)."""
    node: IndexColumn
    old_start: IndexColumn
    """Old entries into number i: `old_start[i]` to `old_start[i + 1]`."""
    old_link: IndexColumn
    old_flow: FloatColumn
    old_from: IndexColumn
    """Number of the tail."""
    new_link: IndexColumn
    """New entry into a number, NOTHING without."""
    order: IndexColumn
    """Numbers in topological order."""
    place_of: IndexColumn
    """Place of a number in `order`."""
    entry_start: IndexColumn
    """Entries into the node at place i: `entry_start[i]` to `entry_start[i + 1]`."""
    from_place: IndexColumn
    """Place of the tail of an entry."""
    shortest: FloatColumn
    longest: FloatColumn
    through: FloatColumn
    shortest_entry: IndexColumn
    longest_entry: IndexColumn
    stack: IndexColumn
    spare: IndexColumn


@inlined
def gather(origin: int, source: int, old: Slots, state: LinkState, bush: Bush) -> int:
    """Give numbers to the nodes that carry flow, with their entries and labels at the present costs; return how many there are.

    `shortest` and `longest` are over the entries that carry flow.
    """
    bush.number_of[source] = 0
    bush.node[0] = source
    bush.new_link[0] = NOTHING
    bush.shortest[0] = bush.longest[0] = 0.0
    bush.old_start[0] = bush.old_start[1] = 0
    n_numbers = 1
    entry = 0
    for slot in range(old.start[origin], old.start[origin + 1]):
        flow = old.flow[slot]
        if flow <= 0.0:
            continue
        link = old.link[slot]
        tail = bush.number_of[state.links[link].tail]
        if tail == NOTHING:
            # Rounding left flow behind a node that nothing enters any more (tails come before heads, so it would be known).
            move(link, -flow, state)
            old.flow[slot] = 0.0
            continue
        head = state.links[link].head
        number = bush.number_of[head]
        if number == NOTHING:
            number = n_numbers
            n_numbers += 1
            bush.number_of[head] = number
            bush.node[number] = head
            bush.new_link[number] = NOTHING
            bush.shortest[number], bush.longest[number] = np.inf, 0.0
        bush.old_link[entry] = link
        bush.old_flow[entry] = flow
        bush.old_from[entry] = tail
        entry += 1
        bush.old_start[number + 1] = entry
        cost = state.links[link].cost
        bush.shortest[number] = min(bush.shortest[number], bush.shortest[tail] + cost)
        bush.longest[number] = max(bush.longest[number], bush.longest[tail] + cost)
    return n_numbers


@inlined
def _add_chain(depth: int, n_numbers: int, state: LinkState, bush: Bush) -> int:
    # Give numbers to the heads of the links on the stack, the last of which leaves a node of the bush.
    while depth > 0:
        depth -= 1
        link = bush.stack[depth]
        tail = bush.number_of[state.links[link].tail]
        head = state.links[link].head
        bush.number_of[head] = n_numbers
        bush.node[n_numbers] = head
        bush.new_link[n_numbers] = link
        bush.old_start[n_numbers + 1] = bush.old_start[n_numbers]
        bush.shortest[n_numbers] = bush.shortest[tail] + state.links[link].cost
        bush.longest[n_numbers] = bush.longest[tail] + state.links[link].cost
        n_numbers += 1
    return n_numbers


@inlined
def add_destinations(
    n_numbers: int, cell_node: IndexColumn, link_into: IndexColumn, first_node: int, state: LinkState, bush: Bush
) -> int:
    """Add the tree paths to destinations that are not in the bush; return the number of nodes, NOTHING if there is no path."""
    for node in cell_node:
        depth = 0
        while bush.number_of[node] == NOTHING:
            link = link_into[node - first_node]
            if link < 0:
                return NOTHING
            bush.stack[depth] = link
            depth += 1
            node = state.links[link].tail
        n_numbers = _add_chain(depth, n_numbers, state, bush)
    return n_numbers


@inlined
def add_tree_links(
    n_old: int, n_numbers: int, link_into: IndexColumn, first_node: int, state: LinkState, bush: Bush
) -> tuple[int, bool]:
    """Add the tree links that provably close no cycle and promise a shorter path; return (nodes, is the old order still good).

    `n_old` are the nodes that carry flow.
    """
    in_order = n_numbers == n_old
    for number in range(1, n_old):
        link = link_into[bush.node[number] - first_node]
        shortest = np.inf
        known = link == NOTHING
        for entry in range(bush.old_start[number], bush.old_start[number + 1]):
            known |= bush.old_link[entry] == link
            shortest = min(shortest, bush.shortest[bush.old_from[entry]] + state.links[bush.old_link[entry]].cost)
        bush.shortest[number] = shortest
        if known:
            continue
        cost = state.links[link].cost
        depth = 0
        node = state.links[link].tail
        while bush.number_of[node] == NOTHING:
            bush.stack[depth] = link_into[node - first_node]
            cost += state.links[bush.stack[depth]].cost
            node = state.links[bush.stack[depth]].tail
            depth += 1
        base = bush.number_of[node]
        # A shortest label is final only where the old order has been passed.
        if bush.longest[base] + cost < bush.longest[number] and (number <= base < n_old or bush.shortest[base] + cost < shortest):
            in_order &= depth == 0 and base < number
            n_numbers = _add_chain(depth, n_numbers, state, bush)
            bush.new_link[number] = link
            bush.shortest[number] = min(shortest, bush.shortest[base] + cost)
    return n_numbers, in_order


@kernel
def sort_by_longest(n_numbers: int, bush: Bush) -> None:
    """Sort `order` by longest labels, equal ones as they stand.

    By insertion as long as that moves little, because most of the order is sorted already; then by merging runs.
    """
    order, key = bush.order, bush.longest
    left = _MOST_MOVES * n_numbers
    for place in range(1, n_numbers):
        number = order[place]
        label_of = key[number]
        into = place
        while into > 0 and key[order[into - 1]] > label_of:
            order[into] = order[into - 1]
            into -= 1
        order[into] = number
        left -= place - into
        if left < 0:
            _merge_runs(n_numbers, order, bush.spare, key)
            return


@kernel
def _merge_runs(n_numbers: int, order: IndexColumn, spare: IndexColumn, key: FloatColumn) -> None:
    while True:
        first = 0
        n_merged = 0
        while first < n_numbers:
            middle = first + 1
            while middle < n_numbers and key[order[middle - 1]] <= key[order[middle]]:
                middle += 1
            if middle == n_numbers:
                break
            end = middle + 1
            while end < n_numbers and key[order[end - 1]] <= key[order[end]]:
                end += 1
            spare[first:middle] = order[first:middle]
            left, right, place = first, middle, first
            while left < middle:
                if right < end and key[order[right]] < key[spare[left]]:
                    order[place] = order[right]
                    right += 1
                else:
                    order[place] = spare[left]
                    left += 1
                place += 1
            n_merged += 1
            first = end
        if n_merged == 0:
            return


@inlined
def emit(n_numbers: int, base: int, new: Slots, state: LinkState, bush: Bush) -> int:
    """Write all entries from slot `base` on, in topological order; return the slot after the last, NOTHING without room."""
    for place in range(n_numbers):
        bush.place_of[bush.order[place]] = place
    slot = base
    for place in range(n_numbers):
        number = bush.order[place]
        bush.entry_start[place] = slot - base
        first, past_last = bush.old_start[number], bush.old_start[number + 1]
        if slot + past_last - first >= len(new.link):
            return NOTHING
        for entry in range(first, past_last):
            new.link[slot] = bush.old_link[entry]
            new.flow[slot] = bush.old_flow[entry]
            bush.from_place[slot - base] = bush.place_of[bush.old_from[entry]]
            slot += 1
        link = bush.new_link[number]
        if link != NOTHING:
            new.link[slot] = link
            new.flow[slot] = 0.0
            bush.from_place[slot - base] = bush.place_of[bush.number_of[state.links[link].tail]]
            slot += 1
    bush.entry_start[n_numbers] = slot - base
    return slot


@inlined
def rescale(
    n_numbers: int, base: int, cell_node: IndexColumn, cell_demand: FloatColumn, new: Slots, state: LinkState, bush: Bush
) -> None:
    """Make the flows into every node equal to what leaves it and what ends there, keeping their proportions."""
    through = bush.through
    through[:n_numbers] = 0.0
    for cell in range(len(cell_node)):
        through[bush.place_of[bush.number_of[cell_node[cell]]]] += cell_demand[cell]
    for place in range(n_numbers - 1, 0, -1):
        first, past_last = base + bush.entry_start[place], base + bush.entry_start[place + 1]
        needed = through[place]
        present = 0.0
        for slot in range(first, past_last):
            present += new.flow[slot]
        exact = abs(present - needed) <= 1e-14 * needed
        for slot in range(first, past_last):
            old = new.flow[slot]
            flow = old
            if present == 0.0:
                flow = needed if slot == past_last - 1 else 0.0  # a node new to the bush: its tree link takes all
            elif old <= _TINY_SHARE * needed:
                flow = 0.0
            elif not exact:
                flow = old * (needed / present)
            if flow != old:
                new.flow[slot] = flow
                move(new.link[slot], flow - old, state)
            through[bush.from_place[slot - base]] += flow


@inlined
def label(n_numbers: int, base: int, new: Slots, state: LinkState, bush: Bush) -> bool:
    """Write shortest labels over all entries, longest labels over those that carry flow, and the entries they come by.

    False where a cost or a label is not finite: there are no paths to compare then.
    """
    bush.shortest[0] = bush.longest[0] = 0.0
    all_finite = True
    for place in range(1, n_numbers):
        shortest = np.inf
        longest = -1.0
        shortest_entry = NOTHING
        longest_entry = NOTHING
        for entry in range(bush.entry_start[place], bush.entry_start[place + 1]):
            tail = bush.from_place[entry]
            cost = state.links[new.link[base + entry]].cost
            all_finite &= cost < np.inf
            if bush.shortest[tail] + cost < shortest:
                shortest = bush.shortest[tail] + cost
                shortest_entry = entry
            if new.flow[base + entry] > 0.0 and bush.longest[tail] + cost > longest:
                longest = bush.longest[tail] + cost
                longest_entry = entry
        if longest_entry == NOTHING:
            longest = shortest
            longest_entry = shortest_entry
        bush.shortest[place] = shortest
        bush.longest[place] = longest
        bush.shortest_entry[place] = shortest_entry
        bush.longest_entry[place] = longest_entry
        all_finite &= shortest < np.inf and longest < np.inf
    return all_finite


@inlined
def trace(used_entry: int, shortest_entry: int, base: int, bush: Bush, pairs: Pairs, n_pairs: int) -> None:
    """Write the two segments that end with two entries of a node: back along the longest used and the shortest path.

    They begin where the two paths part. There must be room for one more pair, which can have as many slots as two paths.
    """
    for reverse in range(2):
        place = pairs.bound[2 * n_pairs + reverse]
        by_longest = bush.from_place[used_entry]
        by_shortest = bush.from_place[shortest_entry]
        pairs.slot[place] = base + (used_entry if reverse == 0 else shortest_entry)
        place += 1
        while by_longest != by_shortest:
            if by_longest > by_shortest:
                entry = bush.longest_entry[by_longest]
                by_longest = bush.from_place[entry]
                mine = reverse == 0
            else:
                entry = bush.shortest_entry[by_shortest]
                by_shortest = bush.from_place[entry]
                mine = reverse == 1
            if mine:
                pairs.slot[place] = base + entry
                place += 1
        pairs.bound[2 * n_pairs + reverse + 1] = place


@inlined
def shift_pass(
    n_numbers: int, base: int, new: Slots, state: LinkState, bush: Bush, pairs: Pairs, n_pairs: int, tolerance: float
) -> int:
    """Equalise the longest path by each used entry of a node with the node's shortest path, far nodes first.

    The pairs are recorded as long as room for one more remains; their number is returned.
    """
    most_slots = len(pairs.slot) - 2 * len(bush.number_of)
    for place in range(n_numbers - 1, 0, -1):
        first, past_last = bush.entry_start[place], bush.entry_start[place + 1]
        if past_last - first == 1 or bush.longest[place] - bush.shortest[place] <= tolerance * bush.longest[place]:
            continue
        by = bush.shortest_entry[place]
        for entry in range(first, past_last):
            if entry == by or new.flow[base + entry] == 0.0:
                continue
            trace(entry, by, base, bush, pairs, n_pairs)
            begin, middle, end = pairs.bound[2 * n_pairs], pairs.bound[2 * n_pairs + 1], pairs.bound[2 * n_pairs + 2]
            equalise(begin, middle, middle, end, pairs.slot, new.link, new.flow, state, tolerance)
            if 2 * n_pairs + 4 < len(pairs.bound) and end <= most_slots:
                n_pairs += 1
    return n_pairs


@kernel
def mark_carried(origin_node: IndexColumn, slots: Slots, state: LinkState, reached_by: IndexColumn, carried: BoolColumn) -> None:
    """Mark the slots that carry flow which comes from their origin; shape (n_slots,).

    Rounding can leave a trace of flow behind a node that nothing enters any more. `reached_by` (n_nodes,) is scratch, filled with
    NOTHING. The heads of an origin's slots stand in topological order.
    """
    for origin in range(len(origin_node)):
        reached_by[origin_node[origin]] = origin
        for slot in range(slots.start[origin], slots.start[origin + 1]):
            link = slots.link[slot]
            carried[slot] = slots.flow[slot] > 0.0 and reached_by[state.links[link].tail] == origin
            if carried[slot]:
                reached_by[state.links[link].head] = origin


@kernel
def bush_pass(
    first: int, past_last: int, streets: Streets, trees: Trees, old: Slots, new: Slots, state: LinkState, bush: Bush,
    pairs: Pairs, n_pairs: int, tolerance: float,
) -> tuple[int, int, bool]:  # fmt: skip
    """Rebuild and equalise the bushes of origins `first` to `past_last` one after another.

    Returns the first origin not done (fewer than asked when `new` is full: call again with more room), the number of pairs, and
    whether all went well (False: a destination out of reach).
    """
    for origin in range(first, past_last):
        source = streets.origin_node[origin]
        first_node = source // streets.nodes_per_layer * streets.nodes_per_layer
        cells = slice(streets.cell_start[origin], streets.cell_start[origin + 1])
        cell_node, cell_demand, link_into = streets.cell_node[cells], streets.cell_demand[cells], trees.link_into[origin]
        base = new.start[origin]
        n_old = gather(origin, source, old, state, bush)
        n_numbers = add_destinations(n_old, cell_node, link_into, first_node, state, bush)
        if n_numbers == NOTHING:
            return origin, n_pairs, False
        n_numbers, in_order = add_tree_links(n_old, n_numbers, link_into, first_node, state, bush)
        for number in range(n_numbers):
            bush.order[number] = number
        if not in_order and n_old > 1:
            sort_by_longest(n_numbers, bush)
        past_slots = emit(n_numbers, base, new, state, bush)
        if past_slots != NOTHING:
            new.start[origin + 1] = past_slots
            rescale(n_numbers, base, cell_node, cell_demand, new, state, bush)
            if label(n_numbers, base, new, state, bush):
                n_pairs = shift_pass(n_numbers, base, new, state, bush, pairs, n_pairs, tolerance)
        # Only the nodes that were touched are cleared: a bush is small beside the network.
        for number in range(n_numbers):
            bush.number_of[bush.node[number]] = NOTHING
        if past_slots == NOTHING:
            return origin, n_pairs, True
    return past_last, n_pairs, True
