"""The Footer's payload: the archive's last 72 bytes, which find the index (spec: Footer)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import CorruptError
from lmarc.format._fields import Buffer, check_reserved, check_size
from lmarc.format.features import VERSION_MAJOR, VERSION_MINOR, check_version
from lmarc.format.header import ArchiveHeader
from lmarc.format.record import RecordHeader

END_MAGIC: Final = b"\r\nCRAML\x8d"

_LAYOUT: Final = struct.Struct("<QQ32sHHIII8s")


@dataclass(frozen=True, slots=True)
class Footer:
    """Where the index is, what it must hash to, and what a reader must understand."""

    index_offset: int  # of the Index record's first byte
    index_size: int  # bytes of the whole Index record, its header included
    index_sha256: bytes  # of the whole Index record
    version_major: int = VERSION_MAJOR
    version_minor: int = VERSION_MINOR
    required_features: int = 0
    optional_features: int = 0

    SIZE: ClassVar[int] = 72
    RECORD_SIZE: ClassVar[int] = RecordHeader.SIZE + 72

    def pack(self) -> bytes:
        """Return the 72 bytes."""
        return _LAYOUT.pack(
            self.index_offset,
            self.index_size,
            self.index_sha256,
            self.version_major,
            self.version_minor,
            self.required_features,
            self.optional_features,
            0,
            END_MAGIC,
        )

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> Footer:
        """Parse exactly 72 bytes; `offset` is that of the Footer *record*.

        Raises
        ------
        UnsupportedVersionError
            A newer major version or an unknown required feature.
        TruncatedError, CorruptError
            Too few bytes; a wrong End_Magic, a reserved field that is set, an index that does not
            end where the Footer starts.
        """
        check_size("Footer", data, cls.SIZE, offset)
        fields = _LAYOUT.unpack_from(data)
        index_offset, index_size, sha256, major, minor, required, optional, reserved, magic = fields
        if magic != END_MAGIC:
            raise CorruptError(f"End_Magic is {magic!r}, expected {END_MAGIC!r}", offset=offset)
        check_version(major, required, offset)
        check_reserved("Reserved", reserved, offset)
        if index_offset < ArchiveHeader.SIZE or index_offset + index_size != offset:
            message = f"Index_Offset {index_offset} + Index_Size {index_size} is not the Footer's"
            raise CorruptError(f"{message} offset {offset}", offset=offset)
        if index_size <= RecordHeader.SIZE:
            raise CorruptError(f"Index_Size is {index_size}, too small", offset=offset)
        return cls(index_offset, index_size, sha256, major, minor, required, optional)
