"""What lies on a device is what a feed gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec import vectors
from lmarc.train.feed import CHUNK, Batch, ByteSource, Feed
from lmarc.train.resident import Resident, memory

TEXTS = {"a": vectors.prose("a", 2 * CHUNK + 700), "b": vectors.records("b", 20_000)}
SOURCE = ByteSource(vectors.small_model())


def resident(count: int, skip: int = 0) -> list[Batch]:
    with ThreadPoolExecutor(2) as executor:
        feed = Resident(executor, SOURCE, TEXTS, 3, 4096, device="cpu", seed=4, skip=skip)
        return list(islice(feed, count))


def test_batches_are_those_of_a_feed() -> None:
    with ThreadPoolExecutor(1) as executor:
        expected = list(islice(Feed(executor, SOURCE, TEXTS, 3, 4096, seed=4), 40))
    # Rows are fresh, and only then, where a chunk begins.
    for batch, other in zip(resident(40), expected, strict=True):
        assert batch.domains == other.domains
        for part, plain in zip(batch[:4], other[:4], strict=True):
            np.testing.assert_array_equal(part.numpy(), plain)


class Tokens(ByteSource):
    """Two bytes a token, three symbols each."""

    levels = 3

    def cut(self, content: bytes) -> npt.NDArray[np.uint16]:
        return np.frombuffer(content[: len(content) & -2], np.uint16)

    def freqs(self, content: bytes) -> npt.NDArray[np.uint16]:
        return np.arange(len(content) // 2 * 48, dtype=np.uint16).reshape(-1, 3, 16)


def test_steps_need_not_be_bytes() -> None:
    source = Tokens(vectors.small_model())
    with ThreadPoolExecutor(2) as executor:
        expected = list(islice(Feed(executor, source, TEXTS, 3, 2048, seed=4), 30))
        found = list(islice(Resident(executor, source, TEXTS, 3, 2048, device="cpu", seed=4), 30))
    for batch, other in zip(found, expected, strict=True):
        assert batch.domains == other.domains
        for part, plain in zip(batch[:4], other[:4], strict=True):
            np.testing.assert_array_equal(part.numpy(), plain)


def test_batches_that_are_passed_over_change_none_after_them() -> None:
    for batch, other in zip(resident(9)[6:], resident(3, skip=6), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch[:4], other[:4], strict=True))


def test_it_says_how_far_it_has_come_and_how_much_it_needs() -> None:
    told = []
    with ThreadPoolExecutor(1) as executor:
        Resident(
            executor, SOURCE, TEXTS, 2, 4096, device="cpu",
            progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
    assert told[-1] == (3, 3)
    assert memory(SOURCE, TEXTS) == 65 * sum(map(len, TEXTS.values()))
