"""The neural codec: every content comes back, and no payload does harm."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lmarc.codec import ngram, vectors
from lmarc.codec.base import ModelRef
from lmarc.codec.neural import (
    CODEC,
    compress_either,
    compress_with,
    decompress_together,
    decompress_with,
)
from lmarc.errors import CorruptError, ModelError
from lmarc.model import registry
from lmarc.model.patches import SECTIONS
from tools import reference_decoder

CONTENTS = {
    "one byte": b"x",
    "two bytes": b"\xff\0",
    "zeros": bytes(3000),
    "prose": vectors.prose("neural", 5000),
    "noise": random.Random(9).randbytes(4096),
    "not UTF-8": bytes(range(256)) * 9,
    "chunk": vectors.prose("neural", 70_000),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_comes_back(name: str) -> None:
    model = vectors.small_network()
    payload = compress_with(model, CONTENTS[name])
    assert decompress_with(model, payload, len(CONTENTS[name])) == CONTENTS[name]


def test_beginnings_are_decoded_as_the_whole_is() -> None:
    model = vectors.small_network()
    contents = [CONTENTS[name] for name in ("prose", "noise", "one byte", "zeros", "two bytes")]
    pairs = [(compress_with(model, content), len(content)) for content in contents]
    bad_state = (bytes([0]) + bytes([0, 0, 0, 0, 1]) + bytes(8), 100)
    needed = [1700, 1, 1, 2999, 1, 10]
    *found, bad = decompress_together(model, [*pairs, bad_state], needed)
    assert found == [c[:n] for c, n in zip(contents, needed[:-1], strict=True)]
    assert isinstance(bad, CorruptError)


def test_the_reference_decoder_reads_what_is_written() -> None:
    content = CONTENTS["prose"][:300]
    data = vectors.small_network().pack(b"{}", vectors.small_model().pack(b"{}"))
    payload = compress_with(vectors.small_network(), content)
    assert reference_decoder.neural(payload, len(content), data) == content


def test_the_codec_finds_its_model_by_digest_and_data() -> None:
    data = vectors.small_network().pack(b"{}", vectors.small_model().pack(b"{}"))
    reference = ModelRef(3, hashlib.sha256(data).digest(), data)
    payload = CODEC.compress(CONTENTS["prose"], reference)
    assert CODEC.decompress(memoryview(payload), 5000, reference) == CONTENTS["prose"]
    assert (CODEC.number, CODEC.name, CODEC.model_kind) == (4, "neural", 3)


def test_a_model_that_is_none_is_a_model_error() -> None:
    with pytest.raises(ModelError):
        CODEC.decompress(bytes(9), 4, ModelRef(3, b"\7" * 32, b"no model"))


def test_threads_give_the_same_bytes() -> None:
    model = vectors.small_network()
    contents = [vectors.prose(f"thread {n}", 4000) for n in range(6)]
    alone = [compress_with(model, content) for content in contents]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda content: compress_with(model, content), contents)) == alone


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_payload_is_refused_or_decodes_to_something(seed: int) -> None:
    model = vectors.small_network()
    content = CONTENTS["prose"][:1000]
    payload = bytearray(compress_with(model, content))
    payload[random.Random(seed).randrange(len(payload))] ^= 1 << seed % 8
    try:
        assert len(decompress_with(model, bytes(payload), 1000)) == 1000
    except CorruptError:
        pass


@pytest.mark.parametrize("payload", [b"", bytes(5), b"\7" + bytes(8), bytes(9)])
def test_payloads_of_no_sense_are_refused(payload: bytes) -> None:
    with pytest.raises(CorruptError):
        decompress_with(vectors.small_network(), payload, 100)


def test_the_shorter_of_two_payloads_is_taken() -> None:
    """The network of random weights loses where it is always trusted; the other is shipped."""
    losing = vectors.small_network()
    losing = type(losing)({**losing.arrays, "join_rate": np.array([0], np.int32)}, losing.ngram)
    prose = vectors.prose("either", 9000)
    for size in (1, 300, 9000):  # before and after the network is given up
        number, payload = compress_either(losing, prose[:size])
        assert (number, payload) == (3, ngram.compress_with(losing.ngram, prose[:size]))
        assert len(payload) <= len(compress_with(losing, prose[:size]))
    spec = Path(__file__).parents[2] / "spec" / "v1" / "format.md"
    text = spec.read_bytes()[:20_000]
    winning = registry.neural_model(registry.shipped("neural"))
    assert compress_either(winning, text) == (4, compress_with(winning, text))


def test_payloads_decode_together_as_alone() -> None:
    """Whatever their number, sizes, profiles and soundness."""
    model = vectors.small_network()
    contents = [
        make(f"together {n}", size)
        for n, (make, size) in enumerate(
            [
                (vectors.prose, 3000), (vectors.records, 3900), (vectors.noise, 3300),
                (vectors.prose, 1), (vectors.prose, 0), (vectors.chinese, 9000),
                (vectors.table, 2500), (vectors.prose, 4096),
            ]
        )
    ]  # fmt: skip
    payloads = [(compress_with(model, content), len(content)) for content in contents]
    for count in range(len(contents) + 1):
        assert decompress_together(model, payloads[:count]) == contents[:count]
    damaged = [(payload[:-4], size) if n in (1, 5) else (payload, size)
               for n, (payload, size) in enumerate(payloads)]  # fmt: skip
    found = decompress_together(model, damaged)
    for number, content in enumerate(found):
        if number in (1, 5):
            assert isinstance(content, CorruptError)
            assert "does not decode to" in str(content)
        else:
            assert content == contents[number]


@pytest.mark.parametrize("name", vectors.small_network().arrays)
def test_every_number_of_a_model_counts(name: str) -> None:
    """A weight or an exponent that differs by one gives other bytes than the vectors have."""
    model = vectors.small_network()
    content = vectors.content_of("prose-4095")
    changed = model.arrays[name] + np.where(model.arrays[name] > 100, -1, 1)
    other = type(model)({**model.arrays, name: changed}, model.ngram)
    assert compress_with(other, content) != compress_with(model, content)


@pytest.mark.parametrize("name", SECTIONS[1:])
@pytest.mark.parametrize("vector", ["json-8192", "chinese-8192", "noise-8192"])
def test_every_number_of_patches_counts(vector: str, name: str) -> None:
    model = vectors.patched_network()
    content = vectors.content_of(vector)
    changed = model.arrays[name] + np.where(model.arrays[name] > 100, -1, 1)
    other = type(model)({**model.arrays, name: changed}, model.ngram)
    assert compress_with(other, content) != compress_with(model, content)
