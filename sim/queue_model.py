"""A world of queue traffic: one city, one demand, one rule of driving; one `step()` is one tick of a day.

What happens between two ticks is the loading's business (`sim.traffic.loading`), which knows no ticks: the day is the same to the
last bit whatever `tick_s` is. Decision points stand at the whole multiples of the rule's `every_s`, also inside a tick.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sim.agents.driver import Driver
from sim.arrays import FloatColumn
from sim.demand.population import Population
from sim.errors import InputError
from sim.mechanisms.driving import DayRules as DayRules
from sim.mechanisms.driving import DrivingRule
from sim.model import World
from sim.traffic.driven_day import DrivenDay
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.news import driven_trips
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.trips import LATEST_S

ARRIVED = "everybody has arrived"
LOCKED = "nobody can move any more"


class QueueCityModel(World):
    """A world of queue traffic with Mesa drivers; one `step()` is `rules.tick_s` seconds of its day.

    Parameters
    ----------
    network
        The streets as queues, shared by all worlds of a run.
    population
        Travellers, shared by all worlds of a run; traveller i is vehicle i.
    rule
        Decides who drives which way.
    seed
        Seed of Mesa's own random numbers.
    rules
        How the day is driven.
    driver
        Class of the drivers.

    Attributes
    ----------
    loading
        The day: clock, positions, arrivals, bins (`sim.traffic.loading.Loading`).
    travellers
        Everybody, by row of the population.
    rerouted
        How many ways were given at decision points.
    stopped_because
        Why no further tick is lived: `ARRIVED` or `LOCKED`; None during the day.
    """

    def __init__(
        self,
        network: QueueNetwork,
        population: Population,
        rule: DrivingRule,
        seed: int = 0,
        *,
        rules: DayRules | None = None,
        driver: type[Driver] = Driver,
    ) -> None:
        super().__init__(population, seed)
        self.network, self.rule = network, rule
        self.rules = rules or DayRules()
        options = LoadingOptions(self.rules.gridlock, self.rules.patience_s, self.rules.record, self.rules.bin_s)
        self.loading = Loading(network, rule.plan(), options)
        self.travellers = [driver(self, row) for row in range(population.n_travellers)]
        self.rerouted = 0
        self.ticks = 0
        self._n_decisions = 0
        self._deciders = np.array([row for row, one in enumerate(self.travellers) if one.decides], dtype=np.int32)
        if len(self._deciders) and rule.every_s is None:
            raise InputError("drivers that decide under a rule without decision points", where="driver", allowed="every_s")

    @property
    def clock_s(self) -> float:
        """Time of the day; all events before it have happened."""
        return self.loading.clock_s

    def is_over(self) -> bool:
        """Return whether the day is over."""
        return self.stopped_because is not None

    def step(self) -> None:
        """Live one tick: decisions that are due, the kernel up to the end of the tick, and at the end of the day the drivers."""
        if self.is_over():
            return
        self.ticks += 1
        until_s = min(self.ticks * self.rules.tick_s, LATEST_S)
        every_s = self.rule.every_s
        while every_s is not None and self._n_decisions * every_s <= until_s and not self.is_over():
            self.loading.advance(self._n_decisions * every_s)
            self._n_decisions += 1
            self._note_arrivals()
            if not self.is_over():
                self._decide()
                # With nothing to happen and nothing new to know, no later decision would be another one.
                self._note_lock()
        if not self.is_over():
            self.loading.advance(until_s)
            self._note_arrivals()
            if every_s is None:
                self._note_lock()
        if self.is_over():
            for row in self._deciders.tolist():
                self.travellers[row].day_ended()

    def run_day(self) -> None:
        """Step until the day is over."""
        while not self.is_over():
            self.step()

    @cached_property
    def driven(self) -> DrivenDay:
        """What became of the day, once it is over, with what everybody drove (the records must be those of everybody)."""
        if not self.is_over():
            raise RuntimeError("the day is not over")
        loading, records = self.loading, self.loading.records()
        trips = loading.trips if self.rule.every_s is None else driven_trips(loading.trips.departure_s, records)
        return DrivenDay(self.network, trips, loading.travel_time_s(), records, loading.rotations, loading.rotated_vehicles)

    def present_times_s(self) -> FloatColumn:
        """Return what each link takes now: the mean of those who left it in this bin of time or the last, at least free flow."""
        bins = self.loading.bins()
        left, spent_s = bins.exits_veh[:, -2:].sum(axis=1), bins.travel_time_sum_s[:, -2:].sum(axis=1)
        mean_s = np.divide(spent_s, left, out=np.zeros(len(left)), where=left > 0)
        queued_s = self.loading.occupancy_veh * self.network.headway_s
        return np.asarray(np.maximum(np.maximum(self.network.free_flow_time_s, mean_s), queued_s))

    def _note_arrivals(self) -> None:
        if self.loading.n_arrived == self.population.n_travellers:
            self.stopped_because = ARRIVED

    def _note_lock(self) -> None:
        # Where gridlocked circles are moved up, what seems locked is only waiting for its turn.
        if self.rules.gridlock == "hold" and not self.is_over() and not self.loading.has_events:
            self.stopped_because = LOCKED

    def _decide(self) -> None:
        self.rerouted += len(self.rule.decide(self.loading))
        if len(self._deciders) == 0 or self.rule.every_s is None:
            return
        vehicle, node = self.loading.next_nodes(self.clock_s + self.rule.every_s)
        asked = np.isin(vehicle, self._deciders)
        ways = [
            (row, way)
            for row, at in zip(vehicle[asked].tolist(), node[asked].tolist(), strict=True)
            if (way := self.travellers[row].choose_way(at)) is not None
        ]
        if ways:
            start = np.concatenate([[0], np.cumsum([len(way) for _, way in ways])])
            links = np.array([link for _, way in ways for link in way], dtype=np.int32)
            self.loading.reroute(np.array([row for row, _ in ways], dtype=np.int32), start, links)
            self.rerouted += len(ways)
