"""Products of int8 with int8 of some rows: those of the processor at hand."""

from __future__ import annotations

from . import byte_products, pair_products
from ._jit import I16Array, I32Array, inlined
from ._vector import QUADS


@inlined
def multiply(
    weights: I16Array,
    scales: I32Array,
    inputs: I16Array,
    pairs: I32Array,
    size: int,
    quads: I32Array,
    starts: I32Array,
    sums: I32Array,
    rows: int,
    onto: int,
) -> None:
    """Write `len(scales)` sums of each row, or add to what is there.

    Parameters
    ----------
    weights : int16
        Those of `byte_products` where QUADS, else of `pair_products`.
    scales : int32, shape (outputs,)
    inputs : int16, shape (rows * size,)
        From -128 to 127.
    pairs : int32, shape (rows * size / 2,)
        The same memory.
    size : int
        Inputs of a row, a multiple of 16.
    quads, starts : int32, shape (rows * size / 4,) and (rows,)
        Scratch memory, for QUADS.
    sums : int32, shape (rows * outputs,)
        Changed.
    rows : int
    onto : int
        1 to add, 0 to write: a constant, so that the other is not compiled.
    """
    outputs = len(scales)
    if QUADS:
        byte_products.enter(inputs, rows, size, quads, starts)
        byte_products.multiply(
            weights, scales, quads, starts, size >> 2, sums, 0, outputs, rows, onto
        )
    else:
        if onto == 0:
            sums[: rows * outputs] = 0
        pair_products.add(weights, scales, pairs, size >> 1, sums, 0, outputs, rows)
