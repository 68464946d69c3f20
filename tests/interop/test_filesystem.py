"""The fsspec file system: what it says about members, what it reads, and what that costs."""

import asyncio
import io
import multiprocessing
import os
import pickle
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import fsspec.asyn
import fsspec.caching
import fsspec.callbacks
import pandas as pd
import pyarrow.csv
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

import lmarc
from lmarc.interop.filesystem import LmarcFileSystem
from tests.archive.samples import noise
from tests.conftest import Bucket

TABLE = b"name,age\nada,36\nalan,41\n"
NUMBERS = b"".join(b"%d\n" % number for number in range(50_000))
MTIME = 1_700_000_000_123_456_789


def write_sample(url: str, **options: Any) -> None:
    with lmarc.Writer(url, preset="fast", chunk_size=4096, **options) as writer:
        writer.add_directory("empty")
        writer.add_directory("with entry", mode=0o700)
        writer.add_bytes("with entry/table.csv", TABLE, mtime=MTIME, mode=0o640)
        writer.add_bytes("without/entry/numbers.txt", NUMBERS)
        writer.add_bytes("without/other.txt", b"other")
        writer.add_bytes("zero", b"")
        writer.add_bytes(b"odd\xff name", b"bytes")
        writer.add_link("link", "with entry/table.csv")
        writer.add_link("hard", "with entry/table.csv", hard=True)


@pytest.fixture
def path(tmp_path: Path) -> str:
    target = str(tmp_path / "a.lmarc")
    write_sample(target)
    return target


@pytest.fixture
def files(path: str) -> LmarcFileSystem:
    return LmarcFileSystem(path)


def test_making_a_file_system_reads_nothing() -> None:
    files = LmarcFileSystem("/nowhere/a.lmarc")
    with pytest.raises(FileNotFoundError, match=r"/nowhere/a\.lmarc"):
        files.ls("")


@pytest.mark.parametrize("fo", ["", None, 7])
def test_an_archive_must_be_named(fo: Any) -> None:
    with pytest.raises(ValueError, match="expected the path or URL of an archive"):
        LmarcFileSystem(fo)


def test_ls_names_what_lies_directly_in_a_directory(files: LmarcFileSystem) -> None:
    root = ["empty", "hard", "link", "odd\udcff name", "with entry", "without", "zero"]
    for name in ("", "/", "lmarc://"):
        assert files.ls(name, detail=False) == root
    assert files.ls("without", detail=False) == ["without/entry", "without/other.txt"]
    assert files.ls("/without/", detail=False) == ["without/entry", "without/other.txt"]
    assert files.ls("empty") == []
    assert files.ls("zero", detail=False) == ["zero"]
    assert [info["name"] for info in files.ls("without", detail=True)] == files.ls("without", False)
    with pytest.raises(FileNotFoundError):
        files.ls("nothing")


def test_info_says_what_the_archive_knows(files: LmarcFileSystem) -> None:
    info = files.info("with entry/table.csv")
    assert (info["name"], info["size"], info["type"]) == (
        "with entry/table.csv",
        len(TABLE),
        "file",
    )
    assert info["mode"] & 0o7777 == 0o640
    assert info["mtime"] == pytest.approx(MTIME / 1e9)
    assert files.info("with entry")["type"] == "directory"
    assert files.info("without") == {"name": "without", "size": 0, "type": "directory"}
    assert files.info("link")["destination"] == "with entry/table.csv"
    assert files.info("hard")["size"] == len(TABLE)
    assert files.info("hard")["sha256"] == info["sha256"]
    assert files.isdir("")
    assert files.isdir("without/entry")
    assert files.isfile("zero")
    assert files.exists("odd\udcff name")
    assert not files.exists("with")
    assert not files.exists("zero/below")
    with pytest.raises(FileNotFoundError, match="no member 'with'"):
        files.info("with")


def test_modified_and_ukey(files: LmarcFileSystem) -> None:
    expected = datetime.fromtimestamp(MTIME / 1e9, UTC)
    assert files.modified("with entry/table.csv") == expected
    assert len(files.ukey("with entry/table.csv")) == 64
    assert files.ukey("with entry/table.csv") != files.ukey("zero")
    with pytest.raises(FileNotFoundError, match="no time of its own"):
        files.modified("without")


def test_find_and_glob_walk_the_tree(files: LmarcFileSystem) -> None:
    everything = files.find("")
    assert everything == sorted(everything)
    assert "without/entry/numbers.txt" in everything
    assert "without" not in everything
    assert files.find("without", withdirs=True) == [
        "without", "without/entry", "without/entry/numbers.txt", "without/other.txt",
    ]  # fmt: skip
    assert files.find("without", maxdepth=1) == ["without/other.txt"]
    assert list(files.find("without", detail=True)) == files.find("without")
    assert files.find("zero") == ["zero"]
    assert files.find("nothing") == []
    assert files.glob("**/*.txt") == ["without/entry/numbers.txt", "without/other.txt"]
    assert files.glob("*/table.*") == ["with entry/table.csv"]
    assert [root for root, _, _ in files.walk("without")] == ["without", "without/entry"]
    assert files.du("without") == len(NUMBERS) + 5
    with pytest.raises(ValueError, match="maxdepth"):
        files.find("", maxdepth=0)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None), (0, 10), (4000, 9000), (-7, None), (-9, -2), (None, 3), (99, 99), (9, 2),
        (10**9, None),
    ],
)  # fmt: skip
def test_cat_file_slices_as_python_does(
    files: LmarcFileSystem, start: int | None, end: int | None
) -> None:
    assert files.cat_file("without/entry/numbers.txt", start, end) == NUMBERS[slice(start, end)]


def test_cat_and_cat_ranges(files: LmarcFileSystem) -> None:
    assert files.cat("zero") == b""
    assert files.cat_file("odd\udcff name") == b"bytes"
    assert files.cat_file("hard") == TABLE
    assert files.cat(["without/other.txt", "zero"]) == {"without/other.txt": b"other", "zero": b""}
    paths = ["without/other.txt", "with entry/table.csv", "nothing"]
    first, second, third = files.cat_ranges(paths, [1, -3, 0], [3, None, 1])
    assert (first, second) == (b"th", b"41\n")
    assert isinstance(third, FileNotFoundError)
    assert files.cat_ranges(paths[:2], 0, 2) == [b"ot", b"na"]
    with pytest.raises(FileNotFoundError):
        files.cat_ranges(paths, 0, 1, on_error="raise")
    with pytest.raises(ValueError, match="3 paths, 1 starts and 3 ends"):
        files.cat_ranges(paths, [0], 1)


def test_a_directory_has_no_content(files: LmarcFileSystem) -> None:
    for name in ("with entry", "without"):
        with pytest.raises(IsADirectoryError):
            files.open(name)
        with pytest.raises(IsADirectoryError):
            files.cat_file(name, 0, 1)


def test_open_seeks_and_decodes(files: LmarcFileSystem) -> None:
    with files.open("without/entry/numbers.txt") as file:
        file.seek(-6, os.SEEK_END)
        assert file.read() == b"49999\n"
        file.seek(4095)
        assert file.read(3) == NUMBERS[4095:4098]
    with files.open("with entry/table.csv", "rt", encoding="ascii") as file:
        assert file.readline() == "name,age\n"
    with pytest.raises(OSError, match="read-only"):
        files.open("new", "wb")
    with pytest.raises(FileNotFoundError):
        files.open("nothing")


def test_chained_urls_reach_members(path: str) -> None:
    with fsspec.open(f"lmarc://without/other.txt::{path}") as file:
        assert file.read() == b"other"
    with fsspec.open(f"lmarc://without/other.txt::file://{path}") as file:
        assert file.read() == b"other"
    with fsspec.open(f"lmarc://without/other.txt::simplecache::file://{path}") as file:
        assert file.read() == b"other"
    opened = fsspec.open_files(f"lmarc://**/*.txt::{path}")
    assert [file.path for file in opened] == ["without/entry/numbers.txt", "without/other.txt"]


def test_an_archive_in_an_archive(path: str, tmp_path: Path) -> None:
    outer = tmp_path / "outer.lmarc"
    with lmarc.Writer(outer, preset="fast") as writer:
        writer.add_path(path, "inner.lmarc")
    with fsspec.open(f"lmarc://zero::lmarc://inner.lmarc::{outer}") as file:
        assert file.read() == b""


def test_get_copies_a_tree(files: LmarcFileSystem, tmp_path: Path) -> None:
    files.get("without", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/entry/numbers.txt").read_bytes() == NUMBERS


def test_an_archive_is_one_instance_that_pickles_as_its_arguments(path: str) -> None:
    files = fsspec.filesystem("lmarc", fo=path)
    assert fsspec.filesystem("lmarc", fo=path) is files
    assert pickle.loads(pickle.dumps(files)) is files
    files.ls("")
    data = pickle.dumps(files)
    LmarcFileSystem.clear_instance_cache()
    again = pickle.loads(data)
    assert again is not files
    assert again == files
    assert again._state is None
    assert again.cat_file("without/other.txt") == b"other"
    open_file = fsspec.open(f"lmarc://zero::{path}")
    with pickle.loads(pickle.dumps(open_file)) as file:
        assert file.read() == b""


def read_elsewhere(files: LmarcFileSystem, name: str, found: Any) -> None:
    found.put(files.cat_file(name))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_reads_with_the_instance_of_its_parent(
    files: LmarcFileSystem, method: str
) -> None:
    assert files.cat_file("zero") == b""  # threads and files are there
    context: Any = multiprocessing.get_context(method)
    found = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are
        child = context.Process(target=read_elsewhere, args=(files, "without/other.txt", found))
        child.start()
    child.join(60)
    assert child.exitcode == 0
    assert found.get() == b"other"


# fsspec's cache `mmap` leaves its file to the garbage collector.
LEAKS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@LEAKS
@pytest.mark.parametrize("cache_type", sorted(fsspec.caching.caches.keys() - {None, "parts"}))
def test_open_takes_every_cache_of_fsspec(files: LmarcFileSystem, cache_type: str) -> None:
    name = "without/entry/numbers.txt"
    with files.open(name, block_size=5000, cache_type=cache_type) as file:
        file.seek(4095)
        assert file.read(3) == NUMBERS[4095:4098]
        file.seek(-6, os.SEEK_END)
        assert file.read() == b"49999\n"
        file.seek(0)
        assert file.read() == NUMBERS
    with files.open(name, "rt", encoding="ascii", cache_type=cache_type) as file:
        assert sum(map(int, file)) == 49_999 * 25_000


def test_open_takes_parts_that_are_known(files: LmarcFileSystem) -> None:
    known = {"data": {(4095, 4098): NUMBERS[4095:4098]}}
    name = "without/entry/numbers.txt"
    with files.open(name, cache_type="parts", cache_options=known) as file:
        file.seek(4095)
        assert file.read(3) == NUMBERS[4095:4098]


@LEAKS
@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_caches_of_fsspec_stand_before_members_and_before_the_archive(
    path: str, tmp_path: Path, cache: str
) -> None:
    options = {cache: {"cache_storage": str(tmp_path / "cache")}}
    for url in (
        f"{cache}::lmarc://without/entry/numbers.txt::{path}",
        f"lmarc://without/entry/numbers.txt::{cache}::file://{path}",
    ):
        with fsspec.open(url, **options) as file:
            assert file.read(5) == NUMBERS[:5]
            file.seek(-6, os.SEEK_END)
            assert file.read() == b"49999\n"
        assert list((tmp_path / "cache").iterdir())


def test_an_event_loop_of_its_user_runs_it(path: str) -> None:
    async def use() -> list[Any]:
        files = LmarcFileSystem(path, asynchronous=True)
        names = ["without/other.txt", "with entry/table.csv"]
        return await asyncio.gather(  # type: ignore[no-any-return]
            files._ls("without", detail=False),
            files._cat_ranges(names, [1, -3], [3, None]),
            *(files._cat_file("without/entry/numbers.txt", n, n + 9) for n in range(0, 40_000, 99)),
        )

    listing, ranges, *parts = asyncio.run(use())
    assert listing == ["without/entry", "without/other.txt"]
    assert ranges == [b"th", b"41\n"]
    assert parts == [NUMBERS[n : n + 9] for n in range(0, 40_000, 99)]


def test_copies_tell_their_progress(files: LmarcFileSystem, tmp_path: Path) -> None:
    class Watch(fsspec.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.children: list[fsspec.callbacks.Callback] = []

        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Any:
            self.children.append(fsspec.callbacks.Callback())
            return self.children[-1]

    watch = Watch()
    files.get("without", str(tmp_path / "out"), recursive=True, callback=watch)
    assert watch.size == watch.value == 4
    assert {child.value for child in watch.children if child.size} == {len(NUMBERS), 5}
    single = fsspec.callbacks.Callback()
    files.get_file("without/entry/numbers.txt", str(tmp_path / "one"), callback=single)
    assert single.size == single.value == len(NUMBERS)
    target = io.BytesIO()
    files.get_file("without/other.txt", target)
    assert target.getvalue() == b"other"


def test_a_damaged_member_costs_no_other(path: str, tmp_path: Path) -> None:
    archive = lmarc.open(path)
    pieces = archive.index.pieces_of(archive.file_entry("without/entry/numbers.txt"), 0, 9)
    data = bytearray(Path(path).read_bytes())
    data[int(archive.index.chunk_offsets[pieces.chunk[0]]) + 70] ^= 1
    broken = tmp_path / "broken.lmarc"
    broken.write_bytes(data)
    files = LmarcFileSystem(broken)
    names = ["without/entry/numbers.txt", "without/entry/numbers.txt", "odd\udcff name"]
    first, second, third = files.cat_ranges(names, [0, 200_000, 0], [9, 200_009, 5])
    assert isinstance(first, lmarc.CorruptError)
    assert second == NUMBERS[200_000:200_009]
    assert third == b"bytes"
    found = files.cat(names[1:], on_error="omit")
    assert found == {"odd\udcff name": b"bytes"}
    with pytest.raises(lmarc.CorruptError):
        files.get_file(names[0], str(tmp_path / "out"))


def test_listings_are_those_of_the_archive_as_it_was_opened(path: str) -> None:
    files = LmarcFileSystem(path)
    fresh = LmarcFileSystem(path, use_listings_cache=False)
    expiring = LmarcFileSystem(path, listings_expiry_time=3600)
    for each in (files, fresh, expiring):
        assert "new" not in each.ls("", detail=False)
    with lmarc.appender(path, preset="fast") as writer:
        writer.add_bytes("new", b"1")
    assert "new" in fresh.ls("", detail=False)
    assert "new" not in expiring.ls("", detail=False)
    expiring._opened_at -= 3600
    assert "new" in expiring.find("")
    assert "new" not in files.ls("", detail=False)
    assert "new" in files.ls("", detail=False, refresh=True)
    with lmarc.appender(path, preset="fast") as writer:
        writer.add_bytes("newer", b"2")
    assert not files.exists("newer")
    files.invalidate_cache()
    assert files.cat_file("newer") == b"2"


def test_duckdb_reads_members(path: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("lmarc", fo=path))
    found = connection.sql("select max(age) from read_csv('lmarc://with entry/table.csv')")
    assert found.fetchall() == [(41,)]


def test_pandas_and_arrow_read_members(path: str, tmp_path: Path) -> None:
    url = f"lmarc://with entry/table.csv::{path}"
    assert pd.read_csv(url)["age"].tolist() == [36, 41]
    table = pyarrow.table({"x": list(range(1000))})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    outer = tmp_path / "tables.lmarc"
    with lmarc.Writer(outer, preset="fast") as writer:
        writer.add_path(tmp_path / "t.parquet", "data/one.parquet")
        writer.add_path(tmp_path / "t.parquet", "data/two.parquet")
    files = fsspec.filesystem("lmarc", fo=str(outer))
    assert pd.read_parquet(f"lmarc://data/one.parquet::{outer}")["x"].sum() == 499_500
    assert pyarrow.parquet.read_table("data/one.parquet", filesystem=files).equals(table)
    both = pyarrow.dataset.dataset("data", filesystem=files, format="parquet")
    assert both.count_rows() == 2000
    wrapped = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(files))
    with wrapped.open_input_file("data/two.parquet") as file:
        assert file.size() == (tmp_path / "t.parquet").stat().st_size


def test_s3_is_asked_once_to_open_and_once_for_a_member(bucket: Bucket) -> None:
    url = f"{bucket.url}/a.lmarc"
    write_sample(url, storage_options=bucket.storage_options)
    bucket.log.clear()
    files = fsspec.filesystem(
        "lmarc",
        fo=url.removeprefix("s3://"),
        target_protocol="s3",
        target_options=bucket.storage_options,
    )
    assert bucket.log.methods == []
    assert len(files.find("")) == 8 - 1
    assert files.glob("**/*.csv") == ["with entry/table.csv"]
    assert bucket.log.methods == ["GET"]
    bucket.log.clear()
    assert files.cat_file("without/other.txt") == b"other"
    assert len(bucket.log.methods) <= 1
    again = pickle.loads(pickle.dumps(files))
    bucket.log.clear()
    assert again.cat_file("with entry/table.csv") == TABLE
    assert "HEAD" not in bucket.log.methods
    with fsspec.open(f"lmarc://zero::{url}", s3=bucket.storage_options) as file:
        assert file.read() == b""


def test_s3_is_asked_for_a_chunk_once_however_many_tasks_want_it(bucket: Bucket) -> None:
    url = f"{bucket.url}/small.lmarc"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as writer:
        for number in range(60):
            writer.add_bytes(f"{number:02}", noise(number, 2000))
    files = LmarcFileSystem(url, target_options=bucket.storage_options)
    bucket.log.clear()

    async def at_once() -> list[bytes]:
        return await asyncio.gather(*(files._cat_file(f"{number:02}") for number in range(60)))

    assert fsspec.asyn.sync(files.loop, at_once) == [noise(number, 2000) for number in range(60)]
    assert bucket.log.methods == ["GET", "GET"]  # the index, and the one chunk of all


def test_s3_is_asked_for_near_chunks_together(bucket: Bucket) -> None:
    url = f"{bucket.url}/large.lmarc"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as writer:
        for number in range(60):
            writer.add_bytes(f"{number:02}", noise(number, 400_000))
    files = LmarcFileSystem(url, target_options=bucket.storage_options)
    assert len(files.find("")) == 60
    bucket.log.clear()
    names = [f"{number:02}" for number in (3, 50, 4, 7, 3)]
    parts = files.cat_ranges(names, 399_990, None)
    assert parts == [noise(int(name), 400_000)[399_990:] for name in names]
    assert len(bucket.log.methods) == 2


def test_a_replaced_archive_costs_one_error(bucket: Bucket) -> None:
    url = f"{bucket.url}/a.lmarc"
    write_sample(url, storage_options=bucket.storage_options)
    files = fsspec.filesystem("lmarc", fo=url, target_options=bucket.storage_options)
    assert files.cat_file("without/other.txt") == b"other"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as writer:
        writer.add_bytes("without/other.txt", b"something else")
    with pytest.raises(lmarc.SourceError, match=f"was replaced.*{url}"):
        files.cat_file("with entry/table.csv")
    assert files.cat_file("without/other.txt") == b"something else"
