"""The sizes that stand before the tables of an Entries or Index record (spec: Tables).

Each table is one zstd frame that holds one Arrow IPC stream. Both sizes are checked here, before
anything is decompressed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from lmarc.errors import CorruptError, LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_size

_LAYOUT: Final = struct.Struct("<QQ")

ENTRIES_TABLES: Final = ("entries_begin", "pieces", "ends")
INDEX_TABLES: Final = ("entries", "chunks", "pieces", "models")


@dataclass(frozen=True, slots=True)
class TablesHeader:
    """Table_Stored_Size and Table_Size of each table, in the record's fixed order."""

    stored_sizes: tuple[int, ...]  # bytes of each zstd frame
    sizes: tuple[int, ...]  # bytes of each Arrow stream

    @classmethod
    def size_of(cls, count: int) -> int:
        """Return how many bytes the header of `count` tables has."""
        return count * _LAYOUT.size

    def pack(self) -> bytes:
        """Return 16 bytes a table."""
        return b"".join(map(_LAYOUT.pack, self.stored_sizes, self.sizes))

    @classmethod
    def unpack(
        cls,
        data: Buffer,
        *,
        count: int,
        tables_size: int,
        largest: int = limits.MAX_TABLE_SIZE,
        offset: int = 0,
    ) -> TablesHeader:
        """Parse exactly 16 * `count` bytes; the stored tables must fill `tables_size` bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few bytes; an empty table; sizes that do not add up to `tables_size`.
        LimitError
            A table is larger than `largest` or than 65,536 + 1024 * its stored size.
        """
        check_size("Tables", data, cls.size_of(count), offset)
        pairs = list(_LAYOUT.iter_unpack(data))
        for stored_size, size in pairs:
            if not stored_size or not size:
                message = f"Table_Stored_Size is {stored_size}, Table_Size {size}, both must be > 0"
                raise CorruptError(message, offset=offset)
            allowed = limits.TABLE_ALLOWANCE + limits.MAX_TABLE_RATIO * stored_size
            allowed = min(allowed, largest)
            if size > allowed:
                message = f"Table_Size is {size}, at most {allowed}"
                raise LimitError(f"{message} is allowed for {stored_size} bytes", offset=offset)
        total = sum(stored_size for stored_size, _ in pairs)
        if total != tables_size:
            message = f"the tables take {total} bytes, the payload has {tables_size} for them"
            raise CorruptError(message, offset=offset)
        return cls(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
