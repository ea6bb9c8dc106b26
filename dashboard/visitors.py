"""How many visitors the page serves at once: each has models of his own, and memory is not endless."""

from __future__ import annotations

import os
import threading

VISITORS_VARIABLE = "ROUTEPACT_DASHBOARD_VISITORS"
"""Environment variable in which `launch` leaves the most visitors at once."""
MOST_VISITORS = 8


def most_visitors() -> int:
    """Return how many visitors may be there at once."""
    return int(os.environ.get(VISITORS_VARIABLE, MOST_VISITORS))


class Seats:
    """Places for visitors; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many visitors are there."""
        return self._taken

    def take(self) -> bool:
        """Take a place; return whether there was one."""
        with self._lock:
            if self._taken >= most_visitors():
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1


SEATS = Seats()
