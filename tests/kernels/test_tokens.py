"""Matches of tokens go on, end and begin as the plain ones do."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np

from lmarc.kernels import match, tokens
from lmarc.kernels._jit import integer, kernel
from lmarc.model.ngram import thread_scratch
from tools import reference_decoder


@kernel
def guesses(matcher: Any, positions: Any, text: Any, slots: Any, out: Any) -> None:
    """Write guess and length before each token."""
    matcher[:] = 0
    positions[:] = 0
    for position in range(len(text)):
        tokens.find(matcher, positions, text, position, integer(slots[position]))
        out[2 * position] = matcher[match.GUESS]
        out[2 * position + 1] = matcher[match.MATCH_SIZE]
        match.advance(matcher, integer(text[position]))


def test_matches_are_the_plain_ones() -> None:
    choose = random.Random(3)
    text: list[int] = []
    while len(text) < 600:
        start = choose.randrange(len(text) + 1)
        text += text[start : start + choose.randrange(40)] or [choose.randrange(4096)]
    keys = [0, 0] + [reference_decoder.key_of(a << 12 | b) for a, b in pairwise(text)]
    plain = reference_decoder.TokenMatcher(11)
    slots = [key >> 30 - 11 for key in keys[: len(text)]]
    expected = []
    for position, token in enumerate(text):
        plain.look(text[:position], keys[position])
        expected += [-1 if plain.guess is None else plain.guess, plain.size]
        plain.take(token)
    state = thread_scratch().state(11, 13)
    out = np.zeros(2 * len(text), np.int64)
    guesses(
        state.matcher, state.positions, np.array([*text, 0], np.uint16)[:-1],
        np.array(slots, np.int64), out,
    )  # fmt: skip
    assert out.tolist() == expected
    assert max(expected[1::2]) > 16
