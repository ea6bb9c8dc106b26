"""One iteration of Algorithm B in one call: every bush rebuilt and equalised, then the recorded pairs swept."""

from __future__ import annotations

import numpy as np

from sim.kernels._jit import kernel
from sim.kernels.bush import Slots
from sim.kernels.joint import joint_shift
from sim.kernels.segments import LinkState, Pairs, refresh_all, sweep_pairs

_SWEEPS = 50
_SWEEPS_ALONE = 5
"""Where few pairs are left and gain is still to be had after so many sweeps, a joint step takes the place of many more."""
_FEW_PAIRS = 200
_LEAST_GAIN = 1e-3
"""Share of the first sweep's gain below which another sweep is not worth its time."""
_JOINT_ROUNDS = 5


@kernel
def finish_pass(
    n_origins: int, new: Slots, state: LinkState, pairs: Pairs, n_pairs: int, tolerance: float, jointly: bool
) -> None:
    """Sweep the pairs until little is gained, move them jointly if asked to, and add the link flows up afresh.

    The sums are taken afresh so that the link flows never drift from the flows by origin.
    """
    n_slots = new.start[n_origins]
    living = np.arange(n_pairs, dtype=np.int32)
    first_gain = 0.0
    n_living = n_pairs
    for sweep in range(_SWEEPS):
        gain, n_living = sweep_pairs(n_living, new.link, new.flow, state, pairs, tolerance, living)
        if sweep == 0:
            first_gain = gain
        if gain <= _LEAST_GAIN * first_gain:
            break
        if sweep == _SWEEPS_ALONE and n_pairs <= _FEW_PAIRS and len(state.own_weight) == 1:
            joint_shift(n_pairs, n_slots, 1, new.link, new.flow, state, pairs)
            living[:] = np.arange(n_pairs, dtype=np.int32)
            n_living = n_pairs
    if jointly:
        joint_shift(n_pairs, n_slots, _JOINT_ROUNDS, new.link, new.flow, state, pairs)
    for link in range(len(state.links)):
        state.links[link].flow = 0.0
    for slot in range(n_slots):
        state.links[new.link[slot]].flow += new.flow[slot]
    refresh_all(state)
