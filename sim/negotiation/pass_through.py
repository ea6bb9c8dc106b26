"""Pass-through: what is left of the members' changes on a link once those outside the market have answered.

The members take vehicles off a link, others come; they bring vehicles, others leave. With dv_m the change of the members' flow
and dv that of all, both since the baseline, the pass-through is r = dv / dv_m, held between 0 (the others undid it all) and 1
(nobody answered). A market that counts a share c of what is undone (its caution) reckons with 1 - c (1 - r) of every relief and
harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.assignment.static_traffic import StaticTraffic

_LEAST_CHANGE = 1e-9
"""Share of a link's flow below which a change of the members' flow is rounding and says nothing about the answers."""


@dataclass(frozen=True, eq=False)
class Load:
    """Vehicles on each link: everybody's and the members', in the solver's order, shapes (n_links,)."""

    everybody: FloatColumn
    members: FloatColumn


def member_flows(traffic: StaticTraffic, member: IndexColumn) -> Load:
    """Return the present load of the links."""
    columns, route = traffic.routes.columns, traffic.route_of_traveller[member]
    length = columns.start[route + 1] - columns.start[route]
    end = np.cumsum(length)
    place = np.arange(end[-1] if len(end) else 0) + np.repeat(columns.start[route] - (end - length), length)
    weight = np.repeat(traffic.population.weight[member], length)
    n_links = len(traffic.links.flow)
    flow = np.bincount(columns.link[place], weights=weight, minlength=n_links)
    return Load(traffic.links.flow.copy(), np.asarray(flow, np.float64))


def pass_through(before: Load, after: Load) -> FloatColumn:
    """Return r of each link, in 0..1; 1 where the members changed nothing."""
    change, members_change = after.everybody - before.everybody, after.members - before.members
    told = np.abs(members_change) > _LEAST_CHANGE * np.maximum(before.everybody, after.everybody)
    return np.clip(np.divide(change, members_change, out=np.ones(len(change)), where=told), 0.0, 1.0)
