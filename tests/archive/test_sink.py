import os
import stat
from pathlib import Path

import pytest

from lmarc.archive.sink import open_sink, write_all


def test_nothing_appears_before_commit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    sink = open_sink(str(path))
    sink.write(b"new ")
    sink.write(memoryview(b"archive"))
    sink.barrier()
    assert path.read_bytes() == b"old"
    sink.commit()
    assert path.read_bytes() == b"new archive"
    assert os.listdir(tmp_path) == ["a"]
    sink.abort()
    assert path.read_bytes() == b"new archive"


def test_abort_leaves_nothing_but_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    sink = open_sink(str(path))
    sink.write(b"new")
    sink.abort()
    sink.abort()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_permissions_follow_the_umask_or_the_old_file(tmp_path: Path) -> None:
    old_mask = os.umask(0o027)
    try:
        for expected in (0o640, 0o604):
            sink = open_sink(str(tmp_path / "a"))
            sink.commit()
            assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == expected
            (tmp_path / "a").chmod(0o604)
    finally:
        os.umask(old_mask)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.write_bytes(b"old")
    (tmp_path / "a").symlink_to("there")
    sink = open_sink(str(tmp_path / "a"))
    sink.write(b"new")
    sink.commit()
    assert (tmp_path / "a").is_symlink()
    assert target.read_bytes() == b"new"


def test_devices_are_written_to_not_replaced() -> None:
    sink = open_sink(os.devnull)
    sink.write(b"x")
    sink.commit()
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_sink(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        open_sink(str(tmp_path / "none" / "a"))


def test_write_all_goes_on_after_a_short_write(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(descriptor: int, data: bytes) -> int:
        taken.append(bytes(data[:3]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)
    write_all(1, b"abcdefgh")
    assert b"".join(taken) == b"abcdefgh"
