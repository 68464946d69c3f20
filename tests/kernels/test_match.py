"""The match predictor equals the plain restatement."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lmarc.kernels import match
from tests import naive, tiny
from tests.kernels import compiled

TEXTS = [
    b"",
    b"abcd",
    b"a" * 200,
    b"abcde" * 60,
    b"0123456789" * 2 + b"0123x" + b"0123456789" * 3,
    tiny.table(1, 1500),
    random.Random(2).randbytes(300) * 3,
]


def test_the_stretch_table_is_the_plain_function() -> None:
    assert match.STRETCH.tolist() == [naive.stretch(index) for index in range(4096)]


def test_lengths_are_those_of_the_spec() -> None:
    matcher = naive.Matcher(13)
    for size in [*range(200), 1 << 20]:
        matcher.size = size
        assert compiled.length_bucket(size) == matcher.length


@pytest.mark.parametrize("bits", [4, 13])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_matches_are_the_plain_ones(text: bytes, bits: int) -> None:
    walk, plain = naive.Contexts(), naive.Matcher(bits)
    slots, expected = [], []
    for position, byte in enumerate(text):
        key = walk.keys()[naive.ORDER_5]
        slots.append(key >> 32 - bits)
        plain.find(text, position, key)
        expected.append([plain.size, plain.guess])
        plain.advance(byte)
        walk.advance(byte)
    matcher, positions = np.zeros(match.N_MATCHER, np.int64), np.zeros(1 << bits, np.int32)
    found = np.zeros((len(text), 2), np.int64)
    data = np.frombuffer(text, np.uint8)
    compiled.walk_matches(matcher, positions, data, np.array(slots, np.int64), found)
    assert found.tolist() == expected
