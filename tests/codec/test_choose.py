"""A chunk is never larger than zstd makes it, nor than it was."""

import random
from dataclasses import replace

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from lmarc import CorruptError, ModelNotFoundError, UnsupportedVersionError
from lmarc.codec import choose, registry
from lmarc.codec.base import (
    DEFAULT_PRESET,
    NO_MODEL,
    CodecNumber,
    CodecSettings,
    ContentClass,
    ModelKind,
    ModelRef,
)
from lmarc.codec.choose import CodedChunk, decode_chunk, decode_chunks, encode_chunk, settings_for
from lmarc.codec.zstd import PLAIN_CODEC

TEXT = b"Call me Ishmael. Some years ago - never mind how long precisely. " * 20
FAST = settings_for("fast")


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


class FakeModelCodec:
    """A codec whose payload has the size that a test asks for."""

    number = int(CodecNumber.NGRAM)
    name = "ngram"
    model_kind = int(ModelKind.NGRAM)
    payload = b""
    models: list[ModelRef | None] = []  # noqa: RUF012

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        self.models.append(model)
        return self.payload

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        return bytes(content_size)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModelCodec:
    codec = FakeModelCodec()
    codec.models = []
    monkeypatch.setattr(choose, "codec_by_name", lambda name: codec)
    return codec


@given(
    content=st.one_of(
        st.binary(min_size=1, max_size=3000), st.binary(min_size=1).map(lambda b: b * 50)
    ),
    content_class=st.sampled_from(list(ContentClass)),
    level=st.sampled_from([1, 3, 9]),
)
def test_no_chunk_is_larger_than_with_zstd_or_raw(
    content: bytes, content_class: ContentClass, level: int
) -> None:
    chunk = encode_chunk(content, content_class, settings_for("fast", zstd_level=level))
    assert len(chunk.payload) <= min(len(content), len(PLAIN_CODEC.compress(content, level)))
    assert chunk.content_class == content_class
    assert chunk.content_size == len(content)
    assert chunk.content_checksum == xxhash.xxh3_64_intdigest(content)
    assert chunk.model_slot == NO_MODEL
    assert decode_chunk(chunk.codec, chunk.payload, chunk.content_size, None) == content


@pytest.mark.parametrize("content_class", list(ContentClass))
@pytest.mark.parametrize("level", [3, 19])
def test_noise_is_stored_and_text_is_not_whatever_their_class(
    content_class: ContentClass, level: int
) -> None:
    settings = settings_for("fast", zstd_level=level)
    assert encode_chunk(noise(5000), content_class, settings).codec == CodecNumber.STORED
    chunk = encode_chunk(TEXT, content_class, settings)
    assert chunk.codec == CodecNumber.ZSTD
    assert chunk.payload == PLAIN_CODEC.compress(TEXT, level)


def test_only_text_uses_the_dictionary_and_only_where_it_helps() -> None:
    settings = replace(FAST, dictionary=TEXT[:500], dictionary_slot=3)
    chunk = encode_chunk(TEXT[:200], ContentClass.TEXT, settings)
    assert (chunk.codec, chunk.model_slot) == (CodecNumber.ZSTD_DICTIONARY, 3)
    model = ModelRef(ModelKind.ZSTD_DICTIONARY, bytes(32), settings.dictionary)
    assert decode_chunk(chunk.codec, chunk.payload, 200, model) == TEXT[:200]
    assert encode_chunk(TEXT[:200], ContentClass.BINARY, settings).codec != chunk.codec
    for content in (noise(100), b"\n" * 9000):
        other = encode_chunk(content, ContentClass.TEXT, settings)
        assert len(other.payload) <= len(encode_chunk(content, ContentClass.TEXT, FAST).payload)
    large = encode_chunk(TEXT * 60, ContentClass.TEXT, settings)
    assert large.codec == CodecNumber.ZSTD_DICTIONARY


def test_a_model_codec_is_kept_where_it_wins(fake: FakeModelCodec) -> None:
    settings = CodecSettings(text_codec="ngram", model_sha256=b"m" * 32, model_slot=0)
    fake.payload = b"tiny"
    chunk = encode_chunk(TEXT, ContentClass.TEXT, settings)
    assert (chunk.codec, chunk.model_slot, chunk.payload) == (CodecNumber.NGRAM, 0, b"tiny")
    assert fake.models == [ModelRef(ModelKind.NGRAM, b"m" * 32, None)]
    assert encode_chunk(TEXT, ContentClass.BINARY, settings).codec == CodecNumber.ZSTD
    encode_chunk(TEXT, ContentClass.TEXT, replace(settings, model_sha256=None))
    assert fake.models[1:] == [None]


@pytest.mark.parametrize("level", [3, 19])
def test_a_model_codec_that_does_not_win_gives_way_to_zstd(
    fake: FakeModelCodec, level: int
) -> None:
    settings = CodecSettings(text_codec="ngram", zstd_level=level)
    plain = PLAIN_CODEC.compress(TEXT, level)
    fake.payload = bytes(len(plain))
    chunk = encode_chunk(TEXT, ContentClass.TEXT, settings)
    assert chunk.codec == CodecNumber.ZSTD
    assert len(chunk.payload) <= len(plain)
    fake.payload = bytes(10_000)
    assert encode_chunk(noise(5000), ContentClass.TEXT, settings).codec == CodecNumber.STORED


def test_the_slow_level_runs_only_where_it_could_win(
    fake: FakeModelCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[int] = []

    class Recorder:
        def compress(self, content: bytes, level: int) -> bytes:
            levels.append(level)
            return PLAIN_CODEC.compress(content, level)

    monkeypatch.setattr(choose, "PLAIN_CODEC", Recorder())
    settings = CodecSettings(text_codec="ngram", zstd_level=19)
    fake.payload = b"far ahead"
    encode_chunk(TEXT, ContentClass.TEXT, settings)
    assert levels == [3]
    fake.payload = bytes(len(PLAIN_CODEC.compress(TEXT, 3)))
    encode_chunk(TEXT, ContentClass.TEXT, settings)
    assert levels == [3, 3, 19]


def test_settings_take_a_preset_apart_piece_by_piece() -> None:
    assert settings_for() == settings_for(DEFAULT_PRESET)
    assert settings_for("fast") == CodecSettings(preset="fast", text_codec=None, zstd_level=3)
    balanced = CodecSettings(preset="balanced", text_codec="ngram", zstd_level=12)
    assert settings_for("balanced") == balanced
    assert settings_for("balanced", text_codec="zstd").text_codec is None
    assert settings_for("fast", text_codec="zstd", zstd_level=19).zstd_level == 19
    with pytest.raises(ValueError, match="zstd level is 23, expected 1 to 22"):
        settings_for(zstd_level=23)
    with pytest.raises(ValueError, match="text codec is 'lzma', expected one of zstd"):
        settings_for(text_codec="lzma")


def test_a_chunk_of_an_unknown_codec_is_refused_when_it_is_read() -> None:
    unknown = max(registry._CODECS) + 100
    with pytest.raises(UnsupportedVersionError, match=f"Codec is {unknown}"):
        decode_chunk(unknown, b"x", 1, None)


def test_a_damaged_payload_is_corrupt() -> None:
    chunk = encode_chunk(TEXT, ContentClass.TEXT, FAST)
    with pytest.raises(CorruptError):
        decode_chunk(chunk.codec, chunk.payload[:-1], chunk.content_size, None)


def test_chunks_decode_together_as_alone_each_with_its_own_error() -> None:
    contents = [TEXT, noise(500), TEXT[:999], TEXT]
    chunks = [encode_chunk(content, ContentClass.TEXT, FAST) for content in contents]
    coded = [CodedChunk(c.codec, c.payload, c.content_size, None) for c in chunks]
    unknown = CodedChunk(max(registry._CODECS) + 100, b"x", 1, None)
    damaged = coded[0]._replace(payload=coded[0].payload[:-1])
    lost = CodedChunk(CodecNumber.NGRAM, b"x", 1, ModelRef(ModelKind.NGRAM, bytes(32), None))
    found = decode_chunks([coded[0], unknown, coded[1], damaged, lost, coded[2], coded[3]])
    assert [found[n] for n in (0, 2, 5, 6)] == contents
    assert [type(found[n]) for n in (1, 3, 4)] == [
        UnsupportedVersionError, CorruptError, ModelNotFoundError,
    ]  # fmt: skip


def test_a_codec_may_give_more_than_is_needed_and_never_less() -> None:
    slow = settings_for("balanced")
    contents = [TEXT, TEXT[:999], noise(500)]
    chunks = [encode_chunk(content, ContentClass.TEXT, slow) for content in contents]
    chunks.append(encode_chunk(TEXT, ContentClass.TEXT, FAST))
    assert [chunk.codec for chunk in chunks] == [
        CodecNumber.NGRAM, CodecNumber.NGRAM, CodecNumber.STORED, CodecNumber.ZSTD,
    ]  # fmt: skip
    for needed in (1, 400, 500, None):
        found = decode_chunks(
            [CodedChunk(c.codec, c.payload, c.content_size, None, needed) for c in chunks]
        )
        cut = [content[:needed] for content in contents[:2]]
        assert found == [*cut, contents[2], TEXT]
