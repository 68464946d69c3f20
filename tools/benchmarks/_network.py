"""The network's step alone, and its products alone, to tell what each takes of the neural coder."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmarc.kernels import _vector
from lmarc.kernels import network as steps
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import load_i32
from lmarc.model.neural import NeuralModel

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


class Products:
    """A product of given size with numbers that do not matter."""

    def __init__(self, outputs: int, inputs: int, rows: int) -> None:
        random = np.random.default_rng(1)
        self.size = outputs * inputs * rows
        self._n_packed = inputs // steps.PACKED
        self._weights = random.integers(-127, 128, 2 * outputs * self._n_packed).astype(np.int16)
        self._scales = np.ones(outputs, np.int32)
        self._packed = random.integers(0, 1 << 20, rows * self._n_packed).astype(np.int32)
        self._starts = np.zeros(rows, np.int32)
        self._sums = np.zeros(rows * outputs, np.int32)

    def run(self, count: int) -> None:
        """Take it so many times."""
        products(
            self._weights, self._scales, self._packed, self._starts, self._n_packed, self._sums,
            count,
        )  # fmt: skip


def multiply_adds(model: NeuralModel) -> int:
    """Return the products that a byte takes in the large ones, which `Products` stands for."""
    return sum(
        model.arrays[name].size for name in ("see", "inner", "upper") if name in model.arrays
    )
