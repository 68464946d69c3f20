"""The content of members, one after the other."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmarc
from lmarc.archive.content import copy_members, copy_stream, read_spans
from lmarc.errors import CorruptError, LimitError, MemberNotFoundError


def _contents() -> dict[str, bytes]:
    """Members of several classes and sizes, whose chunks take turns in an archive."""
    generator = random.Random(7)
    contents = {}
    for number in range(60):
        size = generator.choice([0, 1, 100, 5000, 20_000])
        if number % 3:
            contents[f"{number:02}.txt"] = b"".join(
                b"line %d of many\n" % generator.randrange(99) for _ in range(size // 16)
            )
        else:
            contents[f"{number:02}.bin"] = generator.randbytes(size)
    return contents


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return _contents()


@pytest.fixture
def archive(tmp_path: Path, contents: dict[str, bytes]) -> Iterator[lmarc.Archive]:
    with lmarc.Writer(tmp_path / "a", chunk_size=4096, preset="fast") as out:
        for name, content in contents.items():
            out.add_bytes(name, content)
        out.add_link("hard", "01.txt", hard=True)
    with lmarc.open(tmp_path / "a") as archive:
        yield archive


class _Slow(io.BytesIO):
    """Takes only a few bytes at once, as a pipe may."""

    def write(self, data: object) -> int:
        return super().write(memoryview(data)[:1000])  # type: ignore[arg-type]


def test_everything_comes_in_order(archive: lmarc.Archive, contents: dict[str, bytes]) -> None:
    expected = b"".join(contents.values())
    for out in (io.BytesIO(), _Slow()):
        assert copy_members(archive, out) == (len(contents), len(expected))
        assert out.getvalue() == expected


def test_a_stream_gives_the_same(
    archive: lmarc.Archive, contents: dict[str, bytes], tmp_path: Path
) -> None:
    out = _Slow()
    with open(tmp_path / "a", "rb") as stream:
        copy_stream(stream, out)
    assert out.getvalue() == b"".join(contents.values())


def test_globs_select_also_from_a_stream(
    archive: lmarc.Archive, contents: dict[str, bytes], tmp_path: Path
) -> None:
    expected = b"".join(content for name, content in contents.items() if name.endswith("bin"))
    one, two = io.BytesIO(), io.BytesIO()
    copy_members(archive, one, globs=["*.bin"])
    with open(tmp_path / "a", "rb") as stream:
        copy_stream(stream, two, globs=["*.bin"])
    assert one.getvalue() == two.getvalue() == expected
    with pytest.raises(MemberNotFoundError, match="nope"):
        copy_members(archive, one, globs=["nope"])


def test_a_hard_link_gives_its_files_content_once(
    archive: lmarc.Archive, contents: dict[str, bytes]
) -> None:
    out = io.BytesIO()
    copy_members(archive, out, globs=["hard"])
    copy_members(archive, out, globs=["hard", "01.txt"])
    copy_members(archive, out, names=["hard"])
    assert out.getvalue() == contents["01.txt"] * 3


def test_names_and_ranges_are_exact(archive: lmarc.Archive, contents: dict[str, bytes]) -> None:
    names = sorted(contents, reverse=True)
    for start, end in ((None, None), (3, 9000), (-4100, -1), (None, 0), (10**9, None)):
        out = io.BytesIO()
        copy_members(archive, out, names=names, start=start, end=end)
        assert out.getvalue() == b"".join(contents[name][start:end] for name in names)


def test_holes_are_zeros(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"x" * 4096)
    lmarc.create(tmp_path / "a", ["sparse"], directory=tmp_path, preset="fast")
    content = (tmp_path / "sparse").read_bytes()
    with lmarc.open(tmp_path / "a") as archive:
        out = io.BytesIO()
        copy_members(archive, out)
        assert out.getvalue() == content
        part = b"".join(read_spans(archive, [(0, 1_000_000, 1_100_000)]))
        assert part == content[1_000_000:1_100_000]
    with open(tmp_path / "a", "rb") as stream:
        out = io.BytesIO()
        copy_stream(stream, out)
        assert out.getvalue() == content


def test_no_more_is_written_than_allowed(
    archive: lmarc.Archive, contents: dict[str, bytes], tmp_path: Path
) -> None:
    out = io.BytesIO()
    with pytest.raises(LimitError):
        copy_members(archive, out, max_size=1000)
    with pytest.raises(LimitError), open(tmp_path / "a", "rb") as stream:
        copy_stream(stream, out, max_size=1000)
    assert out.getvalue() == b""


def test_damage_is_an_error(archive: lmarc.Archive, tmp_path: Path) -> None:
    offset = archive.describe_chunks([1])[0]["offset"]
    data = bytearray((tmp_path / "a").read_bytes())
    data[offset + 80] ^= 1
    (tmp_path / "b").write_bytes(data)
    with lmarc.open(tmp_path / "b") as damaged, pytest.raises(CorruptError):
        copy_members(damaged, io.BytesIO())
