"""What tests of several layers share: an S3 server that logs its requests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tools.benchmarks._s3 import RequestLog, s3_server

if TYPE_CHECKING:
    from tests.tiny import TinyModel


# What no warm-up compiles: no model that comes with lmarc has patches.
WITH_PATCHES = """
from lmarc.codec import multiscale, neural, vectors
for codec, model in (neural, vectors.patched_network()), (multiscale, vectors.patched_blend()):
    codec.decompress_with(model, codec.compress_with(model, b"text"), 4)
"""


@dataclass(frozen=True)
class Bucket:
    """A new bucket: `url` without a slash at its end, what s3fs needs, the server's log."""

    url: str
    storage_options: dict[str, Any]
    log: RequestLog


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels before any test's time counts: one that is stopped keeps none."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    path = os.pathsep.join(entry for entry in sys.path if entry)
    for command in (["-m", "lmarc", "warmup", "--quiet"], ["-c", WITH_PATCHES]):
        environment = {**os.environ, "PYTHONPATH": path}
        subprocess.run([sys.executable, *command], env=environment, check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time."""
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let programs that are started here be interrupted, also where a shell's `&` has said no."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3_log() -> Iterator[RequestLog]:
    """Serve S3 on the loopback for the whole session."""
    with s3_server() as log:
        yield log


@pytest.fixture
def bucket(s3_log: RequestLog) -> Bucket:
    """Return a new bucket; the log is empty."""
    import fsspec

    name = f"bucket-{uuid4().hex}"
    fsspec.filesystem("s3", **s3_log.storage_options).mkdir(name)
    s3_log.clear()
    return Bucket(f"s3://{name}", s3_log.storage_options, s3_log)


@pytest.fixture
def s3_environment(s3_log: RequestLog) -> dict[str, str]:
    """Return environment variables that lead every AWS client to a server with `s3://bucket`."""
    import fsspec

    store = fsspec.filesystem("s3", **s3_log.storage_options)
    if not store.exists("bucket"):
        store.mkdir("bucket")
    return {
        "AWS_ENDPOINT_URL": s3_log.endpoint,
        "AWS_ACCESS_KEY_ID": s3_log.storage_options["key"],
        "AWS_SECRET_ACCESS_KEY": s3_log.storage_options["secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a small n-gram model."""
    from lmarc.codec.vectors import small_model

    path = tmp_path_factory.mktemp("models") / "small.lmmodel"
    path.write_bytes(small_model().pack(b"{}"))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> "TinyModel":
    """Return an n-gram model trained in seconds on text of `tests.tiny`."""
    from tests import tiny

    return tiny.trained(tmp_path_factory.mktemp("tiny-model"))
