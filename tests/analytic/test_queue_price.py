"""Dynamic equilibrium, best day and bound where the answer is known: two routes, a linear programme, departure-time choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from reference.queue_cases import PLENTY, finder_of, queues_of, small_cases
from reference.timed_search import slot_programme_s

from sim.errors import InputError
from sim.traffic.behaviour import one_shot
from sim.traffic.bound import BoundRules, lower_bound
from sim.traffic.departure_choice import Schedule, find_departure_equilibrium
from sim.traffic.driven_day import drive
from sim.traffic.equilibrium import EquilibriumRules, find_equilibrium, full_gap
from sim.traffic.optimum import OptimumRules, best_found
from sim.traffic.price import dynamic_price, price_of_days
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder


def test_two_routes_hold_the_fluid_price() -> None:
    # A vehicle a second for T = 1200 s. Route 1: 300 s, one vehicle in 2 s. Route 2: d = 200 s more, no limit.
    # Equilibrium: route 1 fills at rate 1 against 1/2, so after t1 = d = 200 s its queue costs 200 s, and both routes cost 500 s
    # from then on. Either way n1 = (T + d) / 2 = 700 drive route 1, as long as its last vehicle gains. Waits in equilibrium: d
    # t1 / 4 + d (T - t1) / 2 + d d / 4 = 120,000 s; in the optimum only the queue of the end: (t1 + d) d / 4 = 20,000 s.
    driving_s = 700 * 300 + 500 * 500
    fluid_price = (driving_s + 120_000) / (driving_s + 20_000)
    assert fluid_price == pytest.approx(1.208, abs=1e-3)
    network = queues_of([(0, 1, 300.0, 2.0, PLENTY), (0, 2, 250.0, 0.5, PLENTY), (2, 1, 250.0, 0.5, PLENTY)])
    departure_s = np.arange(1200.0)
    finder = finder_of(network, [0] * 1200, [1] * 1200)
    equilibrium = find_equilibrium(
        network, finder, one_shot(network, finder, departure_s), EquilibriumRules(gap=0.004, most_days=150), 1
    )
    best = best_found(finder, equilibrium.driven, OptimumRules(walk_days=30, rounds=60), 1)
    bound = lower_bound(
        finder, [equilibrium.driven, best.driven], BoundRules(rounds=120, cell_s=0.5, last_cell_s=0.25, slot_s=8, step_s=30)
    )
    price = price_of_days(equilibrium, best, bound)
    assert price.withheld is None and price.relative_gap < 0.015
    assert equilibrium.driven.total_time_s == pytest.approx(driving_s + 120_000, rel=0.01)
    assert best.driven.total_time_s == pytest.approx(driving_s + 20_000, rel=0.02)
    assert 0.985 * (driving_s + 20_000) < bound.total_time_s < 1.005 * (driving_s + 20_000)
    assert price.interval[0] - 0.01 < fluid_price < price.interval[1] + 0.01
    assert price.width < 0.04


def corridor() -> tuple[QueueNetwork, PathFinder, np.ndarray]:
    """Two stages, each with a fast way of 4 s headway and a slow one without limit; 120 vehicles, one in 2 s."""
    network = queues_of(
        [
            (0, 1, 40.0, 4.0, PLENTY), (0, 2, 60.0, 0.5, PLENTY), (2, 1, 60.0, 0.5, PLENTY),
            (1, 3, 20.0, 4.0, PLENTY), (1, 4, 50.0, 0.5, PLENTY), (4, 3, 50.0, 0.5, PLENTY),
        ]
    )  # fmt: skip
    return network, finder_of(network, [0] * 120, [3] * 120), np.arange(120) * 2.0


def grid() -> tuple[QueueNetwork, PathFinder, np.ndarray]:
    """A grid of 4 x 4 nodes with everybody bound for one corner."""
    rows = []
    for y in range(4):
        for x in range(4):
            for dx, dy in ((1, 0), (0, 1)):
                if x + dx < 4 and y + dy < 4:
                    here, there = 4 * y + x, 4 * (y + dy) + x + dx
                    free_s = 20.0 + 4.0 * ((3 * here + there) % 3)
                    rows += [(here, there, free_s, 4.0, PLENTY), (there, here, free_s, 4.0, PLENTY)]
    luck = np.random.default_rng(7)
    origin = luck.choice([0, 1, 2, 4, 5, 8], 100)
    return queues_of(rows), finder_of(queues_of(rows), origin.tolist(), [15] * 100), np.sort(luck.integers(0, 40, 100) * 4.0)


@pytest.mark.parametrize(("make", "slot_s", "near", "tight"), [(corridor, 4.0, 0.03, 0.01), (grid, 4.0, 0.06, 0.15)])
def test_best_day_and_bound_enclose_the_programme(make, slot_s: float, near: float, tight: float) -> None:  # type: ignore[no-untyped-def]
    spatial, finder, departure_s = make()
    # As in the programme, queues stand where they leave a link and block nobody who goes elsewhere.
    network = replace(spatial, entry_headway_s=np.zeros(spatial.n_links))
    first = drive(network, one_shot(network, finder, departure_s))
    best = best_found(finder, first, OptimumRules(walk_days=40, rounds=100, toll_step_s=4.0), 1)
    prices = lower_bound(
        finder, [first, best.driven], BoundRules(rounds=300, cell_s=0.5, last_cell_s=0.25, slot_s=slot_s, step_s=30)
    )
    best = best_found(finder, best.driven, OptimumRules(walk_days=20, rounds=100, toll_step_s=4.0), 2, [prices.tolls])
    programme_s = slot_programme_s(finder, best.driven, 4.0 if make is grid else 2.0, slot_s, 600.0)
    assert prices.total_time_s <= programme_s * (1 + 1e-9)
    assert prices.total_time_s >= programme_s * (1 - tight)
    assert best.driven.total_time_s <= programme_s * (1 + near)
    assert best.driven.total_time_s >= prices.total_time_s


@given(small_cases())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_no_day_beats_the_bound(case: tuple[QueueNetwork, PathFinder, np.ndarray]) -> None:
    network, finder, departure_s = case
    first = drive(network, one_shot(network, finder, departure_s))
    found = best_found(finder, first, OptimumRules(walk_days=3, rounds=5), 1)
    bound = lower_bound(finder, [first, found.driven], BoundRules(rounds=15, cell_s=1, last_cell_s=0.5, slot_s=15, step_s=5))
    free_s = float(finder.free_time_s.sum())
    assert free_s <= bound.total_time_s <= found.driven.total_time_s * (1 + 1e-9)
    assert found.driven.total_time_s <= first.total_time_s
    # A bound is one of every day of these trips, not only of the day that said where to price.
    other = find_equilibrium(network, finder, first.trips, EquilibriumRules(gap=0.0, most_days=3), 2)
    assert bound.total_time_s <= other.driven.total_time_s * (1 + 1e-9)


def test_the_best_day_never_gets_worse_and_is_the_best() -> None:
    network, finder, departure_s = corridor()
    first = drive(network, one_shot(network, finder, departure_s))
    found = best_found(finder, first, OptimumRules(walk_days=10, rounds=20), 1)
    assert (np.diff(found.history_s) <= 0).all()
    assert found.history_s[-1] == found.driven.total_time_s < first.total_time_s


def test_equilibrium_says_its_gap_and_repeats() -> None:
    network, finder, departure_s = corridor()
    trips = one_shot(network, finder, departure_s)
    rules = EquilibriumRules(gap=0.0, most_days=40)
    found = find_equilibrium(network, finder, trips, rules, 1)
    assert found.stopped_because == "days" and len(found.history) == 40
    assert found.relative_gap == full_gap(finder, found.driven) < 0.03 < full_gap(finder, drive(network, trips))
    again = find_equilibrium(network, finder, trips, rules, 1)
    assert again.driven.trips.path_link.tobytes() == found.driven.trips.path_link.tobytes()
    assert again.history == found.history


def test_departure_choice_at_a_bottleneck_costs_what_vickrey_says() -> None:
    # 300 vehicles, 2 s apart at best: early late / (early + late) N h = 0.5 * 2 / 2.5 * 600 = 240 s, and 20 s of driving.
    network = queues_of([(0, 1, 10.0, 0.1, PLENTY), (1, 2, 10.0, 2.0, PLENTY)])
    finder = finder_of(network, [0] * 300, [2] * 300)
    first = one_shot(network, finder, np.linspace(0.0, 1500.0, 300))
    schedule = Schedule(np.full(300, 1000.0), early=0.5, late=2.0, window_s=(0.0, 1500.0))
    found = find_departure_equilibrium(
        network, finder, first, schedule, EquilibriumRules(gap=0.0, most_days=250, exponent=0.8, gain_scale=0.2), 1
    )
    assert np.mean(found.mean_cost_s[-50:]) == pytest.approx(260.0, rel=0.05)
    # Arrivals fill the time from N h late / (early + late) = 480 s before the wished one to 120 s after it, but for some
    # stragglers.
    arrival_s = found.driven.trips.departure_s + found.driven.travel_time_s
    assert ((arrival_s > 480.0) & (arrival_s < 1160.0)).mean() > 0.85


def test_a_wide_gap_withholds_the_price() -> None:
    price = dynamic_price(120.0, 0.031, 100.0, 90.0)
    assert price.ratio is None and price.withheld is not None and "3.10%" in price.withheld
    assert price.interval == (1.2, 120.0 / 90.0)
    told = dynamic_price(120.0, 0.03, 100.0, 90.0)
    assert told.ratio == 1.2 and told.withheld is None
    assert dynamic_price(95.0, 0.0, 100.0, 90.0).ratio == 1.0


def test_contradictions_are_refused() -> None:
    with pytest.raises(InputError, match="lower bound"):
        dynamic_price(120.0, 0.0, 100.0, 101.0)
    with pytest.raises(InputError, match="best found"):
        dynamic_price(120.0, 0.0, 0.0, 90.0)
    with pytest.raises(InputError, match="rounds"):
        BoundRules(rounds=0)
    with pytest.raises(InputError, match="first_share"):
        OptimumRules(first_share=0.0)
    with pytest.raises(InputError, match="gap"):
        EquilibriumRules(gap=1.0)
    with pytest.raises(InputError, match="early"):
        Schedule(np.zeros(1), early=1.0, late=2.0, window_s=(0.0, 1.0))
