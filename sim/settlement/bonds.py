"""Trip bonds: whoever registers a trip locks money for it, and gets it back when the trip is completed.

A bond is the first phase of a two-phase transfer in the window's ledger: set aside for the account "forfeits" when the window
opens, given back when the vehicle was seen to travel, paid out to that account when nobody came. It changes nobody's position
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolColumn, OffsetColumn
from sim.errors import RunFailedError
from sim.negotiation.entitlement import Registrations
from sim.settlement.escrows import Escrows, micro, require_done


@dataclass(frozen=True, eq=False)
class Bonds:
    """Bonds of a window, one a trip that was admitted.

    Attributes
    ----------
    registrations
        All that were registered.
    account
        Account of each admitted identity, in the order of `registrations.bonded`.
    bond_micro
        What each locks.
    hold
        The ledger's number of each; empty where the bond is 0.
    """

    registrations: Registrations
    account: OffsetColumn
    bond_micro: int
    hold: OffsetColumn

    @property
    def no_show(self) -> BoolColumn:
        """Which of the bonded trips nobody drove."""
        return self.registrations.is_phantom[self.registrations.bonded]

    @property
    def locked_micro(self) -> int:
        """All bonds together."""
        return self.bond_micro * len(self.account)

    @property
    def forfeited_micro(self) -> int:
        """Bonds that nobody got back."""
        return self.bond_micro * int(self.no_show.sum())

    def forfeits_micro(self, n_travellers: int) -> OffsetColumn:
        """Return what each traveller's identities lost, shape (n_travellers,)."""
        owner = self.registrations.traveller[self.registrations.bonded][self.no_show]
        return np.bincount(owner, minlength=n_travellers).astype(np.int64) * self.bond_micro


def lock_bonds(escrows: Escrows, registrations: Registrations) -> Bonds:
    """Open an account for every admitted identity and lock its bond; before anybody signs."""
    rows = registrations.bonded
    account = escrows.accounts_of(registrations.traveller[rows], registrations.nth[rows])
    bond = micro(escrows.rules.trip_bond)
    if bond == 0 or len(rows) == 0:
        return Bonds(registrations, account, bond, np.zeros(0, np.int64))
    accounts = escrows.accounts
    escrows.bring(account, np.full(len(rows), bond, np.int64))
    held = escrows.batch.hold(
        account,
        accounts.forfeits,
        escrows.asset,
        bond,
        controllers=accounts.registry,
        expires=escrows.latest_end_s,
        now=escrows.clock_s,
    )
    require_done(held.outcomes, "lock a trip bond")
    return Bonds(registrations, account, bond, held.idx)


def return_bonds(escrows: Escrows, bonds: Bonds) -> None:
    """Give the bonds of completed trips back and pay those of the others to the forfeits; at the window's end."""
    if len(bonds.hold) == 0:
        return
    if escrows.clock_s >= escrows.latest_end_s:
        raise RunFailedError("the window ended later than its trip bonds")
    registry, now_s = escrows.accounts.registry, escrows.clock_s
    lost = bonds.hold[bonds.no_show]
    require_done(escrows.batch.void(registry, bonds.hold[~bonds.no_show], now=now_s), "return a trip bond")
    if len(lost):
        require_done(escrows.batch.post(registry, lost, bonds.bond_micro, now=now_s), "forfeit a trip bond")
