"""What every mechanism does: it says who changes to which route on a day, and when there is nothing left to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.arrays import IndexColumn
from sim.assignment.static_traffic import StaticTraffic


@dataclass(frozen=True, eq=False)
class RouteChanges:
    """Travellers who change and the route that each takes; shapes (n_changes,)."""

    traveller: IndexColumn
    route: IndexColumn

    @classmethod
    def none(cls) -> RouteChanges:
        """Nobody changes."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32))


class Mechanism(Protocol):
    """A rule by which travellers come to their routes.

    Attributes
    ----------
    world
        Name of the world that runs under it.
    """

    world: str

    def first_routes(self, traffic: StaticTraffic) -> RouteChanges:
        """Return the route of every traveller for the first day."""
        ...

    def changes_for(self, traffic: StaticTraffic, day: int) -> RouteChanges:
        """Return who changes the route for `day` (from 1); the traffic is that of the day before, explored."""
        ...

    def why_stop(self, traffic: StaticTraffic, last_changes: RouteChanges) -> str | None:
        """Return why no further day is needed, or None."""
        ...
