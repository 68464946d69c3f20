"""Keys of shapes equal those of the reference decoder after any text."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.kernels import shapes
from tests import tiny
from tests.kernels import compiled
from tools import reference_decoder

TEXTS = [
    b"",
    b"\n",
    b"\n\n\n",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaa",
    bytes(range(256)),
    b'{"name": "Ada", "born": 1815},\n{"name": "Alan", "born": 1912},\n',
    "né à Æther: 数字 ABC\n数".encode(),
    b"-_-_//\\|\t;;..,,::==''``([{<>}])",
    tiny.prose(1, 500),
    tiny.table(2, 500),
    random.Random(3).randbytes(500),
]


def keys_of(text: bytes) -> list[list[int]]:
    """Return the kernel's keys for each byte and for the one behind the last."""
    cursor, fields, _ = tiny.scratch_arrays()
    keys = np.zeros(16 * (len(text) + 1), np.uint32)
    # One byte more, as chunks have, that must not be read.
    data = np.frombuffer(text + b"\xaa", np.uint8)
    shape = np.full(shapes.N_CURSOR, 77, np.int64)
    compiled.shape_keys_after(data[:-1], shape, cursor, fields, keys)
    rows: list[list[int]] = keys.reshape(-1, 16)[:, : shapes.N_SHAPES].tolist()
    return rows


def plain_keys_of(text: bytes) -> list[list[int]]:
    plain, contexts = reference_decoder.Shapes(), reference_decoder.NgramContexts()

    def keys() -> list[int]:
        return [reference_decoder.key_of(raw) for raw in plain.raw_keys(contexts)]

    rows = [keys()]
    for byte in text:
        plain.take(byte, contexts)
        contexts.take(byte)
        rows.append(keys())
    return rows


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_keys_equal_the_plain_ones_before_every_byte(text: bytes) -> None:
    assert keys_of(text) == plain_keys_of(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(b'aZ7\xc3\n ,;"([.|!'), max_size=60).map(bytes))
def test_keys_of_any_marks_and_letters_equal_the_plain_ones(text: bytes) -> None:
    assert keys_of(text) == plain_keys_of(text)


def test_every_byte_has_the_kind_that_the_specification_says() -> None:
    assert shapes.KIND.tolist() == [reference_decoder.kind_of(byte) for byte in range(256)]
    assert set(shapes.KIND.tolist()) == set(range(1, 16))


def test_texts_of_one_shape_have_the_same_keys_of_kinds() -> None:
    one, other = keys_of(b"Ada: 1815;")[-1], keys_of(b"Eva: 1902;")[-1]
    kinds, above, line, runs = 1, 3, 4, 5
    for key in (kinds, above, line, runs):
        assert one[key] == other[key]
    assert one[0] != other[0]


def test_runs_of_any_length_have_the_same_key() -> None:
    short, long = keys_of(b"ab 12")[-1], keys_of(b"abcdefgh 1234567890")[-1]
    assert short[5] == long[5]
    assert short[4] != long[4]
