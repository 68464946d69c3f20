import hashlib
import io
from pathlib import Path

import pytest

import lmarc
from lmarc.archive.stream import BeginEntry, Data, EndEntry, StreamReader, read_stream
from tests.archive.samples import MEMBERS, make, noise
from tools.craft import SPARSE, Entry, simple


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("archive") / "a").read_bytes()


class Pipe(io.RawIOBase):
    """Gives few bytes at a time and cannot seek."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self._file = io.BytesIO(data)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, self._size) if size >= 0 else self._size)


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_a_stream_gives_every_member(whole: bytes, size: int) -> None:
    names: dict[int, str] = {}
    contents: dict[int, bytearray] = {}
    ended = []
    for event in read_stream(Pipe(whole, size), jobs=2):  # type: ignore[arg-type]
        if isinstance(event, BeginEntry):
            names[event.number] = event.path.decode()
            contents[event.number] = bytearray()
        elif isinstance(event, Data):
            assert event.position == len(contents[event.number])
            contents[event.number] += event.data
        else:
            assert isinstance(event, EndEntry)
            assert event.size == len(contents[event.number])
            ended.append(event.number)
    assert sorted(ended) == list(range(len(MEMBERS)))
    assert {names[number]: bytes(data) for number, data in contents.items()} == MEMBERS


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = make(tmp_path / "a", {"a": b"abc", "b": noise(1, 100)}).read_bytes()
    for size in range(len(data)):
        with pytest.raises(lmarc.FormatError):
            list(read_stream(io.BytesIO(data[:size]), jobs=1))


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    data = make(tmp_path / "a", {"a": b"abc"}).read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 + place % 255
        with pytest.raises(lmarc.LmarcError):
            list(read_stream(io.BytesIO(damaged), jobs=1))


def test_appended_sections_are_read_in_turn(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"a": b"1"})
    with lmarc.appender(path, preset="fast") as out:
        out.add_bytes("b", noise(1, 100_000))
    events = list(read_stream(io.BytesIO(path.read_bytes())))
    assert [event.path for event in events if isinstance(event, BeginEntry)] == [b"a", b"b"]


def test_trailing_bytes_are_refused(whole: bytes) -> None:
    for tail in (b"\0", whole):
        with pytest.raises(lmarc.FormatError):
            list(read_stream(io.BytesIO(whole + tail)))


def test_more_content_than_allowed_is_refused_before_it_is_decoded(whole: bytes) -> None:
    total = sum(map(len, MEMBERS.values()))
    assert list(read_stream(io.BytesIO(whole), max_size=total))
    with pytest.raises(lmarc.LimitError, match="at most"):
        list(read_stream(io.BytesIO(whole), max_size=total - 1))


def test_memory_follows_what_came_not_what_is_declared(whole: bytes) -> None:
    from lmarc.format.record import RecordHeader, RecordType

    tag = int.from_bytes(whole[20:22], "little")
    huge = RecordHeader(RecordType.ENTRIES, 256 << 20, 0, tag)
    with pytest.raises(lmarc.TruncatedError):
        list(read_stream(io.BytesIO(whole[:32] + huge.pack())))


def test_max_size_allows_more_holes_than_usual(tmp_path: Path) -> None:
    digest = hashlib.sha256(bytes(100)).digest()
    data = simple([Entry(b"a", flags=SPARSE, size=100, sha256=digest)]).finish()
    with pytest.raises(lmarc.LimitError, match="holes of 100 bytes"):
        list(StreamReader(io.BytesIO(data), max_holes=99).events())
    assert list(StreamReader(io.BytesIO(data), max_holes=99, max_size=100).events())
