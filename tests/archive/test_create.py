import errno
import os
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.routing.sniff import classify
from tests.archive.samples import noise


def test_create_reports_and_leaves_itself_out(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(noise(1, 50_000))
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        written = lmarc.create(
            tmp_path / "d" / "a",
            ["d"],
            directory=tmp_path,
            progress=lambda *sizes, seen=seen: seen.append(sizes),
            preset="fast",
        )
        assert written.member_count == 2
        assert seen == sorted(seen)
        assert seen[-1] == (written.content_size, written.archive_size)
    assert written.archive_size == (tmp_path / "d" / "a").stat().st_size


def test_times_and_owners_can_be_clamped(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    (tmp_path / "g").write_bytes(b"1")
    os.utime(tmp_path / "f", ns=(5, 5))
    lmarc.create(
        tmp_path / "a",
        ["f", "g"],
        directory=tmp_path,
        mtime=1000,
        owner=(0, 0, b"root", b""),
        preset="fast",
    )
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.members["mtime"].to_pylist() == [5, 1000]
        assert archive.members["user"].to_pylist() == [b"root"] * 2


def test_holes_are_kept_and_counted(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.write(b"start")
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(5 << 20)
    content = (tmp_path / "f").read_bytes()
    lmarc.create(tmp_path / "a", ["f"], directory=tmp_path, preset="fast")
    with lmarc.open(tmp_path / "a") as archive:
        member = archive.info("f")
        if member.flags & 1 == 0:
            pytest.skip("this file system keeps no holes")
        assert archive.piece_arrays().size.sum() < 1 << 20
        assert archive.read("f") == content
        assert archive.read("f", (3 << 20) - 2, 10) == b"\0\0middle\0\0"
        archive.verify()


def test_a_file_that_shrinks_is_archived_as_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(noise(1, 3 << 20))
    warnings: list[str] = []
    real = classify

    def classify_and_cut(*args: Any) -> int:
        os.truncate(path, 1_500_000)
        return real(*args)

    monkeypatch.setattr("lmarc.archive.writer.classify", classify_and_cut)
    lmarc.create(tmp_path / "a", ["f"], directory=tmp_path, warn=warnings.append, preset="fast")
    assert "changed while it was read" in warnings[0]
    with lmarc.open(tmp_path / "a") as archive:
        member = archive.info("f")
        assert (member.size, member.flags) == (1_500_000, 2)
        assert archive.read("f") == noise(1, 3 << 20)[:1_500_000]
        archive.verify()


def test_a_read_error_ends_the_member_not_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad").write_bytes(noise(1, 3 << 20))
    (tmp_path / "good").write_bytes(b"good")
    (tmp_path / "worse").write_bytes(b"small")
    real = os.pread

    def pread(descriptor: int, size: int, position: int) -> bytes:
        total = os.fstat(descriptor).st_size
        if total == 5 or (total == 3 << 20 and position == 1 << 20 and size > 5000):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, size, position)

    monkeypatch.setattr(os, "pread", pread)
    warnings: list[str] = []
    lmarc.create(
        tmp_path / "a",
        ["bad", "good", "worse"],
        directory=tmp_path,
        warn=warnings.append,
        preset="fast",
    )
    monkeypatch.undo()
    assert len(warnings) == 2
    assert "cannot be read beyond byte 1048576: Input/output error" in warnings[0]
    assert "not archived" in warnings[1]
    with lmarc.open(tmp_path / "a") as archive:
        assert [(member.name, member.size) for member in archive] == [("bad", 1 << 20), ("good", 4)]
        assert archive.read("bad") == noise(1, 3 << 20)[: 1 << 20]
        archive.verify()


def test_what_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lmarc.create(tmp_path / "a", ["none"], directory=tmp_path, preset="fast")
    assert os.listdir(tmp_path) == []
