import hashlib
import os
import pickle
from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.spans import Origin, Span, digest_of, read_all
from tests.archive.samples import noise
from tests.conftest import Bucket


def origin(path: Path) -> Origin:
    status = path.stat()
    return Origin(str(path), status.st_size, status.st_mtime_ns)


def test_a_span_is_cut_like_bytes() -> None:
    span = Span(Origin("/x", 100, 0), 10, 60, 3, True)
    assert len(span) == 50
    assert span[5:20] == Span(span.origin, 15, 30, 3, False)
    assert span[:] == span
    assert span[40:99] == Span(span.origin, 50, 60, 3, False)


def test_spans_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(noise(ord(name), 1000))
    a, b = origin(tmp_path / "a"), origin(tmp_path / "b")
    spans = [Span(a, 900, 1000, 0, False), Span(b, 0, 10, 1, False), Span(a, 0, 5, 0, False)]
    expected = [noise(97, 1000)[900:], noise(98, 1000)[:10], noise(97, 1000)[:5]]
    assert read_all(pickle.loads(pickle.dumps(spans))) == expected


@pytest.mark.parametrize("change", ["content", "size", "gone", "directory"])
def test_a_file_that_changed_is_not_read(change: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    span = Span(origin(path), 0, 100, 0, False)
    if change == "content":
        os.utime(path, ns=(0, 1))
    elif change == "size":
        os.truncate(path, 50)
    else:
        path.unlink()
        if change == "directory":
            path.mkdir()
    with pytest.raises(lmarc.SourceError, match=f"{path}"):
        read_all([span])
    with pytest.raises(lmarc.SourceError, match=f"{path}"):
        digest_of(span.origin, None)


def test_a_digest_counts_holes_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        file.truncate(3 << 20)
        os.pwrite(file.fileno(), b"data" * 1000, 1 << 20)
    expected = hashlib.sha256(path.read_bytes()).digest()
    assert digest_of(origin(path), [(1 << 20, (1 << 20) + 4096)]) == expected
    assert digest_of(origin(path), None) == expected


def test_an_object_that_changed_is_not_read(bucket: Bucket) -> None:
    options = bucket.storage_options
    store = fsspec.filesystem("s3", **options)
    store.pipe(f"{bucket.url}/x", noise(1, 1000))
    etag = store.info(f"{bucket.url}/x")["ETag"]
    span = Span(Origin(f"{bucket.url}/x", 1000, etag, options), 10, 20, 0, False)
    assert read_all([span]) == [noise(1, 1000)[10:20]]
    store.pipe(f"{bucket.url}/x", noise(2, 1000))
    with pytest.raises(lmarc.SourceError, match="ETag"):
        read_all([span])


def test_other_file_systems_tell_a_change_by_their_own_key() -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/f/x", b"0123456789")
    span = Span(Origin("memory:///f/x", 10, str(store.ukey("/f/x"))), 2, 4, 0, False)
    assert read_all([span]) == [b"23"]
    store.pipe("/f/x", b"9876543210!")
    with pytest.raises(lmarc.SourceError, match="changed while it was archived"):
        read_all([span])
    store.store.clear()


def test_options_are_not_shown() -> None:
    assert "secret" not in repr(Origin("s3://b/x", 1, "e", {"key": "secret"}))
