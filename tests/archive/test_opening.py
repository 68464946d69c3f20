from pathlib import Path

import pytest

import lmarc
from lmarc.archive.opening import complete_end, find_ending
from lmarc.archive.source import LocalSource
from lmarc.format._fields import checksum
from lmarc.format.record import RecordHeader, RecordType, pack_record
from tests.archive.samples import make, noise


class Counting(LocalSource):
    """Counts reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, end: int) -> bytes:
        self.reads.append((start, end))
        return super().read(start, end)


def test_a_small_index_costs_one_read(tmp_path: Path) -> None:
    source = Counting(make(tmp_path / "a"))
    ending = find_ending(source)
    assert len(source.reads) == 1
    assert len(ending.index) == ending.footer.index_size
    assert ending.size == source.total()


def test_a_large_index_costs_two(tmp_path: Path) -> None:
    source = Counting(make(tmp_path / "a", {str(n): noise(n, 20) for n in range(2000)}))
    ending = find_ending(source)
    assert len(source.reads) == 2
    assert sum(end - start for start, end in source.reads) <= ending.footer.index_size + 104


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", lmarc.NotAnArchiveError),
        (b"text", lmarc.NotAnArchiveError),
        (b"PK\x03\x04" + bytes(100_000), lmarc.NotAnArchiveError),
        (b"\r\nCRAML\x8d", lmarc.NotAnArchiveError),
        (b"\x8dLMARC\r\n", lmarc.TruncatedError),
        (b"\x8dLMARC\r\n" + bytes(100_000), lmarc.CorruptError),
        (bytes(100_000) + b"\r\nCRAML\x8d", lmarc.CorruptError),
    ],
)
def test_what_stands_there_instead_is_named(
    data: bytes, error: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(error):
        lmarc.open(tmp_path / "a")


def test_a_newer_version_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    data = path.read_bytes()
    payload = bytearray(data[-72:])
    tag = RecordHeader.unpack(data[-104:-72]).archive_tag
    for place, match in ((48, "Version_Major is 3"), (52, "required feature bit 1")):
        changed = bytearray(payload)
        changed[place] ^= 2
        record = pack_record(RecordType.FOOTER, bytes(changed), tag)
        path.write_bytes(data[:-104] + record)
        with pytest.raises(lmarc.UnsupportedVersionError, match=match):
            lmarc.open(path)


def test_an_index_without_its_hash_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    data = bytearray(path.read_bytes())
    data[-72 + 20] ^= 1
    header = RecordHeader(
        RecordType.FOOTER, 72, checksum(data[-72:]), int.from_bytes(data[-98:-96], "little")
    )
    data[-104:-72] = header.pack()
    path.write_bytes(data)
    with pytest.raises(lmarc.CorruptError, match="SHA-256"):
        lmarc.open(path)


def test_the_last_complete_footer_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    ends = [path.stat().st_size]
    for number in range(2):
        with lmarc.appender(path, preset="fast") as out:
            out.add_bytes(f"n{number}", b"2")
        ends.append(path.stat().st_size)
    source = LocalSource(str(path))
    tag = find_ending(source).archive_tag
    for size in range(ends[0] - 1, ends[2] + 1):
        expected = max((end for end in ends if end <= size), default=None)
        assert complete_end(source, size, tag) == expected
    assert complete_end(source, ends[2], tag ^ 1) is None
