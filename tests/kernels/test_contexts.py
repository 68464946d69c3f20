"""Context keys equal those of the plain restatement after any text."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lmarc.kernels import contexts
from tests import naive, tiny
from tests.kernels import compiled

TEXTS = [
    b"",
    b"a",
    b"\n",
    b"\n\n\n",
    b"one,two\nthree,fo",
    b"Name;Age|City\tZip\n",
    "né à Æther: 数字 ABC\n数".encode(),
    b"," * 700 + b"\n" + b"," * 600,  # more fields than are told apart
    b"x" * 400 + b"\n" + b"y" * 300,  # more columns
    b"\xff" * 300,
    tiny.prose(1, 900),
    tiny.table(2, 900),
    random.Random(3).randbytes(900),
]


def keys_after(text: bytes) -> list[int]:
    """Return the keys that the kernel computes for the byte behind `text`."""
    cursor, fields, keys = tiny.scratch_arrays()
    # One byte more, as chunks have, that must not be read.
    data = np.frombuffer(text + b"\xaa", np.uint8)
    compiled.keys_after(data[:-1], cursor, fields, keys)
    return [int(key) for key in keys[: contexts.N_KEYS]]


def naive_after(text: bytes) -> naive.Contexts:
    walk = naive.Contexts()
    for byte in text:
        walk.advance(byte)
    return walk


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_keys_equal_the_plain_ones_behind_every_prefix(text: bytes) -> None:
    step = max(1, len(text) // 60)
    for size in [*range(0, len(text), step), len(text)]:
        assert keys_after(text[:size]) == naive_after(text[:size]).keys()


@pytest.mark.parametrize("salt", range(17))
def test_row_hashes_equal_the_plain_ones(salt: int) -> None:
    keys = np.random.default_rng(salt).integers(0, 1 << 32, 16, np.uint32)
    rows = np.zeros(16, np.uint32)
    compiled.rows_of(keys, salt, rows)
    assert rows.tolist() == [naive.row_hash(int(key), salt) for key in keys]


def test_lanes_with_equal_bytes_have_different_keys() -> None:
    for byte in (0, 65, 255):
        keys = keys_after(bytes([byte]) * 3)
        assert len(set(keys)) == contexts.N_KEYS


def test_products_of_keys_stay_below_two_to_the_63() -> None:
    most = (1 << 32) - 1
    assert (most + 256) * contexts.WORD_STEP < 1 << 63
    order_6 = most * contexts.KEY_1 + 0xFFFF * contexts.KEY_2 + 9 * contexts.LANE_STEP
    assert order_6 < 1 << 63
    assert most * contexts.KEY_2 + most + 9 * contexts.LANE_STEP < 1 << 63
    assert 16 * contexts.SALT_STEP < 1 << 63
