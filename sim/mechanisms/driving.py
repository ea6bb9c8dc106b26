"""What says which way drivers take in queue traffic: a plan that is followed, or the present traffic.

A rule plans a day before it begins and may re-route at the whole multiples of `every_s`, for all drivers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from sim.arrays import FloatColumn, IndexColumn
from sim.errors import InputError
from sim.rng import uniforms
from sim.traffic.behaviour import one_shot
from sim.traffic.loading import Loading, Recorded
from sim.traffic.news import News
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder
from sim.traffic.trips import Trips


@dataclass(frozen=True)
class DayRules:
    """How a day is driven and what is noted of it; see `sim.traffic.loading.LoadingOptions`.

    Attributes
    ----------
    tick_s
        Time that a step takes, above 0; no result depends on it.
    """

    tick_s: float = 60.0
    bin_s: float = 300.0
    gridlock: Literal["rotate", "hold"] = "rotate"
    patience_s: float = 60.0
    record: Recorded = "all"

    def __post_init__(self) -> None:
        if not 0 < self.tick_s < np.inf:
            raise InputError(f"{self.tick_s}", where="tick_s", allowed="a finite number of seconds above 0")


class DrivingRule(Protocol):
    """How the drivers of a world come to their ways.

    Attributes
    ----------
    world
        Name of the world that runs under it.
    every_s
        Seconds between two decision points, the first at time 0; None where nobody decides on the day.
    """

    world: str
    every_s: float | None

    def plan(self) -> Trips:
        """Return departures and ways as they are before the day begins."""
        ...

    def decide(self, loading: Loading) -> IndexColumn:
        """Re-route drivers at a decision point and return who got a way; the clock of `loading` shows the time."""
        ...


class FollowPlan:
    """Everybody drives the way that was planned: an equilibrium that was found, the best day found, a deal that was made."""

    every_s: float | None = None

    def __init__(self, world: str, trips: Trips) -> None:
        self.world = world
        self._trips = trips

    def plan(self) -> Trips:
        """Return the plan."""
        return self._trips

    def decide(self, loading: Loading) -> IndexColumn:
        """Nobody leaves the plan."""
        return np.zeros(0, dtype=np.int32)


class FollowNews:
    """A share of the drivers takes the way that is fastest by the present traffic; see `sim.traffic.news`.

    Parameters
    ----------
    network, finder, departure_s
        Queues, searches for the travellers, and when they leave.
    share
        Of the drivers who follow the news, drawn by lot; the others keep their free-flow way. 0 to 1.
    every_s
        Seconds between two pieces of news.
    on_the_road
        Whether drivers on the road follow it, or only those about to depart.
    """

    world = "selfish"

    def __init__(
        self,
        network: QueueNetwork,
        finder: PathFinder,
        departure_s: FloatColumn,
        *,
        share: float,
        every_s: float,
        on_the_road: bool,
        seed: int,
    ) -> None:
        self.every_s: float | None = every_s
        self._first = one_shot(network, finder, departure_s)
        follows = uniforms(seed, "follows_news", np.arange(len(departure_s), dtype=np.int32)) < share
        self._news = News(finder, self._first, follows, every_s, on_the_road=on_the_road)

    def plan(self) -> Trips:
        """Return everybody's free-flow way."""
        return self._first

    def decide(self, loading: Loading) -> IndexColumn:
        """Send those who follow the news on the fastest ways."""
        return self._news.reroute(loading)
