"""The settlement of a window in which everybody is honest, without contracts or ledger: slow twin of `sim.settlement.members`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatColumn, OffsetColumn
from sim.settlement.money import split_micro, to_micro


@dataclass(frozen=True, eq=False)
class PlainSettlement:
    """Whether the gain did not cover the fees, each member's money (adds up to -fees), and the gain, in micro-credits."""

    called_off: bool
    money_micro: OffsetColumn
    gain_micro: int


def settle_plainly(
    baseline_cost: FloatColumn, realised_cost: FloatColumn, share: FloatColumn, fees_micro: int
) -> PlainSettlement:
    """Return each member's money: u_i = baseline cost - realised cost + money = share_i * gain, nothing without a gain."""
    saving_micro = to_micro(baseline_cost) - to_micro(realised_cost)
    gain_micro = int(saving_micro.sum()) - fees_micro
    if gain_micro < 0:
        return PlainSettlement(True, np.zeros(len(share), np.int64), 0)
    return PlainSettlement(False, split_micro(gain_micro, share) - saving_micro, gain_micro)
