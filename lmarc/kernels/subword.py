"""The subword coder's mixture: that of `ngram`, over tokens instead of bytes.

spec/v1/subword.md is the authority. A token is three symbols of 16, its branches in the tree; for
each of them sixteen inputs predict, as in `ngram`, whose tables, mixture and learning are in use:
eight dynamic rows, seven static ones, and a match.
"""

from __future__ import annotations

from . import contexts, match, mixture, ngram, tokens
from ._jit import I64Array, U8Array, U16Array, inlined, integer, kernel
from ._vector import (
    bit_lanes,
    bit_length,
    gather,
    larger,
    load_i32,
    load_levels,
    load_words,
    maxima,
    narrow,
    one_hot_word,
    pack,
    prefetch,
    product_high,
    splat_word,
    store_i32,
    store_u16,
    store_words,
    unsigned_product_high,
    widen,
)

N_LEVELS = 3
# The static inputs' lanes; the first five count as the longest context.
STATIC_LANES = (
    tokens.ORDER_0, tokens.ORDER_1, tokens.HALF_2, tokens.ORDER_2, tokens.ORDER_3, tokens.SKIP,
    tokens.CLASSES,
)  # fmt: skip
N_SETS = 6 * 6 * 4 * N_LEVELS
N_TOKEN_VECTORS = 3 * N_LEVELS * 256
PREFIX = ngram.HIGH  # place in State.chosen: the token's branches so far


@inlined
def _salt(level: int, prefix: int) -> int:
    """What tells the nodes of the tree apart: 0, 1 to 16, 17 to 272."""
    return 0 if level == 0 else (1 + prefix if level == 1 else 17 + prefix)


@inlined
def _symbol(token: int, level: int) -> int:
    return token >> 4 * (2 - level) & 15


@inlined
def _prefix(token: int, level: int) -> int:
    """A token's branches above a level, as one number."""
    return token >> 4 * (3 - level)


@inlined
def _look_up(
    static: ngram.Static, weights: ngram.Weights, state: ngram.State, bits: int, level: int
) -> None:
    """Fill the sixteen inputs as `ngram._look_up` does, and remember what the step uses."""
    counts, learnt = ngram._find_dynamic(static, state, bits)
    store_words(state.counts, 0, narrow(counts))
    for k in range(ngram.N_DYNAMIC):
        row = load_words(state.rows, integer(state.sources[k]))
        store_words(state.inputs, 16 * k, mixture.log2_words(row))
        share = integer(static.rates[integer(state.counts[k])])
        lost = product_high(row & 0xFFFE, splat_word(share))
        store_words(state.rows, integer(state.at[k]), larger(row - lost, splat_word(16)))
    statics = 0
    for k in range(ngram.N_STATIC):
        lane = STATIC_LANES[k]
        at, found = ngram._find_static(
            static, state.homes[k], integer(state.tags[lane]), integer(state.hashes[lane])
        )
        levels = load_levels(static.buckets, at, -found)
        scores = (splat_word(-137) - levels * 50) * levels
        store_words(state.inputs, 16 * (ngram.FIRST_STATIC + k), scores)
        statics |= found << k
    longest = bit_length(statics & 31)
    size = state.matcher[match.MATCH_SIZE]
    guess = state.matcher[match.GUESS]
    prefix = state.chosen[PREFIX]
    expected, bucket, score = -1, 0, 0
    if size > 0 and _prefix(guess, level) == prefix:
        expected = _symbol(guess, level)
        bucket = match.length_bucket(size)
        score = integer(match.STRETCH[integer(weights.hits[bucket]) >> 4])
    store_words(state.inputs, 16 * ngram.MATCH_INPUT, one_hot_word(expected, score))
    state.chosen[ngram.EXPECTED] = expected
    state.chosen[ngram.LENGTH] = bucket
    all_counts = narrow(counts) + one_hot_word(ngram.MATCH_INPUT, bucket)
    all_counts = all_counts + (bit_lanes(statics << ngram.FIRST_STATIC) & 1)
    store_words(state.counts, 0, all_counts)
    confidences = ngram._confidences(all_counts, maxima(state.inputs, 0))
    places = (confidences + splat_word(level * ngram.N_CONFIDENCES)) * 16 + load_words(
        ngram.LANES, 0
    )
    store_words(state.confidences, 0, places)
    strength = 0 if bucket == 0 else (1 if bucket < 16 else (2 if bucket < 24 else 3))
    state.chosen[ngram.SET] = 16 * (((longest * 6 + learnt) * 4 + strength) * N_LEVELS + level)
    last = state.cursor[contexts.LAST_4]
    third = guess >> 4 if expected >= 0 else last >> (2 * tokens.TOKEN_BITS + 4) & 0xFF
    state.chosen[ngram.BYTE_1] = _vector(0, level, last >> 4 & 0xFF)
    state.chosen[ngram.BYTE_2] = _vector(1, level, last >> (tokens.TOKEN_BITS + 4) & 0xFF)
    state.chosen[ngram.BYTE_3] = _vector(2, level, third if level == 0 else prefix)


@inlined
def _vector(kind: int, level: int, class_: int) -> int:
    """Where the weights stand that go with a class of tokens."""
    return 16 * (256 * (N_LEVELS * kind + level) + class_)


@inlined
def _predict(
    static: ngram.Static, weights: ngram.Weights, state: ngram.State, bits: int, level: int
) -> None:
    """Write the freqs of the next symbol to `state.freqs` and `state.shares`, and their sums."""
    _look_up(static, weights, state, bits, level)
    chosen = load_i32(weights.sets, state.chosen[ngram.SET])
    chosen = chosen + load_i32(weights.bytes, state.chosen[ngram.BYTE_1])
    chosen = chosen + load_i32(weights.bytes, state.chosen[ngram.BYTE_2])
    chosen = chosen + load_i32(weights.bytes, state.chosen[ngram.BYTE_3])
    trust = gather(weights.confidences, state.confidences)
    store_i32(state.trust, 0, trust)
    store_words(state.weights, 0, pack(mixture.scaled(chosen + trust)))
    freqs, sums = mixture.freqs_of(state.inputs, state.weights)
    store_words(state.shares, 0, freqs)
    store_i32(state.freqs, 0, widen(freqs))
    store_i32(state.sums, 0, widen(sums))


@inlined
def _start_token(
    static: ngram.Static,
    state: ngram.State,
    text: U16Array,
    position: int,
    match_shift: int,
    bits: int,
) -> None:
    """Hash the contexts of the token at `position` and ask for its rows."""
    tokens.compute_keys(state.cursor, state.fields, text, position, state.keys)
    contexts.compute_rows(state.keys, 0, state.hashes)
    n_buckets = len(static.buckets) // ngram.BUCKET_SIZE
    for k in range(ngram.N_STATIC):
        key = integer(state.keys[STATIC_LANES[k]])
        state.homes[k] = ngram.BUCKET_SIZE * unsigned_product_high(key, n_buckets)
        prefetch(static.buckets, state.homes[k])
    ngram._ask_for_dynamic(state, bits)
    slot = integer(state.keys[tokens.ORDER_2]) >> match_shift
    tokens.find(state.matcher, state.positions, text, position, slot)
    state.chosen[PREFIX] = 0


@inlined
def _take(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    flags: U8Array,
    text: U16Array,
    position: int,
    level: int,
    symbol: int,
    bits: int,
    match_shift: int,
) -> None:
    """Let the mixture know a symbol; after the last of a token, turn to the next one.

    `text` holds the token by then.
    """
    rate = integer(static.mixer_rates[bit_length(position)])
    if level < N_LEVELS - 1:
        prefix = state.chosen[PREFIX] << 4 | symbol
        contexts.compute_rows(state.keys, _salt(level + 1, prefix), state.hashes)
        ngram._ask_for_dynamic(state, bits)
        ngram._learn(static, weights, state, symbol, rate)
        state.chosen[PREFIX] = prefix
    else:
        token = integer(text[position])
        match.advance(state.matcher, token)
        tokens.advance(state.cursor, state.fields, flags, position, token)
        _start_token(static, state, text, position + 1, match_shift, bits)
        ngram._learn(static, weights, state, symbol, rate)


@kernel
def record(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    flags: U8Array,
    text: U16Array,
    bits: int,
    match_shift: int,
    freqs: U16Array,
) -> None:
    """Write the freqs of all symbols of some tokens, as the mixture has them before it learns.

    Parameters
    ----------
    static, weights, state, bits, match_shift
        As for `ngram.model`; the weights are of this mixture's shapes.
    flags : uint8, shape (tokens of the vocabulary,)
        What `tokens.NEWLINE` and `tokens.SEPARATOR` name.
    text : uint16, shape (count + 1,)
        The chunk's tokens and one more, which is not read into any freq.
    freqs : uint16, shape (count * 3 * 16,)
        Receives them.
    """
    ngram._start_chunk(state)
    count = len(text) - 1
    if count > 0:
        _start_token(static, state, text, 0, match_shift, bits)
    for position in range(count):
        token = integer(text[position])
        for level in range(N_LEVELS):
            _predict(static, weights, state, bits, level)
            store_u16(freqs, 16 * (N_LEVELS * position + level), load_i32(state.freqs, 0))
            symbol = _symbol(token, level)
            _take(static, weights, state, flags, text, position, level, symbol, bits, match_shift)


@kernel
def rows_of(state: ngram.State, flags: U8Array, text: U16Array, lane: int, ids: I64Array) -> None:
    """Write down which static row of a lane each symbol of some tokens meets, for who counts them.

    ids : int64, shape (count * 3,)
        Receives key | salt << 32.
    """
    contexts.reset(state.cursor, state.fields)
    for position in range(len(text)):
        token = integer(text[position])
        tokens.compute_keys(state.cursor, state.fields, text, position, state.keys)
        key = integer(state.keys[lane])
        for level in range(N_LEVELS):
            salt = _salt(level, _prefix(token, level))
            ids[N_LEVELS * position + level] = key | salt << 32
        tokens.advance(state.cursor, state.fields, flags, position, token)
