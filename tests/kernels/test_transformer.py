"""The Transformer's step is the plain one, number by number, however many rows it takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lmarc.kernels import transformer
from lmarc.kernels._jit import kernel
from lmarc.model.transformer import Sizes, kernel_of, memory_of
from tests import naive_transformer

SIZES = Sizes(32, 2, 2, 48, 16)


@kernel
def roots(values: Any, out: Any) -> None:
    """Write the root of each."""
    for at in range(len(values)):
        out[at] = transformer.isqrt(values[at])


def entering(seed: int, steps: int, spread: int = 4000, sizes: Sizes = SIZES) -> Any:
    random = np.random.default_rng(seed)
    return (random.standard_normal((steps, sizes.width)) * spread).clip(-32767, 32767).astype("i2")


def walked(sizes: Sizes, arrays: Any, given: Any, rows: int) -> Any:
    out = np.zeros(given.size, np.int16)
    net, memory = kernel_of(sizes, arrays), memory_of(sizes, rows)
    transformer.walk(net, memory, given.reshape(-1), out, rows)
    return out.reshape(given.shape)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "sizes", [SIZES, Sizes(16, 1, 1, 16, 32), Sizes(64, 4, 1, 64, 16)], ids=str
)
def test_it_is_the_plain_one(sizes: Sizes, seed: int) -> None:
    arrays = naive_transformer.random_arrays(seed, sizes)
    given = entering(seed, 40, sizes=sizes)
    expected = naive_transformer.transformer(sizes, arrays, given.tolist())
    assert walked(sizes, arrays, given, 1).tolist() == expected


@pytest.mark.parametrize("spread", [0, 3, 300, 60_000])
@pytest.mark.parametrize("exponents", [(0, 1), (10, 11)])
def test_it_is_the_plain_one_at_the_ends(spread: int, exponents: tuple[int, int]) -> None:
    arrays = naive_transformer.random_arrays(5, SIZES, exponents)
    given = entering(9, 20, spread)
    expected = naive_transformer.transformer(SIZES, arrays, given.tolist())
    assert walked(SIZES, arrays, given, 1).tolist() == expected


@pytest.mark.parametrize("rows", [2, 4, 7, 16])
@pytest.mark.parametrize("sizes", [SIZES, Sizes(16, 1, 2, 48, 32)], ids=str)
def test_rows_change_nothing(sizes: Sizes, rows: int) -> None:
    arrays = naive_transformer.random_arrays(3, sizes)
    given = entering(4, 50, sizes=sizes)
    assert np.array_equal(walked(sizes, arrays, given, rows), walked(sizes, arrays, given, 1))


def test_roots_are_exact() -> None:
    random = np.random.default_rng(1)
    values = [1, 2, 3, 4, 2**62, 2**62 - 1, *(k * k for k in range(2, 99))]
    values += [k * k - 1 for k in range(2, 99)]
    values += [int(value) for value in random.integers(1, 2**62, 500)]
    out = np.zeros(len(values), np.int64)
    roots(np.array(values, np.int64), out)
    assert out.tolist() == [math.isqrt(value) for value in values]
