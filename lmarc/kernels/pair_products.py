"""Products of int8 with int8 by pairs of int16, which every processor multiplies and adds.

A product of K inputs and M outputs reads its weights as [M / 16][K / 2][16][2]: sixteen outputs of
two inputs are one vector, and whatever the processor, no sum is taken across lanes.  In memory
weights are int16: a multiply-add of pairs then reads them as they are, which beats half the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import I16Array, I32Array, inlined
from ._vector import dot_pairs, load_i32, splat, splat_at, store_i32

if TYPE_CHECKING:
    from ._vector_plain import Vector


@inlined
def add(
    weights: I16Array,
    scales: I32Array,
    pairs: I32Array,
    n_pairs: int,
    sums: I32Array,
    at: int,
    stride: int,
    rows: int,
) -> None:
    """Add a product to `len(scales)` sums from `at` on, in each row of `stride` sums.

    Four sums at a time stay in registers: those of four rows, or of a single row where it is alone.

    Parameters
    ----------
    weights : int16, shape (outputs * n_pairs * 2,)
    scales : int32, shape (outputs,)
    pairs : int32, shape (rows * n_pairs,)
        Inputs, pairs of int16.
    n_pairs : int
        A multiple of 4.
    sums : int32
        Changed.
    at, stride, rows : int
    """
    n_outputs = len(scales)
    size = 32 * n_pairs  # weights of sixteen outputs
    row = 0
    while row + 4 <= rows:
        row += 4
    for block in range(n_outputs // 16):
        scale = load_i32(scales, 16 * block)
        to = at + 16 * block
        for first in range(0, row, 4):
            a, b, c, d = splat(0), splat(0), splat(0), splat(0)
            place, pair = size * block, first * n_pairs
            for _ in range(n_pairs):
                a = a + dot_pairs(weights, place, splat_at(pairs, pair))
                b = b + dot_pairs(weights, place, splat_at(pairs, pair + n_pairs))
                c = c + dot_pairs(weights, place, splat_at(pairs, pair + 2 * n_pairs))
                d = d + dot_pairs(weights, place, splat_at(pairs, pair + 3 * n_pairs))
                place, pair = place + 32, pair + 1
            place = to + first * stride
            _onto(sums, place, a * scale)
            _onto(sums, place + stride, b * scale)
            _onto(sums, place + 2 * stride, c * scale)
            _onto(sums, place + 3 * stride, d * scale)
    for single in range(row, rows):
        block = 0
        place = at + single * stride
        pair = single * n_pairs
        while block + 4 <= n_outputs // 16:
            a, b, c, d = splat(0), splat(0), splat(0), splat(0)
            first = size * block
            for k in range(n_pairs):
                inputs = splat_at(pairs, pair + k)
                a = a + dot_pairs(weights, first, inputs)
                b = b + dot_pairs(weights, first + size, inputs)
                c = c + dot_pairs(weights, first + 2 * size, inputs)
                d = d + dot_pairs(weights, first + 3 * size, inputs)
                first += 32
            to = place + 16 * block
            _onto(sums, to, a * load_i32(scales, 16 * block))
            _onto(sums, to + 16, b * load_i32(scales, 16 * block + 16))
            _onto(sums, to + 32, c * load_i32(scales, 16 * block + 32))
            _onto(sums, to + 48, d * load_i32(scales, 16 * block + 48))
            block += 4
        while block < n_outputs // 16:
            outputs = product(weights, size * block, pairs, pair, n_pairs)
            _onto(sums, place + 16 * block, outputs * load_i32(scales, 16 * block))
            block += 1


@inlined
def _onto(sums: I32Array, at: int, more: Vector) -> None:
    store_i32(sums, at, load_i32(sums, at) + more)


@inlined
def product(weights: I16Array, place: int, pairs: I32Array, pair: int, n_pairs: int) -> Vector:
    """Sixteen outputs of one row, in four sums that do not wait for each other."""
    a, b, c, d = splat(0), splat(0), splat(0), splat(0)
    for k in range(0, n_pairs, 4):
        a = a + dot_pairs(weights, place + 32 * k, splat_at(pairs, pair + k))
        b = b + dot_pairs(weights, place + 32 * k + 32, splat_at(pairs, pair + k + 1))
        c = c + dot_pairs(weights, place + 32 * k + 64, splat_at(pairs, pair + k + 2))
        d = d + dot_pairs(weights, place + 32 * k + 96, splat_at(pairs, pair + k + 3))
    return (a + b) + (c + d)
