"""Extraction from an archive and from a stream; the whole program's tests are in tests/cli."""

import inspect
import os
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.archive import extract
from lmarc.errors import CorruptError, LimitError, LmarcError, MemberNotFoundError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive of members that share chunks, links among them."""
    with lmarc.Writer(tmp_path / "a", chunk_size=4096, preset="fast") as out:
        out.add_directory("d", mtime=5 * 10**9, mode=0o700)
        for number in range(40):
            out.add_bytes(f"d/{number:02}", os.urandom(300 + 97 * number), mtime=number * 10**9)
        out.add_bytes("d/empty", b"")
        out.add_link("d/hard", "d/07", hard=True)
        out.add_link("d/hard2", "d/07", hard=True)
        out.add_link("d/soft", "07")
    return tmp_path / "a"


def _same(path: Path, folder: Path) -> bool:
    with lmarc.open(path) as archive:
        return all(
            (folder / member.name).read_bytes() == archive.read(member.name)
            for member in archive
            if member.is_file()
        )


@pytest.mark.parametrize("jobs", [1, 3])
def test_members_come_back(path: Path, tmp_path: Path, jobs: int) -> None:
    warnings: list[str] = []
    seen: list[tuple[int, int]] = []
    expected: list[int] = []
    with lmarc.open(path) as archive:
        done = archive.extract(
            tmp_path / "new",
            jobs=jobs,
            warn=warnings.append,
            progress=lambda read, written: seen.append((read, written)),
            expect=expected.append,
        )
    assert (done.member_count, warnings) == (45, [])
    assert _same(path, tmp_path / "new")
    assert seen == sorted(seen)
    assert expected == [done.size] == [seen[-1][1]]
    folder = tmp_path / "new" / "d"
    assert (folder / "hard").samefile(folder / "07")
    assert (folder / "hard2").samefile(folder / "07")
    assert os.readlink(folder / "soft") == "07"
    assert folder.stat().st_mtime_ns == 5 * 10**9
    assert (folder / "07").stat().st_mtime_ns == 7 * 10**9


def test_a_stream_gives_the_same(path: Path, tmp_path: Path) -> None:
    with open(path, "rb") as stream:
        done = lmarc.extract_stream(stream, tmp_path / "new", jobs=2)
    assert done.member_count == 45
    assert _same(path, tmp_path / "new")
    assert (tmp_path / "new" / "d" / "hard").samefile(tmp_path / "new" / "d" / "07")


def test_links_without_their_file_share_a_new_one(path: Path, tmp_path: Path) -> None:
    with lmarc.open(path) as archive:
        archive.extract(tmp_path / "new", globs=["d/hard*"])
        content = archive.read("d/07")
    folder = tmp_path / "new" / "d"
    assert sorted(os.listdir(folder)) == ["hard", "hard2"]
    assert (folder / "hard").samefile(folder / "hard2")
    assert (folder / "hard").read_bytes() == content


def test_only_chunks_that_are_wanted_are_read(path: Path, tmp_path: Path) -> None:
    with lmarc.open(path) as archive:
        asked: list[list[int]] = []
        decode = archive.decode_chunks

        def watched(
            chunks: Iterable[int], **options: Any
        ) -> Generator[memoryview | LmarcError, None, None]:
            asked.append(list(chunks))
            return decode(asked[-1], **options)

        archive.decode_chunks = watched  # type: ignore[method-assign]
        archive.extract(tmp_path / "new", globs=["d/05"])
    assert len(asked[0]) == 1


def test_damage_costs_the_members_in_the_chunk(path: Path, tmp_path: Path) -> None:
    with lmarc.open(path) as archive:
        pieces = archive.piece_arrays()
        lost = set(pieces.entry[pieces.chunk == 2].tolist())
        offset = archive.describe_chunks([2])[0]["offset"]
        names = {member.path for member in archive if member.number in lost}
        files = {member.path for member in archive if member.is_file()}
    data = bytearray(path.read_bytes())
    data[offset + 90] ^= 4
    path.write_bytes(data)
    warnings: list[str] = []
    with lmarc.open(path) as archive, pytest.raises(CorruptError):
        archive.extract(tmp_path / "new", warn=warnings.append)
    found = {
        b"d/" + name
        for name in os.listdir(os.fsencode(tmp_path / "new" / "d"))
        if name not in (b"hard", b"hard2", b"soft")
    }
    assert found == files - names
    assert len([text for text in warnings if "not extracted: " in text]) == len(lost)


def test_limits_and_missing_names_are_errors(path: Path, tmp_path: Path) -> None:
    with lmarc.open(path) as archive:
        with pytest.raises(LimitError):
            archive.extract(tmp_path / "new", max_size=1000)
        assert not (tmp_path / "new").exists()
        with pytest.raises(MemberNotFoundError, match="nope"):
            archive.extract(tmp_path / "new", globs=["d/00", "nope"])
        assert os.listdir(tmp_path / "new" / "d") == ["00"]


def _by_index(path: Path, target: Path) -> None:
    with lmarc.open(path) as archive:
        archive.extract(target)


def _by_pipe(path: Path, target: Path) -> None:
    with path.open("rb") as file:
        lmarc.extract_stream(file, target)


@pytest.mark.parametrize("extract", [_by_index, _by_pipe])
def test_an_extraction_that_fails_leaves_no_generator_to_the_collector(
    tmp_path: Path, extract: Callable[[Path, Path], None]
) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_bytes("link/file", b"content")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "link").symlink_to(tmp_path)
    with pytest.raises(lmarc.UnsafePathError) as caught:
        extract(tmp_path / "a", tmp_path / "new")
    frames = traceback.walk_tb(caught.value.__traceback__)
    values = [value for frame, _ in frames for value in frame.f_locals.values()]
    generators = [value for value in values if inspect.isgenerator(value)]
    assert generators
    assert all(inspect.getgeneratorstate(g) == inspect.GEN_CLOSED for g in generators)


def test_members_are_begun_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them would not fit into memory as rows."""
    with lmarc.Writer(tmp_path / "a", preset="fast", chunk_size=4096) as out:
        for number in range(3000):
            out.add_bytes(f"d/{number:04}", b"%04d!" % number)
    largest = 0
    begun = extract._Plan.rows

    def rows(plan: extract._Plan, numbers: extract.Integers) -> Iterator[Any]:
        nonlocal largest
        largest = max(largest, len(numbers))
        return begun(plan, numbers)

    monkeypatch.setattr(extract._Plan, "rows", rows)
    monkeypatch.setattr(extract, "_BATCH", 100)
    with lmarc.open(tmp_path / "a") as archive:
        assert len(archive.chunks()) > 2
        archive.extract(tmp_path / "new")
    assert largest == 100
    contents = {path.name: path.read_bytes() for path in (tmp_path / "new" / "d").iterdir()}
    assert contents == {f"{number:04}": b"%04d!" % number for number in range(3000)}
