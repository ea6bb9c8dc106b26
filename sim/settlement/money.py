"""Where numbers become money: integer micro-credits, one rounding rule.

A list of amounts that must add up to a given total is rounded down, and the micro-credits that remain go one each to the
amounts with the largest remainders, the earlier first among equals. A single amount is rounded to the nearest micro-credit,
half away from zero.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import FloatColumn, OffsetColumn

MICRO_PER_CREDIT: Final = 1_000_000


def to_micro(credits: FloatColumn) -> OffsetColumn:
    """Return each amount in micro-credits, rounded to the nearest, half away from zero."""
    scaled = np.asarray(credits, np.float64) * MICRO_PER_CREDIT
    return np.asarray(np.trunc(scaled + np.copysign(0.5, scaled)), np.int64)


def split_micro(total_micro: int, share: FloatColumn) -> OffsetColumn:
    """Split a total that is at least 0 by shares that are at least 0; the result adds up to it exactly.

    Parameters
    ----------
    total_micro
        Micro-credits to split.
    share
        Relative shares, shape (n,), n >= 1; where all are 0 (whoever had one is not among them), all count alike.
    """
    if total_micro < 0:
        raise ValueError(f"a total of {total_micro} cannot be split")
    if not share.any():
        share = np.ones(len(share))
    exact = share * (total_micro / share.sum())
    amount = np.floor(exact).astype(np.int64)
    missing = total_micro - int(amount.sum())
    # Rounding of the quotient may leave a few units too many or too few; both are spread by remainder.
    order = np.argsort(-(exact - amount), kind="stable")
    whole, rest = divmod(missing, len(amount))
    amount += whole
    amount[order[:rest]] += 1
    return np.asarray(amount)


def round_to_total(credits: FloatColumn, total_micro: int) -> OffsetColumn:
    """Return amounts in micro-credits that add up to a given total exactly.

    Each amount is rounded down; the micro-credits that are missing go one each to the amounts with the largest remainders, the
    earlier first among equals, and around again where there are more than amounts.

    Parameters
    ----------
    credits
        Amounts of either sign, shape (n,); they add up to the total but for rounding.
    total_micro
        What the result adds up to.

    Raises
    ------
    ValueError
        The amounts add up to something else: the difference is more than a micro-credit each.
    """
    exact = np.asarray(credits, np.float64) * MICRO_PER_CREDIT
    amount = np.floor(exact).astype(np.int64)
    missing = total_micro - int(amount.sum())
    if abs(missing) > 2 * len(amount):
        raise ValueError(f"amounts that should add up to {total_micro} micro-credits are {missing} short")
    if missing == 0:
        return amount
    whole, rest = divmod(missing, len(amount))
    amount += whole
    amount[np.argsort(-(exact - np.floor(exact)), kind="stable")[:rest]] += 1
    return amount
