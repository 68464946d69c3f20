"""Whatever ends a write, and wherever: the old archive is there, or none, or the new one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.scan import scan
from lmarc.archive.source import LocalSource
from tests.archive.samples import FEW, MEMBERS, make, noise
from tests.conftest import Bucket

# Runs a command once for each call that changes a file, in a process of its own that is killed
# (SIGKILL) before that call, and for writes also after half of the bytes.
DRIVER = """
import json, os, pathlib, shutil, signal, sys
import lmarc
from tests.archive.samples import FEW, make, noise

command, old, folder = sys.argv[1:]

def work(path):
    if command == "create":
        make(path, FEW)
    else:
        with lmarc.appender(path, preset="fast", chunk_size=16384) as out:
            out.add_bytes("new", noise(1, 40_000))

def kill_at(boundary):
    count = 0
    def wrap(name):
        real = getattr(os, name)
        def call(*arguments, **options):
            nonlocal count
            if count == boundary and name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            if count in (boundary, boundary + 1):
                os.kill(os.getpid(), signal.SIGKILL)
            count += 2
            return real(*arguments, **options)
        setattr(os, name, call)
    for name in ("write", "ftruncate", "rename", "fsync"):
        wrap(name)

results = []
for boundary in range(-1, 1000):
    path = pathlib.Path(folder) / str(boundary + 1) / "a"
    path.parent.mkdir()
    if old:
        shutil.copy(old, path)
    child = os.fork()
    if not child:
        kill_at(boundary)
        work(path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    results.append([str(path), os.WIFSIGNALED(status)])
    if not os.WIFSIGNALED(status):
        break
print(json.dumps(results))
"""


def killed_at_every_boundary(command: str, old: Path | None, folder: Path) -> list[Path]:
    """Return the path of each attempt, the last of which was not killed."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, command, str(old or ""), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=240,
    )
    results = json.loads(done.stdout)
    assert [killed for _, killed in results] == [True] * (len(results) - 1) + [False]
    assert len(results) > 20
    return [Path(path) for path, _ in results]


@pytest.mark.parametrize("replaces", [False, True])
def test_a_killed_create_leaves_the_old_archive_or_none(replaces: bool, tmp_path: Path) -> None:
    new = make(tmp_path / "new", FEW).read_bytes()
    old = make(tmp_path / "old", {"old": b"content"}) if replaces else None
    before = old.read_bytes() if old is not None else None
    seen = set()
    for path in killed_at_every_boundary("create", old, tmp_path / "runs"):
        found = path.read_bytes() if path.exists() else None
        assert found in (before, new)
        seen.add(found == new)
    assert seen == {False, True}


def test_a_killed_append_leaves_the_old_archive_readable(tmp_path: Path) -> None:
    old = make(tmp_path / "old", FEW)
    before = old.read_bytes()
    seen = set()
    for path in killed_at_every_boundary("append", old, tmp_path / "runs"):
        data = path.read_bytes()
        assert data.startswith(before)
        with lmarc.open(path, incomplete=True) as archive:
            archive.verify()
            names = [member.name for member in archive]
        assert names in (list(FEW), [*FEW, "new"])
        if len(before) < len(data) and "new" not in names:
            with pytest.raises(lmarc.TruncatedError, match="not completed"):
                lmarc.open(path)
            lmarc.recover(path, path.parent / "out")
            assert (path.parent / "out" / "a" / "text").read_bytes() == MEMBERS["a/text"]
        seen.add(len(names))
        if "new" not in names:
            with lmarc.appender(path, chunk_size=16_384, preset="fast") as out:
                out.add_bytes("new", noise(1, 40_000))
        with lmarc.open(path) as archive:
            assert archive.read("new") == noise(1, 40_000)
        assert scan(LocalSource(str(path)), path.stat().st_size).lost_size == 0
    assert seen == {len(FEW), len(FEW) + 1}


def uploads(bucket: Bucket) -> int:
    """Return how many uploads the store has not finished."""
    store = fsspec.filesystem("s3", **bucket.storage_options)
    name = bucket.url.removeprefix("s3://")
    return len(store.call_s3("list_multipart_uploads", Bucket=name).get("Uploads", []))


def refused_at_every_request(
    bucket: Bucket, work: Callable[[str], None], check: Callable[[str], None]
) -> int:
    """Run `work` with its first request refused, then the second, and so on; return how many."""
    url = f"{bucket.url}/a.lmarc"
    for number in range(100):
        bucket.log.clear()
        bucket.log.fail_at = number
        try:
            work(url)
        except lmarc.SourceError as exc:
            assert url in str(exc)  # noqa: PT017
            aborting = bucket.log.methods[number] == "DELETE"
        else:
            assert len(bucket.log.methods) <= number
            return number
        finally:
            bucket.log.fail_at = -1
        check(url)
        assert uploads(bucket) == 0 or aborting
    raise AssertionError("more requests than expected")


@pytest.mark.parametrize("size", [1000, 20 << 20])
def test_a_refused_request_leaves_no_new_object(size: int, bucket: Bucket) -> None:
    data = noise(1, size)
    options = bucket.storage_options

    def work(url: str) -> None:
        with lmarc.Writer(url, storage_options=options, preset="fast") as out:
            out.add_bytes("new", data)

    def check(url: str) -> None:
        with pytest.raises(FileNotFoundError):
            lmarc.open(url, storage_options=options)

    assert refused_at_every_request(bucket, work, check) == (1 if size < 1 << 20 else 5)
    with lmarc.open(f"{bucket.url}/a.lmarc", storage_options=options) as archive:
        assert archive.read("new") == data


@pytest.mark.parametrize("size", [1000, 6 << 20])
def test_a_refused_request_leaves_the_old_object(size: int, bucket: Bucket, tmp_path: Path) -> None:
    options = bucket.storage_options
    old = make(tmp_path / "old", {"old": noise(2, size)}).read_bytes()
    fsspec.filesystem("s3", **options).pipe(f"{bucket.url}/a.lmarc", old)

    def work(url: str) -> None:
        with lmarc.appender(url, storage_options=options, preset="fast") as out:
            out.add_bytes("new", b"content")

    def check(url: str) -> None:
        assert fsspec.filesystem("s3", **options).cat(url) == old

    assert refused_at_every_request(bucket, work, check) > 2
    with lmarc.open(f"{bucket.url}/a.lmarc", storage_options=options) as archive:
        assert archive.read("old") == noise(2, size)
        assert archive.read("new") == b"content"
        archive.verify()
