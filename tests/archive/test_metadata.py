"""Owners, modes, times and attributes on open files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmarc.archive.metadata import Metadata, Restorer

PLAIN = Metadata(0o640, 1_000_000_007, -1, -1, b"", b"", [])
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can change owners")


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_mode_and_time_are_set(descriptor: int) -> None:
    Restorer(pytest.fail).apply(descriptor, PLAIN)
    status = os.fstat(descriptor)
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, 1_000_000_007)


@root_only
def test_a_known_name_goes_before_the_number(descriptor: int) -> None:
    metadata = PLAIN._replace(uid=12345, gid=12346, user=b"root", group=b"no-such-group")
    Restorer(pytest.fail).apply(descriptor, metadata)
    status = os.fstat(descriptor)
    assert (status.st_uid, status.st_gid) == (0, 12346)
    Restorer(pytest.fail, numeric_owner=True).apply(descriptor, metadata)
    assert os.fstat(descriptor).st_uid == 12345


@root_only
def test_owners_stay_when_that_is_asked(descriptor: int) -> None:
    metadata = PLAIN._replace(mode=0o4755, uid=12345, gid=12345)
    Restorer(pytest.fail, same_owner=False).apply(descriptor, metadata)
    status = os.fstat(descriptor)
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o755)


def test_what_cannot_be_set_is_told_once(descriptor: int) -> None:
    warnings: list[str] = []
    restorer = Restorer(warnings.append)
    for _ in range(2):
        restorer.apply(descriptor, PLAIN._replace(xattrs=[(b"user.\0", b"")]))
    assert len(warnings) == 1
    assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o640


def test_a_symbolic_link_has_its_own_time(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("x")
    os.symlink("to", tmp_path / "link")
    before = (tmp_path / "to").stat().st_mtime_ns
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        Restorer(pytest.fail).apply_to_symlink(parent, b"link", PLAIN)
    finally:
        os.close(parent)
    assert (tmp_path / "link").lstat().st_mtime_ns == PLAIN.mtime
    assert (tmp_path / "to").stat().st_mtime_ns == before
