"""The n-gram mixture's distributions over a known text, for those who learn to improve on them.

The walk is that of `ngram.model`; in place of each symbol's place it writes down all sixteen freqs.
"""

from __future__ import annotations

from . import contexts, ngram
from ._jit import U8Array, U16Array, integer, kernel
from ._vector import bit_length, load_i32, store_u16


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
