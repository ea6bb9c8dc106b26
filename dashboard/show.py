"""What every kind of show does for the controller: open, live a day, begin again, go to a day, end.

A show publishes as it goes, and may be told by an exception, at any of its calls to `publish`, that nobody wants it any more.
"""

from __future__ import annotations

from typing import Any, Protocol

from dashboard.paint import Scale, load_scale
from dashboard.scene import City
from sim.arrays import FloatColumn


class Publish(Protocol):
    """Exchanges parts of the scene; raises where they are no longer wanted."""

    def __call__(self, **changes: Any) -> None:
        """Publish some changes."""
        ...


class Show(Protocol):
    """The worlds that a visitor watches; used by one thread alone."""

    def open(self) -> None:
        """Build, solve and show the first day."""
        ...

    def step(self) -> None:
        """Show the next day."""
        ...

    def reset(self) -> None:
        """Show the first day again."""
        ...

    def seek(self, day: int) -> None:
        """Show a day of a replay; a live show has no days to go to."""
        ...

    def close(self) -> None:
        """Give the models up."""
        ...


def scale_for(city: City, *flows_vph: FloatColumn) -> Scale:
    """Return the scale of volume over capacity that suits some flows on the streets."""
    network = city.built.network
    drawn = ~network.is_connector
    greatest = max(float((flow / network.capacity_vph)[drawn].max(initial=0.0)) for flow in flows_vph)
    return load_scale(greatest)
