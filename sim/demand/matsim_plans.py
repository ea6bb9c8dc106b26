"""Plans of MATSim (plans_v4 to population_v6, plain or gzipped): every leg of one mode in a selected plan becomes a trip.

A trip starts behind the link of the activity before the leg and ends behind that of the activity after it, because in MATSim
vehicles leave at the end of their link and arrive at the end of the other; activities without a link count by the nearest node.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from scipy.spatial import KDTree

from sim.demand.trip_list import TripRows
from sim.errors import InputError
from sim.network.matsim import duration_s
from sim.network.road_network import RoadNetwork
from sim.network.xml_stream import elements, number_of, place_of

_ACTIVITIES = ("activity", "act")
_UNKNOWN_TIMES = ("", "undefined", "-Infinity")


def read_plans(path: Path, network: RoadNetwork, *, mode: str) -> TripRows:
    """Read the trips of one mode in the selected plans of all persons, in the order of the file.

    Raises
    ------
    InputError
        The network has zones; the file is no population; an activity is nowhere; no leg has this mode.
    """
    path = Path(path)
    if network.n_zones:
        raise InputError(f"plans lead from street to street, and {network.name} has zones", source=path, allowed="no zones")
    where = _Places(network, path)
    origin: list[int] = []
    destination: list[int] = []
    departure_s: list[float] = []
    modes: set[str] = set()
    for person in elements(path, ("person",), root=("population", "plans")):
        plan = _selected_plan(person)
        steps = [] if plan is None else [step for step in plan if step.tag in (*_ACTIVITIES, "leg")]
        for place, step in enumerate(steps):
            if step.tag != "leg":
                continue
            modes.add(step.get("mode", ""))
            if step.get("mode") != mode:
                continue
            if not 0 < place < len(steps) - 1 or "leg" in (steps[place - 1].tag, steps[place + 1].tag):
                raise InputError("a leg without an activity on either side", source=path, where=place_of(person))
            origin.append(where.node_of(steps[place - 1], person))
            destination.append(where.node_of(steps[place + 1], person))
            departure_s.append(_departure_s(step, steps[place - 1], path))
    if not origin:
        raise InputError(f"no leg has the mode {mode!r}", source=path, allowed=", ".join(sorted(modes)) or "a plan with legs")
    named, ends = np.unique(np.array([origin, destination]), return_inverse=True)
    ends = ends.reshape(2, -1).astype(np.int32)
    n_trips = len(origin)
    return TripRows(network.node_id[named], ends[0], ends[1], np.array(departure_s), np.ones(n_trips), np.full(n_trips, np.nan))


def _selected_plan(person: Element) -> Element | None:
    plans = person.findall("plan")
    return next((plan for plan in plans if plan.get("selected") == "yes"), plans[0] if plans else None)


def _departure_s(leg: Element, before: Element, path: Path) -> float:
    for element, name in ((leg, "dep_time"), (before, "end_time")):
        text = element.get(name, "")
        if text not in _UNKNOWN_TIMES:
            return 0.0 if text.replace(":", "").strip("0") == "" else duration_s(text, path, name)
    return float("nan")


class _Places:
    """Where activities are."""

    def __init__(self, network: RoadNetwork, path: Path) -> None:
        self.path = path
        self.node_of_link = dict(zip(map(str, network.link_id.tolist()), network.head_idx.tolist(), strict=True))
        known = np.isfinite(network.node_x) & np.isfinite(network.node_y)
        self.known = np.flatnonzero(known)
        self.tree = KDTree(np.column_stack([network.node_x, network.node_y])[self.known]) if known.any() else None

    def node_of(self, activity: Element, person: Element) -> int:
        """Return the node behind the activity's link, or the nearest one; InputError where it is nowhere."""
        node = self.node_of_link.get(activity.get("link", ""))
        if node is not None:
            return int(node)
        if activity.get("x") is None or activity.get("y") is None or self.tree is None:
            problem = f"an activity of type {activity.get('type', '')!r} has no place on the network"
            raise InputError(problem, source=self.path, where=place_of(person), allowed="a link of the network, or x and y")
        x, y = (number_of(activity, axis, self.path, at_least=-np.inf) for axis in "xy")
        return int(self.known[self.tree.query((x, y))[1]])
