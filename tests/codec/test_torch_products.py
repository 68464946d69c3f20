"""Products in PyTorch are those of integers, at the ends too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmarc.codec.torch_products import EXACT_INPUTS, Products, wrap


@pytest.mark.parametrize("inputs", [16, EXACT_INPUTS, EXACT_INPUTS + 16, 4096])
@pytest.mark.parametrize("value", [-128, 127, None])
def test_they_are_exact(inputs: int, value: int | None) -> None:
    """In float32, and in float64 where sums could be too large for it."""
    random = np.random.default_rng(inputs)
    weights = random.integers(-128, 128, (32, inputs)).astype(np.int8)
    given = random.integers(-127, 128, (3, inputs))
    if value is not None:
        weights[:] = value
        given[:] = 127
        given[1] = -127
    exponents = random.integers(0, 11, 32).astype(np.uint8)
    products = Products("cpu", {"any": (weights, exponents)})
    assert products.float is (torch.float32 if inputs <= EXACT_INPUTS else torch.float64)
    found = products.product("any", products.tensor(given))
    expected = (given @ weights.T.astype(np.int64)) << (10 - exponents.astype(np.int64))
    assert found.tolist() == expected.tolist()


def test_totals_wrap_at_32_bits() -> None:
    values = [0, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 5 * 2**32 + 7]
    expected = [0, -1, 2**31 - 1, -(2**31), -(2**31), 2**31 - 1, 7]
    assert wrap(torch.tensor(values)).tolist() == expected
