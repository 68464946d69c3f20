"""The Transformer's step in integers: int8 products, an int16 stream, attention over a ring.

spec/v1/transformer.md is the authority. Products are those of `pair_products`: weights are int16 in
memory, [M / 16][K / 2][16][2], and no sum is taken across lanes. Keys and values of the last steps
stand in rings of the same layout, so that scores and what attention finds are such products too.

A step is taken by several *rows* at once, so that a weight is fetched once for all of them: the
steps of one sequence that follow each other, or those of several sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import mixture, products
from ._jit import I16Array, I32Array, I64Array, inlined, integer, kernel
from ._vector import (
    QUADS,
    bit_length,
    dot_pairs,
    largest,
    less,
    load_i16,
    load_i32,
    load_words,
    maximum,
    minimum,
    mul16,
    narrow,
    product_high,
    smaller,
    splat,
    splat_at,
    splat_word,
    store_i16,
    store_i32,
    store_words,
    total,
    widen,
)
from ._views import part

if TYPE_CHECKING:
    from ._vector_plain import Vector

# Places in Transformer.sizes.
WIDTH, HEADS, LAYERS, HIDDEN, WINDOW, GAIN = range(6)
N_SIZES = 6
UNSEEN = -(1 << 30)  # a score below all others
LANES = np.arange(16, dtype=np.int32)


class Transformer(NamedTuple):
    """Weights, read-only; the layers one after the other."""

    # (N_SIZES,): GAIN is what norms divide: isqrt(width << 50)
    sizes: I64Array
    # (heads,): how many times a distance counts, in units of 2**-10 bits
    slopes: I32Array
    # [3 width / 16][width / 2][16][2] and so on; where QUADS, as `byte_products` has them
    attend: I16Array
    merge: I16Array
    widen: I16Array
    narrow: I16Array
    # 1 << (10 - exponent) of each output
    attend_scales: I32Array
    merge_scales: I32Array
    widen_scales: I32Array
    narrow_scales: I32Array


class Memory(NamedTuple):
    """The state of some sequences, and the step's own arrays for R rows."""

    # (R, width): what goes from layer to layer
    stream: I16Array
    # (R, width), (R, width) and (R, hidden): what enters products, and the same in pairs
    normed: I16Array
    normed_pairs: I32Array
    mixed: I16Array
    mixed_pairs: I32Array
    hidden: I16Array
    hidden_pairs: I32Array
    # (R, the largest count of inputs / 4) and (R,): the same as `byte_products` takes it
    quads: I32Array
    starts: I32Array
    # (R, the largest count of outputs)
    sums: I32Array
    # Rings of every sequence and layer: [window / 16][width / 2][16][2]; [window / 2][width][2]
    keys: I16Array
    key_pairs: I32Array
    values: I16Array
    value_pairs: I32Array
    # (width,): a row's queries, before that its key, and the same in pairs
    queries: I16Array
    query_pairs: I32Array
    # (heads, window) each: scores; shares, and the same in pairs
    scores: I32Array
    shares: I16Array
    share_pairs: I32Array
    # (heads,): what brings shares to their sum
    scales: I32Array
    # (R,) each: the sequence that a row's step belongs to, and how many steps of it were before
    sequences: I64Array
    positions: I64Array


@inlined
def isqrt(value: int) -> int:
    """The largest integer whose square is at most `value`, from 1 to 2**62."""
    # Newton's step from sqrt(2) << half, which needs no division; and a little more, since a root
    # that is too large is found, and one that is too small is not.
    half = (bit_length(value) - 1) >> 1
    root = ((92682 << half >> 16) + ((value >> half) * 46342 >> 16) >> 1) + 2
    while True:
        better = (root + value // root) >> 1
        if better >= root:
            return root
        root = better


@inlined
def _int8(value: Vector) -> Vector:
    return minimum(maximum(value, splat(-127)), splat(127))


@inlined
def _norm(net: Transformer, memory: Memory, row: int) -> None:
    """Write a row's stream, divided by its root mean square, to `normed`."""
    width = integer(net.sizes[WIDTH])
    squares = splat(0)
    for at in range(row * width, (row + 1) * width, 16):
        value = load_i16(memory.stream, at)
        squares = squares + (mul16(value, value) >> 8)
    root = isqrt((1 + total(squares)) << 12)
    factor = integer(net.sizes[GAIN]) // root
    for at in range(row * width, (row + 1) * width, 16):
        scaled = (load_i16(memory.stream, at) * splat(factor) + (1 << 17)) >> 18
        store_i16(memory.normed, at, _int8(scaled))


@inlined
def _add_to_stream(memory: Memory, row: int, width: int, outputs: int, shift: int) -> None:
    """Add a product's sums, shifted and rounded, to a row's stream."""
    for at in range(0, width, 16):
        value = load_i16(memory.stream, row * width + at)
        # Rounded so that nothing overflows.
        value = value + (((load_i32(memory.sums, row * outputs + at) >> (shift - 1)) + 1) >> 1)
        value = minimum(maximum(value, splat(-32767)), splat(32767))
        store_i16(memory.stream, row * width + at, value)


@inlined
def _put(memory: Memory, sums: int, width: int, ring: int, slot: int) -> None:
    """Put a step's key and value, whose sums stand behind the queries', into a slot of a ring."""
    key = (ring >> 1) + (slot >> 4) * 8 * width + (slot & 15)
    value = (ring >> 1) + (slot >> 1) * width
    for at in range(0, width, 16):
        store_i16(memory.queries, at, _rounded(memory, sums + width + at))
        own = _rounded(memory, sums + 2 * width + at)
        both = load_i32(memory.value_pairs, value + at)
        if slot & 1:
            both = (both & 0xFFFF) + own * 65536
        else:
            both = (both & -65536) + (own & 0xFFFF)
        store_i32(memory.value_pairs, value + at, both)
    for pair in range(width >> 1):
        memory.key_pairs[key + 16 * pair] = memory.query_pairs[pair]


@inlined
def _rounded(memory: Memory, at: int) -> Vector:
    """Sixteen sums as queries, keys and values have them."""
    return _int8(((load_i32(memory.sums, at) >> 9) + 1) >> 1)


@inlined
def _attend(net: Transformer, memory: Memory, row: int, ring: int, position: int) -> None:
    """Write what a row finds to `mixed`; its own key and value are in the ring."""
    width, heads = integer(net.sizes[WIDTH]), integer(net.sizes[HEADS])
    window = integer(net.sizes[WINDOW])
    own = width // heads
    n_pairs = own >> 1
    slot = position % window
    blocks = min(position // 16 + 1, window // 16)
    for at in range(0, width, 16):
        store_i16(memory.queries, at, _rounded(memory, row * 3 * width + at))
    # In turns that heads take one after the other: they do not wait for each other then.
    for head in range(heads):
        slope = splat(integer(net.slopes[head]))
        pair, to = head * n_pairs, head * window
        best = splat(UNSEEN)
        # Two blocks at a time share what is read of the query; the last may be looked at twice.
        for block in range(0, blocks, 2):
            other = min(block + 1, blocks - 1)
            place = ring + 16 * width * block + 32 * pair
            place_2 = ring + 16 * width * other + 32 * pair
            a, b, c, d = splat(0), splat(0), splat(0), splat(0)
            for k in range(0, n_pairs, 2):
                query = splat_at(memory.query_pairs, pair + k)
                a = a + dot_pairs(memory.keys, place + 32 * k, query)
                c = c + dot_pairs(memory.keys, place_2 + 32 * k, query)
                query = splat_at(memory.query_pairs, pair + k + 1)
                b = b + dot_pairs(memory.keys, place + 32 * k + 32, query)
                d = d + dot_pairs(memory.keys, place_2 + 32 * k + 32, query)
            score = _score(a + b, slot - 16 * block, window, position, slope)
            score_2 = _score(c + d, slot - 16 * other, window, position, slope)
            store_i32(memory.scores, to + 16 * block, score)
            store_i32(memory.scores, to + 16 * other, score_2)
            best = maximum(best, maximum(score, score_2))
        store_i32(memory.sums, row * 3 * width + 16 * head, best)
    for head in range(heads):
        to = head * window
        best = largest(load_i32(memory.sums, row * 3 * width + 16 * head))
        sums = splat(0)
        for block in range(blocks):
            distance = smaller(best - load_i32(memory.scores, to + 16 * block), splat(32767))
            odds = mixture.exp2(narrow(distance))
            store_words(memory.shares, to + 16 * block, odds)
            sums = sums + widen(odds)
        memory.scales[head] = (1 << 31) // total(sums)
    for head in range(heads):
        pair = head * window >> 1
        scale = splat_word(integer(memory.scales[head]))
        for block in range(blocks):
            odds = product_high(load_words(memory.shares, 2 * pair + 16 * block), scale)
            store_words(memory.shares, 2 * pair + 16 * block, odds)
        end = (head + 1) * own
        for at in range(head * own, end, 32):
            other = min(at + 16, end - 16)
            place, place_2 = ring + 2 * at, ring + 2 * other
            a, b, c, d = splat(0), splat(0), splat(0), splat(0)
            for k in range(pair, pair + 8 * blocks, 2):
                share = splat_at(memory.share_pairs, k)
                a = a + dot_pairs(memory.values, place, share)
                c = c + dot_pairs(memory.values, place_2, share)
                share = splat_at(memory.share_pairs, k + 1)
                b = b + dot_pairs(memory.values, place + 2 * width, share)
                d = d + dot_pairs(memory.values, place_2 + 2 * width, share)
                place, place_2 = place + 4 * width, place_2 + 4 * width
            store_i16(memory.mixed, row * width + at, _mixed(a + b))
            store_i16(memory.mixed, row * width + other, _mixed(c + d))


@inlined
def _score(dot: Vector, first: int, window: int, position: int, slope: Vector) -> Vector:
    """Scores of sixteen slots, of which the first stands `first` slots before a row's own."""
    distance = splat(first) - load_i32(LANES, 0)
    distance = distance + ((distance >> 31) & window)
    score = (dot >> 2) - distance * slope
    unseen = less(splat(position), distance)
    seen: Vector = (score & (unseen ^ -1)) + (unseen & UNSEEN)
    return seen


@inlined
def _mixed(sums: Vector) -> Vector:
    """Sixteen sums of shares times values as the next product takes them."""
    return _int8((sums + (1 << 13)) >> 14)


@inlined
def reset(memory: Memory) -> None:
    """The state before the first step of all sequences."""
    memory.keys[:] = 0
    memory.values[:] = 0


@inlined
def move(net: Transformer, memory: Memory, source: int, target: int) -> None:
    """Let a sequence be that of another row from now on."""
    size = len(memory.key_pairs) // (len(memory.stream) // integer(net.sizes[WIDTH]))
    for at in range(size):
        memory.key_pairs[target * size + at] = memory.key_pairs[source * size + at]
        memory.value_pairs[target * size + at] = memory.value_pairs[source * size + at]


@inlined
def _multiply(
    weights: I16Array,
    scales: I32Array,
    layer: int,
    layers: int,
    inputs: I16Array,
    pairs: I32Array,
    memory: Memory,
    rows: int,
) -> int:
    """Write a layer's product of some rows to `sums`; return how many outputs it has.

    `inputs` and `pairs` are the same memory.
    """
    own, own_scales = part(weights, layer, layers), part(scales, layer, layers)
    outputs = len(own_scales)
    size = len(own) // outputs * 2 if QUADS else len(own) // outputs
    products.multiply(
        own, own_scales, inputs, pairs, size, memory.quads, memory.starts, memory.sums, rows, 0
    )
    return outputs


@inlined
def place(memory: Memory, rows: int, position: int, along: int) -> None:
    """Say whose steps the next rows are.

    Parameters
    ----------
    position : int
        Steps of the sequence before the first row's.
    along : int
        1 where each row follows the one before in the same sequence, 0 where it is another's.
    """
    for row in range(rows):
        memory.sequences[row] = 0 if along else row
        memory.positions[row] = position + row if along else position


@inlined
def step(net: Transformer, memory: Memory, rows: int) -> None:
    """Take what stands in `stream` through all layers, for each row; leave it in `normed`.

    Whose steps they are stands in `sequences` and `positions`; those of a sequence are in order.
    """
    width, layers = integer(net.sizes[WIDTH]), integer(net.sizes[LAYERS])
    ring = integer(net.sizes[WINDOW]) * width
    for layer in range(layers):
        for row in range(rows):
            _norm(net, memory, row)
        outputs = _multiply(
            net.attend, net.attend_scales, layer, layers,
            memory.normed, memory.normed_pairs, memory, rows,
        )  # fmt: skip
        for row in range(rows):
            at = integer(memory.positions[row])
            own = ring * (layers * integer(memory.sequences[row]) + layer)
            _put(memory, row * outputs, width, own, at % integer(net.sizes[WINDOW]))
            _attend(net, memory, row, own, at)
        _multiply(
            net.merge, net.merge_scales, layer, layers,
            memory.mixed, memory.mixed_pairs, memory, rows,
        )  # fmt: skip
        for row in range(rows):
            _add_to_stream(memory, row, width, width, 6)
            _norm(net, memory, row)
        outputs = _multiply(
            net.widen, net.widen_scales, layer, layers,
            memory.normed, memory.normed_pairs, memory, rows,
        )  # fmt: skip
        for at in range(0, rows * outputs, 16):
            value = load_i32(memory.sums, at) >> 5
            value = minimum(maximum(value, splat(0)), splat(2047))
            square = (mul16(value, value) + (1 << 14)) >> 15
            store_i16(memory.hidden, at, minimum(square, splat(127)))
        _multiply(
            net.narrow, net.narrow_scales, layer, layers,
            memory.hidden, memory.hidden_pairs, memory, rows,
        )  # fmt: skip
        for row in range(rows):
            _add_to_stream(memory, row, width, width, 5)
    for row in range(rows):
        _norm(net, memory, row)


@kernel
def walk(
    net: Transformer, memory: Memory, entering: I16Array, leaving: I16Array, rows: int
) -> None:
    """Take a sequence through the layers, some rows at a time.

    Parameters
    ----------
    net : Transformer
    memory : Memory
        Of as many rows.
    entering : int16, shape (steps * width,)
        In units of 2**-10.
    leaving : int16, shape (steps * width,)
        Receives int8 in units of 2**-5.
    """
    width = integer(net.sizes[WIDTH])
    steps = len(entering) // width
    reset(memory)
    for first in range(0, steps, rows):
        count = min(rows, steps - first)
        for at in range(0, count * width, 16):
            store_i16(memory.stream, at, load_i16(entering, first * width + at))
        place(memory, count, first, 1)
        step(net, memory, count)
        for at in range(0, count * width, 16):
            store_i16(leaving, first * width + at, load_i16(memory.normed, at))
