"""Damage of every byte and every truncation of an archive is noticed, and harms nothing else."""

import io
from pathlib import Path

import pytest

import lmarc
from tools import good_archives
from tools.craft import ZSTD, Builder, Chunk, Entry, Piece, file, simple


def whole() -> bytes:
    """Return an archive with every type of record."""
    builder = Builder()
    builder.model(good_archives.text(1, 30))
    builder.group([file(b"a", b"first")], [Chunk(b"first")], [Piece(0, 0, 0, 5)])
    return builder.finish()


def appended() -> bytes:
    """Return an archive that was appended to."""
    builder = simple([(Entry(b"a"), b"first"), (Entry(b"b"), b"")])
    builder.index()
    builder.model(good_archives.text(1, 100))
    content = good_archives.text(2, 200)
    builder.group([file(b"c", content)], [Chunk(content, ZSTD)], [Piece(2, 1, 0, 200)])
    return builder.finish()


WHOLE = whole()
APPENDED = appended()
FIRST_SECTION = simple([(Entry(b"a"), b"first"), (Entry(b"b"), b"")]).finish()
# Every place of the one, some places of the other.
DAMAGED = [(WHOLE, place) for place in range(len(WHOLE))]
DAMAGED += [(APPENDED, place) for place in range(len(FIRST_SECTION) + 1, len(APPENDED), 13)]


def assert_noticed(data: bytes, path: Path) -> None:
    """Assert that verifying `data` raises an error of lmarc, and nothing else."""
    path.write_bytes(data)
    with pytest.raises(lmarc.LmarcError), lmarc.open(str(path)) as archive:
        archive.verify()


def assert_noticed_by_a_pipe(data: bytes) -> None:
    """Assert that reading `data` in one pass raises an error of lmarc."""
    with pytest.raises(lmarc.LmarcError):
        for _ in lmarc.read_stream(io.BytesIO(data)):
            pass


@pytest.mark.parametrize("data", [WHOLE, APPENDED])
def test_the_archives_are_lawful(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "archive.lmarc"
    path.write_bytes(data)
    with lmarc.open(str(path)) as archive:
        archive.verify()
    assert sum(1 for _ in lmarc.read_stream(io.BytesIO(data)))


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    for data, size in DAMAGED:
        assert_noticed(data[:size], tmp_path / "archive.lmarc")


def test_every_truncation_is_noticed_by_a_pipe() -> None:
    for data, size in DAMAGED:
        assert_noticed_by_a_pipe(data[:size])


def test_what_is_cut_back_to_its_first_footer_is_the_archive_before(tmp_path: Path) -> None:
    assert APPENDED.startswith(FIRST_SECTION)
    path = tmp_path / "archive.lmarc"
    path.write_bytes(APPENDED[: len(FIRST_SECTION)])
    with lmarc.open(str(path)) as archive:
        archive.verify()
        assert archive.members["path"].to_pylist() == [b"a", b"b"]


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    for data, place in DAMAGED:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        assert_noticed(bytes(changed), tmp_path / "archive.lmarc")


def test_every_changed_byte_is_noticed_by_a_pipe() -> None:
    for data, place in DAMAGED:
        changed = bytearray(data)
        changed[place] ^= 0x80 >> place % 8
        assert_noticed_by_a_pipe(bytes(changed))


@pytest.mark.parametrize("size", [1, 32, 104, 2048])
def test_bytes_behind_the_end_are_noticed(size: int, tmp_path: Path) -> None:
    for extra in (bytes(size), WHOLE[:size], WHOLE[-size:]):
        assert_noticed(WHOLE + extra, tmp_path / "archive.lmarc")


def test_bytes_that_are_missing_or_added_are_noticed(tmp_path: Path) -> None:
    for place in range(0, len(WHOLE), 61):
        assert_noticed(WHOLE[:place] + WHOLE[place + 1 :], tmp_path / "archive.lmarc")
        assert_noticed(WHOLE[:place] + b"\0" + WHOLE[place:], tmp_path / "archive.lmarc")


def test_damage_of_one_chunk_leaves_the_other_members_readable(tmp_path: Path) -> None:
    path = tmp_path / "archive.lmarc"
    place = APPENDED.index(b"first")
    path.write_bytes(APPENDED[:place] + b"F" + APPENDED[place + 1 :])
    with lmarc.open(str(path)) as archive:
        with pytest.raises(lmarc.CorruptError):
            archive.read("a")
        assert archive.read("b") == b""
        assert archive.read("c") == good_archives.text(2, 200)
