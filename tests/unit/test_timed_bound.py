"""The minima under slot prices against a plain recursion, and marginal costs by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.queue_cases import PLENTY, finder_of, queues_of, small_cases

from sim.traffic.behaviour import one_shot
from sim.traffic.bound import BoundRules, Pricing, Slots, lower_bound
from sim.traffic.driven_day import drive
from sim.traffic.optimum import marginal_cost_tolls
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder

Case = tuple[QueueNetwork, PathFinder, np.ndarray]


def plain_minimum_s(case: Case, slots: Slots, price_s: np.ndarray, end_s: int) -> float:
    """Return the sum of everybody's cheapest cost where all happens on whole seconds: a value from above for each minimum."""
    network, finder, departure_s = case
    price: dict[tuple[int, int], float] = {}
    for row, link in enumerate(slots.link_idx.tolist()):
        for second in range(end_s + 1):
            slot = slots.start[row] + 1000 * second // slots.slot_ms[row]
            price[link, second] = price_s[slot] if slot < slots.start[row + 1] else 0.0
    total_s = 0.0
    for target in finder.targets.tolist():
        cost = np.full((end_s + 1, network.n_nodes), np.inf)
        for second in range(end_s, -1, -1):
            if second < end_s:
                cost[second] = cost[second + 1]
            cost[second, target] = second
            for link in range(network.n_links):
                then = second + int(network.free_flow_time_s[link])
                if then <= end_s:
                    value = cost[then, network.head_idx[link]] + price.get((link, then), 0.0)
                    cost[second, network.tail_idx[link]] = min(cost[second, network.tail_idx[link]], value)
        mine = finder.ends.destination_idx == target
        total_s += float((cost[departure_s[mine].astype(int), finder.ends.origin_idx[mine]] - departure_s[mine]).sum())
    return total_s


@given(small_cases(), st.integers(min_value=0, max_value=2**16), st.integers(min_value=1, max_value=4))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_minima_are_those_of_the_plain_recursion(drawn: Case, seed: int, n_priced: int) -> None:
    network, finder, departure_s = drawn
    departure_s = np.floor(departure_s) + 1.0
    luck = np.random.default_rng(seed)
    link_idx = np.sort(luck.choice(network.n_links, min(n_priced, network.n_links), replace=False)).astype(np.int32)
    start = 40 * np.arange(len(link_idx) + 1, dtype=np.int64)
    slots = Slots(link_idx, start, np.full(len(link_idx), 8000, dtype=np.int32), np.full(len(link_idx), 4, dtype=np.int32))
    price_s = luck.integers(0, 30, int(start[-1])).astype(np.float64)
    exact_s = plain_minimum_s((network, finder, departure_s), slots, price_s, 900)
    earlier_s = plain_minimum_s((network, finder, departure_s - 1.0), slots, price_s, 900)
    paid_s = float(price_s.sum()) * 4
    coarse_s, _ = Pricing(finder, departure_s, slots, 700).evaluate(price_s)
    fine_s, usage = Pricing(finder, departure_s, slots, 50).evaluate(price_s)
    assert coarse_s + paid_s <= exact_s + 1e-6
    # A cell early may save a slot; a second early saves at least as much.
    assert earlier_s - len(departure_s) - 1e-6 <= fine_s + paid_s <= exact_s + 1e-6
    assert usage.sum() <= len(departure_s) * network.n_links


def test_prices_of_one_bottleneck_prove_its_queue() -> None:
    # 40 vehicles at once, one in 3 s: even the best day waits 0 + 3 + ... + 117 = 2,340 s beyond 40 times 30 s of driving.
    network = queues_of([(0, 1, 20.0, 0.1, PLENTY), (1, 2, 10.0, 3.0, PLENTY)])
    finder = finder_of(network, [0] * 40, [2] * 40)
    driven = drive(network, one_shot(network, finder, np.zeros(40)))
    bound = lower_bound(finder, [driven], BoundRules(rounds=300, cell_s=0.2, last_cell_s=0.1, slot_s=3.0, step_s=20.0))
    assert bound.method == "prices" and bound.free_flow_time_s == 1200.0
    assert 0.94 * driven.total_time_s < bound.total_time_s <= driven.total_time_s == 1200.0 + 2340.0


def test_without_queues_the_bound_is_free_flow() -> None:
    network = queues_of([(0, 1, 20.0, 0.5, PLENTY)])
    finder = finder_of(network, [0, 0], [1, 1])
    driven = drive(network, one_shot(network, finder, np.array([0.0, 100.0])))
    bound = lower_bound(finder, [driven], BoundRules(rounds=1))
    assert (bound.total_time_s, bound.method, bound.n_priced) == (40.0, "free flow", 0)


def test_marginal_cost_is_the_headway_times_the_followers() -> None:
    # Ten vehicles leave at 20, 23, ..., 47 s, three more at 100, 103, 106 s. One more that leaves at 22.5 s puts nine off, one
    # that leaves at 57.5 s nobody, one that leaves at 97.5 s three.
    network = queues_of([(0, 1, 20.0, 3.0, PLENTY)])
    finder = finder_of(network, [0] * 13, [1] * 13)
    driven = drive(network, one_shot(network, finder, np.array([0.0] * 10 + [80.0, 80.0, 80.0])))
    tolls = marginal_cost_tolls(driven, 5.0)
    assert [tolls.toll_s[int(time // 5)] for time in (22.5, 57.5, 97.5)] == [27.0, 0.0, 9.0]
