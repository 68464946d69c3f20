"""The n-gram coder's step: look rows up, mix them, learn; one function for encoder and decoder.

spec/v1/ngram.md is the authority.  A byte is two symbols of 16, the high nibble first.  For each
symbol seven *static* rows come from the model's buckets, eight *dynamic* rows from tables that
start empty in every chunk, and one row from the match predictor; `mixture` joins the sixteen.

The order inside a step matters to speed only: as soon as a symbol is known the next rows are hashed
and asked for, and the learning that follows hides the wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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
    add_u16,
    bit_lanes,
    bit_length,
    count_at_most,
    either,
    equal,
    find_tag,
    gather,
    gather_8,
    larger,
    less,
    load_8,
    load_i32,
    load_levels,
    load_u32,
    load_words,
    lshr,
    mask_bits,
    maxima,
    minimum,
    narrow,
    one_hot_word,
    pack,
    prefetch,
    product_high,
    scatter,
    scatter_8,
    splat,
    splat_word,
    store_i32,
    store_words,
    unsigned_product_high,
    widen,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector, Words

N_DYNAMIC, N_STATIC = 8, 7
FIRST_STATIC, MATCH_INPUT = N_DYNAMIC, N_DYNAMIC + N_STATIC
# Dynamic inputs are lanes 0 to 7 of the keys; static inputs these, the orders first.
STATIC_LANES = (1, 2, 3, contexts.ORDER_5, contexts.ORDER_6, contexts.WORD, contexts.WORD_PAIR)
BUCKET_SIZE = 64  # bytes: six tags of 16 bits, 32 spill bits, six rows of 8 bytes
BUCKET_ROWS, SPILLS_AT, ROWS_AT = 6, 12, 16
N_SETS, N_CONFIDENCES, N_COUNTS = 6 * 6 * 4 * 2, 16, 64
SHARP = 3700
ROW_START = 4096
TAG_MASK, TAG_SHIFT, COUNT_MASK = 0x3FF, 6, 63
# Places in State.chosen: weight vectors, the symbol that a match expects or -1, its length bucket,
# and the high nibble once it is known.
SET, BYTE_1, BYTE_2, BYTE_3, EXPECTED, LENGTH, HIGH = range(7)
N_CHOSEN = 7
N_BYTE_VECTORS = 3 * 512
LANES = np.arange(16, dtype=np.uint16)
TABLES = np.arange(N_DYNAMIC, dtype=np.int32)


class Static(NamedTuple):
    """A model's read-only tables."""

    # (n_buckets, 64) flattened
    buckets: U8Array
    # (2, 64): twice the profile's share, and its gain, by count
    rates: U16Array
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

    # ((8 << bits) + 2, 16) flattened; the last two rows are uniform
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
    # (7,): where the home buckets of static inputs begin
    homes: I64Array
    # (16,): the hashes' tags in static tables
    tags: U16Array
    # (16,): the lines of dynamic tables that the hashes lead to; 8 are used
    lines: U32Array
    # (16, 16) flattened
    inputs: I16Array
    # (16,) each from here on
    freqs: I32Array
    sums: I32Array
    # The freqs again, in words.
    shares: U16Array
    # As applied, in the order of `pack`.
    weights: I16Array
    # Element of `rows` that each dynamic input learns into.
    at: I32Array
    # Element of `rows` that it reads: the same, or the uniform row.
    sources: I32Array
    # Of dynamic inputs; for static ones whether a row was found.
    counts: U16Array
    # Element of Weights.confidences that each input uses, and what it held.
    confidences: U16Array
    trust: I32Array
    # (N_CHOSEN,): what SET to HIGH name.
    chosen: I64Array


@inlined
def _find_static(static: Static, home: int, tag: int, hash_: int) -> tuple[int, int]:
    """The byte of `buckets` where a row stands, and 1, or any such byte and 0."""
    bucket = home
    slot = find_tag(static.buckets, bucket, tag)
    missing = (slot + 2) >> 3  # slot is 6 where none has the tag
    spilled = load_u32(static.buckets, bucket + SPILLS_AT) >> (tag & 31)
    # One branch, seldom taken: whether a row stands at home is a coin toss that costs a mispredict.
    if spilled & missing:
        n_buckets = len(static.buckets) // BUCKET_SIZE
        bucket = BUCKET_SIZE * unsigned_product_high(hash_, n_buckets)
        slot = find_tag(static.buckets, bucket, tag)
        missing = (slot + 2) >> 3
    return bucket + ROWS_AT + 8 * (slot - missing), 1 - missing


@inlined
def pick_rows(pair: Vector, tag: Vector, limits: Vector) -> tuple[Vector, Vector, Vector]:
    """Find or take a row of each line, two rows with their metas in `pair`.

    Returns the metas afterwards, -1 where it is the second row, and the counts.
    """
    first, second = pair & 0xFFFF, lshr(pair, splat(16))
    in_first = equal(lshr(first, splat(TAG_SHIFT)), tag)
    not_first = in_first ^ -1
    in_second = equal(lshr(second, splat(TAG_SHIFT)), tag) & not_first
    fewer = less(second & COUNT_MASK, first & COUNT_MASK) & not_first
    pick = in_second ^ (fewer & (in_second ^ -1))
    counts = ((in_first & first) + (in_second & second)) & COUNT_MASK
    meta = tag * (1 << TAG_SHIFT) + minimum(counts + 1, limits)
    return either(pick, first + meta * (1 << 16), second * (1 << 16) + meta), pick, counts


@inlined
def _find_dynamic(static: Any, state: Any, bits: int) -> tuple[Vector, int]:
    """Find or take a row for each of eight dynamic inputs.

    Returns the counts, and 1 + the lane of the longest order that has one, or 0.
    """
    pair = gather_8(state.metas, state.lines)
    tag = load_8(state.hashes, 0) & TAG_MASK
    taken, pick, counts = pick_rows(pair, tag, load_8(static.limits, 0))
    scatter_8(state.metas, state.lines, taken)
    at = (load_8(state.lines, 0) * 2 - pick) * 16
    known = less(splat(0), counts)
    store_i32(state.at, 0, at)
    store_i32(state.sources, 0, either(known, at, splat(16 * (N_DYNAMIC << bits))))
    return counts, bit_length(mask_bits(known) & 31)


@inlined
def _confidences(counts: Words, best: Words) -> Words:
    """How far to trust each input, 0 to 15: by count and by the likeliest symbol's probability."""
    # Dynamic: counts 1, 2, 3, 4-5, 6-8, 9 and more; and whether one symbol has 76 % or more.
    steps = (
        minimum(counts, splat_word(4)) - less(splat_word(5), counts) - less(splat_word(8), counts)
    )
    dynamic = steps * 2 - less(splat_word(SHARP), best)
    # Static: found, and the best level.
    static = minimum((splat_word(0) - best) >> 8, splat_word(14)) + 1
    other = either(bit_lanes(1 << MATCH_INPUT), counts >> 1, static)
    some = less(splat_word(0), counts)
    confidences: Words = some & either(bit_lanes((1 << N_DYNAMIC) - 1), dynamic, other)
    return confidences


@inlined
def _byte_vector(kind: int, half: int, high: int, byte: int) -> int:
    """Where the weights stand that go with an earlier byte, and with the high nibble if known."""
    return 16 * (512 * kind + (byte if half == 0 else 256 + (high << 4 | byte >> 4)))


@inlined
def _look_up(
    static: Static, weights: Weights, state: State, bits: int, half: int, position: int
) -> None:
    """Fill the sixteen inputs, and remember which rows and weights the step uses.

    What learning takes from all symbols of a dynamic row it takes here, where the row is at hand.
    """
    counts, learnt = _find_dynamic(static, state, bits)
    store_words(state.counts, 0, narrow(counts))
    for k in range(N_DYNAMIC):
        row = load_words(state.rows, integer(state.sources[k]))
        store_words(state.inputs, 16 * k, mixture.log2_words(row))
        # ((row >> 1) * share) >> 14, where `rates` holds twice the share.
        share = integer(static.rates[integer(state.counts[k])])
        lost = product_high(row & 0xFFFE, splat_word(share))
        store_words(state.rows, integer(state.at[k]), larger(row - lost, splat_word(16)))
    statics = 0
    for k in range(N_STATIC):
        lane = STATIC_LANES[k]
        at, found = _find_static(
            static, state.homes[k], integer(state.tags[lane]), integer(state.hashes[lane])
        )
        levels = load_levels(static.buckets, at, -found)
        # A level q stands for -log2(p) = (50 q + 137) q / 1024 bits.
        scores = (splat_word(-137) - levels * 50) * levels
        store_words(state.inputs, 16 * (FIRST_STATIC + k), scores)
        statics |= found << k
    longest = bit_length(statics & 31)
    size = state.matcher[match.MATCH_SIZE]
    guess = state.matcher[match.GUESS]
    expected, bucket, score = -1, 0, 0
    high = state.chosen[HIGH]  # of this byte, where half is 1
    if size > 0 and (half == 0 or guess >> 4 == high):
        expected = guess >> 4 if half == 0 else guess & 15
        bucket = match.length_bucket(size)
        score = integer(match.STRETCH[integer(weights.hits[bucket]) >> 4])
    store_words(state.inputs, 16 * MATCH_INPUT, one_hot_word(expected, score))
    state.chosen[EXPECTED] = expected
    state.chosen[LENGTH] = bucket
    all_counts = narrow(counts) + one_hot_word(MATCH_INPUT, bucket)
    all_counts = all_counts + (bit_lanes(statics << FIRST_STATIC) & 1)
    store_words(state.counts, 0, all_counts)
    confidences = _confidences(all_counts, maxima(state.inputs, 0))
    places = (confidences + splat_word(half * N_CONFIDENCES)) * 16 + load_words(LANES, 0)
    store_words(state.confidences, 0, places)
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
    """Write the freqs of the next symbol to `state.freqs`, and their sums.

    Takes from the dynamic rows already what learning takes from every symbol.
    """
    _look_up(static, weights, state, bits, half, position)
    chosen = load_i32(weights.sets, state.chosen[SET])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_1])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_2])
    chosen = chosen + load_i32(weights.bytes, state.chosen[BYTE_3])
    trust = gather(weights.confidences, state.confidences)
    store_i32(state.trust, 0, trust)
    store_words(state.weights, 0, pack(mixture.scaled(chosen + trust)))
    freqs, sums = mixture.freqs_of(state.inputs, state.weights)
    store_words(state.shares, 0, freqs)
    store_i32(state.freqs, 0, widen(freqs))
    store_i32(state.sums, 0, widen(sums))


@inlined
def _learn(static: Static, weights: Weights, state: State, symbol: int, rate: int) -> None:
    """Move the weights and the dynamic rows towards `symbol`."""
    steps = mixture.weight_steps(state.inputs, load_words(state.shares, 0), symbol, rate)
    mixture.move(weights.sets, state.chosen[SET], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_1], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_2], steps)
    mixture.move(weights.bytes, state.chosen[BYTE_3], steps)
    scatter(weights.confidences, state.confidences, load_i32(state.trust, 0) + steps)
    for k in range(N_DYNAMIC):
        gain = integer(static.rates[N_COUNTS + integer(state.counts[k])])
        add_u16(state.rows, integer(state.at[k]) + symbol, gain)
    expected = state.chosen[EXPECTED]
    if expected >= 0:
        bucket = state.chosen[LENGTH]
        hits = integer(weights.hits[bucket])
        weights.hits[bucket] = (
            hits + ((65535 - hits) >> 6) if expected == symbol else hits - (hits >> 6)
        )


@inlined
def _ask_for_dynamic(state: State, bits: int) -> None:
    """Turn the hashes into tags and lines of the tables, and ask for the dynamic rows."""
    tags = narrow(load_i32(state.hashes, 0))
    store_words(state.tags, 0, tags - equal(tags, splat_word(0)))  # an unused slot has tag 0
    lines = lshr(load_8(state.hashes, 0), splat(33 - bits))
    store_i32(state.lines, 0, lines + load_8(TABLES, 0) * (1 << (bits - 1)))
    for k in range(N_DYNAMIC):
        line = integer(state.lines[k])
        prefetch(state.metas, line)
        prefetch(state.rows, 32 * line)


@inlined
def _start_byte(
    static: Static, state: State, text: U8Array, position: int, match_shift: int, bits: int
) -> None:
    """Hash the contexts of the byte at `position` and ask for its rows."""
    contexts.compute_keys(state.cursor, state.fields, text, position, state.keys)
    contexts.compute_rows(state.keys, 0, state.hashes)
    n_buckets = len(static.buckets) // BUCKET_SIZE
    for k in range(N_STATIC):
        key = integer(state.keys[STATIC_LANES[k]])
        state.homes[k] = BUCKET_SIZE * unsigned_product_high(key, n_buckets)
        prefetch(static.buckets, state.homes[k])
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
    first: int,
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
    first : int
        The byte to begin with. Where that is not the chunk's first, the bytes before it are known
        and taken in: they are a primer, and the states are those behind it.
    """
    size = len(text) - 1
    if first == 0:
        _start_chunk(state)
        if size > 0:
            _start_byte(static, state, text, 0, match_shift, bits)
    for position in range(first, size):
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


@inlined
def cost_of(steps: U32Array, count: int) -> int:
    """The size of the first `count` coded symbols, as `cost` has it."""
    units = 0
    for i in range(count):
        freq = integer(steps[i]) & rans.SLOT_MASK
        exponent = bit_length(freq) - 1
        fraction = (freq << 12 >> exponent) - 4096
        bump = fraction * (4096 - fraction) >> 12
        units += ((rans.PRECISION - exponent) << 10) - (fraction >> 2) - (bump * 352 >> 12)
    return units


@kernel
def cost(steps: U32Array) -> int:
    """The size of the coded symbols, in units of 2**-10 bits, by the coder's own logarithm."""
    return cost_of(steps, len(steps))


@kernel
def decode(
    static: Static,
    weights: Weights,
    state: State,
    words: U32Array,
    text: U8Array,
    bits: int,
    match_shift: int,
    first: int,
    whole: bool,
) -> int:
    """Decode a chunk, or its beginning: the inverse of `model` and `rans.encode`.

    Parameters
    ----------
    words : uint32, shape (n_words,)
        The state, high word first, and the payload's words.
    text : uint8, shape (size + 1,)
        Written in full from `first` on, the last byte apart.
    first : int
        As for `model`.
    whole : bool
        Whether the text is all that was coded, so that the coder must come back to its beginning.

    Returns
    -------
    int
        How many words were read, or rans.CORRUPT.
    """
    size = len(text) - 1
    if len(words) < 2 or integer(words[0]) >> 31:
        return rans.CORRUPT
    coder = integer(words[0]) << 32 | integer(words[1])
    if len(words) > 2 and coder < rans.STATE_MIN:
        return rans.CORRUPT
    at = 2
    if first == 0:
        _start_chunk(state)
        if size > 0:
            _start_byte(static, state, text, 0, match_shift, bits)
    for position in range(first, size):
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
    return at if coder == 0 or not whole else rans.CORRUPT
