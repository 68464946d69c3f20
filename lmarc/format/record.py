"""The 32 bytes that start every record (spec: Record_Header).

The header has a checksum of its own, so a scan finds records without the index; the archive's tag
tells them from the records of an archive that is a member.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import CorruptError, LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_checksum, check_reserved, check_size, checksum

RECORD_MAGIC: Final = b"\xf1LMR"

_LAYOUT: Final = struct.Struct("<4sBBHQQ")
_CHECKSUM: Final = struct.Struct("<Q")


class RecordType(enum.IntEnum):
    """Record_Type."""

    CHUNK = 1
    ENTRIES = 2
    MODEL = 3
    INDEX = 4
    FOOTER = 5


# Fixed part of the payload, and the largest payload, in bytes.
_PAYLOAD: Final = {
    RecordType.CHUNK: (29, 28 + limits.MAX_CHUNK_CONTENT),
    RecordType.ENTRIES: (72, limits.MAX_ENTRIES_PAYLOAD),
    RecordType.MODEL: (48, 48 + limits.MAX_MODEL_SIZE),
    RecordType.INDEX: (96, 96 + 4 * limits.MAX_TABLE_SIZE),
    RecordType.FOOTER: (72, 72),
}


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """Type, size and checksum of the payload that follows."""

    record_type: RecordType
    payload_size: int  # bytes
    payload_checksum: int  # XXH3-64 of the payload
    archive_tag: int  # as in the archive's header

    SIZE: ClassVar[int] = 32

    @property
    def record_size(self) -> int:
        """Bytes of the whole record, this header included."""
        return self.SIZE + self.payload_size

    @classmethod
    def of(cls, record_type: RecordType, payload: Buffer, archive_tag: int) -> RecordHeader:
        """Return the header that stands before `payload`."""
        return cls(record_type, len(payload), checksum(payload), archive_tag)

    def pack(self) -> bytes:
        """Return the 32 bytes."""
        data = _LAYOUT.pack(
            RECORD_MAGIC,
            self.record_type,
            0,
            self.archive_tag,
            self.payload_size,
            self.payload_checksum,
        )
        return data + _CHECKSUM.pack(checksum(data))

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> RecordHeader:
        """Parse exactly 32 bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few bytes; a wrong magic, checksum, type or reserved field, or a payload too small
            for its type.
        LimitError
            Payload_Size is beyond what its type may have.
        """
        check_size("Record_Header", data, cls.SIZE, offset)
        magic, number, flags, tag, payload_size, payload_checksum = _LAYOUT.unpack_from(data)
        if magic != RECORD_MAGIC:
            message = f"Record_Magic is {magic!r}, a record starts with {RECORD_MAGIC!r}"
            raise CorruptError(message, offset=offset)
        (stored,) = _CHECKSUM.unpack_from(data, _LAYOUT.size)
        check_checksum("Record_Checksum", stored, data[: _LAYOUT.size], offset)
        check_reserved("Record_Flags", flags, offset)
        try:
            record_type = RecordType(number)
        except ValueError:
            message = f"Record_Type is {number}, 1 to 5 are known"
            raise CorruptError(message, offset=offset) from None
        smallest, largest = _PAYLOAD[record_type]
        if payload_size < smallest:
            message = f"Payload_Size is {payload_size}, a {record_type.name} has {smallest} or more"
            raise CorruptError(message, offset=offset)
        if payload_size > largest:
            message = f"Payload_Size is {payload_size}, a {record_type.name} has at most {largest}"
            raise LimitError(message, offset=offset)
        return cls(record_type, payload_size, payload_checksum, tag)

    def check_tag(self, archive_tag: int, *, offset: int = 0) -> None:
        """Raise unless this header (at `offset`) belongs to the archive with this tag."""
        if self.archive_tag != archive_tag:
            message = f"Archive_Tag is {self.archive_tag}, the archive's is {archive_tag}"
            raise CorruptError(message, offset=offset)

    def check_payload(self, payload: Buffer, *, offset: int = 0) -> None:
        """Raise unless `payload` is what this header (at `offset`) announced."""
        check_size(f"{self.record_type.name} payload", payload, self.payload_size, offset)
        check_checksum("Payload_Checksum", self.payload_checksum, payload, offset)


def pack_record(record_type: RecordType, payload: Buffer, archive_tag: int) -> bytes:
    """Return a whole record: header and payload."""
    return RecordHeader.of(record_type, payload, archive_tag).pack() + payload
