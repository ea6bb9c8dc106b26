"""Braess's paradox on real roads: the links whose closing lowers what selfish traffic spends in all, ranked.

1. The user equilibrium is solved to a narrow gap, and once more under small marginal-cost tolls: that gives the derivative of the
   total by a toll on every link, and a prediction for closing it (`sim.assignment.toll_response`).
2. Links without flow are left out: without them the equilibrium is the same. Of streets in series, which carry the same flow
   through junctions where nobody turns, one link is tried. The others are tried in the order of their prediction, as many as
   asked for: `Search.share_examined` says what part of the used streets that is.
3. Each is closed and the equilibrium solved at a moderate gap, beginning with the flows that have it open (where turns have no
   links of their own, whose names would change); those that seem to help are solved again at the narrow gap, from an empty
   network, and named only if the total falls by more than the margins of both solutions (`sim.metrics`).

The search proves nothing about links that it did not try.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn
from sim.assignment.equilibrium import Assignment, solve
from sim.assignment.problem import Principle
from sim.assignment.toll_response import closing_promise, marginal_toll_response
from sim.assignment.warm_start import WarmStart
from sim.errors import InputError
from sim.experiments.build import BuiltScenario
from sim.experiments.progress import Say, say_nothing
from sim.experiments.solved import missed_promises, solve_principle
from sim.experiments.streets import make_streets
from sim.metrics import equilibrium_margin
from sim.network.changes import without_links
from sim.network.road_network import RoadNetwork
from sim.parallel import thread_count
from sim.spec_traffic import require_static

NARROW_GAP: Final = 1e-9
MODERATE_GAP: Final = 1e-7
EXAMINED: Final = 150
"""Streets that are tried where the caller does not say."""
_LEAST_PROMISE: Final = -1.0
"""Predictions up to this far on the wrong side still go first where much flow is at stake: they are rough for large flows."""
_CONFIRMED_AT_MOST: Final = 3
"""Multiple of the links asked for that are solved again, since some may fall within the margins."""


@dataclass(frozen=True)
class Paradox:
    """A link whose closing lowers the selfish total.

    Attributes
    ----------
    link_idx
        Position in the streets.
    total_time_s
        Selfish total without the link (vehicle-seconds, generalised cost where there are fixed costs).
    saving
        Share of the selfish total that closing saves.
    margin
        What the two solutions' gaps may do to that share; below it.
    in_series
        Further links of the same street, which carry the same flow.
    """

    link_idx: int
    total_time_s: float
    saving: float
    margin: float
    in_series: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    built
        The scenario.
    selfish
        Its user equilibrium.
    found
        Confirmed links, the largest saving first.
    n_used, n_streets, n_promising, n_examined
        Links with flow (connectors left out), streets that they form, those with a prediction above `_LEAST_PROMISE`, and
        streets that were tried.
    n_indispensable
        Tried streets that cannot be closed because an OD pair would have no path.
    n_unconfirmed
        Streets that seemed to help and did not by more than the margins.
    """

    built: BuiltScenario
    selfish: Assignment
    found: tuple[Paradox, ...]
    n_used: int
    n_streets: int
    n_promising: int
    n_examined: int
    n_indispensable: int
    n_unconfirmed: int

    @property
    def share_examined(self) -> float:
        """Part of the streets with flow that was tried."""
        return self.n_examined / self.n_streets if self.n_streets else 1.0

    @property
    def missed(self) -> tuple[str, ...]:
        """What was promised and not reached, in words."""
        return missed_promises({"selfish": self.selfish}, None)

    def content(self) -> dict[str, Any]:
        """Return what `routepact braess --json` prints."""
        network = self.built.network
        return {
            "scenario": self.built.spec.name,
            "selfish_total_time_s": self.selfish.total_cost_s,
            "relative_gap": self.selfish.relative_gap,
            "links": network.n_links,
            "links_with_flow": self.n_used,
            "streets": self.n_streets,
            "streets_promising": self.n_promising,
            "streets_examined": self.n_examined,
            "share_examined": self.share_examined,
            "indispensable": self.n_indispensable,
            "unconfirmed": self.n_unconfirmed,
            "found": [self._entry(paradox) for paradox in self.found],
        }

    def _entry(self, paradox: Paradox) -> dict[str, Any]:
        network, link_idx = self.built.network, paradox.link_idx
        return {
            "link_id": network.link_id[link_idx].item(),
            "from_node_id": network.node_id[network.tail_idx[link_idx]].item(),
            "to_node_id": network.node_id[network.head_idx[link_idx]].item(),
            "street_name": network.street_name(link_idx),
            "flow_vph": float(self.built.turn_graph.flow_on_streets(self.selfish.flow_vph)[link_idx]),
            "total_time_s": paradox.total_time_s,
            "saving": paradox.saving,
            "margin": paradox.margin,
            "same_street": [network.link_id[other].item() for other in paradox.in_series],
        }


def braess_search(built: BuiltScenario, *, top: int = 10, examine: int = EXAMINED, say: Say = say_nothing) -> Search:
    """Search for links whose closing lowers the selfish total.

    Parameters
    ----------
    built
        The scenario; its changes, if any, are part of the network.
    top
        Most links to name, at least 1.
    examine
        Most streets to try, at least 1.

    Raises
    ------
    InputError
        `top` or `examine` is below 1, or the demand is far too large for the capacities.
    """
    for name, number in (("--top", top), ("--examine", examine)):
        if number < 1:
            raise InputError(f"{number}", source=name, allowed="a whole number from 1")
    bound = require_static(built.spec.traffic, "the search for Braess links").max_iterations
    selfish = solve_principle(
        built.problem, Principle.USER_EQUILIBRIUM, name="selfish", gap=NARROW_GAP, max_iterations=bound, say=say
    )
    say("screening: the response to marginal tolls")
    streets, n_promising = ranked_streets(built, selfish)
    tried = streets[:examine]
    say(f"trying {len(tried)} of {len(streets)} streets")
    start = WarmStart(built.problem, selfish.origin_flows) if built.turn_graph.is_plain else None
    totals = _totals_without(built, [street[0] for street in tried], start, say)
    order = np.argsort(totals, kind="stable").tolist()
    helpful = [place for place in order if totals[place] < selfish.total_cost_s]
    confirmed: list[Paradox] = []
    n_confirming = 0
    for place in helpful[: _CONFIRMED_AT_MOST * top]:
        if len(confirmed) == top:
            break
        n_confirming += 1
        say(f"confirming: {n_confirming} of at most {min(len(helpful), _CONFIRMED_AT_MOST * top)}")
        paradox = _confirmed(built, selfish, tried[place])
        if paradox is not None:
            confirmed.append(paradox)
    confirmed.sort(key=lambda paradox: (-paradox.saving, paradox.link_idx))
    return Search(
        built=built,
        selfish=selfish,
        found=tuple(confirmed),
        n_used=sum(map(len, streets)),
        n_streets=len(streets),
        n_promising=n_promising,
        n_examined=len(tried),
        n_indispensable=int(np.isinf(totals).sum()),
        n_unconfirmed=n_confirming - len(confirmed),
    )


def ranked_streets(built: BuiltScenario, selfish: Assignment) -> tuple[list[tuple[int, ...]], int]:
    """Return the streets with flow in the order in which to try them, each as its links, and how many of them are promising.

    Promising ones (prediction above `_LEAST_PROMISE`) come first, by what tolling them would save; then the others by prediction.
    """
    graph = built.turn_graph
    response = graph.flow_on_streets(marginal_toll_response(built.problem, selfish, gap=NARROW_GAP))
    flow = graph.flow_on_streets(selfish.flow_vph)
    promise = closing_promise(flow, response, built.network.bpr_beta)
    promise[built.network.is_connector] = -np.inf
    used = np.isfinite(promise)
    streets = streets_in_series(built.network, flow, used)
    first = np.array([street[0] for street in streets], dtype=np.int32)
    hopeful = promise[first] > _LEAST_PROMISE
    order = np.lexsort((first, np.where(hopeful, response[first], -promise[first]), ~hopeful))
    return [streets[place] for place in order.tolist()], int(hopeful.sum())


def streets_in_series(network: RoadNetwork, flow_vph: FloatColumn, used: BoolColumn) -> list[tuple[int, ...]]:
    """Return the used links as chains: one link follows another where all flow of the one goes on by the other and nobody joins.

    Links of a chain carry the same flow; a chain ends at zones. Chains come in the order of their first links.
    """
    at_zone = np.zeros(network.n_nodes, dtype=np.bool_)
    at_zone[network.zone_node_idx] = True
    flowing = flow_vph > 0
    n_in, n_out = (np.bincount(ends[flowing], minlength=network.n_nodes) for ends in (network.head_idx, network.tail_idx))
    through = (n_in == 1) & (n_out == 1) & ~at_zone
    out_of: IndexColumn = np.full(network.n_nodes, -1, dtype=np.int32)
    links = np.flatnonzero(used)
    out_of[network.tail_idx[links]] = links
    follows = np.where(through[network.head_idx], out_of[network.head_idx], -1)
    is_first = used & ~through[network.tail_idx]
    seen: set[int] = set()
    streets = []
    # A ring without a beginning cannot carry flow at equilibrium, but the walk must end whatever the flows are.
    for link in [*np.flatnonzero(is_first).tolist(), *links.tolist()]:
        street: list[int] = []
        while link >= 0 and link not in seen:
            seen.add(link)
            street.append(link)
            link = int(follows[link])
        if street:
            streets.append(tuple(street))
    return sorted(streets)


def _without(built: BuiltScenario, link_idx: int, gap: float, start: WarmStart | None = None) -> Assignment | None:
    """Return the equilibrium without a link, from an empty network unless told; None where an OD pair has no path then."""
    closed = np.zeros(built.network.n_links, dtype=np.bool_)
    closed[link_idx] = True
    try:
        streets = make_streets(without_links(built.network, closed), built.problem.od)
    except InputError:
        return None
    bound = require_static(built.spec.traffic, "the search for Braess links").max_iterations
    return solve(streets.problem, Principle.USER_EQUILIBRIUM, gap=gap, max_iterations=bound, start=start)


def _totals_without(built: BuiltScenario, links: Sequence[int], start: WarmStart | None, say: Say) -> FloatColumn:
    """Return the selfish total without each link, inf where it cannot be closed; the solvers release the interpreter lock."""
    totals = np.full(len(links), np.inf)

    def solve_one(place: int) -> None:
        found = _without(built, links[place], MODERATE_GAP, start)
        if found is not None:
            totals[place] = found.total_cost_s

    with ThreadPoolExecutor(thread_count()) as pool:
        for number, _ in enumerate(pool.map(solve_one, range(len(links))), start=1):
            say(f"closed {number} of {len(links)} streets, one at a time")
    return totals


def _confirmed(built: BuiltScenario, selfish: Assignment, street: tuple[int, ...]) -> Paradox | None:
    """Solve without a street's first link from an empty network; None where it saves no more than the margins."""
    found = _without(built, street[0], NARROW_GAP)
    assert found is not None  # only links that could be closed come here
    margins = [
        solved.total_cost_s
        * equilibrium_margin(
            [record.total_cost_s for record in solved.history], [record.relative_gap for record in solved.history]
        )
        for solved in (selfish, found)
    ]
    margin = sum(margins) / selfish.total_cost_s
    saving = 1.0 - found.total_cost_s / selfish.total_cost_s
    return Paradox(street[0], found.total_cost_s, saving, margin, street[1:]) if saving > margin else None
