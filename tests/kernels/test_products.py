"""Products of some rows are exact, whatever the processor has for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.kernels import products
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import QUADS
from lmarc.model.transformer import paired, quads


@kernel
def product_of(
    weights: Any, scales: Any, inputs: Any, pairs: Any, size: Any, scratch: Any, starts: Any,
    sums: Any, written: Any, rows: Any,
) -> None:  # fmt: skip
    """Add to the sums of some rows, and write others."""
    products.multiply(weights, scales, inputs, pairs, size, scratch, starts, sums, rows, 1)
    products.multiply(weights, scales, inputs, pairs, size, scratch, starts, written, rows, 0)


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
@pytest.mark.parametrize("shape", [(16, 16), (80, 32), (112, 48), (128, 16)], ids=str)
def test_they_are_exact(rows: int, shape: tuple[int, int]) -> None:
    outputs, size = shape
    random = np.random.default_rng(rows)
    weights = random.integers(-127, 128, shape).astype(np.int8)
    inputs = random.integers(-128, 128, (rows, size)).astype(np.int16)
    scales = (1 << random.integers(0, 13, outputs)).astype(np.int32)
    sums = random.integers(-(2**31), 2**31, (rows, outputs)).astype(np.int32)
    written = sums.copy()
    expected = inputs.astype(np.int64) @ weights.astype(np.int64).T * scales
    both = sums + expected
    product_of(
        (quads if QUADS else paired)(weights), scales, inputs.reshape(-1),
        inputs.reshape(-1).view(np.int32), size, np.zeros(rows * size // 4, np.int32),
        np.zeros(rows, np.int32), sums.reshape(-1),
        written.reshape(-1), rows,
    )  # fmt: skip
    assert np.array_equal(sums, both.astype(np.int32))
    assert np.array_equal(written, expected.astype(np.int32))
