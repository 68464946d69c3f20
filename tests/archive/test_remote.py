"""What an archive on S3 costs, and what other file systems give."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from lmarc.archive.remote import FsspecSource, S3Source, open_remote_source
from tests.archive.samples import MEMBERS, make, noise, text
from tests.conftest import Bucket
from tools.benchmarks._s3 import Answer, RequestLog

SIZE = 150_000  # bytes of a member
COUNT = 60


@pytest.fixture
def url(bucket: Bucket) -> str:
    """Return an archive of members that share chunks, and one text."""
    url = f"{bucket.url}/a.lmarc"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as out:
        for number in range(COUNT):
            out.add_bytes(f"m{number:02}", noise(number, SIZE))
        out.add_bytes("text", text(0, 3_000_000))
    bucket.log.clear()
    return url


def test_open_and_list_cost_one_suffix_read(url: str, bucket: Bucket) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    assert len(archive.members["path"].to_pylist()) == COUNT + 1
    assert len(archive) == COUNT + 1
    assert bucket.log.methods == ["GET"]
    assert bucket.log.ranges == ["bytes=-65536"]


def test_an_index_beyond_the_suffix_costs_a_second_read(bucket: Bucket) -> None:
    url, options = f"{bucket.url}/many.lmarc", bucket.storage_options
    with lmarc.Writer(url, storage_options=options, preset="fast") as out:
        for number in range(2_000):
            out.add_bytes(f"{number:04}", noise(number, 20))
    bucket.log.clear()
    archive = lmarc.open(url, storage_options=options)
    assert len(archive) == 2_000
    assert archive.ending.footer.index_size > 65_536
    assert bucket.log.methods == ["GET", "GET"]
    assert bucket.log.received < archive.ending.footer.index_size + 1_000


def test_a_member_costs_one_request_and_its_chunks(url: str, bucket: Bucket) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    bucket.log.clear()
    assert archive.read("m07") == noise(7, SIZE)
    chunks = archive.index.pieces_of(archive.info("m07").number, 0, SIZE).chunk
    assert len(chunks) == 1
    assert bucket.log.methods == ["GET"]
    assert bucket.log.received == archive.chunk_sizes()[chunks].sum()
    archive.read("m07", 10, 10)
    assert bucket.log.methods == ["GET"]


def test_a_large_member_is_read_in_few_requests(url: str, bucket: Bucket) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    bucket.log.clear()
    assert archive.read("text") == text(0, 3_000_000)
    assert bucket.log.methods.count("GET") == len(bucket.log.methods) <= 2  # its dictionary


def test_unpickling_costs_nothing(url: str, bucket: Bucket) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    data = pickle.dumps((archive, archive.open("m01")))
    bucket.log.clear()
    copy, file = pickle.loads(data)
    assert bucket.log.methods == []
    assert len(copy) == COUNT + 1
    assert bucket.log.methods == []
    assert file.read(10) == noise(1, SIZE)[:10]
    assert bucket.log.methods == ["GET"]


def test_a_replaced_object_is_noticed(url: str, bucket: Bucket, tmp_path: Path) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    copy = pickle.loads(pickle.dumps(archive))
    other = make(tmp_path / "other").read_bytes()
    fsspec.filesystem("s3", **bucket.storage_options).pipe(url, other)
    for one in (archive, copy):
        with pytest.raises(lmarc.SourceError, match="was replaced"):
            one.read("m01")


def test_every_member_comes_back(url: str, bucket: Bucket, tmp_path: Path) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    assert archive.verify().member_count == COUNT + 1
    archive.extract(tmp_path / "out")
    for number in range(COUNT):
        assert (tmp_path / "out" / f"m{number:02}").read_bytes() == noise(number, SIZE)


def test_large_archives_are_uploaded_in_parts(bucket: Bucket) -> None:
    url, options = f"{bucket.url}/large.lmarc", bucket.storage_options
    data = noise(1, 20 << 20)
    with lmarc.Writer(url, storage_options=options, preset="fast") as out:
        out.add_bytes("data", data)
    assert bucket.log.methods[0] == "POST"
    assert bucket.log.methods.count("PUT") == 3
    archive = lmarc.open(url, storage_options=options)
    assert archive.read("data") == data


def test_bytes_are_those_of_a_local_archive(bucket: Bucket, tmp_path: Path) -> None:
    url = f"{bucket.url}/same.lmarc"
    make(url, storage_options=bucket.storage_options)  # type: ignore[arg-type]
    found = fsspec.filesystem("s3", **bucket.storage_options).cat(url)
    assert found == make(tmp_path / "a").read_bytes()


def test_what_is_not_there_is_named(bucket: Bucket) -> None:
    options = bucket.storage_options
    with pytest.raises(FileNotFoundError, match=r"none.lmarc"):
        lmarc.open(f"{bucket.url}/none.lmarc", storage_options=options)
    with (
        pytest.raises(lmarc.SourceError, match="s3://no-such-bucket/a"),
        lmarc.Writer("s3://no-such-bucket/a", storage_options=options, preset="fast") as out,
    ):
        out.add_bytes("x", b"x")
    fsspec.filesystem("s3", **options).pipe(f"{bucket.url}/empty", b"")
    with pytest.raises(lmarc.NotAnArchiveError, match="is empty"):
        lmarc.open(f"{bucket.url}/empty", storage_options=options)


@pytest.mark.parametrize("number", [0, 1])
def test_a_refused_read_is_an_error_of_the_source(url: str, bucket: Bucket, number: int) -> None:
    bucket.log.clear()
    bucket.log.fail_at = number
    try:
        with pytest.raises(lmarc.SourceError, match=url):
            lmarc.open(url, storage_options=bucket.storage_options).read("m01")
    finally:
        bucket.log.fail_at = -1


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://folder/a.lmarc"
    fsspec.filesystem("memory").store.clear()


def test_any_file_system_holds_an_archive(memory: str, tmp_path: Path) -> None:
    make(memory)  # type: ignore[arg-type]
    local = make(tmp_path / "a").read_bytes()
    assert fsspec.filesystem("memory").cat("/folder/a.lmarc") == local
    archive = lmarc.open(memory)
    assert all(archive.read(name) == data for name, data in MEMBERS.items())
    archive.verify()
    with lmarc.appender(memory, preset="fast") as out:
        out.add_bytes("new", b"1")
    assert lmarc.open(memory).read("new") == b"1"
    assert lmarc.recover(memory, tmp_path / "out").intact == len(MEMBERS) + 1


def test_nothing_appears_there_before_the_end(memory: str) -> None:
    with pytest.raises(KeyError), lmarc.Writer(memory, preset="fast") as out:  # noqa: PT012
        out.add_bytes("x", noise(1, 100_000))
        raise KeyError
    assert not fsspec.filesystem("memory").exists("/folder/a.lmarc")


def test_the_kind_of_source_follows_the_file_system(bucket: Bucket) -> None:
    assert type(open_remote_source("memory://x", None)) is FsspecSource
    source = open_remote_source(f"{bucket.url}/x", bucket.storage_options)
    assert type(source) is S3Source
    assert not source.local
    assert source.url == f"{bucket.url}/x"


def test_ranges_apart_are_read_at_the_same_time(url: str, bucket: Bucket) -> None:
    source = open_remote_source(url, bucket.storage_options)
    whole = fsspec.filesystem("s3", **bucket.storage_options).cat(url)
    bucket.log.clear()
    ranges = [(0, 32), (5 << 20, (5 << 20) + 9), (64, 80)]
    assert [bytes(b) for b in source.read_ranges(ranges)] == [whole[a:b] for a, b in ranges]
    assert sorted(bucket.log.ranges) == ["bytes=0-79", "bytes=5242880-5242888"]
    assert source.read_ranges([]) == []


def short_body(status: str, headers: dict[str, str], body: bytes) -> Answer:
    return status, {**headers, "content-length": str(len(body) - 1)}, body[:-1]


def cut_body(status: str, headers: dict[str, str], body: bytes) -> Answer:
    return status, headers, body[: len(body) // 2]


def other_range(status: str, headers: dict[str, str], body: bytes) -> Answer:
    first, rest = headers["content-range"].removeprefix("bytes ").split("-")
    last, total = rest.split("/")
    moved = f"bytes {int(first) - 1}-{int(last) - 1}/{total}"
    return status, {**headers, "content-range": moved}, body


def other_bytes(status: str, headers: dict[str, str], body: bytes) -> Answer:
    return status, headers, body[1:] + body[:1]


def other_etag(status: str, headers: dict[str, str], body: bytes) -> Answer:
    return status, {**headers, "etag": '"another"'}, body


def no_range(status: str, headers: dict[str, str], body: bytes) -> Answer:
    headers = {name: value for name, value in headers.items() if name != "content-range"}
    return "200 OK", {**headers, "content-length": str(2 * len(body))}, 2 * body


@pytest.fixture
def lies(bucket: Bucket) -> Iterator[RequestLog]:
    yield bucket.log
    bucket.log.lie, bucket.log.delay = None, 0
    bucket.log.fail_at, bucket.log.fail_how = -1, "refuse"


@pytest.mark.parametrize("lie", [short_body, cut_body, other_range, other_etag, no_range])
def test_a_lie_about_a_range_names_url_and_range(
    url: str, bucket: Bucket, lies: RequestLog, lie: Any
) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    start = int(archive.index.chunk_offsets[0])
    end = start + int(archive.index.chunk_stored_sizes[0])
    lies.lie = lie
    with pytest.raises(lmarc.SourceError) as caught:
        archive.read("m00")
    assert (caught.value.url, caught.value.start, caught.value.end) == (url, start, end)
    assert f"({url}, bytes {start} to {end})" in str(caught.value)
    lies.lie = None
    if lie is not other_etag:
        assert archive.read("m00") == noise(0, SIZE)


@pytest.mark.parametrize("lie", [short_body, cut_body, other_range])
def test_a_lie_about_the_end_names_url_and_range(
    url: str, bucket: Bucket, lies: RequestLog, lie: Any
) -> None:
    lies.lie = lie
    with pytest.raises(lmarc.SourceError, match=f"{url}, bytes -65536 to the end"):
        lmarc.open(url, storage_options=bucket.storage_options)


def test_other_bytes_are_never_given(url: str, bucket: Bucket, lies: RequestLog) -> None:
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    lies.lie = other_bytes
    with pytest.raises(lmarc.CorruptError, match="at byte"):
        archive.read("m00", 10, 10)
    with pytest.raises(lmarc.FormatError):
        lmarc.open(url, storage_options=bucket.storage_options)
    lies.lie = None
    assert archive.read("m00") == noise(0, SIZE)


@pytest.mark.parametrize("how", ["error", "cut"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_request_that_fails_once_is_repeated(
    url: str, bucket: Bucket, lies: RequestLog, how: str, number: int
) -> None:
    lies.clear()
    lies.fail_at, lies.fail_how = number, how
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    assert archive.read("m00") == noise(0, SIZE)
    assert lies.methods == ["GET"] * 3


def test_a_store_that_keeps_failing_names_url_and_range(
    url: str, bucket: Bucket, lies: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    lies.lie = lambda status, headers, body: ("500 Internal Server Error", {}, b"")
    with pytest.raises(lmarc.SourceError, match=f"{url}, bytes 0 to 150"):
        archive.source.read(0, 150)


def test_a_store_that_is_too_slow_names_url_and_range(
    url: str, bucket: Bucket, lies: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    limits = {"config_kwargs": {"read_timeout": 0.3, "retries": {"max_attempts": 0}}}
    archive = lmarc.open(url, storage_options={**bucket.storage_options, **limits})
    lies.delay = 1
    with pytest.raises(lmarc.SourceError, match=f"cannot be read: .*{url}, bytes 0 to 150"):
        archive.source.read(0, 150)
    lies.delay = 0
    assert archive.read("m00") == noise(0, SIZE)
