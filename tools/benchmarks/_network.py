"""The network's step alone, and its products alone, to tell what each takes of the neural coder."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lmarc.kernels import _vector
from lmarc.kernels import network as steps
from lmarc.kernels._jit import inlined, kernel
from lmarc.kernels._vector import QUADS, dot_pairs, dot_quads, load_i32, splat_at
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import aligned

_step: Any = steps.step
_see: Any = steps.see
_high: Any = steps.high
_low: Any = steps.low
_reset: Any = steps.reset
_add_products: Any = steps._add_products
_store_i32: Any = _vector.store_i32


@kernel
def walk(net: Any, hidden: Any, rows: Any, along: Any, count: Any, freqs: Any) -> int:
    """Take `count` steps of `rows` bytes; give a number that depends on all of them."""
    _reset(hidden)
    total = 0
    for number in range(count):
        for row in range(rows):
            hidden.before[2 * row] = (total + 7 * row + number) & 255
            hidden.before[2 * row + 1] = (total >> 8) & 255
            _see(hidden, row, load_i32(freqs, 0))
        _step(net, hidden, rows, along)
        for row in range(rows):
            first = _high(net, hidden, row)
            _see(hidden, row, load_i32(freqs, 0))
            second = _low(net, hidden, row, (total + row) & 15)
            _store_i32(hidden.sums, 0, first + second)
            total += hidden.sums[0]
    return total


@kernel
def products(
    weights: Any, scales: Any, packed: Any, starts: Any, n_packed: Any, sums: Any, count: Any
) -> None:
    """Take a product of as many rows as `starts` holds, again and again."""
    rows = len(starts)
    for _ in range(count):
        _add_products(weights, scales, packed, starts, n_packed, sums, 0, len(scales), rows)


@inlined
def _add(weights: Any, place: int, packed: Any, sums: Any) -> Any:
    if QUADS:
        return dot_quads(weights, place, packed, sums)
    return sums + dot_pairs(weights, place, packed)


@kernel
def instructions(weights: Any, packed: Any, sums: Any, count: Any) -> None:
    """Take twelve sums onto which the processor's multiply-add goes again and again.

    None waits for another, and what they need stays in registers, as far as there are so many.

    weights : int16, shape (384,)
    packed : int32, shape (2,)
    sums : int32, shape (16,)
    """
    first = load_i32(sums, 0)
    a, b, c, d, e, f = first, first, first, first, first, first
    g, h, i, j, k, m = first, first, first, first, first, first
    for number in range(count):
        inputs = splat_at(packed, number & 1)
        a, b = _add(weights, 0, inputs, a), _add(weights, 32, inputs, b)
        c, d = _add(weights, 64, inputs, c), _add(weights, 96, inputs, d)
        e, f = _add(weights, 128, inputs, e), _add(weights, 160, inputs, f)
        g, h = _add(weights, 192, inputs, g), _add(weights, 224, inputs, h)
        i, j = _add(weights, 256, inputs, i), _add(weights, 288, inputs, j)
        k, m = _add(weights, 320, inputs, k), _add(weights, 352, inputs, m)
    _store_i32(sums, 0, ((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + m)))


class Peak:
    """The processor's multiply-adds, with numbers that do not matter."""

    per_round: Final = 12 * 16 * steps.PACKED

    def __init__(self) -> None:
        self._weights, self._packed = _numbers(384, np.int16), _numbers(2, np.int32)
        self._sums = _numbers(16, np.int32)

    def run(self, rounds: int) -> None:
        """Take `per_round` of them so many times."""
        instructions(self._weights, self._packed, self._sums, rounds)


class Products:
    """A product of given size with numbers that do not matter."""

    def __init__(self, outputs: int, inputs: int, rows: int) -> None:
        self.size = outputs * inputs * rows
        self._n_packed = inputs // steps.PACKED
        self._weights = _numbers(2 * outputs * self._n_packed, np.int16)
        self._scales = aligned(outputs, np.int32)
        self._packed = _numbers(rows * self._n_packed, np.int32)
        self._starts = aligned(rows, np.int32)
        self._sums = aligned(rows * outputs, np.int32)

    def run(self, count: int) -> None:
        """Take it so many times."""
        products(
            self._weights, self._scales, self._packed, self._starts, self._n_packed, self._sums,
            count,
        )  # fmt: skip


def _numbers(count: int, dtype: type[np.signedinteger[Any]]) -> Any:
    """Return numbers that begin where a model's do, at a cache line."""
    numbers = aligned(count, dtype)
    numbers[:] = np.random.default_rng(1).integers(0, 1 << 15, count)
    return numbers


def multiply_adds(model: NeuralModel) -> int:
    """Return the products that a byte takes in the large ones, which `Products` stands for."""
    return sum(
        model.arrays[name].size for name in ("see", "inner", "upper") if name in model.arrays
    )
