"""Vehicles of a day: when each departs and the links that it drives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError
from sim.kernels.queue_paths import BANNED, BROKEN, SOUND, first_fault
from sim.traffic.queue_network import QueueNetwork

LATEST_S: Final = 1e9
"""Times beyond this (thirty years) are mistakes; the wheel counts its buckets in whole numbers."""


@dataclass(frozen=True, eq=False)
class Trips:
    """Vehicles with departure and path, as read-only columns.

    Attributes
    ----------
    departure_s
        Shape (n_vehicles,), 0 or above, at most `LATEST_S`.
    path_start, path_link
        Links of vehicle v: `path_link[path_start[v]:path_start[v + 1]]`, at least one each.
    """

    departure_s: FloatColumn
    path_start: OffsetColumn
    path_link: IndexColumn

    def __post_init__(self) -> None:
        for name, dtype in (("departure_s", np.float64), ("path_start", np.int64), ("path_link", np.int32)):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name), dtype=dtype)))

    @property
    def n_vehicles(self) -> int:
        """Number of vehicles."""
        return len(self.departure_s)

    def require_fit(self, network: QueueNetwork) -> None:
        """Raise InputError for the first vehicle whose departure or path the network cannot take."""
        bad = ~((self.departure_s >= 0) & (self.departure_s <= LATEST_S))
        if bad.any():
            vehicle = int(np.argmax(bad))
            raise InputError(
                f"departure {self.departure_s[vehicle]}", where=f"vehicle {vehicle}", allowed=f"seconds from 0 to {LATEST_S:g}"
            )
        if len(self.path_start) != self.n_vehicles + 1:
            raise InputError(f"{len(self.path_start) - 1} paths", where="trips", allowed=f"{self.n_vehicles}, one a vehicle")
        require_paths(network, self.path_start, self.path_link, np.arange(self.n_vehicles), may_be_empty=False)


def require_paths(
    network: QueueNetwork,
    path_start: OffsetColumn,
    path_link: IndexColumn,
    vehicle: NDArray[np.integer[Any]],
    *,
    may_be_empty: bool,
) -> None:
    """Raise InputError for the first path that is empty, leaves the network, has a gap, or takes a banned turn.

    Parameters
    ----------
    vehicle
        Whose paths these are, for the message.
    """
    length = np.diff(path_start)
    if path_start[0] != 0 or path_start[-1] != len(path_link) or (length < 0).any():
        raise InputError("rows that do not fit together", where="path_start", allowed="rows that cover path_link in order")
    if not may_be_empty and (length == 0).any():
        raise InputError("a path without links", where=f"vehicle {vehicle[int(np.argmin(length))]}", allowed="at least one link")
    fault, path, place = first_fault(
        path_start, path_link, network.tail_idx, network.head_idx, network.turn_start, network.in_rank, network.turn_penalty_s
    )
    if fault == SOUND:
        return
    step = place - path_start[path]
    where = f"vehicle {vehicle[path]}, link {step + 1} of its path"
    if fault not in (BROKEN, BANNED):
        raise InputError(f"link position {path_link[place]}", where=where, allowed=f"0 to {network.n_links - 1}")
    before, after = network.link_id[path_link[place - 1]], network.link_id[path_link[place]]
    if fault == BANNED:
        raise InputError(f"the turn from link {before} into link {after} is banned", where=where, allowed="turns that are open")
    raise InputError(f"link {after} does not start where link {before} ends", where=where, allowed="a connected path")
