"""Random numbers that do not depend on the order in which they are asked for.

Every draw is named by (seed, purpose, id, day). Worlds that share a seed share their luck, and a run gives the same numbers on
any number of workers, because no draw moves the state of another.

`stream` gives a numpy generator (PCG64 seeded through SeedSequence, whose hash keeps neighbouring keys apart). `uniforms` gives
one number for each of many ids at once by the SplitMix64 finaliser (Steele, Lea and Flood 2014, OOPSLA, "Fast splittable
pseudorandom number generators").
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def _purpose_key(purpose: str) -> int:
    return zlib.crc32(purpose.encode("utf-8"))


def stream(seed: int, purpose: str, id: int = 0, day: int = 0) -> np.random.Generator:
    """Return the generator that belongs to (seed, purpose, id, day); the same key gives the same numbers."""
    return np.random.default_rng(np.random.SeedSequence([seed, _purpose_key(purpose), id, day]))


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def uniforms(seed: int, purpose: str, ids: NDArray[Any], day: int = 0) -> FloatColumn:
    """Return one uniform number in [0, 1) for each id, shape of `ids`; each depends on its own id alone."""
    base = np.random.SeedSequence([seed, _purpose_key(purpose), day]).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(np.asarray(ids).astype(np.uint64) * _GOLDEN_GAMMA + base) + _GOLDEN_GAMMA)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
