"""The operations of `_vector` on NumPy arrays: what each means, in plain form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "QUADS", "add_u16", "bit_lanes", "bit_length", "count_at_most", "dot_pairs", "dot_quads",
    "dots", "either", "equal", "find_tag", "gather", "gather_8", "larger", "largest", "less",
    "load_8", "load_i16", "load_i32", "load_levels", "load_u32", "load_words", "log_bits", "lshr",
    "mask_bits", "maxima", "maximum", "minimum", "mix", "move_pairs", "mul16", "narrow", "one_hot",
    "one_hot_word", "pack", "prefetch", "prefix_sums", "product_high", "scatter", "scatter_8",
    "smaller", "splat", "splat_at", "splat_word", "store_bytes", "store_i16", "store_i32",
    "store_u16", "store_words", "total", "unsigned_product_high", "vector_of", "widen",
    "widen_signed",
]  # fmt: skip

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.int32]
Words = npt.NDArray[Any]  # uint16; NumPy's stubs lose it in sums with an int
QUADS = True
"""Whether kernels should use `dot_quads`: compiled, whether the processor has an instruction."""
LANES = np.arange(16)
SPLIT = np.arange(16).reshape(2, 2, 4).transpose(1, 0, 2).reshape(16)
"""Array 0 to 3, 8 to 11, 4 to 7, 12 to 15: its own inverse."""


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


def store_bytes(array: Array, offset: int, vector: Vector) -> None:
    """Store the low 8 bits of every lane in four int32."""
    array[offset : offset + 4] = vector.astype(np.int8).view(np.int32)


def load_8(array: Array, offset: int) -> Vector:
    """Eight int32, and eight zeros."""
    return np.concatenate([array[offset : offset + 8].astype(np.int32), np.zeros(8, np.int32)])


def load_words(array: Array, offset: int) -> Words:
    """Sixteen words of 16 bits."""
    return array[offset : offset + 16].astype(np.uint16)


def store_words(array: Array, offset: int, words: Words) -> None:
    """Store every word."""
    array[offset : offset + 16] = words.astype(array.dtype)


def load_levels(array: Array, offset: int, mask: int) -> Words:
    """Words from 0 to 15 out of eight bytes and-ed with those of `mask`, the low half first."""
    packed = int.from_bytes(array[offset : offset + 8].tobytes(), "little") & mask
    return np.array([packed >> 4 * lane & 15 for lane in range(16)], np.uint16)


def load_u32(array: Array, offset: int) -> int:
    """The number in four bytes from `array[offset]`, an array of uint8."""
    return int.from_bytes(array[offset : offset + 4].tobytes(), "little")


def splat(value: int) -> Vector:
    """`value`, wrapped to 32 bits, in every lane."""
    return np.full(16, ((int(value) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31), np.int32)


def splat_word(value: int) -> Words:
    """`value`, wrapped to 16 bits, in every word."""
    return np.full(16, int(value) & 0xFFFF, np.uint16)


def splat_at(array: Array, offset: int) -> Vector:
    """The int32 at `array[offset]` in every lane."""
    return np.full(16, array[offset], np.int32)


def one_hot(lane: int, value: int) -> Vector:
    """`value` in one lane, zero elsewhere."""
    return np.where(lane == LANES, splat(value), 0).astype(np.int32)


def one_hot_word(lane: int, value: int) -> Words:
    """`value`, wrapped to 16 bits, in one word, zero elsewhere."""
    return np.where(lane == LANES, splat_word(value), 0).astype(np.uint16)


def bit_lanes(bits: int) -> Words:
    """All ones in word `s` where bit `s` is 1, else zero."""
    return np.array([-(bits >> lane & 1) & 0xFFFF for lane in range(16)], np.uint16)


def vector_of(values: tuple[int, ...]) -> Vector:
    """The values, wrapped to 32 bits, and zeros."""
    return np.concatenate([splat(value)[:1] for value in (*values, *(16 - len(values)) * (0,))])


def narrow(a: Vector) -> Words:
    """The low 16 bits of every lane."""
    return a.astype(np.uint16)


def pack(a: Vector) -> Words:
    """The low 16 bits of every lane, in the order of SPLIT."""
    return a.astype(np.uint16)[SPLIT]


def widen(a: Words) -> Vector:
    """Words without a sign as lanes."""
    return a.astype(np.int32)


def widen_signed(a: Words) -> Vector:
    """Words with a sign as lanes."""
    return a.view(np.int16).astype(np.int32)


def _signed(a: Array) -> Array:
    return a.view(np.int16) if a.dtype == np.uint16 else a


def minimum(a: Array, b: Array) -> Array:
    """The smaller of each pair of lanes, which have a sign."""
    return np.where(_signed(a) < _signed(b), a, b)


def maximum(a: Array, b: Array) -> Array:
    """The larger of each pair of lanes, which have a sign."""
    return np.where(_signed(a) < _signed(b), b, a)


def larger(a: Words, b: Words) -> Words:
    """The larger of each pair of words without a sign."""
    return np.maximum(a, b)


def smaller(a: Vector, b: Vector) -> Vector:
    """The smaller of each pair of lanes without a sign."""
    return np.minimum(a.view(np.uint32), b.view(np.uint32)).view(np.int32)


def product_high(a: Words, b: Words) -> Words:
    """Products of words without a sign, their upper 16 bits."""
    return (a.astype(np.uint32) * b >> 16).astype(np.uint16)


def lshr(a: Array, b: Array) -> Array:
    """Logical shift right of each lane by the lane of `b`, 0 to 31."""
    unsigned = a.astype(np.uint32) >> b.astype(np.uint32)
    shifted: Array = unsigned.astype(a.dtype)
    return shifted


def mul16(a: Vector, b: Vector) -> Vector:
    """Products of lanes that both fit int16."""
    return a * b


def equal(a: Array, b: Array) -> Array:
    """All ones in the lanes that are equal, else zero."""
    mask: Array = -(a == b).astype(a.dtype)
    return mask


def less(a: Array, b: Array) -> Array:
    """All ones in the lanes where `a` < `b`, with their signs, else zero."""
    mask: Array = -(_signed(a) < _signed(b)).astype(a.dtype)
    return mask


def either(mask: Array, yes: Array, no: Array) -> Array:
    """Bit by bit `yes` where `mask` is 1, else `no`."""
    chosen: Array = no ^ (mask & (yes ^ no))
    return chosen


def mask_bits(mask: Vector) -> int:
    """An integer whose bit `s` says that lane `s` is not 0."""
    return sum(1 << lane for lane in range(16) if mask[lane])


def bit_length(value: int) -> int:
    """How many bits a number >= 0 has."""
    return int(value).bit_length()


def gather(array: Array, places: Array) -> Vector:
    """Sixteen int32, from `array[places[0]]` on."""
    return array[places[:16]].astype(np.int32)


def gather_8(array: Array, places: Array) -> Vector:
    """Eight int32, from `array[places[0]]` on, and eight zeros."""
    return np.concatenate([array[places[:8]].astype(np.int32), np.zeros(8, np.int32)])


def scatter(array: Array, places: Array, vector: Vector) -> None:
    """Store every lane in its own place; places differ."""
    array[places[:16]] = vector


def scatter_8(array: Array, places: Array, vector: Vector) -> None:
    """Store the first eight lanes in their own places; places differ."""
    array[places[:8]] = vector[:8]


def total(a: Array) -> int:
    """Sum of all lanes (must fit int32); words have no sign."""
    return int(a.sum(dtype=np.int64))


def largest(a: Vector) -> Vector:
    """The largest lane, in every lane."""
    return np.full(16, a.max(), np.int32)


def prefix_sums(a: Words) -> Words:
    """Word `s` holds the sum of words 0 to `s`, wrapped to 16 bits."""
    return np.cumsum(a, dtype=np.uint16)


def count_at_most(a: Vector, value: int) -> int:
    """How many lanes are <= `value`."""
    return int((a <= value).sum())


def find_tag(array: Array, offset: int, tag: int) -> int:
    """Which of the six words from `array[offset]`, an array of uint8, is `tag`, or 6."""
    hits = np.flatnonzero(array[offset : offset + 12].view(np.uint16) == tag)
    return int(hits[0]) if len(hits) else 6


def add_u16(array: Array, offset: int, value: int) -> None:
    """Add to an element of uint16, up to 65535."""
    array[offset] = min(int(array[offset]) + value, 65535)


def maxima(array: Array, offset: int) -> Words:
    """Word `j` holds the largest of row `j` of int16[16, 16] at `offset`."""
    rows: Words = array[offset : offset + 256].reshape(16, 16).max(axis=1).view(np.uint16)
    return rows


def dots(array: Array, offset: int, words: Words) -> Vector:
    """Lane `j` holds the dot product of row `j` of int16[16, 16] with words with a sign."""
    rows: Vector = array[offset : offset + 256].reshape(16, 16).astype(np.int32)
    result: Vector = (rows * widen_signed(words)).sum(axis=1, dtype=np.int32)
    return result


def mix(array: Array, offset: int, weights: Array) -> Vector:
    """The rows of int16[16, 16] at `offset`, times their int16 weights, added.

    Weights and result are in the order of SPLIT.
    """
    rows: Vector = array[offset : offset + 256].reshape(16, 16).astype(np.int32)
    result: Vector = (rows * weights[SPLIT, None]).sum(axis=0, dtype=np.int32)
    return result[SPLIT]


def log_bits(a: Words) -> Words:
    """floor(log2(a)) << 12 with twelve bits of the mantissa below, for words from 1."""
    exponent = np.array([int(x).bit_length() - 1 for x in a], np.int32)
    mantissa = (a.astype(np.int32) << 12 >> exponent) - (1 << 12)
    return ((exponent << 12) + mantissa).astype(np.uint16)


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


def dot_quads(array: Array, offset: int, quads: Vector, sums: Vector) -> Vector:
    """Add, in lane i, four uint8 from `array[offset + 2 i]` on times the four int8 of `quads`.

    array : int16, the bytes two and two.
    """
    weights = array[offset : offset + 32].view(np.uint8).astype(np.int32)
    products = weights * quads.view(np.int8).astype(np.int32)
    found: Vector = sums + products.reshape(16, 4).sum(axis=1, dtype=np.int32)
    return found


def move_pairs(array: Array, offset: int, errors: Vector, pairs: Vector, rate: int) -> None:
    """Add (error * input * rate + 32768) >> 16 to 32 int16, up to +-32767.

    The int16 are two in each int32 of `array`; errors and inputs are the int16 of the lanes, and
    input * rate fits 16 bits.
    """
    weights = array[offset : offset + 16].view(np.int16)
    factors = pairs.view(np.int16).astype(np.int32) * rate
    steps = (errors.view(np.int16) * factors + 32768) >> 16
    weights[:] = np.clip(weights + steps, -32767, 32767).astype(np.int16)
