"""The same archive from any executor, also where workers and coordinators are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from lmarc.interop.executors import DaskExecutor, ProcessExecutor, executor
from tests.archive.samples import noise, text
from tests.conftest import Bucket


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with large and small files, links, holes and nothing in between."""
    top = tmp_path_factory.mktemp("data") / "files"
    (top / "many").mkdir(parents=True)
    for number in range(300):
        (top / "many" / f"{number:03}.txt").write_bytes(text(number, 40 * number))
    lines = b"".join(b'{"n": %d}\n' % n for n in range(300_000))
    (top / "lines.jsonl").write_bytes(lines)
    (top / "many" / "few.jsonl").write_bytes(lines[:1000])
    for number in range(20):
        (top / f"noise {number:02}").write_bytes(noise(number, 3_000_000))
    (top / "large").write_bytes(text(7, 20_000_000))
    os.link(top / "large", top / "large too")
    (top / "link").symlink_to("large")
    with open(top / "sparse", "wb") as sparse:
        sparse.truncate(4 << 20)
        os.pwrite(sparse.fileno(), b"data" * 1024, 1 << 20)
    return top.parent


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive that threads have made."""
    path = tmp_path_factory.mktemp("expected") / "a.lmarc"
    lmarc.create(path, ["files"], directory=data, preset="fast")
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a Dask cluster of two processes."""
    from dask.distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def create(path: Path | str, data: Path, **options: Any) -> None:
    lmarc.create(path, ["files"], directory=data, preset="fast", **options)


def once(action: Callable[[], object], after: int) -> Callable[[int, int], None]:
    """Return a `progress` that does something when so many bytes are encoded."""
    done: list[object] = []

    def progress(encoded: int, _: int) -> None:
        if encoded > after and not done:
            done.append(action())

    return progress


@pytest.mark.parametrize("after", [None, 0, 30_000_000])
def test_processes_give_the_same_bytes_also_when_one_is_lost(
    after: int | None, data: Path, expected: Path, tmp_path: Path
) -> None:
    with executor("processes", jobs=2) as pool:
        assert isinstance(pool, ProcessExecutor)
        pool.submit(len, b"").result(60)
        killed: list[int] = []

        def kill() -> None:
            killed.append(next(one.process.pid for one in pool.workers if one.process is not None))
            os.kill(killed[0], signal.SIGKILL)

        progress = None if after is None else once(kill, after)
        create(tmp_path / "a", data, executor=pool, progress=progress)
        assert len(killed) == (after is not None)
        # One that is lost near the end may have had nothing left to do.
        there = {one.process and one.process.pid for one in pool.workers}
        assert after != 0 or not there & set(killed)
    assert (tmp_path / "a").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("after", [None, 0, 30_000_000])
def test_dask_gives_the_same_bytes_also_when_a_worker_is_lost(
    after: int | None, cluster: Any, data: Path, expected: Path, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill() -> None:
        killed.append(next(iter(cluster.workers.values())).pid)
        os.kill(killed[0], signal.SIGKILL)

    with executor("dask", scheduler=cluster.scheduler_address) as pool:
        assert isinstance(pool, DaskExecutor)
        progress = None if after is None else once(kill, after)
        create(tmp_path / "a", data, executor=pool, progress=progress)
    assert len(killed) == (after is not None)
    assert (tmp_path / "a").read_bytes() == expected.read_bytes()


def test_dask_writes_to_s3_in_parts(
    cluster: Any, data: Path, expected: Path, bucket: Bucket
) -> None:
    url, options = f"{bucket.url}/a.lmarc", bucket.storage_options
    with executor("dask", scheduler=cluster.scheduler_address) as pool:
        create(url, data, executor=pool, storage_options=options)
    assert fsspec.filesystem("s3", **options).cat(url) == expected.read_bytes()


@pytest.mark.parametrize("kind", ["threads", "processes", "dask"])
def test_any_executor_extracts(
    kind: str, cluster: Any, data: Path, expected: Path, tmp_path: Path
) -> None:
    scheduler = cluster.scheduler_address if kind == "dask" else None
    with executor(kind, jobs=2, scheduler=scheduler) as pool, lmarc.open(expected) as archive:
        archive.extract(tmp_path, executor=pool)
    names = sorted(path.relative_to(data) for path in data.rglob("*"))
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == names
    for name in names:
        if (data / name).is_file():
            assert (tmp_path / name).read_bytes() == (data / name).read_bytes()


def test_a_killed_coordinator_is_gone_on_from(
    data: Path, expected: Path, s3_environment: dict[str, str], bucket: Bucket
) -> None:
    url = f"{bucket.url}/a.lmarc"
    command = [sys.executable, "-m", "lmarc", "create", url, "files", "--preset", "fast"]
    command += ["--executor", "processes", "--jobs", "1"]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, **s3_environment, "PYTHONPATH": path}
    running = subprocess.Popen(command, cwd=data, env=environment)

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/00002"):
            running.kill()

    bucket.log.on_request = kill
    try:
        assert running.wait(60) == -signal.SIGKILL
    finally:
        bucket.log.on_request = None
    store = fsspec.filesystem("s3", **bucket.storage_options)
    assert not store.exists(url)
    bucket.log.clear()
    done = subprocess.run(
        [*command, "--resume"], cwd=data, env=environment, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert store.cat(url) == expected.read_bytes()
    assert bucket.log.sent < expected.stat().st_size - (8 << 20)
    store.invalidate_cache()
    assert store.find(bucket.url) == [url.removeprefix("s3://")]
    name = bucket.url.removeprefix("s3://")
    assert "Uploads" not in store.call_s3("list_multipart_uploads", Bucket=name)


def die() -> None:
    os._exit(1)


def test_a_task_that_kills_every_process_is_an_error_in_the_end() -> None:
    with executor("processes", jobs=1) as pool:
        with pytest.raises(lmarc.SourceError, match="lost with its process 3 times"):
            pool.submit(die).result(60)
        assert pool.submit(len, b"1234").result(60) == 4


def test_what_a_task_raises_comes_out() -> None:
    with executor("processes", jobs=1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result(60)
        running = [pool.submit(len, b"1") for _ in range(50)]
        assert running[-1].cancel() or running[-1].done()
        assert running[0].result(60) == 1


def test_kinds_are_told_apart() -> None:
    pool: Executor
    with executor("threads", jobs=1) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
    with pytest.raises(ValueError, match="expected 'threads', 'processes' or 'dask'"):
        executor("magic")
    with pytest.raises(ValueError, match="a scheduler is for the executor 'dask'"):
        executor("threads", scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_that_is_not_there_is_named() -> None:
    # All of it: what is set while Dask has no defaults for its cluster takes them along afterwards.
    import dask.distributed

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(lmarc.SourceError, match="does not answer"),
    ):
        executor("dask", scheduler="tcp://127.0.0.1:9")


def test_a_missing_dask_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'lmarc\[dask\]'"):
        executor("dask")
