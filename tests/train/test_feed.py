"""Batches go along chunks, every row in its own, and are the same every time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt
import pytest

from lmarc.codec import vectors
from lmarc.codec.multiscale import model_steps as multiscale_steps
from lmarc.codec.neural import mixture_freqs
from lmarc.codec.ngram import choose_profile
from lmarc.errors import ModelError
from lmarc.model.multiscale import MultiscaleModel
from lmarc.train.feed import CHUNK, Batch, ByteSource, Feed

TEXTS = {"a": vectors.prose("a", 3 * CHUNK), "b": vectors.records("b", CHUNK)}


def some(count: int, skip: int = 0) -> list[Batch]:
    with ThreadPoolExecutor(1) as executor:
        feed = Feed(executor, ByteSource(vectors.small_model()), TEXTS, 3, 8192, seed=5, skip=skip)
        return list(islice(feed, count))


def same(batches: list[Batch], others: list[Batch]) -> bool:
    return all(
        one.domains == other.domains
        and all((a == b).all() for a, b in zip(one[:4], other[:4], strict=True))
        for one, other in zip(batches, others, strict=True)
    )


def test_the_same_seed_gives_the_same_batches() -> None:
    assert same(some(3), some(3))


def test_batches_that_are_passed_over_change_none_after_them() -> None:
    assert same(some(12)[9:], some(3, skip=9))
    assert not same(some(3), some(3, skip=9))


def test_domains_are_drawn_by_size_and_weight() -> None:
    def shares(weights: dict[str, float]) -> dict[str, int]:
        with ThreadPoolExecutor(1) as executor:
            feed = Feed(
                executor, ByteSource(vectors.small_model()), TEXTS, 8, 8192, weights=weights
            )
            (batch,) = islice(feed, 1)
        return {name: batch.domains.count(name) for name in TEXTS}

    assert shares({"a": 0.0}) == {"a": 0, "b": 8}
    assert shares({"b": 0.0}) == {"a": 8, "b": 0}
    assert shares({})["a"] > shares({"b": 9.0})["a"]


def test_weights_must_fit_the_domains() -> None:
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(ModelError, match=r"weight for domain c, expected one of a, b"):
            Feed(executor, ByteSource(vectors.small_model()), TEXTS, 2, 512, weights={"c": 1.0})
        with pytest.raises(ModelError, match="nothing is left"):
            Feed(
                executor,
                ByteSource(vectors.small_model()),
                TEXTS,
                2,
                512,
                weights={"a": 0.0, "b": 0.0},
            )


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
    chunk = domain[start : start + CHUNK]
    model = vectors.small_model()
    freqs = mixture_freqs(model, chunk, choose_profile(model, chunk))
    at = domain.index(row) - start
    assert (batch.freqs[0] == freqs[at : at + 8192]).all()


def test_a_feed_that_is_left_holds_no_thread() -> None:
    """The collector would have to wait for it, where it may be the one that waits for ever."""
    with ThreadPoolExecutor(1) as executor:
        before = threading.active_count()
        batches = iter(Feed(executor, ByteSource(vectors.small_model()), TEXTS, 2, 512))
        next(batches)
        assert threading.active_count() <= before + 1  # the executor's own
        del batches
        assert executor.submit(sum, (1, 2)).result() == 3


def test_domains_shorter_than_a_batch_are_left_out_and_missed_where_there_are_no_others() -> None:
    texts = {"long": TEXTS["b"], "short": b"too short"}
    with ThreadPoolExecutor(1) as executor:
        (batch,) = islice(Feed(executor, ByteSource(vectors.small_model()), texts, 2, 512), 1)
        assert batch.text.shape == (2, 512)
        with pytest.raises(ModelError, match="no domain has 512 steps"):
            Feed(executor, ByteSource(vectors.small_model()), {"short": b"too short"}, 2, 512)


def test_a_blend_is_corrected_where_the_mixture_is_seen() -> None:
    content = vectors.prose("blended", 3000)
    model = vectors.small_model()
    lanes = vectors.small_lanes()
    blend = MultiscaleModel(lanes.arrays, model, lanes.lanes)
    freqs = ByteSource(model, blend).freqs(content)
    assert freqs.shape == (3000, 4, 16)
    assert (freqs[:, :2] == ByteSource(model).freqs(content)).all()
    steps = multiscale_steps(blend, content, choose_profile(model, content)).reshape(-1, 2)
    text = np.frombuffer(content, np.uint8)
    symbols = np.stack([text >> 4, text & 15], 1)[..., None].astype(np.int64)
    coded = np.take_along_axis(freqs[:, 2:], symbols, 2)[..., 0]
    assert (coded == steps & 0xFFFF).all()


def test_other_domains_have_a_mixture_of_their_own() -> None:
    class Flat(ByteSource):
        def freqs(self, content: bytes) -> npt.NDArray[np.uint16]:
            return np.full((len(content), 2, 16), 4096, np.uint16)

    model = vectors.small_model()
    with ThreadPoolExecutor(1) as executor:
        others = {"b": Flat(model)}
        feed = Feed(executor, ByteSource(model), TEXTS, 8, 8192, others=others)
        (batch,) = islice(feed, 1)
    flat = (batch.freqs == 4096).all((1, 2, 3))
    assert flat.tolist() == [name == "b" for name in batch.domains]
    assert 0 < flat.sum() < 8
