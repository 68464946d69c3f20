import struct

import pytest

from lmarc.errors import CorruptError, LimitError
from lmarc.format._fields import checksum
from lmarc.format.chunk import ChunkHeader
from lmarc.format.limits import MAX_CHUNK_CONTENT

LAYOUT = struct.Struct("<QQIHHB3s")


@pytest.mark.parametrize(
    ("size", "reserved", "error"),
    [
        (0, b"\0\0\0", CorruptError),
        (MAX_CHUNK_CONTENT + 1, b"\0\0\0", LimitError),
        (1, b"\1\0\0", CorruptError),
        (1, b"\0\0\1", CorruptError),
    ],
)
def test_unpack_rejects(size: int, reserved: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ChunkHeader.unpack(LAYOUT.pack(0, 0, size, 0, 0xFFFF, 0, reserved))


def test_unpack_passes_over_unknown_codecs_and_classes() -> None:
    header = ChunkHeader.unpack(LAYOUT.pack(0, 0, 1, 999, 0xFFFF, 77, bytes(3)))
    assert (header.codec, header.content_class) == (999, 77)


def test_check_content_notices_size_and_checksum() -> None:
    header = ChunkHeader(0, 3, checksum(b"abc"), 0)
    header.check_content(b"abc")
    with pytest.raises(CorruptError, match="decodes to 2 bytes"):
        header.check_content(b"ab")
    with pytest.raises(CorruptError, match="Content_Checksum"):
        header.check_content(b"abd")


def test_overhead_is_under_64_bytes_a_chunk() -> None:
    assert ChunkHeader.OVERHEAD == 60
