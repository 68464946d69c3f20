"""Appending to an object on S3: old bytes stay there, and only the object that was read grows."""

from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.upload import SMALLEST_PART, error_code
from tests.archive.samples import make, noise
from tests.conftest import Bucket


def put(bucket: Bucket, folder: Path, size: int) -> tuple[str, bytes]:
    """Put an archive of one member with `size` bytes; return its URL and its bytes."""
    old = make(folder / "old", {"old": noise(2, size)}).read_bytes()
    url = f"{bucket.url}/a.lmarc"
    fsspec.filesystem("s3", **bucket.storage_options).pipe(url, old)
    return url, old


def appended(url: str, bucket: Bucket) -> None:
    with lmarc.appender(url, storage_options=bucket.storage_options, preset="fast") as out:
        out.add_bytes("new", b"content")


@pytest.mark.parametrize("size", [1000, SMALLEST_PART - 2000, SMALLEST_PART + 1, 9 << 20])
def test_an_append_gives_the_bytes_of_a_local_one(
    size: int, bucket: Bucket, tmp_path: Path
) -> None:
    url, old = put(bucket, tmp_path, size)
    bucket.log.clear()
    appended(url, bucket)
    with lmarc.appender(tmp_path / "old", preset="fast") as out:
        out.add_bytes("new", b"content")
    new = fsspec.filesystem("s3", **bucket.storage_options).cat(url)
    assert new == (tmp_path / "old").read_bytes()
    assert new.startswith(old)


def test_old_bytes_are_copied_by_the_store(bucket: Bucket, tmp_path: Path) -> None:
    url, old = put(bucket, tmp_path, 9 << 20)
    bucket.log.clear()
    appended(url, bucket)
    # Read: the suffix and the header. Sent: the new section, a part behind the one that is copied.
    assert bucket.log.received < 70_000
    assert bucket.log.sent < 30_000 < len(old)
    assert [m for m in bucket.log.methods if m != "GET"] == ["POST", "PUT", "PUT", "POST"]


@pytest.mark.parametrize("size", [1000, 6 << 20])
@pytest.mark.parametrize("when", ["before the first write", "before the end"])
def test_an_object_that_changed_meanwhile_is_left_alone(
    size: int, when: str, bucket: Bucket, tmp_path: Path
) -> None:
    url, _ = put(bucket, tmp_path, size)
    store = fsspec.filesystem("s3", **bucket.storage_options)
    other = make(tmp_path / "other", {"other": b"other"}).read_bytes()
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    assert len(archive) == 1
    out = lmarc.appender(url, storage_options=bucket.storage_options, preset="fast")
    if when == "before the first write":
        store.pipe(url, other)
    out.add_bytes("new", noise(3, 100_000))
    store.pipe(url, other)
    with pytest.raises(lmarc.SourceError, match=r"changed since the append began.*ETag") as caught:
        out.close()
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.cat(url) == other
    bucket_name = bucket.url.removeprefix("s3://")
    assert "Uploads" not in store.call_s3("list_multipart_uploads", Bucket=bucket_name)


@pytest.mark.parametrize("size", [1000, 6 << 20])
def test_an_object_that_was_removed_meanwhile_stays_removed(
    size: int, bucket: Bucket, tmp_path: Path
) -> None:
    url, _ = put(bucket, tmp_path, size)
    store = fsspec.filesystem("s3", **bucket.storage_options)
    out = lmarc.appender(url, storage_options=bucket.storage_options, preset="fast")
    out.add_bytes("new", b"content")
    store.rm(url)
    with pytest.raises(lmarc.SourceError, match="changed since the append began: it"):
        out.close()
    assert not store.exists(url)


@pytest.mark.parametrize("size", [1000, 9 << 20])
def test_an_upload_whose_last_answer_is_lost_has_succeeded(size: int, bucket: Bucket) -> None:
    url = f"{bucket.url}/new.lmarc"
    bucket.log.fail_how = "lose"
    bucket.log.fail_at = 0 if size < 1 << 20 else 3
    try:
        with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as out:
            out.add_bytes("data", noise(1, size))
    finally:
        bucket.log.fail_at, bucket.log.fail_how = -1, "refuse"
    with lmarc.open(url, storage_options=bucket.storage_options) as archive:
        assert archive.read("data") == noise(1, size)


def test_an_error_without_an_answer_has_no_code() -> None:
    assert error_code(OSError("none")) == ""
