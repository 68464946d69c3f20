"""Patches of a neural model: sizes are checked, and numbers stand as the kernel reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.errors import ModelError
from lmarc.kernels._vector import QUADS
from lmarc.model.patches import (
    LONGEST,
    PATCH_PRODUCTS,
    PATCHES,
    SECTIONS,
    kernel_of,
    multiply_adds,
    new_memory,
    shapes,
    sizes_of,
)
from lmarc.model.transformer import Sizes
from tests.naive_neural import random_network

SIZES = Sizes(width=32, heads=2, layers=2, hidden=48, window=16)


def section(*numbers: int) -> bytes:
    return np.array(numbers, "<u2").tobytes()


def test_five_numbers_say_the_sizes() -> None:
    assert sizes_of(section(*SIZES)) == SIZES


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (b"", "section patches of a neural model holds 0 bytes, expected five numbers"),
        (section(*SIZES[:4]), "holds 8 bytes, expected five numbers"),
        (section(*SIZES, 0), "holds 12 bytes, expected five numbers"),
        (section(24, 1, 2, 48, 16), "width 24"),
        (section(528, 1, 2, 48, 16), "width 528"),
        (section(0, 1, 2, 48, 16), "width 0"),
        (section(32, 3, 2, 48, 16), "3 heads of a Transformer share 32 numbers"),
        (section(32, 4, 2, 48, 16), "4 heads of a Transformer share 32 numbers"),
        (section(32, 0, 2, 48, 16), "0 heads"),
        (section(32, 2, 0, 48, 16), "0 layers"),
        (section(32, 2, 17, 48, 16), "17 layers"),
        (section(32, 2, 2, 40, 16), "hidden 40"),
        (section(32, 2, 2, 4112, 16), "hidden 4112"),
        (section(32, 2, 2, 48, 8), "window 8"),
        (section(32, 2, 2, 48, 528), "window 528"),
    ],
)
def test_sizes_that_no_transformer_has_are_refused(numbers: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sizes_of(numbers)


def test_the_sections_are_those_of_the_page() -> None:
    known = shapes(SIZES, 48, 64)
    assert tuple(known) == SECTIONS
    assert known[PATCHES] == ("<u2", (5,))
    assert known["places"] == ("<i2", (8, 256, 32))
    assert known["enter"] == ("i1", (32, 48))
    assert known["give"] == ("i1", (192, 32))
    assert known["attend"] == ("i1", (2, 96, 32))
    for name in PATCH_PRODUCTS:
        assert known[f"{name}_exp"] == ("u1", known[name][1][:-1])


def test_what_a_byte_takes_is_a_share_of_a_step() -> None:
    once = SIZES.multiply_adds + 32 * 48 + 3 * 64 * 32
    assert multiply_adds(SIZES, 48, 64) == round(once / 5.4)


def test_numbers_stand_as_the_kernel_reads_them() -> None:
    arrays = random_network(1, 48, 64, patches=SIZES).arrays
    net = kernel_of(arrays)
    per = 4 if QUADS else 2  # inputs side by side

    def plain(memory: Any, outputs: int, inputs: int) -> Any:
        numbers = memory.view(np.uint8).astype(np.int16) - 128 if QUADS else memory
        blocks = numbers.reshape(outputs // 16, inputs // per, 16, per)
        return blocks.transpose(0, 2, 1, 3).reshape(outputs, inputs)

    assert (net.places.reshape(LONGEST, 256, 32) == arrays["places"]).all()
    assert (plain(net.enter, 32, 48) == arrays["enter"]).all()
    assert (plain(net.give, 192, 32) == arrays["give"]).all()
    assert (net.enter_scales == 1 << 10 - arrays["enter_exp"].astype(int)).all()
    # "given[j] becomes wrap(4 give(y)[j])"
    assert (net.give_scales == 4 << 10 - arrays["give_exp"].astype(int)).all()
    assert net.transformer.sizes.tolist()[:5] == list(SIZES)
    with pytest.raises(ValueError, match="read-only"):
        net.places[0] = 1


@pytest.mark.parametrize(("rows", "chunks"), [(1, 1), (16, 1), (5, 5)])
def test_memory_is_of_the_rows_and_chunks(rows: int, chunks: int) -> None:
    memory = new_memory(SIZES, 48, 64, rows, chunks)
    assert len(memory.lengths) == len(memory.counts) == chunks
    assert len(memory.bytes) == LONGEST * chunks
    assert len(memory.given) == 3 * 64 * chunks
    assert not memory.given.any()
    assert len(memory.ended) == len(memory.starts) == rows
    assert len(memory.first) == 48 * rows
    assert np.shares_memory(memory.first_pairs, memory.first)
    assert len(memory.quads) == 48 // 4 * rows
    assert len(memory.sums) == 3 * 64 * rows
    assert len(memory.transformer.keys) == chunks * SIZES.layers * SIZES.window * SIZES.width
    assert len(memory.transformer.stream) == rows * SIZES.width
