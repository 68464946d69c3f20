"""The n-gram codec: every content comes back, and no payload does harm."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lmarc.codec.base import ModelRef
from lmarc.codec.ngram import (
    CODEC,
    choose_profile,
    compress_with,
    decompress_with,
    model_steps,
    table_bits,
)
from lmarc.errors import CorruptError, ModelError
from lmarc.kernels import ngram
from lmarc.model.ngram import NgramModel, Scratch
from tests import naive, tiny
from tests.tiny import TinyModel

CONTENTS = {
    "one byte": b"x",
    "two bytes": b"\xff\0",
    "zeros": bytes(5000),
    "prose": tiny.prose(7, 9000),
    "table": tiny.table(8, 9000),
    "noise": random.Random(9).randbytes(4096),
    "not UTF-8": bytes(range(256)) * 30,
    "chunk": tiny.prose(10, 70_000),
}


@pytest.fixture(scope="module")
def model(tiny_model: TinyModel) -> NgramModel:
    return NgramModel.parse(tiny_model.data)


@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_comes_back(model: NgramModel, name: str) -> None:
    payload = compress_with(model, CONTENTS[name])
    assert decompress_with(model, payload, len(CONTENTS[name])) == CONTENTS[name]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_beginning_is_decoded_alone(model: NgramModel, name: str) -> None:
    content = CONTENTS[name]
    payload = compress_with(model, content)
    for needed in {1, len(content) // 3 + 1, len(content) - 1, len(content), len(content) + 5}:
        found = decompress_with(model, payload, len(content), needed)
        assert found == content[:needed]


def test_a_beginning_says_nothing_of_what_follows(model: NgramModel) -> None:
    content = CONTENTS["noise"]
    payload = compress_with(model, content)
    damaged = payload[:-4] + bytes(byte ^ 1 for byte in payload[-4:])
    assert decompress_with(model, damaged, len(content), 2000) == content[:2000]
    with pytest.raises(CorruptError):
        decompress_with(model, damaged, len(content))


def test_a_state_that_cannot_be_is_noticed_before_anything_else(model: NgramModel) -> None:
    payload = bytes([0]) + bytes([0, 0, 0, 0, 1]) + bytes(8)
    with pytest.raises(CorruptError):
        decompress_with(model, payload, 100, 10)


def test_the_codec_finds_its_model_by_digest_and_data(tiny_model: TinyModel) -> None:
    reference = ModelRef(2, tiny_model.sha256, tiny_model.data)
    payload = CODEC.compress(CONTENTS["prose"], reference)
    view = memoryview(payload)
    assert CODEC.decompress(view, 9000, reference) == CONTENTS["prose"]
    assert (CODEC.number, CODEC.name, CODEC.model_kind) == (3, "ngram", 2)


def test_the_codec_finds_its_model_in_a_file(tiny_model: TinyModel) -> None:
    reference = ModelRef(2, tiny_model.sha256, None, str(tiny_model.path))
    assert CODEC.decompress(CODEC.compress(b"text", reference), 4, reference) == b"text"


def test_a_model_that_is_none_is_a_model_error() -> None:
    with pytest.raises(ModelError):
        CODEC.decompress(bytes(9), 4, ModelRef(2, b"\7" * 32, b"no model"))


def test_text_like_the_models_is_small(model: NgramModel) -> None:
    import zstandard

    for name in ("prose", "table"):
        payload = compress_with(model, CONTENTS[name])
        assert len(payload) < 0.8 * len(zstandard.compress(CONTENTS[name], 19))


def test_the_payload_is_the_plain_one(model: NgramModel) -> None:
    content = CONTENTS["prose"][:300]
    payload = compress_with(model, content)
    profile = tiny.naive_profile(model, payload[0])
    assert payload[1:] == naive.encode(tiny.naive_buckets(model), profile, content)


@pytest.mark.parametrize(
    ("size", "bits"),
    [(1, 11), (4096, 11), (4097, 12), (8193, 13), (16_384, 13), (16_385, 14), (1 << 24, 14)],
)
def test_tables_grow_with_the_content(size: int, bits: int) -> None:
    assert table_bits(size) == (bits, bits + 2)
    assert bits == naive.table_bits(size)


def test_the_cheapest_profile_is_chosen() -> None:
    model = tiny.random_model(3, tiny.prose(1, 300), n_buckets=60, profiles=4)
    content = tiny.prose(4, 8192)
    part = content[:1024]
    costs = [ngram.cost(model_steps(model, part, profile, Scratch())) for profile in range(4)]
    assert choose_profile(model, content) == costs.index(min(costs))
    assert compress_with(model, content)[0] == costs.index(min(costs))


def test_threads_give_the_same_payloads(model: NgramModel) -> None:
    contents = [tiny.prose(seed, 3000 + 1000 * seed) for seed in range(12)]
    alone = [compress_with(model, content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda content: compress_with(model, content), contents)) == alone


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "expected 6 or more"),
        (bytes(5), "expected 6 or more"),
        (b"\xff" + bytes(9), "Profile is 255"),
        (bytes(7), "begins with a zero"),
        (bytes(9), "begins with a zero"),
        (b"\0" + bytes(5) + b"\1\0\0\0", "does not decode"),
        (b"\0\xff" + bytes(7), "does not decode"),
    ],
)
def test_a_payload_that_breaks_a_rule_is_corrupt(
    model: NgramModel, payload: bytes, message: str
) -> None:
    with pytest.raises(CorruptError, match=message):
        decompress_with(model, payload, 100)


def test_every_truncation_is_noticed(model: NgramModel) -> None:
    payload = compress_with(model, CONTENTS["prose"][:500])
    for size in range(len(payload)):
        with pytest.raises(CorruptError):
            decompress_with(model, payload[:size], 500)


def test_a_smaller_size_is_noticed(model: NgramModel) -> None:
    payload = compress_with(model, CONTENTS["prose"][:500])
    for size in (1, 250, 499):
        with pytest.raises(CorruptError):
            decompress_with(model, payload, size)


def test_zeros_at_the_end_cost_nothing(model: NgramModel) -> None:
    content = CONTENTS["prose"][:500]
    payload = compress_with(model, content)
    assert compress_with(model, content + bytes(9)) == payload
    assert decompress_with(model, payload, 509) == content + bytes(9)


def test_a_flipped_bit_never_decodes_to_the_same(model: NgramModel) -> None:
    content = CONTENTS["table"][:300]
    payload = compress_with(model, content)
    for bit in range(0, 8 * len(payload), 5):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert decompress_with(model, bytes(damaged), len(content)) != content
        except CorruptError:
            continue


def test_decoding_noise_takes_no_more_memory_than_the_content(model: NgramModel) -> None:
    random_ = np.random.default_rng(1)
    for _ in range(20):
        noise = b"\0\x12" + random_.bytes(4 * int(random_.integers(2, 100)) + 3)
        with pytest.raises(CorruptError):
            decompress_with(model, noise, 2000)
