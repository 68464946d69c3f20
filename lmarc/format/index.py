"""The 32 bytes that start an Index record's payload (spec: Index)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_size

_LAYOUT: Final = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """How many rows each table of the index has."""

    entry_count: int
    chunk_count: int
    piece_count: int
    model_count: int

    SIZE: ClassVar[int] = 32

    def pack(self) -> bytes:
        """Return the 32 bytes."""
        return _LAYOUT.pack(self.entry_count, self.chunk_count, self.piece_count, self.model_count)

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> IndexHeader:
        """Parse exactly 32 bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few or too many bytes.
        LimitError
            More models than there are slots.
        """
        check_size("Index_Header", data, cls.SIZE, offset)
        header = cls(*_LAYOUT.unpack_from(data))
        if header.model_count > limits.MAX_MODELS:
            message = f"Model_Count is {header.model_count}, at most {limits.MAX_MODELS} is allowed"
            raise LimitError(message, offset=offset)
        return header
