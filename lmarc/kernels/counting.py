"""Count the contexts of training text, for the static tables.

A context is the 32-bit key of `contexts` and a salt (0, or 1 + high nibble), together a 37-bit
*id*.  Text is counted in pieces of a chunk's size, and of each piece only the first few visits to a
context count: what comes later inside a chunk the dynamic tables know already, and one repetitive
file must not outweigh the rest.
"""

from __future__ import annotations

from . import contexts
from ._jit import I32Array, I64Array, U8Array, U32Array, inlined, integer, kernel

MASK_32 = 0xFFFFFFFF


@inlined
def _slot(id_: int, bits: int) -> int:
    """A place in a table of 1 << bits, up to 32: multiplicative hashing, the product's top bits."""
    folded = (id_ ^ ((id_ >> 32) * contexts.LANE_STEP)) & MASK_32
    mixed = folded * contexts.KEY_1 & MASK_32
    return ((mixed ^ (mixed >> 15)) * contexts.KEY_2 & MASK_32) >> (32 - bits)


@kernel
def sketch(
    text: U8Array,
    starts: I64Array,
    lane: int,
    cap: int,
    bits: int,
    seen_bits: int,
    sketch_: U8Array,
    seen: U8Array,
    cursor: I64Array,
    fields: I32Array,
    keys: U32Array,
) -> None:
    """Count visits to every context of `lane`, roughly (contexts that collide add up), up to 255.

    Parameters
    ----------
    text : uint8, shape (size,)
    starts : int64, shape (n_pieces + 1,)
        Where each piece begins, and the end.
    cap : int
        Visits that count in one piece.
    sketch_ : uint8, shape (1 << bits,)
        Added to.
    seen : uint8, shape (1 << seen_bits,)
    cursor, fields, keys
        Scratch, as in `contexts`.
    """
    for piece in range(len(starts) - 1):
        contexts.reset(cursor, fields)
        seen[:] = 0
        begin, end = starts[piece], starts[piece + 1]
        part = text[begin:end]
        for position in range(end - begin):
            byte = integer(part[position])
            contexts.compute_keys(cursor, fields, part, position, keys)
            for half in range(2):
                salt = 0 if half == 0 else 1 + (byte >> 4)
                id_ = integer(keys[lane]) | salt << 32
                visit = _slot(id_, seen_bits)
                if seen[visit] < cap:
                    seen[visit] += 1
                    place = _slot(id_, bits)
                    if sketch_[place] < 255:
                        sketch_[place] += 1
            contexts.advance(cursor, fields, position, byte)


@kernel
def count(
    text: U8Array,
    starts: I64Array,
    lane: int,
    cap: int,
    bits: int,
    seen_bits: int,
    sketch_: U8Array,
    seen: U8Array,
    cursor: I64Array,
    fields: I32Array,
    keys: U32Array,
    least: int,
    table_bits: int,
    ids: I64Array,
    counts: U32Array,
) -> int:
    """Count the symbols behind every context of `lane` whose sketch reached `least`.

    Parameters
    ----------
    ids : int64, shape (1 << table_bits,)
        -1 where free.
    counts : uint32, shape (1 << table_bits, 16)

    Returns
    -------
    int
        How many contexts there are, or -1 where the table is too small for them.
    """
    n_contexts = 0
    mask = (1 << table_bits) - 1
    for piece in range(len(starts) - 1):
        contexts.reset(cursor, fields)
        seen[:] = 0
        begin, end = starts[piece], starts[piece + 1]
        part = text[begin:end]
        for position in range(end - begin):
            byte = integer(part[position])
            contexts.compute_keys(cursor, fields, part, position, keys)
            for half in range(2):
                salt = 0 if half == 0 else 1 + (byte >> 4)
                id_ = integer(keys[lane]) | salt << 32
                visit = _slot(id_, seen_bits)
                if seen[visit] < cap:
                    seen[visit] += 1
                    if sketch_[_slot(id_, bits)] >= least:
                        at = _slot(id_, table_bits)
                        while ids[at] != id_ and ids[at] >= 0:
                            at = (at + 1) & mask
                        if ids[at] < 0:
                            if n_contexts * 10 > (mask + 1) * 9:
                                return -1
                            ids[at] = id_
                            n_contexts += 1
                        counts[at, byte >> 4 if half == 0 else byte & 15] += 1
            contexts.advance(cursor, fields, position, byte)
    return n_contexts


@kernel
def fill_index(ids: I64Array, table_bits: int, index: I32Array) -> None:
    """Make a hash index over `ids`: int32, shape (1 << table_bits,), -1 where free."""
    mask = (1 << table_bits) - 1
    for row in range(len(ids)):
        at = _slot(integer(ids[row]), table_bits)
        while index[at] >= 0:
            at = (at + 1) & mask
        index[at] = row


@inlined
def _find(ids: I64Array, index: I32Array, table_bits: int, id_: int) -> int:
    mask = (1 << table_bits) - 1
    at = _slot(id_, table_bits)
    while index[at] >= 0 and ids[index[at]] != id_:
        at = (at + 1) & mask
    row: int = integer(index[at])
    return row


@kernel
def link(
    text: U8Array,
    starts: I64Array,
    lane: int,
    parent_lane: int,
    ids: I64Array,
    bits: int,
    index: I32Array,
    parent_ids: I64Array,
    parent_bits: int,
    parent_index: I32Array,
    cursor: I64Array,
    fields: I32Array,
    keys: U32Array,
    parents: I32Array,
) -> None:
    """Find each context's shorter context, where it was first met.

    parents : int32, shape (n_contexts,), -2 to begin with, -1 for none.
    """
    for piece in range(len(starts) - 1):
        contexts.reset(cursor, fields)
        begin, end = starts[piece], starts[piece + 1]
        part = text[begin:end]
        for position in range(end - begin):
            byte = integer(part[position])
            contexts.compute_keys(cursor, fields, part, position, keys)
            for half in range(2):
                salt = (0 if half == 0 else 1 + (byte >> 4)) << 32
                row = _find(ids, index, bits, integer(keys[lane]) | salt)
                if row >= 0 and parents[row] == -2:
                    parents[row] = _find(
                        parent_ids, parent_index, parent_bits, integer(keys[parent_lane]) | salt
                    )
            contexts.advance(cursor, fields, position, byte)
