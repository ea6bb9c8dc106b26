"""The streets of a scenario in the forms that a run needs, before and after what-if changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.assignment.problem import AssignmentProblem, make_problem
from sim.demand.population import OdMatrix
from sim.errors import InputError
from sim.network.changes import apply_changes
from sim.network.road_network import RoadNetwork
from sim.network.turns import TurnGraph, turn_graph
from sim.network.validate import check_connected
from sim.spec_networks import NetworkSpec


@dataclass(frozen=True, eq=False)
class Streets:
    """A network with zones, ready to be assigned to.

    Attributes
    ----------
    network
        The streets as people know them.
    turn_graph
        The form in which every path honours bans and delays of turns.
    problem
        The assignment problem on the turn graph.
    """

    network: RoadNetwork
    turn_graph: TurnGraph
    problem: AssignmentProblem


@dataclass(frozen=True, eq=False)
class Changes:
    """What a what-if did.

    Attributes
    ----------
    before
        The streets as they were.
    actions, link_ids
        What each change did, and the links that it closed, built or altered.
    """

    before: Streets
    actions: tuple[str, ...]
    link_ids: tuple[tuple[Any, ...], ...]

    def content(self) -> list[dict[str, Any]]:
        """Return the changes as poa.json has them."""
        return [{"action": action, "links": list(ids)} for action, ids in zip(self.actions, self.link_ids, strict=True)]

    @property
    def notes(self) -> tuple[str, ...]:
        """The changes in a sentence."""
        parts = [
            f"{action.replace('_', ' ')} {len(ids)} {'link' if len(ids) == 1 else 'links'}"
            for action, ids in zip(self.actions, self.link_ids, strict=True)
        ]
        return (f"What-if: the network is changed ({', '.join(parts)}); zones and trips are those of the network before.",)


def make_streets(network: RoadNetwork, od: OdMatrix) -> Streets:
    """Return the streets ready for a demand; InputError where an OD pair has no path."""
    graph = turn_graph(network)
    check_connected(graph.network, od.origin_zone_idx, od.destination_zone_idx)
    return Streets(network, graph, make_problem(graph.network, od))


def changed_streets(spec: NetworkSpec, before: Streets) -> tuple[Streets, Changes | None]:
    """Return the streets after the changes of a scenario, and what changed (None where the scenario changes nothing).

    Raises
    ------
    InputError
        A change names what does not exist, or an OD pair has no path any more.
    """
    if not spec.change:
        return before, None
    changed = apply_changes(before.network, spec.change)
    try:
        after = make_streets(changed.network, before.problem.od)
    except InputError as error:
        problem = f"{error.problem} once the network is changed"
        raise InputError(problem, source=error.source, where="network.change", allowed=error.allowed) from None
    return after, Changes(before, tuple(change.action for change in spec.change), changed.link_ids)
