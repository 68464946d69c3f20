import fcntl
import os
from pathlib import Path

import pytest

import lmarc
from lmarc.errors import TruncatedError
from tests.archive.samples import MEMBERS, make, noise, text


def test_old_bytes_are_never_touched(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    old = path.read_bytes()
    for number in range(3):
        with lmarc.appender(path, chunk_size=16_384, preset="fast") as out:
            out.add_bytes(f"new/{number}", text(number, 40_000))
        data = path.read_bytes()
        assert data.startswith(old)
        old = data
    with lmarc.open(path) as archive:
        assert [member.name for member in archive][-3:] == ["new/0", "new/1", "new/2"]
        for name, expected in MEMBERS.items():
            assert archive.read(name) == expected
        assert archive.read("new/1") == text(1, 40_000)
        archive.verify()


def test_append_is_reproducible(tmp_path: Path) -> None:
    for name, jobs in (("a", 1), ("b", 4)):
        with lmarc.appender(make(tmp_path / name), jobs=jobs, preset="fast") as out:
            out.add_bytes("new", text(1, 1_000_000))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_dictionary_is_used_again(tmp_path: Path) -> None:
    record = b'{"user": "%s", "status": "pending", "currency": "EUR", "note": "%s"}\n'
    members = {
        f"{n}.json": b"".join(
            record % (noise(n * k, 4).hex().encode(), text(k, 30)) for k in range(40)
        )
        for n in range(300)
    }
    path = make(tmp_path / "a", members, chunk_size=4096)
    with lmarc.open(path) as archive:
        assert len(archive.models()) == 1
    with lmarc.appender(path, chunk_size=4096, preset="fast") as out:
        out.add_bytes("more.json", members["77.json"])
    with lmarc.open(path) as archive:
        assert len(archive.models()) == 1
        assert archive.chunks()["codec"].to_pylist()[-1] == 2
        assert archive.read("more.json") == members["77.json"]
        archive.verify()


def test_existing_names_stay(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"one")
    (tmp_path / "d" / "g").symlink_to("f")
    path = tmp_path / "a"
    lmarc.create(path, ["d"], directory=tmp_path, preset="fast")
    old = path.read_bytes()
    warnings: list[str] = []
    written = lmarc.append(path, ["d"], directory=tmp_path, warn=warnings.append, preset="fast")
    assert (written.member_count, warnings) == (0, [])
    assert path.read_bytes() == old
    (tmp_path / "d" / "f").write_bytes(b"other")
    (tmp_path / "d" / "new").write_bytes(b"new")
    written = lmarc.append(path, ["d"], directory=tmp_path, warn=warnings.append, preset="fast")
    assert written.member_count == 1
    assert len(warnings) == 1
    assert "kept as it is" in warnings[0]
    with lmarc.open(path) as archive:
        assert archive.read("d/f") == b"one"
        assert archive.read("d/new") == b"new"


def test_names_stay_unique_across_appends(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x/y": b"1"})
    with lmarc.appender(path, preset="fast") as out:
        for name in ("x/y", "x", "x/y/z"):
            with pytest.raises(ValueError, match="cannot be added"):
                out.add_bytes(name, b"2")
        out.add_link("hard", "x/y", hard=True)
    with lmarc.open(path) as archive:
        assert archive.read("hard") == b"1"


def test_the_archive_is_not_appended_to_itself(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    written = lmarc.append(path, ["."], directory=tmp_path, preset="fast")
    assert written.member_count == 0


def test_a_failed_append_cuts_back(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    old = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), lmarc.appender(path, preset="fast") as out:  # noqa: PT012
        out.add_bytes("x", noise(1, 70 << 20))
        assert path.stat().st_size > len(old)
        raise KeyboardInterrupt
    assert path.read_bytes() == old


def test_an_interrupted_append_is_named_read_past_and_continued(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    old = path.read_bytes()
    with lmarc.appender(path, preset="fast") as out:
        out.add_bytes("new", noise(1, 50_000))
    new = path.read_bytes()
    for size in (len(old) + 1, len(old) + 40, len(new) - 30_000, len(new) - 1):
        path.write_bytes(new[:size])
        with pytest.raises(TruncatedError, match="not completed") as caught:
            lmarc.open(path)
        assert caught.value.offset == len(old)
        with lmarc.open(path, incomplete=True) as archive:
            assert archive.size == len(old)
            assert archive.read("a/text") == MEMBERS["a/text"]
            archive.verify()
        with lmarc.appender(path, preset="fast") as out:
            out.add_bytes("new", noise(1, 50_000))
        assert path.read_bytes() == new


def test_rubbish_behind_an_archive_is_no_interrupted_append(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    old = path.read_bytes()
    for tail in (b"rubbish" * 10, bytes(100)):
        path.write_bytes(old + tail)
        for incomplete in (False, True):
            with pytest.raises(TruncatedError, match="does not end with a Footer"):
                lmarc.open(path, incomplete=incomplete)
        with pytest.raises(TruncatedError):
            lmarc.appender(path, preset="fast")
        assert path.read_bytes() == old + tail


def test_one_append_at_a_time(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"x": b"1"})
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(lmarc.SourceError, match="another append is running"):
            lmarc.appender(path, preset="fast")


def test_what_is_no_archive_is_not_appended_to(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lmarc.append(tmp_path / "none", [tmp_path], preset="fast")
    (tmp_path / "text").write_bytes(b"text" * 1000)
    with pytest.raises(lmarc.NotAnArchiveError):
        lmarc.append(tmp_path / "text", [tmp_path], preset="fast")
    assert (tmp_path / "text").read_bytes() == b"text" * 1000
    assert sorted(os.listdir(tmp_path)) == ["text"]
