"""The mixture: inputs of log-probabilities, weighted, exponentiated, normalised; and its learning.

spec/v1/ngram.md, sections 7 and 8.  A log-probability is in units of 2**-10 bits, a weight 1.0 is
`1 << 16`.  All arithmetic is on int32 lanes; sums and products that exceed 32 bits wrap, in every
implementation alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._jit import I16Array, I32Array, inlined
from ._vector import (
    dots,
    either,
    equal,
    exponent_and_fraction,
    largest,
    load_i16,
    load_i32,
    lshr,
    maximum,
    minimum,
    mul16,
    one_hot,
    prefix_sums,
    splat,
    splat_at,
    store_i32,
    total,
)

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_INPUTS = 16
LANES = np.arange(16, dtype=np.int32)
TOTAL = 1 << 16


@inlined
def log2(row: Vector) -> Vector:
    """1024 * log2(row / 4096) for lanes 1 to 65535.

    Exponent, mantissa, and a parabola for its curvature.
    """
    bits = exponent_and_fraction(row)
    fraction = bits & 4095
    bump = mul16(fraction, splat(4096) - fraction) >> 12
    return (bits >> 2) - (12 << 10) + (mul16(bump, splat(352)) >> 12)


@inlined
def exp2(distance: Vector) -> Vector:
    """65535 * 2**(-distance / 1024), distance >= 0."""
    fraction = distance & 1023
    square = mul16(fraction, fraction) >> 10
    mantissa = (
        splat(65535) - (mul16(fraction, splat(21528)) >> 9) + (mul16(square, splat(10290)) >> 10)
    )
    return lshr(mantissa, minimum(distance >> 10, splat(31)))


@inlined
def freqs_of(inputs: I16Array, weights: I32Array) -> tuple[Vector, Vector]:
    """Freqs of the 16 symbols, each >= 1, in all 65536; and before each symbol their sum.

    inputs : int16, shape (256,), a row of 16 for each input.
    weights : int32, shape (16,), 1.0 = 4096 here.
    """
    logits = splat(0)
    for j in range(N_INPUTS):
        logits = logits + mul16(load_i16(inputs, 16 * j), splat_at(weights, j))
    return normalised(logits >> 12)


@inlined
def normalised(logits: Vector) -> tuple[Vector, Vector]:
    """Freqs of the 16 symbols with these log-probabilities, up to a constant; and their sums."""
    odds = exp2(largest(logits) - logits)
    scale = ((TOTAL - 16) << 14) // total(odds)
    freqs = ((odds * scale) >> 14) + 1
    sums = prefix_sums(freqs) - freqs
    # What rounding left over goes to the last symbol: its sum is known before anything else.
    last = equal(load_i32(LANES, 0), splat(15))
    return either(last, splat(TOTAL) - sums, freqs), sums


@inlined
def weight_steps(inputs: I16Array, freqs: Vector, symbol: int, rate: int) -> Vector:
    """How far each of the 16 weights moves against the coding cost of `symbol`.

    The gradient, times `rate`.
    """
    error = (one_hot(symbol, TOTAL) - freqs) >> 2
    return ((dots(inputs, 0, error) >> 11) * splat(rate)) >> 13


@inlined
def scaled(weights: Vector) -> Vector:
    """Weights clamped to +-8 and brought to 1.0 = 4096, which fits 16 bits."""
    return minimum(maximum(weights, splat(-(1 << 19))), splat((1 << 19) - 16)) >> 4


@inlined
def move(weights: I32Array, at: int, steps: Vector) -> None:
    """Add `steps` to one weight vector."""
    store_i32(weights, at, load_i32(weights, at) + steps)
