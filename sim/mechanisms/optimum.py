"""The central optimum: travellers drive the routes of a plan that makes the total cost least."""

from __future__ import annotations

from sim.assignment.equilibrium import OriginFlows
from sim.assignment.plan import draw_plan
from sim.assignment.static_traffic import StaticTraffic
from sim.mechanisms.protocol import RouteChanges


class Optimum:
    """The mechanism of the optimum world: one plan, drawn from the solved system optimum, driven from the first day on.

    Parameters
    ----------
    flows
        Flows by origin of the system optimum.
    seed
        Decides who drives which of the planned routes.
    """

    world = "optimum"

    def __init__(self, flows: OriginFlows, seed: int) -> None:
        self._flows = flows
        self._seed = seed

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Everybody gets a route of the plan."""
        traveller, path_start, path_link = draw_plan(traffic.problem, self._flows, traffic.population, self._seed)
        return RouteChanges(traveller, traffic.routes.add_paths(traffic.population.od_idx[traveller], path_start, path_link))

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Nobody leaves the plan."""
        return RouteChanges.none()

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Stop at once: the plan does not change."""
        return "plan followed"
