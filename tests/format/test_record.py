import struct

import pytest

from lmarc.errors import CorruptError, LimitError, TruncatedError
from lmarc.format._fields import checksum
from lmarc.format.limits import MAX_CHUNK_CONTENT
from lmarc.format.record import RECORD_MAGIC, RecordHeader, RecordType, pack_record


def header(number: int, flags: int, tag: int, payload_size: int) -> bytes:
    data = struct.pack("<4sBBHQQ", RECORD_MAGIC, number, flags, tag, payload_size, 0)
    return data + struct.pack("<Q", checksum(data))


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ((1, 1, 0, 29), CorruptError, "Record_Flags"),
        ((1, 0, 1, 29), CorruptError, "Archive_Tag is 1"),
        ((0, 0, 0, 29), CorruptError, "Record_Type is 0"),
        ((6, 0, 0, 29), CorruptError, "Record_Type is 6"),
        ((1, 0, 0, 28), CorruptError, "Payload_Size is 28"),
        ((1, 0, 0, 29 + MAX_CHUNK_CONTENT), LimitError, "CHUNK has at most"),
        ((2, 0, 0, 1 << 40), LimitError, "ENTRIES has at most"),
        ((3, 0, 0, 1 << 63), LimitError, "MODEL has at most"),
        ((4, 0, 0, 1 << 40), LimitError, "INDEX has at most"),
        ((5, 0, 0, 73), LimitError, "FOOTER has at most 72"),
    ],
)
def test_unpack_rejects(
    fields: tuple[int, int, int, int], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        RecordHeader.unpack(header(*fields)).check_tag(0)


def test_check_payload_notices_damage_and_truncation() -> None:
    record = pack_record(RecordType.CHUNK, b"x" * 30, 0)
    parsed = RecordHeader.unpack(record[:32])
    assert parsed.record_size == len(record) == 62
    parsed.check_payload(record[32:])
    with pytest.raises(CorruptError, match="Payload_Checksum"):
        parsed.check_payload(b"y" + record[33:])
    with pytest.raises(TruncatedError):
        parsed.check_payload(record[32:-1])


def test_errors_say_where() -> None:
    with pytest.raises(CorruptError, match=r"\(at byte 4096\)$"):
        RecordHeader.unpack(bytes(32), offset=4096)
