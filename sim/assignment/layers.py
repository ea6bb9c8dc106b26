"""Classes of travellers on the same streets, as layers of one network.

A layer is a copy of all nodes and links for one class: its demand goes from and to its own copies, its costs are its own, and
no link leads from one layer to another. The flows of all copies of a link congest it together (`sim.kernels.segments.Links`).
So several classes are one assignment problem on a larger network, and the kernels need not know about classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.problem import AssignmentProblem, Principle
from sim.kernels.kept_trees import Streets
from sim.kernels.segments import LINK, LinkState, Records, refresh_all


@dataclass(frozen=True, eq=False)
class Layer:
    """One class of travellers.

    Attributes
    ----------
    demand_vph
        Vehicles an hour of every OD cell of the problem, at least 0, shape (n_cells,).
    own_weight
        How much of the delay that the class causes to itself its members count: 0 nothing, 1 all of it (for a class that is
        alone on the streets, the system optimum).
    fixed_cost_s
        What a link costs this class beside the costs that all share (a toll at the class's value of time), seconds, at least 0,
        in the problem's link order, shape (n_links,).
    """

    demand_vph: FloatColumn
    own_weight: float = 0.0
    fixed_cost_s: FloatColumn | None = None


@dataclass(frozen=True, eq=False)
class LayeredProblem:
    """What the bush solver works on: the columns of `AssignmentProblem`, over all layers.

    Attributes
    ----------
    problem
        The streets, and the OD cells that `Layer.demand_vph` counts.
    layers
        At least one.
    start, tail, head, passable
        Links by tail and nodes of all layers, one layer after the other.
    origin_node, cell_start, cell_node, cell_demand
        Origins with demand, by layer, and their cells. Cells without demand are left out.
    cell_idx
        Which cell of the problem each is.
    origin_start
        Origins of layer k: `origin_start[k]` to `origin_start[k + 1]`.
    origin_idx
        Which origin of the problem each is.
    """

    problem: AssignmentProblem
    layers: tuple[Layer, ...]
    start: OffsetColumn
    tail: IndexColumn
    head: IndexColumn
    passable: BoolColumn
    origin_node: IndexColumn
    cell_start: OffsetColumn
    cell_node: IndexColumn
    cell_demand: FloatColumn
    cell_idx: IndexColumn
    origin_start: OffsetColumn
    origin_idx: IndexColumn

    @property
    def n_origins(self) -> int:
        """Number of origins of all layers together."""
        return len(self.origin_node)

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all layers together."""
        return len(self.start) - 1

    @property
    def n_links(self) -> int:
        """Number of links of all layers together."""
        return len(self.head)

    def streets(self) -> Streets:
        """Return what the shortest-path searches work on."""
        open_link = np.flatnonzero(self.passable[self.tail] & (self.tail != self.head)).astype(np.int32)
        n_links = self.problem.network.n_links
        return Streets(
            start=self.start,
            tail=self.tail,
            head=self.head,
            passable=self.passable,
            nodes_per_layer=self.problem.network.n_nodes,
            open_start=np.searchsorted(open_link, n_links * np.arange(len(self.layers) + 1)).astype(np.int64),
            open_link=open_link,
            origin_node=self.origin_node,
            cell_start=self.cell_start,
            cell_node=self.cell_node,
            cell_demand=self.cell_demand,
        )

    def link_state(self) -> LinkState:
        """Return the links of all layers at zero flow."""
        n_layers = len(self.layers)
        one = self.problem.links(Principle.USER_EQUILIBRIUM)
        base = [one.base if layer.fixed_cost_s is None else one.base + layer.fixed_cost_s for layer in self.layers]
        own_weight = np.array([layer.own_weight for layer in self.layers])
        slope = np.tile(one.slope, n_layers)
        if n_layers == 1:
            # t + w v t' is a cost of the same form, which spares the kernels the other flows.
            slope *= 1.0 + own_weight[0] * one.power
            own_weight = np.zeros(1)
        links = _cache_lines(self.n_links)
        links["tail"], links["head"], links["base"], links["slope"] = self.tail, self.head, np.concatenate(base), slope
        links["inverse_capacity"], links["power"] = np.tile(one.inverse_capacity, n_layers), np.tile(one.power, n_layers)
        state = LinkState(links, own_weight)
        refresh_all(state)
        return state


def _cache_lines(n_rows: int) -> Records:
    """Return rows of LINK, zero, each in a cache line of its own."""
    size = LINK.itemsize
    raw = np.zeros((n_rows + 1) * size, np.uint8)
    skipped = -raw.ctypes.data % size
    return raw[skipped : skipped + n_rows * size].view(LINK)


def make_layers(problem: AssignmentProblem, layers: Sequence[Layer]) -> LayeredProblem:
    """Return the problem of assigning the demand of all layers at once."""
    n_nodes, n_links, numbers = problem.network.n_nodes, problem.network.n_links, range(len(layers))
    n_cells = np.diff(problem.cell_start)
    origin_of_cell = np.repeat(np.arange(problem.n_origins), n_cells)
    cells_of_origin = [np.bincount(origin_of_cell[layer.demand_vph > 0.0], minlength=problem.n_origins) for layer in layers]
    origin_idx = [np.flatnonzero(count) for count in cells_of_origin]
    count = np.concatenate([cells_of_origin[number][origin_idx[number]] for number in numbers])
    return LayeredProblem(
        problem=problem,
        layers=tuple(layers),
        start=np.concatenate([problem.start[:-1] + number * n_links for number in numbers] + [[n_links * len(layers)]]).astype(
            np.int64
        ),
        tail=_stacked(problem.tail, n_nodes, len(layers)),
        head=_stacked(problem.head, n_nodes, len(layers)),
        passable=np.tile(problem.passable, len(layers)),
        origin_node=np.concatenate([problem.origin_node[origin_idx[number]] + number * n_nodes for number in numbers]).astype(
            np.int32
        ),
        cell_start=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        cell_node=np.concatenate(
            [problem.cell_node[layers[number].demand_vph > 0.0] + number * n_nodes for number in numbers]
        ).astype(np.int32),
        cell_demand=np.concatenate([layer.demand_vph[layer.demand_vph > 0.0] for layer in layers]),
        cell_idx=np.concatenate([np.flatnonzero(layer.demand_vph > 0.0) for layer in layers]).astype(np.int32),
        origin_start=np.cumsum([0, *map(len, origin_idx)]).astype(np.int64),
        origin_idx=np.concatenate(origin_idx).astype(np.int32),
    )


def _stacked(column: IndexColumn, n_nodes: int, n_layers: int) -> IndexColumn:
    return np.concatenate([column + number * n_nodes for number in range(n_layers)]).astype(np.int32)
