"""One table of records and their bytes drives pack, unpack, every truncation and trailing data."""

from typing import Any

import pytest

from lmarc.errors import FormatError, NotAnArchiveError, TruncatedError
from lmarc.format.chunk import ChunkHeader
from lmarc.format.entries import EntriesHeader
from lmarc.format.footer import Footer
from lmarc.format.header import ArchiveHeader
from lmarc.format.index import IndexHeader
from lmarc.format.model import ModelHeader, ModelKind
from lmarc.format.record import RecordHeader, RecordType

SHA256 = bytes(range(32))

RECORDS: list[tuple[Any, str]] = [
    (
        ArchiveHeader(),
        "8d4c4d4152430d0a 0100 0000 00000000 00000000 0000 0000 473e2f5fd7e45f44",
    ),
    (
        ArchiveHeader(1, 7, 0, 0x8000_0001, 0x5D8F),
        "8d4c4d4152430d0a 0100 0700 00000000 01000080 8f5d 0000 93cf5a7c0af0fbab",
    ),
    (
        RecordHeader.of(RecordType.CHUNK, b"x" * 29, 0),
        "f14c4d52 01 00 0000 1d00000000000000 7e28976f4f254580 81e38ce3d4467f89",
    ),
    (
        RecordHeader(RecordType.FOOTER, 72, 2**64 - 1, 0x5D8F),
        "f14c4d52 05 00 8f5d 4800000000000000 ffffffffffffffff 184c3fa8f2cccee6",
    ),
    (
        ChunkHeader(7, 1 << 24, 0x0123_4567_89AB_CDEF, 2, 0, 1),
        "0700000000000000 efcdab8967452301 00000001 0200 0000 01 000000",
    ),
    (ChunkHeader(0, 1, 0, 0), "0000000000000000 0000000000000000 01000000 0000 ffff 00 000000"),
    (
        ModelHeader(0, ModelKind.DICTIONARY, True, 1024, SHA256),
        "0000 01 01 00000000 0004000000000000" + SHA256.hex(),
    ),
    (
        ModelHeader(0xFFFE, ModelKind.NEURAL, False, 1 << 28, b"\xff" * 32),
        "feff 03 00 00000000 0000001000000000" + "ff" * 32,
    ),
    (EntriesHeader(1, 2, 3), "0100000000000000 0200000000000000 0300000000000000"),
    (
        IndexHeader(1_000_000, 2, 3, 4),
        "40420f0000000000 0200000000000000 0300000000000000 0400000000000000",
    ),
    (
        Footer(32, 1000, SHA256, 1, 0, 0, 5),
        "2000000000000000 e803000000000000"
        + SHA256.hex()
        + "0100 0000 00000000 05000000 00000000 0d0a4352414d4c8d",
    ),
]
CASES = pytest.mark.parametrize(("record", "text"), RECORDS)


def offset_of(record: object) -> int:
    """Where a record must stand to be valid: only a Footer knows its own offset."""
    return 1032 if isinstance(record, Footer) else 0


@CASES
def test_pack_gives_the_bytes(record: Any, text: str) -> None:
    assert record.pack() == bytes.fromhex(text)
    assert len(record.pack()) == record.SIZE


@CASES
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_unpack_gives_the_record(record: Any, text: str, kind: type) -> None:
    data = kind(bytes.fromhex(text))
    assert type(record).unpack(data, offset=offset_of(record)) == record


@CASES
def test_unpack_rejects_every_truncation(record: Any, text: str) -> None:
    data = bytes.fromhex(text)
    for size in range(len(data)):
        with pytest.raises((TruncatedError, NotAnArchiveError)):
            type(record).unpack(data[:size], offset=offset_of(record))


@CASES
def test_unpack_rejects_trailing_data(record: Any, text: str) -> None:
    with pytest.raises(FormatError):
        type(record).unpack(bytes.fromhex(text) + b"\0", offset=offset_of(record))


@pytest.mark.parametrize(
    ("record", "text"),
    [case for case in RECORDS if isinstance(case[0], ArchiveHeader | RecordHeader)],
)
def test_unpack_notices_every_flipped_bit(record: Any, text: str) -> None:
    data = bytes.fromhex(text)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            type(record).unpack(damaged)
