"""Payloads are sorted by the tables that they need, decoded some at a time, and put in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lmarc.codec import jobs, ngram, vectors
from lmarc.codec.jobs import Job, decode_jobs, joined, lanes_of
from lmarc.errors import CorruptError
from lmarc.kernels import blend, lanes

MODEL = vectors.small_model()
Seen = list[tuple[tuple[int, int], list[int]]]


def payload_of(name: str, size: int) -> tuple[bytes, int]:
    return ngram.compress_with(MODEL, vectors.prose(name, size)), size


def decoded(
    payloads: Sequence[tuple[bytes, int]], unsound: Sequence[int] = (), *, network: bool = True
) -> tuple[list[bytes | CorruptError], Seen]:
    """Return contents that tell their job's number in each byte, and what was decoded together."""
    seen: Seen = []

    def decode(given: lanes.Lanes, tables: tuple[int, int], some: Sequence[Job]) -> None:
        seen.append((tables, [job.number for job in some]))
        for lane, job in enumerate(some):
            start = given.text_starts[lane]
            given.texts[start : start + job.size] = 65 + job.number
            words = given.words[given.word_starts[lane] : given.word_starts[lane + 1]]
            assert words.tolist() == job.words.tolist()
            given.reads[lane] = len(words) - (job.number in unsound)

    return decode_jobs("toy", MODEL, payloads, decode, network=network), seen


def test_chunks_that_need_the_same_tables_go_together() -> None:
    sizes = (100, 9000, 0, 200, 9001, 300, 400, 65_536)
    found, seen = decoded([payload_of(str(n), size) for n, size in enumerate(sizes)])
    assert found == [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    assert [numbers for _, numbers in seen] == [[0, 2, 3, 5], [6], [1, 4], [7]]
    assert [tables for tables, _ in seen] == [
        ngram.table_bits(size) for size in (100, 100, 9000, 65_536)
    ]


def test_more_go_together_where_the_network_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "device", lambda: "torch:cpu")
    payloads = [payload_of("x", 50)] * (jobs.TOGETHER_ELSEWHERE + 1)
    _, seen = decoded(payloads)
    assert [len(numbers) for _, numbers in seen] == [jobs.TOGETHER_ELSEWHERE, 1]


def test_without_a_network_they_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "device", lambda: "torch:cpu")
    payloads = [payload_of("x", 50), payload_of("y", 9000), payload_of("z", 60)]
    found, seen = decoded(payloads, network=False)
    assert found == [b"A" * 50, b"B" * 9000, b"C" * 60]
    assert [numbers for _, numbers in seen] == [[0], [2], [1]]


def test_what_is_not_sound_is_an_error_in_its_own_place() -> None:
    good = payload_of("good", 90)
    found, seen = decoded([good, (b"\xff" + good[0][1:], 90), good, good], unsound=[2])
    assert found[0] == b"A" * 90
    assert found[3] == b"D" * 90
    assert isinstance(found[1], CorruptError)
    assert isinstance(found[2], CorruptError)
    assert str(found[2]) == f"toy payload of {len(good[0])} bytes does not decode to 90 bytes"
    assert [numbers for _, numbers in seen] == [[0, 2, 3]]


def test_nothing_is_decoded_where_nothing_is_asked() -> None:
    assert decoded([]) == ([], [])


def test_arrays_of_all_lanes_stand_one_after_the_other() -> None:
    model = vectors.small_lanes()
    both = joined([model.weights(0), model.weights(1)])
    assert isinstance(both, blend.Weights)
    for name, array in both._asdict().items():
        halves = [getattr(model.weights(profile), name) for profile in (0, 1)]
        assert array.tolist() == np.concatenate(halves).tolist()
        assert array.ctypes.data % 64 == 0


def test_lanes_hold_words_texts_and_profiles_of_their_own() -> None:
    words = [np.arange(3, dtype=np.uint32), np.arange(9, 11, dtype=np.uint32)]
    given = lanes_of(MODEL, (11, 13), [Job(0, 1, words[0], 7), Job(1, 0, words[1], 0)])
    assert given.words.tolist() == [0, 1, 2, 9, 10]
    assert given.word_starts.tolist() == [0, 3, 5]
    # A byte more each, which chunks have.
    assert given.text_starts.tolist() == [0, 8, 9]
    limits = [MODEL.static(profile).limits.tolist() for profile in (1, 0)]
    assert given.static.limits.tolist() == limits[0] + limits[1]
    assert given.static.buckets is MODEL.static(0).buckets


def test_three_rows_are_taken_as_four() -> None:
    assert [jobs.rows_for(count) for count in range(1, 9)] == [1, 2, 4, 4, 5, 6, 8, 8]
