"""Eight searches side by side: labels in rows of eight, and vector instructions over a row.

The compiler does not find these loops by itself, because it cannot know that the rows differ; so their code is stated here. A
row is one cache line. Each function stands for the loop in its docstring; a minimum keeps its first argument at a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from sim.kernels._jit import kernel

LANES = 8
ROUNDING = 1e-12
"""Relative difference of two sums along the same path that rounding explains."""
_CACHE_LINE, _BYTES = 64, 8

_cg: Any = _cgutils
_LABELS = ir.VectorType(ir.DoubleType(), LANES)
_PICKS = ir.VectorType(ir.IntType(32), LANES)
_COUNT = ir.IntType(64)


@kernel
def label_rows(n_rows: int) -> NDArray[np.float64]:
    """Return rows of labels, shape (n_rows, LANES), each on one cache line; uninitialised."""
    raw = np.empty((n_rows + 1) * LANES)
    skipped = (-raw.ctypes.data % _CACHE_LINE) // _BYTES
    return raw[skipped : skipped + n_rows * LANES].reshape(n_rows, LANES)


class _Emitter:
    """Writes loads and stores of rows for one call."""

    def __init__(self, context: Any, builder: Any, array_types: Any, arrays: Any) -> None:
        self.builder = builder
        views = [context.make_array(kind)(context, builder, value) for kind, value in zip(array_types, arrays, strict=True)]
        self.data = [view.data for view in views]

    def entry(self, array: int, position: Any) -> Any:
        return self.builder.load(self.builder.gep(self.data[array], [position]))

    def row_address(self, array: int, row: Any, kind: Any = _LABELS) -> Any:
        first = self.builder.mul(row, _COUNT(LANES))
        return self.builder.bitcast(self.builder.gep(self.data[array], [first]), kind.as_pointer())

    def row(self, array: int, row: Any) -> Any:
        return self.builder.load(self.row_address(array, row), align=_BYTES)

    def spread(self, value: Any, kind: Any = _LABELS) -> Any:
        single = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
        mask = ir.Constant(_PICKS, [0] * LANES)
        return self.builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), mask)

    def lesser(self, candidate: Any, held: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered("<", candidate, held), candidate, held)

    def wide(self, index: Any) -> Any:
        return self.builder.sext(index, _COUNT)


def _pull(_typing: Any, label: Any, own: Any, node: Any, cost: Any, first: Any, past_last: Any) -> Any:
    """label[own] = min(label[own], label[node[arc]] + cost[arc]) for arc in range(first, past_last)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, own_row, _, _, begin, end = arguments
        kinds = signature.args
        out = _Emitter(context, builder, (kinds[0], kinds[2], kinds[3]), (arguments[0], arguments[2], arguments[3]))
        held = _cg.alloca_once_value(builder, out.row(0, own_row))
        with _cg.for_range(builder, builder.sub(end, begin), intp=_COUNT) as loop:
            arc = builder.add(begin, loop.index)
            paid = out.spread(out.entry(2, arc))
            candidate = builder.fadd(out.row(0, out.wide(out.entry(1, arc))), paid)
            builder.store(out.lesser(candidate, builder.load(held)), held)
        builder.store(builder.load(held), out.row_address(0, own_row), align=_BYTES)
        return context.get_dummy_value()

    count = types.int64
    return types.void(label, count, node, cost, count, count), generate


def _push(_typing: Any, label: Any, own: Any, node: Any, cost: Any, first: Any, past_last: Any) -> Any:
    """label[node[arc]] = min(label[node[arc]], label[own] + cost[arc]) for arc in range(first, past_last)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, own_row, _, _, begin, end = arguments
        kinds = signature.args
        out = _Emitter(context, builder, (kinds[0], kinds[2], kinds[3]), (arguments[0], arguments[2], arguments[3]))
        reached = out.row(0, own_row)
        with _cg.for_range(builder, builder.sub(end, begin), intp=_COUNT) as loop:
            arc = builder.add(begin, loop.index)
            paid = out.spread(out.entry(2, arc))
            other = out.wide(out.entry(1, arc))
            nearer = out.lesser(builder.fadd(reached, paid), out.row(0, other))
            builder.store(nearer, out.row_address(0, other), align=_BYTES)
        return context.get_dummy_value()

    count = types.int64
    return types.void(label, count, node, cost, count, count), generate


def _pick(
    _typing: Any, label: Any, own: Any, node: Any, cost: Any, link: Any, first: Any, past_last: Any, best: Any, picked: Any
) -> Any:
    """Find in each lane the entry with the least label[node[entry]] + cost[entry] and a label[node[entry]] below label[own].

    best[0] gets the sums (inf where there is none), picked[0] the `link` of the entries (-1). Returns the lanes whose sum is
    above their own label by more than rounding, as bits.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, own_row, _, _, _, begin, end, _, _ = arguments
        which = (0, 2, 3, 4, 7, 8)
        out = _Emitter(context, builder, [signature.args[i] for i in which], [arguments[i] for i in which])
        own_label = out.row(0, own_row)
        held = _cg.alloca_once_value(builder, ir.Constant(_LABELS, [float("inf")] * LANES))
        chosen = _cg.alloca_once_value(builder, ir.Constant(_PICKS, [-1] * LANES))
        with _cg.for_range(builder, builder.sub(end, begin), intp=_COUNT) as loop:
            entry = builder.add(begin, loop.index)
            before = out.row(0, out.wide(out.entry(1, entry)))
            candidate = builder.fadd(before, out.spread(out.entry(2, entry)))
            is_less = builder.fcmp_ordered("<", candidate, builder.load(held))
            wanted = builder.and_(is_less, builder.fcmp_ordered("<", before, own_label))
            builder.store(builder.select(wanted, candidate, builder.load(held)), held)
            mine = out.spread(out.entry(3, entry), _PICKS)
            builder.store(builder.select(wanted, mine, builder.load(chosen)), chosen)
        builder.store(builder.load(held), out.row_address(4, _COUNT(0)), align=_BYTES)
        builder.store(builder.load(chosen), out.row_address(5, _COUNT(0), _PICKS), align=4)
        most = builder.fmul(own_label, ir.Constant(_LABELS, [1.0 + ROUNDING] * LANES))
        misfits = builder.fcmp_ordered(">", builder.load(held), most)
        return builder.zext(builder.bitcast(misfits, ir.IntType(LANES)), _COUNT)

    count = types.int64
    return count(label, count, node, cost, link, count, count, best, picked), generate


def _inside_kernels(function: Callable[..., Any]) -> Any:
    return intrinsic(function)


pull = _inside_kernels(_pull)
"""`pull(label, own, node, cost, first, past_last)`: lower one row from the rows of its arcs' other ends."""
push = _inside_kernels(_push)
"""`push(label, own, node, cost, first, past_last)`: lower the rows of the arcs' other ends from one row."""
pick = _inside_kernels(_pick)
"""`pick(label, own, node, cost, link, first, past_last, best, picked)`: the best entry of each lane."""
