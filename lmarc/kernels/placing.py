"""Place the rows of a static table into buckets (spec/v1/model-file.md, section 5)."""

from __future__ import annotations

from ._jit import I64Array, U8Array, U16Array, U32Array, inlined, integer, kernel

BUCKET_ROWS = 6


@inlined
def _has_tag(tags: U16Array, filled: I64Array, bucket: int, tag: int) -> bool:
    for slot in range(filled[bucket]):  # noqa: SIM110 - Numba knows no generators
        if tags[bucket, slot] == tag:
            return True
    return False


@kernel
def place(
    keys: U32Array,
    hashes: U32Array,
    rows: U8Array,
    n_buckets: int,
    tags: U16Array,
    slots: U8Array,
    filled: I64Array,
) -> int:
    """Place rows in the order given: at home, else in the second place with the home's spill bit
    set, else nowhere.

    Parameters
    ----------
    keys, hashes : uint32, shape (n_rows,)
    rows : uint8, shape (n_rows, 8)
    tags : uint16, shape (n_buckets, 8)
        Six tags and 32 spill bits, all zero to begin with.
    slots : uint8, shape (n_buckets, 6, 8)
    filled : int64, shape (n_buckets,)

    Returns
    -------
    int
        How many rows found no place.
    """
    dropped = 0
    for row in range(len(keys)):
        hash_ = integer(hashes[row])
        tag = hash_ & 0xFFFF
        tag += 1 if tag == 0 else 0
        home = integer(keys[row]) * n_buckets >> 32
        bucket = home
        if _has_tag(tags, filled, home, tag):  # a lookup would stop there
            dropped += 1
            continue
        if filled[home] >= BUCKET_ROWS:
            bucket = hash_ * n_buckets >> 32
            if filled[bucket] >= BUCKET_ROWS or _has_tag(tags, filled, bucket, tag):
                dropped += 1
                continue
            tags[home, 6 + ((tag >> 4) & 1)] |= 1 << (tag & 15)
        tags[bucket, filled[bucket]] = tag
        for byte in range(8):
            slots[bucket, filled[bucket], byte] = rows[row, byte]
        filled[bucket] += 1
    return dropped
