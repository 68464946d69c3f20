"""What the blend knows of the bytes before: sixteen contexts of shapes and of larger scales.

spec/v1/multiscale.md, section 3.  The *kind* of a byte says whether it is a letter, a digit or
which sort of punctuation; texts that are made by programs repeat in kinds long before they repeat
in bytes. Contexts 0 to 7 are of the last eight bytes; of the kinds of the last eight, and of
twelve; of kinds and the byte above; of all kinds of the line so far; of runs of kinds; of the word
and the punctuation before it; of the word and the one two words before.

Contexts 8 to 15 are *histories*: the last three bytes that came where the last two bytes, the last
three, four or six, the kinds of the last eight, the kinds of the line so far, the word and the one
before it, or the word alone were the same as now (indirect contexts, as in Mahoney's PAQ8).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import contexts
from ._jit import I32Array, I64Array, U8Array, U32Array, inlined, integer
from ._vector import gather, load_i32, lshr, prefetch, splat, store_i32, vector_of

N_SHAPES = 8
N_HISTORIES = 8
N_CONTEXTS = N_SHAPES + N_HISTORIES
HISTORY_MASK = 0xFFFFFF

# Places in the cursor of shapes, int64[N_CURSOR]; from FOLLOWED on the histories in use.
KINDS, OLDER_KINDS, RUNS, LAST_RUN, LINE_SHAPE, MARKS, WORD_BEFORE, FOLLOWED = range(8)
N_CURSOR = FOLLOWED + N_HISTORIES

# Places in what a byte is seen with, int64[N_SEEN]: the byte before and the one before that, the
# kinds of the last four, the bytes since the line began, and the byte above.
LAST, SECOND, FOUR_KINDS, COLUMN, ABOVE = range(5)
N_SEEN = 5
MAX_COLUMN = 63

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
LANES = np.arange(16, dtype=np.int32)


class Shapes(NamedTuple):
    """A worker's memory for what it knows of the bytes before."""

    # (N_CURSOR,)
    cursor: I64Array
    # (N_HISTORIES << bits,), or nothing where no context is a history
    histories: U32Array
    # (16,): the elements of `histories` in use; eight are
    slots: U32Array
    # (16,): the keys of all contexts
    mixed: U32Array
    # (R, 16) flattened: the keys of lanes, of R bytes that are looked at together
    keys: U32Array
    # (R, N_SEEN) flattened
    seen: I64Array


@inlined
def reset(shapes: Shapes) -> None:
    """Forget everything: the state before the first byte of a chunk."""
    shapes.cursor[:] = 0
    shapes.histories[:] = 0


@inlined
def advance(shapes: Shapes, used: int, cursor: I64Array, byte: int) -> None:
    """Take in `byte`; the contexts' own cursor has not taken it in yet.

    The histories of `used`, a bit for each, are those that were asked for.
    """
    shape = shapes.cursor
    for k in range(N_HISTORIES):
        if used >> k & 1:
            slot = integer(shapes.slots[k])
            history = integer(shapes.histories[slot])
            shapes.histories[slot] = (history << 8 | byte) & HISTORY_MASK
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
def ask(shapes: Shapes, used: int, cursor: I64Array, bits: int) -> None:
    """Ask for the histories of the contexts that the next byte stands in.

    Before each byte, whether its keys are computed or not: `advance` adds to them.

    Parameters
    ----------
    used : int
        A bit for each history that a lane has.
    bits : int
        Each history has `1 << bits` places.
    """
    if used == 0:
        return
    shape = shapes.cursor
    last, older = cursor[contexts.LAST_4], cursor[contexts.OLDER_4]
    word = cursor[contexts.WORD_HASH]
    places = vector_of(
        (
            last & 0xFFFF,
            last & 0xFFFFFF,
            last,
            last * contexts.KEY_1 + (older & 0xFFFF) * contexts.KEY_2,
            shape[KINDS],
            shape[LINE_SHAPE],
            word * contexts.KEY_2 + cursor[contexts.LAST_WORD],
            word,
            0, 0, 0, 0, 0, 0, 0, 0,
        )
    )  # fmt: skip
    slots = lshr(contexts.mix(places), splat(32 - bits)) + load_i32(LANES, 0) * (1 << bits)
    store_i32(shapes.slots, 0, slots)
    for k in range(N_HISTORIES):
        if used >> k & 1:
            prefetch(shapes.histories, integer(shapes.slots[k]))


@inlined
def compute_keys(
    shapes: Shapes,
    used: int,
    lanes: I32Array,
    cursor: I64Array,
    text: U8Array,
    position: int,
    row: int,
) -> None:
    """Write the keys for the byte at `position` of `text`, of which all bytes before are known.

    Its histories have been asked for.

    Parameters
    ----------
    shapes : Shapes
        `keys` and `seen` receive the row.
    used : int
        A bit for each history that a lane has.
    lanes : int32, shape (16,)
        The context of each lane.
    row : int
    """
    shape = shapes.cursor
    last, older = cursor[contexts.LAST_4], cursor[contexts.OLDER_4]
    line = cursor[contexts.LINE]
    above = cursor[contexts.LINE_ABOVE] + position - line
    up = 0
    if cursor[contexts.LINE_ABOVE] >= 0 and above < line:
        up = integer(text[above])
    for k in range(N_HISTORIES):
        if used >> k & 1:
            shape[FOLLOWED + k] = integer(shapes.histories[integer(shapes.slots[k])])
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
            shape[FOLLOWED] + 8 * contexts.LANE_STEP,
            shape[FOLLOWED + 1] + 9 * contexts.LANE_STEP,
            shape[FOLLOWED + 2] + 10 * contexts.LANE_STEP,
            shape[FOLLOWED + 3] + 11 * contexts.LANE_STEP,
            shape[FOLLOWED + 4] + 12 * contexts.LANE_STEP,
            shape[FOLLOWED + 5] + 13 * contexts.LANE_STEP,
            shape[FOLLOWED + 6] + 14 * contexts.LANE_STEP,
            shape[FOLLOWED + 7] + 15 * contexts.LANE_STEP,
        )
    )
    store_i32(shapes.mixed, 0, contexts.mix(raw))
    store_i32(shapes.keys, 16 * row, gather(shapes.mixed, lanes))
    at = N_SEEN * row
    shapes.seen[at + LAST] = last & 0xFF
    shapes.seen[at + SECOND] = last >> 8 & 0xFF
    shapes.seen[at + FOUR_KINDS] = shape[KINDS] & 0xFFFF
    shapes.seen[at + COLUMN] = min(position - line, MAX_COLUMN)
    shapes.seen[at + ABOVE] = up
