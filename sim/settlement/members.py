"""The end of a window: what was promised under contracts is trued up to what the members gained together, on realised times.

Member i ends with u_i = baseline cost - cost + money = share_i * gain, where gain = sum over members of (baseline cost - cost) -
fees and the shares are at least 0 and add up to 1. So the money adds up to exactly -fees, and nobody is below the baseline, as
long as the gain is at least 0. Three things differ where not everybody is honest. A mover who was convicted has left the
community: he keeps what the ruling left him, and nothing is trued up, since that would hand him his collateral back. The cost of
a mover whose claim stood is that of the route he claimed, whatever he drove. And the money there is to share out is what the
ledger holds: what the contracts left in the funds and with the members' watch, lost collateral included, after fees, griefers
and jurors. So the honest are never below their baseline as long as the gain is at least 0; if it is below, the loss is shared out
the same way and reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.errors import RunFailedError
from sim.settlement.detours import route_sums
from sim.settlement.escrows import Escrows
from sim.settlement.money import MICRO_PER_CREDIT, split_micro, to_micro
from sim.settlement.outcome import Enforcement


@dataclass(frozen=True, eq=False)
class MemberSettlement:
    """What every member ended with.

    Attributes
    ----------
    money_micro
        What each member received minus what he paid, contracts, collateral and disputes included, shape (n_members,).
    true_up_micro
        What the settlement moved between the pool and the members, both ways together.
    gain_micro
        What the members who were settled gained together; below 0 if the promise could not be kept.
    expelled
        Members who were convicted and are not settled, shape (n_members,).
    """

    money_micro: OffsetColumn
    true_up_micro: int
    gain_micro: int
    expelled: BoolColumn

    @property
    def shortfall_micro(self) -> int:
        """What is missing for nobody to be below the baseline."""
        return max(-self.gain_micro, 0)


def believed_costs(enforcement: Enforcement, realised_cost: FloatColumn, link_cost_s: FloatColumn) -> FloatColumn:
    """Return what each traveller's trip cost as far as anybody can know: that of the target for a defector whose claim stood.

    Parameters
    ----------
    realised_cost
        True costs in credits, shape (n_travellers,).
    link_cost_s
        Costs of the links as driven, in the network's order.
    """
    detours = enforcement.detours
    undetected = enforcement.paid & ~enforcement.drove_target
    target = detours.credits_per_s * route_sums(detours.target_start, detours.target_link, link_cost_s)
    believed = realised_cost.copy()
    believed[enforcement.contracts.mover[undetected]] = target[undetected]
    return believed


def settle_members(
    enforcement: Enforcement,
    member: IndexColumn,
    baseline_cost: FloatColumn,
    believed_cost: FloatColumn,
    share: FloatColumn,
    nth: IndexColumn | None = None,
) -> MemberSettlement:
    """Pay every member what is his at the window's end, in the window's ledger.

    Parameters
    ----------
    member
        Travellers who are members, ascending; all movers are among them. Shape (n_members,). A traveller with several identities
        has a row for each; the first one signed his contract.
    baseline_cost, believed_cost
        Credits of each member.
    share
        Shares of the gain, at least 0; where those who are settled have none at all, they share alike.
    nth
        Which of the traveller's identities each row is, ascending from 0; None where everybody has one.

    Raises
    ------
    ValueError
        A mover is no member.
    RunFailedError
        The money that was shared out is not what the ledger holds.
    """
    escrows, contracts = enforcement.escrows, enforcement.contracts
    mover_row = np.searchsorted(member, contracts.mover)
    if (mover_row >= len(member)).any() or (member[mover_row] != contracts.mover).any():
        raise ValueError("every mover must be a member")
    under_contract = np.zeros(len(member), np.int64)
    np.add.at(under_contract, mover_row, enforcement.mover_money_micro)
    expelled = np.zeros(len(member), np.bool_)
    expelled[np.isin(member, contracts.mover[enforcement.convicted])] = True
    settled = ~expelled

    pooled = _close_funds(escrows)
    saving = to_micro(baseline_cost[settled]) - to_micro(believed_cost[settled])
    gain = int(saving.sum()) + pooled + int(under_contract[settled].sum())
    if settled.any():
        parts = split_micro(abs(gain), share[settled])
        money = under_contract.copy()
        money[settled] = (parts if gain >= 0 else -parts) - saving
    else:
        money = under_contract
    _true_up(escrows, escrows.accounts_of(member, nth), money - under_contract)
    left = int(escrows.position_micro(np.array([escrows.accounts.pool]))[0])
    if settled.any() and left != 0:
        raise RunFailedError(f"the members' pool ends with {left} micro-credits that belong to nobody")
    return MemberSettlement(money, int(np.abs(money - under_contract).sum()), gain, expelled)


def _close_funds(escrows: Escrows) -> int:
    """Move what is left in the funds, the clearing account and with the watch to the pool; return the pool's position."""
    accounts = escrows.accounts
    escrows.hand_back(np.append(accounts.funds, [accounts.clearing, accounts.watch]))
    return int(escrows.position_micro(np.array([accounts.pool]))[0])


def _true_up(escrows: Escrows, account: OffsetColumn, amount_micro: OffsetColumn) -> None:
    """Move these amounts from the pool to the members' accounts (negative: back)."""
    owed = np.maximum(-amount_micro, 0)
    escrows.bring(account, np.maximum(owed - escrows.free_micro(account), 0))
    escrows.transfer(account, escrows.accounts.pool, owed)
    escrows.transfer(escrows.accounts.pool, account, np.maximum(amount_micro, 0))


def in_parts(cost: FloatColumn, member: IndexColumn, row: IndexColumn, part: FloatColumn) -> FloatColumn:
    """Return the cost of each identity: its part of its traveller's, rounded so that the parts are the whole in micro-credits.

    Parameters
    ----------
    cost
        Credits of each member, shape (n_members,).
    member, row
        Traveller of each identity, ascending, and his position in `cost`; shapes (n_identities,).
    part
        Share of the traveller's vehicle; they add up to 1 for each.
    """
    starts = np.flatnonzero(np.diff(member, prepend=-1))
    first = np.repeat(starts, np.diff(np.append(starts, len(member))))
    upto = np.cumsum(part)
    before = (upto - part) - (upto - part)[first]
    whole = to_micro(cost)[row]
    share = [np.rint(whole * np.clip(bound, 0.0, 1.0)) for bound in (before, before + part)]
    last = np.append(np.diff(member) != 0, True) if len(member) else np.zeros(0, np.bool_)
    share[1][last] = whole[last]
    return np.asarray((share[1] - share[0]) / MICRO_PER_CREDIT)
