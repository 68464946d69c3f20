"""Products of bytes are those of integers, for any rows and outputs, at the ends too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.kernels import byte_products
from lmarc.kernels._jit import kernel
from lmarc.model.transformer import quads


@kernel
def multiplied(
    weights: Any, scales: Any, inputs: Any, size: Any, entered: Any, starts: Any, sums: Any
) -> None:
    """Write the sums of all rows."""
    rows = len(starts)
    byte_products.enter(inputs, rows, size, entered, starts)
    byte_products.multiply(
        weights, scales, entered, starts, size >> 2, sums, 0, len(scales), rows, 0
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("shape", [(16, 16), (32, 16), (48, 96), (144, 48), (16, 4096)], ids=str)
@pytest.mark.parametrize("weight", [None, -128, 127])
def test_they_are_exact(rows: int, shape: tuple[int, int], weight: int | None) -> None:
    random = np.random.default_rng(rows)
    weights = random.integers(-128, 128, shape).astype(np.int8)
    inputs = random.integers(-127, 128, (rows, shape[1])).astype(np.int16)
    if weight is not None:
        weights[:] = weight
        inputs[:] = 127
        inputs[0] = -127
    # Totals wrap at 32 bits.
    scales = (1 << random.integers(0, 11, shape[0])).astype(np.int32)
    sums = np.full((rows, shape[0]), 99, np.int32)
    entered, starts = np.zeros(inputs.size // 4, np.int32), np.zeros(rows, np.int32)
    multiplied(
        quads(weights), scales, inputs.reshape(-1), shape[1], entered, starts, sums.reshape(-1)
    )
    expected = (inputs.astype(np.int64) @ weights.T.astype(np.int64)) * scales
    assert np.array_equal(sums, expected.astype(np.int32))
