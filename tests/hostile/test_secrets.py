"""What is secret stays where it is needed: not in errors, in what is printed, or in archives."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from tests.archive.samples import noise
from tests.conftest import Bucket

SECRETS = ("AKIASECRETKEY", "verysecretvalue", "secretsessiontoken", "secretsignature")
OPTIONS = {"key": SECRETS[0], "secret": SECRETS[1], "token": SECRETS[2]}


@pytest.fixture
def options(bucket: Bucket) -> dict[str, Any]:
    """Return options with credentials that are easy to find again."""
    return {**bucket.storage_options, **OPTIONS}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for number in range(4):
        (tmp_path / "d" / str(number)).write_bytes(noise(number, 6_000_000))
    return tmp_path


def assert_silent(text: str | bytes) -> None:
    plain = text if isinstance(text, bytes) else text.encode()
    assert [secret for secret in SECRETS if secret.encode() in plain] == []


def told_by(work: Callable[[], object]) -> str:
    """Return everything that an error of some work says, causes included."""
    try:
        work()
    except Exception as exc:
        return "".join(traceback.format_exception(exc)) + repr(exc)
    raise AssertionError("it was to fail")


def everything(bucket: Bucket) -> dict[str, bytes]:
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.invalidate_cache()
    return {key: store.cat(key) for key in store.find(bucket.url)}


def test_archives_and_what_stands_beside_them_are_silent(
    bucket: Bucket, options: dict[str, Any], data: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(read: int, written: int) -> None:
        if read > 18_000_000:
            raise StoppedError

    given = {"directory": data, "preset": "fast", "storage_options": options}
    with pytest.raises(StoppedError):
        lmarc.create(f"{bucket.url}/a", ["d"], resume=True, progress=stop, **given)  # type: ignore[arg-type]
    kept = everything(bucket)
    assert f"{bucket.url.removeprefix('s3://')}/a.lmarc-resume/job" in kept
    for content in kept.values():
        import zlib

        assert_silent(zlib.decompress(content))
    lmarc.create(f"{bucket.url}/a", ["d"], resume=True, **given)  # type: ignore[arg-type]
    lmarc.create(f"{bucket.url}/s-{{shard}}", ["d"], shard_size=10**7, **given)  # type: ignore[arg-type]
    lmarc.create(f"{bucket.url}/b", [f"{bucket.url}/a"], preset="fast", storage_options=options)
    (data / "new").write_bytes(b"new")
    lmarc.append(f"{bucket.url}/a", ["new"], **given)  # type: ignore[arg-type]
    found = everything(bucket)
    assert len(found) == 7  # a, b, four shards and their set
    for content in found.values():
        assert_silent(content)
    with lmarc.open(f"{bucket.url}/a", storage_options=options) as archive:
        assert_silent(repr(archive) + repr(archive.source) + json.dumps(archive.describe()))


def test_errors_are_silent(bucket: Bucket, options: dict[str, Any], data: Path) -> None:
    lmarc.create(f"{bucket.url}/a", ["d/1"], directory=data, preset="fast", storage_options=options)
    unreachable = {**options, "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}}
    unreachable["config_kwargs"] = {"retries": {"max_attempts": 0}, "connect_timeout": 1}
    target = "s3://no-such-bucket/a"

    def refused(work: Callable[[], object]) -> str:
        bucket.log.clear()
        bucket.log.fail_at = 0
        try:
            return told_by(work)
        finally:
            bucket.log.fail_at = -1

    for text in (
        told_by(lambda: lmarc.open(target, storage_options=options)),
        told_by(lambda: lmarc.create(target, [data], storage_options=options, preset="fast")),
        told_by(lambda: lmarc.create("memory://x", [target], source_options=options)),
        told_by(lambda: lmarc.open(f"{bucket.url}/none", storage_options=options)),
        refused(lambda: lmarc.open(f"{bucket.url}/a", storage_options=options)),
        refused(lambda: lmarc.append(f"{bucket.url}/a", [data], storage_options=options)),
    ):
        assert_silent(text)


def command(*arguments: str, cwd: Path) -> tuple[int, str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-m", "lmarc", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_is_silent(bucket: Bucket, options: dict[str, Any], data: Path) -> None:
    given = ("--storage-options", json.dumps(options))
    url = f"{bucket.url}/a.lmarc"
    create = ("create", "--preset", "fast", "-v", *given)
    code, text = command(*create, url, "d", "--executor", "processes", "--jobs", "1", cwd=data)
    assert (code, "d/1" in text) == (0, True)
    assert_silent(text)
    for arguments, expected in (
        ((*create, "--json", "s3://no-such-bucket/a", "d"), 22),
        ((*create, "memory://x", "s3://no-such-bucket/a"), 22),
        (("list", *given, f"{bucket.url}/none"), 3),
        (("list", "--storage-options", json.dumps(options)[:-1], url), 2),
        (("info", "--json", *given, url), 0),
    ):
        code, text = command(*arguments, cwd=data)
        assert code == expected, text
        assert_silent(text)


def test_signed_urls_are_silent(bucket: Bucket, options: dict[str, Any], data: Path) -> None:
    """The server answers whatever the signature is; what is not there it has not."""
    lmarc.create(f"{bucket.url}/a", ["d/1"], directory=data, preset="fast", storage_options=options)
    folder = f"{bucket.log.endpoint}/{bucket.url.removeprefix('s3://')}"
    query = f"X-Amz-Credential={SECRETS[0]}&X-Amz-Signature={SECRETS[3]}"
    with lmarc.open(f"{folder}/a?{query}") as archive:
        assert archive.read("d/1") == noise(1, 6_000_000)
        assert_silent(repr(archive) + archive.url)
    assert_silent(told_by(lambda: lmarc.open(f"{folder}/none?{query}")))
    assert_silent(told_by(lambda: lmarc.open(f"http://127.0.0.1:9/none?{query}")))
    assert_silent(told_by(lambda: lmarc.create(f"{folder}/new?{query}", [data], preset="fast")))
    lmarc.create(data / "of-a-url", [f"{folder}/a?{query}"], preset="fast", warn=pytest.fail)
    assert_silent((data / "of-a-url").read_bytes())
    assert [m.name for m in lmarc.open(data / "of-a-url")] == [f"{bucket.url[5:]}/a"]
    for arguments in (
        ("list", f"{folder}/none?{query}"),
        ("info", "--json", f"{folder}/a?{query}"),
        ("verify", "-v", f"{folder}/a?{query}"),
        ("create", "-v", "--preset", "fast", "x", f"{folder}/none?{query}"),
        ("create", "--preset", "fast", f"{folder}/new?{query}", "d"),
    ):
        assert_silent(command(*arguments, cwd=data)[1])


def test_the_configuration_of_fsspec_is_respected(bucket: Bucket, data: Path) -> None:
    """FSSPEC_S3 has what `storage_options` would have, for the processes of an executor as well."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environment = {**plain, "PYTHONPATH": path, "FSSPEC_S3": json.dumps(bucket.storage_options)}
    store = fsspec.filesystem("s3", **bucket.storage_options)
    store.pipe(f"{bucket.url}/source/x", noise(1, 300_000))
    urls = (f"{bucket.url}/a", f"{bucket.url}/source")
    for arguments in (
        ("create", "--preset", "fast", "--jobs", "1", "--executor", "processes", *urls),
        ("append", "--preset", "fast", f"{bucket.url}/a", "d/1"),
        ("verify", f"{bucket.url}/a"),
    ):
        subprocess.run(
            [sys.executable, "-m", "lmarc", *arguments], cwd=data, env=environment, check=True
        )
    with lmarc.open(f"{bucket.url}/a", storage_options=bucket.storage_options) as archive:
        assert archive.read("source/x") == noise(1, 300_000)
        assert archive.read("d/1") == noise(1, 6_000_000)
