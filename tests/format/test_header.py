import struct

import pytest

from lmarc.errors import CorruptError, NotAnArchiveError, TruncatedError, UnsupportedVersionError
from lmarc.format._fields import checksum
from lmarc.format.header import MAGIC, ArchiveHeader


def header(*fields: int) -> bytes:
    data = struct.pack("<8sHHIIHH", MAGIC, *fields)
    return data + struct.pack("<Q", checksum(data))


def test_magic_survives_no_text_mode_transfer() -> None:
    assert MAGIC[0] >= 0x80
    assert MAGIC.endswith(b"\r\n")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x8dLMARC\n", b"x" * 32])
def test_unpack_names_what_is_no_archive(data: bytes) -> None:
    with pytest.raises(NotAnArchiveError, match="Magic is"):
        ArchiveHeader.unpack(data)


def test_unpack_calls_a_cut_header_truncated() -> None:
    with pytest.raises(TruncatedError):
        ArchiveHeader.unpack(ArchiveHeader().pack()[:20])


def test_unpack_refuses_a_newer_major_version() -> None:
    with pytest.raises(UnsupportedVersionError, match="Version_Major is 2"):
        ArchiveHeader.unpack(header(2, 0, 0, 0, 0, 0))


def test_unpack_names_the_unknown_required_bit() -> None:
    with pytest.raises(UnsupportedVersionError, match="bit 5 is set"):
        ArchiveHeader.unpack(header(1, 0, 1 << 5, 0, 0, 0))


def test_unpack_ignores_unknown_optional_bits_and_minor_versions() -> None:
    assert ArchiveHeader.unpack(header(1, 9, 0, 0xFFFF_FFFF, 0, 0)).version_minor == 9


def test_unpack_checks_the_reserved_field() -> None:
    with pytest.raises(CorruptError, match="reserved"):
        ArchiveHeader.unpack(header(1, 0, 0, 0, 0, 1))
