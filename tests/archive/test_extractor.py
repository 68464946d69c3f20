"""Members onto the file system, without an archive."""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lmarc.archive.extractor import Extractor
from lmarc.archive.globs import Selection
from lmarc.archive.walk import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.errors import LimitError, UnsafePathError

MTIME = 1_234_567_890_123_456_789


@dataclass
class Entry:
    path: bytes
    type: int = FILE
    mode: int = 0o644
    mtime: int = MTIME
    uid: int = -1
    gid: int = -1
    user: bytes = b""
    group: bytes = b""
    link_target: bytes = b""
    xattrs: list[tuple[bytes, bytes]] = field(default_factory=list)
    content: bytes = b""
    size: int | None = None


def _extract(directory: Path, entries: list[Entry], **options: object) -> list[str]:
    """Extract entries one by one; return the warnings."""
    warnings: list[str] = []
    options.setdefault("selection", Selection())
    options.setdefault("warn", warnings.append)
    with Extractor(directory, **options) as extractor:  # type: ignore[arg-type]
        for number, entry in enumerate(entries):
            if extractor.begin(number, entry):
                if entry.content:
                    extractor.data(number, 0, entry.content)
                size = len(entry.content) if entry.size is None else entry.size
                extractor.end(number, size)
        extractor.finish()
    return warnings


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that no extraction may touch, with a file in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    os.utime(outside, ns=(MTIME, MTIME))
    return outside


def _untouched(outside: Path) -> bool:
    victim = outside / "victim"
    status = victim.lstat()
    return (
        victim.read_text() == "untouched"
        and os.listdir(outside) == ["victim"]
        and outside.stat().st_mtime_ns == MTIME
        and status.st_nlink == 1
        and status.st_mtime_ns != MTIME
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    entries = [
        Entry(b"d", DIRECTORY, mode=0o555),
        Entry(b"d/file", mode=0o640, content=b"hello"),
        Entry(b"d/empty", mode=0o400),
        Entry(b"d/hard", HARDLINK, link_target=b"d/file"),
        Entry(b"d/soft", SYMLINK, link_target=b"file"),
        Entry(b"implied/\xff", content=b"x"),
    ]
    assert _extract(tmp_path / "new", entries) == []
    top = tmp_path / "new"
    assert (top / "d" / "file").read_text() == "hello"
    for name, mode in (("d", 0o555), ("d/file", 0o640), ("d/empty", 0o400)):
        status = (top / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (mode, MTIME)
    assert (top / "d" / "hard").samefile(top / "d" / "file")
    assert os.readlink(top / "d" / "soft") == "file"
    assert (top / "d" / "soft").lstat().st_mtime_ns == MTIME
    assert os.listdir(os.fsencode(top / "implied")) == [b"\xff"]
    (top / "d").chmod(0o755)


def test_holes_stay_holes(tmp_path: Path) -> None:
    size = 8 << 20
    with Extractor(tmp_path, selection=Selection(), warn=pytest.fail) as extractor:
        assert extractor.begin(0, Entry(b"s"))
        extractor.data(0, 4 << 20, b"x" * 4096)
        extractor.end(0, size)
        assert extractor.finish() == (1, size)
    status = (tmp_path / "s").stat()
    assert status.st_size == size
    assert status.st_blocks * 512 < size // 2
    assert (tmp_path / "s").read_bytes()[4 << 20 : (4 << 20) + 1] == b"x"


def test_many_files_may_be_written_at_once(tmp_path: Path) -> None:
    count = 100
    open_before = len(os.listdir("/proc/self/fd"))
    with Extractor(tmp_path, selection=Selection(), warn=pytest.fail) as extractor:
        for number in range(count):
            assert extractor.begin(number, Entry(b"d%d/f" % number))
        for position in range(3):
            for number in range(count):
                extractor.data(number, position, b"abc"[position : position + 1])
        assert len(os.listdir("/proc/self/fd")) < open_before + 50
        for number in range(count):
            extractor.end(number, 3)
        extractor.finish()
    assert all((tmp_path / f"d{n}" / "f").read_text() == "abc" for n in range(count))


def test_what_was_begun_and_not_ended_is_removed(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    with Extractor(tmp_path, selection=Selection(), warn=pytest.fail) as extractor:
        for number, name in enumerate((b"new", b"old")):
            extractor.begin(number, Entry(name))
            extractor.data(number, 0, b"half")
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "other-name")
    os.symlink("victim", tmp_path / "b")
    (tmp_path / "victim").write_text("untouched")
    os.symlink("x", tmp_path / "c")
    entries = [
        Entry(b"a", content=b"new"),
        Entry(b"b", content=b"new"),
        Entry(b"c", SYMLINK, link_target=b"y"),
        Entry(b"h", HARDLINK, link_target=b"a"),
    ]
    for _ in range(2):
        assert _extract(tmp_path, entries) == []
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "other-name").read_text() == "old"
    assert (tmp_path / "victim").read_text() == "untouched"
    assert not (tmp_path / "b").is_symlink()
    assert os.readlink(tmp_path / "c") == "y"
    assert (tmp_path / "h").samefile(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "h", "other-name", "victim"]


def test_what_is_there_is_kept_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    os.symlink("x", tmp_path / "c")
    entries = [
        Entry(b"a", content=b"new"),
        Entry(b"b", content=b"new"),
        Entry(b"c", SYMLINK, link_target=b"y"),
    ]
    assert _extract(tmp_path, entries, keep=True) == []
    assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "b").read_text() == "new"
    assert os.readlink(tmp_path / "c") == "x"


def test_components_are_stripped(tmp_path: Path) -> None:
    entries = [
        Entry(b"a", DIRECTORY),
        Entry(b"a/b", DIRECTORY),
        Entry(b"a/b/f", content=b"x"),
        Entry(b"a/h", HARDLINK, link_target=b"a/b/f"),
        Entry(b"top", content=b"y"),
    ]
    assert _extract(tmp_path, entries, strip_components=1) == []
    assert sorted(os.listdir(tmp_path)) == ["b", "h"]
    assert (tmp_path / "h").samefile(tmp_path / "b" / "f")


def test_a_link_to_what_was_not_extracted_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("somebody else's")
    entries = [Entry(b"h", HARDLINK, link_target=b"a")]
    warnings = _extract(tmp_path, entries, selection=Selection(["h"]))
    assert "was not extracted" in warnings[0]
    assert os.listdir(tmp_path) == ["a"]


def test_a_directory_in_the_way_costs_one_member(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    warnings = _extract(tmp_path, [Entry(b"a", content=b"x"), Entry(b"b", content=b"y")])
    assert len(warnings) == 1
    assert "a directory stands there" in warnings[0]
    assert (tmp_path / "b").read_text() == "y"


def test_a_file_gives_way_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("x")
    assert _extract(tmp_path, [Entry(b"d", DIRECTORY), Entry(b"d/f")]) == []
    assert (tmp_path / "d" / "f").is_file()


def test_a_full_disk_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left") as caught:
        _extract(tmp_path, [Entry(b"a", content=b"x"), Entry(b"b", content=b"x")])
    assert caught.value.filename == "a"
    assert os.listdir(tmp_path) == []


def test_no_more_is_written_than_allowed(tmp_path: Path) -> None:
    entries = [Entry(b"a", content=b"x" * 10), Entry(b"b", content=b"x")]
    with pytest.raises(LimitError, match="at most 10"):
        _extract(tmp_path, entries, max_size=10)
    assert os.listdir(tmp_path) == ["a"]
    with pytest.raises(LimitError):
        _extract(tmp_path, [Entry(b"hole", size=1 << 60)], max_size=1 << 30)
    assert os.listdir(tmp_path) == ["a"]


def test_set_user_id_comes_back_only_with_its_owner(tmp_path: Path) -> None:
    entries = [
        Entry(b"nobody's", mode=0o6755),
        Entry(b"own", mode=0o6755, uid=os.getuid(), gid=os.getgid()),
        Entry(b"odd", mode=0o6755, uid=0xFFFFFFFF, gid=0xFFFFFFFF),
    ]
    assert _extract(tmp_path, entries, same_owner=True) == []
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path)}
    assert modes == {"nobody's": 0o755, "own": 0o6755, "odd": 0o755}


def test_extended_attributes_come_back_on_read_only_files(tmp_path: Path) -> None:
    entry = Entry(b"a", mode=0o400, xattrs=[(b"user.k", b"\0v")])
    if warnings := _extract(tmp_path, [entry]):
        pytest.skip(warnings[0])
    assert os.getxattr(tmp_path / "a", "user.k") == b"\0v"


@pytest.mark.parametrize("name", [b"/abs", b"../x", b"a/../../x", b"a//b", b".", b"", b"a/\0"])
def test_names_that_lead_elsewhere_are_refused(name: bytes, tmp_path: Path) -> None:
    target = tmp_path / "in"
    with pytest.raises(UnsafePathError):
        _extract(target, [Entry(name, content=b"x")])
    assert os.listdir(target) == []
    assert os.listdir(tmp_path) == ["in"]


def test_a_link_that_was_there_is_not_followed(tmp_path: Path, outside: Path) -> None:
    target = tmp_path / "in"
    target.mkdir()
    os.symlink(outside, target / "d")
    for entries in (
        [Entry(b"d/victim", content=b"x")],
        [Entry(b"d", DIRECTORY)],
        [Entry(b"d/new", SYMLINK, link_target=b"x")],
        [Entry(b"f", content=b"x"), Entry(b"d/new", HARDLINK, link_target=b"f")],
        [Entry(b"d/sub/x", content=b"x")],
    ):
        with pytest.raises(UnsafePathError, match="symbolic link"):
            _extract(target, entries)
    assert _untouched(outside)


def test_the_archives_own_links_are_made_after_all_files(tmp_path: Path, outside: Path) -> None:
    target = tmp_path / "in"
    entries = [
        Entry(b"d", SYMLINK, link_target=os.fsencode(outside)),
        Entry(b"d/victim", content=b"overwritten"),
    ]
    warnings = _extract(target, entries)
    assert len(warnings) == 1  # the link, because a directory stands there by then
    assert (target / "d" / "victim").read_text() == "overwritten"
    assert _untouched(outside)


def test_no_hard_link_to_what_is_no_file_of_the_archive(tmp_path: Path, outside: Path) -> None:
    target = tmp_path / "in"
    target.mkdir()
    os.symlink(outside / "victim", target / "s")
    os.symlink(outside, target / "d")
    for link_target in (b"s", b"d/victim"):
        with pytest.raises(UnsafePathError):
            _extract(target, [Entry(b"h", HARDLINK, link_target=link_target)])
    for link_target in (b"../outside/victim", os.fsencode(outside / "victim")):
        with pytest.raises(UnsafePathError):
            _extract(target, [Entry(b"h", HARDLINK, link_target=link_target)])
    assert _untouched(outside)
    assert not os.path.lexists(target / "h")


def test_metadata_of_a_link_stays_on_the_link(tmp_path: Path, outside: Path) -> None:
    target = tmp_path / "in"
    victim = os.fsencode(outside / "victim")
    entries = [Entry(b"s", SYMLINK, mode=0o777, link_target=victim, xattrs=[(b"user.x", b"1")])]
    before = (outside / "victim").stat()
    assert _extract(target, entries) == []
    after = (outside / "victim").stat()
    assert (before.st_mode, before.st_mtime_ns) == (after.st_mode, after.st_mtime_ns)
    assert _untouched(outside)


def test_a_file_replaced_while_written_is_not_written_through(
    tmp_path: Path, outside: Path
) -> None:
    target = tmp_path / "in"
    warnings: list[str] = []
    with Extractor(target, selection=Selection(), warn=warnings.append) as extractor:
        extractor.begin(0, Entry(b"first"))
        extractor.data(0, 0, b"a")
        for number in range(1, 40):  # enough for the first to be closed for now
            extractor.begin(number, Entry(b"%d" % number))
            extractor.data(number, 0, b"a")
        (target / "first").unlink()
        os.symlink(outside / "victim", target / "first")
        extractor.data(0, 1, b"b")
        for number in range(40):
            extractor.end(number, 1)
        extractor.finish()
    assert len(warnings) == 1
    assert _untouched(outside)
