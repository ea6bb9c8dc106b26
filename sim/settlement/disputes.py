"""Disputes of a window: challenges, rounds of votes, appeals of whom the evidence supports, and the replay of the evidence.

Everybody can run the arbiter on the evidence. So the members' watch challenges every claim that it does not support;
griefers challenge some that it does. Who loses a vote although the evidence supports him appeals out of the budget he set
aside, up to the last round of votes and then to the replay, which follows the evidence alone. Who loses with the evidence
against him pays no further bond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts_model import State, Verdict
from contracts_model.batch import digest_column
from sim.arrays import BoolColumn, CodeColumn, OffsetColumn
from sim.rng import uniforms
from sim.settlement.accounts import N_GRIEFERS
from sim.settlement.claims import CaseFile, Promises
from sim.settlement.escrows import Escrows, micro, require_done
from sim.settlement.evidence import Evidence
from sim.settlement.validation import (
    TRAP_ANSWER,
    PlantedCases,
    cast_votes,
    plant_cases,
    planted_count,
    seats_of,
    stake_validators,
    vote,
)


@dataclass(frozen=True, eq=False)
class Docket:
    """Who is challenged by whom.

    Attributes
    ----------
    challenged
        Contracts that are challenged, ascending.
    griefing
        Which of them by a griefer.
    """

    challenged: OffsetColumn
    griefing: BoolColumn


class Disputes:
    """The disputes of a window, from the claims on.

    Parameters
    ----------
    escrows, promises, evidence, cases
        The ledger, the conditions, everybody's evidence, the case files of challenged claims.
    temper
        Of each validator.
    seed, window
        Name the draws.
    """

    def __init__(
        self,
        escrows: Escrows,
        promises: Promises,
        evidence: Evidence,
        cases: dict[int, CaseFile],
        temper: CodeColumn,
        seed: int,
        window: int,
    ) -> None:
        self._escrows = escrows
        self._promises = promises
        self._verdict = evidence.verdict
        self._cases = cases
        self._temper = temper
        self._seed = seed
        self._window = window

    def run(self, docket: Docket) -> PlantedCases:
        """Challenge, vote, appeal and replay until no case is before a panel; return the planted cases."""
        escrows = self._escrows
        n_planted = planted_count(len(docket.challenged), escrows.rules)
        stake_validators(escrows, len(docket.challenged) + n_planted)
        self._challenge(docket)
        planted = plant_cases(escrows, n_planted, self._seed, self._window)
        everything = np.concatenate((docket.challenged, planted.escrow))
        implied = np.concatenate(
            (self._verdict[docket.challenged], np.full(len(planted.escrow), int(TRAP_ANSWER), np.uint8))
        ).astype(np.uint8)
        self._replay(docket.challenged)
        while True:
            state = escrows.book.tables.escrows["state"][everything]
            voting = np.flatnonzero(state == int(State.VOTING))
            if len(voting) == 0:
                return planted
            seats = seats_of(escrows, everything[voting])
            of_seat = implied[np.searchsorted(everything, seats.escrow)]
            first = int(escrows.accounts.validators[0])
            votes = cast_votes(seats, of_seat, self._temper, first, escrows.rules, self._seed, self._window)
            vote(escrows, seats, votes, self._seed)
            self._open_answers(planted)
            self._appeal(docket.challenged)
            self._replay(docket.challenged)

    def _challenge(self, docket: Docket) -> None:
        escrows, accounts = self._escrows, self._escrows.accounts
        if len(docket.challenged) == 0:
            return
        griefer = accounts.griefers[docket.challenged % N_GRIEFERS]
        challenger = np.where(docket.griefing, griefer, accounts.watch)
        bond, budget = micro(escrows.rules.bond), escrows.appeal_budget_micro
        # The watch acts for the members and on their money; griefers bring their own.
        escrows.entrust(np.array([accounts.watch]), np.array([(~docket.griefing).sum() * (bond + budget)]))
        needs = np.bincount(griefer[docket.griefing], minlength=len(escrows.brought_micro)) * bond
        escrows.bring(np.flatnonzero(needs), needs[needs > 0])
        with_reserve = (~docket.griefing).astype(np.int64)
        outcomes = escrows.batch.challenge(challenger, docket.challenged, now=escrows.clock_s, with_reserve=with_reserve)
        require_done(outcomes, "challenge a claim")
        escrows.note()
        self._exhibit(docket.challenged)

    def _exhibit(self, challenged: OffsetColumn) -> None:
        """Let whom the evidence supports hand in what roadside and sealed unit have signed."""
        rows = self._escrows.book.tables.escrows[challenged]
        supported = np.where(self._verdict[challenged] == int(Verdict.ACCEPTED), rows["performer"], rows["challenger"])
        handed = [
            (actor, contract, exhibit.digest)
            for actor, contract in zip(supported.tolist(), challenged.tolist(), strict=True)
            for exhibit in self._cases[contract].exhibits
        ]
        actors, contracts, digests = zip(*handed, strict=True)
        outcomes = self._escrows.batch.submit_evidence(
            np.array(actors), np.array(contracts), digest_column(digests), now=self._escrows.clock_s
        )
        require_done(outcomes, "submit evidence")

    def _open_answers(self, planted: PlantedCases) -> None:
        state = self._escrows.book.tables.escrows["state"][planted.escrow]
        ready = state == int(State.REPLAY)
        if ready.any():
            outcomes = self._escrows.batch.replay(
                planted.escrow[ready],
                int(TRAP_ANSWER),
                planted.claims[ready],
                now=self._escrows.clock_s,
                answers=planted.answers[ready],
            )
            require_done(outcomes, "open the answer of a planted case")

    def _appeal(self, challenged: OffsetColumn) -> None:
        """Let the losers whom the evidence supports appeal out of their reserve."""
        escrows = self._escrows
        rows = escrows.book.tables.escrows[challenged]
        implied = self._verdict[challenged]
        wronged = (rows["state"] == int(State.APPEALABLE)) & (rows["ruling"] != implied) & (implied != int(Verdict.NOT_FINAL))
        willing = uniforms(self._seed, "appeals", escrows.contracts.mover[challenged], self._window) < escrows.rules.appeal_share
        loser = np.where(rows["ruling"] == int(Verdict.REJECTED), rows["performer"], rows["challenger"])
        reserve = np.where(rows["ruling"] == int(Verdict.REJECTED), rows["pot_reserve_performer"], rows["pot_reserve_challenger"])
        chosen = wronged & willing & (reserve > 0)
        if chosen.any():
            outcomes = escrows.batch.appeal(loser[chosen], challenged[chosen], now=escrows.clock_s, from_reserve=1)
            require_done(outcomes, "appeal")
            escrows.note()

    def _replay(self, challenged: OffsetColumn) -> None:
        """Judge the cases that no panel is left for by their evidence; what it leaves open lapses at its time-out."""
        escrows = self._escrows
        waiting = challenged[escrows.book.tables.escrows["state"][challenged] == int(State.REPLAY)]
        if len(waiting) == 0:
            return
        now_s, claimed_at_s = escrows.clock_s, escrows.claim_at_s
        verdicts = np.array([int(self._promises.judge(c, self._cases[c], claimed_at_s, now_s)) for c in waiting.tolist()])
        final = verdicts != int(Verdict.NOT_FINAL)
        if final.any():
            claims = digest_column([self._cases[c].fulfilment.digest for c in waiting[final].tolist()])
            require_done(escrows.batch.replay(waiting[final], verdicts[final], claims, now=now_s), "replay the evidence")
            escrows.note()
