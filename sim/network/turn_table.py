"""What a network says about turns: sequences of links that nobody may drive, and the delay of single turns.

A ban is a sequence of two or more links, each starting where the one before ends: two for a ban at a junction, more for one that
counts only for those who came by certain links (a restriction "via ways").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import FloatColumn, IndexColumn, OffsetColumn, frozen
from sim.errors import InputError


def _no_positions() -> NDArray[np.int32]:
    return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class TurnTable:
    """Bans and delays of turns, in link positions of the network that holds them.

    Attributes
    ----------
    ban_start, ban_link_idx
        Ban k is `ban_link_idx[ban_start[k]:ban_start[k + 1]]`, in the order of driving; shapes (n_bans + 1,) and any.
    delay_in_idx, delay_out_idx, delay_s
        Seconds that the turn from one link into the next takes beside the links' own times; above 0, finite. Turns that are not
        listed take none.
    """

    ban_start: OffsetColumn = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    ban_link_idx: IndexColumn = field(default_factory=_no_positions)
    delay_in_idx: IndexColumn = field(default_factory=_no_positions)
    delay_out_idx: IndexColumn = field(default_factory=_no_positions)
    delay_s: FloatColumn = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        types: dict[str, Any] = {"ban_start": np.int64, "delay_s": np.float64}
        for column in fields(self):
            value = getattr(self, column.name).astype(types.get(column.name, np.int32), copy=False)
            object.__setattr__(self, column.name, frozen(value))

    @property
    def n_bans(self) -> int:
        """Number of bans."""
        return len(self.ban_start) - 1

    @property
    def n_delays(self) -> int:
        """Number of turns with a delay."""
        return len(self.delay_s)

    @property
    def is_empty(self) -> bool:
        """Whether every turn is free."""
        return self.n_bans == 0 and self.n_delays == 0

    def bans(self) -> list[tuple[int, ...]]:
        """Return the bans as tuples of link positions."""
        links, start = self.ban_link_idx.tolist(), self.ban_start.tolist()
        return [tuple(links[first:last]) for first, last in pairwise(start)]

    def delays(self) -> dict[tuple[int, int], float]:
        """Return the delay of each turn that has one, by its two link positions."""
        turns = zip(self.delay_in_idx.tolist(), self.delay_out_idx.tolist(), strict=True)
        return dict(zip(turns, self.delay_s.tolist(), strict=True))

    def require_sound(self, tail_idx: IndexColumn, head_idx: IndexColumn, source: str) -> None:
        """Raise InputError unless every ban and delay is a way through links that exist and follow each other."""
        n_links = len(tail_idx)
        lengths = np.diff(self.ban_start)
        if self.ban_start[0] != 0 or (lengths < 2).any() or self.ban_start[-1] != len(self.ban_link_idx):
            raise InputError("the bans do not fit together", source=source, where="ban_start", allowed="two links or more a ban")
        if not len(self.delay_in_idx) == len(self.delay_out_idx) == len(self.delay_s):
            raise InputError("the delays of turns do not fit together", source=source, where="delay_s")
        if not (np.isfinite(self.delay_s) & (self.delay_s > 0)).all():
            raise InputError("a delay that is no time", source=source, where="delay_s", allowed="finite seconds above 0")
        inner = np.ones(len(self.ban_link_idx), dtype=np.bool_)
        inner[self.ban_start[:-1]] = False
        follows = np.flatnonzero(inner)
        for name, before, after in (
            ("ban_link_idx", self.ban_link_idx[follows - 1], self.ban_link_idx[follows]),
            ("delay_in_idx", self.delay_in_idx, self.delay_out_idx),
        ):
            ends = np.concatenate([before, after])
            if len(ends) and (ends.min() < 0 or ends.max() >= n_links):
                raise InputError(f"a position outside 0..{n_links - 1}", source=source, where=name)
            apart = head_idx[before] != tail_idx[after]
            if apart.any():
                turn = int(np.argmax(apart))
                raise InputError(
                    f"link {after[turn]} does not start where link {before[turn]} ends",
                    source=source,
                    where=name,
                    allowed="links that follow each other",
                )


def turn_table(bans: Iterable[Sequence[int]] = (), delays: dict[tuple[int, int], float] | None = None) -> TurnTable:
    """Return the table of some bans (repeated ones once) and delays, both sorted."""
    kept = sorted({tuple(map(int, ban)) for ban in bans})
    turns = sorted((delays or {}).items())
    return TurnTable(
        ban_start=np.concatenate([[0], np.cumsum([len(ban) for ban in kept])]),
        ban_link_idx=np.array([link for ban in kept for link in ban], dtype=np.int32),
        delay_in_idx=np.array([turn[0] for turn, _ in turns], dtype=np.int32),
        delay_out_idx=np.array([turn[1] for turn, _ in turns], dtype=np.int32),
        delay_s=np.array([delay_s for _, delay_s in turns], dtype=np.float64),
    )
