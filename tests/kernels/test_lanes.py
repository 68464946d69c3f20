"""Lanes decode side by side as each does alone, and a view is the part of memory that it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.codec import neural, vectors
from lmarc.codec.jobs import Job, joined, lanes_of
from lmarc.codec.ngram import parse_payload
from lmarc.kernels import rans
from lmarc.kernels._jit import kernel
from lmarc.kernels._views import part, view
from lmarc.kernels.lanes import decode


@kernel
def copy_part(array: Any, number: Any, count: Any, out: Any) -> int:
    """Write a part."""
    some = part(array, number, count)
    for at in range(len(some)):
        out[at] = some[at]
        some[at] = 0
    return len(some)


@kernel
def copy_view(array: Any, start: Any, end: Any, out: Any) -> int:
    """Write what a view shows."""
    some = view(array, start, end)
    for at in range(len(some)):
        out[at] = some[at]
    return len(some)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_parts_and_views_are_memory_of_their_array(dtype: type) -> None:
    array: Any = np.arange(24).astype(dtype)
    out: Any = np.zeros(24, dtype)
    assert copy_view(array, 5, 9, out) == 4
    assert out[:5].tolist() == [5, 6, 7, 8, 0]
    assert copy_view(array, 7, 7, out) == 0
    assert copy_part(array, 2, 3, out) == 8
    assert out[:8].tolist() == list(range(16, 24))
    assert array.tolist() == [*range(16), *[0] * 8]


def read_by(contents: list[bytes], damage: dict[int, Any]) -> list[tuple[int, int, bool]]:
    """Decode in one call; return for each lane words read, words there, and if its text is so."""
    model = vectors.small_network()
    jobs = []
    for number, content in enumerate(contents):
        profile, words = parse_payload(neural.compress_with(model, content), model.ngram)
        words = damage.get(number, lambda given: given)(words)
        jobs.append(Job(number, profile, words, len(content)))
    given = lanes_of(model.ngram, (11, 13), jobs)
    decode(
        given,
        joined([model.joint() for _ in jobs]),
        model.network,
        model.hidden(len(jobs)),
        11,
        32 - 13,
    )
    starts = given.text_starts
    return [
        (read, len(job.words), given.texts[start : start + job.size].tobytes() == content)
        for read, job, start, content in zip(
            given.reads.tolist(), jobs, starts[:-1], contents, strict=True
        )
    ]


def test_lanes_of_all_lengths_decode() -> None:
    contents = [vectors.prose("a", 700), b"", vectors.records("b", 1), vectors.noise("c", 300)]
    for read, words, right in read_by(contents, {}):
        assert read == words
        assert right


def test_a_damaged_lane_is_found_and_harms_no_other() -> None:
    contents = [vectors.prose(name, 500) for name in "abcde"]
    damage = {
        0: lambda words: words[:1],
        2: lambda words: np.concatenate([words[:1] | 1 << 31, words[1:]]).astype(np.uint32),
        3: lambda words: np.concatenate([words[:9], words[9:] ^ 5]).astype(np.uint32),
    }
    found = read_by(contents, damage)
    assert [read for read, _, _ in found[:3:2]] == [rans.CORRUPT, rans.CORRUPT]
    assert not found[3][2]
    for number in (1, 4):
        read, words, right = found[number]
        assert read == words
        assert right
