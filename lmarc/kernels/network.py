"""The byte network's step: two gated linear recurrences in int8 products and int16 states.

spec/v1/neural.md, sections 4 and 5.  Weights are int8 with an exponent for each output; every sum
is brought to units of 2**-17 and wraps at 32 bits.  States and gates are int16 in units of 2**-15,
what enters a product is int8 in units of 2**-7.

A product of K inputs and M outputs reads its weights as [M / 16][K / 2][16][2]: sixteen outputs of
two inputs are one vector, and whatever the processor, no sum is taken across lanes.  In memory
weights are int16: a multiply-add of pairs then reads them as they are, which beats half the memory.

A step is taken by several *rows* at once, so that a weight is fetched once for all of them.  Rows
are bytes that follow each other, where they are known (an encoder goes along time), or the bytes of
several chunks (a decoder goes along in all).  Integers add up to the same in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._jit import I16Array, I32Array, I64Array, inlined, integer
from ._vector import (
    dot_pairs,
    load_i16,
    load_i32,
    maximum,
    minimum,
    mul16,
    splat,
    splat_at,
    store_i16,
    store_i32,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_SEEN = 16  # inputs that come from the mixture: its freqs
MAX_LOGIT = 8191


class Network(NamedTuple):
    """A network's weights, read-only. With n1 and n2 units, N = 2 n1 + 3 n2 + 16 outputs."""

    # (256, N) and (256, 2 n1), flattened: what the last two bytes bring, in units of 2**-11
    last: I16Array
    second_last: I16Array
    # [N / 16][8][16][2]: what the mixture's high nibble brings to all of them
    see: I16Array
    # [3 n2 / 16][n1 / 2][16][2]
    inner: I16Array
    # [n2 / 2][16][2], and sixteen such for each high nibble
    high: I16Array
    low: I16Array
    # [8][16][2]
    see_low: I16Array
    # (16, 16) flattened, in units of 2**-11
    low_bias: I16Array
    # 1 << (10 - exponent) of each output
    see_scales: I32Array
    inner_scales: I32Array
    high_scales: I32Array
    low_scales: I32Array
    see_low_scales: I32Array


class Hidden(NamedTuple):
    """State and the step's own arrays, for R rows."""

    # (R, n1) and (R, n2), flattened: what the layers remember; along time the first row alone
    first: I16Array
    second: I16Array
    # (R, 2): the byte before, and the one before that
    before: I64Array
    # Inputs of products, pairs of int16 in one int32: (R, 8), (R, n1 / 2) and (R, n2 / 2); and the
    # same memory by the piece.
    seen_pairs: I32Array
    first_pairs: I32Array
    second_pairs: I32Array
    seen: I16Array
    first_out: I16Array
    second_out: I16Array
    # (R, N): sums
    sums: I32Array
    # (n1,), (n2,): of no other use than their lengths
    units_1: I16Array
    units_2: I16Array


@inlined
def reset(hidden: Hidden) -> None:
    """The state before the first byte of a chunk, in all rows."""
    hidden.first[:] = 0
    hidden.second[:] = 0


@inlined
def _squash(sums: Vector, shift: int) -> Vector:
    """The odd function y (2 - |y|) of y = sums >> shift, clamped to +-1.

    In and out 1 is 32768; the result is at most 32767.
    """
    y = minimum(maximum(sums >> shift, splat(-32767)), splat(32767))
    size = maximum(y, splat(0) - y)
    return minimum(y + y - (mul16(y, size) >> 15), splat(32767))


@inlined
def _gate(sums: Vector) -> Vector:
    """0 to 32767."""
    return (_squash(sums, 4) >> 1) + 16384


@inlined
def _step(sums: I32Array, keep: int, new: int, state: I16Array, at: int) -> Vector:
    """Move the sixteen units at `at`, whose sums stand at `keep` and `new`; return them."""
    a = _gate(load_i32(sums, keep))
    value = _squash(load_i32(sums, new), 3)
    moved = mul16(a, load_i16(state, at)) + mul16(splat(32767) - a, value)
    units = (moved + 16384) >> 15
    store_i16(state, at, units)
    return units


@inlined
def _input(value: Vector) -> Vector:
    """A state as a product takes it: int8."""
    return minimum((value + 128) >> 8, splat(127))


@inlined
def _add_products(
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
            _add(sums, place, a * scale)
            _add(sums, place + stride, b * scale)
            _add(sums, place + 2 * stride, c * scale)
            _add(sums, place + 3 * stride, d * scale)
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
            _add(sums, to, a * load_i32(scales, 16 * block))
            _add(sums, to + 16, b * load_i32(scales, 16 * block + 16))
            _add(sums, to + 32, c * load_i32(scales, 16 * block + 32))
            _add(sums, to + 48, d * load_i32(scales, 16 * block + 48))
            block += 4
        while block < n_outputs // 16:
            product = _product(weights, size * block, pairs, pair, n_pairs)
            _add(sums, place + 16 * block, product * load_i32(scales, 16 * block))
            block += 1


@inlined
def _add(sums: I32Array, at: int, more: Vector) -> None:
    store_i32(sums, at, load_i32(sums, at) + more)


@inlined
def _product(weights: I16Array, place: int, pairs: I32Array, pair: int, n_pairs: int) -> Vector:
    """Sixteen outputs of one row, in four sums that do not wait for each other."""
    a, b, c, d = splat(0), splat(0), splat(0), splat(0)
    for k in range(0, n_pairs, 4):
        a = a + dot_pairs(weights, place + 32 * k, splat_at(pairs, pair + k))
        b = b + dot_pairs(weights, place + 32 * k + 32, splat_at(pairs, pair + k + 1))
        c = c + dot_pairs(weights, place + 32 * k + 64, splat_at(pairs, pair + k + 2))
        d = d + dot_pairs(weights, place + 32 * k + 96, splat_at(pairs, pair + k + 3))
    return (a + b) + (c + d)


@inlined
def _logits(sums: Vector) -> Vector:
    """Corrections in units of 2**-10 bits."""
    return minimum(maximum(sums >> 7, splat(-MAX_LOGIT)), splat(MAX_LOGIT))


@inlined
def see(hidden: Hidden, row: int, freqs: Vector) -> None:
    """Show a row the mixture's freqs of a nibble."""
    store_i16(hidden.seen, N_SEEN * row, freqs >> 9)


@inlined
def step(network: Network, hidden: Hidden, rows: int, along: int) -> None:
    """Take in, for each row, a byte's past and the freqs of its high nibble: `before` and `seen`.

    Parameters
    ----------
    rows : int
    along : int
        1 where each row follows the one before in the same chunk, 0 where it is another chunk's.
    """
    n1, n2 = len(hidden.units_1), len(hidden.units_2)
    n_outputs = len(network.see_scales)
    for row in range(rows):
        at_last = integer(hidden.before[2 * row]) * n_outputs
        at_second = integer(hidden.before[2 * row + 1]) * 2 * n1
        for at in range(0, 2 * n1, 16):
            value = load_i16(network.last, at_last + at) + load_i16(
                network.second_last, at_second + at
            )
            store_i32(hidden.sums, row * n_outputs + at, value * 64)
        for at in range(2 * n1, n_outputs, 16):
            value = load_i16(network.last, at_last + at)
            store_i32(hidden.sums, row * n_outputs + at, value * 64)
    _add_products(
        network.see, network.see_scales, hidden.seen_pairs, N_SEEN // 2,
        hidden.sums, 0, n_outputs, rows,
    )  # fmt: skip
    for row in range(rows):
        sums = row * n_outputs
        state = (1 - along) * row * n1
        for at in range(0, n1, 16):
            units = _step(hidden.sums, sums + at, sums + n1 + at, hidden.first, state + at)
            store_i16(hidden.first_out, row * n1 + at, _input(units))
    inner = 2 * n1
    _add_products(
        network.inner, network.inner_scales, hidden.first_pairs, n1 // 2,
        hidden.sums, inner, n_outputs, rows,
    )  # fmt: skip
    for row in range(rows):
        sums = row * n_outputs + inner
        state = (1 - along) * row * n2
        for at in range(0, n2, 16):
            units = _step(hidden.sums, sums + at, sums + n2 + at, hidden.second, state + at)
            open_ = _gate(load_i32(hidden.sums, sums + 2 * n2 + at))
            out = (mul16(units, open_) + 16384) >> 15
            store_i16(hidden.second_out, row * n2 + at, _input(out))


@inlined
def high(network: Network, hidden: Hidden, row: int) -> Vector:
    """A row's corrections for its byte's high nibble, after `step`."""
    n2 = len(hidden.units_2)
    product = _product(network.high, 0, hidden.second_pairs, row * (n2 // 2), n2 // 2)
    sums = load_i32(hidden.sums, (row + 1) * len(network.see_scales) - 16)
    return _logits(sums + product * load_i32(network.high_scales, 0))


@inlined
def low(network: Network, hidden: Hidden, row: int, high: int) -> Vector:
    """Its corrections for the low nibble, once the high one is known and `see` has its freqs."""
    n2 = len(hidden.units_2)
    product = _product(network.low, 16 * n2 * high, hidden.second_pairs, row * (n2 // 2), n2 // 2)
    seen = _product(network.see_low, 0, hidden.seen_pairs, row * (N_SEEN // 2), N_SEEN // 2)
    sums = load_i16(network.low_bias, 16 * high) * 64
    sums = sums + product * load_i32(network.low_scales, 16 * high)
    return _logits(sums + seen * load_i32(network.see_low_scales, 0))
