"""Prepare a network for the search methods that need a node order: rank the nodes once, customise at every change of costs.

`PathHierarchy` is made once a network (seconds for 300,000 nodes), `customised(cost)` once a set of costs (milliseconds for a
city); then single paths and batches of trees are cheap. See `sim.kernels.paths_hierarchy` and `sim.kernels.paths_batch`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import InputError
from sim.kernels.paths_dissection import dissection_order
from sim.kernels.paths_hierarchy import customise, lower_rows, places_of_links, upper_rows
from sim.kernels.paths_layout import Costs, Layout
from sim.kernels.paths_tree import worth_leaving


@dataclass(frozen=True, eq=False)
class PathHierarchy:
    """A network in the order of its hierarchy; `layout` is what the kernels take."""

    layout: Layout

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.layout.row_of_node)

    def customised(self, cost: FloatColumn) -> Costs:
        """Return the costs of the arcs for link costs, seconds, shape (n_links,), at least 0 (inf closes a link).

        Raises
        ------
        InputError
            Not one cost for each link, or a cost below 0 or not a number.
        """
        layout = self.layout
        n_arcs = len(layout.upper)
        costs = Costs(
            cost=np.empty(len(layout.head)),
            arc_cost=np.empty((n_arcs, 2)),
            rising=np.empty(n_arcs),
            falling=np.empty(n_arcs),
            arc_link=np.empty((n_arcs, 2), np.int32),
            arc_middle=np.empty((n_arcs, 2), np.int32),
            in_cost=np.empty(len(layout.in_link)),
        )
        self.customise_again(cost, costs)
        return costs

    def customise_again(self, cost: FloatColumn, costs: Costs) -> None:
        """Overwrite `costs` for other link costs, as `customised` takes them; no search may be using it."""
        layout = self.layout
        if cost.shape != layout.head.shape:
            raise InputError(f"link costs of shape {cost.shape}", allowed=f"{len(layout.head)} costs")
        if not (cost >= 0.0).all():
            link = int(np.argmin(cost >= 0.0))
            raise InputError(f"{cost[link]}", where=f"cost of link {link}", allowed="0 or above")
        costs.cost[:] = cost
        customise(
            layout.start, layout.upper, layout.low_start, layout.low, layout.low_arc, layout.place, costs.cost,
            costs.arc_cost, costs.rising, costs.falling, costs.arc_link, costs.arc_middle,
        )  # fmt: skip
        np.take(cost, layout.in_link, out=costs.in_cost)

    def batch_order(self, origin_node: IndexColumn) -> IndexColumn:
        """Return positions in `origin_node` so that origins near each other come together."""
        layout = self.layout
        row = layout.row_of_node[origin_node]
        outside = row >= layout.n_inside
        first_link = layout.link_start[origin_node]
        has_link = outside & (layout.link_start[origin_node + 1] > first_link)
        # An origin outside the hierarchy lies where its first link leads to.
        row = row.copy()
        row[has_link] = layout.row_of_node[layout.head[first_link[has_link]]]
        return np.argsort(row, kind="stable").astype(np.int32)


def make_hierarchy(
    start: OffsetColumn, head: IndexColumn, passable: BoolColumn, node_xy: FloatColumn | None = None
) -> PathHierarchy:
    """Rank the nodes of a network and contract it.

    Parameters
    ----------
    start, head
        Links by tail (forward star).
    passable
        Whether a path may pass through a node.
    node_xy
        Coordinates, shape (n_nodes, 2), in any unit, for the axes along which the network is cut. None, or not all finite: hop
        distances from nodes far from each other serve instead.
    """
    n_nodes = len(start) - 1
    tail = np.repeat(np.arange(n_nodes, dtype=np.int32), np.diff(start))
    inside = worth_leaving(start, head, passable)
    n_inside = int(inside.sum())
    within = np.flatnonzero(inside)
    place_inside = np.full(n_nodes, -1, np.int64)
    place_inside[within] = np.arange(n_inside)
    both = inside[tail] & inside[head]
    row, neighbour = _neighbours(place_inside[tail[both]], place_inside[head[both]], n_inside)
    if node_xy is not None and np.isfinite(node_xy[within]).all():
        x, y = node_xy[within].T
        axes = [x, y, x + y, x - y]
    else:
        axes = _hop_axes(row, neighbour)
    order = dissection_order(row, neighbour, np.array([_places(axis) for axis in axes], np.int32))
    node_of_row = np.concatenate([within[order], np.flatnonzero(~inside)]).astype(np.int32)
    row_of_node = _inverse(node_of_row)
    return PathHierarchy(_layout(start, tail, head, n_inside, row_of_node, node_of_row))


def _layout(
    start: OffsetColumn, tail: IndexColumn, head: IndexColumn, n_inside: int, row_of_node: IndexColumn, node_of_row: IndexColumn
) -> Layout:
    tail_row, head_row = row_of_node[tail], row_of_node[head]
    from_inside = tail_row < n_inside
    both = from_inside & (head_row < n_inside)
    arc_start, upper = upper_rows(*_neighbours(tail_row[both], head_row[both], n_inside))
    low_start, low, low_arc = lower_rows(arc_start, upper)
    place = places_of_links(arc_start, upper, np.where(both, tail_row, -1), np.where(both, head_row, -1))
    links = np.flatnonzero(from_inside & (tail != head))
    in_link = links[np.argsort(head_row[links], kind="stable")].astype(np.int32)
    in_start = np.concatenate(([0], np.cumsum(np.bincount(head_row[in_link], minlength=len(row_of_node)))))
    return Layout(
        link_start=np.array(start, np.int64),
        tail=tail,
        head=np.array(head, np.int32),
        n_inside=n_inside,
        row_of_node=row_of_node,
        node_of_row=node_of_row,
        start=arc_start,
        upper=upper,
        low_start=low_start,
        low=low,
        low_arc=low_arc,
        place=place,
        in_start=in_start.astype(np.int64),
        in_row=np.ascontiguousarray(tail_row[in_link]),
        in_link=in_link,
    )


def _neighbours(one: NDArray[np.integer], other: NDArray[np.integer], n_nodes: int) -> tuple[OffsetColumn, IndexColumn]:
    """Return the neighbours of every node, each link seen from both ends, without repetition and self-loops."""
    first, second = np.concatenate([one, other]).astype(np.int64), np.concatenate([other, one]).astype(np.int64)
    pairs = np.unique((first * n_nodes + second)[first != second])
    start = np.concatenate(([0], np.cumsum(np.bincount(pairs // max(n_nodes, 1), minlength=n_nodes))))
    return start.astype(np.int64), (pairs % max(n_nodes, 1)).astype(np.int32)


def _inverse(permutation: NDArray[np.integer]) -> IndexColumn:
    result = np.empty(len(permutation), np.int32)
    result[permutation] = np.arange(len(permutation), dtype=np.int32)
    return result


def _places(axis: FloatColumn) -> IndexColumn:
    return _inverse(np.argsort(axis, kind="stable"))


def _hop_axes(row: OffsetColumn, neighbour: IndexColumn) -> list[FloatColumn]:
    """Return four axes from differences of hop distances to four nodes, each far from those before."""
    n_nodes = len(row) - 1
    if n_nodes == 0:
        return [np.zeros(0)]
    graph = csr_matrix((np.ones(len(neighbour)), neighbour, row), shape=(n_nodes, n_nodes))

    def hops(node: int) -> FloatColumn:
        result = np.asarray(dijkstra(graph, indices=np.array([node]), unweighted=True)[0])
        return np.where(np.isfinite(result), result, n_nodes)

    far = [hops(int(np.argmax(hops(0))))]
    while len(far) < 4:
        far.append(hops(int(np.argmax(np.min(far, axis=0)))))
    return [far[0] - far[1], far[2] - far[3], far[0] - far[2], far[1] - far[3]]
