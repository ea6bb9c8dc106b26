"""The canonical packed form of a block of journal entries: what the seals are computed over and what is kept in memory.

A block of n entries is packed column by column, in the order of `layout.ENTRY`. Column c with least value m and greatest value
M becomes n unsigned little-endian offsets x - m (mod 2^64) of w bytes each, w being the narrowest of 0, 1, 2, 4, 8 that holds
M - m; zeros fill it up to a multiple of 8 bytes. In front stand the pairs (m, w) of all columns as 64-bit integers. Header and
entries determine these bytes and these bytes the entries, so that a seal over them is a seal over the entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from contracts_model._jit import helper, kernel
from contracts_model.kernels.codes import DIGEST_KIND_BITS
from contracts_model.kernels.layout import JOURNAL_COLUMNS, PACKED_HEAD_BYTES, Ints

Bytes1 = npt.NDArray[np.uint8]
Bytes2 = npt.NDArray[np.uint16]
Bytes4 = npt.NDArray[np.uint32]
Unsigned = npt.NDArray[np.integer[Any]]


@helper
def width_of(span: int) -> int:
    """Bytes of an offset up to `span`; a span beyond 63 bits arrives negative."""
    if span == 0:
        return 0
    if span < 0 or span >= 1 << 32:
        return 8
    if span >= 1 << 16:
        return 4
    return 2 if span >= 1 << 8 else 1


@helper
def narrow(column: Ints, least: int, offsets: Unsigned) -> None:
    """Write the offsets of a column from its least value."""
    for i in range(len(offsets)):
        offsets[i] = column[i] - least


@kernel
def pack(columns: Ints, start: int, stop: int, at: int, of1: Bytes1, of2: Bytes2, of4: Bytes4, of8: Ints) -> int:
    """Pack the entries from `start` to `stop` (at least one) of `columns`, shape (9, n).

    The last four arguments are views of one piece of memory as integers of 1, 2, 4 and 8 bytes; packing begins at its byte
    `at`, a multiple of 8. Returns the byte behind the packed block.
    """
    entries = stop - start
    head = at // 8
    end = at + PACKED_HEAD_BYTES
    for c in range(JOURNAL_COLUMNS):
        column = columns[c, start:stop]
        least = column[0]
        most = least
        for i in range(entries):
            least = min(least, column[i])
            most = max(most, column[i])
        width = width_of(most - least)
        of8[head + 2 * c] = least
        of8[head + 2 * c + 1] = width
        begin = end
        end += (entries * width + 7) // 8 * 8
        if width > 0:
            of8[end // 8 - 1] = 0  # the filling behind the last offset
        if width == 1:
            narrow(column, least, of1[begin : begin + entries])
        elif width == 2:
            narrow(column, least, of2[begin // 2 : begin // 2 + entries])
        elif width == 4:
            narrow(column, least, of4[begin // 4 : begin // 4 + entries])
        elif width == 8:
            narrow(column, least, of8[begin // 8 : begin // 8 + entries])
    return end


@kernel
def count_digests(kinds: Ints) -> int:
    """Count the entries whose kind carries a digest."""
    count = 0
    for kind in kinds:
        count += (DIGEST_KIND_BITS >> min(kind, 63)) & 1  # bit 63 is never set
    return count
