"""What one more vehicle that leaves a link at some time costs those behind it."""

from __future__ import annotations

from sim.arrays import FloatColumn, OffsetColumn
from sim.kernels._jit import kernel

_SATURATED = 1.05
"""Exits up to this many headways apart count as those of one queue."""


@kernel
def marginal_tolls(
    start: OffsetColumn,
    exit_s: FloatColumn,
    headway_s: FloatColumn,
    toll_start: OffsetColumn,
    step_s: FloatColumn,
    toll_s: FloatColumn,
) -> None:
    """Write for every step of time the headway times the vehicles that follow in the same queue of the link, seconds.

    A vehicle that leaves at the middle of the step puts those off that leave after it without a gap.

    Parameters
    ----------
    start, exit_s
        Exits of each link in order.
    toll_start, step_s, toll_s
        Steps of link a: `toll_s[toll_start[a]:toll_start[a + 1]]`, each `step_s[a]` long, from time 0 on.
    """
    for link in range(len(headway_s)):
        gap_s = _SATURATED * headway_s[link]
        record = start[link + 1] - 1
        behind = 0
        for step in range(toll_start[link + 1] - toll_start[link] - 1, -1, -1):
            middle_s = (step + 0.5) * step_s[link]
            while record >= start[link] and exit_s[record] >= middle_s:
                queued = record + 1 < start[link + 1] and exit_s[record + 1] - exit_s[record] <= gap_s
                behind = behind + 1 if queued else 0
                record -= 1
            # The next exit after the middle is the first that would be put off.
            follows = record + 1 < start[link + 1] and exit_s[record + 1] - middle_s < gap_s
            toll_s[toll_start[link] + step] = headway_s[link] * (behind + 1) if follows else 0.0
