"""Accounts drawn up from the journal alone, and what must hold in them.

`draw_up` replays every move and knows nothing of the tables of a book: that both agree is the check that the journal explains
all money. The balances of a finished run can be checked from its file with `check_entries` by somebody who has never seen the
program run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts_model.kernels.layout import ESCROWS, FREE, HOLDS, STAKED, SUPPLY, Ints, Rows
from contracts_model.outcomes import TERMINAL_STATES, Account, Kind
from contracts_model.store import Store

POTS: Final = (Account.POT_PRICE, Account.POT_COLLATERAL, Account.POT_RESERVE, Account.POT_BONDS, Account.POT_SEATS)
_OUT_OF_PRICE: Final = (Kind.PAY, Kind.FEE, Kind.REFUND)


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the moves of a journal add up to, minor units.

    Attributes
    ----------
    free, staked
        Shape (actors, assets).
    held
        Shape (assets,): money in two-phase transfers.
    issued
        Shape (assets,): money that exists.
    pots
        Shape (escrows, 5, assets), in the order of `POTS`.
    """

    free: Ints
    staked: Ints
    held: Ints
    issued: Ints
    pots: Ints


def draw_up(entries: Rows) -> Accounts:
    """Replay every move of a journal."""
    moves = entries[(entries["debit"] != Account.NOBODY) & (entries["credit"] != Account.NOBODY)]
    actors = int(max(moves["debit"].max(initial=0), moves["credit"].max(initial=0))) + 1
    assets = int(moves["asset"].max(initial=0)) + 1
    escrows = int(entries["escrow"].max(initial=-1)) + 1
    free, staked = np.zeros((actors, assets), np.int64), np.zeros((actors, assets), np.int64)
    held, issued = np.zeros(assets, np.int64), np.zeros(assets, np.int64)
    pots = np.zeros((escrows, len(POTS), assets), np.int64)
    kind = moves["kind"]
    for column, other, sign in (("debit", "credit", -1), ("credit", "debit", 1)):
        side, asset, amount = moves[column], moves["asset"], sign * moves["amount"]
        # A seat's stake leaves and enters the staked balance; STAKE and UNSTAKE name the other side as its owner.
        from_stake = (side >= 0) & np.isin(kind, [int(Kind.SEAT), int(Kind.SEAT_BACK)])
        plain = (side >= 0) & ~from_stake
        np.add.at(free, (side[plain], asset[plain]), amount[plain])
        np.add.at(staked, (side[from_stake], asset[from_stake]), amount[from_stake])
        own = side == Account.STAKED
        np.add.at(staked, (moves[other][own], asset[own]), amount[own])
        np.add.at(held, asset[side == Account.HELD], amount[side == Account.HELD])
        np.add.at(issued, asset[side == Account.ISSUANCE], -amount[side == Account.ISSUANCE])
        for nth, pot in enumerate(POTS):
            of_pot = side == pot
            np.add.at(pots, (moves["escrow"][of_pot], nth, asset[of_pot]), amount[of_pot])
    return Accounts(free, staked, held, issued, pots)


def check_entries(entries: Rows) -> list[str]:
    """Violations that the journal alone shows: I1, I3, I4, I7, I10, negative accounts, time running backwards.

    Empty for none.
    """
    accounts = draw_up(entries)
    wrong: list[str] = []
    total = accounts.free.sum(0) + accounts.staked.sum(0) + accounts.held + accounts.pots.sum((0, 1))
    if not np.array_equal(total, accounts.issued):
        wrong.append(f"I1: {total.tolist()} in all accounts, {accounts.issued.tolist()} issued")
    wrong.extend(f"{name}: negative" for name in ("free", "staked", "held", "pots") if getattr(accounts, name).min(initial=0) < 0)
    if np.any(np.diff(entries["time"]) < 0):
        wrong.append("time runs backwards")
    settled = entries["escrow"][entries["kind"] == Kind.SETTLED]
    held = accounts.pots[settled].sum((1, 2))
    wrong += [f"I3: escrow {e} is settled and holds {h}" for e, h in zip(settled.tolist(), held.tolist(), strict=True) if h]
    for kind, fault in ((Kind.SETTLED, "I4: settled twice"), (Kind.FINAL, "I10: decided twice")):
        escrows, counts = np.unique(entries["escrow"][entries["kind"] == kind], return_counts=True)
        wrong.extend(f"{fault}: escrow {e}" for e in escrows[counts > 1].tolist())
    return wrong + _check_settlements(entries, accounts.pots.shape[0])


def _check_settlements(entries: Rows, escrows: int) -> list[str]:
    """I7: what settled escrows paid out of the price pot is what was funded.

    And the part that is no participant's is exactly the fee.
    """
    settled = np.zeros(escrows, np.bool_)
    settled[entries["escrow"][entries["kind"] == Kind.SETTLED]] = True

    def total(kinds: tuple[Kind, ...]) -> npt.NDArray[np.int64]:
        chosen = np.isin(entries["kind"], [int(kind) for kind in kinds])
        sums = np.zeros(escrows, np.int64)
        np.add.at(sums, entries["escrow"][chosen], entries["amount"][chosen])
        return sums

    funded, out, fee = total((Kind.FUND,)), total(_OUT_OF_PRICE), total((Kind.FEE,))
    promised, paid = total((Kind.PROMISE_FEE,)), total((Kind.PAY,))
    wrong = [f"I7: escrow {e} funded {funded[e]}, paid {out[e]} out" for e in np.flatnonzero(settled & (funded != out)).tolist()]
    odd = settled & np.where(paid + fee > 0, fee != promised, False)
    return wrong + [f"I7: escrow {e} kept {fee[e]}, fee {promised[e]}" for e in np.flatnonzero(odd).tolist()]


def check_book(book: Store) -> list[str]:
    """Everything in `check_entries`, and that the tables of the book say the same as its journal (I1, I2, I3)."""
    entries, _ = book.entries()
    wrong = check_entries(entries)
    accounts = draw_up(entries)
    t = book.tables
    actors, assets = accounts.free.shape
    balances = t.balances.copy()
    balances[:actors, :assets, FREE] -= accounts.free
    balances[:actors, :assets, STAKED] -= accounts.staked
    if balances.any():
        wrong.append("balances: the tables and the journal differ")
    open_holds = t.holds[: t.counters[HOLDS]]
    kept = int(open_holds["amount"][open_holds["amount"] > 0].sum())
    if kept != int(accounts.held.sum()) or not np.array_equal(t.assets[:assets, SUPPLY], accounts.issued):
        wrong.append("held money or supply: the tables and the journal differ")
    rows = t.escrows[: t.counters[ESCROWS]]
    names = (
        ("pot_price",),
        ("pot_collateral",),
        ("pot_reserve_performer", "pot_reserve_challenger"),
        ("pot_bonds",),
        ("pot_seats",),
    )
    for nth, columns in enumerate(names):
        of_tables = sum((rows[name] for name in columns), np.zeros(len(rows), np.int64))
        if not np.array_equal(of_tables, accounts.pots[:, nth].sum(1)):
            wrong.append(f"I2: pot {POTS[nth].name}: the tables and the journal differ")
        ended = np.isin(rows["state"], [int(state) for state in TERMINAL_STATES])
        if of_tables[ended].any():
            wrong.append(f"I3: a terminal escrow holds money in {POTS[nth].name}")
    return wrong
