"""The market within the day: forecasts that come true, ways that fit together, news of what is closed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from reference.queue_cases import PLENTY, finder_of, queues_of

from sim.errors import InputError
from sim.mechanisms.within_day import FollowIncident, FollowOffers, WithinDay, WithinDayRules, offered_day, selfish_day
from sim.traffic.driven_day import drive
from sim.traffic.incidents import Incident
from sim.traffic.loading import Loading, LoadingOptions
from sim.traffic.queue_network import QueueNetwork
from sim.traffic.timed_paths import PathFinder
from sim.traffic.trips import Trips

N = 240


@cache
def detour_case() -> tuple[QueueNetwork, PathFinder, Trips]:
    """A street (links 0, 1, 2) with a longer way around its middle (links 3, 4) and one around all of it (link 5)."""
    rows = [(0, 1, 20.0, 2.0, PLENTY), (1, 2, 20.0, 2.0, PLENTY), (2, 3, 20.0, 2.0, PLENTY)]
    rows += [(1, 4, 40.0, 4.0, PLENTY), (4, 2, 40.0, 4.0, PLENTY), (0, 3, 150.0, 2.0, PLENTY)]
    network = queues_of(rows)
    finder = finder_of(network, [0] * N, [3] * N)
    start = 3 * np.arange(N + 1)
    return network, finder, Trips(np.arange(N) * 2.5, start, np.tile(np.array([0, 1, 2], np.int32), N))


def closed(from_s: float = 200.0, to_s: float = 500.0, share: float = 0.0) -> QueueNetwork:
    return replace(detour_case()[0], incidents=(Incident(1, from_s, to_s, share),))


def market(alpha: float = 1.0, share: float = 0.0, **rules: float) -> WithinDay:
    _, finder, plan = detour_case()
    is_member = np.arange(N) % 10 < 10 * alpha
    chosen = WithinDayRules(every_s=30.0, fee=0.5, news_share=share, step_s=20.0, **rules)  # type: ignore[arg-type]
    return WithinDay(closed(), finder, plan, is_member, np.ones(N), chosen, 1)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_day_comes_out_as_forecast_and_is_no_worse(share: float) -> None:
    traded = market(share=share)
    _, finder, plan = detour_case()
    selfish = selfish_day(closed(), finder, plan, share=share, every_s=30.0, seed=1)
    assert traded.baseline.travel_time_s.tolist() == selfish.travel_time_s.tolist()
    gains = [one.gain for one in traded.rounds]
    assert gains == sorted(gains) and gains[0] >= 0.0 and traded.gain == gains[-1] > 0.0
    rule = FollowOffers(plan, traded.steps, 30.0)
    again = offered_day(closed(), rule, LoadingOptions(record="all", bin_s=30.0))
    assert again.travel_time_s.tolist() == traded.driven.travel_time_s.tolist()
    assert again.trips.path_link.tolist() == traded.driven.trips.path_link.tolist()


def test_half_of_a_closure_is_saved_by_ways_around() -> None:
    """Nobody re-routes without the market: the queue of 300 s dissolves at 2 s a vehicle; ways around save most of it."""
    network, _, plan = detour_case()
    traded = market()
    usual = drive(network, plan).total_time_s
    lost, left = traded.baseline.total_time_s - usual, traded.driven.total_time_s - usual
    assert lost > 20_000.0 and left < 0.6 * lost


def test_nobody_changes_what_he_has_driven_or_before_the_incident() -> None:
    traded = market()
    _, _, plan = detour_case()
    moved = np.flatnonzero(traded.agreement.moved(traded.driven.trips))
    assert len(moved) > 10
    arrived = plan.departure_s + 60.0 < 200.0
    assert not arrived[moved].any()
    way = [traded.driven.trips.path_link[s:e].tolist() for s, e in zip(traded.driven.trips.path_start[:-1], traded.driven.trips.path_start[1:], strict=True)]  # fmt: skip # noqa: E501
    assert {tuple(one) for one in way} <= {(0, 1, 2), (0, 3, 4, 2), (5,)}
    left_first = plan.departure_s[moved] + 20.0 < 210.0
    assert all(way[v][0] == 0 for v in moved[left_first])


def test_outsiders_keep_their_ways() -> None:
    traded = market(alpha=0.5)
    moved = traded.driven.trips.path_link.tolist() != traded.baseline.trips.path_link.tolist()
    assert moved and not traded.agreement.moved(traded.driven.trips)[~traded.is_member].any()
    per = [np.split(day.trips.path_link, day.trips.path_start[1:-1]) for day in (traded.driven, traded.baseline)]
    for row in np.flatnonzero(~traded.is_member).tolist():
        assert per[0][row].tolist() == per[1][row].tolist()


def test_without_an_incident_or_members_the_plan_is_driven() -> None:
    network, finder, plan = detour_case()
    rules = WithinDayRules(every_s=30.0)
    for net, is_member in ((network, np.ones(N, np.bool_)), (closed(), np.zeros(N, np.bool_))):
        traded = WithinDay(net, finder, plan, is_member, np.ones(N), rules, 1)
        assert traded.called_off and traded.driven is traded.baseline and traded.gain == 0.0


def test_a_fee_that_nothing_is_worth_calls_the_market_off() -> None:
    traded = market(rounds=3)
    _, finder, plan = detour_case()
    dear = WithinDay(
        closed(), finder, plan, np.ones(N, np.bool_), np.ones(N), WithinDayRules(every_s=30.0, fee=1e6, news_share=0.0), 1
    )
    assert dear.called_off and not traded.called_off


def test_the_news_tell_what_is_closed_and_for_how_long() -> None:
    """With 300 s of closure ahead the way around (140 s) is faster; when 20 s are left it is not."""
    _, finder, plan = detour_case()
    for from_s, sent in ((190.0, True), (480.0, False)):
        network = closed(from_s, 500.0)
        loading = Loading(network, plan, LoadingOptions(record="all", bin_s=30.0))
        rule = FollowIncident(network, finder, plan, share=1.0, every_s=30.0, seed=1)
        loading.advance(180.0)
        assert len(rule.decide(loading)) == 0
        loading.advance(np.ceil(from_s / 30.0) * 30.0)
        rule.decide(loading)
        loading.run()
        records = loading.records()
        assert (records.start[4] - records.start[3] > 0) == sent


def test_rules_out_of_bounds_are_told() -> None:
    for key, value in (("every_s", 0.0), ("rounds", 0), ("first_share", 0.0), ("news_share", 1.5), ("patience", 0)):
        with pytest.raises(InputError):
            WithinDayRules(**{key: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two incidents"):
        replace(detour_case()[0], incidents=(Incident(1, 0.0, 10.0), Incident(1, 5.0, 20.0, 0.5)))
    with pytest.raises(InputError, match="link position"):
        replace(detour_case()[0], incidents=(Incident(99, 0.0, 10.0),))
    for bad in ({"from_s": 5.0, "to_s": 5.0}, {"from_s": 0.0, "to_s": 5.0, "capacity_share": 1.0}):
        with pytest.raises(InputError):
            Incident(0, **bad)
