"""Distributions over a known text, for those who learn to improve on them.

The walks are those of `ngram.model` and `multiscale.blend_along`; in place of each symbol's place
they write down all sixteen freqs.
"""

from __future__ import annotations

from . import blend as blending
from . import contexts, multiscale, ngram, shapes
from ._jit import I32Array, I64Array, U8Array, U16Array, integer, kernel
from ._vector import bit_length, load_i32, load_words, splat, store_u16, widen


@kernel
def record(
    static: ngram.Static,
    weights: ngram.Weights,
    state: ngram.State,
    text: U8Array,
    bits: int,
    match_shift: int,
    freqs: U16Array,
) -> None:
    """Write the freqs of both nibbles of every byte, as the mixture has them before it learns.

    Parameters
    ----------
    static, weights, state, text, bits, match_shift
        As for `ngram.model`.
    freqs : uint16, shape (size * 2 * 16,)
        Receives sixteen freqs for each high nibble, then sixteen for the low nibble behind it.
    """
    ngram._start_chunk(state)
    size = len(text) - 1
    if size > 0:
        ngram._start_byte(static, state, text, 0, match_shift, bits)
    for position in range(size):
        byte = integer(text[position])
        rate = integer(static.mixer_rates[bit_length(position)])
        for half in range(2):
            ngram._predict(static, weights, state, bits, half, position)
            store_u16(freqs, 16 * (2 * position + half), load_i32(state.freqs, 0))
            if half == 0:
                symbol = byte >> 4
                contexts.compute_rows(state.keys, 1 + symbol, state.hashes)
                ngram._ask_for_dynamic(state, bits)
                ngram._learn(static, weights, state, symbol, rate)
                state.chosen[ngram.HIGH] = symbol
            else:
                ngram._finish_byte(state, position, byte)
                ngram._start_byte(static, state, text, position + 1, match_shift, bits)
                ngram._learn(static, weights, state, byte & 15, rate)


@kernel
def record_blended(
    tables: blending.Tables,
    weights: blending.Weights,
    blend: blending.Blend,
    cursor: I64Array,
    fields: I32Array,
    text: U8Array,
    mixture: U16Array,
    none: I32Array,
    bits: int,
    freqs: U16Array,
) -> None:
    """Write the freqs of both nibbles of every byte, as a blend without a network has them.

    Parameters
    ----------
    tables, weights, blend, cursor, fields, text, bits
        As for `multiscale.blend_along`.
    mixture : uint16, shape (size * 2 * 16,)
        The n-gram mixture's.
    none : int32, shape (0,)
        In place of what leaves a network.
    freqs : uint16, shape (size * 2 * 16,)
        Receives them.
    """
    blending.start_chunk(blend)
    contexts.reset(cursor, fields)
    for position in range(len(text) - 1):
        byte = integer(text[position])
        rate = integer(tables.blend_rates[bit_length(position)])
        shapes.compute_keys(blend.shapes, tables.lanes, cursor, text, position, 0, bits)
        blending.ask(tables, blend, 0, 0, bits)
        seen = widen(load_words(mixture, 32 * position))
        multiscale.blend_high(tables, weights, blend, seen, splat(0), 0, none, 0, 0, bits)
        store_u16(freqs, 32 * position, load_i32(blend.freqs, 0))
        blending.ask(tables, blend, 0, 1 + (byte >> 4), bits)
        blending.learn(tables, weights, blend, byte >> 4, rate, 0, none, 0, 0)
        seen = widen(load_words(mixture, 32 * position + 16))
        multiscale.blend_low(tables, weights, blend, seen, splat(0), byte >> 4, 0, none, 0, 0, bits)
        store_u16(freqs, 32 * position + 16, load_i32(blend.freqs, 0))
        blending.learn(tables, weights, blend, byte & 15, rate, 1 + (byte >> 4), none, 0, 0)
        shapes.advance(blend.shapes, cursor, byte)
        contexts.advance(cursor, fields, position, byte)
