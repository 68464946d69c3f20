"""Coding some content as an archive would, to see how many bytes and how long it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import zstandard

from lmarc.codec.base import ContentClass, ModelRef
from lmarc.codec.choose import decode_chunk, encode_chunk, settings_for
from lmarc.codec.models import base_model, text_model
from lmarc.routing.group import DEFAULT_CHUNK_SIZE, DEFAULT_TEXT_CHUNK_SIZE

__all__ = ["Preset", "Zstd19"]

_PER_CHUNK: Final = 60  # bytes of the headers of a chunk


class Zstd19:
    """A window as one frame, as it would be in a file of its own or a tar."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=19)
        self._decompressor = zstandard.ZstdDecompressor()

    def encode(self, content_class: int, content: bytes) -> tuple[int, Any]:
        """Return how many bytes of an archive a window takes, and what `decode` takes."""
        payload = self._compressor.compress(content)
        return len(payload), payload

    def decode(self, size: int, coded: Any) -> list[bytes]:
        """Return the content again, in pieces."""
        return [self._decompressor.decompress(coded)]


class Preset:
    """A window in chunks, as an archive has it; without the dictionary that `fast` may make."""

    def __init__(self, name: str, path: str | None) -> None:
        settings = settings_for(name)
        self._models: dict[int, ModelRef] = {}  # by slot
        if settings.text_codec is not None:
            model = text_model(settings.text_codec, path, embed=False, shipped=settings.text_model)
            settings = replace(
                settings,
                model_sha256=model.sha256,
                model_kind=model.kind,
                model_slot=0,
                model_path=path,
            )
            self._models[0] = ModelRef(model.kind, model.sha256, None, path, model.size)
            base = base_model(model, path)
            if base is not None:
                settings = replace(settings, base_slot=1)
                self._models[1] = ModelRef(base.kind, base.sha256, None, None, base.size)
        self._settings = settings

    def encode(self, content_class: int, content: bytes) -> tuple[int, Any]:
        """Return how many bytes of an archive a window takes, and what `decode` takes."""
        is_text = content_class == ContentClass.TEXT
        step = DEFAULT_TEXT_CHUNK_SIZE if is_text else DEFAULT_CHUNK_SIZE
        chunks = [
            encode_chunk(content[at : at + step], content_class, self._settings)
            for at in range(0, len(content), step)
        ]
        return sum(len(chunk.payload) + _PER_CHUNK for chunk in chunks), chunks

    def decode(self, size: int, coded: Any) -> list[bytes]:
        """Return the content again, in pieces."""
        return [
            decode_chunk(
                chunk.codec, chunk.payload, chunk.content_size, self._models.get(chunk.model_slot)
            )
            for chunk in coded
        ]
