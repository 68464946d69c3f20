"""What the blend knows of the bytes before: eight context keys of shapes and of larger scales.

spec/v1/multiscale.md, section 3.  The *kind* of a byte says whether it is a letter, a digit or
which sort of punctuation; texts that are made by programs repeat in kinds long before they repeat
in bytes. The keys are of the last eight bytes; of the kinds of the last eight, and of twelve; of
kinds and the byte above; of all kinds of the line so far; of runs of kinds; of the word and the
punctuation before it; of the word and the one two words before.
"""

from __future__ import annotations

import numpy as np

from . import contexts
from ._jit import I64Array, U8Array, U32Array, inlined, integer
from ._vector import lshr, splat, store_i32, vector_of

N_SHAPES = 8

# Places in the cursor of shapes, int64[N_CURSOR].
KINDS, OLDER_KINDS, RUNS, LAST_RUN, LINE_SHAPE, MARKS, WORD_BEFORE = range(7)
N_CURSOR = 7

LOWER, UPPER, DIGIT, HIGH, OTHER = 1, 2, 3, 4, 15
MARKED = (b"\n", b" ", b"\t|", b",;", b".", b":=", b"\"'`", b"([{<", b")]}>", b"-_/\\")


def _kinds() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    kinds = np.full(256, OTHER, np.uint8)
    kinds[97:123], kinds[65:91], kinds[48:58], kinds[128:] = LOWER, UPPER, DIGIT, HIGH
    for kind, marks in enumerate(MARKED, HIGH + 1):
        kinds[list(marks)] = kind
    return kinds


KIND = _kinds()
"""The kind of each byte: letters, digits and bytes from 128 on have 1 to 4, the rest 5 to 15."""


@inlined
def reset(shape: I64Array) -> None:
    """Forget everything: the state before the first byte of a chunk."""
    shape[:] = 0


@inlined
def advance(shape: I64Array, cursor: I64Array, byte: int) -> None:
    """Take in `byte`; the contexts' own cursor has not taken it in yet."""
    kind = integer(KIND[byte])
    run = kind if kind <= HIGH else byte + 5
    shape[OLDER_KINDS] = (shape[OLDER_KINDS] << 4 | shape[KINDS] >> 28) & 0xFFFF
    shape[KINDS] = (shape[KINDS] << 4 | kind) & contexts.MASK_32
    if run != shape[LAST_RUN] or kind > HIGH:
        shape[RUNS] = (shape[RUNS] << 8 | run & 0xFF) & contexts.MASK_32
    shape[LAST_RUN] = run
    if byte == 10:
        shape[LINE_SHAPE] = 0
    else:
        step = (shape[LINE_SHAPE] + run + 1) * contexts.WORD_STEP
        shape[LINE_SHAPE] = step & contexts.MASK_32
    if kind > HIGH:
        shape[MARKS] = (shape[MARKS] << 8 | byte) & 0xFFFFFF
        if cursor[contexts.WORD_HASH] != 0:
            shape[WORD_BEFORE] = cursor[contexts.LAST_WORD]


@inlined
def compute_keys(
    shape: I64Array, cursor: I64Array, text: U8Array, position: int, keys: U32Array, at: int
) -> None:
    """Write the keys for the byte at `position` of `text`, of which all bytes before are known.

    keys : uint32, shape (rows * 16,): sixteen from `at` on, of which N_SHAPES are of use.
    """
    last, older = cursor[contexts.LAST_4], cursor[contexts.OLDER_4]
    line = cursor[contexts.LINE]
    above = cursor[contexts.LINE_ABOVE] + position - line
    up = 0
    if cursor[contexts.LINE_ABOVE] >= 0 and above < line:
        up = integer(text[above])
    kinds = shape[KINDS] * contexts.KEY_1
    word = cursor[contexts.WORD_HASH] * contexts.KEY_2
    raw = vector_of(
        (
            last * contexts.KEY_1 + older * contexts.KEY_2,
            kinds + contexts.LANE_STEP,
            kinds + shape[OLDER_KINDS] * contexts.KEY_2 + 2 * contexts.LANE_STEP,
            kinds + up * contexts.KEY_2 + 3 * contexts.LANE_STEP,
            shape[LINE_SHAPE] + 4 * contexts.LANE_STEP,
            shape[RUNS] + 5 * contexts.LANE_STEP,
            word + shape[MARKS] * contexts.KEY_1 + 6 * contexts.LANE_STEP,
            word + shape[WORD_BEFORE] + 7 * contexts.LANE_STEP,
        )
    )
    mixed = raw * contexts.KEY_1
    mixed = (mixed ^ lshr(mixed, splat(15))) * contexts.KEY_2
    store_i32(keys, at, mixed ^ lshr(mixed, splat(13)))
