"""Bushes: the acyclic links that one origin's demand uses, and the shifts of flow that equalise their costs (Algorithm B).

Method: Dial (2006, Transportation Research B 40), in the form of Nie (2010, Transportation Research B 44); pairs of segments
kept and swept after Bar-Gera's paired alternative segments (2010, Transportation Research B 44). What is particular here:

- A bush holds only links that carry flow and, of the origin's shortest-path tree, what leads to destinations; nodes without
  demand cost nothing.
- A tree link may enter a node that already carries flow only if longest label(tail) + cost < longest label(head). Longest
  labels never fall along a link and rise
  along such a link, so the bush stays acyclic, also with links of zero cost.
- After each rebuild the flows are rescaled to the demand, node by node from the far end, so that rounding never drifts and a
  start with another demand is a warm start.

Entries of a bush are its links, grouped by head; `slot` is the position of an entry in the arrays that hold all bushes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn
from sim.kernels._jit import kernel
from sim.kernels.segments import Links, Pairs, equalise, move

NOTHING = -1
_TINY_SHARE = 1e-13
"""Share of a node's flow below which an entry counts as empty: rounding, not routing."""


class Bush(NamedTuple):
    """One origin's bush while it is worked on; local nodes 0 (the origin) to n - 1."""

    local_of: IndexColumn
    """Local number of a node, NOTHING outside; shape (n_nodes,)."""
    node: IndexColumn
    order: IndexColumn
    """Local nodes so that tails come before heads."""
    rank: IndexColumn
    """Position of a local node in `order`."""
    entry_start: IndexColumn
    """Entries that enter local node i: `entry_start[i]` to `entry_start[i + 1]`."""
    link: IndexColumn
    flow: FloatColumn
    from_local: IndexColumn
    slot: IndexColumn
    """Where an entry is stored among the bushes of all origins."""
    barred: NDArray[np.bool_]
    """Entries that would close a cycle for now."""
    tree_link: IndexColumn
    """Link of the shortest-path tree into a local node, NOTHING where the bush has it otherwise."""
    shortest: FloatColumn
    longest: FloatColumn
    through: FloatColumn
    shortest_entry: IndexColumn
    longest_entry: IndexColumn
    stack: IndexColumn
    next_entry: IndexColumn


@kernel
def _register(node: int, n_local: int, bush: Bush) -> int:
    if bush.local_of[node] == NOTHING:
        bush.local_of[node] = n_local
        bush.node[n_local] = node
        bush.tree_link[n_local] = NOTHING
        bush.next_entry[n_local] = 0
        bush.stack[n_local] = 0
        return n_local + 1
    return n_local


@kernel
def collect(
    origin_node: int,
    old_link: IndexColumn,
    old_flow: FloatColumn,
    cell_node: IndexColumn,
    tree_link: IndexColumn,
    links: Links,
    bush: Bush,
) -> int:
    """Gather nodes and entries from the used links and the tree paths to the destinations; return the number of local nodes.

    The old entries stand in topological order of their heads. Entries of a node: used links first, the tree link last.
    `tree_link` stays set only where that link is a new entry. NOTHING is returned where the tree does not reach a destination.
    """
    n_local = _register(origin_node, 0, bush)
    for index in range(len(old_link)):
        if old_flow[index] > 0.0:
            if bush.local_of[links.tail[old_link[index]]] == NOTHING:
                # Rounding left flow behind a node that nothing enters any more (tails come before heads, so the node would be
                # known).
                move(old_link[index], -old_flow[index], links)
                old_flow[index] = 0.0
                continue
            n_local = _register(links.head[old_link[index]], n_local, bush)
            bush.next_entry[bush.local_of[links.head[old_link[index]]]] += 1
    for cell in range(len(cell_node)):
        node = cell_node[cell]
        while node != origin_node:
            n_local = _register(node, n_local, bush)
            local = bush.local_of[node]
            if bush.stack[local] == 1:
                break
            bush.stack[local] = 1
            link = tree_link[node]
            if link < 0:
                return NOTHING
            bush.tree_link[local] = link
            node = links.tail[link]
    for index in range(len(old_link)):
        local = bush.local_of[links.head[old_link[index]]]
        if old_flow[index] > 0.0 and bush.tree_link[local] == old_link[index]:
            bush.tree_link[local] = NOTHING
    bush.entry_start[0] = 0
    for local in range(n_local):
        extra = 1 if bush.tree_link[local] != NOTHING else 0
        bush.entry_start[local + 1] = bush.entry_start[local] + bush.next_entry[local] + extra
        bush.next_entry[local] = bush.entry_start[local]
    for index in range(len(old_link)):
        if old_flow[index] > 0.0:
            _add_entry(old_link[index], old_flow[index], links, bush)
    for local in range(n_local):
        if bush.tree_link[local] != NOTHING:
            _add_entry(bush.tree_link[local], 0.0, links, bush)
    return n_local


@kernel
def _add_entry(link: int, flow: float, links: Links, bush: Bush) -> None:
    local = bush.local_of[links.head[link]]
    entry = bush.next_entry[local]
    bush.next_entry[local] = entry + 1
    bush.link[entry] = link
    bush.flow[entry] = flow
    bush.from_local[entry] = bush.local_of[links.tail[link]]
    # A tree link into a node that carries flow is barred until its label shows that it closes no cycle.
    bush.barred[entry] = flow == 0.0 and entry > bush.entry_start[local]


@kernel
def sort_nodes(n_local: int, bush: Bush) -> bool:
    """Fill `order` and `rank` so that tails come before heads, searching against the links; False if there is a cycle."""
    unseen, open_, done = -1, -2, 0
    n_done = 0
    for local in range(n_local):
        bush.rank[local] = unseen
    for root in range(n_local):
        if bush.rank[root] >= done:
            continue
        bush.stack[0] = root
        bush.rank[root] = open_
        bush.next_entry[root] = bush.entry_start[root]
        depth = 1
        while depth > 0:
            local = bush.stack[depth - 1]
            entry = bush.next_entry[local]
            if entry == bush.entry_start[local + 1]:
                bush.order[n_done] = local
                bush.rank[local] = n_done
                n_done += 1
                depth -= 1
                continue
            bush.next_entry[local] = entry + 1
            if bush.barred[entry]:
                continue
            tail = bush.from_local[entry]
            if bush.rank[tail] == open_:
                return False
            if bush.rank[tail] == unseen:
                bush.rank[tail] = open_
                bush.next_entry[tail] = bush.entry_start[tail]
                bush.stack[depth] = tail
                depth += 1
    return True


@kernel
def admit_tree_links(n_local: int, links: Links, bush: Bush) -> bool:
    """Lift the bar from tree links that provably close no cycle; return whether there are any."""
    for position in range(n_local):
        local = bush.order[position]
        longest = 0.0
        for entry in range(bush.entry_start[local], bush.entry_start[local + 1]):
            if not bush.barred[entry]:
                longest = max(longest, bush.longest[bush.from_local[entry]] + links.cost[bush.link[entry]])
        bush.longest[local] = longest
    any_admitted = False
    for local in range(n_local):
        last = bush.entry_start[local + 1] - 1
        if last < bush.entry_start[local] or not bush.barred[last]:
            continue
        if bush.longest[bush.from_local[last]] + links.cost[bush.link[last]] < bush.longest[local]:
            bush.barred[last] = False
            any_admitted = True
    return any_admitted


@kernel
def rescale(n_local: int, cell_node: IndexColumn, cell_demand: FloatColumn, links: Links, bush: Bush) -> None:
    """Make the flows into every node equal to what leaves it and what ends there, keeping their proportions."""
    for local in range(n_local):
        bush.through[local] = 0.0
    for cell in range(len(cell_node)):
        bush.through[bush.local_of[cell_node[cell]]] += cell_demand[cell]
    for position in range(n_local - 1, -1, -1):
        local = bush.order[position]
        first, past_last = bush.entry_start[local], bush.entry_start[local + 1]
        needed = bush.through[local]
        present = 0.0
        for entry in range(first, past_last):
            present += bush.flow[entry]
        exact = abs(present - needed) <= 1e-14 * needed
        for entry in range(first, past_last):
            old = bush.flow[entry]
            new = old
            if present == 0.0:
                new = needed if entry == past_last - 1 else 0.0  # a node new to the bush: its tree link takes all
            elif old <= _TINY_SHARE * needed:
                new = 0.0
            elif not exact:
                new = old * (needed / present)
            if new != old:
                bush.flow[entry] = new
                move(bush.link[entry], new - old, links)
            bush.through[bush.from_local[entry]] += new


@kernel
def store(n_local: int, bush: Bush, slot: int, slot_link: IndexColumn, slot_flow: FloatColumn) -> int:
    """Write the entries that may carry flow from `slot` on, heads in topological order; return the slot after the last."""
    for position in range(n_local):
        local = bush.order[position]
        for entry in range(bush.entry_start[local], bush.entry_start[local + 1]):
            if not bush.barred[entry]:
                slot_link[slot] = bush.link[entry]
                slot_flow[slot] = bush.flow[entry]
                bush.slot[entry] = slot
                slot += 1
    return slot


@kernel
def label(n_local: int, links: Links, bush: Bush) -> bool:
    """Write shortest labels over all entries, longest labels over those that carry flow, and the entries they come by.

    False where a cost or a label is not finite: there are no paths to compare then.
    """
    all_finite = True
    for position in range(n_local):
        local = bush.order[position]
        shortest = np.inf
        longest = -1.0
        shortest_entry = NOTHING
        longest_entry = NOTHING
        for entry in range(bush.entry_start[local], bush.entry_start[local + 1]):
            if bush.barred[entry]:
                continue
            tail = bush.from_local[entry]
            cost = links.cost[bush.link[entry]]
            all_finite &= cost < np.inf
            if bush.shortest[tail] + cost < shortest:
                shortest = bush.shortest[tail] + cost
                shortest_entry = entry
            if bush.flow[entry] > 0.0 and bush.longest[tail] + cost > longest:
                longest = bush.longest[tail] + cost
                longest_entry = entry
        if longest_entry == NOTHING:
            longest = shortest
            longest_entry = shortest_entry
        bush.shortest[local] = 0.0 if local == 0 else shortest
        bush.longest[local] = 0.0 if local == 0 else longest
        bush.shortest_entry[local] = shortest_entry
        bush.longest_entry[local] = longest_entry
        all_finite &= bush.shortest[local] < np.inf and bush.longest[local] < np.inf
    return all_finite


@kernel
def trace(used_entry: int, shortest_entry: int, bush: Bush, pairs: Pairs, n_pairs: int) -> None:
    """Write the two segments that end with two entries of a node: back along the longest used and the shortest path.

    They begin where the two paths part. There must be room for one more pair, which can have as many slots as two paths.
    """
    for reverse in range(2):
        slot = pairs.bound[2 * n_pairs + reverse]
        by_longest = bush.from_local[used_entry]
        by_shortest = bush.from_local[shortest_entry]
        pairs.slot[slot] = bush.slot[used_entry if reverse == 0 else shortest_entry]
        slot += 1
        while by_longest != by_shortest:
            if bush.rank[by_longest] > bush.rank[by_shortest]:
                entry = bush.longest_entry[by_longest]
                by_longest = bush.from_local[entry]
                mine = reverse == 0
            else:
                entry = bush.shortest_entry[by_shortest]
                by_shortest = bush.from_local[entry]
                mine = reverse == 1
            if mine:
                pairs.slot[slot] = bush.slot[entry]
                slot += 1
        pairs.bound[2 * n_pairs + reverse + 1] = slot


@kernel
def shift_pass(
    n_local: int,
    bush: Bush,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    links: Links,
    pairs: Pairs,
    n_pairs: int,
    tolerance: float,
) -> int:
    """Equalise the longest path by each used entry of a node with the node's shortest path, far nodes first.

    The pairs are recorded as long as room for one more remains; their number is returned.
    """
    most_slots = len(pairs.slot) - 2 * len(bush.local_of)
    for position in range(n_local - 1, 0, -1):
        local = bush.order[position]
        if bush.longest[local] - bush.shortest[local] <= tolerance * bush.longest[local]:
            continue
        by = bush.shortest_entry[local]
        for entry in range(bush.entry_start[local], bush.entry_start[local + 1]):
            if entry == by or bush.barred[entry] or bush.flow[entry] == 0.0:
                continue
            trace(entry, by, bush, pairs, n_pairs)
            dear = pairs.slot[pairs.bound[2 * n_pairs] : pairs.bound[2 * n_pairs + 1]]
            cheap = pairs.slot[pairs.bound[2 * n_pairs + 1] : pairs.bound[2 * n_pairs + 2]]
            equalise(dear, cheap, slot_link, slot_flow, links, tolerance)
            if 2 * n_pairs + 4 < len(pairs.bound) and pairs.bound[2 * n_pairs + 2] <= most_slots:
                n_pairs += 1
    return n_pairs


@kernel
def mark_carried(
    origin_node: IndexColumn,
    start: OffsetColumn,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    links: Links,
    reached_by: IndexColumn,
    carried: NDArray[np.bool_],
) -> None:
    """Mark the slots that carry flow which comes from their origin; shape (n_slots,).

    Rounding can leave a trace of flow behind a node that nothing enters any more. `reached_by` (n_nodes,) is scratch, filled with
    NOTHING. The heads of an origin's slots stand in topological order.
    """
    for origin in range(len(origin_node)):
        reached_by[origin_node[origin]] = origin
        for slot in range(start[origin], start[origin + 1]):
            link = slot_link[slot]
            carried[slot] = slot_flow[slot] > 0.0 and reached_by[links.tail[link]] == origin
            if carried[slot]:
                reached_by[links.head[link]] = origin


@kernel
def bush_pass(
    first: int,
    past_last: int,
    origin_node: IndexColumn,
    cell_start: OffsetColumn,
    cell_node: IndexColumn,
    cell_demand: FloatColumn,
    tree_link: IndexColumn,
    old_start: OffsetColumn,
    old_link: IndexColumn,
    old_flow: FloatColumn,
    start: OffsetColumn,
    slot_link: IndexColumn,
    slot_flow: FloatColumn,
    links: Links,
    bush: Bush,
    pairs: Pairs,
    n_pairs: int,
    tolerance: float,
) -> tuple[int, int, bool]:
    """Rebuild and equalise the bushes of origins `first` to `past_last` one after another.

    Returns the first origin not done (fewer than asked when `slot_link` is full: call again with more room), the number of
    pairs, and whether all went well (False: a destination out of reach, or a cycle, which the rules above exclude). `tree_link`
    has one row an origin, counted from `first` of the whole call (row = origin).
    """
    for origin in range(first, past_last):
        old = slice(old_start[origin], old_start[origin + 1])
        cells = slice(cell_start[origin], cell_start[origin + 1])
        base = start[origin]
        n_local = collect(origin_node[origin], old_link[old], old_flow[old], cell_node[cells], tree_link[origin], links, bush)
        well = n_local != NOTHING
        n_entries = bush.entry_start[n_local] if well else 0
        room = base + n_entries <= len(slot_link)
        if well and room:
            well = sort_nodes(n_local, bush)
            if well and admit_tree_links(n_local, links, bush):
                well = sort_nodes(n_local, bush)
        if well and room:
            rescale(n_local, cell_node[cells], cell_demand[cells], links, bush)
            start[origin + 1] = store(n_local, bush, base, slot_link, slot_flow)
            if label(n_local, links, bush):
                n_pairs = shift_pass(n_local, bush, slot_link, slot_flow, links, pairs, n_pairs, tolerance)
        # Only the nodes that were touched are cleared: a bush is small beside the network.
        if well:
            for local in range(n_local):
                bush.local_of[bush.node[local]] = NOTHING
        else:
            bush.local_of[:] = NOTHING
        if not well or not room:
            return origin, n_pairs, well
    return past_last, n_pairs, True
