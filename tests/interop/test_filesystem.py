"""The fsspec file system: what it says about members, what it reads, and what that costs."""

import os
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow.csv
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

import lmarc
from lmarc.interop.filesystem import LmarcFileSystem, Tree, address
from tests.conftest import Bucket

TABLE = b"name,age\nada,36\nalan,41\n"
NUMBERS = b"".join(b"%d\n" % number for number in range(50_000))
ON_S3 = {"target_protocol": "s3", "target_options": {"anon": True}}
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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a.lmarc", None, None), ("a.lmarc", {})),
        (("s3://b/a.lmarc", None, {"anon": True}), ("s3://b/a.lmarc", {"anon": True})),
        (("b/a.lmarc", "s3", {"anon": True}), ("s3://b/a.lmarc", {"anon": True})),
        (
            ("s3://b/a", "simplecache", {"fo": "s3://b/a", **ON_S3}),
            ("simplecache::s3://b/a", {"simplecache": {}, "s3": {"anon": True}}),
        ),
        (
            ("in/a", "zip", {"fo": "b/z.zip", **ON_S3}),
            ("zip://in/a::s3://b/z.zip", {"zip": {}, "s3": {"anon": True}}),
        ),
    ],
)  # fmt: skip
def test_chains_become_one_address(arguments: Any, expected: Any) -> None:
    assert address(*arguments) == expected


def test_tree_knows_directories_without_an_entry() -> None:
    tree = Tree(["a/b/c", "a/d", "e", "f/g"], ["f/g"])
    assert tree.children("") == ["a", "e", "f"]
    assert tree.children("f/g") == []
    assert tree.is_directory("f/g")
    assert tree.children("a") == ["a/b", "a/d"]
    assert tree.is_directory("a/b")
    assert not tree.is_directory("a/d")
    assert list(tree.below("")) == ["a", "a/b", "a/b/c", "a/d", "e", "f", "f/g"]
    assert list(tree.below("", 1)) == ["a", "e", "f"]
    assert list(Tree([]).below("")) == []


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


def test_links_are_followed_within_the_archive(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast") as writer:
        writer.add_bytes("a/file", b"content")
        writer.add_link("a/b", "../c")
        writer.add_link("c", "a/file")
        writer.add_link("loop", "loop")
        writer.add_link("outside", "../../etc/passwd")
        writer.add_link("absolute", "/etc/passwd")
        writer.add_link("folder", "a")
    files = LmarcFileSystem(tmp_path / "a.lmarc")
    assert files.cat_file("a/b") == b"content"
    assert files.info("a/b")["size"] == 7
    assert files.isfile("a/b")
    for name in ("loop", "outside", "absolute", "folder"):
        assert files.info(name)["type"] == "link"
        with pytest.raises(FileNotFoundError):
            files.cat_file(name)


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


def test_instances_pickle_as_their_arguments(files: LmarcFileSystem) -> None:
    files.ls("")
    again = pickle.loads(pickle.dumps(files))
    assert again._archive is None
    assert again.cat_file("without/other.txt") == b"other"
    assert again == files
    open_file = fsspec.open(f"lmarc://zero::{files.fo}")
    with pickle.loads(pickle.dumps(open_file)) as file:
        assert file.read() == b""


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
