"""Before and after: the same demand on the network as it was, solved by the same principles, beside the changed one.

At a user equilibrium everybody of an OD cell pays the same, whatever route he takes, so who gains and who loses by a change is
told by cell, without any assumption on who drives where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sim.arrays import FloatColumn
from sim.assignment.cell_costs import cheapest_by_cell
from sim.assignment.equilibrium import Assignment
from sim.assignment.price import price_of_assignments
from sim.assignment.problem import AssignmentProblem, Principle
from sim.experiments.record_tables import LinkColumns, link_table
from sim.experiments.solved import missed_promises, price_content
from sim.experiments.streets import Changes
from sim.metrics import PriceOfAnarchy
from sim.network.turns import TurnGraph
from sim.spec_traffic import StaticSettings

LINKS_BEFORE = "link_performance_before"
CELLS = "cells_before_after"
SAME_SHARE = 1e-4
"""A change of a cell's cost by less than this share of it counts as none."""


@dataclass(frozen=True, eq=False)
class Before:
    """The network before its changes, solved.

    Attributes
    ----------
    changes
        What was changed, and the streets before.
    solved
        Assignment of each world that has a continuous solution.
    price
        The Price of Anarchy before; None unless both are there.
    cell_cost_s, cell_cost_after_s
        What everybody of an OD cell pays at the user equilibrium before and after; None unless the selfish world runs.
    """

    changes: Changes
    solved: dict[str, Assignment]
    price: PriceOfAnarchy | None
    cell_cost_s: FloatColumn | None
    cell_cost_after_s: FloatColumn | None

    @property
    def missed(self) -> tuple[str, ...]:
        """What was promised and not reached, in words."""
        return tuple(f"before the change: {text}" for text in missed_promises(self.solved, self.price))

    def content(self, not_asked_for: str) -> dict[str, Any]:
        """Return what poa.json says under "before"."""
        od = self.changes.before.problem.od
        worlds: dict[str, Any] = {}
        for name, found in self.solved.items():
            worlds[name] = {
                "total_time_s": found.total_cost_s,
                "mean_time_s": found.total_cost_s / od.total_vph,
                "relative_gap": found.relative_gap,
            }
            if found.lower_bound_s is not None:
                worlds[name]["total_time_lower_bound_s"] = found.lower_bound_s
        return {
            "changes": self.changes.content(),
            "worlds": worlds,
            **self._winners(od.demand_vph),
            **price_content(self.price, not_asked_for),
        }

    def _winners(self, demand_vph: FloatColumn) -> dict[str, Any]:
        if self.cell_cost_s is None or self.cell_cost_after_s is None:
            return {}
        change = self.cell_cost_after_s - self.cell_cost_s
        least = SAME_SHARE * self.cell_cost_s
        total = float(demand_vph.sum())
        shares = {
            name: float(demand_vph[chosen].sum()) / total
            for name, chosen in (("faster", change < -least), ("slower", change > least))
        }
        return {"selfish_share_faster": shares["faster"], "selfish_share_slower": shares["slower"]}

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables of the run folder: links before, and where the selfish world ran, cells before and after."""
        streets = self.changes.before
        columns = {
            name: on_streets(streets.turn_graph, found.flow_vph, found.travel_time_s) for name, found in self.solved.items()
        }
        tables = {LINKS_BEFORE: link_table(streets.network, columns)}
        if self.cell_cost_s is not None:
            tables[CELLS] = self._cell_table()
        return tables

    def _cell_table(self) -> pa.Table:
        """Return one row an OD cell: its ends, its demand and what it pays when selfish, before and after."""
        od = self.changes.before.problem.od
        return pa.table(
            {
                "origin_zone_id": pa.array(od.zone_id[od.origin_zone_idx].tolist()),
                "destination_zone_id": pa.array(od.zone_id[od.destination_zone_idx].tolist()),
                "demand_vph": pa.array(od.demand_vph, pa.float64()),
                "selfish_cost_before_s": pa.array(self.cell_cost_s, pa.float64()),
                "selfish_cost_after_s": pa.array(self.cell_cost_after_s, pa.float64()),
            }
        )


def on_streets(graph: TurnGraph, flow_vph: FloatColumn, travel_time_s: FloatColumn) -> LinkColumns:
    """Return flows and times of the turn graph's links as those of the streets."""
    return LinkColumns(graph.flow_on_streets(flow_vph), graph.time_on_streets(flow_vph, travel_time_s))


def solve_before(
    changes: Changes,
    after: AssignmentProblem,
    continuous: dict[str, Assignment],
    traffic: StaticSettings,
    *,
    solve: Callable[..., Assignment],
) -> Before:
    """Solve the network before its changes by the principles that were solved after them.

    Parameters
    ----------
    changes
        What was changed.
    after, continuous
        The changed problem and its solutions, by world.
    traffic
        Gap and iteration bound, the same as after.
    solve
        `sim.experiments.solved.solve_principle` or what remembers its results.

    Raises
    ------
    InputError
        The demand is far too large for the capacities.
    """
    before = changes.before.problem
    solved = {
        name: solve(before, found.principle, name=f"{name} before", gap=traffic.gap, max_iterations=traffic.max_iterations)
        for name, found in continuous.items()
    }
    selfish = next((name for name, found in solved.items() if found.principle is Principle.USER_EQUILIBRIUM), None)
    return Before(
        changes=changes,
        solved=solved,
        price=price_of_assignments({found.principle: found for found in solved.values()}),
        cell_cost_s=None if selfish is None else cheapest_by_cell(before, solved[selfish].cost_s),
        cell_cost_after_s=None if selfish is None else cheapest_by_cell(after, continuous[selfish].cost_s),
    )
