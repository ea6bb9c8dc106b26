"""Validators at work: stakes, the votes of each temper, planted cases with a known answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from contracts_model import Verdict
from contracts_model.batch import digest_column
from contracts_model.validators import answer_digest
from sim.arrays import CodeColumn, OffsetColumn
from sim.errors import RunFailedError
from sim.rng import stream, uniforms
from sim.settlement.adversaries import Temper
from sim.settlement.escrows import Escrows, micro, require_done
from sim.spec import ContractRules

TRAP_ANSWER = Verdict.REJECTED
"""Answer of every planted case: the one that those who vote without looking do not expect."""
_ROUNDS = 8
"""Upper bound of rounds, for naming draws."""


@dataclass(frozen=True, eq=False)
class PlantedCases:
    """Cases with a known answer: their escrows, claims and sealed answers, shapes (n,), (n, 4), (n, 4)."""

    escrow: OffsetColumn
    claims: OffsetColumn
    answers: OffsetColumn


@dataclass(frozen=True, eq=False)
class Seats:
    """Seats of a vote: case and juror of each, ascending by case; shapes (n_seats,)."""

    escrow: OffsetColumn
    round_idx: OffsetColumn
    juror: OffsetColumn


def stake_validators(escrows: Escrows, n_cases: int) -> None:
    """Let every validator stake a seat in each case of the window; nobody sits in a case twice."""
    validators = escrows.accounts.validators
    amount = np.full(len(validators), micro(escrows.rules.stake) * n_cases, np.int64)
    if n_cases == 0 or len(validators) == 0:
        return
    escrows.bring(validators, amount)
    require_done(escrows.batch.stake(validators, escrows.asset, amount, now=escrows.clock_s), "stake")


def planted_count(n_challenged: int, rules: ContractRules) -> int:
    """Return how many cases are planted so that they are `trap_rate` of all cases; none where no panel could be seated."""
    if rules.rounds == 0 or rules.validators < rules.panel:
        return 0
    return round(n_challenged * rules.trap_rate / (1.0 - rules.trap_rate))


def plant_cases(escrows: Escrows, count: int, seed: int, window: int) -> PlantedCases:
    """Put planted cases before the panels, among the real ones."""
    if count == 0:
        return PlantedCases(np.zeros(0, np.int64), np.zeros((0, 4), np.int64), np.zeros((0, 4), np.int64))
    operator = escrows.accounts.treasury
    escrows.bring(np.array([operator]), np.array([count * escrows.rules.panel * micro(escrows.rules.juror_fee)]))
    noise = stream(seed, "planted cases", day=window)
    drawn = [(noise.bytes(32), noise.bytes(32), noise.bytes(16)) for _ in range(count)]
    conditions, claims = (digest_column([row[place] for row in drawn]) for place in (0, 1))
    answers = digest_column([answer_digest(condition, claim, TRAP_ANSWER, salt) for condition, claim, salt in drawn])
    planted = escrows.batch.plant(operator, escrows.terms, conditions, claims, answers, now=escrows.clock_s)
    require_done(planted.outcomes, "plant a case")
    return PlantedCases(planted.idx, claims, answers)


def seats_of(escrows: Escrows, cases: OffsetColumn) -> Seats:
    """Return the seats of the present round of some cases."""
    tables = escrows.book.tables
    rows = tables.escrows[cases]
    rounds = tables.rounds[rows["first_round"] + rows["votes"] - 1]
    lengths = rounds["seats"]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    seat = np.repeat(rounds["first_seat"], lengths) + within
    return Seats(np.repeat(cases, lengths), np.repeat(rows["votes"] - 1, lengths), tables.seats["juror"][seat])


def cast_votes(
    seats: Seats, implied: CodeColumn, temper: CodeColumn, first_validator: int, rules: ContractRules, seed: int, window: int
) -> CodeColumn:
    """Return the vote of each seat (`Verdict` numbers).

    Parameters
    ----------
    implied
        What the evidence implies for the case of each seat, shape (n_seats,).
    temper
        Of each validator, by its number from 0.
    first_validator
        Account of validator 0.
    """
    validator = seats.juror - first_validator
    of_seat = temper[validator]
    ids = (seats.escrow * _ROUNDS + seats.round_idx) * len(temper) + validator
    right = uniforms(seed, "votes", ids, window) < rules.accuracy
    against = np.where(implied == int(Verdict.ACCEPTED), int(Verdict.REJECTED), int(Verdict.ACCEPTED))
    votes = np.where(right, implied, against)
    votes = np.where(of_seat == int(Temper.LAZY), int(Verdict.ACCEPTED), votes)
    return np.where(of_seat == int(Temper.COLLUDING), against, votes).astype(np.uint8)


def vote(escrows: Escrows, seats: Seats, votes: CodeColumn, seed: int) -> None:
    """Seal the votes and hand them in, open them once the commit window is over, and count once the reveal window is."""
    salts = [
        hashlib.sha256(f"salt {seed} {case} {round_idx} {juror}".encode()).digest()[:16]
        for case, round_idx, juror in zip(seats.escrow.tolist(), seats.round_idx.tolist(), seats.juror.tolist(), strict=True)
    ]
    cast = votes.astype(np.int64)
    sealed = escrows.batch.seal_votes(seats.escrow, seats.juror, cast, salts)
    require_done(escrows.batch.commit(seats.juror, seats.escrow, sealed, now=escrows.clock_s), "seal a vote")
    cases = np.unique(seats.escrow)
    rows = escrows.book.tables.escrows[cases]
    opens, closes = np.unique(rows["commit_end"]), np.unique(rows["deadline"])
    if len(opens) != 1 or len(closes) != 1:
        raise RunFailedError("the panels of one round do not vote at the same time")
    escrows.run_until(int(opens[0]))
    require_done(escrows.batch.reveal(seats.juror, seats.escrow, cast, salts, now=int(opens[0])), "open a vote")
    escrows.run_until(int(closes[0]))
    require_done(escrows.batch.tally(cases, now=int(closes[0])), "count votes")
    escrows.note()
