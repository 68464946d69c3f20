"""A run that was stopped is gone on from, and the archive is that of one that was not."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from tests.archive.samples import noise, text
from tests.conftest import Bucket

COUNT = 15  # files of 3 MB: with the others four groups, and as many parts


class StoppedError(Exception):
    """The run was stopped on purpose."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a large file, text and many others."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "files").mkdir()
    for number in range(COUNT):
        (folder / "files" / f"{number:02}").write_bytes(noise(number, 3_000_000))
    (folder / "files" / "05 large").write_bytes(noise(99, 20 << 20))
    (folder / "files" / "text").write_bytes(text(1, 2_000_000))
    return folder


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the archive of an undisturbed run on this machine."""
    path = tmp_path_factory.mktemp("expected") / "a.lmarc"
    lmarc.create(path, ["files"], directory=data, preset="fast")
    return path.read_bytes()


def create(bucket: Bucket, data: Path, **options: Any) -> None:
    given = {"preset": "fast", "resume": True, **options}
    url, storage = f"{bucket.url}/a.lmarc", bucket.storage_options
    lmarc.create(url, ["files"], directory=data, storage_options=storage, **given)


def stop_at(size: int) -> Callable[[int, int], None]:
    def progress(encoded: int, _: int) -> None:
        if encoded > size:
            raise StoppedError

    return progress


def left(bucket: Bucket) -> tuple[list[str], int]:
    """Return the objects in the bucket, and how many uploads are unfinished."""
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.invalidate_cache()
    name = bucket.url.removeprefix("s3://")
    uploads = store.call_s3("list_multipart_uploads", Bucket=name).get("Uploads", [])
    return [key.removeprefix(f"{name}/") for key in store.find(name)], len(uploads)


@pytest.mark.parametrize("size", [10 << 20, 36 << 20, 60 << 20])
def test_a_stopped_run_is_gone_on_from(
    size: int, bucket: Bucket, data: Path, expected: bytes
) -> None:
    warnings: list[str] = []
    with pytest.raises(StoppedError):
        create(bucket, data, progress=stop_at(size), warn=warnings.append)
    objects, uploads = left(bucket)
    assert "a.lmarc" not in objects
    assert uploads == (1 if size > 20 << 20 else 0)
    assert [w for w in warnings if "--resume" in w] == warnings
    bucket.log.clear()
    create(bucket, data, warn=pytest.fail)
    assert left(bucket) == (["a.lmarc"], 0)
    assert (
        fsspec.filesystem("s3", **bucket.storage_options).cat(f"{bucket.url}/a.lmarc") == expected
    )
    if size > 20 << 20:
        assert bucket.log.sent < len(expected) - (size >> 1)


def test_without_resume_a_failed_run_leaves_nothing(bucket: Bucket, data: Path) -> None:
    with pytest.raises(StoppedError):
        create(bucket, data, resume=False, progress=stop_at(50 << 20))
    assert left(bucket) == ([], 0)


def test_a_run_that_begins_anew_has_the_earlier_one_forgotten(
    bucket: Bucket, data: Path, expected: bytes
) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with pytest.raises(StoppedError):
        create(bucket, data, progress=stop_at(50 << 20))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        create(bucket, data, resume=False, executor=executor)
    assert left(bucket) == (["a.lmarc"], 0)
    assert (
        fsspec.filesystem("s3", **bucket.storage_options).cat(f"{bucket.url}/a.lmarc") == expected
    )


def test_other_options_cannot_go_on(bucket: Bucket, data: Path) -> None:
    with pytest.raises(StoppedError):
        create(bucket, data, progress=stop_at(50 << 20))
    with pytest.raises(lmarc.SourceError, match="the earlier run had other options"):
        create(bucket, data, zstd_level=5)
    assert left(bucket)[1] == 1  # and what it has left stays


def test_changed_files_cannot_go_on(bucket: Bucket, data: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for path in (data / "files").iterdir():
        (tmp_path / "files" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StoppedError):
        create(bucket, tmp_path, progress=stop_at(50 << 20))
    (tmp_path / "files" / "00").write_bytes(noise(0, 3_000_000))
    with pytest.raises(lmarc.SourceError, match="has changed since the run that is resumed"):
        create(bucket, tmp_path)


def test_an_upload_that_is_gone_is_begun_anew(bucket: Bucket, data: Path, expected: bytes) -> None:
    with pytest.raises(StoppedError):
        create(bucket, data, progress=stop_at(50 << 20))
    store = fsspec.filesystem("s3", **bucket.storage_options)
    name = bucket.url.removeprefix("s3://")
    (upload,) = store.call_s3("list_multipart_uploads", Bucket=name)["Uploads"]
    store.call_s3("abort_multipart_upload", Bucket=name, Key="a.lmarc", UploadId=upload["UploadId"])
    warnings: list[str] = []
    create(bucket, data, warn=warnings.append)
    assert len(warnings) == 1
    assert "is gone" in warnings[0]
    assert store.cat(f"{bucket.url}/a.lmarc") == expected
    assert left(bucket) == (["a.lmarc"], 0)


def test_a_damaged_note_is_an_error(bucket: Bucket, data: Path) -> None:
    with pytest.raises(StoppedError):
        create(bucket, data, progress=stop_at(36 << 20))
    store = fsspec.filesystem("s3", **bucket.storage_options)
    note = f"{bucket.url}/a.lmarc.lmarc-resume/00001"
    etag = json.loads(zlib.decompress(store.cat(note)))["etag"]
    states: list[Any] = [[], {"etag": etag}, {"etag": etag, "groups": [7]}]
    for state in states:
        store.pipe(note, zlib.compress(json.dumps(state).encode()))
        with pytest.raises(lmarc.SourceError, match="00001 is damaged"):
            create(bucket, data)
    store.pipe(note, b"damaged")
    with pytest.raises(lmarc.SourceError, match="00001 is damaged"):
        create(bucket, data)


def test_uploads_of_nobody_are_named(bucket: Bucket, data: Path) -> None:
    store = fsspec.filesystem("s3", **bucket.storage_options)
    name = bucket.url.removeprefix("s3://")
    upload = store.call_s3("create_multipart_upload", Bucket=name, Key="a.lmarc")["UploadId"]
    warnings: list[str] = []
    lmarc.create(
        f"{bucket.url}/a.lmarc",
        ["files/text"],
        directory=data,
        storage_options=bucket.storage_options,
        preset="fast",
        resume=True,
        warn=warnings.append,
    )
    assert len(warnings) == 1
    assert upload in warnings[0]
    assert left(bucket) == (["a.lmarc"], 1)


@pytest.mark.parametrize("url", ["a.lmarc", "memory://a.lmarc", "-"])
def test_only_s3_can_resume(url: str, data: Path, tmp_path: Path) -> None:
    target = str(tmp_path / url) if url == "a.lmarc" else url
    with pytest.raises(ValueError, match="only an archive on S3 can be resumed"):
        lmarc.create(target, ["files"], directory=data, resume=True)
    assert list(tmp_path.iterdir()) == []
