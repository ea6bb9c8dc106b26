"""Who does not play fair: drawn by lot from those who could, in the shares that the scenario sets.

Defectors take the money and drive their baseline; they forge records of the detour, which they can sign for themselves
alone. Griefers challenge claims that the evidence supports. Lazy validators accept without looking; colluding validators
vote against the evidence, for the defector and for the griefer. Baseline liars, extortionists and sybils cheat before anybody
drives: `sim.negotiation.baseline`, `conduct` and `entitlement` say how.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sim.arrays import BoolColumn, CodeColumn, IndexColumn
from sim.rng import uniforms
from sim.spec import Adversaries


class Temper(IntEnum):
    """How a validator votes."""

    HONEST = 0
    LAZY = 1
    COLLUDING = 2


def defects(traveller: IndexColumn, adversaries: Adversaries, seed: int) -> BoolColumn:
    """Return which of some travellers drive their baseline although they are paid for a detour, in every window alike."""
    return np.asarray(uniforms(seed, "defectors", traveller) < adversaries.defectors)


def plays(role: str, n_travellers: int, share: float, seed: int) -> BoolColumn:
    """Return which travellers play a role ("baseline_liars", "extortionists", "sybils"), each with probability `share`."""
    return np.asarray(uniforms(seed, role, np.arange(n_travellers)) < share)


def grieved(mover: IndexColumn, supported: BoolColumn, adversaries: Adversaries, seed: int, window: int) -> BoolColumn:
    """Return which of the supported claims a griefer challenges."""
    return np.asarray(supported & (uniforms(seed, "griefers", mover, window) < adversaries.griefers))


def tempers(n_validators: int, adversaries: Adversaries, seed: int) -> CodeColumn:
    """Return each validator's temper (`Temper` numbers), in exact shares (rounded to whole validators), drawn by lot."""
    order = np.argsort(uniforms(seed, "tempers of validators", np.arange(n_validators)), kind="stable")
    n_colluding = round(adversaries.colluding_validators * n_validators)
    n_lazy = min(round(adversaries.lazy_validators * n_validators), n_validators - n_colluding)
    temper = np.full(n_validators, int(Temper.HONEST), np.uint8)
    temper[order[:n_colluding]] = int(Temper.COLLUDING)
    temper[order[n_colluding : n_colluding + n_lazy]] = int(Temper.LAZY)
    return temper
