"""Memory for packed blocks, and their way back to rows.

`kernels.packing` says what a packed block is. Blocks lie one behind the other in pages of a few megabytes: large pieces spare the
operating system millions of page faults, and a page that has been written once is never moved.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts_model.kernels.layout import ENTRY, JOURNAL_COLUMNS, PACKED_HEAD_BYTES, Ints, Rows
from contracts_model.kernels.packing import pack

PAGE_BYTES: Final = 1 << 23
FIELDS: Final = tuple(ENTRY.names or ())
_TOUCH_BYTES: Final = 4096


def touch(array: npt.NDArray[np.generic]) -> None:
    """Write one zero into every page of the operating system under an array of zeros, or of nothing yet, so that it is there."""
    array.reshape(-1).view(np.uint8)[::_TOUCH_BYTES] = 0


def columns_of(rows: Rows) -> Ints:
    """Fields of `ENTRY` rows as columns, shape (9, n)."""
    columns = np.empty((JOURNAL_COLUMNS, len(rows)), np.int64)
    for column, name in zip(columns, FIELDS, strict=True):
        column[:] = rows[name]
    return columns


def rows_of(columns: Ints) -> Rows:
    """Columns, shape (9, n), as rows of `ENTRY`."""
    rows = np.empty(columns.shape[1], ENTRY)
    for column, name in zip(columns, FIELDS, strict=True):
        rows[name] = column
    return rows


def most_bytes(entries: int) -> int:
    """Greatest size of a packed block."""
    return PACKED_HEAD_BYTES + 8 * JOURNAL_COLUMNS * entries


class Page:
    """One piece of memory that packed blocks and their digests fill from the front.

    Parameters
    ----------
    size
        Bytes, a multiple of 8.
    """

    __slots__ = ("used", "views")

    def __init__(self, size: int) -> None:
        words = np.empty(size // 8, np.int64)
        self.views = (words.view(np.uint8), words.view(np.uint16), words.view(np.uint32), words)
        self.used = 0

    def room(self) -> int:
        """Bytes that are left."""
        return len(self.views[0]) - self.used

    def add(self, columns: Ints, start: int, stop: int, digests: Ints) -> memoryview:
        """Pack entries, put their digests behind them; returns the bytes of both."""
        begin = self.used
        packed = pack(columns, start, stop, begin, *self.views)
        self.used = packed + digests.nbytes
        self.views[3][packed // 8 : self.used // 8] = digests.reshape(-1)
        return self.views[0][begin : self.used].data.toreadonly()


def packed_bytes(columns: Ints, digests: Ints) -> memoryview:
    """Packed form of a few entries, shape (9, n), and their digests, in memory of their own."""
    entries = columns.shape[1]
    return Page(most_bytes(entries) + digests.nbytes).add(columns, 0, entries, digests)


def unpack_columns(packed: memoryview, entries: int) -> tuple[Ints, Ints]:
    """Columns, shape (9, n), and digests of a packed block."""
    head = np.frombuffer(packed, np.int64, 2 * JOURNAL_COLUMNS)
    columns = np.empty((JOURNAL_COLUMNS, entries), np.int64)
    at = PACKED_HEAD_BYTES
    for column, least, width in zip(columns, head[::2], head[1::2].tolist(), strict=True):
        column[:] = least
        if width > 0:
            column += np.frombuffer(packed, f"<u{width}", entries, at).astype(np.int64)
        at += -(-entries * width // 8) * 8
    return columns, np.frombuffer(packed, np.int64, offset=at).reshape(-1, 4)


def unpack(packed: memoryview, entries: int) -> tuple[Rows, Ints]:
    """Rows and digests of a packed block."""
    columns, digests = unpack_columns(packed, entries)
    return rows_of(columns), digests
