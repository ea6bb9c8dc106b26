"""Worlds of queue traffic: ticks, decisions, agents, gridlock that holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from reference.queue_days import queues_of, trips_of

from sim.agents.driver import Driver
from sim.demand.population import OdMatrix, Population
from sim.errors import InputError
from sim.mechanisms.driving import FollowNews, FollowPlan
from sim.queue_model import ARRIVED, LOCKED, DayRules, QueueCityModel
from sim.traffic.behaviour import reactive
from sim.traffic.driven_day import drive
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.search_graph import search_graph
from sim.traffic.timed_paths import PathFinder, TripEnds
from sim.traffic.trips import Trips

TICKS = (60.0, 7.0, 1.0, 1000.0)
N_VEHICLES = 60


def two_roads() -> QueueNetwork:
    """A short road over the node 1 whose second link is narrow, and a long wide one over the node 2, from node 0 to 3."""
    return queues_of(
        [(0, 1), (1, 3), (0, 2), (2, 3)],
        free_flow_time_s=[10.0, 10.0, 20.0, 20.0],
        headway_s=[1.0, 6.0, 1.0, 1.0],
        storage_veh=[8, 8, 50, 50],
    )


def people(n_travellers: int) -> Population:
    zones = np.array([1, 2])
    od = OdMatrix(zones, np.array([0], dtype=np.int32), np.array([1], dtype=np.int32), np.array([float(n_travellers)]))
    column = np.zeros(n_travellers)
    return Population(od, np.array([0, n_travellers]), column.astype(np.int32), column + 1.0, column, column + 3600.0)


def finder_of(network: QueueNetwork, n_vehicles: int = N_VEHICLES) -> PathFinder:
    ends = TripEnds(np.zeros(n_vehicles, dtype=np.int32), np.full(n_vehicles, 3, dtype=np.int32))
    return PathFinder(search_graph(network), ends)


def departures_s() -> np.ndarray:
    return np.arange(N_VEHICLES) * 2.0


def plan() -> Trips:
    """Two in three take the short road."""
    return trips_of([(float(when), [2, 3] if row % 3 == 0 else [0, 1]) for row, when in enumerate(departures_s())])


@pytest.mark.parametrize("tick_s", TICKS)
def test_a_plan_is_driven_as_without_a_world_whatever_the_tick(tick_s: float) -> None:
    network, trips = two_roads(), plan()
    world = QueueCityModel(network, people(N_VEHICLES), FollowPlan("selfish", trips), rules=DayRules(tick_s=tick_s))
    world.run_day()
    alone = drive(network, trips)
    assert world.stopped_because == ARRIVED
    assert world.driven.travel_time_s.tobytes() == alone.travel_time_s.tobytes()
    assert world.driven.records.exit_s.tobytes() == alone.records.exit_s.tobytes()
    assert world.driven.trips is trips
    assert world.ticks == int(np.ceil(world.clock_s / tick_s - 1e-9))
    world.close()


def test_a_step_is_a_tick_and_nothing_happens_after_the_day() -> None:
    world = QueueCityModel(two_roads(), people(N_VEHICLES), FollowPlan("selfish", plan()), rules=DayRules(tick_s=10.0))
    for tick in range(1, 4):
        world.step()
        assert world.clock_s == tick * 10.0
        assert world.loading.n_on_links + world.loading.n_at_origins + world.loading.n_arrived == N_VEHICLES
    world.run_day()
    clock_s = world.clock_s
    world.step()
    assert world.clock_s == clock_s
    traveller = world.travellers[3]
    assert traveller.travel_time_s == world.driven.travel_time_s[3] == traveller.arrival_s - 6.0
    assert traveller.weight == 1.0
    world.close()


@pytest.mark.parametrize("bin_s", [60.0, 7.0])
@pytest.mark.parametrize("tick_s", TICKS)
def test_news_comes_at_its_own_times_whatever_tick_and_bin(tick_s: float, bin_s: float) -> None:
    network = two_roads()
    finder = finder_of(network)
    alone, _ = reactive(network, finder, departures_s(), every_s=15.0, share=0.8, seed=1)
    rule = FollowNews(network, finder, departures_s(), share=0.8, every_s=15.0, on_the_road=True, seed=1)
    world = QueueCityModel(network, people(N_VEHICLES), rule, rules=DayRules(tick_s=tick_s, bin_s=bin_s))
    world.run_day()
    assert world.driven.travel_time_s.tobytes() == alone.travel_time_s.tobytes()
    assert world.driven.trips.path_link.tobytes() == alone.trips.path_link.tobytes()
    assert world.rerouted > 0
    world.close()


def test_news_at_departure_alone_spreads_people_over_both_roads() -> None:
    network = two_roads()
    rule = FollowNews(network, finder_of(network), departures_s(), share=1.0, every_s=10.0, on_the_road=False, seed=1)
    world = QueueCityModel(network, people(N_VEHICLES), rule)
    world.run_day()
    first = world.driven.trips.path_link[world.driven.trips.path_start[:-1]]
    assert set(first.tolist()) == {0, 2}
    assert first[0] == 0  # the first ones find the short road empty
    assert world.rerouted == N_VEHICLES
    world.close()


class TakesTheLongRoad(Driver):
    """Everybody who decides takes the long road; the others do what their rule says."""

    decides = True
    ended = 0

    def choose_way(self, node_idx: int) -> Sequence[int] | None:
        return [2, 3] if node_idx == 0 and self.row % 2 == 0 else None

    def day_ended(self) -> None:
        type(self).ended += 1


def test_agents_that_decide_are_asked_at_decision_points() -> None:
    network = two_roads()
    rule = FollowNews(network, finder_of(network), departures_s(), share=0.0, every_s=10.0, on_the_road=True, seed=1)
    world = QueueCityModel(network, people(N_VEHICLES), rule, driver=TakesTheLongRoad)
    world.run_day()
    first = world.driven.trips.path_link[world.driven.trips.path_start[:-1]]
    assert (first[::2] == 2).all()
    assert (first[1::2] == 0).all()
    assert TakesTheLongRoad.ended == N_VEHICLES
    world.close()
    with pytest.raises(InputError, match="decision points"):
        QueueCityModel(network, people(N_VEHICLES), FollowPlan("selfish", plan()), driver=TakesTheLongRoad)


@pytest.mark.parametrize("tick_s", [1.0, 500.0])
def test_gridlock_that_holds_ends_the_day(tick_s: float) -> None:
    """Three links in a ring with one place each, and on each a vehicle that wants on to the next."""
    ring = queues_of([(0, 1), (1, 2), (2, 0)], storage_veh=1)
    trips = trips_of([(0.0, [0, 1]), (0.0, [1, 2]), (0.0, [2, 0])])
    held = QueueCityModel(ring, people(3), FollowPlan("selfish", trips), rules=DayRules(tick_s=tick_s, gridlock="hold"))
    held.run_day()
    assert held.stopped_because == LOCKED
    assert np.isinf(held.driven.travel_time_s).all()
    held.close()
    moved = QueueCityModel(ring, people(3), FollowPlan("selfish", trips), rules=DayRules(tick_s=tick_s))
    moved.run_day()
    assert (moved.stopped_because, moved.driven.rotations, moved.driven.rotated_vehicles) == (ARRIVED, 1, 3)
    moved.close()


def test_present_times_are_at_least_free_flow_and_show_the_queue() -> None:
    network = two_roads()
    everybody = trips_of([(float(when), [0, 1]) for when in departures_s()])
    world = QueueCityModel(network, people(N_VEHICLES), FollowPlan("selfish", everybody), rules=DayRules(tick_s=60.0))
    world.step()
    world.step()
    assert (world.present_times_s() >= network.free_flow_time_s).all()
    assert world.present_times_s()[0] > 3 * network.free_flow_time_s[0]
    assert world.present_times_s()[2] == network.free_flow_time_s[2]
    world.close()


def test_a_tick_must_be_a_time() -> None:
    with pytest.raises(InputError, match="tick_s"):
        DayRules(tick_s=0.0)
