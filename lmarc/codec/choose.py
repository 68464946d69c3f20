"""Encode a chunk with the codec that its class and the settings ask for, never worse than zstd.

A payload that is not smaller than zstd's is replaced by zstd's, and one that is not smaller than
the content by the content. Finding that out is cheap: zstd runs at a fast level first, and at a
slow one only where the slow one could win.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import xxhash

from lmarc.codec.base import (
    DEFAULT_PRESET,
    NO_MODEL,
    Codec,
    CodecNumber,
    CodecSettings,
    ContentClass,
    EncodedChunk,
    LayeredCodec,
    ManyCodec,
    ModelCodec,
    ModelRef,
    PrefixCodec,
    preset_named,
)
from lmarc.codec.registry import codec_by_name, codec_by_number, text_codec_names
from lmarc.codec.selftest import ensure
from lmarc.codec.zstd import DICTIONARY_CODEC, LEVELS, PLAIN_CODEC
from lmarc.errors import LmarcError

__all__ = [
    "CodedChunk", "ModelRef", "decode_chunk", "decode_chunks", "encode_chunk", "settings_for",
]  # fmt: skip

_FAST_LEVEL = 3
# A slow level takes at most this much off the payload of the fast one, bar rare texts.
_SLOW_GAIN = 0.25
# Chunks up to this size try zstd with and without the archive's dictionary; for larger ones the
# dictionary's own trial stands, because a second pass would double the time.
_TRY_BOTH = 32 << 10


class CodedChunk(NamedTuple):
    """What decoding a chunk takes."""

    codec: int
    payload: bytes | memoryview
    content_size: int  # bytes
    model: ModelRef | None
    needed: int | None = None  # bytes of content, from its beginning; all if None

    @property
    def end(self) -> int:
        """How many bytes of content are needed."""
        return self.content_size if self.needed is None else min(self.needed, self.content_size)


def settings_for(
    preset: str = DEFAULT_PRESET, text_codec: str | None = None, zstd_level: int | None = None
) -> CodecSettings:
    """Return the settings of a preset, with the pieces that override it.

    Raises
    ------
    ValueError
        For an unknown preset, codec or level.
    """
    known = preset_named(preset)
    name = known.text_codec if text_codec is None else text_codec
    if name is not None and name not in text_codec_names():
        raise ValueError(f"text codec is {name!r}, expected one of {', '.join(text_codec_names())}")
    level = known.zstd_level if zstd_level is None else zstd_level
    if level not in LEVELS:
        raise ValueError(f"zstd level is {level}, expected {LEVELS[0]} to {LEVELS[-1]}")
    return CodecSettings(
        preset=preset,
        text_codec=None if name == "zstd" else name,
        zstd_level=level,
        text_model=known.text_model if name == known.text_codec else None,
    )


def encode_chunk(content: bytes, content_class: int, settings: CodecSettings) -> EncodedChunk:
    """Return `content` as the smallest of what the settings allow.

    Parameters
    ----------
    content : bytes
        1 byte to 16 MiB.
    content_class : int
        A ContentClass; it decides which codecs are tried.
    settings : CodecSettings
        The same settings and content give the same payload, wherever it runs.
    """
    codec, slot, payload = _encode(content, content_class, settings)
    if len(payload) >= len(content):
        codec, slot, payload = CodecNumber.STORED, NO_MODEL, bytes(content)
    checksum = xxhash.xxh3_64_intdigest(content)
    return EncodedChunk(int(codec), slot, content_class, len(content), checksum, payload)


def decode_chunk(
    codec: int, payload: bytes | memoryview, content_size: int, model: ModelRef | None
) -> bytes:
    """Return the content of a chunk; its checksum is the caller's to compare.

    Raises
    ------
    UnsupportedVersionError
        When this version has no such codec.
    CorruptError
        When the payload does not decode to exactly `content_size` bytes.
    ModelError
        When the codec's model cannot be had.
    """
    return codec_by_number(codec).decompress(payload, content_size, model)


def decode_chunks(chunks: Sequence[CodedChunk]) -> list[bytes | LmarcError]:
    """Return the contents of chunks, and its error for one that has none.

    The same as `decode_chunk` for each, or its beginning, where no more is needed. A codec that
    decodes several faster than one after the other gets all of those that have the same model.
    """
    contents: dict[int, bytes | LmarcError] = {}
    together: dict[tuple[int, bytes | None], list[int]] = {}
    for number, chunk in enumerate(chunks):
        digest = None if chunk.model is None else chunk.model.sha256
        together.setdefault((chunk.codec, digest), []).append(number)
    for (codec_number, _), numbers in together.items():
        try:
            codec = codec_by_number(codec_number)
            if isinstance(codec, ManyCodec):
                payloads = [(chunks[n].payload, chunks[n].content_size) for n in numbers]
                needed = [chunks[n].end for n in numbers]
                found = codec.decompress_together(payloads, chunks[numbers[0]].model, needed)
                contents.update(zip(numbers, found, strict=True))
                continue
        except LmarcError as exc:
            contents.update(dict.fromkeys(numbers, exc))
            continue
        for number in numbers:
            try:
                contents[number] = _decode(codec, chunks[number])
            except LmarcError as exc:
                contents[number] = exc
    return [contents[number] for number in range(len(chunks))]


def _decode(codec: Codec, chunk: CodedChunk) -> bytes:
    if chunk.end < chunk.content_size and isinstance(codec, PrefixCodec):
        return codec.decompress_prefix(chunk.payload, chunk.content_size, chunk.model, chunk.end)
    return codec.decompress(chunk.payload, chunk.content_size, chunk.model)


def _encode(
    content: bytes, content_class: int, settings: CodecSettings
) -> tuple[CodecNumber, int, bytes]:
    level = settings.zstd_level
    if content_class == ContentClass.TEXT:
        if settings.text_codec is not None:
            return _encode_with_model(content, settings)
        if settings.dictionary is not None:
            payload = DICTIONARY_CODEC.compress(content, level, settings.dictionary)
            chosen = (CodecNumber.ZSTD_DICTIONARY, settings.dictionary_slot, payload)
            if len(content) > _TRY_BOTH:
                return chosen
            plain = PLAIN_CODEC.compress(content, level)
            return chosen if len(payload) < len(plain) else (CodecNumber.ZSTD, NO_MODEL, plain)
    if content_class == ContentClass.INCOMPRESSIBLE and level > _FAST_LEVEL:
        fast = PLAIN_CODEC.compress(content, _FAST_LEVEL)
        if len(fast) >= len(content):
            return CodecNumber.ZSTD, NO_MODEL, fast
    return CodecNumber.ZSTD, NO_MODEL, PLAIN_CODEC.compress(content, level)


def _encode_with_model(content: bytes, settings: CodecSettings) -> tuple[CodecNumber, int, bytes]:
    """Compare the model's payload with zstd's, at the slow level only where it is close."""
    codec = cast("ModelCodec", codec_by_name(settings.text_codec or ""))
    ensure(codec.name)
    model = None
    if settings.model_sha256 is not None:
        kind = settings.model_kind or codec.model_kind
        model = ModelRef(kind, settings.model_sha256, None, settings.model_path)
    number, slot = CodecNumber(codec.number), settings.model_slot
    if settings.base_slot != NO_MODEL and isinstance(codec, LayeredCodec):
        number, payload = codec.compress_either(content, model)
        slot = settings.model_slot if number == codec.number else settings.base_slot
    else:
        payload = codec.compress(content, model)
    level = settings.zstd_level
    plain = PLAIN_CODEC.compress(content, min(level, _FAST_LEVEL))
    if level > _FAST_LEVEL and len(plain) * (1 - _SLOW_GAIN) < len(payload):
        plain = min(plain, PLAIN_CODEC.compress(content, level), key=len)
    if len(plain) <= len(payload):
        return CodecNumber.ZSTD, NO_MODEL, plain
    return number, slot, payload
