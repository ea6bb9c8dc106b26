"""Drivers as Mesa agents: thin, with their state in the columns of the day that their world drives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import mesa

if TYPE_CHECKING:
    from sim.queue_model import QueueCityModel


class Driver(mesa.Agent):  # type: ignore[misc]  # mesa carries no types
    """One driver, row `row` of the population's and the day's columns.

    What drivers do together (follow a plan, follow the news) is worked out for all of them at once by their world's rule, and no
    agent is called for it. A class whose drivers decide for themselves sets `decides` and overrides `choose_way`; it is called at
    the decision points at which the driver is on the road or about to depart, and `day_ended` when everybody has arrived.
    """

    decides: ClassVar[bool] = False
    model: QueueCityModel

    def __init__(self, model: QueueCityModel, row: int) -> None:
        super().__init__(model)
        self.row = row

    @property
    def weight(self) -> float:
        """Vehicles it stands for."""
        return float(self.model.population.weight[self.row])

    @property
    def departure_s(self) -> float:
        """When it leaves its origin."""
        return float(self.model.loading.trips.departure_s[self.row])

    @property
    def arrival_s(self) -> float:
        """When it arrived; inf while it is under way."""
        return float(self.model.loading.arrival_s[self.row])

    @property
    def travel_time_s(self) -> float:
        """From departure to arrival, the wait at the origin included; inf while it is under way."""
        return self.arrival_s - self.departure_s

    def choose_way(self, node_idx: int) -> Sequence[int] | None:
        """Return the links to drive from a node of the network on to the destination; None to go on as before."""
        return None

    def day_ended(self) -> None:
        """Take note of the day that is over."""
