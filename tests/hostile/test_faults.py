"""Whichever request to S3 fails, and however: the archive is whole and right, or not there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from tests.archive.samples import make, noise
from tests.conftest import Bucket

HOW = ["refuse", "error", "cut", "lose"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for number in range(2):
        (tmp_path / "d" / str(number)).write_bytes(noise(number, 4_500_000))
    return tmp_path


@contextmanager
def failing(bucket: Bucket, number: int, how: str) -> Iterator[None]:
    bucket.log.clear()
    bucket.log.fail_at, bucket.log.fail_how = number, how
    try:
        yield
    finally:
        bucket.log.fail_at, bucket.log.fail_how = -1, "refuse"


def at_every_request(
    bucket: Bucket,
    how: str,
    prepare: Callable[[], object],
    work: Callable[[], object],
    check: Callable[[bool], object],
) -> int:
    """Run `work` with each of its requests failing in turn; return in how many runs it said so."""
    said = 0
    for number in range(100):
        prepare()
        try:
            with failing(bucket, number, how):
                work()
            failed = False
        except (lmarc.SourceError, FileNotFoundError):
            failed = True
        if len(bucket.log.methods) <= number:
            assert not failed
            return said
        said += failed
        check(failed)
    raise AssertionError("more requests than expected")


def cat(bucket: Bucket, name: str) -> bytes | None:
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.invalidate_cache()
    url = f"{bucket.url}/{name}"
    return bytes(store.cat(url)) if store.exists(url) else None


def remove_all(bucket: Bucket) -> None:
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.invalidate_cache()
    for key in store.find(bucket.url):
        store.rm(key)


@pytest.mark.parametrize("how", HOW)
def test_a_resumable_create_is_whole_or_not_there(how: str, bucket: Bucket, data: Path) -> None:
    lmarc.create(data / "expected", ["d"], directory=data, preset="fast")
    expected = (data / "expected").read_bytes()

    def work() -> None:
        lmarc.create(
            f"{bucket.url}/a",
            ["d"],
            directory=data,
            preset="fast",
            resume=True,
            storage_options=bucket.storage_options,
        )

    def check(failed: bool) -> None:
        assert cat(bucket, "a") == (None if failed else expected)
        if failed:  # and another run goes on from there
            work()
            assert cat(bucket, "a") == expected

    said = at_every_request(bucket, how, lambda: remove_all(bucket), work, check)
    # What the store refuses is said; what it loses is asked for again.
    assert said > 5 if how == "refuse" else said <= 1


@pytest.mark.parametrize("size", [1000, 6_000_000])
@pytest.mark.parametrize("how", HOW)
def test_an_append_is_whole_or_not_there(
    how: str, size: int, bucket: Bucket, tmp_path: Path
) -> None:
    old = make(tmp_path / "a", {"old": noise(1, size)}).read_bytes()
    with lmarc.appender(tmp_path / "a", preset="fast") as out:
        out.add_bytes("new", b"new")
    new = (tmp_path / "a").read_bytes()
    store = fsspec.filesystem("s3", **bucket.storage_options)

    def work() -> None:
        url, options = f"{bucket.url}/a", bucket.storage_options
        with lmarc.appender(url, storage_options=options, preset="fast") as out:
            out.add_bytes("new", b"new")

    def check(failed: bool) -> None:
        assert cat(bucket, "a") == (old if failed else new)

    said = at_every_request(bucket, how, lambda: store.pipe(f"{bucket.url}/a", old), work, check)
    assert said >= 2 if how == "refuse" else said <= 1


@pytest.mark.parametrize("how", HOW)
def test_a_set_is_whole_or_not_there(how: str, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for number in range(3):
        (tmp_path / "d" / str(number)).write_bytes(noise(number, 50_000))
    given: dict[str, Any] = {"directory": tmp_path, "preset": "fast", "shard_size": 60_000}
    lmarc.create(tmp_path / "a-{shard}", ["d"], **given)
    expected = {path.name: path.read_bytes() for path in tmp_path.glob("a*")}
    assert len(expected) == 4

    def work() -> None:
        url, options = f"{bucket.url}/a-{{shard}}", bucket.storage_options
        lmarc.create(url, ["d"], storage_options=options, **given)

    def check(failed: bool) -> None:
        found = {name: cat(bucket, name) for name in expected}
        assert all(found[name] in (None, expected[name]) for name in expected)
        assert (found["a.lmarcset"] is None) == failed
        assert failed or found == expected

    said = at_every_request(bucket, how, lambda: remove_all(bucket), work, check)
    assert said == 7 if how == "refuse" else said <= 1


@pytest.mark.parametrize("how", ["refuse", "cut"])
def test_objects_are_archived_whole_or_not_at_all(how: str, bucket: Bucket, tmp_path: Path) -> None:
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.pipe({f"{bucket.url}/d/{number}": noise(number, 300_000) for number in range(3)})

    def work() -> None:
        options = bucket.storage_options
        urls = [f"{bucket.url}/d"]
        lmarc.create(tmp_path / "a", urls, preset="fast", source_options=options)

    def check(failed: bool) -> None:
        assert (tmp_path / "a").exists() != failed
        if not failed:
            with lmarc.open(tmp_path / "a") as archive:
                names = [member.name for member in archive]
                for name in names:
                    assert archive.read(name) == noise(int(name[-1]), 300_000)
            # One whose samples could not be read is left out, with a warning.
            assert len(names) >= 2
            assert how == "refuse" or len(names) == 3

    at_every_request(bucket, how, lambda: (tmp_path / "a").unlink(missing_ok=True), work, check)
