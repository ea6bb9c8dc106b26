"""A world: one city, one demand, one mechanism; the order of phases in a day and nothing numeric."""

from __future__ import annotations

from dataclasses import dataclass

import mesa

from sim.agents.offices import LinkFund, Validator
from sim.agents.traveller import Traveller
from sim.arrays import FloatColumn
from sim.assignment.problem import AssignmentProblem
from sim.assignment.static_traffic import StaticTraffic
from sim.demand.population import Population
from sim.mechanisms.protocol import Mechanism, RouteChanges
from sim.settlement.offices import fund_columns, validator_columns
from sim.settlement.outcome import Enforcement


@dataclass(frozen=True)
class DayRecord:
    """A driven day.

    Attributes
    ----------
    day
        Its number, from 0.
    relative_gap
        Of the travellers' routes; see `sim.assignment.static_traffic`.
    total_cost_s
        Generalised cost of all vehicles, vehicle-seconds.
    travellers_moved
        How many changed their route for it.
    """

    day: int
    relative_gap: float
    total_cost_s: float
    travellers_moved: int


class World(mesa.Model):  # type: ignore[misc]  # mesa carries no types
    """What worlds of every kind of traffic have: travellers, and the offices of a market once its window has closed.

    Parameters
    ----------
    population
        Travellers, shared by all worlds of a run.
    seed
        Seed of Mesa's own random numbers; the others are named by day and traveller (`sim.rng`).

    Attributes
    ----------
    link_funds, validators
        Those who served the market, once its window has closed; empty before, and in worlds without contracts.
    stopped_because
        Why the world lives no further day; None while it does.
    """

    def __init__(self, population: Population, seed: int) -> None:
        super().__init__(rng=seed)
        self.population = population
        self.link_funds: list[LinkFund] = []
        self.validators: list[Validator] = []
        self.stopped_because: str | None = None

    def open_offices(self, enforcement: Enforcement) -> None:
        """Make agents of the funds that paid or received and of the validators who were drawn in a window that has closed."""
        funds, validators = fund_columns(enforcement), validator_columns(enforcement)
        self.link_funds = [LinkFund(self, funds, row) for row in range(len(funds.link_idx))]
        self.validators = [Validator(self, validators, row) for row in range(len(validators.account))]

    def close(self) -> None:
        """Let Mesa forget this world; its columns and days can still be read.

        Mesa numbers agents by model in a table of the class, and so keeps every model alive that ever had an agent.
        """
        mesa.Agent._ids.pop(self, None)


class CityModel(World):
    """A world of static traffic: Mesa travellers under one mechanism; one `step()` is one day.

    Parameters
    ----------
    problem
        Streets and demand, shared by all worlds of a run.
    population
        Travellers, shared by all worlds of a run.
    mechanism
        Decides who drives which route.
    seed
        Seed of Mesa's own random numbers; the mechanism's are named by day and traveller (`sim.rng`).
    toll_s
        Toll of each link in the seconds that it is worth, in the problem's link order; none unless given.

    Attributes
    ----------
    travellers
        Everybody, by row of the population.
    """

    def __init__(
        self,
        problem: AssignmentProblem,
        population: Population,
        mechanism: Mechanism,
        seed: int = 0,
        *,
        toll_s: FloatColumn | None = None,
    ) -> None:
        super().__init__(population, seed)
        self.mechanism = mechanism
        self.traffic = StaticTraffic(problem, population, toll_s)
        self.travellers = [Traveller(self, row) for row in range(population.n_travellers)]
        self.days: list[DayRecord] = []

    def step(self) -> None:
        """Live one day: mechanism, changes, drive, look around, record. Does nothing once the world has come to rest."""
        if self.stopped_because is not None:
            return
        day = len(self.days)
        changes = self.mechanism.first_routes(self.traffic) if day == 0 else self.mechanism.changes_for(self.traffic, day)
        self._drive(changes)
        if day > 0 or self.mechanism.why_stop(self.traffic, changes) is not None:
            self.stopped_because = self.mechanism.why_stop(self.traffic, changes)

    def drive_once_more(self, changes: RouteChanges) -> None:
        """Live a day after the world has come to rest, for changes that no mechanism ordered: promises that are broken."""
        self._drive(changes)

    def _drive(self, changes: RouteChanges) -> None:
        day = len(self.days)
        self._tell_travellers(changes)
        self.traffic.load()
        self.traffic.explore()
        moved = 0 if day == 0 else len(changes.traveller)
        self.days.append(DayRecord(day, self.traffic.relative_gap, self.traffic.total_cost_s, moved))

    def run_days(self, most_days: int) -> None:
        """Step until the world rests or `most_days` days have been driven; then say which."""
        while self.stopped_because is None and len(self.days) < most_days:
            self.step()
        if self.stopped_because is None:
            self.stopped_because = f"bound of {most_days} days reached"

    def _tell_travellers(self, changes: RouteChanges) -> None:
        for row, route in zip(changes.traveller.tolist(), changes.route.tolist(), strict=True):
            self.travellers[row].take_route(route)
