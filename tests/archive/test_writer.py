import hashlib
import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.archive import pipeline, records
from tests.archive.samples import MEMBERS, make, noise, text


class Reverse(Executor):
    """Runs nothing until it is asked for a result, and then the latest task first."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        class Late(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                return fn(*args, **kwargs)

        return Late()


@contextmanager
def executor_of(kind: str) -> Iterator[Executor]:
    if kind == "late":
        yield Reverse()
    elif kind == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    else:
        with ThreadPoolExecutor(int(kind)) as pool:
            yield pool


@pytest.mark.parametrize("kind", ["1", "2", "4", "late", "processes"])
def test_the_same_bytes_from_any_executor(kind: str, tmp_path: Path) -> None:
    expected = make(tmp_path / "expected", jobs=1).read_bytes()
    with executor_of(kind) as executor:
        found = make(tmp_path / "found", executor=executor).read_bytes()
    assert found == expected


def test_the_same_bytes_however_rows_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make(tmp_path / "expected").read_bytes()
    monkeypatch.setattr(pipeline, "_GROUPS_IN_FLIGHT", 0)
    assert make(tmp_path / "found").read_bytes() == expected
    monkeypatch.setattr(records, "BATCH_ROWS", 3)
    with lmarc.open(make(tmp_path / "batches")) as archive:
        assert archive.members["path"].num_chunks > 3
        archive.verify()


def test_what_was_added_comes_back(tmp_path: Path) -> None:
    with lmarc.open(make(tmp_path / "a")) as archive:
        assert [member.name for member in archive] == list(MEMBERS)
        for member in archive:
            data = MEMBERS[member.name]
            assert archive.read(member.name) == data
            assert member.size == len(data)
            assert member.sha256 == hashlib.sha256(data).digest()
            assert member.mtime == 1_700_000_000_123_456_789
        archive.verify()


def test_a_dictionary_is_used_only_where_it_pays(tmp_path: Path) -> None:
    lines = {f"{n}.json": b'{"name": "%d", "status": "pending", "tags": []}' % n for n in range(9)}
    many = {f"{n}.json": line * (n % 7 + 1) for n in range(12_000) for line in [lines["1.json"]]}
    with lmarc.open(make(tmp_path / "few", lines)) as archive:
        assert len(archive.models()) == 0
    with lmarc.open(make(tmp_path / "many", many, chunk_size=4096)) as archive:
        assert archive.models()["embedded"].to_pylist() in ([], [1])
        assert archive.read("77.json") == many["77.json"]
        archive.verify()


def test_a_stream_of_unknown_size_is_added(tmp_path: Path) -> None:
    class Dribble(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            super().__init__()
            self.rest = data

        def read(self, size: int = -1) -> bytes:
            size = min(size, 1000)
            data, self.rest = self.rest[:size], self.rest[size:]
            return data

    small, large = text(1, 5_000), noise(2, 100_000)
    with lmarc.Writer(tmp_path / "a", chunk_size=16_384, preset="fast") as out:
        out.add_stream("small", Dribble(small))  # type: ignore[arg-type]
        out.add_stream("large", io.BytesIO(large))
        out.add_stream("none", io.BytesIO())
    with lmarc.open(tmp_path / "a") as archive:
        assert [archive.read(name) for name in ("small", "large", "none")] == [small, large, b""]
        archive.verify()


def test_directories_and_links_are_added(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_directory("d", mode=0o700)
        out.add_bytes("d/f", b"content", owner=(1000, 100, b"ann", b"users"))
        out.add_link("d/hard", "d/f", hard=True)
        out.add_link(b"d/soft\xff", b"../\xfe")
        with pytest.raises(ValueError, match="no file"):
            out.add_link("d/hard2", "d/soft", hard=True)
        with pytest.raises(ValueError, match="bytes"):
            out.add_link("d/soft2", "")
    with lmarc.open(tmp_path / "a") as archive:
        assert [member.type for member in archive] == [2, 1, 4, 3]
        assert archive.read("d/hard") == b"content"
        assert archive.info(b"d/soft\xff").link_target == b"../\xfe"
        member = archive.info("d/f")
        assert (member.uid, member.gid, member.user, member.group) == (1000, 100, b"ann", b"users")
        archive.verify()


@pytest.mark.parametrize("name", ["", "/a", "a/../b", "a//b", "x" * 256, "a\0"])
def test_unlawful_names_are_refused(name: str, tmp_path: Path) -> None:
    with (
        lmarc.Writer(tmp_path / "a", preset="fast") as out,
        pytest.raises(ValueError, match="name"),
    ):
        out.add_bytes(name, b"")


def test_names_are_unique_and_below_directories(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_bytes("a/b", b"1")
        for name in ("a/b", "a/b/c", "a"):
            with pytest.raises(ValueError, match="cannot be added"):
                out.add_bytes(name, b"2")
        out.add_directory("a")
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.read("a/b") == b"1"


def test_an_empty_archive_is_an_archive(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast"):
        pass
    with lmarc.open(tmp_path / "a") as archive:
        assert len(archive) == 0
        assert list(archive) == []
        archive.verify()


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make(path)
    old = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), lmarc.Writer(path, preset="fast") as out:  # noqa: PT012
        out.add_bytes("x", noise(1, 100_000))
        raise KeyboardInterrupt
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["a"]


def test_a_failing_coder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "encode_chunk", fail)
    with pytest.raises(MemoryError):
        make(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_the_writer_ends_once(tmp_path: Path) -> None:
    out = lmarc.Writer(tmp_path / "a", preset="fast")
    out.add_bytes("x", b"1")
    out.close()
    out.close()
    out.abort()
    with pytest.raises(ValueError, match="closed"):
        out.add_bytes("y", b"2")
    with lmarc.open(tmp_path / "a") as archive:
        assert out.written == (1, 1, archive.size)


@pytest.mark.parametrize(
    "options",
    [
        {"chunk_size": 4095},
        {"chunk_size": 1 << 25},
        {"jobs": 0},
        {"preset": "x"},
        {"zstd_level": 99},
    ],
)
def test_arguments_out_of_range_leave_the_target_alone(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected"):
        lmarc.Writer(tmp_path / "a", **{"preset": "fast", **options})
    assert os.listdir(tmp_path) == []


def test_paths_are_added_with_all_below_them(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "f").write_bytes(text(1, 100_000))
    (tree / "hard").hardlink_to(tree / "sub" / "f")
    (tree / "soft").symlink_to("sub/f")
    (tree / "sub" / "empty").touch()
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_path(tree, "top")
        out.add_path(tree / "sub" / "f", b"alone")
    with lmarc.open(tmp_path / "a") as archive:
        names = ["top", "top/hard", "top/soft", "top/sub", "top/sub/empty", "top/sub/f", "alone"]
        assert [member.name for member in archive] == names
        assert archive.info("top/sub/f").link_target == b"top/hard"
        assert archive.read("top/sub/f") == archive.read("alone") == text(1, 100_000)
        archive.verify()


def test_metadata_closes_a_group_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_GROUP_METADATA", 5_000)
    make(tmp_path / "a", {f"{n}/" + "x" * 250: b"1" for n in range(100)})
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.verify().chunk_count > 3


def test_standard_output_takes_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make(tmp_path / "a").read_bytes()

    class Out:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Out)
    make("-")  # type: ignore[arg-type]
    assert Out.buffer.getvalue() == expected
