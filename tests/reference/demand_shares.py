"""Slow, obvious twin of `sim.kernels.od_shares`: follow one vehicle of every cell back to its origin, splitting at every node."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.assignment.equilibrium import Assignment
from sim.assignment.problem import AssignmentProblem


def cell_link_shares(problem: AssignmentProblem, found: Assignment) -> NDArray[np.float64]:
    """Return what part of each cell's vehicles drives on each link (problem's link order), shape (n_cells, n_links)."""
    shares = np.zeros((problem.od.n_cells, problem.network.n_links))
    slots = found.origin_flows
    for origin, (first, past_last) in enumerate(pairwise(slots.start.tolist())):
        entering: dict[int, dict[int, float]] = defaultdict(dict)
        for slot in range(first, past_last):
            link = int(slots.link[slot])
            entering[int(problem.head[link])][link] = float(slots.flow[slot])

        def drive_back(
            node: int, part: float, row: NDArray[np.float64], entering: dict[int, dict[int, float]], home: int
        ) -> None:
            if node == home:
                return
            total = sum(entering[node].values())
            for link, flow in entering[node].items():
                row[link] += part * flow / total
                drive_back(int(problem.tail[link]), part * flow / total, row, entering, home)

        for cell in range(problem.cell_start[origin], problem.cell_start[origin + 1]):
            drive_back(int(problem.cell_node[cell]), 1.0, shares[cell], entering, int(problem.origin_node[origin]))
    return shares
