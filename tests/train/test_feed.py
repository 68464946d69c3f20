"""Batches go along chunks, every row in its own, and are the same every time."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np

from lmarc.codec import vectors
from lmarc.train.feed import CHUNK, Batch, Feed, mixture_freqs

TEXTS = {"a": vectors.prose("a", 3 * CHUNK), "b": vectors.records("b", CHUNK)}


def some(count: int, skip: int = 0) -> list[Batch]:
    feed = Feed(vectors.small_model(), TEXTS, 3, 8192, seed=5, skip=skip)
    return list(islice(feed, count))


def test_the_same_seed_gives_the_same_batches() -> None:
    for one, other in zip(some(3), some(3), strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a == b).all()


def test_going_on_draws_other_text() -> None:
    assert any((a.text != b.text).any() for a, b in zip(some(2), some(2, skip=7), strict=True))


def test_rows_go_on_where_they_were_and_begin_anew_at_a_chunk() -> None:
    batches = some(12)
    assert batches[0].fresh.all()
    assert any(batch.fresh.any() for batch in batches[1:])
    for earlier, later in pairwise(batches):
        for row in range(3):
            if later.fresh[row]:
                assert later.before[row, 0].tolist() == [0, 0]
            else:
                assert later.before[row, 0].tolist() == earlier.text[row, :-3:-1].tolist()


def test_freqs_belong_to_the_text() -> None:
    (batch,) = some(1)
    row = batch.text[0].astype(np.uint8).tobytes()
    domain = next(text for text in TEXTS.values() if row in text)
    start = domain.index(row) // CHUNK * CHUNK
    freqs = mixture_freqs(vectors.small_model(), domain[start : start + CHUNK])
    at = domain.index(row) - start
    assert (batch.freqs[0] == freqs[at : at + 8192]).all()
