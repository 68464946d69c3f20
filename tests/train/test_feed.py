"""Batches go along chunks, every row in its own, and are the same every time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train.feed import CHUNK, Batch, Feed, mixture_freqs

TEXTS = {"a": vectors.prose("a", 3 * CHUNK), "b": vectors.records("b", CHUNK)}


def some(count: int, skip: int = 0) -> list[Batch]:
    with ThreadPoolExecutor(1) as executor:
        feed = Feed(executor, vectors.small_model(), TEXTS, 3, 8192, seed=5, skip=skip)
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


def test_a_feed_that_is_left_holds_no_thread() -> None:
    """The collector would have to wait for it, where it may be the one that waits for ever."""
    with ThreadPoolExecutor(1) as executor:
        before = threading.active_count()
        batches = iter(Feed(executor, vectors.small_model(), TEXTS, 2, 512))
        next(batches)
        assert threading.active_count() <= before + 1  # the executor's own
        del batches
        assert executor.submit(sum, (1, 2)).result() == 3


def test_domains_shorter_than_a_batch_are_left_out_and_missed_where_there_are_no_others() -> None:
    texts = {"long": TEXTS["b"], "short": b"too short"}
    with ThreadPoolExecutor(1) as executor:
        (batch,) = islice(Feed(executor, vectors.small_model(), texts, 2, 512), 1)
        assert batch.text.shape == (2, 512)
        with pytest.raises(ModelError, match="no domain has 512 bytes"):
            Feed(executor, vectors.small_model(), {"short": b"too short"}, 2, 512)
