"""Line indexes are parsed as they were packed, and nothing else is one."""

import struct

import pytest

from lmarc.errors import CorruptError, TruncatedError
from lmarc.format.lines import LineIndex

INDEX = LineIndex(((0, 1), (2, 2)), struct.pack("<3I", 17, 23, 4))
DATA = bytes.fromhex(
    "0200000000000000 0300000000000000"
    "0000000000000000 0100000000000000 0200000000000000 0200000000000000"
    "11000000 17000000 04000000"
)


def test_pack_and_unpack_are_inverse() -> None:
    assert INDEX.pack() == DATA
    assert LineIndex.unpack(memoryview(DATA)) == INDEX
    assert LineIndex.unpack(LineIndex((), b"").pack()) == LineIndex((), b"")


@pytest.mark.parametrize("size", range(len(DATA)))
def test_every_truncation_is_noticed(size: int) -> None:
    with pytest.raises(TruncatedError):
        LineIndex.unpack(DATA[:size])


@pytest.mark.parametrize(
    ("runs", "lines", "match"),
    [
        (((0, 0),), 0, "run of 0 pieces"),
        (((5, 1), (5, 1)), 2, "run of 1 pieces from 5 does not follow on 6"),
        (((5, 1), (2, 1)), 2, "from 2 does not follow on 6"),
        (((2**63, 1),), 1, "run of 1 pieces"),
        (((0, 2**64 - 1),), 1, "run of"),
        (((0, 2),), 1, "have 2 pieces, Piece_Count is 1"),
    ],
)
def test_unpack_rejects(runs: tuple[tuple[int, int], ...], lines: int, match: str) -> None:
    with pytest.raises(CorruptError, match=match):
        LineIndex.unpack(LineIndex(runs, bytes(4 * lines)).pack(), offset=7)


def test_unpack_rejects_what_stands_behind() -> None:
    with pytest.raises(CorruptError, match="has 61 bytes, expected 60"):
        LineIndex.unpack(DATA + b"!")
