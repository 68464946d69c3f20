import io
from pathlib import Path

import pytest

import lmarc
from lmarc.archive import records
from lmarc.archive.records import Group, RecordWriter
from lmarc.archive.sink import FileSink
from lmarc.format.footer import Footer
from lmarc.format.header import ArchiveHeader
from lmarc.format.record import RecordHeader, RecordType
from tests.archive.samples import MEMBERS, make
from tests.archive.test_scan import records_of


def test_an_archive_without_entries_has_tag_zero() -> None:
    out = io.BytesIO()
    writer = RecordWriter(FileSink(out))
    writer.finish()
    writer.close()
    data = out.getvalue()
    assert ArchiveHeader.unpack(data[:32]).archive_tag == 0
    assert writer.offset == len(data)
    assert Footer.unpack(data[-72:], offset=len(data) - 104).index_offset == 32


def test_the_tag_is_that_of_the_first_entries_record(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    tag = ArchiveHeader.unpack(path.read_bytes()[:32]).archive_tag
    headers = [header for _, header in records_of(path)]
    assert headers[0].record_type == RecordType.ENTRIES
    assert headers[0].payload_checksum & 0xFFFF == tag
    assert {header.archive_tag for header in headers} == {tag}


def test_records_come_in_the_order_of_the_spec(tmp_path: Path) -> None:
    kinds = [header.record_type for _, header in records_of(make(tmp_path / "a"))]
    assert kinds[-2:] == [RecordType.INDEX, RecordType.FOOTER]
    assert set(kinds[1:-2]) == {RecordType.CHUNK}


@pytest.mark.parametrize("rows", [1, 7])
def test_rows_are_flushed_in_batches(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BATCH_ROWS", rows)
    with lmarc.open(make(tmp_path / "a")) as archive:
        assert archive.members["path"].num_chunks == -(-len(MEMBERS) // rows)
        assert [member.name for member in archive] == list(MEMBERS)


def test_a_group_collects_columns() -> None:
    group = Group(7)
    group.begin((b"a", 1, 0o644, 0, 0, 0, b"", b"", b"", ()))
    group.add_pieces(3, [7, 8], [0, 5], [10, 20])
    group.end(7, 1, 10, b"\1" * 32)
    group.end(8)
    assert group.entry_count == 1
    assert group.pieces == [[7, 8], [3, 3], [0, 5], [10, 20]]
    assert group.ends == [[7, 8], [1, 0], [10, 0], [b"\1" * 32, bytes(32)]]


def test_sizes_add_up(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    found = records_of(path)
    offset, last = found[-1]
    assert offset + last.record_size == path.stat().st_size
    assert last.record_size == RecordHeader.SIZE + Footer.SIZE
