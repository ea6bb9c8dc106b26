"""Object interface to the ledger: issue, transfer, two-phase transfer, stake."""

from __future__ import annotations

from contracts_model.kernels import ledger as kernels
from contracts_model.kernels.layout import CREATED
from contracts_model.outcomes import NEXT_NONCE, Outcome, Result
from contracts_model.store import Store


class Ledger(Store):
    """Several fungible assets, double entry. Amounts are positive integers of minor units, `now` an integer instant.

    Every method answers with an `Outcome`; all but `OK` have changed nothing. A `nonce` must exceed every nonce the actor has
    used before (`NONCE_REPLAYED` otherwise); `NEXT_NONCE` stands for the next free one.
    """

    def issue(self, issuer: int, to: int, asset: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Create money; the asset's issuer alone may."""
        return self.run(kernels.issue, now, issuer, nonce, asset, to, amount)

    def transfer(self, debtor: int, creditor: int, asset: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Move free money from its owner to another actor."""
        return self.run(kernels.transfer, now, debtor, nonce, creditor, asset, amount)

    def hold(
        self,
        debtor: int,
        creditor: int,
        asset: int,
        amount: int,
        *,
        controller: int,
        expires: int,
        now: int,
        nonce: int = NEXT_NONCE,
    ) -> Result:
        """Set money aside for `creditor` until `expires` (first phase); `controller` decides what becomes of it."""
        outcome = self.run(kernels.hold, now, debtor, nonce, creditor, controller, asset, amount, expires)
        return Result(outcome, int(self.tables.counters[CREATED]) if outcome is Outcome.OK else -1)

    def post(self, controller: int, hold: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Give `amount` of a hold to the creditor, the rest back, strictly before it expires (second phase)."""
        return self.run(kernels.post, now, controller, nonce, hold, amount)

    def void(self, actor: int, hold: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Give a hold back to the debtor; controller or creditor may."""
        return self.run(kernels.void, now, actor, nonce, hold)

    def expire(self, hold: int, *, now: int) -> Outcome:
        """Give a hold back whose time is over; anybody may."""
        return self.run(kernels.expire, now, hold)

    def stake(self, validator: int, asset: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Put money at stake; an actor's first stake makes it a validator."""
        return self.run(kernels.stake, now, validator, nonce, asset, amount)

    def unstake(self, validator: int, asset: int, amount: int, *, now: int, nonce: int = NEXT_NONCE) -> Outcome:
        """Take stake back that no seat binds."""
        return self.run(kernels.unstake, now, validator, nonce, asset, amount)
