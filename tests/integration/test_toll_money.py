"""Tolls in money: what the three toll worlds take and give back is in the unit of the travellers' values of time."""

from __future__ import annotations

from typing import Any

import pytest

from sim.experiments.run import run
from sim.experiments.scenarios import find_scenario

TOLLS = ("toll", "toll_uniform", "toll_od")


def tolls_of(*settings: str) -> dict[str, Any]:
    """What the toll worlds of the Braess network come to, with the baseline's cost."""
    worlds = 'worlds.run=["selfish", "optimum", "toll", "toll_uniform", "toll_od"]'
    spec, folder = find_scenario("braess", [worlds, "demand.vehicles_per_traveller=0.05", *settings])
    poa = run(spec, folder).poa()
    return {name: poa["worlds"][name] for name in TOLLS} | {"cost_micro": poa["baseline"]["cost_micro"]}


def test_a_cheaper_hour_makes_every_amount_smaller_and_nobody_better_or_worse_off() -> None:
    """Credits are vehicle-seconds at 3,600 an hour; at 18 an hour the same trips cost and pay a two-hundredth."""
    in_time = tolls_of()
    in_money = tolls_of("market.numeraire=money", "demand.value_of_time.mean_per_h=18.0")
    assert in_money["cost_micro"] == pytest.approx(in_time["cost_micro"] / 200, abs=1)
    for name in TOLLS:
        for key in ("toll_revenue_micro", "refund_micro"):
            assert in_money[name][key] == pytest.approx(in_time[name][key] / 200, abs=200), (name, key)
        assert in_money[name]["below_baseline"] == in_time[name]["below_baseline"], name
    assert in_money["toll"]["toll_revenue_micro"] > 0


def test_refunds_by_trip_leave_nobody_behind_however_unlike_values_of_time_are() -> None:
    found = tolls_of("market.numeraire=money", 'demand.value_of_time={distribution="lognormal", mean_per_h=15.0, sigma=1.0}')
    assert found["toll_od"]["refund_micro"] == found["toll_od"]["toll_revenue_micro"] > 0
    assert found["toll_od"]["transfers_sum_micro"] == 0
    assert found["toll_od"]["below_baseline"] == 0
    # Without refunds everybody pays more than is saved, by less than the trip is worth.
    assert 0 < found["toll"]["toll_revenue_micro"] < found["cost_micro"]
