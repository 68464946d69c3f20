"""The subword codec: every content comes back, and no payload does harm."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.codec.base import CodecSettings, ModelRef
from lmarc.codec.choose import decode_chunk, encode_chunk
from lmarc.codec.subword import (
    CODEC,
    choose_profile,
    compress_with,
    decompress_together,
    decompress_with,
)
from lmarc.errors import CorruptError, ModelError
from lmarc.model.ngram import NgramModel
from lmarc.model.subword import SubwordModel
from tools import reference_decoder

CONTENTS = {
    "one byte": b"x",
    "two bytes": b"\xff\0",
    "zeros": bytes(3000),
    "prose": vectors.prose("subword", 5000),
    "noise": random.Random(9).randbytes(4096),
    "not UTF-8": bytes(range(256)) * 9,
    "lines": b"the,of;\n" * 900,
    "chunk": vectors.prose("subword", 70_000),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_comes_back(name: str) -> None:
    model = vectors.small_subword()
    payload = compress_with(model, CONTENTS[name])
    assert decompress_with(model, payload, len(CONTENTS[name])) == CONTENTS[name]


@pytest.mark.parametrize("name", ["prose", "not UTF-8", "lines", "zeros"])
def test_the_reference_decoder_reads_what_is_written(name: str) -> None:
    content = CONTENTS[name][:600]
    payload = compress_with(vectors.small_subword(), content)
    data = vectors.small_subword().pack(b"{}")
    assert reference_decoder.subword(payload, len(content), data) == content


def test_the_codec_finds_its_model_by_digest_and_data() -> None:
    data = vectors.small_subword().pack(b"{}")
    reference = ModelRef(5, hashlib.sha256(data).digest(), data)
    payload = CODEC.compress(CONTENTS["prose"], reference)
    assert CODEC.decompress(memoryview(payload), 5000, reference) == CONTENTS["prose"]
    assert (CODEC.number, CODEC.name, CODEC.model_kind) == (5, "subword", 5)


def test_a_model_that_is_none_is_a_model_error() -> None:
    with pytest.raises(ModelError):
        CODEC.decompress(bytes(9), 4, ModelRef(5, b"\7" * 32, b"no model"))


def test_threads_give_the_same_bytes() -> None:
    model = vectors.small_subword()
    contents = [vectors.prose(f"thread {n}", 4000) for n in range(6)]
    alone = [compress_with(model, content) for content in contents]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda content: compress_with(model, content), contents)) == alone


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_payload_is_refused_or_decodes_to_something(seed: int) -> None:
    model = vectors.small_subword()
    payload = bytearray(compress_with(model, CONTENTS["prose"][:1000]))
    payload[random.Random(seed).randrange(len(payload))] ^= 1 << seed % 8
    try:
        assert len(decompress_with(model, bytes(payload), 1000)) == 1000
    except CorruptError:
        pass


@pytest.mark.parametrize("payload", [b"", bytes(5), b"\7" + bytes(8), bytes(9)])
def test_payloads_of_no_sense_are_refused(payload: bytes) -> None:
    with pytest.raises(CorruptError):
        decompress_with(vectors.small_subword(), payload, 100)


def test_a_content_of_another_size_is_refused() -> None:
    model, content = vectors.small_subword(), CONTENTS["prose"][:900]
    payload = compress_with(model, content)
    for size in (899, 100):
        with pytest.raises(CorruptError, match="does not decode to"):
            decompress_with(model, payload, size)


def test_payloads_decode_together_as_alone() -> None:
    """Whatever their number, sizes, profiles and soundness."""
    model = vectors.small_subword()
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
        else:
            assert content == contents[number]


@pytest.mark.parametrize("name", sorted(vectors.small_subword().arrays))
def test_every_number_of_a_model_counts(name: str) -> None:
    """A weight or an exponent that differs by one gives other bytes than the vectors have."""
    model = vectors.small_subword()
    content = vectors.content_of("prose-4095")
    changed = model.arrays[name] + np.where(model.arrays[name] > 100, -1, 1)
    arrays = {**model.arrays, name: changed}
    other = SubwordModel(model.vocabulary, model.mixture, model.sizes, arrays)
    assert compress_with(other, content) != compress_with(model, content)


def test_the_profile_that_costs_less_is_taken() -> None:
    model = vectors.small_subword()
    profiles = {name: array[::-1].copy() for name, array in model.mixture.profiles.items()}
    other = SubwordModel(
        model.vocabulary,
        NgramModel(model.mixture.static(0).buckets.reshape(-1, 64), profiles),
        model.sizes,
        model.arrays,
    )
    content = CONTENTS["prose"]
    assert choose_profile(model, content) == 1 - choose_profile(other, content)
    assert compress_with(model, content)[1:] == compress_with(other, content)[1:]


def test_a_chunk_is_coded_with_it_where_it_pays(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = vectors.small_subword().pack(b"{}")
    path = tmp_path / "small.lmmodel"
    path.write_bytes(data)
    digest = hashlib.sha256(data).digest()
    settings = CodecSettings(
        text_codec="subword", model_sha256=digest, model_slot=0, model_path=str(path)
    )
    prose = vectors.prose("chosen", 3000)
    chunk = encode_chunk(prose, 1, settings)
    assert (chunk.codec, chunk.model_slot) == (5, 0)
    assert decode_chunk(5, chunk.payload, 3000, ModelRef(5, digest, data)) == prose
    assert encode_chunk(vectors.noise("chosen", 3000), 1, settings).codec == 0
