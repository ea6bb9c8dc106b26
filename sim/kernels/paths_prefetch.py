"""Ask the processor to load a line of memory that a search will soon need.

A search jumps about in memory, and the processor cannot guess where to; the queue knows. Prefetching changes no result: on a
processor without the instruction it does nothing, and an address outside the array is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

cgutils: Any = _cgutils

_FOR_READING, _KEEP_NEAR, _DATA_CACHE = 0, 3, 1


def _prefetch(_typing: Any, array: Any, position: Any) -> tuple[Any, Callable[..., Any]]:
    """Start loading `array[position]` into the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        view = context.make_array(array_type)(context, builder, arguments[0])
        address = cgutils.get_item_pointer(context, builder, array_type, view, [arguments[1]], wraparound=False)
        byte_pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch")
        hints = [word(_FOR_READING), word(_KEEP_NEAR), word(_DATA_CACHE)]
        builder.call(function, [builder.bitcast(address, byte_pointer), *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""`prefetch(array, position)` inside a kernel: start loading that entry of a one-dimensional array, whatever its type."""
