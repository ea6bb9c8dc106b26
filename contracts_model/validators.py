"""Validators: sealed votes, planted cases, and the arithmetic that says how large a panel, a stake or a collateral must be.

Derivations. A performer earns P, honest work costs kappa more than cheating; a cheater is convicted with probability d, an
honest one with f < d, a convicted one loses the price and the collateral C. Honest: P (1 - f) - C f - kappa; cheating: P (1 -
d) - C d. Honesty is the better choice iff (P + C)(d - f) >= kappa, that is C >= kappa / (d - f) - P.

A validator's look costs e and finds the truth with probability a. Who votes without looking is wrong on a planted case (its
answer is the one that the lazy do not expect); a case is planted with probability q. Looking loses q (1 - a) S + e, not
looking q S: looking is the better choice iff S >= e / (q a).
"""

from __future__ import annotations

import hashlib
import struct
from math import comb

from contracts_model.outcomes import Verdict


def vote_digest(escrow: int, round_idx: int, condition: bytes, claim: bytes, juror: int, vote: Verdict, salt: bytes) -> bytes:
    """SHA-256 of a sealed vote, keyed by the claim and the hash of the condition (I9).

    A vote for one claim opens under no other claim, no other condition, no other round and for no other juror.
    """
    head = b"vote" + struct.pack("<qqqq", escrow, round_idx, juror, int(vote))
    return hashlib.sha256(head + condition + claim + hashlib.sha256(salt).digest()).digest()


def answer_digest(condition: bytes, claim: bytes, answer: Verdict, salt: bytes) -> bytes:
    """SHA-256 of the sealed answer of a planted case."""
    return hashlib.sha256(b"answer" + struct.pack("<q", int(answer)) + condition + claim + hashlib.sha256(salt).digest()).digest()


def majority_error(panel: int, wrong: float) -> float:
    """Probability that more than half of `panel` (odd) independent votes are wrong, each with probability `wrong`.

    Exact binomial sum.
    """
    return sum(comb(panel, k) * wrong**k * (1.0 - wrong) ** (panel - k) for k in range(panel // 2 + 1, panel + 1))


def panel_error(panel: int, colluding: float, accuracy: float) -> float:
    """P(wrong ruling) of a panel drawn with replacement: colluders vote wrong, the others with probability 1 - accuracy."""
    return majority_error(panel, colluding + (1.0 - colluding) * (1.0 - accuracy))


def panel_error_without_replacement(panel: int, validators: int, colluders: int, accuracy: float) -> float:
    """P(wrong ruling) of a panel drawn without replacement.

    The number of colluders on the panel is hypergeometric, the number of honest mistakes binomial given it.

    Parameters
    ----------
    panel
        Odd number of seats, at most `validators`.
    validators, colluders
        Size of the pool and how many of it collude.
    accuracy
        Probability that an honest validator votes right, in [0, 1].
    """
    total = 0.0
    for seated in range(max(0, panel - validators + colluders), min(panel, colluders) + 1):
        weight = comb(colluders, seated) * comb(validators - colluders, panel - seated) / comb(validators, panel)
        honest, slip = panel - seated, 1.0 - accuracy
        for mistakes in range(honest + 1):
            if 2 * (seated + mistakes) > panel:
                total += weight * comb(honest, mistakes) * slip**mistakes * accuracy ** (honest - mistakes)
    return total


def least_collateral(extra_cost: float, detection: float, false_conviction: float, price: float) -> float:
    """Smallest collateral that makes honest performance the better choice (may be negative: none is needed).

    Raises
    ------
    ValueError
        If a cheater is not convicted more often than an honest performer: no collateral deters then.
    """
    if detection <= false_conviction:
        raise ValueError(f"detection {detection}: must exceed the false conviction rate {false_conviction}")
    return extra_cost / (detection - false_conviction) - price


def least_stake(effort: float, trap_rate: float, accuracy: float) -> float:
    """Smallest stake of a seat that makes looking the better choice for a validator.

    Raises
    ------
    ValueError
        If no case is planted or looking finds nothing: no stake deters then.
    """
    if trap_rate <= 0.0 or accuracy <= 0.0:
        raise ValueError(f"trap rate {trap_rate} and accuracy {accuracy}: both must be positive")
    return effort / (trap_rate * accuracy)


def least_trap_rate(effort: float, stake: float, accuracy: float) -> float:
    """Smallest share of planted cases that makes looking the better choice, given the stake of a seat."""
    return effort / (stake * accuracy)
