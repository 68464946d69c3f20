"""The match predictor: the byte behind the last place where the same five bytes stood.

spec/v1/ngram.md, section 6.
"""

from __future__ import annotations

import numpy as np

from ._jit import I16Array, I32Array, I64Array, U8Array, inlined, integer

# Places in the matcher, int64[N_MATCHER].
MATCH_AT, MATCH_SIZE, GUESS = range(3)
N_MATCHER = 3
MIN_MATCH = 5
MAX_CHECK = 48
N_LENGTHS = 32


def _stretch_table() -> I16Array:
    """1024 * (log2(p) - log2(1 - p) + 4) for p = (i + 1/2) / 4096, by the coder's own log2."""
    value = np.arange(1, 8192)
    exponent = np.searchsorted(1 << np.arange(14), value, side="right") - 1
    fraction = (value << 12 >> exponent) - 4096
    bump = fraction * (4096 - fraction) >> 12
    log2 = (exponent << 10) + (fraction >> 2) + (bump * 352 >> 12)
    odd = log2[::2]  # of 1, 3, 5, ...
    return np.asarray(odd - odd[::-1] + 4096, np.int16)


STRETCH = _stretch_table()


@inlined
def find(matcher: I64Array, positions: I32Array, text: U8Array, position: int, slot: int) -> None:
    """Look for a match that ends before `position`, unless one goes on, and remember the place.

    positions : int32, 0 where nothing was seen, else 1 + the place behind five equal bytes.
    """
    if position >= MIN_MATCH:
        if matcher[MATCH_SIZE] == 0 and positions[slot] > 0:
            at = integer(positions[slot]) - 1
            size = 0
            while (
                size < MAX_CHECK and size < at and text[at - 1 - size] == text[position - 1 - size]
            ):
                size += 1
            if size >= MIN_MATCH:
                matcher[MATCH_AT] = at
                matcher[MATCH_SIZE] = size
        positions[slot] = position + 1
    matcher[GUESS] = integer(text[matcher[MATCH_AT]]) if matcher[MATCH_SIZE] > 0 else -1


@inlined
def advance(matcher: I64Array, byte: int) -> None:
    """Take in the coded byte: a match goes on or ends."""
    if matcher[MATCH_SIZE] > 0 and matcher[GUESS] == byte:
        matcher[MATCH_SIZE] += 1
        matcher[MATCH_AT] += 1
    else:
        matcher[MATCH_SIZE] = 0


@inlined
def length_bucket(size: int) -> int:
    """1 to 31 for a match of `size` bytes, 0 for none."""
    return min(size if size < 16 else 16 + ((size - 16) >> 2), N_LENGTHS - 1)
