"""The n-gram coder's step: look rows up, mix them, learn; one function for encoder and decoder.

spec/v1/ngram.md is the authority.  A byte is two symbols of 16, the high nibble first.  For each
symbol seven *static* rows come from the model's buckets, eight *dynamic* rows from tables that
start empty in every chunk, and one row from the match predictor; `mixture` joins the sixteen.

The order inside a step matters to speed only: as soon as a symbol is known the next rows are hashed
and asked for, and the learning that follows hides the wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import contexts, match, mixture, rans
from ._jit import (
    I16Array,
    I32Array,
    I64Array,
    U8Array,
    U16Array,
    U32Array,
    inlined,
    integer,
    kernel,
)
from ._vector import (
    bit_length,
    count_at_most,
    either,
    equal,
    find_u16,
    gather,
    less,
    load_i32,
    load_nibbles,
    load_u16,
    lshr,
    mask_bits,
    maxima,
    maximum,
    minimum,
    mul16,
    one_hot,
    prefetch,
    scatter,
    scatter_8,
    splat,
    store_i16,
    store_i32,
    store_u16,
    unsigned_product_high,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_DYNAMIC, N_STATIC = 8, 7
FIRST_STATIC, MATCH_INPUT = N_DYNAMIC, N_DYNAMIC + N_STATIC
# Dynamic inputs are lanes 0 to 7 of the keys; static inputs these, the orders first.
STATIC_LANES = (1, 2, 3, contexts.ORDER_5, contexts.ORDER_6, contexts.WORD, contexts.WORD_PAIR)
BUCKET_SIZE = 64  # bytes: six tags of 16 bits, 32 spill bits, six rows of 8 bytes
BUCKET_ROWS, ROWS_AT = 6, 16
N_SETS, N_CONFIDENCES, N_COUNTS = 6 * 6 * 4 * 2, 16, 64
SHARP = 3700
ROW_START = 4096
TAG_MASK, TAG_SHIFT, COUNT_MASK = 0x3FF, 6, 63
# Places in State.chosen: weight vectors, the symbol that a match expects or -1, its length bucket,
# and the high nibble once it is known.
SET, BYTE_1, BYTE_2, BYTE_3, EXPECTED, LENGTH, HIGH = range(7)
N_CHOSEN = 7
N_BYTE_VECTORS = 3 * 512
LANES = np.arange(16, dtype=np.int32)


class Static(NamedTuple):
    """A model's read-only tables."""

    # (n_buckets + 1, 64) flattened; the last is all zeros
    buckets: U8Array
    # The same memory.
    tags: U16Array
    # (2, 64): share kept of 1 << 16, and gain, by count
    rates: I32Array
    # (16,): where each dynamic input's counts stop; 8 are used
    limits: I32Array
    # (32,): by bit length of the position
    mixer_rates: I32Array


class Weights(NamedTuple):
    """What the mixture learns; copied from the model's profile for every chunk."""

    # (N_SETS, 16) flattened: by longest contexts and match
    sets: I32Array
    # (512, 16) flattened: by the byte before or the high nibble
    bytes: I32Array
    # (2, 16, 16) flattened: half, confidence, input
    confidences: I32Array
    # (32,): how often a match of each length was right, of 65536
    hits: I32Array


class State(NamedTuple):
    """A worker's scratch memory: dynamic tables and the step's own arrays."""

    # (8 << bits + 1, 16) flattened; the last row is uniform
    rows: U16Array
    # (8 << bits - 1,): two rows' tag << 6 | count, 16 bits each; zero is empty
    metas: U32Array
    # (1 << match bits,)
    positions: I32Array
    # (contexts.N_CURSOR,)
    cursor: I64Array
    # (contexts.N_FIELDS,)
    fields: I32Array
    # (match.N_MATCHER,)
    matcher: I64Array
    # (16,) each
    keys: U32Array
    hashes: U32Array
    # (7,)
    homes: I64Array
    # (16, 16) flattened
    inputs: I16Array
    # (16,) each from here on
    freqs: I32Array
    sums: I32Array
    weights: I32Array
    # Element of `rows` that each dynamic input learns into.
    at: I32Array
    # Element of `rows` that it reads: the same, or the uniform row.
    sources: I32Array
    # Of dynamic inputs; for static ones whether a row was found.
    counts: I32Array
    # Element of Weights.confidences that each input uses.
    confidences: I32Array
    # (N_CHOSEN,): what SET to HIGH name.
    chosen: I64Array


@inlined
def _static_row(static: Static, home: int, hash_: int, n_buckets: int) -> int:
    """The byte of `buckets` where the row for `hash_` stands, or of the all-zero bucket."""
    tag = hash_ & 0xFFFF
    tag += 1 if tag == 0 else 0  # an unused slot has tag 0
    bucket = home
    slot = find_u16(static.tags, 32 * bucket, tag, BUCKET_ROWS)
    spilled = integer(static.tags[32 * bucket + 6 + ((tag >> 4) & 1)]) >> (tag & 15)
    # One branch, seldom taken: whether a row stands at home is a coin toss that costs a mispredict.
    if spilled & (slot >> 5):  # slot is 32 where none has the tag
        bucket = unsigned_product_high(hash_, n_buckets)
        slot = find_u16(static.tags, 32 * bucket, tag, BUCKET_ROWS)
    found = 1 if slot < BUCKET_ROWS else 0
    return found * (BUCKET_SIZE * bucket + ROWS_AT + 8 * slot) + (1 - found) * (
        BUCKET_SIZE * n_buckets
    )


@inlined
def _find_dynamic(static: Static, state: State, bits: int) -> tuple[Vector, int]:
    """Find or take a row for each dynamic input.

    Returns the counts, and 1 + the lane of the longest order that has one, or 0.
    """
    hashes = load_i32(state.hashes, 0)
    lanes = load_i32(LANES, 0)
    line = lshr(hashes, splat(33 - bits)) + lanes * (1 << (bits - 1))
    line = either(less(lanes, splat(N_DYNAMIC)), line, splat(0))
    pair = gather(state.metas, line)
    first, second = pair & 0xFFFF, lshr(pair, splat(16))
    tag = hashes & TAG_MASK
    in_first = equal(first >> TAG_SHIFT, tag)
    not_first = in_first ^ -1
    in_second = equal(second >> TAG_SHIFT, tag) & not_first
    fewer = less(second & COUNT_MASK, first & COUNT_MASK) & not_first
    pick = in_second ^ (fewer & (in_second ^ -1))
    counts = ((in_first & first) + (in_second & second)) & COUNT_MASK
    meta = tag * (1 << TAG_SHIFT) + minimum(counts + 1, load_i32(static.limits, 0))
    taken = either(pick, first + meta * (1 << 16), second * (1 << 16) + meta)
    scatter_8(state.metas, line, taken)
    at = (line * 2 - pick) * 16
    known = less(splat(0), counts)
    store_i32(state.at, 0, at)
    store_i32(state.sources, 0, either(known, at, splat(16 * (N_DYNAMIC << bits))))
    return counts, bit_length(mask_bits(known) & 31)


@inlined
def _confidences(counts: Vector, sharpness: Vector) -> Vector:
    """How far to trust each input, 0 to 15: by count and by the likeliest symbol's probability."""
    lanes = load_i32(LANES, 0)
    some = less(splat(0), counts)
    # Dynamic: counts 1, 2, 3, 4-5, 6-8, 9 and more; and whether one symbol has 76 % or more.
    steps = minimum(counts, splat(4)) - less(splat(5), counts) - less(splat(8), counts)
    dynamic = steps * 2 - less(splat(SHARP), sharpness)
    # Static: found, and the best level.
    static = minimum((splat(0) - sharpness) >> 8, splat(14)) + 1
    other = either(equal(lanes, splat(MATCH_INPUT)), counts >> 1, static)
    return some & either(less(lanes, splat(FIRST_STATIC)), dynamic, other)


@inlined
def _byte_vector(kind: int, half: int, high: int, byte: int) -> int:
    """Where the weights stand that go with an earlier byte, and with the high nibble if known."""
    return 16 * (512 * kind + (byte if half == 0 else 256 + (high << 4 | byte >> 4)))


@inlined
def _look_up(
    static: Static, weights: Weights, state: State, bits: int, half: int, position: int
) -> None:
    """Fill the sixteen inputs, and remember which rows and weights the step uses."""
    n_buckets = len(static.buckets) // BUCKET_SIZE - 1
    nowhere = BUCKET_SIZE * n_buckets
    counts, learnt = _find_dynamic(static, state, bits)
    store_i32(state.counts, 0, counts)
    for k in range(N_DYNAMIC):
        row = load_u16(state.rows, integer(state.sources[k]))
        store_i16(state.inputs, 16 * k, mixture.log2(row))
    longest = 0
    for k in range(N_STATIC):
        at = _static_row(static, state.homes[k], integer(state.hashes[STATIC_LANES[k]]), n_buckets)
        levels = load_nibbles(static.buckets, at)
        # A level q stands for -log2(p) = (50 q + 137) q / 1024 bits.
        store_i16(
            state.inputs,
            16 * (FIRST_STATIC + k),
            splat(0) - mul16(mul16(levels, splat(50)) + 137, levels),
        )
        found = 1 if at < nowhere else 0
        state.counts[FIRST_STATIC + k] = found
        longest |= found << k
    longest = bit_length(longest & 31)
    size = state.matcher[match.MATCH_SIZE]
    guess = state.matcher[match.GUESS]
    expected, bucket = -1, 0
    store_i16(state.inputs, 16 * MATCH_INPUT, splat(0))
    high = state.chosen[HIGH]  # of this byte, where half is 1
    if size > 0 and (half == 0 or guess >> 4 == high):
        expected = guess >> 4 if half == 0 else guess & 15
        bucket = match.length_bucket(size)
        state.inputs[16 * MATCH_INPUT + expected] = match.STRETCH[
            integer(weights.hits[bucket]) >> 4
        ]
    state.counts[MATCH_INPUT] = bucket
    state.chosen[EXPECTED] = expected
    state.chosen[LENGTH] = bucket
    confidences = _confidences(load_i32(state.counts, 0), maxima(state.inputs, 0))
    places = (confidences + half * N_CONFIDENCES) * 16 + load_i32(LANES, 0)
    store_i32(state.confidences, 0, places)
    strength = 0 if bucket == 0 else (1 if bucket < 16 else (2 if bucket < 24 else 3))
    last = state.cursor[contexts.LAST_4] & 0xFF
    state.chosen[SET] = 16 * (((longest * 6 + learnt) * 4 + strength) * 2 + half)
    second = state.cursor[contexts.LAST_4] >> 8 & 0xFF
    third = guess if expected >= 0 else state.cursor[contexts.LAST_4] >> 16 & 0xFF
    state.chosen[BYTE_1] = _byte_vector(0, half, high, last)
    state.chosen[BYTE_2] = _byte_vector(1, half, high, second)
    state.chosen[BYTE_3] = _byte_vector(2, half, high, third)


@inlined
def _predict(
    static: Static, weights: Weights, state: State, bits: int, half: int, position: int
) -> None:
    """Write the freqs of the next symbol to `state.freqs`."""
    _look_up(static, weights, state, bits, half, position)
    chosen = load_i32(weights.sets, state.chosen[SET])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_1])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_2])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_3])
    chosen = chosen + gather(weights.confidences, load_i32(state.confidences, 0))
    store_i32(state.weights, 0, mixture.scaled(chosen))
    freqs, sums = mixture.freqs_of(state.inputs, state.weights)
    store_i32(state.freqs, 0, freqs)
    store_i32(state.sums, 0, sums)


@inlined
def _learn(static: Static, weights: Weights, state: State, symbol: int, rate: int) -> None:
    """Move the weights and the dynamic rows towards `symbol`."""
    steps = mixture.weight_steps(state.inputs, load_i32(state.freqs, 0), symbol, rate)
    mixture.move(weights.sets, state.chosen[SET], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_1], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_2], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_3], steps)
    places = load_i32(state.confidences, 0)
    scatter(weights.confidences, places, gather(weights.confidences, places) + steps)
    for k in range(N_DYNAMIC):
        count = integer(state.counts[k])
        at = integer(state.at[k])
        old = load_u16(state.rows, integer(state.sources[k]))
        decayed = old - (mul16((old >> 1), splat(integer(static.rates[count]))) >> 14)
        gained = maximum(decayed, splat(16)) + one_hot(
            symbol, integer(static.rates[N_COUNTS + count])
        )
        store_u16(state.rows, at, minimum(gained, splat(65535)))
    expected = state.chosen[EXPECTED]
    if expected >= 0:
        bucket = state.chosen[LENGTH]
        hits = integer(weights.hits[bucket])
        weights.hits[bucket] = (
            hits + ((65535 - hits) >> 6) if expected == symbol else hits - (hits >> 6)
        )


@inlined
def _ask_for_dynamic(state: State, bits: int) -> None:
    for k in range(N_DYNAMIC):
        slot = (k << bits) + 2 * (integer(state.hashes[k]) >> (33 - bits))
        prefetch(state.rows, 16 * slot)


@inlined
def _start_byte(
    static: Static, state: State, text: U8Array, position: int, match_shift: int, bits: int
) -> None:
    """Hash the contexts of the byte at `position` and ask for its rows."""
    contexts.compute_keys(state.cursor, state.fields, text, position, state.keys)
    contexts.compute_rows(state.keys, 0, state.hashes)
    n_buckets = len(static.buckets) // BUCKET_SIZE - 1
    for k in range(N_STATIC):
        home = unsigned_product_high(integer(state.keys[STATIC_LANES[k]]), n_buckets)
        state.homes[k] = home
        prefetch(static.buckets, BUCKET_SIZE * home)
    _ask_for_dynamic(state, bits)
    slot = integer(state.keys[contexts.ORDER_5]) >> match_shift
    match.find(state.matcher, state.positions, text, position, slot)


@inlined
def _start_chunk(state: State) -> None:
    state.metas[:] = 0
    state.positions[:] = 0
    state.matcher[:] = 0
    contexts.reset(state.cursor, state.fields)


@inlined
def _finish_byte(state: State, position: int, byte: int) -> None:
    match.advance(state.matcher, byte)
    contexts.advance(state.cursor, state.fields, position, byte)


@kernel
def model(
    static: Static,
    weights: Weights,
    state: State,
    text: U8Array,
    bits: int,
    match_shift: int,
    steps: U32Array,
) -> None:
    """Walk over a chunk as the decoder will, and write down each symbol's place in the freqs.

    Parameters
    ----------
    static, weights, state
        Tables, the profile's weights (changed: they learn) and scratch memory.
    text : uint8, shape (size + 1,)
        The chunk's bytes and one byte more, which is not read into any freq.
    bits, match_shift : int
        Rows of each dynamic table are 1 << bits; positions are 1 << (32 - match_shift).
    steps : uint32, shape (2 * size,)
        Receives `cumfreq << 16 | freq` of each symbol.
    """
    _start_chunk(state)
    size = len(text) - 1
    if size > 0:
        _start_byte(static, state, text, 0, match_shift, bits)
    for position in range(size):
        byte = integer(text[position])
        rate = integer(static.mixer_rates[bit_length(position)])
        for half in range(2):
            _predict(static, weights, state, bits, half, position)
            symbol = byte >> 4 if half == 0 else byte & 15
            steps[2 * position + half] = integer(state.sums[symbol]) << 16 | integer(
                state.freqs[symbol]
            )
            if half == 0:
                contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
                _ask_for_dynamic(state, bits)
                _learn(static, weights, state, symbol, rate)
                state.chosen[HIGH] = symbol
            else:
                _finish_byte(state, position, byte)
                _start_byte(static, state, text, position + 1, match_shift, bits)
                _learn(static, weights, state, symbol, rate)


@kernel
def cost(steps: U32Array) -> int:
    """The size of the coded symbols, in units of 2**-10 bits, by the coder's own logarithm."""
    units = 0
    for i in range(len(steps)):
        freq = integer(steps[i]) & rans.SLOT_MASK
        exponent = bit_length(freq) - 1
        fraction = (freq << 12 >> exponent) - 4096
        bump = fraction * (4096 - fraction) >> 12
        units += ((rans.PRECISION - exponent) << 10) - (fraction >> 2) - (bump * 352 >> 12)
    return units


@kernel
def decode(
    static: Static,
    weights: Weights,
    state: State,
    words: U32Array,
    text: U8Array,
    bits: int,
    match_shift: int,
) -> int:
    """Decode a chunk: the inverse of `model` and `rans.encode`.

    Parameters
    ----------
    words : uint32, shape (n_words,)
        The state, high word first, and the payload's words.
    text : uint8, shape (size + 1,)
        Written in full, the last byte apart.

    Returns
    -------
    int
        How many words were read, or rans.CORRUPT.
    """
    _start_chunk(state)
    size = len(text) - 1
    if len(words) < 2 or integer(words[0]) >> 31:
        return rans.CORRUPT
    coder = integer(words[0]) << 32 | integer(words[1])
    if len(words) > 2 and coder < rans.STATE_MIN:
        return rans.CORRUPT
    at = 2
    if size > 0:
        _start_byte(static, state, text, 0, match_shift, bits)
    for position in range(size):
        rate = integer(static.mixer_rates[bit_length(position)])
        high = 0
        for half in range(2):
            _predict(static, weights, state, bits, half, position)
            slot = coder & rans.SLOT_MASK
            symbol = count_at_most(load_i32(state.sums, 0), slot) - 1
            coder = rans.pop(coder, slot, integer(state.sums[symbol]), integer(state.freqs[symbol]))
            if coder < rans.STATE_MIN and at < len(words):
                coder = coder << 32 | integer(words[at])
                at += 1
            if half == 0:
                high = symbol
                contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
                _ask_for_dynamic(state, bits)
                _learn(static, weights, state, symbol, rate)
                state.chosen[HIGH] = symbol
            else:
                byte = high << 4 | symbol
                text[position] = byte
                _finish_byte(state, position, byte)
                _start_byte(static, state, text, position + 1, match_shift, bits)
                _learn(static, weights, state, symbol, rate)
    return at if coder == 0 else rans.CORRUPT
