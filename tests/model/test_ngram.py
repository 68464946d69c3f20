"""An n-gram model in memory: the same through its file, and unlawful numbers are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model import file
from lmarc.model.ngram import MAX_BUCKETS, PROFILE_ARRAYS, NgramModel, Scratch, thread_scratch
from tests import naive, tiny
from tests.tiny import TinyModel
from tools import craft_ngram


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return tiny.random_model(1, tiny.prose(1, 200), n_buckets=50)


def test_a_file_holds_the_whole_model(model: NgramModel) -> None:
    data = model.pack(b'{"name": "x"}')
    parsed = NgramModel.parse(data)
    assert np.array_equal(parsed.static(0).buckets, model.static(0).buckets)
    for name in PROFILE_ARRAYS:
        assert np.array_equal(parsed.profiles[name], model.profiles[name])
    assert parsed.pack(b'{"name": "x"}') == data
    assert (parsed.bucket_count, parsed.profile_count) == (50, 2)


def test_a_trained_model_comes_back_as_it_was(tiny_model: TinyModel) -> None:
    card = file.unpack(tiny_model.data, 2)["card"]
    assert NgramModel.parse(tiny_model.data).pack(card) == tiny_model.data


def test_a_model_of_plain_structs_is_read() -> None:
    parsed = NgramModel.parse(craft_ngram.example_model())
    assert parsed.bucket_count == 3
    levels = [level for bucket in tiny.naive_buckets(parsed) for level in bucket.rows[0]]
    assert set(levels) == {1, 6}


def test_buckets_begin_at_a_cache_line() -> None:
    memory = np.zeros(2 * ngram.BUCKET_SIZE + 1, np.uint8)
    odd = memory[1:].reshape(2, ngram.BUCKET_SIZE)
    odd[1] = 7
    profiles = NgramModel.parse(craft_ngram.example_model()).profiles
    moved = NgramModel(odd, profiles)
    static = moved.static(0)
    assert static.buckets.ctypes.data % 64 == 0
    assert (moved.bucket_count, static.buckets.tolist()) == (2, [0] * 64 + [7] * 64)


def test_static_tables_are_read_only(model: NgramModel) -> None:
    with pytest.raises(ValueError, match="read-only"):
        model.static(0).buckets[0] = 1


def test_weights_are_a_chunks_own(model: NgramModel) -> None:
    first, second = model.weights(0), model.weights(0)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
        assert not np.shares_memory(one, other)


def with_sections(**changes: bytes | None) -> bytes:
    """Return a model file with other sections than the example's."""
    sections = {**craft_ngram.example_sections(), **changes}
    return file.pack(2, {name: data for name, data in sections.items() if data is not None})


def with_value(name: str, place: int, value: int) -> bytes:
    section = bytearray(craft_ngram.example_sections()[name])
    section[4 * place : 4 * place + 4] = value.to_bytes(4, "little", signed=True)
    return with_sections(**{name: bytes(section)})


HITS = craft_ngram.example_sections()["hits"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_sections(hits=None), "has sections card.*expected"),
        (with_sections(more=b"x"), "has sections card.*expected"),
        (with_sections(card=None), "has sections counts"),
        (with_sections(counts=b""), "0 buckets"),
        (with_sections(counts=b"\6\2"), "spills"),
        (with_sections(counts=b"\7\1\6"), "exceeds 6 rows"),
        (with_sections(counts=b"\6\2\5"), "tags"),
        (with_sections(rows=bytes(111)), "rows"),
        (with_sections(hits=b""), "0 profiles"),
        (with_sections(hits=HITS * 257), "257 profiles"),
        (with_sections(hits=HITS * 2), "does not hold 2 profiles"),
        (with_sections(sets=bytes(4)), "section sets .* does not hold 1 profiles"),
        (with_value("hits", 31, 65_536), "hits .*60000 to 65536, expected 0 to 65535"),
        (with_value("hits", 0, -1), "hits .*expected 0 to"),
        (with_value("limits", 3, 0), "limits .*expected 1 to 63"),
        (with_value("limits", 15, 64), "limits .*expected 1 to 63"),
        (with_value("mixer_rates", 9, 4096), "mixer_rates .*expected 0 to 4095"),
        (with_value("mixer_rates", 9, -1), "mixer_rates"),
        (with_value("rates", 63, 32_768), "a share above 32767"),
        (with_value("rates", 64, 65_536), "rates .*expected 0 to 65535"),
        (b"", "begins with"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        NgramModel.parse(data)


def test_extreme_numbers_that_are_lawful_are_read() -> None:
    for name, place, value in (
        ("rates", 0, 32_767),
        ("rates", 64, 65_535),
        ("limits", 0, 63),
        ("mixer_rates", 31, 4095),
        ("sets", 5, -(1 << 31)),
        ("bytes", 5, (1 << 31) - 1),
        ("hits", 0, 0),
    ):
        assert NgramModel.parse(with_value(name, place, value)).profile_count == 1


def test_buckets_are_bounded_before_memory_is_taken() -> None:
    with pytest.raises(ModelError, match=f"{MAX_BUCKETS + 1} buckets"):
        NgramModel.parse(with_sections(counts=bytes(MAX_BUCKETS + 1)))


def test_scratch_memory_is_kept_for_three_sizes() -> None:
    scratch = Scratch()
    first = scratch.state(11, 13)
    assert scratch.state(11, 13) is first
    second = scratch.state(12, 14)
    assert second is not first
    assert scratch.state(11, 13) is first
    assert scratch.state(12, 14) is second
    third = scratch.state(11, 13, 2)
    assert third.rows.size == 2 * first.rows.size
    assert scratch.state(11, 13) is first
    scratch.state(13, 15)  # a fourth takes the place of the first
    assert scratch.state(12, 14) is second
    assert scratch.state(11, 13, 2) is third
    assert scratch.state(11, 13) is not first
    assert first.rows.shape == ((8 << 11) * 16 + 32,)
    assert (first.rows[-32:] == 4096).all()


def test_scratch_weights_are_the_models(model: NgramModel) -> None:
    scratch = Scratch()
    first = scratch.weights(model, 0)
    first.sets[:] = 5
    for profile in (1, 0):
        found = scratch.weights(model, profile)
        for one, expected in zip(found, model.weights(profile), strict=True):
            assert np.array_equal(one, expected)
        assert found is first


def test_each_thread_has_scratch_memory_of_its_own() -> None:
    import threading

    found: list[Any] = [thread_scratch(), thread_scratch()]
    thread = threading.Thread(target=lambda: found.append(thread_scratch()))
    thread.start()
    thread.join()
    assert found[0] is found[1]
    assert found[2] is not found[0]


def test_rows_are_found_where_the_page_says(model: NgramModel) -> None:
    buckets = tiny.naive_buckets(model)
    walk = naive.Contexts()
    found = 0
    for byte in tiny.prose(1, 40):
        keys = walk.keys()
        for lane in naive.STATIC_LANES:
            key, hash_ = keys[lane], naive.row_hash(keys[lane], 0)
            levels = naive.find_static(buckets, key, hash_)
            found += levels is not None and levels[byte >> 4] == 1
        walk.advance(byte)
    assert found > 60
