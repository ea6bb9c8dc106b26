"""What became of a window's contracts: one row a contract, and the numbers of a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts_model import State, Verdict
from contracts_model.outcomes import PPM
from sim.arrays import BoolColumn, CodeColumn, FloatColumn, IndexColumn, OffsetColumn
from sim.settlement.bonds import Bonds
from sim.settlement.clearing import Contracts
from sim.settlement.detours import Detours
from sim.settlement.escrows import Escrows
from sim.settlement.evidence import Evidence
from sim.settlement.validation import PlantedCases


@dataclass(frozen=True, eq=False)
class Enforcement:
    """What became of a window's contracts; columns of shape (n_contracts,), money in micro-credits.

    Attributes
    ----------
    contracts, detours, evidence, escrows
        What was agreed, what it meant on the road, what is known of it, and the ledger with all accounts.
    drove_target
        The truth, which no ruling has seen.
    detection, false_conviction
        Probabilities of a conviction before the drive, of a defector and of an honest mover.
    undeterred
        Whether no collateral within reason deters.
    state
        Final state of the contract (`State` numbers).
    ruling
        Final decision of its dispute (`Verdict` numbers; 0 where there was none, or none was right).
    challenged, griefed
        Whether the claim was challenged at all, and by a griefer.
    votes
        Rounds of votes.
    mover_money_micro
        What the mover received minus what he paid under the contract, dispute and collateral included.
    collateral_micro
        What he locked.
    audited
        Claims whose full chain was drawn up without a challenge.
    planted
        Planted cases among the validators' work.
    temper
        Of each validator (`Temper` numbers), shape (n_validators,).
    bonds
        Trip bonds; None where none were asked for.
    """

    contracts: Contracts
    detours: Detours
    evidence: Evidence
    escrows: Escrows
    drove_target: BoolColumn
    detection: FloatColumn
    false_conviction: FloatColumn
    undeterred: BoolColumn
    state: CodeColumn
    ruling: CodeColumn
    challenged: BoolColumn
    griefed: BoolColumn
    votes: IndexColumn
    mover_money_micro: OffsetColumn
    collateral_micro: OffsetColumn
    audited: BoolColumn
    planted: PlantedCases
    temper: CodeColumn
    bonds: Bonds | None = None

    @property
    def paid(self) -> BoolColumn:
        """Contracts that were paid out."""
        return np.asarray(self.state == int(State.PAID))

    @property
    def convicted(self) -> BoolColumn:
        """Contracts whose mover lost his collateral."""
        return np.asarray(self.state == int(State.SLASHED))

    @property
    def paid_micro(self) -> OffsetColumn:
        """What each contract paid to its mover (negative: took from him)."""
        return np.asarray(np.where(self.paid, self.contracts.price_micro, 0))

    @property
    def collateral_lost_micro(self) -> OffsetColumn:
        """Collateral that each mover lost."""
        return np.asarray(np.where(self.convicted, self.collateral_micro, 0))

    @property
    def bounty_micro(self) -> OffsetColumn:
        """Part of the lost collateral that went to the challenger; the rest went to the payers."""
        share = round(self.escrows.rules.bounty * PPM)
        # Whole and rest apart, so that the product stays within 64 bits; the floor is the ledger's own rule.
        whole, rest = np.divmod(self.collateral_lost_micro, PPM)
        return np.asarray(np.where(self.challenged, whole * share + rest * share // PPM, 0))

    @property
    def fees_micro(self) -> int:
        """Fees that were paid to the validators."""
        return int(self.contracts.fee_micro[self.paid].sum())

    @property
    def payments_micro(self) -> int:
        """What the funds and the movers paid under the contracts that were paid out, clearing apart."""
        of_row = np.repeat(self.paid, np.diff(self.contracts.start))
        rows = self.contracts.fund_pays_micro
        purses = self.contracts.price_micro
        return int(rows[of_row & (rows > 0)].sum()) - int(purses[self.paid & (purses < 0)].sum())

    @property
    def wrong_against_evidence(self) -> BoolColumn:
        """Disputes whose final decision is not what the evidence implies."""
        return np.asarray(self.challenged & (self.ruling != self.evidence.verdict))

    @property
    def wrong_against_truth(self) -> BoolColumn:
        """Contracts that ended otherwise than the truth would have it: defectors paid, honest movers not paid."""
        return np.asarray(self.paid != self.drove_target)

    def traveller_money_micro(self, n_travellers: int) -> OffsetColumn:
        """Return each traveller's net money under his contract, 0 for who has none; shape (n_travellers,)."""
        money = np.zeros(n_travellers, np.int64)
        np.add.at(money, self.contracts.mover, self.mover_money_micro)
        return money

    def totals(self) -> dict[str, int]:
        """Return the numbers of a report; money in micro-credits."""
        honest = self.drove_target
        return {
            "contracts": self.contracts.n_contracts,
            "settled": int(self.paid.sum()),
            "convicted": int(self.convicted.sum()),
            "refunded": int((self.state == int(State.REFUNDED)).sum()),
            "open": int((self.state < int(State.PAID)).sum()),
            "disputed": int(self.challenged.sum()),
            "griefed": int(self.griefed.sum()),
            "planted": len(self.planted.escrow),
            "undeterred": int(self.undeterred.sum()),
            "defectors": int((~honest).sum()),
            "defectors_paid": int((~honest & self.paid).sum()),
            "defectors_money_micro": int(self.mover_money_micro[~honest].sum()),
            "honest_convicted": int((honest & self.convicted).sum()),
            "honest_below_promise": int((honest & (self.mover_money_micro < self.contracts.price_micro)).sum()),
            "rulings_against_evidence": int(self.wrong_against_evidence.sum()),
            "rulings_against_truth": int(self.wrong_against_truth.sum()),
            "evidence_against_truth": int(((self.evidence.verdict == int(Verdict.ACCEPTED)) != honest).sum()),
            "payments_micro": self.payments_micro,
            "fees_micro": self.fees_micro,
            "collateral_lost_micro": int(self.collateral_lost_micro.sum()),
            "bonds_locked_micro": 0 if self.bonds is None else self.bonds.locked_micro,
            "bonds_forfeited_micro": 0 if self.bonds is None else self.bonds.forfeited_micro,
        }
