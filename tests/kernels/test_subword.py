"""The mixture over tokens says the same of a text however it is asked, and adds up."""

from __future__ import annotations

import numpy as np

from lmarc.codec import vectors
from lmarc.codec.subword import mixture_freqs
from lmarc.kernels import subword
from lmarc.model.ngram import thread_scratch
from tools import reference_decoder


def test_freqs_sum_to_65536() -> None:
    model = vectors.small_subword()
    for make in (vectors.prose, vectors.records, vectors.noise):
        _, freqs = mixture_freqs(model, make("sums", 2000), 1)
        assert (freqs.astype(np.int64).sum(2) == 65_536).all()
        assert freqs.min() >= 1


def test_text_that_comes_again_is_expected() -> None:
    model = vectors.small_subword()
    text = vectors.noise("again", 200)
    tokens, freqs = mixture_freqs(model, text * 3, 0)
    symbols = (tokens[:, None] >> 4 * np.arange(2, -1, -1) & 15)[..., None].astype(np.intp)
    chosen = np.take_along_axis(freqs, symbols, 2)[..., 0]
    assert np.median(chosen[-150:]) > 5 * np.median(chosen[:150])


def test_rows_have_the_keys_of_the_plain_contexts() -> None:
    vocabulary = vectors.small_subword().vocabulary
    text = vocabulary.cut(vectors.table("rows", 300) + vectors.prose("rows", 300))
    plain = reference_decoder.TokenContexts(list(vocabulary.tokens))
    expected: dict[int, list[int]] = {lane: [] for lane in subword.STATIC_LANES}
    for token in text.tolist():
        keys = [reference_decoder.key_of(raw) for raw in plain.raw_keys()]
        for lane, ids in expected.items():
            for salt in (0, 1 + (token >> 8), 17 + (token >> 4)):
                ids.append(keys[lane] | salt << 32)
        plain.take(token)
    for lane, ids in expected.items():
        found = np.empty(3 * len(text), np.int64)
        subword.rows_of(thread_scratch().state(11, 13), vocabulary.flags, text, lane, found)
        assert found.tolist() == ids
