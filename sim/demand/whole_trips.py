"""Whole trips: a matrix of fractions becomes a matrix of integers without changing what it says.

Every cell d becomes floor(d) or ceil(d), every row sum and every column sum the floor or the ceil of the real sum (so each is
off by less than one trip), the total is exact, and a cell's expected value is d (up to 2^-36 of a trip, in the largest cell
2^-36 times the number of cells). This is unbiased controlled rounding (L. H. Cox 1987, "A constructive procedure for unbiased
controlled rounding", Journal of the American Statistical Association 82), done as dependent rounding on a bipartite graph (R.
Gandhi, S. Khuller, S. Parthasarathy, A. Srinivasan 2006, "Dependent rounding and its applications to approximation algorithms",
Journal of the ACM 53).

The fractions are links between rows and columns. A slack column and a slack row fill the row and column sums up to integers.
Cells are added one at a time to a forest of cells that are still fractional. A cell that would close a cycle does not stay:
around the cycle, cells rise and fall in turn by the same amount, which changes no row or column sum, up to the first cell that
reaches 0 or 1. Of the two directions, with room r and s, the lottery takes the first with probability s / (r + s), so that
nothing changes on average. In the end no cycle is left; a leaf of the forest would be the one fractional cell of an integer
sum, so no cell is left either.

Fractions are integers in units of 2^-36, so sums are exact and "reaches 0 or 1" needs no tolerance.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, OffsetColumn
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.kernels._jit import kernel
from sim.rng import uniforms

_ONE: Final = 1 << 36
"""One trip, in the units of the fractions; the sum of 100 million cells stays inside 64 bits."""


def round_to_whole(od: OdMatrix, total: int, seed: int) -> OdMatrix:
    """Return the matrix scaled to `total` trips, in whole trips.

    Parameters
    ----------
    od
        Real demand.
    total
        Sum of the result, at least 1.
    seed
        Seed of the lottery.

    Returns
    -------
    OdMatrix
        Integer cells (as floats); those that became 0 are dropped. Each cell, row sum and column sum differs from `od` scaled
        to `total` by less than one trip (plus 2^-36 for every cell in it), the sum not at all.
    """
    if total < 1:
        raise InputError(f"a matrix of {total} trips", where="demand", allowed="at least 1 trip")
    scaled = od.demand_vph * (total / od.demand_vph.sum())
    whole = np.floor(scaled).astype(np.int64)
    fraction = np.floor((scaled - whole) * _ONE).astype(np.int64)
    # What the floors leave over (less than a unit a cell) goes to the largest cell, which cannot become negative by the
    # rounding noise of its own size.
    fraction[np.argmax(scaled)] += (total - int(whole.sum())) * _ONE - int(fraction.sum())
    whole += fraction // _ONE
    fraction %= _ONE
    demand_vph = whole + _round_fractions(od, fraction, seed)
    kept = demand_vph > 0
    return OdMatrix(
        od.zone_id,
        od.origin_zone_idx[kept],
        od.destination_zone_idx[kept],
        demand_vph[kept].astype(np.float64),
        intrazonal_vph=od.intrazonal_vph * (total / od.total_vph),
    )


def _round_fractions(od: OdMatrix, fraction: OffsetColumn, seed: int) -> OffsetColumn:
    """Return 0 or 1 for each fraction (units of 1 / _ONE, below _ONE; their sum is whole trips)."""
    n_zones = len(od.zone_id)
    row, column = od.origin_zone_idx.astype(np.int64), od.destination_zone_idx.astype(np.int64)
    zone = np.arange(n_zones)
    row_slack, column_slack = (_slack(ends, fraction, n_zones) for ends in (row, column))
    # Rows are nodes 0 to n_zones (the last is the slack row), columns follow them.
    slack_row, first_column = n_zones, n_zones + 1
    row_node = np.concatenate([row, zone, np.full(n_zones, slack_row)])
    column_node = first_column + np.concatenate([column, np.full(n_zones, n_zones), zone])
    units = np.concatenate([fraction, row_slack, column_slack])
    luck = uniforms(seed, "round_to_whole", np.arange(len(units)))
    round_table(row_node, column_node, units, luck, 2 * (n_zones + 1), _ONE)
    return np.asarray(units[: len(fraction)] // _ONE)


def _slack(ends: OffsetColumn, fraction: OffsetColumn, n_zones: int) -> OffsetColumn:
    """Return what each row (column) lacks to whole trips."""
    # bincount would add in floating point, which is exact up to 2^53 only.
    total = np.zeros(n_zones, dtype=np.int64)
    np.add.at(total, ends, fraction)
    return -total % _ONE


@kernel
def round_table(
    row_node: NDArray[np.int64],
    column_node: NDArray[np.int64],
    units: NDArray[np.int64],
    luck: FloatColumn,
    n_nodes: int,
    one: int,
) -> None:
    """Round `units` in place to 0 or `one`, keeping the sum of every node.

    Parameters
    ----------
    row_node, column_node
        Ends of each cell, 0 to n_nodes - 1; the cells of every node must sum to a multiple of `one`.
    units
        0 to `one` for each cell.
    luck
        A uniform number in [0, 1) for each cell.
    n_nodes, one
        Number of nodes; what counts as 1.
    """
    # A forest of the fractional cells: each node knows its parent and the cell that joins them.
    parent = np.full(n_nodes, -1, np.int64)
    parent_cell = np.full(n_nodes, -1, np.int64)
    seen_for = np.full(n_nodes, -1, np.int64)
    for cell in range(len(units)):
        if units[cell] == 0 or units[cell] == one:
            continue
        top = row_node[cell]
        while top != -1:
            seen_for[top] = cell
            top = parent[top]
        meet = column_node[cell]
        while meet != -1 and seen_for[meet] != cell:
            meet = parent[meet]
        if meet != -1:
            # Cells next to the new one fall when it rises, their neighbours rise, and so on: the same alternation from either
            # end.
            room_up, room_down = one - units[cell], units[cell]
            for end in (row_node[cell], column_node[cell]):
                falls = True
                while end != meet:
                    here = units[parent_cell[end]]
                    room_up = min(room_up, here if falls else one - here)
                    room_down = min(room_down, one - here if falls else here)
                    falls = not falls
                    end = parent[end]
            step = room_up if luck[cell] * (room_up + room_down) < room_down else -room_down
            units[cell] += step
            for end in (row_node[cell], column_node[cell]):
                falls = True
                while end != meet:
                    joint, above = parent_cell[end], parent[end]
                    units[joint] += -step if falls else step
                    if units[joint] == 0 or units[joint] == one:
                        parent[end] = -1
                        parent_cell[end] = -1
                    falls = not falls
                    end = above
        if 0 < units[cell] < one:
            # Its ends are in different trees now: turn the column's tree round and hang it below the row.
            node, new_parent, new_cell = column_node[cell], row_node[cell], cell
            while node != -1:
                old_parent, old_cell = parent[node], parent_cell[node]
                parent[node], parent_cell[node] = new_parent, new_cell
                node, new_parent, new_cell = old_parent, node, old_cell
