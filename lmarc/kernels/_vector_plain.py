"""The operations of `_vector` on NumPy int32 arrays: what each means, in plain form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "bit_length", "count_at_most", "dot_pairs", "dots", "either", "equal",
    "exponent_and_fraction", "find_u16", "gather", "largest", "less", "load_i16", "load_i32",
    "load_nibbles", "load_u16", "lshr", "mask_bits", "maxima", "maximum", "minimum", "mul16",
    "one_hot", "prefetch", "prefix_sums", "scatter", "scatter_8", "splat", "splat_at",
    "store_i16", "store_i32", "store_u16", "total", "unsigned_product_high",
]  # fmt: skip

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.int32]
LANES = np.arange(16)


def load_u16(array: Array, offset: int) -> Vector:
    """Sixteen uint16, widened."""
    return array[offset : offset + 16].astype(np.int32)


def load_i16(array: Array, offset: int) -> Vector:
    """Sixteen int16, widened."""
    return array[offset : offset + 16].astype(np.int32)


def load_i32(array: Array, offset: int) -> Vector:
    """Sixteen int32; bits of uint32 are kept."""
    return array[offset : offset + 16].astype(np.int32)


def store_u16(array: Array, offset: int, vector: Vector) -> None:
    """Store the low 16 bits of every lane."""
    array[offset : offset + 16] = vector.astype(np.uint16)


def store_i16(array: Array, offset: int, vector: Vector) -> None:
    """Store the low 16 bits of every lane."""
    array[offset : offset + 16] = vector.astype(np.int16)


def store_i32(array: Array, offset: int, vector: Vector) -> None:
    """Store every lane."""
    array[offset : offset + 16] = vector


def load_nibbles(array: Array, offset: int) -> Vector:
    """Sixteen 4-bit values out of eight bytes, the low half of each byte first."""
    pair = array[offset : offset + 8].astype(np.int32)
    return np.stack([pair & 15, pair >> 4], axis=1).reshape(16)


def splat(value: int) -> Vector:
    """`value`, wrapped to 32 bits, in every lane."""
    return np.full(16, ((int(value) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31), np.int32)


def splat_at(array: Array, offset: int) -> Vector:
    """The int32 at `array[offset]` in every lane."""
    return np.full(16, array[offset], np.int32)


def one_hot(lane: int, value: int) -> Vector:
    """`value` in one lane, zero elsewhere."""
    return np.where(lane == LANES, splat(value), 0).astype(np.int32)


def minimum(a: Vector, b: Vector) -> Vector:
    """The smaller of each pair of lanes."""
    return np.minimum(a, b)


def maximum(a: Vector, b: Vector) -> Vector:
    """The larger of each pair of lanes."""
    return np.maximum(a, b)


def lshr(a: Vector, b: Vector) -> Vector:
    """Logical shift right of each lane by the lane of `b`, 0 to 31."""
    return (a.view(np.uint32) >> b.astype(np.uint32)).view(np.int32)


def mul16(a: Vector, b: Vector) -> Vector:
    """Products of lanes that both fit int16."""
    return a * b


def equal(a: Vector, b: Vector) -> Vector:
    """-1 in the lanes that are equal, else 0."""
    ones: Vector = (a == b).astype(np.int32)
    return -ones


def less(a: Vector, b: Vector) -> Vector:
    """-1 in the lanes where `a` < `b`, else 0."""
    return -(a < b).astype(np.int32)


def either(mask: Vector, yes: Vector, no: Vector) -> Vector:
    """Bit by bit `yes` where `mask` is 1, else `no`."""
    return no ^ (mask & (yes ^ no))


def mask_bits(mask: Vector) -> int:
    """An integer whose bit `s` says that lane `s` is not 0."""
    return sum(1 << lane for lane in range(16) if mask[lane])


def bit_length(value: int) -> int:
    """How many bits a number >= 0 has."""
    return int(value).bit_length()


def gather(array: Array, offsets: Vector) -> Vector:
    """Sixteen int32 from sixteen places."""
    return array[offsets].astype(np.int32)


def scatter(array: Array, offsets: Vector, vector: Vector) -> None:
    """Store every lane in its own place; places differ."""
    array[offsets] = vector


def scatter_8(array: Array, offsets: Vector, vector: Vector) -> None:
    """Store the first eight lanes in their own places."""
    array[offsets[:8]] = vector[:8]


def total(a: Vector) -> int:
    """Sum of all lanes (must fit int32)."""
    return int(a.sum(dtype=np.int64))


def largest(a: Vector) -> Vector:
    """The largest lane, in every lane."""
    return np.full(16, a.max(), np.int32)


def prefix_sums(a: Vector) -> Vector:
    """Lane `s` holds the sum of lanes 0 to `s`."""
    return np.cumsum(a, dtype=np.int32)


def count_at_most(a: Vector, value: int) -> int:
    """How many lanes are <= `value`."""
    return int((a <= value).sum())


def find_u16(array: Array, offset: int, value: int, n_lanes: int) -> int:
    """The first of `array[offset : offset + n_lanes]` that equals `value`, or 32.

    `value` is 0 to 65535; eight elements are read.
    """
    hits = np.flatnonzero(array[offset : offset + n_lanes] == value)
    return int(hits[0]) if len(hits) else 32


def maxima(array: Array, offset: int) -> Vector:
    """Lane `j` holds the largest of row `j` of int16[16, 16] at `offset`."""
    rows: Vector = array[offset : offset + 256].reshape(16, 16).astype(np.int32)
    result: Vector = rows.max(axis=1)
    return result


def dots(array: Array, offset: int, vector: Vector) -> Vector:
    """Lane `j` holds the dot product of row `j` of int16[16, 16] with `vector`, whose lanes fit."""
    rows: Vector = array[offset : offset + 256].reshape(16, 16).astype(np.int32)
    result: Vector = (rows * vector).sum(axis=1, dtype=np.int32)
    return result


def exponent_and_fraction(a: Vector) -> Vector:
    """floor(log2(a)) << 12 with twelve bits of the mantissa below, for lanes 1 to 2**24 - 1."""
    exponent = np.array([int(x).bit_length() - 1 for x in a], np.int32)
    mantissa = (a.astype(np.int64) << (23 - exponent)) - (1 << 23)
    return ((exponent << 12) + (mantissa >> 11)).astype(np.int32)


def unsigned_product_high(value: int, count: int) -> int:
    """(value * count) >> 32 for a uint32 `value` given as any int whose low 32 bits are it."""
    return ((int(value) & 0xFFFFFFFF) * int(count)) >> 32


def prefetch(array: Array, offset: int) -> None:
    """Ask for the cache line at `offset`; changes nothing."""


def dot_pairs(array: Array, offset: int, pairs: Vector) -> Vector:
    """In lane i: two int16 from `array[offset + 2 i]` on, times the two int16 of the lane."""
    weights = array[offset : offset + 32].astype(np.int32)
    factors = pairs.view(np.int16).astype(np.int32)
    products: Vector = (weights * factors).reshape(16, 2).sum(axis=1, dtype=np.int32)
    return products
