import io
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmarc
from tests.archive.samples import CHUNK_SIZE, make, text

LINES = b"".join(b"%d %s\n" % (n, text(n, n % 90)) for n in range(3000))
DATA = {"lines": LINES, "utf-8": "zwölf\r\nBoxkämpfer\n".encode() * 2000, "empty": b""}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> lmarc.Archive:
    return lmarc.open(make(tmp_path_factory.mktemp("archive") / "a", DATA))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["seek", "read", "read1", "readline", "readinto", "peek", "end"]),
        st.integers(-1, 60_000),
    ),
    max_size=12,
)


@given(STEPS)
@settings(deadline=None)
def test_a_member_reads_as_a_file_does(
    archive: lmarc.Archive, steps: list[tuple[str, int]]
) -> None:
    file, expected = archive.open("lines"), io.BytesIO(LINES)
    for step, size in steps:
        if step == "seek":
            assert file.seek(max(0, size)) == expected.seek(max(0, size))
        elif step == "end":
            assert file.seek(-size if size > 0 else size + 1, 2) == expected.seek(
                -size if size > 0 else size + 1, 2
            )
        elif step == "read1":
            data = file.read1(size)  # type: ignore[attr-defined]
            assert data == expected.read(len(data))
            assert data or size == 0 or expected.tell() >= len(LINES)
        elif step == "peek":
            assert LINES[file.tell() :].startswith(file.peek())  # type: ignore[attr-defined]
        elif step == "readinto":
            buffer = bytearray(max(0, size))
            count = file.readinto(buffer)  # type: ignore[attr-defined]
            assert buffer[:count] == expected.read(max(0, size))
        else:
            assert getattr(file, step)(size) == getattr(expected, step)(size)
        assert file.tell() == expected.tell()


def test_lines_are_lines(archive: lmarc.Archive) -> None:
    assert list(archive.open("lines")) == LINES.splitlines(keepends=True)
    assert archive.open("empty").readlines() == []


def test_text_has_an_encoding_and_newlines(archive: lmarc.Archive) -> None:
    with archive.open("utf-8", "r") as file:
        assert file.readline() == "zwölf\n"
        assert file.readline() == "Boxkämpfer\n"
    with archive.open("utf-8", "rt", encoding="latin-1", newline="") as file:
        assert file.readline() == "zwÃ¶lf\r\n"
    with pytest.raises(ValueError, match="for text"):
        archive.open("lines", "rb", encoding="utf-8")
    with pytest.raises(ValueError, match="mode is"):
        archive.open("lines", "w")  # type: ignore[arg-type]


def test_a_file_object_is_seekable_and_read_only(archive: lmarc.Archive) -> None:
    file = archive.open("lines")
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert file.name == "lines"
    assert file.seek(10**9) == 10**9
    assert file.read() == b""
    assert file.read(5) == b""
    for bad in ((-1, 0), (-(10**9), 2), (0, 9)):
        with pytest.raises(ValueError, match="expected"):
            file.seek(*bad)
    with pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with pytest.raises(io.UnsupportedOperation):
        file.detach()  # type: ignore[attr-defined]
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_a_pickled_file_goes_on_where_it_was(archive: lmarc.Archive) -> None:
    file = archive.open("lines")
    file.seek(12_345)
    copy = pickle.loads(pickle.dumps(file))
    assert copy.read() == LINES[12_345:]


def test_members_know_what_they_are(archive: lmarc.Archive) -> None:
    member = archive.info("lines")
    assert member.is_file()
    assert (member.is_dir(), member.is_symlink(), member.is_hardlink()) == (False, False, False)
    assert member.name == "lines"
    with pytest.raises(AttributeError):
        member.size = 5  # type: ignore[misc]


def test_who_comes_from_elsewhere_has_a_chunk_decoded_as_far_as_that(tmp_path: Path) -> None:
    content = text(21, 40_000)
    path = make(tmp_path / "a", {"prose": content}, preset="balanced")
    with lmarc.open(path) as archive, archive.open("prose") as file:
        reader = archive.chunk_reader
        file.seek(17_000)
        assert file.read(100) == content[17_000:17_100]
        assert reader.cached(1) is None
        assert file.read(100) == content[17_100:17_200]
        assert reader.cached(1) == content[CHUNK_SIZE : 2 * CHUNK_SIZE]
        file.seek(17_050)
        assert file.read(10) == content[17_050:17_060]


def test_large_reads_that_go_on_decode_chunks_whole(tmp_path: Path) -> None:
    content = text(22, 300_000)
    path = make(tmp_path / "a", {"prose": content}, preset="balanced", chunk_size=150_000)
    with lmarc.open(path) as archive, archive.open("prose") as file:
        reader = archive.chunk_reader
        assert file.read(100_000) == content[:100_000]
        assert reader.cached(0) is None
        assert file.read(80_000) == content[100_000:180_000]
        assert [reader.cached(chunk) is not None for chunk in (0, 1)] == [True, True]
        assert file.read() == content[180_000:]
