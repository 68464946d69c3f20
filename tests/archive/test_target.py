"""The folder that is extracted into."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmarc.archive.metadata import Metadata, Restorer
from lmarc.archive.target import Target
from lmarc.errors import UnsafePathError

PLAIN = Metadata(0o644, 0, -1, -1, b"", b"", [])


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path / "new" / "in", keep=False, restorer=Restorer(pytest.fail))
    yield target
    target.close()


def test_the_folder_is_made(target: Target, tmp_path: Path) -> None:
    assert os.listdir(tmp_path / "new" / "in") == []


def test_a_directory_is_private_until_it_is_finished(target: Target, tmp_path: Path) -> None:
    target.make_directory((b"d",))
    made = tmp_path / "new" / "in" / "d"
    assert made.stat().st_mode & 0o777 == 0o700
    target.finish_directory((b"d",), PLAIN._replace(mode=0o755))
    assert made.stat().st_mode & 0o777 == 0o755


def test_a_replaced_file_is_whole_at_every_moment(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "new" / "in" / "f"
    path.write_text("old")
    file = target.create((b"f",))
    assert file is not None
    os.write(file.descriptor, b"new")
    assert path.read_text() == "old"
    target.complete(file, PLAIN)
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["f"]


def test_a_discarded_file_leaves_the_old_one(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "new" / "in" / "f"
    path.write_text("old")
    file = target.create((b"f",))
    assert file is not None
    target.discard(file)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["f"]


def test_a_directory_swapped_for_a_link_is_not_entered(target: Target, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target.make_directory((b"d",))
    target.make_directory((b"e",))  # lets go of `d`
    os.rmdir(tmp_path / "new" / "in" / "d")
    os.symlink(outside, tmp_path / "new" / "in" / "d")
    with pytest.raises(UnsafePathError):
        target.create((b"d", b"f"))
    with pytest.raises(UnsafePathError):
        target.finish_directory((b"d",), PLAIN)
    assert os.listdir(outside) == []


def test_a_directory_that_is_kept_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o500)
    for keep in (True, False):
        target = Target(tmp_path, keep=keep, restorer=Restorer(pytest.fail))
        assert target.make_directory((b"d",)) is not keep
        assert (tmp_path / "d").stat().st_mode & 0o777 == (0o500 if keep else 0o700)
        assert target.make_directory((b"new%d" % keep,))
        target.close()


def test_names_may_be_deeper_than_files_may_be_open(target: Target, tmp_path: Path) -> None:
    deep = (b"d",) * 1800
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        target.make_directory(deep)
        assert len(os.listdir("/proc/self/fd")) < open_before + 110
        file = target.create((*deep[:900], b"f"))
        assert file is not None
        target.complete(file, PLAIN)
    for depth in range(1800, 0, -1):
        target.finish_directory(deep[:depth], PLAIN._replace(mode=0o700))
    subprocess.run(["rm", "-r", tmp_path / "new"], check=True)  # deeper than Python goes
