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
        starts[row] = -128 * total(inputs_sum)


@inlined
def multiply(
    weights: I16Array,
    scales: I32Array,
    quads: I32Array,
    starts: I32Array,
    n_quads: int,
    sums: I32Array,
    rows: int,
) -> None:
    """Write `len(scales)` sums of each row.

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
    sums : int32, shape (rows * outputs,)
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
            to = row * n_outputs + 16 * block
            _store(sums, to, a * scale, a_2 * scale_2)
            _store(sums, to + n_outputs, b * scale, b_2 * scale_2)
            _store(sums, to + 2 * n_outputs, c * scale, c_2 * scale_2)
            _store(sums, to + 3 * n_outputs, d * scale, d_2 * scale_2)
    for row in range(rows):
        at = row * n_outputs
        for block in range(blocks if row < together else 0, n_outputs >> 4, 2):
            # Two blocks share what is read of the inputs; the last may be looked at twice.
            other = min(block + 1, (n_outputs >> 4) - 1)
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
            store_i32(sums, at + 16 * block, (a + b) * load_i32(scales, 16 * block))
            store_i32(sums, at + 16 * other, (c + d) * load_i32(scales, 16 * other))


@inlined
def _store(sums: I32Array, at: int, first: Vector, second: Vector) -> None:
    store_i32(sums, at, first)
    store_i32(sums, at + 16, second)
