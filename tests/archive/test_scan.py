from pathlib import Path

import pytest

from lmarc.archive import scan as scan_module
from lmarc.archive.scan import scan
from lmarc.archive.source import LocalSource
from lmarc.format.record import RecordHeader
from tests.archive.samples import make


def records_of(path: Path) -> list[tuple[int, RecordHeader]]:
    """Return offset and header of each record, walking from one to the next."""
    data = path.read_bytes()
    place, found = 32, []
    while place < len(data):
        header = RecordHeader.unpack(data[place : place + 32], offset=place)
        found.append((place, header))
        place += header.record_size
    return found


def test_a_scan_finds_what_a_walk_finds(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    found = scan(LocalSource(str(path)), path.stat().st_size)
    assert [(record.offset, record.header) for record in found.records] == records_of(path)
    assert all(record.intact for record in found.records)
    assert found.lost_size == 0


@pytest.mark.parametrize("block", [64, 1000, 1 << 20])
def test_records_behind_damage_are_found(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "_BLOCK", block)
    path = make(tmp_path / "a")
    records = records_of(path)
    data = bytearray(path.read_bytes())
    broken = [0, 3, 4, len(records) - 1]
    for number in broken:
        data[records[number][0] + 5] ^= 1
    data[:4] = b"gone"
    path.write_bytes(data)
    found = scan(LocalSource(str(path)), len(data))
    expected = [record for number, record in enumerate(records) if number not in broken]
    assert [(record.offset, record.header) for record in found.records] == expected
    assert found.lost_size == sum(records[number][1].record_size for number in broken)


def test_a_damaged_payload_is_said_to_be(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    records = records_of(path)
    data = bytearray(path.read_bytes())
    data[records[2][0] + 40] ^= 1
    path.write_bytes(data)
    found = scan(LocalSource(str(path)), len(data))
    assert [record.intact for record in found.records].index(False) == 2
    assert len(found.records) == len(records)
