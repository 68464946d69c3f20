import struct

import pytest

from lmarc.errors import CorruptError, LimitError, TruncatedError
from lmarc.format.tables import TablesHeader


def sizes(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def test_pack_and_unpack_agree() -> None:
    header = TablesHeader((10, 20), (100, 200))
    assert header.pack() == sizes(10, 100, 20, 200)
    assert TablesHeader.unpack(header.pack(), count=2, tables_size=30) == header


@pytest.mark.parametrize(
    ("data", "tables_size", "error"),
    [
        (sizes(10, 100, 20), 30, TruncatedError),
        (sizes(10, 100, 20, 200, 1), 30, CorruptError),
        (sizes(10, 100, 20, 200), 31, CorruptError),
        (sizes(0, 100, 30, 200), 30, CorruptError),
        (sizes(10, 0, 20, 200), 30, CorruptError),
        (sizes(10, 65_536 + 10_240 + 1, 20, 200), 30, LimitError),
        (sizes(1 << 33, (4 << 30) + 1, 20, 200), 30, LimitError),
    ],
)
def test_unpack_rejects(data: bytes, tables_size: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        TablesHeader.unpack(data, count=2, tables_size=tables_size)
