"""The model file: a header, named sections, each one zstd frame (spec/v1/model-file.md).

A model is data: nothing in it is run, fetched or unpickled. It is named by the SHA-256 of its file,
so a file is written in one canonical form and never changed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import zstandard

from lmarc.errors import ModelError

__all__ = [
    "KIND_ADAPTER",
    "KIND_MULTISCALE",
    "KIND_NEURAL",
    "KIND_NGRAM",
    "KIND_PRIMED",
    "KIND_SUBWORD",
    "Section",
    "check",
    "kind_of",
    "pack",
    "sections",
    "unpack",
]

MAGIC: Final = b"\x8dLMMOD\r\n"
VERSION: Final = 1
KIND_NGRAM: Final = 2
KIND_NEURAL: Final = 3
KIND_SUBWORD: Final = 5
KIND_MULTISCALE: Final = 6
KIND_ADAPTER: Final = 7
KIND_PRIMED: Final = 8
HEADER: Final = struct.Struct("<8sHHI")  # Magic, Version, Kind, Section_Count
SECTION: Final = struct.Struct("<16sQQ")  # Name, Stored_Size, Size
MAX_SECTIONS: Final = 64
MAX_SIZE: Final = 1 << 30  # bytes of all sections together
MAX_WINDOW: Final = 128 << 20  # bytes of a frame's window, unless that is the section
_NAME: Final = re.compile(rb"([a-z][a-z0-9_]{0,15})\0*")
_LEVEL: Final = 19
_RLE: Final = 1  # Block_Type


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


class Section(NamedTuple):
    """A section of a model file as it is stored."""

    label: str
    size: int  # bytes of content, as the file's table declares
    frame: memoryview

    def content(self) -> bytes:
        """Return what the section holds, or raise ModelError."""
        self._check()
        try:
            return zstandard.ZstdDecompressor().decompress(self.frame, allow_extra_data=False)
        except zstandard.ZstdError as exc:
            raise self._unreadable(exc) from exc

    def read_into(self, parts: Iterable[memoryview]) -> None:
        """Fill one buffer after the other with the content, or raise ModelError.

        The whole content is never in memory: the frame's window is, a part of it.
        """
        self._check()
        if _frame_size(self.frame) != len(self.frame):
            raise ModelError(f"section {self.label} of a model file is no single frame")
        left = self.size
        try:
            window = max(MAX_WINDOW, self.size)
            decompressor = zstandard.ZstdDecompressor(max_window_size=window)
            with decompressor.stream_reader(self.frame) as reader:
                for part in parts:
                    if len(part) and reader.readinto(part) != len(part):
                        break
                    left -= len(part)
                extra = reader.read(1)
        except zstandard.ZstdError as exc:
            raise self._unreadable(exc) from exc
        if left or extra:
            raise ModelError(
                f"section {self.label} of a model file does not fill its {self.size} bytes"
            )

    def _check(self) -> None:
        try:
            parameters = zstandard.get_frame_parameters(self.frame)
        except zstandard.ZstdError as exc:
            raise self._unreadable(exc) from exc
        label, size = self.label, self.size
        if parameters.content_size != size:
            raise ModelError(f"section {label} of a model file does not hold {size} bytes")
        if parameters.dict_id or parameters.window_size > max(MAX_WINDOW, size):
            raise ModelError(f"section {label} of a model file needs a dictionary or much memory")

    def _unreadable(self, exc: zstandard.ZstdError) -> ModelError:
        return ModelError(f"section {self.label} of a model file cannot be read: {exc}")


def _frame_size(frame: memoryview) -> int:
    """Return how many bytes a zstd frame has by the headers of its blocks (RFC 8878, 3.1.1)."""
    at = zstandard.frame_header_size(frame)
    last = False
    while not last and at + 3 <= len(frame):
        header = int.from_bytes(frame[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == _RLE else size)
    return at + (4 if zstandard.get_frame_parameters(frame).has_checksum else 0)


def unpack(data: bytes | memoryview, kind: int) -> dict[str, bytes]:
    """Return what the sections of a model file hold, in order; as `sections`."""
    return {label: section.content() for label, section in sections(data, kind).items()}


def sections(data: bytes | memoryview, kind: int) -> dict[str, Section]:
    """Return the sections of a model file, in order, not yet decompressed.

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
    found: dict[str, Section] = {}
    for name, stored_size, size in table:
        match = _NAME.fullmatch(name)
        if match is None or match[1].decode() in found:
            raise ModelError(f"section of a model file is named {name!r}, twice or unlawfully")
        label = match[1].decode()
        found[label] = Section(label, size, view[at : at + stored_size])
        at += stored_size
    return found
