"""The night between two days: the queues' response by hand and against a plain twin, and who changes his way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.queue_cases import PLENTY, finder_of, queues_of, small_cases
from reference.timed_search import PlainResponse

from sim.errors import InputError
from sim.kernels.timed_response import Response, anchor, change_ways
from sim.kernels.timed_search import Day
from sim.traffic.behaviour import one_shot
from sim.traffic.bound import BoundRules, lower_bound
from sim.traffic.driven_day import DrivenDay, drive
from sim.traffic.equilibrium import EquilibriumRules, find_equilibrium, full_gap
from sim.traffic.night import changed_overnight, incremental_trips
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, path_costs
from sim.traffic.trips import Trips

Case = tuple[QueueNetwork, PathFinder, np.ndarray]


def respond(driven: DrivenDay, n_steps: int, step_s: float) -> tuple[Day, Response]:
    """Return the day that a night reckons with, and its tables."""
    n_rows = 2 * driven.network.n_links
    tables = [np.zeros((n_rows, n_steps), dtype=np.float32) for _ in range(5)]
    response = Response(step_s, tables[0], np.zeros(n_rows, dtype=np.bool_), *tables[1:])
    anchor(driven.day, response)
    return driven.day._replace(live=response.live, extra_s=response.extra_s, width_s=step_s), response


def two_ways() -> tuple[QueueNetwork, PathFinder]:
    """A fast way that lets one out in 4 s and a slow one without limit, for 60 vehicles; queues stand where they leave a link."""
    network = queues_of([(0, 1, 20.0, 4.0, PLENTY), (0, 2, 40.0, 0.5, PLENTY), (2, 1, 40.0, 0.5, PLENTY)])
    network = replace(network, entry_headway_s=np.zeros(3))
    return network, finder_of(network, [0] * 60, [1] * 60)


def test_one_vehicle_less_is_a_headway_less_for_those_behind() -> None:
    # 60 vehicles, one a second, all by the fast way: who comes at t waits 3 t seconds. Without the one of second 12 those after
    # it wait 4 s less, for as long as the queue stands.
    network, finder = two_ways()
    departure_s = np.arange(60.0)
    driven = drive(network, one_shot(network, finder, departure_s))
    tonight, response = respond(driven, 40, 10.0)
    slow = np.array([1, 2], dtype=np.int32)
    one, fast = np.array([0, 1]), np.array([0], dtype=np.int32)
    before_s = path_costs(tonight, np.array([5.0, 35.0, 55.0]), np.arange(4), np.zeros(3, dtype=np.int32))
    change_ways(tonight, response, np.array([12.0]), one, fast, np.array([0, 2]), slow, np.zeros(6, dtype=np.bool_))
    after_s = path_costs(tonight, np.array([5.0, 35.0, 55.0]), np.arange(4), np.zeros(3, dtype=np.int32))
    assert before_s - after_s == pytest.approx([0.0, 4.0, 4.0], abs=0.2)
    assert response.live.tolist() == [True] + 5 * [False]
    change_ways(tonight, response, np.array([12.0]), np.array([0, 2]), slow, one, fast, np.zeros(6, dtype=np.bool_))
    assert not response.live.any()


@given(small_cases(), st.sampled_from([5.0, 20.0, 60.0]), st.integers(min_value=0, max_value=2**16))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_response_is_that_of_the_plain_twin(case: Case, step_s: float, seed: int) -> None:
    network, finder, departure_s = case
    driven = drive(network, one_shot(network, finder, departure_s))
    n_steps = int(1.2 * float(driven.records.exit_s.max()) / step_s) + 2
    tonight, response = respond(driven, n_steps, step_s)
    assert not response.live.any()
    luck = np.random.default_rng(seed)
    plain = PlainResponse(driven, n_steps, step_s)
    for link in range(network.n_links):
        assert response.base_s[link] == pytest.approx(plain.base_s[link], abs=1e-3)
    # With nothing changed the recursion gives the waits of the day.
    assert plain.waits_s(0, [0.0] * n_steps) == pytest.approx(plain.base_s[0], abs=1e-6)
    vehicle = int(luck.integers(len(departure_s)))
    first, past = driven.trips.path_start[vehicle : vehicle + 2]
    own = driven.trips.path_link[first:past]
    entered = [
        float(driven.records.entry_s[driven.records.start[link] : driven.records.start[link + 1]][at])
        for link in own.tolist()
        for at in [
            driven.records.vehicle_idx[driven.records.start[link] : driven.records.start[link + 1]].tolist().index(vehicle)
        ]
    ]
    nothing = np.zeros(0, dtype=np.int32)
    start, none = np.array([0, len(own)]), np.array([0, 0])
    change_ways(
        tonight,
        response,
        departure_s[vehicle : vehicle + 1],
        start,
        own,
        none,
        nothing,
        np.zeros(2 * network.n_links, dtype=np.bool_),
    )
    for link, entry_s in zip(own.tolist(), entered, strict=True):
        change = [0.0] * n_steps
        change[int(entry_s / step_s)] -= 1.0
        extra_s = np.array(plain.waits_s(link, change)) - plain.base_s[link]
        assert response.extra_s[link] == pytest.approx(extra_s, abs=0.02)


def test_groups_share_out_where_all_at_once_would_meet() -> None:
    network, finder = two_ways()
    departure_s = np.arange(60.0)
    crowded = drive(network, one_shot(network, finder, departure_s))
    options = {"share": 1.0, "threshold": 0.01, "step_s": 10.0, "seed": 1, "day": 0}
    at_once = changed_overnight(finder, crowded, None, groups=1, **options)  # type: ignore[arg-type]
    shared = changed_overnight(finder, crowded, None, groups=60, **options)  # type: ignore[arg-type]
    assert shared.switched < at_once.switched
    assert full_gap(finder, drive(network, shared.trips)) < 0.6 * full_gap(finder, drive(network, at_once.trips))


@given(small_cases(), st.integers(min_value=1, max_value=9))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_night_changes_only_gainers_and_repeats(case: Case, groups: int) -> None:
    network, finder, departure_s = case
    driven = drive(network, one_shot(network, finder, departure_s))
    nights = [
        changed_overnight(finder, driven, None, share=0.7, threshold=0.05, groups=groups, step_s=10.0, seed=3, day=2)
        for _ in range(2)
    ]
    assert nights[0].trips.path_link.tobytes() == nights[1].trips.path_link.tobytes()
    assert nights[0].switched <= nights[0].asked <= len(departure_s)
    free = driven.travel_time_s <= finder.free_time_s * (1 + 1e-9)
    for vehicle in np.flatnonzero(free).tolist():
        now = nights[0].trips.path_link[slice(*nights[0].trips.path_start[vehicle : vehicle + 2])]
        assert now.tolist() == driven.trips.path_link[slice(*driven.trips.path_start[vehicle : vehicle + 2])].tolist()


def test_everybody_asked_gives_the_gap_itself() -> None:
    network, finder = two_ways()
    driven = drive(network, one_shot(network, finder, np.arange(60.0)))
    night = changed_overnight(finder, driven, None, share=100.0, threshold=1e9, groups=1, step_s=10.0, seed=1, day=0)
    assert night.asked == 59 and night.switched == 0  # the first one has no delay and is not asked
    assert night.relative_gap == pytest.approx(full_gap(finder, driven), rel=1e-9)


@given(small_cases())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_incremental_ways_lead_everybody_home(case: Case) -> None:
    network, finder, departure_s = case
    trips = incremental_trips(network, finder, departure_s, 1, groups=7, step_s=5.0)
    trips.require_fit(network)
    last = trips.path_link[trips.path_start[1:] - 1]
    first = trips.path_link[trips.path_start[:-1]]
    assert (network.head_idx[last] == finder.ends.destination_idx).all()
    assert (network.tail_idx[first] == finder.ends.origin_idx).all()


def test_incremental_ways_know_the_queues_of_those_before() -> None:
    network, finder = two_ways()
    departure_s = np.arange(60.0)
    trips: Trips = incremental_trips(network, finder, departure_s, 1, groups=60, step_s=5.0)
    spread, crowded = drive(network, trips), drive(network, one_shot(network, finder, departure_s))
    assert spread.total_time_s < 0.8 * crowded.total_time_s
    # Who departs early and is placed late puts off those placed before him, so that it is no equilibrium.
    assert full_gap(finder, spread) < 0.6 * full_gap(finder, crowded)
    with pytest.raises(InputError, match="groups"):
        incremental_trips(network, finder, departure_s, 1, groups=0)


def test_a_queue_at_the_origin_answers_too() -> None:
    # Where entries are 4 s apart as well, the queue of the fast way stands outside, at its origin.
    network = queues_of([(0, 1, 20.0, 4.0, PLENTY), (0, 2, 40.0, 0.5, PLENTY), (2, 1, 40.0, 0.5, PLENTY)])
    finder = finder_of(network, [0] * 60, [1] * 60)
    driven = drive(network, one_shot(network, finder, np.arange(60.0)))
    tonight, response = respond(driven, 40, 10.0)
    fast, one, none = np.array([0], dtype=np.int32), np.array([0, 1]), np.array([0, 0])
    asked = np.array([5.0, 35.0, 55.0]), np.arange(4), np.zeros(3, dtype=np.int32)
    before_s = path_costs(tonight, *asked)
    change_ways(tonight, response, np.array([12.0]), one, fast, none, fast[:0], np.zeros(6, dtype=np.bool_))
    assert before_s - path_costs(tonight, *asked) == pytest.approx([0.0, 4.0, 4.0], abs=0.2)
    assert response.live.tolist() == [False, False, False, True, False, False]


def test_a_capacity_that_blocks_from_beyond_counts_as_the_links_own() -> None:
    # Link 1 lets one out in 10 s and holds two; the queue stands in link 0, whose own headway is 1 s.
    network = queues_of([(0, 1, 10.0, 1.0, PLENTY), (1, 2, 10.0, 10.0, 2)])
    network = replace(network, backward_time_s=np.full(2, 0.5))
    finder = finder_of(network, [0] * 30, [2] * 30)
    driven = drive(network, one_shot(network, finder, np.arange(30.0) * 2.0))
    _, response = respond(driven, 60, 20.0)
    queued = response.base_s[0, 1:3]
    assert (queued > 0).all() and response.work_s[0, 1] == pytest.approx(10.0, rel=0.1)


def test_nights_rounds_and_bound_are_the_same_on_one_and_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    luck = np.random.default_rng(3)
    pairs = [(node, (node + step) % 12) for node in range(12) for step in (1, 5)]
    network = queues_of([(a, b, 20.0 + a, 3.0, 20) for a, b in pairs])
    origin = luck.integers(0, 12, 400)
    finder = finder_of(network, origin.tolist(), ((origin + luck.integers(1, 12, 400)) % 12).tolist())
    departure_s = np.sort(luck.uniform(0, 600, 400))
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("ROUTEPACT_THREADS", threads)
        first = incremental_trips(network, finder, departure_s, 4)
        rules = EquilibriumRules(gap=0.0, most_days=4, rounds=3, response_step_s=10.0)
        equilibrium = find_equilibrium(network, finder, first, rules, 4)
        bound = lower_bound(finder, [equilibrium.driven], BoundRules(rounds=4))
        columns = first.path_link, equilibrium.driven.trips.path_link, bound.tolls.toll_s
        found.append([column.tobytes() for column in columns] + [equilibrium.history, bound.rounds_s])
    assert found[0] == found[1]
    history = equilibrium.history
    assert len(history) == 7 and equilibrium.stopped_because == "rounds"
    assert equilibrium.relative_gap == min(record.relative_gap for record in history[3:]) == full_gap(finder, equilibrium.driven)
