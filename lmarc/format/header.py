"""The archive's first 32 bytes (spec: Header).

Magic, both versions and the checksum keep their places in every version of the format, so a
reader can tell a newer archive from a damaged one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import NotAnArchiveError
from lmarc.format._fields import Buffer, check_checksum, check_reserved, check_size, checksum
from lmarc.format.features import VERSION_MAJOR, VERSION_MINOR, check_version

MAGIC: Final = b"\x8dLMARC\r\n"

_LAYOUT: Final = struct.Struct("<8sHHIIHH")
_CHECKSUM: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class ArchiveHeader:
    """What a streaming reader must know before the first record."""

    version_major: int = VERSION_MAJOR
    version_minor: int = VERSION_MINOR
    required_features: int = 0
    optional_features: int = 0
    archive_tag: int = 0  # every record of the archive repeats it

    SIZE: ClassVar[int] = 32

    def pack(self) -> bytes:
        """Return the 32 bytes."""
        data = _LAYOUT.pack(
            MAGIC,
            self.version_major,
            self.version_minor,
            self.required_features,
            self.optional_features,
            self.archive_tag,
            0,
        )
        return data + _CHECKSUM.pack(checksum(data))

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> ArchiveHeader:
        """Parse exactly 32 bytes.

        Raises
        ------
        NotAnArchiveError
            The magic is not there.
        UnsupportedVersionError
            A newer major version or an unknown required feature.
        TruncatedError, CorruptError
            Too few bytes; a wrong checksum or a reserved field that is set.
        """
        start = bytes(data[: len(MAGIC)])
        if start != MAGIC[: len(start)] or not start:
            message = f"Magic is {start!r}, an lmarc archive starts with {MAGIC!r}"
            raise NotAnArchiveError(message, offset=offset)
        check_size("Header", data, cls.SIZE, offset)
        (stored,) = _CHECKSUM.unpack_from(data, _LAYOUT.size)
        check_checksum("Header_Checksum", stored, data[: _LAYOUT.size], offset)
        _, major, minor, required, optional, tag, reserved = _LAYOUT.unpack_from(data)
        check_version(major, required, offset)
        check_reserved("Reserved", reserved, offset)
        return cls(major, minor, required, optional, tag)
