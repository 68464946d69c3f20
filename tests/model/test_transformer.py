"""A Transformer's sizes are checked, and its weights stand as the kernel reads them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmarc.errors import ModelError
from lmarc.model.transformer import Sizes, kernel_of, memory_of, paired, quads, slopes
from lmarc.train.transformer import slopes as trained_slopes
from tests.naive_transformer import random_arrays


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        (Sizes(24, 1, 1, 16, 16), "width 24"),
        (Sizes(528, 1, 1, 16, 16), "width 528"),
        (Sizes(16, 1, 1, 0, 16), "hidden 0"),
        (Sizes(16, 1, 1, 16, 528), "window 528"),
        (Sizes(16, 1, 0, 16, 16), "0 layers"),
        (Sizes(16, 1, 17, 16, 16), "17 layers"),
        (Sizes(16, 0, 1, 16, 16), "0 heads"),
        (Sizes(48, 2, 1, 16, 16), "2 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: Sizes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        sizes.check()


def test_the_largest_sizes_are_lawful() -> None:
    Sizes(512, 32, 16, 4096, 512).check()


def test_weights_stand_in_pairs_of_inputs_of_sixteen_outputs() -> None:
    weights = np.arange(2 * 32 * 16).reshape(2, 32, 16).astype(np.int16)
    found = paired(weights).reshape(2, 2, 8, 16, 2)
    for product, block, pair, output, half in ((0, 0, 0, 0, 0), (1, 1, 7, 15, 1), (1, 0, 3, 4, 0)):
        expected = weights[product, 16 * block + output, 2 * pair + half]
        assert found[product, block, pair, output, half] == expected


def test_weights_stand_in_fours_of_inputs_with_128_added() -> None:
    weights = np.random.default_rng(1).integers(-128, 128, (2, 32, 16)).astype(np.int8)
    found = quads(weights).view(np.uint8).reshape(2, 2, 4, 16, 4)
    for product, block, four, output, part in ((0, 0, 0, 0, 0), (1, 1, 3, 15, 3), (1, 0, 2, 4, 1)):
        expected = int(weights[product, 16 * block + output, 4 * four + part]) + 128
        assert found[product, block, four, output, part] == expected


def test_slopes_are_those_of_the_training() -> None:
    sizes = Sizes(96, 3, 1, 16, 16)
    net = kernel_of(sizes, random_arrays(1, sizes))
    assert net.slopes.tolist() == [1 << 10 - n for n in trained_slopes(3)]
    assert all(slopes(heads) == trained_slopes(heads) for heads in range(1, 33))


def test_products_of_a_step_are_counted() -> None:
    sizes = Sizes(32, 2, 3, 48, 16)
    weights = sum(math.prod(shape) for shape in sizes.shapes().values())
    assert weights == 3 * (4 * 32 * 32 + 2 * 32 * 48)
    assert sizes.multiply_adds == weights + 2 * 3 * 16 * 32


def test_memory_is_of_the_rows_and_sequences() -> None:
    memory = memory_of(Sizes(32, 2, 3, 48, 16), 5, 4)
    assert len(memory.stream) == 5 * 32
    assert len(memory.keys) == len(memory.values) == 4 * 3 * 16 * 32
    assert memory.query_pairs.base is memory.queries.base
    assert len(memory.quads) == 5 * 48 // 4
    assert len(memory.scores) == len(memory.shares) == 2 * 16
