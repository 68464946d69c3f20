"""What the n-gram coder knows of the bytes before: ten context keys, kept up to date byte by byte.

spec/v1/ngram.md, section 3.  A key is 32 bits of hash; a *lane* is its place in the vector of keys:
orders 1 to 4 and 6, the word so far, the column (what stands above in the line before), the field
(what stood in the same field of the line before), order 5, and the word with the one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import I32Array, I64Array, U8Array, U32Array, inlined, integer
from ._vector import load_i32, lshr, splat, store_i32, vector_of

if TYPE_CHECKING:
    from ._vector_plain import Vector

ORDER_1, ORDER_2, ORDER_3, ORDER_4, ORDER_6, WORD, COLUMN, FIELD, ORDER_5, WORD_PAIR = range(10)
N_KEYS = 10

# Places in the cursor, int64[N_CURSOR].
LAST_4, OLDER_4, WORD_HASH, LAST_WORD, LINE, LINE_ABOVE, FIELD_NUMBER, FIELD_START = range(8)
N_CURSOR = 8
N_FIELDS = 512
"""Fields of a line that are told apart; later ones share the last place."""

MASK_32 = 0xFFFFFFFF
# Multipliers of int64 values stay below 2**30, so that no product reaches 2**63: Numba leaves
# signed overflow undefined.
KEY_1, KEY_2 = 0x2C1B3C6D, 0x297A2D39
LANE_STEP = 0x32BE5AB7
WORD_STEP = 0x1E3779B1
SALT_STEP, SALT_1 = 0x9E3779B1, 0x85EBCA6B


@inlined
def reset(cursor: I64Array, fields: I32Array) -> None:
    """Forget everything: the state before the first byte of a chunk."""
    cursor[:] = 0
    cursor[LINE_ABOVE] = -1
    fields[:] = -1


@inlined
def advance(cursor: I64Array, fields: I32Array, position: int, byte: int) -> None:
    """Take in `byte`, which stands at `position` of the chunk."""
    cursor[OLDER_4] = ((cursor[OLDER_4] << 8) | (cursor[LAST_4] >> 24)) & MASK_32
    cursor[LAST_4] = ((cursor[LAST_4] << 8) | byte) & MASK_32
    folded = byte + 32 if 65 <= byte <= 90 else byte
    if 97 <= folded <= 122 or 48 <= byte <= 57 or byte >= 128:
        cursor[WORD_HASH] = ((cursor[WORD_HASH] + folded + 1) * WORD_STEP) & MASK_32
    elif cursor[WORD_HASH] != 0:
        cursor[LAST_WORD] = cursor[WORD_HASH]
        cursor[WORD_HASH] = 0
    # Newline, comma, tab, semicolon, bar; Numba has no sets here.
    if byte == 10 or byte == 44 or byte == 9 or byte == 59 or byte == 124:  # noqa: PLR1714
        fields[cursor[FIELD_NUMBER]] = cursor[FIELD_START]
        cursor[FIELD_START] = position + 1
        cursor[FIELD_NUMBER] = min(cursor[FIELD_NUMBER] + 1, N_FIELDS - 1)
        if byte == 10:
            cursor[LINE_ABOVE] = cursor[LINE]
            cursor[LINE] = position + 1
            cursor[FIELD_NUMBER] = 0


@inlined
def mix(raw: Vector) -> Vector:
    """Sixteen keys of raw ones: spec/v1/ngram.md, section 3.3."""
    mixed = raw * KEY_1
    mixed = (mixed ^ lshr(mixed, splat(15))) * KEY_2
    return mixed ^ lshr(mixed, splat(13))


@inlined
def compute_keys(
    cursor: I64Array, fields: I32Array, text: U8Array, position: int, keys: U32Array
) -> None:
    """Write the keys for the byte at `position` of `text`, of which all bytes before are known.

    keys : uint32, shape (16,); lanes from N_KEYS on hold nothing of use.
    """
    last = cursor[LAST_4]
    older = cursor[OLDER_4]
    line = cursor[LINE]
    column = position - line
    above = cursor[LINE_ABOVE] + column
    up = 0
    if cursor[LINE_ABOVE] >= 0 and above < line:
        up = integer(text[above])
    start = integer(fields[cursor[FIELD_NUMBER]])
    there = start + position - cursor[FIELD_START]
    up_field, up_next = 0, 0
    if start >= 0 and there + 1 < line:
        up_field = integer(text[there])
        up_next = integer(text[there + 1])
    word = cursor[WORD_HASH]
    # Every lane adds its own constant, so that equal bytes in two lanes give two keys.
    raw = vector_of(
        (
            last & 0xFF,
            (last & 0xFFFF) + LANE_STEP,
            (last & 0xFFFFFF) + 2 * LANE_STEP,
            last + 3 * LANE_STEP,
            last * KEY_1 + (older & 0xFFFF) * KEY_2 + 5 * LANE_STEP,
            word + 6 * LANE_STEP,
            (min(column, 255) | up << 8 | (last & 0xFF) << 16) + 8 * LANE_STEP,
            (up_field | up_next << 8 | (last & 0xFF) << 16 | min(cursor[FIELD_NUMBER], 255) << 24)
            + 9 * LANE_STEP,
            last * KEY_1 + (older & 0xFF) + 4 * LANE_STEP,
            word * KEY_2 + cursor[LAST_WORD] + 7 * LANE_STEP,
        )
    )
    store_i32(keys, 0, mix(raw))


@inlined
def compute_rows(keys: U32Array, salt: int, rows: U32Array) -> None:
    """Hash the keys with `salt`: 0 for a high nibble, 1 + high for the low nibble behind it.

    rows : uint32, shape (16,).
    """
    mixed = (load_i32(keys, 0) + splat(salt * SALT_STEP)) * splat(SALT_1)
    store_i32(rows, 0, mixed ^ lshr(mixed, splat(16)))
