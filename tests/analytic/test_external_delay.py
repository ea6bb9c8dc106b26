"""What one more vehicle costs the others: charges from the day's records against days that are driven again with one more."""

from __future__ import annotations

import numpy as np
import pytest
from reference.queue_cases import PLENTY, queues_of

from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.external_delay import charges_s, external_delay_tolls, memory_of
from sim.traffic.passages import charge_at, path_times_s
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import Tolls
from sim.traffic.trips import Trips


def trips_of(vehicles: list[tuple[float, list[int]]]) -> Trips:
    start = np.cumsum([0, *(len(path) for _, path in vehicles)])
    return Trips(np.array([at for at, _ in vehicles]), start, np.array([a for _, path in vehicles for a in path], np.int32))


def with_one_more(network: QueueNetwork, vehicles: list[tuple[float, list[int]]], more: tuple[float, list[int]]) -> float:
    """Seconds that one more vehicle costs the others together."""
    before = drive(network, trips_of(vehicles)).total_time_s
    after = drive(network, trips_of([*vehicles, more]))
    return float(after.travel_time_s[:-1].sum()) - before


def bottleneck_day() -> tuple[QueueNetwork, list[tuple[float, list[int]]], DrivenDay]:
    """40 vehicles a second apart before a bottleneck of 3 s: a queue until the 40th has left at 10 + 39 * 3 + 5 s."""
    network = queues_of([(0, 1, 10.0, 0.5, PLENTY), (1, 2, 5.0, 3.0, PLENTY)])
    vehicles = [(float(k), [0, 1]) for k in range(40)]
    return network, vehicles, drive(network, trips_of(vehicles))


def test_at_one_bottleneck_it_is_headway_times_followers() -> None:
    """The formula of one queue: behind vehicle n there are 39 - n, each put off by 3 s."""
    _, _, day = bottleneck_day()
    charge = charges_s(day)
    rows = slice(day.records.start[1], day.records.start[2])
    np.testing.assert_allclose(charge[rows], 3.0 * (39 - np.arange(40)))
    assert not charge[: day.records.start[1]].any()


@pytest.mark.parametrize("behind", [0, 7, 20, 38])
def test_the_charge_is_what_one_more_vehicle_does(behind: int) -> None:
    network, vehicles, day = bottleneck_day()
    charge = charges_s(day)[day.records.start[1] + behind]
    assert with_one_more(network, vehicles, (behind + 0.5, [0, 1])) == pytest.approx(charge)


def test_a_delay_that_a_later_queue_absorbs_costs_nothing_twice() -> None:
    """Two bottlenecks one after the other, the second slower: the queue at the first only feeds the one at the second."""
    network = queues_of([(0, 1, 10.0, 0.5, PLENTY), (1, 2, 5.0, 2.0, PLENTY), (2, 3, 5.0, 4.0, PLENTY)])
    vehicles = [(float(k), [0, 1, 2]) for k in range(30)]
    day = drive(network, trips_of(vehicles))
    charge = charges_s(day)
    _, exit_s = path_times_s(day)
    assert exit_s[-1] == 20.0 + 29 * 4.0
    whole = sum(float(charge[day.records.start[link] + 10]) for link in range(3))
    assert whole == pytest.approx(with_one_more(network, vehicles, (10.5, [0, 1, 2])))
    assert whole == pytest.approx(4.0 * 19)


def test_who_is_stuck_behind_a_full_link_counts_too() -> None:
    """Spillback: the queue before link 1 holds up those who only want to pass by into link 2."""
    network = queues_of([(0, 1, 10.0, 0.5, 200), (1, 2, 5.0, 4.0, 3), (1, 3, 5.0, 0.5, PLENTY)])
    to_queue = [(2.0 * k, [0, 1]) for k in range(25)]
    passing = [(2.0 * k + 1.0, [0, 2]) for k in range(25)]
    day = drive(network, trips_of(to_queue + passing))
    charge = charges_s(day)
    into_queue = np.flatnonzero(day.records.vehicle_idx == 6)
    formula = 4.0 * 18
    found = float(charge[into_queue].sum())
    true = with_one_more(network, to_queue + passing, (12.5, [0, 1]))
    assert true > 1.5 * formula
    assert found == pytest.approx(true, rel=0.1)


def test_only_those_who_count_are_counted() -> None:
    _, _, day = bottleneck_day()
    worth = np.where(np.arange(40) % 2 == 0, 2.0, 0.0)
    rows = slice(day.records.start[1], day.records.start[2])
    followers = np.array([worth[n + 1 :].sum() for n in range(40)])
    np.testing.assert_allclose(charges_s(day, worth)[rows], 3.0 * followers)


def test_tolls_are_means_by_step_and_are_read_at_the_time_of_leaving() -> None:
    _, _, day = bottleneck_day()
    tolls = external_delay_tolls(day, 30.0)
    rows = slice(day.records.start[1], day.records.start[2])
    exit_s, charge = day.records.exit_s[rows], charges_s(day)[rows]
    for step in range(tolls.start[2] - tolls.start[1]):
        inside = (exit_s >= 30.0 * step) & (exit_s < 30.0 * (step + 1))
        wanted = charge[inside].mean() if inside.any() else 0.0
        assert charge_at(tolls, np.array([1], np.int32), np.array([30.0 * step + 1.0]))[0] == pytest.approx(wanted)
    assert charge_at(tolls, np.array([1], np.int32), np.array([1e6]))[0] == 0.0


def test_memory_weighs_the_past_step_by_step() -> None:
    one = Tolls(np.array([0, 2, 2]), np.array([10.0, 20.0]), np.array([30.0, 30.0]))
    two = Tolls(np.array([0, 1, 3]), np.array([4.0, 6.0, 8.0]), np.array([30.0, 30.0]))
    both = memory_of(one, two, 0.75)
    assert both.start.tolist() == [0, 2, 4]
    np.testing.assert_allclose(both.toll_s, [8.5, 15.0, 1.5, 2.0])
    assert memory_of(None, two, 0.75) is two
