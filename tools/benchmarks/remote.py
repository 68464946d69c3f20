"""Requests and bytes of readers of archives on S3, and a training loop's speed with slow requests.

The S3 server stands on the loopback and counts; bytes are those of its answers. The loop reads
random records through `ArchiveDataset` with two workers, once as it is and once with a delay before
each answer.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import statistics
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import lmarc
from tools.benchmarks import _page
from tools.benchmarks._measure import describe_machine, format_table
from tools.benchmarks._s3 import RequestLog, s3_server
from tools.benchmarks.ratio import find_texts

MB = 1_000_000
MEMBER = 150_000  # bytes
COLUMNS = ("open, list", "list again", "1 member", "20 members", "100 bytes of 1", "unpickle")
RECORD = 2000  # characters of a record of the loop
BATCH = 50  # records
WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", type=Path, required=True, help="a folder with texts")
    parser.add_argument("--members", type=int, default=2000, help="of 150 kB (%(default)s)")
    parser.add_argument("--size", type=int, default=16, help="MB of records (%(default)s)")
    parser.add_argument("--records", type=int, default=1000, help="that are read (%(default)s)")
    parser.add_argument("--delay", type=int, default=50, help="ms before an answer (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (%(default)s)")
    _page.add_page_option(parser)


class Cost(NamedTuple):
    """What a step has asked of the server."""

    methods: dict[str, int]
    received: int  # bytes

    def __str__(self) -> str:
        kinds = " + ".join(f"{count} {method}" for method, count in self.methods.items())
        return f"{kinds}, {self.received / MB:.2f} MB" if kinds else "0"


def cost_of(log: RequestLog, action: Callable[[], object]) -> Cost:
    """Do something and return what it costs."""
    log.clear()
    action()
    kinds = dict.fromkeys(log.methods)
    return Cost({method: log.methods.count(method) for method in kinds}, log.received)


class Reader(Protocol):
    """Reads members by name; made in the first step that is measured."""

    def list(self) -> int:
        """Return how many members there are."""

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a member."""

    def pickled(self) -> bytes | None:
        """Return what a worker would get."""


class FileSystemReader:
    """One of fsspec's archive file systems, on S3."""

    def __init__(self, protocol: str, path: str, options: dict[str, Any]) -> None:
        import fsspec

        self._files = fsspec.filesystem(
            protocol, fo=path, target_protocol="s3", target_options=options
        )

    def list(self) -> int:
        """Return how many members there are."""
        return len(self._files.find("part"))

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a member."""
        with self._files.open(name, "rb") as file:
            file.seek(start)
            return file.read(size)  # type: ignore[no-any-return]

    def pickled(self) -> bytes | None:
        """Return the file system, to be made anew."""
        data = pickle.dumps(self._files)
        type(self._files).clear_instance_cache()
        return data


class RatarmountReader:
    """ratarmount's library, without its mount."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        from ratarmountcore.mountsource.factory import open_mount_source

        self._source = open_mount_source(f"s3://{path}", index_file_path=":memory:")

    def list(self) -> int:
        """Return how many members there are."""
        return len(list(self._source.list("/part")))

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a member."""
        with self._source.open(self._source.lookup(f"/{name}")) as file:
            file.seek(start)
            return file.read(size)  # type: ignore[no-any-return]

    def pickled(self) -> bytes | None:
        """Return nothing: it does not pickle."""
        return None


class LinesReader:
    """An uncompressed file of lines through s3fs; where lines begin is known beforehand."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        import fsspec

        self._store = fsspec.filesystem("s3", **options)
        self._file = self._store.open(path, "rb")

    def list(self) -> int:
        """Return how many lines there are, by the size of the file."""
        return int(self._file.size) // (MEMBER + 1)

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a line."""
        self._file.seek(number_of(name) * (MEMBER + 1) + start)
        return self._file.read(size)  # type: ignore[no-any-return]

    def pickled(self) -> bytes | None:
        """Return the open file."""
        return pickle.dumps(self._file)


class RecordsReader:
    """The same lines in an archive, by their numbers."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        archive = lmarc.open(f"s3://{path}", storage_options=options)
        self._records = archive.records("part.jsonl")

    def list(self) -> int:
        """Return how many records there are."""
        return len(self._records)

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a record."""
        return self._records[number_of(name)][start : start + size]

    def pickled(self) -> bytes | None:
        """Return the records."""
        return pickle.dumps(self._records)


def name_of(number: int) -> str:
    """Return the name of a member."""
    return f"part/{number:05}.bin"


def number_of(name: str) -> int:
    """Return the number of a member."""
    return int(name[5:10])


def make_archives(folder: Path, count: int) -> None:
    """Write the same members to an archive of each kind; lines are in hexadecimal."""
    rng = random.Random(1)
    with (
        tarfile.open(folder / "a.tar", "w") as tar_file,
        zipfile.ZipFile(folder / "a.zip", "w") as zip_file,
        lmarc.Writer(folder / "a.lmarc", preset="fast") as writer,
        lmarc.Writer(folder / "small.lmarc", preset="fast", chunk_size=256 << 10) as small,
        (folder / "a.jsonl").open("wb") as lines,
    ):
        for number in range(count):
            content = rng.randbytes(MEMBER)
            header = tarfile.TarInfo(name_of(number))
            header.size = MEMBER
            tar_file.addfile(header, BytesIO(content))
            zip_file.writestr(name_of(number), content)
            writer.add_bytes(name_of(number), content)
            small.add_bytes(name_of(number), content)
            lines.write(content[: MEMBER // 2].hex().encode() + b"\n")
    with lmarc.Writer(folder / "lines.lmarc", preset="fast") as writer:
        writer.add_path(folder / "a.jsonl", "part.jsonl")


def readers(options: dict[str, Any]) -> Iterator[tuple[str, Callable[[], Reader]]]:
    """Give the names of readers, and what makes each."""
    for label, protocol, name in (
        ("lmarc://", "lmarc", "a.lmarc"),
        ("lmarc://, chunks of 256 KiB", "lmarc", "small.lmarc"),
        ("zip://", "zip", "a.zip"),
        ("tar://", "tar", "a.tar"),
    ):
        yield label, lambda p=protocol, n=name: FileSystemReader(p, f"bench/{n}", options)  # type: ignore[misc]
    try:
        import ratarmountcore  # noqa: F401
    except ImportError:
        print("ratarmount is not installed, and left out", file=sys.stderr)
    else:
        yield "ratarmount, zip", lambda: RatarmountReader("bench/a.zip", options)
        yield "ratarmount, tar", lambda: RatarmountReader("bench/a.tar", options)
    yield "lmarc records", lambda: RecordsReader("bench/lines.lmarc", options)
    yield ".jsonl, offsets known", lambda: LinesReader("bench/a.jsonl", options)


def bucket_of(log: RequestLog) -> Any:
    """Return s3fs for the server, which has the bucket `bench` then."""
    import fsspec

    store = fsspec.filesystem("s3", **log.storage_options)
    if not store.exists("bench"):
        store.mkdir("bench")
    return store


@contextmanager
def environment(log: RequestLog, cache: Path) -> Iterator[None]:
    """Lead clients that take no options to the server, and let them find no index of before."""
    import fsspec

    settings = {
        "AWS_ENDPOINT_URL": log.endpoint,
        "AWS_ACCESS_KEY_ID": log.storage_options["key"],
        "AWS_SECRET_ACCESS_KEY": log.storage_options["secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(cache),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # those of an earlier server
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def measure_requests(folder: Path, count: int) -> dict[str, list[Cost | None]]:
    """Return the costs of each reader's steps, in the order of `COLUMNS`."""
    make_archives(folder, count)
    rng = random.Random(2)
    some = [name_of(number) for number in rng.sample(range(count), min(20, count))]
    costs: dict[str, list[Cost | None]] = {}
    with tempfile.TemporaryDirectory() as cache, s3_server() as log, environment(log, Path(cache)):
        store = bucket_of(log)
        for path in sorted(folder.iterdir()):
            store.put_file(str(path), f"bench/{path.name}")
        for label, make in readers({**log.storage_options, "skip_instance_cache": True}):
            made: list[Reader] = []

            def opened(make: Callable[[], Reader] = make, made: list[Reader] = made) -> None:
                made.append(make())
                check(made[0].list() == count)

            def read(
                names: Sequence[str], start: int, size: int, made: list[Reader] = made
            ) -> None:
                for name in names:
                    check(len(made[0].read(name, start, size)) == size)

            def again(made: list[Reader] = made) -> None:
                check(made[0].list() == count)

            row: list[Cost | None] = [cost_of(log, opened), cost_of(log, again)]
            row.append(cost_of(log, lambda: read([name_of(count // 2)], 0, MEMBER)))
            row.append(cost_of(log, lambda: read(some, 0, MEMBER)))
            row.append(cost_of(log, lambda: read([name_of(7)], 70_000, 100)))
            data = made[0].pickled()
            row.append(None if data is None else cost_of(log, lambda: pickle.loads(data)))  # noqa: B023
            costs[label] = row
            print(label, *row, sep=" | ", file=sys.stderr, flush=True)
    return costs


def check(right: bool) -> None:
    """End the benchmark where a reader gives something else than was asked for."""
    if not right:
        raise SystemExit("a reader gave something else than was asked for")


def make_records(path: Path, texts: Sequence[Path], size: int, preset: str) -> int:
    """Write some `size` bytes of texts to an archive, as JSON lines; return their count."""
    rows: list[bytes] = []
    total = 0
    share = size / sum(text.stat().st_size for text in texts)
    for text in texts:
        content = text.read_bytes()
        part = content[: round(len(content) * min(1.0, share))].decode("utf-8", "replace")
        for start in range(0, len(part), RECORD):
            rows.append(json.dumps({"text": part[start : start + RECORD]}).encode() + b"\n")
            total += len(rows[-1])
    with lmarc.Writer(path, preset=preset) as writer:
        writer.add_bytes("rows.jsonl", b"".join(rows))
    return len(rows)


def time_loop(url: str, options: dict[str, Any], numbers: Sequence[int]) -> float:
    """Return seconds in which two workers give records with these numbers."""
    from torch.utils.data import DataLoader

    from lmarc.interop.torch import ArchiveDataset

    dataset = ArchiveDataset(url, "rows.jsonl", transform=len, storage_options=options)
    loader: Any = DataLoader(
        dataset,
        batch_size=BATCH,
        sampler=list(numbers),
        num_workers=WORKERS,
        multiprocessing_context="spawn",
        collate_fn=list,
        persistent_workers=True,
    )
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)  # processes have started, kernels and model are loaded
    first = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    check(count == len(numbers) - BATCH and first > start)
    return time.perf_counter() - first


def measure_loop(options: argparse.Namespace, folder: Path) -> list[list[str]]:
    """Return a row for each preset: records a second without and with the delay."""
    texts = find_texts(options.data, None)
    rows = []
    with s3_server() as log:
        store = bucket_of(log)
        for preset in ("balanced", "fast"):
            path = folder / f"{preset}.lmarc"
            count = make_records(path, texts, options.size * MB, preset)
            store.put_file(str(path), f"bench/{path.name}")
            rng = random.Random(3)
            numbers = [rng.randrange(count) for _ in range(options.records)]
            seconds: dict[float, list[float]] = {0.0: [], options.delay / 1000: []}
            for _ in range(options.repeats):
                for delay, times in seconds.items():
                    log.delay = delay
                    log.clear()
                    url = f"s3://bench/{path.name}"
                    times.append(time_loop(url, log.storage_options, numbers))
                    requests = len(log.methods)
            log.delay = 0
            speeds = [(options.records - BATCH) / statistics.median(t) for t in seconds.values()]
            share = f"{speeds[1] / speeds[0]:.0%}"
            rows.append([preset, *(f"{speed:.0f}" for speed in speeds), share, str(requests)])
            print(*rows[-1], file=sys.stderr, flush=True)
    return rows


def run(options: argparse.Namespace) -> int:
    """Count requests, time the loop, write the section."""
    machine = describe_machine("fsspec", "s3fs", "pyarrow", "torch", "numba")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "requests").mkdir()
        costs = measure_requests(Path(folder) / "requests", options.members)
        loop = measure_loop(options, Path(folder))
    cells = [[n, *("-" if c is None else str(c) for c in row)] for n, row in costs.items()]
    what = (
        f"{options.members:,} members of {MEMBER // 1000} kB that no codec makes smaller, or as "
        "many lines of hexadecimal. *Open, list* is everything up to a list of all members; reads "
        "are those of an open reader, one after the other; *unpickle* is what a worker pays before "
        "its first read. Of ratarmount it is the library, which makes its index anew."
    )
    delayed = (
        f"{options.records:,} records of {RECORD} characters at random from {options.size} MB of "
        f"JSON lines, in batches of {BATCH}, by {WORKERS} workers, behind the first batch; median "
        f"of {options.repeats}. *Requests* are all of one run."
    )
    head = ["preset", "records/s", f"with {options.delay} ms a request", "of the speed", "requests"]
    parts = [machine, what, format_table(["reader", *COLUMNS], cells), delayed]
    parts.append(format_table(head, loop))
    _page.publish(options.page, "remote", "\n\n".join(parts))
    return 0
