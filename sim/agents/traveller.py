"""Travellers as Mesa agents: thin, with their state in the columns of their world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa

if TYPE_CHECKING:
    from sim.model import CityModel


class Traveller(mesa.Agent):  # type: ignore[misc]  # mesa carries no types
    """One traveller, row `row` of the population's and the traffic's columns.

    Its state is read from and written to the columns; nothing is kept twice. The model calls it only when it has something to do.
    """

    model: CityModel

    def __init__(self, model: CityModel, row: int) -> None:
        super().__init__(model)
        self.row = row

    @property
    def weight(self) -> float:
        """Vehicles it stands for."""
        return float(self.model.population.weight[self.row])

    @property
    def route(self) -> int:
        """Number of the route it drives."""
        return int(self.model.traffic.route_of_traveller[self.row])

    def take_route(self, route: int) -> None:
        """Drive another route from the next day on."""
        self.model.traffic.route_of_traveller[self.row] = route
