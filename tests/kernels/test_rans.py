"""rANS: what is encoded decodes, and equals the plain restatement word for word."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from lmarc.kernels import rans
from tests import naive

Step = tuple[int, int]


def encode(steps: Sequence[Step]) -> tuple[int, list[int]]:
    """Return the state and the words that the kernel writes."""
    packed = np.array([cumfreq << 16 | freq for cumfreq, freq in steps], np.uint32)
    words = np.zeros(len(steps) // 2 + 2, np.uint32)
    first = rans.encode(packed, words)
    high, low, *others = (int(word) for word in words[first:])
    return high << 32 | low, others


def random_steps(seed: int, count: int) -> list[Step]:
    choose = random.Random(seed)
    steps = []
    for _ in range(count):
        freq = choose.choice((1, 65_521, choose.randrange(1, 65_521), choose.randrange(1, 64)))
        steps.append((choose.randrange(0, 65_537 - freq), freq))
    return steps


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 3000])
def test_the_words_are_those_of_the_plain_encoder(count: int) -> None:
    steps = random_steps(count, count)
    assert encode(steps) == naive.rans_encode(steps)


@pytest.mark.parametrize("step", [(0, 1), (65_535, 1), (0, 65_521), (15, 65_521)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 999, 1000])
def test_extreme_freqs_fit_the_payload_that_the_spec_allows(step: Step, count: int) -> None:
    coded = encode([step] * count)
    assert coded == naive.rans_encode([step] * count)
    # "They never take more than 2 n + 5 bytes, whatever the freqs."
    assert len(naive.store(*coded)) <= 2 * count + 5


def test_no_symbols_are_a_state_of_zero() -> None:
    assert encode([]) == (0, [])


def test_the_state_stays_in_63_bits() -> None:
    # The largest products of encoder and decoder, over every freq that a mixture gives.
    for freq in (1, 2, 4096, 65_520, 65_521, 65_535):
        assert freq << 47 < 1 << 63
        state = (freq << 47) - 1
        pushed = (state // freq << 16) + 65_536 - freq + state % freq
        assert pushed < 1 << 63
        assert freq * (pushed >> 16) + 65_535 < 1 << 63


def test_decoding_gives_the_symbols_back() -> None:
    choose = random.Random(3)
    freqs = [[1] * 15 + [65_521], [4096] * 16, [60_000, *[369] * 14, 370]]
    symbols = [choose.randrange(16) for _ in range(500)]
    used = [choose.choice(freqs) for _ in symbols]
    pairs = list(zip(symbols, used, strict=True))
    decoder = naive.RansDecoder(*encode([(sum(row[:s]), row[s]) for s, row in pairs]))
    assert [decoder.decode(row) for row in used] == symbols
    decoder.finish()


def test_a_chunk_pays_no_more_than_its_symbols_cost() -> None:
    # Twenty symbols of 16 bits are 40 bytes; a state that began at 2**31 would take four more.
    assert len(naive.store(*encode([(1, 1)] * 20))) <= 40


def test_popping_inverts_pushing() -> None:
    for cumfreq, freq in random_steps(9, 200):
        state = 0x12345678ABCDEF % (freq << 47)
        pushed = (state // freq << 16) + cumfreq + state % freq
        assert rans.pop(pushed, pushed & rans.SLOT_MASK, cumfreq, freq) == state
