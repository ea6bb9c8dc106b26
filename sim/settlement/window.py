"""Settlement at the end of a window, on realised times.

Member i ends with u_i = baseline cost - realised cost + money = share_i * gain, where gain = sum over members of (baseline
cost - realised cost) - fees and the shares are at least 0 and add up to 1. So the money adds up to exactly -fees, and
nobody is below the baseline, as long as the gain is at least 0. Otherwise the window is called off: nothing is paid, and
everybody drives the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, OffsetColumn
from sim.settlement.money import split_micro, to_micro


@dataclass(frozen=True, eq=False)
class WindowSettlement:
    """What the window's end settled.

    Attributes
    ----------
    called_off
        Whether the members' saving did not cover the fees.
    money_micro
        What each member received minus what he paid, contracts included; adds up to -fees. Shape (n_members,).
    gain_micro
        What the members gained together, fees paid.
    """

    called_off: bool
    money_micro: OffsetColumn
    gain_micro: int


def settle_window(
    baseline_cost: FloatColumn, realised_cost: FloatColumn, share: FloatColumn, fees_micro: int
) -> WindowSettlement:
    """Return each member's money.

    Parameters
    ----------
    baseline_cost, realised_cost
        Credits of each member, shape (n_members,).
    share
        Shares of the gain, at least 0, shape (n_members,).
    fees_micro
        Fees of all contracts.
    """
    saving_micro = to_micro(baseline_cost) - to_micro(realised_cost)
    gain_micro = int(saving_micro.sum()) - fees_micro
    if gain_micro < 0:
        return WindowSettlement(True, np.zeros(len(share), np.int64), 0)
    return WindowSettlement(False, split_micro(gain_micro, share) - saving_micro, gain_micro)
