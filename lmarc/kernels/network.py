"""The byte network's step: gated linear recurrences in int8 products and int16 states.

spec/v1/neural.md, sections 4 and 5.  Weights are int8 with an exponent for each output; every sum
is brought to units of 2**-17 and wraps at 32 bits.  States and gates are int16 in units of 2**-15,
what enters a product is int8 in units of 2**-7.

Where the processor multiplies bytes (QUADS), `byte_products` takes products, elsewhere
`pair_products`. Sums are the same integers.

A step is taken by several *rows* at once, so that a weight is fetched once for all of them.  Rows
are bytes that follow each other, where they are known (an encoder goes along time), or the bytes of
several chunks (a decoder goes along in all).  Integers add up to the same in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import byte_products, pair_products, patches
from ._jit import I16Array, I32Array, I64Array, inlined, integer
from ._vector import (
    QUADS,
    dot_pairs,
    dot_quads,
    load_i16,
    load_i32,
    maximum,
    minimum,
    mul16,
    splat,
    splat_at,
    store_bytes,
    store_i16,
    store_i32,
)
from ._views import part

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_SEEN = 16  # inputs that come from the mixture: its freqs
MAX_LOGIT = 8191
PACKED = 4 if QUADS else 2  # inputs of a product in one int32


class Network(NamedTuple):
    """The weights of L layers, read-only. N = 2 n1 + 3 n2 (L - 1) + 16 is the number of sums."""

    # (256, N) and (256, 2 n1), flattened: what the last two bytes bring, in units of 2**-11
    last: I16Array
    second_last: I16Array
    # A product of 16 inputs, what the mixture's high nibble brings to all of them; of n1 inputs,
    # what the first layer brings to the second; and L - 2 products of n2 inputs one after the
    # other, what each layer brings to the next
    see: I16Array
    inner: I16Array
    upper: I16Array
    # Products of (L - 1) n2 inputs and sixteen outputs, and of 16 inputs: sixteen `low`, one for
    # each high nibble
    high: I16Array
    low: I16Array
    see_low: I16Array
    # (16, 16) flattened, in units of 2**-11
    low_bias: I16Array
    # 1 << (10 - exponent) of each output
    see_scales: I32Array
    inner_scales: I32Array
    upper_scales: I32Array
    high_scales: I32Array
    low_scales: I32Array
    see_low_scales: I32Array
    # Nothing, or `patches.Patches`: then the kernel is compiled with what they do
    patches: Any


class Hidden(NamedTuple):
    """State and the step's own arrays, for R rows."""

    # (R, n1) and (L - 1, R, n2), flattened: what the layers remember; along time the first row
    # alone
    first: I16Array
    later: I16Array
    # (R, 2): the byte before, and the one before that
    before: I64Array
    # (R, 16), (R, n1) and (L - 1, R, n2): inputs of products, as numbers and as products take them,
    # PACKED of them in one int32: the same memory, but where QUADS
    seen: I16Array
    seen_packed: I32Array
    first_out: I16Array
    first_packed: I32Array
    outs: I16Array
    outs_packed: I32Array
    # (R, n2 / 2): what leaves the last layer, pairs of int16: the end of `outs`
    last_pairs: I32Array
    # (R,), (R,) and (L - 1, R): where sums of their products begin, as `byte_products` has them
    seen_starts: I32Array
    first_starts: I32Array
    outs_starts: I32Array
    # (R, N): sums
    sums: I32Array
    # (n1,), (n2,), (L,): of no other use than their lengths
    units_1: I16Array
    units_2: I16Array
    layers: I16Array
    # Nothing, or `patches.Memory`
    patches: Any


@inlined
def reset(hidden: Hidden) -> None:
    """The state before the first byte of a chunk, in all rows."""
    hidden.first[:] = 0
    hidden.later[:] = 0
    patches.reset(hidden.patches)


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
def _opened(units: Vector, gate: Vector) -> Vector:
    """What leaves the second layer, before it is an input."""
    return (mul16(units, gate) + 16384) >> 15


@inlined
def _carried(units: Vector, gate: Vector, below: Vector) -> Vector:
    """What leaves a later layer: its units as far as the gate is open, else what came in.

    The shares of both add up to 32767 and both are at most 32768 from 0, so the sum is below 2**30.
    """
    return (mul16(units, gate) + mul16(below * 256, splat(32767) - gate) + 16384) >> 15


@inlined
def _enter(numbers: I16Array, packed: I32Array, at: int, value: Vector) -> None:
    """Write sixteen inputs of products."""
    store_i16(numbers, at, value)
    if QUADS:
        store_bytes(packed, at >> 2, value)


@inlined
def _add_products(
    weights: I16Array,
    scales: I32Array,
    packed: I32Array,
    starts: I32Array,
    n_packed: int,
    sums: I32Array,
    at: int,
    stride: int,
    rows: int,
) -> None:
    """Add a product to `len(scales)` sums from `at` on, in each row of `stride` sums."""
    if QUADS:
        byte_products.multiply(weights, scales, packed, starts, n_packed, sums, at, stride, rows, 1)
    else:
        pair_products.add(weights, scales, packed, n_packed, sums, at, stride, rows)


@inlined
def _sixteen(
    weights: I16Array, place: int, packed: I32Array, first: int, n_packed: int, start: int
) -> Vector:
    """Sixteen outputs of one row, not scaled."""
    if QUADS:
        return byte_products.product(weights, place, packed, first, n_packed, start)
    return pair_products.product(weights, place, packed, first, n_packed)


@inlined
def _of_outs(weights: I16Array, number: int, hidden: Hidden, row: int) -> Vector:
    """Sixteen outputs of what leaves a row's layers, by the `number`-th of such products."""
    layers, rows = len(hidden.layers) - 1, len(hidden.before) // 2
    n_packed = len(hidden.units_2) // PACKED
    outputs = splat(0)
    for layer in range(layers):
        place = 32 * n_packed * (layers * number + layer)
        at = layer * rows + row
        start = integer(hidden.outs_starts[at])
        outputs = outputs + _sixteen(
            weights, place, hidden.outs_packed, at * n_packed, n_packed, start
        )
    return outputs


@inlined
def _logits(sums: Vector) -> Vector:
    """Corrections in units of 2**-10 bits."""
    return minimum(maximum(sums >> 7, splat(-MAX_LOGIT)), splat(MAX_LOGIT))


@inlined
def see(hidden: Hidden, row: int, freqs: Vector) -> None:
    """Show a row the mixture's freqs of a nibble."""
    inputs = freqs >> 9
    _enter(hidden.seen, hidden.seen_packed, N_SEEN * row, inputs)
    if QUADS:
        hidden.seen_starts[row] = byte_products.start(inputs)


@inlined
def _seen(weights: I16Array, place: int, hidden: Hidden, row: int) -> Vector:
    """Sixteen outputs of what a row sees of the mixture, not scaled."""
    first = N_SEEN // PACKED * row
    if QUADS:
        outputs = splat(integer(hidden.seen_starts[row]))
        for k in range(N_SEEN // PACKED):
            inputs = splat_at(hidden.seen_packed, first + k)
            outputs = dot_quads(weights, place + 32 * k, inputs, outputs)
    else:
        outputs = splat(0)
        for k in range(N_SEEN // PACKED):
            inputs = splat_at(hidden.seen_packed, first + k)
            outputs = outputs + dot_pairs(weights, place + 32 * k, inputs)
    return outputs


@inlined
def _begin(network: Network, hidden: Hidden, first: int, end: int, both: int, rows: int) -> None:
    """Write the sums from `first` to `end` of each row: what its past and the mixture bring.

    A layer's are begun when it is its turn, so that they are near when its product comes. Four rows
    are taken together, as in products.

    Parameters
    ----------
    both : int
        1 where the byte before the last brings something, else 0: a constant, so that the other is
        not compiled.
    """
    together = rows & -4
    for row in range(0, together, 4):
        for at in range(first, end, 16):
            place = 2 * N_SEEN // PACKED * at
            scale = load_i32(network.see_scales, at)
            a = _seen(network.see, place, hidden, row) * scale
            b = _seen(network.see, place, hidden, row + 1) * scale
            c = _seen(network.see, place, hidden, row + 2) * scale
            d = _seen(network.see, place, hidden, row + 3) * scale
            _add_past(network, hidden, row, at, a, both)
            _add_past(network, hidden, row + 1, at, b, both)
            _add_past(network, hidden, row + 2, at, c, both)
            _add_past(network, hidden, row + 3, at, d, both)
    for row in range(together, rows):
        for at in range(first, end, 16):
            seen = _seen(network.see, 2 * N_SEEN // PACKED * at, hidden, row)
            seen = seen * load_i32(network.see_scales, at)
            _add_past(network, hidden, row, at, seen, both)


@inlined
def _add_past(network: Network, hidden: Hidden, row: int, at: int, seen: Vector, both: int) -> None:
    """Write sixteen sums."""
    n_second, n_sums = 2 * len(hidden.units_1), len(network.see_scales)
    past = load_i16(network.last, integer(hidden.before[2 * row]) * n_sums + at)
    if both:
        second_last = integer(hidden.before[2 * row + 1]) * n_second
        past = past + load_i16(network.second_last, second_last + at)
    store_i32(hidden.sums, row * n_sums + at, past * 64 + seen)


@inlined
def step(network: Network, hidden: Hidden, rows: int, along: int) -> None:
    """Take in, for each row, a byte's past and the freqs of its high nibble: `before` and `seen`.

    Parameters
    ----------
    rows : int
    along : int
        1 where each row follows the one before in the same chunk, 0 where it is another chunk's.
    """
    n1, n2, layers = len(hidden.units_1), len(hidden.units_2), len(hidden.layers)
    n_sums = len(network.see_scales)
    _begin(network, hidden, 0, 2 * n1, 1, rows)
    for row in range(rows):
        sums = row * n_sums
        state = (1 - along) * row * n1
        entered = splat(0)
        for at in range(0, n1, 16):
            units = _step(hidden.sums, sums + at, sums + n1 + at, hidden.first, state + at)
            out = _input(units)
            _enter(hidden.first_out, hidden.first_packed, row * n1 + at, out)
            entered = entered + out
        if QUADS:
            hidden.first_starts[row] = byte_products.start(entered)
    _begin(network, hidden, 2 * n1, 2 * n1 + 3 * n2, 0, rows)
    _add_products(
        network.inner, network.inner_scales, hidden.first_packed, hidden.first_starts,
        n1 // PACKED, hidden.sums, 2 * n1, n_sums, rows,
    )  # fmt: skip
    patches.condition(
        network.patches, hidden.patches, hidden.before, hidden.first_out, hidden.sums, 2 * n1,
        rows, along,
    )  # fmt: skip
    _recur(hidden, 2, n_sums, rows, along)
    for layer in range(3, layers + 1):
        first = 2 * n1 + 3 * n2 * (layer - 2)
        _begin(network, hidden, first, first + 3 * n2, 0, rows)
        _add_products(
            part(network.upper, layer - 3, layers - 2),
            part(network.upper_scales, layer - 3, layers - 2),
            part(hidden.outs_packed, layer - 3, layers - 1),
            part(hidden.outs_starts, layer - 3, layers - 1),
            n2 // PACKED, hidden.sums, first, n_sums, rows,
        )  # fmt: skip
        _recur(hidden, layer, n_sums, rows, along)
    _begin(network, hidden, n_sums - 16, n_sums, 0, rows)


@inlined
def _recur(hidden: Hidden, layer: int, n_sums: int, rows: int, along: int) -> None:
    """Move the units of a layer from the second on, whose sums are there, and write its outs."""
    n2, layers = len(hidden.units_2), len(hidden.layers)
    later = part(hidden.later, layer - 2, layers - 1)
    below = part(hidden.outs, max(layer - 3, 0), layers - 1)
    outs = part(hidden.outs, layer - 2, layers - 1)
    packed = part(hidden.outs_packed, layer - 2, layers - 1)
    starts = part(hidden.outs_starts, layer - 2, layers - 1)
    for row in range(rows):
        sums = row * n_sums + 2 * len(hidden.units_1) + 3 * n2 * (layer - 2)
        state = (1 - along) * row * n2
        entered = splat(0)
        for at in range(0, n2, 16):
            units = _step(hidden.sums, sums + at, sums + n2 + at, later, state + at)
            gate = _gate(load_i32(hidden.sums, sums + 2 * n2 + at))
            if layer == 2:
                out = _input(_opened(units, gate))
            else:
                out = _input(_carried(units, gate, load_i16(below, row * n2 + at)))
            _enter(outs, packed, row * n2 + at, out)
            entered = entered + out
        if QUADS:
            starts[row] = byte_products.start(entered)


@inlined
def high(network: Network, hidden: Hidden, row: int) -> Vector:
    """A row's corrections for its byte's high nibble, after `step`."""
    product = _of_outs(network.high, 0, hidden, row)
    sums = load_i32(hidden.sums, (row + 1) * len(network.see_scales) - 16)
    return _logits(sums + product * load_i32(network.high_scales, 0))


@inlined
def low(network: Network, hidden: Hidden, row: int, high: int) -> Vector:
    """Its corrections for the low nibble, once the high one is known and `see` has its freqs."""
    product = _of_outs(network.low, high, hidden, row)
    seen = _seen(network.see_low, 0, hidden, row)
    sums = load_i16(network.low_bias, 16 * high) * 64
    sums = sums + product * load_i32(network.low_scales, 16 * high)
    return _logits(sums + seen * load_i32(network.see_low_scales, 0))
