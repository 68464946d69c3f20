"""The walk over the file system."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lmarc.archive.walk import (
    DIRECTORY,
    FILE,
    HARDLINK,
    SYMLINK,
    Found,
    data_extents,
    member_name,
    walk,
)
from lmarc.errors import SourceError


def _no_warning(message: str) -> None:
    raise AssertionError(message)


def _names(*args: str | bytes | Path, **options: object) -> list[bytes]:
    options.setdefault("warn", _no_warning)
    return [found.name for found in walk(args, **options)]  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "d" / "e").mkdir(parents=True)
    (top / "d" / "a.txt").write_text("hello")
    (top / "d" / "e" / "b.bin").write_bytes(b"\0" * 10)
    (top / "d-x").write_text("x")
    os.symlink("d/a.txt", top / "link")
    return top


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"a/b", b"a/b"),
        (b"./a//b/", b"a/b"),
        (b"/a/b", b"a/b"),
        (b"../a", b"a"),
        (b"a/../../b/./c", b"b/c"),
        (b".", b""),
        (b"/", b""),
        (b"..", b""),
    ],
)
def test_names_are_relative_and_without_dots(path: bytes, name: bytes) -> None:
    assert member_name(path) == name


def test_order_is_depth_first_by_bytes(tree: Path) -> None:
    assert _names(".", directory=tree) == [
        b"d",
        b"d/a.txt",
        b"d/e",
        b"d/e/b.bin",
        b"d-x",
        b"link",
    ]


def test_each_type_is_found_with_its_metadata(tree: Path) -> None:
    os.chmod(tree / "d" / "a.txt", 0o4751)
    os.utime(tree / "d" / "a.txt", ns=(1, 1_234_567_890_123_456_789))
    os.link(tree / "d" / "a.txt", tree / "z")
    found: dict[bytes, Found] = {}
    for one in walk([tree / "d", tree / "link", tree / "z"], warn=_no_warning):
        found[one.name.rsplit(b"/", 1)[1]] = one
        if one.size:
            assert os.pread(one.descriptor, 100, 0) == Path(os.fsdecode(one.path)).read_bytes()
            assert not one.changed()
        else:
            assert one.descriptor == -1
    file = found[b"a.txt"]
    assert (file.type, file.mode, file.mtime) == (FILE, 0o4751, 1_234_567_890_123_456_789)
    assert (file.size, file.stat.st_uid, file.stat.st_gid) == (5, os.getuid(), os.getgid())
    assert found[b"d"].type == DIRECTORY
    assert (found[b"link"].type, found[b"link"].link_target) == (SYMLINK, b"d/a.txt")
    assert (found[b"z"].type, found[b"z"].link_target) == (HARDLINK, file.name)
    assert found[b"z"].size == 0


def test_a_hard_link_names_only_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    os.link(tmp_path / "a", tmp_path / "c")
    kinds = []
    for found in walk(["."], directory=tmp_path, warn=_no_warning):
        found.failed = found.name == b"a"
        kinds.append((found.name, found.type, found.link_target))
    assert kinds == [(b"a", FILE, b""), (b"b", FILE, b""), (b"c", HARDLINK, b"b")]


def test_extended_attributes_are_sorted(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x")
    try:
        os.setxattr(file, "user.b", b"2\0")
        os.setxattr(file, "user.a", b"")
    except OSError:
        pytest.skip("no extended attributes here")
    (found,) = walk([file], warn=_no_warning)
    assert [pair for pair in found.xattrs if pair[0].startswith(b"user.")] == [
        (b"user.a", b""),
        (b"user.b", b"2\0"),
    ]


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\n\xfe"
    with open(raw, "wb"):
        pass
    assert _names(".", directory=tmp_path) == [b"\xff\n\xfe"]


def test_the_data_of_a_sparse_file_is_found(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 20)
        os.pwrite(file.fileno(), b"x" * 4096, 512 << 10)
    (found,) = walk([tmp_path / "sparse"], warn=_no_warning)
    if found.extents is None:
        pytest.skip("no holes here")
    assert found.extents == [(512 << 10, (512 << 10) + 4096)]


def test_a_file_that_is_one_hole_has_no_data(tmp_path: Path) -> None:
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(1 << 20)
    (found,) = walk([tmp_path / "hole"], warn=_no_warning)
    assert found.extents in ([], None)


def test_extents_leave_the_position_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 100)
    descriptor = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        assert data_extents(descriptor, 100) == [(0, 100)]
        assert os.read(descriptor, 1) == b"x"
    finally:
        os.close(descriptor)


def test_what_no_archive_keeps_costs_a_warning(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "last").write_text("x")
    with socket.socket(socket.AF_UNIX) as made:
        previous = os.getcwd()
        os.chdir(tmp_path)  # a socket's path must be short
        try:
            made.bind("socket")
        finally:
            os.chdir(previous)
    warnings: list[str] = []
    assert _names(".", directory=tmp_path, warn=warnings.append) == [b"last"]
    assert ["FIFO" in warnings[0], "socket" in warnings[1]] == [True, True]


def test_what_vanishes_costs_a_warning(tree: Path) -> None:
    warnings: list[str] = []
    seen = []
    for found in walk(["."], directory=tree, warn=warnings.append):
        seen.append(found.name)
        if found.name == b"d/a.txt":
            (tree / "d-x").unlink()
            (tree / "d" / "e" / "b.bin").unlink()
    assert b"d-x" not in seen
    assert len(warnings) == 1
    assert "d-x: vanished" in warnings[0]


def test_a_directory_that_cannot_be_read_is_kept_and_its_loss_named(tree: Path) -> None:
    warnings: list[str] = []
    seen = []
    for found in walk(["."], directory=tree, warn=warnings.append):
        seen.append(found.name)
        if found.name == b"d":
            (tree / "d").rename(tree / "moved")
    assert b"d" in seen
    assert warnings[0].endswith("d: vanished before it was read; what it holds is not archived")


def test_a_change_while_reading_is_noticed(tree: Path) -> None:
    for found in walk([tree / "d" / "a.txt"], warn=_no_warning):
        with open(tree / "d" / "a.txt", "a") as file:
            file.write("more")
        assert found.changed()


def test_parts_of_a_file_are_read_until_it_changes(tree: Path) -> None:
    (found,) = walk([tree / "d" / "a.txt"], warn=_no_warning, open_files=False)
    assert found.read(1, 4) == b"ell"
    os.utime(tree / "d" / "a.txt", (1, 1))
    with pytest.raises(SourceError):
        found.read(0, 5)


def test_a_missing_argument_stops_before_anything_is_given(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        walk([tree / "d", tree / "nowhere"], warn=_no_warning)
    warnings: list[str] = []
    assert _names("nowhere", directory=tree, warn=warnings.append, missing_ok=True) == []
    assert len(warnings) == 1


def test_a_missing_directory_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(["."], directory=tree / "nowhere", warn=_no_warning)
    with pytest.raises(NotADirectoryError):
        walk(["."], directory=tree / "d-x", warn=_no_warning)


def test_excluded_directories_are_not_looked_into(tree: Path) -> None:
    assert _names(".", directory=tree, exclude=["e", "link"]) == [b"d", b"d/a.txt", b"d-x"]


def test_overlapping_arguments_give_each_name_once(tree: Path) -> None:
    assert _names("d/e", "d", "d/a.txt", ".", directory=tree) == [
        b"d/e",
        b"d/e/b.bin",
        b"d",
        b"d/a.txt",
        b"d-x",
        b"link",
    ]


def test_an_argument_below_an_excluded_directory_is_kept(tree: Path) -> None:
    names = _names("d", "d/e/b.bin", directory=tree, exclude=["e"])
    assert names == [b"d", b"d/a.txt", b"d/e/b.bin"]


def test_without_recursion_an_argument_covers_itself_alone(tree: Path) -> None:
    names = _names("d", "d/a.txt", "d", directory=tree, recurse=False)
    assert names == [b"d", b"d/a.txt"]


def test_trees_of_one_name_merge_and_clashes_are_told(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "d").mkdir(parents=True)
    (other / "d" / "a.txt").write_text("another")
    (other / "d" / "new").write_text("new")
    (other / "d" / "e").write_text("no directory")
    os.mkdir(other / "in")
    warnings: list[str] = []
    names = _names("d", "../other/in/../d", directory=tree, warn=warnings.append)
    assert names == [b"d", b"d/a.txt", b"d/e", b"d/e/b.bin", b"d/new"]
    assert len(warnings) == 2


def test_nothing_is_given_below_a_link(tree: Path) -> None:
    os.symlink("d", tree / "s")
    warnings: list[str] = []
    assert _names("s", "s/a.txt", directory=tree, warn=warnings.append) == [b"s"]
    assert "no directory" in warnings[0]
    warnings.clear()
    assert _names("s/a.txt", "s", directory=tree, warn=warnings.append) == [b"s/a.txt"]
    assert "no directory" in warnings[0]


def test_what_is_to_be_skipped_is_skipped_without_a_word(tree: Path) -> None:
    status = os.stat(tree / "d-x")
    os.link(tree / "d-x", tree / "d" / "copy")
    names = _names(".", directory=tree, skip={(status.st_dev, status.st_ino): b"d-x"})
    assert b"d-x" not in names
    assert b"d/copy" in names


def test_descriptors_are_closed_as_the_walk_goes_on(tree: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in walk(["."], directory=tree, warn=_no_warning):
        pass
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become somebody else")
def test_what_may_not_be_read_costs_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "shut").mkdir(mode=0o700)
    (tmp_path / "open").write_text("x")
    # In the directory already, so that its parents need not be open to everybody.
    script = (
        "import grp, os, pwd, sys; from lmarc.archive.walk import walk; os.setuid(65534)\n"
        "print(*[f.name for f in walk(['.'], warn=lambda m: print(m, file=sys.stderr))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["b'open'", "b'shut'"]
    assert done.stderr.count("Permission denied") == 2
