"""Archives on object stores and other file systems, through fsspec.

S3 is spoken to below s3fs: a suffix read that also tells size and ETag in one request,
and reads pinned to that ETag. What is written there goes by way of `upload`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from fsspec.asyn import sync
from fsspec.core import url_to_fs

from lmarc.archive.checkpoints import Checkpoints, ResumableSink
from lmarc.archive.sink import Sink
from lmarc.archive.source import Range, Source, read_coalesced
from lmarc.archive.upload import S3Sink
from lmarc.archive.urls import cause, shown
from lmarc.errors import SourceError
from lmarc.format._fields import Buffer

__all__ = [
    "FsspecSink",
    "FsspecSource",
    "S3Source",
    "open_remote_sink",
    "open_remote_source",
]

T = TypeVar("T")

_CONCURRENT: Final = 10  # requests to one object at the same time
_ATTEMPTS: Final = 3  # for a body that breaks off; s3fs repeats requests by itself
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def open_remote_source(url: str, storage_options: Mapping[str, Any] | None) -> Source:
    """Return the source for a URL that is not local."""
    filesystem, path = url_to_fs(url, **(storage_options or {}))
    kind = S3Source if _is_s3(filesystem) else FsspecSource
    return kind(url, dict(storage_options or {}), filesystem, path)


def open_remote_sink(
    url: str,
    storage_options: Mapping[str, Any] | None,
    checkpoints: Checkpoints | None = None,
) -> Sink:
    """Return the sink for a URL that is not local."""
    filesystem, path = url_to_fs(url, **(storage_options or {}))
    if _is_s3(filesystem):
        if checkpoints is not None:
            return ResumableSink(url, filesystem, path, checkpoints)
        return S3Sink(url, filesystem, path)
    return FsspecSink(url, dict(storage_options or {}), path)


def _is_s3(filesystem: Any) -> bool:
    return hasattr(filesystem, "_call_s3") and hasattr(filesystem, "split_path")


class FsspecSource:
    """Any fsspec file system: `cat_file` with bounds by keyword."""

    local = False

    def __init__(
        self, url: str, storage_options: dict[str, Any], filesystem: Any = None, path: str = ""
    ) -> None:
        self._url = url
        self._options = storage_options
        self._filesystem = filesystem
        self._path = path
        self._process = os.getpid()
        self._limit = asyncio.Semaphore(_CONCURRENT)  # of requests, in the file system's loop

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        return shown(self._url)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url, self._options)

    @property
    def filesystem(self) -> Any:
        """The file system; made again after unpickling and in a process that was forked."""
        if self._filesystem is None or self._process != os.getpid():
            self._process = os.getpid()
            self._filesystem, self._path = url_to_fs(self._url, **self._options)
            self._limit = asyncio.Semaphore(_CONCURRENT)
        return self._filesystem

    def _guard(self, what: Callable[[], T], start: int, end: int | None) -> T:
        try:
            return what()
        except SourceError:
            raise
        except FileNotFoundError as exc:
            raise FileNotFoundError(errno.ENOENT, shown(str(exc)), self.url) from cause(exc)
        except Exception as exc:
            message = f"cannot be read: {str(exc) or type(exc).__name__}"
            raise SourceError(message, url=self.url, start=start, end=end) from cause(exc)

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the total where it is known."""
        data = self._guard(lambda: self._read_suffix(size), -size, None)
        if len(data) != size:  # the whole of a small file, or of a server that knows no ranges
            return data[-size:], len(data)
        return data, None

    def _read_suffix(self, size: int) -> bytes:
        filesystem = self.filesystem
        try:
            data = filesystem.cat_file(self._path, start=-size)
        except AttributeError:  # the files of fsspec's caches do not know their size
            total = filesystem.size(self._path)
            data = filesystem.cat_file(self._path, start=max(0, total - size), end=total)
        return bytes(data)

    def total(self) -> int:
        """Return how many bytes there are."""
        return int(self._guard(lambda: self.filesystem.size(self._path), 0, None))

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from `start` to `end`."""
        return bytes(self.read_ranges([(start, end)])[0])

    def read_ranges(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Return the bytes of each range; near ones are read together, all at the same time."""
        if not ranges:
            return []
        start, end = min(ranges)[0], max(ranges)[1]
        return read_coalesced(
            ranges, lambda joined: self._guard(lambda: self._read_all(joined), start, end)
        )

    def _read_all(self, ranges: list[Range]) -> list[bytes]:
        filesystem = self.filesystem
        if len(ranges) == 1:
            (start, end) = ranges[0]
            blocks = [filesystem.cat_file(self._path, start=start, end=end)]
        else:
            starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
            paths = [self._path] * len(ranges)
            blocks = filesystem.cat_ranges(paths, starts=starts, ends=ends, on_error="raise")
        return [self._checked(item, block) for item, block in zip(ranges, blocks, strict=True)]

    def _checked(self, wanted: Range, block: bytes) -> bytes:
        start, end = wanted
        if len(block) != end - start:
            message = f"gave {len(block)} bytes, {end - start} were asked for"
            raise SourceError(message, url=self.url, start=start, end=end)
        return block

    def close(self) -> None:
        """Let the file system go; the next read takes it again."""


class S3Source(FsspecSource):
    """An object on S3, pinned to the ETag that it had at the first read."""

    def __init__(
        self,
        url: str,
        storage_options: dict[str, Any],
        filesystem: Any = None,
        path: str = "",
        etag: str | None = None,
    ) -> None:
        super().__init__(url, storage_options, filesystem, path)
        self.etag = etag

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url, self._options, None, "", self.etag)

    def read_suffix(self, size: int) -> tuple[bytes, int | None]:
        """Return the last `size` bytes, all if there are fewer, and the object's size."""
        filesystem = self.filesystem
        try:
            data, answer = self._guard(
                lambda: sync(filesystem.loop, self._get, -size, None), -size, None
            )
        except SourceError as exc:
            if "InvalidRange" in repr(exc.__cause__) or "not satisfiable" in str(exc.__cause__):
                return b"", 0  # an empty object has no range at all
            raise
        self.etag = answer.get("ETag")
        found = _CONTENT_RANGE.match(answer.get("ContentRange") or "")
        if found is None:  # the whole object
            return data[-size:], len(data)
        first, last, total = map(int, found.groups())
        if last + 1 != total or len(data) != min(size, total) or first != total - len(data):
            message = f"gave {len(data)} bytes as {found[0]!r}, its last {size} were asked for"
            raise SourceError(message, url=self.url, start=-size)
        return data, total

    def _read_all(self, ranges: list[Range]) -> list[bytes]:
        return sync(self.filesystem.loop, self._get_all, ranges)  # type: ignore[no-any-return]

    async def _get_all(self, ranges: list[Range]) -> list[bytes]:
        async def get(wanted: Range) -> bytes:
            start, end = wanted
            async with self._limit:
                data, answer = await self._get(start, end)
            found = _CONTENT_RANGE.match(answer.get("ContentRange") or "")
            if found is not None and (int(found[1]), int(found[2]) + 1) != wanted:
                message = f"gave {found[0]!r}, other bytes than were asked for"
                raise SourceError(message, url=self.url, start=start, end=end)
            return self._checked(wanted, data)

        return list(await asyncio.gather(*map(get, ranges)))

    async def _get(self, start: int, end: int | None) -> tuple[bytes, dict[str, Any]]:
        """Return what the store gives for a range, the last bytes where `start` is negative."""
        bucket, key, version = self.filesystem.split_path(self._path)
        wanted = f"bytes={start}" if end is None else f"bytes={start}-{end - 1}"
        arguments = {"Bucket": bucket, "Key": key, "Range": wanted}
        if version is not None:
            arguments["VersionId"] = version
        if self.etag is not None:
            arguments["IfMatch"] = self.etag
        replaced = SourceError(
            "was replaced since it was opened: its ETag changed", url=self.url, start=start, end=end
        )
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self.filesystem._call_s3("get_object", **arguments)
                if self.etag not in (None, answer.get("ETag", self.etag)):
                    answer["Body"].close()
                    raise replaced
                try:
                    return await answer["Body"].read(), answer
                finally:
                    answer["Body"].close()
            except (SourceError, FileNotFoundError):
                raise
            except Exception as exc:
                if "PreconditionFailed" in repr(exc.__cause__) or "condition" in str(exc):
                    raise replaced from exc
                # s3fs has repeated what can be repeated, but for bodies that break off.
                if isinstance(exc, OSError) or attempt == _ATTEMPTS - 1:
                    message = f"cannot be read: {str(exc) or type(exc).__name__}"
                    raise SourceError(message, url=self.url, start=start, end=end) from exc
        raise AssertionError("unreachable")


class FsspecSink:
    """Any fsspec file system: a transaction where it has them.

    The file system is one of its own, because a transaction is a state of the whole file system.
    """

    identity: tuple[int, int] | None = None

    def __init__(self, url: str, storage_options: dict[str, Any], path: str) -> None:
        self._url = shown(url)
        options = {**storage_options, "skip_instance_cache": True}
        try:
            self._filesystem, self._path = url_to_fs(url, **options)
        except TypeError:
            self._filesystem, self._path = url_to_fs(url, **storage_options)
        self._filesystem.start_transaction()
        try:
            self._file = self._filesystem.open(self._path, "wb")
        except BaseException:
            self._end(commit=False)
            raise

    def _end(self, *, commit: bool) -> None:
        transaction = self._filesystem.transaction
        transaction.complete(commit=commit)
        self._filesystem._transaction = None
        self._filesystem._intrans = False

    def write(self, data: Buffer) -> None:
        """Write all of `data`."""
        try:
            self._file.write(data)
        except Exception as exc:
            raise SourceError(f"cannot be written: {exc}", url=self._url) from exc

    def barrier(self) -> None:
        """Do nothing: nothing shows before `commit`."""

    def commit(self) -> None:
        """Close the file and end the transaction."""
        try:
            self._file.close()
            self._end(commit=True)
        except Exception as exc:
            raise SourceError(f"cannot be written: {exc}", url=self._url) from exc

    def abort(self) -> None:
        """Throw away what was written."""
        with contextlib.suppress(Exception):
            self._file.close()
        with contextlib.suppress(Exception):
            self._end(commit=False)
