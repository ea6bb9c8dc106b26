from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.metrics import equilibrium_margin, price_of_anarchy


def test_ratio_and_interval() -> None:
    price = price_of_anarchy(552.0, 1e-5, 498.0, 497.999)
    assert price.withheld is None
    assert price.ratio == pytest.approx(552.0 / 498.0)
    assert price.interval == pytest.approx((552.0 * (1 - 1e-5) / 498.0, 552.0 * (1 + 1e-5) / 497.999))


def test_withheld_where_the_interval_is_too_wide() -> None:
    # The excess is 0.1, so 0.01 is allowed; below an excess of 0.01 it is 0.001.
    assert price_of_anarchy(110.0, 0.004, 100.0, 100.0).withheld is None
    wide = price_of_anarchy(110.0, 0.005, 100.0, 100.0)
    assert wide.ratio is None and "0.011" in str(wide.withheld) and wide.interval == pytest.approx((1.0945, 1.1055))
    assert price_of_anarchy(100.1, 0.0004, 100.0, 100.0).withheld is None
    assert price_of_anarchy(100.1, 0.0006, 100.0, 100.0).ratio is None


def test_the_optimum_side_counts() -> None:
    assert price_of_anarchy(110.0, 0.0, 100.0, 99.0).ratio is None
    assert price_of_anarchy(110.0, 0.0, 100.0, 99.9).interval == pytest.approx((1.1, 110 / 99.9))


def test_never_below_1() -> None:
    price = price_of_anarchy(99.99999, 1e-6, 100.0, 99.9999)
    assert price.ratio == 1.0 and price.interval[0] == 1.0 and price.interval[1] >= 1.0


@pytest.mark.parametrize(("optimum", "bound"), [(0.0, 0.0), (1.0, 0.0), (1.0, -5.0)])
def test_withheld_without_a_positive_bound(optimum: float, bound: float) -> None:
    price = price_of_anarchy(1.0, 0.0, optimum, bound)
    assert price.ratio is None and price.interval == (1.0, math.inf) and "zero" in str(price.withheld)


def test_margin_is_at_least_200_gaps() -> None:
    assert equilibrium_margin([100.0], [1e-6]) == pytest.approx(2e-4)
    assert equilibrium_margin([100.0, 100.0], [1e-2, 1e-6]) == pytest.approx(2e-4)


def test_margin_follows_what_the_solver_saw() -> None:
    # At 25 times the gap the total was 1 % off: like the root of the gap that is 0.2 % here, doubled.
    assert equilibrium_margin([101.0, 100.0], [25e-8, 1e-8]) == pytest.approx(0.004)
    # Further away than 100 gaps it says nothing.
    assert equilibrium_margin([101.0, 100.0], [101e-8, 1e-8]) == pytest.approx(2e-6)


def test_rounding_has_a_margin_too() -> None:
    assert 0.0 < equilibrium_margin([100.0], [0.0]) == equilibrium_margin([100.0], [-1e-16]) < 1e-12
    assert equilibrium_margin([0.0], [0.0]) == 0.0


@given(st.floats(1e-3, 1e9), st.floats(0.0, 0.9), st.floats(1e-3, 1e9), st.floats(0.0, 1.0))
def test_a_published_ratio_lies_in_its_interval(equilibrium: float, margin: float, optimum: float, share: float) -> None:
    price = price_of_anarchy(equilibrium, margin, optimum, optimum * share)
    assert 1.0 <= price.interval[0] <= price.interval[1]
    assert (price.ratio is None) == (price.withheld is not None)
    if price.ratio is not None:
        assert price.interval[0] <= price.ratio <= price.interval[1]
