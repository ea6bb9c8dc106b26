"""Columns of a prepared hierarchy and of its costs, as the kernels take them; `sim.network.hierarchy` fills them.

Nodes that no shortest path passes through (`sim.kernels.paths_tree.worth_leaving`) stand outside the hierarchy. A row is a place
in a column of labels: the rank of a node inside, n_inside and up for the nodes outside.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn


class Layout(NamedTuple):
    """What depends on the network alone."""

    link_start: OffsetColumn
    """Links that leave node i, in the network's order: `link_start[i]` to `link_start[i + 1]`."""
    tail: IndexColumn
    head: IndexColumn
    n_inside: int
    row_of_node: IndexColumn
    node_of_row: IndexColumn
    start: OffsetColumn
    """Arcs to the higher neighbours of rank i; shape (n_inside + 1,)."""
    upper: IndexColumn
    low_start: OffsetColumn
    low: IndexColumn
    low_arc: IndexColumn
    place: OffsetColumn
    """2 * arc + direction of every link, -1 for links that end outside."""
    in_start: OffsetColumn
    """Links into a row from tails inside: entries `in_start[row]` to `in_start[row + 1]`; shape (n_nodes + 1,)."""
    in_row: IndexColumn
    """Row of the tail."""
    in_link: IndexColumn


class Costs(NamedTuple):
    """What depends on the costs of the links."""

    cost: FloatColumn
    """Shape (n_links,)."""
    arc_cost: FloatColumn
    """Shape (n_arcs, 2): up, down."""
    rising: FloatColumn
    falling: FloatColumn
    """The two columns of `arc_cost` once more, each on its own: a search reads only one of them."""
    arc_link: IndexColumn
    """The cheapest link on each arc, -1 where there is none; shape (n_arcs, 2)."""
    arc_middle: IndexColumn
    """Entry of a shortcut's middle node in `Layout.low`, UNKNOWN until a path was unpacked through it; shape (n_arcs, 2)."""
    in_cost: FloatColumn
    """Cost of each entry of `Layout.in_link`."""
