"""When an iteration stops, and why: every solver of static traffic says so in the same words."""

from __future__ import annotations

import math

STALL_ITERATIONS = 30
_STALL_FACTOR = 0.9
_SLOW_ITERATIONS = 3
_SLOW_FACTOR = 0.5


class Stopping:
    """Watches the relative gap.

    Parameters
    ----------
    gap
        Relative gap to reach.
    max_iterations
        Iterations after which to give up.

    Attributes
    ----------
    gaps
        Relative gaps so far, one before every iteration.
    """

    def __init__(self, gap: float, max_iterations: int) -> None:
        self.gap = gap
        self.max_iterations = max_iterations
        self.gaps: list[float] = []
        self._best_gap = math.inf
        self._best_at = 0

    def reason(self, relative_gap: float) -> str | None:
        """Take note of the gap before the next iteration; return why there should be none, or None."""
        iteration = len(self.gaps)
        self.gaps.append(relative_gap)
        if relative_gap < _STALL_FACTOR * self._best_gap:
            self._best_gap, self._best_at = relative_gap, iteration
        if relative_gap <= self.gap:
            return "gap reached"
        if iteration >= self.max_iterations:
            return f"iteration bound of {self.max_iterations} reached"
        if iteration - self._best_at >= STALL_ITERATIONS:
            return f"gap no longer falls (best in the last {STALL_ITERATIONS} iterations)"
        return None

    @property
    def slow(self) -> bool:
        """Whether the gap is more than half of what it was three iterations ago."""
        return len(self.gaps) > _SLOW_ITERATIONS and self.gaps[-1] > _SLOW_FACTOR * self.gaps[-1 - _SLOW_ITERATIONS]
