"""What parties agree on: `Terms` (registered once, shared by many escrows) and `Offer` (one escrow)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from contracts_model.conditions import Condition
from contracts_model.outcomes import MAX_AMOUNT, MAX_PANEL, MAX_PHASE, MAX_ROUNDS, PPM, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Rules of a family of escrows; times in the book's unit, amounts in minor units.

    Attributes
    ----------
    asset, bond_asset
        Numbers of the assets of price and fee, and of collateral, bonds and stakes (may be the same).
    fee_account, treasury
        Actors that receive fees, and what a panel lost when nobody on it earned it.
    challenge_window, commit_window, reveal_window, appeal_window, replay_window
        Lengths of the phases; the replay's at least 1.
    panel, rounds
        Seats of the first panel (1 to 63; each appeal takes 2n + 1) and number of voting rounds before the replay (0 to 5; 0
        goes there at once).
    seat_stake, juror_fee
        Stake of one seat; fee of a rewarded seat, out of the losing bonds as far as they reach.
    bond, bond_growth
        Bond of a challenge, and the factor (1 to 8) by which each appeal's bond exceeds the one before.
    challenger_ppm
        Share of a lost collateral that goes to the challenger, parts per million; the rest goes to the payers.
    reserve_appeals
        Whether the performer sets its whole appeal budget aside when it accepts.
    """

    asset: int
    bond_asset: int
    fee_account: int
    treasury: int
    challenge_window: int
    commit_window: int
    reveal_window: int
    appeal_window: int
    replay_window: int
    panel: int
    rounds: int
    seat_stake: int
    juror_fee: int
    bond: int
    bond_growth: int = 2
    challenger_ppm: int = 500_000
    reserve_appeals: bool = True

    def check(self) -> Outcome:
        """`OK`, or why no book takes these terms (existence of assets and actors is the book's to check)."""
        values = asdict(self)
        reserve = values.pop("reserve_appeals")
        if type(reserve) is not bool or any(type(value) is not int for value in values.values()):
            return Outcome.NOT_AN_INTEGER
        windows = [self.challenge_window, self.commit_window, self.reveal_window, self.appeal_window, self.replay_window]
        if min(windows) < 0 or max(windows) > MAX_PHASE or self.replay_window < 1:
            return Outcome.BAD_TERMS
        if self.rounds > 0 and (self.commit_window < 1 or self.reveal_window < 1):
            return Outcome.BAD_TERMS  # nobody could vote
        in_range = (
            1 <= self.panel <= MAX_PANEL
            and 0 <= self.rounds <= MAX_ROUNDS
            and 1 <= self.seat_stake <= MAX_AMOUNT // 1_000_000
            and 0 <= self.juror_fee <= MAX_AMOUNT // 1_000_000
            and 1 <= self.bond <= MAX_AMOUNT // 1_000_000
            and 1 <= self.bond_growth <= 8
            and 0 <= self.challenger_ppm <= PPM
        )
        return Outcome.OK if in_range else Outcome.BAD_TERMS

    def digest(self) -> bytes:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).digest()


@dataclass(slots=True, kw_only=True)
class Offer:
    """One agreement: `performer` does what `condition` says, the payers pay price and fee.

    Attributes
    ----------
    terms
        Number of registered terms.
    price, fee, collateral
        Minor units; the payers' dues add up to price + fee.
    accept_by, claim_by
        Instants: funding and acceptance are legal strictly before the first, the claim strictly before the second.
    payers, payees
        Pairs (actor, due) and (actor, weight); the price is split by weight.
    condition
        What is judged: a condition, or the SHA-256 digest of one that is kept elsewhere.
    """

    terms: int
    performer: int
    price: int
    accept_by: int
    claim_by: int
    payers: Sequence[tuple[int, int]]
    payees: Sequence[tuple[int, int]]
    condition: Condition | bytes = field(default=bytes(32))
    fee: int = 0
    collateral: int = 0
