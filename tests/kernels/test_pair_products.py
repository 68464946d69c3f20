"""Products of pairs are exact on any processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.kernels import pair_products
from lmarc.kernels._jit import kernel
from lmarc.kernels._vector import store_i32
from lmarc.model.transformer import paired


@kernel
def of_pairs(weights: Any, scales: Any, pairs: Any, n_pairs: Any, sums: Any, out: Any) -> None:
    """Add a product to `sums`, a row for each of `pairs`; write sixteen outputs of the last row."""
    rows, stride = len(pairs) // n_pairs, len(scales) + 16
    pair_products.add(weights, scales, pairs, n_pairs, sums, 16, stride, rows)
    store_i32(out, 0, pair_products.product(weights, 0, pairs, (rows - 1) * n_pairs, n_pairs))


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
@pytest.mark.parametrize("shape", [(16, 16), (80, 32), (112, 48)], ids=str)
def test_products_of_pairs_are_exact(rows: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(rows)
    weights = random.integers(-128, 128, shape)
    inputs = random.integers(-128, 128, (rows, shape[1])).astype(np.int16)
    scales = (1 << random.integers(0, 11, shape[0])).astype(np.int32)
    sums = random.integers(-(2**31), 2**31, (rows, 16 + shape[0])).astype(np.int32)
    total = inputs.astype(np.int64) @ weights.T
    expected = sums.astype(np.int64)
    expected[:, 16:] += total * scales
    out, pairs = np.zeros(16, np.int32), inputs.reshape(-1).view(np.int32)
    of_pairs(paired(weights), scales, pairs, shape[1] // 2, sums.reshape(-1), out)
    assert np.array_equal(sums, expected.astype(np.int32))
    assert out.tolist() == total[-1, :16].tolist()
