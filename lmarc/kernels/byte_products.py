"""Products of int8 with int8 for processors that multiply bytes: half the time of pairs of int16.

Their instruction takes bytes without a sign times bytes with one, so that weights stand in memory
with 128 added: [M / 16][K / 4][16][4]. What that adds to each output of a row, 128 times the sum of
its inputs, is taken off where the output's sum begins. Sums are the same integers as those of
`network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import I16Array, I32Array, inlined
from ._vector import (
    dot_quads,
    load_i16,
    load_i32,
    splat,
    splat_at,
    store_bytes,
    store_i32,
    total,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector


@inlined
def enter(inputs: I16Array, rows: int, size: int, quads: I32Array, starts: I32Array) -> None:
    """Write rows of `size` inputs, int8 in int16, as bytes, and where their sums begin."""
    for row in range(rows):
        first = row * size
        inputs_sum = splat(0)
        for at in range(first, first + size, 16):
            value = load_i16(inputs, at)
            store_bytes(quads, at >> 2, value)
            inputs_sum = inputs_sum + value
        starts[row] = start(inputs_sum)


@inlined
def start(inputs: Vector) -> int:
    """Where the sums of a row begin whose inputs, or sums of some of them, are these."""
    begin: int = -128 * total(inputs)
    return begin


@inlined
def multiply(
    weights: I16Array,
    scales: I32Array,
    quads: I32Array,
    starts: I32Array,
    n_quads: int,
    sums: I32Array,
    at: int,
    stride: int,
    rows: int,
    onto: int,
) -> None:
    """Write `len(scales)` sums of each row, or add to what is there.

    Eight sums at a time stay in registers: those of four rows and two blocks of outputs.

    Parameters
    ----------
    weights : int16, shape (outputs * n_quads * 2,)
        The bytes two and two.
    scales : int32, shape (outputs,)
    quads, starts
        As `enter` writes them.
    n_quads : int
        Inputs by four: an even number.
    sums : int32
        Those of a row begin at `at` and `stride` after the row before.
    onto : int
        1 to add, 0 to write: a constant, so that the other is not compiled.
    """
    n_outputs = len(scales)
    size = 32 * n_quads  # of sixteen outputs
    together, blocks = rows & -4, n_outputs >> 4 & -2
    for block in range(0, blocks, 2):
        scale, scale_2 = load_i32(scales, 16 * block), load_i32(scales, 16 * block + 16)
        for row in range(0, together, 4):
            a, b = splat_at(starts, row), splat_at(starts, row + 1)
            c, d = splat_at(starts, row + 2), splat_at(starts, row + 3)
            a_2, b_2, c_2, d_2 = a, b, c, d
            place, quad = size * block, row * n_quads
            for _ in range(n_quads):
                inputs = splat_at(quads, quad)
                a = dot_quads(weights, place, inputs, a)
                a_2 = dot_quads(weights, place + size, inputs, a_2)
                inputs = splat_at(quads, quad + n_quads)
                b = dot_quads(weights, place, inputs, b)
                b_2 = dot_quads(weights, place + size, inputs, b_2)
                inputs = splat_at(quads, quad + 2 * n_quads)
                c = dot_quads(weights, place, inputs, c)
                c_2 = dot_quads(weights, place + size, inputs, c_2)
                inputs = splat_at(quads, quad + 3 * n_quads)
                d = dot_quads(weights, place, inputs, d)
                d_2 = dot_quads(weights, place + size, inputs, d_2)
                place, quad = place + 32, quad + 1
            to = at + row * stride + 16 * block
            _put(sums, to, a * scale, onto)
            _put(sums, to + 16, a_2 * scale_2, onto)
            _put(sums, to + stride, b * scale, onto)
            _put(sums, to + stride + 16, b_2 * scale_2, onto)
            _put(sums, to + 2 * stride, c * scale, onto)
            _put(sums, to + 2 * stride + 16, c_2 * scale_2, onto)
            _put(sums, to + 3 * stride, d * scale, onto)
            _put(sums, to + 3 * stride + 16, d_2 * scale_2, onto)
    for block in range(0, n_outputs >> 4, 2):
        # Two blocks share what is read of the inputs; the last may be alone. The rows that are left
        # find the weights near.
        other = min(block + 1, (n_outputs >> 4) - 1)
        for row in range(together if block < blocks else 0, rows):
            to = at + row * stride
            place, place_2, quad = size * block, size * other, row * n_quads
            a, b, c, d = splat_at(starts, row), splat(0), splat_at(starts, row), splat(0)
            for _ in range(0, n_quads, 2):
                inputs = splat_at(quads, quad)
                a = dot_quads(weights, place, inputs, a)
                c = dot_quads(weights, place_2, inputs, c)
                inputs = splat_at(quads, quad + 1)
                b = dot_quads(weights, place + 32, inputs, b)
                d = dot_quads(weights, place_2 + 32, inputs, d)
                place, place_2, quad = place + 64, place_2 + 64, quad + 2
            _put(sums, to + 16 * block, (a + b) * load_i32(scales, 16 * block), onto)
            if other > block:
                _put(sums, to + 16 * other, (c + d) * load_i32(scales, 16 * other), onto)


@inlined
def product(
    weights: I16Array, place: int, quads: I32Array, quad: int, n_quads: int, start: int
) -> Vector:
    """Sixteen outputs of one row, in four sums that do not wait for each other; not scaled."""
    a, b, c, d = splat(start), splat(0), splat(0), splat(0)
    for k in range(0, n_quads, 4):
        a = dot_quads(weights, place + 32 * k, splat_at(quads, quad + k), a)
        b = dot_quads(weights, place + 32 * k + 32, splat_at(quads, quad + k + 1), b)
        c = dot_quads(weights, place + 32 * k + 64, splat_at(quads, quad + k + 2), c)
        d = dot_quads(weights, place + 32 * k + 96, splat_at(quads, quad + k + 3), d)
    return (a + b) + (c + d)


@inlined
def _put(sums: I32Array, at: int, value: Vector, onto: int) -> None:
    if onto:
        value = load_i32(sums, at) + value
    store_i32(sums, at, value)
