"""Any small day: charges against their slow twin, incidents, and a market after which nobody is below his baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.external_delay import charges
from reference.queue_cases import queues_of, small_cases

from sim.mechanisms.day_ahead import DayAhead, DayAheadRules
from sim.negotiation.plan_deals import Charges, plan_deals
from sim.traffic.behaviour import one_shot
from sim.traffic.driven_day import drive
from sim.traffic.external_delay import charges_s
from sim.traffic.incidents import Incident
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder, empty_day, path_costs
from sim.traffic.trips import Trips

Case = tuple[QueueNetwork, PathFinder, np.ndarray]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_cases())
def test_charges_equal_the_twin(case: Case) -> None:
    network, finder, departure_s = case
    day = drive(network, one_shot(network, finder, departure_s))
    np.testing.assert_allclose(charges_s(day), charges(day), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_cases(), st.floats(0.0, 100.0), st.floats(1.0, 200.0), st.sampled_from([0.0, 0.3, 0.7]), st.integers(0, 3))
def test_an_incident_holds_its_link(case: Case, from_s: float, length_s: float, share: float, link: int) -> None:
    """Nobody leaves a closed link, a narrowed one keeps its headway, and the cut into calls changes no bit."""
    network, finder, departure_s = case
    incident = Incident(link % network.n_links, from_s, from_s + length_s, share)
    hit = replace(network, incidents=(incident,))
    trips = one_shot(network, finder, departure_s)
    day = drive(hit, trips)
    records = day.records
    exit_s = records.exit_s[records.start[incident.link_idx] : records.start[incident.link_idx + 1]]
    inside = exit_s[(exit_s >= incident.from_s) & (exit_s < incident.to_s)]
    headway_s = network.headway_s[incident.link_idx]
    if day.rotations == 0:
        if share > 0:
            assert (np.diff(inside) >= headway_s / share - 1e-9).all()
        else:
            assert len(inside) <= 1  # one who waited for the next link when it closed
    pieces = Loading(hit, trips, LoadingOptions(record="all"))
    for step in range(1, 60):
        pieces.advance(step * 7.3)
    twin = pieces.copy()
    pieces.run()
    twin.run()
    assert pieces.travel_time_s().tolist() == twin.travel_time_s().tolist() == day.travel_time_s.tolist()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(0.0, 100.0), st.floats(1.0, 100.0), st.floats(0.0, 200.0))
def test_one_more_vehicle_waits_at_a_closed_link(from_s: float, length_s: float, departure_s: float) -> None:
    """Alone in the network: it leaves when it gets to the head, or when the link opens."""
    network = queues_of([(0, 1, 10.0, 2.0, 8)])
    hit = replace(network, incidents=(Incident(0, from_s, from_s + length_s),))
    way = np.array([0, 1]), np.array([0], np.int32)
    ready_s = departure_s + 10.0
    wanted_s = max(ready_s, from_s + length_s) if from_s < ready_s else ready_s
    found_s = departure_s + path_costs(empty_day(hit), np.array([departure_s]), *way)[0]
    driven = drive(hit, Trips(np.array([departure_s]), *way))
    assert np.isclose(found_s, wanted_s) or np.isclose(ready_s, from_s)
    assert np.isclose(departure_s + driven.travel_time_s[0], wanted_s) or np.isclose(ready_s, from_s)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(small_cases(), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 30.0]), st.integers(0, 100))
def test_no_day_of_the_market_is_worse_for_its_members(case: Case, alpha: float, shift_s: float, seed: int) -> None:
    network, finder, departure_s = case
    baseline = drive(network, one_shot(network, finder, departure_s))
    is_member = np.random.default_rng(seed).random(len(departure_s)) < alpha
    worth = np.random.default_rng(seed + 1).uniform(0.5, 2.0, len(departure_s))
    rules = DayAheadRules(days=3, rehearsals=3, shift_s=shift_s, shift_step_s=10.0, fee=0.1, step_s=10.0, most_gap=1.0)
    market = DayAhead(finder, baseline, is_member, worth, rules, seed)
    market.run()
    gains = [day.gain for day in market.days]
    assert gains == sorted(gains) and gains[0] >= 0.0
    compared = market.agreement
    saved = compared.costs(baseline)[is_member].sum() - compared.costs(market.driven)[is_member].sum()
    assert saved >= market.gain - 1e-9
    assert market.called_off == (market.gain == 0.0)
    moved = compared.moved(market.driven.trips)
    assert not moved[~is_member].any()
    if market.called_off:
        assert market.driven is baseline
    shift = market.driven.trips.departure_s - baseline.trips.departure_s
    assert not shift[~is_member].any() and (np.abs(shift) <= shift_s + 1e-9).all()
    again = DayAhead(finder, baseline, is_member, worth, rules, seed)
    again.run()
    assert [day.total_time_s for day in again.days] == [day.total_time_s for day in market.days]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 2**16), st.integers(1, 8), st.floats(0.0, 1.0))
def test_every_deal_adds_up(seed: int, n_movers: int, theta: float) -> None:
    """Payments of the links = price + fee; no fund pays more than its relief or is paid for it; loaded links are made whole."""
    luck = np.random.default_rng(seed)
    n_links, n_travellers = 12, 10

    def charges_of() -> Charges:
        length = luck.integers(1, 6, n_travellers)
        start = np.concatenate([[0], np.cumsum(length)])
        link = np.concatenate([luck.permutation(n_links)[:size] for size in length]).astype(np.int32)
        return Charges(start, link, luck.uniform(0.0, 50.0, int(start[-1])) * (luck.random(int(start[-1])) < 0.7))

    before, after = charges_of(), charges_of()
    mover = np.sort(luck.permutation(n_travellers)[:n_movers]).astype(np.int32)
    loss, fee = luck.normal(0.0, 60.0, n_movers), luck.uniform(0.0, 3.0, n_movers)
    deals = plan_deals(mover, before, after, loss, fee, surplus_to_mover=theta, n_links=n_links)
    for deal in range(deals.n_deals):
        rows = slice(deals.start[deal], deals.start[deal + 1])
        traveller = int(mover[deal])
        change = np.zeros(n_links)
        for charges_, sign in ((before, 1.0), (after, -1.0)):
            own = slice(charges_.path_start[traveller], charges_.path_start[traveller + 1])
            np.add.at(change, charges_.path_link[own], sign * charges_.charge[own])
        pays = np.zeros(n_links)
        pays[deals.link[rows]] = deals.fund_pays[rows]
        assert np.isclose(pays.sum(), deals.to_mover[deal] + fee[deal])
        np.testing.assert_allclose(pays[change < 0], change[change < 0])
        assert (pays[change > 0] >= -1e-9).all() and (pays[change > 0] <= change[change > 0] + 1e-9).all()
        assert not pays[change == 0].any()
        if deals.surplus[deal] > 0 and loss[deal] >= -(np.maximum(-change, 0).sum() + fee[deal]):
            assert np.isclose(deals.to_mover[deal], loss[deal] + theta * deals.surplus[deal])
