"""The model file: a header, named sections, each one zstd frame (spec/v1/model-file.md).

A model is data: nothing in it is run, fetched or unpickled. It is named by the SHA-256 of its file,
so a file is written in one canonical form and never changed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final

import zstandard

from lmarc.errors import ModelError

__all__ = ["KIND_NEURAL", "KIND_NGRAM", "check", "kind_of", "pack", "unpack"]

MAGIC: Final = b"\x8dLMMOD\r\n"
VERSION: Final = 1
KIND_NGRAM: Final = 2
KIND_NEURAL: Final = 3
HEADER: Final = struct.Struct("<8sHHI")  # Magic, Version, Kind, Section_Count
SECTION: Final = struct.Struct("<16sQQ")  # Name, Stored_Size, Size
MAX_SECTIONS: Final = 64
MAX_SIZE: Final = 1 << 30  # bytes of all sections together
MAX_WINDOW: Final = 128 << 20  # bytes of a frame's window, unless that is the section
_NAME: Final = re.compile(rb"([a-z][a-z0-9_]{0,15})\0*")
_LEVEL: Final = 19


def pack(kind: int, sections: Mapping[str, bytes]) -> bytes:
    """Return the file of a model; sections keep their order."""
    stored = []
    table = []
    for name, content in sections.items():
        frame = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(content)
        table.append(SECTION.pack(name.encode("ascii"), len(frame), len(content)))
        stored.append(frame)
    return HEADER.pack(MAGIC, VERSION, kind, len(sections)) + b"".join(table) + b"".join(stored)


def kind_of(data: bytes | memoryview) -> int:
    """Return the kind of a model file, or raise ModelError for another file."""
    view = memoryview(data)
    if len(view) < HEADER.size or bytes(view[:8]) != MAGIC:
        raise ModelError(f"model file begins with {bytes(view[:8])!r}, expected {MAGIC!r}")
    return int(HEADER.unpack_from(view)[2])


def check(data: bytes | memoryview, kind: int) -> int:
    """Return how many sections a model file declares, or raise ModelError for another file."""
    view = memoryview(data)
    found = kind_of(view)
    _, version, _, count = HEADER.unpack_from(view)
    if version != VERSION:
        raise ModelError(f"model file is of version {version}, this version reads {VERSION}")
    if found != kind:
        raise ModelError(f"model file is of kind {found}, expected {kind}")
    if count > MAX_SECTIONS or HEADER.size + count * SECTION.size > len(view):
        raise ModelError(f"model file declares {count} sections in {len(view)} bytes")
    return int(count)


def unpack(data: bytes | memoryview, kind: int) -> dict[str, bytes]:
    """Return the sections of a model file, in order.

    Raises
    ------
    ModelError
        When the bytes are not a model file of this kind and version. Sizes are checked before
        memory is taken.
    """
    view = memoryview(data)
    count = check(view, kind)
    at = HEADER.size + count * SECTION.size
    table = [SECTION.unpack_from(view, HEADER.size + n * SECTION.size) for n in range(count)]
    total = sum(size for _, _, size in table)
    if total > MAX_SIZE:
        raise ModelError(f"model file declares {total} bytes, at most {MAX_SIZE} are allowed")
    if at + sum(stored for _, stored, _ in table) != len(view):
        raise ModelError(f"sections of a model file do not fill its {len(view)} bytes")
    sections: dict[str, bytes] = {}
    for name, stored_size, size in table:
        match = _NAME.fullmatch(name)
        if match is None or match[1].decode() in sections:
            raise ModelError(f"section of a model file is named {name!r}, twice or unlawfully")
        label = match[1].decode()
        sections[label] = _content(view[at : at + stored_size], size, label)
        at += stored_size
    return sections


def _content(frame: memoryview, size: int, label: str) -> bytes:
    """Return what a section's frame holds."""
    try:
        parameters = zstandard.get_frame_parameters(frame)
        if parameters.content_size != size:
            raise ModelError(f"section {label} of a model file does not hold {size} bytes")
        if parameters.dict_id or parameters.window_size > max(MAX_WINDOW, size):
            raise ModelError(f"section {label} of a model file needs a dictionary or much memory")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise ModelError(f"section {label} of a model file cannot be read: {exc}") from exc
