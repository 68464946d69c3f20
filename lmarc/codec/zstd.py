"""Codecs 1 and 2, `zstd` and `zstd+dictionary`: the payload is one zstd frame.

The frame declares its content size, has no checksum (the chunk has one) and names no dictionary id
(the chunk's model slot does). Contexts are kept by each thread: making one costs as much as a small
chunk.
"""

import threading
from collections import OrderedDict
from typing import TypeVar

import zstandard

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.errors import CorruptError, ModelNotFoundError

__all__ = ["DICTIONARY_CODEC", "LEVELS", "PLAIN_CODEC", "ZstdCodec", "ZstdDictionaryCodec"]

LEVELS = range(1, 23)

_MAGIC = bytes.fromhex("28b52ffd")
_MAX_WINDOW_SIZE = 16 << 20  # bytes
_CONTEXTS = 8  # kept by each thread
_T = TypeVar("_T")


class _Contexts(threading.local):
    """The (de)compression contexts of one thread, the least recently used dropped first."""

    def __init__(self) -> None:
        self.compressors: OrderedDict[object, zstandard.ZstdCompressor] = OrderedDict()
        self.decompressors: OrderedDict[object, zstandard.ZstdDecompressor] = OrderedDict()

    def compressor(self, level: int, dictionary: bytes | None) -> zstandard.ZstdCompressor:
        key = (level, dictionary)
        context = _recent(self.compressors, key)
        if context is None:
            prepared = None
            if dictionary is not None:
                prepared = zstandard.ZstdCompressionDict(dictionary)
                prepared.precompute_compress(level=level)
            context = zstandard.ZstdCompressor(
                level=level,
                dict_data=prepared,
                write_checksum=False,
                write_content_size=True,
                write_dict_id=False,
            )
            _keep(self.compressors, key, context)
        return context

    def decompressor(self, dictionary: bytes | None) -> zstandard.ZstdDecompressor:
        context = _recent(self.decompressors, dictionary)
        if context is None:
            prepared = None if dictionary is None else zstandard.ZstdCompressionDict(dictionary)
            context = zstandard.ZstdDecompressor(dict_data=prepared)
            _keep(self.decompressors, dictionary, context)
        return context


def _recent(contexts: OrderedDict[object, _T], key: object) -> _T | None:
    context = contexts.get(key)
    if context is not None:
        contexts.move_to_end(key)
    return context


def _keep(contexts: OrderedDict[object, _T], key: object, context: _T) -> None:
    contexts[key] = context
    if len(contexts) > _CONTEXTS:
        contexts.popitem(last=False)


_contexts = _Contexts()


def _decompress(payload: bytes | memoryview, content_size: int, dictionary: bytes | None) -> bytes:
    """Return what one frame holds, after checking what it declares, before memory is taken."""
    if payload[:4] != _MAGIC:
        raise CorruptError(
            f"zstd frame begins with {bytes(payload[:4]).hex()}, expected {_MAGIC.hex()}",
            section="9.2",
        )
    try:
        frame = zstandard.get_frame_parameters(payload)
        if frame.content_size != content_size:
            raise CorruptError(
                f"Frame_Content_Size is {frame.content_size}, Content_Size is {content_size}",
                section="9.2",
            )
        if frame.window_size > _MAX_WINDOW_SIZE:
            raise CorruptError(
                f"window of a zstd frame is {frame.window_size} bytes, at most {_MAX_WINDOW_SIZE}",
                section="9.2",
            )
        if frame.dict_id and dictionary is None:
            raise CorruptError(
                f"Dictionary_ID of a zstd frame is {frame.dict_id}, expected none", section="9.2"
            )
        return _contexts.decompressor(dictionary).decompress(
            payload, max_output_size=content_size, allow_extra_data=False
        )
    except zstandard.ZstdError as exc:
        raise CorruptError(f"zstd frame cannot be decompressed: {exc}", section="9.2") from exc


class ZstdCodec:
    """zstd without a dictionary."""

    number = int(CodecNumber.ZSTD)
    name = "zstd"

    def compress(self, content: bytes | memoryview, level: int) -> bytes:
        """Return `content` as one frame, at `level` 1 to 22."""
        return _contexts.compressor(level, None).compress(content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None = None
    ) -> bytes:
        """Return the content of the frame."""
        return _decompress(payload, content_size, None)


class ZstdDictionaryCodec:
    """zstd with a dictionary that the archive holds as a model."""

    number = int(CodecNumber.ZSTD_DICTIONARY)
    name = "zstd+dictionary"

    def compress(self, content: bytes | memoryview, level: int, dictionary: bytes) -> bytes:
        """Return `content` as one frame that needs `dictionary`."""
        return _contexts.compressor(level, dictionary).compress(content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return the content of the frame, with the dictionary that `model` holds."""
        if model is None:
            raise CorruptError("chunk of codec zstd+dictionary names no model")
        if model.kind != ModelKind.ZSTD_DICTIONARY:
            raise CorruptError(f"model of codec zstd+dictionary has kind {model.kind}, expected 1")
        if model.data is None:
            raise ModelNotFoundError(
                f"zstd dictionary {model.sha256.hex()} is not embedded in the archive"
            )
        return _decompress(payload, content_size, model.data)


PLAIN_CODEC = ZstdCodec()
DICTIONARY_CODEC = ZstdDictionaryCodec()
