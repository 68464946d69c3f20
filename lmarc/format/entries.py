"""The 24 bytes that start an Entries record's payload (spec: Entries).

An Entries record opens a group: it stands before the chunks it describes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_size

_LAYOUT: Final = struct.Struct("<QQQ")


@dataclass(frozen=True, slots=True)
class EntriesHeader:
    """Numbers of the first entry and chunk of the group, and how many chunks follow."""

    first_entry: int
    first_chunk: int
    chunk_count: int

    SIZE: ClassVar[int] = 24

    def pack(self) -> bytes:
        """Return the 24 bytes."""
        return _LAYOUT.pack(self.first_entry, self.first_chunk, self.chunk_count)

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> EntriesHeader:
        """Parse exactly 24 bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few or too many bytes.
        LimitError
            More chunks than a group's 16 MiB of content can have.
        """
        check_size("Entries_Header", data, cls.SIZE, offset)
        first_entry, first_chunk, chunk_count = _LAYOUT.unpack_from(data)
        if chunk_count > limits.MAX_GROUP_CONTENT:
            message = f"Chunk_Count is {chunk_count}, at most {limits.MAX_GROUP_CONTENT} is allowed"
            raise LimitError(message, offset=offset)
        return cls(first_entry, first_chunk, chunk_count)
