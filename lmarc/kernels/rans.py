"""rANS over 16-bit freqs: 64-bit state, 32-bit words.

spec/v1/entropy-coding.md; Duda, arXiv:1311.2540.

Once a word was written, `STATE_MIN <= state < STATE_MIN << WORD_BITS` holds between symbols; `push`
breaks it for one line and mends it at once. Before, while the state grows from zero, it may be
smaller: so a chunk pays no 31 bits for the state that its coder starts from. Encoding walks
backwards over the steps that a forward pass wrote down, so that decoding walks forwards.
"""

from __future__ import annotations

from ._jit import U32Array, inlined, integer, kernel

PRECISION = 16
STATE_MIN = 1 << 31
WORD_BITS = 32
WORD_MASK = (1 << WORD_BITS) - 1
SLOT_MASK = (1 << PRECISION) - 1

CORRUPT = -1
"""Returned where a payload does not end in the state that every encoder starts from: zero."""


@kernel
def encode(steps: U32Array, words: U32Array) -> int:
    """Write the words that decode to the symbols of `steps`; return the index of the first one.

    Parameters
    ----------
    steps : uint32, shape (n_symbols,)
        `cumfreq << 16 | freq` of each coded symbol, in coding order; every freq >= 1.
    words : uint32, shape (n_symbols // 2 + 2,)
        Filled from its end; `words[result:]` is the payload, the state first, high word first.
    """
    state = 0
    at = len(words)
    for i in range(len(steps) - 1, -1, -1):
        step = integer(steps[i])
        freq, cumfreq = step & SLOT_MASK, step >> PRECISION
        # Renormalise so that the push below stays under STATE_MIN << WORD_BITS.
        if state >= freq << (31 + WORD_BITS - PRECISION):
            at -= 1
            words[at] = state & WORD_MASK
            state >>= WORD_BITS
        # state = (state // freq) * 2**PRECISION + cumfreq + state % freq
        state = ((state // freq) << PRECISION) + cumfreq + state % freq
    at -= 2
    words[at] = state >> WORD_BITS
    words[at + 1] = state & WORD_MASK
    return at


@inlined
def pop(state: int, slot: int, cumfreq: int, freq: int) -> int:
    """The state before the symbol that owns `slot` was pushed; may be below STATE_MIN."""
    # state = freq * (state >> PRECISION) + slot - cumfreq
    return freq * (state >> PRECISION) + slot - cumfreq
