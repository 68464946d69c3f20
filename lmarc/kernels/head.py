"""A last layer that learns inside the chunk: from the network's last layer to a symbol's scores.

spec/v1/multiscale.md, section 5.  A table of weights for the high symbol, and one for the low
symbol behind each high one, all zero at the start of a chunk; after each symbol the one in use
moves along the gradient (online gradient descent; Krause et al., *Dynamic evaluation of neural
sequence models*, 2018). A weight is int16 in units of 2**-15, an input int8 in units of 2**-7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pair_products
from ._jit import I16Array, I32Array, inlined
from ._vector import maximum, minimum, move_pairs, splat, splat_at

if TYPE_CHECKING:
    from ._vector_plain import Vector

N_TABLES = 17
MAX_SCORE = 8191


@inlined
def scores(weights: I16Array, table: int, pairs: I32Array, pair: int, n_pairs: int) -> Vector:
    """Sixteen scores in units of 2**-10 bits.

    Parameters
    ----------
    weights : int16, [N_TABLES][n_pairs][16][2]
    table : int
    pairs : int32
        Inputs, pairs of int16, from `pair` on.
    """
    total = pair_products.product(weights, 32 * n_pairs * table, pairs, pair, n_pairs) >> 12
    return minimum(maximum(total, splat(-MAX_SCORE)), splat(MAX_SCORE))


@inlined
def learn(
    weights: I32Array,
    table: int,
    pairs: I32Array,
    pair: int,
    n_pairs: int,
    error: Vector,
    rate: int,
) -> None:
    """Move a table's weights.

    Parameters
    ----------
    weights : int32
        The same memory: pairs of int16.
    error : Vector
        In units of 2**-14.
    rate : int
        0 to 255: times error and input, >> 16. 10 is 0.01 of what a gradient in bits would move.
    """
    first = 16 * n_pairs * table
    both = (error & 0xFFFF) * 0x10001
    for k in range(n_pairs):
        move_pairs(weights, first + 16 * k, both, splat_at(pairs, pair + k), rate)
