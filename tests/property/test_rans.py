"""rANS gives back every sequence of symbols, and accepts no other bytes than those it writes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.kernels import rans
from tests import naive

QUICK = settings(max_examples=200, deadline=None)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw cumfreq and freq of some symbols."""
    freqs = draw(st.lists(st.one_of(st.integers(1, 9), st.integers(1, 65_521)), max_size=60))
    return [(draw(st.integers(0, 65_536 - freq)), freq) for freq in freqs]


@QUICK
@given(steps())
def test_the_kernel_writes_what_the_plain_encoder_writes(coded: list[tuple[int, int]]) -> None:
    packed = np.array([cumfreq << 16 | freq for cumfreq, freq in coded], np.uint32)
    words = np.zeros(len(coded) // 2 + 2, np.uint32)
    high, low, *others = (int(word) for word in words[rans.encode(packed, words) :])
    assert (high << 32 | low, others) == naive.rans_encode(coded)


@QUICK
@given(steps())
def test_every_symbol_comes_back(coded: list[tuple[int, int]]) -> None:
    data = naive.store(*naive.rans_encode(coded))
    assert naive.store(*naive.load(data)) == data
    decoder = naive.RansDecoder(*naive.load(data))
    for cumfreq, freq in coded:
        rows = [cumfreq, freq, 65_536 - cumfreq - freq] if cumfreq else [freq, 65_536 - freq]
        assert decoder.decode(rows) == (1 if cumfreq else 0)
    decoder.finish()


@QUICK
@given(st.binary(max_size=40), st.lists(st.integers(0, 3), max_size=40))
def test_accepted_bytes_are_those_of_the_encoder(data: bytes, chosen: list[int]) -> None:
    tables = [[4096] * 16, [65_521] + [1] * 15, [1] * 15 + [65_521], [1, 2] + [4681] * 13 + [4680]]
    coded = []
    try:
        decoder = naive.RansDecoder(*naive.load(data))
        for number in chosen:
            freqs = tables[number]
            symbol = decoder.decode(freqs)
            coded.append((sum(freqs[:symbol]), freqs[symbol]))
        decoder.finish()
    except naive.CodingError:
        return
    assert naive.store(*naive.rans_encode(coded)) == data
