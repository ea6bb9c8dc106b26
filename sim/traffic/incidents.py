"""Incidents: a link that lets nobody, or fewer, out for a time.

Closed from `from_s` to `to_s`, no vehicle leaves the link; those on it wait, and the queue spills back like any other. Narrowed
to a share s of its capacity, the headway between two exits is h / s from the first exit after `from_s` on, and h again after
`to_s`. A vehicle that waits at the head for the next link to take it has left the bottleneck behind and still moves on.

For one more vehicle in the traffic of a day (`sim.kernels.timed_search`) a closed link looks as if somebody stood at its head
until it opens: `with_closures` puts such a record where nobody stood there. On a narrowed link the others' exits tell how long it
takes; where nobody queues the search is a headway short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sim.errors import InputError
from sim.kernels.timed_search import Day

_NOWHERE: Final = -1


@dataclass(frozen=True)
class Incident:
    """What befalls a link.

    Attributes
    ----------
    link_idx
        Position of the link.
    from_s, to_s
        When it begins and ends, seconds; 0 or above, the second one larger.
    capacity_share
        What is left of the capacity: 0 for a closed link, below 1.
    """

    link_idx: int
    from_s: float
    to_s: float
    capacity_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.from_s < self.to_s < np.inf:
            raise InputError(f"from {self.from_s} to {self.to_s}", where="incident", allowed="two times, the second one later")
        if not 0 <= self.capacity_share < 1:
            raise InputError(f"{self.capacity_share}", where="incident, capacity_share", allowed="0 or above, below 1")

    @property
    def is_closure(self) -> bool:
        """Whether nobody gets out."""
        return self.capacity_share == 0.0


@dataclass(frozen=True)
class CapacityChange:
    """An incident that begins or ends.

    Attributes
    ----------
    time_s, link_idx
        When and where.
    share
        What is left of the capacity from then on; 1 once it is over.
    closed_until_s
        When the link opens again, or opens now; None where it was not closed.
    closed_for_s
        Length of a closure.
    """

    time_s: float
    link_idx: int
    share: float
    closed_until_s: float | None
    closed_for_s: float

    def headway_s(self, usual_s: float) -> float:
        """Return the headway from then on; after an exit from a closed link nobody follows until it opens."""
        return usual_s / self.share if self.share > 0 else self.closed_for_s


def capacity_changes(incidents: Sequence[Incident]) -> tuple[CapacityChange, ...]:
    """Return the beginnings and ends of incidents in the order in which they take effect: by time, ends first, by link."""
    changes = []
    for one in incidents:
        until_s = one.to_s if one.is_closure else None
        length_s = one.to_s - one.from_s
        changes.append(CapacityChange(one.from_s, one.link_idx, one.capacity_share, until_s, length_s))
        changes.append(CapacityChange(one.to_s, one.link_idx, 1.0, until_s, length_s))
    return tuple(sorted(changes, key=lambda change: (change.time_s, change.share < 1, change.link_idx)))


def require_sound(incidents: Sequence[Incident], n_links: int, source: str) -> None:
    """Raise InputError for an incident outside the network, or two on one link at once."""
    for one in incidents:
        if not 0 <= one.link_idx < n_links:
            raise InputError(f"link position {one.link_idx}", source=source, where="incident", allowed=f"0 to {n_links - 1}")
    by_link = sorted(incidents, key=lambda one: (one.link_idx, one.from_s))
    for before, after in pairwise(by_link):
        if before.link_idx == after.link_idx and after.from_s < before.to_s:
            problem = f"two incidents from {after.from_s:g} to {min(before.to_s, after.to_s):g} s"
            raise InputError(problem, source=source, where=f"link position {after.link_idx}", allowed="one at a time")


def with_closures(day: Day, incidents: Sequence[Incident]) -> Day:
    """Return a day in which links that are closed while nobody queues look closed to one more vehicle, too."""
    for incident in incidents:
        if incident.is_closure:
            day = _with_closure(day, incident)
    return day


def _with_closure(day: Day, incident: Incident) -> Day:
    link = incident.link_idx
    first, past = int(day.start[link]), int(day.start[link + 1])
    # First in, first out: those who got out before the closure came in before those who did not.
    place = first + int(np.searchsorted(day.exit_s[first:past], incident.from_s))
    entry_s = incident.from_s - float(day.free_flow_time_s[link])
    if place > first:
        entry_s = max(entry_s, float(day.entry_s[place - 1]))
    if place < past and day.entry_s[place] <= entry_s:
        # Who was in the queue already is held up himself, too: his own record does not count for him.
        entry_s = float(np.nextafter(day.entry_s[place], -np.inf))
    start = day.start.copy()
    start[link + 1 :] += 1
    exit_s = incident.to_s - float(day.headway_s[link])
    if place > first:
        exit_s = max(exit_s, float(day.exit_s[place - 1]))
    return day._replace(
        start=start,
        entry_s=np.insert(day.entry_s, place, entry_s),
        exit_s=np.insert(day.exit_s, place, exit_s),
        # It came from nowhere, so that nobody takes its place in the merge for his own.
        source=np.insert(day.source, place, np.int32(_NOWHERE)),
    )
