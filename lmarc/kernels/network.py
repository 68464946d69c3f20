"""The byte network's step: two gated linear recurrences in int8 products and int16 states.

spec/v1/neural.md, sections 4 and 5.  Weights are int8 with an exponent for each output; every sum
is brought to units of 2**-17 and wraps at 32 bits.  States and gates are int16 in units of 2**-15,
what enters a product is int8 in units of 2**-7.

A product of K inputs and M outputs reads its weights as [K / 2][M][2], so that sixteen outputs of
two inputs are one vector: whatever the processor, no sum is taken across lanes.  In memory weights
are int16: a multiply-add of pairs then reads them as they are, which beats half the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._jit import I16Array, I32Array, inlined
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
    # [8][N][2]: what the mixture's high nibble brings to all of them
    see: I16Array
    # [n1 / 2][3 n2][2]
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
    """A chunk's state and the step's own arrays."""

    # (n1,) and (n2,): what the layers remember
    first: I16Array
    second: I16Array
    # Inputs of products, pairs of int16 in one int32: (8,), (n1 / 2,) and (n2 / 2,); and the same
    # memory by the piece.
    seen_pairs: I32Array
    first_pairs: I32Array
    second_pairs: I32Array
    seen: I16Array
    first_out: I16Array
    second_out: I16Array
    # (N,): sums
    sums: I32Array


@inlined
def reset(hidden: Hidden) -> None:
    """The state before the first byte of a chunk."""
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
def _step(sums: I32Array, keep: int, new: int, hidden: I16Array, at: int) -> Vector:
    """Move sixteen units of a layer, whose sums stand at `keep` and `new`; return them."""
    a = _gate(load_i32(sums, keep + at))
    value = _squash(load_i32(sums, new + at), 3)
    moved = mul16(a, load_i16(hidden, at)) + mul16(splat(32767) - a, value)
    state = (moved + 16384) >> 15
    store_i16(hidden, at, state)
    return state


@inlined
def _input(value: Vector) -> Vector:
    """A state as a product takes it: int8."""
    return minimum((value + 128) >> 8, splat(127))


@inlined
def _add_product(
    weights: I16Array, first: int, scales: I32Array, pairs: I32Array, sums: I32Array, at: int
) -> None:
    """Add a product to `len(scales)` sums from `at` on; weights stand from `first` on.

    Four vectors of outputs at a time keep their sums in registers.
    """
    n_outputs = len(scales)
    n_pairs = len(pairs)
    done = 0
    while done + 64 <= n_outputs:
        a, b, c, d = splat(0), splat(0), splat(0), splat(0)
        place = first + 2 * done
        for k in range(n_pairs):
            pair = splat_at(pairs, k)
            a = a + dot_pairs(weights, place, pair)
            b = b + dot_pairs(weights, place + 32, pair)
            c = c + dot_pairs(weights, place + 64, pair)
            d = d + dot_pairs(weights, place + 96, pair)
            place += 2 * n_outputs
        to = at + done
        store_i32(sums, to, load_i32(sums, to) + a * load_i32(scales, done))
        store_i32(sums, to + 16, load_i32(sums, to + 16) + b * load_i32(scales, done + 16))
        store_i32(sums, to + 32, load_i32(sums, to + 32) + c * load_i32(scales, done + 32))
        store_i32(sums, to + 48, load_i32(sums, to + 48) + d * load_i32(scales, done + 48))
        done += 64
    while done < n_outputs:
        a = splat(0)
        place = first + 2 * done
        for k in range(n_pairs):
            a = a + dot_pairs(weights, place, splat_at(pairs, k))
            place += 2 * n_outputs
        to = at + done
        store_i32(sums, to, load_i32(sums, to) + a * load_i32(scales, done))
        done += 16


@inlined
def _logits(sums: Vector) -> Vector:
    """Corrections in units of 2**-10 bits."""
    return minimum(maximum(sums >> 7, splat(-MAX_LOGIT)), splat(MAX_LOGIT))


@inlined
def step(network: Network, hidden: Hidden, last: int, second_last: int, freqs: Vector) -> Vector:
    """Take in a byte's past and the mixture's freqs of its high nibble.

    Returns the sixteen corrections for that nibble.
    """
    n1, n2 = len(hidden.first), len(hidden.second)
    n_outputs = len(hidden.sums)
    store_i16(hidden.seen, 0, freqs >> 9)
    for at in range(0, n_outputs, 16):
        value = load_i16(network.last, last * n_outputs + at)
        if at < 2 * n1:
            value = value + load_i16(network.second_last, second_last * 2 * n1 + at)
        store_i32(hidden.sums, at, value * 64)
    _add_product(network.see, 0, network.see_scales, hidden.seen_pairs, hidden.sums, 0)
    for at in range(0, n1, 16):
        store_i16(hidden.first_out, at, _input(_step(hidden.sums, 0, n1, hidden.first, at)))
    inner = 2 * n1
    _add_product(network.inner, 0, network.inner_scales, hidden.first_pairs, hidden.sums, inner)
    for at in range(0, n2, 16):
        state = _step(hidden.sums, inner, inner + n2, hidden.second, at)
        open_ = _gate(load_i32(hidden.sums, inner + 2 * n2 + at))
        store_i16(hidden.second_out, at, _input((mul16(state, open_) + 16384) >> 15))
    out = inner + 3 * n2
    _add_product(network.high, 0, network.high_scales, hidden.second_pairs, hidden.sums, out)
    return _logits(load_i32(hidden.sums, out))


@inlined
def low(network: Network, hidden: Hidden, high: int, freqs: Vector) -> Vector:
    """The corrections for a byte's low nibble; its high one and the mixture's freqs are known."""
    n2 = len(hidden.second)
    store_i16(hidden.seen, 0, freqs >> 9)
    sums = load_i16(network.low_bias, 16 * high) * 64
    product = splat(0)
    for k in range(n2 // 2):
        weights = 16 * (n2 * high + 2 * k)
        product = product + dot_pairs(network.low, weights, splat_at(hidden.second_pairs, k))
    sums = sums + product * load_i32(network.low_scales, 16 * high)
    seen = splat(0)
    for k in range(N_SEEN // 2):
        seen = seen + dot_pairs(network.see_low, 32 * k, splat_at(hidden.seen_pairs, k))
    return _logits(sums + seen * load_i32(network.see_low_scales, 0))
