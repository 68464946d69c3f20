"""What the subword coder knows of the tokens before: ten context keys, and the match predictor.

spec/v1/subword.md, sections 3 and 4. It is `contexts` and `match` for tokens: a lane is a key's
place in the vector of keys. Orders 0 to 4, the two tokens before the last, the line (what stands at
the same place of the line before), the field (what stood in the same field of the line before), the
last token with the class of the one before it, and the classes of the last three. A token's class
is its branch of the tree at the second level: its number without the low four bits.
"""

from __future__ import annotations

from . import match
from ._jit import I32Array, I64Array, U8Array, U16Array, U32Array, inlined, integer
from ._vector import store_i32, vector_of
from .contexts import (
    FIELD_NUMBER,
    FIELD_START,
    KEY_1,
    KEY_2,
    LANE_STEP,
    LAST_4,
    LINE,
    LINE_ABOVE,
    N_FIELDS,
    mix,
)

ORDER_0, ORDER_1, ORDER_2, ORDER_3, ORDER_4, SKIP, LINES, FIELDS, HALF_2, CLASSES = range(10)
TOKEN_BITS, TOKEN_MASK = 12, 0xFFF
NEWLINE, SEPARATOR = 1, 2  # flags of a token
MIN_MATCH = 2
MAX_CHECK = 16
FIRST_STEP = 20  # lanes of tokens do not share keys with those of bytes


@inlined
def advance(cursor: I64Array, fields: I32Array, flags: U8Array, position: int, token: int) -> None:
    """Take in `token`, the one at `position` of the chunk."""
    cursor[LAST_4] = ((cursor[LAST_4] << TOKEN_BITS) | token) & ((1 << 4 * TOKEN_BITS) - 1)
    flag = integer(flags[token])
    if flag & SEPARATOR:
        fields[cursor[FIELD_NUMBER]] = cursor[FIELD_START]
        cursor[FIELD_START] = position + 1
        cursor[FIELD_NUMBER] = min(cursor[FIELD_NUMBER] + 1, N_FIELDS - 1)
        if flag & NEWLINE:
            cursor[LINE_ABOVE] = cursor[LINE]
            cursor[LINE] = position + 1
            cursor[FIELD_NUMBER] = 0


@inlined
def compute_keys(
    cursor: I64Array, fields: I32Array, tokens: U16Array, position: int, keys: U32Array
) -> None:
    """Write the keys for the token at `position`; all before are known.

    keys : uint32, shape (16,).
    """
    last = cursor[LAST_4]
    first = last & TOKEN_MASK
    second = last >> TOKEN_BITS & TOKEN_MASK
    third = last >> 2 * TOKEN_BITS & TOKEN_MASK
    two = last & ((1 << 2 * TOKEN_BITS) - 1)
    line = cursor[LINE]
    column = position - line
    above = cursor[LINE_ABOVE] + column
    up = 0
    if cursor[LINE_ABOVE] >= 0 and above < line:
        up = integer(tokens[above])
    start = integer(fields[cursor[FIELD_NUMBER]])
    there = start + position - cursor[FIELD_START]
    up_field = 0
    if start >= 0 and there < line:
        up_field = integer(tokens[there])
    raw = vector_of(
        (
            FIRST_STEP * LANE_STEP,
            first + (FIRST_STEP + 1) * LANE_STEP,
            two + (FIRST_STEP + 2) * LANE_STEP,
            two * KEY_1 + third + (FIRST_STEP + 3) * LANE_STEP,
            two * KEY_1 + (last >> 2 * TOKEN_BITS) * KEY_2 + (FIRST_STEP + 4) * LANE_STEP,
            (last >> TOKEN_BITS & ((1 << 2 * TOKEN_BITS) - 1)) + (FIRST_STEP + 5) * LANE_STEP,
            (min(column, 255) | up << 8 | first << 20) + (FIRST_STEP + 6) * LANE_STEP,
            (up_field | first << 12 | min(cursor[FIELD_NUMBER], 255) << 24)
            + (FIRST_STEP + 7) * LANE_STEP,
            (first | second >> 4 << 12) + (FIRST_STEP + 8) * LANE_STEP,
            (first >> 4 | second >> 4 << 8 | third >> 4 << 16) + (FIRST_STEP + 9) * LANE_STEP,
        )
    )
    store_i32(keys, 0, mix(raw))


@inlined
def find(
    matcher: I64Array, positions: I32Array, tokens: U16Array, position: int, slot: int
) -> None:
    """Look for a match that ends before `position`, unless one goes on, and remember the place."""
    if position >= MIN_MATCH:
        if matcher[match.MATCH_SIZE] == 0 and positions[slot] > 0:
            at = integer(positions[slot]) - 1
            size = 0
            while (
                size < MAX_CHECK
                and size < at
                and tokens[at - 1 - size] == tokens[position - 1 - size]
            ):
                size += 1
            if size >= MIN_MATCH:
                matcher[match.MATCH_AT] = at
                matcher[match.MATCH_SIZE] = size
        positions[slot] = position + 1
    guess = -1
    if matcher[match.MATCH_SIZE] > 0:
        guess = integer(tokens[matcher[match.MATCH_AT]])
    matcher[match.GUESS] = guess
