"""Names for the column types, so that signatures say what an array holds."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatColumn: TypeAlias = NDArray[np.float64]
IndexColumn: TypeAlias = NDArray[np.int32]
OffsetColumn: TypeAlias = NDArray[np.int64]
CodeColumn: TypeAlias = NDArray[np.uint8]
BoolColumn: TypeAlias = NDArray[np.bool_]
IdColumn: TypeAlias = NDArray[Any]
"""External identifiers: int64 or text."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only, contiguous array with the same content (a copy only where one is needed)."""
    result = np.ascontiguousarray(array)
    if result is array and array.flags.writeable:
        result = array.view()
    result.flags.writeable = False
    return result
