"""The mixture: inputs of log-probabilities, weighted, exponentiated, normalised; and its learning.

spec/v1/ngram.md, sections 7 and 8.  A log-probability is in units of 2**-10 bits, a weight 1.0 is
`1 << 16`.  What fits 16 bits is done in words, the rest in int32 lanes; sums and products that
exceed 32 bits wrap, in every implementation alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._jit import I16Array, I32Array, inlined
from ._vector import (
    bit_lanes,
    dots,
    either,
    largest,
    load_i32,
    log_bits,
    lshr,
    maximum,
    minimum,
    mix,
    narrow,
    one_hot_word,
    pack,
    prefix_sums,
    product_high,
    smaller,
    splat,
    splat_word,
    store_i32,
    total,
    widen,
    widen_signed,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector, Words

TOTAL = 1 << 16


@inlined
def log2(row: Vector) -> Vector:
    """1024 * log2(row / 4096) for lanes 1 to 65535."""
    return widen_signed(log2_words(narrow(row)))


@inlined
def log2_words(row: Words) -> Words:
    """1024 * log2(row / 4096) for words from 1, with a sign.

    Exponent, mantissa, and a parabola for its curvature.
    """
    bits = log_bits(row)
    # (f * (4096 - f)) >> 12, both times 4; then bump * 352 >> 12.
    fraction = bits * 4 & 4 * 4095
    bump = product_high(fraction, splat_word(4 * 4096) - fraction)
    return (bits >> 2) - (12 << 10) + (bump * 11 >> 7)


@inlined
def exp2(distance: Words) -> Words:
    """65535 * 2**(-distance / 1024), distance below 32768."""
    # (f * f) >> 10, both times 8; then f * 21528 >> 9, and square * 10290 >> 10.
    fraction = distance * 8 & 8 * 1023
    square = product_high(fraction, fraction)
    mantissa = splat_word(65535) - product_high(distance * 64, splat_word(2 * 21528))
    mantissa = mantissa + square * 10 + (square * 50 >> 10)
    return lshr(mantissa, distance >> 10)


@inlined
def freqs_of(inputs: I16Array, weights: I16Array) -> tuple[Words, Words]:
    """Freqs of the 16 symbols, each >= 1, in all 65536; and before each symbol their sum.

    inputs : int16, shape (256,), a row of 16 for each input.
    weights : int16, shape (16,), 1.0 = 4096 here; in the order of `pack`.
    """
    return _normalised(pack(_distances(mix(inputs, 0, weights) >> 12)))


@inlined
def normalised(logits: Vector) -> tuple[Vector, Vector]:
    """Freqs of the 16 symbols with these log-probabilities, up to a constant; and their sums."""
    freqs, sums = _normalised(narrow(_distances(logits)))
    return widen(freqs), widen(sums)


@inlined
def _distances(logits: Vector) -> Vector:
    """How far each is below the largest, up to 32767: from 16384 on nothing is left."""
    return smaller(largest(logits) - logits, splat(32767))


@inlined
def _normalised(distances: Words) -> tuple[Words, Words]:
    """Freqs, and before each symbol their sum, by how far the logits are below the largest."""
    odds = exp2(distances)
    scale = ((TOTAL - 16) << 14) // total(odds)
    # (odds * scale) >> 14, where the scale is at most 16380.
    freqs = product_high(odds, splat_word(scale * 4)) + 1
    sums = prefix_sums(freqs) - freqs
    # What rounding left over goes to the last symbol: its sum is known before anything else.
    return either(bit_lanes(1 << 15), splat_word(0) - sums, freqs), sums


@inlined
def weight_steps(inputs: I16Array, freqs: Words, symbol: int, rate: int) -> Vector:
    """How far each of the 16 weights moves against the coding cost of `symbol`.

    The gradient, times `rate`.
    """
    # (65536 - freq) >> 2 for the symbol, -freq >> 2 for the others.
    error = one_hot_word(symbol, TOTAL >> 2) - ((freqs + 3) >> 2)
    return ((dots(inputs, 0, error) >> 11) * splat(rate)) >> 13


@inlined
def scaled(weights: Vector) -> Vector:
    """Weights clamped to +-8 and brought to 1.0 = 4096, which fits 16 bits."""
    return minimum(maximum(weights, splat(-(1 << 19))), splat((1 << 19) - 16)) >> 4


@inlined
def move(weights: I32Array, at: int, steps: Vector) -> None:
    """Add `steps` to one weight vector."""
    store_i32(weights, at, load_i32(weights, at) + steps)
