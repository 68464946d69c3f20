"""Products of int8 with int8 for processors that multiply bytes: half the time of pairs of int16.

Their instruction takes bytes without a sign times bytes with one, so that weights stand in memory
with 128 added: [M / 16][K / 4][16][4]. What that adds to each output of a row, 128 times the sum of
its inputs, is taken off where the output's sum begins. Sums are the same integers as those of
`network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import I16Array, I32Array, inlined, integer
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

    FourVectors = tuple[Vector, Vector, Vector, Vector]


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

    Sixteen sums at a time stay in registers, those of four rows and four blocks of outputs: eight
    would have to wait for each other, and read six times for eight instructions, not eight times
    for sixteen.

    Parameters
    ----------
    weights : int16, shape (outputs * n_quads * 2,)
        The bytes two and two.
    scales : int32, shape (outputs,)
    quads, starts
        As `enter` writes them.
    n_quads : int
        Inputs by four: a multiple of four.
    sums : int32
        Those of a row begin at `at` and `stride` after the row before.
    onto : int
        1 to add, 0 to write: a constant, so that the other is not compiled.
    """
    n_outputs = len(scales)
    size = 32 * n_quads  # of sixteen outputs
    together, blocks = rows & -4, n_outputs >> 4 & -4
    for block in range(0, blocks, 4):
        for row in range(0, together, 4):
            a, b = splat_at(starts, row), splat_at(starts, row + 1)
            c, d = splat_at(starts, row + 2), splat_at(starts, row + 3)
            first, second, third, fourth = (a, a, a, a), (b, b, b, b), (c, c, c, c), (d, d, d, d)
            place, quad = size * block, row * n_quads
            for _ in range(n_quads):
                first = _add_quads(weights, place, size, splat_at(quads, quad), first)
                inputs = splat_at(quads, quad + n_quads)
                second = _add_quads(weights, place, size, inputs, second)
                inputs = splat_at(quads, quad + 2 * n_quads)
                third = _add_quads(weights, place, size, inputs, third)
                inputs = splat_at(quads, quad + 3 * n_quads)
                fourth = _add_quads(weights, place, size, inputs, fourth)
                place, quad = place + 32, quad + 1
            to = at + row * stride + 16 * block
            _put_four(sums, to, first, scales, 16 * block, onto)
            _put_four(sums, to + stride, second, scales, 16 * block, onto)
            _put_four(sums, to + 2 * stride, third, scales, 16 * block, onto)
            _put_four(sums, to + 3 * stride, fourth, scales, 16 * block, onto)
        for row in range(together, rows):
            # Those that are left find the weights near.
            a, b = splat_at(starts, row), splat(0)
            first, second = (a, a, a, a), (b, b, b, b)
            place, quad = size * block, row * n_quads
            for _ in range(0, n_quads, 2):
                first = _add_quads(weights, place, size, splat_at(quads, quad), first)
                inputs = splat_at(quads, quad + 1)
                second = _add_quads(weights, place + 32, size, inputs, second)
                place, quad = place + 64, quad + 2
            both = (
                first[0] + second[0],
                first[1] + second[1],
                first[2] + second[2],
                first[3] + second[3],
            )
            _put_four(sums, at + row * stride + 16 * block, both, scales, 16 * block, onto)
    for block in range(blocks, n_outputs >> 4):
        for row in range(rows):
            begin = integer(starts[row])
            outputs = product(weights, size * block, quads, row * n_quads, n_quads, begin)
            to = at + row * stride + 16 * block
            _put(sums, to, outputs * load_i32(scales, 16 * block), onto)


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
def _add_quads(
    weights: I16Array, place: int, size: int, inputs: Vector, sums: FourVectors
) -> FourVectors:
    """Add what four inputs of a row bring to four blocks of outputs, `size` weights apart."""
    return (
        dot_quads(weights, place, inputs, sums[0]),
        dot_quads(weights, place + size, inputs, sums[1]),
        dot_quads(weights, place + 2 * size, inputs, sums[2]),
        dot_quads(weights, place + 3 * size, inputs, sums[3]),
    )


@inlined
def _put_four(
    sums: I32Array, at: int, values: FourVectors, scales: I32Array, first: int, onto: int
) -> None:
    _put(sums, at, values[0] * load_i32(scales, first), onto)
    _put(sums, at + 16, values[1] * load_i32(scales, first + 16), onto)
    _put(sums, at + 32, values[2] * load_i32(scales, first + 32), onto)
    _put(sums, at + 48, values[3] * load_i32(scales, first + 48), onto)


@inlined
def _put(sums: I32Array, at: int, value: Vector, onto: int) -> None:
    if onto:
        value = load_i32(sums, at) + value
    store_i32(sums, at, value)
