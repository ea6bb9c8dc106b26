"""From a built scenario to queue traffic: the streets as queues, searches for the travellers, everybody's departure.

Grain. Every traveller is one vehicle of the queues. Where travellers stand for g vehicles each (g = vehicles over travellers),
the queues have capacities and places for 1 / g of the traffic, so that the same share of the demand fills them. All travellers
stand for the mean of what they stand for by the demand, which differs where cells are no whole multiples of the grain.

Zones. Connectors hold nobody up: their capacity is that of `sim.traffic.search_graph.CONNECTOR_VPH`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim.demand.population import Population
from sim.errors import InputError
from sim.experiments.build import BuiltScenario
from sim.mechanisms.driving import DayRules
from sim.network.road_network import RoadNetwork
from sim.spec import DemandSpec
from sim.spec_traffic import QueueSettings, require_queue
from sim.traffic.queue_network import QueueNetwork, QueueRules, Signals, queue_network
from sim.traffic.search_graph import search_graph, with_wide_connectors
from sim.traffic.street_rules import street_signals, street_turns, with_platoons
from sim.traffic.timed_paths import PathFinder, TripEnds
from sim.traffic.trips import LATEST_S
from sim.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

_SAME_WEIGHT = 1e-9


@dataclass(frozen=True, eq=False)
class BuiltQueues:
    """A scenario ready for queue traffic.

    Attributes
    ----------
    built
        The scenario with its streets; links of `network` are those of `built.network`, at the same positions.
    settings
        The `[traffic]` section.
    network
        The streets as queues of travellers.
    finder
        Searches for the ways of the travellers.
    population
        The travellers, each of the same weight; traveller i is vehicle i.
    notes
        What was assumed, beside the notes of `built`.
    """

    built: BuiltScenario
    settings: QueueSettings
    network: QueueNetwork
    finder: PathFinder
    population: Population
    notes: tuple[str, ...]

    @property
    def weight(self) -> float:
        """Vehicles that a traveller stands for."""
        return float(self.population.weight[0])

    @property
    def period_s(self) -> float:
        """Time in which people depart, from 0 on."""
        return departure_period_s(self.built, self.population)

    @property
    def day_rules(self) -> DayRules:
        """How the days of the worlds are driven."""
        chosen = self.settings
        return DayRules(chosen.tick_s, chosen.bin_s, chosen.gridlock, chosen.patience_s)


def build_queues(built: BuiltScenario) -> BuiltQueues:
    """Return the queue traffic of a built scenario.

    Raises
    ------
    InputError
        The scenario is static, a departure is no time of a day, or the links would store too many vehicles.
    """
    settings = require_queue(built.spec.traffic, "queues")
    population, notes = _same_weights(built.population, _hours(built.spec.demand))
    notes = (_period_note(departure_period_s(built, population)), *notes)
    _require_departures(population)
    grain = float(population.weight[0])
    signals = street_signals(built.network, settings.cycle_s, built.spec.seed) if settings.signals else None
    streets = with_wide_connectors(_coarser(_without_signal_delay(built, signals), grain))
    rules = QueueRules(settings.backward_wave_kph, settings.jam_density_vpkm, settings.capacity_drop)
    queues = queue_network(streets, rules, signals=signals, turns=street_turns(built.network))
    if signals is not None:
        queues = with_platoons(queues, streets.lanes)
    node = built.network.zone_node_idx
    ends = TripEnds(node[population.origin_zone_idx], node[population.destination_zone_idx])
    finder = PathFinder(search_graph(queues, built.turn_graph), ends)
    return BuiltQueues(built, settings, queues, finder, population, notes + _signal_notes(settings, signals))


def queue_content(queues: BuiltQueues) -> dict[str, Any]:
    """Return what `routepact validate --json` says of queue traffic."""
    network = queues.network
    empty = int((np.abs(queues.built.network.lanes) <= 0).sum())
    return {
        "vehicles": float(queues.population.weight.sum()),
        "vehicles_per_traveller": queues.weight,
        "departures_within_s": queues.period_s,
        "mean_free_flow_time_s": float(queues.finder.free_time_s.mean()),
        "storage_vehicles": float(network.storage_veh.sum()) * queues.weight,
        "links_with_signals": 0 if network.signals is None else int((network.signals.cycle_s > 0).sum()),
        "links_without_stated_lanes": empty,
        "shortest_link_s": float(network.free_flow_time_s.min()),
        "notes": list(queues.notes),
    }


def departure_period_s(built: BuiltScenario, population: Population) -> float:
    """Return the time in which people depart: the profile's period, longer where a list of trips goes on for longer."""
    return max(built.spec.demand.profile.period_s, float(population.departure_s.max()))


def _hours(demand: DemandSpec) -> float:
    """Return by how much a list of trips was divided to become vehicles an hour; queues count the vehicles themselves."""
    end_s = getattr(demand, "end_s", None)
    return 1.0 if end_s is None else (end_s - getattr(demand, "start_s", 0.0)) / SECONDS_PER_HOUR


def _same_weights(population: Population, hours: float) -> tuple[Population, tuple[str, ...]]:
    weight = population.weight * hours
    mean = float(weight.sum()) / len(weight)
    notes: tuple[str, ...] = ()
    if np.abs(weight - mean).max() > _SAME_WEIGHT * mean:
        notes = (
            f"In queue traffic each of the {len(weight):,} travellers stands for {mean:.6g} vehicles, the mean of "
            "what they stand for by the demand.",
        )
    elif abs(mean - 1.0) > _SAME_WEIGHT:
        notes = (f"In queue traffic each of the {len(weight):,} travellers stands for {mean:.6g} vehicles.",)
    return replace(population, weight=np.full(len(weight), mean)), notes


def _period_note(period_s: float) -> str:
    minutes = period_s / SECONDS_PER_MINUTE
    return f"In queue traffic the demand is that of the whole time in which people depart: {minutes:,.6g} minutes."


def _require_departures(population: Population) -> None:
    departure_s = population.departure_s
    bad = ~((departure_s >= 0) & (departure_s <= LATEST_S))
    if bad.any():
        traveller = int(np.argmax(bad))
        problem = f"departure {departure_s[traveller]:g}"
        raise InputError(problem, source="demand", where=f"traveller {traveller + 1}", allowed=f"seconds from 0 to {LATEST_S:g}")


def _coarser(network: RoadNetwork, grain: float) -> RoadNetwork:
    """Return the network for vehicles that stand for `grain` vehicles each."""
    if grain == 1.0:
        return network
    return network.replace(capacity_vph=network.capacity_vph / grain, lanes=network.lanes / grain)


def _without_signal_delay(built: BuiltScenario, signals: Signals | None) -> RoadNetwork:
    """Return the streets without the mean delay at signals where the signals themselves delay (`[network.junctions]`)."""
    junctions = getattr(built.spec.network, "junctions", None)
    if signals is None or junctions is None:
        return built.network
    share = np.divide(signals.green_s, signals.cycle_s, out=np.ones(built.network.n_links), where=signals.cycle_s > 0)
    delay_s = junctions.cycle_s * (1.0 - share) ** 2 / 2.0
    return built.network.replace(free_flow_time_s=np.maximum(built.network.free_flow_time_s - delay_s, 0.0))


def _signal_notes(settings: QueueSettings, signals: Signals | None) -> tuple[str, ...]:
    if not settings.signals:
        return ()
    n_lit = 0 if signals is None else int((signals.cycle_s > 0).sum())
    return (f"{n_lit:,} links have signals with a cycle of {settings.cycle_s:g} s; lights are not coordinated.",)
