"""The 28 bytes that start a Chunk record's payload (spec: Chunk)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import CorruptError, LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_checksum, check_reserved, check_size
from lmarc.format.record import RecordHeader

_LAYOUT: Final = struct.Struct("<QQIHHB3s")

CONTENT_CLASSES: Final = ("binary", "text", "numeric", "incompressible")


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What decodes the coded content that follows, and what must come out."""

    chunk_number: int  # its row in the chunks table
    content_size: int  # bytes, 1 .. 16 MiB
    content_checksum: int  # XXH3-64 of the content
    codec: int  # number in the registry of codecs; an unknown one fails only when it is decoded
    model_slot: int = limits.NO_MODEL
    content_class: int = 0  # informative; a reader passes over values it does not know

    SIZE: ClassVar[int] = 28
    OVERHEAD: ClassVar[int] = RecordHeader.SIZE + 28  # bytes a chunk takes beside its coded content

    def pack(self) -> bytes:
        """Return the 28 bytes."""
        return _LAYOUT.pack(
            self.chunk_number,
            self.content_checksum,
            self.content_size,
            self.codec,
            self.model_slot,
            self.content_class,
            bytes(3),
        )

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> ChunkHeader:
        """Parse exactly 28 bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few bytes; a reserved field that is set; Content_Size 0.
        LimitError
            Content_Size is beyond 16 MiB.
        """
        check_size("Chunk_Header", data, cls.SIZE, offset)
        number, content_checksum, size, codec, slot, content_class, reserved = _LAYOUT.unpack_from(
            data
        )
        check_reserved("Reserved", int.from_bytes(reserved), offset)
        if size < limits.MIN_CHUNK_CONTENT:
            raise CorruptError(f"Content_Size is {size}, expected 1 or more", offset=offset)
        if size > limits.MAX_CHUNK_CONTENT:
            message = f"Content_Size is {size}, at most {limits.MAX_CHUNK_CONTENT} is allowed"
            raise LimitError(message, offset=offset)
        return cls(number, size, content_checksum, codec, slot, content_class)

    def check_content(self, content: Buffer, *, offset: int = 0) -> None:
        """Raise unless `content` is what this header (at `offset`) announced."""
        if len(content) != self.content_size:
            message = f"chunk decodes to {len(content)} bytes, Content_Size is {self.content_size}"
            raise CorruptError(message, offset=offset)
        check_checksum("Content_Checksum", self.content_checksum, content, offset)
