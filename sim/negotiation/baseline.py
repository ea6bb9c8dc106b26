"""Baselines are computed, never declared: a public lottery draws each traveller's route from the equilibrium's flows.

A driver who could name his own usual route among equally good ones would be paid for leaving a route he never drove. So the
routes of the selfish equilibrium are dealt out by lot, in proportion to its flows; the seed is public and everybody can
repeat the draw. Travellers are indivisible, so the drawn routes are an equilibrium only nearly; on the days of a selfish
warm-up those who gain by changing do so, one after another, until nobody does. The last of these days is the baseline:
nobody, member or not, would leave it on his own.

`declared_baseline` is the negative control: what the market would start from if it took people at their word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.assignment.equilibrium import OriginFlows
from sim.assignment.plan import draw_plan
from sim.assignment.problem import AssignmentProblem
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.population import Population

MOST_WARM_UP_DAYS: Final = 100
"""Where somebody still gains after so many days, the last one is the baseline all the same, and the run says so."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """The selfish outcome from which every market starts; shared by all worlds of a run.

    Attributes
    ----------
    path_start, path_link
        Traveller i drives links `path_link[path_start[i]:path_start[i + 1]]`, in the problem's link order.
    cost_s
        Generalised cost of each traveller's trip in seconds, shape (n_travellers,).
    external_cost_s
        What each trip costs the others: weight * sum over its links of v t'(v), vehicle-seconds.
    total_cost_s
        Vehicle-seconds of everybody.
    warm_up_days
        Days until nobody changed, at most `MOST_WARM_UP_DAYS`.
    at_rest
        Whether nobody changed on the last of them.
    """

    path_start: OffsetColumn
    path_link: IndexColumn
    cost_s: FloatColumn
    external_cost_s: FloatColumn
    total_cost_s: float
    warm_up_days: int
    at_rest: bool = True

    def first_routes(self, traffic: StaticTraffic) -> IndexColumn:
        """Add the baseline routes to a world's known routes and return each traveller's."""
        return traffic.routes.add_paths(traffic.population.od_idx, self.path_start, self.path_link)


def draw_baseline(problem: AssignmentProblem, population: Population, equilibrium: OriginFlows, seed: int) -> Baseline:
    """Draw everybody's baseline route and settle it on the days of the warm-up."""
    traffic = StaticTraffic(problem, population)
    traveller, path_start, path_link = draw_plan(problem, equilibrium, population, seed)
    traffic.route_of_traveller[traveller] = traffic.routes.add_paths(population.od_idx[traveller], path_start, path_link)
    at_rest = False
    for day in range(MOST_WARM_UP_DAYS):
        traffic.load()
        traffic.explore()
        changed, route = traffic.choices_in_turn(traffic.travellers_who_could_gain(), seed, day)
        at_rest = len(changed) == 0
        if at_rest:
            break
        traffic.route_of_traveller[changed] = route
    return _baseline_of(traffic, day, at_rest)


def declared_baseline(
    problem: AssignmentProblem, population: Population, baseline: Baseline, lies: BoolColumn
) -> tuple[Baseline, BoolColumn]:
    """Return the baseline as it looks if liars are believed, and who of them names another route than he drives.

    A liar names the route that drivers of his OD pair use and whose external cost, the sum of v t'(v) over its links, is largest:
    at equilibrium it costs its drivers the same as his own, so that nobody can tell, and leaving it is worth most to the others.
    The costs are those of the traffic in which everybody drives what he says; nobody ever saw it.

    Parameters
    ----------
    lies
        Who is a liar, shape (n_travellers,).
    """
    traffic = StaticTraffic(problem, population)
    own = baseline.first_routes(traffic)
    traffic.route_of_traveller[:] = own
    traffic.load()
    external = traffic.routes.costs(_external_cost_s(traffic))
    # Of the routes of a cell, sorted by external cost, the last one that is driven.
    order = np.lexsort((external[own], population.od_idx))
    last = np.flatnonzero(np.diff(population.od_idx[order], append=-1))
    most = np.empty(population.od.n_cells, np.int32)
    most[population.od_idx[order[last]]] = own[order[last]]
    named = np.where(lies & (external[most[population.od_idx]] > external[own]), most[population.od_idx], own).astype(np.int32)
    traffic.route_of_traveller[:] = named
    return _baseline_of(traffic, baseline.warm_up_days, baseline.at_rest), np.asarray(named != own)


def _baseline_of(traffic: StaticTraffic, warm_up_days: int, at_rest: bool) -> Baseline:
    traffic.load()
    start, link = traffic.paths()
    external = traffic.population.weight * traffic.routes.costs(_external_cost_s(traffic))[traffic.route_of_traveller]
    return Baseline(start, link, traffic.traveller_costs_s(), external, traffic.total_cost_s, warm_up_days, at_rest)


def _external_cost_s(traffic: StaticTraffic) -> FloatColumn:
    """Return v t'(v) of each link: what one more vehicle on it costs those who are there, seconds."""
    return np.asarray(traffic.links.flow * np.where(np.isfinite(traffic.links.cost_slope), traffic.links.cost_slope, 0.0))
