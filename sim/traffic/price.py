"""The dynamic Price of Anarchy as an interval: what is found on one side, what is proven on the other.

Price = equilibrium / optimum. The optimum's total lies between the proven lower bound and the best day found, so with an
equilibrium flow of total E, best found F and bound L the price of that flow lies in [E / F, E / L]. The equilibrium is itself a
flow found, with its relative gap beside it; above `WIDEST_GAP` it supports no price, and the price is withheld. The width of the
interval is stated and no reason to withhold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.errors import InputError
from sim.traffic.bound import LowerBound
from sim.traffic.equilibrium import QueueEquilibrium
from sim.traffic.optimum import BestFound

WIDEST_GAP: Final = 0.03


@dataclass(frozen=True)
class DynamicPrice:
    """A dynamic Price of Anarchy.

    Attributes
    ----------
    ratio
        Equilibrium / best found, at least 1; None where it is withheld.
    interval
        [equilibrium / best found, equilibrium / lower bound], cut at 1 below.
    relative_gap
        Of the equilibrium.
    withheld
        The reason, or None.
    """

    ratio: float | None
    interval: tuple[float, float]
    relative_gap: float
    withheld: str | None

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.interval[1] - self.interval[0]


def dynamic_price(equilibrium_s: float, relative_gap: float, best_found_s: float, lower_bound_s: float) -> DynamicPrice:
    """Return the price of an equilibrium flow from three totals in vehicle-seconds.

    An equilibrium flow below the best day found is itself the best day found.

    Raises
    ------
    InputError
        A total is not above 0, or the bound is above a day that was driven (then one of them is wrong).
    """
    best_s = min(best_found_s, equilibrium_s)
    for name, value_s in (("best found", best_s), ("lower bound", lower_bound_s)):
        if not value_s > 0:
            raise InputError(f"{value_s}", where=name, allowed="a total above 0")
    if lower_bound_s > best_s * (1 + 1e-12):
        raise InputError(f"{lower_bound_s}", where="lower bound", allowed=f"at most the best found, {best_s}")
    interval = (equilibrium_s / best_s, max(equilibrium_s / best_s, equilibrium_s / lower_bound_s))
    if not relative_gap <= WIDEST_GAP:
        reason = f"the equilibrium's relative gap is {relative_gap:.2%}, above the {WIDEST_GAP:.0%} that supports a price"
        return DynamicPrice(None, interval, relative_gap, reason)
    return DynamicPrice(interval[0], interval, relative_gap, None)


def price_of_days(equilibrium: QueueEquilibrium, best: BestFound, bound: LowerBound) -> DynamicPrice:
    """Return the price of an equilibrium, beside the best day and the bound of the same trips."""
    return dynamic_price(equilibrium.driven.total_time_s, equilibrium.relative_gap, best.driven.total_time_s, bound.total_time_s)
